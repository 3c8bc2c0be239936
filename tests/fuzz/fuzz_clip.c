/* SPDX-License-Identifier: MIT
 * CLIP's vocab.json, merges.txt and a prompt, with a byte 0xFF between them. No
 * vocab.json: the vocabulary that the merges imply.
 */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "text/bpe.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const bt_clip_config c = { .bos = "<|startoftext|>",
                                      .eos = "<|endoftext|>",
                                      .max_length = 16 };
    const char *s[3] = { (const char *)data, "", "" };
    size_t n[3] = { size, 0, 0 };
    for (int i = 0; i < 2; i++) {
        const char *cut = n[i] ? memchr(s[i], 0xFF, n[i]) : NULL;
        if (!cut)
            break;
        s[i + 1] = cut + 1;
        n[i + 1] = n[i] - (size_t)(cut + 1 - s[i]);
        n[i] = (size_t)(cut - s[i]);
    }
    bt_bpe *b = NULL;
    bt_error e;
    if (bt_bpe_new_clip(n[0] ? s[0] : NULL, n[0], s[1], n[1], &c, &b, &e) != BT_OK)
        return 0;
    int32_t ids[16];
    size_t used;
    bt_buf out = { 0 };
    if (bt_bpe_encode_clip(b, s[2], n[2], ids, &used) != BT_OK)
        abort();
    for (int i = 0; i < 16; i++)
        if (ids[i] < 0 || (size_t)ids[i] >= bt_bpe_count(b))
            abort();
    bt_bpe_decode(b, ids, used, true, &out);
    bt_buf_free(&out);
    bt_bpe_free(b);
    return 0;
}
