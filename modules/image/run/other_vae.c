/* SPDX-License-Identifier: MIT
 * Another autoencoder than the model's: the option "vae". It must make as many pixels of
 * a latent. A tiny one decodes; pictures to start from are still read by the model's own.
 */
#include <string.h>

#include "image/diffusion.h"

/* Plans of the autoencoder that was used until now. */
static void drop_plans(sd_cache *c)
{
    for (int i = 0; i < SD_MAX_PLANS; i++)
        if (c->plans[i].part == SD_DECODER || c->plans[i].part == SD_ENCODER)
            sd_cache_drop(&c->plans[i]);
}

void sd_cache_drop_vae(sd_cache *c)
{
    drop_plans(c);
    bt_weights_free(c->other.ws);
    bt_store_close(c->other.store);
    bt_release(c->other.path);
    c->other = (sd_other_vae){ 0 };
}

static bt_status check(const sd_cache *c, bt_error *err)
{
    const sd_vae_config *own = &c->m->vae, *v = &c->other.vae;
    const char *path = c->other.path;
    if (v->latent != own->latent || v->factor != own->factor)
        return bt_fail(err, BT_EUNSUPPORTED,
                       "%s: an autoencoder of %d channels and %d pixels for a latent; the model "
                       "has %d and %d",
                       path, v->latent, v->factor, own->latent, own->factor);
    bt_error why = { 0 };
    sd_plan p = { 0 };
    const bt_status st = sd_vae_decoder_plan(c->other.ws, v, 8, 8, &p, &why);
    sd_plan_free(&p);
    return st == BT_OK ? BT_OK : bt_fail(err, st, "%s: %s", path, why.text);
}

static bt_status open_other(sd_cache *c, const char *path, bt_error *err)
{
    sd_other_vae *o = &c->other;
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
    st = check(c, err);
fail:
    return st;
}

bt_status sd_cache_use_vae(sd_cache *c, const char *path, bt_error *err)
{
    if (!path)
        path = "";
    if (!*path && c->m->vae.none)
        return bt_fail(err, BT_EINVAL,
                       "%s holds no autoencoder: name a file that does with --vae (option \"vae\")",
                       bt_store_path(c->m->store));
    if (!strcmp(c->other.path ? c->other.path : "", path))
        return BT_OK;
    sd_cache_drop_vae(c);
    if (!*path)
        return BT_OK;
    const bt_status st = open_other(c, path, err);
    if (st != BT_OK)
        sd_cache_drop_vae(c);
    return st;
}

bool sd_cache_is_other(const sd_cache *c, sd_part part)
{
    return c->other.ws && (part == SD_DECODER || (part == SD_ENCODER && !c->other.vae.tiny));
}

const sd_vae_config *sd_cache_vae(const sd_cache *c, sd_part part)
{
    return sd_cache_is_other(c, part) ? &c->other.vae : &c->m->vae;
}
