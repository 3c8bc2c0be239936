/* SPDX-License-Identifier: MIT
 * Inside of a run: what its steps share.
 *
 *     options -> setup (all decided) -> work (what pictures share)
 *     for each GROUP: prompts -> noise -> steps of (UNet -> guidance -> sampler) -> decode -> host
 */
#ifndef BT_IMAGE_RUN_H
#define BT_IMAGE_RUN_H

#include "image/control/control.h"
#include "image/diffusion.h"
#include "image/prompt/prompt.h"

enum { SD_MAX_SIDE = 16384, SD_LEAST_TILE = 16 };
/* One run of the UNet takes up to SD_GROUP pictures; twice that with guidance. */

struct bt_module_job {
    const sd_model *m;
    sd_cache cache;
    sd_adapters *adapters; /* NULL: the model as it is */
    sd_controls controls;
    sd_learned words;
};

/* Of the option "inpaint_fill". */
typedef enum sd_fill { SD_ORIGINAL, SD_AROUND, SD_LATENT_NOISE, SD_LATENT_NOTHING } sd_fill;

/* Options with everything decided. */
typedef struct sd_setup {
    double hires_scale; /* 1: one pass alone */
    int hires_steps, hires_upscaler;
    sd_margins margins;   /* pixels around the first picture that are made as well */
    sd_fill fill;         /* what the mask hides before the first step */
    bool repaints, whole; /* part of a picture; the whole of it is made anew, or the mask's box */
    bool invert;
    double blur; /* of the mask, pixels */
    int padding; /* around the mask */
    int w, h, lw, lh, steps, batch, skip;
    int first; /* step of the grid */
    double cfg, image_cfg, eta, strength, variation;
    bool guided, philox, sampler_philox;
    int64_t ensd;
    bool own_rng; /* the steps' noise has a generator of its own */
    const sd_sampler *sampler;
    sd_grid_kind kind;
    sd_grid grid;
    sd_schedule_config schedule; /* the model's, but for the prediction asked for */
    uint64_t seed, variation_seed, path_seed;
    const char *prompt, *negative, *wildcards, *lora, *lora_dir, *model_hash;
    const sd_learned *words; /* of the job; NULL: none */
    int plain;               /* prompts without syntax */
    int turns;               /* runs of the network that prompts count by */
    int turns_before;        /* those of the pass before; 0: there was none */
    const bt_image *init, *mask;
    sd_control_list controls;
    int group;  /* pictures that one run of the UNet takes */
    bool spare; /* weights are in memory only while they are used */
    int tile;   /* rows and columns of latents that the autoencoder takes at a time; 0: all */
} sd_setup;

/* One prompt of those that a picture is made from, and its texts step by step. */
typedef struct sd_cue {
    double weight;
    sd_turns turns;
    const sd_encoded **texts; /* of turns.texts, once encoded */
    int chunks;               /* of the longest text */
    const sd_encoded *empty;  /* fills up what is shorter; NULL: nothing is */
    float (*ratios)[2];       /* [chunks], for each text encoder; NULL: no weights */
} sd_cue;

/* What a picture is asked to show. */
typedef struct sd_asked {
    char *prompt, *negative;         /* choices made */
    sd_cue cues[1 + SD_MAX_CLAUSES]; /* the negative prompt, then what AND joins */
    int n;
    int first;        /* 1: the negative prompt takes no part */
    int blind;        /* 1: a model that changes a picture is asked once more, without it */
    int longest;      /* chunks of the longest cue but the negative one */
    int chunks;       /* of the network's context */
    size_t words;     /* ids of the prompt */
    uint64_t encoded; /* chunks that the text encoder reads */
    sd_lora_list loras;
} sd_asked;

/* ControlNets at work (steer.c). */
typedef struct sd_steering sd_steering;

/* What all pictures of a run share. */
typedef struct sd_work {
    bt_module_job *j;
    const bt_run *r;
    sd_setup s;
    const sd_setup *second;      /* of a second pass; NULL: there is none */
    const sd_setup *base;        /* of a second pass: that of the first */
    size_t n;                    /* values of a latent */
    float *moments;              /* of the first picture: [rows][2 * latent]; NULL: none */
    float *pixels;               /* of the first picture, 0..1 */
    float *kept_moments;         /* of what the UNet is told besides; NULL: nothing */
    float *mask;                 /* [lh * lw] 0 keeps, 1 repaints; NULL: repaint all */
    float *pixel_mask;           /* [h * w] 0..1 */
    float *around, *around_mask; /* what pixels and pixel_mask are scaled from, if that is a part */
    int aw, ah;                  /* its size, */
    sd_box box;                  /* and the part */
    struct sd_making *pics;      /* of the group that is being made */
    sd_plan *unet;               /* theirs */
    sd_steering *steering;       /* theirs too; NULL: nothing steers */
    int b, step;                 /* how many; the step of the grid that they take */
    int call;                    /* of the network, for these pictures */
    float *seen;                 /* the pictures foreseen last; NULL: nobody looks */
    int done, total;             /* steps, for progress */
    double encode, denoise, decode; /* seconds */
} sd_work;

/* A picture and what it needs besides. */
typedef struct sd_making {
    sd_latent p; /* x and noise of a group's pictures lie one after the other */
    sd_asked *asked;
    float *kept;       /* [rows][unet.in - latent]: the mask and what it keeps; the first picture */
    float *x0, *start; /* with a first picture: its latent, and the first noise */
    uint64_t seed, variation_seed;
} sd_making;

/* setup.c: makes the grid of s->steps; decides everything. sd_grid_release(&s->grid) afterwards,
 * also of a failure. */
bt_status sd_run_grid(const sd_model *m, sd_setup *s, bt_error *err);
bt_status sd_run_setup(const sd_model *m, const sd_options *o, const bt_image *init,
                       const bt_image *mask, sd_setup *s, bt_error *err);

/* adapt.c: what the job changes of the model: the words of the option "embedding", which
 * must be known before prompts are read; then LoRAs. What no longer holds is forgotten. */
bt_status sd_run_words(bt_module_job *j, const char *embedding, bt_error *err);
bt_status sd_run_loras(bt_module_job *j, const sd_lora_list *loras, bt_error *err);
void sd_run_unadapt(bt_module_job *j);

/* inputs.c: reads the first picture and the mask; puts what was made into its place.
 * *rgb [h][w][3] may become larger; bt_release it. */
bt_status sd_run_read_inputs(sd_work *k);
bt_status sd_run_paste(const sd_work *k, uint8_t **rgb, int *w, int *h);
void sd_run_forget_inputs(sd_work *k);

/* start.c: encodes the first picture; then starts picture i of the batch. */
bt_status sd_run_encode_init(sd_work *k);
/* Noise [rows][latent] becomes a sample of the encoder's distribution, in the UNet's scale. */
void sd_run_sample(const sd_work *k, const float *moments, float *noise);
void sd_run_start(const sd_work *k, sd_making *pic, int i);
/* With variations all pictures of a batch have one seed, as in A1111. */
static inline uint64_t sd_run_seed(const sd_setup *s, int i)
{
    return s->seed + (s->variation > 0 ? 0 : (uint64_t)i);
}

/* condition.c: what SDXL's UNet is told besides the text, for one row; pooled NULL: zeros. */
void sd_run_fill_added(const sd_work *k, bool negative, const float *pooled, float *out);

/* For inpainting models: encodes what the mask keeps, all else grey; then makes a sample of
 * it with the noise in pic->p.noise. For those that change a picture: that picture. */
bt_status sd_run_read_kept(sd_work *k);
void sd_run_fill_kept(const sd_work *k, sd_making *pic);

/* asked.c: reads both prompts as the picture with this seed has them; sd_asked_free it. If
 * they are those of `last` (or NULL), *out is `last`. A failure leaves *out NULL. */
bt_status sd_run_ask(const sd_model *m, const sd_setup *s, uint64_t seed, sd_asked *last,
                     sd_asked **out, bt_error *err);
/* What that picture of the batch asks for whose prompts take the most memory. */
bt_status sd_run_ask_most(const sd_model *m, const sd_setup *s, sd_asked **out, bt_error *err);
void sd_asked_free(sd_asked *a);
/* What A1111 takes for the network's runs in so many steps. */
static inline int sd_run_turns(const sd_setup *s, int steps)
{
    return s->sampler->twice ? 2 * steps : steps;
}
/* The prompts that take part are rows of one run of the UNet. */
static inline int sd_asked_rows(const sd_asked *a) { return a->n - a->first + a->blind; }
/* Both can be made in one run. */
static inline bool sd_asked_alike(const sd_asked *a, const sd_asked *b)
{
    return a->n == b->n && a->first == b->first && a->chunks == b->chunks &&
           sd_lora_list_same(&a->loras, &b->loras);
}

/* cues.c: encodes all texts of a group's prompts; then fills the context of a call, row
 * (cue - first) * b + i being that of picture i. */
bt_status sd_run_read_texts(sd_work *k, const sd_making *pics, int b);
void sd_run_fill_context(const sd_work *k, sd_plan *p, const sd_making *pics, int b);

/* hires.c: the second pass of a larger picture: how it is made, and its start from
 * what the first pass made. */
const char *sd_hires_label(const sd_setup *s);
static inline bool sd_hires_by_latent(const sd_setup *s) { return s->hires_upscaler < 2; }
bt_status sd_run_setup_hires(const sd_model *m, const sd_setup *base, sd_setup *s, bt_error *err);
bt_status sd_run_hires(sd_work *k, const sd_making *pics, sd_work *big, sd_making *to, int from,
                       int b);

/* preview.c: k->seen = the pictures that the network's answer at timestep t foresees, their
 * latents being `in`, which hold sqrt(abar) of them; and shows the host what picture
 * `index` of the run will be, by its latent x0. */
void sd_run_foresee(sd_work *k, const float *in, float t, const float *out);
bt_status sd_run_preview(const sd_work *k, const float *x0, int index);
/* What decodes previews, and the latents of one: *w and *h, those of a picture, are made small. */
sd_part sd_run_preview_size(const sd_cache *c, int *w, int *h);

/* steer.c: the job's ControlNets become those of the setup; then: whether each has its picture. */
bt_status sd_run_use_controls(bt_module_job *j, const sd_setup *s, bt_error *err);
bt_status sd_run_check_controls(const sd_work *k);
/* Makes k->steering for runs of so many rows; sd_run_end_steering it, also after a failure. */
bt_status sd_run_begin_steering(sd_work *k, int rows, int chunks);
void sd_run_end_steering(sd_work *k);
/* Fills the UNet's residuals for the step it takes, its other inputs being there. */
bt_status sd_run_steer(const sd_work *k, float t);
/* What that takes besides the UNet's, bytes; flops: of a run of the UNet, on average. */
typedef struct sd_steering_need {
    uint64_t weights, arena, hints;
    uint64_t reading; /* activations before the first step, when the UNet has none */
    double flops;
} sd_steering_need;
bt_status sd_run_steering_need(bt_module_job *j, const sd_setup *s, int rows, int chunks,
                               sd_steering_need *out, bt_error *err);

/* denoise.c: takes b started pictures, the first of them `from` of the batch, through all
 * steps; block: the walk's. */
bt_status sd_run_denoise(sd_work *k, sd_making *pics, int b, int from, float *block);

/* autoencode.c: pixels [h*w][3], -1..1, to moments [lh*lw][2 * latent]; a latent [lh*lw][latent] in
 * the UNet's scale, which is lost, to pixels [h*w][3], by SD_DECODER or SD_PREVIEW. */
bt_status sd_run_encode(sd_work *k, const float *pixels, float *moments);
bt_status sd_run_decode(sd_work *k, sd_part part, float *latent, float *pixels);
/* Latents that an autoencoder takes at once of a side of so many. */
static inline int sd_run_piece(const sd_setup *s, int side)
{
    return s->tile && s->tile < side ? s->tile : side;
}

/* economy.c: what a run with these settings takes; and what of it to do without, so that it is no
 * more than the engine's budget: the least that can be if that is still more. */
bt_status sd_run_need(bt_module_job *j, const sd_setup *s, const sd_asked *a, bt_estimate *out,
                      bt_error *err);
bt_status sd_run_economize(bt_module_job *j, sd_setup *s, const sd_asked *a, bt_error *err);
/* How many pictures asked for like this one run of the network takes: with AND fewer. */
static inline int sd_run_group(const sd_setup *s, const sd_asked *a)
{
    const int n = 2 * SD_GROUP / sd_asked_rows(a);
    return n < 1 ? 1 : n < s->group ? n : s->group;
}

/* finish.c: decodes a picture and hands it to the host. */
bt_status sd_run_finish(sd_work *k, const sd_making *pic);

/* pipeline.c */
uint64_t sd_run_walk_bytes(const sd_setup *s, int channels, int b); /* latents of b pictures */
/* Room for a group: x and noise of all pictures, the rest of each, what all of
 * them use by turns, and the walk's. bt_release; NULL: none. */
float *sd_run_lay_out(const sd_work *k, sd_making *pics, int b, float **walk);
bt_status sd_run_no_memory(const sd_work *k);
bt_status sd_run_plan(const sd_work *k, sd_plan *p, const char *name);

#endif
