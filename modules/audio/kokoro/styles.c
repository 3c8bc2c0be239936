/* SPDX-License-Identifier: MIT
 * Symbols and styles beside a Kokoro model, and mixtures of styles.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "audio/kokoro/npz.h"
#include "audio/kokoro/styles.h"

enum { MAX_FILES = 64, MAX_STYLES = 4096, MAX_NAME = 128 };

/* "vocab" of vocab.json, or of hexgrad's config.json. */
static bt_status read_symbols(const bt_kokoro *k, bt_kok_beside *b, bt_error *err)
{
    static const char *const files[] = { "vocab.json", "config.json" };
    const char *path = bt_store_path(k->store), *text = NULL;
    char name[256];
    size_t n = 0;
    int i = 0;
    while (i < 2 && !(text = bt_store_file(k->store, files[i], &n)))
        i++;
    if (!text)
        return bt_fail(err, BT_ENOTFOUND, "%s: there is no vocab.json beside it", path);
    snprintf(name, sizeof name, "%s: the voice's %s", path, files[i]);
    return bt_alphabet_read(&b->alphabet, text, n, "vocab", 1, k->n_tokens, name, err);
}

/* ---- styles ------------------------------------------------------------------ */

static const bt_kok_voice *find(const bt_kok_beside *b, const char *name, size_t n)
{
    for (size_t i = 0; i < b->n_styles; i++)
        if (strlen(b->styles[i].name) == n && memcmp(b->styles[i].name, name, n) == 0)
            return &b->styles[i];
    return NULL;
}

static bt_status add_style(void *user, const bt_npz_array *a, bt_error *err)
{
    bt_kok_beside *b = user;
    if (a->cols != b->width)
        return bt_fail(err, BT_EFORMAT, "%s: style \"%.*s\" has %zu values in a row, not %zu",
                       b->file, (int)(a->name_len < 40 ? a->name_len : 40), a->name, a->cols,
                       b->width);
    if (a->name_len > MAX_NAME || b->n_styles == MAX_STYLES || find(b, a->name, a->name_len))
        return BT_OK;
    if (b->n_styles == b->cap) {
        bt_kok_voice *more = bt_realloc_array(b->styles, b->cap, 2 * b->cap + 8, sizeof *b->styles);
        if (!more)
            return bt_no_memory(err, "styles");
        b->styles = more;
        b->cap = 2 * b->cap + 8;
    }
    char *name = bt_strndup(a->name, a->name_len);
    if (!name)
        return bt_no_memory(err, "styles");
    b->styles[b->n_styles++] = (bt_kok_voice){ name, a->data, a->rows };
    return BT_OK;
}

static bt_status read_styles(bt_kok_beside *b, const char *path, bt_error *err)
{
    bt_map *m = &b->maps[b->n_maps];
    const bt_status st = bt_map_open(path, m, err);
    if (st != BT_OK)
        return st;
    b->n_maps++;
    b->file = path;
    return bt_npz_read(m->data, m->size, path, add_style, b, err);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Names of the folder's *.npz, sorted; returns how many, at most MAX_FILES. -1: no memory. */
static int list_files(const char *folder, char *names[MAX_FILES])
{
    int n = 0;
    DIR *d = opendir(folder);
    bool ok = true;
    for (struct dirent *e; d && ok && n < MAX_FILES && (e = readdir(d));) {
        const size_t len = strlen(e->d_name);
        if (len <= 4 || strcmp(e->d_name + len - 4, ".npz") != 0)
            continue;
        names[n] = bt_strdup(e->d_name);
        ok = names[n] != NULL;
        n += ok;
    }
    if (d)
        closedir(d);
    while (!ok && n > 0)
        bt_release(names[--n]);
    qsort(names, (size_t)n, sizeof *names, by_name);
    return ok ? n : -1;
}

static bt_status read_folder(const bt_kokoro *k, bt_kok_beside *b, bt_error *err)
{
    const char *file = bt_store_path(k->store), *slash = strrchr(file, '/');
    char *names[MAX_FILES],
        *folder = slash ? bt_strndup(file, (size_t)(slash + 1 - file)) : bt_strdup("./");
    const int n = folder ? list_files(folder, names) : 0;
    bt_status st = folder && n >= 0 ? BT_OK : bt_no_memory(err, "styles");
    if (st == BT_OK && n == 0)
        st = bt_fail(err, BT_ENOTFOUND, "%s: there is no file of styles (*.npz) beside it", file);
    b->maps = st == BT_OK ? bt_calloc((size_t)n, sizeof *b->maps) : NULL;
    if (st == BT_OK && !b->maps)
        st = bt_no_memory(err, "styles");
    for (int i = 0; i < n; i++) {
        bt_buf path = { 0 };
        bt_buf_printf(&path, "%s%s", folder, names[i]);
        if (st == BT_OK)
            st = path.failed ? bt_no_memory(err, "styles") : read_styles(b, path.data, err);
        bt_buf_free(&path);
        bt_release(names[i]);
    }
    bt_release(folder);
    if (st == BT_OK && b->n_styles == 0)
        st = bt_fail(err, BT_EFORMAT, "%s: the files of styles beside it are empty", file);
    return st;
}

bt_status bt_kok_beside_open(const bt_kokoro *k, bt_kok_beside *b, bt_error *err)
{
    *b = (bt_kok_beside){ .width = 2 * (size_t)k->style };
    bt_status st = read_symbols(k, b, err);
    if (st == BT_OK)
        st = read_folder(k, b, err);
    if (st != BT_OK)
        bt_kok_beside_close(b);
    return st;
}

void bt_kok_beside_close(bt_kok_beside *b)
{
    for (size_t i = 0; i < b->n_styles; i++)
        bt_release(b->styles[i].name);
    for (size_t i = 0; i < b->n_maps; i++)
        bt_map_close(&b->maps[i]);
    bt_release(b->styles);
    bt_release(b->maps);
    bt_alphabet_free(&b->alphabet);
    memset(b, 0, sizeof *b);
}

/* ---- mixing ------------------------------------------------------------------ */

/* out += share * the style's row for so many phonemes */
static void add_row(const bt_kok_voice *s, size_t width, size_t phonemes, double share, double *out)
{
    const size_t row = phonemes < 1 ? 0 : phonemes > s->rows ? s->rows - 1 : phonemes - 1;
    for (size_t i = 0; i < width; i++) {
        float v;
        memcpy(&v, s->data + (row * width + i) * sizeof v, sizeof v);
        out[i] += share * (double)v;
    }
}

static bt_status no_speaker(const bt_kok_beside *b, const char *name, int len, bt_error *err)
{
    char known[120] = "";
    size_t n = 0;
    for (size_t i = 0; i < b->n_styles && n < sizeof known; i++)
        n +=
            (size_t)snprintf(known + n, sizeof known - n, "%s%s", i ? ", " : "", b->styles[i].name);
    return bt_fail(err, BT_EINVAL, "there is no speaker \"%.*s\"; there is %s%s", len, name, known,
                   n < sizeof known ? "" : "...");
}

/* "name[:share]" up to a comma or the end; *next: after it */
static bt_status read_part(const bt_kok_beside *b, const char *spec, const bt_kok_voice **style,
                           double *share, const char **next, bt_error *err)
{
    const size_t len = strcspn(spec, ","), name = strcspn(spec, ":,");
    *next = spec + len + (spec[len] == ',');
    *share = 1;
    *style = len ? find(b, spec, name) : &b->styles[0];
    if (!*style)
        return no_speaker(b, spec, (int)name, err);
    if (name < len) {
        char *end;
        *share = strtod(spec + name + 1, &end);
        if (end != spec + len || !(*share > 0 && *share <= 1000))
            return bt_fail(err, BT_EINVAL, "speaker \"%.*s\": a share is a number above 0",
                           (int)len, spec);
    }
    return BT_OK;
}

bt_status bt_kok_mix(const bt_kok_beside *b, const char *spec, size_t phonemes, float *out,
                     bt_error *err)
{
    double *sum = bt_calloc(b->width, sizeof *sum), total = 0;
    bt_status st = sum ? BT_OK : bt_no_memory(err, "a style");
    do {
        const bt_kok_voice *style;
        double share;
        if (st == BT_OK)
            st = read_part(b, spec, &style, &share, &spec, err);
        if (st != BT_OK)
            break;
        add_row(style, b->width, phonemes, share, sum);
        total += share;
    } while (*spec);
    for (size_t i = 0; st == BT_OK && i < b->width; i++)
        out[i] = (float)(sum[i] / total);
    bt_release(sum);
    return st;
}
