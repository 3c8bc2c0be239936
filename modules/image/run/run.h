/* SPDX-License-Identifier: MIT
 * Inside of a run: what its steps share.
 *
 *     options -> setup (all decided) -> work (what pictures share)
 *     for each GROUP: noise -> steps of (UNet -> guidance -> sampler) -> decode -> host
 */
#ifndef BT_IMAGE_RUN_H
#define BT_IMAGE_RUN_H

#include "image/diffusion.h"

enum { SD_GROUP = 4 }; /* pictures that one run of the UNet takes; twice that with guidance */

struct bt_module_job {
    const sd_model *m;
    sd_cache cache;
};

/* Options with everything decided. */
typedef struct sd_setup {
    int w, h, lw, lh, steps, first, batch, skip, philox;
    double cfg, eta, strength;
    bool guided;
    const sd_sampler *sampler;
    sd_grid_kind kind;
    sd_grid grid;
    uint64_t seed;
    const char *prompt, *negative;
    const bt_image *init, *mask;
} sd_setup;

/* What all pictures of a run share. */
typedef struct sd_work {
    bt_module_job *j;
    const bt_run *r;
    sd_setup s;
    size_t n;                       /* values of a latent */
    float *moments;                 /* of the first picture: [rows][2 * latent]; NULL: none */
    float *pixels;                  /* of the first picture, 0..1 */
    float *mask;                    /* [lh * lw] 0 keeps, 1 repaints; NULL: repaint all */
    float *pixel_mask;              /* [h * w] 0..1 */
    int done, total;                /* steps, for progress */
    double encode, denoise, decode; /* seconds */
} sd_work;

/* A picture and what it needs besides. */
typedef struct sd_making {
    sd_latent p;
    float *x0, *start; /* with a first picture: its latent, and the first noise */
    uint64_t seed;
} sd_making;

/* setup.c: decides everything; sd_grid_release(&s->grid) afterwards, also of a failure. */
bt_status sd_run_setup(const sd_model *m, const sd_options *o, const bt_image *init,
                       const bt_image *mask, sd_setup *s, bt_error *err);

/* start.c: reads the first picture and the mask; then starts pictures. */
bt_status sd_run_read_inputs(sd_work *k);
void sd_run_start(const sd_work *k, sd_making *pic, uint64_t seed);

/* condition.c: what SDXL's UNet is told besides the text, for the b rows of a side (0: the
 * negative prompt's, if there are two); pooled NULL: zeros. */
void sd_run_fill_added(const sd_work *k, sd_plan *p, int b, int side, const float *pooled);

/* denoise.c: takes b started pictures through all steps. */
bt_status sd_run_denoise(sd_work *k, sd_making *pics, int b);

/* finish.c: decodes a picture and hands it to the host. */
bt_status sd_run_finish(sd_work *k, const sd_making *pic);

/* pipeline.c */
/* What b pictures need of memory, and where in it; bt_release. NULL: none. */
float *sd_run_lay_out(const sd_work *k, sd_making *pics, int b);
/* All that the work holds. */
void sd_run_release(sd_work *k);
bt_status sd_run_no_memory(const sd_work *k);
bt_status sd_run_plan(const sd_work *k, sd_plan *p, const char *name);

#endif
