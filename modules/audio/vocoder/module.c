/* SPDX-License-Identifier: MIT
 * The module of vocoders: model, options, descriptor.
 */
#include <stddef.h>
#include <string.h>

#include "audio/vocoder/vocoder.h"
#include "base/file.h"
#include "formats/npy.h"

typedef struct options {
    const char *mel;
} options;

static const bt_option table[] = {
    { "mel", NULL, NULL, BT_OPT_STRING, offsetof(options, mel), "", 0, 0, NULL, NULL,
      "a vocoder's input: a .npy file with a mel spectrogram, [bands, frames]" },
    { 0 },
};

/* ---- the model ---------------------------------------------------------- */

static bool has(const bt_store *s, const char *name) { return bt_store_find(s, name) != NULL; }

static bool is_vocos(const bt_store *s)
{
    return has(s, "backbone.embed.weight") && has(s, "head.out.weight");
}

static bool is_hifigan(const bt_store *s)
{
    return has(s, "conv_pre.bias") && has(s, "conv_post.bias") && has(s, "ups.0.bias") &&
           (has(s, "resblocks.0.convs1.0.bias") || has(s, "resblocks.0.convs.0.bias"));
}

static int probe(const bt_store *s) { return is_vocos(s) || is_hifigan(s) ? 90 : 0; }

static void close_model(void *model)
{
    bt_vocoder *v = model;
    bt_vocos_clear(&v->vocos);
    bt_weights_free(v->ws);
    bt_release(v->scaled);
    bt_store_close(v->store);
    bt_release(v);
}

static bt_parts parts_of(const bt_vocoder *v)
{
    return (bt_parts){ .voice = v, .ws = v->ws, .build = bt_vocoder_build };
}

/* Plans it once, so that a file that lacks a tensor is refused here. */
static bt_status check_network(const bt_vocoder *v, bt_error *err)
{
    bt_parts parts = parts_of(v);
    bt_part *p;
    const bt_status st = bt_part_get(&parts, 0, 4, &p, err);
    bt_parts_clear(&parts);
    return st;
}

static bt_status read_model(bt_vocoder *v, bt_error *err)
{
    bt_status st;
    v->is_vocos = is_vocos(v->store);
    BT_TRY(bt_weights_create(v->store, v->compute, &v->ws, err));
    BT_TRY(bt_vocoder_weights(v, err));
    v->hifigan = (bt_hifigan){ .prefix = "", .ws = v->ws };
    for (int i = 0; i < BT_HIFIGAN_STAGES; i++)
        v->hifigan.pad[i] = -1;
    if (v->is_vocos)
        BT_TRY(bt_vocos_shapes(v, err));
    else
        BT_TRY(bt_hifigan_count(&v->hifigan, bt_store_path(v->store), err));
    BT_TRY(bt_vocoder_settings(v, err));
    if (v->is_vocos)
        BT_TRY(bt_vocos_tables(v, err));
    BT_TRY(check_network(v, err));
fail:
    return st;
}

static bt_status open_model(bt_store *s, const bt_compute *c, void **model, bt_error *err)
{
    bt_vocoder *v = bt_calloc(1, sizeof *v);
    *model = NULL;
    if (!v)
        return bt_no_memory(err, "the vocoder");
    v->store = s;
    v->compute = c;
    const bt_status st = read_model(v, err);
    if (st == BT_OK) {
        *model = v;
        return BT_OK;
    }
    v->store = NULL; /* stays the caller's */
    close_model(v);
    return st;
}

static const char *name_of(const bt_vocoder *v)
{
    if (v->is_vocos)
        return "Vocos";
    return v->hifigan.block_pairs ? "HiFi-GAN, ResBlock1" : "HiFi-GAN, ResBlock2";
}

static bt_status describe(void *model, bt_buf *json)
{
    const bt_vocoder *v = model;
    const bt_mel_form *m = &v->mel;
    bt_buf_printf(json,
                  "{\"architecture\":\"vocoder\",\"network\":\"%s\",\"parameters\":%.0f,"
                  "\"sample_rate\":%d,\"settings\":\"%s\",\"mel\":{\"form\":\"%s\",\"n_mels\":%d,"
                  "\"n_fft\":%d,\"hop\":%d,\"win\":%d,\"fmin\":%g,\"fmax\":%g}}",
                  name_of(v), bt_store_parameters(v->store), m->sample_rate, v->settings,
                  m->vocos ? "vocos" : "hifigan", m->n_mels, m->n_fft, m->hop, m->win, m->fmin,
                  m->fmax);
    return json->failed ? BT_ENOMEM : BT_OK;
}

static void mel_form(void *model, bt_mel_form *out) { *out = ((const bt_vocoder *)model)->mel; }

/* ---- a job -------------------------------------------------------------- */

struct bt_module_job {
    const bt_vocoder *vocoder;
    bt_parts parts;
};

static bt_status job_open(void *model, bt_module_job **out, bt_error *err)
{
    bt_module_job *j = *out = bt_calloc(1, sizeof *j);
    if (!j)
        return bt_no_memory(err, "the job");
    *j = (bt_module_job){ .vocoder = model, .parts = parts_of(model) };
    return BT_OK;
}

static void job_close(bt_module_job *j)
{
    if (j)
        bt_parts_clear(&j->parts);
    bt_release(j);
}

/* *values: of the file, in C order; NULL asks for their number only. */
static bt_status read_file(const bt_vocoder *v, const char *path, bt_spectrogram *s, float **values,
                           bt_error *err)
{
    bt_map map;
    bt_npy a;
    bt_status st = bt_map_open(path, &map, err);
    if (st != BT_OK)
        return st;
    st = bt_npy_parse(path, map.data, map.size, &a, err);
    if (st == BT_OK && values && !(*values = bt_npy_floats(&a, err)))
        st = BT_ENOMEM;
    if (st == BT_OK)
        st = bt_vocoder_input(v, a.n_dims, a.dims, values ? *values : NULL, s, err);
    bt_map_close(&map);
    return st;
}

/* Of an array in memory only a chunk is known before the run. */
static bt_status estimate(bt_module_job *j, const bt_run *r, bt_estimate *out)
{
    const options *o = r->options;
    const bt_array *a = r->array_in(r->host, "mel");
    const bt_vocoder *v = j->vocoder;
    bt_spectrogram s = { .frames = BT_VOCODER_CHUNK };
    bt_part *p;
    bt_status st;
    if (a)
        BT_TRY(bt_vocoder_input(v, a->n_dims, a->dims, a->values, &s, r->error));
    else if (o->mel[0])
        BT_TRY(read_file(v, o->mel, &s, NULL, r->error));
    const int64_t most = BT_VOCODER_CHUNK + 2 * v->margin;
    const int64_t rows = s.frames < most ? s.frames : most;
    BT_TRY(bt_part_get(&j->parts, 0, rows, &p, r->error));
    out->arena = bt_plan_arena(p->plan);
    out->flops = bt_plan_flops(p->plan) * (double)s.frames / (double)rows;
    for (size_t i = 0; i < bt_store_count(v->store); i++)
        out->weights += bt_store_at(v->store, i)->bytes;
fail:
    return st;
}

static bt_status run(bt_module_job *j, const bt_run *r)
{
    const options *o = r->options;
    const bt_array *a = r->array_in(r->host, "mel");
    bt_spectrogram s;
    float *values = NULL;
    bt_status st;
    if (a)
        BT_TRY(bt_vocoder_input(j->vocoder, a->n_dims, a->dims, a->values, &s, r->error));
    else if (o->mel[0])
        BT_TRY(read_file(j->vocoder, o->mel, &s, &values, r->error));
    else
        BT_TRY(bt_fail(r->error, BT_EINVAL, "a vocoder needs a mel spectrogram (mel)"));
    BT_TRY(bt_vocode(&j->parts, &s, r));
fail:
    bt_release(values);
    return st;
}

const bt_module bt_module_vocoder = {
    .abi = BT_MODULE_ABI,
    .version = BT_VERSION,
    .name = "vocoder",
    .kind = BT_KIND_AUDIO,
    .options = table,
    .options_size = sizeof(options),
    .probe = probe,
    .open = open_model,
    .close = close_model,
    .describe = describe,
    .job_open = job_open,
    .job_close = job_close,
    .estimate = estimate,
    .run = run,
    .mel_form = mel_form,
};
