/* SPDX-License-Identifier: MIT
 * GGUF writer; the layout stands in gguf.c. Entries and tensors are collected in
 * memory because the header says how many there are before it lists them.
 */
#include "gguf_write.h"

#include <string.h>

#define ALIGN    32
#define MAX_NAME 127
#define MAX_DIMS 4

/* The lowest `size` bytes of v, little endian. */
static void put(bt_buf *b, uint64_t v, size_t size)
{
    uint8_t bytes[8];
    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)(v >> (8 * i));
    bt_buf_add(b, bytes, size);
}

static void put_str(bt_buf *b, const char *s, size_t n)
{
    put(b, n, 8);
    bt_buf_add(b, s, n);
}

static void put_key(bt_gguf_writer *w, const char *key, bt_meta_type t)
{
    put_str(&w->entries, key, strlen(key));
    put(&w->entries, t, 4);
    w->n_entries++;
}

void bt_gguf_put_str(bt_gguf_writer *w, const char *key, const char *v, size_t n)
{
    put_key(w, key, BT_META_STR);
    put_str(&w->entries, v, n);
}

void bt_gguf_put_u32(bt_gguf_writer *w, const char *key, uint32_t v)
{
    put_key(w, key, BT_META_U32);
    put(&w->entries, v, 4);
}

void bt_gguf_put_strs(bt_gguf_writer *w, const char *key, const char *const *v, size_t n)
{
    put_key(w, key, BT_META_ARRAY);
    put(&w->entries, BT_META_STR, 4);
    put(&w->entries, n, 8);
    for (size_t i = 0; i < n; i++)
        put_str(&w->entries, v[i], strlen(v[i]));
}

void bt_gguf_put_raw(bt_gguf_writer *w, const char *key, bt_meta_type t, const void *p, size_t n)
{
    put_key(w, key, t);
    bt_buf_add(&w->entries, p, n);
}

static uint64_t aligned(uint64_t n) { return (n + ALIGN - 1) / ALIGN * ALIGN; }

bt_status bt_gguf_list(bt_gguf_writer *w, const bt_tensor *t, bt_error *err)
{
    const size_t n = strlen(t->name);
    const int n_dims = t->n_dims > 0 ? t->n_dims : 1; /* a scalar has one value */
    if (n > MAX_NAME)
        return bt_fail(err, BT_EUNSUPPORTED, "the name of tensor '%s' is too long for GGUF",
                       t->name);
    if (n_dims > MAX_DIMS)
        return bt_fail(err, BT_EUNSUPPORTED, "tensor '%s' has %d dimensions, GGUF knows 4", t->name,
                       n_dims);
    if (t->dtype >= BT_U8)
        return bt_fail(err, BT_EUNSUPPORTED, "tensor '%s' has type %s, which GGUF does not know",
                       t->name, bt_dtypes[t->dtype].name);
    put_str(&w->tensors, t->name, n);
    put(&w->tensors, (uint64_t)n_dims, 4);
    for (int i = n_dims - 1; i >= 0; i--)
        put(&w->tensors, t->n_dims ? (uint64_t)t->dims[i] : 1, 8);
    put(&w->tensors, t->dtype, 4);
    put(&w->tensors, w->offset, 8);
    w->offset = aligned(w->offset + t->bytes);
    w->n_tensors++;
    return BT_OK;
}

bt_status bt_gguf_begin(bt_gguf_writer *w, FILE *f, bt_error *err)
{
    static const char zeros[ALIGN];
    bt_buf head = { 0 };
    bt_buf_add(&head, "GGUF", 4);
    put(&head, 3, 4);
    put(&head, w->n_tensors, 8);
    put(&head, w->n_entries, 8);
    const bool failed = head.failed || w->entries.failed || w->tensors.failed;
    if (!failed) {
        const size_t n = head.len + w->entries.len + w->tensors.len;
        fwrite(head.data, 1, head.len, f);
        if (w->entries.len)
            fwrite(w->entries.data, 1, w->entries.len, f);
        if (w->tensors.len)
            fwrite(w->tensors.data, 1, w->tensors.len, f);
        fwrite(zeros, 1, (size_t)(aligned(n) - n), f);
        w->f = f;
    }
    bt_buf_free(&head);
    return failed ? bt_fail(err, BT_ENOMEM, "out of memory for a GGUF header") : BT_OK;
}

/* Why no status: the stream keeps its error flag for bt_out_commit. */
void bt_gguf_data(bt_gguf_writer *w, const void *p, size_t n)
{
    if (n)
        fwrite(p, 1, n, w->f);
    w->written += n;
}

void bt_gguf_pad(bt_gguf_writer *w)
{
    static const char zeros[ALIGN];
    bt_gguf_data(w, zeros, (size_t)(aligned(w->written) - w->written));
}

bt_status bt_gguf_end(bt_gguf_writer *w, bt_error *err)
{
    if (w->written == w->offset)
        return BT_OK;
    return bt_fail(err, BT_EINVAL, "the tensors written to a GGUF are not those listed");
}

void bt_gguf_writer_free(bt_gguf_writer *w)
{
    bt_buf_free(&w->entries);
    bt_buf_free(&w->tensors);
}
