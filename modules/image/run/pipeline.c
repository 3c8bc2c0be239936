/* SPDX-License-Identifier: MIT
 * A run from end to end, its reports and its estimate.
 *
 * Text to picture and picture to picture follow diffusers' StableDiffusion
 * pipelines with one CPU generator per picture: picture i of a batch is the
 * one that seed + i makes alone.
 */
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
    bt_trace_attach(p->plan, k->r->trace, name);
    bt_status st = sd_plan_run(p, k->r->cancel, k->r->error);
    bt_trace_attach(p->plan, NULL, NULL);
    return st;
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
    sd_asked *asked[SD_GROUP];
} group;

static void free_group(group *g)
{
    for (int i = 0; i < g->n; i++)
        if (i == 0 || g->asked[i] != g->asked[i - 1])
            sd_asked_free(g->asked[i]);
    g->n = 0;
}

/* The next picture joins if its prompts have the group's shape. */
static bt_status join(const sd_work *k, group *g, bool *joined)
{
    const uint64_t seed = k->s.seed + (uint64_t)(g->from + g->n);
    sd_asked *a, *last = g->n ? g->asked[g->n - 1] : NULL;
    bt_status st = sd_run_ask(k->j->m, &k->s, seed, last, &a, k->r->error);
    *joined = st == BT_OK && (!last || sd_asked_alike(last, a));
    if (*joined)
        g->asked[g->n++] = a;
    else
        sd_asked_free(a);
    return st;
}

static bt_status gather(const sd_work *k, group *g)
{
    bool joined;
    bt_status st = join(k, g, &joined);
    while (st == BT_OK && joined && g->n < sd_run_group(&k->s, g->asked[0]) &&
           g->from + g->n < k->s.batch)
        st = join(k, g, &joined);
    return st;
}

static bt_status make_group(sd_work *k, const group *g)
{
    sd_making pics[SD_GROUP];
    bt_status st;
    float *walk, *block = sd_run_lay_out(k, pics, g->n, &walk);
    if (!block)
        return sd_run_no_memory(k);
    for (int i = 0; i < g->n; i++) {
        pics[i].asked = g->asked[i];
        sd_run_start(k, &pics[i], g->from + i);
    }
    BT_TRY(sd_run_denoise(k, pics, g->n, walk));
    for (int i = 0; i < g->n; i++) {
        BT_TRY(k->r->progress(k->r->host, "decode", g->from + i, k->s.batch));
        BT_TRY(sd_run_finish(k, &pics[i]));
    }
    st = k->r->progress(k->r->host, "decode", g->from + g->n, k->s.batch);
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
            st = report_prompt(k, g.asked[0]);
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
    k->n = (size_t)s->lw * (size_t)s->lh * (size_t)k->j->m->vae.latent;
    double start = bt_now();
    BT_TRY(for_groups(k, &groups, NULL));
    k->total = groups * (s->grid.n - s->first);
    BT_TRY(sd_run_read_inputs(k));
    k->encode = bt_now() - start;
    BT_TRY(for_groups(k, &groups, make_group));
    return report_all(k);
fail:
    return st;
}

void sd_run_release(sd_work *k)
{
    bt_release(k->moments);
    bt_release(k->kept_moments);
    bt_release(k->pixels);
    bt_release(k->mask);
    bt_release(k->pixel_mask);
    sd_grid_release(&k->s.grid);
}

/* As the first picture's prompts need it. */
static bt_status economize(sd_work *k)
{
    sd_asked *a;
    bt_status st = sd_run_ask(k->j->m, &k->s, k->s.seed, NULL, &a, k->r->error);
    if (st == BT_OK)
        st = sd_run_economize(k->j, &k->s, a, k->r->error);
    sd_asked_free(a);
    return st;
}

bt_status sd_job_run(bt_module_job *j, const bt_run *r)
{
    sd_work k = { .j = j, .r = r };
    const sd_options *o = r->options;
    bt_status st = sd_cache_use_vae(&j->cache, o->vae, r->error);
    if (st == BT_OK)
        st = sd_run_setup(j->m, o, r->image_in(r->host, "init"), r->image_in(r->host, "mask"), &k.s,
                          r->error);
    if (st == BT_OK)
        st = economize(&k);
    if (st == BT_OK && k.s.spare)
        bt_weights_spare(j->m->ws);
    if (st == BT_OK)
        st = run_all(&k);
    sd_run_release(&k);
    return st;
}

/* ---- estimate ---------------------------------------------------------------- */

bt_status sd_job_estimate(bt_module_job *j, const void *options, bt_estimate *out, bt_error *err)
{
    sd_setup s = { 0 };
    sd_asked *a = NULL;
    bt_status st = sd_cache_use_vae(&j->cache, ((const sd_options *)options)->vae, err);
    if (st == BT_OK)
        st = sd_run_setup(j->m, options, NULL, NULL, &s, err);
    if (st == BT_OK)
        st = sd_run_ask(j->m, &s, s.seed, NULL, &a, err);
    if (st == BT_OK)
        st = sd_run_economize(j, &s, a, err);
    if (st == BT_OK)
        st = sd_run_need(j, &s, a, out, err);
    sd_asked_free(a);
    sd_grid_release(&s.grid);
    return st;
}

/* ---- life ---------------------------------------------------------------- */

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
