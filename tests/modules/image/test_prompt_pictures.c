/* SPDX-License-Identifier: MIT
 * Prompts with syntax as pictures: against PyTorch (make_prompt_pictures.py), and what must
 * not change them.
 */
#include "common.h"
#include "image/run/run.h"
#include "temp_dir.h"

#define TINY BT_SOURCE_DIR "/tests/golden/tiny-sd"

static host *open_tiny(void)
{
    host *h = host_open(TINY, 2, BT_PREC_F32);
    h->o.prompt = "a red cat";
    h->o.steps = 6;
    h->o.width = h->o.height = 48;
    h->o.seed = 5;
    h->o.cfg = 4;
    h->o.sampler = 1;
    /* The random network's answers taken as v keep latents small. */
    ((sd_model *)h->model)->schedule.prediction = SD_V;
    return h;
}

static const char *text_of(const cJSON *j, const char *key, const char *fallback)
{
    const cJSON *v = cJSON_GetObjectItem(j, key);
    return v ? v->valuestring : fallback;
}

static double number_of(const cJSON *j, const char *key, double fallback)
{
    const cJSON *v = cJSON_GetObjectItem(j, key);
    return v ? v->valuedouble : fallback;
}

/* What the UNet hears at its first call from the first clause, for the options in force:
 * values of the context, to free(). */
static float *first_context(host *h, size_t *n)
{
    bt_run r = { .host = h, .options = &h->o, .cancel = &h->cancel, .error = &h->error };
    sd_work k = { .j = h->job, .r = &r };
    sd_asked *a = NULL;
    sd_plan *p;
    if (sd_run_setup(h->model, &h->o, NULL, NULL, &k.s, &h->error) ||
        sd_run_ask(h->model, &k.s, k.s.seed, NULL, &a, &h->error))
        fail_msg("%s", h->error.text);
    const sd_making pic = { .asked = a };
    if (sd_run_read_texts(&k, &pic, 1) ||
        sd_cache_unet(&k.j->cache, sd_asked_rows(a), k.s.lh, k.s.lw, a->chunks, &p, &h->error) ||
        sd_cache_ready(p, &h->error))
        fail_msg("%s", h->error.text);
    sd_run_fill_context(&k, p, &pic, 1);
    const sd_model *m = h->model;
    const size_t row = (size_t)m->tokens * (size_t)m->unet.context;
    *n = row * (size_t)a->longest;
    float *out = malloc(*n * sizeof *out);
    memcpy(out, sd_plan_data(p, p->context) + (size_t)(1 - a->first) * row * (size_t)a->chunks,
           *n * sizeof *out);
    sd_asked_free(a);
    sd_grid_release(&k.s.grid);
    return out;
}

static void check_context(host *h, const bt_store *golden, const char *name)
{
    char tensor[64];
    size_t n, n_mine;
    snprintf(tensor, sizeof tensor, "%s.context", name);
    float *want = golden_floats(golden, tensor, &n), *mine = first_context(h, &n_mine);
    assert_int_equal(n, n_mine);
    const double off = golden_rel_l2(mine, want, n);
    print_message("%s: context off by %.1e\n", name, off);
    assert_true(off < 1e-4);
    free(want), free(mine);
}

static uint8_t *golden_rgb(const bt_store *s, const char *name, size_t *n)
{
    char tensor[64];
    snprintf(tensor, sizeof tensor, "%s.rgb", name);
    int64_t *v = golden_ints(s, tensor, n);
    uint8_t *rgb = malloc(*n);
    for (size_t i = 0; i < *n; i++)
        rgb[i] = (uint8_t)v[i];
    free(v);
    return rgb;
}

static void test_reference(void **state)
{
    (void)state;
    bt_store *golden = golden_open("prompt_pictures");
    cJSON *side = side_json("prompt_pictures");
    host *h = open_tiny();
    const cJSON *j;
    cJSON_ArrayForEach(j, cJSON_GetObjectItem(side, "pictures"))
    {
        const char *name = text_of(j, "name", "");
        size_t n;
        h->o.prompt = text_of(j, "prompt", "");
        h->o.negative = text_of(j, "negative", "");
        h->o.cfg = number_of(j, "cfg", 4);
        h->o.clip_skip = (int64_t)number_of(j, "skip", 1);
        if (cJSON_GetObjectItem(j, "context"))
            check_context(h, golden, name);
        host_must_run(h);
        uint8_t *want = golden_rgb(golden, name, &n);
        const double db = golden_psnr_db(h->pictures[0].rgb, want, n);
        print_message("%s: %.1f dB\n", name, db);
        assert_true(db > 50);
        free(want);
    }
    host_close(h);
    cJSON_Delete(side);
    bt_store_close(golden);
}

static uint8_t *take(host *h, int i)
{
    uint8_t *rgb = h->pictures[i].rgb;
    h->pictures[i].rgb = NULL;
    return rgb;
}

enum { BYTES = 3 * 48 * 48 };

/* Pictures of one batch with prompts of different forms are those made alone. */
static void test_batch(void **state)
{
    (void)state;
    host *h = open_tiny();
    uint8_t *batch[9];
    h->o.steps = 3;
    h->o.prompt = "a {red|blue|(green:1.3)} {cat|dog AND a cat|cat BREAK the dog|[cat|dog]}";
    h->o.negative = "{|on the dog}";
    h->o.batch = 9;
    host_must_run(h);
    char texts[9][64];
    int different = 0;
    for (int i = 0; i < 9; i++) {
        batch[i] = take(h, i);
        snprintf(texts[i], sizeof texts[i], "%.*s", (int)strcspn(h->pictures[i].info, "\n"),
                 h->pictures[i].info);
        assert_null(strpbrk(texts[i], "{}"));
        different += strcmp(texts[i], texts[0]) != 0;
    }
    assert_true(different > 3);
    h->o.batch = 1;
    for (int i = 0; i < 9; i++, h->o.seed++) {
        host_must_run(h);
        assert_memory_equal(h->pictures[0].rgb, batch[i], BYTES);
        assert_int_equal(strncmp(h->pictures[0].info, texts[i], strlen(texts[i])), 0);
        free(batch[i]);
    }
    host_close(h);
}

static uint8_t *picture(host *h, const char *prompt, int plain)
{
    h->o.prompt = prompt;
    h->o.plain = plain;
    host_must_run(h);
    return take(h, 0);
}

/* Two ways to say the same, and two that are not. */
static void test_same(void **state)
{
    (void)state;
    static const struct {
        const char *a, *b;
        int plain, same;
    } pairs[] = {
        { "a red cat", "(a red cat:1.0)", 0, 1 },
        { "a red cat", "a red cat", 1, 1 },
        { "a red cat", "[a red cat:dog:1.0]", 0, 1 },
        { "a red cat", "[a red cat:dog:.5]", 0, 0 },
        { "a red cat", "a red cat :1.0", 0, 1 },
        { "a red cat", "a red cat :0.5", 0, 0 },
        { "a red cat", "{a red cat}", 0, 1 },
        { "a \\(red\\) cat", "a (red) cat", 1, 1 },
        { "a red cat", "a (red) cat", 0, 0 },
        { "a red cat", "a (red) cat", 1, 0 },
        { "[a|b]", "[a|b]", 1, 0 },
        { "a cat<foo:1>", "a cat", 0, 1 },
    };
    host *h = open_tiny();
    h->o.steps = 3;
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        uint8_t *a = picture(h, pairs[i].a, 0), *b = picture(h, pairs[i].b, pairs[i].plain);
        if ((memcmp(a, b, BYTES) == 0) != pairs[i].same)
            fail_msg("\"%s\" and \"%s\"", pairs[i].a, pairs[i].b);
        free(a), free(b);
    }
    host_close(h);
}

/* Samplers that ask the network twice a step have twice as many steps to share out. */
static void test_twice(void **state)
{
    (void)state;
    static const struct {
        const char *sampler, *prompt;
        int same; /* as "a red cat" */
    } cases[] = { { "euler", "[a red cat:a dog:1]", 0 }, { "euler", "[a red cat:a dog:2]", 1 },
                  { "heun", "[a red cat:a dog:2]", 0 },  { "heun", "[a red cat:a dog:3]", 0 },
                  { "heun", "[a red cat:a dog:5]", 1 },  { "heun", "[a red cat:a dog:.4]", 0 } };
    host *h = open_tiny();
    h->o.steps = 3;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        sd_grid_kind kind;
        h->o.sampler = 1;
        while (strcmp(sd_sampler_chosen(h->o.sampler, &kind)->name, cases[i].sampler) != 0)
            h->o.sampler++;
        uint8_t *a = picture(h, "a red cat", 0), *b = picture(h, cases[i].prompt, 0);
        if ((memcmp(a, b, BYTES) == 0) != cases[i].same)
            fail_msg("%s: %s", cases[i].sampler, cases[i].prompt);
        free(a), free(b);
    }
    host_close(h);
}

/* More texts than a job keeps for later: all of a run's stay as long as it needs them. */
static void test_many_texts(void **state)
{
    (void)state;
    char prompt[8192] = "[red";
    for (int i = 0; i < 99; i++)
        snprintf(prompt + strlen(prompt), 64, "|%d BREAK BREAK BREAK BREAK BREAK BREAK BREAK cat",
                 i);
    strcat(prompt, "] dog");
    host *h = open_tiny();
    h->o.width = h->o.height = 8;
    h->o.steps = 120;
    uint8_t *a = picture(h, prompt, 0);
    h->o.steps = 1;
    free(picture(h, "a dog", 0));
    h->o.steps = 120;
    uint8_t *b = picture(h, prompt, 0);
    assert_memory_equal(a, b, 3 * 8 * 8);
    free(a), free(b);
    host_close(h);
}

static void write_text(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const char *prompt, *message;
    } bad[] = {
        { "a <lora:style:0.8> cat", "needs the folder of LoRAs" },
        { "<lora:x:y>", "not a weight" },
        { "<hypernet:x:1>", "hypernetworks" },
        { "cat "
          ":99999999999999999999999999999999999999999999999999999999999999999999999999999999999999"
          "9999999999999999999999999999999999999999999999999999999999999999999999999999999999999999"
          "9"
          "9999999999999999999999999999999999999999999999999999999999999999999999999999999999999999"
          "9"
          "999999999999999999999999999999999999999999999999 AND dog",
          "out of range" },
        { "a __colour__ cat", "no folder of wildcards" },
        { "(a:1.2.3)", "1.2.3" },
        { "(a:0) (b:99999999999999999999999999999999999999999999999999999)", "weights" },
    };
    host *h = open_tiny();
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        h->o.prompt = bad[i].prompt;
        assert_int_not_equal(host_run(h), BT_OK);
        if (!strstr(h->error.text, bad[i].message))
            fail_msg("\"%s\": %s", bad[i].prompt, h->error.text);
        assert_null(strchr(h->error.text, '\n'));
    }
    h->o.wildcards = temp_dir;
    write_text(temp_path("loop.txt"), "a __loop__\n");
    write_text(temp_path("empty.txt"), "\n# nothing\n");
    write_text(temp_path("colour.txt"), "red\n");
    static const char *const wrong[] = { "__loop__", "__empty__", "__missing__", "__../colour__" };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        h->o.prompt = wrong[i];
        assert_int_not_equal(host_run(h), BT_OK);
        assert_non_null(h->error.text[0] ? h->error.text : NULL);
    }
    h->o.prompt = "a __colour__ cat";
    host_must_run(h);
    assert_int_equal(strncmp(h->pictures[0].info, "a red cat\n", 10), 0);
    host_close(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reference),  cmocka_unit_test(test_batch),
        cmocka_unit_test(test_same),       cmocka_unit_test(test_twice),
        cmocka_unit_test(test_many_texts), cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, temp_dir_make, temp_dir_remove);
}
