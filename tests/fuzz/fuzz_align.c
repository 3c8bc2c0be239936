/* SPDX-License-Identifier: MIT
 * espeak-ng's answer against the text it was asked: up to the first line end the text, then
 * the phonemes. Pairs must lie in both, in order, without overlap.
 */
#include <string.h>

#include "audio/vits/align.h"
#include "fuzz.h"

static void check(bool ok)
{
    if (!ok)
        __builtin_trap();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 2000)
        return 0;
    const char *s = (const char *)data;
    const char *end = size ? memchr(s, '\n', size) : NULL;
    const size_t n = end ? (size_t)(end - s) : size, begin = end ? n + 1 : n;
    bt_pairs p = { 0 };
    check(bt_pairs_align(&p, s, n, 7, s, begin, size));
    size_t text = 7, phonemes = begin;
    for (size_t i = 0; i < p.n; i++) {
        const bt_pair *x = &p.v[i];
        check(x->source.from >= text && x->source.from < x->source.to && x->source.to <= n + 7);
        check(x->phonemes.from >= phonemes && x->phonemes.from < x->phonemes.to &&
              x->phonemes.to <= size);
        text = x->source.to;
        phonemes = x->phonemes.to;
    }
    bt_release(p.v);
    return 0;
}
