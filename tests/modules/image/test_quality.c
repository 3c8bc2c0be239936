/* SPDX-License-Identifier: MIT
 * What `auto` costs in quality, whatever type it computes in on this machine or on
 * one with fewer instructions: one answer of the UNet against that in f32, and a
 * decoded picture. The bounds: 3e-2 in the relative 2-norm, 35 dB.
 *
 * Three models: the default one in floats; random weights in its shapes; the same
 * with outliers, that is one channel in a hundred ten times as large where a norm
 * ends, and the weights that follow a tenth, as trained networks grow them.
 */
#include "common.h"

#include "image/network/networks.h"

#define UNET_BOUND 3e-2
#define VAE_BOUND  35.0 /* dB */

enum { H = 16, W = 16, TOKENS = 77 };

typedef struct model {
    bt_store *store;
    bt_weights *ws;
    bt_kernels kernels;
    bt_compute compute;
    sd_unet_config unet;
    sd_vae_config vae;
    float loud; /* so many times as large is what goes through the decoder; 0: as it is */
} model;

/* ---- random weights -------------------------------------------------------- */

/* Uniform in -1..1, the same on every machine. */
static float next(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return (float)(*state >> 8) / 8388608.0f - 1;
}

static bool ends(const char *name, const char *with)
{
    size_t n = strlen(name), m = strlen(with);
    return n >= m && !strcmp(name + n - m, with);
}

/* Is channel c one in a hundred? Every 97th, so that each layer has one or two. */
static bool outlier(int64_t c) { return c % 97 == 11; }

/* Layers that read a norm's result and nothing else, activated or not. */
static bool follows_norm(const char *name)
{
    static const char *const layers[] = { ".conv1.weight",      ".conv2.weight",
                                          ".proj_in.weight",    ".attn1.to_q.weight",
                                          ".attn1.to_k.weight", ".attn1.to_v.weight",
                                          ".attn2.to_q.weight", ".ff.net.0.proj.weight" };
    for (size_t i = 0; i < sizeof layers / sizeof *layers; i++)
        if (ends(name, layers[i]))
            return true;
    return false;
}

/* Norms inside of the decoder's resnets: what they make is what convolutions read. */
static bool is_decoder_norm(const char *name)
{
    return !strncmp(name, "vae/decoder", 11) && strstr(name, ".norm");
}

/* Weights as torch's layers start, uniform within 1 / sqrt(inputs); norms near 1. */
static void add_random(model *m, const bt_tensor *t, bool outliers, uint32_t seed)
{
    int64_t n = bt_tensor_count(t), in = 1, per = 1, dims[BT_MAX_DIMS];
    bool norm = strstr(t->name, "norm") && t->n_dims == 1;
    float *v = malloc((size_t)n * sizeof *v);
    for (int i = 0; i < t->n_dims; i++)
        dims[i] = t->dims[!t->channels_last || i == 0 ? i : i == 1 ? t->n_dims - 1 : i - 1];
    for (int i = 1; i < t->n_dims; i++)
        in *= dims[i];
    for (int i = 2; i < t->n_dims; i++)
        per *= dims[i];
    for (int64_t i = 0; i < n; i++) {
        v[i] = next(&seed) * (norm ? 0.1f : t->n_dims == 1 ? 0.05f : 1 / sqrtf((float)in));
        if (norm && ends(t->name, ".weight"))
            v[i] += 1;
        if (outliers && norm && outlier(i))
            v[i] *= 10;
        if (outliers && follows_norm(t->name) && outlier(i % in / per))
            v[i] /= 10;
        if (m->loud > 0 && is_decoder_norm(t->name))
            v[i] *= m->loud;
    }
    assert_non_null(bt_weight_make(m->ws, t->name, v, t->n_dims, dims));
    free(v);
}

/* ---- models ------------------------------------------------------------------ */

typedef enum kind { TRAINED, RANDOM, OUTLIERS } kind;

static void open_model(model *m, const char *path, kind kind, const char *isa, bt_precision p)
{
    bt_error err = { 0 };
    *m = (model){ .loud = m->loud };
    bt_kernels_init(&m->kernels, bt_cpu_flags() & (uint32_t)bt_cpu_cap(isa));
    m->compute = (bt_compute){ .kernels = &m->kernels, .threads = 2, .precision = p };
    if (bt_store_open(path, &m->store, &err) || sd_unet_read(m->store, &m->unet, &err) ||
        sd_vae_read(m->store, &m->vae, &err) ||
        bt_weights_create(kind == TRAINED ? m->store : NULL, &m->compute, &m->ws, &err))
        fail_msg("%s", err.text);
    for (size_t i = 0; kind != TRAINED && i < bt_store_count(m->store); i++) {
        const bt_tensor *t = bt_store_at(m->store, i);
        if (!strncmp(t->name, "unet/", 5) || !strncmp(t->name, "vae/decoder", 11) ||
            !strncmp(t->name, "vae/post", 8))
            add_random(m, t, kind == OUTLIERS, (uint32_t)i + 1);
    }
}

static void close_model(model *m)
{
    bt_weights_free(m->ws);
    bt_store_close(m->store);
}

static void noise(float *v, size_t n, uint32_t seed)
{
    for (size_t i = 0; i < n; i++)
        v[i] = 1.7f * next(&seed); /* a variance near 1 */
}

/* Runs the plan and returns a copy of its n values. */
static float *finish(sd_plan *p, size_t n)
{
    bt_error err = { 0 };
    if (sd_plan_run(p, NULL, &err))
        fail_msg("%s", err.text);
    float *out = malloc(n * sizeof *out);
    memcpy(out, sd_plan_data(p, p->out), n * sizeof *out);
    sd_plan_free(p);
    return out;
}

static float *unet_answer(model *m)
{
    sd_plan p;
    bt_error err = { 0 };
    if (sd_unet_plan(m->ws, &m->unet, 1, H, W, TOKENS, false, &p, &err))
        fail_msg("%s", err.text);
    noise(sd_plan_data(&p, p.in), (size_t)H * W * (size_t)m->unet.in, 1);
    noise(sd_plan_data(&p, p.context), (size_t)TOKENS * (size_t)m->unet.context, 2);
    sd_unet_time(&m->unet, 500, sd_plan_data(&p, p.time));
    return finish(&p, (size_t)H * W * (size_t)m->unet.out);
}

static uint8_t *decoded(model *m, size_t *n)
{
    sd_plan p;
    bt_error err = { 0 };
    if (sd_vae_decoder_plan(m->ws, &m->vae, H, W, &p, &err))
        fail_msg("%s", err.text);
    noise(sd_plan_data(&p, p.in), (size_t)H * W * (size_t)m->vae.latent, 3);
    *n = (size_t)H * W * 3 * (size_t)m->vae.factor * (size_t)m->vae.factor;
    float *x = finish(&p, *n);
    uint8_t *rgb = malloc(*n);
    sd_picture_bytes(x, *n / 3, rgb);
    free(x);
    return rgb;
}

static void check_model(const char *path, kind kind, const char *isa)
{
    static const char *const names[] = { "trained", "random", "outliers" };
    model ref, fast;
    size_t n;
    ref.loud = fast.loud = 0;
    open_model(&ref, path, kind, isa, BT_PREC_F32);
    open_model(&fast, path, kind, isa, BT_PREC_AUTO);

    float *want = unet_answer(&ref), *got = unet_answer(&fast);
    double error = golden_rel_l2(got, want, (size_t)H * W * (size_t)ref.unet.out);
    uint8_t *picture = decoded(&ref, &n), *again = decoded(&fast, &n);
    double psnr = golden_psnr_db(again, picture, n);
    print_message("%s, %s: UNet %.2e, decoder %.1f dB\n", ref.kernels.isa, names[kind], error,
                  psnr);
    if (!(error <= UNET_BOUND) || !(psnr >= VAE_BOUND))
        fail_msg("%s, %s: UNet %.2e, decoder %.1f dB", isa, names[kind], error, psnr);
    free(want), free(got), free(picture), free(again);
    close_model(&ref);
    close_model(&fast);
}

static const char *const isas[] = { "auto", "avx512vnni", "avx512", "avx2" };
enum { N_ISA = 4 };

static void test_random(void **state)
{
    (void)state;
    for (int i = 0; i < N_ISA; i++)
        for (int k = RANDOM; k <= (GOLDEN_BRIEF ? RANDOM : OUTLIERS); k++)
            check_model(BT_SOURCE_DIR "/assets/icons-128.gguf", (kind)k, isas[i]);
}

/* Activations far beyond what half precision holds (65504), as SDXL's autoencoder has them, change
 * nothing in any type that is computed in. */
static void test_loud(void **state)
{
    static const char *const all[] = { "amx",     "avx512vnni", "avx512bf16",
                                       "avxvnni", "avx512",     "avx2" };
    static const bt_precision types[] = { BT_PREC_AUTO, BT_PREC_INT8, BT_PREC_BF16, BT_PREC_F32 };
    const char *path = BT_SOURCE_DIR "/assets/icons-128.gguf";
    size_t n;
    model m = { .loud = 1e12f };
    (void)state;
    open_model(&m, path, RANDOM, "auto", BT_PREC_F32);
    uint8_t *want = decoded(&m, &n);
    close_model(&m);
    for (int i = 0; i < (GOLDEN_BRIEF ? 2 : 6); i++)
        for (int p = 0; p < (GOLDEN_BRIEF ? 1 : 4); p++) {
            open_model(&m, path, RANDOM, all[i], types[p]);
            uint8_t *got = decoded(&m, &n);
            const double psnr = golden_psnr_db(got, want, n);
            if (!(psnr >= VAE_BOUND))
                fail_msg("%s, precision %d, loud: %.1f dB", all[i], (int)types[p], psnr);
            free(got);
            close_model(&m);
        }
    free(want);
}

static void test_icons(void **state)
{
    (void)state;
    const char *path = icons_path();
    if (!path)
        skip();
    for (int i = 0; i < N_ISA; i++)
        check_model(path, TRAINED, isas[i]);
}

/* Models named on the command line, the SD 1.5-sized ones of tests/bench/peers for
 * instance, are checked as they are, instead of the above. */
static char **given;

static void test_given(void **state)
{
    (void)state;
    for (char **path = given; *path; path++)
        for (int i = 0; i < N_ISA; i++)
            check_model(*path, TRAINED, isas[i]);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_icons),
        cmocka_unit_test(test_loud),
    };
    const struct CMUnitTest one[] = { cmocka_unit_test(test_given) };
    given = argv + 1;
    return argc > 1 ? cmocka_run_group_tests(one, NULL, NULL)
                    : cmocka_run_group_tests(tests, NULL, NULL);
}
