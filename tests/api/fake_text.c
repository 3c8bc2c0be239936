/* SPDX-License-Identifier: MIT
 * A module for tests: gives the prompt back word by word, `repeat` times, and
 * remembers how often its job ran. Its models: metadata "demo": "echo".
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "module.h"

typedef struct echo_options {
    const char *prompt;
    int64_t repeat, delay_ms;
    int fail, chat;
    uint64_t seed;
} echo_options;

#define OFF(field) offsetof(echo_options, field)

static const bt_option options[] = {
    { "prompt", "p", NULL, BT_OPT_STRING, OFF(prompt), "", 0, 0, NULL, NULL, "text" },
    { "repeat", "r", "n_predict", BT_OPT_INT, OFF(repeat), "1", 0, 1000000, NULL, NULL, "times" },
    { "delay_ms", NULL, NULL, BT_OPT_INT, OFF(delay_ms), "0", 0, 1000, NULL, "ms",
      "pause before each word" },
    { "fail", NULL, NULL, BT_OPT_CHOICE, OFF(fail), "never", 0, 0, "never,silently,loudly", NULL,
      "how a run fails" },
    { "chat", NULL, NULL, BT_OPT_BOOL, OFF(chat), "false", 0, 0, NULL, NULL, "count the turns" },
    { "seed", NULL, NULL, BT_OPT_UINT64, OFF(seed), "3", 0, 0, NULL, NULL, "unused" },
    { 0 }
};

struct bt_module_job {
    int runs;
};

static int echo_probe(const bt_store *s)
{
    const char *demo = bt_store_str(s, "demo", NULL);
    return demo && strcmp(demo, "echo") == 0 ? 100 : 0;
}

static bt_status echo_open(bt_store *s, const bt_compute *c, void **model, bt_error *err)
{
    (void)c;
    (void)err;
    *model = s;
    return BT_OK;
}

static void echo_close(void *model) { bt_store_close(model); }

static bt_status echo_describe(void *model, bt_buf *json)
{
    (void)model;
    bt_buf_puts(json, "{\"architecture\":\"echo\"}");
    return BT_OK;
}

static bt_status echo_job_open(void *model, bt_module_job **job, bt_error *err)
{
    (void)model;
    *job = bt_calloc(1, sizeof **job);
    return *job ? BT_OK : bt_fail(err, BT_ENOMEM, "out of memory");
}

static void echo_job_close(bt_module_job *job) { bt_release(job); }

static bt_status echo_estimate(bt_module_job *job, const bt_run *r, bt_estimate *out)
{
    const echo_options *o = r->options;
    (void)job;
    out->weights = 1 << 20;
    out->caches = (uint64_t)o->repeat << 20;
    return BT_OK;
}

static bt_status say(const bt_run *r, int id, const char *text, size_t n)
{
    const echo_options *o = r->options;
    const struct timespec wait = { .tv_nsec = o->delay_ms * 1000000 };
    if (o->delay_ms)
        nanosleep(&wait, NULL);
    if (atomic_load(r->cancel))
        return BT_ECANCELLED;
    return r->token(r->host, id, text, n);
}

static bt_status echo_run(bt_module_job *job, const bt_run *r)
{
    const echo_options *o = r->options;
    char fact[32];
    bt_status st = r->progress(r->host, "echo", 0, (int)o->repeat);
    if (o->fail == 1)
        return BT_EIO;
    if (o->fail == 2)
        return bt_fail(r->error, BT_EINVAL, "asked to fail");
    for (int i = 0; i < (int)o->repeat && st == BT_OK; i++)
        for (const char *p = o->prompt; *p && st == BT_OK;) {
            const size_t n = strcspn(p + 1, " ") + 1;
            st = say(r, i, p, n);
            p += n;
        }
    snprintf(fact, sizeof fact, "%d", ++job->runs);
    if (st == BT_OK)
        st = r->report(r->host, "turns", fact);
    return st;
}

static bt_status echo_tokenize(void *model, const char *text, size_t len, int special,
                               int32_t **ids, size_t *n, bt_error *err)
{
    (void)model;
    (void)special;
    *ids = bt_calloc(len + 1, sizeof **ids);
    if (!*ids)
        return bt_fail(err, BT_ENOMEM, "out of memory");
    for (size_t i = 0; i < len; i++)
        (*ids)[i] = (unsigned char)text[i];
    *n = len;
    return BT_OK;
}

static bt_status echo_detokenize(void *model, const int32_t *ids, size_t n, char **text,
                                 size_t *len, bt_error *err)
{
    bt_buf b = { 0 };
    (void)model;
    for (size_t i = 0; i < n; i++)
        bt_buf_add(&b, &(char){ (char)ids[i] }, 1);
    *len = b.len;
    *text = bt_buf_take(&b);
    return *text ? BT_OK : bt_fail(err, BT_ENOMEM, "out of memory");
}

static const bt_module echo = {
    .abi = BT_MODULE_ABI,
    .version = BT_VERSION,
    .name = "echo",
    .kind = BT_KIND_TEXT,
    .options = options,
    .options_size = sizeof(echo_options),
    .probe = echo_probe,
    .open = echo_open,
    .close = echo_close,
    .describe = echo_describe,
    .job_open = echo_job_open,
    .job_close = echo_job_close,
    .estimate = echo_estimate,
    .run = echo_run,
    .tokenize = echo_tokenize,
    .detokenize = echo_detokenize,
};

BT_API const bt_module *bt_module_entry(void);

const bt_module *bt_module_entry(void) { return &echo; }
