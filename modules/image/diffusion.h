/* SPDX-License-Identifier: MIT
 * Inside of the module: the opened model, its options, a job.
 */
#ifndef BT_IMAGE_DIFFUSION_H
#define BT_IMAGE_DIFFUSION_H

#include "module.h"
#include "image/adapters/adapters.h"
#include "image/network/networks.h"
#include "image/picture/picture.h"
#include "image/sampling/samplers.h"
#include "text/bpe.h"

typedef struct sd_options {
    const char *prompt, *negative, *wildcards, *model_hash, *vae, *preview_vae;
    int64_t width, height, steps, seed, batch, clip_skip, vae_tile;
    double cfg, image_cfg, strength, variation;
    double eta; /* NAN: the sampler's */
    int64_t variation_seed, sampler_seed, ensd;
    int sampler;     /* 0 = the model's, else see sd_sampler_chosen */
    int scheduler;   /* sd_grid_kind */
    int rng;         /* 0 torch, 1 philox */
    int sampler_rng; /* 0 the same, 1 torch, 2 philox */
    int plain;       /* prompts without syntax */
    const char *lora, *lora_dir, *embedding;
    const char *control, *control_preprocess;
    int prediction; /* 0 = the model's, else sd_prediction + 1 */

    double hires_scale, hires_strength;
    int64_t hires_steps; /* 0: as many as the first pass */
    int hires_upscaler;

    /* repainting a part of a picture */
    double mask_blur; /* pixels */
    int mask_invert;
    int inpaint_fill; /* sd_fill; -1: as fits */
    int inpaint_area; /* 0 the whole picture, 1 the mask's surroundings */
    int64_t inpaint_padding;
    const char *outpaint; /* "left,right,top,bottom" or one number */
} sd_options;

extern const bt_option sd_option_table[];

/* Immutable, shared by jobs. */
typedef struct sd_model {
    bt_store *store; /* owned once sd_model_open has succeeded */
    const bt_compute *compute;
    bt_weights *ws;
    bt_bpe *bpe;
    sd_clip_config clip, clip2; /* clip2: SDXL's second text encoder; layers 0: none */
    sd_pipeline_config pipeline;
    sd_unet_config unet;
    sd_vae_config vae;
    sd_schedule_config schedule;
    sd_train train;
    int tokens;     /* of a prompt: bos, text, eos, padding */
    int32_t pad2;   /* the second encoder's padding */
    int pooled;     /* values of a prompt as a whole; 0: the UNet wants none */
    char name[128]; /* file name without its suffix */
} sd_model;

bt_status sd_model_open(bt_store *s, const bt_compute *c, void **model, bt_error *err);
void sd_model_close(void *model);
bt_status sd_model_describe(void *model, bt_buf *json);
bt_status sd_model_tokenize(void *model, const char *text, size_t len, int special, int32_t **ids,
                            size_t *n, bt_error *err);
bt_status sd_model_detokenize(void *model, const int32_t *ids, size_t n, char **text, size_t *len,
                              bt_error *err);
/* Fails if one of what a part of this file made is no number: a picture would not say why it is
 * black. */
bt_status sd_numbers(const char *file, const char *part, const float *x, size_t n, bt_error *err);
/* What a model does when nothing is asked: see the comment of the table. */
double sd_default_guidance(const sd_model *m);
int sd_default_steps(const sd_model *m);

/* Is the UNet told a mask and what it keeps, besides the latent? */
static inline bool sd_inpaints(const sd_model *m) { return m->unet.in == 2 * m->vae.latent + 1; }
/* Or the picture that it shall change (InstructPix2Pix)? */
static inline bool sd_edits(const sd_model *m) { return m->unet.in == 2 * m->vae.latent; }

bt_status sd_job_open(void *model, bt_module_job **job, bt_error *err);
void sd_job_close(bt_module_job *job);
bt_status sd_job_estimate(bt_module_job *job, const bt_run *r, bt_estimate *out);
bt_status sd_job_run(bt_module_job *job, const bt_run *r);

/* ---- jobs' caches (run/cache.c) -------------------------------------------- */

enum { SD_MAX_PLANS = 7 };

/* SD_PREVIEW: the decoder of the autoencoder that previews alone go through */
typedef enum sd_part {
    SD_CLIP,
    SD_CLIP2,
    SD_UNET,
    SD_DECODER,
    SD_ENCODER,
    SD_PREVIEW,
    SD_PARTS
} sd_part;

typedef struct sd_cached_plan {
    sd_plan p;
    sd_part part;
    int n, h, w;  /* CLIP: n = layers left out */
    int chunks;   /* UNet: of the context */
    bool steered; /* UNet: by ControlNets */
    uint64_t used;
} sd_cached_plan;

/* A text as the text encoder reads it, chunk by chunk, without its weights. */
typedef struct sd_encoded {
    char *text;
    int skip, plain;
    int chunks;
    float *hidden;  /* [chunks][tokens][unet.context] */
    float *pooled;  /* [pooled], of the first chunk */
    float *weights; /* [chunks][tokens] */
    bool weighted;  /* one of them is not 1 */
    /* [chunks][2]: sums of a chunk's values, for each of the text encoders: without weights,
     * with them. */
    struct {
        double without, with;
    } (*sums)[2];
    size_t bytes;
    uint64_t used;
} sd_encoded;

/* An autoencoder from another file. */
typedef struct sd_other_vae {
    char *path; /* NULL: the model's own is used */
    bt_store *store;
    bt_weights *ws;
    sd_vae_config vae;
} sd_other_vae;

typedef struct sd_cache {
    const sd_model *m;
    bt_weights *ws;          /* the model's, or adapters' over them */
    const sd_learned *words; /* in ws; NULL: none */
    sd_other_vae other, preview;
    bool steered; /* the UNet's plans take what ControlNets make */
    sd_cached_plan plans[SD_MAX_PLANS];
    sd_encoded **texts;
    size_t n_texts, cap_texts, text_bytes;
    uint64_t pinned; /* texts used after this time stay */
    uint64_t clock;
} sd_cache;

/* The plan for this shape, made if need be; belongs to the cache and stays for
 * at least SD_MAX_PLANS - 1 further calls. */
bt_status sd_cache_plan(sd_cache *c, sd_part part, int n, int h, int w, sd_plan **out,
                        bt_error *err);
/* The same, with its memory there: sd_plan_data gives no NULL. */
bt_status sd_cache_ready_plan(sd_cache *c, sd_part part, int n, int h, int w, sd_plan **out,
                              bt_error *err);
/* The UNet's, which has one more number to its shape: chunks of the context. */
bt_status sd_cache_unet(sd_cache *c, int n, int h, int w, int chunks, sd_plan **out, bt_error *err);
/* An input's and output's memory is there after this. */
bt_status sd_cache_ready(sd_plan *p, bt_error *err);
/* Runs it; `name`, a literal, is what a profile calls it. */
bt_status sd_cache_run(sd_plan *p, const bt_run *r, const char *name);
/* Encodes a text, or finds it (run/texts.c). What is asked for after sd_cache_pin stays
 * until the next one. */
void sd_cache_pin(sd_cache *c);
bt_status sd_cache_text(sd_cache *c, const bt_run *r, const char *text, int skip, int plain,
                        const sd_encoded **out);
/* m->tokens ids of one prompt through the text encoder, or both of SDXL's: [tokens]
 * [unet.context]; pooled (NULL: not wanted): m->pooled values. */
bt_status sd_cache_encode(sd_cache *c, const bt_run *r, const int32_t *ids, int skip, float *hidden,
                          float *pooled);
/* From now on pictures are decoded, and encoded, by the autoencoder of this file, or previews
 * decoded by it; NULL or "": by the model's, or previews as pictures (run/other_vae.c). */
bt_status sd_cache_use_vae(sd_cache *c, const char *path, bt_error *err);
bt_status sd_cache_use_preview(sd_cache *c, const char *path, bt_error *err);
void sd_cache_drop_vaes(sd_cache *c);
/* The file that a part is of, NULL: the model's; and the settings of its autoencoder. */
const sd_other_vae *sd_cache_other(const sd_cache *c, sd_part part);
const sd_vae_config *sd_cache_vae(const sd_cache *c, sd_part part);
/* This part of the model will not run for a while: gives the activations' memory
 * back and, but for the UNet, which every picture needs longest, the weights'. */
void sd_cache_rest(sd_cache *c, sd_part part);
/* An empty place for a plan; then all plans and texts, as for other weights; then another
 * autoencoder too. */
void sd_cache_drop(sd_cached_plan *e);
void sd_cache_forget(sd_cache *c);
void sd_cache_release(sd_cache *c);
void sd_cache_forget_texts(sd_cache *c);

/* ---- picture/infotext.c ---------------------------------------------------- */

typedef struct sd_info {
    const char *prompt, *negative, *sampler, *scheduler, *model;
    const char *model_hash; /* "": unknown */
    int steps, width, height, clip_skip, philox;
    double cfg;
    double eta;       /* NAN: the sampler's own */
    bool eta_ddim;    /* whose, in A1111's words */
    double strength;  /* NAN: neither from a picture nor with a second pass */
    double variation; /* 0: none */
    int64_t ensd;
    uint64_t seed, variation_seed;

    const char *hires_upscaler; /* NULL: one pass */
    double hires_scale;
    int hires_steps; /* 0: as the first pass */

    const char *masked_content; /* what the mask's white is filled with; NULL: the picture */
    double mask_blur;
    int mask_invert;
    const char *controls; /* fields of ControlNets, with ", " before; "": none */
    int masked_padding;   /* -1: the whole picture is made, not the mask's surroundings */
} sd_info;

/* A1111's "parameters" text. bt_release it. NULL: no memory. */
char *sd_infotext(const sd_info *i);

#endif
