/* SPDX-License-Identifier: MIT
 * Pictures and sound to and from files, for hosts that have no code of their own.
 */
#include "base/alloc.h"
#include "engine/handles.h"
#include "media/png.h"
#include "media/sound.h"

bt_status bt_image_save(bt_engine *e, const char *path, const bt_image *img, const char *text)
{
    bt_image copy;
    if (!e || !path || !img)
        return BT_EINVAL;
    const locale_t host = bt_enter(e);
    bt_error *err = bt_engine_error(e);
    const bt_status st = bt_struct_in(&copy, sizeof copy, img)
                             ? bt_png_write(path, &copy, text, err)
                             : bt_fail(err, BT_EINVAL, "struct_size is not set");
    bt_leave(host);
    return st;
}

bt_status bt_image_load(bt_engine *e, const char *path, bt_image *out, char **text)
{
    bt_image img = { .struct_size = sizeof img };
    if (text)
        *text = NULL;
    if (!e || !path || !out)
        return BT_EINVAL;
    const locale_t host = bt_enter(e);
    bt_error *err = bt_engine_error(e);
    bt_status st;
    if (!bt_struct_out(out, &img, sizeof img))
        st = bt_fail(err, BT_EINVAL, "struct_size is not set");
    else if ((st = bt_png_read(path, &img, text, err)) == BT_OK)
        bt_struct_out(out, &img, sizeof img);
    bt_leave(host);
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
