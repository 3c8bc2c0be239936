/* SPDX-License-Identifier: MIT
 * Masks: soft edges, the box around them, colours for what they mark.
 */
#include "image/picture/picture.h"

#include <math.h>
#include <string.h>

/* ---- blur ------------------------------------------------------------------ */

/* A1111's width: a kernel of 2 * int(2.5 * sigma + 0.5) + 1 taps. Beyond the
 * border the picture is mirrored at its last pixel, as OpenCV does it. */
static void blur_line(const float *in, float *out, int n, size_t step, const double *tap, int reach)
{
    for (int i = 0; i < n; i++) {
        double sum = 0;
        for (int k = -reach; k <= reach; k++) {
            const int period = n > 1 ? 2 * (n - 1) : 1;
            int at = ((i + k) % period + period) % period;
            at = at >= n ? period - at : at;
            sum += tap[k < 0 ? -k : k] * (double)in[(size_t)at * step];
        }
        out[(size_t)i * step] = (float)sum;
    }
}

bool sd_mask_blur(float *mask, int w, int h, double sigma)
{
    const int reach = (int)(2.5 * sigma + 0.5);
    double total = 0;
    if (reach < 1)
        return true;
    double *tap = bt_calloc((size_t)reach + 1, sizeof *tap);
    float *across = bt_calloc((size_t)w * (size_t)h, sizeof *across);
    if (tap && across) {
        for (int k = 0; k <= reach; k++) {
            tap[k] = exp(-0.5 * k * k / (sigma * sigma));
            total += k ? 2 * tap[k] : tap[k];
        }
        for (int k = 0; k <= reach; k++)
            tap[k] /= total;
        for (int y = 0; y < h; y++)
            blur_line(mask + (size_t)y * (size_t)w, across + (size_t)y * (size_t)w, w, 1, tap,
                      reach);
        for (int x = 0; x < w; x++)
            blur_line(across + x, mask + x, h, (size_t)w, tap, reach);
    }
    const bool ok = tap && across;
    bt_release(tap);
    bt_release(across);
    return ok;
}

/* ---- box ------------------------------------------------------------------- */

static bool bounds(const float *mask, int w, int h, sd_box *b)
{
    int x0 = w, x1 = -1, y0 = h, y1 = -1;
    for (int y = 0; y < h; y++)
        for (int x = 0; x < w; x++)
            if (mask[(size_t)y * (size_t)w + (size_t)x] > 0) {
                x0 = x < x0 ? x : x0;
                x1 = x > x1 ? x : x1;
                y0 = y < y0 ? y : y0;
                y1 = y;
            }
    *b = (sd_box){ x0, y0, x1 - x0 + 1, y1 - y0 + 1 };
    return x1 >= 0;
}

/* Grows from..from + n by `more` on both sides, inside of 0..end. */
static void grow(int *from, int *n, int more, int end)
{
    *from -= more / 2;
    *n += more;
    *n = *n > end ? end : *n;
    *from = *from + *n > end ? end - *n : *from;
    *from = *from < 0 ? 0 : *from;
}

/* Padding is cut off at the border; the proportion moves the box away from it. */
bool sd_mask_box(const float *mask, int mask_w, int mask_h, int padding, int w, int h, sd_box *b)
{
    if (!bounds(mask, mask_w, mask_h, b))
        return false;
    const int x1 = b->x + b->w + padding, y1 = b->y + b->h + padding;
    b->x = b->x > padding ? b->x - padding : 0;
    b->y = b->y > padding ? b->y - padding : 0;
    b->w = (x1 < mask_w ? x1 : mask_w) - b->x;
    b->h = (y1 < mask_h ? y1 : mask_h) - b->y;
    if ((int64_t)b->w * h < (int64_t)b->h * w)
        grow(&b->x, &b->w, (int)((int64_t)b->h * w / h) - b->w, mask_w);
    else
        grow(&b->y, &b->h, (int)((int64_t)b->w * h / w) - b->h, mask_h);
    return true;
}

/* ---- fill ------------------------------------------------------------------ */

/* One level of the pyramid: colours times their weight, and weights. */
typedef struct level {
    int w, h;
    float *x; /* [h][w][4] */
} level;

enum { LEVELS = 16 };

static const float *at(const level *l, int x, int y)
{
    return l->x + 4 * ((size_t)(y < l->h ? y : l->h - 1) * (size_t)l->w +
                       (size_t)(x < l->w ? x : l->w - 1));
}

/* Half the size: what is known of four pixels, never weighing more than one. */
static bool pull(const level *fine, level *coarse)
{
    *coarse = (level){ (fine->w + 1) / 2, (fine->h + 1) / 2, NULL };
    coarse->x = bt_calloc((size_t)coarse->w * (size_t)coarse->h, 4 * sizeof *coarse->x);
    const size_t n = (size_t)coarse->w * (size_t)coarse->h;
    for (size_t i = 0; coarse->x && i < n; i++) {
        float *to = coarse->x + 4 * i;
        const int x = (int)(i % (size_t)coarse->w), y = (int)(i / (size_t)coarse->w);
        for (int k = 0; k < 4; k++) {
            const float *from = at(fine, 2 * x + k % 2, 2 * y + k / 2);
            for (int c = 0; c < 4; c++)
                to[c] += from[c];
        }
        const float weight = to[3] > 1 ? to[3] : 1;
        for (int c = 0; c < 4; c++)
            to[c] /= weight;
    }
    return coarse->x;
}

/* What a pixel does not know comes from the four nearest of the coarser level. */
static void push(level *fine, const level *coarse)
{
    for (size_t i = 0; i < (size_t)fine->w * (size_t)fine->h; i++) {
        float *to = fine->x + 4 * i;
        const int x = (int)(i % (size_t)fine->w), y = (int)(i / (size_t)fine->w);
        const int x0 = x / 2, y0 = y / 2, dx = x % 2 ? 1 : -1, dy = y % 2 ? 1 : -1;
        const int x1 = x0 + dx < 0 ? 0 : x0 + dx, y1 = y0 + dy < 0 ? 0 : y0 + dy;
        const float *near[4] = { at(coarse, x0, y0), at(coarse, x1, y0), at(coarse, x0, y1),
                                 at(coarse, x1, y1) };
        static const float weight[4] = { 9 / 16.0f, 3 / 16.0f, 3 / 16.0f, 1 / 16.0f };
        const float lacks = 1 - to[3];
        for (int c = 0; c < 4; c++)
            for (int k = 0; k < 4; k++)
                to[c] += lacks * weight[k] * near[k][c];
    }
}

static void load(level *l, const float *x, const float *mask)
{
    for (size_t i = 0; i < (size_t)l->w * (size_t)l->h; i++) {
        const float known = mask[i] < 1 ? 1 - mask[i] : 0;
        for (size_t c = 0; c < 3; c++)
            l->x[4 * i + c] = known * x[3 * i + c];
        l->x[4 * i + 3] = known;
    }
}

/* Pull and push (Gortler et al. 1996, section 4.4): known colours are averaged over
 * ever larger squares, and flow back to where none are known. */
bool sd_mask_fill(float *x, const float *mask, int w, int h)
{
    level l[LEVELS] = { { w, h, bt_calloc((size_t)w * (size_t)h, 4 * sizeof(float)) } };
    int n = 1;
    bool ok = l[0].x;
    if (ok)
        load(&l[0], x, mask);
    for (; ok && n < LEVELS && (l[n - 1].w > 1 || l[n - 1].h > 1); n++)
        ok = pull(&l[n - 1], &l[n]);
    for (int i = n - 2; ok && i >= 0; i--)
        push(&l[i], &l[i + 1]);
    for (size_t i = 0; ok && i < (size_t)w * (size_t)h; i++)
        for (size_t c = 0; c < 3; c++)
            if (mask[i] > 0 && l[0].x[4 * i + 3] > 0)
                x[3 * i + c] = l[0].x[4 * i + c] / l[0].x[4 * i + 3];
    for (int i = 0; i < n; i++)
        bt_release(l[i].x);
    return ok;
}
