/* SPDX-License-Identifier: MIT
 * PNG through libpng. Its errors come back by longjmp: everything that must
 * survive one lives in a struct of the caller (codec), and the two functions that
 * call setjmp hold nothing of their own.
 *
 * A picture may come from a stranger: sides, pixels, texts and the size of a
 * chunk are bounded before libpng takes memory for them.
 */
#include <png.h>
#include <string.h>

#include "codecs.h"
#include "letters.h"

enum {
    MAX_CHUNK = 16 << 20, /* bytes of one chunk once inflated; a text of a megabyte fits */
    MAX_TEXTS = 64,
};

typedef struct codec {
    const char *path, *verb;
    bt_error *err;
    bt_status st;
    png_structp png;
    png_infop info;
    const uint8_t *data; /* reading */
    size_t size, pos;
    bt_buf *out; /* writing */
    bt_buf text;
    png_bytep *rows;
    bt_texts *texts;
} codec;

#define PARAMETERS "parameters"
#define SETTINGS   "bottega"

/* Keeps the first failure; libpng may not return from an error. */
static void on_error(png_structp png, png_const_charp what)
{
    codec *c = png_get_error_ptr(png);
    if (c->st == BT_OK)
        c->st = bt_fail(c->err, BT_EFORMAT, "%s %s: %s", c->verb, c->path, what);
    png_longjmp(png, 1);
}

static void on_warning(png_structp png, png_const_charp what)
{
    (void)png;
    (void)what;
}

/* Does not return. */
static void fail_memory(codec *c)
{
    c->st = bt_fail(c->err, BT_ENOMEM, "out of memory for %s", c->path);
    png_error(c->png, "out of memory");
}

/* libpng takes a picture as pointers to its rows. */
static bool make_rows(codec *c, size_t height, size_t row_bytes, const uint8_t *pixels)
{
    size_t n;
    if (!bt_mul_ok(height, sizeof *c->rows, &n))
        return false;
    c->rows = bt_alloc(n);
    if (!c->rows)
        return false;
    for (size_t y = 0; y < height; y++)
        c->rows[y] = (png_bytep)(uintptr_t)(pixels + y * row_bytes);
    return true;
}

/* ---- writing ------------------------------------------------------------- */

static void to_buffer(png_structp png, png_bytep data, size_t n)
{
    bt_buf_add(((codec *)png_get_io_ptr(png))->out, data, n);
}

static void flush_buffer(png_structp png) { (void)png; }

/* tEXt holds Latin-1, so anything beyond ASCII needs iTXt. */
static void put_text(codec *c, const char *key, const char *text)
{
    if (!text)
        return;
    bt_buf_free(&c->text);
    bt_letters_clean(&c->text, (const uint8_t *)text, strlen(text));
    if (c->text.failed)
        fail_memory(c);
    png_text t = { .key = (png_charp)(uintptr_t)key, .text = c->text.data };
    const bool ascii = bt_letters_ascii(c->text.data);
    t.compression = ascii ? PNG_TEXT_COMPRESSION_NONE : PNG_ITXT_COMPRESSION_NONE;
    if (ascii)
        t.text_length = c->text.len;
    else
        t.itxt_length = c->text.len;
    png_set_text(c->png, c->info, &t, 1);
}

/* Everything that can longjmp. */
static void encode(codec *c, const bt_image *img, const bt_picture_form *f)
{
    if (setjmp(png_jmpbuf(c->png)))
        return;
    png_set_write_fn(c->png, c, to_buffer, flush_buffer);
    const int colour = img->channels == 1 ? PNG_COLOR_TYPE_GRAY : PNG_COLOR_TYPE_RGB;
    png_set_IHDR(c->png, c->info, (png_uint_32)img->width, (png_uint_32)img->height, 8, colour,
                 PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    put_text(c, PARAMETERS, f->parameters);
    put_text(c, SETTINGS, f->settings);
    png_write_info(c->png, c->info);
    png_write_image(c->png, c->rows);
    png_write_end(c->png, NULL);
}

bt_status bt_png_encode(const char *path, const bt_image *img, const bt_picture_form *f,
                        bt_buf *out, bt_error *err)
{
    codec c = { .path = path, .verb = "cannot write", .err = err, .out = out };
    c.png = png_create_write_struct(PNG_LIBPNG_VER_STRING, &c, on_error, on_warning);
    c.info = c.png ? png_create_info_struct(c.png) : NULL;
    const size_t row = (size_t)img->width * (size_t)img->channels;
    if (!c.info || !make_rows(&c, (size_t)img->height, row, img->pixels))
        c.st = bt_fail(err, BT_ENOMEM, "out of memory for %s", path);
    else
        encode(&c, img, f);
    png_destroy_write_struct(&c.png, &c.info);
    bt_release(c.rows);
    bt_buf_free(&c.text);
    return c.st;
}

/* ---- reading ------------------------------------------------------------- */

static void from_memory(png_structp png, png_bytep data, size_t n)
{
    codec *c = png_get_io_ptr(png);
    if (n > c->size - c->pos)
        png_error(png, "the file ends too early");
    memcpy(data, c->data + c->pos, n);
    c->pos += n;
}

/* Asks libpng for 8-bit grey or RGB without transparency. */
static void set_transforms(codec *c)
{
    const int colour = png_get_color_type(c->png, c->info);
    const bool clear =
        (colour & PNG_COLOR_MASK_ALPHA) || png_get_valid(c->png, c->info, PNG_INFO_tRNS);
    png_set_scale_16(c->png);
    png_set_expand(c->png);
    if (clear) {
        png_color_16 white = { .red = 255, .green = 255, .blue = 255, .gray = 255 };
        png_set_background(c->png, &white, PNG_BACKGROUND_GAMMA_SCREEN, 0, 1.0);
    }
    png_set_interlace_handling(c->png);
    png_read_update_info(c->png, c->info);
}

static void take_text(codec *c, const png_text *t, char **to)
{
    const uint8_t *s = (const uint8_t *)t->text;
    bt_buf b = { 0 };
    if (t->compression >= PNG_ITXT_COMPRESSION_NONE)
        bt_letters_clean(&b, s, strlen(t->text));
    else
        bt_letters_latin1(&b, s, strlen(t->text));
    *to = bt_buf_take(&b);
    if (!*to)
        fail_memory(c);
}

/* The first text of each key, of any of the three kinds of chunk. */
static void get_texts(codec *c)
{
    png_textp t;
    int n = 0;
    png_get_text(c->png, c->info, &t, &n);
    for (int i = 0; i < n; i++) {
        if (strcmp(t[i].key, PARAMETERS) == 0 && t[i].text && !c->texts->parameters)
            take_text(c, &t[i], &c->texts->parameters);
        else if (strcmp(t[i].key, SETTINGS) == 0 && t[i].text && !c->texts->settings)
            take_text(c, &t[i], &c->texts->settings);
    }
}

static void decode(codec *c, bt_image *out)
{
    if (setjmp(png_jmpbuf(c->png)))
        return;
    png_set_read_fn(c->png, c, from_memory);
    png_set_user_limits(c->png, PNG_UINT_31_MAX, PNG_UINT_31_MAX); /* ours says what is wrong */
    png_set_chunk_malloc_max(c->png, MAX_CHUNK);
    png_set_chunk_cache_max(c->png, MAX_TEXTS);
    png_read_info(c->png, c->info);
    if (!bt_picture_fits(png_get_image_width(c->png, c->info),
                         png_get_image_height(c->png, c->info)))
        png_error(c->png, BT_TOO_LARGE);
    set_transforms(c);
    const size_t row = png_get_rowbytes(c->png, c->info);
    out->width = (int)png_get_image_width(c->png, c->info);
    out->height = (int)png_get_image_height(c->png, c->info);
    out->channels = png_get_channels(c->png, c->info);
    if (row != (size_t)out->width * (size_t)out->channels ||
        (out->channels != 1 && out->channels != 3))
        png_error(c->png, "a kind of PNG that is not supported");
    out->pixels = bt_calloc((size_t)out->height, row);
    if (!out->pixels || !make_rows(c, (size_t)out->height, row, out->pixels))
        fail_memory(c);
    png_read_image(c->png, c->rows);
    png_read_end(c->png, c->info);
    get_texts(c);
}

/* Whether every chunk lies inside the file: libpng reserves memory for a chunk's
 * stated size before it reads. A file may go on behind its IEND. */
static bool chunks_fit(const uint8_t *data, size_t n)
{
    for (size_t pos = 8; n - pos >= 12;) {
        const uint8_t *p = data + pos;
        const uint32_t size = (uint32_t)p[0] << 24 | p[1] << 16 | p[2] << 8 | p[3];
        if (size > n - pos - 12)
            return false;
        if (memcmp(p + 4, "IEND", 4) == 0)
            return true;
        pos += 12 + (size_t)size;
    }
    return false;
}

bt_status bt_png_decode(const char *path, const uint8_t *data, size_t n, bt_image *out,
                        bt_texts *texts, bt_error *err)
{
    codec c = {
        .path = path, .verb = "cannot read", .err = err, .data = data, .size = n, .texts = texts
    };
    if (n < 8 || png_sig_cmp(data, 0, 8) != 0)
        return bt_fail(err, BT_EFORMAT, "cannot read %s: not a PNG file", path);
    if (!chunks_fit(data, n))
        return bt_fail(err, BT_EFORMAT, "cannot read %s: the file ends too early", path);
    c.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &c, on_error, on_warning);
    c.info = c.png ? png_create_info_struct(c.png) : NULL;
    if (!c.info)
        c.st = bt_fail(err, BT_ENOMEM, "out of memory for %s", path);
    else
        decode(&c, out);
    png_destroy_read_struct(&c.png, &c.info, NULL);
    bt_release(c.rows);
    return c.st;
}
