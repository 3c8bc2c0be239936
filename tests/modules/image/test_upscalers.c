/* SPDX-License-Identifier: MIT
 * RRDBNet and SRVGGNetCompact against PyTorch (tests/golden/make_upscalers.py); windows
 * against the whole picture; threads; what is refused; every allocation fails once.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/file.h"
#include "image/picture/resample.h"
#include "image/upscale/upscale.h"
#include "tests/golden.h"
#include "tests/temp_dir.h"

extern const bt_module bt_module_upscaler;

static const char *const names[] = { "x4", "x2", "x8", "numbered", "compact" };
enum { N_NAMES = sizeof names / sizeof *names };

/* The module without an engine: what it is given, what it gives. */
typedef struct host {
    struct {
        int64_t tile;
        double scale;
    } options; /* the module's */
    bt_kernels kernels;
    bt_compute compute;
    void *model;
    bt_module_job *job;
    bt_image init;
    uint8_t *rgb; /* of the last run */
    int w, h, calls, cancel_at;
    bt_error error;
    atomic_bool cancel;
} host;

static const bt_image *image_in(void *user, const char *name)
{
    const host *h = user;
    return strcmp(name, "init") == 0 && h->init.pixels ? &h->init : NULL;
}

static bt_status progress(void *user, const char *stage, int done, int total)
{
    host *h = user;
    assert_string_equal(stage, "upscale");
    assert_true(done <= total);
    return ++h->calls == h->cancel_at ? BT_ECANCELLED : BT_OK;
}

static bt_status image(void *user, int w, int h, const uint8_t *rgb, const char *text)
{
    host *k = user;
    assert_string_equal(text, "");
    k->w = w;
    k->h = h;
    k->rgb = malloc(3 * (size_t)w * (size_t)h);
    assert_non_null(k->rgb);
    memcpy(k->rgb, rgb, 3 * (size_t)w * (size_t)h);
    return BT_OK;
}

static bt_status report(void *user, const char *name, const char *json)
{
    (void)user;
    assert_true(*name && *json);
    return BT_OK;
}

static void setup(host *h, const char *isa, int threads, bt_precision p)
{
    memset(h, 0, sizeof *h);
    h->options.tile = BT_INT_UNSET;
    h->options.scale = NAN;
    assert_int_equal(bt_module_upscaler.options_size, sizeof h->options);
    bt_kernels_init(&h->kernels, bt_cpu_flags() & (uint32_t)bt_cpu_cap(isa));
    h->compute = (bt_compute){ .kernels = &h->kernels, .threads = threads, .precision = p };
}

static bt_status try_open(host *h, const char *path)
{
    bt_store *s;
    bt_status st = bt_store_open(path, &s, &h->error);
    if (st != BT_OK)
        return st;
    assert_true(bt_module_upscaler.probe(s) > 0);
    st = bt_module_upscaler.open(s, &h->compute, &h->model, &h->error);
    if (st != BT_OK)
        bt_store_close(s);
    else
        st = bt_module_upscaler.job_open(h->model, &h->job, &h->error);
    return st;
}

static const char *model_path(const char *name)
{
    static char path[1024];
    snprintf(path, sizeof path, "%s/tests/golden/upscaler-%s.safetensors", BT_SOURCE_DIR, name);
    return path;
}

static void open_as(host *h, const char *name, const char *isa, int threads, bt_precision p)
{
    setup(h, isa, threads, p);
    if (try_open(h, model_path(name)) != BT_OK)
        fail_msg("%s", h->error.text);
}

static bt_status run(host *h)
{
    const bt_run r = { .host = h,
                       .options = &h->options,
                       .cancel = &h->cancel,
                       .image_in = image_in,
                       .error = &h->error,
                       .progress = progress,
                       .image = image,
                       .report = report };
    free(h->rgb);
    h->rgb = NULL;
    h->calls = 0;
    h->error = (bt_error){ 0 };
    return bt_module_upscaler.run(h->job, &r);
}

static void must_run(host *h)
{
    if (run(h) != BT_OK)
        fail_msg("%s", h->error.text);
}

static void close_both(host *h)
{
    if (h->job)
        bt_module_upscaler.job_close(h->job);
    if (h->model)
        bt_module_upscaler.close(h->model);
    h->job = NULL;
    h->model = NULL;
}

static void shut(host *h)
{
    close_both(h);
    free(h->rgb);
    h->rgb = NULL;
}

static int int_dim(const bt_store *s, const char *name, int i)
{
    return (int)bt_store_find(s, name)->dims[i]; /* [height, width, 3] */
}

/* ---- against PyTorch ------------------------------------------------------- */

static bt_store *golden;

static int load(void **state)
{
    golden = golden_open("upscalers");
    return temp_dir_make(state);
}

static int unload(void **state)
{
    bt_store_close(golden);
    return temp_dir_remove(state);
}

static uint8_t *bytes_of(const char *name, size_t *n)
{
    float *x = golden_floats(golden, name, n);
    uint8_t *b = malloc(*n);
    assert_non_null(b);
    for (size_t i = 0; i < *n; i++)
        b[i] = (uint8_t)x[i];
    free(x);
    return b;
}

/* A golden's picture; the caller frees its pixels. */
static bt_image picture_of(const char *name)
{
    char key[64];
    size_t n;
    snprintf(key, sizeof key, "%s.picture", name);
    bt_image img = { .channels = 3, .pixels = bytes_of(key, &n) };
    const bt_tensor *t = bt_store_find(golden, key);
    assert_non_null(t);
    img.height = int_dim(golden, key, 0);
    img.width = int_dim(golden, key, 1);
    assert_int_equal(n, 3 * img.width * img.height);
    return img;
}

/* The values of the network itself, before they are bytes: [height][width][3]. */
static float *values_of(host *h, const bt_image *img, size_t n)
{
    const bt_upscaler *u = h->model;
    const int s = u->scale, f = u->shuffle, w = img->width;
    bt_upscale_job j = { .u = u };
    if (bt_upscale_plan(&j, w, img->height, &h->error) != BT_OK)
        fail_msg("%s", h->error.text);
    float *in = bt_plan_data(j.plan, j.in), *y = malloc(n * sizeof *y);
    assert_true(in && y && u->unshuffle == 1);
    for (int i = 0; i < 3 * w * img->height; i++)
        in[i] = (float)img->pixels[i] / 255;
    assert_int_equal(bt_plan_run(j.plan, NULL, &h->error), BT_OK);
    const float *out = bt_plan_data(j.plan, j.out);
    for (size_t i = 0; i < n; i++) {
        const int c = (int)(i % 3), x = (int)(i / 3) % (w * s), row = (int)(i / 3) / (w * s);
        const int at = (row / f * (w * s / f) + x / f) * 3 * f * f;
        y[i] = out[at + (c * f + row % f) * f + x % f];
        y[i] += u->compact ? in[(row / s * w + x / s) * 3 + c] : 0;
    }
    bt_upscale_clear(&j);
    return y;
}

static void check_values(const char *name, const char *isa)
{
    char key[64];
    size_t n;
    host h;
    snprintf(key, sizeof key, "%s.result", name);
    float *want = golden_floats(golden, key, &n);
    open_as(&h, name, isa, 2, BT_PREC_F32);
    bt_image img = picture_of(name);
    float *got = values_of(&h, &img, n);
    const double e = golden_rel_l2(got, want, n);
    print_message("%s, %s: %.2e\n", name, isa, e);
    assert_true(e <= 1e-4);
    free(got);
    free(want);
    free(img.pixels);
    shut(&h);
}

/* The picture, as bytes: PSNR against PyTorch's. */
static double psnr_of(const char *name, const char *isa, bt_precision p)
{
    char key[64];
    size_t n;
    host h;
    snprintf(key, sizeof key, "%s.result", name);
    float *x = golden_floats(golden, key, &n);
    uint8_t *want = malloc(n);
    for (size_t i = 0; i < n; i++)
        want[i] = (uint8_t)rintf((x[i] > 0 ? x[i] < 1 ? x[i] : 1 : 0) * 255);
    open_as(&h, name, isa, 2, p);
    h.init = picture_of(name);
    must_run(&h);
    assert_int_equal(h.h, int_dim(golden, key, 0));
    assert_int_equal(h.w, int_dim(golden, key, 1));
    const double psnr = golden_psnr_db(h.rgb, want, n);
    print_message("%s, %s, precision %d: %.1f dB\n", name, isa, p, psnr);
    free(h.init.pixels);
    free(want);
    free(x);
    shut(&h);
    return psnr;
}

static void matches_pytorch(void **state)
{
    static const char *const isas[] = { "scalar", "avx2", "avx512vnni", "auto" };
    (void)state;
    for (int i = 0; i < N_NAMES; i++)
        for (int k = 0; k < 4; k++) {
            if (strcmp(names[i], "x2") != 0) /* takes squares of pixels: as a picture only */
                check_values(names[i], isas[k]);
            assert_true(psnr_of(names[i], isas[k], BT_PREC_F32) >= 60);
            assert_true(psnr_of(names[i], isas[k], BT_PREC_AUTO) >= 40);
        }
}

static void resizes_as_pillow(void **state)
{
    static const char *const sizes[] = { "resize.smaller", "resize.larger" };
    (void)state;
    size_t n;
    bt_image img = picture_of("resize");
    for (int i = 0; i < 2; i++) {
        const int h = int_dim(golden, sizes[i], 0), w = int_dim(golden, sizes[i], 1);
        uint8_t *want = bytes_of(sizes[i], &n), *got = sd_picture_resample(&img, w, h);
        assert_non_null(got);
        for (size_t k = 0; k < n; k++)
            assert_true(abs(got[k] - want[k]) <= 1); /* Pillow rounds its weights */
        free(want);
        bt_release(got);
    }
    free(img.pixels);
}

/* ---- windows --------------------------------------------------------------- */

/* Their weights sum to 1 everywhere, and each is 0 at its inner borders. */
static void windows_cover_the_picture(void **state)
{
    (void)state;
    for (int step = 1; step <= 4; step *= 2)
        for (int tile = 32; tile < 80; tile += 7)
            for (int length = 1; length < 500; length += 3) {
                const bt_upscale_axis a = bt_upscale_axis_cut(length, step, tile);
                float sum[600] = { 0 }, w[600];
                assert_true(a.length >= length && a.length % step == 0 && a.size % step == 0);
                for (int i = 0; i < a.count; i++) {
                    const int at = bt_upscale_axis_at(&a, i);
                    assert_true(at % step == 0 && at + a.size <= a.length);
                    bt_upscale_axis_weights(&a, i, 1, w);
                    assert_true((i == 0 || w[0] == 0) && (i + 1 == a.count || w[a.size - 1] == 0));
                    for (int k = 0; k < a.size; k++)
                        sum[at + k] += w[k];
                }
                for (int i = 0; i < a.length; i++)
                    assert_true(fabsf(sum[i] - 1) < 1e-6f);
            }
}

/* Waves of all directions. */
static bt_image waves(int w, int h, int channels)
{
    bt_image img = { .width = w, .height = h, .channels = channels };
    img.pixels = malloc((size_t)(w * h * channels));
    assert_non_null(img.pixels);
    for (int i = 0; i < w * h * channels; i++) {
        const int x = i / channels % w, y = i / channels / w, c = i % channels;
        img.pixels[i] = (uint8_t)(127.5 + 60 * sin(x * 0.3 + c) + 60 * cos(y * 0.21 + x * 0.05));
    }
    return img;
}

static void windows_do_not_show(void **state)
{
    (void)state;
    for (int i = 0; i < N_NAMES; i++) {
        host h;
        open_as(&h, names[i], "auto", 2, BT_PREC_F32);
        h.init = waves(97, 70, 3);
        h.options.tile = 0;
        must_run(&h);
        assert_int_equal(h.calls, 2);
        uint8_t *whole = h.rgb;
        h.rgb = NULL;
        h.options.tile = 32;
        must_run(&h);
        assert_int_equal(h.calls, 7); /* 3 by 2 windows */
        const double psnr = golden_psnr_db(h.rgb, whole, 3 * (size_t)h.w * (size_t)h.h);
        print_message("%s in windows: %.1f dB\n", names[i], psnr);
        assert_true(psnr >= 60);
        free(whole);
        free(h.init.pixels);
        shut(&h);
    }
}

static void threads_change_no_byte(void **state)
{
    (void)state;
    for (int i = 0; i < N_NAMES; i++) {
        uint8_t *want = NULL;
        for (int threads = 1; threads <= 3; threads++) {
            host h;
            open_as(&h, names[i], "auto", threads, BT_PREC_AUTO);
            h.init = waves(75, 41, 1);
            h.options.tile = 32;
            must_run(&h);
            if (want)
                assert_memory_equal(h.rgb, want, 3 * (size_t)h.w * (size_t)h.h);
            else
                want = memcpy(malloc(3 * (size_t)h.w * (size_t)h.h), h.rgb,
                              3 * (size_t)h.w * (size_t)h.h);
            free(h.init.pixels);
            shut(&h);
        }
        free(want);
    }
}

static void sizes_are_as_asked_for(void **state)
{
    (void)state;
    host h;
    bt_estimate e = { 0 };
    open_as(&h, "x4", "auto", 1, BT_PREC_AUTO);
    for (int side = 1; side <= 3; side++) { /* smaller than a filter */
        h.init = waves(side, 4 - side, 3);
        must_run(&h);
        assert_true(h.w == 4 * side && h.h == 4 * (4 - side));
        h.options.scale = 2.5;
        must_run(&h);
        assert_true(h.w == (int)lrint(2.5 * side) && h.h == (int)lrint(2.5 * (4 - side)));
        h.options.scale = NAN;
        free(h.init.pixels);
    }
    const bt_run r = { .options = &h.options, .error = &h.error };
    assert_int_equal(bt_module_upscaler.estimate(h.job, &r, &e), BT_OK);
    assert_true(e.weights > 0 && e.flops > 0 && e.arena > 0 && e.arena <= BT_UPSCALE_ARENA);
    shut(&h);
}

/* Weights, activations, the sums of a row of windows, the picture and its copy. */
static void tiles_fit_a_budget(void **state)
{
    (void)state;
    host h;
    open_as(&h, "x4", "auto", 1, BT_PREC_F32);
    const uint64_t w = 3000, tall = 400, result = 3 * 4 * w * 4 * tall;
    int least = 480;
    for (uint64_t mib = 400; mib >= 200; mib -= 50) {
        bt_upscale_job j = { .u = h.model };
        int tile;
        h.compute.memory = mib << 20;
        assert_int_equal(bt_upscale_tile(&j, (int)w, (int)tall, &tile, &h.error), BT_OK);
        const uint64_t strip = sizeof(float) * 3 * 4 * w * 4 * (uint64_t)j.h;
        assert_true(bt_plan_weights(j.plan) + bt_plan_arena(j.plan) + strip + 2 * result <=
                    h.compute.memory);
        assert_true(tile <= least);
        least = tile;
        bt_upscale_clear(&j);
    }
    assert_true(least < 128);
    shut(&h);
}

static void a_run_can_be_cancelled(void **state)
{
    (void)state;
    host h;
    open_as(&h, "numbered", "auto", 2, BT_PREC_AUTO);
    h.init = waves(97, 70, 3);
    h.options.tile = 32;
    h.cancel_at = 3;
    assert_int_equal(run(&h), BT_ECANCELLED);
    assert_null(h.rgb);
    h.cancel_at = 0;
    atomic_store(&h.cancel, true);
    assert_int_equal(run(&h), BT_ECANCELLED);
    atomic_store(&h.cancel, false);
    must_run(&h);
    free(h.init.pixels);
    shut(&h);
}

/* ---- what is refused ------------------------------------------------------- */

static void assert_refused(host *h, bt_status st, bt_status want, const char *says)
{
    if (st != want || !strstr(h->error.text, says) || strchr(h->error.text, '\n'))
        fail_msg("status %d, \"%s\", not \"%s\"", st, h->error.text, says);
}

static void bad_options_are_refused(void **state)
{
    (void)state;
    host h;
    open_as(&h, "x4", "auto", 1, BT_PREC_F32);
    assert_refused(&h, run(&h), BT_EINVAL, "needs a picture");
    h.init = waves(4, 4, 3);
    h.options.tile = 31;
    assert_refused(&h, run(&h), BT_EINVAL, "tile: 31");
    h.options.tile = 0;
    h.options.scale = 0.1;
    assert_refused(&h, run(&h), BT_EINVAL, "too small");
    h.init.height = 12; /* 0.4 x 1.2 */
    assert_refused(&h, run(&h), BT_EINVAL, "too small");
    free(h.init.pixels);
    h.init = waves(5, 5, 3); /* half a pixel is none */
    assert_refused(&h, run(&h), BT_EINVAL, "too small");
    h.options.scale = 32;
    h.init.width = 4096;
    assert_refused(&h, run(&h), BT_EINVAL, "too large");
    free(h.init.pixels);
    shut(&h);
}

static const char *write_temp(const char *name, const char *data, size_t n)
{
    const char *path = temp_path(name);
    FILE *f = fopen(path, "w");
    assert_true(f && fwrite(data, 1, n, f) == n);
    fclose(f);
    return path;
}

/* A golden's model with `from` replaced by `to`, of the same length, wherever it stands. */
static bt_status open_changed(host *h, const char *name, const char *from, const char *to)
{
    char *data;
    size_t n, len = strlen(from);
    setup(h, "auto", 1, BT_PREC_F32);
    assert_int_equal(bt_file_read(model_path(name), 1 << 24, &data, &n, &h->error), BT_OK);
    char *at = memmem(data, n, from, len);
    assert_true(at && len == strlen(to));
    for (; at; at = memmem(at, n - (size_t)(at - data), from, len))
        memcpy(at, to, len);
    const char *path = write_temp("m.safetensors", data, n);
    bt_release(data);
    return try_open(h, path);
}

static void refuse_model(const char *name, const char *from, const char *to, const char *says)
{
    host h;
    assert_refused(&h, open_changed(&h, name, from, to), BT_EFORMAT, says);
    assert_non_null(strstr(h.error.text, "m.safetensors"));
    shut(&h);
}

static void bad_models_are_refused(void **state)
{
    (void)state;
    refuse_model("x4", "conv_hr.weight", "conv_hr.weighs", "conv_hr.weight is missing");
    refuse_model("x4", "body.0.rdb2.conv4.weight", "body.0.rdb2.conv4.weighs",
                 "body.0.rdb2.conv4.weight is missing");
    refuse_model("x4", "conv_last.weight", "conv_lost.weight", "3 channels");
    refuse_model("x4", "\"shape\":[12,3,3,3]", "\"shape\":[3,12,3,3]", "conv_first.bias");
    refuse_model("x4", "\"shape\":[12,3,3,3]", "\"shape\":[36,1,3,3]", "3, 12 or 48");
    refuse_model("x4", "\"shape\":[12,12,3,3]", "\"shape\":[12,12,9,1]", "3 x 3");
    refuse_model("x4", "\"shape\":[4,16,3,3]", "\"shape\":[16,4,3,3]", "rdb1.conv2.weight");
    refuse_model("x8", "upconv2.weight", "upconv4.weight", "upconv2.weight is missing");
    refuse_model("compact", "\"shape\":[48]", "\"shape\":[84]", "safetensors");
    refuse_model("compact", "body.8.weight", "body.9.weight", "3 channels");
}

/* Infinite weights: no black picture without a word. */
static void what_is_no_number_is_told(void **state)
{
    (void)state;
    host h;
    bt_error err = { 0 };
    char *data;
    size_t n;
    setup(&h, "auto", 1, BT_PREC_F32);
    assert_int_equal(bt_file_read(model_path("x4"), 1 << 24, &data, &n, &err), BT_OK);
    memset(data + n - 64, 0x7f, 64); /* f16: not a number */
    const char *path = write_temp("nan.safetensors", data, n);
    bt_release(data);
    assert_int_equal(try_open(&h, path), BT_OK);
    h.init = waves(6, 5, 3);
    assert_refused(&h, run(&h), BT_EFORMAT, "no numbers");
    free(h.init.pixels);
    shut(&h);
}

/* ---- no memory ------------------------------------------------------------- */

static host faulty;

static bt_status whole_life(void)
{
    bt_status st = try_open(&faulty, model_path("numbered"));
    if (st == BT_OK)
        st = run(&faulty);
    close_both(&faulty);
    return st;
}

static void failing_allocations_are_told(void **state)
{
    (void)state;
    setup(&faulty, "auto", 1, BT_PREC_F32);
    faulty.init = waves(5, 4, 3);
    faulty.options.scale = 1.5;
    assert_int_equal(whole_life(), BT_OK);
#ifdef BT_FAULTS
    const size_t bytes = 3 * (size_t)faulty.w * (size_t)faulty.h;
    uint8_t *want = memcpy(malloc(bytes), faulty.rgb, bytes);
    for (long n = 1;; n += 1 + n / 64) {
        bt_fault_after(n);
        const bt_status st = whole_life();
        if (bt_fault_after(0) > 0)
            break;
        if (st == BT_OK && memcmp(faulty.rgb, want, bytes) == 0)
            continue;
        if (st != BT_ENOMEM || !faulty.error.text[0])
            fail_msg("allocation %ld: status %d, \"%s\"", n, st, faulty.error.text);
    }
    free(want);
#endif
    free(faulty.init.pixels);
    shut(&faulty);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(matches_pytorch),           cmocka_unit_test(resizes_as_pillow),
        cmocka_unit_test(windows_cover_the_picture), cmocka_unit_test(windows_do_not_show),
        cmocka_unit_test(threads_change_no_byte),    cmocka_unit_test(sizes_are_as_asked_for),
        cmocka_unit_test(tiles_fit_a_budget),        cmocka_unit_test(a_run_can_be_cancelled),
        cmocka_unit_test(bad_options_are_refused),   cmocka_unit_test(bad_models_are_refused),
        cmocka_unit_test(what_is_no_number_is_told), cmocka_unit_test(failing_allocations_are_told),
    };
    return cmocka_run_group_tests(tests, load, unload);
}
