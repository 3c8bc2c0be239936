/* SPDX-License-Identifier: MIT
 * Sound files to mel spectrograms in files.
 */
#include <string.h>

#include "engine/handles.h"
#include "formats/npy.h"
#include "media/sound.h"

static bt_status find_form(bt_model *m, const char *name, bt_mel_form *f, bt_error *err)
{
    if (m && name)
        return bt_fail(err, BT_EINVAL, "a model has its own mel spectrogram, not \"%.20s\"", name);
    if (m && !m->module->mel_form)
        return bt_fail(err, BT_EUNSUPPORTED, "%s is no vocoder: it takes no mel spectrogram",
                       m->path);
    if (m)
        m->module->mel_form(m->impl, f);
    else if (!name || strcmp(name, "hifigan") == 0)
        *f = bt_mel_hifigan();
    else if (strcmp(name, "vocos") == 0)
        *f = bt_mel_vocos();
    else
        return bt_fail(err, BT_EINVAL, "no mel spectrogram is called \"%.20s\"", name);
    return BT_OK;
}

static bt_status write_mel(bt_engine *e, const bt_mel_form *f, const float *x, size_t n,
                           const char *in, const char *out, bt_error *err)
{
    const int64_t dims[2] = { f->n_mels, bt_mel_frames(f, n) };
    if (dims[1] < 1)
        return bt_fail(err, BT_EFORMAT, "%s: %zu samples at %d Hz are too short for a frame", in, n,
                       f->sample_rate);
    float *mel = bt_calloc((size_t)dims[1], (size_t)dims[0] * sizeof *mel);
    if (!mel)
        return bt_no_memory(err, "the spectrogram");
    bt_status st = bt_mel_make(f, &e->kernels, x, n, mel, err);
    if (st == BT_OK)
        st = bt_npy_write(out, 2, dims, mel, err);
    bt_release(mel);
    return st;
}

bt_status bt_mel(bt_engine *e, bt_model *m, const char *form, const char *in, const char *out)
{
    bt_mel_form f;
    float *x = NULL;
    size_t n = 0;
    if (!e || !in || !out)
        return BT_EINVAL;
    const locale_t host = bt_enter(e);
    bt_error *err = bt_engine_error(e);
    bt_status st = find_form(m, form, &f, err);
    if (st == BT_OK)
        st = bt_sound_read(in, f.sample_rate, &x, &n, err);
    if (st == BT_OK)
        st = write_mel(e, &f, x, n, in, out, err);
    bt_release(x);
    bt_leave(host);
    return st;
}
