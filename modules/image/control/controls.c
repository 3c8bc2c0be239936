/* SPDX-License-Identifier: MIT
 * A job's ControlNets: files to networks that fit its model.
 */
#include "image/control/control.h"

#include <stdio.h>
#include <string.h>

static void close_one(sd_control *c)
{
    if (!c)
        return;
    bt_weights_free(c->ws);
    bt_store_close(c->store);
    bt_release(c->path);
    bt_release(c);
}

void sd_controls_close(sd_controls *c)
{
    for (int i = 0; i < c->n; i++) {
        bool again = false;
        for (int k = i + 1; k < c->n; k++)
            again |= c->at[k] == c->at[i];
        if (!again)
            close_one(c->at[i]);
    }
    *c = (sd_controls){ 0 };
}

void sd_controls_spare(sd_controls *c)
{
    for (int i = 0; i < c->n; i++)
        bt_weights_spare(c->at[i]->ws);
}

/* Pairs of layers of the part that reads the picture; 0: it is not as it should be. */
static int halvings_of(const bt_store *s)
{
    enum { MOST = 16 };
    char name[80];
    int n = 0;
    do
        snprintf(name, sizeof name, "controlnet/controlnet_cond_embedding.blocks.%d.weight", n);
    while (bt_store_find(s, name) && ++n < MOST);
    return n % 2 ? 0 : n / 2;
}

static bool same_levels(const sd_unet_config *a, const sd_unet_config *b)
{
    bool same = a->levels == b->levels;
    for (int i = 0; i < a->levels && same; i++)
        same = a->channels[i] == b->channels[i] && a->layers[i] == b->layers[i];
    return same;
}

/* A network of another family, or of none. */
static bt_status check_fit(const sd_control *c, const sd_unet_config *unet, int latent, int factor,
                           bt_error *err)
{
    const char *theirs = sd_family_name(c->c.context), *ours = sd_family_name(unet->context);
    if (c->c.context != unet->context || (c->c.added && c->c.added != unet->added))
        return bt_fail(err, BT_EUNSUPPORTED,
                       "%s: a ControlNet for %s, which listens to %d channels of text; the model "
                       "is %s and has %d",
                       c->path, theirs ? theirs : "another family", c->c.context,
                       ours ? ours : "none of the published families", unet->context);
    if (!same_levels(&c->c, unet) || c->c.in != latent || c->c.center || 1 << c->halvings != factor)
        return bt_fail(err, BT_EUNSUPPORTED,
                       "%s: a ControlNet that is built otherwise than the model's UNet", c->path);
    return BT_OK;
}

/* Plans it small, so that a missing tensor is found here. */
static bt_status try_plans(const sd_control *c, bt_error *err)
{
    enum { SIDE = 16, TOKENS = 77 };
    sd_plan p;
    bt_error why = { 0 };
    bt_status st = sd_control_hint_plan(c, SIDE, SIDE, &p, &why);
    sd_plan_free(&p);
    if (st == BT_OK) {
        st = sd_control_plan(c, 1, SIDE, SIDE, TOKENS, &p, &why);
        sd_plan_free(&p);
    }
    return st == BT_OK ? BT_OK : bt_fail(err, st, "%s: %s", c->path, why.text);
}

static bt_status check_kind(const sd_control *c, bt_error *err)
{
    const char *like = bt_store_looks_like(c->store);
    if (bt_store_file(c->store, "controlnet/config.json", NULL))
        return BT_OK;
    return bt_fail(err, BT_EUNSUPPORTED, "%s: no ControlNet that is supported%s%s", c->path,
                   like ? ": it looks like " : "", like ? like : "");
}

static bt_status open_one(sd_control *c, const sd_control_ask *a, const bt_compute *compute,
                          const sd_unet_config *unet, int latent, int factor, bt_error *err)
{
    bt_status st;
    c->path = bt_strndup(a->path, (size_t)a->length);
    if (!c->path)
        return bt_no_memory(err, "a ControlNet");
    BT_TRY(bt_store_open(c->path, &c->store, err));
    BT_TRY(check_kind(c, err));
    BT_TRY(sd_control_read(c->store, &c->c, err));
    c->halvings = halvings_of(c->store);
    BT_TRY(check_fit(c, unet, latent, factor, err));
    BT_TRY(bt_weights_create(c->store, compute, &c->ws, err));
    return try_plans(c, err);
fail:
    return st;
}

static sd_control *find(const sd_controls *c, const sd_control_ask *a)
{
    for (int i = 0; i < c->n; i++) {
        const char *path = c->at[i]->path;
        if (strlen(path) == (size_t)a->length && !memcmp(path, a->path, (size_t)a->length) &&
            bt_store_unchanged(c->at[i]->store))
            return c->at[i];
    }
    return NULL;
}

bt_status sd_controls_use(sd_controls *c, const sd_control_list *asked, const bt_compute *compute,
                          const sd_unet_config *unet, int latent, int factor, bt_error *err)
{
    sd_controls now = { 0 };
    bt_status st = BT_OK;
    for (int i = 0; i < asked->n && st == BT_OK; i++) {
        const sd_control_ask *a = &asked->at[i];
        sd_control *one = find(&now, a);
        if (!one && (one = find(c, a)))
            for (int k = 0; k < c->n; k++) /* it moves over */
                if (c->at[k] == one)
                    c->at[k--] = c->at[--c->n];
        if (!one) {
            one = bt_calloc(1, sizeof *one);
            st = one ? open_one(one, a, compute, unet, latent, factor, err)
                     : bt_no_memory(err, "a ControlNet");
        }
        if (one)
            now.at[now.n++] = one;
    }
    sd_controls_close(c);
    *c = now;
    if (st != BT_OK)
        sd_controls_close(c);
    return st;
}
