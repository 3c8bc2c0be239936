/* SPDX-License-Identifier: MIT
 * Sample rates through libsamplerate: its best sinc filter, in pieces.
 */
#include "resample.h"

#include <samplerate.h>

#include "base/alloc.h"

enum { PIECE = 4096 }; /* frames that go into the filter at once, and room for what comes out */

struct bt_resampler {
    SRC_STATE *state;
    double ratio;
    int channels;
    float *out; /* [cap, channels] */
    size_t cap;
};

bt_status bt_resampler_create(int from, int to, int channels, bt_resampler **out, bt_error *err)
{
    const double ratio = from > 0 ? (double)to / from : 0;
    int code = 0;
    *out = NULL;
    if (channels < 1 || !src_is_valid_ratio(ratio))
        return bt_fail(err, BT_EINVAL, "cannot turn %d Hz into %d Hz", from, to);
    bt_resampler *r = bt_calloc(1, sizeof *r);
    if (!r)
        return bt_fail(err, BT_ENOMEM, "out of memory");
    *r = (bt_resampler){ .ratio = ratio, .channels = channels };
    r->state = src_new(SRC_SINC_BEST_QUALITY, channels, &code);
    if (!r->state) {
        bt_resampler_free(r);
        return bt_fail(err, BT_ENOMEM, "cannot change the sample rate: %s", src_strerror(code));
    }
    *out = r;
    return BT_OK;
}

void bt_resampler_free(bt_resampler *r)
{
    if (!r)
        return;
    if (r->state)
        src_delete(r->state);
    bt_release(r->out);
    bt_release(r);
}

/* Room for PIECE frames after the m that are there. */
static bool reserve(bt_resampler *r, size_t m)
{
    const size_t width = (size_t)r->channels * sizeof *r->out;
    if (r->cap - m >= PIECE)
        return true;
    const size_t cap = m + m / 2 + PIECE;
    float *p = cap > m ? bt_realloc_array(r->out, r->cap, cap, width) : NULL;
    if (!p)
        return false;
    r->out = p;
    r->cap = cap;
    return true;
}

/* Until the input is used up and no more comes out of it. */
bt_status bt_resampler_push(bt_resampler *r, const float *x, size_t n, bool last, const float **y,
                            size_t *m, bt_error *err)
{
    static const float nothing[1];
    SRC_DATA d = { .src_ratio = r->ratio };
    size_t used = 0;
    *m = 0;
    do {
        const size_t left = n - used;
        if (!reserve(r, *m))
            return bt_fail(err, BT_ENOMEM, "out of memory for the sound");
        d.data_in = left ? x + used * (size_t)r->channels : nothing;
        d.input_frames = left < PIECE ? (long)left : PIECE;
        d.data_out = r->out + *m * (size_t)r->channels;
        d.output_frames = PIECE;
        d.end_of_input = last && left <= PIECE;
        const int code = src_process(r->state, &d);
        if (code)
            return bt_fail(err, BT_EINVAL, "cannot change the sample rate: %s", src_strerror(code));
        used += (size_t)d.input_frames_used;
        *m += (size_t)d.output_frames_gen;
    } while (used < n || d.output_frames_gen > 0);
    *y = r->out;
    return BT_OK;
}
