/* SPDX-License-Identifier: MIT
 * GGUF writer, version 3: first everything that goes into the header, then the
 * tensors' data in the order in which they were listed, in pieces of any size.
 *
 *     bt_gguf_writer w = { 0 };
 *     bt_gguf_put_str(&w, key, v, n);  ...          metadata
 *     bt_gguf_list(&w, &tensor, err);  ...          what is to come
 *     bt_gguf_begin(&w, out.f, err);                writes the header
 *     bt_gguf_data(&w, p, n);  bt_gguf_pad(&w);     for each listed tensor
 *     bt_gguf_end(&w, err);  bt_gguf_writer_free(&w);
 */
#ifndef BT_FORMATS_GGUF_WRITE_H
#define BT_FORMATS_GGUF_WRITE_H

#include "base/file.h"
#include "store.h"

typedef struct bt_gguf_writer {
    FILE *f;
    bt_buf entries, tensors; /* failures are sticky; bt_gguf_begin reports them */
    uint64_t n_entries, n_tensors;
    uint64_t offset;  /* of the next tensor, while listing */
    uint64_t written; /* bytes of data so far */
} bt_gguf_writer;

void bt_gguf_put_str(bt_gguf_writer *w, const char *key, const char *v, size_t n);
void bt_gguf_put_u32(bt_gguf_writer *w, const char *key, uint32_t v);
void bt_gguf_put_strs(bt_gguf_writer *w, const char *key, const char *const *v, size_t n);
/* A value in GGUF's own bytes. */
void bt_gguf_put_raw(bt_gguf_writer *w, const char *key, bt_meta_type t, const void *p, size_t n);

/* Lists a tensor; name, dtype, dims and bytes count (see bt_tensor). Names of
 * up to 127 bytes, 4 dimensions; ggml itself reads 63. */
bt_status bt_gguf_list(bt_gguf_writer *w, const bt_tensor *t, bt_error *err);
/* Writes the header to f, which stays the caller's. Write errors stay in f's
 * flag, for bt_out_commit to find. */
bt_status bt_gguf_begin(bt_gguf_writer *w, FILE *f, bt_error *err);
/* Data of the tensors; call bt_gguf_pad after each one. */
void bt_gguf_data(bt_gguf_writer *w, const void *p, size_t n);
void bt_gguf_pad(bt_gguf_writer *w);
/* Was everything written that was listed? */
bt_status bt_gguf_end(bt_gguf_writer *w, bt_error *err);
void bt_gguf_writer_free(bt_gguf_writer *w);

#endif
