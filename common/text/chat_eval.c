/* SPDX-License-Identifier: MIT
 * Runs a template: statements, expressions, scopes (jinja2/runtime.py).
 *
 * Variables are one stack. A for loop pushes its own and drops them after each
 * round, so what "set" does inside a loop is gone outside, as in Jinja; only the
 * members of a namespace survive.
 */
#include <string.h>

#include "chat_impl.h"

/* ---- variables ------------------------------------------------------------------- */

/* Variables of one name may stand in several scopes, so they are not looked for. */
static bool push_var(chat_run *r, const chat_node *at, chat_str name, chat_val v)
{
    if (r->vars.n >= CHAT_MAX_NAMES)
        return bt_chat_fail(r, BT_EUNSUPPORTED, at, "too many variables");
    return bt_chat_dict_add(r, at, &r->vars, name, v);
}

/* The innermost variable of this name at or above place `from`, or NULL. */
static chat_val *find_var(chat_run *r, chat_str name, size_t from)
{
    for (size_t i = r->vars.n; i > from; i--) {
        const chat_str k = r->vars.keys[i - 1];
        if (k.n == name.n && memcmp(k.s, name.s, k.n) == 0)
            return &r->vars.vals[i - 1];
    }
    return NULL;
}

static bool set_var(chat_run *r, const chat_node *at, chat_str name, chat_val v)
{
    chat_val *old = find_var(r, name, r->scope);
    if (!old)
        return push_var(r, at, name, v);
    *old = v;
    return true;
}

/* ---- expressions -------------------------------------------------------------------- */

static bool eval_args(chat_run *r, const chat_node *n, chat_args *a)
{
    a->n = 0;
    for (const chat_node *arg = n->body; arg; arg = arg->next) {
        if (!bt_chat_eval(r, arg->a, &a->v[a->n]))
            return false;
        a->name[a->n++] = arg->str;
    }
    return true;
}

static bool eval_list(chat_run *r, const chat_node *n, chat_val *out)
{
    size_t count = 0;
    for (const chat_node *arg = n->body; arg; arg = arg->next)
        count++;
    if (!bt_chat_new_list(r, n, count, out))
        return false;
    for (const chat_node *arg = n->body; arg; arg = arg->next)
        if (!bt_chat_eval(r, arg->a, &out->list->v[out->list->n++]))
            return false;
    return true;
}

static bool eval_dict(chat_run *r, const chat_node *n, chat_val *out)
{
    if (!bt_chat_new_dict(r, n, out))
        return false;
    for (const chat_node *item = n->body; item; item = item->next) {
        chat_val key, v;
        if (!bt_chat_eval(r, item->a, &key) || !bt_chat_eval(r, item->b, &v))
            return false;
        if (key.type != V_STR)
            return bt_chat_fail(r, BT_EUNSUPPORTED, n, "keys that are no strings");
        if (!bt_chat_dict_set(r, n, out->dict, key.str, v))
            return false;
    }
    return true;
}

/* Python's integers, but for their size: more than 64 bits is a failure. */
static bool eval_math(chat_run *r, const chat_node *n, chat_val a, chat_val b, chat_val *out)
{
    int64_t v = 0;
    bool over = false;
    if ((a.type != V_INT && a.type != V_BOOL) || (b.type != V_INT && b.type != V_BOOL))
        return bt_chat_fail(r, BT_EINVAL, n, "cannot calculate with %s and %s",
                            bt_chat_type_name(a), bt_chat_type_name(b));
    if (n->op == OP_ADD)
        over = __builtin_add_overflow(a.i, b.i, &v);
    if (n->op == OP_SUB)
        over = __builtin_sub_overflow(a.i, b.i, &v);
    if (n->op == OP_MUL)
        over = __builtin_mul_overflow(a.i, b.i, &v);
    if (n->op == OP_DIV || n->op == OP_MOD) { /* rounded down, as in Python */
        if (b.i == 0)
            return bt_chat_fail(r, BT_EINVAL, n, "division by zero");
        if (b.i == -1)
            over = n->op == OP_DIV && __builtin_sub_overflow(0, a.i, &v);
        else if (n->op == OP_DIV)
            v = a.i / b.i - (a.i % b.i != 0 && (a.i < 0) != (b.i < 0));
        else
            v = a.i % b.i + (a.i % b.i != 0 && (a.i < 0) != (b.i < 0) ? b.i : 0);
    }
    if (over)
        return bt_chat_fail(r, BT_EUNSUPPORTED, n, "number too large");
    *out = bt_chat_int_val(v);
    return true;
}

/* Strings by their bytes, which is the order of code points in UTF-8. */
static bool eval_order(chat_run *r, const chat_node *n, chat_val a, chat_val b, chat_val *out)
{
    int c;
    if (a.type == V_STR && b.type == V_STR) {
        if (!bt_chat_spend(r, n, a.str.n))
            return false;
        c = memcmp(a.str.s, b.str.s, a.str.n < b.str.n ? a.str.n : b.str.n);
        if (c == 0)
            c = (a.str.n > b.str.n) - (a.str.n < b.str.n);
    } else if ((a.type == V_INT || a.type == V_BOOL) && (b.type == V_INT || b.type == V_BOOL)) {
        c = (a.i > b.i) - (a.i < b.i);
    } else {
        return bt_chat_fail(r, BT_EINVAL, n, "cannot compare %s with %s", bt_chat_type_name(a),
                            bt_chat_type_name(b));
    }
    *out = bt_chat_bool_val(n->op == OP_LT   ? c < 0
                            : n->op == OP_LE ? c <= 0
                            : n->op == OP_GT ? c > 0
                                             : c >= 0);
    return true;
}

/* `or` and `and` give one of their operands and may not look at the second. */
static bool eval_binary(chat_run *r, const chat_node *n, chat_val *out)
{
    chat_val a, b;
    bool found = false;
    if (!bt_chat_eval(r, n->a, &a))
        return false;
    if ((n->op == OP_OR && bt_chat_truth(a)) || (n->op == OP_AND && !bt_chat_truth(a))) {
        *out = a;
        return true;
    }
    if (!bt_chat_eval(r, n->b, &b))
        return false;
    switch (n->op) {
    case OP_OR:
    case OP_AND: *out = b; return true;
    case OP_EQ:
    case OP_NE:
        if (!bt_chat_equal(r, n, a, b, &found))
            return false;
        *out = bt_chat_bool_val(found == (n->op == OP_EQ));
        return true;
    case OP_IN:
    case OP_NOT_IN:
        if (!bt_chat_contains(r, n, b, a, &found))
            return false;
        *out = bt_chat_bool_val(found == (n->op == OP_IN));
        return true;
    case OP_CONCAT: return bt_chat_join(r, n, a, b, out);
    case OP_ADD:
        if ((a.type == V_STR && b.type == V_STR) || (a.type == V_LIST && b.type == V_LIST))
            return bt_chat_join(r, n, a, b, out);
        return eval_math(r, n, a, b, out);
    case OP_SUB:
    case OP_MUL:
    case OP_DIV:
    case OP_MOD: return eval_math(r, n, a, b, out);
    default: return eval_order(r, n, a, b, out);
    }
}

static bool eval_slice(chat_run *r, const chat_node *n, chat_val *out)
{
    chat_val of, part[3] = { { .type = V_NONE }, { .type = V_NONE }, { .type = V_NONE } };
    if (!bt_chat_eval(r, n->a, &of))
        return false;
    if (n->b && !bt_chat_eval(r, n->b, &part[0]))
        return false;
    if (n->c && !bt_chat_eval(r, n->c, &part[1]))
        return false;
    if (n->d && !bt_chat_eval(r, n->d, &part[2]))
        return false;
    return bt_chat_slice(r, n, of, part, out);
}

static bool eval_call(chat_run *r, const chat_node *n, chat_val *out)
{
    chat_args args;
    chat_val self;
    if (n->a->kind == N_ATTR) {
        if (!bt_chat_eval(r, n->a->a, &self) || !eval_args(r, n, &args))
            return false;
        return bt_chat_method(r, n, self, n->a->str, &args, out);
    }
    if (n->a->kind != N_NAME)
        return bt_chat_fail(r, BT_EUNSUPPORTED, n, "this kind of call");
    return eval_args(r, n, &args) && bt_chat_function(r, n, n->a->str, &args, out);
}

/* A filter or a test. */
static bool eval_named(chat_run *r, const chat_node *n, chat_val *out)
{
    chat_args args;
    chat_val v;
    bool yes = false;
    if (!bt_chat_eval(r, n->a, &v) || !eval_args(r, n, &args))
        return false;
    if (n->kind == N_FILTER)
        return bt_chat_filter(r, n, v, &args, out);
    if (!bt_chat_test(r, n, n->str, v, &args, &yes))
        return false;
    *out = bt_chat_bool_val(yes != (n->num != 0));
    return true;
}

static bool eval_name(chat_run *r, const chat_node *n, chat_val *out)
{
    const chat_val *v = find_var(r, n->str, 0);
    *out = v ? *v : (chat_val){ .type = V_UNDEFINED, .str = n->str };
    return true;
}

static bool eval_const(const chat_node *n, chat_val *out)
{
    if (n->vtype == V_STR)
        *out = bt_chat_str_val(n->str.s, n->str.n);
    else
        *out = (chat_val){ .type = n->vtype, .i = n->num };
    return true;
}

static bool eval_kind(chat_run *r, const chat_node *n, chat_val *out)
{
    chat_val v, key;
    switch (n->kind) {
    case N_CONST: return eval_const(n, out);
    case N_NAME: return eval_name(r, n, out);
    case N_LIST: return eval_list(r, n, out);
    case N_DICT: return eval_dict(r, n, out);
    case N_NOT:
        if (!bt_chat_eval(r, n->a, &v))
            return false;
        *out = bt_chat_bool_val(!bt_chat_truth(v));
        return true;
    case N_NEG:
        if (!bt_chat_eval(r, n->a, &v))
            return false;
        return eval_math(r, &(chat_node){ .op = OP_SUB, .line = n->line }, bt_chat_int_val(0), v,
                         out);
    case N_BINARY: return eval_binary(r, n, out);
    case N_COND:
        if (!bt_chat_eval(r, n->b, &v))
            return false;
        *out = (chat_val){ .type = V_UNDEFINED };
        if (bt_chat_truth(v))
            return bt_chat_eval(r, n->a, out);
        return !n->c || bt_chat_eval(r, n->c, out);
    case N_ATTR: return bt_chat_eval(r, n->a, &v) && bt_chat_attr(r, n, v, n->str, out);
    case N_INDEX:
        return bt_chat_eval(r, n->a, &v) && bt_chat_eval(r, n->b, &key) &&
               bt_chat_index(r, n, v, key, out);
    case N_SLICE: return eval_slice(r, n, out);
    case N_CALL: return eval_call(r, n, out);
    default: return eval_named(r, n, out);
    }
}

bool bt_chat_eval(chat_run *r, const chat_node *n, chat_val *out)
{
    *out = (chat_val){ .type = V_UNDEFINED };
    if (!bt_chat_spend(r, n, 0))
        return false;
    if (r->depth >= CHAT_MAX_EVAL)
        return bt_chat_fail(r, BT_EUNSUPPORTED, n, "nested too deeply");
    r->depth++;
    const bool ok = eval_kind(r, n, out);
    r->depth--;
    return ok;
}

/* ---- statements ------------------------------------------------------------------------ */

static bool exec(chat_run *r, const chat_node *n);

static bool print(chat_run *r, const chat_node *at, const char *s, size_t n)
{
    if (!bt_chat_spend(r, at, n))
        return false;
    if (n > CHAT_MAX_MEMORY - r->out->len)
        return bt_chat_fail(r, BT_EUNSUPPORTED, at, "it writes too much");
    bt_buf_add(r->out, s, n);
    return !r->out->failed || bt_chat_fail(r, BT_ENOMEM, at, "no memory");
}

static bool exec_out(chat_run *r, const chat_node *n)
{
    chat_val v;
    chat_str s;
    return bt_chat_eval(r, n->a, &v) && bt_chat_to_text(r, n, v, &s) && print(r, n, s.s, s.n);
}

static bool exec_if(chat_run *r, const chat_node *n)
{
    chat_val v;
    for (;; n = n->orelse) {
        if (!bt_chat_eval(r, n->a, &v))
            return false;
        if (bt_chat_truth(v))
            return exec(r, n->body);
        const bool elif = n->orelse && n->orelse->kind == N_IF && n->orelse->num;
        if (!elif)
            return exec(r, n->orelse);
    }
}

/* The item as the loop's one or two variables. */
static bool bind(chat_run *r, const chat_node *n, chat_val item)
{
    if (!n->str2.s)
        return push_var(r, n, n->str, item);
    if (item.type != V_LIST || item.list->n != 2)
        return bt_chat_fail(r, BT_EINVAL, n, "cannot unpack %s into two names",
                            bt_chat_type_name(item));
    return push_var(r, n, n->str, item.list->v[0]) && push_var(r, n, n->str2, item.list->v[1]);
}

/* Keeps the items that the loop's "if" lets through. */
static bool select_items(chat_run *r, const chat_node *n, chat_val *items)
{
    chat_val kept, v;
    const size_t base = r->vars.n;
    if (!n->b)
        return true;
    if (!bt_chat_new_list(r, n, items->list->n, &kept))
        return false;
    for (size_t i = 0; i < items->list->n; i++) {
        if (!bind(r, n, items->list->v[i]) || !bt_chat_eval(r, n->b, &v))
            return false;
        r->vars.n = base;
        if (bt_chat_truth(v))
            kept.list->v[kept.list->n++] = items->list->v[i];
    }
    *items = kept;
    return true;
}

/* The condition is tried on all items first, because loop.length counts those
 * that it lets through. */
static bool exec_for(chat_run *r, const chat_node *n)
{
    chat_val over, items;
    const size_t base = r->vars.n, scope = r->scope;
    if (!bt_chat_eval(r, n->a, &over) || !bt_chat_items(r, n, over, &items))
        return false;
    if (!select_items(r, n, &items))
        return false;
    if (items.list->n == 0)
        return exec(r, n->orelse);
    chat_loop *loop = bt_chat_arena_new(&r->mem, sizeof *loop);
    if (!loop)
        return bt_chat_no_memory(r, n);
    loop->over = items.list;
    bool ok = true;
    r->scope = base;
    for (; ok && loop->i < items.list->n && !r->breaking; loop->i++) {
        const chat_val self = { .type = V_LOOP, .loop = loop };
        ok = bt_chat_spend(r, n, 0) && push_var(r, n, (chat_str){ "loop", 4 }, self) &&
             bind(r, n, items.list->v[loop->i]) && exec(r, n->body);
        r->continuing = false;
        r->vars.n = base;
    }
    r->breaking = false;
    r->scope = scope;
    return ok;
}

static bool exec_set(chat_run *r, const chat_node *n)
{
    chat_val v;
    if (!bt_chat_eval(r, n->a, &v))
        return false;
    if (!n->str2.s)
        return set_var(r, n, n->str, v);
    chat_val *ns = find_var(r, n->str, 0);
    if (!ns || ns->type != V_DICT || !ns->dict->is_namespace)
        return bt_chat_fail(r, BT_EINVAL, n, "'%.*s' is no namespace", (int)n->str.n, n->str.s);
    return bt_chat_dict_set(r, n, ns->dict, n->str2, v);
}

/* What the block prints becomes the value. */
static bool exec_set_block(chat_run *r, const chat_node *n)
{
    bt_buf text = { 0 }, *out = r->out;
    r->out = &text;
    bool ok = exec(r, n->body);
    r->out = out;
    char *s = ok ? bt_chat_arena_new(&r->mem, text.len + 1) : NULL;
    if (s && text.len)
        memcpy(s, text.data, text.len);
    ok =
        ok && (s || bt_chat_no_memory(r, n)) && set_var(r, n, n->str, bt_chat_str_val(s, text.len));
    bt_buf_free(&text);
    return ok;
}

static bool exec_one(chat_run *r, const chat_node *n)
{
    switch (n->kind) {
    case N_TEXT: return print(r, n, n->str.s, n->str.n);
    case N_OUT: return exec_out(r, n);
    case N_IF: return exec_if(r, n);
    case N_FOR: return exec_for(r, n);
    case N_SET: return exec_set(r, n);
    case N_SETBLOCK: return exec_set_block(r, n);
    case N_BLOCK: return exec(r, n->body);
    default:
        r->breaking = r->breaking || n->kind == N_BREAK;
        r->continuing = r->continuing || n->kind == N_CONTINUE;
        return true;
    }
}

static bool exec(chat_run *r, const chat_node *n)
{
    for (; n && !r->breaking && !r->continuing; n = n->next)
        if (!exec_one(r, n))
            return false;
    return true;
}

/* ---- a render ----------------------------------------------------------------------------- */

static bool set_text(chat_run *r, chat_dict *d, const char *key, const char *s)
{
    static const chat_node start = { .line = 1 };
    return bt_chat_dict_set(r, &start, d, (chat_str){ key, strlen(key) },
                            bt_chat_str_val(s ? s : "", s ? strlen(s) : 0));
}

/* The variables that Hugging Face gives to a template without tools. */
static bool set_input(chat_run *r, const bt_chat_input *in)
{
    static const chat_node start = { .line = 1 };
    chat_val list;
    if (!bt_chat_new_list(r, &start, in->n, &list))
        return false;
    for (size_t i = 0; i < in->n; i++) {
        chat_val m;
        if (!bt_chat_new_dict(r, &start, &m))
            return false;
        if (!set_text(r, m.dict, "role", in->messages[i].role))
            return false;
        if (!set_text(r, m.dict, "content", in->messages[i].content))
            return false;
        list.list->v[list.list->n++] = m;
    }
    const chat_val none = { .type = V_NONE };
    return push_var(r, &start, (chat_str){ "messages", 8 }, list) &&
           push_var(r, &start, (chat_str){ "tools", 5 }, none) &&
           push_var(r, &start, (chat_str){ "documents", 9 }, none) &&
           push_var(r, &start, (chat_str){ "add_generation_prompt", 21 },
                    bt_chat_bool_val(in->add_generation_prompt)) &&
           set_text(r, &r->vars, "bos_token", in->bos_token) &&
           set_text(r, &r->vars, "eos_token", in->eos_token);
}

bt_status bt_chat_render(const bt_chat *c, const bt_chat_input *in, char **text, size_t *n,
                         bt_error *err)
{
    bt_buf out = { 0 };
    chat_run r = { .mem = { .limit = CHAT_MAX_MEMORY }, .out = &out, .err = err };
    *text = NULL;
    if (set_input(&r, in))
        exec(&r, c->body);
    bt_chat_arena_free(&r.mem);
    if (n)
        *n = out.len;
    if (r.st == BT_OK && !(*text = bt_buf_take(&out)))
        r.st = bt_fail(err, BT_ENOMEM, "chat template: no memory");
    bt_buf_free(&out);
    return r.st;
}
