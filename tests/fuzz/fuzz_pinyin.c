/* SPDX-License-Identifier: MIT
 * Pinyin, piece by piece: each is inside of what was given, and its parts inside of it, in
 * order.
 */
#include "audio/vits/pinyin.h"
#include "fuzz.h"

static void check(bool ok)
{
    if (!ok)
        __builtin_trap();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char names[][4] = { "3", "a", "ang", "sh", "ve", "\xC3\x98" };
    bt_phoneme list[6] = { 0 };
    for (int i = 0; i < 6; i++)
        list[i].text = names[i];
    const bt_voice v = { .phonemes = list, .n_phonemes = 6 };
    const char *s = (const char *)data;
    for (size_t at = 0, len; at < size; at += len) {
        const bt_phoneme *part[3];
        size_t end[3], last = 0;
        const int n = bt_pinyin_next(&v, s + at, size - at, part, end, &len);
        check((n == 1 || n == 3) && len > 0 && len <= size - at);
        for (int i = 0; i < n; last = end[i++])
            check(end[i] >= last && end[i] <= len && (!part[i] || part[i]->text[0]));
    }
    return 0;
}
