/* SPDX-License-Identifier: MIT */
#include "picture.h"

#include <string.h>
#include <strings.h>

#include "base/file.h"
#include "codecs.h"

typedef struct codec {
    const char *names; /* each ends with a comma */
    bool (*is)(const uint8_t *data, size_t n);
    bt_status (*encode)(const char *name, const bt_image *img, const bt_picture_form *f,
                        bt_buf *out, bt_error *err);
    bt_status (*decode)(const char *name, const uint8_t *data, size_t n, bt_image *out,
                        bt_texts *texts, bt_error *err);
} codec;

static bool is_jpeg(const uint8_t *p, size_t n) { return n >= 3 && !memcmp(p, "\xff\xd8\xff", 3); }

static bool is_png(const uint8_t *p, size_t n) { return n >= 4 && !memcmp(p, "\x89PNG", 4); }

static bool is_webp(const uint8_t *p, size_t n)
{
    return n >= 12 && !memcmp(p, "RIFF", 4) && !memcmp(p + 8, "WEBP", 4);
}

static const codec codecs[] = {
    { "png,", is_png, bt_png_encode, bt_png_decode },
    { "jpeg,jpg,jpe,", is_jpeg, bt_jpeg_encode, bt_jpeg_decode },
    { "webp,", is_webp, bt_webp_encode, bt_webp_decode },
};
enum { CODECS = sizeof codecs / sizeof *codecs };

void bt_texts_free(bt_texts *t)
{
    bt_release(t->parameters);
    bt_release(t->settings);
    *t = (bt_texts){ 0 };
}

/* ---- writing ------------------------------------------------------------- */

static const codec *by_name(const char *name)
{
    const size_t n = strlen(name);
    for (int i = 0; i < CODECS; i++)
        for (const char *p = codecs[i].names; *p; p += strcspn(p, ",") + 1)
            if (strcspn(p, ",") == n && strncasecmp(p, name, n) == 0)
                return &codecs[i];
    return NULL;
}

static const codec *codec_of(const char *path, const bt_picture_form *f, bt_error *err)
{
    const char *slash = strrchr(path, '/'), *dot = strrchr(path, '.');
    const char *name = f->format ? f->format : "png";
    if (!f->format && dot && dot > (slash ? slash + 1 : path))
        name = dot + 1;
    const codec *c = by_name(name);
    if (!c)
        bt_fail(err, BT_EINVAL, "%s: pictures are written as png, jpeg or webp, not as %.20s", path,
                name);
    return c;
}

bt_status bt_picture_check(const char *path, const bt_picture_form *f, bt_error *err)
{
    if (!codec_of(path, f, err))
        return BT_EINVAL;
    if (f->quality < 0 || f->quality > 100)
        return bt_fail(err, BT_EINVAL, "%s: quality %d is not between 1 and 100", path, f->quality);
    return BT_OK;
}

bt_status bt_picture_write(const char *path, const bt_image *img, const bt_picture_form *form,
                           bt_error *err)
{
    bt_buf bytes = { 0 };
    bt_picture_form f = *form;
    bt_out out;
    bt_status st = bt_picture_check(path, &f, err);
    if (st != BT_OK)
        return st;
    if (!img->pixels || (img->channels != 1 && img->channels != 3) || img->width < 1 ||
        img->height < 1 || img->width > BT_MAX_SIDE || img->height > BT_MAX_SIDE)
        return bt_fail(err, BT_EINVAL, "cannot write %s: not a picture of 1 or 3 channels", path);
    f.quality = f.quality ? f.quality : 90;
    f.parameters = f.parameters && *f.parameters ? f.parameters : NULL;
    f.settings = f.settings && *f.settings ? f.settings : NULL;
    st = codec_of(path, &f, err)->encode(path, img, &f, &bytes, err);
    if (st == BT_OK && bytes.failed)
        st = bt_fail(err, BT_ENOMEM, "out of memory for %s", path);
    if (st == BT_OK)
        st = bt_out_open(path, &out, err);
    if (st == BT_OK) {
        fwrite(bytes.data, 1, bytes.len, out.f); /* bt_out_commit sees a failure */
        st = bt_out_commit(&out, err);
    }
    bt_buf_free(&bytes);
    return st;
}

/* ---- reading ------------------------------------------------------------- */

bt_status bt_picture_decode(const char *name, const uint8_t *data, size_t n, bt_image *out,
                            bt_texts *texts, bt_error *err)
{
    bt_image img = { .struct_size = out->struct_size };
    bt_texts found = { 0 };
    bt_status st = BT_EFORMAT;
    int i = 0;
    while (i < CODECS && !codecs[i].is(data, n))
        i++;
    if (i < CODECS)
        st = codecs[i].decode(name, data, n, &img, &found, err);
    else
        bt_fail(err, st, "cannot read %s: not a PNG, JPEG or WebP file", name);
    if (st != BT_OK) {
        bt_release(img.pixels);
        img = (bt_image){ .struct_size = out->struct_size };
    }
    *out = img;
    if (!texts || st != BT_OK)
        bt_texts_free(&found);
    if (texts)
        *texts = found;
    return st;
}

bt_status bt_picture_read(const char *path, bt_image *out, bt_texts *texts, bt_error *err)
{
    bt_map map;
    *out = (bt_image){ .struct_size = out->struct_size };
    if (texts)
        *texts = (bt_texts){ 0 };
    bt_status st = bt_map_open(path, &map, err);
    if (st != BT_OK)
        return st;
    st = bt_picture_decode(path, map.data, map.size, out, texts, err);
    bt_map_close(&map);
    return st;
}
