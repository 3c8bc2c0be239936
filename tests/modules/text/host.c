/* SPDX-License-Identifier: MIT
 * See host.h.
 */
#include "host.h"

#include <math.h>

static bt_status on_progress(void *user, const char *stage, int done, int total)
{
    (void)user;
    assert_true(stage && done >= 0 && done <= total);
    return BT_OK;
}

static bt_status on_token(void *user, int32_t id, const char *text, size_t n)
{
    host *h = user;
    bt_buf_add(&h->text, text, n);
    if (id >= 0)
        bt_ids_add(&h->ids, id);
    return h->cancel_at && (int)h->ids.len >= h->cancel_at ? BT_ECANCELLED : BT_OK;
}

static bt_status on_report(void *user, const char *name, const char *json)
{
    host *h = user;
    bt_buf_printf(&h->report, "%s=%s\n", name, json);
    return BT_OK;
}

void host_init(host *h, const char *isa, int threads, bt_precision p)
{
    memset(h, 0, sizeof *h);
    int64_t cap = bt_cpu_cap(isa ? isa : "auto");
    assert_true(cap >= 0);
    bt_kernels_init(&h->kernels, bt_cpu_flags() & (uint32_t)cap);
    h->compute =
        (bt_compute){ .kernels = &h->kernels, .threads = threads ? threads : 1, .precision = p };
}

/* Default values as the engine reads them from the table. */
static void defaults(host *h)
{
    char *base = (char *)&h->options;
    for (const bt_option *o = bt_module_llama.options; o->name; o++) {
        void *at = base + o->offset;
        switch (o->type) {
        case BT_OPT_BOOL: *(int *)at = atoi(o->default_value); break;
        case BT_OPT_CHOICE: *(int *)at = 0; break; /* all defaults are the first */
        case BT_OPT_INT: *(int64_t *)at = atoll(o->default_value); break;
        case BT_OPT_UINT64: *(uint64_t *)at = strtoull(o->default_value, NULL, 10); break;
        case BT_OPT_FLOAT: *(double *)at = atof(o->default_value); break;
        case BT_OPT_STRING:
        case BT_OPT_LIST: *(const char **)at = o->default_value; break;
        }
    }
}

bt_status host_try_open(host *h, const char *path)
{
    bt_store *s;
    void *model;
    bt_status st = bt_store_open(path, &s, &h->error);
    if (st != BT_OK)
        return st;
    st = bt_module_llama.open(s, &h->compute, &model, &h->error);
    if (st != BT_OK)
        bt_store_close(s);
    h->model = st == BT_OK ? model : NULL;
    return st;
}

void host_open(host *h, const char *path)
{
    if (host_try_open(h, path) != BT_OK)
        fail_msg("%s", h->error.text);
    host_new_job(h);
    defaults(h);
}

void host_open_smollm2(host *h)
{
    char path[1024];
    host_open(h, golden_data(SMOLLM2, path, sizeof path));
}

void host_new_job(host *h)
{
    bt_module_llama.job_close(h->job);
    if (bt_module_llama.job_open(h->model, &h->job, &h->error) != BT_OK)
        fail_msg("%s", h->error.text);
}

void host_close(host *h)
{
    bt_module_llama.job_close(h->job);
    bt_module_llama.close(h->model);
    bt_buf_free(&h->text);
    bt_buf_free(&h->report);
    bt_ids_free(&h->ids);
}

bt_status host_try_run(host *h, const char *prompt)
{
    h->options.prompt = prompt;
    bt_buf_free(&h->text);
    bt_buf_free(&h->report);
    h->ids.len = 0;
    h->error = (bt_error){ 0 };
    bt_run r = { .host = h,
                 .options = &h->options,
                 .cancel = &h->cancel,
                 .error = &h->error,
                 .progress = on_progress,
                 .token = on_token,
                 .report = on_report };
    return bt_module_llama.run(h->job, &r);
}

const char *host_run(host *h, const char *prompt)
{
    if (host_try_run(h, prompt) != BT_OK)
        fail_msg("%s", h->error.text);
    return h->text.data ? h->text.data : "";
}

static const char *find(const host *h, const char *name)
{
    size_t n = strlen(name);
    for (const char *p = h->report.data; p && *p; p = strchr(p, '\n') + 1)
        if (!strncmp(p, name, n) && p[n] == '=')
            return p + n + 1;
    return NULL;
}

double host_number(const host *h, const char *name)
{
    const char *value = find(h, name);
    return value ? atof(value) : NAN;
}

bool host_says(const host *h, const char *line)
{
    const char *p = h->report.data ? strstr(h->report.data, line) : NULL;
    return p && (p == h->report.data || p[-1] == '\n') && p[strlen(line)] == '\n';
}
