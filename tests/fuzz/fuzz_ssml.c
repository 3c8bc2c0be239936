/* SPDX-License-Identifier: MIT
 * Any bytes as SSML: passages are UTF-8 with places inside the source, in order; reading it
 * again gives the same. The first byte chooses the language and the alphabet.
 */
#include <stdlib.h>
#include <string.h>

#include "audio/script/script.h"
#include "fuzz.h"
#include "text/utf8.h"

static void check(const bt_passage *p, size_t size)
{
    if (p->n == 0)
        return;
    if (!bt_utf8_valid(p->text, p->n) || p->n_places == 0 || p->places[0].text != 0 ||
        !(p->pause >= 0) || !(p->pace >= 0.1 && p->pace <= 10) || !(p->volume >= 0))
        __builtin_trap();
    for (size_t i = 0; i < p->n; i++) {
        const bt_span s = bt_passage_source(p, (bt_span){ i, i + 1 });
        if (s.from >= s.to || s.to > size)
            __builtin_trap();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const int how = size ? data[0] : 0;
    const bt_script_rules rules = { .tongue = { how & 1, (bt_notation)(how / 2 % 3) } };
    const size_t n = size ? size - 1 : 0;
    char *text = malloc(n + 1);
    bt_script s;
    bt_passage p;
    bt_error err;
    if (!text)
        return 0;
    memcpy(text, data + (size > 0), n);
    text[n] = 0;
    const size_t length = strlen(text);
    /* The engine lets no other text through. */
    bt_status st =
        bt_utf8_valid(text, length) ? bt_script_open(&s, &rules, text, 1, &err) : BT_EFORMAT;
    if (st == BT_OK) {
        do {
            st = bt_script_next(&s, &p, &err);
            if (st == BT_OK)
                check(&p, length);
        } while (st == BT_OK && p.n);
        bt_script_close(&s);
    }
    free(text);
    return 0;
}
