/* SPDX-License-Identifier: MIT
 * A LoRA's tensors become changes of layers; every one of them must find its place.
 */
#include "image/adapters/lora.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "formats/json.h"

enum { NAMED = 3 }; /* tensors that an error names */

/* What does not fit: how many, and the first few. */
typedef struct misfits {
    size_t n;
    char text[320];
} misfits;

static void misfit(misfits *m, const char *name, const char *why)
{
    const size_t len = strlen(m->text);
    if (m->n++ < NAMED)
        snprintf(m->text + len, sizeof m->text - len, "%s%.90s%s%s%s", len ? ", " : "", name,
                 *why ? " (" : "", why, *why ? ")" : "");
}

/* ---- families ------------------------------------------------------------------- */

/* What the names and the layers that listen to a text say; NULL: nothing. */
static const char *made_for(const bt_store *s)
{
    static const char *const signs[][2] = { { "double_blocks", "FLUX" },
                                            { "single_transformer_blocks", "FLUX" },
                                            { "joint_blocks", "Stable Diffusion 3" },
                                            { "text_encoder_3", "Stable Diffusion 3" },
                                            { "lora_te3_", "Stable Diffusion 3" } };
    const char *found = NULL;
    for (size_t i = 0; i < bt_store_count(s) && !found; i++) {
        const bt_tensor *t = bt_store_at(s, i);
        char key[SD_KEY];
        for (size_t k = 0; k < sizeof signs / sizeof *signs && !found; k++)
            if (strstr(t->name, signs[k][0]))
                found = signs[k][1];
        if (!found && sd_layer_key(t->name, key) == SD_LORA_DOWN && strstr(key, "attn2_to_k"))
            found = sd_family_name(t->dims[t->n_dims > 1 ? 1 : 0]);
        if (!found && !strncmp(key, "te2_", 4))
            found = "SDXL";
    }
    return found;
}

/* Forms that change a layer in another way. */
static const char *form_of(const char *name)
{
    static const char *const signs[][2] = { { ".oft_", "OFT, which is not supported" },
                                            { ".a1.weight", "GLoRA, which is not supported" },
                                            { ".a2.weight", "GLoRA, which is not supported" },
                                            { ".b1.weight", "GLoRA, which is not supported" },
                                            { ".b2.weight", "GLoRA, which is not supported" },
                                            { ".on_input", "IA3, which is not supported" } };
    for (size_t k = 0; k < sizeof signs / sizeof *signs; k++)
        if (strstr(name, signs[k][0]))
            return signs[k][1];
    return "an unknown kind";
}

static bt_status refuse(const sd_lora *l, const misfits *m, int context, bt_error *err)
{
    char family[128] = "";
    const char *theirs = made_for(l->store), *ours = sd_family_name(context);
    if (theirs && theirs != ours)
        snprintf(family, sizeof family, "it is for %s, %s%s; ", theirs,
                 ours ? "the model is " : "and the model is none", ours ? ours : "");
    return bt_fail(err, BT_EUNSUPPORTED,
                   "%s: a LoRA that does not fit the model: %s%zu of its tensors or layers have "
                   "no place: %s%s",
                   bt_store_path(l->store), family, m->n, m->text, m->n > NAMED ? ", ..." : "");
}

/* ---- alpha ----------------------------------------------------------------------- */

/* diffusers writes PEFT's settings into the file, by part: "unet.lora_alpha". NULL: none. */
static const cJSON *setting(const cJSON *settings, const char *part, const char *name)
{
    char key[64];
    snprintf(key, sizeof key, "%s.%s", part, name);
    return cJSON_GetObjectItemCaseSensitive(settings, key);
}

/* A pattern names a module by the end of its path. */
static const cJSON *pattern(const cJSON *patterns, const char *key)
{
    const cJSON *p;
    const size_t n = strlen(key);
    cJSON_ArrayForEach(p, patterns)
    {
        const size_t m = p->string ? strlen(p->string) : 0;
        if (m == 0 || m > n || (m < n && key[n - m - 1] != '_'))
            continue;
        size_t i = 0;
        while (i < m && key[n - m + i] == (p->string[i] == '.' ? '_' : p->string[i]))
            i++;
        if (i == m)
            return p;
    }
    return NULL;
}

static void set_alpha(const cJSON *s, const char *key, sd_delta *d)
{
    const char *part = key[0] == 'u' ? "unet" : key[2] == '1' ? "text_encoder" : "text_encoder_2";
    const cJSON *alpha = pattern(setting(s, part, "alpha_pattern"), key);
    if (!alpha)
        alpha = setting(s, part, "lora_alpha");
    if (cJSON_IsNumber(alpha))
        d->alpha = (float)alpha->valuedouble;
    d->rank_stable = cJSON_IsTrue(setting(s, part, "use_rslora"));
}

static bt_status read_alpha(sd_delta *d, bt_error *err)
{
    float *v = bt_weight_values(d->at[SD_ALPHA], err);
    if (!v)
        return err->status;
    d->alpha = v[0];
    bt_release(v);
    return BT_OK;
}

/* ---- the file --------------------------------------------------------------------- */

/* A change for every layer, most of them empty, until all tensors have been seen. */
static void place_all(const sd_lora *l, const sd_layers *layers, const cJSON *s, sd_delta *all,
                      misfits *m)
{
    char key[SD_KEY];
    for (size_t i = 0; i < bt_store_count(l->store); i++) {
        const bt_tensor *t = bt_store_at(l->store, i);
        const sd_role role = sd_layer_key(t->name, key);
        const sd_layer *layer = role == SD_ROLES ? NULL : sd_layers_find(layers, key);
        if (!layer) {
            misfit(m, t->name, role == SD_ROLES ? form_of(t->name) : "");
            continue;
        }
        sd_delta *d = &all[layer - layers->at];
        if (!d->layer) {
            *d = (sd_delta){ .layer = layer, .alpha = NAN };
            set_alpha(s, key, d);
        }
        if (d->at[role])
            misfit(m, t->name, "a second one for its layer");
        else if (role == SD_ALPHA && bt_tensor_count(t) != 1)
            misfit(m, t->name, "not one number");
        else
            d->at[role] = bt_weight_find(l->ws, t->name);
    }
}

static const char *name_of(const sd_delta *d)
{
    int i = 0;
    while (i < SD_ROLES && !d->at[i])
        i++;
    return i < SD_ROLES ? bt_weight_tensor(d->at[i])->name : "a layer";
}

/* Keeps the changes there are, each checked. */
static bt_status gather(sd_lora *l, const sd_lora_ask *ask, size_t n, misfits *m, bt_error *err)
{
    char why[80];
    for (size_t i = 0; i < n; i++) {
        sd_delta *d = &l->deltas[i];
        if (!d->layer)
            continue;
        if (!sd_delta_fits(d, why, sizeof why))
            misfit(m, name_of(d), why);
        else if (d->at[SD_ALPHA] && read_alpha(d, err) != BT_OK)
            return err->status;
        else if (d->at[SD_ALPHA] && !isfinite(d->alpha))
            misfit(m, bt_weight_tensor(d->at[SD_ALPHA])->name, "no number");
        d->strength = (float)(d->layer->text ? ask->text : ask->unet);
        l->deltas[l->n++] = *d;
    }
    return BT_OK;
}

static bt_status read_all(sd_lora *l, const sd_lora_ask *ask, const sd_layers *layers, int context,
                          bt_error *err)
{
    misfits m = { 0 };
    cJSON *settings = NULL;
    size_t len = 0;
    const char *path = bt_store_path(l->store);
    const char *json = bt_store_str(l->store, "lora_adapter_metadata", &len);
    bt_status st = json ? bt_json_parse(path, json, len, &settings, err) : BT_OK;
    if (st != BT_OK)
        return st;
    l->deltas = bt_calloc(layers->n ? layers->n : 1, sizeof *l->deltas);
    if (l->deltas)
        place_all(l, layers, settings, l->deltas, &m);
    cJSON_Delete(settings);
    if (!l->deltas)
        return bt_no_memory(err, "a LoRA's layers");
    st = gather(l, ask, layers->n, &m, err);
    if (st == BT_OK && m.n)
        st = refuse(l, &m, context, err);
    if (st == BT_OK && l->n == 0)
        st = bt_fail(err, BT_EFORMAT, "%s: a LoRA without tensors", path);
    return st;
}

bt_status sd_lora_read(const sd_lora_ask *ask, bt_store *s, const bt_compute *compute,
                       const sd_layers *layers, int context, sd_lora *l, bt_error *err)
{
    bt_error why = { 0 };
    bt_status st;
    *l = (sd_lora){ .store = s, .compute = *compute };
    l->compute.cache_dir = NULL;
    BT_TRY(bt_weights_create(s, &l->compute, &l->ws, &why));
    BT_TRY(read_all(l, ask, layers, context, &why));
    return BT_OK;
fail:
    sd_lora_close(l);
    return bt_fail(err, st, "%s", why.text);
}

bt_status sd_lora_open(const sd_lora_ask *ask, const bt_compute *compute, const sd_layers *layers,
                       int context, sd_lora *l, bt_error *err)
{
    bt_store *s;
    const bt_status st = bt_store_open(ask->path, &s, err);
    return st == BT_OK ? sd_lora_read(ask, s, compute, layers, context, l, err) : st;
}

void sd_lora_close(sd_lora *l)
{
    bt_weights_free(l->ws);
    bt_store_close(l->store);
    bt_release(l->deltas);
    *l = (sd_lora){ 0 };
}
