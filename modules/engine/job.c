/* SPDX-License-Identifier: MIT
 * The job handle: its life, its runs.
 *
 * A run: forget the last results, hold the estimate against the budget, hand
 * the module its options and the host's calls (host.c). The cancel flag is
 * cleared first, so that a cancel belongs to the run that it met.
 */
#include <string.h>

#include "base/threads.h"
#include "engine/handles.h"

/* ---- life ---------------------------------------------------------------- */

static bt_status open_job(bt_job *j, bt_error *err)
{
    const bt_module *m = j->model->module;
    const size_t n = bt_options_count(m->options) + bt_options_count(bt_engine_common(m->kind));
    j->options = bt_calloc(1, m->options_size + 1);
    j->values = bt_calloc(n, sizeof *j->values);
    if (!j->options || !j->values)
        return bt_fail(err, BT_ENOMEM, "out of memory");
    bt_status st = bt_job_add_values(j, m->options, j->options, err);
    if (st == BT_OK)
        st = bt_job_add_values(j, bt_engine_common(m->kind), &j->common, err);
    return st == BT_OK ? m->job_open(j->model->impl, &j->impl, err) : st;
}

bt_status bt_job_create(bt_model *m, bt_job **out)
{
    if (out)
        *out = NULL;
    if (!m || !out)
        return BT_EINVAL;
    const locale_t host = bt_enter(m->engine);
    bt_error *err = bt_engine_error(m->engine);
    bt_job *j = bt_calloc(1, sizeof *j);
    bt_status st = BT_ENOMEM;
    if (j) {
        atomic_init(&j->cancel, false);
        j->model = m;
        bt_model_retain(m);
        st = open_job(j, err);
    } else {
        bt_fail(err, BT_ENOMEM, "out of memory");
    }
    if (st == BT_OK)
        *out = j;
    else
        bt_job_free(j);
    bt_leave(host);
    return st;
}

void bt_job_free(bt_job *j)
{
    if (!j)
        return;
    if (j->impl)
        j->model->module->job_close(j->impl);
    bt_job_forget(j);
    for (size_t i = 0; i < j->n_values; i++) {
        bt_release(j->values[i].text);
        bt_release(j->values[i].used);
    }
    bt_release(j->values);
    bt_release(j->options);
    bt_pictures_free(&j->inputs);
    bt_array_clear(&j->mel);
    bt_model_free(j->model);
    bt_release(j);
}

const char *bt_job_message(const bt_job *j) { return j ? j->error.text : ""; }

void bt_job_set_callbacks(bt_job *j, const bt_callbacks *cb)
{
    if (!j)
        return;
    j->callbacks = (bt_callbacks){ 0 };
    if (cb)
        bt_struct_in(&j->callbacks, sizeof j->callbacks, cb);
}

void bt_job_cancel(bt_job *j)
{
    if (j)
        atomic_store(&j->cancel, true);
}

/* ---- run ----------------------------------------------------------------- */

static bt_status estimate(bt_job *j, bt_estimate *out)
{
    bt_run r;
    bt_host_fill(j, &r);
    *out = (bt_estimate){ .struct_size = sizeof *out };
    return j->model->module->estimate(j->impl, &r, out);
}

bt_status bt_job_estimate(bt_job *j, bt_estimate *out)
{
    bt_estimate est;
    if (!j || !out)
        return BT_EINVAL;
    const locale_t host = bt_enter(j->model->engine);
    j->error = (bt_error){ 0 };
    bt_status st = estimate(j, &est);
    if (st == BT_OK && !bt_struct_out(out, &est, sizeof est))
        st = bt_fail(&j->error, BT_EINVAL, "struct_size is not set");
    bt_leave(host);
    return st;
}

static bt_status within_budget(bt_job *j)
{
    const uint64_t budget = j->model->engine->compute.memory;
    bt_estimate est;
    if (budget == 0)
        return BT_OK;
    const bt_status st = estimate(j, &est);
    if (st != BT_OK)
        return st;
    const uint64_t need = est.weights + est.arena + est.caches;
    if (need <= budget)
        return BT_OK;
    return bt_fail(&j->error, BT_EBUDGET,
                   "%s: needs %llu MiB (weights %llu, arena %llu, caches %llu), the budget is %llu",
                   j->model->path, (unsigned long long)(need >> 20),
                   (unsigned long long)(est.weights >> 20), (unsigned long long)(est.arena >> 20),
                   (unsigned long long)(est.caches >> 20), (unsigned long long)(budget >> 20));
}

static bt_status run_module(bt_job *j)
{
    bt_run r;
    bt_status st = within_budget(j);
    if (st == BT_OK && j->common.profile && (st = bt_trace_create(&j->trace)) != BT_OK)
        return bt_fail(&j->error, st, "out of memory for the profile");
    if (st != BT_OK)
        return st;
    bt_host_fill(j, &r);
    st = j->model->module->run(j->impl, &r);
    if (st == BT_OK && j->text.failed)
        st = BT_ENOMEM;
    return st == BT_OK ? bt_host_end(j) : st;
}

bt_status bt_job_run(bt_job *j)
{
    if (!j)
        return BT_EINVAL;
    j->host_locale = bt_enter(j->model->engine);
    bt_job_forget(j);
    j->error = (bt_error){ 0 };
    atomic_store(&j->cancel, false);
    const double start = bt_now();
    j->status = run_module(j);
    j->seconds = bt_now() - start;
    if (j->status != BT_OK && !j->error.text[0])
        bt_fail(&j->error, j->status, "%s: %s", j->model->path, bt_status_text(j->status));
    bt_leave(j->host_locale);
    return j->status;
}
