/* SPDX-License-Identifier: MIT
 * The model handle, and files looked at or converted without a module.
 */
#include <string.h>

#include "engine/handles.h"

/* ---- life ---------------------------------------------------------------- */

static bt_status no_module(const bt_store *s, bt_error *err)
{
    size_t n;
    const char *arch = bt_store_str(s, "general.architecture", &n);
    const char *like = bt_store_looks_like(s);
    if (like)
        return bt_fail(err, BT_EUNSUPPORTED, "%s looks like %s, which no module reads",
                       bt_store_path(s), like);
    if (arch)
        return bt_fail(err, BT_EUNSUPPORTED, "%s: no module knows the architecture \"%.60s\"",
                       bt_store_path(s), arch);
    return bt_fail(err, BT_EUNSUPPORTED, "%s: no module knows this %s model", bt_store_path(s),
                   bt_store_format(s));
}

/* The store goes to the module, or is closed. */
static bt_status open_model(bt_engine *e, const char *path, bt_model *m, bt_error *err)
{
    bt_store *s;
    bt_status st = bt_store_open(path, &s, err);
    if (st != BT_OK)
        return st;
    m->module = bt_loader_probe(e, s);
    st = m->module ? m->module->open(s, &e->compute, &m->impl, err) : no_module(s, err);
    if (st != BT_OK)
        bt_store_close(s);
    return st;
}

bt_status bt_model_open(bt_engine *e, const char *path, bt_model **out)
{
    if (out)
        *out = NULL;
    if (!e || !path || !out)
        return BT_EINVAL;
    const locale_t host = bt_enter(e);
    bt_error *err = bt_engine_error(e);
    bt_model *m = bt_calloc(1, sizeof *m);
    if (m)
        m->path = bt_strdup(path);
    bt_status st = BT_OK;
    if (!m || !m->path)
        st = bt_fail(err, BT_ENOMEM, "out of memory");
    else
        st = open_model(e, path, m, err);
    if (st == BT_OK) {
        atomic_init(&m->refs, 1);
        m->engine = e;
        bt_engine_retain(e);
        *out = m;
    } else {
        if (m)
            bt_release(m->path);
        bt_release(m);
    }
    bt_leave(host);
    return st;
}

void bt_model_retain(bt_model *m)
{
    if (m)
        atomic_fetch_add(&m->refs, 1);
}

void bt_model_free(bt_model *m)
{
    if (!m || atomic_fetch_sub(&m->refs, 1) > 1)
        return;
    bt_engine *e = m->engine;
    m->module->close(m->impl);
    bt_release(m->path);
    bt_release(m);
    bt_engine_free(e);
}

bt_kind bt_model_kind(const bt_model *m) { return m ? m->module->kind : (bt_kind)0; }

/* ---- description --------------------------------------------------------- */

/* The finished text of a description, or why there is none. */
static bt_status take(bt_buf *b, bt_status st, char **out, bt_error *err)
{
    if (st == BT_OK && !(*out = bt_buf_take(b)))
        st = BT_ENOMEM;
    if (st != BT_OK)
        bt_fail(err, st, "no description: %s", bt_status_text(st));
    bt_buf_free(b);
    return st;
}

bt_status bt_model_describe(bt_model *m, char **json)
{
    if (json)
        *json = NULL;
    if (!m || !json)
        return BT_EINVAL;
    const locale_t host = bt_enter(m->engine);
    bt_buf b = { 0 };
    const bt_status st =
        take(&b, m->module->describe(m->impl, &b), json, bt_engine_error(m->engine));
    bt_leave(host);
    return st;
}

bt_status bt_file_describe(bt_engine *e, const char *path, char **json)
{
    if (json)
        *json = NULL;
    if (!e || !path || !json)
        return BT_EINVAL;
    const locale_t host = bt_enter(e);
    bt_error *err = bt_engine_error(e);
    bt_store *s;
    bt_status st = bt_store_open(path, &s, err);
    if (st == BT_OK) {
        bt_buf b = { 0 };
        st = take(&b, bt_store_describe(s, &b), json, err);
        bt_store_close(s);
    }
    bt_leave(host);
    return st;
}

/* ---- tokens -------------------------------------------------------------- */

bt_status bt_tokenize(bt_model *m, const char *text, size_t len, int special, int32_t **ids,
                      size_t *n)
{
    if (ids)
        *ids = NULL;
    if (n)
        *n = 0;
    if (!m || (!text && len) || !ids || !n)
        return BT_EINVAL;
    const locale_t host = bt_enter(m->engine);
    bt_error *err = bt_engine_error(m->engine);
    const bt_status st =
        m->module->tokenize
            ? m->module->tokenize(m->impl, text ? text : "", len, special, ids, n, err)
            : bt_fail(err, BT_EUNSUPPORTED, "%s: this model has no tokenizer", m->path);
    bt_leave(host);
    return st;
}

bt_status bt_detokenize(bt_model *m, const int32_t *ids, size_t n, char **text, size_t *len)
{
    size_t unused;
    if (text)
        *text = NULL;
    if (len)
        *len = 0;
    if (!m || (!ids && n) || !text)
        return BT_EINVAL;
    const locale_t host = bt_enter(m->engine);
    bt_error *err = bt_engine_error(m->engine);
    const bt_status st =
        m->module->detokenize
            ? m->module->detokenize(m->impl, ids, n, text, len ? len : &unused, err)
            : bt_fail(err, BT_EUNSUPPORTED, "%s: this model has no tokenizer", m->path);
    bt_leave(host);
    return st;
}
