/* SPDX-License-Identifier: MIT
 * See ssml.h.
 */
#include "audio/script/ssml.h"

#include <limits.h>
#include <string.h>

#include "audio/script/ssml_parts.h"

static void XMLCALL on_text(void *user, const XML_Char *text, int len)
{
    bt_ssml *s = user;
    const size_t n = (size_t)len, from = s->skipped + (size_t)XML_GetCurrentByteIndex(s->xml);
    const size_t count = (size_t)XML_GetCurrentByteCount(s->xml);
    const bool exact = n == count;
    if (s->status != BT_OK || s->silent)
        return;
    if (s->replacing) {
        bt_buf_add(&s->inside, text, n);
        return;
    }
    for (size_t i = 0, k; i < n; i = k) {
        const bool blank = bt_ssml_blank(text[i]);
        for (k = i + 1; k < n && bt_ssml_blank(text[k]) == blank; k++) {}
        const size_t a = exact ? from + i : from, b = exact ? from + k : from + count;
        if (blank)
            bt_weave_space(&s->weave, a, b);
        else
            bt_weave_word(&s->weave, text + i, k - i, a, b, exact);
    }
    bt_ssml_woven(s);
}

static void XMLCALL on_doctype(void *user, const XML_Char *name, const XML_Char *system,
                               const XML_Char *public, int has_subset)
{
    (void)name, (void)system, (void)public, (void)has_subset;
    bt_ssml_refuse(user, "a document type is not taken");
}

/* ---- memory -------------------------------------------------------------------- */

/* Expat's blocks know their size, which its realloc does not tell. */
typedef union block {
    size_t size;
    max_align_t align;
} block;

static void *xml_malloc(size_t n)
{
    size_t all;
    block *b = bt_add_ok(n, sizeof *b, &all) ? bt_alloc(all) : NULL;
    if (!b)
        return NULL;
    b->size = n;
    return b + 1;
}

static void xml_free(void *p)
{
    if (p)
        bt_release((block *)p - 1);
}

static void *xml_realloc(void *p, size_t n)
{
    void *q = xml_malloc(n);
    if (!p || !q)
        return q;
    const size_t old = ((block *)p - 1)->size;
    memcpy(q, p, old < n ? old : n);
    xml_free(p);
    return q;
}

/* ---- a document ------------------------------------------------------------------ */

bool bt_ssml_is(const char *text)
{
    text += strspn(text, " \t\r\n");
    if (strncmp(text, "<?xml", 5) == 0)
        return bt_ssml_blank(text[5]);
    return strncmp(text, "<speak", 6) == 0 && text[6] && strchr(" \t\r\n>/", text[6]);
}

bt_status bt_ssml_open(const bt_script_rules *rules, const char *text, size_t n, bt_ssml **out,
                       bt_error *err)
{
    static const XML_Memory_Handling_Suite memory = { xml_malloc, xml_realloc, xml_free };
    *out = NULL;
    if (n > INT_MAX)
        return bt_fail(err, BT_EFORMAT, "ssml: more than 2 GiB of it");
    bt_ssml *s = bt_calloc(1, sizeof *s);
    if (s)
        s->xml = XML_ParserCreate_MM("UTF-8", &memory, NULL);
    if (!s || !s->xml) {
        bt_release(s);
        return bt_no_memory(err, "ssml");
    }
    s->rules = *rules;
    s->skipped = strspn(text, " \t\r\n");
    for (size_t i = 0; i < s->skipped; i++)
        s->line += text[i] == '\n';
    s->text = text + s->skipped;
    s->n = n - s->skipped;
    bt_weave_begin(&s->weave);
    XML_SetUserData(s->xml, s);
    XML_SetElementHandler(s->xml, bt_ssml_on_begin, bt_ssml_on_end);
    XML_SetCharacterDataHandler(s->xml, on_text);
    XML_SetStartDoctypeDeclHandler(s->xml, on_doctype);
    *out = s;
    return BT_OK;
}

void bt_ssml_close(bt_ssml *s)
{
    if (!s)
        return;
    XML_ParserFree(s->xml);
    bt_buf *texts[] = { &s->inside, &s->instead, &s->how, &s->format, &s->ignored };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        bt_buf_free(texts[i]);
    bt_weave_free(&s->weave);
    bt_release(s);
}

const char *bt_ssml_ignored(const bt_ssml *s) { return s->n_ignored ? s->ignored.data : NULL; }

static void give(const bt_ssml *s, const bt_woven *b, bt_passage *p)
{
    const bt_gap *g = &b->before;
    const bt_script_rules *r = &s->rules;
    *p = (bt_passage){ .text = b->text.data, .n = b->text.len };
    p->asked = g->asked;
    p->pace = b->manner.pace;
    p->volume = b->manner.volume;
    p->speaker = b->manner.speaker;
    p->places = b->places;
    p->n_places = b->n_places;
    if (g->asked)
        p->pause = g->seconds;
    else if (!b->first && g->join != BT_JOIN_NONE)
        p->pause = r->sentence_silence + (g->join == BT_JOIN_PARAGRAPH ? r->paragraph_silence : 0);
}

/* Lets expat go on to where a passage is ready, or to the document's end. */
static bt_status parse(bt_ssml *s)
{
    const enum XML_Status x =
        s->started ? XML_ResumeParser(s->xml) : XML_Parse(s->xml, s->text, (int)s->n, XML_TRUE);
    s->started = true;
    if (s->status != BT_OK || x == XML_STATUS_SUSPENDED)
        return s->status;
    if (x == XML_STATUS_ERROR) {
        const enum XML_Error code = XML_GetErrorCode(s->xml);
        if (code == XML_ERROR_NO_MEMORY)
            return s->status = bt_no_memory(&s->error, "ssml");
        return s->status = bt_fail(&s->error, BT_EFORMAT, "ssml line %d: %s", bt_ssml_line(s),
                                   XML_ErrorString(code));
    }
    s->ended = true;
    return BT_OK;
}

bt_status bt_ssml_next(bt_ssml *s, bt_passage *p, bt_error *err)
{
    bt_weave *w = &s->weave;
    bt_status st = s->status;
    w->ready = false;
    w->done.text.len = 0;
    if (st == BT_OK && !s->ended)
        st = parse(s);
    if (st == BT_OK && s->ended && !w->ready)
        bt_weave_end(w); /* the last one, and then none */
    if (st != BT_OK)
        return bt_fail(err, st, "%s", s->error.text);
    if (!w->ready) {
        w->done.before = w->gap;
        w->done.manner = (bt_manner){ .pace = 1, .volume = 1 };
    }
    give(s, &w->done, p);
    return BT_OK;
}
