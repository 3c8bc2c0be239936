/* SPDX-License-Identifier: MIT
 * Sound files through libsndfile, which writes into a bt_out so that the file
 * appears whole or not at all.
 */
#include "sound.h"

#include <math.h>
#include <sndfile.h>
#include <string.h>
#include <strings.h>

#include "base/file.h"
#include "ogg.h"
#include "resample.h"

enum { CHUNK = 4096 };                      /* samples converted at once */
enum { MPEG = 0x230000, LAYER_III = 0x82 }; /* libsndfile's; its headers before 1.1 lack them */

typedef struct kind {
    const char *name; /* also the suffix */
    int format;       /* libsndfile's; without a subtype: the bits are the caller's choice */
    int rates[10];    /* Hz that it has, upwards, then 0; none: any */
} kind;

static const kind kinds[] = {
    { "wav", SF_FORMAT_WAV, { 0 } },
    { "flac", SF_FORMAT_FLAC, { 0 } },
    { "ogg", SF_FORMAT_OGG | SF_FORMAT_VORBIS, { 0 } },
    { "opus", SF_FORMAT_OGG | SF_FORMAT_OPUS, { 8000, 12000, 16000, 24000, 48000, 0 } },
    { "mp3",
      MPEG | LAYER_III,
      { 8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 0 } },
};
enum { N_KINDS = sizeof kinds / sizeof *kinds };

/* A file being written. */
typedef struct sink {
    FILE *f;
    bt_ogg *ogg; /* NULL: no Ogg */
    SNDFILE *sf;
    int subtype, channels;
    bt_resampler *resampler; /* NULL: the rate is right */
} sink;

int16_t bt_sound_s16(float x)
{
    if (!(x > -1.0f))
        return x == x ? -32768 : 0;
    return x >= 1.0f ? 32767 : (int16_t)fminf(rintf(x * 32768.0f), 32767.0f);
}

/* 24 bits, at the upper end of 32 as libsndfile takes them. */
static int s24(float x)
{
    if (!(x > -1.0f))
        return x == x ? -8388608 * 256 : 0;
    return x >= 1.0f ? 8388607 * 256 : (int)fminf(rintf(x * 8388608.0f), 8388607.0f) * 256;
}

/* ---- what there is -------------------------------------------------------- */

/* Whether libsndfile lists a major format or a subtype. */
static bool listed(int count, int describe, int mask, int format)
{
    int n = 0;
    sf_command(NULL, count, &n, sizeof n);
    for (int i = 0; i < n; i++) {
        SF_FORMAT_INFO f = { .format = i };
        if (sf_command(NULL, describe, &f, sizeof f) == 0 && (f.format & mask) == format)
            return true;
    }
    return false;
}

static bool has(int format)
{
    const int major = format & SF_FORMAT_TYPEMASK, sub = format & SF_FORMAT_SUBMASK;
    return listed(SFC_GET_FORMAT_MAJOR_COUNT, SFC_GET_FORMAT_MAJOR, SF_FORMAT_TYPEMASK, major) &&
           listed(SFC_GET_FORMAT_SUBTYPE_COUNT, SFC_GET_FORMAT_SUBTYPE, SF_FORMAT_SUBMASK, sub);
}

/* The subtype of "16", "24" or "float"; 0: there is none such. */
static int subtype_of(const kind *k, const char *bits)
{
    if (k->format & SF_FORMAT_SUBMASK)
        return bits ? 0 : k->format & SF_FORMAT_SUBMASK;
    if (!bits || strcmp(bits, "16") == 0)
        return SF_FORMAT_PCM_16;
    if (strcmp(bits, "24") == 0)
        return SF_FORMAT_PCM_24;
    return k->format == SF_FORMAT_WAV && strcmp(bits, "float") == 0 ? SF_FORMAT_FLOAT : 0;
}

static const kind *kind_of(const char *path, const char *name)
{
    const char *dot = strrchr(path, '.');
    if (!name)
        name = dot ? dot + 1 : "";
    for (int i = 0; i < N_KINDS; i++)
        if (strcasecmp(kinds[i].name, name) == 0)
            return &kinds[i];
    return NULL;
}

static int next_rate(const kind *k, int rate)
{
    int best = rate;
    for (const int *r = k->rates; *r; r++) {
        best = *r;
        if (best >= rate)
            break;
    }
    return best;
}

static bt_status choose(const char *path, const bt_audio *a, const kind **k, SF_INFO *info,
                        bt_error *err)
{
    *k = kind_of(path, a->format);
    if (!*k && a->format)
        return bt_fail(err, BT_EINVAL, "format \"%.20s\" is none of wav, flac, ogg, opus, mp3",
                       a->format);
    if (!*k)
        return bt_fail(err, BT_EINVAL,
                       "cannot write %s: sound files end in .wav, .flac, .ogg, .opus or .mp3",
                       path);
    const int subtype = subtype_of(*k, a->bits);
    if (!subtype)
        return bt_fail(err, BT_EINVAL,
                       "cannot write %s with bits \"%.20s\": wav has 16, 24 and float, flac 16 and "
                       "24, the others none",
                       path, a->bits);
    info->format = ((*k)->format & SF_FORMAT_TYPEMASK) | subtype;
    info->channels = a->channels;
    info->samplerate = next_rate(*k, a->sample_rate);
    if (has(info->format))
        return BT_OK;
    return bt_fail(err, BT_EUNSUPPORTED, "cannot write %s: this libsndfile has no %s", path,
                   (*k)->name);
}

/* ---- writing -------------------------------------------------------------- */

/* At most CHUNK samples; false: libsndfile took fewer than given. */
static bool write_chunk(const sink *s, const float *x, size_t n)
{
    union {
        short s16[CHUNK];
        int s24[CHUNK];
        float f[CHUNK];
    } buf;
    switch (s->subtype) {
    case SF_FORMAT_PCM_16:
        for (size_t i = 0; i < n; i++)
            buf.s16[i] = bt_sound_s16(x[i]);
        return sf_write_short(s->sf, buf.s16, (sf_count_t)n) == (sf_count_t)n;
    case SF_FORMAT_PCM_24:
        for (size_t i = 0; i < n; i++)
            buf.s24[i] = s24(x[i]);
        return sf_write_int(s->sf, buf.s24, (sf_count_t)n) == (sf_count_t)n;
    case SF_FORMAT_FLOAT: return sf_write_float(s->sf, x, (sf_count_t)n) == (sf_count_t)n;
    default:
        for (size_t i = 0; i < n; i++)
            buf.f[i] = fmaxf(-1.0f, fminf(1.0f, x[i]));
        return sf_write_float(s->sf, buf.f, (sf_count_t)n) == (sf_count_t)n;
    }
}

/* x: [n, channels]. */
static bool write_frames(const sink *s, const float *x, size_t n)
{
    const size_t c = (size_t)s->channels, most = CHUNK / c;
    for (size_t i = 0; i < n; i += most)
        if (!write_chunk(s, x + i * c, (n - i < most ? n - i : most) * c))
            return false;
    return true;
}

/* BT_EIO without a message: the file did not take it. */
static bt_status write_all(const sink *s, const bt_audio *a, bt_error *err)
{
    if (!s->resampler)
        return write_frames(s, a->samples, a->n) ? BT_OK : BT_EIO;
    const float *y;
    size_t m;
    for (size_t i = 0;; i += CHUNK) {
        const bool last = a->n - i <= CHUNK;
        const float *x = a->n ? a->samples + i * (size_t)a->channels : NULL;
        const bt_status st =
            bt_resampler_push(s->resampler, x, last ? a->n - i : CHUNK, last, &y, &m, err);
        if (st != BT_OK)
            return st;
        if (!write_frames(s, y, m))
            return BT_EIO;
        if (last)
            return BT_OK;
    }
}

/* libsndfile's way to the file. Why not sf_open_fd: the FLAC part of libsndfile
 * forgets failed writes; the stream's error mark remembers them for the commit. */
static sf_count_t out_seek(sf_count_t offset, int whence, void *p)
{
    FILE *f = ((sink *)p)->f;
    return fseeko(f, offset, whence) == 0 ? ftello(f) : -1;
}

static sf_count_t out_tell(void *p) { return ftello(((sink *)p)->f); }

static sf_count_t out_length(void *p)
{
    const off_t at = out_tell(p);
    const sf_count_t n = out_seek(0, SEEK_END, p);
    return out_seek(at, SEEK_SET, p) >= 0 ? n : -1;
}

static sf_count_t out_write(const void *p, sf_count_t n, void *user)
{
    sink *s = user;
    if (!s->ogg)
        return (sf_count_t)fwrite(p, 1, (size_t)n, s->f);
    bt_ogg_write(s->ogg, p, (size_t)n, s->f);
    return n;
}

static sf_count_t out_read(void *p, sf_count_t n, void *f)
{
    (void)p, (void)n, (void)f;
    return 0; /* opened for writing only */
}

/* What a file needs besides its stream. */
static bt_status prepare(sink *s, const kind *k, const SF_INFO *info, const bt_audio *a,
                         bt_error *err)
{
    s->subtype = info->format & SF_FORMAT_SUBMASK;
    s->channels = a->channels;
    if ((k->format & SF_FORMAT_TYPEMASK) == SF_FORMAT_OGG &&
        !(s->ogg = bt_calloc(1, sizeof *s->ogg)))
        return bt_fail(err, BT_ENOMEM, "out of memory");
    if (info->samplerate == a->sample_rate)
        return BT_OK;
    return bt_resampler_create(a->sample_rate, info->samplerate, a->channels, &s->resampler, err);
}

static bt_status write_file(sink *s, SF_INFO *info, const bt_audio *a, bt_error *err)
{
    SF_VIRTUAL_IO io = { out_length, out_seek, out_read, out_write, out_tell };
    s->sf = sf_open_virtual(&io, SFM_WRITE, info, s);
    if (!s->sf)
        return BT_EIO;
    sf_command(s->sf, SFC_SET_ADD_PEAK_CHUNK, NULL, SF_FALSE); /* holds the time of day */
    const bt_status st = write_all(s, a, err);
    return sf_close(s->sf) != 0 && st == BT_OK ? BT_EIO : st;
}

bt_status bt_sound_write(const char *path, const bt_audio *a, bt_error *err)
{
    const kind *k;
    SF_INFO info = { 0 };
    bt_out out = { 0 };
    sink s = { 0 };
    size_t n;
    bt_status st = choose(path, a, &k, &info, err);
    if (st != BT_OK || (!a->samples && !a->n && !a->sample_rate && !a->channels))
        return st;
    if (a->sample_rate < 1 || a->channels < 1 || a->channels > CHUNK || (a->n && !a->samples) ||
        !bt_mul_ok(a->n, (size_t)a->channels, &n) || !sf_format_check(&info))
        return bt_fail(err, BT_EINVAL, "cannot write %s: this sound has no such form", path);
    st = prepare(&s, k, &info, a, err);
    if (st == BT_OK && (st = bt_out_open(path, &out, err)) == BT_OK) {
        s.f = out.f;
        st = write_file(&s, &info, a, err);
        if (st == BT_OK)
            st = bt_out_commit(&out, err);
        else if (st == BT_EIO)
            bt_fail(err, st, "cannot write %s", path);
    }
    bt_out_abort(&out);
    bt_resampler_free(s.resampler);
    bt_release(s.ogg);
    return st;
}
