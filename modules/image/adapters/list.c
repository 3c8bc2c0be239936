/* SPDX-License-Identifier: MIT
 * Which LoRAs, how strong: options and prompts as a list.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "image/adapters/adapters.h"

enum { MAX_STRENGTH = 1000, MAX_LORAS = 256 };

void sd_lora_list_release(sd_lora_list *l)
{
    for (size_t i = 0; i < l->n; i++)
        bt_release(l->at[i].path);
    bt_release(l->at);
    *l = (sd_lora_list){ 0 };
}

bool sd_lora_list_same(const sd_lora_list *a, const sd_lora_list *b)
{
    for (size_t i = 0; i < a->n && i < b->n; i++)
        if (strcmp(a->at[i].path, b->at[i].path) != 0 || a->at[i].unet != b->at[i].unet ||
            a->at[i].text != b->at[i].text)
            return false;
    return a->n == b->n;
}

/* In the order of paths, so that a picture's bytes do not hang on the order they were given
 * in. Takes path over. */
static bt_status add(sd_lora_list *l, char *path, double unet, double text, bt_error *err)
{
    if (!path)
        return bt_no_memory(err, "the list of LoRAs");
    if (l->n == MAX_LORAS) {
        bt_release(path);
        return bt_fail(err, BT_EINVAL, "lora: more than %d LoRAs", MAX_LORAS);
    }
    sd_lora_ask *at = bt_realloc_array(l->at, l->n, l->n + 1, sizeof *at);
    if (!at) {
        bt_release(path);
        return bt_no_memory(err, "the list of LoRAs");
    }
    l->at = at;
    size_t i = l->n++;
    for (; i > 0 && strcmp(at[i - 1].path, path) > 0; i--)
        at[i] = at[i - 1];
    at[i] = (sd_lora_ask){ path, unet, text };
    return BT_OK;
}

bool sd_list_number(const char *text, size_t *n, double *v)
{
    char word[32], *end;
    size_t at = *n;
    while (at > 0 && text[at - 1] != ':' && text[at - 1] != '/')
        at--;
    if (at < 2 || text[at - 1] != ':' || *n - at >= sizeof word || *n == at)
        return false;
    memcpy(word, text + at, *n - at);
    word[*n - at] = 0;
    const double number = strtod(word, &end);
    if (*end || !isfinite(number))
        return false;
    *v = number;
    *n = at - 1;
    return true;
}

static bool sane(double v) { return v >= -MAX_STRENGTH && v <= MAX_STRENGTH; }

static bt_status read_one(sd_lora_list *l, const char *text, size_t n, bt_error *err)
{
    double last = 1, first = 1;
    size_t len = n;
    const bool one = sd_list_number(text, &len, &last),
               two = one && sd_list_number(text, &len, &first);
    if (!two)
        first = last;
    if (!len || !sane(first) || !sane(last))
        return bt_fail(err, BT_EINVAL,
                       "lora: \"%.*s\" is not FILE, FILE:STRENGTH or FILE:STRENGTH:TEXT-STRENGTH",
                       (int)(n < 200 ? n : 200), text);
    return add(l, bt_strndup(text, len), first, last, err);
}

bt_status sd_lora_list_read(sd_lora_list *l, const char *text, bt_error *err)
{
    bt_status st = BT_OK;
    while (*text && st == BT_OK) {
        const size_t n = strcspn(text, ",");
        if (n)
            st = read_one(l, text, n, err);
        text += n + (text[n] == ',');
    }
    return st;
}

/* A prompt may come from anywhere: a name leads to no other folder. */
bt_status sd_lora_list_name(sd_lora_list *l, const char *dir, const char *name, double unet,
                            double text, bt_error *err)
{
    bt_buf path = { 0 };
    if (!*dir)
        return bt_fail(err, BT_EINVAL,
                       "<lora:%.60s> in a prompt needs the folder of LoRAs: lora_dir", name);
    if (!*name || strchr(name, '/') || name[0] == '.' || !sane(unet) || !sane(text))
        return bt_fail(err, BT_EINVAL, "<lora:%.60s> in a prompt is not a name and a strength",
                       name);
    bt_buf_printf(&path, "%s/%s.safetensors", dir, name);
    return add(l, bt_buf_take(&path), unet, text, err);
}
