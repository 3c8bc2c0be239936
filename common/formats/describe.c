/* SPDX-License-Identifier: MIT
 * A store as JSON, for people and for scripts (`bottega info`). Long arrays and
 * texts are cut: a vocabulary of 100,000 words helps nobody here.
 */
#include <inttypes.h>
#include <string.h>

#include "store_build.h"

#define MAX_ITEMS 8    /* of an array */
#define MAX_TEXT  2000 /* bytes of a string */

/* At most MAX_TEXT bytes, cut between characters. */
static void add_text(bt_buf *b, const char *s, size_t n)
{
    size_t cut = n < MAX_TEXT ? n : MAX_TEXT;
    while (cut < n && cut > 0 && ((unsigned char)s[cut] & 0xc0) == 0x80)
        cut--;
    bt_buf_json(b, s, cut);
}

static uint64_t read_u64(const uint8_t *p)
{
    uint64_t v = 0;
    for (int i = 0; i < 8; i++)
        v |= (uint64_t)p[i] << (8 * i);
    return v;
}

static void add_item(bt_buf *b, const bt_meta *m, size_t i)
{
    int64_t v;
    double f;
    size_t n;
    const char *s = m->elem == BT_META_STR ? bt_store_array_str(m, i, &n) : NULL;
    if (s)
        add_text(b, s, n);
    else if (m->elem == BT_META_BOOL)
        bt_buf_puts(b, m->items[i] ? "true" : "false");
    else if (bt_store_array_i64(m, i, &v))
        bt_buf_printf(b, "%" PRId64, v);
    else if (m->elem == BT_META_U64)
        bt_buf_printf(b, "%" PRIu64, read_u64(m->items + 8 * i));
    else if (bt_store_array_f64(m, i, &f))
        bt_buf_f64(b, f);
    else
        bt_buf_puts(b, "null");
}

static void add_meta(bt_buf *b, const bt_meta *m)
{
    if (m->type == BT_META_STR) {
        add_text(b, m->str, m->str_n);
    } else if (m->type != BT_META_ARRAY) {
        add_item(b, m, 0);
    } else {
        if (m->n > MAX_ITEMS)
            bt_buf_printf(b, "{\"length\":%zu,\"first\":", m->n);
        bt_buf_puts(b, "[");
        for (size_t i = 0; i < m->n && i < MAX_ITEMS; i++) {
            if (i)
                bt_buf_puts(b, ",");
            add_item(b, m, i);
        }
        bt_buf_puts(b, m->n > MAX_ITEMS ? "]}" : "]");
    }
}

static void add_metadata(bt_buf *b, const bt_store *s)
{
    bool first = true;
    bt_buf_puts(b, ",\"metadata\":{");
    for (size_t i = 0; i < bt_store_meta_count(s); i++) {
        const bt_meta *m = bt_store_meta_at(s, i);
        if (strncmp(m->key, "bottega.file.", 13) == 0)
            continue; /* listed as files */
        if (!first)
            bt_buf_puts(b, ",");
        first = false;
        bt_buf_json(b, m->key, strlen(m->key));
        bt_buf_puts(b, ":");
        add_meta(b, m);
    }
    bt_buf_puts(b, "},\"files\":[");
    for (size_t i = 0; i < bt_store_file_count(s); i++) {
        const char *name = bt_store_file_name(s, i);
        size_t n = 0;
        bt_store_file(s, name, &n);
        bt_buf_puts(b, i ? ",{\"name\":" : "{\"name\":");
        bt_buf_json(b, name, strlen(name));
        bt_buf_printf(b, ",\"bytes\":%zu}", n);
    }
}

static void add_tensor(bt_buf *b, const bt_tensor *t)
{
    bt_buf_puts(b, "{\"name\":");
    bt_buf_json(b, t->name, strlen(t->name));
    bt_buf_printf(b, ",\"type\":\"%s\",\"shape\":[", bt_dtypes[t->dtype].name);
    for (int i = 0; i < t->n_dims; i++)
        bt_buf_printf(b, i ? ",%" PRId64 : "%" PRId64, t->dims[i]);
    bt_buf_printf(b, "],\"bytes\":%zu%s}", t->bytes,
                  t->channels_last ? ",\"channels_last\":true" : "");
}

static void add_totals(bt_buf *b, const bt_store *s)
{
    size_t bytes = 0, count[BT_DTYPE_COUNT] = { 0 };
    uint64_t values = 0;
    for (size_t i = 0; i < bt_store_count(s); i++) {
        const bt_tensor *t = bt_store_at(s, i);
        bytes += t->bytes;
        values += (uint64_t)bt_tensor_count(t);
        count[t->dtype]++;
    }
    bt_buf_printf(b,
                  "],\"totals\":{\"tensors\":%zu,\"parameters\":%" PRIu64 ",\"bytes\":%zu,"
                  "\"types\":{",
                  bt_store_count(s), values, bytes);
    const char *comma = "";
    for (int i = 0; i < BT_DTYPE_COUNT; i++) {
        if (!count[i])
            continue;
        bt_buf_printf(b, "%s\"%s\":%zu", comma, bt_dtypes[i].name, count[i]);
        comma = ",";
    }
    bt_buf_puts(b, "}}}");
}

bt_status bt_store_describe(const bt_store *s, bt_buf *json)
{
    bt_buf_puts(json, "{\"path\":");
    bt_buf_json(json, bt_store_path(s), strlen(bt_store_path(s)));
    bt_buf_printf(json, ",\"format\":\"%s\"", bt_store_format(s));
    add_metadata(json, s);
    bt_buf_puts(json, "],\"tensors\":[");
    for (size_t i = 0; i < bt_store_count(s); i++) {
        if (i)
            bt_buf_puts(json, ",");
        add_tensor(json, bt_store_at(s, i));
    }
    add_totals(json, s);
    return json->failed ? BT_ENOMEM : BT_OK;
}
