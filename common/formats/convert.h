/* SPDX-License-Identifier: MIT
 * Any store as one GGUF with weights of another type.
 */
#ifndef BT_FORMATS_CONVERT_H
#define BT_FORMATS_CONVERT_H

#include "store.h"

/* Writes `in` to out_path (whole or not at all), one tensor at a time.
 *
 * Vectors, norms, position embeddings and the weights that suffer most (a
 * table in convert.c) keep the type they have; weights whose rows are no
 * multiple of the block become F16. With a block type the weights of a
 * convolution, [out][in][k] or [out][in][kh][kw] in torch, are written
 * channels-last, [out][k][in] or [out][kh][kw][in], so that blocks run along
 * the inputs; metadata "bottega.channels_last" lists them and bt_tensor says so.
 * Transposed convolutions stay in torch's order as F16.
 *
 * Side files become metadata "bottega.file.<name>". What no module needs is
 * left out: constants of an ONNX graph, a safety checker.
 *
 * `each` (may be NULL) hears of every tensor; non-zero gives BT_ECANCELLED.
 * rules: see bt_convert; what they name is not asked whether it suffers.
 * Types that can be written: f32 f16 bf16 q8_0 q4_0 q4_1 q5_0 q5_1 q4_k q5_k q6_k. */
bt_status bt_convert_store(const bt_store *in, const char *out_path, bt_dtype type,
                           const char *rules, bt_convert_fn each, void *user, bt_error *err);

#endif
