/* SPDX-License-Identifier: MIT
 * The modules of an engine: those built in, and plug-ins.
 *
 * A plug-in is code, so it is as trusted as the program; what is checked here is
 * only that it fits: version, members, and an option table that can be read.
 * What was added stays loaded as long as the engine, for models may hold a module
 * that a later one of the same name has replaced.
 */
#include <dlfcn.h>
#include <string.h>

#include "engine/handles.h"

/* What a plug-in claims to be, before anything in it is used. The first two
 * members never move, so that another version's descriptor can be refused. */
static bt_status check_version(const bt_module *m, const char *file, bt_error *err)
{
    if (m->abi != BT_MODULE_ABI)
        return bt_fail(err, BT_EUNSUPPORTED, "%s: built for module ABI %u, this is ABI %u", file,
                       (unsigned)m->abi, BT_MODULE_ABI);
    if (!m->version || strcmp(m->version, BT_VERSION) != 0)
        return bt_fail(err, BT_EUNSUPPORTED, "%s: built for bottega %s, this is %s", file,
                       m->version ? m->version : "of no version", BT_VERSION);
    return BT_OK;
}

static bt_status check_module(const bt_module *m, const char *file, bt_error *err)
{
    bt_status st = check_version(m, file, err);
    if (st != BT_OK)
        return st;
    if (!m->name || !*m->name || m->kind < BT_KIND_TEXT || m->kind > BT_KIND_AUDIO || !m->probe ||
        !m->open || !m->close || !m->describe || !m->job_open || !m->job_close || !m->estimate ||
        !m->run)
        return bt_fail(err, BT_EUNSUPPORTED, "%s: an incomplete module", file);
    for (size_t i = 0; i < bt_options_count(m->options); i++) {
        bt_error why = { 0 };
        st = bt_option_check(&m->options[i], m->options_size, &why);
        if (st != BT_OK)
            return bt_fail(err, st == BT_ENOMEM ? st : BT_EUNSUPPORTED, "%s: %s", file, why.text);
    }
    return BT_OK;
}

static void unload(bt_loaded *l)
{
    for (size_t i = 0; l->choices && i < l->n_options; i++)
        bt_release(l->choices[i]);
    bt_release(l->choices);
    bt_release(l->file);
    if (l->handle)
        dlclose(l->handle);
    *l = (bt_loaded){ 0 };
}

/* Takes *l over; on failure it is unloaded. */
static bt_status add_module(bt_engine *e, bt_loaded *l, bt_error *err)
{
    bool ok = true;
    l->n_options = bt_options_count(l->module->options);
    l->choices = bt_calloc(l->n_options + 1, sizeof *l->choices);
    for (size_t i = 0; l->choices && i < l->n_options && ok; i++) {
        if (!l->module->options[i].choices)
            continue;
        l->choices[i] = bt_option_choices(&l->module->options[i]);
        ok = l->choices[i] != NULL;
    }
    pthread_mutex_lock(&e->lock);
    bt_loaded *all = NULL;
    if (ok && l->choices)
        all = bt_realloc_array(e->modules, e->n_modules, e->n_modules + 1, sizeof *all);
    if (all) {
        e->modules = all;
        for (size_t i = 0; i < e->n_modules; i++)
            if (strcmp(all[i].module->name, l->module->name) == 0)
                all[i].replaced = true;
        all[e->n_modules++] = *l;
    }
    pthread_mutex_unlock(&e->lock);
    if (all)
        return BT_OK;
    unload(l);
    return bt_fail(err, BT_ENOMEM, "out of memory");
}

bt_status bt_loader_builtin(bt_engine *e)
{
    for (size_t i = 0; bt_modules[i]; i++) {
        bt_loaded l = { .module = bt_modules[i] };
        bt_status st = check_module(l.module, "built-in module", NULL);
        if (st == BT_OK)
            st = add_module(e, &l, NULL);
        if (st != BT_OK)
            return st;
    }
    return BT_OK;
}

void bt_loader_free(bt_engine *e)
{
    for (size_t i = 0; i < e->n_modules; i++)
        unload(&e->modules[i]);
    bt_release(e->modules);
}

/* dlerror repeats the file's name; one is enough. */
static const char *dl_message(const char *path)
{
    const char *s = dlerror();
    const size_t n = strlen(path);
    if (!s)
        return "cannot be loaded";
    return strncmp(s, path, n) == 0 && s[n] == ':' ? s + n + 1 + (s[n + 1] == ' ') : s;
}

static bt_status load(bt_engine *e, const char *path, bt_error *err)
{
    bt_loaded l = { 0 };
    bt_buf name = { 0 }; /* without a slash dlopen would search the system's folders */
    bt_buf_printf(&name, "%s%s", strchr(path, '/') ? "" : "./", path);
    l.file = bt_buf_take(&name);
    if (!l.file)
        return bt_fail(err, BT_ENOMEM, "out of memory");
    bt_status st = BT_OK;
    const bt_module *(*entry)(void) = NULL;
    l.handle = dlopen(l.file, RTLD_NOW | RTLD_LOCAL);
    if (!l.handle)
        st = bt_fail(err, BT_EFORMAT, "%s: %s", path, dl_message(l.file));
    else if (!(*(void **)&entry = dlsym(l.handle, "bt_module_entry")) || !(l.module = entry()))
        st = bt_fail(err, BT_EFORMAT, "%s: not a bottega module", path);
    else
        st = check_module(l.module, path, err);
    if (st == BT_OK)
        return add_module(e, &l, err);
    unload(&l);
    return st;
}

bt_status bt_engine_load_module(bt_engine *e, const char *path)
{
    if (!e)
        return BT_EINVAL;
    const locale_t host = bt_enter(e);
    bt_error *err = bt_engine_error(e);
    const bt_status st =
        path && *path ? load(e, path, err) : bt_fail(err, BT_EINVAL, "no module file is named");
    bt_leave(host);
    return st;
}

const bt_module *bt_loader_probe(bt_engine *e, const bt_store *s)
{
    const bt_module *best = NULL;
    int score = 0;
    pthread_mutex_lock(&e->lock);
    for (size_t i = 0; i < e->n_modules; i++) {
        const int k = e->modules[i].replaced ? 0 : e->modules[i].module->probe(s);
        if (k > 0 && k >= score) {
            best = e->modules[i].module;
            score = k;
        }
    }
    pthread_mutex_unlock(&e->lock);
    return best;
}

void bt_loader_describe(bt_engine *e, bt_buf *b)
{
    const char *comma = "";
    pthread_mutex_lock(&e->lock);
    bt_buf_puts(b, "[");
    for (size_t i = 0; i < e->n_modules; i++) {
        const bt_loaded *l = &e->modules[i];
        if (l->replaced)
            continue;
        bt_buf_printf(b, "%s{\"name\":", comma);
        bt_buf_json(b, l->module->name, strlen(l->module->name));
        bt_buf_printf(b, ",\"kind\":\"%s\",\"file\":", bt_kind_name(l->module->kind));
        if (l->file)
            bt_buf_json(b, l->file, strlen(l->file));
        else
            bt_buf_puts(b, "null");
        bt_buf_puts(b, "}");
        comma = ",";
    }
    bt_buf_puts(b, "]");
    pthread_mutex_unlock(&e->lock);
}

/* ---- options of a kind --------------------------------------------------- */

/* Whether an earlier module of the kind has an option of this name. */
static bool seen(const bt_engine *e, bt_kind kind, size_t before, const char *name)
{
    for (size_t i = 0; i < before; i++) {
        const bt_loaded *l = &e->modules[i];
        if (l->replaced || l->module->kind != kind)
            continue;
        for (size_t k = 0; k < l->n_options; k++)
            if (strcmp(l->module->options[k].name, name) == 0)
                return true;
    }
    return false;
}

static void fill_info(const bt_option *o, const char *choices, bt_option_info *info)
{
    *info = (bt_option_info){ sizeof *info, o->name, o->short_name,
                              o->aliases,   o->type, bt_option_default(o),
                              o->min,       o->max,  choices,
                              o->unit,      o->help, o->choices };
}

/* Counts the options of a kind, and describes number `want` of them. */
static size_t walk(bt_engine *e, bt_kind kind, size_t want, bt_option_info *info)
{
    size_t n = 0;
    pthread_mutex_lock(&e->lock);
    for (size_t i = 0; i < e->n_modules; i++) {
        const bt_loaded *l = &e->modules[i];
        if (l->replaced || l->module->kind != kind)
            continue;
        for (size_t k = 0; k < l->n_options; k++) {
            if (seen(e, kind, i, l->module->options[k].name))
                continue;
            if (n++ == want && info)
                fill_info(&l->module->options[k], l->choices[k], info);
        }
    }
    const bool any = n > 0;
    const bt_option *common = bt_engine_common(kind);
    for (size_t k = 0; any && k < bt_options_count(common); k++) {
        if (seen(e, kind, e->n_modules, common[k].name))
            continue;
        if (n++ == want && info)
            fill_info(&common[k], NULL, info);
    }
    pthread_mutex_unlock(&e->lock);
    return n;
}

size_t bt_option_count(bt_engine *e, bt_kind kind) { return e ? walk(e, kind, 0, NULL) : 0; }

bt_status bt_option_at(bt_engine *e, bt_kind kind, size_t i, bt_option_info *out)
{
    if (!e || !out)
        return BT_EINVAL;
    bt_option_info info;
    const locale_t host = bt_enter(e);
    bt_error *err = bt_engine_error(e);
    bt_status st = BT_OK;
    if (i >= walk(e, kind, i, &info))
        st = bt_fail(err, BT_ENOTFOUND, "no option number %zu", i);
    else if (!bt_struct_out(out, &info, sizeof info))
        st = bt_fail(err, BT_EINVAL, "struct_size is not set");
    bt_leave(host);
    return st;
}
