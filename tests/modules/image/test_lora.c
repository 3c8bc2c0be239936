/* SPDX-License-Identifier: MIT
 * LoRAs and learned words against diffusers and PEFT, and against the formulas
 * (make_lora.py); files that do not fit; jobs that do not disturb each other.
 */
#include <sys/stat.h>
#include <unistd.h>

#include "common.h"
#include "image/adapters/adapters.h"
#include "image/adapters/layers.h"
#include "image/run/run.h"
#include "base/hash.h"
#include "formats/gzip.h"
#include "temp_dir.h"

#define TINY  BT_SOURCE_DIR "/tests/golden/tiny-sd"
#define ASSET BT_SOURCE_DIR "/assets/icons-128.gguf"

extern const bt_module bt_module_diffusion;

static cJSON *side;
static bt_store *golden;

/* ---- files -------------------------------------------------------------------- */

/* Value i of a tensor: see make_lora.py. */
static float value(uint64_t hash, uint64_t i, double mean, double amp)
{
    uint64_t z = hash + i + 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return (float)(mean + amp * ((double)((z ^ (z >> 31)) >> 40) / (1 << 24) - 0.5));
}

typedef struct writer {
    bt_buf header, data;
} writer;

/* seed: the name that the values come from */
static void put_as(writer *w, const char *name, const char *seed, int n_dims, const int64_t *dims,
                   double mean, double amp)
{
    const uint64_t hash = bt_hash(BT_HASH_INIT, seed, strlen(seed));
    size_t n = 1, from = w->data.len;
    bt_buf_printf(&w->header, "%s\"%s\":{\"dtype\":\"F32\",\"shape\":[", w->header.len ? "," : "{",
                  name);
    for (int i = 0; i < n_dims; i++) {
        bt_buf_printf(&w->header, "%s%lld", i ? "," : "", (long long)dims[i]);
        n *= (size_t)dims[i];
    }
    for (size_t i = 0; i < n; i++) {
        const float v = value(hash, i, mean, amp);
        bt_buf_add(&w->data, &v, sizeof v);
    }
    bt_buf_printf(&w->header, "],\"data_offsets\":[%zu,%zu]}", from, w->data.len);
}

static void put(writer *w, const char *name, int n_dims, const int64_t *dims, double mean,
                double amp)
{
    put_as(w, name, name, n_dims, dims, mean, amp);
}

/* [name, shape, mean, amp], named without its first `skip` bytes */
static void put_row(writer *w, const cJSON *row, size_t skip)
{
    const cJSON *item;
    const char *name = cJSON_GetArrayItem(row, 0)->valuestring;
    int64_t dims[BT_MAX_DIMS];
    int n = 0;
    cJSON_ArrayForEach(item, cJSON_GetArrayItem(row, 1)) dims[n++] = (int64_t)item->valuedouble;
    put_as(w, name + skip, name, n, dims, cJSON_GetArrayItem(row, 2)->valuedouble,
           cJSON_GetArrayItem(row, 3)->valuedouble);
}

/* Writes dir/name.safetensors and empties w. */
static void finish(writer *w, const char *name)
{
    char path[512];
    bt_buf_puts(&w->header, "}");
    const uint64_t n = w->header.len;
    snprintf(path, sizeof path, "%s/%s.safetensors", temp_dir, name);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    fwrite(&n, sizeof n, 1, f);
    fwrite(w->header.data, 1, w->header.len, f);
    if (w->data.len)
        fwrite(w->data.data, 1, w->data.len, f);
    fclose(f);
    bt_buf_free(&w->header);
    bt_buf_free(&w->data);
}

static void write_golden(const cJSON *file)
{
    writer w = { { 0 }, { 0 } };
    const cJSON *row, *item;
    cJSON_ArrayForEach(item, cJSON_GetObjectItem(file, "metadata"))
    {
        bt_buf_printf(&w.header, "{\"__metadata__\":{\"%s\":", item->string);
        bt_buf_json(&w.header, item->valuestring, strlen(item->valuestring));
        bt_buf_puts(&w.header, "}");
    }
    cJSON_ArrayForEach(row, cJSON_GetObjectItem(file, "tensors")) put_row(&w, row, 0);
    finish(&w, file->string);
}

/* The folder temp_dir/sdxl: the tiny SDXL of make_families.py. */
static void write_xl(void)
{
    static const char *const parts[] = { "unet",      "vae",       "text_encoder", "text_encoder_2",
                                         "scheduler", "tokenizer", "tokenizer_2" };
    bt_packed_file packed;
    bt_error err = { 0 };
    const cJSON *row;
    char path[512];
    assert_int_equal(
        bt_packed_open(BT_SOURCE_DIR "/tests/golden/families_models.json", 64 << 20, &packed, &err),
        BT_OK);
    cJSON *all = cJSON_ParseWithLength(packed.data, packed.size);
    const cJSON *recipe = cJSON_GetObjectItem(all, "sdxl");
    bt_packed_close(&packed);
    mkdir(temp_path("sdxl"), 0700);
    for (int i = 0; i < 7; i++) {
        writer w = { { 0 }, { 0 } };
        const size_t n = strlen(parts[i]);
        snprintf(path, sizeof path, "%s/sdxl/%s", temp_dir, parts[i]);
        mkdir(path, 0700);
        cJSON_ArrayForEach(row, cJSON_GetObjectItem(recipe, "tensors"))
        {
            const char *name = cJSON_GetArrayItem(row, 0)->valuestring;
            if (!strncmp(name, parts[i], n) && name[n] == '/')
                put_row(&w, row, n + 1);
        }
        snprintf(path, sizeof path, "sdxl/%s/%s", parts[i],
                 i < 2 ? "diffusion_pytorch_model" : "model");
        if (w.header.len)
            finish(&w, path);
    }
    cJSON_ArrayForEach(row, cJSON_GetObjectItem(recipe, "files"))
    {
        char *text = cJSON_PrintUnformatted(row);
        snprintf(path, sizeof path, "%s/sdxl/%s", temp_dir, row->string);
        FILE *f = fopen(path, "w");
        assert_non_null(f);
        fputs(text, f);
        fclose(f);
        free(text);
    }
    cJSON_Delete(all);
}

static int setup(void **state)
{
    const cJSON *file;
    golden = golden_open("lora");
    side = side_json("lora");
    assert_int_equal(temp_dir_make(state), 0);
    cJSON_ArrayForEach(file, cJSON_GetObjectItem(side, "files")) write_golden(file);
    return 0;
}

static int teardown(void **state)
{
    cJSON_Delete(side);
    bt_store_close(golden);
    return temp_dir_remove(state);
}

/* "kohya:0.7,peft" with the paths of the files. */
static const char *paths_of(const char *list, char *out, size_t size)
{
    size_t n = 0;
    *out = 0;
    while (*list) {
        const size_t len = strcspn(list, ","), name = strcspn(list, ":,");
        n += (size_t)snprintf(out + n, size - n, "%s%s/%.*s.safetensors%.*s", n ? "," : "",
                              temp_dir, (int)name, list, (int)(len - name), list + name);
        list += len + (list[len] == ',');
    }
    return out;
}

/* ---- pictures ------------------------------------------------------------------ */

static const char *text_of(const cJSON *j, const char *key)
{
    return cJSON_GetObjectItem(j, key)->valuestring;
}

static host *golden_host(const char *path, int threads, bt_precision precision)
{
    host *h = host_open(path, threads, precision);
    h->o.prompt = "a red cat";
    h->o.negative = "blue dog";
    h->o.sampler = 1;
    h->o.seed = 5;
    h->o.steps = 6;
    h->o.cfg = 4;
    h->o.width = h->o.height = 64;
    return h;
}

static bt_status unheard(void *user, const char *stage, int done, int total)
{
    (void)user, (void)stage, (void)done, (void)total;
    return BT_OK;
}

/* The final latent of h's options, [c][8][8]; free() it. */
static float *latents(host *h)
{
    bt_run r = {
        .host = h, .options = &h->o, .cancel = &h->cancel, .error = &h->error, .progress = unheard
    };
    sd_work k = { .j = h->job, .r = &r };
    sd_making pic = { 0 };
    if (sd_run_setup(h->model, &h->o, NULL, NULL, &k.s, &h->error) ||
        sd_run_words(h->job, h->o.embedding, &h->error))
        fail_msg("%s", h->error.text);
    k.s.words = h->job->cache.words;
    if (sd_run_ask(h->model, &k.s, k.s.seed, NULL, &pic.asked, &h->error) ||
        sd_run_loras(h->job, &pic.asked->loras, &h->error))
        fail_msg("%s", h->error.text);
    k.n = 4 * (size_t)k.s.lw * (size_t)k.s.lh;
    k.total = k.s.steps;
    sd_asked *asked = pic.asked;
    float *walk, *block = sd_run_lay_out(&k, &pic, 1, &walk);
    pic.asked = asked;
    sd_run_start(&k, &pic, 0);
    if (sd_run_denoise(&k, &pic, 1, 0, walk))
        fail_msg("%s", h->error.text);
    float *out = to_nchw(pic.p.x, 4, k.s.lh, k.s.lw);
    bt_release(block);
    sd_asked_free(asked);
    sd_grid_release(&k.s.grid);
    return out;
}

static void compare(host *h, const cJSON *j)
{
    char loras[1024], words[1024], name[64];
    size_t n, n_rgb;
    h->o.lora = paths_of(text_of(j, "lora"), loras, sizeof loras);
    h->o.embedding = paths_of(text_of(j, "embedding"), words, sizeof words);
    h->o.prompt = text_of(j, "prompt");
    snprintf(name, sizeof name, "%s.latents", text_of(j, "name"));
    float *want = golden_floats(golden, name, &n), *got = latents(h);
    const double l2 = golden_rel_l2(got, want, n);
    snprintf(name, sizeof name, "%s.rgb", text_of(j, "name"));
    int64_t *rgb = golden_ints(golden, name, &n_rgb);
    uint8_t *bytes = malloc(n_rgb);
    for (size_t i = 0; i < n_rgb; i++)
        bytes[i] = (uint8_t)rgb[i];
    host_must_run(h);
    const double db = golden_psnr_db(h->pictures[0].rgb, bytes, n_rgb);
    print_message("%-10s latents %.1e (moved %.2f)  picture %.1f dB\n", text_of(j, "name"), l2,
                  cJSON_GetObjectItem(j, "moved")->valuedouble, db);
    assert_true(cJSON_GetObjectItem(j, "moved")->valuedouble >= 10 * 1e-3);
    assert_true(l2 <= 1e-3 && db >= 40);
    free(want), free(got), free(rgb), free(bytes);
}

/* One job, from one LoRA to the next; returns how many there were. */
static int compare_all(host *h, bool xl)
{
    const cJSON *j;
    int n = 0;
    cJSON_ArrayForEach(j, cJSON_GetObjectItem(side, "pictures"))
    {
        if (cJSON_HasObjectItem(j, "model") != xl)
            continue;
        compare(h, j);
        n++;
    }
    host_close(h);
    return n;
}

static void test_pictures(void **state)
{
    (void)state;
    assert_int_equal(compare_all(golden_host(TINY, 2, BT_PREC_F32), false), 9);
}

/* Two text encoders; names of the original code. */
static void test_sdxl(void **state)
{
    (void)state;
    write_xl();
    host *h = golden_host(temp_path("sdxl"), 2, BT_PREC_F32);
    h->o.negative = "blurry";
    h->o.sampler = 2;
    h->o.seed = 7;
    h->o.cfg = 5;
    h->o.width = h->o.height = 32;
    char path[1024];
    h->o.lora = paths_of("kohya", path, sizeof path);
    assert_int_equal(host_run(h), BT_EUNSUPPORTED);
    h->o.lora = "";
    h->o.embedding = paths_of("word", path, sizeof path);
    assert_int_equal(host_run(h), BT_EUNSUPPORTED);
    assert_non_null(strstr(h->error.text, "none for its text encoder 2"));
    assert_int_equal(compare_all(h, true), 2);
}

/* The option "lora" alone. */
static bt_status adapt(host *h)
{
    sd_lora_list l = { 0 };
    bt_status st = sd_lora_list_read(&l, h->o.lora, &h->error);
    if (st == BT_OK)
        st = sd_run_loras(h->job, &l, &h->error);
    sd_lora_list_release(&l);
    return st;
}

/* ---- tensors ------------------------------------------------------------------- */

static void test_tensors(void **state)
{
    (void)state;
    host *h = golden_host(TINY, 2, BT_PREC_F32);
    char path[1024];
    const cJSON *j;
    int i = 0;
    h->o.lora = paths_of("lycoris:0.5", path, sizeof path);
    assert_int_equal(adapt(h), BT_OK);
    cJSON_ArrayForEach(j, cJSON_GetObjectItem(side, "layers"))
    {
        char name[160], layer[16];
        size_t n;
        snprintf(name, sizeof name, "unet/%s.weight", text_of(j, "layer"));
        snprintf(layer, sizeof layer, "layer%02d", i++);
        float *want = golden_floats(golden, layer, &n);
        float *got = bt_weight_values(bt_weight_find(sd_adapters_weights(h->job->adapters), name),
                                      &h->error);
        assert_non_null(got);
        const double l2 = golden_rel_l2(got, want, n);
        print_message("%-9s %.1e (moved %.2f)\n", text_of(j, "form"), l2,
                      cJSON_GetObjectItem(j, "moved")->valuedouble);
        assert_true(cJSON_GetObjectItem(j, "moved")->valuedouble >= 10 * 1e-5);
        assert_true(l2 <= 1e-5);
        free(want);
        bt_release(got);
    }
    assert_int_equal(i, 12);
    host_close(h);
}

/* ---- jobs ---------------------------------------------------------------------- */

static uint8_t *bytes_of(const host *h)
{
    uint8_t *b = malloc(3 * 64 * 64);
    memcpy(b, h->pictures[0].rgb, 3 * 64 * 64);
    return b;
}

static void must_differ(const host *h, const uint8_t *b, bool differ)
{
    assert_true((memcmp(h->pictures[0].rgb, b, 3 * 64 * 64) != 0) == differ);
}

/* A LoRA comes, changes another job's pictures not at all, and goes without a trace. */
static void test_jobs(void **state)
{
    (void)state;
    char one[1024], two[1024];
    host *h = golden_host(TINY, 2, BT_PREC_AUTO);
    bt_module_job *first = h->job, *second;
    assert_int_equal(sd_job_open(h->model, &second, &h->error), BT_OK);
    host_must_run(h);
    uint8_t *plain = bytes_of(h);
    h->o.lora = paths_of("kohya:0.8,peft:-0.5", one, sizeof one);
    host_must_run(h);
    must_differ(h, plain, true);
    uint8_t *with = bytes_of(h);
    h->job = second;
    h->o.lora = "";
    host_must_run(h);
    must_differ(h, plain, false);
    h->o.lora = paths_of("peft:-0.5,kohya:0.8", two, sizeof two);
    h->o.embedding = paths_of("word", two + 512, 512);
    host_must_run(h); /* the word is not in the prompt */
    must_differ(h, with, false);
    h->job = first;
    h->o.lora = h->o.embedding = "";
    host_must_run(h);
    must_differ(h, plain, false);
    h->o.lora = paths_of("kohya:0,lycoris:0:0", one, sizeof one);
    host_must_run(h);
    must_differ(h, plain, false);
    sd_job_close(second);
    host_close(h);
    free(plain), free(with);
}

/* <lora:...> in prompts is as the option; pictures of a batch may have different ones. */
static void test_tags(void **state)
{
    (void)state;
    char path[1024];
    host *h = golden_host(TINY, 2, BT_PREC_F32);
    h->o.lora = paths_of("kohya:0.7:0.2,peft", path, sizeof path);
    host_must_run(h);
    uint8_t *option = bytes_of(h);
    h->o.lora = paths_of("peft", path, sizeof path);
    h->o.lora_dir = temp_dir;
    h->o.prompt = "a <lora:kohya:0.2:0.7>red cat"; /* text first, as A1111 */
    host_must_run(h);
    must_differ(h, option, false);
    h->o.lora = "";
    h->o.prompt = "a {<lora:kohya:1>|<lora:peft:1>|<lora:processors:1>}red cat";
    h->o.batch = 6;
    host_must_run(h);
    uint8_t *all[6];
    for (int i = 0; i < 6; i++) {
        all[i] = malloc(3 * 64 * 64);
        memcpy(all[i], h->pictures[i].rgb, 3 * 64 * 64);
    }
    h->o.batch = 1;
    for (int i = 5; i >= 0; i--) {
        h->o.seed = 5 + i;
        host_must_run(h);
        must_differ(h, all[i], false);
        free(all[i]);
    }
    h->o.prompt = "<lora:../kohya:1>";
    assert_int_equal(host_run(h), BT_EINVAL);
    h->o.prompt = "<lora:nobody:1>";
    assert_int_equal(host_run(h), BT_ENOTFOUND);
    assert_non_null(strstr(h->error.text, "nobody.safetensors"));
    host_close(h);
    free(option);
}

/* A learned word is not torn at the end of a chunk. */
static void test_word_at_chunk_end(void **state)
{
    (void)state;
    char path[1024], text[512] = "";
    host *h = golden_host(TINY, 1, BT_PREC_F32);
    const sd_model *m = h->model;
    sd_pieces p = { 0 };
    sd_chunks c = { 0 };
    for (int i = 0; i < 74; i++)
        strcat(text, "a ");
    strcat(text, "my-word a");
    h->o.embedding = paths_of("word:my-word", path, sizeof path);
    assert_int_equal(sd_run_words(h->job, h->o.embedding, &h->error), BT_OK);
    assert_int_equal(sd_prompt_whole(text, &p, &h->error), BT_OK);
    assert_int_equal(sd_prompt_chunks(m->bpe, h->job->cache.words, &p, 77, &c, &h->error), BT_OK);
    assert_int_equal(c.n, 2);
    for (int i = 0; i < 3; i++)
        assert_int_equal(c.ids[77 + 1 + i], m->clip.vocab + i);
    assert_true(c.ids[75] < m->clip.vocab);
    sd_pieces_free(&p);
    sd_chunks_free(&c);
    host_close(h);
}

/* Files that changed are read again. */
static void test_changed_file(void **state)
{
    (void)state;
    char path[1024], real[512], copy[512];
    host *h = golden_host(TINY, 2, BT_PREC_F32);
    snprintf(real, sizeof real, "%s/kohya.safetensors", temp_dir);
    snprintf(copy, sizeof copy, "%s/changes.safetensors", temp_dir);
    assert_int_equal(link(real, copy), 0);
    h->o.lora = paths_of("changes", path, sizeof path);
    host_must_run(h);
    uint8_t *was = bytes_of(h);
    snprintf(real, sizeof real, "%s/processors.safetensors", temp_dir);
    remove(copy);
    assert_int_equal(link(real, copy), 0);
    host_must_run(h);
    must_differ(h, was, true);
    host_close(h);
    free(was);
}

/* Same bytes for any number of threads, with weights of 8 bits beneath and without. */
static void test_threads(void **state)
{
    (void)state;
    char path[1024];
    uint8_t *want = NULL;
    for (int threads = 1; threads <= 3; threads++) {
        host *h = golden_host(TINY, threads, BT_PREC_AUTO);
        h->o.lora = paths_of("lycoris", path, sizeof path);
        host_must_run(h);
        if (want)
            must_differ(h, want, false);
        else
            want = bytes_of(h);
        host_close(h);
    }
    free(want);
}

/* A LoRA for the model that is shipped: rank 2 on queries and keys. */
static void write_for_asset(const char *name)
{
    bt_error err = { 0 };
    bt_store *s;
    writer w = { { 0 }, { 0 } };
    assert_int_equal(bt_store_open(ASSET, &s, &err), BT_OK);
    for (size_t i = 0; i < bt_store_count(s); i++) {
        const bt_tensor *t = bt_store_at(s, i);
        const char *dot = strstr(t->name, ".to_q.weight");
        char full[256];
        if (strncmp(t->name, "unet/", 5) != 0 || !dot)
            continue;
        snprintf(full, sizeof full, "unet.%.*s.to_q.lora_A.weight", (int)(dot - t->name - 5),
                 t->name + 5);
        put(&w, full, 2, (int64_t[]){ 2, t->dims[1] }, 0, 0.5);
        snprintf(full, sizeof full, "unet.%.*s.to_q.lora_B.weight", (int)(dot - t->name - 5),
                 t->name + 5);
        put(&w, full, 2, (int64_t[]){ t->dims[0], 2 }, 0, 0.5);
    }
    bt_store_close(s);
    finish(&w, name);
}

/* On quantized weights: computed as they are, and close to exact. */
static void test_quantized(void **state)
{
    (void)state;
    char path[1024];
    write_for_asset("asset");
    host *h = golden_host(ASSET, 2, BT_PREC_F32), *fast = golden_host(ASSET, 2, BT_PREC_AUTO);
    h->o.prompt = fast->o.prompt = "red apple";
    bt_estimate plain = { 0 }, with = { 0 };
    assert_int_equal(host_estimate(fast, &plain), BT_OK);
    host_must_run(h);
    uint8_t *without = bytes_of(h);
    h->o.lora = fast->o.lora = paths_of("asset", path, sizeof path);
    host_must_run(h);
    must_differ(h, without, true);
    host_must_run(fast);
    const double moved = golden_psnr_db(h->pictures[0].rgb, without, 3 * 64 * 64);
    const double db = golden_psnr_db(h->pictures[0].rgb, fast->pictures[0].rgb, 3 * 64 * 64);
    print_message("auto against f32: %.1f dB (the LoRA moves it to %.1f dB)\n", db, moved);
    assert_true(db >= 25 && db >= moved + 10);
    assert_int_equal(host_estimate(fast, &with), BT_OK);
    assert_int_equal(plain.weights, with.weights); /* they stay 8 bits wide */
    host_close(h);
    host_close(fast);
    free(without);
}

/* Packed weights of the model are kept for the next start; with a LoRA in them they are not. */
static void test_cache(void **state)
{
    (void)state;
    char path[1024];
    const char *cache = temp_path("cache");
    uint8_t *want[2] = { NULL, NULL }; /* without, with the LoRA */
    assert_int_equal(mkdir(cache, 0700), 0);
    paths_of("asset", path, sizeof path);
    for (int run = 0; run < 8; run++) {
        host *h = host_new(2, BT_PREC_AUTO);
        bt_store *s;
        h->compute.cache_dir = run < 2 ? NULL : cache;
        if (bt_store_open(ASSET, &s, &h->error) ||
            bt_module_diffusion.open(s, &h->compute, &h->model, &h->error) ||
            bt_module_diffusion.job_open(h->model, &h->job, &h->error))
            fail_msg("%s", h->error.text);
        if (run >= 6) /* and with little memory: panels in files of their own */
            assert_true(bt_weights_spare(((sd_model *)h->model)->ws));
        h->o.prompt = "red apple";
        h->o.steps = 2;
        h->o.width = h->o.height = 64;
        const bool with = run < 2 ? run == 1 : run % 2 == 0;
        h->o.lora = with ? path : "";
        host_must_run(h);
        if (!want[with])
            want[with] = bytes_of(h);
        must_differ(h, want[with], false);
        host_close(h);
    }
    must_differ(&(host){ .pictures = { { .rgb = want[0] } } }, want[1], true);
    free(want[0]), free(want[1]);
}

/* ---- what does not fit ----------------------------------------------------------- */

static void refused(host *h, const char *lora, const char *embedding, const char *why)
{
    char one[1024], two[1024];
    h->o.lora = paths_of(lora, one, sizeof one);
    h->o.embedding = paths_of(embedding, two, sizeof two);
    assert_true(host_run(h) != BT_OK);
    if (!strstr(h->error.text, why) || strchr(h->error.text, '\n'))
        fail_msg("\"%s\" does not say \"%s\"", h->error.text, why);
}

static void test_misfits(void **state)
{
    (void)state;
    host *h = golden_host(TINY, 2, BT_PREC_F32);
    writer w = { { 0 }, { 0 } };
    static const char q[] = "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn1_to_q";
    static const char k[] = "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn2_to_k";
    char name[160];
#define PUT(stem, end, ...)                                                                        \
    (snprintf(name, sizeof name, "%s%s", stem, end),                                               \
     put(&w, name, (int)(sizeof(int64_t[]){ __VA_ARGS__ } / sizeof(int64_t)),                      \
         (int64_t[]){ __VA_ARGS__ }, 0, 1))

    PUT(k, ".lora_down.weight", 2, 2048);
    PUT(k, ".lora_up.weight", 32, 2);
    finish(&w, "xl");
    refused(h, "xl", "", "it is for SDXL");
    refused(h, "xl", "", "attn2_to_k.lora_down.weight (32 x 2048 for 32 x 32)");

    for (int i = 0; i < 5; i++) {
        snprintf(name, sizeof name, "lora_unet_nowhere_%d.lora_up.weight", i);
        put(&w, name, 2, (int64_t[]){ 2, 2 }, 0, 1);
    }
    finish(&w, "nowhere");
    refused(h, "nowhere", "", "5 of its tensors");
    refused(h, "nowhere", "", "lora_unet_nowhere_2.lora_up.weight, ...");

    PUT("transformer.single_transformer_blocks.0.attn.to_q", ".lora_A.weight", 2, 2);
    finish(&w, "flux");
    refused(h, "flux", "", "FLUX");

    PUT(q, ".lora_down.weight", 2, 32);
    finish(&w, "half");
    refused(h, "half", "", "do not make a change");

    PUT(q, ".lora_down.weight", 2, 32);
    PUT(q, ".lora_up.weight", 32, 2);
    PUT(q, ".hada_w1_a", 32, 2);
    finish(&w, "both");
    refused(h, "both", "", "do not make a change");

    PUT(q, ".lora_down.weight", 2, 32);
    PUT(q, ".lora_up.weight", 32, 2);
    PUT(q, ".alpha", 3);
    finish(&w, "alpha");
    refused(h, "alpha", "", "not one number");

    PUT(q, ".lora_down.weight", 0, 32);
    PUT(q, ".lora_up.weight", 32, 0);
    finish(&w, "empty");
    refused(h, "empty", "", "do not make a change");

    PUT(q, ".oft_blocks", 2, 2);
    finish(&w, "oft");
    refused(h, "oft", "", "OFT, which is not supported");

    PUT(q, ".b1.weight", 2, 2);
    finish(&w, "glora");
    refused(h, "glora", "", "GLoRA, which is not supported");

    PUT(k, ".weight", 32);
    PUT(k, ".on_input", 1);
    finish(&w, "ia3");
    refused(h, "ia3", "", "attn2_to_k.on_input (IA3, which is not supported)");

    PUT(q, ".lora_down.weight", 2, 32);
    PUT(q, ".lora_up.weight", 32, 2);
    PUT(q, ".dora_scale", 3, 1);
    finish(&w, "norms");
    refused(h, "norms", "", "its norms are not one for each");

    put(&w, "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn1_to_q.diff", 2,
        (int64_t[]){ 32, 32 }, NAN, 1);
    finish(&w, "nan");
    refused(h, "nan", "", "no numbers");

    refused(h, "missing", "", "missing.safetensors");
    refused(h, "", "missing", "missing.safetensors");
    refused(h, "kohya", "kohya", "is no embedding");
    refused(h, "word", "", "an unknown kind");

    put(&w, "emb_params", 2, (int64_t[]){ 2, 768 }, 0, 1);
    finish(&w, "wide");
    refused(h, "", "wide", "vectors of 768 values, the text encoder of 32");
    put(&w, "clip_l", 2, (int64_t[]){ 2, 32 }, 0, 1);
    put(&w, "clip_g", 2, (int64_t[]){ 2, 32 }, 0, 1);
    finish(&w, "pair");
    refused(h, "", "pair", "two text encoders");
    put(&w, "emb_params", 2, (int64_t[]){ 2, 32 }, NAN, 1);
    finish(&w, "nan_word");
    refused(h, "", "nan_word", "no numbers");
    refused(h, "", "word:a,token:a", "two are called a");
    h->o.lora = "x.safetensors:1:2:nan,:1";
    h->o.embedding = "";
    assert_int_equal(host_run(h), BT_ENOTFOUND);
    h->o.lora = "a:5000";
    assert_int_equal(host_run(h), BT_EINVAL);
    h->o.lora = "";
    host_must_run(h); /* a refusal leaves the job usable */
    host_close(h);
#undef PUT
}

/* Cut at every length, and with every byte of the header changed in turn. */
static void test_damaged(void **state)
{
    (void)state;
    host *h = golden_host(TINY, 1, BT_PREC_F32);
    writer w = { { 0 }, { 0 } };
    char path[512];
    static char bytes[4096];
    const char *q = "lora_unet_mid_block_attentions_0_proj_in.lora_down.weight";
    put(&w, q, 2, (int64_t[]){ 1, 32 }, 0, 1);
    put(&w, "lora_unet_mid_block_attentions_0_proj_in.lora_up.weight", 2, (int64_t[]){ 32, 1 }, 0,
        1);
    finish(&w, "whole");
    snprintf(path, sizeof path, "%s/whole.safetensors", temp_dir);
    FILE *f = fopen(path, "rb");
    const size_t n = fread(bytes, 1, sizeof bytes, f);
    fclose(f);
    for (size_t i = 0; i < 2 * n; i++) {
        snprintf(path, sizeof path, "%s/cut.safetensors", temp_dir);
        f = fopen(path, "wb");
        if (i >= n)
            bytes[i - n] ^= 0x11;
        fwrite(bytes, 1, i < n ? i : n, f);
        if (i >= n)
            bytes[i - n] ^= 0x11;
        fclose(f);
        h->o.lora = path;
        h->error = (bt_error){ 0 };
        const bt_status st = adapt(h);
        assert_true(i >= n || st != BT_OK);
        assert_true(st == BT_OK || (h->error.text[0] && !strchr(h->error.text, '\n')));
    }
    host_close(h);
}

/* Every allocation of a run with LoRAs and words fails once (in builds with BT_FAULTS). */
static void test_faults(void **state)
{
    (void)state;
    char loras[1024], words[1024];
    host *h = golden_host(TINY, 1, BT_PREC_F32);
    h->o.steps = 1;
    h->o.width = h->o.height = 8;
    h->o.lora = paths_of("lycoris,dora:0.5", loras, sizeof loras);
    h->o.embedding = paths_of("word", words, sizeof words);
    host_must_run(h);
#ifdef BT_FAULTS
    long n = 1;
    for (;; n += 1 + n / 32) {
        sd_run_unadapt(h->job);
        bt_fault_after(n);
        const bt_status st = host_run(h);
        if (bt_fault_after(0) > 0)
            break;
        if (st != BT_ENOMEM || !h->error.text[0])
            fail_msg("allocation %ld: status %d, \"%s\"", n, st, h->error.text);
    }
    print_message("%ld allocations\n", n);
    host_must_run(h);
#endif
    host_close(h);
}

/* ---- names ----------------------------------------------------------------------- */

static void test_keys(void **state)
{
    (void)state;
    static const struct {
        const char *name, *key;
        sd_role role;
    } cases[] = {
        { "lora_unet_down_blocks_0_attentions_0_proj_in.alpha",
          "unet_down_blocks_0_attentions_0_proj_in", SD_ALPHA },
        { "lora_te_text_model_encoder_layers_3_mlp_fc1.lora_up.weight",
          "te1_text_model_encoder_layers_3_mlp_fc1", SD_LORA_UP },
        { "lora_te2_text_model_encoder_layers_3_mlp_fc1.lora_mid.weight",
          "te2_text_model_encoder_layers_3_mlp_fc1", SD_LORA_MID },
        { "unet.mid_block.attentions.0.transformer_blocks.0.attn1.processor.to_out_lora.up.weight",
          "unet_mid_block_attentions_0_transformer_blocks_0_attn1_to_out_0", SD_LORA_UP },
        { "mid_block.attentions.0.transformer_blocks.0.attn1.processor.to_q_lora.down.weight",
          "unet_mid_block_attentions_0_transformer_blocks_0_attn1_to_q", SD_LORA_DOWN },
        { "text_encoder.text_model.encoder.layers.0.self_attn.to_out_lora.down.weight",
          "te1_text_model_encoder_layers_0_self_attn_out_proj", SD_LORA_DOWN },
        { "text_encoder_2.text_model.encoder.layers.0.mlp.fc2.lora_linear_layer.down.weight",
          "te2_text_model_encoder_layers_0_mlp_fc2", SD_LORA_DOWN },
        { "base_model.model.down_blocks.0.resnets.0.conv1.lora_A.weight",
          "unet_down_blocks_0_resnets_0_conv1", SD_LORA_DOWN },
        { "diffusion_model.input_blocks.1.1.proj_in.lora_magnitude_vector",
          "unet_input_blocks_1_1_proj_in", SD_MAGNITUDE },
        { "lora_unet_mid_block_x.something", "", SD_ROLES },
        { ".alpha", "", SD_ROLES },
    };
    char key[SD_KEY];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(sd_layer_key(cases[i].name, key), cases[i].role);
        assert_string_equal(key, cases[i].key);
    }
}

static void test_list(void **state)
{
    (void)state;
    sd_lora_list l = { 0 };
    bt_error err;
    assert_int_equal(sd_lora_list_read(&l, "a.safetensors,/x:y/b:0.5,c:-1:2,,d:e", &err), BT_OK);
    assert_int_equal(l.n, 4);
    assert_string_equal(l.at[0].path, "/x:y/b"); /* in order */
    assert_string_equal(l.at[3].path, "d:e");
    assert_true(l.at[1].unet == 1 && l.at[1].text == 1 && l.at[0].unet == 0.5);
    assert_true(l.at[0].text == 0.5 && l.at[2].unet == -1 && l.at[2].text == 2);
    assert_int_equal(sd_lora_list_name(&l, "/d", "x", 0.8, 1, &err), BT_OK);
    assert_string_equal(l.at[0].path, "/d/x.safetensors");
    assert_int_equal(sd_lora_list_name(&l, "/d", "../x", 1, 1, &err), BT_EINVAL);
    assert_int_equal(sd_lora_list_name(&l, "", "x", 1, 1, &err), BT_EINVAL);
    assert_non_null(strstr(err.text, "lora_dir"));
    sd_lora_list_release(&l);
}

/* Ids of a text in which "my-word" (3 rows) and "<blue-thing>" (1) are words. */
static void test_words(void **state)
{
    (void)state;
    static const struct {
        const char *text, *plain; /* plain: with # for a row */
    } cases[] = {
        { "a MY-Word, on", "a ###, on" },
        { "my-words", "my-words" },
        { "amy-word", "amy-word" },
        { "embedding:my-word.", "###." },
        { "x<blue-thing><BLUE-thing>", "x##" },
        { "my-word", "###" },
        { "", "" },
    };
    host *h = golden_host(TINY, 1, BT_PREC_F32);
    const sd_model *m = h->model;
    char path[1024];
    h->o.embedding = paths_of("word:my-word,token", path, sizeof path);
    assert_int_equal(sd_run_words(h->job, h->o.embedding, &h->error), BT_OK);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bt_ids ids = { 0 }, want = { 0 };
        const char *text = cases[i].text, *p = cases[i].plain;
        assert_int_equal(
            sd_learned_encode(h->job->cache.words, m->bpe, text, strlen(text), true, &ids), BT_OK);
        while (*p) {
            const size_t n = strcspn(p, "#");
            assert_int_equal(bt_bpe_encode(m->bpe, p, n, true, &want), BT_OK);
            p += n;
            if (*p == '#')
                p++, bt_ids_add(&want, -1);
        }
        assert_int_equal(ids.len, want.len);
        for (size_t k = 0; k < ids.len; k++)
            assert_true(want.data[k] < 0 ? ids.data[k] >= m->clip.vocab
                                         : ids.data[k] == want.data[k]);
        bt_ids_free(&ids);
        bt_ids_free(&want);
    }
    host_close(h);
}

/* Learned words for text encoders of these vocabularies (0: there is none) and 8 values a token.
 */
static bt_status learn(const int64_t vocab[2], const char *file, sd_learned *l, bt_error *err)
{
    static const char *const names[] = { "text_encoder", "text_encoder_2" };
    const bt_compute compute = { .threads = 1 };
    static const float rows[16 * 8];
    char name[96], path[512];
    bt_weights *ws;
    assert_int_equal(bt_weights_create(NULL, &compute, &ws, err), BT_OK);
    for (int e = 0; e < 2; e++) {
        snprintf(name, sizeof name, "%s/text_model.embeddings.token_embedding.weight", names[e]);
        if (vocab[e])
            assert_non_null(bt_weight_make(ws, name, rows, 2, (int64_t[]){ vocab[e], 8 }));
    }
    const bt_status st = sd_learned_read(l, ws, paths_of(file, path, sizeof path), err);
    bt_weights_free(ws);
    return st;
}

/* SDXL's refiner has the second of its text encoders alone. */
static void test_encoders(void **state)
{
    (void)state;
    writer w = { { 0 }, { 0 } };
    sd_learned l;
    bt_error err = { 0 };
    put(&w, "emb_params", 2, (int64_t[]){ 2, 8 }, 0, 1);
    finish(&w, "for_any");
    put(&w, "clip_g", 2, (int64_t[]){ 3, 8 }, 0, 1);
    finish(&w, "for_second");
    put(&w, "clip_l", 2, (int64_t[]){ 3, 8 }, 0, 1);
    put(&w, "clip_g", 2, (int64_t[]){ 3, 8 }, 0, 1);
    finish(&w, "for_two");
    for (int i = 0; i < 2; i++) {
        assert_int_equal(learn((int64_t[]){ 0, 16 }, i ? "for_second" : "for_any", &l, &err),
                         BT_OK);
        assert_true(l.n == 1 && l.rows == 2 + i && l.first == 16);
        assert_true(!l.table[0] && l.table[1]);
        sd_learned_release(&l);
    }
    assert_int_equal(learn((int64_t[]){ 0, 16 }, "for_two", &l, &err), BT_EUNSUPPORTED);
    assert_non_null(strstr(err.text, "the model has one"));
    sd_learned_release(&l);
    assert_int_equal(learn((int64_t[]){ 16, 16 }, "for_two", &l, &err), BT_OK);
    assert_true(l.first == 16 && l.table[0] && l.table[1]);
    sd_learned_release(&l);
    assert_int_equal(learn((int64_t[]){ 16, 12 }, "for_two", &l, &err), BT_EUNSUPPORTED);
    assert_non_null(strstr(err.text, "vocabularies"));
    sd_learned_release(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keys),         cmocka_unit_test(test_list),
        cmocka_unit_test(test_words),        cmocka_unit_test(test_encoders),
        cmocka_unit_test(test_tensors),      cmocka_unit_test(test_pictures),
        cmocka_unit_test(test_sdxl),         cmocka_unit_test(test_jobs),
        cmocka_unit_test(test_tags),         cmocka_unit_test(test_word_at_chunk_end),
        cmocka_unit_test(test_changed_file), cmocka_unit_test(test_threads),
        cmocka_unit_test(test_quantized),    cmocka_unit_test(test_cache),
        cmocka_unit_test(test_misfits),      cmocka_unit_test(test_damaged),
        cmocka_unit_test(test_faults),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
