/* SPDX-License-Identifier: MIT
 * Text encoder, UNet and autoencoder, each alone, against diffusers in float32
 * (make_image_parts.py, make_tiny_sd.py); by hand also at models' real sizes:
 *
 *     image_parts MODEL /path/golden.safetensors [text] [small] [own] [vae]
 */
#include "common.h"

#include "image/network/networks.h"
#include "text/bpe.h"

#define BOUND      1e-4 /* relative L2 */
#define REAL_BOUND 1e-3 /* at real sizes */

typedef struct model {
    bt_store *store, *golden;
    bt_weights *ws;
    bt_kernels kernels;
    bt_compute compute;
    sd_clip_config clip;
    sd_unet_config unet;
    sd_vae_config vae;
} model;

static void open_model(model *m, const char *path, const char *golden, const char *isa)
{
    bt_error err = { 0 };
    bt_kernels_init(&m->kernels, bt_cpu_flags() & (uint32_t)bt_cpu_cap(isa));
    m->compute = (bt_compute){ .kernels = &m->kernels, .threads = 2, .precision = BT_PREC_F32 };
    m->golden = golden_open(golden);
    if (bt_store_open(path, &m->store, &err) ||
        sd_clip_read(m->store, "text_encoder", &m->clip, &err) ||
        sd_unet_read(m->store, &m->unet, &err) || sd_vae_read(m->store, &m->vae, &err) ||
        bt_weights_create(m->store, &m->compute, &m->ws, &err))
        fail_msg("%s", err.text);
}

static void close_model(model *m)
{
    bt_weights_free(m->ws);
    bt_store_close(m->store);
    bt_store_close(m->golden);
}

static void run(sd_plan *p)
{
    bt_error err = { 0 };
    if (sd_plan_run(p, NULL, &err) != BT_OK)
        fail_msg("%s", err.text);
}

static void check_plan(bt_status st, const bt_error *err)
{
    if (st != BT_OK)
        fail_msg("%s", err->text);
}

static double bound = BOUND;

static void check(const char *what, const float *x, const float *ref, size_t n)
{
    double e = golden_rel_l2(x, ref, n);
    print_message("%s: %.2e\n", what, e);
    if (!(e <= bound))
        fail_msg("%s: relative error %g", what, e);
}

static void test_clip(model *m)
{
    bt_error err = { 0 };
    sd_plan p;
    size_t n, n_ids;
    int64_t *ids = golden_ints(m->golden, "clip.ids", &n_ids);
    float *ref = golden_floats(m->golden, "clip.last_hidden_state", &n);
    int tokens = (int)bt_store_find(m->golden, "clip.ids")->dims[1];
    size_t each = (size_t)tokens * (size_t)m->clip.hidden;

    check_plan(sd_clip_plan(m->ws, &m->clip, tokens, 0, &p, &err), &err);
    for (size_t k = 0; k < n_ids / (size_t)tokens; k++) {
        int32_t *in = bt_plan_data(p.plan, p.ids), *at = bt_plan_data(p.plan, p.positions);
        for (int i = 0; i < tokens; i++)
            in[i] = (int32_t)ids[k * (size_t)tokens + (size_t)i], at[i] = i;
        run(&p);
        check("clip", sd_plan_data(&p, p.out), ref + k * each, each);
    }
    sd_plan_free(&p);
    free(ids);
    free(ref);
}

static void copy_nhwc(float *to, const float *from, int n, int c, int h, int w)
{
    size_t each = (size_t)c * (size_t)h * (size_t)w;
    for (int i = 0; i < n; i++) {
        float *x = to_nhwc(from + (size_t)i * each, c, h, w);
        memcpy(to + (size_t)i * each, x, each * sizeof *x);
        free(x);
    }
}

/* SDXL's pooled text and sizes, if the golden has them. */
static void fill_added(model *m, sd_plan *p)
{
    size_t n;
    if (!p->added)
        return;
    float *pooled = golden_floats(m->golden, "unet.pooled", NULL);
    float *sizes = golden_floats(m->golden, "unet.sizes", &n);
    sd_unet_added(&m->unet, pooled, (int)n, sizes, sd_plan_data(p, p->added));
    free(pooled), free(sizes);
}

static void unet_case(model *m, const char *in, const char *out, float t, int skip_context)
{
    bt_error err = { 0 };
    sd_plan p;
    size_t n_in, n_out, n_context;
    const bt_tensor *shape = bt_store_find(m->golden, in);
    int n = (int)shape->dims[0], c = (int)shape->dims[1];
    int h = (int)shape->dims[2], w = (int)shape->dims[3];
    float *x = golden_floats(m->golden, in, &n_in), *ref = golden_floats(m->golden, out, &n_out);
    float *context = golden_floats(m->golden, "unet.context", &n_context);
    int tokens = (int)bt_store_find(m->golden, "unet.context")->dims[1];
    size_t each = (size_t)tokens * (size_t)m->unet.context;
    float *got = malloc(n_out * sizeof *got);

    check_plan(sd_unet_plan(m->ws, &m->unet, n, h, w, tokens, false, &p, &err), &err);
    copy_nhwc(sd_plan_data(&p, p.in), x, n, c, h, w);
    sd_unet_time(&m->unet, t, sd_plan_data(&p, p.time));
    memcpy(sd_plan_data(&p, p.context), context + (size_t)skip_context * each,
           (size_t)n * each * sizeof *context);
    fill_added(m, &p);
    run(&p);
    const float *y = sd_plan_data(&p, p.out);
    for (int i = 0; i < n; i++) {
        size_t k = (size_t)m->unet.out * (size_t)h * (size_t)w;
        float *planes = to_nchw(y + (size_t)i * k, m->unet.out, h, w);
        memcpy(got + (size_t)i * k, planes, k * sizeof *planes);
        free(planes);
    }
    check(out, got, ref, n_out);
    sd_plan_free(&p);
    free(x), free(ref), free(context), free(got);
}

static void test_unet(model *m)
{
    unet_case(m, "unet.input", "unet.output.t999", 999, 0);
    unet_case(m, "unet.input", "unet.output.t500", 500, 0);
    unet_case(m, "unet.input", "unet.output.t0", 0, 0);
    unet_case(m, "unet.input", "unet.output.t123.456", 123.456f, 0);
    unet_case(m, "unet.input.24x8", "unet.output.24x8.t500", 500, 1);
}

static void test_vae(model *m)
{
    bt_error err = { 0 };
    sd_plan p;
    size_t n;
    const bt_tensor *z = bt_store_find(m->golden, "vae.latent");
    int c = (int)z->dims[1], h = (int)z->dims[2], w = (int)z->dims[3];
    int f = m->vae.factor;
    float *x = golden_floats(m->golden, "vae.latent", &n);
    for (size_t i = 0; i < n; i++)
        x[i] /= m->vae.scale;
    check_plan(sd_vae_decoder_plan(m->ws, &m->vae, h, w, &p, &err), &err);
    copy_nhwc(sd_plan_data(&p, p.in), x, 1, c, h, w);
    run(&p);
    float *got = to_nchw(sd_plan_data(&p, p.out), 3, h * f, w * f);
    free(x);
    x = golden_floats(m->golden, "vae.decoded", &n);
    check("vae.decoded", got, x, n);
    sd_plan_free(&p);
    free(x), free(got);

    int64_t *pixels = golden_ints(m->golden, "vae.image_u8", &n);
    x = malloc(n * sizeof *x);
    for (size_t i = 0; i < n; i++)
        x[i] = (float)pixels[i] / 255 * 2 - 1;
    check_plan(sd_vae_encoder_plan(m->ws, &m->vae, h, w, &p, &err), &err);
    copy_nhwc(sd_plan_data(&p, p.in), x, 1, 3, h * f, w * f);
    run(&p);
    got = to_nchw(sd_plan_data(&p, p.out), 2 * c, h, w);
    free(x);
    x = golden_floats(m->golden, "vae.moments", &n);
    check("vae.moments", got, x, n);
    sd_plan_free(&p);
    free(x), free(got), free(pixels);
}

static void test_tiny(void **state)
{
    (void)state;
    static const char *const isas[] = { "scalar", "avx2", "auto" };
    for (int i = 0; i < 3; i++) {
        model m;
        open_model(&m, BT_SOURCE_DIR "/tests/golden/tiny-sd", "tiny_sd_parts", isas[i]);
        print_message("%s\n", m.kernels.isa);
        test_clip(&m);
        test_unet(&m);
        test_vae(&m);
        close_model(&m);
    }
}

static void test_icons(void **state)
{
    (void)state;
    model m;
    const char *path = icons_path();
    if (!path)
        skip();
    open_model(&m, path, "image_parts", "auto");
    test_clip(&m);
    test_unet(&m);
    test_vae(&m);
    close_model(&m);
}

/* ---- models named on the command line ------------------------------------------ */

static char **given;

static bool wanted(const char *part)
{
    bool any = false, found = false;
    for (char **a = given + 2; *a; a++) {
        any = true;
        found |= !strcmp(*a, part);
    }
    return found || !any;
}

static void check_rows(model *m, const char *tensor, const float *x, size_t each, size_t k)
{
    size_t n;
    float *ref = golden_floats(m->golden, tensor, &n);
    assert_true((k + 1) * each <= n);
    check(tensor, x, ref + k * each, each);
    free(ref);
}

/* Both prompts through one text encoder. */
static void real_text(model *m, const sd_clip_config *c)
{
    bt_error err = { 0 };
    sd_plan p;
    char rows[64], pooled[64];
    size_t n;
    int64_t *ids = golden_ints(m->golden, "text.ids", &n);
    const size_t tokens = (size_t)bt_store_find(m->golden, "text.ids")->dims[1];
    snprintf(rows, sizeof rows, "%s.rows", c->folder);
    snprintf(pooled, sizeof pooled, "%s.pooled", c->folder);
    check_plan(sd_clip_plan(m->ws, c, (int)tokens, 0, &p, &err), &err);
    for (size_t k = 0; k < n / tokens; k++) {
        const int64_t *of = ids + k * tokens;
        int32_t *in = bt_plan_data(p.plan, p.ids), *at = bt_plan_data(p.plan, p.positions);
        int end = 0;
        for (size_t i = 0; i < tokens; i++)
            in[i] = (int32_t)of[i], at[i] = (int32_t)i;
        while (of[end] != of[tokens - 1])
            end++;
        if (p.end)
            *(int32_t *)bt_plan_data(p.plan, p.end) = end;
        run(&p);
        check_rows(m, rows, sd_plan_data(&p, p.out), tokens * (size_t)c->hidden, k);
        if (p.pooled)
            check_rows(m, pooled, sd_plan_data(&p, p.pooled), (size_t)bt_shape_of(p.pooled).c, k);
    }
    sd_plan_free(&p);
    free(ids);
}

static void test_given(void **state)
{
    (void)state;
    bt_error err = { 0 };
    void *opened;
    model m = { 0 };
    bt_kernels_init(&m.kernels, bt_cpu_flags());
    m.compute = (bt_compute){ .kernels = &m.kernels, .threads = 2, .precision = BT_PREC_F32 };
    if (bt_store_open(given[0], &m.store, &err) ||
        sd_model_open(m.store, &m.compute, &opened, &err))
        fail_msg("%s", err.text);
    const sd_model *o = opened;
    m.golden = golden_open(given[1]);
    m.ws = o->ws, m.unet = o->unet, m.vae = o->vae;
    bound = REAL_BOUND;
    if (wanted("text"))
        real_text(&m, &o->clip);
    if (wanted("text") && o->clip2.layers)
        real_text(&m, &o->clip2);
    if (wanted("small"))
        unet_case(&m, "unet.small.input", "unet.small.output", 500, 0);
    if (wanted("own"))
        unet_case(&m, "unet.own.input", "unet.own.output", 500, 0);
    if (wanted("vae"))
        test_vae(&m);
    bt_store_close(m.golden);
    sd_model_close(opened);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tiny),
        cmocka_unit_test(test_icons),
    };
    const struct CMUnitTest one[] = { cmocka_unit_test(test_given) };
    given = argv + 1;
    return argc > 2 ? cmocka_run_group_tests(one, NULL, NULL)
                    : cmocka_run_group_tests(tests, NULL, NULL);
}
