/* SPDX-License-Identifier: MIT
 * Prompts that change with the steps: [from:to:when], [to:when], [from::when], [a|b].
 *
 * A bracket is a group only if it closes, holds nothing but groups, and has the colons or
 * bars that its form asks for; any other bracket is plain text. One pass over the text with
 * a stack finds them. Where a bar stands in no group, or a backslash at the end of a line,
 * there is none in the whole text: A1111's grammar has no place for these there. It also
 * allows any bracket to be text, and then its parser must choose: see settle.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "image/prompt/prompt.h"
#include "text/utf8.h"

typedef enum form { PLAIN, EDIT, ALTERNATE } form;

typedef struct group {
    size_t open, close;        /* of its brackets */
    int first_mark, last_mark; /* ':' and '|' right inside; -1: none */
    int marks, bars;
    form form;
    int when; /* EDIT: the last step that shows the first text */
} group;

typedef struct mark {
    size_t at;
    int next;
} mark;

typedef struct reader {
    const char *s;
    size_t n;
    int steps, before;
    group *groups; /* in the order of their opening brackets */
    mark *marks;
    int n_groups, n_marks;
    int *open; /* groups not closed yet, outermost first */
    int n_open;
    int *closed; /* groups in the order of their closing brackets */
    int n_closed;
    bool *mark_at; /* [n] a bracket or colon that is not escaped */
    int *barred;   /* [n + 1] how many bars' groups are open in front of this byte */
    bool lost;     /* the grammar does not take the text */
} reader;

/* ---- finding groups ---------------------------------------------------------- */

/* What is open holds something that no group may: plain text, all of it. */
static void give_up_open(reader *r)
{
    while (r->n_open > 0)
        r->lost |= r->groups[r->open[--r->n_open]].bars > 0;
}

static void add_mark(reader *r, size_t at)
{
    if (r->n_open == 0) {
        r->lost |= r->s[at] == '|';
        return;
    }
    group *g = &r->groups[r->open[r->n_open - 1]];
    const int m = r->n_marks++;
    r->marks[m] = (mark){ at, -1 };
    if (g->marks++ == 0)
        g->first_mark = m;
    else
        r->marks[g->last_mark].next = m;
    g->last_mark = m;
    g->bars += r->s[at] == '|';
}

/* A number as lark's grammar library writes it (3, .5, 2., 1e1), with white space around
 * it; with a point it is a share of the steps. */
static bool read_when(const reader *r, size_t from, size_t to, int *when)
{
    const char *s = r->s;
    from += sd_skip_space(s + from, to - from);
    const size_t first = from;
    from += from < to && (s[from] == '+' || s[from] == '-');
    const size_t digits = from;
    const size_t k =
        from < to && s[from] >= '.' && s[from] <= '9' ? sd_decimal(s + from, to - from) : 0;
    from += k;
    if (from + 1 < to && k > 0 && (s[from] == 'e' || s[from] == 'E')) {
        size_t e = from + 1 + (s[from + 1] == '+' || s[from + 1] == '-');
        const size_t start = e;
        while (e < to && s[e] >= '0' && s[e] <= '9')
            e++;
        from = e > start ? e : from;
    }
    if (k == 0 || sd_skip_space(s + from, to - from) != to - from)
        return false;
    double v = strtod(s + first, NULL);
    if (memchr(s + digits, '.', k))
        v = (v - (r->before > 0)) * r->steps;
    else
        v -= r->before;
    *when = v < 0 ? 0 : v < r->steps ? (int)v : r->steps;
    return true;
}

/* The bracket at `at` closes the innermost open one: false if that makes no group. */
static bool close_group(reader *r, size_t at)
{
    group *g = &r->groups[r->open[r->n_open - 1]];
    if ((r->s[g->open] == '(') != (r->s[at] == ')'))
        return false;
    g->close = at;
    if (r->s[at] == ')') {
        if (g->bars > 0 || g->marks > 1)
            return false;
    } else if (g->marks > 0 && g->bars == g->marks)
        g->form = ALTERNATE;
    else if (g->bars > 0 || g->marks > 2)
        return false;
    else if (g->marks > 0) {
        if (!read_when(r, r->marks[g->last_mark].at + 1, at, &g->when))
            return false;
        g->form = EDIT;
    }
    r->closed[r->n_closed++] = r->open[--r->n_open];
    return true;
}

static void find_groups(reader *r)
{
    for (size_t i = 0; i < r->n; i++) {
        r->mark_at[i] = strchr("()[]:", r->s[i]);
        switch (r->s[i]) {
        case '\\':
            i++;
            r->lost |= i == r->n || r->s[i] == '\n';
            break;
        case '(':
        case '[':
            r->open[r->n_open++] = r->n_groups;
            r->groups[r->n_groups++] = (group){ .open = i, .first_mark = -1, .last_mark = -1 };
            break;
        case ')':
        case ']':
            if (r->n_open > 0 && !close_group(r, i))
                give_up_open(r);
            break;
        case ':':
        case '|': add_mark(r, i); break;
        default: break;
        }
    }
    give_up_open(r);
}

/* ---- groups or text ---------------------------------------------------------- */

static void find_barred(reader *r)
{
    for (int i = 0; i < r->n_groups; i++)
        if (r->groups[i].form == ALTERNATE) {
            r->barred[r->marks[r->groups[i].first_mark].at + 1]++;
            r->barred[r->groups[i].close + 1]--;
        }
    for (size_t i = 1; i <= r->n; i++)
        r->barred[i] += r->barred[i - 1];
}

/* Which of the groups are read as such: the choice of lark's Earley parser among the
 * readings of a text, as its order of work makes it (found by trying; the same for every one
 * of 7,600 drawn texts). From the end backwards, a group or a plain character counts as
 * what it is. Where neither ends, there is a run of brackets and colons, those of groups
 * among them: if it is odd, all of it is text, if it is even, all but its first. A bar can
 * not be text, so that nothing begins behind one. */
static void settle(reader *r)
{
    int c = r->n_closed;
    find_barred(r);
    for (size_t n = r->n; n > 0;) {
        while (c > 0 && r->groups[r->closed[c - 1]].close >= n)
            c--;
        const group *g = c > 0 ? &r->groups[r->closed[c - 1]] : NULL;
        if (g && g->close == n - 1) {
            n = g->open;
            continue;
        }
        size_t k = n - 1;
        while (r->mark_at[n - 1] && k > 0 && r->mark_at[k - 1] && r->barred[k - 1] == 0)
            k--;
        k += (n - k) % 2 == 0;
        for (; c > 0 && r->groups[r->closed[c - 1]].close >= k; c--)
            r->groups[r->closed[c - 1]].form = PLAIN;
        n = k;
    }
}

/* ---- the text of a step ------------------------------------------------------ */

/* What step shows of group g: [*from, *to). */
static void choose(const reader *r, const group *g, int step, size_t *from, size_t *to)
{
    int skip = g->form == ALTERNATE ? (step - 1) % (g->marks + 1)
               : g->marks == 2      ? step > g->when
                                    : 0;
    *from = *to = g->open + 1;
    if (g->form == EDIT && g->marks == 1 && step <= g->when)
        return;
    int m = g->first_mark;
    for (; skip > 0; skip--, m = r->marks[m].next)
        *from = r->marks[m].at + 1;
    *to = m < 0 ? g->close : r->marks[m].at;
}

typedef struct level {
    size_t end, back; /* after `end`, go on at `back` */
} level;

static void write_step(const reader *r, level *levels, int step, bt_buf *out)
{
    int depth = 0, next = 0; /* next: the first group not before i */
    size_t i = 0, end = r->n;
    for (;;) {
        while (next < r->n_groups && (r->groups[next].open < i || r->groups[next].form == PLAIN))
            next++;
        const size_t stop =
            next < r->n_groups && r->groups[next].open < end ? r->groups[next].open : end;
        bt_buf_add(out, r->s + i, stop - i);
        if (stop < end) {
            const group *g = &r->groups[next++];
            levels[depth++] = (level){ end, g->close + 1 };
            choose(r, g, step, &i, &end);
        } else if (depth > 0) {
            i = levels[--depth].back;
            end = levels[depth].end;
        } else
            return;
    }
}

/* ---- turns ------------------------------------------------------------------- */

/* ends[k] for k = 1..steps: a turn ends after step k. */
static int find_ends(const reader *r, bool *ends)
{
    int n = 0;
    bool all = false;
    ends[r->steps] = true;
    for (int i = 0; i < r->n_groups && !r->lost; i++) {
        if (r->groups[i].form == EDIT)
            ends[r->groups[i].when] = true;
        all |= r->groups[i].form == ALTERNATE;
    }
    for (int k = 1; k <= r->steps; k++)
        n += ends[k] |= all;
    return n;
}

static int place_text(sd_turns *t, char *text)
{
    for (int i = 0; i < t->n_texts; i++)
        if (!strcmp(t->texts[i], text)) {
            bt_release(text);
            return i;
        }
    t->texts[t->n_texts] = text;
    return t->n_texts++;
}

static bt_status make_turns(const reader *r, const bool *ends, level *levels, sd_turns *t,
                            bt_error *err)
{
    size_t total = 0;
    for (int k = 1; k <= r->steps; k++) {
        bt_buf b = { 0 };
        if (!ends[k])
            continue;
        bt_buf_add(&b, "", 0);
        if (r->lost)
            bt_buf_add(&b, r->s, r->n);
        else
            write_step(r, levels, k, &b);
        total += b.len;
        char *text = bt_buf_take(&b);
        if (!text)
            return bt_no_memory(err, "the prompt");
        t->until[t->n] = k;
        t->which[t->n++] = place_text(t, text);
        if (total > 16 * (size_t)SD_MAX_PROMPT)
            return bt_fail(err, BT_EINVAL, "the prompt is too long to change so often");
    }
    return BT_OK;
}

bt_status sd_prompt_turns(const char *text, int steps, int before, sd_turns *out, bt_error *err)
{
    reader r = { .s = text, .n = strlen(text), .steps = steps, .before = before };
    size_t brackets = 0, marks = 0;
    bt_status st = BT_OK;
    for (size_t i = 0; i < r.n; i++) {
        brackets += text[i] == '[' || text[i] == '(';
        marks += text[i] == ':' || text[i] == '|';
    }
    *out = (sd_turns){ 0 };
    r.groups = bt_calloc(brackets, sizeof *r.groups);
    r.marks = bt_calloc(marks, sizeof *r.marks);
    r.open = bt_calloc(brackets, sizeof *r.open);
    r.closed = bt_calloc(brackets, sizeof *r.closed);
    r.mark_at = bt_calloc(r.n, sizeof *r.mark_at);
    r.barred = bt_calloc(r.n + 2, sizeof *r.barred);
    level *levels = bt_calloc(brackets, sizeof *levels);
    bool *ends = bt_calloc((size_t)steps + 1, sizeof *ends);
    if (r.groups && r.marks && r.open && r.closed && r.mark_at && r.barred && levels && ends) {
        find_groups(&r);
        if (!r.lost)
            settle(&r);
        const size_t n = (size_t)find_ends(&r, ends);
        out->texts = bt_calloc(n, sizeof *out->texts);
        out->until = bt_calloc(n, sizeof *out->until);
        out->which = bt_calloc(n, sizeof *out->which);
    }
    st = out->texts && out->until && out->which ? make_turns(&r, ends, levels, out, err)
                                                : bt_no_memory(err, "the prompt");
    bt_release(r.groups);
    bt_release(r.marks);
    bt_release(r.open);
    bt_release(r.closed);
    bt_release(r.mark_at);
    bt_release(r.barred);
    bt_release(levels);
    bt_release(ends);
    if (st != BT_OK)
        sd_turns_free(out);
    return st;
}

int sd_turns_at(const sd_turns *t, int call)
{
    for (int i = 0; i < t->n; i++)
        if (call <= t->until[i])
            return t->which[i];
    return t->which[0];
}

void sd_turns_free(sd_turns *t)
{
    for (int i = 0; i < t->n_texts; i++)
        bt_release(t->texts[i]);
    bt_release(t->texts);
    bt_release(t->until);
    bt_release(t->which);
    *t = (sd_turns){ 0 };
}
