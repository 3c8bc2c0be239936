/* SPDX-License-Identifier: MIT
 * Edges (Canny 1986) in whole numbers, as OpenCV's Canny finds them with its 3 x 3 Sobel filter
 * and |dx| + |dy| for a length: the preprocessor that ControlNets of that name were trained on.
 *
 *     gradients -> crests of their length -> those above `high`, and all above `low` that
 *                                            hang together with them
 *
 * Of colours, each pixel has the channel whose gradient is longest.
 */
#include <math.h>
#include <stdlib.h>

#include "image/picture/picture.h"

enum { BITS = 15 };

/* Of a pixel. */
typedef struct gradient {
    int16_t x, y;
    int length;
} gradient;

/* A pixel's state: none, could be, is an edge. */
enum { NO, MAYBE, EDGE };

static int limit(int v, int n) { return v < 0 ? 0 : v >= n ? n - 1 : v; }

/* Sobel's filters; the picture goes on with its border's pixels. */
static gradient gradient_at(const uint8_t *img, int w, int h, int channels, int x, int y)
{
    const uint8_t *rows[3];
    size_t cols[3];
    gradient best = { 0, 0, -1 };
    for (int i = 0; i < 3; i++) {
        rows[i] = img + (size_t)limit(y + i - 1, h) * (size_t)w * (size_t)channels;
        cols[i] = (size_t)limit(x + i - 1, w) * (size_t)channels;
    }
    for (int k = 0; k < channels; k++) {
        int left = 0, right = 0, above = 0, below = 0;
        for (int i = 0; i < 3; i++) {
            const int weight = i == 1 ? 2 : 1;
            left += weight * rows[i][cols[0] + (size_t)k];
            right += weight * rows[i][cols[2] + (size_t)k];
            above += weight * rows[0][cols[i] + (size_t)k];
            below += weight * rows[2][cols[i] + (size_t)k];
        }
        const int dx = right - left, dy = below - above;
        if (abs(dx) + abs(dy) > best.length)
            best = (gradient){ (int16_t)dx, (int16_t)dy, abs(dx) + abs(dy) };
    }
    return best;
}

/* Is it longer than its neighbours across the edge? Directions within 22.5 degrees of an axis
 * have their neighbours on it, else on a diagonal; g points into a frame of zeros. */
static bool is_crest(const gradient *g, size_t stride)
{
    const int tan22 = 13573; /* tan(22.5 degrees) in BITS bits */
    const int64_t x = abs(g->x), y = (int64_t)abs(g->y) << BITS, low = x * tan22;
    if (y < low)
        return g->length > g[-1].length && g->length >= g[1].length;
    if (y > low + (x << (BITS + 1)))
        return g->length > (g - stride)->length && g->length >= (g + stride)->length;
    const ptrdiff_t next = (ptrdiff_t)stride + ((g->x ^ g->y) < 0 ? -1 : 1);
    return g->length > g[-next].length && g->length > g[next].length;
}

/* Everything that could be an edge and touches one is one; `stack` has room for all pixels. */
static void spread(uint8_t *state, size_t stride, size_t *stack, size_t n)
{
    while (n > 0) {
        const size_t at = stack[--n];
        for (size_t row = at - stride; row <= at + stride; row += stride)
            for (size_t p = row - 1; p <= row + 1; p++)
                if (state[p] == MAYBE) {
                    state[p] = EDGE;
                    stack[n++] = p;
                }
    }
}

uint8_t *sd_picture_canny(const uint8_t *img, int w, int h, int channels, double low, double high)
{
    const size_t stride = (size_t)w + 2, all = stride * ((size_t)h + 2);
    const int least = (int)floor(low), enough = (int)floor(high);
    gradient *g = bt_calloc(all, sizeof *g);
    uint8_t *state = bt_calloc(all, 1), *out = bt_calloc((size_t)w * (size_t)h, 1);
    size_t *stack = bt_calloc((size_t)w * (size_t)h, sizeof *stack), n = 0;
    for (int y = 0; g && y < h; y++)
        for (int x = 0; x < w; x++)
            g[((size_t)y + 1) * stride + (size_t)x + 1] = gradient_at(img, w, h, channels, x, y);
    const bool ok = g && state && out && stack;
    for (size_t i = stride; ok && i < all - stride; i++) {
        if (g[i].length <= least || !is_crest(&g[i], stride))
            continue;
        state[i] = g[i].length > enough ? EDGE : MAYBE;
        if (state[i] == EDGE)
            stack[n++] = i;
    }
    if (ok)
        spread(state, stride, stack, n);
    for (size_t i = 0; ok && i < (size_t)w * (size_t)h; i++)
        out[i] = state[(i / (size_t)w + 1) * stride + i % (size_t)w + 1] == EDGE ? 255 : 0;
    bt_release(g);
    bt_release(state);
    bt_release(stack);
    if (ok)
        return out;
    bt_release(out);
    return NULL;
}
