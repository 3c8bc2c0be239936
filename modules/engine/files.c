/* SPDX-License-Identifier: MIT
 * Pictures and sound to and from files, for hosts that have no code of their own.
 */
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
