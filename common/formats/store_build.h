/* SPDX-License-Identifier: MIT
 * What the parsers of this room see of a store while they fill it, and the
 * parsers' entries for bytes in memory (tests and fuzz targets use them too).
 *
 * A parser checks every size and offset against its input before it uses it,
 * adds tensors and metadata, and returns the first failure; what it added until
 * then the store frees. Nothing else may call these functions: to the rest of
 * the house a store is immutable.
 */
#ifndef BT_FORMATS_STORE_BUILD_H
#define BT_FORMATS_STORE_BUILD_H

#include "base/file.h"
#include "store.h"

/* A metadata entry. Numbers stay as little-endian bytes where the file has
 * them (any alignment). */
struct bt_meta {
    const char *key;
    bt_meta_type type;
    bt_meta_type elem;  /* BT_META_ARRAY: the type of its elements, else = type */
    size_t n;           /* elements; 1 unless an array */
    const uint8_t *raw; /* the value as GGUF writes it (after the type number), or NULL */
    size_t raw_n;
    const uint8_t *items; /* numbers: the first element */
    const char *str;      /* BT_META_STR: zero-terminated copy */
    size_t str_n;
    const uint64_t *offs; /* array of strings: where in `raw` each one's length stands */
};

typedef struct bt_side_file {
    const char *name, *text;
    size_t len;
} bt_side_file;

/* Bytes of one element of a number type, 0 for the others. */
size_t bt_meta_size(bt_meta_type t);

bt_status bt_store_new(const char *path, const char *format, bt_store **out, bt_error *err);
void bt_store_set_format(bt_store *s, const char *format); /* a literal */
/* Notes which tensors lie in mapped files (in_file); the last step of opening. */
void bt_store_mark_mapped(bt_store *s);
/* BT_ENOMEM, with the store's path in the message. */
bt_status bt_store_no_memory(const bt_store *s, bt_error *err);

/* Memory that lives as long as the store; NULL: there is none. */
void *bt_store_own(bt_store *s, size_t n);
char *bt_store_own_str(bt_store *s, const char *p, size_t n); /* zero-terminated */
bt_status bt_store_map_file(bt_store *s, const char *path, bt_map *out, bt_error *err);

/* Names, texts and data must be owned by the store or mapped by it.
 * `file` is the one to name in messages. A name that is there: BT_EFORMAT. */
bt_status bt_store_add(bt_store *s, const char *file, const bt_tensor *t, bt_error *err);
bt_status bt_store_add_meta(bt_store *s, const char *file, const bt_meta *m, bt_error *err);
bt_status bt_store_add_str(bt_store *s, const char *file, const char *key, const char *v,
                           bt_error *err); /* copies both */
bt_status bt_store_add_file(bt_store *s, const char *name, const char *text, size_t len,
                            bt_error *err); /* copies the name */
/* Gives tensor i a further name and shows it under that one. */
bt_status bt_store_rename(bt_store *s, size_t i, const char *name, bt_error *err);
/* Tensor i for changing; not its name. */
bt_tensor *bt_store_edit(bt_store *s, size_t i);
const bt_meta *bt_store_meta_at(const bt_store *s, size_t i);
const bt_meta *bt_store_meta(const bt_store *s, const char *key); /* NULL: none */

/* dims -> bytes; false if the product is too large or a row is no whole
 * number of blocks. */
bool bt_tensor_measure(bt_tensor *t);
/* Do any of the tensors from number `first` on share bytes? */
bt_status bt_store_check_overlap(const bt_store *s, size_t first, const char *file, bt_error *err);

/* The parsers. `data` must outlive the store. */
bt_status bt_gguf_parse(bt_store *s, const uint8_t *data, size_t n, bt_error *err);
/* Adds the tensors of one file; names get `prefix`. */
bt_status bt_safetensors_parse(bt_store *s, const char *file, const char *prefix,
                               const uint8_t *data, size_t n, bt_error *err);
bt_status bt_onnx_parse(bt_store *s, const uint8_t *data, size_t n, bt_error *err);

/* Opening by path: several files each. */
bt_status bt_safetensors_open_index(bt_store *s, const char *path, const char *prefix,
                                    bt_error *err);
bt_status bt_diffusers_open(bt_store *s, const char *path, bt_error *err);

/* Shows a Stable Diffusion checkpoint of one file (checkpoint.h) in the names of a
 * diffusers folder, with its settings; leaves other stores alone. */
bt_status bt_ldm_adopt(bt_store *s, bt_error *err);

#endif
