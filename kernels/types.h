/* SPDX-License-Identifier: MIT
 * Number types of weights and the layout of their quantized blocks. The one
 * header of this room that every other room may include. Type numbers are
 * those of the GGUF file format; block layouts follow ggml's (ggml-common.h).
 *
 * A quantized row is a sequence of blocks: 32 or 256 values with a scale (and
 * for some types a minimum) of their own. ref/blocks.h is the definition of each.
 */
#ifndef BT_KERNELS_TYPES_H
#define BT_KERNELS_TYPES_H

#include <stddef.h>
#include <stdint.h>

/* X(NAME, gguf number, "name", values per block, bytes per block) */
#define BT_DTYPE_MAP(X)                                                                            \
    X(F32, 0, "f32", 1, 4)                                                                         \
    X(F16, 1, "f16", 1, 2)                                                                         \
    X(Q4_0, 2, "q4_0", 32, 18)                                                                     \
    X(Q4_1, 3, "q4_1", 32, 20)                                                                     \
    X(Q5_0, 6, "q5_0", 32, 22)                                                                     \
    X(Q5_1, 7, "q5_1", 32, 24)                                                                     \
    X(Q8_0, 8, "q8_0", 32, 34)                                                                     \
    X(Q2_K, 10, "q2_k", 256, 84)                                                                   \
    X(Q3_K, 11, "q3_k", 256, 110)                                                                  \
    X(Q4_K, 12, "q4_k", 256, 144)                                                                  \
    X(Q5_K, 13, "q5_k", 256, 176)                                                                  \
    X(Q6_K, 14, "q6_k", 256, 210)                                                                  \
    X(IQ4_NL, 20, "iq4_nl", 32, 18)                                                                \
    X(IQ4_XS, 23, "iq4_xs", 256, 136)                                                              \
    X(I8, 24, "i8", 1, 1)                                                                          \
    X(I16, 25, "i16", 1, 2)                                                                        \
    X(I32, 26, "i32", 1, 4)                                                                        \
    X(I64, 27, "i64", 1, 8)                                                                        \
    X(F64, 28, "f64", 1, 8)                                                                        \
    X(BF16, 30, "bf16", 1, 2)                                                                      \
    X(U8, 64, "u8", 1, 1) /* this and what follows: safetensors and ONNX only, no GGUF types */    \
    X(F8_E4M3, 65, "f8_e4m3", 1, 1)                                                                \
    X(F8_E5M2, 66, "f8_e5m2", 1, 1)

typedef enum bt_dtype {
#define BT_DTYPE_ENUM(name, number, text, block, bytes) BT_##name = number,
    BT_DTYPE_MAP(BT_DTYPE_ENUM)
#undef BT_DTYPE_ENUM
        BT_DTYPE_COUNT = 67
} bt_dtype;

typedef struct bt_dtype_info {
    const char *name; /* NULL: no such type */
    uint32_t block;   /* values in a block */
    uint32_t bytes;   /* bytes in a block */
} bt_dtype_info;

/* Indexed by bt_dtype; kernels/types.c. */
extern const bt_dtype_info bt_dtypes[BT_DTYPE_COUNT];

/* The type with this name in any case ("Q8_0"), or -1. */
int bt_dtype_from_name(const char *name);

/* Bytes of a row of k values; k must be a multiple of the block. */
static inline size_t bt_row_bytes(bt_dtype t, size_t k)
{
    return k / bt_dtypes[t].block * bt_dtypes[t].bytes;
}

/* Non-linearities, everywhere with the same meaning. */
typedef enum bt_act {
    BT_ACT_NONE,
    BT_ACT_RELU,
    BT_ACT_LEAKY_RELU, /* x < 0 ? alpha * x : x */
    BT_ACT_SILU,       /* x * sigmoid(x) */
    BT_ACT_GELU,       /* x/2 * (1 + erf(x / sqrt 2)) */
    BT_ACT_GELU_SHORT, /* GELU off by 2e-4 at most: for what is rounded to bf16 or bytes */
    BT_ACT_GELU_TANH,  /* the tanh approximation */
    BT_ACT_QUICK_GELU, /* x * sigmoid(1.702 x) */
    BT_ACT_TANH,
    BT_ACT_SIGMOID,
    BT_ACT_EXP,
} bt_act;

#endif
