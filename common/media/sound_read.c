/* SPDX-License-Identifier: MIT
 * Sound files to mono samples: whatever libsndfile opens.
 */
#include <errno.h>
#include <math.h>
#include <sndfile.h>
#include <string.h>

#include "base/alloc.h"
#include "resample.h"
#include "sound.h"

enum { CHUNK = 4096, MOST_CHANNELS = 1024 }; /* CHUNK: frames read at once */

typedef struct reader {
    const char *path;
    SNDFILE *sf;
    bt_resampler *resampler; /* NULL: the rate is right */
    float *frames, *mono;    /* [CHUNK, channels], [CHUNK] */
    int channels;
    float *out;
    size_t n, cap;
} reader;

static bool append(reader *r, const float *x, size_t n)
{
    if (n > SIZE_MAX / 8 - r->n)
        return false;
    if (r->n + n > r->cap) {
        const size_t cap = 2 * (r->n + n);
        float *p = bt_realloc_array(r->out, r->n, cap, sizeof *p);
        if (!p)
            return false;
        r->out = p;
        r->cap = cap;
    }
    if (n)
        memcpy(r->out + r->n, x, n * sizeof *x);
    r->n += n;
    return true;
}

/* The mean of a chunk's channels. False: a sample is not a number. */
static bool mix(const reader *r, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        float sum = 0;
        for (int c = 0; c < r->channels; c++)
            sum += r->frames[i * (size_t)r->channels + (size_t)c];
        r->mono[i] = sum / (float)r->channels;
        if (!isfinite(r->mono[i]))
            return false;
    }
    return true;
}

static bt_status read_all(reader *r, bt_error *err)
{
    for (bool last = false; !last;) {
        const sf_count_t got = sf_readf_float(r->sf, r->frames, CHUNK);
        const float *x = r->mono;
        size_t n = got > 0 ? (size_t)got : 0;
        bt_status st = BT_OK;
        last = n < CHUNK;
        if (sf_error(r->sf))
            return bt_fail(err, BT_EFORMAT, "%s: the sound file is damaged", r->path);
        if (!mix(r, n))
            return bt_fail(err, BT_EFORMAT, "%s: holds samples that are no numbers", r->path);
        if (r->resampler)
            st = bt_resampler_push(r->resampler, r->mono, n, last, &x, &n, err);
        if (st != BT_OK)
            return st;
        if (!append(r, x, n))
            return bt_no_memory(err, r->path);
    }
    return BT_OK;
}

static bt_status prepare(reader *r, const SF_INFO *info, int rate, bt_error *err)
{
    r->channels = info->channels;
    if (info->channels < 1 || info->channels > MOST_CHANNELS || info->samplerate < 1)
        return bt_fail(err, BT_EFORMAT, "%s: the sound file is damaged", r->path);
    r->frames = bt_calloc((size_t)info->channels * CHUNK, sizeof *r->frames);
    r->mono = bt_calloc(CHUNK, sizeof *r->mono);
    if (!r->frames || !r->mono)
        return bt_no_memory(err, r->path);
    return info->samplerate == rate
               ? BT_OK
               : bt_resampler_create(info->samplerate, rate, 1, &r->resampler, err);
}

bt_status bt_sound_read(const char *path, int rate, float **samples, size_t *n, bt_error *err)
{
    reader r = { .path = path };
    SF_INFO info = { 0 };
    FILE *f = fopen(path, "re");
    *samples = NULL;
    *n = 0;
    if (!f)
        return bt_fail(err, errno == ENOENT ? BT_ENOTFOUND : BT_EIO, "%s: %s", path,
                       strerror(errno));
    r.sf = sf_open_fd(fileno(f), SFM_READ, &info, SF_FALSE);
    bt_status st = r.sf ? prepare(&r, &info, rate, err)
                        : bt_fail(err, BT_EFORMAT, "%s: no sound file that can be read", path);
    if (st == BT_OK)
        st = read_all(&r, err);
    if (r.sf)
        sf_close(r.sf);
    fclose(f);
    bt_resampler_free(r.resampler);
    bt_release(r.frames);
    bt_release(r.mono);
    if (st == BT_OK) {
        *samples = r.out;
        *n = r.n;
    } else {
        bt_release(r.out);
    }
    return st;
}
