/* SPDX-License-Identifier: MIT
 * An opened model: named tensors, metadata and side files, whatever the format.
 *
 *     bt_store *s;
 *     bt_store_open("model.gguf", &s, &err);
 *     const bt_tensor *w = bt_store_find(s, "blk.0.attn_q.weight");
 *     ...w->dims[0] output rows of w->dims[1] inputs at w->data...
 *     bt_store_close(s);
 *
 * A store is immutable: any number of threads may read it. All pointers that
 * come out of it live until bt_store_close.
 */
#ifndef BT_FORMATS_STORE_H
#define BT_FORMATS_STORE_H

#include "base/alloc.h"
#include "base/status.h"
#include "kernels/types.h"

#define BT_MAX_DIMS 6

typedef struct bt_tensor {
    const char *name;
    bt_dtype dtype;
    int n_dims;                /* 0: a scalar */
    int64_t dims[BT_MAX_DIMS]; /* outermost first (torch's order) in every format; unused = 1 */
    bool channels_last;        /* a convolution stored [out][kh][kw][in] or [out][k][in]: see
                                  bt_convert_store. dims are then in that order. */
    bool in_file;              /* data is mapped; false: a reader made it */
    const uint8_t *data;       /* any alignment; NULL if bytes is 0 */
    size_t bytes;              /* = product of dims / block * block bytes; rows are whole blocks */
} bt_tensor;

static inline int64_t bt_tensor_count(const bt_tensor *t)
{
    int64_t n = 1;
    for (int i = 0; i < t->n_dims; i++)
        n *= t->dims[i];
    return n;
}

/* Lets the system drop a tensor's pages of the file once the data was used
 * (packed, say); later reads fetch them again. */
void bt_tensor_drop(const bt_tensor *t);
/* Its values as floats, in its own order; bt_release. NULL: see *err. */
float *bt_tensor_values(const bt_tensor *t, bt_error *err);

typedef struct bt_store bt_store;

/* Opens a GGUF, safetensors or ONNX file (told apart by content), a
 * `*.safetensors.index.json`, or a folder in the diffusers layout. Tensor data
 * stays mapped, read-only.
 * Diffusers: tensors are "<component>/<name>", e.g. "unet/conv_in.weight",
 * "vae/decoder.conv_in.weight", "text_encoder/text_model.final_layer_norm.bias".
 * ONNX: initializers under the names of the torch modules ("dec.ups.0.weight"):
 * where the exporter made names up, the consuming node's name counts. */
bt_status bt_store_open(const char *path, bt_store **out, bt_error *err);
void bt_store_close(bt_store *s); /* NULL is fine */

/* bt_tensor_drop of all that the store has mapped: who reads a few bytes here and there
 * has their surroundings in memory as well. */
void bt_store_drop(const bt_store *s);

/* What tells this model, as it is now, from every other: a key of the files'
 * identities (size, inode, times), the table of tensors and samples of the data.
 * False: the data lies in no file. Reads some 64 KiB of each file. */
bool bt_store_key(const bt_store *s, uint64_t key[2]);
/* Whether the files are still those that were opened, and unwritten since. */
bool bt_store_unchanged(const bt_store *s);

const char *bt_store_path(const bt_store *s);
const char *bt_store_format(const bt_store *s); /* "gguf", "safetensors", "diffusers", "onnx" */

size_t bt_store_count(const bt_store *s);
const bt_tensor *bt_store_at(const bt_store *s, size_t i);
double bt_store_parameters(const bt_store *s);                       /* values of all tensors */
const bt_tensor *bt_store_find(const bt_store *s, const char *name); /* NULL: none. Hashed. */

/* For the message that nothing reads this model: "a FLUX model", or NULL. */
const char *bt_store_looks_like(const bt_store *s);

/* Side files by relative name: "model_index.json", "unet/config.json",
 * "tokenizer/merges.txt", "voice.json" (a voice's or vocoder's <path>.json),
 * "vocab.json", "voices.json" and "config.json" (of the same folder). Zero-terminated
 * text; len may be NULL. NULL: there is none. In a GGUF they are the metadata
 * "bottega.file.<name>". */
const char *bt_store_file(const bt_store *s, const char *name, size_t *len);
size_t bt_store_file_count(const bt_store *s);
const char *bt_store_file_name(const bt_store *s, size_t i);

/* Metadata: that of GGUF, the "__metadata__" strings of safetensors, else
 * empty. The getters convert between number types where the value fits. */
typedef enum bt_meta_type { /* numbers of the GGUF format */
                            BT_META_U8,
                            BT_META_I8,
                            BT_META_U16,
                            BT_META_I16,
                            BT_META_U32,
                            BT_META_I32,
                            BT_META_F32,
                            BT_META_BOOL,
                            BT_META_STR,
                            BT_META_ARRAY,
                            BT_META_U64,
                            BT_META_I64,
                            BT_META_F64,
                            BT_META_COUNT
} bt_meta_type;
typedef struct bt_meta bt_meta;

/* The string (zero-terminated, may hold zeros itself), or NULL. */
const char *bt_store_str(const bt_store *s, const char *key, size_t *len);
/* false: not there or not of that kind; *v is untouched */
bool bt_store_u64(const bt_store *s, const char *key, uint64_t *v);
bool bt_store_i64(const bt_store *s, const char *key, int64_t *v);
bool bt_store_f64(const bt_store *s, const char *key, double *v);
bool bt_store_bool(const bt_store *s, const char *key, bool *v);
/* An array of numbers or strings, or NULL. Elements: i < n. */
const bt_meta *bt_store_array(const bt_store *s, const char *key, bt_meta_type *type, size_t *n);
const char *bt_store_array_str(const bt_meta *a, size_t i, size_t *len); /* NULL: not of strings */
bool bt_store_array_i64(const bt_meta *a, size_t i, int64_t *v);
bool bt_store_array_f64(const bt_meta *a, size_t i, double *v);

/* All keys, in file order. */
size_t bt_store_meta_count(const bt_store *s);
const char *bt_store_meta_key(const bt_store *s, size_t i);

/* Adds one JSON object: path, format, metadata (long arrays shortened), files,
 * tensors (name, type, shape, bytes) and totals. */
bt_status bt_store_describe(const bt_store *s, bt_buf *json);

#endif
