/* SPDX-License-Identifier: MIT
 * A run: settings, prompts, noise, denoising in groups of pictures, decoding.
 *
 * Text to picture and picture to picture follow diffusers' StableDiffusion
 * pipelines with one CPU generator per picture: picture i of a batch is the
 * one that seed + i makes alone.
 *
 *     options -> setup (all decided) -> work (what pictures share)
 *     for each GROUP: noise -> steps of (UNet -> guidance -> sampler) -> decode -> host
 *
 * Guidance (Ho and Salimans 2022, arXiv 2207.12598) asks the UNet twice, with
 * the negative prompt and with the prompt, in one run of twice the batch.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/rng.h"
#include "base/threads.h"
#include "diffusion.h"

enum { GROUP = 4 }; /* pictures that one run of the UNet takes; twice that with guidance */

struct bt_module_job {
    const sd_model *m;
    sd_cache cache;
};

/* Options with everything decided. */
typedef struct setup {
    int w, h, lw, lh, steps, first, batch, skip, philox;
    double cfg, eta, strength;
    bool guided;
    const sd_sampler *sampler;
    sd_grid_kind kind;
    sd_grid grid;
    uint64_t seed;
    const char *prompt, *negative;
    const bt_image *init, *mask;
} setup;

/* What all pictures of a run share. */
typedef struct work {
    bt_module_job *j;
    const bt_run *r;
    setup s;
    size_t n;                       /* values of a latent */
    float *moments;                 /* of the first picture: [rows][2 * latent]; NULL: none */
    float *pixels;                  /* of the first picture, 0..1 */
    float *mask;                    /* [lh * lw] 0 keeps, 1 repaints; NULL: repaint all */
    float *pixel_mask;              /* [h * w] 0..1 */
    int done, total;                /* steps, for progress */
    double encode, denoise, decode; /* seconds */
} work;

/* A picture and what it needs besides. */
typedef struct picture {
    sd_latent p;
    float *x0, *start; /* with a first picture: its latent, and the first noise */
    uint64_t seed;
} picture;

/* ---- settings ------------------------------------------------------------ */

/* What was asked for, else the first picture's side (rounded down to what the
 * model can make), else the model's own. */
static int fit(int64_t asked, int of_init, int of_model, int factor)
{
    if (asked != BT_INT_UNSET)
        return (int)asked;
    if (of_init)
        return of_init < factor ? factor : of_init / factor * factor;
    return of_model;
}

static bt_status set_size(const sd_model *m, const sd_options *o, setup *s, bt_error *err)
{
    int f = m->vae.factor;
    s->w = fit(o->width, s->init ? s->init->width : 0, m->unet.sample_w * f, f);
    s->h = fit(o->height, s->init ? s->init->height : 0, m->unet.sample_h * f, f);
    if (s->w % f || s->h % f || s->w < f || s->h < f)
        return bt_fail(err, BT_EINVAL,
                       "size %dx%d: width and height must be multiples of %d with "
                       "this model",
                       s->w, s->h, f);
    s->lw = s->w / f;
    s->lh = s->h / f;
    return BT_OK;
}

/* As diffusers' img2img: of n steps only the last int(n * strength) are done. */
static bt_status set_start(setup *s, bt_error *err)
{
    if (s->mask && !s->init)
        return bt_fail(err, BT_EINVAL, "a mask needs a picture to start from");
    if (!s->init)
        return BT_OK;
    s->first = s->steps - (int)(s->steps * s->strength);
    if (s->first >= s->steps)
        return bt_fail(err, BT_EINVAL, "strength %g leaves none of %d steps", s->strength,
                       s->steps);
    return BT_OK;
}

/* A scheduler that is asked for by its own name outweighs the sampler's. */
static void set_sampler(const sd_model *m, const sd_options *o, setup *s)
{
    bool karras = false;
    s->sampler =
        o->sampler ? sd_sampler_chosen(o->sampler, &karras) : sd_sampler_of(m->schedule.class_name);
    s->eta = s->sampler->family == SD_DDIM ? o->eta : 0;
    s->kind = (sd_grid_kind)o->scheduler;
    if (karras && s->kind == SD_GRID_MODEL)
        s->kind = SD_GRID_KARRAS;
}

static bt_status resolve(const sd_model *m, const sd_options *o, const bt_image *init,
                         const bt_image *mask, setup *s, bt_error *err)
{
    *s = (setup){ .init = init, .mask = mask, .prompt = o->prompt, .negative = o->negative };
    s->steps = o->steps == BT_INT_UNSET ? SD_DEFAULT_STEPS : (int)o->steps;
    s->cfg = isnan(o->cfg) ? sd_default_guidance(m) : o->cfg;
    s->guided = s->cfg > 1;
    s->batch = (int)o->batch;
    s->skip = (int)o->clip_skip - 1;
    s->strength = o->strength;
    s->philox = o->rng;
    set_sampler(m, o, s);
    if (s->skip >= m->clip.layers)
        return bt_fail(err, BT_EINVAL, "clip_skip: the text encoder has %d layers", m->clip.layers);
    bt_status st = bt_seed_choose(o->seed, &s->seed, err);
    if (st == BT_OK)
        st = set_size(m, o, s, err);
    if (st == BT_OK)
        st = set_start(s, err);
    if (st != BT_OK)
        return st;
    return sd_grid_create(&m->schedule, &m->train, s->sampler->family, s->kind, s->steps, &s->grid,
                          err);
}

/* ---- the picture to start from ------------------------------------------- */

static bt_status no_memory(const work *k)
{
    return bt_fail(k->r->error, BT_ENOMEM, "out of memory for %dx%d pixels", k->s.w, k->s.h);
}

static bt_status run_plan(const work *k, sd_plan *p, const char *name)
{
    bt_trace_attach(p->plan, k->r->trace, name);
    bt_status st = sd_plan_run(p, k->r->cancel, k->r->error);
    bt_trace_attach(p->plan, NULL, NULL);
    return st;
}

static bt_status encode_init(work *k)
{
    const sd_model *m = k->j->m;
    const setup *s = &k->s;
    size_t bytes = (size_t)s->lw * (size_t)s->lh * 2 * (size_t)m->vae.latent * sizeof(float);
    size_t values = 3 * (size_t)s->w * (size_t)s->h;
    sd_plan *p;

    k->pixels = sd_picture_resize(s->init, s->w, s->h, 3);
    k->moments = bt_alloc(bytes);
    if (!k->pixels || !k->moments)
        return no_memory(k);
    bt_status st = sd_cache_ready_plan(&k->j->cache, SD_ENCODER, 1, s->lh, s->lw, &p, k->r->error);
    if (st != BT_OK)
        return st;
    float *in = sd_plan_data(p, p->in);
    for (size_t i = 0; i < values; i++)
        in[i] = 2 * k->pixels[i] - 1;
    st = run_plan(k, p, "encoder");
    if (st == BT_OK)
        memcpy(k->moments, sd_plan_data(p, p->out), bytes);
    sd_cache_rest(&k->j->cache, SD_ENCODER);
    return st;
}

/* White repaints. A latent row follows the mean of its pixels. */
static bt_status read_mask(work *k)
{
    const setup *s = &k->s;
    k->pixel_mask = sd_picture_resize(s->mask, s->w, s->h, 1);
    k->mask = sd_picture_resize(s->mask, s->lw, s->lh, 1);
    if (!k->pixel_mask || !k->mask)
        return no_memory(k);
    for (size_t i = 0; i < (size_t)s->lw * (size_t)s->lh; i++)
        k->mask[i] = k->mask[i] >= 0.5f;
    return BT_OK;
}

/* A sample of the encoder's distribution, in the UNet's scale. */
static void draw_init(const work *k, picture *pic)
{
    const sd_vae_config *v = &k->j->m->vae;
    sd_latent *p = &pic->p;
    int c = v->latent;
    sd_noise_draw(&p->rng, p->noise, p->tmp, p->c, p->h, p->w);
    for (size_t i = 0; i < k->n; i++) {
        const float *row = k->moments + i / (size_t)c * 2 * (size_t)c;
        float mean = row[i % (size_t)c], logvar = row[i % (size_t)c + (size_t)c];
        float std = expf(0.5f * (logvar < -30 ? -30 : logvar > 20 ? 20 : logvar));
        pic->x0[i] = v->scale * (mean + std * p->noise[i] - v->shift);
    }
}

/* ---- denoising ------------------------------------------------------------ */

/* The generator first gives the noise of the first picture's sample, if there is
 * one, then the starting noise, then the steps': diffusers' order. */
static void start_picture(const work *k, picture *pic, uint64_t seed)
{
    const setup *s = &k->s;
    sd_latent *p = &pic->p;
    pic->seed = seed;
    p->done = 0;
    sd_noise_seed(&p->rng, s->philox, seed);
    if (s->init)
        draw_init(k, pic);
    sd_noise_draw(&p->rng, pic->start, p->tmp, p->c, p->h, p->w);
    if (s->init)
        sd_sampler_mix(s->sampler, &s->grid, s->first, pic->x0, pic->start, p->x, k->n);
    else
        for (size_t i = 0; i < k->n; i++)
            p->x[i] = pic->start[i] * s->grid.start;
}

/* Rows of the batch: without the prompt for every picture, then with it. */
static void fill_input(const work *k, sd_plan *p, const picture *pics, int b, int step)
{
    const setup *s = &k->s;
    float *in = sd_plan_data(p, p->in);
    for (int i = 0; i < b; i++)
        sd_sampler_input(s->sampler, &s->grid, step, pics[i].p.x, in + (size_t)i * k->n, k->n);
    if (s->guided)
        memcpy(in + (size_t)b * k->n, in, (size_t)b * k->n * sizeof *in);
    sd_unet_time(&k->j->m->unet, s->grid.t[step], sd_plan_data(p, p->time));
}

/* Hidden states of both prompts, in the order of fill_input's rows; both come
 * from the cache when they have been encoded before. */
static bt_status fill_context(const work *k, sd_plan *p, int b)
{
    const setup *s = &k->s;
    const sd_model *m = k->j->m;
    size_t each = (size_t)m->tokens * (size_t)m->unet.context;
    float *context = sd_plan_data(p, p->context);
    const char *texts[2] = { s->guided ? s->negative : s->prompt, s->prompt };
    for (int side = 0; side < (s->guided ? 2 : 1); side++) {
        const float *hidden;
        bt_status st = sd_cache_prompt(&k->j->cache, k->r, texts[side], s->skip, &hidden);
        if (st != BT_OK)
            return st;
        for (int i = 0; i < b; i++, context += each)
            memcpy(context, hidden, each * sizeof *hidden);
    }
    return BT_OK;
}

/* The network's answer for picture i, guided: none + cfg * (with - none). */
static const float *answer(const work *k, sd_plan *p, int b, int i)
{
    float *out = sd_plan_data(p, p->out), *none = out + (size_t)i * k->n;
    if (!k->s.guided)
        return none;
    const float *with = out + (size_t)(b + i) * k->n;
    float cfg = (float)k->s.cfg;
    for (size_t j = 0; j < k->n; j++)
        none[j] += cfg * (with[j] - none[j]);
    return none;
}

/* Where the mask keeps the first picture, its latent as noisy as the rest. */
static void keep_unmasked(const work *k, picture *pic, int step)
{
    size_t c = (size_t)pic->p.c;
    float *was = pic->p.noise; /* free between steps */
    sd_sampler_mix(k->s.sampler, &k->s.grid, step, pic->x0, pic->start, was, k->n);
    for (size_t i = 0; i < k->n; i++)
        if (k->mask[i / c] == 0)
            pic->p.x[i] = was[i];
}

static bt_status one_step(work *k, sd_plan *p, picture *pics, int b, int i)
{
    const setup *s = &k->s;
    sd_step step = { &s->grid, &k->j->m->schedule, i, s->eta };
    bt_status st;
    BT_TRY(k->r->progress(k->r->host, "denoise", k->done++, k->total));
    BT_TRY(fill_context(k, p, b)); /* inputs may not outlive a run */
    fill_input(k, p, pics, b, i);
    BT_TRY(run_plan(k, p, "unet"));
    for (int j = 0; j < b; j++) {
        s->sampler->step(&step, &pics[j].p, answer(k, p, b, j));
        pics[j].p.done++;
        if (k->mask)
            keep_unmasked(k, &pics[j], i + 1);
    }
    return BT_OK;
fail:
    return st;
}

static bt_status denoise(work *k, picture *pics, int b)
{
    const setup *s = &k->s;
    double start = bt_now();
    sd_plan *p;
    const float *unused;
    bt_status st;
    /* Encode first: the text encoder's plan may take the place of another. */
    BT_TRY(sd_cache_prompt(&k->j->cache, k->r, s->prompt, s->skip, &unused));
    if (s->guided)
        BT_TRY(sd_cache_prompt(&k->j->cache, k->r, s->negative, s->skip, &unused));
    sd_cache_rest(&k->j->cache, SD_CLIP);
    k->encode += bt_now() - start;
    start = bt_now();
    BT_TRY(sd_cache_ready_plan(&k->j->cache, SD_UNET, s->guided ? 2 * b : b, s->lh, s->lw, &p,
                               k->r->error));
    for (int i = s->first; i < s->steps; i++)
        BT_TRY(one_step(k, p, pics, b, i));
    sd_cache_rest(&k->j->cache, SD_UNET);
    k->denoise += bt_now() - start;
    return k->r->progress(k->r->host, "denoise", k->done, k->total);
fail:
    return st;
}

/* ---- decoding -------------------------------------------------------------- */

static void paste_kept(const work *k, uint8_t *rgb)
{
    for (size_t i = 0; i < 3 * (size_t)k->s.w * (size_t)k->s.h; i++) {
        float a = k->pixel_mask[i / 3];
        rgb[i] = (uint8_t)rintf(a * (float)rgb[i] + (1 - a) * 255 * k->pixels[i]);
    }
}

static bt_status hand_over(const work *k, const picture *pic, const uint8_t *rgb)
{
    const setup *s = &k->s;
    sd_info info = {
        .prompt = s->prompt,
        .negative = s->negative,
        .sampler = s->sampler->label,
        .scheduler = sd_grid_label(s->kind),
        .model = k->j->m->name,
        .steps = s->steps,
        .width = s->w,
        .height = s->h,
        .clip_skip = s->skip + 1,
        .philox = s->philox,
        .cfg = s->cfg,
        .eta = s->eta,
        .strength = s->init ? s->strength : NAN,
        .seed = pic->seed,
    };
    char *text = sd_infotext(&info);
    if (!text)
        return no_memory(k);
    bt_status st = k->r->image(k->r->host, s->w, s->h, rgb, text);
    bt_release(text);
    return st;
}

static bt_status decode(work *k, const picture *pic)
{
    const sd_model *m = k->j->m;
    const setup *s = &k->s;
    size_t pixels = (size_t)s->w * (size_t)s->h;
    double start = bt_now();
    sd_plan *p;
    bt_status st = sd_cache_ready_plan(&k->j->cache, SD_DECODER, 1, s->lh, s->lw, &p, k->r->error);
    if (st != BT_OK)
        return st;
    float *in = sd_plan_data(p, p->in);
    for (size_t i = 0; i < k->n; i++)
        in[i] = pic->p.x[i] / m->vae.scale + m->vae.shift;
    if ((st = run_plan(k, p, "decoder")) != BT_OK)
        return st;
    uint8_t *rgb = bt_alloc(3 * pixels);
    if (!rgb)
        return no_memory(k);
    sd_picture_bytes(sd_plan_data(p, p->out), pixels, rgb);
    if (k->mask)
        paste_kept(k, rgb);
    sd_cache_rest(&k->j->cache, SD_DECODER);
    k->decode += bt_now() - start;
    st = hand_over(k, pic, rgb);
    bt_release(rgb);
    return st;
}

/* ---- the whole run ---------------------------------------------------------- */

/* Six buffers of k->n values for each picture of a group. */
static float *lay_out(const work *k, picture *pics, int b)
{
    size_t each = 6 * k->n;
    float *block = bt_calloc((size_t)b * each, sizeof *block);
    for (int i = 0; block && i < b; i++) {
        float *at = block + (size_t)i * each;
        pics[i] = (picture){ .p = { .x = at,
                                    .old = at + k->n,
                                    .noise = at + 2 * k->n,
                                    .tmp = at + 3 * k->n,
                                    .c = k->j->m->vae.latent,
                                    .h = k->s.lh,
                                    .w = k->s.lw },
                             .x0 = at + 4 * k->n,
                             .start = at + 5 * k->n };
    }
    return block;
}

static bt_status make_group(work *k, int from, int b)
{
    picture pics[GROUP];
    bt_status st;
    float *block = lay_out(k, pics, b);
    if (!block)
        return no_memory(k);
    for (int i = 0; i < b; i++)
        start_picture(k, &pics[i], k->s.seed + (uint64_t)(from + i));
    BT_TRY(denoise(k, pics, b));
    for (int i = 0; i < b; i++) {
        BT_TRY(k->r->progress(k->r->host, "decode", from + i, k->s.batch));
        BT_TRY(decode(k, &pics[i]));
    }
    st = k->r->progress(k->r->host, "decode", from + b, k->s.batch);
fail:
    bt_release(block);
    return st;
}

static bt_status report_all(const work *k)
{
    const setup *s = &k->s;
    struct {
        const char *name, *format;
        double value;
    } facts[] = {
        { "width", "%.0f", s->w },
        { "height", "%.0f", s->h },
        { "steps", "%.0f", s->steps },
        { "cfg_scale", "%.10g", s->cfg },
        { "eta", "%.10g", s->eta },
        { "encode_seconds", "%.6f", k->encode },
        { "denoise_seconds", "%.6f", k->denoise },
        { "decode_seconds", "%.6f", k->decode },
    };
    char text[64];
    bt_status st;
    for (size_t i = 0; i < sizeof facts / sizeof *facts; i++) {
        snprintf(text, sizeof text, facts[i].format, facts[i].value);
        BT_TRY(k->r->report(k->r->host, facts[i].name, text));
    }
    snprintf(text, sizeof text, "%llu", (unsigned long long)s->seed);
    BT_TRY(k->r->report(k->r->host, "seed", text));
    if (s->kind == SD_GRID_KARRAS) /* the sampler's name may have brought it */
        BT_TRY(k->r->report(k->r->host, "scheduler", "\"karras\""));
    snprintf(text, sizeof text, "\"%s\"", s->sampler->name);
    return k->r->report(k->r->host, "sampler", text);
fail:
    return st;
}

/* How much of the prompt the text encoder reads. */
static bt_status report_prompt(const work *k)
{
    bt_ids ids = { 0 };
    char text[32];
    bt_status st = bt_bpe_encode(k->j->m->bpe, k->s.prompt, strlen(k->s.prompt), false, &ids);
    size_t n = ids.len, room = (size_t)k->j->m->tokens - 2;
    bt_ids_free(&ids);
    if (st != BT_OK)
        return no_memory(k);
    snprintf(text, sizeof text, "%zu", n);
    st = k->r->report(k->r->host, "prompt_tokens", text);
    return st == BT_OK ? k->r->report(k->r->host, "prompt_cut", n > room ? "true" : "false") : st;
}

static bt_status run_all(work *k)
{
    const setup *s = &k->s;
    bt_status st;
    k->n = (size_t)s->lw * (size_t)s->lh * (size_t)k->j->m->vae.latent;
    k->total = (s->batch + GROUP - 1) / GROUP * (s->steps - s->first);
    double start = bt_now();
    if (s->init)
        BT_TRY(encode_init(k));
    if (s->mask)
        BT_TRY(read_mask(k));
    k->encode = bt_now() - start;
    BT_TRY(report_prompt(k));
    for (int i = 0; i < s->batch; i += GROUP)
        BT_TRY(make_group(k, i, s->batch - i < GROUP ? s->batch - i : GROUP));
    return report_all(k);
fail:
    return st;
}

bt_status sd_job_run(bt_module_job *j, const bt_run *r)
{
    work k = { .j = j, .r = r };
    bt_status st = resolve(j->m, r->options, r->image_in(r->host, "init"),
                           r->image_in(r->host, "mask"), &k.s, r->error);
    if (st == BT_OK)
        st = run_all(&k);
    bt_release(k.moments);
    bt_release(k.pixels);
    bt_release(k.mask);
    bt_release(k.pixel_mask);
    sd_grid_release(&k.s.grid);
    return st;
}

/* ---- estimate ---------------------------------------------------------------- */

bt_status sd_job_estimate(bt_module_job *j, const void *options, bt_estimate *out, bt_error *err)
{
    const sd_model *m = j->m;
    setup s = { 0 };
    sd_plan *clip, *unet, *decoder;
    bt_status st;
    BT_TRY(resolve(m, options, NULL, NULL, &s, err));
    int b = s.batch < GROUP ? s.batch : GROUP, n = s.guided ? 2 * b : b;
    BT_TRY(sd_cache_plan(&j->cache, SD_CLIP, s.skip, 0, 0, &clip, err));
    BT_TRY(sd_cache_plan(&j->cache, SD_UNET, n, s.lh, s.lw, &unet, err));
    BT_TRY(sd_cache_plan(&j->cache, SD_DECODER, 1, s.lh, s.lw, &decoder, err));
    /* One part at a time, but the UNet's weights stay for the next picture. */
    out->weights = bt_plan_weights(unet->plan) + bt_plan_weights(decoder->plan);
    const uint64_t first = bt_plan_arena(unet->plan), last = bt_plan_arena(decoder->plan);
    out->arena = first > last ? first : last;
    out->caches = SD_MAX_PROMPTS * (uint64_t)m->tokens * (uint64_t)m->unet.context * sizeof(float);
    out->flops = (s.guided ? 2 : 1) * bt_plan_flops(clip->plan) +
                 bt_plan_flops(unet->plan) / b * s.batch * s.steps +
                 bt_plan_flops(decoder->plan) * s.batch;
fail:
    sd_grid_release(&s.grid);
    return st;
}

/* ---- life -------------------------------------------------------------------- */

bt_status sd_job_open(void *model, bt_module_job **job, bt_error *err)
{
    *job = bt_calloc(1, sizeof **job);
    if (!*job)
        return bt_no_memory(err, "the job");
    (*job)->m = (*job)->cache.m = model;
    return BT_OK;
}

void sd_job_close(bt_module_job *j)
{
    if (!j)
        return;
    sd_cache_release(&j->cache);
    bt_release(j);
}
