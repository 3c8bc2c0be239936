/* SPDX-License-Identifier: MIT
 * Sound files through libsndfile, which writes into a bt_out so that the file
 * appears whole or not at all.
 */
#include "sound.h"

#include <errno.h>
#include <math.h>
#include <sndfile.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/file.h"
#include "ogg.h"
#include "resample.h"

enum { CHUNK = 4096 };                      /* samples converted at once */
#define WAV_MOST (UINT32_MAX - 65536)       /* bytes of samples: sizes have 32 bits there */
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

struct bt_sound_out {
    bt_out out;
    char *path;  /* as it was given, for messages */
    bt_ogg *ogg; /* NULL: no Ogg */
    SNDFILE *sf;
    int subtype, channels;
    int error;               /* errno of the first write that failed */
    uint64_t room;           /* bytes of samples that it may still take */
    bt_resampler *resampler; /* NULL: the rate is right */
    size_t n;                /* samples in `held` */
    float held
        [CHUNK]; /* an encoder gets pieces of one size: some code otherwise by how they are cut */
};

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
static bool write_chunk(const bt_sound_out *o, const float *x, size_t n)
{
    union {
        short s16[CHUNK];
        int s24[CHUNK];
        float f[CHUNK];
    } buf;
    switch (o->subtype) {
    case SF_FORMAT_PCM_16:
        for (size_t i = 0; i < n; i++)
            buf.s16[i] = bt_sound_s16(x[i]);
        return sf_write_short(o->sf, buf.s16, (sf_count_t)n) == (sf_count_t)n;
    case SF_FORMAT_PCM_24:
        for (size_t i = 0; i < n; i++)
            buf.s24[i] = s24(x[i]);
        return sf_write_int(o->sf, buf.s24, (sf_count_t)n) == (sf_count_t)n;
    case SF_FORMAT_FLOAT: return sf_write_float(o->sf, x, (sf_count_t)n) == (sf_count_t)n;
    default:
        for (size_t i = 0; i < n; i++)
            buf.f[i] = fmaxf(-1.0f, fminf(1.0f, x[i]));
        return sf_write_float(o->sf, buf.f, (sf_count_t)n) == (sf_count_t)n;
    }
}

static bt_status lost(const bt_sound_out *o, bt_error *err)
{
    return bt_fail(err, BT_EIO, "cannot write %s: %s", o->path,
                   strerror(o->error ? o->error : EIO));
}

static bt_status flush_held(bt_sound_out *o, bt_error *err)
{
    const int width = o->subtype == SF_FORMAT_PCM_16 ? 2 : o->subtype == SF_FORMAT_PCM_24 ? 3 : 4;
    const uint64_t bytes = o->n * (uint64_t)width;
    if (bytes > o->room)
        return bt_fail(err, BT_EUNSUPPORTED,
                       "cannot write %s: a WAV file holds at most 4 GiB; FLAC holds more", o->path);
    o->room -= bytes;
    const bool ok = write_chunk(o, o->held, o->n);
    o->n = 0;
    return ok && !o->error ? BT_OK : lost(o, err);
}

/* x: [n, channels]. */
static bt_status hold(bt_sound_out *o, const float *x, size_t n, bt_error *err)
{
    const size_t most = CHUNK / (size_t)o->channels * (size_t)o->channels;
    for (n *= (size_t)o->channels; n > 0;) {
        const size_t take = n < most - o->n ? n : most - o->n;
        memcpy(o->held + o->n, x, take * sizeof *x);
        o->n += take;
        x += take;
        n -= take;
        const bt_status st = o->n == most ? flush_held(o, err) : BT_OK;
        if (st != BT_OK)
            return st;
    }
    return BT_OK;
}

static bt_status push(bt_sound_out *o, const float *x, size_t n, bool last, bt_error *err)
{
    const float *y;
    size_t m;
    const bt_status st = bt_resampler_push(o->resampler, x, n, last, &y, &m, err);
    return st == BT_OK ? hold(o, y, m, err) : st;
}

bt_status bt_sound_add(bt_sound_out *o, const float *x, size_t n, bt_error *err)
{
    bt_status st = BT_OK;
    if (!o->resampler)
        return hold(o, x, n, err);
    for (size_t i = 0; i < n && st == BT_OK; i += CHUNK)
        st = push(o, x + i * (size_t)o->channels, n - i < CHUNK ? n - i : CHUNK, false, err);
    return st;
}

/* Keeps the reason of the first failure: the stream forgets it. Pipes cannot seek, which is
 * none. */
static void note_error(bt_sound_out *o, bool failed)
{
    if (!o->error && (ferror(o->out.f) || (failed && errno != ESPIPE)))
        o->error = errno ? errno : EIO;
}

/* libsndfile's way to the file. Why not sf_open_fd: the FLAC part of libsndfile
 * forgets failed writes. */
static sf_count_t out_seek(sf_count_t offset, int whence, void *p)
{
    bt_sound_out *o = p;
    errno = 0;
    const bool ok = fseeko(o->out.f, offset, whence) == 0;
    note_error(o, !ok);
    return ok ? ftello(o->out.f) : -1;
}

static sf_count_t out_tell(void *p) { return ftello(((bt_sound_out *)p)->out.f); }

static sf_count_t out_length(void *p)
{
    const off_t at = out_tell(p);
    const sf_count_t n = out_seek(0, SEEK_END, p);
    return out_seek(at, SEEK_SET, p) >= 0 ? n : -1;
}

static sf_count_t out_write(const void *p, sf_count_t n, void *user)
{
    bt_sound_out *o = user;
    errno = 0;
    if (o->ogg)
        bt_ogg_write(o->ogg, p, (size_t)n, o->out.f);
    else
        n = (sf_count_t)fwrite(p, 1, (size_t)n, o->out.f);
    note_error(o, false);
    return n;
}

static sf_count_t out_read(void *p, sf_count_t n, void *f)
{
    (void)p, (void)n, (void)f;
    return 0; /* opened for writing only */
}

/* What a file needs besides its stream. */
static bt_status prepare(bt_sound_out *o, const kind *k, const SF_INFO *info, const bt_audio *a,
                         bt_error *err)
{
    o->subtype = info->format & SF_FORMAT_SUBMASK;
    o->channels = a->channels;
    o->room = k->format == SF_FORMAT_WAV ? WAV_MOST : UINT64_MAX;
    if ((k->format & SF_FORMAT_TYPEMASK) == SF_FORMAT_OGG &&
        !(o->ogg = bt_calloc(1, sizeof *o->ogg)))
        return bt_fail(err, BT_ENOMEM, "out of memory");
    if (info->samplerate == a->sample_rate)
        return BT_OK;
    return bt_resampler_create(a->sample_rate, info->samplerate, a->channels, &o->resampler, err);
}

static void set_text(SNDFILE *f, int which, const char *text)
{
    if (text && *text)
        sf_set_string(f, which, text);
}

static bt_status begin(bt_sound_out *o, SF_INFO *info, const bt_audio *a, bt_error *err)
{
    SF_VIRTUAL_IO io = { out_length, out_seek, out_read, out_write, out_tell };
    char track[16];
    snprintf(track, sizeof track, "%d", a->track);
    o->sf = sf_open_virtual(&io, SFM_WRITE, info, o);
    if (!o->sf)
        return lost(o, err);
    sf_command(o->sf, SFC_SET_ADD_PEAK_CHUNK, NULL, SF_FALSE); /* holds the time of day */
    set_text(o->sf, SF_STR_TITLE, a->title);
    set_text(o->sf, SF_STR_ALBUM, a->album);
    set_text(o->sf, SF_STR_TRACKNUMBER, a->track > 0 ? track : NULL);
    return BT_OK;
}

bt_status bt_sound_check(const char *path, const bt_audio *form, bt_error *err)
{
    const kind *k;
    SF_INFO info = { 0 };
    return choose(path, form, &k, &info, err);
}

bt_status bt_sound_open(const char *path, const bt_audio *a, bt_sound_out **out, bt_error *err)
{
    const kind *k;
    SF_INFO info = { 0 };
    *out = NULL;
    bt_status st = choose(path, a, &k, &info, err);
    if (st != BT_OK)
        return st;
    if (a->sample_rate < 1 || a->channels < 1 || a->channels > CHUNK || !sf_format_check(&info))
        return bt_fail(err, BT_EINVAL, "cannot write %s: this sound has no such form", path);
    bt_sound_out *o = bt_calloc(1, sizeof *o);
    if (!o)
        return bt_fail(err, BT_ENOMEM, "out of memory");
    o->path = bt_strdup(path);
    st = o->path ? prepare(o, k, &info, a, err) : bt_fail(err, BT_ENOMEM, "out of memory");
    if (st == BT_OK)
        st = bt_out_open(path, &o->out, err);
    if (st == BT_OK)
        st = begin(o, &info, a, err);
    if (st == BT_OK)
        *out = o;
    else
        bt_sound_close(o, false, NULL);
    return st;
}

bt_status bt_sound_close(bt_sound_out *o, bool keep, bt_error *err)
{
    bt_status st = BT_OK;
    if (!o)
        return BT_OK;
    if (keep && o->resampler)
        st = push(o, NULL, 0, true, err);
    if (keep && st == BT_OK && o->n > 0)
        st = flush_held(o, err);
    const bool closed = !o->sf || sf_close(o->sf) == 0;
    if (keep && st == BT_OK && (!closed || o->error))
        st = lost(o, err);
    if (keep && st == BT_OK)
        st = bt_out_commit(&o->out, err);
    bt_out_abort(&o->out);
    bt_resampler_free(o->resampler);
    bt_release(o->ogg);
    bt_release(o->path);
    bt_release(o);
    return st;
}

bt_status bt_sound_write(const char *path, const bt_audio *a, bt_error *err)
{
    bt_sound_out *o;
    size_t n;
    bt_status st = bt_sound_check(path, a, err);
    if (st != BT_OK || (!a->samples && !a->n && !a->sample_rate && !a->channels))
        return st;
    if ((a->n && !a->samples) || (a->channels > 0 && !bt_mul_ok(a->n, (size_t)a->channels, &n)))
        return bt_fail(err, BT_EINVAL, "cannot write %s: this sound has no such form", path);
    st = bt_sound_open(path, a, &o, err);
    if (st != BT_OK)
        return st;
    st = bt_sound_add(o, a->samples, a->n, err);
    const bt_status closed = bt_sound_close(o, st == BT_OK, err);
    return st == BT_OK ? closed : st;
}
