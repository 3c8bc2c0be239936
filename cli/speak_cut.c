/* SPDX-License-Identifier: MIT
 * A long text cut into sections: chapters by their headings, turns of a cast by their names,
 * and all of it into stretches of a few thousand bytes that end where a pause is natural.
 * A section depends on what stands before it only by its numbers, and looks no further
 * than its own end, so a changed word changes no other section.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "speak.h"

enum { LEAST = 2048, MOST = 4096, HEADING = 80, MAX_CHAPTERS = 9999 };

static bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r'; }
static bool is_digit(char c) { return c >= '0' && c <= '9'; }
static bool is_letter(char c) { return (c | 0x20) >= 'a' && (c | 0x20) <= 'z'; }

static bool in(const speak_span *s, size_t at) { return at < s->to; }

/* A line's bytes, without its end; lines longer than a section are looked at that far. */
static speak_span line_at(const speak_cutter *k, size_t at)
{
    const size_t most = k->n - at < MOST + 1 ? k->n - at : MOST + 1;
    const char *end = memchr(k->text + at, '\n', most);
    return (speak_span){ at, end ? (size_t)(end - k->text) : at + most };
}

static size_t next_line(const speak_cutter *k, speak_span line)
{
    return line.to + (line.to < k->n && k->text[line.to] == '\n');
}

static speak_span trim(const speak_cutter *k, speak_span s)
{
    while (in(&s, s.from) && is_blank(k->text[s.from]))
        s.from++;
    while (s.to > s.from && is_blank(k->text[s.to - 1]))
        s.to--;
    return s;
}

static bool blank_line(const speak_cutter *k, size_t at)
{
    const speak_span s = trim(k, line_at(k, at));
    return s.from == s.to;
}

/* ---- headings ------------------------------------------------------------- */

static bool word_in(const char *list, const char *s, size_t n)
{
    for (const char *p = list; *p;) {
        const size_t len = strcspn(p, " ");
        if (len == n && strncasecmp(p, s, n) == 0)
            return true;
        p += len + (p[len] == ' ');
    }
    return false;
}

/* Bytes of "12", "XIV" or "twenty-one" at s; 0: none. */
static size_t number_len(const char *s, size_t n)
{
    static const char words[] =
        "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "
        "sixteen seventeen eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety "
        "hundred";
    size_t len = 0;
    while (len < n && is_digit(s[len]))
        len++;
    if (len)
        return len < n && is_letter(s[len]) ? 0 : len;
    while (len < n && is_letter(s[len]))
        len++;
    if (strspn(s, "IVXLCDMivxlcdm") >= len)
        return len;
    if (!word_in(words, s, len))
        return 0;
    if (len + 1 < n && s[len] == '-') {
        const size_t more = number_len(s + len + 1, n - len - 1);
        return more && !is_digit(s[len + 1]) ? len + 1 + more : 0;
    }
    return len;
}

/* "Chapter 1", "CHAPTER I.", "Part Two: The End", "Epilogue". What follows the number on the
 * line is a title if the line stands alone. */
static bool names_chapter(const speak_cutter *k, speak_span s, bool alone)
{
    const char *p = k->text + s.from;
    size_t n = s.to - s.from, len = 0;
    while (len < n && is_letter(p[len]))
        len++;
    if (alone && word_in("prologue epilogue preface foreword afterword introduction", p, len))
        return len == n || (len + 1 == n && (p[len] == '.' || p[len] == ':'));
    if (!word_in("chapter part book", p, len) || len == n || p[len] != ' ')
        return false;
    p += len + 1;
    n -= len + 1;
    len = number_len(p, n);
    if (len == 0)
        return false;
    if (len == n || (len + 1 == n && strchr(".:-", p[len])))
        return true;
    /* "Chapter 1 The Boy", but not "Chapter 1 was dull"; \xe2: a dash */
    const bool capital = p[len] == ' ' && len + 1 < n && !(p[len + 1] >= 'a' && p[len + 1] <= 'z');
    return alone && (capital || strchr(".:-\xe2", p[len]));
}

/* The heading at `at`, the begin of a line; `after`: a blank line or nothing stands before.
 * title gets its words. */
static bool heading_at(const speak_cutter *k, size_t at, bool after, speak_span *title)
{
    const speak_span line = line_at(k, at);
    speak_span s = trim(k, line);
    if (s.from == s.to || s.to - s.from > HEADING)
        return false;
    size_t marks = 0;
    while (marks < 3 && in(&s, s.from + marks) && k->text[s.from + marks] == '#')
        marks++;
    *title = s;
    if (marks && marks < 3 && in(&s, s.from + marks) && is_blank(k->text[s.from + marks])) {
        title->from += marks;
        while (title->to > title->from && k->text[title->to - 1] == '#')
            title->to--;
        *title = trim(k, *title);
        return title->from < title->to;
    }
    const size_t next = next_line(k, line);
    return after && names_chapter(k, s, blank_line(k, next));
}

/* ---- turns of a cast ------------------------------------------------------ */

/* "NAME:" at the begin of a line: the name, and where the words begin. */
static bool name_at(const speak_cutter *k, size_t at, speak_span *name, size_t *words)
{
    const speak_span line = line_at(k, at);
    const char *colon = memchr(k->text + at, ':', line.to - line.from);
    if (!colon)
        return false;
    *words = (size_t)(colon - k->text) + 1;
    *name = trim(k, (speak_span){ at, *words - 1 });
    return name->from < name->to && name->to - name->from <= SPEAK_NAME;
}

/* Written as scripts write names: in capitals, with nothing but a space behind the colon. */
static bool looks_like_name(const speak_cutter *k, speak_span name, size_t words)
{
    bool capital = false;
    for (size_t i = name.from; i < name.to; i++) {
        const char c = k->text[i];
        capital |= c >= 'A' && c <= 'Z';
        if (!(c & 0x80) && !(c >= 'A' && c <= 'Z') && !is_digit(c) && !strchr(" _-.'", c))
            return false;
    }
    return capital && (words == k->n || strchr(" \t\r\n", k->text[words]));
}

/* Whose turn begins at `at`: a number of the cast, or -1. */
static int turn_at(const speak_cutter *k, size_t at, size_t *words)
{
    speak_span name;
    if (!k->cast || !name_at(k, at, &name, words))
        return -1;
    return speak_cast_find(k->cast, k->text + name.from, name.to - name.from);
}

bool speak_stranger(const speak_cutter *k, size_t at, speak_span *name)
{
    size_t words;
    return name_at(k, at, name, &words) && looks_like_name(k, *name, words) &&
           !speak_cast_knows(k->cast, k->text + name->from, name->to - name->from);
}

/* ---- sections ------------------------------------------------------------- */

/* A sentence ends before `at`: a mark, perhaps a closing quote, and a blank; or a mark of
 * Japanese or Chinese. */
static bool ends_sentence(const char *text, size_t at)
{
    static const char *const full[] = { "\xe3\x80\x82", "\xef\xbc\x81", "\xef\xbc\x9f" };
    for (int i = 0; i < 3; i++)
        if (memcmp(text + at - 3, full[i], 3) == 0)
            return true;
    if (!strchr(" \t\r\n", text[at - 1]))
        return false;
    size_t p = at - 1;
    while (p > at - 4 && (strchr("\"')", text[p - 1]) || (text[p - 1] & 0x80)))
        p--;
    return strchr(".!?", text[p - 1]) != NULL;
}

/* The last good place to stop in text[from + LEAST .. from + MOST]. */
static size_t cut_long(const speak_cutter *k, size_t from)
{
    const char *s = k->text;
    for (size_t at = from + MOST; at > from + LEAST; at--)
        if (ends_sentence(s, at))
            return at;
    for (size_t at = from + MOST; at > from + LEAST; at--)
        if (strchr(" \t\r\n", s[at - 1]))
            return at;
    size_t at = from + MOST;
    while ((s[at] & 0xc0) == 0x80)
        at--;
    return at;
}

/* Past blank lines and form feeds; true: there was a form feed. */
static bool skip_blanks(speak_cutter *k)
{
    bool feed = false;
    if (k->at == 0 && k->n >= 3 && memcmp(k->text, "\xef\xbb\xbf", 3) == 0)
        k->at = 3;
    for (size_t at = k->at; at < k->n && strchr(" \t\r\n\f\v", k->text[at]); at++) {
        feed |= k->text[at] == '\f';
        if (k->text[at] == '\n' || k->text[at] == '\f')
            k->at = at + 1;
        else if (at + 1 == k->n)
            k->at = k->n;
    }
    return feed;
}

/* Whether a line that is not the section's first begins another one. */
static bool breaks(const speak_cutter *k, size_t from, size_t at, bool after)
{
    speak_span title;
    size_t words;
    if (k->text[at] == '\f' || (after && at - from >= LEAST))
        return true;
    if (k->chapters && heading_at(k, at, after, &title))
        return true;
    return turn_at(k, at, &words) >= 0;
}

static size_t end_of(const speak_cutter *k, size_t from)
{
    bool after = false;
    for (size_t at = from; at < k->n;) {
        if (at > from && breaks(k, from, at, after))
            return at;
        const speak_span line = line_at(k, at);
        const size_t next = next_line(k, line);
        if (next - from > MOST)
            return after && at - from >= LEAST ? at : cut_long(k, from);
        const speak_span words = trim(k, line);
        after = words.from == words.to;
        at = next;
    }
    return k->n;
}

/* What is left of a section without the name or the marks it begins with, and the blanks. */
static speak_span said_of(const speak_cutter *k, speak_span whole, size_t from)
{
    static const char blanks[] = " \t\r\n\f\v";
    speak_span s = { from, whole.to };
    while (in(&s, s.from) && strchr(blanks, k->text[s.from]))
        s.from++;
    while (s.to > s.from && strchr(blanks, k->text[s.to - 1]))
        s.to--;
    return s;
}

/* A heading or a form feed; `line`: the section begins a line. Where its words begin. */
static size_t begin_chapter(speak_cutter *k, bool line, bool after, bool feed)
{
    speak_span title = { 0, 0 };
    const bool more = k->chapters && k->chapter < MAX_CHAPTERS;
    const bool heading = more && line && heading_at(k, k->at, after, &title);
    if (!k->begun || heading || (more && feed)) {
        k->chapter += k->begun;
        k->number = 0;
        k->title = heading ? title : (speak_span){ 0, 0 };
    }
    return heading ? title.from : k->at;
}

bool speak_cut(speak_cutter *k, speak_section *x)
{
    const size_t before = k->at;
    const bool feed = skip_blanks(k);
    if (k->at == k->n)
        return false;
    /* a section that was cut in mid-line goes on there: no heading, no name */
    const bool moved = before == 0 || k->at > before;
    const bool line = moved || k->text[before - 1] == '\n';
    size_t from = begin_chapter(k, line, moved || k->after, feed), words;
    const int turn = line ? turn_at(k, k->at, &words) : -1;
    if (turn >= 0) {
        k->speaker = turn;
        from = words;
    }
    const speak_span whole = { k->at, end_of(k, k->at) };
    *x = (speak_section){ .whole = whole,
                          .said = said_of(k, whole, from),
                          .chapter = k->chapter,
                          .number = k->number++,
                          .speaker = k->speaker,
                          .turn = turn >= 0,
                          .title = k->title };
    k->begun = true;
    k->at = whole.to;
    const size_t last = k->at - (k->text[k->at - 1] == '\n');
    k->after = last > whole.from && k->text[last - 1] == '\n';
    x->paragraph = k->after || k->at == k->n;
    return true;
}

char *speak_section_text(const speak_cutter *k, const speak_section *x)
{
    const speak_span s = x->said;
    char *text = cli_text("%.*s", (int)(s.to - s.from), k->text + s.from);
    const size_t end = x->title.to > s.from && x->title.from >= s.from ? x->title.to : s.to;
    for (size_t i = end; i < s.to && (is_blank(k->text[i]) || k->text[i] == '#'); i++)
        text[i - s.from] = ' '; /* the marks that may close a heading */
    return text;
}

char *speak_title(const speak_cutter *k, const speak_section *x)
{
    if (x->title.from == x->title.to)
        return cli_text("Part %d", x->chapter + 1);
    return cli_text("%.*s", (int)(x->title.to - x->title.from), k->text + x->title.from);
}
