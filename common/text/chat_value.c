/* SPDX-License-Identifier: MIT
 * Values of templates, with Python's rules for truth, equality and slices.
 */
#include <stdio.h>
#include <string.h>

#include "chat_impl.h"
#include "utf8.h"

chat_val bt_chat_str_val(const char *s, size_t n)
{
    return (chat_val){ .type = V_STR, .str = { s, n } };
}

chat_val bt_chat_int_val(int64_t i) { return (chat_val){ .type = V_INT, .i = i }; }

chat_val bt_chat_bool_val(bool b) { return (chat_val){ .type = V_BOOL, .i = b }; }

const char *bt_chat_type_name(chat_val v)
{
    static const char *const names[] = { "an undefined value", "none",   "a boolean", "a number",
                                         "a string",           "a list", "a dict",    "a loop" };
    return names[v.type];
}

bool bt_chat_truth(chat_val v)
{
    switch (v.type) {
    case V_UNDEFINED:
    case V_NONE: return false;
    case V_BOOL:
    case V_INT: return v.i != 0;
    case V_STR: return v.str.n > 0;
    case V_LIST: return v.list->n > 0;
    case V_DICT: return v.dict->n > 0 || v.dict->is_namespace;
    default: return true;
    }
}

static bool number(chat_val v) { return v.type == V_INT || v.type == V_BOOL; }

/* Equal without looking into lists and dicts. */
static bool same(chat_val a, chat_val b)
{
    if (number(a) && number(b))
        return a.i == b.i;
    if (a.type != b.type)
        return false;
    if (a.type == V_STR)
        return a.str.n == b.str.n && memcmp(a.str.s, b.str.s, a.str.n) == 0;
    if (a.type == V_LIST)
        return a.list == b.list || (a.list->n == 0 && b.list->n == 0);
    if (a.type == V_DICT)
        return a.dict == b.dict;
    if (a.type == V_LOOP)
        return a.loop == b.loop;
    return true; /* none, undefined */
}

/* The cost of comparing a with b. */
static bool spend_on(chat_run *r, const chat_node *at, chat_val a, chat_val b)
{
    const bool compared = a.type == V_STR && b.type == V_STR && a.str.n == b.str.n;
    return bt_chat_spend(r, at, compared ? a.str.n : 0);
}

bool bt_chat_equal(chat_run *r, const chat_node *at, chat_val a, chat_val b, bool *out)
{
    *out = false;
    if (!spend_on(r, at, a, b))
        return false;
    *out = same(a, b);
    if (*out || a.type != b.type)
        return true;
    if (a.type == V_LIST && a.list->n == b.list->n) {
        *out = true;
        for (size_t i = 0; i < a.list->n && *out; i++) {
            if (!spend_on(r, at, a.list->v[i], b.list->v[i]))
                return false;
            *out = same(a.list->v[i], b.list->v[i]);
        }
    } else if (a.type == V_DICT && a.dict->n == b.dict->n && !a.dict->is_namespace) {
        *out = true;
        for (size_t i = 0; i < a.dict->n && *out; i++) {
            const chat_val *v = bt_chat_dict_find(b.dict, a.dict->keys[i]);
            if (v && !spend_on(r, at, a.dict->vals[i], *v))
                return false;
            *out = v && same(a.dict->vals[i], *v);
        }
    }
    return true;
}

/* ---- lists and dicts ------------------------------------------------------------ */

bool bt_chat_new_list(chat_run *r, const chat_node *at, size_t n, chat_val *out)
{
    chat_list *l = bt_chat_arena_new(&r->mem, sizeof *l);
    if (l && n <= CHAT_MAX_MEMORY / sizeof *l->v)
        l->v = bt_chat_arena_new(&r->mem, n * sizeof *l->v);
    if (!l || !l->v)
        return bt_chat_no_memory(r, at);
    *out = (chat_val){ .type = V_LIST, .list = l };
    return true;
}

bool bt_chat_new_dict(chat_run *r, const chat_node *at, chat_val *out)
{
    chat_dict *d = bt_chat_arena_new(&r->mem, sizeof *d);
    if (!d)
        return bt_chat_no_memory(r, at);
    *out = (chat_val){ .type = V_DICT, .dict = d };
    return true;
}

static size_t dict_index(const chat_dict *d, chat_str key)
{
    size_t i = 0;
    while (i < d->n && (d->keys[i].n != key.n || memcmp(d->keys[i].s, key.s, key.n) != 0))
        i++;
    return i;
}

const chat_val *bt_chat_dict_find(const chat_dict *d, chat_str key)
{
    const size_t i = dict_index(d, key);
    return i < d->n ? &d->vals[i] : NULL;
}

bool bt_chat_dict_add(chat_run *r, const chat_node *at, chat_dict *d, chat_str key, chat_val v)
{
    if (d->n >= CHAT_MAX_NAMES)
        return bt_chat_fail(r, BT_EUNSUPPORTED, at, "too many keys");
    if (d->n == d->cap) {
        const size_t cap = d->cap ? d->cap * 2 : 4;
        chat_str *keys = bt_chat_arena_new(&r->mem, cap * sizeof *keys);
        chat_val *vals = bt_chat_arena_new(&r->mem, cap * sizeof *vals);
        if (!keys || !vals)
            return bt_chat_no_memory(r, at);
        if (d->n) {
            memcpy(keys, d->keys, d->n * sizeof *keys);
            memcpy(vals, d->vals, d->n * sizeof *vals);
        }
        d->keys = keys;
        d->vals = vals;
        d->cap = cap;
    }
    d->keys[d->n] = key;
    d->vals[d->n++] = v;
    return true;
}

bool bt_chat_dict_set(chat_run *r, const chat_node *at, chat_dict *d, chat_str key, chat_val v)
{
    const size_t i = dict_index(d, key);
    if (i == d->n)
        return bt_chat_dict_add(r, at, d, key, v);
    d->vals[i] = v;
    return true;
}

/* ---- strings ---------------------------------------------------------------------- */

bool bt_chat_to_text(chat_run *r, const chat_node *at, chat_val v, chat_str *out)
{
    static const char *const words[] = { "", "None", "False", "True" };
    char *s;
    *out = (chat_str){ "", 0 };
    switch (v.type) {
    case V_STR: *out = v.str; return true;
    case V_UNDEFINED:
    case V_NONE:
    case V_BOOL:
        out->s = words[v.type == V_UNDEFINED ? 0 : v.type == V_NONE ? 1 : 2 + (v.i != 0)];
        out->n = strlen(out->s);
        return true;
    case V_INT:
        s = bt_chat_arena_new(&r->mem, 24);
        if (!s)
            return bt_chat_no_memory(r, at);
        *out = (chat_str){ s, (size_t)snprintf(s, 24, "%lld", (long long)v.i) };
        return true;
    default: return bt_chat_fail(r, BT_EUNSUPPORTED, at, "%s as text", bt_chat_type_name(v));
    }
}

bool bt_chat_join(chat_run *r, const chat_node *at, chat_val a, chat_val b, chat_val *out)
{
    chat_str x, y;
    if (a.type == V_LIST && b.type == V_LIST) {
        if (!bt_chat_new_list(r, at, a.list->n + b.list->n, out))
            return false;
        memcpy(out->list->v, a.list->v, a.list->n * sizeof *a.list->v);
        memcpy(out->list->v + a.list->n, b.list->v, b.list->n * sizeof *b.list->v);
        out->list->n = a.list->n + b.list->n;
        return true;
    }
    if (!bt_chat_to_text(r, at, a, &x) || !bt_chat_to_text(r, at, b, &y))
        return false;
    char *s = bt_chat_arena_new(&r->mem, x.n + y.n + 1);
    if (!s)
        return bt_chat_no_memory(r, at);
    memcpy(s, x.s, x.n);
    memcpy(s + x.n, y.s, y.n);
    *out = bt_chat_str_val(s, x.n + y.n);
    return true;
}

static size_t count_chars(chat_str s)
{
    size_t n = 0;
    uint32_t cp;
    for (size_t i = 0; i < s.n; n++)
        i += bt_utf8_next(s.s + i, s.n - i, &cp);
    return n;
}

bool bt_chat_items(chat_run *r, const chat_node *at, chat_val v, chat_val *list)
{
    uint32_t cp;
    switch (v.type) {
    case V_LIST: *list = v; return true;
    case V_UNDEFINED: return bt_chat_new_list(r, at, 0, list);
    case V_DICT:
        if (!bt_chat_new_list(r, at, v.dict->n, list))
            return false;
        for (size_t i = 0; i < v.dict->n; i++)
            list->list->v[list->list->n++] = bt_chat_str_val(v.dict->keys[i].s, v.dict->keys[i].n);
        return true;
    case V_STR:
        if (!bt_chat_new_list(r, at, count_chars(v.str), list))
            return false;
        for (size_t i = 0, len; i < v.str.n; i += len) {
            len = bt_utf8_next(v.str.s + i, v.str.n - i, &cp);
            list->list->v[list->list->n++] = bt_chat_str_val(v.str.s + i, len);
        }
        return true;
    default: return bt_chat_fail(r, BT_EINVAL, at, "cannot loop over %s", bt_chat_type_name(v));
    }
}

bool bt_chat_contains(chat_run *r, const chat_node *at, chat_val in, chat_val what, bool *out)
{
    *out = false;
    switch (in.type) {
    case V_UNDEFINED: return true;
    case V_LIST:
        for (size_t i = 0; i < in.list->n && !*out; i++)
            if (!bt_chat_equal(r, at, in.list->v[i], what, out))
                return false;
        return true;
    case V_DICT: *out = what.type == V_STR && bt_chat_dict_find(in.dict, what.str); return true;
    case V_STR:
        if (what.type != V_STR)
            break;
        *out = what.str.n == 0 || memmem(in.str.s, in.str.n, what.str.s, what.str.n);
        return bt_chat_spend(r, at, in.str.n);
    default: break;
    }
    return bt_chat_fail(r, BT_EINVAL, at, "cannot look for %s in %s", bt_chat_type_name(what),
                        bt_chat_type_name(in));
}

/* ---- parts -------------------------------------------------------------------------- */

static bool undefined_part(chat_run *r, const chat_node *at, chat_val v)
{
    const int n = v.str.s ? (int)(v.str.n < 60 ? v.str.n : 60) : 0;
    return bt_chat_fail(r, BT_EINVAL, at, "'%.*s' is undefined", n, n ? v.str.s : "");
}

static chat_val loop_attr(const chat_loop *l, chat_str name)
{
    const size_t i = l->i, n = l->over->n;
    if (chat_is(name, "index"))
        return bt_chat_int_val((int64_t)i + 1);
    if (chat_is(name, "index0"))
        return bt_chat_int_val((int64_t)i);
    if (chat_is(name, "revindex"))
        return bt_chat_int_val((int64_t)(n - i));
    if (chat_is(name, "revindex0"))
        return bt_chat_int_val((int64_t)(n - i) - 1);
    if (chat_is(name, "first"))
        return bt_chat_bool_val(i == 0);
    if (chat_is(name, "last"))
        return bt_chat_bool_val(i + 1 == n);
    if (chat_is(name, "length"))
        return bt_chat_int_val((int64_t)n);
    if (chat_is(name, "previtem") && i > 0)
        return l->over->v[i - 1];
    if (chat_is(name, "nextitem") && i + 1 < n)
        return l->over->v[i + 1];
    return (chat_val){ .type = V_UNDEFINED, .str = name };
}

bool bt_chat_attr(chat_run *r, const chat_node *at, chat_val v, chat_str name, chat_val *out)
{
    *out = (chat_val){ .type = V_UNDEFINED, .str = name };
    if (v.type == V_UNDEFINED)
        return undefined_part(r, at, v);
    if (v.type == V_LOOP)
        *out = loop_attr(v.loop, name);
    if (v.type == V_DICT) {
        const chat_val *found = bt_chat_dict_find(v.dict, name);
        if (found)
            *out = *found;
    }
    return true;
}

bool bt_chat_index(chat_run *r, const chat_node *at, chat_val v, chat_val key, chat_val *out)
{
    *out = (chat_val){ .type = V_UNDEFINED };
    if (v.type == V_UNDEFINED)
        return undefined_part(r, at, v);
    if (key.type == V_STR)
        return bt_chat_attr(r, at, v, key.str, out);
    if (!number(key) || (v.type != V_LIST && v.type != V_STR))
        return true;
    if (v.type == V_STR && !bt_chat_spend(r, at, v.str.n * 8))
        return false;
    const int64_t n = (int64_t)(v.type == V_LIST ? v.list->n : count_chars(v.str));
    int64_t i = key.i < 0 ? key.i + n : key.i;
    if (i < 0 || i >= n)
        return true;
    if (v.type == V_LIST) {
        *out = v.list->v[i];
        return true;
    }
    uint32_t cp;
    size_t start = 0, len;
    while (len = bt_utf8_next(v.str.s + start, v.str.n - start, &cp), i-- > 0)
        start += len;
    *out = bt_chat_str_val(v.str.s + start, len);
    return true;
}

/* Python's slice.indices: clips a bound to 0..n, or -1..n-1 going backwards. */
static int64_t bound(chat_val v, int64_t n, bool back, int64_t absent)
{
    if (v.type == V_NONE)
        return absent;
    const int64_t i = v.i < 0 ? v.i + n : v.i, low = back ? -1 : 0, high = back ? n - 1 : n;
    return i < low ? low : i > high ? high : i;
}

/* Characters start..stop of a string. */
static chat_val substring(chat_str s, int64_t start, int64_t stop)
{
    size_t i = 0, from = 0;
    uint32_t cp;
    for (int64_t k = 0; k < stop && i < s.n; k++) {
        if (k == start)
            from = i;
        i += bt_utf8_next(s.s + i, s.n - i, &cp);
    }
    return start < stop ? bt_chat_str_val(s.s + from, i - from) : bt_chat_str_val("", 0);
}

static bool concat(chat_run *r, const chat_node *at, const chat_list *chars, size_t most,
                   chat_val *out)
{
    size_t n = 0;
    char *text = bt_chat_arena_new(&r->mem, most + 1);
    if (!text)
        return bt_chat_no_memory(r, at);
    for (size_t i = 0; i < chars->n; i++) {
        memcpy(text + n, chars->v[i].str.s, chars->v[i].str.n);
        n += chars->v[i].str.n;
    }
    *out = bt_chat_str_val(text, n);
    return true;
}

static int64_t clip(int64_t v, int64_t most) { return v > most ? most : v < -most ? -most : v; }

bool bt_chat_slice(chat_run *r, const chat_node *at, chat_val v, const chat_val part[3],
                   chat_val *out)
{
    chat_val from = v;
    for (int i = 0; i < 3; i++)
        if (part[i].type != V_NONE && part[i].type != V_INT)
            return bt_chat_fail(r, BT_EINVAL, at, "%s as a slice's bound",
                                bt_chat_type_name(part[i]));
    if (v.type == V_UNDEFINED)
        return undefined_part(r, at, v);
    if (v.type != V_LIST && v.type != V_STR)
        return bt_chat_fail(r, BT_EINVAL, at, "a slice of %s", bt_chat_type_name(v));
    if (v.type == V_STR && !bt_chat_spend(r, at, v.str.n * 8))
        return false;
    const int64_t n = (int64_t)(v.type == V_LIST ? v.list->n : count_chars(v.str));
    const int64_t step = part[2].type == V_INT ? clip(part[2].i, n + 1) : 1;
    if (step == 0)
        return bt_chat_fail(r, BT_EINVAL, at, "a slice's step is zero");
    const int64_t start = bound(part[0], n, step < 0, step < 0 ? n - 1 : 0);
    const int64_t stop = bound(part[1], n, step < 0, step < 0 ? -1 : n);
    if (v.type == V_STR && step == 1) {
        *out = substring(v.str, start, stop);
        return true;
    }
    if (!bt_chat_items(r, at, v, &from) || !bt_chat_new_list(r, at, (size_t)n, out))
        return false;
    for (int64_t i = start; step > 0 ? i < stop : i > stop; i += step)
        out->list->v[out->list->n++] = from.list->v[i];
    return v.type == V_LIST || concat(r, at, out->list, v.str.n, out);
}
