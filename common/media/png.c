/* SPDX-License-Identifier: MIT
 * PNG through libpng. Its errors come back by longjmp: everything that must
 * survive one lives in a struct of the caller (codec), and the two functions that
 * call setjmp hold nothing of their own.
 *
 * A picture may come from a stranger: sides, pixels, texts and the size of a
 * chunk are bounded before libpng takes memory for them.
 */
#include "png.h"

#include <png.h>
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"

#define KEY "parameters"

enum {
    MAX_SIDE = 16384,
    MAX_PIXELS = 1 << 26,
    MAX_CHUNK = 16 << 20, /* bytes of one chunk once inflated; a text of a megabyte fits */
    MAX_TEXTS = 64,
};

typedef struct codec {
    const char *path, *verb;
    bt_error *err;
    bt_status st;
    png_structp png;
    png_infop info;
    bt_map map; /* reading */
    size_t pos;
    FILE *f; /* writing */
    png_bytep *rows;
    uint8_t *pixels;
    char *text;
} codec;

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

static void to_file(png_structp png, png_bytep data, size_t n)
{
    codec *c = png_get_io_ptr(png);
    if (fwrite(data, 1, n, c->f) == n)
        return;
    c->st = bt_fail(c->err, BT_EIO, "cannot write %s", c->path);
    png_error(png, "cannot write");
}

static void flush_file(png_structp png) { (void)png; /* bt_out_commit flushes */ }

/* Bytes of a UTF-8 character by its first one; 0: no character starts so. */
static int character_bytes(unsigned char c)
{
    if (c < 0x80)
        return 1;
    if (c < 0xc2 || c > 0xf4)
        return 0;
    return c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
}

/* Ill-formed UTF-8 would make the file's iTXt chunk ill-formed. */
static char *clean_text(const char *s, bool *ascii)
{
    char *t = bt_strdup(s);
    *ascii = true;
    for (unsigned char *p = (unsigned char *)t; p && *p;) {
        const int n = character_bytes(*p);
        int k = 1;
        while (k < n && (p[k] & 0xc0) == 0x80)
            k++;
        if (n == 0 || k < n)
            *p = '?', k = 1;
        else if (n > 1)
            *ascii = false;
        p += k;
    }
    return t;
}

/* The `parameters` chunk: tEXt holds Latin-1, so anything beyond ASCII needs iTXt. */
static void put_text(codec *c, const char *text)
{
    bool ascii;
    c->text = clean_text(text, &ascii);
    if (!c->text)
        fail_memory(c);
    png_text t = { .key = (png_charp)(uintptr_t)KEY, .text = c->text };
    t.compression = ascii ? PNG_TEXT_COMPRESSION_NONE : PNG_ITXT_COMPRESSION_NONE;
    if (ascii)
        t.text_length = strlen(c->text);
    else
        t.itxt_length = strlen(c->text);
    png_set_text(c->png, c->info, &t, 1);
}

/* Everything that can longjmp. */
static void encode(codec *c, const bt_image *img, const char *text)
{
    if (setjmp(png_jmpbuf(c->png)))
        return;
    png_set_write_fn(c->png, c, to_file, flush_file);
    const int colour = img->channels == 1 ? PNG_COLOR_TYPE_GRAY : PNG_COLOR_TYPE_RGB;
    png_set_IHDR(c->png, c->info, (png_uint_32)img->width, (png_uint_32)img->height, 8, colour,
                 PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    if (text && *text)
        put_text(c, text);
    png_write_info(c->png, c->info);
    png_write_image(c->png, c->rows);
    png_write_end(c->png, NULL);
}

bt_status bt_png_write(const char *path, const bt_image *img, const char *text, bt_error *err)
{
    if (!img->pixels || (img->channels != 1 && img->channels != 3) || img->width < 1 ||
        img->height < 1 || img->width > MAX_SIDE || img->height > MAX_SIDE)
        return bt_fail(err, BT_EINVAL, "cannot write %s: not a picture of 1 or 3 channels", path);
    bt_out out;
    codec c = { .path = path, .verb = "cannot write", .err = err };
    c.st = bt_out_open(path, &out, err);
    if (c.st != BT_OK)
        return c.st;
    c.f = out.f;
    c.png = png_create_write_struct(PNG_LIBPNG_VER_STRING, &c, on_error, on_warning);
    c.info = c.png ? png_create_info_struct(c.png) : NULL;
    const size_t row = (size_t)img->width * (size_t)img->channels;
    if (!c.info || !make_rows(&c, (size_t)img->height, row, img->pixels))
        c.st = bt_fail(err, BT_ENOMEM, "out of memory for %s", path);
    else
        encode(&c, img, text);
    png_destroy_write_struct(&c.png, &c.info);
    bt_release(c.rows);
    bt_release(c.text);
    if (c.st == BT_OK)
        return bt_out_commit(&out, err);
    bt_out_abort(&out);
    return c.st;
}

/* ---- reading ------------------------------------------------------------- */

static void from_map(png_structp png, png_bytep data, size_t n)
{
    codec *c = png_get_io_ptr(png);
    if (n > c->map.size - c->pos)
        png_error(png, "the file ends too early");
    memcpy(data, c->map.data + c->pos, n);
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

/* The first `parameters` text of the file, of any of the three kinds of chunk. */
static void get_text(codec *c)
{
    png_textp t;
    int n = 0;
    png_get_text(c->png, c->info, &t, &n);
    for (int i = 0; i < n && !c->text; i++) {
        if (strcmp(t[i].key, KEY) != 0 || !t[i].text)
            continue;
        c->text = bt_strdup(t[i].text);
        if (!c->text)
            fail_memory(c);
    }
}

static void decode(codec *c, bt_image *out)
{
    if (setjmp(png_jmpbuf(c->png)))
        return;
    png_set_read_fn(c->png, c, from_map);
    png_set_user_limits(c->png, MAX_SIDE, MAX_SIDE);
    png_set_chunk_malloc_max(c->png, MAX_CHUNK);
    png_set_chunk_cache_max(c->png, MAX_TEXTS);
    png_read_info(c->png, c->info);
    set_transforms(c);
    const size_t row = png_get_rowbytes(c->png, c->info);
    out->width = (int)png_get_image_width(c->png, c->info);
    out->height = (int)png_get_image_height(c->png, c->info);
    out->channels = png_get_channels(c->png, c->info);
    if (row != (size_t)out->width * (size_t)out->channels ||
        (out->channels != 1 && out->channels != 3))
        png_error(c->png, "a kind of PNG that is not supported");
    if ((size_t)out->width * (size_t)out->height > MAX_PIXELS)
        png_error(c->png, "too large");
    c->pixels = bt_calloc((size_t)out->height, row);
    if (!c->pixels)
        fail_memory(c);
    if (!make_rows(c, (size_t)out->height, row, c->pixels))
        fail_memory(c);
    png_read_image(c->png, c->rows);
    png_read_end(c->png, c->info);
    get_text(c);
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

bt_status bt_png_decode(const char *name, const uint8_t *data, size_t n, bt_image *out, char **text,
                        bt_error *err)
{
    codec c = {
        .path = name, .verb = "cannot read", .err = err, .map = { .data = data, .size = n }
    };
    bt_image img = { .struct_size = out->struct_size };
    if (text)
        *text = NULL;
    if (n < 8 || png_sig_cmp(data, 0, 8) != 0) {
        c.st = bt_fail(err, BT_EFORMAT, "cannot read %s: not a PNG file", name);
    } else if (!chunks_fit(data, n)) {
        c.st = bt_fail(err, BT_EFORMAT, "cannot read %s: the file ends too early", name);
    } else {
        c.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &c, on_error, on_warning);
        c.info = c.png ? png_create_info_struct(c.png) : NULL;
        if (!c.info)
            c.st = bt_fail(err, BT_ENOMEM, "out of memory for %s", name);
        else
            decode(&c, &img);
        png_destroy_read_struct(&c.png, &c.info, NULL);
    }
    bt_release(c.rows);
    const bool ok = c.st == BT_OK;
    *out = ok ? img : (bt_image){ .struct_size = img.struct_size };
    out->pixels = ok ? c.pixels : NULL;
    if (!ok)
        bt_release(c.pixels);
    if (ok && text)
        *text = c.text;
    else
        bt_release(c.text);
    return c.st;
}

bt_status bt_png_read(const char *path, bt_image *out, char **text, bt_error *err)
{
    bt_map map;
    *out = (bt_image){ .struct_size = out->struct_size };
    if (text)
        *text = NULL;
    bt_status st = bt_map_open(path, &map, err);
    if (st != BT_OK)
        return st;
    st = bt_png_decode(path, map.data, map.size, out, text, err);
    bt_map_close(&map);
    return st;
}
