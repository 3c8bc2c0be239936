/* SPDX-License-Identifier: MIT
 * What the files chat*.c share: the tree of a template, values, a render's state.
 *
 *     chat_parse.c   text -> tree (bt_chat_new)
 *     chat_eval.c    tree -> text (bt_chat_render): statements, expressions
 *     chat_lib.c     filters, tests, methods and functions by name
 *     chat_value.c   truth, equality, indexing, joining of values
 *     chat_run.c     memory, limits and failures of a render
 *
 * Each calls only those below it. Functions that return bool give false after a
 * failure that the render has recorded; *out then holds nothing of use. `at` is
 * the node whose line a message names.
 */
#ifndef BT_TEXT_CHAT_IMPL_H
#define BT_TEXT_CHAT_IMPL_H

#include "chat.h"

/* Bounds of what a template may be and do. */
#define CHAT_MAX_SOURCE (1u << 20)   /* bytes of a template */
#define CHAT_MAX_DEPTH  100          /* nesting of expressions and blocks in the source */
#define CHAT_MAX_EVAL   300          /* nesting of one evaluation: a + b + c are two levels */
#define CHAT_MAX_TREE   (64u << 20)  /* bytes of its tree */
#define CHAT_MAX_MEMORY (256u << 20) /* bytes of values made by one render, and of its output */
#define CHAT_MAX_STEPS  5000000u     /* nodes evaluated, and 64-byte pieces of strings looked at */
#define CHAT_MAX_ARGS   16
#define CHAT_MAX_NAMES  1000 /* variables at a time, keys of a dict: they are searched */

/* Zeroed memory that is given back all at once. */
typedef struct chat_arena {
    struct chat_chunk *head;
    size_t used, limit; /* bytes */
} chat_arena;

void *bt_chat_arena_new(chat_arena *a, size_t n); /* NULL: no memory, or over the limit */
void bt_chat_arena_free(chat_arena *a);

/* Bytes of the template, of the input or of the render's arena; not terminated. */
typedef struct chat_str {
    const char *s;
    size_t n;
} chat_str;

/* Is a the text b? */
static inline bool chat_is(chat_str a, const char *b)
{
    size_t i = 0;
    while (i < a.n && b[i] && a.s[i] == b[i])
        i++;
    return i == a.n && !b[i];
}

/* ---- the tree -------------------------------------------------------------- */

typedef enum chat_kind {
    /* statements, chained by `next` */
    N_TEXT,     /* str */
    N_OUT,      /* a */
    N_IF,       /* a condition, body, orelse; num: this is an elif, alone in its orelse */
    N_FOR,      /* str (and str2: two names) in a, if b: body, orelse */
    N_SET,      /* str = a; str.str2 = a if str2 is given */
    N_SETBLOCK, /* str = what body prints */
    N_BLOCK,    /* body */
    N_BREAK,
    N_CONTINUE,
    /* expressions */
    N_CONST,  /* str or num, by vtype */
    N_NAME,   /* str */
    N_LIST,   /* body: N_ARG chain */
    N_DICT,   /* body: N_ARG chain with a: key, b: value */
    N_ARG,    /* a, and its keyword str if str.s */
    N_NOT,    /* a */
    N_NEG,    /* a */
    N_BINARY, /* a op b */
    N_COND,   /* a if b else c; c may be NULL */
    N_ATTR,   /* a . str */
    N_INDEX,  /* a [ b ] */
    N_SLICE,  /* a [ b : c : d ], each may be NULL */
    N_CALL,   /* a ( body ) */
    N_FILTER, /* a | str ( body ) */
    N_TEST    /* a is str ( body ); num: negated */
} chat_kind;

typedef enum chat_op {
    OP_OR,
    OP_AND,
    OP_EQ,
    OP_NE,
    OP_LT,
    OP_LE,
    OP_GT,
    OP_GE,
    OP_IN,
    OP_NOT_IN,
    OP_ADD,
    OP_SUB,
    OP_MUL,
    OP_DIV,
    OP_MOD,
    OP_CONCAT
} chat_op;

typedef enum chat_type {
    V_UNDEFINED,
    V_NONE,
    V_BOOL,
    V_INT,
    V_STR,
    V_LIST,
    V_DICT,
    V_LOOP
} chat_type;

/* One node of the tree; which members count stands at its kind. */
typedef struct chat_node {
    chat_kind kind;
    chat_op op;
    chat_type vtype;
    int line;
    int64_t num;
    chat_str str, str2;
    struct chat_node *a, *b, *c, *d, *body, *orelse, *next;
} chat_node;

struct bt_chat {
    chat_arena mem;
    chat_node *body;
};

/* ---- values and a render --------------------------------------------------- */

/* A value; lists, dicts and loops are shared, not copied, as in Python. */
typedef struct chat_val {
    chat_type type;
    union {
        int64_t i; /* V_INT, V_BOOL */
        chat_str str;
        struct chat_list *list;
        struct chat_dict *dict;
        struct chat_loop *loop;
    };
} chat_val;

typedef struct chat_list {
    chat_val *v;
    size_t n;
} chat_list;

typedef struct chat_dict { /* in order of insertion; keys are strings */
    chat_str *keys;
    chat_val *vals;
    size_t n, cap;
    bool is_namespace; /* only these may be changed by set */
} chat_dict;

/* The variable "loop" of a for statement. */
typedef struct chat_loop {
    const chat_list *over;
    size_t i; /* of the item in hand, from 0 */
} chat_loop;

typedef struct chat_args {
    chat_val v[CHAT_MAX_ARGS];
    chat_str name[CHAT_MAX_ARGS]; /* s NULL: positional */
    size_t n;
} chat_args;

/* One render: all that it changes. */
typedef struct chat_run {
    chat_arena mem;
    bt_buf *out;
    size_t steps;
    int depth;
    chat_dict vars; /* a stack of scopes: the last of a name counts */
    size_t scope;   /* where the innermost scope starts */
    bool breaking, continuing;
    bt_status st;
    bt_error *err;
} chat_run;

/* Records the first failure at a node's line; returns false. */
bool bt_chat_fail(chat_run *r, bt_status st, const chat_node *at, const char *fmt, ...)
    BT_PRINTF(4, 5);
/* Counts a step that looks at `bytes` bytes; false when there have been too many. */
bool bt_chat_spend(chat_run *r, const chat_node *at, size_t bytes);
/* After bt_chat_arena_new gave NULL: the template's fault or the machine's? */
bool bt_chat_no_memory(chat_run *r, const chat_node *at);

bool bt_chat_eval(chat_run *r, const chat_node *n, chat_val *out);

/* chat_value.c */
/* As Python's bool(v). */
bool bt_chat_truth(chat_val v);
/* Lists and dicts are equal if they are the same one, or have equal strings,
 * numbers and same ones in them: no template was seen that compares deeper. */
bool bt_chat_equal(chat_run *r, const chat_node *at, chat_val a, chat_val b, bool *out);
/* "a string", for messages. */
const char *bt_chat_type_name(chat_val v);
chat_val bt_chat_str_val(const char *s, size_t n);
chat_val bt_chat_int_val(int64_t i);
chat_val bt_chat_bool_val(bool b);
const chat_val *bt_chat_dict_find(const chat_dict *d, chat_str key);
/* Appends without looking whether the key is there; set looks. */
bool bt_chat_dict_add(chat_run *r, const chat_node *at, chat_dict *d, chat_str key, chat_val v);
bool bt_chat_dict_set(chat_run *r, const chat_node *at, chat_dict *d, chat_str key, chat_val v);
/* An empty list with room for n items, an empty dict. */
bool bt_chat_new_list(chat_run *r, const chat_node *at, size_t n, chat_val *out);
bool bt_chat_new_dict(chat_run *r, const chat_node *at, chat_val *out);
/* a + b of two lists; else both as text (the operator ~). */
bool bt_chat_join(chat_run *r, const chat_node *at, chat_val a, chat_val b, chat_val *out);
bool bt_chat_to_text(chat_run *r, const chat_node *at, chat_val v, chat_str *out);
/* What a loop over v visits. */
bool bt_chat_items(chat_run *r, const chat_node *at, chat_val v, chat_val *list);
/* v[key], v.name, v[a:b:c] (part: NONE where left out), what in v. A name or index
 * that is not there gives an undefined value, which only fails when used. */
bool bt_chat_index(chat_run *r, const chat_node *at, chat_val v, chat_val key, chat_val *out);
bool bt_chat_attr(chat_run *r, const chat_node *at, chat_val v, chat_str name, chat_val *out);
bool bt_chat_slice(chat_run *r, const chat_node *at, chat_val v, const chat_val part[3],
                   chat_val *out);
bool bt_chat_contains(chat_run *r, const chat_node *at, chat_val in, chat_val what, bool *out);

/* chat_lib.c: by name */
bool bt_chat_filter(chat_run *r, const chat_node *at, chat_val in, const chat_args *a,
                    chat_val *out);
bool bt_chat_test(chat_run *r, const chat_node *at, chat_str name, chat_val in, const chat_args *a,
                  bool *out);
bool bt_chat_method(chat_run *r, const chat_node *at, chat_val self, chat_str name,
                    const chat_args *a, chat_val *out);
bool bt_chat_function(chat_run *r, const chat_node *at, chat_str name, const chat_args *a,
                      chat_val *out);

#endif
