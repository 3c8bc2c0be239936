/* SPDX-License-Identifier: MIT
 * SSML's elements. They come and go on a stack that knows the manner of speaking outside each.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "audio/script/ssml_parts.h"

/* ---- failures, and what is not done --------------------------------------------- */

int bt_ssml_line(const bt_ssml *s) { return s->line + (int)XML_GetCurrentLineNumber(s->xml); }

void bt_ssml_refuse(bt_ssml *s, const char *fmt, ...)
{
    char why[200];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(why, sizeof why, fmt, ap);
    va_end(ap);
    if (s->status != BT_OK)
        return;
    s->status = bt_fail(&s->error, BT_EFORMAT, "ssml line %d: %s", bt_ssml_line(s), why);
    XML_StopParser(s->xml, XML_FALSE);
}

void bt_ssml_no_memory(bt_ssml *s)
{
    if (s->status != BT_OK)
        return;
    s->status = bt_no_memory(&s->error, "ssml");
    XML_StopParser(s->xml, XML_FALSE);
}

/* Notes that "element" or "element attribute" is not done; few of them, each once. */
static void ignore(bt_ssml *s, const char *name, const char *more)
{
    char what[100];
    bt_buf json = { 0 };
    snprintf(what, sizeof what, "%.40s%s%.40s", name, *more ? " " : "", more);
    bt_buf_json(&json, what, strlen(what));
    const bool known = !json.failed && s->ignored.len && strstr(s->ignored.data, json.data);
    if (!json.failed && !known && s->n_ignored < 32) {
        s->n_ignored++;
        s->ignored.len -= s->ignored.len > 0; /* the bracket */
        bt_buf_puts(&s->ignored, s->ignored.len ? "," : "[");
        bt_buf_puts(&s->ignored, json.data);
        bt_buf_puts(&s->ignored, "]");
    }
    if (json.failed || s->ignored.failed)
        bt_ssml_no_memory(s);
    bt_buf_free(&json);
}

void bt_ssml_woven(bt_ssml *s)
{
    if (s->weave.failed)
        bt_ssml_no_memory(s);
    else if (s->weave.ready)
        XML_StopParser(s->xml, XML_TRUE);
}

/* ---- other text -------------------------------------------------------------- */

/* White space as in a line of text. */
static void squeeze(bt_buf *b)
{
    size_t k = 0;
    for (size_t i = 0; i < b->len; i++) {
        const char c = bt_ssml_blank(b->data[i]) ? ' ' : b->data[i];
        if (c != ' ' || (k && b->data[k - 1] != ' '))
            b->data[k++] = c;
    }
    b->len = k - (k && b->data[k - 1] == ' ');
}

static void replace(bt_ssml *s, bt_element is)
{
    bt_buf *in = &s->inside, *out = &s->instead;
    squeeze(in);
    bt_buf_puts(&s->how, "");
    bt_buf_puts(&s->format, "");
    if (is == IS_SAY_AS && !in->failed && !s->how.failed && !s->format.failed && in->len &&
        !bt_say_as(out, s->how.data, s->format.data, in->data, in->len, s->rules.tongue))
        ignore(s, "say-as", s->how.data);
    if (is == IS_PHONEME && !out->len)
        bt_buf_add(out, in->data, in->len);
    if (in->failed || out->failed || s->how.failed || s->format.failed) {
        bt_ssml_no_memory(s);
        return;
    }
    const size_t to = s->skipped + (size_t)XML_GetCurrentByteIndex(s->xml) +
                      (size_t)XML_GetCurrentByteCount(s->xml);
    bt_weave_word(&s->weave, out->data, out->len, s->from, to, false);
    bt_ssml_woven(s);
}

/* ---- elements ------------------------------------------------------------------ */

static const struct {
    const char *name;
    bt_element is;
} elements[] = {
    { "speak", IS_SPEAK },     { "p", IS_PARAGRAPH },     { "s", IS_SENTENCE },
    { "break", IS_BREAK },     { "prosody", IS_PROSODY }, { "voice", IS_VOICE },
    { "say-as", IS_SAY_AS },   { "phoneme", IS_PHONEME }, { "sub", IS_SUB },
    { "metadata", IS_SILENT }, { "desc", IS_SILENT },     { "lexicon", IS_SILENT },
    { "meta", IS_SILENT },     { "w", IS_PLAIN },         { "token", IS_PLAIN },
};

static bt_element element_of(const char *name)
{
    for (size_t i = 0; i < sizeof elements / sizeof *elements; i++)
        if (strcmp(elements[i].name, name) == 0)
            return elements[i].is;
    return IS_UNKNOWN;
}

/* NULL: there is no such attribute. */
static const char *get(const XML_Char **attributes, const char *name)
{
    for (; *attributes; attributes += 2)
        if (strcmp(attributes[0], name) == 0)
            return attributes[1];
    return NULL;
}

/* Tells of attributes but those of `done`, which are parted by spaces. */
static void ignore_others(bt_ssml *s, const char *name, const XML_Char **attributes,
                          const char *done)
{
    for (; *attributes; attributes += 2) {
        const size_t len = strlen(attributes[0]);
        const char *at = strstr(done, attributes[0]);
        if (strncmp(attributes[0], "xml", 3) != 0 && !(at && (at[len] == ' ' || !at[len])))
            ignore(s, name, attributes[0]);
    }
}

static void on_break(bt_ssml *s, const XML_Char **attributes)
{
    const char *time = get(attributes, "time"), *strength = get(attributes, "strength");
    double seconds = 0;
    if (time && !bt_ssml_time(time, &seconds))
        bt_ssml_refuse(s, "break time=\"%.40s\": a time is 300ms or 1.5s, at most 60s", time);
    else if (!time && !bt_ssml_strength(strength ? strength : "medium", &seconds))
        bt_ssml_refuse(
            s, "break strength=\"%.40s\": not none, x-weak, weak, medium, strong or x-strong",
            strength);
    bt_weave_pause(&s->weave, seconds);
}

static double within(double x, double low, double high)
{
    return x < low ? low : x > high ? high : x;
}

static void on_prosody(bt_ssml *s, const XML_Char **attributes)
{
    const char *rate = get(attributes, "rate"), *volume = get(attributes, "volume");
    double pace = 1, loud = 1;
    if (rate && !bt_ssml_rate(rate, &pace))
        bt_ssml_refuse(s, "prosody rate=\"%.40s\": not x-slow .. x-fast, 80%%, +20%% or 1.2", rate);
    if (volume && !bt_ssml_volume(volume, &loud))
        bt_ssml_refuse(s, "prosody volume=\"%.40s\": not silent .. x-loud, +6dB, 50%% or 0 to 100",
                       volume);
    if (rate || volume)
        bt_weave_cut(&s->weave, BT_JOIN_NONE);
    s->weave.manner.pace = within(s->weave.manner.pace * pace, 0.1, 10);
    s->weave.manner.volume = within(s->weave.manner.volume * loud, 0, 16);
    ignore_others(s, "prosody", attributes, "rate volume");
}

static void on_voice(bt_ssml *s, const XML_Char **attributes)
{
    const char *name = get(attributes, "name");
    ignore_others(s, "voice", attributes, "name");
    if (!name)
        return;
    if (!*name || strlen(name) >= BT_SPEAKER) {
        bt_ssml_refuse(s, "a voice's name has 1 to %d bytes", BT_SPEAKER - 1);
        return;
    }
    bt_weave_cut(&s->weave, BT_JOIN_SENTENCE);
    memcpy(s->weave.manner.speaker, name, strlen(name) + 1);
}

/* An element that stands for other text than its own. */
static void on_replacing(bt_ssml *s, bt_element is, const XML_Char **attributes)
{
    const char *alias = get(attributes, "alias"), *ph = get(attributes, "ph");
    const char *how = get(attributes, "interpret-as"), *format = get(attributes, "format");
    const char *alphabet = get(attributes, "alphabet");
    if (is == IS_SUB ? !alias : is == IS_PHONEME ? !ph : !how) {
        bt_ssml_refuse(s, "%s",
                       is == IS_SUB       ? "sub without alias"
                       : is == IS_PHONEME ? "phoneme without ph"
                                          : "say-as without interpret-as");
        return;
    }
    s->inside.len = s->instead.len = s->how.len = s->format.len = 0;
    s->replacing = s->depth;
    s->from = s->skipped + (size_t)XML_GetCurrentByteIndex(s->xml);
    if (is == IS_SUB) {
        bt_buf_puts(&s->instead, alias);
    } else if (is == IS_SAY_AS) {
        bt_buf_puts(&s->how, how);
        bt_buf_puts(&s->format, format ? format : "");
    } else if (s->rules.tongue.notation == BT_NOTATION_NONE) {
        ignore(s, "phoneme", "");
    } else if (alphabet && strcmp(alphabet, "ipa") != 0) {
        ignore(s, "phoneme", alphabet);
    } else if (strpbrk(ph, "[]")) {
        bt_ssml_refuse(s, "ph=\"%.40s\" has a bracket in it", ph);
    } else {
        bt_buf_puts(&s->instead, "[[");
        bt_ipa_convert(&s->instead, ph, s->rules.tongue);
        bt_buf_puts(&s->instead, "]]");
    }
}

static void begin(bt_ssml *s, bt_element is, const char *name, const XML_Char **attributes)
{
    switch (is) {
    case IS_PARAGRAPH: bt_weave_cut(&s->weave, BT_JOIN_PARAGRAPH); break;
    case IS_SENTENCE: bt_weave_cut(&s->weave, BT_JOIN_SENTENCE); break;
    case IS_BREAK: on_break(s, attributes); break;
    case IS_PROSODY: on_prosody(s, attributes); break;
    case IS_VOICE: on_voice(s, attributes); break;
    case IS_SAY_AS:
    case IS_PHONEME:
    case IS_SUB: on_replacing(s, is, attributes); break;
    case IS_SILENT: s->silent = s->depth; break;
    case IS_SPEAK:
    case IS_PLAIN: break;
    case IS_UNKNOWN: ignore(s, name, ""); break;
    }
}

void XMLCALL bt_ssml_on_begin(void *user, const XML_Char *name, const XML_Char **attributes)
{
    bt_ssml *s = user;
    const bt_element is = element_of(name);
    if (s->status != BT_OK)
        return;
    if (s->depth == 0 && is != IS_SPEAK) {
        bt_ssml_refuse(s, "the document is <%.40s>, not <speak>", name);
        return;
    }
    if (s->depth == BT_SSML_DEPTH) {
        bt_ssml_refuse(s, "more than %d elements inside each other", BT_SSML_DEPTH);
        return;
    }
    bt_frame *f = &s->stack[s->depth++];
    f->is = is;
    f->outside = s->weave.manner;
    if (!s->silent && !s->replacing)
        begin(s, is, name, attributes);
}

static bool same_manner(const bt_manner *a, const bt_manner *b)
{
    return a->pace == b->pace && a->volume == b->volume && strcmp(a->speaker, b->speaker) == 0;
}

void XMLCALL bt_ssml_on_end(void *user, const XML_Char *name)
{
    bt_ssml *s = user;
    (void)name;
    if (s->status != BT_OK || s->depth == 0)
        return;
    const bt_frame *f = &s->stack[s->depth - 1];
    if (s->replacing == s->depth) {
        s->replacing = 0;
        replace(s, f->is);
    }
    if (!s->silent && !s->replacing) {
        if (f->is == IS_PARAGRAPH || f->is == IS_SENTENCE)
            bt_weave_cut(&s->weave, f->is == IS_PARAGRAPH ? BT_JOIN_PARAGRAPH : BT_JOIN_SENTENCE);
        else if (!same_manner(&s->weave.manner, &f->outside))
            bt_weave_cut(&s->weave, f->is == IS_VOICE ? BT_JOIN_SENTENCE : BT_JOIN_NONE);
        s->weave.manner = f->outside;
    }
    s->silent = s->silent == s->depth ? 0 : s->silent;
    s->depth--;
}
