/* SPDX-License-Identifier: MIT
 * Pictures and sound in files.
 */
#include "api.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static uint8_t pixels[7 * 5 * 3];

static bt_image picture(int channels)
{
    for (size_t i = 0; i < sizeof pixels; i++)
        pixels[i] = (uint8_t)(i * 37);
    return (bt_image){ sizeof(bt_image), 7, 5, channels, pixels };
}

static bt_status save_with_text(bt_engine *e, const char *path, const bt_image *img,
                                const char *text)
{
    const bt_image_file file = { .struct_size = sizeof file, .text = text };
    return bt_image_save(e, path, img, &file);
}

static void pictures_come_back(void **state)
{
    (void)state;
    static const char *const texts[] = { NULL, "a red apple\nSteps: 20",
                                         "ein H\xc3\xa4uschen \xe2\x98\x83" };
    bt_engine *e = engine_with(NULL);
    const char *path = scratch_file("p.png");
    for (int channels = 1; channels <= 3; channels += 2)
        for (int i = 0; i < 3; i++) {
            const bt_image in = picture(channels);
            bt_image out = { .struct_size = sizeof out };
            char *text;
            assert_int_equal(save_with_text(e, path, &in, texts[i]), BT_OK);
            assert_int_equal(bt_image_load(e, path, &out, &text, NULL), BT_OK);
            assert_int_equal(out.width, 7);
            assert_int_equal(out.height, 5);
            assert_int_equal(out.channels, channels);
            assert_memory_equal(out.pixels, pixels, (size_t)(7 * 5 * channels));
            if (texts[i])
                assert_string_equal(text, texts[i]);
            else
                assert_null(text);
            bt_free(out.pixels);
            bt_free(text);
        }
    bt_engine_free(e);
}

static void the_text_chunk_is_the_usual_one(void **state)
{
    (void)state;
    bt_engine *e = engine_with(NULL);
    const char *path = scratch_file("t.png");
    const bt_image in = picture(3);
    size_t n;
    assert_int_equal(save_with_text(e, path, &in, "plain"), BT_OK);
    char *file = read_file(path, &n);
    assert_non_null(memmem(file, n, "tEXtparameters\0plain", 20));
    free(file);
    assert_int_equal(save_with_text(e, path, &in, "gr\xc3\xbcn \xff!"), BT_OK);
    file = read_file(path, &n);
    assert_non_null(memmem(file, n, "iTXtparameters\0\0\0\0\0gr\xc3\xbcn ?!", 27));
    free(file);
    bt_engine_free(e);
}

static void a_long_text_survives(void **state)
{
    (void)state;
    bt_engine *e = engine_with(NULL);
    const size_t n = 1 << 20;
    char *long_text = malloc(n + 1), *back;
    const bt_image in = picture(3);
    bt_image out = { .struct_size = sizeof out };
    memset(long_text, 'x', n);
    long_text[n] = 0;
    assert_int_equal(save_with_text(e, scratch_file("l.png"), &in, long_text), BT_OK);
    assert_int_equal(bt_image_load(e, scratch_file("l.png"), &out, &back, NULL), BT_OK);
    assert_string_equal(back, long_text);
    bt_free(out.pixels);
    bt_free(back);
    free(long_text);
    bt_engine_free(e);
}

static void bad_pictures_are_refused(void **state)
{
    (void)state;
    bt_engine *e = engine_with(NULL);
    bt_image img = picture(3), out = { .struct_size = sizeof out };
    const char *path = scratch_file("bad.png");
    size_t n;
    img.channels = 2;
    assert_int_equal(bt_image_save(e, path, &img, NULL), BT_EINVAL);
    img = picture(3);
    img.struct_size = 0;
    assert_int_equal(bt_image_save(e, path, &img, NULL), BT_EINVAL);
    img = picture(3);
    assert_int_equal(bt_image_save(e, "/nowhere/p.png", &img, NULL), BT_EIO);
    assert_non_null(strstr(bt_engine_message(e), "/nowhere/p.png"));
    assert_int_equal(bt_image_save(e, "/dev/full", &img, NULL), BT_EIO);
    assert_int_equal(bt_image_load(e, "/nowhere/p.png", &out, NULL, NULL), BT_ENOTFOUND);
    assert_int_equal(bt_image_load(e, "/etc/passwd", &out, NULL, NULL), BT_EFORMAT);
    assert_null(out.pixels);
    /* Cut and damaged at every byte: an error, or a picture; never a crash. */
    assert_int_equal(save_with_text(e, scratch_file("good.png"), &img, "text"), BT_OK);
    char *good = read_file(scratch_file("good.png"), &n);
    for (size_t i = 0; i < n; i++) {
        char *text = NULL;
        write_file(path, good, i);
        assert_int_equal(bt_image_load(e, path, &out, &text, NULL), BT_EFORMAT);
        assert_null(text);
        good[i] ^= 0x41;
        write_file(path, good, n);
        good[i] ^= 0x41;
        if (bt_image_load(e, path, &out, &text, NULL) == BT_OK)
            bt_free(out.pixels);
        bt_free(text);
    }
    free(good);
    bt_engine_free(e);
}

static bt_audio sound(int rate, size_t n, const float *x)
{
    return (bt_audio){
        .struct_size = sizeof(bt_audio), .sample_rate = rate, .channels = 1, .n = n, .samples = x
    };
}

static void sound_is_written(void **state)
{
    (void)state;
    bt_engine *e = engine_with(NULL);
    float x[1000];
    size_t n;
    for (int i = 0; i < 1000; i++)
        x[i] = 1.5f * sinf((float)i * 0.1f); /* beyond full scale: limited, not wrapped */
    const bt_audio a = sound(22050, 1000, x);
    assert_int_equal(bt_audio_save(e, scratch_file("s.wav"), &a), BT_OK);
    char *wav = read_file(scratch_file("s.wav"), &n);
    assert_int_equal(n, 44 + 2000);
    assert_memory_equal(wav, "RIFF", 4);
    assert_int_equal((uint8_t)wav[24] | (uint8_t)wav[25] << 8, 22050);
    int16_t s[1000];
    memcpy(s, wav + 44, sizeof s);
    assert_int_equal(s[0], 0);
    assert_int_equal(s[15], 32767); /* 1.5 sin(1.5) > 1 */
    assert_int_equal(s[1], lrintf(x[1] * 32768.0f));
    free(wav);
    assert_int_equal(bt_audio_save(e, scratch_file("s.flac"), &a), BT_OK);
    char *flac = read_file(scratch_file("s.flac"), &n);
    assert_memory_equal(flac, "fLaC", 4);
    free(flac);
    bt_engine_free(e);
}

static void sound_is_written_piece_by_piece(void **state)
{
    (void)state;
    bt_engine *e = engine_with(NULL);
    bt_audio_writer *w;
    float x[1000];
    size_t n, m;
    struct stat sb;
    for (int i = 0; i < 1000; i++)
        x[i] = sinf((float)i * 0.1f);
    bt_audio a = sound(22050, 1000, x);
    assert_int_equal(bt_audio_save(e, scratch_file("whole.wav"), &a), BT_OK);
    assert_int_equal(bt_audio_writer_open(e, scratch_file("w.wav"), &a, &w), BT_OK);
    assert_int_equal(bt_audio_writer_add(w, x, 300), BT_OK);
    assert_int_equal(bt_audio_writer_add(w, x + 300, 700), BT_OK);
    assert_int_equal(bt_audio_writer_add(w, NULL, 1), BT_EINVAL);
    assert_int_equal(bt_audio_writer_close(w, 1), BT_OK);
    char *whole = read_file(scratch_file("whole.wav"), &n);
    char *pieces = read_file(scratch_file("w.wav"), &m);
    assert_int_equal(n, m);
    assert_memory_equal(whole, pieces, n);
    free(whole);
    free(pieces);
    assert_int_equal(bt_audio_writer_open(e, scratch_file("no.wav"), &a, &w), BT_OK);
    assert_int_equal(bt_audio_writer_add(w, x, 300), BT_OK);
    assert_int_equal(bt_audio_writer_close(w, 0), BT_OK);
    assert_int_not_equal(stat(scratch_file("no.wav"), &sb), 0);
    assert_int_equal(bt_audio_writer_open(e, scratch_file("no.aiff"), &a, &w), BT_EINVAL);
    assert_null(w);
    a.struct_size = 0;
    assert_int_equal(bt_audio_writer_open(e, scratch_file("no.wav"), &a, &w), BT_EINVAL);
    assert_int_equal(bt_audio_writer_open(NULL, "no.wav", &a, &w), BT_EINVAL);
    assert_int_equal(bt_audio_writer_add(NULL, x, 1), BT_EINVAL);
    assert_int_equal(bt_audio_writer_close(NULL, 1), BT_OK);
    bt_engine_free(e);
}

static void bad_sound_is_refused(void **state)
{
    (void)state;
    bt_engine *e = engine_with(NULL);
    const float x[4] = { 0 };
    bt_audio a = sound(22050, 4, x);
    struct stat sb;
    assert_int_equal(bt_audio_save(e, scratch_file("s.aiff"), &a), BT_EINVAL);
    assert_int_equal(bt_audio_save(e, scratch_file("wav"), &a), BT_EINVAL);
    assert_int_equal(bt_audio_save(e, "/nowhere/s.wav", &a), BT_EIO);
    a.sample_rate = 0;
    assert_int_equal(bt_audio_save(e, scratch_file("zero.wav"), &a), BT_EINVAL);
    assert_int_not_equal(stat(scratch_file("zero.wav"), &sb), 0);
    a.struct_size = 0;
    assert_int_equal(bt_audio_save(e, scratch_file("zero.wav"), &a), BT_EINVAL);
    /* A full disk, through links whose names end as they must. */
    assert_int_equal(symlink("/dev/full", scratch_file("full.wav")), 0);
    assert_int_equal(symlink("/dev/full", scratch_file("full.flac")), 0);
    a = sound(22050, 4, x);
    assert_int_equal(bt_audio_save(e, scratch_file("full.wav"), &a), BT_EIO);
    assert_int_equal(bt_audio_save(e, scratch_file("full.flac"), &a), BT_EIO);
    bt_engine_free(e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pictures_come_back),   cmocka_unit_test(the_text_chunk_is_the_usual_one),
        cmocka_unit_test(a_long_text_survives), cmocka_unit_test(bad_pictures_are_refused),
        cmocka_unit_test(sound_is_written),     cmocka_unit_test(sound_is_written_piece_by_piece),
        cmocka_unit_test(bad_sound_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
