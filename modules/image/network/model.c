/* SPDX-License-Identifier: MIT
 * Opening a model: configs, tokenizer, and a dry planning of every network, so
 * that a missing or misshapen tensor is found here.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "image/diffusion.h"
#include "image/network/vocabulary.h"

/* What of a path's last part comes before the suffix. */
static void name_of(const char *path, char *out, size_t size)
{
    size_t n = strlen(path);
    while (n > 1 && path[n - 1] == '/')
        n--;
    size_t start = n;
    while (start > 0 && path[start - 1] != '/')
        start--;
    size_t len = n - start;
    static const char *const suffixes[] = { ".gguf", ".safetensors" };
    for (int i = 0; i < 2; i++) {
        const size_t m = strlen(suffixes[i]);
        if (len > m && !memcmp(path + n - m, suffixes[i], m))
            len -= m;
    }
    snprintf(out, size, "%.*s", (int)(len < size ? len : size - 1), path + start);
}

/* SDXL has two text encoders, its refiner the second of them only. */
static bt_status read_text(sd_model *m, bt_error *err)
{
    static const char first[] = "text_encoder", second[] = "text_encoder_2";
    const bool has_first = bt_store_file(m->store, "text_encoder/config.json", NULL);
    const bool has_second = bt_store_file(m->store, "text_encoder_2/config.json", NULL);
    if (!has_first && !has_second)
        return bt_fail(err, BT_EUNSUPPORTED, "%s holds no text encoder (text_encoder/config.json)",
                       bt_store_path(m->store));
    bt_status st = sd_clip_read(m->store, has_first || !has_second ? first : second, &m->clip, err);
    if (st == BT_OK && has_first && has_second)
        st = sd_clip_read(m->store, second, &m->clip2, err);
    if (st != BT_OK || !m->unet.added)
        return st;
    const int sizes = m->pipeline.aesthetic ? 5 : 6;
    m->pooled = m->unet.added - sizes * m->unet.added_dim;
    m->clip.inner = m->clip2.inner = true;
    *(has_first ? &m->clip2.pooled : &m->clip.pooled) = true;
    if (!has_second || m->pooled < 1)
        return bt_fail(err, BT_EUNSUPPORTED,
                       "%s: unet/config.json: \"addition_embed_type\" needs text_encoder_2 and "
                       "room for its text beside %d sizes",
                       bt_store_path(m->store), sizes);
    return BT_OK;
}

static bt_status read_configs(sd_model *m, bt_error *err)
{
    bt_status st;
    const char *path = bt_store_path(m->store);
    BT_TRY(sd_unet_read(m->store, &m->unet, err));
    BT_TRY(sd_pipeline_read(m->store, &m->pipeline, err));
    BT_TRY(read_text(m, err));
    BT_TRY(sd_vae_read(m->store, &m->vae, err));
    BT_TRY(sd_schedule_read(m->store, &m->schedule, err));
    BT_TRY(sd_train_create(&m->schedule, &m->train, err));
    if (m->unet.context != m->clip.hidden + m->clip2.hidden)
        return bt_fail(err, BT_EUNSUPPORTED,
                       "%s: the UNet listens to %d channels, the text "
                       "encoder has %d",
                       path, m->unet.context, m->clip.hidden + m->clip2.hidden);
    if ((m->unet.in != m->vae.latent && !sd_inpaints(m) && !sd_edits(m)) ||
        m->unet.out != m->vae.latent)
        return bt_fail(err, BT_EUNSUPPORTED,
                       "%s: a UNet from %d to %d channels does not fit %d "
                       "latent channels",
                       path, m->unet.in, m->unet.out, m->vae.latent);
    if (m->unet.center)
        return bt_fail(err, BT_EUNSUPPORTED,
                       "%s: unet/config.json: \"center_input_sample\" is not "
                       "supported",
                       path);
    return BT_OK;
fail:
    return st;
}

static bt_status read_tokenizer(sd_model *m, bt_error *err)
{
    sd_tokenizer_config c;
    const bool only_second = strcmp(m->clip.folder, "text_encoder") != 0;
    const char *folder = only_second ? "tokenizer_2" : "tokenizer";
    bt_status st = sd_tokenizer_read(m->store, folder, &c, err);
    if (st != BT_OK)
        return st;
    m->tokens = c.max_length < m->clip.positions ? c.max_length : m->clip.positions;
    if (m->clip2.layers && m->clip2.positions < m->tokens)
        m->tokens = m->clip2.positions;
    st = sd_tokenizer_open(m->store, folder, &c, m->tokens, &m->bpe, err);
    if (st == BT_OK && bt_bpe_count(m->bpe) > (size_t)m->clip.vocab)
        st = bt_fail(err, BT_EFORMAT, "%s: the vocabulary has %zu tokens, the text encoder %d",
                     bt_store_path(m->store), bt_bpe_count(m->bpe), m->clip.vocab);
    if (st != BT_OK || !m->clip2.layers)
        return st;
    /* Both encoders read the same tokens; only what fills a prompt up differs. */
    st = sd_tokenizer_read(m->store, "tokenizer_2", &c, err);
    m->pad2 = st == BT_OK ? bt_bpe_find(m->bpe, c.pad, strlen(c.pad)) : 0;
    return st == BT_OK && m->pad2 < 0
               ? bt_fail(err, BT_EFORMAT, "%s: tokenizer_2 pads with an unknown token",
                         bt_store_path(m->store))
               : st;
}

/* One text encoder: its pooled text must be what the UNet takes. */
static bt_status dry_clip(sd_model *m, const sd_clip_config *c, sd_plan *p, bt_error *why)
{
    bt_status st = sd_clip_plan(m->ws, c, m->tokens, 0, p, why);
    if (st == BT_OK && c->pooled && bt_shape_of(p->pooled).c != m->pooled)
        return bt_fail(why, BT_EFORMAT,
                       "%s/text_projection does not make the %d values that "
                       "the UNet takes",
                       c->folder, m->pooled);
    return st;
}

static bt_status dry_plans(sd_model *m, bt_error *err)
{
    sd_plan p[4] = { 0 };
    bt_error why = { 0 };
    const sd_unet_config *u = &m->unet;
    bt_status st;
    BT_TRY(dry_clip(m, &m->clip, &p[0], &why));
    if (m->clip2.layers)
        BT_TRY(dry_clip(m, &m->clip2, &p[3], &why));
    BT_TRY(sd_unet_plan(m->ws, u, 2, u->sample_h, u->sample_w, m->tokens, false, &p[1], &why));
    if (!m->vae.none)
        BT_TRY(sd_vae_decoder_plan(m->ws, &m->vae, u->sample_h, u->sample_w, &p[2], &why));
fail:
    for (int i = 0; i < 4; i++)
        sd_plan_free(&p[i]);
    return st == BT_OK ? BT_OK : bt_fail(err, st, "%s: %s", bt_store_path(m->store), why.text);
}

bt_status sd_model_open(bt_store *s, const bt_compute *c, void **model, bt_error *err)
{
    sd_model *m = bt_calloc(1, sizeof *m);
    bt_status st;
    *model = NULL;
    if (!m)
        return bt_no_memory(err, "the model");
    m->store = s;
    m->compute = c;
    name_of(bt_store_path(s), m->name, sizeof m->name);
    BT_TRY(read_configs(m, err));
    BT_TRY(read_tokenizer(m, err));
    BT_TRY(bt_weights_create(s, c, &m->ws, err));
    BT_TRY(dry_plans(m, err));
    *model = m;
    return BT_OK;
fail:
    m->store = NULL; /* stays the caller's */
    sd_model_close(m);
    return st;
}

void sd_model_close(void *model)
{
    sd_model *m = model;
    if (!m)
        return;
    bt_weights_free(m->ws);
    bt_bpe_free(m->bpe);
    sd_train_release(&m->train);
    sd_schedule_release(&m->schedule);
    bt_store_close(m->store);
    bt_release(m);
}

bt_status sd_numbers(const char *file, const char *part, const float *x, size_t n, bt_error *err)
{
    for (size_t i = 0; i < n; i++)
        if (!isfinite(x[i]))
            return bt_fail(err, BT_EFORMAT,
                           "%s: what %s makes are no numbers: damaged weights, or settings too far "
                           "from the usual",
                           file, part);
    return BT_OK;
}

static bool is_lcm(const sd_model *m)
{
    return m->unet.guide_dim || !strcmp(m->schedule.class_name, "LCMScheduler");
}

/* Adversarially distilled models (SD-Turbo, SDXL-Turbo, Lightning) differ from the others by
 * their time grid, which ends in the last step of training. */
static bool is_turbo(const sd_model *m)
{
    return m->schedule.spacing == SD_TRAILING && m->schedule.prediction == SD_EPSILON &&
           !m->schedule.zero_snr && !strncmp(m->schedule.class_name, "Euler", 5);
}

/* diffusers' pipeline has 7.5, and 8.5 for models that are told the guidance. Models
 * trained down to pure noise (zero terminal SNR) saturate there: for them 4 (arXiv
 * 2305.08891, section 3.4). */
double sd_default_guidance(const sd_model *m)
{
    if (is_lcm(m))
        return m->unet.guide_dim ? 8.5 : 1;
    return m->schedule.zero_snr ? 4 : is_turbo(m) ? 1 : 7.5;
}

int sd_default_steps(const sd_model *m) { return is_lcm(m) || is_turbo(m) ? 4 : 20; }

/* Which of the published families has this shape. */
static const char *family_of(const sd_model *m)
{
    enum { CLIP_L = 768, CLIP_H = 1024 };
    if (m->pooled)
        return m->pipeline.aesthetic ? "SDXL refiner" : "SDXL";
    return m->clip.hidden == CLIP_L ? "SD 1" : m->clip.hidden == CLIP_H ? "SD 2" : "SD";
}

bt_status sd_model_describe(void *model, bt_buf *b)
{
    static const char *const predictions[] = { "epsilon", "v_prediction", "sample" };
    const sd_model *m = model;
    const double parameters = bt_store_parameters(m->store);
    bt_buf_printf(b,
                  "{\"family\":\"stable-diffusion\",\"variant\":\"%s%s%s\",\"name\":", family_of(m),
                  m->unet.guide_dim ? ", LCM" : "",
                  sd_inpaints(m) ? ", inpainting"
                  : sd_edits(m)  ? ", InstructPix2Pix"
                                 : "");
    bt_buf_json(b, m->name, strlen(m->name));
    bt_buf_printf(b, ",\"parameters\":%.0f,\"width\":%d,\"height\":%d,\"multiple_of\":%d",
                  parameters, m->unet.sample_w * m->vae.factor, m->unet.sample_h * m->vae.factor,
                  m->vae.factor);
    bt_buf_printf(b, ",\"prompt_tokens\":%d,\"vocabulary\":%zu,\"latent_channels\":%d", m->tokens,
                  bt_bpe_count(m->bpe), m->vae.latent);
    bt_buf_printf(b, ",\"prediction\":\"%s\",\"zero_terminal_snr\":%s,\"scheduler\":",
                  predictions[m->schedule.prediction], m->schedule.zero_snr ? "true" : "false");
    bt_buf_json(b, m->schedule.class_name, strlen(m->schedule.class_name));
    bt_buf_printf(b, ",\"sampler\":\"%s\",\"steps\":%d,\"cfg_scale\":%g}",
                  sd_sampler_of(&m->schedule)->name, sd_default_steps(m), sd_default_guidance(m));
    return b->failed ? BT_ENOMEM : BT_OK;
}

bt_status sd_model_tokenize(void *model, const char *text, size_t len, int special, int32_t **out,
                            size_t *n, bt_error *err)
{
    const sd_model *m = model;
    bt_ids ids = { 0 };
    if (bt_bpe_encode(m->bpe, text, len, special, &ids) != BT_OK) {
        bt_ids_free(&ids);
        return bt_no_memory(err, "tokens");
    }
    *out = ids.data ? ids.data : bt_alloc(0);
    *n = ids.len;
    return *out ? BT_OK : bt_no_memory(err, "tokens");
}

bt_status sd_model_detokenize(void *model, const int32_t *ids, size_t n, char **text, size_t *len,
                              bt_error *err)
{
    const sd_model *m = model;
    bt_buf b = { 0 };
    bt_bpe_decode(m->bpe, ids, n, true, &b);
    bt_buf_add(&b, "", 0);
    *len = b.len;
    *text = bt_buf_take(&b);
    return *text ? BT_OK : bt_no_memory(err, "the text");
}
