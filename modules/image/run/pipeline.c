/* SPDX-License-Identifier: MIT
 * A run from end to end, its reports and its estimate.
 *
 * Text to picture and picture to picture follow diffusers' StableDiffusion
 * pipelines with one CPU generator per picture: picture i of a batch is the
 * one that seed + i makes alone.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/threads.h"
#include "image/run/run.h"

bt_status sd_run_no_memory(const sd_work *k)
{
    return bt_fail(k->r->error, BT_ENOMEM, "out of memory for %dx%d pixels", k->s.w, k->s.h);
}

bt_status sd_run_plan(const sd_work *k, sd_plan *p, const char *name)
{
    return sd_cache_run(p, k->r, name);
}

/* x, noise, x0, start and the walk's of each; SD_BROWNIAN_TMP once. */
uint64_t sd_run_walk_bytes(const sd_setup *s, int channels, int b)
{
    const uint64_t n = (uint64_t)s->lw * (uint64_t)s->lh * (uint64_t)channels;
    return ((4 + SD_WALK_FLOATS) * (uint64_t)b + SD_BROWNIAN_TMP) * n * sizeof(float);
}

float *sd_run_lay_out(const sd_work *k, sd_making *pics, int b, float **walk)
{
    size_t n = k->n, all = (size_t)b * n;
    const uint64_t walks = sd_run_walk_bytes(&k->s, k->j->m->vae.latent, b);
    const size_t rows = (size_t)k->s.lw * (size_t)k->s.lh;
    const size_t more = rows * (size_t)(k->j->m->unet.in - k->j->m->vae.latent);
    float *block = bt_calloc(walks + (size_t)b * more * sizeof(float), 1);
    if (!block)
        return NULL;
    for (int i = 0; i < b; i++) {
        float *at = block + (size_t)i * n;
        pics[i] = (sd_making){ .p = { .shape = { k->j->m->vae.latent, k->s.lh, k->s.lw },
                                      .x = at,
                                      .noise = at + all,
                                      .tmp = block + 4 * all },
                               .kept = block + walks / sizeof(float) + (size_t)i * more,
                               .x0 = at + 2 * all,
                               .start = at + 3 * all };
    }
    *walk = block + 4 * all + SD_BROWNIAN_TMP * n;
    return block;
}

/* Pictures made in one run of the network, from number `from`. The prompts of a picture that
 * are those of the one before are the same object. */
typedef struct group {
    int from, n;
    sd_asked *asked[2][SD_GROUP]; /* in the first pass; in the second, if there is one */
} group;

static void free_group(group *g)
{
    for (int pass = 0; pass < 2; pass++)
        for (int i = 0; i < g->n; i++)
            if (i == 0 || g->asked[pass][i] != g->asked[pass][i - 1])
                sd_asked_free(g->asked[pass][i]);
    g->n = 0;
}

/* The next picture joins if its prompts have the group's shape. */
static bt_status join(const sd_work *k, group *g, bool *joined)
{
    const sd_setup *const passes[2] = { &k->s, k->second };
    const uint64_t seed = sd_run_seed(&k->s, g->from + g->n);
    const int n = g->n++;
    bt_status st = BT_OK;
    *joined = true;
    for (int i = 0; i < 2 && st == BT_OK; i++) {
        sd_asked **a = &g->asked[i][n], *last = n ? g->asked[i][n - 1] : NULL;
        if (passes[i])
            st = sd_run_ask(k->j->m, passes[i], seed, last, a, k->r->error);
        *joined &= st == BT_OK && (!last || sd_asked_alike(last, *a));
    }
    for (int i = 0; i < 2 && !*joined; i++) {
        if (n == 0 || g->asked[i][n] != g->asked[i][n - 1])
            sd_asked_free(g->asked[i][n]);
        g->n = n;
    }
    return st;
}

static bt_status gather(const sd_work *k, group *g)
{
    bool joined;
    bt_status st = join(k, g, &joined);
    while (st == BT_OK && joined && g->n < sd_run_group(&k->s, g->asked[0][0]) &&
           g->from + g->n < k->s.batch)
        st = join(k, g, &joined);
    return st;
}

static bt_status finish_group(sd_work *k, const sd_making *pics, int from, int b)
{
    bt_status st;
    for (int i = 0; i < b; i++) {
        BT_TRY(k->r->progress(k->r->host, "decode", from + i, k->s.batch));
        BT_TRY(sd_run_finish(k, &pics[i]));
    }
    st = k->r->progress(k->r->host, "decode", from + b, k->s.batch);
fail:
    return st;
}

static size_t latent_values(const sd_work *k, const sd_setup *s)
{
    return (size_t)s->lw * (size_t)s->lh * (size_t)k->j->m->vae.latent;
}

/* The second pass, in a run of its own kind whose counts go on. */
static bt_status finish_larger(sd_work *k, const sd_making *pics, const group *g)
{
    sd_making to[SD_GROUP];
    sd_work big = *k;
    bt_status st;
    big.base = &k->s;
    big.s = *k->second;
    big.n = latent_values(k, &big.s);
    float *walk, *block = sd_run_lay_out(&big, to, g->n, &walk);
    if (!block)
        return sd_run_no_memory(&big);
    for (int i = 0; i < g->n; i++)
        to[i].asked = g->asked[1][i];
    BT_TRY(sd_run_hires(k, pics, &big, to, g->from, g->n));
    BT_TRY(sd_run_denoise(&big, to, g->n, g->from, walk));
    st = finish_group(&big, to, g->from, g->n);
fail:
    bt_release(block);
    k->done = big.done;
    k->encode = big.encode, k->denoise = big.denoise, k->decode = big.decode;
    return st;
}

static bt_status make_group(sd_work *k, const group *g)
{
    sd_making pics[SD_GROUP];
    bt_status st = sd_run_loras(k->j, &g->asked[0][0]->loras, k->r->error);
    if (st != BT_OK)
        return st;
    float *walk, *block = sd_run_lay_out(k, pics, g->n, &walk);
    if (!block)
        return sd_run_no_memory(k);
    for (int i = 0; i < g->n; i++) {
        pics[i].asked = g->asked[0][i];
        sd_run_start(k, &pics[i], g->from + i);
    }
    BT_TRY(sd_run_denoise(k, pics, g->n, g->from, walk));
    st = k->second ? finish_larger(k, pics, g) : finish_group(k, pics, g->from, g->n);
fail:
    bt_release(block);
    return st;
}

static bt_status report_all(const sd_work *k)
{
    const sd_setup *s = &k->s;
    struct {
        const char *name, *format;
        double value;
    } facts[] = {
        { "width", "%.0f", s->w },
        { "height", "%.0f", s->h },
        { "steps", "%.0f", s->steps },
        { "cfg_scale", "%.10g", s->cfg },
        { "eta", "%.10g", s->eta },
        { "vae_tile", "%.0f", s->tile * k->j->m->vae.factor },
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
    if (s->variation > 0) {
        snprintf(text, sizeof text, "%llu", (unsigned long long)s->variation_seed);
        BT_TRY(k->r->report(k->r->host, "variation_seed", text));
    }
    snprintf(text, sizeof text, "\"%s\"", sd_grid_name(s->kind)); /* a sampler's name may say it */
    BT_TRY(k->r->report(k->r->host, "scheduler", text));
    snprintf(text, sizeof text, "\"%s\"", s->sampler->name);
    return k->r->report(k->r->host, "sampler", text);
fail:
    return st;
}

/* How much text the first picture is made from. */
static bt_status report_prompt(const sd_work *k, const sd_asked *a)
{
    char text[32];
    snprintf(text, sizeof text, "%zu", a->words);
    bt_status st = k->r->report(k->r->host, "prompt_tokens", text);
    snprintf(text, sizeof text, "%d", a->longest);
    return st == BT_OK ? k->r->report(k->r->host, "prompt_chunks", text) : st;
}

/* All pictures in groups, each handed to `make` (NULL: only counted). */
static bt_status for_groups(sd_work *k, int *count, bt_status (*make)(sd_work *, const group *))
{
    bt_status st = BT_OK;
    *count = 0;
    for (int i = 0; i < k->s.batch && st == BT_OK; ++*count) {
        group g = { .from = i };
        st = gather(k, &g);
        if (st == BT_OK && !make && i == 0)
            st = report_prompt(k, g.asked[0][0]);
        if (st == BT_OK && make)
            st = make(k, &g);
        i += g.n;
        free_group(&g);
    }
    return st;
}

static bt_status run_all(sd_work *k)
{
    const sd_setup *s = &k->s;
    int groups;
    bt_status st;
    const sd_setup *last = k->second;
    const int each = s->grid.n - s->first + (last ? last->grid.n - last->first : 0);
    k->n = latent_values(k, s);
    double start = bt_now();
    BT_TRY(for_groups(k, &groups, NULL));
    k->total = groups * each;
    BT_TRY(sd_run_read_inputs(k));
    if (s->init)
        BT_TRY(sd_run_encode_init(k));
    if (k->j->m->unet.in > k->j->m->vae.latent)
        BT_TRY(sd_run_read_kept(k));
    k->encode = bt_now() - start;
    BT_TRY(for_groups(k, &groups, make_group));
    return report_all(k);
fail:
    return st;
}

/* ---- what is decided before ------------------------------------------------- */

/* The passes (`second` only if s->hires_scale says so), what the prompts ask for at most, for
 * which the model is changed, and what the memory budget wants to be done without.
 * Afterwards, also of a failure: sd_grid_release both grids, sd_asked_free *a. */
static bt_status prepare(bt_module_job *j, const bt_run *r, const sd_options *o, sd_setup *s,
                         sd_setup *second, sd_asked **a)
{
    const bt_image *init = r->image_in(r->host, "init"), *mask = r->image_in(r->host, "mask");
    bt_error *err = r->error;
    sd_setup *last = s;
    bt_status st;
    BT_TRY(sd_cache_use_vae(&j->cache, o->vae, err));
    BT_TRY(sd_cache_use_preview(&j->cache, o->preview_vae, err));
    BT_TRY(sd_run_setup(j->m, o, init, mask, s, err));
    BT_TRY(sd_run_use_controls(j, s, err));
    BT_TRY(sd_run_words(j, o->embedding, err));
    s->words = j->cache.words;
    if (s->hires_scale > 1) {
        BT_TRY(sd_run_setup_hires(j->m, s, second, err));
        last = second;
    }
    BT_TRY(sd_run_ask_most(j->m, last, a, err));
    BT_TRY(sd_run_loras(j, &(*a)->loras, err));
    BT_TRY(sd_run_economize(j, last, *a, err));
    s->group = last->group, s->spare = last->spare, s->tile = last->tile;
fail:
    return st;
}

bt_status sd_job_run(bt_module_job *j, const bt_run *r)
{
    sd_work k = { .j = j, .r = r };
    sd_setup second = { 0 };
    sd_asked *first = NULL;
    sd_options o = *(const sd_options *)r->options;
    if (!r->preview)
        o.preview_vae = "";
    if (sd_edits(j->m) && !r->image_in(r->host, "init"))
        return bt_fail(r->error, BT_EINVAL,
                       "this model changes a picture: it needs one to start from");
    bt_status st = prepare(j, r, &o, &k.s, &second, &first);
    sd_asked_free(first);
    if (st == BT_OK)
        st = sd_run_check_controls(&k);
    if (k.s.hires_scale > 1)
        k.second = &second;
    if (st == BT_OK && k.s.spare) {
        bt_weights_spare(j->m->ws);
        sd_controls_spare(&j->controls);
        if (j->cache.other.ws)
            bt_weights_spare(j->cache.other.ws);
        if (j->cache.preview.ws)
            bt_weights_spare(j->cache.preview.ws);
    }
    if (st == BT_OK)
        st = run_all(&k);
    sd_run_forget_inputs(&k);
    sd_grid_release(&k.s.grid);
    sd_grid_release(&second.grid);
    return st;
}

/* Without the first picture that is to be extended, what the picture takes that is made. */
bt_status sd_job_estimate(bt_module_job *j, const bt_run *r, bt_estimate *out)
{
    sd_options o = *(const sd_options *)r->options;
    sd_setup s = { 0 }, second = { 0 };
    bt_estimate first = { 0 };
    sd_asked *a = NULL;
    if (!r->image_in(r->host, "init"))
        o.outpaint = "";
    bt_status st = prepare(j, r, &o, &s, &second, &a);
    if (st == BT_OK && s.hires_scale > 1)
        st = sd_run_need(j, &s, a, &first, r->error);
    if (st == BT_OK)
        st = sd_run_need(j, s.hires_scale > 1 ? &second : &s, a, out, r->error);
    out->flops += first.flops;
    sd_asked_free(a);
    sd_grid_release(&s.grid);
    sd_grid_release(&second.grid);
    return st;
}

/* ---- life ---------------------------------------------------------------- */

bt_status sd_job_open(void *model, bt_module_job **job, bt_error *err)
{
    *job = bt_calloc(1, sizeof **job);
    if (!*job)
        return bt_no_memory(err, "the job");
    (*job)->m = (*job)->cache.m = model;
    sd_run_unadapt(*job);
    return BT_OK;
}

void sd_job_close(bt_module_job *j)
{
    if (!j)
        return;
    sd_run_unadapt(j);
    sd_cache_release(&j->cache);
    sd_controls_close(&j->controls);
    bt_release(j);
}
