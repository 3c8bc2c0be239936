/* SPDX-License-Identifier: MIT
 * Picture files of all formats: what comes back, texts, files of other programs
 * (tests/fuzz/make_pictures.py), what is refused.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "media/picture.h"

#define TEXT     "gr\xc3\xbcn \xf0\x9f\x8d\x8e\nSteps: 20, Sampler: Euler, Seed: 1"
#define SETTINGS "{\"seed\":1,\"prompt\":\"gr\xc3\xbcn\"}"
#define W        40
#define H        30

static uint8_t pixels[W * H * 3];
static char path[64];

static bt_image soft_picture(int channels)
{
    for (int i = 0; i < W * H * channels; i++)
        pixels[i] = (uint8_t)(i / channels % W * 4 + i % channels * 20);
    return (bt_image){ sizeof(bt_image), W, H, channels, pixels };
}

static int distance(const uint8_t *a, const uint8_t *b, size_t n)
{
    int most = 0;
    for (size_t i = 0; i < n; i++)
        most = abs(a[i] - b[i]) > most ? abs(a[i] - b[i]) : most;
    return most;
}

static void write_and_read(const bt_picture_form *f, int channels, int bound)
{
    bt_image in = soft_picture(channels), out = { .struct_size = sizeof out };
    bt_texts t;
    bt_error e = { 0 };
    assert_int_equal(bt_picture_write(path, &in, f, &e), BT_OK);
    assert_int_equal(bt_picture_read(path, &out, &t, &e), BT_OK);
    assert_int_equal(out.width, W);
    assert_int_equal(out.height, H);
    if (out.channels == channels &&
        distance(out.pixels, pixels, sizeof pixels / 3 * (size_t)channels) > bound)
        fail_msg("%s: %d", f->format, distance(out.pixels, pixels, (size_t)(W * H * channels)));
    if (f->parameters)
        assert_string_equal(t.parameters, f->parameters);
    else
        assert_null(t.parameters);
    if (f->settings)
        assert_string_equal(t.settings, f->settings);
    else
        assert_null(t.settings);
    bt_release(out.pixels);
    bt_texts_free(&t);
}

static void every_format_comes_back(void **state)
{
    (void)state;
    static const struct {
        const char *format;
        int quality, bound;
    } cases[] = { { "png", 0, 0 },   { "jpeg", 0, 8 },   { "jpg", 100, 3 },
                  { "webp", 90, 8 }, { "webp", 100, 0 }, { "WebP", 0, 8 } };
    static const char *const texts[][2] = {
        { NULL, NULL }, { "plain", NULL }, { NULL, SETTINGS }, { TEXT, SETTINGS }
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (size_t k = 0; k < 4; k++)
            for (int channels = 1; channels <= 3; channels += 2) {
                const bt_picture_form f = { cases[i].format, cases[i].quality, texts[k][0],
                                            texts[k][1] };
                write_and_read(&f, channels, cases[i].bound);
            }
}

static void texts_too_long_for_jpeg_are_left_out(void **state)
{
    (void)state;
    static char text[40000], settings[60000];
    bt_image in = soft_picture(3), out = { .struct_size = sizeof out };
    bt_picture_form f = { "jpeg", 0, text, settings };
    bt_texts t;
    memset(text, 'x', 20000);
    memset(settings, 'y', sizeof settings - 1);
    assert_int_equal(bt_picture_write(path, &in, &f, NULL), BT_OK);
    assert_int_equal(bt_picture_read(path, &out, &t, NULL), BT_OK);
    assert_string_equal(t.parameters, text);
    assert_null(t.settings);
    bt_release(out.pixels);
    bt_texts_free(&t);
    memset(text, 'x', sizeof text - 1);
    assert_int_equal(bt_picture_write(path, &in, &f, NULL), BT_OK);
    assert_int_equal(bt_picture_read(path, &out, &t, NULL), BT_OK);
    assert_null(t.parameters);
    bt_release(out.pixels);
    f.format = "webp";
    write_and_read(&f, 3, 8);
}

/* Where A1111 and everybody else look for it. */
static void the_user_comment_is_the_usual_one(void **state)
{
    (void)state;
    static const char want[] = "UNICODE\0\0g\0r\0\xfc\0n\0 \xd8\x3c\xdf\x4e\0!";
    bt_image in = soft_picture(3);
    const bt_picture_form f = { "jpeg", 0, "gr\xc3\xbcn \xf0\x9f\x8d\x8e!", NULL };
    static char file[1 << 16];
    assert_int_equal(bt_picture_write(path, &in, &f, NULL), BT_OK);
    FILE *s = fopen(path, "rb");
    const size_t n = fread(file, 1, sizeof file, s);
    fclose(s);
    assert_non_null(memmem(file, n, "Exif\0\0MM\0*", 10));
    assert_non_null(memmem(file, n, want, sizeof want - 1));
}

/* ---- files of other programs --------------------------------------------- */

static bt_status load(const char *name, bt_image *out, bt_texts *t)
{
    char file[512];
    bt_error e;
    snprintf(file, sizeof file, "%s/tests/fuzz/corpus/picture/%s", BT_SOURCE_DIR, name);
    *out = (bt_image){ .struct_size = sizeof *out };
    return bt_picture_read(file, out, t, &e);
}

/* The picture is red on the left and blue on the right, its upper half darker. */
static void check_corners(const char *name, int v_high, int tolerance)
{
    bt_image p;
    assert_int_equal(load(name, &p, NULL), BT_OK);
    assert_int_equal(p.width, 24);
    assert_int_equal(p.height, 16);
    const uint8_t *a = p.pixels + 3 * (2 * 24 + 2), *b = p.pixels + 3 * (13 * 24 + 21);
    const uint8_t dark_red[3] = { (uint8_t)(v_high / 2), 0, 0 },
                  blue[3] = { 0, 0, (uint8_t)v_high };
    if (distance(a, dark_red, 3) > tolerance || distance(b, blue, 3) > tolerance)
        fail_msg("%s: %d,%d,%d %d,%d,%d", name, a[0], a[1], a[2], b[0], b[1], b[2]);
    bt_release(p.pixels);
}

static void other_programs_files_are_read(void **state)
{
    (void)state;
    bt_image p;
    bt_texts t;
    check_corners("jpeg_rgb", 240, 16);
    check_corners("jpeg_progressive", 240, 24);
    check_corners("jpeg_cmyk", 240, 16);
    check_corners("webp_lossless", 240, 0);
    check_corners("webp_two", 240, 40);
    assert_int_equal(load("jpeg_grey", &p, NULL), BT_OK);
    assert_int_equal(p.channels, 1);
    bt_release(p.pixels);
    assert_int_equal(load("webp_alpha", &p, NULL), BT_OK); /* half of it is white */
    assert_in_range(p.pixels[0], 186, 188);
    assert_in_range(p.pixels[1], 126, 128);
    bt_release(p.pixels);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(load(i ? "webp_lossy" : "jpeg_rgb", &p, &t), BT_OK);
        assert_string_equal(t.parameters, TEXT);
        assert_null(t.settings);
        bt_release(p.pixels);
        bt_texts_free(&t);
    }
}

/* What stands at the upper left of the file is, by the Exif standard's table,
 * at: 2 upper right, 3 lower right, 4 lower left, 5 upper left, 6 upper right,
 * 7 lower right, 8 lower left; from 5 on with rows for columns. */
static void pictures_are_turned(void **state)
{
    (void)state;
    for (int o = 2; o <= 8; o++) {
        char name[32];
        bt_image p;
        snprintf(name, sizeof name, "jpeg_turned%d", o);
        assert_int_equal(load(name, &p, NULL), BT_OK);
        assert_int_equal(p.width, o < 5 ? 24 : 16);
        const bool right = o == 2 || o == 3 || o == 6 || o == 7;
        const bool low = o == 3 || o == 4 || o == 7 || o == 8;
        const int x = right ? p.width - 3 : 2, y = low ? p.height - 3 : 2;
        const uint8_t *at = p.pixels + 3 * (y * p.width + x), dark_red[3] = { 120, 0, 0 };
        if (distance(at, dark_red, 3) > 16)
            fail_msg("%s: %d,%d,%d", name, at[0], at[1], at[2]);
        bt_release(p.pixels);
    }
}

static void bad_files_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = { "jpeg_huge_sides", "jpeg_scans", "jpeg_start", "webp_start",
                                       "empty" };
    bt_image p;
    bt_texts t;
    bt_error e;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(load(bad[i], &p, &t), BT_EFORMAT);
        assert_null(p.pixels);
        assert_null(t.parameters);
    }
    assert_int_equal(load("jpeg_far_exif", &p, &t), BT_OK);
    bt_release(p.pixels);
    bt_texts_free(&t);
    /* Cut anywhere: an error, never a part of a picture. */
    for (int k = 0; k < 2; k++) {
        static uint8_t file[1 << 16];
        bt_image in = soft_picture(3);
        const bt_picture_form f = { k ? "webp" : "jpeg", 0, TEXT, NULL };
        assert_int_equal(bt_picture_write(path, &in, &f, NULL), BT_OK);
        FILE *s = fopen(path, "rb");
        const size_t n = fread(file, 1, sizeof file, s);
        fclose(s);
        for (size_t i = 0; i + 2 < n; i++)
            if (bt_picture_decode("cut", file, i, &p, NULL, &e) != BT_EFORMAT)
                fail_msg("cut at %zu of %zu", i, n);
    }
}

static void names_tell_the_format(void **state)
{
    (void)state;
    static const struct {
        const char *path, *format;
        int quality;
        bt_status want;
    } cases[] = {
        { "a.png", NULL, 0, BT_OK },       { "a.JPG", NULL, 100, BT_OK },
        { "a.b/c", NULL, 0, BT_OK },       { "a.gif", NULL, 0, BT_EINVAL },
        { "a.gif", "webp", 0, BT_OK },     { "a.png", "tiff", 0, BT_EINVAL },
        { "a.png", NULL, 101, BT_EINVAL }, { "a.png", NULL, -1, BT_EINVAL },
        { "a.", NULL, 0, BT_EINVAL },      { ".png", NULL, 0, BT_OK },
        { "a.pn", NULL, 0, BT_EINVAL },    { "a.webp", NULL, 1, BT_OK },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bt_error e;
        const bt_picture_form f = { cases[i].format, cases[i].quality, NULL, NULL };
        assert_int_equal(bt_picture_check(cases[i].path, &f, &e), cases[i].want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_format_comes_back),
        cmocka_unit_test(texts_too_long_for_jpeg_are_left_out),
        cmocka_unit_test(the_user_comment_is_the_usual_one),
        cmocka_unit_test(other_programs_files_are_read),
        cmocka_unit_test(pictures_are_turned),
        cmocka_unit_test(bad_files_are_refused),
        cmocka_unit_test(names_tell_the_format),
    };
    snprintf(path, sizeof path, "/tmp/bottega-picture-%ld", (long)getpid());
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    remove(path);
    return failed;
}
