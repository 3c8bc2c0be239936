/* SPDX-License-Identifier: MIT
 * Opening a model by path: tells the formats apart by what the files hold and
 * hands them to their parsers. The one file that names every parser.
 *
 * Content goes before the name's ending, because people rename models: "GGUF"
 * starts a GGUF file, the length of a JSON header and its '{' a safetensors
 * file, field 1 of a ModelProto (0x08) an ONNX file.
 */
#include <string.h>

#include "store_build.h"

#define MAX_VOICE_JSON (16u << 20)

/* Why 4 GiB: no header is near it, and most other files fail the test. */
static bool looks_like_safetensors(const uint8_t *p, size_t n)
{
    uint64_t header = 0;
    if (n < 9)
        return false;
    for (int i = 0; i < 8; i++)
        header |= (uint64_t)p[i] << (8 * i);
    return p[8] == '{' && header < UINT64_C(1) << 32;
}

/* A pickle as PyTorch wrote it before 1.6: protocol 2 and up, without an archive around it. */
static bool is_pickle(const uint8_t *p) { return p[0] == 0x80 && p[1] >= 2 && p[1] <= 5; }

/* Text at `path` as the side file `name`, if it is there. */
static bt_status add_beside(bt_store *s, const char *path, const char *name, bt_error *err)
{
    char *text = NULL;
    size_t n = 0;
    bt_error why = { 0 };
    bt_status st = bt_file_read(path, MAX_VOICE_JSON, &text, &n, &why);
    if (st == BT_ENOTFOUND)
        return BT_OK;
    if (st != BT_OK)
        return bt_fail(err, st, "%s", why.text);
    char *copy = bt_store_own_str(s, text, n);
    bt_release(text);
    return copy ? bt_store_add_file(s, name, copy, n, err) : bt_store_no_memory(s, err);
}

/* A model's settings lie beside it: <path>.json, and these in the same folder. */
static bt_status add_settings(bt_store *s, int n, const char *const *names, bt_error *err)
{
    const char *file = bt_store_path(s), *slash = strrchr(file, '/');
    bt_buf path = { 0 };
    bt_buf_printf(&path, "%s.json", file);
    bt_status st =
        path.failed ? bt_store_no_memory(s, err) : add_beside(s, path.data, "voice.json", err);
    for (int i = 0; i < n && st == BT_OK; i++) {
        path.len = 0;
        bt_buf_add(&path, file, slash ? (size_t)(slash + 1 - file) : 0);
        bt_buf_puts(&path, names[i]);
        st = path.failed ? bt_store_no_memory(s, err) : add_beside(s, path.data, names[i], err);
    }
    bt_buf_free(&path);
    return st;
}

static bt_status open_file(bt_store *s, bt_error *err)
{
    static const char *const of_voices[] = { "vocab.json", "voices.json" };
    static const char *const of_vocoders[] = { "config.json" };
    bt_map m;
    const char *path = bt_store_path(s);
    const bt_status st = bt_store_map_file(s, path, &m, err);
    if (st != BT_OK)
        return st;
    if (m.size == 0)
        return bt_fail(err, BT_EFORMAT, "%s is empty", path);
    if (m.size >= 4 && memcmp(m.data, "GGUF", 4) == 0) {
        bt_store_set_format(s, "gguf");
        return bt_gguf_parse(s, m.data, m.size, err);
    }
    if (looks_like_safetensors(m.data, m.size) || bt_ends_with(path, ".safetensors")) {
        bt_store_set_format(s, "safetensors");
        const bt_status parsed = bt_safetensors_parse(s, path, "", m.data, m.size, err);
        return parsed == BT_OK ? add_settings(s, 1, of_vocoders, err) : parsed;
    }
    if (m.data[0] == 0x08 || bt_ends_with(path, ".onnx")) {
        bt_store_set_format(s, "onnx");
        const bt_status parsed = bt_onnx_parse(s, m.data, m.size, err);
        return parsed == BT_OK ? add_settings(s, 2, of_voices, err) : parsed;
    }
    if (m.size >= 4 && (memcmp(m.data, "PK\3\4", 4) == 0 || is_pickle(m.data)))
        return bt_fail(err, BT_EUNSUPPORTED,
                       "%s is a PyTorch or zip archive, which may run code; only safetensors, "
                       "GGUF and ONNX files are read: convert it",
                       path);
    return bt_fail(err, BT_EFORMAT, "%s is no GGUF, safetensors or ONNX file", path);
}

bt_status bt_store_open(const char *path, bt_store **out, bt_error *err)
{
    bt_store *s = NULL;
    *out = NULL;
    bt_status st = bt_store_new(path, "", &s, err);
    if (st != BT_OK)
        return st;
    if (bt_is_dir(path)) {
        st = bt_diffusers_open(s, path, err);
    } else if (bt_ends_with(path, ".safetensors.index.json")) {
        bt_store_set_format(s, "safetensors");
        st = bt_safetensors_open_index(s, path, "", err);
    } else {
        st = open_file(s, err);
    }
    if (st == BT_OK)
        st = bt_ldm_adopt(s, err);
    if (st != BT_OK) {
        bt_store_close(s);
        return st;
    }
    bt_store_mark_mapped(s);
    *out = s;
    return BT_OK;
}
