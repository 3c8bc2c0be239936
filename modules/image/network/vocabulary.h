/* SPDX-License-Identifier: MIT
 * The vocabulary of CLIP's text encoders, which all of them share and one-file
 * checkpoints leave out.
 */
#ifndef BT_IMAGE_VOCABULARY_H
#define BT_IMAGE_VOCABULARY_H

#include "image/network/config.h"
#include "text/bpe.h"

/* merges.txt, gzip (assets/clip-merges.txt.gz) */
extern const uint8_t sd_clip_merges[];
extern const size_t sd_clip_merges_size;

/* The tokenizer of the files in `folder` ("tokenizer"), or, without them, CLIP's
 * own; a text becomes `tokens` ids. */
bt_status sd_tokenizer_open(const bt_store *s, const char *folder, const sd_tokenizer_config *c,
                            int tokens, bt_bpe **out, bt_error *err);

#endif
