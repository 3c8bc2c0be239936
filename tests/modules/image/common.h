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

#endif
