/* SPDX-License-Identifier: MIT
 * For the tests of the image module.
 */
#ifndef BT_TESTS_IMAGE_COMMON_H
#define BT_TESTS_IMAGE_COMMON_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>
#include <cmocka.h>

#include "golden.h"
#include "image/diffusion.h"

/* tests/golden/<name>.json; cJSON_Delete it. */
cJSON *side_json(const char *name);

/* [c][h][w] <-> [h][w][c]; free() the result. */
float *to_nhwc(const float *x, int c, int h, int w);
float *to_nchw(const float *x, int c, int h, int w);

/* A temporary diffusers folder with these side files (pairs of name and text,
 * ends with NULL) and one small tensor. Returns its path (static). */
const char *temp_model(const char *const *files);
void remove_model(const char *path);

/* The float weights of icons-128: $BOTTEGA_ICONS, or shared/models/icons-128
 * beside the checkout; NULL: not here. */
const char *icons_path(void);

/* ---- the module without an engine ------------------------------------------ */

typedef struct host {
    sd_options o;                     /* defaults; change, then host_run */
    bt_image init, mask, controls[2]; /* used if pixels is not NULL */
    struct {
        int width, height;
        uint8_t *rgb;
        char *info;
    } pictures[16];
    int n_pictures;
    int progress_calls, cancel_after;   /* 0: never */
    int preview_interval;               /* 0: none are asked for */
    int previews, preview_w, preview_h; /* how many came; the last one's size */
    long preview_shown;                 /* a bit for each picture of the batch */
    uint64_t preview_hash;              /* of the last one's bytes */
    char facts[4096];                   /* "name=json;..." */
    bt_error error;
    atomic_bool cancel;
    bt_kernels kernels;
    bt_compute compute;
    void *model;
    bt_module_job *job;
} host;

/* Default options, no model. */
host *host_new(int threads, bt_precision precision);
/* Opens a model with these settings; fails the test if it cannot. */
host *host_open(const char *path, int threads, bt_precision precision);
const bt_image *host_image_in(void *user, const char *name); /* bt_run.image_in */
bt_status host_run(host *h); /* forgets the pictures of the run before */
bt_status host_estimate(host *h, bt_estimate *out);
void host_must_run(host *h);
void host_close(host *h);

#endif
