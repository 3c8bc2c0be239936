/* SPDX-License-Identifier: MIT
 * Folders: the diffusers layout (model_index.json names the components, each a
 * folder of weights and settings), and a plain folder with model.safetensors.
 */
#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"
#include "store_build.h"

#define MAX_SIDE_FILE (64u << 20)
#define MAX_ENTRIES   4096

typedef struct folder {
    bt_store *s;
    char *path;         /* of this folder */
    const char *prefix; /* of names: "unet/" */
    char **names;       /* its files, sorted */
    size_t n;
    bt_error *err;
} folder;

/* In order of preference; full precision before half. */
static const char *const weight_names[] = {
    "diffusion_pytorch_model.safetensors",
    "model.safetensors",
    "diffusion_pytorch_model.safetensors.index.json",
    "model.safetensors.index.json",
    "diffusion_pytorch_model.fp16.safetensors",
    "model.fp16.safetensors",
};

static char *join(const char *a, const char *between, const char *b)
{
    bt_buf s = { 0 };
    bt_buf_printf(&s, "%s%s%s", a, between, b);
    return bt_buf_take(&s);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void folder_free(folder *f)
{
    for (size_t i = 0; i < f->n; i++)
        bt_release(f->names[i]);
    bt_release(f->names);
    bt_release(f->path);
}

static bt_status folder_list(folder *f)
{
    DIR *d = opendir(f->path);
    if (!d)
        return bt_fail(f->err, BT_EIO, "cannot list %s", f->path);
    bt_status st = BT_OK;
    f->names = bt_calloc(MAX_ENTRIES, sizeof *f->names);
    if (!f->names)
        st = bt_store_no_memory(f->s, f->err);
    const struct dirent *e;
    while (st == BT_OK && (e = readdir(d))) {
        if (e->d_name[0] == '.')
            continue;
        if (f->n == MAX_ENTRIES)
            st = bt_fail(f->err, BT_EFORMAT, "%s holds too many files", f->path);
        else if (!(f->names[f->n] = bt_strdup(e->d_name)))
            st = bt_store_no_memory(f->s, f->err);
        else
            f->n++;
    }
    closedir(d);
    if (st == BT_OK && f->n)
        qsort(f->names, f->n, sizeof *f->names, by_name);
    return st;
}

/* A search from the front: folders of models hold a dozen files. */
static bool has(const folder *f, const char *name)
{
    for (size_t i = 0; i < f->n; i++)
        if (strcmp(f->names[i], name) == 0)
            return true;
    return false;
}

static bt_status add_side_file(const folder *f, const char *name)
{
    char *text = NULL, *copy = NULL;
    size_t n = 0;
    char *path = join(f->path, "/", name), *key = join(f->prefix, "", name);
    bt_status st = path && key ? BT_OK : bt_store_no_memory(f->s, f->err);
    if (st == BT_OK)
        st = bt_file_read(path, MAX_SIDE_FILE, &text, &n, f->err);
    if (st == BT_OK && !(copy = bt_store_own_str(f->s, text, n)))
        st = bt_store_no_memory(f->s, f->err);
    if (st == BT_OK)
        st = bt_store_add_file(f->s, key, copy, n, f->err);
    bt_release(text);
    bt_release(path);
    bt_release(key);
    return st;
}

static bt_status add_weights(const folder *f, const char *name)
{
    bt_map m;
    char *path = join(f->path, "/", name);
    if (!path)
        return bt_store_no_memory(f->s, f->err);
    bt_status st;
    if (bt_ends_with(name, ".json"))
        st = bt_safetensors_open_index(f->s, path, f->prefix, f->err);
    else if ((st = bt_store_map_file(f->s, path, &m, f->err)) == BT_OK)
        st = bt_safetensors_parse(f->s, path, f->prefix, m.data, m.size, f->err);
    bt_release(path);
    return st;
}

static bt_status add_files(const folder *f)
{
    bt_status st = BT_OK;
    bool pickle = false;
    for (size_t i = 0; i < f->n && st == BT_OK; i++) {
        const char *name = f->names[i];
        if (bt_ends_with(name, ".bin") || bt_ends_with(name, ".ckpt"))
            pickle = true;
        if (bt_ends_with(name, ".index.json"))
            continue;
        if (bt_ends_with(name, ".json") || bt_ends_with(name, ".txt"))
            st = add_side_file(f, name);
    }
    if (st != BT_OK)
        return st;
    for (size_t i = 0; i < sizeof weight_names / sizeof *weight_names; i++)
        if (has(f, weight_names[i]))
            return add_weights(f, weight_names[i]);
    if (!pickle)
        return BT_OK;
    return bt_fail(f->err, BT_EUNSUPPORTED,
                   "%s holds weights as PyTorch pickles only; save them "
                   "as safetensors",
                   f->path);
}

/* A component: the folder of that name, if there is one. */
static bt_status add_component(bt_store *s, const char *name, bt_error *err)
{
    bt_status st = BT_OK;
    char *prefix = join(name, "", "/");
    folder f = { s, join(bt_store_path(s), "/", name), prefix, NULL, 0, err };
    if (!f.path || !prefix)
        st = bt_store_no_memory(s, err);
    else if (bt_is_dir(f.path) && (st = folder_list(&f)) == BT_OK)
        st = add_files(&f);
    folder_free(&f);
    bt_release(prefix);
    return st;
}

static bt_status add_components(bt_store *s, const char *text, size_t n, bt_error *err)
{
    cJSON *json = NULL;
    const cJSON *item;
    bt_status st = bt_json_parse("model_index.json", text, n, &json, err);
    if (st != BT_OK)
        return st;
    cJSON_ArrayForEach(item, json)
    { /* "unet": ["diffusers", "UNet2DConditionModel"] */
        const char *name = item->string;
        if (!cJSON_IsArray(item) || *name == 0 || *name == '_' || *name == '.' || strchr(name, '/'))
            continue;
        if ((st = add_component(s, name, err)) != BT_OK)
            break;
    }
    cJSON_Delete(json);
    return st;
}

bt_status bt_diffusers_open(bt_store *s, const char *path, bt_error *err)
{
    folder top = { s, bt_strdup(path), "", NULL, 0, err };
    size_t n = 0;
    bt_status st = top.path ? folder_list(&top) : bt_store_no_memory(s, err);
    if (st == BT_OK && has(&top, "model_index.json")) {
        bt_store_set_format(s, "diffusers");
        st = add_side_file(&top, "model_index.json");
        const char *text = bt_store_file(s, "model_index.json", &n);
        if (st == BT_OK)
            st = add_components(s, text, n, err);
    } else if (st == BT_OK) {
        bt_store_set_format(s, "safetensors");
        st = add_files(&top);
    }
    folder_free(&top);
    if (st == BT_OK && bt_store_count(s) == 0)
        st = bt_fail(err, BT_EFORMAT,
                     "%s is a folder without a model (no model_index.json or "
                     "safetensors files with weights in it)",
                     path);
    return st;
}
