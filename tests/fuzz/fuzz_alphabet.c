/* SPDX-License-Identifier: MIT
 * vocab.json of hibari and Kokoro, whole or a member: ids within bounds, every letter found
 * again; and the bytes once more as phonemes of what was read.
 */
#include <stdlib.h>
#include <string.h>

#include "audio/speak/alphabet.h"
#include "fuzz.h"

enum { FIRST = 1, IDS = 178 };

static void look(const bt_alphabet *a, const char *s, size_t n)
{
    bt_utterances all = { 0 };
    bt_error err = { 0 };
    bt_utterance *u = bt_utterances_line(&all, s, n) ? bt_utterance_begin(&all) : NULL;
    for (int i = 0; i < a->n; i++)
        if (bt_alphabet_id(a, a->v[i].code) < FIRST || bt_alphabet_id(a, a->v[i].code) >= IDS)
            abort();
    const int known = bt_alphabet_count(a, s, n);
    if (!u || !bt_alphabet_add(a, s, n, all.line, &all, u) || u->n != known)
        abort();
    if ((bt_alphabet_check(a, s, n, &err) == BT_OK) != (all.missing == 0))
        abort();
    bt_utterances_free(&all);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const members[] = { NULL, "vocab" };
    const char *s = (const char *)data;
    for (int i = 0; i < 2; i++) {
        bt_alphabet a = { 0 };
        bt_error err = { 0 };
        if (bt_alphabet_read(&a, s, size, members[i], FIRST, IDS, "vocab.json", &err) == BT_OK)
            look(&a, s, size);
        else if (!err.text[0] || strchr(err.text, '\n') || a.v)
            abort();
        bt_alphabet_free(&a);
    }
    return 0;
}
