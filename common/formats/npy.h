/* SPDX-License-Identifier: MIT
 * numpy's npy: one array of floats (numpy/lib/format.py).
 */
#ifndef BT_FORMATS_NPY_H
#define BT_FORMATS_NPY_H

#include "base/alloc.h"
#include "base/status.h"
#include "kernels/types.h"

enum { BT_NPY_DIMS = 4 };

typedef struct bt_npy {
    bt_dtype type; /* BT_F16, BT_F32 or BT_F64 */
    int n_dims;
    int64_t dims[BT_NPY_DIMS]; /* outermost first, each at least 1 */
    bool fortran;              /* the first dimension is the one that runs fastest */
    size_t count;
    const uint8_t *data; /* count values within the parsed bytes, of any alignment */
} bt_npy;

/* Little-endian floats of at most BT_NPY_DIMS dimensions; `name` is for messages. */
bt_status bt_npy_parse(const char *name, const uint8_t *p, size_t n, bt_npy *out, bt_error *err);
/* All values, in C order; bt_release. NULL: no memory. */
float *bt_npy_floats(const bt_npy *a, bt_error *err);
/* A file of float32 in C order, whole or not at all. */
bt_status bt_npy_write(const char *path, int n_dims, const int64_t *dims, const float *x,
                       bt_error *err);

#endif
