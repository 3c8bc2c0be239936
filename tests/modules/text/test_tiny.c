/* SPDX-License-Identifier: MIT
 * Small random Llama files: goldens of transformers, hostile copies of the
 * files, options that must be refused.
 */
#include "host.h"

#include <math.h>
#include <unistd.h>

#include <cjson/cJSON.h>

#include "base/file.h"

static void check_golden(const char *name, int isa)
{
    static const char *const isas[] = { "scalar", "avx2", "auto" };
    char path[1024], key[64];
    host h;
    bt_store *g = golden_open("tiny_llama");
    char *json = golden_text("tiny_llama.json", NULL);
    cJSON *j = cJSON_Parse(json), *texts = cJSON_GetObjectItem(j, "texts");
    snprintf(path, sizeof path, TINY "%s.gguf", name);
    host_init(&h, isas[isa], 2, BT_PREC_F32);
    host_open(&h, path);
    size_t v = (size_t)h.model->config.n_vocab;
    for (int i = 0; i < 2; i++) {
        size_t n, n_logits, done;
        bt_ids ids = { 0 };
        snprintf(key, sizeof key, "%s.t%d.ids", name, i);
        int64_t *want = golden_ints(g, key, &n);
        h.options.prompt = cJSON_GetArrayItem(texts, i)->valuestring;
        assert_int_equal(bt_llm_prompt(h.job, &h.options, &ids, &h.error), BT_OK);
        assert_int_equal(ids.len, n);
        for (size_t k = 0; k < n; k++)
            assert_int_equal(ids.data[k], want[k]);

        snprintf(key, sizeof key, "%s.t%d.logits", name, i);
        float *logits = golden_floats(g, key, &n_logits);
        assert_int_equal(n_logits, n * v);
        h.job->session.tokens.len = 0;
        bt_llm_session *session = &h.job->session;
        assert_int_equal(bt_llm_step(session, ids.data, n, true, &done, NULL, &h.error), BT_OK);
        assert_int_equal(done, n);
        assert_true(golden_max_abs(session->logits, logits, n_logits) < 2e-4);

        snprintf(key, sizeof key, "%s.t%d.nll", name, i);
        float *nll = golden_floats(g, key, NULL);
        h.options.task = BT_LLM_SCORE;
        host_run(&h, h.options.prompt);
        assert_true(fabs(host_number(&h, "nll") * (double)(n - 1) - nll[0]) < 1e-3);
        h.options.task = BT_LLM_GENERATE;
        free(want), free(logits), free(nll);
        bt_ids_free(&ids);
    }

    size_t n, made;
    snprintf(key, sizeof key, "%s.greedy", name);
    int64_t *greedy = golden_ints(g, key, &n);
    h.options.temp = 0;
    h.options.n_predict = (int64_t)n;
    host_run(&h, cJSON_GetArrayItem(texts, 0)->valuestring);
    made = h.ids.len; /* the golden does not stop at an end token */
    assert_true(made == n || bt_llm_is_eog(&h.model->vocab, (int32_t)greedy[made]));
    for (size_t i = 0; i < made; i++)
        assert_int_equal(h.ids.data[i], greedy[i]);
    free(greedy);
    host_close(&h);
    cJSON_Delete(j);
    free(json);
    bt_store_close(g);
}

static void test_golden(void **state)
{
    (void)state;
    for (int isa = 0; isa < 3; isa++) {
        check_golden("tied", isa);
        check_golden("untied", isa);
    }
}

/* Biases, rotary halves and linear scaling: make_tiny_qwen2.py, beside this. */
static void test_qwen2(void **state)
{
    (void)state;
    host h;
    size_t n, n_logits, done;
    bt_store *g = golden_open(BT_SOURCE_DIR "/tests/modules/text/tiny_qwen2.safetensors");
    int64_t *want = golden_ints(g, "ids", &n);
    float *logits = golden_floats(g, "logits", &n_logits);
    int32_t ids[64];
    for (size_t i = 0; i < n; i++)
        ids[i] = (int32_t)want[i];
    host_init(&h, NULL, 1, BT_PREC_F32);
    host_open(&h, BT_SOURCE_DIR "/tests/modules/text/tiny-qwen2.gguf");
    assert_int_equal(bt_llm_step(&h.job->session, ids, n, true, &done, NULL, &h.error), BT_OK);
    assert_int_equal(done, n);
    assert_true(golden_max_abs(h.job->session.logits, logits, n_logits) < 2e-4);
    host_close(&h);
    free(want), free(logits);
    bt_store_close(g);
}

/* ---- hostile copies ---- */

static char *file, scratch[] = "/tmp/bt_tiny_XXXXXX";
static size_t file_size;

static char *find(const char *what)
{
    char *p = memmem(file, file_size, what, strlen(what));
    if (!p)
        fail_msg("%s is not in the file", what);
    return p;
}

static void load(const char *name)
{
    char path[1024];
    bt_error err = { 0 };
    snprintf(path, sizeof path, TINY "%s.gguf", name);
    bt_release(file);
    if (bt_file_read(path, 1 << 28, &file, &file_size, &err) != BT_OK)
        fail_msg("%s", err.text);
}

/* Writes the patched copy and opens it: it must fail with one line that holds
 * `says`, and leave nothing behind (the sanitizer build looks). */
static void refused(bt_status want, const char *says)
{
    host h;
    FILE *f = fopen(scratch, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(file, 1, file_size, f), file_size);
    fclose(f);
    host_init(&h, NULL, 1, BT_PREC_AUTO);
    bt_status st = host_try_open(&h, scratch);
    if (st != want || !strstr(h.error.text, says))
        fail_msg("status %d, \"%s\" instead of \"%s\"", st, h.error.text, says);
    assert_null(strchr(h.error.text, '\n'));
    assert_non_null(strstr(h.error.text, scratch));
    host_close(&h);
    load("tied");
}

/* Metadata value behind a key: u32 type, then the value. */
static void set_u32(const char *key, uint32_t value)
{
    memcpy(find(key) + strlen(key) + 4, &value, sizeof value);
}

static void set_f32(const char *key, float value)
{
    memcpy(find(key) + strlen(key) + 4, &value, sizeof value);
}

static void test_hostile(void **state)
{
    (void)state;
    static const char *const sizes[] = {
        "block_count",          "embedding_length",        "feed_forward_length",
        "attention.head_count", "attention.head_count_kv", "context_length"
    };
    char key[64];
    int fd = mkstemp(scratch);
    assert_true(fd >= 0);
    close(fd);
    load("tied");
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (int big = 0; big < 2; big++) {
            snprintf(key, sizeof key, "llama.%s", sizes[i]);
            set_u32(key, big ? 0xFFFFFFFFu : 0);
            refused(BT_EFORMAT, key);
        }
    for (size_t i = 0; i < 5; i++) { /* keys that have no default */
        if (i == 4)
            i++;
        snprintf(key, sizeof key, "llama.%s", sizes[i]);
        find(key)[6] = 'X';
        refused(BT_EFORMAT, "is missing");
    }
    set_u32("llama.attention.head_count", 5);
    refused(BT_EFORMAT, "cannot share");
    set_u32("llama.attention.head_count_kv", 1);
    refused(BT_EFORMAT, "do not fit");
    set_u32("llama.embedding_length", 62);
    refused(BT_EFORMAT, "wrong shape");
    set_u32("llama.block_count", 3);
    refused(BT_EFORMAT, "blk.2.attn_norm.weight is missing");
    set_u32("llama.block_count", 1);
    refused(BT_EFORMAT, "block_count is 1, but blk.1.attn_norm.weight is there");
    set_u32("llama.feed_forward_length", 5);
    refused(BT_EFORMAT, "feed_forward_length is 5, not ");
    set_u32("llama.rope.dimension_count", 8);
    refused(BT_EUNSUPPORTED, "rotary");
    set_f32("llama.rope.freq_base", NAN);
    refused(BT_EFORMAT, "rope.freq_base");
    set_f32("llama.attention.layer_norm_rms_epsilon", -1);
    refused(BT_EFORMAT, "epsilon");
    memcpy(find("token_embd.weight"), "token_embX", 10);
    refused(BT_EFORMAT, "token_embd.weight");
    memcpy(find("blk.1.ffn_down.weight"), "blk.1.ffn_dowX", 14);
    refused(BT_EFORMAT, "blk.1.ffn_down.weight is missing");
    memcpy(find("output_norm.weight"), "output_norX", 11);
    refused(BT_EFORMAT, "output_norm.weight is missing");
    memcpy(find("gpt2"), "gptX", 4);
    refused(BT_EUNSUPPORTED, "tokenizer \"gptX\"");
    memcpy(find("tokenizer.ggml.tokens"), "tokenizer.ggml.tokenX", 21);
    refused(BT_EFORMAT, "tokenizer.ggml.tokens is missing");
    memcpy(find("tokenizer.ggml.merges"), "tokenizer.ggml.mergeX", 21);
    refused(BT_EFORMAT, "tokenizer.ggml.merges is missing");
    memcpy(find("llama"), "llamX", 5); /* general.architecture's value comes first */
    refused(BT_EUNSUPPORTED, "not a Llama model");
    bt_release(file);
    file = NULL;
    unlink(scratch);
}

/* ---- runs ---- */

static void fails(host *h, const char *prompt, bt_status want, const char *says)
{
    bt_status st = host_try_run(h, prompt);
    if (st != want || !strstr(h->error.text, says))
        fail_msg("status %d, \"%s\" instead of \"%s\"", st, h->error.text, says);
}

static void test_runs(void **state)
{
    (void)state;
    host h;
    host_init(&h, NULL, 1, BT_PREC_AUTO);
    host_open(&h, TINY "tied.gguf"); /* context 128, no template, no BOS */
    const bt_llm_options o = h.options;
    fails(&h, "", BT_EINVAL, "empty");
    h.options.chat = 1;
    fails(&h, "hello", BT_EUNSUPPORTED, "no chat template");
    h.options = o;
    h.options.ctx_size = 129;
    fails(&h, "hello", BT_EINVAL, "ctx_size");
    h.options.ctx_size = 5;
    fails(&h, "hello", BT_EINVAL, "5 tokens does not fit the context of 5");
    h.options.task = BT_LLM_SCORE;
    h.options.ctx_size = 0;
    fails(&h, "h", BT_EINVAL, "1 tokens");
    h.options = o;
    char *big = malloc(1 << 20);
    memset(big, 'x', (1 << 20) - 1);
    big[(1 << 20) - 1] = 0;
    fails(&h, big, BT_EINVAL, "does not fit");
    free(big);

    h.options.ignore_eos = 1;
    h.options.n_predict = -1;
    h.options.ctx_size = 100;
    host_run(&h, "hello");
    assert_true(host_says(&h, "stop_reason=\"context\""));
    assert_int_equal(host_number(&h, "tokens"), 95);
    h.options.n_predict = 7;
    h.options.echo = 1;
    assert_memory_equal(host_run(&h, "hello"), "hello", 5);
    assert_true(host_says(&h, "stop_reason=\"length\""));
    assert_int_equal(h.ids.len, 7);
    h.options.n_predict = 0;
    assert_string_equal(host_run(&h, "hello"), "hello");

    h.options = o;
    h.options.ignore_eos = 1;
    atomic_store(&h.cancel, true);
    fails(&h, "a new prompt", BT_ECANCELLED, "");
    atomic_store(&h.cancel, false);
    char *text = strdup(host_run(&h, "a new prompt"));
    host_new_job(&h);
    assert_string_equal(host_run(&h, "a new prompt"), text);
    h.cancel_at = 4;
    fails(&h, "a new prompt", BT_ECANCELLED, "");
    assert_int_equal(h.ids.len, 4);
    h.cancel_at = 0;
    assert_string_equal(host_run(&h, "a new prompt"), text);
    free(text);

    host_run(&h, "\xFF\xFE\xC0\x80 \xED\xA0\x80"); /* no UTF-8: replaced */
    host_close(&h);
}

static void test_estimate(void **state)
{
    (void)state;
    host h;
    bt_estimate e = { .struct_size = sizeof e };
    const bt_run r = { .options = &h.options, .error = &h.error };
    bt_buf json = { 0 };
    host_init(&h, NULL, 1, BT_PREC_AUTO);
    host_open(&h, TINY "tied.gguf");
    h.options.prompt = "hello";
    h.options.n_predict = 20;
    assert_int_equal(bt_module_llama.estimate(h.job, &r, &e), BT_OK);
    assert_true(e.weights > 100000 && e.weights < 300000 && e.arena > 1000);
    assert_int_equal(e.caches, 25 * 2 * 4 * 2 * 32);
    assert_true(e.flops > 25 * 2 * 61440.0 + 21 * 2 * 64 * 267.0 - 1);
    assert_true(e.flops < 1.2 * (25 * 2 * 61440.0 + 21 * 2 * 64 * 267.0));
    assert_int_equal(bt_module_llama.describe(h.model, &json), BT_OK);
    cJSON *j = cJSON_Parse(json.data);
    assert_int_equal(cJSON_GetObjectItem(j, "layers")->valueint, 2);
    cJSON_Delete(j);
    bt_buf_free(&json);
    host_close(&h);
}

#ifdef BT_FAULTS
/* Every allocation of open, job and run fails once: an error, no crash, and in
 * the sanitizer build no leak. */
static void test_faults(void **state)
{
    (void)state;
    bool left = true;
    for (long n = 1; left; n++) {
        host h;
        host_init(&h, NULL, 1, BT_PREC_AUTO);
        bt_store *s;
        void *model = NULL;
        bt_module_job *job = NULL;
        assert_int_equal(bt_store_open(TINY "untied.gguf", &s, &h.error), BT_OK);
        bt_fault_after(n);
        bt_status st = bt_module_llama.open(s, &h.compute, &model, &h.error);
        if (st == BT_OK)
            st = bt_module_llama.job_open(model, &job, &h.error);
        h.model = model;
        h.job = job;
        h.options = (bt_llm_options){ .prompt = "",
                                      .system = "",
                                      .stop = "[\"x\"]",
                                      .temp = 1,
                                      .n_predict = 4,
                                      .top_p = 1,
                                      .repeat_penalty = 1 };
        if (st == BT_OK)
            st = host_try_run(&h, "the other one");
        left = bt_fault_after(0) <= 0;
        if (left && st == BT_OK && h.text.failed)
            st = BT_ENOMEM; /* the host's own buffer was hit */
        assert_true(left || st == BT_OK);
        if (!model)
            bt_store_close(s);
        host_close(&h);
    }
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden),   cmocka_unit_test(test_qwen2),
        cmocka_unit_test(test_hostile),  cmocka_unit_test(test_runs),
        cmocka_unit_test(test_estimate),
#ifdef BT_FAULTS
        cmocka_unit_test(test_faults),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
