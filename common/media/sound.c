/* SPDX-License-Identifier: MIT
 * WAV and FLAC through libsndfile, which writes into a bt_out so that the file
 * appears whole or not at all.
 */
#include "sound.h"

#include <math.h>
#include <sndfile.h>
#include <string.h>
#include <strings.h>

#include "base/file.h"

enum { CHUNK = 4096 }; /* samples converted at once */

int16_t bt_sound_s16(float x)
{
    if (!(x > -1.0f))
        return x == x ? -32768 : 0;
    return x >= 1.0f ? 32767 : (int16_t)fminf(rintf(x * 32768.0f), 32767.0f);
}

/* libsndfile's format by the suffix of the path; 0: another suffix. */
static int format_of(const char *path)
{
    const char *dot = strrchr(path, '.');
    if (dot && strcasecmp(dot, ".wav") == 0)
        return SF_FORMAT_WAV | SF_FORMAT_PCM_16;
    if (dot && strcasecmp(dot, ".flac") == 0)
        return SF_FORMAT_FLAC | SF_FORMAT_PCM_16;
    return 0;
}

/* false: libsndfile took fewer samples than given. */
static bool write_samples(SNDFILE *sf, const float *x, size_t n)
{
    short buf[CHUNK];
    for (size_t i = 0; i < n; i += CHUNK) {
        const size_t m = n - i < CHUNK ? n - i : CHUNK;
        for (size_t k = 0; k < m; k++)
            buf[k] = bt_sound_s16(x[i + k]);
        if (sf_write_short(sf, buf, (sf_count_t)m) != (sf_count_t)m)
            return false;
    }
    return true;
}

/* libsndfile's way to the file. Why not sf_open_fd: the FLAC part of libsndfile
 * forgets failed writes; the stream's error mark remembers them for the commit. */
static sf_count_t out_seek(sf_count_t offset, int whence, void *f)
{
    return fseeko(f, offset, whence) == 0 ? ftello(f) : -1;
}

static sf_count_t out_tell(void *f) { return ftello(f); }

static sf_count_t out_length(void *f)
{
    const off_t at = ftello(f);
    const sf_count_t n = out_seek(0, SEEK_END, f);
    return fseeko(f, at, SEEK_SET) == 0 ? n : -1;
}

static sf_count_t out_write(const void *p, sf_count_t n, void *f)
{
    return (sf_count_t)fwrite(p, 1, (size_t)n, f);
}

static sf_count_t out_read(void *p, sf_count_t n, void *f)
{
    (void)p, (void)n, (void)f;
    return 0; /* opened for writing only */
}

bt_status bt_sound_write(const char *path, const bt_audio *audio, bt_error *err)
{
    size_t n;
    SF_INFO info = { .samplerate = audio->sample_rate, .channels = audio->channels };
    info.format = format_of(path);
    if (!info.format)
        return bt_fail(err, BT_EINVAL, "cannot write %s: sound files end in .wav or .flac", path);
    if (audio->sample_rate < 1 || audio->channels < 1 || (audio->n && !audio->samples) ||
        !bt_mul_ok(audio->n, (size_t)audio->channels, &n) || !sf_format_check(&info))
        return bt_fail(err, BT_EINVAL, "cannot write %s: this sound has no such form", path);
    bt_out out;
    bt_status st = bt_out_open(path, &out, err);
    if (st != BT_OK)
        return st;
    SF_VIRTUAL_IO io = { out_length, out_seek, out_read, out_write, out_tell };
    SNDFILE *sf = sf_open_virtual(&io, SFM_WRITE, &info, out.f);
    bool ok = sf && write_samples(sf, audio->samples, n);
    if (sf && sf_close(sf) != 0)
        ok = false;
    if (ok)
        return bt_out_commit(&out, err);
    bt_out_abort(&out);
    return bt_fail(err, BT_EIO, "cannot write %s", path);
}
