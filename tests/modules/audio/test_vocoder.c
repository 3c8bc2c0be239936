/* SPDX-License-Identifier: MIT
 * HiFi-GAN and Vocos against PyTorch (tests/golden/make_vocoders.py); chunks and threads;
 * what is refused; every allocation fails once.
 */
#include <math.h>
#include <stdio.h>

#include "audio/vocoder/vocoder.h"
#include "base/file.h"
#include "formats/npy.h"
#include "tests/temp_dir.h"
#include "voice_host.h"

extern const bt_module bt_module_vocoder;

static const char *const names[] = { "v1", "v2", "v3", "vocos-center", "vocos-same" };
enum { N_NAMES = sizeof names / sizeof *names, FRAMES = 1100 };

static bt_store *golden;

static int load(void **state)
{
    golden = golden_open("vocoders");
    return temp_dir_make(state);
}

static int unload(void **state)
{
    bt_store_close(golden);
    return temp_dir_remove(state);
}

static const char *model_path(const char *name)
{
    static char path[1024];
    snprintf(path, sizeof path, "%s/tests/golden/vocoder-%s.safetensors", BT_SOURCE_DIR, name);
    return path;
}

static void open_as(host *h, const char *name, const char *isa, int threads, bt_precision p)
{
    host_setup_as(h, &bt_module_vocoder, isa, threads, p);
    if (host_try_open(h, model_path(name)) != BT_OK ||
        h->module->job_open(h->model, &h->job, &h->error) != BT_OK)
        fail_msg("%s", h->error.text);
}

/* ---- against PyTorch ---------------------------------------------------- */

static double snr_of(const char *name, const char *isa, bt_precision p)
{
    char key[64];
    size_t n, frames;
    host h;
    open_as(&h, name, isa, 2, p);
    const int mels = ((const bt_vocoder *)h.model)->mel.n_mels;
    snprintf(key, sizeof key, "%s.wave", name);
    float *want = golden_floats(golden, key, &n);
    snprintf(key, sizeof key, "%s.mel", name);
    float *mel = golden_floats(golden, key, &frames);
    h.mel = &(bt_array){ .n_dims = 2, .dims = { mels, (int64_t)frames / mels }, .values = mel };
    host_run(&h);
    assert_int_equal(h.n, n);
    assert_int_equal(h.rate, strncmp(name, "vocos", 5) == 0 ? 24000 : 22050);
    const double snr = golden_snr_db(h.samples, want, n);
    print_message("%s, %s: %.1f dB\n", name, isa ? isa : "auto", snr);
    free(want);
    free(mel);
    host_close(&h);
    return snr;
}

static void matches_pytorch(void **state)
{
    (void)state;
    for (int i = 0; i < N_NAMES; i++) {
        assert_true(snr_of(names[i], NULL, BT_PREC_F32) >= 90);
        assert_true(snr_of(names[i], "avx2", BT_PREC_AUTO) >= 80); /* minimal filtering */
        assert_true(snr_of(names[i], NULL, BT_PREC_AUTO) >= 30);   /* bf16 where that is fast */
    }
}

/* ---- the same bytes ------------------------------------------------------ */

/* [mels][FRAMES], or the same as rows. */
static void make_mel(float *x, int mels, bool rows)
{
    for (int m = 0; m < mels; m++)
        for (int f = 0; f < FRAMES; f++)
            x[rows ? f * mels + m : m * FRAMES + f] = sinf((float)(f * (m + 3))) * 3 - 4;
}

/* One run of the network over everything. */
static float *whole(host *h, const float *rows, int mels)
{
    const bt_vocoder *v = h->model;
    bt_parts parts = { .voice = v, .ws = v->ws, .build = bt_vocoder_build };
    bt_part *p;
    assert_int_equal(bt_part_get(&parts, 0, FRAMES, &p, &h->error), BT_OK);
    memcpy(bt_plan_data(p->plan, p->in[0]), rows, sizeof(float) * FRAMES * (size_t)mels);
    assert_int_equal(bt_plan_run(p->plan, NULL, &h->error), BT_OK);
    const size_t bytes = sizeof(float) * (size_t)(FRAMES - v->less) * (size_t)v->hop;
    float *x = malloc(bytes);
    assert_non_null(x);
    memcpy(x, bt_plan_data(p->plan, p->out[0]), bytes);
    bt_parts_clear(&parts);
    return x;
}

static void check_bytes(const char *name, const char *isa, bt_precision p)
{
    float *want = NULL, *mel = NULL;
    for (int threads = 1; threads <= 3; threads++) {
        host h;
        open_as(&h, name, isa, threads, p);
        const int mels = ((const bt_vocoder *)h.model)->mel.n_mels;
        mel = mel ? mel : malloc(sizeof(float) * FRAMES * (size_t)mels);
        make_mel(mel, mels, true);
        if (!want)
            want = whole(&h, mel, mels);
        bt_array a = { .n_dims = 3, .dims = { 1, FRAMES, mels }, .values = mel };
        if (threads != 2) {
            make_mel(mel, mels, false);
            a = (bt_array){ .n_dims = 2, .dims = { mels, FRAMES }, .values = mel };
        }
        h.mel = &a;
        host_run(&h);
        assert_true(h.calls > 1);
        const bt_vocoder *v = h.model;
        assert_int_equal(h.n, (FRAMES - v->less) * v->hop);
        assert_memory_equal(h.samples, want, h.n * sizeof *want);
        host_close(&h);
    }
    free(want);
    free(mel);
}

static void chunks_and_threads_give_the_same_bytes(void **state)
{
    (void)state;
    for (int i = 0; i < N_NAMES; i++) {
        check_bytes(names[i], NULL, BT_PREC_AUTO);
        check_bytes(names[i], NULL, BT_PREC_F32);
        check_bytes(names[i], "avx2", BT_PREC_AUTO);
    }
}

/* ---- what is refused ------------------------------------------------------ */

static void assert_refused(host *h, bt_status st, bt_status want, const char *says)
{
    if (st != want || !strstr(h->error.text, says) || strchr(h->error.text, '\n'))
        fail_msg("status %d, \"%s\", not \"%s\"", st, h->error.text, says);
}

static void refuse_array(host *h, bt_array a, const char *says)
{
    h->mel = &a;
    assert_refused(h, host_try_run(h), BT_EFORMAT, says);
    h->mel = NULL;
}

static void bad_spectrograms_are_refused(void **state)
{
    (void)state;
    float x[120] = { 0 };
    host h;
    open_as(&h, "v1", NULL, 1, BT_PREC_F32);
    refuse_array(&h, (bt_array){ .n_dims = 2, .dims = { 11, 9 }, .values = x }, "10 bands");
    refuse_array(&h, (bt_array){ .n_dims = 1, .dims = { 10 }, .values = x }, "10 bands");
    refuse_array(&h, (bt_array){ .n_dims = 3, .dims = { 2, 10, 6 }, .values = x }, "10 bands");
    x[7] = NAN;
    refuse_array(&h, (bt_array){ .n_dims = 2, .dims = { 10, 12 }, .values = x }, "no numbers");
    assert_refused(&h, host_try_run(&h), BT_EINVAL, "needs a mel spectrogram");
    host_set(&h, "mel", "/nowhere/mel.npy");
    assert_refused(&h, host_try_run(&h), BT_ENOTFOUND, "/nowhere/mel.npy");
    host_set(&h, "mel", model_path("v1"));
    assert_refused(&h, host_try_run(&h), BT_EFORMAT, "not a file of numpy's");
    host_close(&h);
    open_as(&h, "vocos-center", NULL, 1, BT_PREC_F32);
    refuse_array(&h, (bt_array){ .n_dims = 2, .dims = { 12, 1 }, .values = x }, "too short");
    host_close(&h);
}

/* A copy of a golden's model with another JSON beside it, and `from` in its header replaced
 * by `to` of the same length. */
static void refuse_model(const char *name, const char *json, const char *from, const char *to,
                         const char *says)
{
    char *data;
    size_t n;
    host h;
    host_setup_as(&h, &bt_module_vocoder, NULL, 1, BT_PREC_F32);
    assert_int_equal(bt_file_read(model_path(name), 1 << 24, &data, &n, &h.error), BT_OK);
    char *at = from ? memmem(data, n, from, strlen(from)) : NULL;
    assert_true(!from || at);
    if (at)
        memcpy(at, to, strlen(to));
    FILE *f = fopen(temp_path("m.safetensors"), "w"), *g = fopen(temp_path("config.json"), "w");
    assert_true(f && g && fwrite(data, 1, n, f) == n && fputs(json, g) >= 0);
    fclose(f);
    fclose(g);
    bt_release(data);
    const bt_status st = host_try_open(&h, temp_path("m.safetensors"));
    assert_refused(&h, st, st == BT_EINVAL ? st : BT_EFORMAT, says);
    host_close(&h);
}

static void bad_models_are_refused(void **state)
{
    (void)state;
    refuse_model("v1", "{", NULL, NULL, "config.json");
    refuse_model("v1", "{\"upsample_rates\":[8,8,2]}", NULL, NULL, "upsample_rates");
    refuse_model("v1", "{\"upsample_rates\":[8,8,2,9]}", NULL, NULL, "upsampling does not fit");
    refuse_model("v1", "{\"hop_size\":255}", NULL, NULL, "hop_size");
    refuse_model("v1", "{\"n_fft\":1022,\"win_size\":1022}", NULL, NULL, "Fourier");
    refuse_model("v1", "{\"resblock_dilation_sizes\":[[1],[1],[1]]}", NULL, NULL, "dilation");
    refuse_model("v1", "{\"sampling_rate\":-1}", NULL, NULL, "positive");
    refuse_model("v1", "{}", "ups.1.weight_g", "ups.1.weight_x", "ups.1.weight_g is missing");
    refuse_model("v1", "{}", "conv_post.weight_v", "conv_post.weight_w", "conv_post.weight");
    refuse_model("v3", "{}", "resblocks.8.convs.1.weight", "resblocks.8.convs.1.weighs",
                 "differ in their filters");
    refuse_model("vocos-center", "{}", "backbone.norm.weight", "backbone.norm.weighs",
                 "backbone.norm.weight");
    refuse_model("vocos-center", "{\"feature_extractor\":{\"init_args\":{\"n_mels\":100}}}", NULL,
                 NULL, "n_mels");
}

/* ---- no memory ------------------------------------------------------------ */

static host faulty;

static bt_status vocode(void)
{
    host *h = &faulty;
    bt_status st = host_try_open(h, model_path("vocos-center"));
    if (st != BT_OK)
        return st;
    st = h->module->job_open(h->model, &h->job, &h->error);
    if (st == BT_OK)
        st = host_try_run(h);
    h->module->job_close(h->job);
    h->module->close(h->model);
    h->model = NULL;
    h->job = NULL;
    return st;
}

/* Told, or without any effect. */
static void failing_allocations_are_told(void **state)
{
    (void)state;
    const int64_t dims[] = { 12, 5 };
    float x[60] = { 0 }, want[64];
    host_setup_as(&faulty, &bt_module_vocoder, NULL, 1, BT_PREC_F32);
    assert_int_equal(bt_npy_write(temp_path("f.npy"), 2, dims, x, &faulty.error), BT_OK);
    host_set(&faulty, "mel", temp_path("f.npy"));
    assert_int_equal(vocode(), BT_OK);
    assert_int_equal(faulty.n, sizeof want / sizeof *want); /* four frames of 16 */
    memcpy(want, faulty.samples, sizeof want);
#ifdef BT_FAULTS
    for (long n = 1;; n++) {
        memset(&faulty.error, 0, sizeof faulty.error);
        bt_fault_after(n);
        const bt_status st = vocode();
        if (bt_fault_after(0) > 0)
            break;
        if (st == BT_OK && faulty.n == sizeof want / sizeof *want &&
            memcmp(faulty.samples, want, sizeof want) == 0)
            continue;
        if (st != BT_ENOMEM || !faulty.error.text[0])
            fail_msg("allocation %ld: status %d, \"%s\"", n, st, faulty.error.text);
    }
#endif
    host_close(&faulty);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(matches_pytorch),
        cmocka_unit_test(chunks_and_threads_give_the_same_bytes),
        cmocka_unit_test(bad_spectrograms_are_refused),
        cmocka_unit_test(bad_models_are_refused),
        cmocka_unit_test(failing_allocations_are_told),
    };
    return cmocka_run_group_tests(tests, load, unload);
}
