/* SPDX-License-Identifier: MIT
 * Tokens to text: whole UTF-8 characters, and stop strings that never show.
 */
#include <string.h>

#include <cjson/cJSON.h>

#include "llm.h"

static bt_status add_stop(bt_llm_stream *s, const char *text)
{
    bt_buf b = { 0 };
    if (!*text)
        return BT_OK;
    bt_utf8_clean(&b, text, strlen(text));
    s->stops[s->n_stops] = bt_buf_take(&b);
    return s->stops[s->n_stops++] ? BT_OK : BT_ENOMEM;
}

static bool is_list(const cJSON *list)
{
    const cJSON *item;
    if (!cJSON_IsArray(list))
        return false;
    cJSON_ArrayForEach(item, list) if (!cJSON_IsString(item)) return false;
    return true;
}

/* What is no JSON array of strings is one stop string as it stands. */
static bt_status read_stops(bt_llm_stream *s, const char *stop)
{
    cJSON *list = *stop == '[' ? cJSON_Parse(stop) : NULL;
    bool many = is_list(list);
    int n = many ? cJSON_GetArraySize(list) : 1;
    bt_status st = BT_OK;
    s->stops = bt_calloc((size_t)n, sizeof *s->stops);
    if (!s->stops)
        st = BT_ENOMEM;
    else if (!many)
        st = add_stop(s, stop);
    const cJSON *item = many ? list->child : NULL;
    for (; item && st == BT_OK; item = item->next)
        st = add_stop(s, item->valuestring);
    cJSON_Delete(list);
    return st;
}

bt_status bt_llm_stream_open(bt_llm_stream *s, const bt_run *r, const bt_bpe *bpe, const char *stop)
{
    *s = (bt_llm_stream){ .run = r, .bpe = bpe };
    bt_status st = read_stops(s, stop);
    if (st != BT_OK)
        bt_llm_stream_close(s);
    return st;
}

void bt_llm_stream_close(bt_llm_stream *s)
{
    for (size_t i = 0; i < s->n_stops; i++)
        bt_release(s->stops[i]);
    bt_release(s->stops);
    bt_buf_free(&s->text);
    *s = (bt_llm_stream){ 0 };
}

/* What was sent cannot be taken back, so a stop string is looked for in the
 * unsent text only; `held` makes sure that it begins there.
 *
 * Cuts the unsent text at the first stop string. */
static void cut(bt_llm_stream *s)
{
    size_t end = s->text.len;
    for (size_t i = 0; i < s->n_stops; i++) {
        size_t len = strlen(s->stops[i]);
        const char *p = memmem(s->text.data + s->sent, s->text.len - s->sent, s->stops[i], len);
        if (p && (size_t)(p - s->text.data) < end) {
            end = (size_t)(p - s->text.data);
            s->stopped = true;
        }
    }
    s->text.len = end;
    s->text.data[end] = 0;
}

/* Bytes at the end of the unsent text that begin a stop string. */
static size_t held(const bt_llm_stream *s)
{
    size_t most = 0, n = s->text.len - s->sent;
    for (size_t i = 0; i < s->n_stops; i++) {
        size_t len = strlen(s->stops[i]) - 1;
        for (len = len < n ? len : n; len > most; len--)
            if (!memcmp(s->text.data + s->text.len - len, s->stops[i], len))
                most = len;
    }
    return most;
}

static bt_status flush(bt_llm_stream *s, int32_t id, size_t hold)
{
    const char *text = s->text.len ? s->text.data + s->sent : "";
    size_t n = s->text.len - s->sent - hold;
    s->sent += n;
    return s->run->token(s->run->host, id, text, n);
}

bt_status bt_llm_stream_token(bt_llm_stream *s, int32_t id)
{
    bt_buf piece = { 0 };
    bt_bpe_decode(s->bpe, &id, 1, false, &piece);
    if (piece.len)
        bt_utf8_push(&s->utf8, piece.data, piece.len, &s->text);
    bool failed = piece.failed || s->text.failed;
    bt_buf_free(&piece);
    if (failed)
        return bt_no_memory(s->run->error, "the text");
    if (s->text.len > s->sent)
        cut(s);
    return flush(s, id, s->stopped ? 0 : held(s));
}

/* A character that the last token left unfinished is no text. */
bt_status bt_llm_stream_end(bt_llm_stream *s)
{
    return s->text.len > s->sent ? flush(s, -1, 0) : BT_OK;
}
