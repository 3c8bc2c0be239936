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

float *sd_run_lay_out(const sd_work *k, sd_making *pics, int b)
{
    size_t each = 6 * k->n;
    float *block = bt_calloc((size_t)b * each, sizeof *block);
    for (int i = 0; block && i < b; i++) {
        float *at = block + (size_t)i * each;
        pics[i] = (sd_making){ .p = { .x = at,
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

static bt_status make_group(sd_work *k, int from, int b)
{
    sd_making pics[SD_GROUP];
    bt_status st;
    float *block = sd_run_lay_out(k, pics, b);
    if (!block)
        return sd_run_no_memory(k);
    for (int i = 0; i < b; i++)
        sd_run_start(k, &pics[i], k->s.seed + (uint64_t)(from + i));
    BT_TRY(sd_run_denoise(k, pics, b));
    for (int i = 0; i < b; i++) {
        BT_TRY(k->r->progress(k->r->host, "decode", from + i, k->s.batch));
        BT_TRY(sd_run_finish(k, &pics[i]));
    }
    st = k->r->progress(k->r->host, "decode", from + b, k->s.batch);
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
static bt_status report_prompt(const sd_work *k)
{
    bt_ids ids = { 0 };
    char text[32];
    bt_status st = bt_bpe_encode(k->j->m->bpe, k->s.prompt, strlen(k->s.prompt), false, &ids);
    size_t n = ids.len, room = (size_t)k->j->m->tokens - 2;
    bt_ids_free(&ids);
    if (st != BT_OK)
        return sd_run_no_memory(k);
    snprintf(text, sizeof text, "%zu", n);
    st = k->r->report(k->r->host, "prompt_tokens", text);
    return st == BT_OK ? k->r->report(k->r->host, "prompt_cut", n > room ? "true" : "false") : st;
}

static bt_status run_all(sd_work *k)
{
    const sd_setup *s = &k->s;
    bt_status st;
    k->n = (size_t)s->lw * (size_t)s->lh * (size_t)k->j->m->vae.latent;
    k->total = (s->batch + SD_GROUP - 1) / SD_GROUP * (s->steps - s->first);
    double start = bt_now();
    BT_TRY(sd_run_read_inputs(k));
    k->encode = bt_now() - start;
    BT_TRY(report_prompt(k));
    for (int i = 0; i < s->batch; i += SD_GROUP)
        BT_TRY(make_group(k, i, s->batch - i < SD_GROUP ? s->batch - i : SD_GROUP));
    return report_all(k);
fail:
    return st;
}

void sd_run_release(sd_work *k)
{
    bt_release(k->moments);
    bt_release(k->pixels);
    bt_release(k->mask);
    bt_release(k->pixel_mask);
    sd_grid_release(&k->s.grid);
}

bt_status sd_job_run(bt_module_job *j, const bt_run *r)
{
    sd_work k = { .j = j, .r = r };
    bt_status st = sd_run_setup(j->m, r->options, r->image_in(r->host, "init"),
                                r->image_in(r->host, "mask"), &k.s, r->error);
    if (st == BT_OK)
        st = run_all(&k);
    sd_run_release(&k);
    return st;
}

/* ---- estimate ------------------------------------------------------------ */

bt_status sd_job_estimate(bt_module_job *j, const void *options, bt_estimate *out, bt_error *err)
{
    const sd_model *m = j->m;
    sd_setup s = { 0 };
    sd_plan *clip, *unet, *decoder;
    bt_status st;
    BT_TRY(sd_run_setup(m, options, NULL, NULL, &s, err));
    int b = s.batch < SD_GROUP ? s.batch : SD_GROUP, n = s.guided ? 2 * b : b;
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
