/* SPDX-License-Identifier: MIT
 * Tiny models made from names, as tests/golden/make_families.py says: lists of rows become
 * files; and the pictures that such models make.
 */
#ifndef BT_TESTS_IMAGE_RECIPE_H
#define BT_TESTS_IMAGE_RECIPE_H

#include "common.h"

enum { SIZE = 32, SIDE = SIZE / 2, FAMILY_VALUES = SIDE * SIDE * 4 };

/* A tensor of a recipe. */
typedef struct made {
    bt_tensor t;
    float *values; /* free() */
} made;

/* The recipe's list of this name as tensors; *n receives their number. recipe_free them. */
made *recipe_list(const cJSON *recipe, const char *list, int *n);
void recipe_free(made *list, int n);
/* f32, or half precision, as fp16 variants are stored. */
void recipe_safetensors(const char *path, const made *list, int n, bt_dtype type);
void recipe_gguf(const char *path, const made *list, int n);
/* A diffusers folder, component by component; the UNet in two shards, text encoders as the fp16
 * variant if `half`. */
void recipe_folder(const char *root, const cJSON *recipe, bool half);
/* Those of a list whose names begin with `prefix`, without it. */
void recipe_part(const char *path, const cJSON *recipe, const char *list, const char *prefix);
/* tests/golden/<name>.json.gz; cJSON_Delete it. */
cJSON *recipe_open(const char *name);

/* A member of an object, or NULL. */
const char *recipe_text(const cJSON *j, const char *key);
uint8_t *family_bytes(const bt_store *golden, const char *name); /* free() */
/* Options of one picture of the golden's list. */
void family_options(host *h, const cJSON *j);
/* The latents that the decoder would get, [FAMILY_VALUES]: the run without its end. */
void family_latents(host *h, float *out);

#endif
