/* SPDX-License-Identifier: MIT
 * Pictures and sound to and from files, for hosts that have no code of their own.
 */
#include "base/alloc.h"
#include "engine/handles.h"
#include "media/picture.h"
#include "media/sound.h"

static bt_status write_image(const char *path, const bt_image *img, const bt_image_file *file,
                             bt_error *err)
{
    bt_image copy;
    bt_image_file f = { 0 };
    if ((img && !bt_struct_in(&copy, sizeof copy, img)) ||
        (file && !bt_struct_in(&f, sizeof f, file)))
        return bt_fail(err, BT_EINVAL, "struct_size is not set");
    const bt_picture_form form = { f.format, f.quality, f.text, f.settings };
    return img ? bt_picture_write(path, &copy, &form, err) : bt_picture_check(path, &form, err);
}

bt_status bt_image_save(bt_engine *e, const char *path, const bt_image *img,
                        const bt_image_file *file)
{
    if (!e || !path)
        return BT_EINVAL;
    const locale_t host = bt_enter(e);
    const bt_status st = write_image(path, img, file, bt_engine_error(e));
    bt_leave(host);
    return st;
}

static bt_status read_image(const char *path, bt_image *out, bt_texts *texts, bt_error *err)
{
    bt_image img = { .struct_size = sizeof img };
    if (out && !bt_struct_out(out, &img, sizeof img))
        return bt_fail(err, BT_EINVAL, "struct_size is not set");
    const bt_status st = bt_picture_read(path, &img, texts, err);
    if (out && st == BT_OK)
        bt_struct_out(out, &img, sizeof img);
    else
        bt_release(img.pixels);
    return st;
}

/* Moves a text to where it is wanted. */
static void give_text(char **from, char **to)
{
    if (!to)
        return;
    *to = *from;
    *from = NULL;
}

bt_status bt_image_load(bt_engine *e, const char *path, bt_image *out, char **text, char **settings)
{
    bt_texts texts = { 0 };
    bt_status st = BT_EINVAL;
    if (e && path) {
        const locale_t host = bt_enter(e);
        st = read_image(path, out, text || settings ? &texts : NULL, bt_engine_error(e));
        bt_leave(host);
    }
    give_text(&texts.parameters, text);
    give_text(&texts.settings, settings);
    bt_texts_free(&texts);
    return st;
}

bt_status bt_audio_save(bt_engine *e, const char *path, const bt_audio *audio)
{
    bt_audio copy;
    if (!e || !path || !audio)
        return BT_EINVAL;
    const locale_t host = bt_enter(e);
    bt_error *err = bt_engine_error(e);
    const bt_status st = bt_struct_in(&copy, sizeof copy, audio)
                             ? bt_sound_write(path, &copy, err)
                             : bt_fail(err, BT_EINVAL, "struct_size is not set");
    bt_leave(host);
    return st;
}

struct bt_audio_writer {
    bt_engine *engine;
    bt_sound_out *out;
};

static bt_status open_writer(bt_engine *e, const char *path, const bt_audio *form,
                             bt_audio_writer **out, bt_error *err)
{
    bt_audio copy;
    if (!bt_struct_in(&copy, sizeof copy, form))
        return bt_fail(err, BT_EINVAL, "struct_size is not set");
    bt_audio_writer *w = bt_calloc(1, sizeof *w);
    if (!w)
        return bt_fail(err, BT_ENOMEM, "out of memory");
    const bt_status st = bt_sound_open(path, &copy, &w->out, err);
    if (st != BT_OK) {
        bt_release(w);
        return st;
    }
    w->engine = e;
    bt_engine_retain(e);
    *out = w;
    return BT_OK;
}

bt_status bt_audio_writer_open(bt_engine *e, const char *path, const bt_audio *form,
                               bt_audio_writer **out)
{
    if (out)
        *out = NULL;
    if (!e || !path || !form || !out)
        return BT_EINVAL;
    const locale_t host = bt_enter(e);
    const bt_status st = open_writer(e, path, form, out, bt_engine_error(e));
    bt_leave(host);
    return st;
}

bt_status bt_audio_writer_add(bt_audio_writer *w, const float *samples, size_t n)
{
    if (!w || (n && !samples))
        return BT_EINVAL;
    const locale_t host = bt_enter(w->engine);
    const bt_status st = bt_sound_add(w->out, samples, n, bt_engine_error(w->engine));
    bt_leave(host);
    return st;
}

bt_status bt_audio_writer_close(bt_audio_writer *w, int keep)
{
    if (!w)
        return BT_OK;
    const locale_t host = bt_enter(w->engine);
    const bt_status st = bt_sound_close(w->out, keep, bt_engine_error(w->engine));
    bt_leave(host);
    bt_engine_free(w->engine);
    bt_release(w);
    return st;
}
