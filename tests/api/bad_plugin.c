/* SPDX-License-Identifier: MIT
 * Plug-ins that must be refused; BAD says what is wrong.
 */
#include "module.h"

BT_API const bt_module *bt_module_entry(void);

static int bad_probe(const bt_store *s)
{
    (void)s;
    return 0;
}

static bt_status bad_open(bt_store *s, const bt_compute *c, void **model, bt_error *err)
{
    (void)s;
    (void)c;
    *model = NULL;
    return bt_fail(err, BT_EUNSUPPORTED, "never");
}

static void bad_close(void *model) { (void)model; }

static bt_status bad_describe(void *model, bt_buf *json)
{
    (void)model;
    (void)json;
    return BT_OK;
}

static bt_status bad_job_open(void *model, bt_module_job **job, bt_error *err)
{
    (void)model;
    *job = NULL;
    return bt_fail(err, BT_EUNSUPPORTED, "never");
}

static void bad_job_close(bt_module_job *job) { (void)job; }

static bt_status bad_estimate(bt_module_job *job, const bt_run *r, bt_estimate *out)
{
    (void)job;
    (void)r;
    (void)out;
    return BT_OK;
}

#if BAD != 3
static bt_status bad_run(bt_module_job *job, const bt_run *r)
{
    (void)job;
    (void)r;
    return BT_OK;
}
#endif

/* 4: a field past the end of the struct; 5: a default that is out of range */
static const bt_option options[] = { { "n", NULL, NULL, BT_OPT_INT, BAD == 4 ? 1 : 0,
                                       BAD == 5 ? "7" : "2", 1, 3, NULL, NULL, "" },
                                     { 0 } };

static const bt_module bad = {
    .abi = BAD == 1 ? BT_MODULE_ABI + 1 : BT_MODULE_ABI,
    .version = BAD == 2 ? "0.0.0-other" : BT_VERSION,
    .name = "bad",
    .kind = BT_KIND_TEXT,
    .options = options,
    .options_size = sizeof(int64_t),
    .probe = bad_probe,
    .open = bad_open,
    .close = bad_close,
    .describe = bad_describe,
    .job_open = bad_job_open,
    .job_close = bad_job_close,
    .estimate = bad_estimate,
#if BAD != 3
    .run = bad_run,
#endif
};

const bt_module *bt_module_entry(void) { return &bad; }
