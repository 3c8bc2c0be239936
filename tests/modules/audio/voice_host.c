/* SPDX-License-Identifier: MIT
 * See voice_host.h.
 */
#include "voice_host.h"

#include <math.h>
#include <stdio.h>

static bt_status on_progress(void *user, const char *stage, int done, int total)
{
    (void)user;
    assert_true(stage && done >= 0 && done <= total);
    return BT_OK;
}

static bt_status on_samples(void *user, int rate, const float *x, size_t n)
{
    host *h = user;
    if (h->n + n > h->cap) {
        h->cap = 2 * h->cap + n;
        h->samples = realloc(h->samples, h->cap * sizeof *h->samples);
        assert_non_null(h->samples);
    }
    memcpy(h->samples + h->n, x, n * sizeof *x);
    h->n += n;
    if (h->calls++ == 0)
        h->first_call = n;
    h->rate = rate;
    return h->cancel_at && h->n >= h->cancel_at ? BT_ECANCELLED : BT_OK;
}

static bt_status on_report(void *user, const char *name, const char *json)
{
    host *h = user;
    bt_buf_printf(&h->report, "%s=%s\n", name, json);
    return h->report.failed ? bt_no_memory(&h->error, "the report") : BT_OK;
}

static char *copy_of(const char *s)
{
    char *copy = strdup(s);
    assert_non_null(copy);
    return copy;
}

static bt_status on_timing(void *user, const bt_timing *t)
{
    host *h = user;
    if (h->n_times == h->cap_times) {
        h->cap_times = 2 * h->cap_times + 64;
        h->times = realloc(h->times, h->cap_times * sizeof *h->times);
        assert_non_null(h->times);
    }
    bt_timing *mine = &h->times[h->n_times++];
    *mine = *t;
    mine->spelling = copy_of(t->spelling);
    mine->phonemes = copy_of(t->phonemes);
    return h->n_times == h->stop_at_time ? BT_ECANCELLED : BT_OK;
}

static void forget_times(host *h)
{
    for (size_t i = 0; i < h->n_times; i++) {
        free((char *)(uintptr_t)h->times[i].spelling);
        free((char *)(uintptr_t)h->times[i].phonemes);
    }
    h->n_times = 0;
}

static const bt_array *array_in(void *user, const char *name)
{
    return strcmp(name, "mel") == 0 ? ((const host *)user)->mel : NULL;
}

void host_setup_as(host *h, const bt_module *m, const char *isa, int threads, bt_precision p)
{
    memset(h, 0, sizeof *h);
    int64_t cap = bt_cpu_cap(isa ? isa : "auto");
    assert_true(cap >= 0);
    h->module = m;
    bt_kernels_init(&h->kernels, bt_cpu_flags() & (uint32_t)cap);
    h->compute = (bt_compute){ .kernels = &h->kernels, .threads = threads, .precision = p };
    h->options = calloc(1, m->options_size);
    assert_non_null(h->options);
    for (const bt_option *o = m->options; o->name; o++)
        host_set(h, o->name, o->default_value);
}

void host_setup(host *h, const char *isa, int threads, bt_precision p)
{
    host_setup_as(h, &bt_module_vits, isa, threads, p);
}

bt_status host_try_open(host *h, const char *path)
{
    bt_store *s;
    bt_status st = bt_store_open(path, &s, &h->error);
    if (st != BT_OK)
        return st;
    if (!h->module->probe(s)) {
        bt_store_close(s);
        return bt_fail(&h->error, BT_EUNSUPPORTED, "%s: not a voice", path);
    }
    st = h->module->open(s, &h->compute, &h->model, &h->error);
    if (st != BT_OK)
        bt_store_close(s);
    return st;
}

static void open_job(host *h, const char *path)
{
    char full[1024];
    if (*path != '/')
        path = golden_data(path, full, sizeof full);
    if (host_try_open(h, path) != BT_OK ||
        h->module->job_open(h->model, &h->job, &h->error) != BT_OK)
        fail_msg("%s", h->error.text);
}

void host_open(host *h, const char *path, const char *isa, int threads, bt_precision p)
{
    host_setup(h, isa, threads, p);
    open_job(h, path);
}

void host_open_as(host *h, const bt_module *m, const char *path, int threads, bt_precision p)
{
    host_setup_as(h, m, NULL, threads, p);
    open_job(h, path);
}

void host_close(host *h)
{
    h->module->job_close(h->job);
    if (h->model)
        h->module->close(h->model);
    free(h->options);
    free(h->samples);
    forget_times(h);
    free(h->times);
    bt_buf_free(&h->report);
}

void host_set(host *h, const char *option, const char *value)
{
    const bt_option *o = h->module->options;
    while (o->name && strcmp(o->name, option) != 0)
        o++;
    assert_non_null(o->name);
    void *at = h->options + o->offset;
    switch (o->type) {
    case BT_OPT_BOOL: *(int *)at = *value ? atoi(value) : -1; break;
    case BT_OPT_INT: *(int64_t *)at = strtoll(value, NULL, 10); break;
    case BT_OPT_FLOAT: *(double *)at = *value ? atof(value) : NAN; break;
    case BT_OPT_STRING: *(const char **)at = value; break;
    default: fail_msg("option %s has an unexpected type", option);
    }
}

bt_status host_try_run(host *h)
{
    bt_run r = {
        .host = h,
        .options = h->options,
        .cancel = &h->cancel,
        .hurry = !h->patient,
        .array_in = array_in,
        .error = &h->error,
        .progress = on_progress,
        .samples = on_samples,
        .report = on_report,
        .timing = h->wants_times ? on_timing : NULL,
    };
    forget_times(h);
    h->n = h->calls = 0;
    bt_buf_free(&h->report);
    bt_buf_puts(&h->report, "\n");
    memset(&h->error, 0, sizeof h->error);
    return h->module->run(h->job, &r);
}

void host_run(host *h)
{
    if (host_try_run(h) != BT_OK)
        fail_msg("%s", h->error.text);
}

double host_fact(const host *h, const char *name)
{
    char key[80];
    snprintf(key, sizeof key, "\n%s=", name);
    const char *p = h->report.data ? strstr(h->report.data, key) : NULL;
    if (!p)
        fail_msg("the report lacks %s", name);
    return atof(p + strlen(key));
}

void host_run_timed(host *h, size_t gap)
{
    uint64_t at = 0;
    h->wants_times = true;
    host_run(h);
    assert_true(h->n_times > 0);
    for (size_t i = 0; i < h->n_times;) {
        const bt_timing *whole = &h->times[i++];
        assert_int_equal(whole->kind, BT_TIMING_SENTENCE);
        assert_int_equal(whole->begin, at + (i > 1 ? gap : 0));
        assert_int_equal(whole->sample_rate, h->rate);
        uint64_t words = whole->begin;
        for (; i < h->n_times && h->times[i].kind == BT_TIMING_WORD; i++) {
            const bt_timing *w = &h->times[i];
            assert_true(w->begin >= words && w->end > w->begin && w->end <= whole->end);
            assert_true(w->from >= whole->from && w->from < w->to && w->to <= whole->to);
            words = w->end;
        }
        at = whole->begin;
        for (; i < h->n_times && h->times[i].kind == BT_TIMING_PHONEME; i++) {
            assert_int_equal(h->times[i].begin, at);
            at = h->times[i].end;
        }
        assert_int_equal(at, whole->end);
    }
    assert_int_equal(at, h->n);
}

void host_assert_told(const host *h, bt_timing_kind kind, const char *source, const char *want)
{
    bt_buf got = { 0 };
    for (size_t i = 0; i < h->n_times; i++) {
        const bt_timing *t = &h->times[i];
        if (t->kind == kind)
            bt_buf_printf(&got, "%.*s|", (int)(t->to - t->from), source + t->from);
    }
    assert_false(got.failed);
    assert_string_equal(got.data, want);
    bt_buf_free(&got);
}

const bt_timing *host_told(const host *h, bt_timing_kind kind, int number)
{
    for (size_t i = 0; i < h->n_times; i++)
        if (h->times[i].kind == kind && number-- == 0)
            return &h->times[i];
    fail_msg("there are fewer");
    return NULL;
}

bt_status host_hear(void *of, const float *x, size_t n)
{
    host_sound *s = of;
    s->x = realloc(s->x, (s->n + n) * sizeof *x);
    assert_non_null(s->x);
    memcpy(s->x + s->n, x, n * sizeof *x);
    s->n += n;
    s->calls++;
    return BT_OK;
}
