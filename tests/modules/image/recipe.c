/* SPDX-License-Identifier: MIT */
#include "recipe.h"

#include <sys/stat.h>

#include "formats/gguf_write.h"
#include "formats/gzip.h"
#include "image/run/run.h"
#include "kernels/quant.h"

/* ---- weights from names -------------------------------------------------------- */

static uint64_t fnv(const char *s)
{
    uint64_t h = 0xCBF29CE484222325u;
    for (; *s; s++)
        h = (h ^ (uint8_t)*s) * 0x100000001B3u;
    return h;
}

static double uniform(uint64_t z)
{
    z += 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return (double)((z ^ (z >> 31)) >> 40) / 16777216;
}

/* Row of a recipe: [name, shape, mean, amplitude] */
static made make(const cJSON *row)
{
    made m = { .t = { .name = cJSON_GetArrayItem(row, 0)->valuestring, .dtype = BT_F32 } };
    const cJSON *dim;
    const double mean = cJSON_GetArrayItem(row, 2)->valuedouble;
    const double amp = cJSON_GetArrayItem(row, 3)->valuedouble;
    const uint64_t h = fnv(m.t.name);
    cJSON_ArrayForEach(dim, cJSON_GetArrayItem(row, 1)) m.t.dims[m.t.n_dims++] = dim->valueint;
    const size_t n = (size_t)bt_tensor_count(&m.t);
    m.values = malloc(n * sizeof *m.values);
    for (size_t i = 0; i < n; i++)
        m.values[i] = (float)(mean + amp * (uniform(h + i) - 0.5));
    m.t.data = (const uint8_t *)m.values;
    m.t.bytes = n * sizeof *m.values;
    return m;
}

static const cJSON *row_of(const cJSON *recipe, const char *name)
{
    const cJSON *row;
    cJSON_ArrayForEach(row, cJSON_GetObjectItem(recipe, "tensors"))
    {
        if (!strcmp(cJSON_GetArrayItem(row, 0)->valuestring, name))
            return row;
    }
    fail_msg("no tensor %s", name);
    return NULL;
}

static void turn(made *m)
{
    const int64_t rows = m->t.dims[0], cols = m->t.dims[1];
    float *to = malloc(m->t.bytes);
    for (int64_t r = 0; r < rows; r++)
        for (int64_t c = 0; c < cols; c++)
            to[c * rows + r] = m->values[r * cols + c];
    free(m->values);
    m->values = to;
    m->t.data = (const uint8_t *)to;
    m->t.dims[0] = cols, m->t.dims[1] = rows;
}

static void append(made *m, made *more)
{
    m->values = realloc(m->values, m->t.bytes + more->t.bytes);
    memcpy((uint8_t *)m->values + m->t.bytes, more->values, more->t.bytes);
    m->t.bytes += more->t.bytes;
    m->t.dims[0] += more->t.dims[0];
    m->t.data = (const uint8_t *)m->values;
    free(more->values);
}

/* Row of a one-file list: [name, operation, sources] */
static made compose(const cJSON *recipe, const cJSON *row)
{
    const char *op = cJSON_GetArrayItem(row, 1)->valuestring;
    const cJSON *sources = cJSON_GetArrayItem(row, 2), *source;
    made m = { 0 };
    cJSON_ArrayForEach(source, sources)
    {
        made one = make(row_of(recipe, source->valuestring));
        if (m.values)
            append(&m, &one);
        else
            m = one;
    }
    if (!strcmp(op, "turn"))
        turn(&m);
    if (!strcmp(op, "conv"))
        m.t.n_dims = 4, m.t.dims[2] = m.t.dims[3] = 1;
    m.t.name = cJSON_GetArrayItem(row, 0)->valuestring;
    return m;
}

/* ---- files ------------------------------------------------------------------------ */

void recipe_free(made *list, int n)
{
    for (int i = 0; i < n; i++)
        free(list[i].values);
    free(list);
}

void recipe_safetensors(const char *path, const made *list, int n, bt_dtype type)
{
    bt_buf b = { 0 };
    size_t at = 0;
    for (int i = 0; i < n; i++) {
        const size_t bytes = bt_row_bytes(type, list[i].t.bytes / sizeof(float));
        bt_buf_printf(&b, "%s\"%s\":{\"dtype\":\"%s\",\"shape\":[", i ? "," : "{", list[i].t.name,
                      type == BT_F16 ? "F16" : "F32");
        for (int d = 0; d < list[i].t.n_dims; d++)
            bt_buf_printf(&b, d ? ",%lld" : "%lld", (long long)list[i].t.dims[d]);
        bt_buf_printf(&b, "],\"data_offsets\":[%zu,%zu]}", at, at + bytes);
        at += bytes;
    }
    bt_buf_puts(&b, "}");
    const uint64_t header = b.len;
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    fwrite(&header, 8, 1, f);
    fwrite(b.data, 1, b.len, f);
    for (int i = 0; i < n; i++) {
        const size_t values = list[i].t.bytes / sizeof(float);
        uint8_t *bytes = malloc(bt_row_bytes(type, values));
        assert_int_equal(bt_quantize_row(type, list[i].values, bytes, values), 0);
        fwrite(bytes, 1, bt_row_bytes(type, values), f);
        free(bytes);
    }
    fclose(f);
    bt_buf_free(&b);
}

void recipe_gguf(const char *path, const made *list, int n)
{
    bt_gguf_writer w = { 0 };
    bt_error err = { 0 };
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    for (int i = 0; i < n; i++)
        assert_int_equal(bt_gguf_list(&w, &list[i].t, &err), BT_OK);
    assert_int_equal(bt_gguf_begin(&w, f, &err), BT_OK);
    for (int i = 0; i < n; i++) {
        bt_gguf_data(&w, list[i].values, list[i].t.bytes);
        bt_gguf_pad(&w);
    }
    assert_int_equal(bt_gguf_end(&w, &err), BT_OK);
    bt_gguf_writer_free(&w);
    fclose(f);
}

made *recipe_list(const cJSON *recipe, const char *list, int *n)
{
    const cJSON *rows = cJSON_GetObjectItem(recipe, list), *row;
    made *all = calloc((size_t)cJSON_GetArraySize(rows), sizeof *all);
    *n = 0;
    cJSON_ArrayForEach(row, rows)
    {
        all[(*n)++] = strcmp(list, "tensors") ? compose(recipe, row) : make(row);
    }
    return all;
}

static void write_text(const char *root, const char *name, const char *text)
{
    char path[300];
    snprintf(path, sizeof path, "%s/%s", root, name);
    char *slash = strrchr(path, '/');
    *slash = 0;
    mkdir(path, 0700);
    *slash = '/';
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

void recipe_folder(const char *root, const cJSON *recipe, bool half)
{
    static const char *const folders[] = { "unet", "vae", "text_encoder", "text_encoder_2" };
    const cJSON *file;
    int n;
    made *all = recipe_list(recipe, "tensors", &n);
    mkdir(root, 0700);
    cJSON_ArrayForEach(file, cJSON_GetObjectItem(recipe, "files"))
    {
        char *text = cJSON_PrintUnformatted(file);
        write_text(root, file->string, text);
        free(text);
    }
    for (int k = 0; k < 4; k++) {
        const size_t len = strlen(folders[k]);
        int from = 0, to;
        while (from < n &&
               (strncmp(all[from].t.name, folders[k], len) || all[from].t.name[len] != '/'))
            from++;
        for (to = from;
             to < n && !strncmp(all[to].t.name, folders[k], len) && all[to].t.name[len] == '/';
             to++)
            all[to].t.name += len + 1;
        if (from == to)
            continue;
        char path[400];
        const char *base = k < 2 ? "diffusion_pytorch_model" : "model";
        if (k > 0) {
            snprintf(path, sizeof path, "%s/%s/%s%s.safetensors", root, folders[k], base,
                     half && k > 1 ? ".fp16" : "");
            recipe_safetensors(path, all + from, to - from, half && k > 1 ? BT_F16 : BT_F32);
            continue;
        }
        const int middle = (from + to) / 2;
        bt_buf map = { 0 };
        for (int i = from; i < to; i++)
            bt_buf_printf(&map, "%s\"%s\":\"%d.safetensors\"", i > from ? "," : "{\"weight_map\":{",
                          all[i].t.name, i >= middle);
        bt_buf_puts(&map, "}}");
        write_text(root, "unet/diffusion_pytorch_model.safetensors.index.json", map.data);
        bt_buf_free(&map);
        snprintf(path, sizeof path, "%s/unet/0.safetensors", root);
        recipe_safetensors(path, all + from, middle - from, BT_F32);
        snprintf(path, sizeof path, "%s/unet/1.safetensors", root);
        recipe_safetensors(path, all + middle, to - middle, BT_F32);
    }
    recipe_free(all, n);
}

void recipe_part(const char *path, const cJSON *recipe, const char *list, const char *prefix)
{
    int n, k = 0;
    made *all = recipe_list(recipe, list, &n);
    for (int i = 0; i < n; i++) {
        if (strncmp(all[i].t.name, prefix, strlen(prefix))) {
            free(all[i].values);
            continue;
        }
        all[k] = all[i];
        all[k++].t.name += strlen(prefix);
    }
    recipe_safetensors(path, all, k, BT_F32);
    recipe_free(all, k);
}

cJSON *recipe_open(const char *name)
{
    bt_packed_file f;
    bt_error err = { 0 };
    char path[256];
    snprintf(path, sizeof path, BT_SOURCE_DIR "/tests/golden/%s.json", name);
    if (bt_packed_open(path, 64 << 20, &f, &err))
        return NULL;
    cJSON *j = cJSON_ParseWithLength(f.data, f.size);
    bt_packed_close(&f);
    return j;
}

/* ---- pictures ------------------------------------------------------------------------ */

const char *recipe_text(const cJSON *j, const char *key)
{
    const cJSON *v = cJSON_GetObjectItem(j, key);
    return v ? v->valuestring : NULL;
}

static int sampler_index(const char *label)
{
    for (int i = 1;; i++) {
        sd_grid_kind kind;
        if (!strcmp(sd_sampler_chosen(i, &kind)->label, label))
            return i;
    }
}

static bt_status ignore_progress(void *user, const char *stage, int done, int total)
{
    (void)user, (void)stage, (void)done, (void)total;
    return BT_OK;
}

void family_latents(host *h, float *out)
{
    bt_error err = { 0 };
    bt_run r = { .host = h, .options = &h->o, .cancel = &h->cancel, .error = &err };
    r.progress = ignore_progress;
    r.image_in = host_image_in;
    sd_work k = { .j = h->job, .r = &r, .n = FAMILY_VALUES };
    assert_int_equal(sd_run_setup(h->model, &h->o, h->init.pixels ? &h->init : NULL,
                                  h->mask.pixels ? &h->mask : NULL, &k.s, &err),
                     BT_OK);
    sd_making pic;
    sd_asked *asked;
    if (sd_run_use_controls(h->job, &k.s, &err) != BT_OK ||
        sd_run_ask(h->model, &k.s, k.s.seed, NULL, &asked, &err) != BT_OK)
        fail_msg("%s", err.text);
    float *walk, *block = sd_run_lay_out(&k, &pic, 1, &walk);
    k.total = k.s.steps;
    if (sd_run_read_inputs(&k) != BT_OK || (k.s.init && sd_run_encode_init(&k) != BT_OK) ||
        (k.j->m->unet.in > 4 && sd_run_read_kept(&k) != BT_OK))
        fail_msg("%s", err.text);
    pic.asked = asked;
    sd_run_start(&k, &pic, 0);
    if (sd_run_denoise(&k, &pic, 1, 0, walk) != BT_OK)
        fail_msg("%s", err.text);
    memcpy(out, pic.p.x, FAMILY_VALUES * sizeof *out);
    bt_release(block);
    sd_asked_free(asked);
    sd_run_forget_inputs(&k);
    sd_grid_release(&k.s.grid);
}

uint8_t *family_bytes(const bt_store *golden, const char *name)
{
    size_t n;
    int64_t *v = golden_ints(golden, name, &n);
    uint8_t *bytes = malloc(n);
    for (size_t i = 0; i < n; i++)
        bytes[i] = (uint8_t)v[i];
    free(v);
    return bytes;
}

void family_options(host *h, const cJSON *j)
{
    const cJSON *strength = cJSON_GetObjectItem(j, "strength");
    h->o.prompt = recipe_text(j, "prompt");
    h->o.negative = recipe_text(j, "negative");
    h->o.sampler = sampler_index(recipe_text(j, "sampler"));
    h->o.seed = cJSON_GetObjectItem(j, "seed")->valueint;
    h->o.steps = cJSON_GetObjectItem(j, "steps")->valueint;
    h->o.cfg = cJSON_GetObjectItem(j, "cfg")->valuedouble;
    h->o.width = h->o.height = SIZE;
    h->o.image_cfg = 1.5;
    h->o.strength = strength ? strength->valuedouble : 1;
}
