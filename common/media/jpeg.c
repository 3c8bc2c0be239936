/* SPDX-License-Identifier: MIT
 * JPEG through libjpeg-turbo. Its error handler would end the program: here it
 * jumps back, and what must survive the jump lives in a struct of the caller.
 *
 * Texts go into an Exif block, which must fit into one segment.
 */
#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include <jerror.h>
#include <jpeglib.h>

#include "codecs.h"
#include "exif.h"

enum {
    MAX_SEGMENT = 65533, /* bytes of a marker's data */
    MAX_SCANS = 200,     /* a progressive file may have thousands, to keep its reader busy */
    PIECE = 1 << 16,
};

typedef struct codec {
    struct jpeg_error_mgr errors; /* first: libjpeg hands out a pointer to it */
    struct jpeg_progress_mgr progress;
    struct jpeg_destination_mgr to;
    struct jpeg_source_mgr from;
    jmp_buf jump;
    const char *path, *verb;
    bt_error *err;
    bt_status st;
    struct jpeg_decompress_struct d;
    struct jpeg_compress_struct c;
    bt_buf *out;
    uint8_t *row;
    JOCTET piece[PIECE];
} codec;

static void fail(codec *k, bt_status st, const char *what)
{
    k->st = bt_fail(k->err, st, "%s %s: %s", k->verb, k->path, what);
    longjmp(k->jump, 1);
}

static void on_error(j_common_ptr j)
{
    char what[JMSG_LENGTH_MAX];
    codec *k = (codec *)(void *)j->err;
    j->err->format_message(j, what);
    fail(k, j->err->msg_code == JERR_OUT_OF_MEMORY ? BT_ENOMEM : BT_EFORMAT, what);
}

static void on_message(j_common_ptr j, int level) { (void)j, (void)level; }

static void start(codec *k)
{
    jpeg_std_error(&k->errors);
    k->errors.error_exit = on_error;
    k->errors.emit_message = on_message;
}

/* ---- writing ------------------------------------------------------------- */

static void to_init(j_compress_ptr c)
{
    codec *k = (codec *)(void *)c->err;
    k->to.next_output_byte = k->piece;
    k->to.free_in_buffer = PIECE;
}

static boolean to_empty(j_compress_ptr c)
{
    codec *k = (codec *)(void *)c->err;
    bt_buf_add(k->out, k->piece, PIECE);
    to_init(c);
    return TRUE;
}

static void to_end(j_compress_ptr c)
{
    codec *k = (codec *)(void *)c->err;
    bt_buf_add(k->out, k->piece, PIECE - k->to.free_in_buffer);
}

/* The largest block that fits: both texts, the parameters alone, none. */
static void put_texts(codec *k, const bt_picture_form *f)
{
    const char *settings = f->settings;
    bt_buf b = { 0 };
    for (int i = 0; i < 2; i++, settings = NULL) {
        bt_buf_free(&b);
        bt_buf_add(&b, "Exif\0", 6);
        bt_exif_make(&b, f->parameters, settings);
        if (!b.failed && b.len > 6 && b.len <= MAX_SEGMENT) {
            jpeg_write_marker(&k->c, JPEG_APP0 + 1, (const JOCTET *)b.data, (unsigned)b.len);
            break;
        }
    }
    k->out->failed |= b.failed;
    bt_buf_free(&b);
}

static void encode(codec *k, const bt_image *img, const bt_picture_form *f)
{
    const size_t stride = (size_t)img->width * (size_t)img->channels;
    if (setjmp(k->jump))
        return;
    jpeg_create_compress(&k->c);
    k->c.dest = &k->to;
    k->c.image_width = (JDIMENSION)img->width;
    k->c.image_height = (JDIMENSION)img->height;
    k->c.input_components = img->channels;
    k->c.in_color_space = img->channels == 1 ? JCS_GRAYSCALE : JCS_RGB;
    jpeg_set_defaults(&k->c);
    jpeg_set_quality(&k->c, f->quality, TRUE);
    k->c.optimize_coding = TRUE;
    jpeg_start_compress(&k->c, TRUE);
    put_texts(k, f);
    while (k->c.next_scanline < k->c.image_height) {
        JSAMPROW row = img->pixels + k->c.next_scanline * stride;
        jpeg_write_scanlines(&k->c, &row, 1);
    }
    jpeg_finish_compress(&k->c);
}

bt_status bt_jpeg_encode(const char *path, const bt_image *img, const bt_picture_form *f,
                         bt_buf *out, bt_error *err)
{
    codec *k = bt_calloc(1, sizeof *k);
    if (!k)
        return bt_fail(err, BT_ENOMEM, "out of memory for %s", path);
    k->path = path, k->verb = "cannot write", k->err = err, k->out = out;
    start(k);
    k->c.err = &k->errors;
    k->to = (struct jpeg_destination_mgr){ .init_destination = to_init,
                                           .empty_output_buffer = to_empty,
                                           .term_destination = to_end };
    encode(k, img, f);
    jpeg_destroy_compress(&k->c);
    const bt_status st = k->st;
    bt_release(k);
    return st;
}

/* ---- reading ------------------------------------------------------------- */

static void from_nothing(j_decompress_ptr d) { (void)d; }

/* All bytes were there from the start. */
static boolean from_end(j_decompress_ptr d)
{
    fail((codec *)(void *)d->err, BT_EFORMAT, "the file ends too early");
    return FALSE;
}

static void from_skip(j_decompress_ptr d, long n)
{
    if (n < 0 || (size_t)n > d->src->bytes_in_buffer)
        from_end(d);
    d->src->next_input_byte += n;
    d->src->bytes_in_buffer -= (size_t)n;
}

static void on_progress(j_common_ptr j)
{
    if (((j_decompress_ptr)j)->input_scan_number > MAX_SCANS)
        fail((codec *)(void *)j->err, BT_EFORMAT, "too many scans");
}

/* Four inks, inverted in the files of Adobe's programs, which are all there are. */
static void from_inks(const uint8_t *cmyk, uint8_t *rgb, size_t n, bool inverted)
{
    for (size_t i = 0; i < 4 * n; i += 4, rgb += 3)
        for (size_t j = 0; j < 3; j++) {
            const int ink = cmyk[i + j], black = cmyk[i + 3];
            rgb[j] = (uint8_t)((inverted ? ink * black : (255 - ink) * (255 - black)) / 255);
        }
}

static void read_header(codec *k, bt_image *out)
{
    struct jpeg_decompress_struct *d = &k->d;
    jpeg_save_markers(d, JPEG_APP0 + 1, MAX_SEGMENT);
    jpeg_read_header(d, TRUE);
    if (!bt_picture_fits(d->image_width, d->image_height))
        fail(k, BT_EFORMAT, BT_TOO_LARGE);
    if (d->num_components == 1)
        d->out_color_space = JCS_GRAYSCALE;
    else if (d->num_components == 4)
        d->out_color_space = JCS_CMYK;
    else
        d->out_color_space = JCS_RGB;
    out->width = (int)d->image_width;
    out->height = (int)d->image_height;
    out->channels = d->num_components == 1 ? 1 : 3;
}

/* What the Exif block says: texts, and which way up. */
static void read_exif(codec *k, bt_image *out, bt_texts *texts)
{
    int turn = 1, all = 1;
    bool ok = true;
    for (jpeg_saved_marker_ptr m = k->d.marker_list; m && ok; m = m->next) {
        ok = bt_exif_read(m->data, m->data_length, &turn, texts);
        all = all > 1 ? all : turn;
    }
    if (!ok || !bt_exif_turn(out, all))
        k->st = bt_fail(k->err, BT_ENOMEM, "out of memory for %s", k->path);
}

static void decode(codec *k, bt_image *out, bt_texts *texts)
{
    struct jpeg_decompress_struct *d = &k->d;
    if (setjmp(k->jump))
        return;
    jpeg_create_decompress(d);
    d->src = &k->from;
    d->progress = &k->progress;
    k->progress.progress_monitor = on_progress;
    read_header(k, out);
    const size_t width = (size_t)out->width, stride = width * (size_t)out->channels;
    out->pixels = bt_calloc((size_t)out->height, stride);
    k->row = bt_calloc(width, 4);
    if (!out->pixels || !k->row)
        fail(k, BT_ENOMEM, "out of memory");
    jpeg_start_decompress(d);
    while (d->output_scanline < d->output_height) {
        uint8_t *to = out->pixels + d->output_scanline * stride;
        JSAMPROW row = d->num_components == 4 ? k->row : to;
        jpeg_read_scanlines(d, &row, 1);
        if (d->num_components == 4)
            from_inks(k->row, to, width, d->saw_Adobe_marker);
    }
    read_exif(k, out, texts); /* markers go with the end */
    jpeg_finish_decompress(d);
}

bt_status bt_jpeg_decode(const char *path, const uint8_t *data, size_t n, bt_image *out,
                         bt_texts *texts, bt_error *err)
{
    codec *k = bt_calloc(1, sizeof *k);
    if (!k)
        return bt_fail(err, BT_ENOMEM, "out of memory for %s", path);
    k->path = path, k->verb = "cannot read", k->err = err;
    start(k);
    k->d.err = &k->errors;
    k->from = (struct jpeg_source_mgr){ .next_input_byte = data,
                                        .bytes_in_buffer = n,
                                        .init_source = from_nothing,
                                        .fill_input_buffer = from_end,
                                        .skip_input_data = from_skip,
                                        .resync_to_restart = jpeg_resync_to_restart,
                                        .term_source = from_nothing };
    decode(k, out, texts);
    jpeg_destroy_decompress(&k->d);
    const bt_status st = k->st;
    bt_release(k->row);
    bt_release(k);
    return st;
}
