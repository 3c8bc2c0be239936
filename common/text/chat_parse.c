/* SPDX-License-Identifier: MIT
 * Templates to trees: the grammar of Jinja (jinja2/lexer.py, jinja2/parser.py)
 * with trim_blocks and lstrip_blocks on, as far as chat.h says.
 *
 * A recursive descent parser that looks one token ahead: p->tok is the token in
 * hand, accept() steps over it if it is the one wanted. Text between tags is
 * taken as it is, less the white space that the tags around it remove. The
 * first failure stays in p->st, after which no more tokens come.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "chat_impl.h"
#include "utf8.h"

typedef enum token { T_END, T_NAME, T_INT, T_STR, T_OP, T_BAD } token;

typedef struct parser {
    const char *p, *end;
    char closer;  /* '%' or '}': what ends the tag that is being read */
    int brackets; /* open ones in this tag */
    int line, depth;
    token tok;    /* the token looked at */
    chat_str str; /* T_NAME, T_OP; T_STR: decoded */
    int64_t num;
    bool line_start; /* text begins at the start of a line */
    bool strip_next; /* the last tag ended with '-' */
    chat_arena *mem;
    bt_status st;
    bt_error *err;
} parser;

static bool fail(parser *p, bt_status st, const char *fmt, ...) BT_PRINTF(3, 4);

static bool fail(parser *p, bt_status st, const char *fmt, ...)
{
    char text[256];
    if (p->st != BT_OK)
        return false;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    p->st = bt_fail(p->err, st, "chat template, line %d: %s", p->line, text);
    return false;
}

/* ---- tokens ------------------------------------------------------------------ */

static bool is_blank(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

static bool is_name(char c, bool first)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
           (!first && c >= '0' && c <= '9');
}

static bool at(const parser *p, const char *what)
{
    const size_t n = strlen(what);
    return (size_t)(p->end - p->p) >= n && memcmp(p->p, what, n) == 0;
}

static bool hex(parser *p, int digits, uint32_t *cp)
{
    *cp = 0;
    if (p->end - p->p < digits)
        return false;
    for (; digits > 0; digits--) {
        const char c = *p->p++, low = (char)(c | 32);
        if (c >= '0' && c <= '9')
            *cp = *cp << 4 | (uint32_t)(c - '0');
        else if (low >= 'a' && low <= 'f')
            *cp = *cp << 4 | (uint32_t)(low - 'a' + 10);
        else
            return false;
    }
    return *cp <= 0x10FFFF && (*cp < 0xD800 || *cp > 0xDFFF);
}

/* Python's escapes; an unknown one stays as it is. */
static size_t unescape(parser *p, char *out)
{
    static const char from[] = "nrtbfav\\'\"0", to[] = "\n\r\t\b\f\a\v\\'\"\0";
    const char c = *p->p++, *known = c ? strchr(from, c) : NULL;
    uint32_t cp;
    if (c == '\n')
        return 0;
    if (known) {
        *out = to[known - from];
        return 1;
    }
    const int digits = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
    if (digits == 0) {
        out[0] = '\\';
        out[1] = c;
        return 2;
    }
    if (!hex(p, digits, &cp)) {
        fail(p, BT_EFORMAT, "bad \\%c escape", c);
        return 0;
    }
    return bt_utf8_put(out, cp);
}

static token read_string(parser *p)
{
    const char quote = *p->p++;
    const char *close = p->p;
    while (close < p->end && *close != quote)
        close += *close == '\\' && close + 1 < p->end ? 2 : 1;
    if (close >= p->end) {
        fail(p, BT_EFORMAT, "a string does not end");
        return T_BAD;
    }
    char *s = bt_chat_arena_new(p->mem, (size_t)(close - p->p) + 1);
    if (!s) {
        fail(p, BT_ENOMEM, "no memory");
        return T_BAD;
    }
    p->str = (chat_str){ s, 0 };
    while (p->p < close && p->st == BT_OK) {
        p->line += *p->p == '\n';
        if (*p->p == '\\') {
            p->p++;
            p->str.n += unescape(p, s + p->str.n);
        } else {
            s[p->str.n++] = *p->p++;
        }
    }
    p->p = close + 1;
    return p->st == BT_OK ? T_STR : T_BAD;
}

static token read_int(parser *p)
{
    p->num = 0;
    for (; p->p < p->end && ((*p->p >= '0' && *p->p <= '9') || *p->p == '_'); p->p++) {
        if (*p->p == '_')
            continue;
        if (p->num > (INT64_MAX - 9) / 10) {
            fail(p, BT_EUNSUPPORTED, "number too large");
            return T_BAD;
        }
        p->num = p->num * 10 + (*p->p - '0');
    }
    if (p->p + 1 < p->end && *p->p == '.' && p->p[1] >= '0' && p->p[1] <= '9') {
        fail(p, BT_EUNSUPPORTED, "numbers with a fraction are not supported");
        return T_BAD;
    }
    return T_INT;
}

static token read_op(parser *p)
{
    static const char *const two[] = { "==", "!=", "<=", ">=", "//", "**" };
    p->str = (chat_str){ p->p, 1 };
    for (size_t i = 0; i < sizeof two / sizeof *two; i++)
        if (at(p, two[i]))
            p->str.n = 2;
    const char c = *p->p;
    if (p->str.n == 1 && (c == 0 || !strchr("+-*/%~<>=.,:|()[]{}", c))) {
        fail(p, BT_EFORMAT, "unexpected character '%c'", c);
        return T_BAD;
    }
    if (strchr("([{", c))
        p->brackets++;
    if (strchr(")]}", c))
        p->brackets--;
    p->p += p->str.n;
    return T_OP;
}

/* Whether the tag ends here: "%}", "-%}", "+%}" (or with "}}"); steps over it. */
static bool tag_end(parser *p)
{
    const char *q = p->p;
    const char sign = q < p->end ? *q : 0;
    if (p->brackets > 0)
        return false;
    if (sign == '-' || (sign == '+' && p->closer == '%'))
        q++;
    if (p->end - q < 2 || q[0] != p->closer || q[1] != '}')
        return false;
    p->p = q + 2;
    p->strip_next = sign == '-';
    p->line_start = false;
    if (sign == p->closer && p->closer == '%' && p->p < p->end && *p->p == '\n') {
        p->p++; /* trim_blocks */
        p->line++;
        p->line_start = true;
    }
    return true;
}

/* To the next token of the tag, or to T_END at the tag's end. */
static bool advance(parser *p)
{
    while (p->p < p->end && is_blank(*p->p))
        p->line += *p->p++ == '\n';
    if (p->st != BT_OK) {
        p->tok = T_BAD;
    } else if (p->p == p->end) {
        p->tok = T_BAD;
        fail(p, BT_EFORMAT, "a tag does not end");
    } else if (tag_end(p)) {
        p->tok = T_END;
    } else if (is_name(*p->p, true)) {
        p->str = (chat_str){ p->p, 0 };
        while (p->p < p->end && is_name(*p->p, false))
            p->p++, p->str.n++;
        p->tok = T_NAME;
    } else if (*p->p >= '0' && *p->p <= '9') {
        p->tok = read_int(p);
    } else if (*p->p == '"' || *p->p == '\'') {
        p->tok = read_string(p);
    } else {
        p->tok = read_op(p);
    }
    return p->tok != T_BAD;
}

/* Is the token in hand this one? */
static bool see(const parser *p, token t, const char *what)
{
    return p->tok == t && chat_is(p->str, what);
}

static bool accept(parser *p, token t, const char *what) { return see(p, t, what) && advance(p); }

static bool expect(parser *p, const char *op)
{
    if (accept(p, T_OP, op))
        return true;
    return fail(p, BT_EFORMAT, "expected '%s'", op);
}

/* ---- expressions --------------------------------------------------------------- */

static chat_node *expression(parser *p);
static chat_node *unary(parser *p, bool filters);

/* A new node of the template's tree; NULL after any failure. */
static chat_node *node(parser *p, chat_kind kind, chat_node *a, chat_node *b)
{
    if (p->st != BT_OK)
        return NULL;
    chat_node *n = bt_chat_arena_new(p->mem, sizeof *n);
    if (!n) {
        fail(p, BT_ENOMEM, "no memory, or too large");
        return NULL;
    }
    *n = (chat_node){ .kind = kind, .line = p->line, .a = a, .b = b };
    return n;
}

/* One level deeper, of brackets or blocks: bounds the parser's own stack. */
static bool enter(parser *p)
{
    if (++p->depth <= CHAT_MAX_DEPTH)
        return true;
    return fail(p, BT_EUNSUPPORTED, "nested too deeply");
}

/* Arguments, or the items of a list, up to `close`; the opening bracket is read. */
static chat_node *arguments(parser *p, const char *close)
{
    chat_node *first = NULL, **last = &first;
    int n = 0;
    while (p->st == BT_OK && !see(p, T_OP, close)) {
        chat_node *arg = node(p, N_ARG, expression(p), NULL);
        if (!arg || p->st != BT_OK)
            return NULL;
        if (arg->a->kind == N_NAME && accept(p, T_OP, "=")) {
            arg->str = arg->a->str;
            arg->a = expression(p);
        }
        *last = arg;
        last = &arg->next;
        if (close[0] == ')' && ++n > CHAT_MAX_ARGS)
            fail(p, BT_EUNSUPPORTED, "too many arguments");
        if (!accept(p, T_OP, ","))
            break;
    }
    expect(p, close);
    return first;
}

static chat_node *dict_items(parser *p)
{
    chat_node *first = NULL, **last = &first;
    while (p->st == BT_OK && !see(p, T_OP, "}")) {
        chat_node *key = expression(p);
        expect(p, ":");
        chat_node *item = node(p, N_ARG, key, expression(p));
        if (!item)
            return NULL;
        *last = item;
        last = &item->next;
        if (!accept(p, T_OP, ","))
            break;
    }
    expect(p, "}");
    return first;
}

static chat_node *constant(parser *p, chat_type type, int64_t num)
{
    chat_node *n = node(p, N_CONST, NULL, NULL);
    if (!n)
        return NULL;
    n->vtype = type;
    n->num = num;
    return n;
}

static chat_node *name_or_constant(parser *p)
{
    static const struct {
        const char *name;
        chat_type type;
        int64_t num;
    } known[] = {
        { "true", V_BOOL, 1 },  { "True", V_BOOL, 1 }, { "false", V_BOOL, 0 },
        { "False", V_BOOL, 0 }, { "none", V_NONE, 0 }, { "None", V_NONE, 0 },
    };
    chat_node *n = NULL;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (chat_is(p->str, known[i].name))
            n = constant(p, known[i].type, known[i].num);
    if (!n)
        n = node(p, N_NAME, NULL, NULL);
    if (n)
        n->str = p->str;
    advance(p);
    return n;
}

/* 'a' 'b' is one string. */
static chat_node *string(parser *p)
{
    chat_node *n = constant(p, V_STR, 0);
    if (!n)
        return NULL;
    n->str = p->str;
    for (advance(p); p->tok == T_STR; advance(p)) {
        char *s = bt_chat_arena_new(p->mem, n->str.n + p->str.n + 1);
        if (!s) {
            fail(p, BT_ENOMEM, "no memory, or too large");
            return NULL;
        }
        memcpy(s, n->str.s, n->str.n);
        memcpy(s + n->str.n, p->str.s, p->str.n);
        n->str = (chat_str){ s, n->str.n + p->str.n };
    }
    return n;
}

static chat_node *bracketed(parser *p, chat_kind kind, const char *close)
{
    chat_node *n = node(p, kind, NULL, NULL);
    if (!n)
        return NULL;
    n->body = kind == N_DICT ? dict_items(p) : arguments(p, close);
    return n;
}

/* ( expression ), or a tuple, which is a list here. */
static chat_node *parens(parser *p)
{
    if (see(p, T_OP, ")"))
        return bracketed(p, N_LIST, ")");
    chat_node *first = expression(p);
    if (!accept(p, T_OP, ",")) {
        expect(p, ")");
        return first;
    }
    chat_node *n = node(p, N_LIST, NULL, NULL), *arg = node(p, N_ARG, first, NULL);
    if (!n || !arg)
        return NULL;
    n->body = arg;
    arg->next = arguments(p, ")");
    return n;
}

static chat_node *primary(parser *p)
{
    if (p->tok == T_NAME)
        return name_or_constant(p);
    if (p->tok == T_STR)
        return string(p);
    if (p->tok == T_INT) {
        chat_node *n = constant(p, V_INT, p->num);
        advance(p);
        return n;
    }
    if (accept(p, T_OP, "["))
        return bracketed(p, N_LIST, "]");
    if (accept(p, T_OP, "{"))
        return bracketed(p, N_DICT, "}");
    if (accept(p, T_OP, "("))
        return parens(p);
    fail(p, BT_EFORMAT, "expected an expression");
    return NULL;
}

/* After "[": an index or a slice. */
static chat_node *subscript(parser *p, chat_node *of)
{
    chat_node *part[3] = { NULL, NULL, NULL };
    bool slice = false;
    for (int i = 0; i < 3 && p->st == BT_OK; i++) {
        if (!see(p, T_OP, ":") && !see(p, T_OP, "]"))
            part[i] = expression(p);
        if (!accept(p, T_OP, ":"))
            break;
        slice = true;
    }
    expect(p, "]");
    chat_node *n = node(p, slice ? N_SLICE : N_INDEX, of, part[0]);
    if (!n)
        return NULL;
    if (!slice && !part[0])
        fail(p, BT_EFORMAT, "an index is missing");
    n->c = part[1];
    n->d = part[2];
    return n;
}

/* A node called by the name that must come now, which it steps over. */
static chat_node *named(parser *p, chat_kind kind, chat_node *of, const char *missing)
{
    if (p->tok != T_NAME) {
        fail(p, BT_EFORMAT, "%s", missing);
        return NULL;
    }
    chat_node *n = node(p, kind, of, NULL);
    if (n)
        n->str = p->str;
    advance(p);
    return n;
}

/* After the "(". */
static chat_node *call(parser *p, chat_node *of)
{
    chat_node *n = node(p, N_CALL, of, NULL);
    if (n)
        n->body = arguments(p, ")");
    return n;
}

static chat_node *postfix(parser *p, chat_node *n)
{
    while (n && p->st == BT_OK) {
        if (accept(p, T_OP, ".")) {
            n = named(p, N_ATTR, n, "expected a name after '.'");
        } else if (accept(p, T_OP, "[")) {
            n = subscript(p, n);
        } else if (accept(p, T_OP, "(")) {
            n = call(p, n);
        } else {
            break;
        }
    }
    return n;
}

/* "is" [not] name [(arguments) | one argument] */
static chat_node *test(parser *p, chat_node *of)
{
    chat_node *n = node(p, N_TEST, of, NULL);
    if (!n)
        return NULL;
    n->num = accept(p, T_NAME, "not");
    n->str = p->str;
    if (p->tok != T_NAME) {
        fail(p, BT_EFORMAT, "expected the name of a test");
        return NULL;
    }
    advance(p);
    const bool word = p->tok == T_NAME && !see(p, T_NAME, "else") && !see(p, T_NAME, "or") &&
                      !see(p, T_NAME, "and") && !see(p, T_NAME, "if") && !see(p, T_NAME, "is") &&
                      !see(p, T_NAME, "in") && !see(p, T_NAME, "not");
    if (accept(p, T_OP, "("))
        n->body = arguments(p, ")");
    else if (word || p->tok == T_STR || p->tok == T_INT || see(p, T_OP, "["))
        n->body = node(p, N_ARG, postfix(p, primary(p)), NULL);
    return n;
}

static chat_node *filters(parser *p, chat_node *n)
{
    while (n && p->st == BT_OK) {
        if (accept(p, T_OP, "|")) {
            n = named(p, N_FILTER, n, "expected the name of a filter");
            if (n && accept(p, T_OP, "("))
                n->body = arguments(p, ")");
        } else if (accept(p, T_NAME, "is")) {
            n = test(p, n);
        } else if (accept(p, T_OP, "(")) {
            n = call(p, n);
        } else {
            break;
        }
    }
    return n;
}

static chat_node *unary(parser *p, bool with_filters)
{
    chat_node *n = NULL;
    if (!enter(p))
        return NULL;
    if (accept(p, T_OP, "-"))
        n = node(p, N_NEG, unary(p, false), NULL);
    else if (accept(p, T_OP, "+"))
        n = unary(p, false);
    else
        n = primary(p);
    n = postfix(p, n);
    if (with_filters)
        n = filters(p, n);
    p->depth--;
    return n;
}

typedef struct op_word {
    token tok;
    const char *text;
    chat_op op;
} op_word;

/* The operators of each level, loosest first; each level is left-associative. */
static const op_word ops[][9] = {
    { { T_NAME, "or", OP_OR } },
    { { T_NAME, "and", OP_AND } },
    { { T_OP, "==", OP_EQ },
      { T_OP, "!=", OP_NE },
      { T_OP, "<=", OP_LE },
      { T_OP, ">=", OP_GE },
      { T_OP, "<", OP_LT },
      { T_OP, ">", OP_GT },
      { T_NAME, "in", OP_IN },
      { T_NAME, "not", OP_NOT_IN } },
    { { T_OP, "+", OP_ADD }, { T_OP, "-", OP_SUB } },
    { { T_OP, "~", OP_CONCAT } },
    { { T_OP, "*", OP_MUL }, { T_OP, "//", OP_DIV }, { T_OP, "%", OP_MOD } },
};
enum { LEVEL_AND = 1, LEVEL_COMPARE = 2, LEVELS = sizeof ops / sizeof *ops };

static const op_word *operator_at(const parser *p, int level)
{
    for (const op_word *o = ops[level]; o->text; o++)
        if (see(p, o->tok, o->text))
            return o;
    return NULL;
}

static chat_node *binary(parser *p, int level);

/* What an operator of this level stands between. */
static chat_node *operand(parser *p, int level)
{
    if (level == LEVEL_AND && see(p, T_NAME, "not")) {
        if (!enter(p))
            return NULL;
        advance(p);
        chat_node *n = node(p, N_NOT, operand(p, level), NULL);
        p->depth--;
        return n;
    }
    return level + 1 < LEVELS ? binary(p, level + 1) : unary(p, true);
}

static chat_node *binary(parser *p, int level)
{
    chat_node *n = operand(p, level);
    const op_word *o;
    for (int count = 0; n && p->st == BT_OK && (o = operator_at(p, level)); count++) {
        if (level == LEVEL_COMPARE && count > 0)
            fail(p, BT_EUNSUPPORTED, "chained comparisons are not supported");
        advance(p);
        if (o->op == OP_NOT_IN && !accept(p, T_NAME, "in"))
            fail(p, BT_EFORMAT, "expected 'in'");
        n = node(p, N_BINARY, n, operand(p, level));
        if (n)
            n->op = o->op;
    }
    if (see(p, T_OP, "/") || see(p, T_OP, "**"))
        fail(p, BT_EUNSUPPORTED, "the operators / and ** are not supported");
    return n;
}

/* Stops before the keyword "if" of a for statement: `no_if`. */
static chat_node *expression_to(parser *p, bool no_if)
{
    if (!enter(p))
        return NULL;
    chat_node *n = binary(p, 0);
    while (!no_if && p->st == BT_OK && accept(p, T_NAME, "if")) {
        chat_node *cond = node(p, N_COND, n, binary(p, 0));
        if (cond && accept(p, T_NAME, "else"))
            cond->c = expression(p);
        n = cond;
    }
    p->depth--;
    if (p->st == BT_OK && n)
        return n;
    fail(p, BT_EFORMAT, "expected an expression");
    return NULL;
}

static chat_node *expression(parser *p) { return expression_to(p, false); }

/* ---- statements ------------------------------------------------------------------ */

static chat_node *body(parser *p, const char *const *until);

/* The end of a tag. */
static bool close_tag(parser *p)
{
    return p->st == BT_OK && (p->tok == T_END || fail(p, BT_EFORMAT, "expected the tag's end"));
}

/* An elif is an if, alone in the else of the one before. */
static chat_node *if_statement(parser *p)
{
    static const char *const until[] = { "elif", "else", "endif", NULL };
    static const char *const end[] = { "endif", NULL };
    chat_node *first = NULL, **link = &first;
    do {
        chat_node *n = node(p, N_IF, expression(p), NULL);
        if (!n || !close_tag(p))
            return NULL;
        n->body = body(p, until);
        n->num = link != &first;
        *link = n;
        link = &n->orelse;
    } while (p->st == BT_OK && accept(p, T_NAME, "elif"));
    if (p->st == BT_OK && accept(p, T_NAME, "else") && close_tag(p))
        *link = body(p, end);
    accept(p, T_NAME, "endif");
    return close_tag(p) ? first : NULL;
}

static bool take_name(parser *p, chat_str *name)
{
    if (p->tok != T_NAME)
        return fail(p, BT_EFORMAT, "expected a name");
    *name = p->str;
    return advance(p);
}

static chat_node *for_statement(parser *p)
{
    static const char *const until[] = { "else", "endfor", NULL };
    static const char *const end[] = { "endfor", NULL };
    chat_node *n = node(p, N_FOR, NULL, NULL);
    const bool paren = accept(p, T_OP, "(");
    if (!n || !take_name(p, &n->str))
        return NULL;
    if (accept(p, T_OP, ",") && !take_name(p, &n->str2))
        return NULL;
    if (see(p, T_OP, ","))
        fail(p, BT_EUNSUPPORTED, "a loop over more than two names");
    if (paren && !expect(p, ")"))
        return NULL;
    if (!accept(p, T_NAME, "in"))
        fail(p, BT_EFORMAT, "expected 'in'");
    if (p->st == BT_OK)
        n->a = expression_to(p, true);
    if (p->st == BT_OK && accept(p, T_NAME, "if"))
        n->b = expression(p);
    if (see(p, T_NAME, "recursive"))
        fail(p, BT_EUNSUPPORTED, "recursive loops");
    if (!close_tag(p))
        return NULL;
    n->body = body(p, until);
    if (accept(p, T_NAME, "else") && close_tag(p))
        n->orelse = body(p, end);
    accept(p, T_NAME, "endfor");
    return close_tag(p) ? n : NULL;
}

static chat_node *set_statement(parser *p)
{
    static const char *const end[] = { "endset", NULL };
    chat_node *n = node(p, N_SET, NULL, NULL);
    if (!n || !take_name(p, &n->str))
        return NULL;
    if (accept(p, T_OP, ".") && !take_name(p, &n->str2))
        return NULL;
    if (see(p, T_OP, ","))
        fail(p, BT_EUNSUPPORTED, "set of several names");
    if (see(p, T_OP, "|"))
        fail(p, BT_EUNSUPPORTED, "set with a filter");
    if (accept(p, T_OP, "=")) {
        n->a = expression(p);
        return close_tag(p) ? n : NULL;
    }
    n->kind = N_SETBLOCK;
    if (n->str2.s)
        fail(p, BT_EFORMAT, "expected '='");
    if (!close_tag(p))
        return NULL;
    n->body = body(p, end);
    accept(p, T_NAME, "endset");
    return close_tag(p) ? n : NULL;
}

/* Hugging Face's mark around what a model wrote; it prints its body. */
static chat_node *generation(parser *p)
{
    static const char *const end[] = { "endgeneration", NULL };
    chat_node *n = node(p, N_BLOCK, NULL, NULL);
    if (!n || !close_tag(p))
        return NULL;
    n->body = body(p, end);
    accept(p, T_NAME, "endgeneration");
    return close_tag(p) ? n : NULL;
}

/* After "{%": the statement up to the end of its last tag. */
static chat_node *statement(parser *p)
{
    static const char *const ends[] = {
        "elif", "else", "endif", "endfor", "endset", "endgeneration"
    };
    if (accept(p, T_NAME, "if"))
        return if_statement(p);
    if (accept(p, T_NAME, "for"))
        return for_statement(p);
    if (accept(p, T_NAME, "set"))
        return set_statement(p);
    if (accept(p, T_NAME, "generation"))
        return generation(p);
    if (see(p, T_NAME, "break") || see(p, T_NAME, "continue")) {
        chat_node *n = node(p, see(p, T_NAME, "break") ? N_BREAK : N_CONTINUE, NULL, NULL);
        advance(p);
        return close_tag(p) ? n : NULL;
    }
    if (p->tok != T_NAME) {
        fail(p, BT_EFORMAT, "expected the name of a statement");
        return NULL;
    }
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        if (see(p, T_NAME, ends[i])) {
            fail(p, BT_EFORMAT, "'%s' without its beginning", ends[i]);
            return NULL;
        }
    fail(p, BT_EUNSUPPORTED, "the statement '%.*s' is not supported",
         (int)(p->str.n < 40 ? p->str.n : 40), p->str.s);
    return NULL;
}

/* ---- text ------------------------------------------------------------------------- */

/* Text up to the next tag, without the white space that the tags around take. */
static chat_node *text(parser *p)
{
    const char *s = p->p, *e = s;
    while (e < p->end && !(*e == '{' && e + 1 < p->end && strchr("{%#", e[1]) && e[1]))
        e++;
    const char *next = e, sign = next + 2 < p->end ? next[2] : 0;
    for (const char *q = s; q < next; q++)
        p->line += *q == '\n';
    while (p->strip_next && s < next && is_blank(*s))
        p->line_start = *s++ == '\n';
    if (next < p->end && sign == '-') {
        while (e > s && is_blank(e[-1]))
            e--;
    } else if (next < p->end && sign != '+' && next[1] != '{') { /* lstrip_blocks */
        const char *q = e;
        while (q > s && is_blank(q[-1]) && q[-1] != '\n')
            q--;
        if (q > s ? q[-1] == '\n' : p->line_start)
            e = q;
    }
    p->p = next;
    p->strip_next = false;
    chat_node *n = node(p, N_TEXT, NULL, NULL);
    if (n)
        n->str = (chat_str){ s, (size_t)(e - s) };
    return n;
}

/* Steps over {# ... #} with its signs and the line end that trim_blocks takes. */
static void comment(parser *p)
{
    const char *q = p->p + 2, *e = NULL;
    for (; q + 1 < p->end && !e; q++) {
        p->line += *q == '\n';
        if (q[0] == '#' && q[1] == '}')
            e = q;
    }
    if (!e) {
        fail(p, BT_EFORMAT, "a comment does not end");
        return;
    }
    p->strip_next = e > p->p + 2 && e[-1] == '-';
    const bool keep = p->strip_next || (e > p->p + 2 && e[-1] == '+');
    p->p = e + 2;
    p->line_start = !keep && p->p < p->end && *p->p == '\n';
    if (p->line_start) {
        p->p++;
        p->line++;
    }
}

static chat_node *output(parser *p)
{
    chat_node *n = node(p, N_OUT, expression(p), NULL);
    return close_tag(p) ? n : NULL;
}

/* Begins the tag at p->p: "{%" or "{{", perhaps with a sign. */
static bool open_tag(parser *p)
{
    p->closer = p->p[1] == '%' ? '%' : '}';
    p->brackets = 0;
    p->p += 2;
    if (p->p < p->end && (*p->p == '-' || (*p->p == '+' && p->closer == '%')))
        p->p++;
    return advance(p);
}

static bool at_word(const parser *p, const char *const *words)
{
    for (; words && *words; words++)
        if (see(p, T_NAME, *words))
            return true;
    return false;
}

/* Statements up to one of the words `until`, which is then the token looked at;
 * NULL: up to the end of the template. */
static chat_node *body(parser *p, const char *const *until)
{
    chat_node *first = NULL, **last = &first;
    if (!enter(p))
        return NULL;
    while (p->st == BT_OK) {
        chat_node *n = text(p);
        if (!n)
            break;
        if (n->str.n > 0) {
            *last = n;
            last = &n->next;
        }
        if (p->p == p->end) {
            if (until)
                fail(p, BT_EFORMAT, "'%s' is missing", until[0]);
            break;
        }
        if (p->p[1] == '#') {
            comment(p);
            continue;
        }
        if (!open_tag(p))
            break;
        if (p->closer == '%' && at_word(p, until))
            break;
        n = p->closer == '%' ? statement(p) : output(p);
        if (!n)
            break;
        *last = n;
        last = &n->next;
    }
    p->depth--;
    return p->st == BT_OK ? first : NULL;
}

/* Line ends become \n, and one at the very end goes, as in Jinja. */
static char *normal_lines(chat_arena *mem, const char *s, size_t *n)
{
    char *copy = bt_chat_arena_new(mem, *n + 1);
    size_t k = 0;
    for (size_t i = 0; copy && i < *n; i++) {
        if (s[i] == '\r' && i + 1 < *n && s[i + 1] == '\n')
            continue;
        copy[k++] = s[i] == '\r' ? '\n' : s[i];
    }
    *n = k > 0 && copy[k - 1] == '\n' ? k - 1 : k;
    return copy;
}

bt_status bt_chat_new(const char *source, size_t n, bt_chat **out, bt_error *err)
{
    *out = NULL;
    if (n > CHAT_MAX_SOURCE)
        return bt_fail(err, BT_EUNSUPPORTED, "chat template: %zu bytes are too many", n);
    bt_chat *c = bt_calloc(1, sizeof *c);
    if (!c)
        return bt_fail(err, BT_ENOMEM, "chat template: no memory");
    c->mem.limit = CHAT_MAX_TREE;
    const char *s = normal_lines(&c->mem, source, &n);
    parser p = { .p = s, .end = s + n, .line = 1, .line_start = true, .mem = &c->mem, .err = err };
    if (s)
        c->body = body(&p, NULL);
    else
        p.st = bt_fail(err, BT_ENOMEM, "chat template: no memory");
    if (p.st != BT_OK)
        bt_chat_free(c);
    else
        *out = c;
    return p.st;
}

void bt_chat_free(bt_chat *c)
{
    if (!c)
        return;
    bt_chat_arena_free(&c->mem);
    bt_release(c);
}
