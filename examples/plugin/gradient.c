/* SPDX-License-Identifier: MIT
 * A plug-in module, built outside the tree: its models are safetensors files
 * with the metadata "demo": "gradient", its pictures run from black to white.
 *
 *     bottega image --module ./bottega-gradient.so -m model.safetensors -p x
 *
 * It shows every part of a module: options as data, a graph, progress,
 * cancellation, results and facts for the report.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "module.h"

typedef struct gradient_model {
    bt_store *store;
    const bt_compute *compute;
    bt_weights *weights; /* of a store without tensors: graphs want some */
} gradient_model;

struct bt_module_job {
    const gradient_model *model;
};

typedef struct gradient_options {
    const char *prompt;
    int64_t width, height, batch;
    uint64_t seed;
    int direction; /* 0 across, 1 down */
    int invert;
    double brightness; /* NAN: the model's own, 1 */
} gradient_options;

#define OFF(field) offsetof(gradient_options, field)

static const bt_option options[] = {
    { "prompt", "p", NULL, BT_OPT_STRING, OFF(prompt), "", 0, 0, NULL, NULL,
      "goes into the picture's text and nowhere else" },
    { "width", "W", NULL, BT_OPT_INT, OFF(width), "64", 1, 2048, NULL, "pixels", "width" },
    { "height", "H", NULL, BT_OPT_INT, OFF(height), "32", 1, 2048, NULL, "pixels", "height" },
    { "batch", "b", "batch-count", BT_OPT_INT, OFF(batch), "1", 1, 64, NULL, NULL,
      "pictures; each is a little darker" },
    { "seed", "s", NULL, BT_OPT_UINT64, OFF(seed), "0", 0, 0, NULL, NULL, "first seed" },
    { "direction", NULL, NULL, BT_OPT_CHOICE, OFF(direction), "across", 0, 0,
      "across=horizontal,down=vertical", NULL, "where it grows" },
    { "invert", NULL, NULL, BT_OPT_BOOL, OFF(invert), "false", 0, 0, NULL, NULL, "white to black" },
    { "brightness", NULL, NULL, BT_OPT_FLOAT, OFF(brightness), "", 0, 1, NULL, NULL,
      "of the white end" },
    { 0 }
};

/* ---- model --------------------------------------------------------------- */

static int gradient_probe(const bt_store *s)
{
    const char *demo = bt_store_str(s, "demo", NULL);
    return demo && strcmp(demo, "gradient") == 0 ? 100 : 0;
}

/* Takes the store over if it succeeds. Immutable from then on: jobs on several
 * threads share it. */
static bt_status gradient_open(bt_store *s, const bt_compute *c, void **model, bt_error *err)
{
    gradient_model *m = bt_calloc(1, sizeof *m);
    *model = NULL;
    if (!m)
        return bt_no_memory(err, "the gradient");
    const bt_status st = bt_weights_create(s, c, &m->weights, err);
    if (st != BT_OK) {
        bt_release(m);
        return st;
    }
    m->store = s;
    m->compute = c;
    *model = m;
    return BT_OK;
}

static void gradient_close(void *model)
{
    gradient_model *m = model;
    bt_weights_free(m->weights);
    bt_store_close(m->store);
    bt_release(m);
}

static bt_status gradient_describe(void *model, bt_buf *json)
{
    (void)model;
    bt_buf_puts(json, "{\"architecture\":\"gradient\"}");
    return json->failed ? BT_ENOMEM : BT_OK;
}

/* ---- job ----------------------------------------------------------------- */

static bt_status gradient_job_open(void *model, bt_module_job **job, bt_error *err)
{
    *job = bt_calloc(1, sizeof **job);
    if (!*job)
        return bt_no_memory(err, "the gradient");
    (*job)->model = model;
    return BT_OK;
}

static void gradient_job_close(bt_module_job *job) { bt_release(job); }

/* Bytes and work, without doing it: for --dry-run and for a memory budget. */
static bt_status gradient_estimate(bt_module_job *job, const bt_run *r, bt_estimate *out)
{
    const gradient_options *o = r->options;
    (void)job;
    out->arena = (uint64_t)(o->width * o->height) * 3 * sizeof(float) * 2;
    out->flops = (double)(o->width * o->height * 3);
    return BT_OK;
}

/* One picture: a ramp in 0..1, scaled to 0..255 by a graph of one node. */
static bt_status draw(const bt_module_job *job, const bt_run *r, float white, uint8_t *rgb)
{
    const gradient_options *o = r->options;
    const int64_t h = o->height, w = o->width;
    bt_graph *g;
    bt_plan *p;
    bt_status st = bt_graph_create(job->model->weights, &g);
    if (st != BT_OK)
        return st;
    bt_node *x = bt_input(g, (bt_shape){ 1, h, w, 3 });
    bt_node *y = bt_output(g, bt_scale(g, x, 255.0f * white));
    st = bt_plan_create(g, &p, r->error);
    if (st != BT_OK)
        return st;
    bt_trace_attach(p, r->trace, "gradient");
    float *in = bt_plan_data(p, x); /* NULL: no memory */
    if (!in)
        st = bt_no_memory(r->error, "the picture");
    for (int64_t i = 0; in && i < h * w; i++) {
        const int64_t at = o->direction ? i / w : i % w, last = (o->direction ? h : w) - 1;
        const float v = last ? (float)at / (float)last : 0.0f;
        in[3 * i] = in[3 * i + 1] = in[3 * i + 2] = o->invert ? 1.0f - v : v;
    }
    if (in)
        st = bt_plan_run(p, r->cancel, r->error);
    const float *out = bt_plan_data(p, y);
    for (int64_t i = 0; st == BT_OK && i < h * w * 3; i++)
        rgb[i] = (uint8_t)lrintf(out[i]);
    bt_plan_free(p);
    return st;
}

static bt_status gradient_run(bt_module_job *job, const bt_run *r)
{
    const gradient_options *o = r->options;
    const double white = isnan(o->brightness) ? 1.0 : o->brightness;
    char text[256];
    bt_status st = BT_OK;
    uint8_t *rgb = bt_alloc((size_t)(o->width * o->height * 3));
    if (!rgb)
        return bt_no_memory(r->error, "the picture");
    for (int i = 0; i < (int)o->batch && st == BT_OK; i++) {
        st = r->progress(r->host, "drawing", i, (int)o->batch);
        if (st == BT_OK)
            st = draw(job, r, (float)(white / (i + 1)), rgb);
        snprintf(text, sizeof text, "%.100s\nSeed: %llu, Size: %dx%d", o->prompt,
                 (unsigned long long)o->seed + (unsigned)i, (int)o->width, (int)o->height);
        if (st == BT_OK)
            st = r->image(r->host, (int)o->width, (int)o->height, rgb, text);
    }
    bt_release(rgb);
    snprintf(text, sizeof text, "%.6g", white);
    if (st == BT_OK)
        st = r->report(r->host, "brightness", text);
    if (st == BT_OK)
        st = r->report(r->host, "painter", "\"a plug-in\"");
    return st == BT_OK ? r->progress(r->host, "drawing", (int)o->batch, (int)o->batch) : st;
}

static const bt_module gradient = {
    .abi = BT_MODULE_ABI,
    .version = BT_VERSION,
    .name = "gradient",
    .kind = BT_KIND_IMAGE,
    .options = options,
    .options_size = sizeof(gradient_options),
    .probe = gradient_probe,
    .open = gradient_open,
    .close = gradient_close,
    .describe = gradient_describe,
    .job_open = gradient_job_open,
    .job_close = gradient_job_close,
    .estimate = gradient_estimate,
    .run = gradient_run,
};

BT_API const bt_module *bt_module_entry(void);

const bt_module *bt_module_entry(void) { return &gradient; }
