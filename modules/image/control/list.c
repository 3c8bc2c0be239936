/* SPDX-License-Identifier: MIT
 * Which ControlNets, when and how strong: options as a list, and the list as text.
 */
#include "image/control/control.h"

#include <string.h>

#include "image/adapters/adapters.h"

enum { MAX_WEIGHT = 1000, MAX_THRESHOLD = 10000 };

/* Up to `most` numbers that stand at the end of text[0..*n), each after a colon; *n becomes what
 * is before them. Their order in v is that of the text. */
static int take_numbers(const char *text, size_t *n, int most, double *v)
{
    int k = 0;
    double last;
    while (k < most && sd_list_number(text, n, &last)) {
        memmove(v + 1, v, (size_t)k++ * sizeof *v);
        v[0] = last;
    }
    return k;
}

static bt_status read_one(const char *text, size_t n, sd_control_ask *a, bt_error *err)
{
    double v[3];
    size_t length = n;
    const int k = take_numbers(text, &length, 3, v);
    *a = (sd_control_ask){ .path = text,
                           .length = (int)length,
                           .weight = k > 0 ? v[0] : 1,
                           .start = k > 1 ? v[1] : 0,
                           .end = k > 2 ? v[2] : 1 };
    if (!length || length > 4096 || a->weight < -MAX_WEIGHT || a->weight > MAX_WEIGHT ||
        text[length - 1] == ':')
        return bt_fail(err, BT_EINVAL,
                       "control: \"%.*s\" is not FILE, FILE:WEIGHT, FILE:WEIGHT:START or "
                       "FILE:WEIGHT:START:END",
                       (int)(n < 200 ? n : 200), text);
    if (a->start < 0 || a->end > 1 || a->start >= a->end)
        return bt_fail(err, BT_EINVAL,
                       "control: \"%.*s\" steers from %g to %g: that is no part of 0..1",
                       (int)(n < 200 ? n : 200), text, a->start, a->end);
    return BT_OK;
}

static bool is(const char *text, size_t n, const char *word)
{
    return n == strlen(word) && memcmp(text, word, n) == 0;
}

static bt_status read_preprocess(const char *text, size_t n, sd_control_ask *a, bt_error *err)
{
    double v[2];
    size_t length = n;
    const int k = take_numbers(text, &length, 2, v);
    if (is(text, n, "none") || n == 0)
        return BT_OK;
    a->canny = true;
    a->low = k > 0 ? v[0] : SD_CANNY_LOW;
    a->high = k > 1 ? v[1] : k > 0 ? 2 * v[0] : SD_CANNY_HIGH;
    if (!is(text, length, "canny") || a->low < 0 || a->low > a->high || a->high > MAX_THRESHOLD)
        return bt_fail(err, BT_EINVAL,
                       "control_preprocess: \"%.*s\" is not none, canny or canny:LOW:HIGH",
                       (int)(n < 200 ? n : 200), text);
    return BT_OK;
}

bt_status sd_control_list_read(const char *controls, const char *preprocess, sd_control_list *l,
                               bt_error *err)
{
    bt_status st = BT_OK;
    l->n = 0;
    for (const char *p = controls; *p && st == BT_OK;) {
        const size_t n = strcspn(p, ",");
        if (l->n == SD_MAX_CONTROLS)
            return bt_fail(err, BT_EINVAL, "control: more than %d ControlNets", SD_MAX_CONTROLS);
        st = read_one(p, n, &l->at[l->n++], err);
        p += n + (p[n] == ',');
    }
    int i = 0;
    for (const char *p = preprocess; *p && st == BT_OK; i++) {
        const size_t n = strcspn(p, ",");
        if (i == l->n)
            return bt_fail(err, BT_EINVAL,
                           "control_preprocess: more of them than ControlNets, which are %d", l->n);
        st = read_preprocess(p, n, &l->at[i], err);
        p += n + (p[n] == ',');
    }
    return st;
}

bool sd_control_steers(const sd_control_ask *a, int i, int n)
{
    return !((double)i / n < a->start || (double)(i + 1) / n > a->end);
}

/* sd-webui-controlnet, internal_controlnet/args.py: fields of a unit, quoted as A1111 quotes. */
static void put_one(const sd_control_ask *a, bt_buf *out)
{
    int from = a->length, to = a->length;
    while (from > 0 && a->path[from - 1] != '/')
        from--;
    for (int i = to; i > from; i--)
        if (a->path[i - 1] == '.') {
            to = i - 1;
            break;
        }
    bt_buf_printf(out, "Module: %s, Model: %.*s, Weight: %.6g, Resize Mode: Just Resize",
                  a->canny ? "canny" : "none", to - from, a->path + from, a->weight);
    if (a->canny)
        bt_buf_printf(out, ", Threshold A: %.6g, Threshold B: %.6g", a->low, a->high);
    bt_buf_printf(out,
                  ", Guidance Start: %.6g, Guidance End: %.6g, Pixel Perfect: True, "
                  "Control Mode: Balanced",
                  a->start, a->end);
}

void sd_control_text(const sd_control_list *l, bt_buf *out)
{
    for (int i = 0; i < l->n; i++) {
        bt_buf one = { 0 };
        put_one(&l->at[i], &one);
        bt_buf_printf(out, ", ControlNet %d: ", i);
        bt_buf_json(out, one.data ? one.data : "", one.len);
        out->failed |= one.failed;
        bt_buf_free(&one);
    }
}
