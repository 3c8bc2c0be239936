/* SPDX-License-Identifier: MIT
 * What a module calls during a run: progress, results, facts.
 *
 * Results are copied into the job before the host hears of them, so that a
 * cancelled run still has all that was finished.
 */
#include <cjson/cJSON.h>
#include <string.h>

#include "engine/handles.h"

/* ---- cancellation and callbacks ------------------------------------------ */

/* Callbacks see the host's own locale. */
static void to_host(const bt_job *j) { uselocale(j->host_locale); }

/* After a callback: its answer, or what another thread asked for meanwhile. */
static bt_status from_host(bt_job *j, int stop)
{
    uselocale(j->model->engine->locale);
    if (stop)
        atomic_store(&j->cancel, true);
    return atomic_load(&j->cancel) ? BT_ECANCELLED : BT_OK;
}

static bt_status host_progress(void *host, const char *stage, int done, int total)
{
    bt_job *j = host;
    int stop = 0;
    to_host(j);
    if (j->callbacks.progress)
        stop = j->callbacks.progress(j->callbacks.user, stage, done, total);
    return from_host(j, stop);
}

static bt_status host_token(void *host, int32_t id, const char *text, size_t len)
{
    bt_job *j = host;
    int stop = 0;
    bt_buf_add(&j->text, text, len);
    if (j->text.failed)
        return bt_fail(&j->error, BT_ENOMEM, "out of memory for the text");
    to_host(j);
    if (j->callbacks.token)
        stop = j->callbacks.token(j->callbacks.user, id, text, len);
    return from_host(j, stop);
}

static bool reserve_samples(bt_job *j, size_t n)
{
    size_t need;
    if (!bt_add_ok(j->audio.n, n, &need) || need > SIZE_MAX / 2)
        return false;
    if (need <= j->samples_cap)
        return true;
    const size_t cap = need + need / 2;
    float *p = bt_realloc_array(j->samples, j->audio.n, cap, sizeof *p);
    if (!p)
        return false;
    j->samples = p;
    j->samples_cap = cap;
    return true;
}

/* Into the job's sound, unless the host wants it dropped, then to the host. */
static bt_status deliver(bt_job *j, int rate, const float *mono, size_t n)
{
    const bool keep = !j->callbacks.drop_samples;
    int stop = 0;
    if (keep && !reserve_samples(j, n))
        return bt_fail(&j->error, BT_ENOMEM, "out of memory for the sound");
    if (keep && n)
        memcpy(j->samples + j->audio.n, mono, n * sizeof *mono);
    j->audio = (bt_audio){ .struct_size = sizeof j->audio,
                           .sample_rate = rate,
                           .channels = 1,
                           .n = j->audio.n + n,
                           .samples = j->samples };
    bt_audio chunk = j->audio;
    chunk.n = n;
    chunk.samples = mono;
    to_host(j);
    if (j->callbacks.samples && n)
        stop = j->callbacks.samples(j->callbacks.user, &chunk);
    return from_host(j, stop);
}

static bt_status host_timing(void *host, const bt_timing *t)
{
    bt_job *j = host;
    bt_timing copy = *t;
    copy.struct_size = sizeof copy;
    to_host(j);
    return from_host(j, j->callbacks.timing(j->callbacks.user, &copy));
}

/* Through the filter that option "rate" asks for. */
static bt_status resample(bt_job *j, const float *mono, size_t n, bool last)
{
    const float *y;
    size_t m;
    const bt_status st = bt_resampler_push(j->resampler, mono, n, last, &y, &m, &j->error);
    return st == BT_OK ? deliver(j, (int)j->common.rate, y, m) : st;
}

static bt_status host_samples(void *host, int rate, const float *mono, size_t n)
{
    bt_job *j = host;
    bt_status st = BT_OK;
    if (rate < 1 || (j->module_rate && j->module_rate != rate))
        return bt_fail(&j->error, BT_EINVAL, "a module changed the sample rate");
    if (!j->module_rate && j->common.rate != BT_INT_UNSET && j->common.rate != rate)
        st = bt_resampler_create(rate, (int)j->common.rate, 1, &j->resampler, &j->error);
    if (st != BT_OK)
        return st;
    j->module_rate = rate;
    return j->resampler ? resample(j, mono, n, false) : deliver(j, rate, mono, n);
}

bt_status bt_host_end(bt_job *j) { return j->resampler ? resample(j, NULL, 0, true) : BT_OK; }

static bt_status host_image(void *host, int width, int height, const uint8_t *rgb,
                            const char *infotext)
{
    bt_job *j = host;
    const bt_image img = { sizeof img, width, height, 3, (uint8_t *)(uintptr_t)rgb };
    if (width < 1 || height < 1 || !rgb)
        return bt_fail(&j->error, BT_EINVAL, "a module made an empty picture");
    if (bt_pictures_add(&j->pictures, bt_strdup(infotext ? infotext : ""), &img) != BT_OK)
        return bt_fail(&j->error, BT_ENOMEM, "out of memory for the picture");
    return atomic_load(&j->cancel) ? BT_ECANCELLED : BT_OK;
}

static bt_status host_preview(void *host, int index, int width, int height, const uint8_t *rgb)
{
    bt_job *j = host;
    const bt_image img = { sizeof img, width, height, 3, (uint8_t *)(uintptr_t)rgb };
    to_host(j);
    return from_host(j, j->callbacks.preview(j->callbacks.user, (size_t)index, &img));
}

static const bt_image *host_image_in(void *host, const char *name)
{
    const bt_job *j = host;
    for (size_t i = 0; i < j->inputs.n; i++)
        if (strcmp(j->inputs.at[i].name, name) == 0)
            return &j->inputs.at[i].image;
    return NULL;
}

static const bt_array *host_array_in(void *host, const char *name)
{
    const bt_job *j = host;
    return strcmp(name, "mel") == 0 && j->mel.values ? &j->mel : NULL;
}

/* ---- facts --------------------------------------------------------------- */

/* A JSON value as plain text: strings lose their quotes. */
static bt_status plain_text(const char *json, char **text)
{
    cJSON *v = cJSON_Parse(json);
    *text = NULL;
    if (!v)
        return BT_EINVAL;
    *text = bt_strdup(cJSON_IsString(v) ? cJSON_GetStringValue(v) : json);
    cJSON_Delete(v);
    return *text ? BT_OK : BT_ENOMEM;
}

/* Adds a fact, or replaces the one of that name. */
static bt_status set_fact(bt_job *j, bt_fact f)
{
    for (size_t i = 0; i < j->n_facts; i++) {
        bt_fact *old = &j->facts[i];
        if (strcmp(old->name, f.name) != 0)
            continue;
        bt_release(old->name);
        bt_release(old->json);
        bt_release(old->text);
        *old = f;
        return BT_OK;
    }
    bt_fact *all = bt_realloc_array(j->facts, j->n_facts, j->n_facts + 1, sizeof *all);
    if (!all)
        return BT_ENOMEM;
    j->facts = all;
    j->facts[j->n_facts++] = f;
    return BT_OK;
}

static bt_status host_report(void *host, const char *name, const char *json)
{
    bt_job *j = host;
    bt_fact f = { 0 };
    const bt_status st = plain_text(json, &f.text);
    if (st != BT_OK)
        return bt_fail(&j->error, st, "a module's report of %s is no JSON", name);
    bt_value *v = bt_job_value(j, name);
    if (v) {
        bt_release(v->used);
        v->used = f.text;
        return BT_OK;
    }
    f.name = bt_strdup(name);
    f.json = bt_strdup(json);
    if (f.name && f.json && set_fact(j, f) == BT_OK)
        return BT_OK;
    bt_release(f.name);
    bt_release(f.json);
    bt_release(f.text);
    return bt_fail(&j->error, BT_ENOMEM, "out of memory for the report");
}

void bt_host_fill(bt_job *j, bt_run *r)
{
    *r = (bt_run){
        .host = j,
        .options = j->options,
        .cancel = &j->cancel,
        .hurry = j->callbacks.samples && !j->callbacks.patient,
        .image_in = host_image_in,
        .array_in = host_array_in,
        .trace = j->trace,
        .error = &j->error,
        .progress = host_progress,
        .token = host_token,
        .samples = host_samples,
        .image = host_image,
        .report = host_report,
        .preview = j->callbacks.preview ? host_preview : NULL,
        .preview_interval = j->callbacks.preview_interval > 0 ? j->callbacks.preview_interval : 1,
        .timing = j->callbacks.timing ? host_timing : NULL,
    };
}
