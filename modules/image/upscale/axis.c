/* SPDX-License-Identifier: MIT
 * One direction of a picture in windows.
 *
 * Near the border of a window the network saw zeros where there is picture. The deeper
 * inside, the less that shows: so windows share what is near their inner borders, and in the
 * middle of what two of them share the one's values give way to the other's, over
 * BT_UPSCALE_OVERLAP pixels.
 */
#include "image/upscale/upscale.h"

bt_upscale_axis bt_upscale_axis_cut(int length, int step, int tile)
{
    bt_upscale_axis a = { .length = (length + step - 1) / step * step, .step = step };
    const int shared = 2 * BT_UPSCALE_OVERLAP;
    tile = (tile + step - 1) / step * step;
    if (tile == 0 || a.length <= tile + shared) {
        a.size = a.length;
        a.count = 1;
        return a;
    }
    a.size = tile + shared;
    a.count = (a.length - shared + tile - 1) / tile;
    return a;
}

int bt_upscale_axis_at(const bt_upscale_axis *a, int window)
{
    if (a->count == 1)
        return 0;
    const int64_t at = (int64_t)(a->length - a->size) * window / (a->count - 1);
    return (int)(at / a->step * a->step);
}

/* How far, at `x` (pixels), the window after `window` has taken over from it: 0..1. */
static float taken(const bt_upscale_axis *a, int window, float x)
{
    const int end = bt_upscale_axis_at(a, window) + a->size;
    const float middle = (float)(bt_upscale_axis_at(a, window + 1) + end) / 2;
    const float t = (x - middle) / BT_UPSCALE_OVERLAP + 0.5f;
    return t < 0 ? 0 : t > 1 ? 1 : t;
}

/* No two changes meet: windows are at least twice as long as what they share. */
void bt_upscale_axis_weights(const bt_upscale_axis *a, int window, int scale, float *w)
{
    const int at = bt_upscale_axis_at(a, window);
    for (int i = 0; i < a->size * scale; i++) {
        const float x = (float)at + ((float)i + 0.5f) / (float)scale;
        const float from = window > 0 ? taken(a, window - 1, x) : 1;
        w[i] = window + 1 < a->count ? from * (1 - taken(a, window, x)) : from;
    }
}
