/* SPDX-License-Identifier: MIT
 * Which vocabulary a prompt is read with (vocabulary.h).
 */
#include "image/network/vocabulary.h"

#include <stdio.h>

#include "formats/gzip.h"

enum { MAX_MERGES = 1 << 20 };

static bt_status open_own(const bt_clip_config *c, bt_bpe **out, bt_error *err)
{
    bt_packed_file merges;
    bt_status st = bt_packed_read("CLIP's vocabulary", sd_clip_merges, sd_clip_merges_size,
                                  MAX_MERGES, &merges, err);
    if (st != BT_OK)
        return st;
    st = bt_bpe_new_clip(NULL, 0, merges.data, merges.size, c, out, err);
    bt_packed_close(&merges);
    return st;
}

bt_status sd_tokenizer_open(const bt_store *s, const char *folder, const sd_tokenizer_config *c,
                            int tokens, bt_bpe **out, bt_error *err)
{
    const bt_clip_config clip = { c->bos, c->eos, c->pad, c->unk, tokens };
    char name[64];
    size_t n_vocab = 0, n_merges = 0;
    snprintf(name, sizeof name, "%s/vocab.json", folder);
    const char *vocab = bt_store_file(s, name, &n_vocab);
    snprintf(name, sizeof name, "%s/merges.txt", folder);
    const char *merges = bt_store_file(s, name, &n_merges);

    if (vocab && merges)
        return bt_bpe_new_clip(vocab, n_vocab, merges, n_merges, &clip, out, err);
    if (!vocab && !merges)
        return open_own(&clip, out, err);
    return bt_fail(err, BT_EFORMAT, "%s: %s/%s is missing", bt_store_path(s), folder,
                   vocab ? "merges.txt" : "vocab.json");
}
