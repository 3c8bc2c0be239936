/* SPDX-License-Identifier: MIT
 * From a pitch per frame to the phase of every sample. In double, and from the sentence's
 * beginning: an error of a thousandth of a turn would be a quarter at harmonic 250.
 */
#include "audio/hibari/vocoder.h"

#define PI       3.14159265358979323846
#define UNVOICED 40.0f    /* Hz and below */
#define HIGHEST  11000.0f /* Hz of a harmonic */

void bt_hibari_pitch(const float *f0, int64_t frames, float *phase, float *order)
{
    enum { HOP = BT_HIBARI_HOP, HALF = HOP / 2 };
    double begin = 0;  /* turns at the end of the frame before */
    float weight[HOP]; /* of the later one of two frames */
    for (int j = 0; j < HOP; j++)
        weight[j] = (float)((j + (j < HALF ? HALF : -HALF) + 0.5) / HOP);
    for (int64_t k = 0; k < frames; k++, phase += HOP, order += HOP) {
        const float now = f0[k], before = f0[k ? k - 1 : 0], after = f0[k + 1 < frames ? k + 1 : k];
        double turns[HOP], sum = begin;
        for (int j = 0; j < HOP; j++) {
            /* linear between the middles of frames */
            const float u = weight[j], v = 1 - u;
            const float f = j < HALF ? before * v + now * u : now * v + after * u;
            const float low = f > UNVOICED ? f : UNVOICED, sounding = low < HIGHEST ? low : HIGHEST;
            turns[j] = sum += (double)sounding * (1.0 / BT_HIBARI_RATE);
            order[j] = f > UNVOICED ? (float)(int)(HIGHEST / sounding) + 0.5f : 0;
        }
        for (int j = 0; j < HOP; j++)
            phase[j] = (float)((turns[j] - (int)turns[j]) * (2 * PI));
        begin = sum - (int)sum;
    }
}
