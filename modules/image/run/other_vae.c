/* SPDX-License-Identifier: MIT
 * Other autoencoders than the model's: the options "vae" and "preview_vae". They must make as
 * many pixels of a latent. A tiny one decodes; pictures to start from are still read by the
 * model's own.
 */
#include <string.h>

#include "image/diffusion.h"

/* With the plans of what was used until now. */
static void drop(sd_cache *c, sd_other_vae *o)
{
    for (int i = 0; i < SD_MAX_PLANS; i++) {
        const sd_part part = c->plans[i].part;
        if (o == &c->preview ? part == SD_PREVIEW : part == SD_DECODER || part == SD_ENCODER)
            sd_cache_drop(&c->plans[i]);
    }
    bt_weights_free(o->ws);
    bt_store_close(o->store);
    bt_release(o->path);
    *o = (sd_other_vae){ 0 };
}

void sd_cache_drop_vaes(sd_cache *c)
{
    drop(c, &c->other);
    drop(c, &c->preview);
}

static bt_status check(const sd_cache *c, const sd_other_vae *o, bt_error *err)
{
    const sd_vae_config *own = &c->m->vae, *v = &o->vae;
    const char *path = o->path;
    if (v->latent != own->latent || v->factor != own->factor)
        return bt_fail(err, BT_EUNSUPPORTED,
                       "%s: an autoencoder of %d channels and %d pixels for a latent; the model "
                       "has %d and %d",
                       path, v->latent, v->factor, own->latent, own->factor);
    bt_error why = { 0 };
    sd_plan p = { 0 };
    const bt_status st = sd_vae_decoder_plan(o->ws, v, 8, 8, &p, &why);
    sd_plan_free(&p);
    return st == BT_OK ? BT_OK : bt_fail(err, st, "%s: %s", path, why.text);
}

static bt_status open_other(const sd_cache *c, sd_other_vae *o, const char *path, bt_error *err)
{
    bt_status st;
    o->path = bt_strdup(path);
    if (!o->path)
        return bt_no_memory(err, path);
    BT_TRY(bt_store_open(path, &o->store, err));
    if (!bt_store_file(o->store, "vae/config.json", NULL))
        return bt_fail(err, BT_EUNSUPPORTED, "%s holds no autoencoder", path);
    BT_TRY(sd_vae_read(o->store, &o->vae, err));
    if (!o->vae.scaled) /* files of an autoencoder alone mostly do not say */
        o->vae.scale = o->vae.tiny ? 1 : c->m->vae.scale;
    BT_TRY(bt_weights_create(o->store, c->m->compute, &o->ws, err));
    st = check(c, o, err);
fail:
    return st;
}

static bt_status use(sd_cache *c, sd_other_vae *o, const char *path, bt_error *err)
{
    if (!path)
        path = "";
    if (!strcmp(o->path ? o->path : "", path))
        return BT_OK;
    drop(c, o);
    if (!*path)
        return BT_OK;
    const bt_status st = open_other(c, o, path, err);
    if (st != BT_OK)
        drop(c, o);
    return st;
}

bt_status sd_cache_use_vae(sd_cache *c, const char *path, bt_error *err)
{
    if (c->m->vae.none && !(path && *path))
        return bt_fail(err, BT_EINVAL,
                       "%s holds no autoencoder: name a file that does with --vae (option \"vae\")",
                       bt_store_path(c->m->store));
    return use(c, &c->other, path, err);
}

bt_status sd_cache_use_preview(sd_cache *c, const char *path, bt_error *err)
{
    return use(c, &c->preview, path, err);
}

const sd_other_vae *sd_cache_other(const sd_cache *c, sd_part part)
{
    if (part == SD_PREVIEW)
        return &c->preview;
    const bool of_it = part == SD_DECODER || (part == SD_ENCODER && !c->other.vae.tiny);
    return c->other.ws && of_it ? &c->other : NULL;
}

const sd_vae_config *sd_cache_vae(const sd_cache *c, sd_part part)
{
    const sd_other_vae *o = sd_cache_other(c, part);
    return o ? &o->vae : &c->m->vae;
}
