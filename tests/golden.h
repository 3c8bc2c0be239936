/* SPDX-License-Identifier: MIT
 * For tests: goldens (tests/golden), installed weights, and measures of error.
 * Link bt_golden. Whatever is missing fails the running test.
 */
#ifndef BT_TESTS_GOLDEN_H
#define BT_TESTS_GOLDEN_H

#include "formats/store.h"

/* Under AddressSanitizer, ten to thirty times as slow, a long test walks all paths but compares
 * fewer of the numbers that it compares without. */
#ifdef __SANITIZE_ADDRESS__
enum { GOLDEN_BRIEF = 1 };
#else
enum { GOLDEN_BRIEF = 0 };
#endif

/* tests/golden/<name>.safetensors, or the path itself if it starts with '/'.
 * bt_store_close it. */
bt_store *golden_open(const char *name);
/* A tensor's values; n (may be NULL) receives their number. free() them. */
float *golden_floats(const bt_store *s, const char *tensor, size_t *n);
int64_t *golden_ints(const bt_store *s, const char *tensor, size_t *n);
/* tests/golden/<name> as zero-terminated text. free() it. */
char *golden_text(const char *name, size_t *n);

/* Path of an installed file: $BOTTEGA_DATA/<name>, else
 * ~/.local/share/bottega/<name>, e.g. "models/en_US-joe-medium.onnx". */
const char *golden_data(const char *name, char *path, size_t size);

/* |x - ref| / |ref| in the 2-norm; 0 if both are all zeros. */
double golden_rel_l2(const float *x, const float *ref, size_t n);
double golden_max_abs(const float *x, const float *ref, size_t n);
/* 10 log10(|ref|^2 / |x - ref|^2); 999 if equal. */
double golden_snr_db(const float *x, const float *ref, size_t n);
/* The same after the best single gain on x. */
double golden_snr_gain_db(const float *x, const float *ref, size_t n);
/* Of 8-bit samples, peak 255; 999 if equal. */
double golden_psnr_db(const uint8_t *x, const uint8_t *ref, size_t n);

#endif
