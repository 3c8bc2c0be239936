/* SPDX-License-Identifier: MIT
 * Sound files, read back by libsndfile. A format that this build of it lacks is
 * refused with a line; that is all that is asked of it then.
 */
#include <math.h>
#include <setjmp.h>
#include <sndfile.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "media/sound.h"
#include "temp_dir.h"

enum { N = 50000 };

static const double PI = 3.14159265358979323846;
static float tone[N]; /* 440 Hz at 22050 Hz */

static bt_audio sound(int rate, const char *format, const char *bits)
{
    return (bt_audio){ .struct_size = sizeof(bt_audio),
                       .sample_rate = rate,
                       .channels = 1,
                       .n = N,
                       .samples = tone,
                       .format = format,
                       .bits = bits };
}

/* Whole, as floats; free. */
static float *read_back(const char *path, SF_INFO *info)
{
    *info = (SF_INFO){ 0 };
    SNDFILE *f = sf_open(path, SFM_READ, info);
    assert_non_null(f);
    float *x = calloc((size_t)info->frames + 1, sizeof *x);
    assert_int_equal(sf_read_float(f, x, info->frames), info->frames);
    sf_close(f);
    return x;
}

static double snr(const float *x, const float *y, size_t n)
{
    double level = 0, noise = 0;
    for (size_t i = 0; i < n; i++) {
        level += (double)x[i] * x[i];
        noise += ((double)y[i] - x[i]) * ((double)y[i] - x[i]);
    }
    return noise > 0 ? 10 * log10(level / noise) : 300;
}

/* Of a tone at f Hz: its share of the level, over the middle half. */
static double share_of(const float *x, size_t n, double f, int rate)
{
    double re = 0, im = 0, level = 0;
    for (size_t i = n / 4; i < n - n / 4; i++) {
        re += x[i] * cos(2 * PI * f * (double)i / rate);
        im += x[i] * sin(2 * PI * f * (double)i / rate);
        level += (double)x[i] * x[i];
    }
    return 2 * (re * re + im * im) / level / (double)(n - n / 4 - n / 4);
}

static void lossless_formats_keep_the_samples(void **state)
{
    (void)state;
    static const struct {
        const char *name, *bits;
        double snr;
        int subtype;
    } f[] = { { "a.wav", NULL, 88, SF_FORMAT_PCM_16 },  { "b.wav", "16", 88, SF_FORMAT_PCM_16 },
              { "c.wav", "24", 136, SF_FORMAT_PCM_24 }, { "d.wav", "float", 299, SF_FORMAT_FLOAT },
              { "e.flac", NULL, 88, SF_FORMAT_PCM_16 }, { "f.FLAC", "24", 136, SF_FORMAT_PCM_24 } };
    for (size_t i = 0; i < sizeof f / sizeof *f; i++) {
        SF_INFO info;
        bt_error err = { 0 };
        const char *path = temp_path(f[i].name);
        const bt_audio a = sound(22050, NULL, f[i].bits);
        assert_int_equal(bt_sound_write(path, &a, &err), BT_OK);
        float *x = read_back(path, &info);
        assert_int_equal(info.frames, N);
        assert_int_equal(info.samplerate, 22050);
        assert_int_equal(info.format & SF_FORMAT_SUBMASK, f[i].subtype);
        if (snr(tone, x, N) < f[i].snr)
            fail_msg("%s: SNR %.1f dB", f[i].name, snr(tone, x, N));
        free(x);
    }
}

static char *bytes_of(const char *path, size_t *n)
{
    char *p = calloc(1, 1 << 20);
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    *n = fread(p, 1, 1 << 20, f);
    fclose(f);
    return p;
}

/* The tone at its pitch, nearly all of the level in it, and the length. */
static void lossy_formats_keep_the_tone(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int rate, file_rate, slack; /* slack: samples of padding that a codec may add */
    } f[] = { { "a.ogg", 22050, 22050, 0 },    { "b.opus", 24000, 24000, 0 },
              { "c.opus", 22050, 24000, 1 },   { "d.mp3", 22050, 22050, 3456 },
              { "e.mp3", 96000, 48000, 3456 }, { "f.ogg", 44100, 44100, 0 },
              { "g.opus", 192000, 48000, 1 } };
    for (size_t i = 0; i < sizeof f / sizeof *f; i++) {
        SF_INFO info;
        bt_error err = { 0 };
        size_t n, n2;
        const char *path = temp_path(f[i].name);
        const bt_audio a = sound(f[i].rate, NULL, NULL);
        const bt_status st = bt_sound_write(path, &a, &err);
        if (st == BT_EUNSUPPORTED) {
            assert_non_null(strstr(err.text, "this libsndfile has no"));
            continue;
        }
        assert_int_equal(st, BT_OK);
        float *x = read_back(path, &info);
        const double want = (double)N * f[i].file_rate / f[i].rate;
        if (info.samplerate != f[i].file_rate || fabs((double)info.frames - want) > f[i].slack)
            fail_msg("%s: %d samples at %d Hz", f[i].name, (int)info.frames, info.samplerate);
        const double share =
            share_of(x, (size_t)info.frames, 440.0 * f[i].rate / 22050, info.samplerate);
        if (share < 0.999)
            fail_msg("%s: %.5f of the level is the tone", f[i].name, share);
        free(x);
        /* Nothing in the file tells when it was made. */
        char *first = bytes_of(path, &n);
        assert_int_equal(bt_sound_write(path, &a, &err), BT_OK);
        char *second = bytes_of(path, &n2);
        assert_int_equal(n, n2);
        assert_memory_equal(first, second, n);
        free(first);
        free(second);
    }
}

/* However a sound is cut, the file is that of the whole; and it has its tags. */
static void pieces_make_the_same_file(void **state)
{
    (void)state;
    static const char *const formats[] = { "wav", "flac", "ogg", "opus", "mp3" };
    static const size_t cuts[] = { 1, 777, 4096, 9999, N };
    for (int i = 0; i < 5; i++) {
        bt_error err = { 0 };
        bt_audio a = sound(22050, formats[i], NULL);
        a.title = "Down the Rabbit-Hole";
        a.album = "Alice";
        a.track = 7;
        if (bt_sound_write(temp_path("whole"), &a, &err) != BT_OK)
            continue;
        size_t n, n2;
        char *whole = bytes_of(temp_path("whole"), &n);
        bt_sound_out *o;
        assert_int_equal(bt_sound_open(temp_path("cut"), &a, &o, &err), BT_OK);
        for (size_t at = 0, k = 0, m; at < N; at += m, k++) {
            m = cuts[k % 5] < N - at ? cuts[k % 5] : N - at;
            m = k > 40 || m < N ? m : 3;
            assert_int_equal(bt_sound_add(o, tone + at, m, &err), BT_OK);
        }
        assert_int_equal(access(temp_path("cut"), F_OK), -1);
        assert_int_equal(bt_sound_close(o, true, &err), BT_OK);
        char *cut = bytes_of(temp_path("cut"), &n2);
        assert_int_equal(n, n2);
        assert_memory_equal(whole, cut, n);
        assert_non_null(memmem(whole, n, "Rabbit-Hole", 11));
        assert_non_null(memmem(whole, n, "Alice", 5));
        unlink(temp_path("cut"));
        free(whole);
        free(cut);
    }
}

static void an_abandoned_file_leaves_nothing(void **state)
{
    (void)state;
    bt_error err = { 0 };
    bt_sound_out *o;
    const bt_audio a = sound(22050, "flac", NULL);
    assert_int_equal(bt_sound_open(temp_path("gone/x.flac"), &a, &o, &err), BT_EIO);
    assert_null(o);
    assert_int_equal(mkdir(temp_path("gone"), 0777), 0);
    assert_int_equal(bt_sound_open(temp_path("gone/x.flac"), &a, &o, &err), BT_OK);
    assert_int_equal(bt_sound_add(o, tone, N, &err), BT_OK);
    assert_int_equal(bt_sound_close(o, false, &err), BT_OK);
    assert_int_equal(rmdir(temp_path("gone")), 0); /* empty */
    assert_int_equal(bt_sound_close(NULL, true, &err), BT_OK);
}

static void levels_beyond_full_scale(void **state)
{
    (void)state;
    const float x[5] = { 1.5f, -1.5f, 1.0f, -1.0f, 0.25f };
    static const char *const bits[] = { "16", "24", "float" };
    static const float top[] = { 32767 / 32768.0f, 8388607 / 8388608.0f, 1.5f };
    for (int i = 0; i < 3; i++) {
        SF_INFO info;
        bt_error err = { 0 };
        bt_audio a = sound(8000, "wav", bits[i]);
        a.n = 5;
        a.samples = x;
        assert_int_equal(bt_sound_write(temp_path("level"), &a, &err), BT_OK);
        float *y = read_back(temp_path("level"), &info);
        assert_true(y[0] == top[i] && y[1] == (i == 2 ? -1.5f : -1.0f) && y[3] == -1.0f);
        assert_true(y[2] == (i == 2 ? 1.0f : top[i]) && y[4] == 0.25f);
        free(y);
    }
}

static void refused(const char *path, bt_audio a, bt_status want)
{
    bt_error err = { 0 };
    assert_int_equal(bt_sound_write(path, &a, &err), want);
    assert_true(err.text[0] && !strchr(err.text, '\n'));
    a = (bt_audio){ .format = a.format, .bits = a.bits };
    assert_int_equal(bt_sound_write(path, &a, &err), want == BT_EIO ? BT_OK : want);
    assert_int_not_equal(access(path, F_OK), 0);
}

static void bad_forms_are_refused(void **state)
{
    (void)state;
    refused(temp_path("x.aiff"), sound(22050, NULL, NULL), BT_EINVAL);
    refused(temp_path("wav"), sound(22050, NULL, NULL), BT_EINVAL);
    refused(temp_path("x.wav"), sound(22050, "aiff", NULL), BT_EINVAL);
    refused(temp_path("x.wav"), sound(22050, NULL, "8"), BT_EINVAL);
    refused(temp_path("x.flac"), sound(22050, NULL, "float"), BT_EINVAL);
    refused(temp_path("x.ogg"), sound(22050, NULL, "24"), BT_EINVAL);
    refused(temp_path("x.wav"), sound(22050, "mp3", "16"), BT_EINVAL);
    refused("/nowhere/x.wav", sound(22050, NULL, NULL), BT_EIO);
}

static void a_full_disk_is_told(void **state)
{
    (void)state;
    static const char *const format[] = { "wav", "flac", "ogg", "opus", "mp3" };
    for (int i = 0; i < 5; i++) {
        bt_error err = { 0 };
        const bt_audio a = sound(22050, format[i], NULL), ask = { .format = format[i] };
        if (bt_sound_write("/dev/full", &ask, &err) != BT_OK)
            continue;
        assert_int_equal(bt_sound_write("/dev/full", &a, &err), BT_EIO);
        assert_non_null(strstr(err.text, "/dev/full: No space left on device"));
    }
}

static int set_up(void **state)
{
    for (int i = 0; i < N; i++)
        tone[i] = 0.5f * (float)sin(2 * PI * 440 * i / 22050);
    return temp_dir_make(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lossless_formats_keep_the_samples),
        cmocka_unit_test(lossy_formats_keep_the_tone),
        cmocka_unit_test(pieces_make_the_same_file),
        cmocka_unit_test(an_abandoned_file_leaves_nothing),
        cmocka_unit_test(levels_beyond_full_scale),
        cmocka_unit_test(bad_forms_are_refused),
        cmocka_unit_test(a_full_disk_is_told),
    };
    return cmocka_run_group_tests(tests, set_up, temp_dir_remove);
}
