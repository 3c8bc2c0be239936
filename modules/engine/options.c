/* SPDX-License-Identifier: MIT
 * Options: text to the fields of a module's option struct, and back.
 *
 * Every value comes as text, from a command line as from a program, and is
 * checked here once, so modules see only values that their tables allow. The
 * canonical text is what reports and bt_job_get show.
 */
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "engine/handles.h"
#include "text/utf8.h"

#define OFF(field) offsetof(bt_common_options, field)

static const bt_option common[] = { { "rate", NULL, "sample_rate", BT_OPT_INT, OFF(rate), "", 8000,
                                      192000, NULL, "Hz",
                                      "sample rate of the sound, when not the voice's own" },
                                    { "profile", NULL, NULL, BT_OPT_BOOL, OFF(profile), "false", 0,
                                      0, NULL, NULL, "measure every operation of the run" },
                                    { 0 } };

const bt_option *bt_engine_common(bt_kind kind)
{
    return kind == BT_KIND_AUDIO ? common : common + 1;
}

size_t bt_options_count(const bt_option *o)
{
    size_t n = 0;
    while (o && o[n].name)
        n++;
    return n;
}

const char *bt_option_default(const bt_option *o)
{
    return o->default_value ? o->default_value : "";
}

/* ---- names --------------------------------------------------------------- */

static bool same_name(const char *a, size_t n, const char *b)
{
    for (size_t i = 0; i < n; i++) {
        const char x = a[i] == '-' ? '_' : a[i];
        const char y = b[i] == '-' ? '_' : b[i];
        if (x != y || !y)
            return false;
    }
    return b[n] == 0;
}

bool bt_option_is(const bt_option *o, const char *name)
{
    if (same_name(o->name, strlen(o->name), name))
        return true;
    for (const char *p = o->aliases; p && *p;) {
        const size_t n = strcspn(p, ",");
        if (n && same_name(p, n, name))
            return true;
        p += n + (p[n] == ',');
    }
    return false;
}

static char folded(char c) { return c == '-' || c == ' ' ? '_' : (char)tolower((unsigned char)c); }

static bool same_choice(const char *a, size_t n, const char *b)
{
    for (size_t i = 0; i < n; i++)
        if (!b[i] || folded(a[i]) != folded(b[i]))
            return false;
    return b[n] == 0;
}

/* The choice's number and its first spelling; -1: there is none. */
static int find_choice(const char *choices, const char *text, const char **first, size_t *len)
{
    int i = 0;
    for (const char *p = choices ? choices : ""; *p; i++) {
        *first = p + (*p == '=');
        *len = strcspn(*first, ",=");
        for (const char *end = p + strcspn(p, ","); p < end;) {
            const size_t n = strcspn(p, ",=");
            if (n && same_choice(p, n, text))
                return i;
            p += n + (p + n < end);
        }
        p += *p == ',';
    }
    return -1;
}

char *bt_option_choices(const bt_option *o)
{
    bt_buf b = { 0 };
    for (const char *p = o->choices; p && *p;) {
        if (*p != '=') {
            bt_buf_puts(&b, b.len ? "," : "");
            bt_buf_add(&b, p, strcspn(p, ",="));
        }
        p += strcspn(p, ",");
        p += *p == ',';
    }
    return bt_buf_take(&b);
}

/* ---- reading ------------------------------------------------------------- */

static bt_status bad(const bt_option *o, const char *text, const char *why, bt_error *err)
{
    return bt_fail(err, BT_EINVAL, "%s: \"%.60s\" is not %s", o->name, text, why);
}

static bt_status in_range(const bt_option *o, double v, const char *text, bt_error *err)
{
    if (o->min >= o->max || (v >= o->min && v <= o->max))
        return BT_OK;
    return bt_fail(err, BT_EINVAL, "%s: %.60s is not between %.15g and %.15g", o->name, text,
                   o->min, o->max);
}

/* true: nothing but white space follows. */
static bool at_end(const char *text, const char *end)
{
    if (end == text)
        return false;
    while (isspace((unsigned char)*end))
        end++;
    return *end == 0;
}

static bt_status read_bool(const bt_option *o, const char *text, void *field, bt_buf *canon,
                           bt_error *err)
{
    static const char *const words[] = { "false", "true", "0", "1", "no", "yes", "off", "on" };
    for (int i = 0; i < 8; i++)
        if (strcasecmp(text, words[i]) == 0) {
            *(int *)field = i & 1;
            bt_buf_puts(canon, words[i & 1]);
            return BT_OK;
        }
    return bad(o, text, "true or false", err);
}

static bt_status read_int(const bt_option *o, const char *text, void *field, bt_buf *canon,
                          bt_error *err)
{
    char *end;
    errno = 0;
    const long long v = strtoll(text, &end, 10);
    if (!at_end(text, end) || errno == ERANGE)
        return bad(o, text, "a whole number", err);
    if (in_range(o, (double)v, text, err) != BT_OK)
        return BT_EINVAL;
    *(int64_t *)field = v;
    bt_buf_printf(canon, "%lld", v);
    return BT_OK;
}

static bt_status read_uint64(const bt_option *o, const char *text, void *field, bt_buf *canon,
                             bt_error *err)
{
    char *end;
    errno = 0;
    const unsigned long long v = strtoull(text, &end, 10);
    if (!at_end(text, end) || errno == ERANGE || strchr(text, '-'))
        return bad(o, text, "a whole number from 0 to 2^64 - 1", err);
    if (in_range(o, (double)v, text, err) != BT_OK)
        return BT_EINVAL;
    *(uint64_t *)field = v;
    bt_buf_printf(canon, "%llu", v);
    return BT_OK;
}

static bt_status read_float(const bt_option *o, const char *text, void *field, bt_buf *canon,
                            bt_error *err)
{
    char *end;
    const double v = strtod(text, &end);
    if (!at_end(text, end) || !isfinite(v))
        return bad(o, text, "a number", err);
    if (in_range(o, v, text, err) != BT_OK)
        return BT_EINVAL;
    *(double *)field = v;
    char s[40];
    snprintf(s, sizeof s, "%.15g", v);
    if (strtod(s, NULL) != v)
        snprintf(s, sizeof s, "%.17g", v);
    bt_buf_puts(canon, s);
    return BT_OK;
}

static bt_status read_choice(const bt_option *o, const char *text, void *field, bt_buf *canon,
                             bt_error *err)
{
    const char *first;
    size_t len;
    const int i = find_choice(o->choices, text, &first, &len);
    if (i < 0) {
        char *all = bt_option_choices(o);
        bt_fail(err, BT_EINVAL, "%s: \"%.60s\" is none of %s", o->name, text, all ? all : "them");
        bt_release(all);
        return BT_EINVAL;
    }
    *(int *)field = i;
    bt_buf_add(canon, first, len);
    return BT_OK;
}

/* "" where the default is "": the module chooses. */
static void set_unset(const bt_option *o, void *field)
{
    switch (o->type) {
    case BT_OPT_INT: *(int64_t *)field = BT_INT_UNSET; break;
    case BT_OPT_UINT64: *(uint64_t *)field = UINT64_MAX; break;
    case BT_OPT_FLOAT: *(double *)field = NAN; break;
    default: *(int *)field = -1; break;
    }
}

/* Texts are UTF-8: a module never sees one that is not. */
static bt_status read_string(const bt_option *o, const char *text, bt_buf *canon, bt_error *err)
{
    const size_t n = strlen(text);
    uint32_t c;
    if (bt_utf8_valid(text, n)) {
        bt_buf_add(canon, text, n);
        return BT_OK;
    }
    size_t at = 0, len;
    while (len = bt_utf8_next(text + at, n - at, &c), bt_utf8_valid(text + at, len))
        at += len;
    return bt_fail(err, BT_EFORMAT, "%s: invalid UTF-8 at byte %zu", o->name, at);
}

bt_status bt_option_read(const bt_option *o, const char *text, void *field, char **canonical,
                         bt_error *err)
{
    bt_buf canon = { 0 };
    bt_status st = BT_OK;
    *canonical = NULL;
    if (o->type == BT_OPT_STRING)
        st = read_string(o, text, &canon, err);
    else if (!*text && !*bt_option_default(o))
        set_unset(o, field);
    else if (o->type == BT_OPT_BOOL)
        st = read_bool(o, text, field, &canon, err);
    else if (o->type == BT_OPT_INT)
        st = read_int(o, text, field, &canon, err);
    else if (o->type == BT_OPT_UINT64)
        st = read_uint64(o, text, field, &canon, err);
    else if (o->type == BT_OPT_FLOAT)
        st = read_float(o, text, field, &canon, err);
    else
        st = read_choice(o, text, field, &canon, err);
    if (st == BT_OK && !(*canonical = bt_buf_take(&canon)))
        st = bt_fail(err, BT_ENOMEM, "out of memory");
    if (st == BT_OK && o->type == BT_OPT_STRING)
        *(const char **)field = *canonical;
    bt_buf_free(&canon);
    return st;
}

/* ---- checks and JSON ----------------------------------------------------- */

bt_status bt_option_check(const bt_option *o, size_t size, bt_error *err)
{
    static const size_t sizes[] = {
        0,          sizeof(int), sizeof(int64_t), sizeof(uint64_t), sizeof(double), sizeof(char *),
        sizeof(int)
    };
    union {
        double d;
        uint64_t u;
        const char *s;
        int i;
    } field;
    char *canonical;
    if (!*o->name || o->type < BT_OPT_BOOL || o->type > BT_OPT_CHOICE)
        return bt_fail(err, BT_EINVAL, "option %.40s has no such type", o->name);
    if (sizes[o->type] > size || o->offset > size - sizes[o->type])
        return bt_fail(err, BT_EINVAL, "option %.40s lies outside its struct", o->name);
    const bt_status st = bt_option_read(o, bt_option_default(o), &field, &canonical, err);
    bt_release(canonical);
    return st;
}

void bt_option_json(const bt_option *o, const char *text, bt_buf *b)
{
    if (o->type == BT_OPT_STRING || o->type == BT_OPT_CHOICE)
        bt_buf_json(b, text, strlen(text));
    else
        bt_buf_puts(b, *text ? text : "null");
}
