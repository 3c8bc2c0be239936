/* SPDX-License-Identifier: MIT
 * Results of a job's last run, one by one and as JSON. Facts that a module
 * reported stand beside the options; seconds and peak memory are the engine's.
 */
#include <string.h>

#include "engine/handles.h"

void bt_job_forget(bt_job *j)
{
    for (size_t i = 0; i < j->n_values; i++) {
        bt_release(j->values[i].used);
        j->values[i].used = NULL;
    }
    for (size_t i = 0; i < j->n_facts; i++) {
        bt_release(j->facts[i].name);
        bt_release(j->facts[i].json);
        bt_release(j->facts[i].text);
    }
    bt_release(j->facts);
    j->facts = NULL;
    j->n_facts = 0;
    bt_pictures_free(&j->pictures);
    bt_buf_free(&j->text);
    bt_release(j->samples);
    j->samples = NULL;
    j->samples_cap = 0;
    j->module_rate = 0;
    bt_resampler_free(j->resampler);
    j->resampler = NULL;
    j->audio = (bt_audio){ 0 };
    bt_trace_free(j->trace);
    j->trace = NULL;
    j->seconds = 0;
}

size_t bt_job_image_count(const bt_job *j) { return j ? j->pictures.n : 0; }

bt_status bt_job_image(const bt_job *j, size_t i, bt_image *out)
{
    if (!j || !out)
        return BT_EINVAL;
    if (i >= j->pictures.n)
        return BT_ENOTFOUND;
    return bt_struct_out(out, &j->pictures.at[i].image, sizeof(bt_image)) ? BT_OK : BT_EINVAL;
}

bt_status bt_job_audio(const bt_job *j, bt_audio *out)
{
    if (!j || !out)
        return BT_EINVAL;
    if (j->audio.sample_rate == 0)
        return BT_ENOTFOUND;
    return bt_struct_out(out, &j->audio, sizeof j->audio) ? BT_OK : BT_EINVAL;
}

const char *bt_job_text(const bt_job *j, size_t i)
{
    if (!j)
        return "";
    if (j->pictures.n > 0)
        return i < j->pictures.n ? j->pictures.at[i].name : "";
    return i == 0 && j->text.data ? j->text.data : "";
}

static void report_options(const bt_job *j, bt_buf *b)
{
    for (size_t i = 0; i < j->n_values; i++) {
        const bt_value *v = &j->values[i];
        bt_buf_puts(b, i ? "," : "");
        bt_buf_json(b, v->option->name, strlen(v->option->name));
        bt_buf_puts(b, ":");
        bt_option_json(v->option, v->used ? v->used : v->text, b);
    }
}

static void report_results(const bt_job *j, bt_buf *b)
{
    bt_buf_puts(b, ",\"images\":[");
    for (size_t i = 0; i < j->pictures.n; i++) {
        const bt_picture *p = &j->pictures.at[i];
        bt_buf_printf(b, "%s{\"width\":%d,\"height\":%d,\"infotext\":", i ? "," : "",
                      p->image.width, p->image.height);
        bt_buf_json(b, p->name, strlen(p->name));
        bt_buf_puts(b, "}");
    }
    bt_buf_puts(b, "]");
    if (j->audio.sample_rate)
        bt_buf_printf(b, ",\"audio\":{\"sample_rate\":%d,\"samples\":%zu,\"seconds\":%.6f}",
                      j->audio.sample_rate, j->audio.n, (double)j->audio.n / j->audio.sample_rate);
    if (j->model->module->kind == BT_KIND_TEXT) {
        bt_buf_puts(b, ",\"text\":");
        bt_buf_json(b, j->text.data ? j->text.data : "", j->text.len);
    }
}

bt_status bt_job_report(const bt_job *j, char **json)
{
    if (json)
        *json = NULL;
    if (!j || !json)
        return BT_EINVAL;
    const locale_t host = bt_enter(j->model->engine);
    const bt_module *m = j->model->module;
    bt_buf b = { 0 };
    /* before the peaks are measured, which takes memory of its own */
    const uint64_t most = bt_proc_bytes("/proc/self/status", "VmHWM:");
    bt_buf_printf(&b, "{\"kind\":\"%s\",\"module\":", bt_kind_name(m->kind));
    bt_buf_json(&b, m->name, strlen(m->name));
    bt_buf_puts(&b, ",\"model\":");
    bt_buf_json(&b, j->model->path, strlen(j->model->path));
    bt_buf_printf(&b, ",\"status\":\"%s\",\"options\":{", bt_status_text(j->status));
    report_options(j, &b);
    bt_buf_puts(&b, "}");
    for (size_t i = 0; i < j->n_facts; i++) {
        bt_buf_puts(&b, ",");
        bt_buf_json(&b, j->facts[i].name, strlen(j->facts[i].name));
        bt_buf_printf(&b, ":%s", j->facts[i].json);
    }
    report_results(j, &b);
    if (j->trace) {
        bt_buf_puts(&b, ",\"profile\":");
        b.failed |= bt_trace_summary(j->trace, bt_engine_peaks(j->model->engine), &b) != BT_OK;
    }
    bt_buf_printf(&b, ",\"seconds\":%.6f,\"peak_memory\":%llu}", j->seconds,
                  (unsigned long long)most);
    *json = bt_buf_take(&b);
    bt_leave(host);
    return *json ? BT_OK : BT_ENOMEM;
}

bt_status bt_job_trace(const bt_job *j, char **json)
{
    if (json)
        *json = NULL;
    if (!j || !json)
        return BT_EINVAL;
    if (!j->trace)
        return BT_ENOTFOUND;
    const locale_t host = bt_enter(j->model->engine);
    bt_buf b = { 0 };
    bt_status st = bt_trace_json(j->trace, bt_engine_peaks(j->model->engine), &b);
    if (st == BT_OK && !(*json = bt_buf_take(&b)))
        st = BT_ENOMEM;
    bt_buf_free(&b);
    bt_leave(host);
    return st;
}
