/* SPDX-License-Identifier: MIT
 * ControlNets beside the UNet: their pictures once for each pass, their residuals for each call
 * of the network.
 */
#include <stdio.h>
#include <string.h>

#include "image/picture/resample.h"
#include "image/run/run.h"

struct sd_steering {
    bt_arena arena; /* of all plans, which take turns */
    int n;
    struct {
        sd_plan plan;
        float *hint; /* [lh * lw][channels[0]] */
    } at[SD_MAX_CONTROLS];
};

/* "control", "control2", ...; NULL: not given */
static const bt_image *picture_of(const sd_work *k, int i)
{
    char name[20] = "control";
    if (i > 0)
        snprintf(name, sizeof name, "control%d", i + 1);
    return k->r->image_in(k->r->host, name);
}

bt_status sd_run_use_controls(bt_module_job *j, const sd_setup *s, bt_error *err)
{
    const sd_model *m = j->m;
    j->cache.steered = s->controls.n > 0;
    return sd_controls_use(&j->controls, &s->controls, m->compute, &m->unet, m->vae.latent,
                           m->vae.factor, err);
}

bt_status sd_run_check_controls(const sd_work *k)
{
    int given = 0;
    for (int i = 0; i < SD_MAX_CONTROLS; i++)
        given += picture_of(k, i) != NULL;
    for (int i = 0; i < k->s.controls.n; i++)
        if (!picture_of(k, i))
            return bt_fail(k->r->error, BT_EINVAL,
                           "control: no picture for ControlNet %d of %d (control_image)", i + 1,
                           k->s.controls.n);
    if (given > k->s.controls.n)
        return bt_fail(k->r->error, BT_EINVAL, "control: more pictures (%d) than ControlNets (%d)",
                       given, k->s.controls.n);
    return BT_OK;
}

/* ---- pictures --------------------------------------------------------------- */

/* The part of a picture of k->aw x k->ah that is repainted. */
static uint8_t *cut_box(const sd_work *k, const bt_image *img)
{
    const size_t c = (size_t)img->channels, row = (size_t)k->box.w * c;
    uint8_t *out = bt_alloc((size_t)k->box.h * row);
    for (int y = 0; out && y < k->box.h; y++)
        memcpy(out + (size_t)y * row,
               img->pixels + ((size_t)(k->box.y + y) * (size_t)k->aw + (size_t)k->box.x) * c, row);
    return out;
}

/* At the size that is made: the whole picture, or what of it lies where a part is repainted. */
static uint8_t *fitted(const sd_work *k, const bt_image *img)
{
    bt_image whole = *img, part = *img;
    if (!k->around)
        return sd_picture_resample(img, k->s.w, k->s.h);
    whole.pixels = sd_picture_resample(img, k->aw, k->ah);
    whole.width = k->aw, whole.height = k->ah;
    part.pixels = whole.pixels ? cut_box(k, &whole) : NULL;
    part.width = k->box.w, part.height = k->box.h;
    uint8_t *out = part.pixels ? sd_picture_resample(&part, k->s.w, k->s.h) : NULL;
    bt_release(whole.pixels);
    bt_release(part.pixels);
    return out;
}

/* [h * w][3], 0..1 */
static bt_status fill_picture(const sd_work *k, int i, float *to)
{
    const sd_control_ask *a = &k->s.controls.at[i];
    bt_image img = *picture_of(k, i);
    const size_t n = (size_t)k->s.w * (size_t)k->s.h;
    uint8_t *pixels = fitted(k, &img);
    if (pixels && a->canny) {
        uint8_t *edges = sd_picture_canny(pixels, k->s.w, k->s.h, img.channels, a->low, a->high);
        bt_release(pixels);
        pixels = edges;
        img.channels = 1;
    }
    if (!pixels)
        return sd_run_no_memory(k);
    const size_t c = (size_t)img.channels;
    for (size_t p = 0; p < 3 * n; p++)
        to[p] = (float)pixels[p / 3 * c + (c == 3 ? p % 3 : 0)] / 255;
    bt_release(pixels);
    return BT_OK;
}

/* What a ControlNet sees of its picture. */
static bt_status read_hint(const sd_work *k, int i, float **hint)
{
    const sd_control *c = k->j->controls.at[i];
    const size_t bytes =
        (size_t)k->s.lw * (size_t)k->s.lh * (size_t)c->c.channels[0] * sizeof(float);
    sd_plan p;
    bt_status st = sd_control_hint_plan(c, k->s.lh, k->s.lw, &p, k->r->error);
    if (st == BT_OK)
        st = sd_cache_ready(&p, k->r->error);
    if (st == BT_OK)
        st = fill_picture(k, i, sd_plan_data(&p, p.in));
    if (st == BT_OK)
        st = sd_run_plan(k, &p, "control picture");
    if (st == BT_OK && !(*hint = bt_alloc(bytes)))
        st = sd_run_no_memory(k);
    if (st == BT_OK)
        memcpy(*hint, sd_plan_data(&p, p.out), bytes);
    sd_plan_free(&p);
    return st;
}

/* ---- steps ------------------------------------------------------------------- */

bt_status sd_run_begin_steering(sd_work *k, int rows, int chunks)
{
    const sd_setup *s = &k->s;
    bt_status st;
    if (!s->controls.n)
        return BT_OK;
    sd_steering *g = k->steering = bt_calloc(1, sizeof *g);
    if (!g)
        return sd_run_no_memory(k);
    for (; g->n < s->controls.n; g->n++) /* hints first: they need most at a time */
        BT_TRY(read_hint(k, g->n, &g->at[g->n].hint));
    for (int i = 0; i < g->n; i++) {
        sd_plan *p = &g->at[i].plan;
        BT_TRY(sd_control_plan(k->j->controls.at[i], rows, s->lh, s->lw, chunks * k->j->m->tokens,
                               p, k->r->error));
        bt_plan_share(p->plan, &g->arena);
    }
    return BT_OK;
fail:
    return st;
}

void sd_run_end_steering(sd_work *k)
{
    sd_steering *g = k->steering;
    for (int i = 0; g && i < SD_MAX_CONTROLS; i++) {
        sd_plan_free(&g->at[i].plan);
        bt_release(g->at[i].hint);
    }
    if (g)
        bt_arena_free(&g->arena);
    bt_release(g);
    k->steering = NULL;
}

static size_t values_of(const bt_node *x)
{
    const bt_shape s = bt_shape_of(x);
    return (size_t)(s.n * s.h * s.w * s.c);
}

/* What the UNet is told for this call; of the latent's channels the latent alone. */
static void fill_inputs(const sd_work *k, int i, float t)
{
    const sd_plan *from = k->unet, *p = &k->steering->at[i].plan;
    const size_t all = (size_t)k->j->m->unet.in, c = (size_t)k->j->m->vae.latent;
    const size_t rows = values_of(p->in) / c,
                 hint = values_of(p->hint) / (size_t)bt_shape_of(p->hint).n;
    const float *x = sd_plan_data(from, from->in);
    float *in = sd_plan_data(p, p->in), *to = sd_plan_data(p, p->hint);
    for (size_t r = 0; r < rows; r++)
        memcpy(in + r * c, x + r * all, c * sizeof *in);
    for (int64_t n = 0; n < bt_shape_of(p->hint).n; n++)
        memcpy(to + (size_t)n * hint, k->steering->at[i].hint, hint * sizeof *to);
    memcpy(sd_plan_data(p, p->context), sd_plan_data(from, from->context),
           values_of(p->context) * sizeof(float));
    if (p->added)
        memcpy(sd_plan_data(p, p->added), sd_plan_data(from, from->added),
               values_of(p->added) * sizeof(float));
    sd_unet_time(&k->j->controls.at[i]->c, t, sd_plan_data(p, p->time));
}

/* Adds to the UNet's residuals, or is the first to fill them. */
static void add_residuals(const sd_work *k, int i, bool first)
{
    const sd_plan *p = &k->steering->at[i].plan;
    const float weight = (float)k->s.controls.at[i].weight;
    for (int r = 0; r < p->n_residuals; r++) {
        const float *x = sd_plan_data(p, p->residuals[r]);
        float *to = sd_plan_data(k->unet, k->unet->residuals[r]);
        const size_t n = values_of(p->residuals[r]);
        for (size_t v = 0; v < n; v++)
            to[v] = first ? weight * x[v] : to[v] + weight * x[v];
    }
}

bt_status sd_run_steer(const sd_work *k, float t)
{
    bool first = true;
    for (int i = 0; k->steering && i < k->steering->n; i++) {
        if (!sd_control_steers(&k->s.controls.at[i], k->step - k->s.first,
                               k->s.grid.n - k->s.first))
            continue;
        sd_plan *p = &k->steering->at[i].plan;
        bt_status st = sd_cache_ready(p, k->r->error);
        if (st == BT_OK) {
            fill_inputs(k, i, t);
            st = sd_run_plan(k, p, "control");
        }
        if (st != BT_OK)
            return st;
        add_residuals(k, i, first);
        first = false;
    }
    for (int r = 0; k->steering && first && r < k->unet->n_residuals; r++)
        memset(sd_plan_data(k->unet, k->unet->residuals[r]), 0,
               values_of(k->unet->residuals[r]) * sizeof(float));
    return BT_OK;
}

/* ---- memory ------------------------------------------------------------------ */

bt_status sd_run_steering_need(bt_module_job *j, const sd_setup *s, int rows, int chunks,
                               sd_steering_need *out, bt_error *err)
{
    bt_status st = BT_OK;
    *out = (sd_steering_need){ 0 };
    for (int i = 0; i < s->controls.n && st == BT_OK; i++) {
        const sd_control *c = j->controls.at[i];
        sd_plan p = { 0 }, h = { 0 };
        bool again = false;
        for (int k = 0; k < i; k++)
            again |= j->controls.at[k] == c;
        st = sd_control_plan(c, rows, s->lh, s->lw, chunks * j->m->tokens, &p, err);
        if (st == BT_OK)
            st = sd_control_hint_plan(c, s->lh, s->lw, &h, err);
        if (st == BT_OK) {
            const uint64_t arena = bt_plan_arena(p.plan), reading = bt_plan_arena(h.plan);
            const uint64_t widest = bt_plan_widest(p.plan);
            if (!s->spare && !again)
                out->weights += bt_plan_weights(p.plan) + bt_plan_weights(h.plan);
            if (s->spare && widest > out->weights)
                out->weights = widest;
            out->arena = arena > out->arena ? arena : out->arena;
            out->reading = reading > out->reading ? reading : out->reading;
            out->hints +=
                (uint64_t)s->lw * (uint64_t)s->lh * (uint64_t)c->c.channels[0] * sizeof(float);
            out->flops += bt_plan_flops(p.plan) * (s->controls.at[i].end - s->controls.at[i].start);
        }
        sd_plan_free(&p);
        sd_plan_free(&h);
    }
    return st;
}
