/* SPDX-License-Identifier: MIT
 * Filters, tests, methods and functions by name (jinja2/filters.py, tests.py,
 * and Python's str and dict), as far as chat templates use them.
 *
 * To add one: a function of the type of its table, and a row in the table. What
 * looks at whole strings or lists says so with bt_chat_spend.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chat_impl.h"
#include "utf8.h"

/* ---- arguments --------------------------------------------------------------------- */

/* The argument at a position or of a keyword, or NULL. */
static const chat_val *arg(const chat_args *a, size_t pos, const char *keyword)
{
    for (size_t i = 0; i < a->n; i++)
        if (a->name[i].s ? keyword && chat_is(a->name[i], keyword) : i == pos)
            return &a->v[i];
    return NULL;
}

/* At least n arguments. */
static bool need(chat_run *r, const chat_node *at, const chat_args *a, size_t n)
{
    if (a->n >= n)
        return true;
    return bt_chat_fail(r, BT_EINVAL, at, "an argument is missing");
}

/* *v as a string; anything else is a failure. */
static bool want_text(chat_run *r, const chat_node *at, const chat_val *v, chat_str *s)
{
    *s = (chat_str){ "", 0 };
    if (!v || v->type != V_STR)
        return bt_chat_fail(r, BT_EINVAL, at, "%s where a string is needed",
                            v ? bt_chat_type_name(*v) : "nothing");
    *s = v->str;
    return bt_chat_spend(r, at, s->n);
}

/* ---- strings -------------------------------------------------------------------------- */

/* str.isspace: White_Space and the four separators of ASCII. */
static bool is_blank(uint32_t cp) { return bt_is_space(cp) || (cp >= 0x1C && cp <= 0x1F); }

static bool strips(uint32_t cp, const char *at, size_t len, const chat_str *chars)
{
    return chars ? memmem(chars->s, chars->n, at, len) != NULL : is_blank(cp);
}

/* Without the characters of `chars` (NULL: white space) at the sides asked for. */
static chat_str strip(chat_str s, const chat_str *chars, bool left, bool right)
{
    uint32_t cp;
    while (left && s.n > 0) {
        const size_t len = bt_utf8_next(s.s, s.n, &cp);
        if (!strips(cp, s.s, len, chars))
            break;
        s.s += len;
        s.n -= len;
    }
    while (right && s.n > 0) {
        size_t i = s.n - 1;
        while (i > 0 && s.n - i < 4 && ((uint8_t)s.s[i] & 0xC0) == 0x80)
            i--;
        if (bt_utf8_next(s.s + i, s.n - i, &cp) != s.n - i)
            break;
        if (!strips(cp, s.s + i, s.n - i, chars))
            break;
        s.n = i;
    }
    return s;
}

static bool strip_call(chat_run *r, const chat_node *at, chat_val in, const chat_args *a, bool left,
                       bool right, chat_val *out)
{
    chat_str s, chars;
    const chat_val *which = arg(a, 0, "chars");
    if (which && which->type == V_NONE)
        which = NULL;
    if (!bt_chat_to_text(r, at, in, &s) || !bt_chat_spend(r, at, s.n))
        return false;
    if (which && (!want_text(r, at, which, &chars) || !bt_chat_spend(r, at, s.n * chars.n)))
        return false;
    s = strip(s, which ? &chars : NULL, left, right);
    *out = bt_chat_str_val(s.s, s.n);
    return true;
}

/* What a buffer holds, as a value; frees the buffer. */
static bool take(chat_run *r, const chat_node *at, bt_buf *b, chat_val *out)
{
    char *s = b->failed ? NULL : bt_chat_arena_new(&r->mem, b->len + 1);
    if (s && b->len)
        memcpy(s, b->data, b->len);
    *out = bt_chat_str_val(s ? s : "", s ? b->len : 0);
    bt_buf_free(b);
    return s || bt_chat_no_memory(r, at);
}

typedef enum casing { LOWER, UPPER, CAPITAL, TITLE } casing;

/* str.upper, lower, capitalize and title; a word of title() is a run of letters. */
static bool change_case(chat_run *r, const chat_node *at, chat_val in, casing how, chat_val *out)
{
    bt_buf b = { 0 };
    chat_str s;
    uint32_t cp;
    bool inside = false; /* a word, or the string after its first character */
    if (!bt_chat_to_text(r, at, in, &s) || !bt_chat_spend(r, at, s.n * 16))
        return false;
    for (size_t i = 0; i < s.n;) {
        i += bt_utf8_next(s.s + i, s.n - i, &cp);
        if (how == UPPER || (how >= CAPITAL && !inside))
            bt_utf8_upper(&b, cp);
        else
            bt_utf8_lower(&b, cp);
        inside = how == CAPITAL || bt_is_letter(cp);
    }
    return take(r, at, &b, out);
}

/* str.replace, all occurrences from the left. */
static bool replace(chat_run *r, const chat_node *at, chat_val in, const chat_args *a,
                    chat_val *out)
{
    chat_str s, from, to;
    bt_buf b = { 0 };
    if (!want_text(r, at, &in, &s) || !want_text(r, at, arg(a, 0, "old"), &from) ||
        !want_text(r, at, arg(a, 1, "new"), &to))
        return false;
    if (from.n == 0 || a->n > 2)
        return bt_chat_fail(r, BT_EUNSUPPORTED, at, "replace of nothing, or counted");
    while (s.n > 0) {
        const char *hit = memmem(s.s, s.n, from.s, from.n);
        const size_t keep = hit ? (size_t)(hit - s.s) : s.n;
        bt_buf_add(&b, s.s, keep);
        if (hit)
            bt_buf_add(&b, to.s, to.n);
        s.s += keep + (hit ? from.n : 0);
        s.n -= keep + (hit ? from.n : 0);
        if (b.len > CHAT_MAX_MEMORY)
            b.failed = true;
    }
    return take(r, at, &b, out);
}

/* The next piece of *s, which is cut off it; pieces end at `sep`, or at white
 * space if sep is NULL (then none is empty). */
static bool next_piece(chat_str *s, const chat_str *sep, bool rest, chat_str *piece)
{
    const char *hit = NULL;
    if (!s->s)
        return false;
    const char *end = s->s + s->n;
    if (!sep) {
        *s = strip(*s, NULL, true, false);
        if (s->n == 0)
            return false;
        for (size_t i = 0, len; !rest && !hit && i < s->n; i += len) {
            uint32_t cp;
            len = bt_utf8_next(s->s + i, s->n - i, &cp);
            if (is_blank(cp))
                hit = s->s + i;
        }
    } else if (!rest) {
        hit = memmem(s->s, s->n, sep->s, sep->n);
    }
    *piece = (chat_str){ s->s, hit ? (size_t)(hit - s->s) : s->n };
    *s = hit ? (chat_str){ hit + (sep ? sep->n : 0), (size_t)(end - hit) - (sep ? sep->n : 0) }
             : (chat_str){ NULL, 0 };
    return true;
}

/* str.split(sep, maxsplit): counted first, so that the list is made once. */
static bool split(chat_run *r, const chat_node *at, chat_val in, const chat_args *a, chat_val *out)
{
    const chat_val *by = arg(a, 0, "sep"), *most = arg(a, 1, "maxsplit");
    chat_str s, sep, piece;
    if (by && by->type == V_NONE)
        by = NULL;
    if (!want_text(r, at, &in, &s) || (by && !want_text(r, at, by, &sep)))
        return false;
    if (by && sep.n == 0)
        return bt_chat_fail(r, BT_EINVAL, at, "split by an empty string");
    const int64_t max = most && most->type == V_INT && most->i >= 0 ? most->i : INT64_MAX;
    const chat_str *at_sep = by ? &sep : NULL;
    size_t n = 0;
    chat_str left = s;
    while (next_piece(&left, at_sep, (int64_t)n >= max, &piece))
        n++;
    if (!bt_chat_spend(r, at, s.n * 4) || !bt_chat_new_list(r, at, n, out))
        return false;
    for (size_t i = 0; i < n && next_piece(&s, at_sep, (int64_t)i >= max, &piece); i++)
        out->list->v[out->list->n++] = bt_chat_str_val(piece.s, piece.n);
    return true;
}

/* str.startswith or endswith, of one string or any of a tuple. *yes must be false. */
static bool begins(chat_run *r, const chat_node *at, chat_str s, chat_val with, bool end, bool *yes)
{
    chat_str t;
    if (with.type == V_LIST) {
        for (size_t i = 0; i < with.list->n && !*yes; i++) {
            if (with.list->v[i].type == V_LIST)
                return bt_chat_fail(r, BT_EINVAL, at, "lists in a list");
            if (!begins(r, at, s, with.list->v[i], end, yes))
                return false;
        }
        return true;
    }
    if (!want_text(r, at, &with, &t))
        return false;
    *yes = t.n <= s.n && memcmp(end ? s.s + s.n - t.n : s.s, t.s, t.n) == 0;
    return true;
}

static bool join(chat_run *r, const chat_node *at, chat_val items, chat_str sep, chat_val *out)
{
    bt_buf b = { 0 };
    chat_val list;
    if (!bt_chat_items(r, at, items, &list))
        return false;
    for (size_t i = 0; i < list.list->n; i++) {
        chat_str s;
        if (!bt_chat_to_text(r, at, list.list->v[i], &s) || !bt_chat_spend(r, at, s.n + sep.n)) {
            bt_buf_free(&b);
            return false;
        }
        if (i)
            bt_buf_add(&b, sep.s, sep.n);
        bt_buf_add(&b, s.s, s.n);
        if (b.len > CHAT_MAX_MEMORY)
            b.failed = true;
    }
    return take(r, at, &b, out);
}

/* ---- JSON -------------------------------------------------------------------------------- */

/* json.dumps(ensure_ascii=False), as Hugging Face replaces Jinja's filter. */
static void json_string(bt_buf *b, chat_str s)
{
    static const char from[] = "\"\\\n\r\t\b\f", to[] = "\"\\nrtbf";
    bt_buf_add(b, "\"", 1);
    for (size_t i = 0; i < s.n; i++) {
        const char c = s.s[i], *known = c ? strchr(from, c) : NULL;
        if (known)
            bt_buf_printf(b, "\\%c", to[known - from]);
        else if ((uint8_t)c < 0x20)
            bt_buf_printf(b, "\\u%04x", (unsigned)c);
        else
            bt_buf_add(b, &c, 1);
    }
    bt_buf_add(b, "\"", 1);
}

typedef struct json_writer {
    chat_run *r;
    const chat_node *at;
    bt_buf b;
    int indent; /* < 0: one line */
} json_writer;

static void json_line(json_writer *w, int depth)
{
    if (w->indent >= 0)
        bt_buf_printf(&w->b, "\n%*s", depth * w->indent, "");
}

static bool json_value(json_writer *w, chat_val v, int depth)
{
    chat_str s;
    if (!bt_chat_spend(w->r, w->at, v.type == V_STR ? v.str.n : 0))
        return false;
    if (depth > 50 || w->b.len > CHAT_MAX_MEMORY || v.type == V_UNDEFINED || v.type == V_LOOP)
        return bt_chat_fail(w->r, BT_EUNSUPPORTED, w->at, "this value as JSON");
    if (v.type != V_LIST && v.type != V_DICT) {
        if (v.type == V_STR)
            json_string(&w->b, v.str);
        else if (v.type == V_INT)
            bt_buf_printf(&w->b, "%lld", (long long)v.i);
        else
            bt_buf_puts(&w->b, v.type == V_NONE ? "null" : v.i ? "true" : "false");
        return true;
    }
    const bool dict = v.type == V_DICT;
    const size_t n = dict ? v.dict->n : v.list->n;
    bt_buf_puts(&w->b, dict ? "{" : "[");
    for (size_t i = 0; i < n; i++) {
        if (i)
            bt_buf_puts(&w->b, w->indent >= 0 ? "," : ", ");
        json_line(w, depth + 1);
        if (dict) {
            s = v.dict->keys[i];
            json_string(&w->b, s);
            bt_buf_puts(&w->b, ": ");
        }
        if (!json_value(w, dict ? v.dict->vals[i] : v.list->v[i], depth + 1))
            return false;
    }
    if (n)
        json_line(w, depth);
    bt_buf_puts(&w->b, dict ? "}" : "]");
    return true;
}

/* ---- filters ------------------------------------------------------------------------------- */

typedef bool (*lib_fn)(chat_run *r, const chat_node *at, chat_val in, const chat_args *a,
                       chat_val *out);

static bool f_trim(chat_run *r, const chat_node *at, chat_val in, const chat_args *a, chat_val *out)
{
    return strip_call(r, at, in, a, true, true, out);
}

static bool f_lstrip(chat_run *r, const chat_node *at, chat_val in, const chat_args *a,
                     chat_val *out)
{
    return strip_call(r, at, in, a, true, false, out);
}

static bool f_rstrip(chat_run *r, const chat_node *at, chat_val in, const chat_args *a,
                     chat_val *out)
{
    return strip_call(r, at, in, a, false, true, out);
}

static bool f_upper(chat_run *r, const chat_node *at, chat_val in, const chat_args *a,
                    chat_val *out)
{
    (void)a;
    return change_case(r, at, in, UPPER, out);
}

static bool f_lower(chat_run *r, const chat_node *at, chat_val in, const chat_args *a,
                    chat_val *out)
{
    (void)a;
    return change_case(r, at, in, LOWER, out);
}

static bool f_capitalize(chat_run *r, const chat_node *at, chat_val in, const chat_args *a,
                         chat_val *out)
{
    (void)a;
    return change_case(r, at, in, CAPITAL, out);
}

static bool f_title(chat_run *r, const chat_node *at, chat_val in, const chat_args *a,
                    chat_val *out)
{
    (void)a;
    return change_case(r, at, in, TITLE, out);
}

static bool f_length(chat_run *r, const chat_node *at, chat_val in, const chat_args *a,
                     chat_val *out)
{
    size_t n = 0;
    uint32_t cp;
    (void)a;
    if (in.type == V_STR) {
        if (!bt_chat_spend(r, at, in.str.n))
            return false;
        for (size_t i = 0; i < in.str.n; n++)
            i += bt_utf8_next(in.str.s + i, in.str.n - i, &cp);
    } else if (in.type == V_LIST) {
        n = in.list->n;
    } else if (in.type == V_DICT) {
        n = in.dict->n;
    } else if (in.type != V_UNDEFINED) {
        return bt_chat_fail(r, BT_EINVAL, at, "the length of %s", bt_chat_type_name(in));
    }
    *out = bt_chat_int_val((int64_t)n);
    return true;
}

static bool f_tojson(chat_run *r, const chat_node *at, chat_val in, const chat_args *a,
                     chat_val *out)
{
    const chat_val *indent = arg(a, 1, "indent");
    json_writer w = { .r = r, .at = at, .indent = -1 };
    if (indent && indent->type == V_INT && indent->i >= 0)
        w.indent = indent->i > 16 ? 16 : (int)indent->i;
    if (json_value(&w, in, 0))
        return take(r, at, &w.b, out);
    bt_buf_free(&w.b);
    return false;
}

static bool end_item(chat_run *r, const chat_node *at, chat_val in, bool last, chat_val *out)
{
    chat_val list;
    if (!bt_chat_items(r, at, in, &list))
        return false;
    *out = (chat_val){ .type = V_UNDEFINED };
    if (list.list->n > 0)
        *out = list.list->v[last ? list.list->n - 1 : 0];
    return true;
}

static bool f_first(chat_run *r, const chat_node *at, chat_val in, const chat_args *a,
                    chat_val *out)
{
    (void)a;
    return end_item(r, at, in, false, out);
}

static bool f_last(chat_run *r, const chat_node *at, chat_val in, const chat_args *a, chat_val *out)
{
    (void)a;
    return end_item(r, at, in, true, out);
}

static bool f_join(chat_run *r, const chat_node *at, chat_val in, const chat_args *a, chat_val *out)
{
    chat_str sep = { "", 0 };
    const chat_val *by = arg(a, 0, "d");
    if (arg(a, 1, "attribute"))
        return bt_chat_fail(r, BT_EUNSUPPORTED, at, "join by attribute");
    return (!by || want_text(r, at, by, &sep)) && join(r, at, in, sep, out);
}

static bool f_default(chat_run *r, const chat_node *at, chat_val in, const chat_args *a,
                      chat_val *out)
{
    const chat_val *v = arg(a, 0, "default_value"), *falsy = arg(a, 1, "boolean");
    (void)r;
    (void)at;
    const bool use =
        in.type == V_UNDEFINED || (falsy && bt_chat_truth(*falsy) && !bt_chat_truth(in));
    *out = !use ? in : v ? *v : bt_chat_str_val("", 0);
    return true;
}

static bool f_string(chat_run *r, const chat_node *at, chat_val in, const chat_args *a,
                     chat_val *out)
{
    chat_str s;
    (void)a;
    if (!bt_chat_to_text(r, at, in, &s))
        return false;
    *out = bt_chat_str_val(s.s, s.n);
    return true;
}

static bool f_int(chat_run *r, const chat_node *at, chat_val in, const chat_args *a, chat_val *out)
{
    const chat_val *other = arg(a, 0, "default");
    char digits[24], *end = digits;
    long long v = 0;
    (void)r;
    (void)at;
    if (in.type == V_STR) {
        const chat_str s = strip(in.str, NULL, true, true);
        const size_t n = s.n < sizeof digits ? s.n : 0;
        memcpy(digits, s.s, n);
        digits[n] = 0;
        v = strtoll(digits, &end, 10);
    }
    const bool number = in.type == V_INT || in.type == V_BOOL;
    *out = number                       ? bt_chat_int_val(in.i)
           : end != digits && *end == 0 ? bt_chat_int_val(v)
           : other                      ? *other
                                        : bt_chat_int_val(0);
    return true;
}

static bool f_list(chat_run *r, const chat_node *at, chat_val in, const chat_args *a, chat_val *out)
{
    (void)a;
    return bt_chat_items(r, at, in, out);
}

static bool f_reverse(chat_run *r, const chat_node *at, chat_val in, const chat_args *a,
                      chat_val *out)
{
    const chat_val none = { .type = V_NONE };
    (void)a;
    return bt_chat_slice(r, at, in, (const chat_val[3]){ none, none, bt_chat_int_val(-1) }, out);
}

static bool f_items(chat_run *r, const chat_node *at, chat_val in, const chat_args *a,
                    chat_val *out)
{
    (void)a;
    if (in.type != V_DICT)
        return bt_chat_fail(r, BT_EINVAL, at, "items of %s", bt_chat_type_name(in));
    if (!bt_chat_new_list(r, at, in.dict->n, out))
        return false;
    for (size_t i = 0; i < in.dict->n; i++) {
        chat_val pair;
        if (!bt_chat_new_list(r, at, 2, &pair))
            return false;
        pair.list->v[0] = bt_chat_str_val(in.dict->keys[i].s, in.dict->keys[i].n);
        pair.list->v[1] = in.dict->vals[i];
        pair.list->n = 2;
        out->list->v[out->list->n++] = pair;
    }
    return true;
}

static bool f_map(chat_run *r, const chat_node *at, chat_val in, const chat_args *a, chat_val *out)
{
    const chat_val *name = arg(a, CHAT_MAX_ARGS, "attribute");
    chat_val list;
    chat_str s;
    if (!name)
        return bt_chat_fail(r, BT_EUNSUPPORTED, at, "map without attribute=");
    if (!want_text(r, at, name, &s) || !bt_chat_items(r, at, in, &list))
        return false;
    if (!bt_chat_new_list(r, at, list.list->n, out))
        return false;
    for (size_t i = 0; i < list.list->n; i++)
        if (!bt_chat_attr(r, at, list.list->v[i], s, &out->list->v[out->list->n++]))
            return false;
    return true;
}

/* selectattr(name[, test[, value]]) */
static bool select_attr(chat_run *r, const chat_node *at, chat_val in, const chat_args *a,
                        bool keep, chat_val *out)
{
    chat_args rest = { .n = 0 };
    chat_val list, v;
    chat_str name, test = { NULL, 0 };
    if (!need(r, at, a, 1) || !want_text(r, at, &a->v[0], &name))
        return false;
    if (a->n > 1 && !want_text(r, at, &a->v[1], &test))
        return false;
    for (size_t i = 2; i < a->n; i++)
        rest.v[rest.n++] = a->v[i];
    if (!bt_chat_items(r, at, in, &list) || !bt_chat_new_list(r, at, list.list->n, out))
        return false;
    for (size_t i = 0; i < list.list->n; i++) {
        bool yes = false;
        if (!bt_chat_attr(r, at, list.list->v[i], name, &v))
            return false;
        if (!test.s)
            yes = bt_chat_truth(v);
        else if (!bt_chat_test(r, at, test, v, &rest, &yes))
            return false;
        if (yes == keep)
            out->list->v[out->list->n++] = list.list->v[i];
    }
    return true;
}

static bool f_selectattr(chat_run *r, const chat_node *at, chat_val in, const chat_args *a,
                         chat_val *out)
{
    return select_attr(r, at, in, a, true, out);
}

static bool f_rejectattr(chat_run *r, const chat_node *at, chat_val in, const chat_args *a,
                         chat_val *out)
{
    return select_attr(r, at, in, a, false, out);
}

typedef struct named_fn {
    const char *name;
    lib_fn fn;
} named_fn;

/* A linear search: the tables are short. */
static lib_fn find_fn(const named_fn *table, chat_str name)
{
    for (; table->name; table++)
        if (chat_is(name, table->name))
            return table->fn;
    return NULL;
}

static bool unknown(chat_run *r, const chat_node *at, const char *what, chat_str name)
{
    return bt_chat_fail(r, BT_EUNSUPPORTED, at, "the %s '%.*s' is not supported", what,
                        (int)(name.n < 60 ? name.n : 60), name.s);
}

bool bt_chat_filter(chat_run *r, const chat_node *at, chat_val in, const chat_args *a,
                    chat_val *out)
{
    static const named_fn filters[] = {
        { "trim", f_trim },
        { "upper", f_upper },
        { "lower", f_lower },
        { "capitalize", f_capitalize },
        { "title", f_title },
        { "length", f_length },
        { "count", f_length },
        { "tojson", f_tojson },
        { "first", f_first },
        { "last", f_last },
        { "join", f_join },
        { "default", f_default },
        { "d", f_default },
        { "string", f_string },
        { "int", f_int },
        { "list", f_list },
        { "reverse", f_reverse },
        { "items", f_items },
        { "map", f_map },
        { "selectattr", f_selectattr },
        { "rejectattr", f_rejectattr },
        { "replace", replace },
        { NULL, NULL },
    };
    const lib_fn fn = find_fn(filters, at->str);
    return fn ? fn(r, at, in, a, out) : unknown(r, at, "filter", at->str);
}

/* ---- tests --------------------------------------------------------------------------------- */

static bool type_test(chat_str name, chat_val in, bool *out)
{
    const chat_type t = in.type;
    const bool seq = t == V_STR || t == V_LIST || t == V_DICT;
    const struct {
        const char *name;
        bool yes;
    } tests[] = {
        { "defined", t != V_UNDEFINED },
        { "undefined", t == V_UNDEFINED },
        { "none", t == V_NONE },
        { "string", t == V_STR },
        { "number", t == V_INT || t == V_BOOL },
        { "integer", t == V_INT },
        { "boolean", t == V_BOOL },
        { "true", t == V_BOOL && in.i },
        { "false", t == V_BOOL && !in.i },
        { "mapping", t == V_DICT && !in.dict->is_namespace },
        { "sequence", seq || t == V_UNDEFINED },
        { "iterable", seq || t == V_LOOP || t == V_UNDEFINED },
    };
    for (size_t i = 0; i < sizeof tests / sizeof *tests; i++)
        if (chat_is(name, tests[i].name)) {
            *out = tests[i].yes;
            return true;
        }
    return false;
}

bool bt_chat_test(chat_run *r, const chat_node *at, chat_str name, chat_val in, const chat_args *a,
                  bool *out)
{
    if (type_test(name, in, out))
        return true;
    if (chat_is(name, "odd") || chat_is(name, "even")) {
        *out = in.type == V_INT && (in.i % 2 != 0) == chat_is(name, "odd");
        return in.type == V_INT || bt_chat_fail(r, BT_EINVAL, at, "odd or even: no number");
    }
    if (chat_is(name, "divisibleby")) {
        if (!need(r, at, a, 1))
            return false;
        const chat_val by = a->v[0];
        if (in.type != V_INT || by.type != V_INT || by.i == 0)
            return bt_chat_fail(r, BT_EINVAL, at, "divisibleby needs numbers");
        *out = by.i == -1 || in.i % by.i == 0;
        return true;
    }
    const bool eq = chat_is(name, "equalto") || chat_is(name, "eq") || chat_is(name, "==");
    const bool ne = chat_is(name, "ne") || chat_is(name, "!=");
    if (!eq && !ne && !chat_is(name, "in"))
        return unknown(r, at, "test", name);
    if (!need(r, at, a, 1))
        return false;
    if (!eq && !ne)
        return bt_chat_contains(r, at, a->v[0], in, out);
    if (!bt_chat_equal(r, at, in, a->v[0], out))
        return false;
    *out = *out == eq;
    return true;
}

/* ---- methods --------------------------------------------------------------------------------- */

static bool m_starts(chat_run *r, const chat_node *at, chat_val in, const chat_args *a,
                     chat_val *out)
{
    bool yes = false;
    if (!need(r, at, a, 1) || !begins(r, at, in.str, a->v[0], false, &yes))
        return false;
    *out = bt_chat_bool_val(yes);
    return true;
}

static bool m_ends(chat_run *r, const chat_node *at, chat_val in, const chat_args *a, chat_val *out)
{
    bool yes = false;
    if (!need(r, at, a, 1) || !begins(r, at, in.str, a->v[0], true, &yes))
        return false;
    *out = bt_chat_bool_val(yes);
    return true;
}

static bool m_join(chat_run *r, const chat_node *at, chat_val in, const chat_args *a, chat_val *out)
{
    return need(r, at, a, 1) && join(r, at, a->v[0], in.str, out);
}

static bool m_get(chat_run *r, const chat_node *at, chat_val in, const chat_args *a, chat_val *out)
{
    if (!need(r, at, a, 1))
        return false;
    const chat_val *found = a->v[0].type == V_STR ? bt_chat_dict_find(in.dict, a->v[0].str) : NULL;
    *out = found ? *found : a->n > 1 ? a->v[1] : (chat_val){ .type = V_NONE };
    return true;
}

static bool m_keys(chat_run *r, const chat_node *at, chat_val in, const chat_args *a, chat_val *out)
{
    (void)a;
    return bt_chat_items(r, at, in, out);
}

static bool m_values(chat_run *r, const chat_node *at, chat_val in, const chat_args *a,
                     chat_val *out)
{
    (void)a;
    if (!bt_chat_new_list(r, at, in.dict->n, out))
        return false;
    out->list->n = in.dict->n;
    if (in.dict->n)
        memcpy(out->list->v, in.dict->vals, in.dict->n * sizeof *in.dict->vals);
    return true;
}

bool bt_chat_method(chat_run *r, const chat_node *at, chat_val self, chat_str name,
                    const chat_args *a, chat_val *out)
{
    static const named_fn of_str[] = {
        { "strip", f_trim },  { "lstrip", f_lstrip },     { "rstrip", f_rstrip },
        { "upper", f_upper }, { "lower", f_lower },       { "capitalize", f_capitalize },
        { "title", f_title }, { "startswith", m_starts }, { "endswith", m_ends },
        { "split", split },   { "replace", replace },     { "join", m_join },
        { NULL, NULL },
    };
    static const named_fn of_dict[] = {
        { "items", f_items },   { "get", m_get }, { "keys", m_keys },
        { "values", m_values }, { NULL, NULL },
    };
    lib_fn fn = NULL;
    if (self.type == V_STR)
        fn = find_fn(of_str, name);
    if (self.type == V_DICT)
        fn = find_fn(of_dict, name);
    if (fn)
        return fn(r, at, self, a, out);
    if (self.type == V_UNDEFINED || self.type == V_NONE)
        return bt_chat_fail(r, BT_EINVAL, at, "'%.*s' of %s", (int)(name.n < 60 ? name.n : 60),
                            name.s, bt_chat_type_name(self));
    return unknown(r, at, "method", name);
}

/* ---- functions -------------------------------------------------------------------------- */

static bool fn_dict(chat_run *r, const chat_node *at, const chat_args *a, chat_val *out)
{
    if (!bt_chat_new_dict(r, at, out))
        return false;
    for (size_t i = 0; i < a->n; i++) {
        if (!a->name[i].s)
            return bt_chat_fail(r, BT_EUNSUPPORTED, at, "arguments without a name");
        if (!bt_chat_dict_set(r, at, out->dict, a->name[i], a->v[i]))
            return false;
    }
    return true;
}

static bool fn_range(chat_run *r, const chat_node *at, const chat_args *a, chat_val *out)
{
    int64_t v[3] = { 0, 0, 1 };
    if (!need(r, at, a, 1))
        return false;
    for (size_t i = 0; i < a->n; i++) {
        if (i > 2 || a->v[i].type != V_INT || a->v[i].i > INT32_MAX || a->v[i].i < -INT32_MAX)
            return bt_chat_fail(r, BT_EINVAL, at, "range needs one to three small numbers");
        v[a->n == 1 ? 1 : i] = a->v[i].i;
    }
    if (v[2] == 0)
        return bt_chat_fail(r, BT_EINVAL, at, "range with step zero");
    const int64_t span = v[2] > 0 ? v[1] - v[0] : v[0] - v[1], step = llabs(v[2]);
    const size_t n = span > 0 ? (size_t)((span + step - 1) / step) : 0;
    if (n > 100000)
        return bt_chat_fail(r, BT_EUNSUPPORTED, at, "range too large"); /* as in Jinja */
    if (!bt_chat_new_list(r, at, n, out))
        return false;
    for (; out->list->n < n; v[0] += v[2])
        out->list->v[out->list->n++] = bt_chat_int_val(v[0]);
    return true;
}

bool bt_chat_function(chat_run *r, const chat_node *at, chat_str name, const chat_args *a,
                      chat_val *out)
{
    chat_str s = { "", 0 };
    if (chat_is(name, "raise_exception")) {
        if (a->n > 0 && !bt_chat_to_text(r, at, a->v[0], &s))
            return false;
        return bt_chat_fail(r, BT_EINVAL, at, "%.*s", (int)(s.n < 200 ? s.n : 200), s.s);
    }
    if (chat_is(name, "namespace")) {
        if (!fn_dict(r, at, a, out))
            return false;
        out->dict->is_namespace = true;
        return true;
    }
    if (chat_is(name, "dict"))
        return fn_dict(r, at, a, out);
    if (chat_is(name, "range"))
        return fn_range(r, at, a, out);
    return unknown(r, at, "function", name);
}
