/* SPDX-License-Identifier: MIT
 * WebP through libwebp; texts in an Exif chunk. Of an animation the first
 * picture is read. At quality 100 nothing is lost.
 */
#include <string.h>

#include <webp/decode.h>
#include <webp/encode.h>
#include <webp/mux.h>

#include "codecs.h"
#include "exif.h"

/* ---- writing ------------------------------------------------------------- */

static int take(const uint8_t *data, size_t n, const WebPPicture *p)
{
    bt_buf_add(p->custom_ptr, data, n);
    return !((bt_buf *)p->custom_ptr)->failed;
}

/* libwebp takes colours only. */
static uint8_t *to_rgb(const bt_image *img)
{
    const size_t n = (size_t)img->width * (size_t)img->height;
    uint8_t *rgb = bt_calloc(n, 3);
    for (size_t i = 0; rgb && i < n; i++)
        memset(rgb + 3 * i, img->pixels[i], 3);
    return rgb;
}

static bool set_up(WebPConfig *config, int quality)
{
    if (!WebPConfigInit(config))
        return false;
    config->quality = (float)quality;
    config->method = 4;
    return quality < 100 || WebPConfigLosslessPreset(config, 6);
}

static bt_status encode_pixels(const char *path, const bt_image *img, int quality, bt_buf *out,
                               bt_error *err)
{
    WebPConfig config;
    WebPPicture p;
    if (!set_up(&config, quality) || !WebPPictureInit(&p))
        return bt_fail(err, BT_EUNSUPPORTED, "cannot write %s: another libwebp", path);
    uint8_t *rgb = img->channels == 1 ? to_rgb(img) : img->pixels;
    p.use_argb = config.lossless;
    p.width = img->width;
    p.height = img->height;
    p.writer = take;
    p.custom_ptr = out;
    const bool ok = rgb && WebPPictureImportRGB(&p, rgb, 3 * img->width) && WebPEncode(&config, &p);
    WebPPictureFree(&p);
    if (rgb != img->pixels)
        bt_release(rgb);
    if (ok)
        return BT_OK;
    if (p.error_code == VP8_ENC_ERROR_BAD_DIMENSION)
        return bt_fail(err, BT_EUNSUPPORTED, "cannot write %s: WebP has at most %d pixels a side",
                       path, WEBP_MAX_DIMENSION);
    return bt_fail(err, BT_ENOMEM, "out of memory for %s", path);
}

static bool add_exif(const bt_buf *pixels, const bt_buf *exif, bt_buf *out)
{
    const WebPData picture = { (const uint8_t *)pixels->data, pixels->len };
    const WebPData block = { (const uint8_t *)exif->data, exif->len };
    WebPData all = { 0 };
    WebPMux *mux = WebPMuxNew();
    const bool ok = mux && WebPMuxSetImage(mux, &picture, 0) == WEBP_MUX_OK &&
                    WebPMuxSetChunk(mux, "EXIF", &block, 0) == WEBP_MUX_OK &&
                    WebPMuxAssemble(mux, &all) == WEBP_MUX_OK;
    if (ok)
        bt_buf_add(out, all.bytes, all.size);
    WebPDataClear(&all);
    WebPMuxDelete(mux);
    return ok;
}

bt_status bt_webp_encode(const char *path, const bt_image *img, const bt_picture_form *f,
                         bt_buf *out, bt_error *err)
{
    bt_buf pixels = { 0 }, exif = { 0 };
    bt_status st = encode_pixels(path, img, f->quality, &pixels, err);
    if (st == BT_OK)
        bt_exif_make(&exif, f->parameters, f->settings);
    if (st == BT_OK && exif.len == 0 && !exif.failed)
        bt_buf_add(out, pixels.data, pixels.len);
    else if (st == BT_OK && (exif.failed || !add_exif(&pixels, &exif, out)))
        st = bt_fail(err, BT_ENOMEM, "out of memory for %s", path);
    bt_buf_free(&pixels);
    bt_buf_free(&exif);
    return st;
}

/* ---- reading ------------------------------------------------------------- */

static bt_status unreadable(const char *path, VP8StatusCode code, bt_error *err)
{
    if (code == VP8_STATUS_OUT_OF_MEMORY)
        return bt_fail(err, BT_ENOMEM, "out of memory for %s", path);
    return bt_fail(err, BT_EFORMAT, "cannot read %s: %s", path,
                   code == VP8_STATUS_NOT_ENOUGH_DATA ? "the file ends too early"
                                                      : "a damaged WebP file");
}

/* Over white. */
static void drop_alpha(const uint8_t *rgba, uint8_t *rgb, size_t n)
{
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < 3; j++) {
            const int a = rgba[4 * i + 3];
            rgb[3 * i + j] = (uint8_t)((rgba[4 * i + j] * a + 255 * (255 - a) + 127) / 255);
        }
}

static bt_status decode_pixels(const char *path, const WebPData *d, bt_image *out, bt_error *err)
{
    WebPDecoderConfig config;
    if (!WebPInitDecoderConfig(&config))
        return bt_fail(err, BT_EUNSUPPORTED, "cannot read %s: another libwebp", path);
    VP8StatusCode code = WebPGetFeatures(d->bytes, d->size, &config.input);
    if (code != VP8_STATUS_OK)
        return unreadable(path, code, err);
    out->width = config.input.width;
    out->height = config.input.height;
    out->channels = 3;
    const size_t n = (size_t)out->width * (size_t)out->height;
    if (!bt_picture_fits((uint64_t)out->width, (uint64_t)out->height))
        return bt_fail(err, BT_EFORMAT, "cannot read %s: %s", path, BT_TOO_LARGE);
    uint8_t *rgba = bt_calloc(n, 4);
    out->pixels = bt_calloc(n, 3);
    if (!rgba || !out->pixels) {
        bt_release(rgba);
        return bt_fail(err, BT_ENOMEM, "out of memory for %s", path);
    }
    config.output.colorspace = MODE_RGBA;
    config.output.is_external_memory = 1;
    config.output.u.RGBA.rgba = rgba;
    config.output.u.RGBA.stride = 4 * out->width;
    config.output.u.RGBA.size = 4 * n;
    code = WebPDecode(d->bytes, d->size, &config);
    if (code == VP8_STATUS_OK)
        drop_alpha(rgba, out->pixels, n);
    WebPFreeDecBuffer(&config.output);
    bt_release(rgba);
    return code == VP8_STATUS_OK ? BT_OK : unreadable(path, code, err);
}

bt_status bt_webp_decode(const char *path, const uint8_t *data, size_t n, bt_image *out,
                         bt_texts *texts, bt_error *err)
{
    const WebPData file = { data, n };
    WebPData exif = { 0 };
    WebPMuxFrameInfo frame = { 0 };
    WebPMux *mux = WebPMuxCreate(&file, 0);
    int turn = 1;
    if (!mux)
        return unreadable(path, VP8_STATUS_BITSTREAM_ERROR, err);
    bt_status st = BT_OK;
    if (WebPMuxGetFrame(mux, 1, &frame) != WEBP_MUX_OK)
        st = unreadable(path, VP8_STATUS_BITSTREAM_ERROR, err);
    if (st == BT_OK)
        st = decode_pixels(path, &frame.bitstream, out, err);
    if (st == BT_OK && WebPMuxGetChunk(mux, "EXIF", &exif) == WEBP_MUX_OK &&
        (!bt_exif_read(exif.bytes, exif.size, &turn, texts) || !bt_exif_turn(out, turn)))
        st = bt_fail(err, BT_ENOMEM, "out of memory for %s", path);
    WebPDataClear(&frame.bitstream);
    WebPMuxDelete(mux);
    return st;
}
