/* SPDX-License-Identifier: MIT
 * The table of kernels and their contracts.
 *
 * Kernels know libc and types.h. They never allocate, start threads, print or
 * see a tensor. The table is filled once by bt_kernels_init: scalar first,
 * then overlays for what the processor and the operating system allow.
 *
 * Common rules, unless a contract says otherwise: any alignment; outputs do
 * not alias inputs, except that an elementwise output may BE its input;
 * sizes may be zero; nothing is read or written past the stated sizes. What
 * a kernel computes for one row or column never depends on the others, nor
 * on how many are asked for at once (so results do not depend on tiling):
 * tails run the same arithmetic under a mask.
 */
#ifndef BT_KERNELS_KERNELS_H
#define BT_KERNELS_KERNELS_H

#include "types.h"

enum {
    BT_CPU_AVX2 = 1 << 0,       /* AVX2, FMA, F16C */
    BT_CPU_AVX512 = 1 << 1,     /* F, BW, DQ, VL */
    BT_CPU_AVX512VNNI = 1 << 2, /* VNNI */
    BT_CPU_AVX512BF16 = 1 << 3,
    BT_CPU_AVXVNNI = 1 << 4,
    BT_CPU_AMX = 1 << 5,      /* tile, int8, bf16, and the system lets us use them */
    BT_CPU_NEON = 1 << 6,     /* every AArch64 */
    BT_CPU_DOTPROD = 1 << 7,  /* int8 dot products of ARMv8.2 */
    BT_CPU_FASTBF16 = 1 << 8, /* AVX512BF16 of AMD: nearly twice as fast as f32, not half */
};

/* What CPUID, XGETBV and, for tiles, the system allow on this machine. */
uint32_t bt_cpu_flags(void);
/* Flags up to an instruction set: "scalar", "avx2", "avxvnni", "avx512", "avx512vnni",
 * "avx512bf16", "amx", "auto" (all). Returns -1 for an unknown name. */
int64_t bt_cpu_cap(const char *isa);

enum {
    BT_NR = 16,         /* weight rows (output columns) in a packed panel */
    BT_QA = 32,         /* activations in a block of the int8 compute type */
    BT_KB = 32,         /* channels of the bf16 compute type come in multiples of this */
    BT_KEYS = 64,       /* keys in a block of attention */
    BT_MAX_HEAD = 1024, /* channels of an attention head; autoencoders have 512 */
    BT_MAX_MR = 16,     /* upper bounds of gemm_mr, gemm_np */
    BT_MAX_NP = 4,
};

/* Packed weights. A panel holds BT_NR rows of K values in the type's own
 * bits; panels follow each other, bt_panel_bytes apart. The order inside:
 *   F32, F16: [K][16] values.
 *   BF16: [Kp/2][16][2], pairs of consecutive k; Kp is K rounded up to BT_KB and
 *         the rest is zeros: what gemm_bf16 reads.
 *   Quantized types: the bytes of 16 file blocks, one per row, interleaved. The
 *         field at byte o of the file's block (ref/blocks.h) begins at 16 o of the
 *         packed block and is [bytes/unit][16][unit]; units are 2 for halves, 1
 *         for scales of K-quants, 4 for values and their high bits. So row r's
 *         bytes 4g..4g+3 of `qs` are four consecutive k in lane r of a vector.
 *         Only the word of fifth bits of Q5_0 and Q5_1 is turned: bit 8i + g
 *         belongs to k = 4g + i.
 *   Other single values: [K][16].
 * kernels/ref/pack.c is the definition. */
size_t bt_panel_bytes(bt_dtype t, int k);
/* rows[r]: source row r of K values of type t, NULL = zeros. k % block == 0. */
void bt_pack_panel(bt_dtype t, void *dst, const void *const rows[BT_NR], int k);

/* The types with an int8 kernel. */
#define BT_Q8_TYPES(X)                                                                             \
    X(Q8_0)                                                                                        \
    X(Q4_0) X(Q4_1) X(Q5_0) X(Q5_1) X(IQ4_NL) X(IQ4_XS) X(Q2_K) X(Q3_K) X(Q4_K) X(Q5_K) X(Q6_K)

/* One block of an activation row in the int8 compute type: x ~ d * q. */
typedef struct bt_qa {
    float d;       /* max|x| / 127 */
    float ds;      /* d * sum(q) */
    int32_t corr;  /* -128 * sum(q): undoes weights stored as unsigned */
    int32_t corr0; /* the same of the first 16 */
    int8_t q[BT_QA];
} bt_qa;

/* The other int8 compute type, of whole rows: one scale for a row of activations, one for each
 * output's weights, so that sums over any k are whole numbers. Weights lose nothing if they are
 * whole multiples of a step, up to 127 of it (a file with int8 weights and a scale for each
 * output or for all); else the step is the largest one's 127th. In one part a row is
 * x ~ z + d * q, z = (max x + min x) / 2, d = (max x - min x) / 254; in three q has 24 bits:
 * x ~ d * (65536 q0 + 256 q1 + q2), d = max|x| / 8323072, and z is 0. */
typedef struct bt_row_q {
    float d, z;
    int32_t corr[3]; /* -128 * sum(q) of each part: undoes weights stored as unsigned */
    uint8_t unused[44];
    int8_t q[]; /* part after part, each padded with zeros to bt_row_padded(k) */
} bt_row_q;
enum { BT_RK = 64, BT_ROW_MOST = 1 << 16 }; /* k is padded to BT_RK, and at most BT_ROW_MOST */
static inline int bt_row_padded(int k) { return (k + BT_RK - 1) / BT_RK * BT_RK; }
static inline size_t bt_row_q_bytes(int k, int parts)
{
    return sizeof(bt_row_q) + (size_t)parts * (size_t)bt_row_padded(k);
}
/* Panels: [padded / 4][16][4] weights + 128, then [16] steps and [16] sums of the weights as
 * they are. rows: as floats, NULL = zeros. */
static inline size_t bt_row_panel_bytes(int k)
{
    return (size_t)bt_row_padded(k) * BT_NR + 2 * BT_NR * sizeof(float);
}
void bt_pack_row_panel(void *dst, const float *const rows[BT_NR], int k);

/* One head, some query rows: out[i] = sum_j softmax_j(scale * q[i].k[j]) v[j].
 * Rows are d floats, ld* floats apart. Row i sees keys 0..nk-1, and with
 * causal >= 0 only keys j <= causal + i. Keys are taken in blocks of BT_KEYS
 * at absolute multiples, in order, with a running maximum (online softmax), so
 * that row i's bytes depend on its own query and the keys it sees alone.
 * Every row sees at least one key. 1 <= d <= BT_MAX_HEAD, any d.
 * With k16 and v16 keys and values are halves (f16), in place of k and v.
 * With state, out is what the weights relative to the row's maximum add up,
 * and state[i] is that maximum, as a power of two, and their sum: attention over parts of the keys
 * that begin at multiples of BT_KEYS can then be put together.
 * scratch: bt_kernels.attention_scratch(nq, d) bytes, 64-aligned. */
typedef struct bt_attn {
    float *out;
    const float *q, *k, *v;
    const uint16_t *k16, *v16;
    float (*state)[2]; /* NULL: out is the mean, and done */
    size_t ldo, ldq, ldk, ldv;
    int nq, nk, d;
    int causal; /* position of query row 0 among the keys, or -1 */
    float scale;
    void *scratch;
} bt_attn;

/* The same over keys and values that a bt_attn_form has stored, in fewer bits. The same
 * promise for what is stored. scale > 0. */
typedef struct bt_attn_stored {
    float *out;
    const float *q;
    const void *kv;
    float (*state)[2]; /* as in bt_attn */
    size_t ldo, ldq;
    int nq, nk, d;
    int causal;
    float scale;
    void *scratch;
} bt_attn_stored;

/* Attention in fewer bits: a head's keys and values are first stored in the kernel's
 * own order. NULL members = not there. */
typedef struct bt_attn_form {
    /* Of nk keys, linear in nk for multiples of BT_KEYS; kv is 64-aligned. */
    size_t (*bytes)(int nk, int d);
    /* Stores keys j0..j0+n. centre: d floats to subtract from every key of the head, or
     * NULL; scores of a query all move by the same, which changes no weight.
     * bf16: any j0 and n, at once or one by one; all bytes must be finite numbers before
     * the first store: zeros will do. int8: j0 % BT_KEYS == 0, whole blocks. */
    void (*store)(void *kv, int j0, int n, int d, const float *k, size_t ldk, const float *v,
                  size_t ldv, const float *centre);
    size_t (*scratch)(int d); /* bytes, 64-aligned */
    void (*run)(const bt_attn_stored *a);
} bt_attn_form;

/* Minimal filtering in one dimension (Toom and Cook's products of polynomials, turned
 * round; Winograd 1980): `outs` outputs next to each other of a filter of 2 pairs + 3 -
 * outs taps, from 2 pairs + 2 inputs, by one product for each of the points 0, at[0],
 * -at[0], at[1], .. and infinity, in this order. graph/minimal.h fills it. */
enum { BT_MAX_PAIRS = 5, BT_MAX_POINTS = 2 * BT_MAX_PAIRS + 2, BT_MAX_OUTS = 8 };
typedef struct bt_points {
    int pairs, outs; /* pairs >= 1, outs >= 2 */
    float at[BT_MAX_PAIRS];
    float all[BT_MAX_PAIRS];                /* coefficients of the product of (s - at[a]^2) over
                                               all pairs, rising; the last one, 1, left out */
    float but[BT_MAX_PAIRS][BT_MAX_PAIRS];  /* the same over all pairs but one */
    float power[BT_MAX_OUTS][BT_MAX_PAIRS]; /* power[i][a] = at[a]^i */
} bt_points;

/* What becomes of its sums: y = sum + bias + a + b, z = leaky ReLU of y with slope alpha in
 * 0..1; rows of y, z, a, b follow each other, bias is one row. All but y may be NULL; y may
 * be a or b. */
typedef struct bt_minimal_rows {
    float *y, *z;
    const float *bias, *a, *b;
    float alpha;
} bt_minimal_rows;

/* Instructions whose speed `peak` tells: fused multiply-adds of floats, dot
 * products of pairs of bf16 and of fours of bytes, AMX tiles. */
typedef enum bt_peak {
    BT_PEAK_F32,
    BT_PEAK_BF16,
    BT_PEAK_INT8,
    BT_PEAK_AMX_BF16,
    BT_PEAK_AMX_INT8,
    BT_PEAK_COUNT
} bt_peak;

typedef struct bt_kernels {
    const char *isa; /* name of the highest overlay in use */
    uint32_t cpu;    /* flags it was built from */

    /* ---- matrix multiply: rows of A through pointers, packed B ---- */

    int gemm_mr, gemm_np; /* rows and panels that gemm_f32 takes in one step */

    /* dst[kc][16] = float values k0..k0+kc of one panel of type t. k0 and kc
     * multiples of the type's block (kc of the last chunk included), k0 even. */
    void (*expand)(bt_dtype t, float *dst, const void *panel, int k0, int kc);

    /* c[i][16p + r] = (first ? 0 : c[..]) + sum_k a[i][k] * b[p][k][r], one
     * fused multiply-add per k in rising k, for i < m and p < np; any m and np.
     * b[p] starts at b + p * ldp (floats). c rows ldc apart.
     * (Here and below, the scalar kernels multiply, then add: a fused operation
     * is a slow library call without FMA, and bytes are promised per ISA.) */
    void (*gemm_f32)(int m, int np, int kc, const float *const *a, const float *b, size_t ldp,
                     float *c, size_t ldc, int first);

    /* gemm_f32 over taps >= 1, one after the other: row i of tap t is
     * a[t * sa + i], its panels start at b + t * ldt. The same bytes as one
     * gemm_f32 for each tap. */
    void (*conv_f32)(int m, int np, int taps, int kc, const float *const *a, size_t sa,
                     const float *b, size_t ldt, size_t ldp, float *c, size_t ldc, int first);

    /* y[i] = sum_j x[i * step + j] * w[j], i < m, j < n. The order of the sum follows
     * from n alone. */
    void (*dots_f32)(int m, int n, const float *x, size_t step, const float *w, float *y);

    /* From one convolution to the next: y = c + bias + a + b, and z = leaky ReLU of y with
     * slope alpha in 0..1, n values each. a, b, z may be NULL; y may be c, a or b.
     * join_bf16 is there where gemm_bf16 is. */
    void (*join_f32)(int n, float *y, float *z, const float *c, const float *bias, const float *a,
                     const float *b, float alpha);
    void (*join_bf16)(int n, float *y, uint16_t *z, const float *c, const float *bias,
                      const float *a, const float *b, float alpha);

    /* Around the products of minimal filtering, for blocks of `outs` rows of n values, the
     * filter's neighbouring inputs being the same value of neighbouring rows. What each
     * point multiplies, x[outs blocks + 2 pairs + 2 - outs][n] -> v[point][blocks][n]; points
     * are ldv values apart. Of block b with x its first row, P the pairs:
     *   0:     sum over j <= P of all[j] x[2j]            infinity: all[j] x[2j + 1]
     *   +-at:  even +- at odd, even = sum over j < P of but[j] x[2j + 2], odd: x[2j + 1] */
    void (*minimal_in)(const bt_points *t, int blocks, int n, const float *x, float *v, size_t ldv);
    /* And back, for blocks of `outs` times `dilation` rows of c values, of which the first
     * `rows` are written; v is [point][blocks][dilation][c], points ldv values apart. The
     * sums of output i of a group are those over pairs of at^i (v[at] + (-1)^i v[-at]), with
     * v[0] in the first and v[infinity] in the last. */
    void (*minimal_out)(const bt_points *t, int dilation, int c, int rows, const float *v,
                        size_t ldv, const bt_minimal_rows *to);

    /* m = 1 straight from packed bits: c[16p + r] = sum_k x[k] * w[p][r][k],
     * the same bytes as expand + gemm_f32. Any np. Indexed by type; NULL =
     * use expand and gemm_f32. panel_bytes: distance between panels. */
    void (*gemv_f32[BT_DTYPE_COUNT])(int np, int k, const float *x, const void *panels,
                                     size_t panel_bytes, float *c);

    /* q[0..k/32) of the row x: d = max|x|/127, q = round to nearest even of
     * x/d (0 if d is 0), cut to +-127. k % 32 == 0. */
    void (*quantize_a)(int k, const float *x, bt_qa *q);

    /* int8 compute: for blocks of 32 in rising k, with exact whole numbers
     *   s = scale0 * sum q_w q_a (first 16) + scale1 * sum q_w q_a (second 16):
     *   c = fma(dw * a.d, (float)s, c), then, for types with a minimum,
     *   c = fma(min, a.ds, c).
     * q_w is the signed value (Q4_0: nibble - 8; Q5_0: - 16; Q6_K: - 32; Q3_K: - 4;
     * IQ4: the level; Q4_1, Q5_1, Q4_K, Q5_K, Q2_K: as it is). scale0 and scale1
     * are those of Q2_K, Q3_K and Q6_K and dw is their d; else they are 1, and dw
     * is the half-precision scale times the block's whole one (Q4_K, Q5_K, IQ4_XS;
     * min is then -(dmin * its whole minimum): both exact). Q2_K has two minima:
     *   c = fma(dmin / 128 * a.d, (float)(min0 * a.corr0 + min1 * (a.corr - a.corr0)), c).
     * kb: blocks of 32, whole blocks of the type; panel data of k0 starts at
     * panels + bt_panel_bytes(t, k0) (the caller does this). Any m and np.
     * Indexed by type (BT_Q8_TYPES); NULL = not there. */
    void (*gemm_q8[BT_DTYPE_COUNT])(int m, int np, int kb, const bt_qa *const *a,
                                    const void *panels, size_t panel_bytes, float *c, size_t ldc,
                                    int first);

    /* int8 compute of whole rows, parts 1 or 3; rows are 64-aligned. All of a row's parts are
     * written, padding and all. With s0, s1, s2 the exact sums of the parts' products,
     *   s = (float)s0    or    fma(256, fma(256, (float)s0, (float)s1), (float)s2):
     *   c[i][16p + r] = fma(s, d step[r], z sum[r]).
     * NULL = not there; the scalar table has them. */
    void (*quantize_row)(int k, int parts, const float *x, bt_row_q *row);
    void (*gemm_row)(int m, int np, int k, int parts, const bt_row_q *const *a, const void *panels,
                     size_t panel_bytes, float *c, size_t ldc);

    /* bf16 compute over taps >= 1, any m and np: c[i][16p + r] = (first ? 0 : c[..])
     * + sum over taps t and k < kc of a[t * sa + i][k] * b(t, p)[k][r]. Panels are
     * [kc/2][16][2] bf16, as BT_BF16 packs them; that of tap t and panel p begins at
     * b + t * ldt + p * ldp (values). kc is a multiple of BT_KB; rows and panels are
     * padded with zeros by the caller. Sums are f32, in an order that depends on
     * nothing but the kernel: taps rise, k rises; cutting kc at multiples of BT_KB, or
     * the taps, into several calls with first = 0 gives the same bytes. NULL = not
     * there on this machine; the scalar table has it as the oracle. AVX512-BF16 and
     * AMX take subnormal numbers as zero. Fastest with rows and panels at multiples
     * of 64 bytes. */
    void (*gemm_bf16)(int m, int np, int taps, int kc, const uint16_t *const *a, size_t sa,
                      const uint16_t *b, size_t ldt, size_t ldp, float *c, size_t ldc, int first);
    /* A panel for gemm_bf16 from values k0..k0+kc of one of any type: dst is
     * [kcp/2][16][2], kcp = kc rounded up to BT_KB, the rest zeros. k0 and kc as for
     * expand. */
    void (*expand_bf16)(bt_dtype t, uint16_t *dst, const void *panel, int k0, int kc);
    void (*to_bf16)(int n, const float *x, uint16_t *y);
    void (*from_bf16)(int n, const uint16_t *x, float *y); /* exact; both always there */

    /* One row of an epilogue: y = act(c + bias) * scale + residual.
     * bias and residual may be NULL; y may be residual. */
    void (*epilogue)(int n, float *y, const float *c, const float *bias, const float *residual,
                     bt_act act, float alpha, float scale);

    /* ---- elementwise ---- */

    void (*act)(int n, float *y, const float *x, bt_act act, float alpha);
    void (*add)(int n, float *y, const float *a, const float *b);
    void (*mul)(int n, float *y, const float *a, const float *b);
    void (*scale)(int n, float *y, const float *x, float s); /* y = s * x */
    void (*axpy)(int n, float *y, const float *x, float s);  /* y += s * x */
    /* y = act_a(a) * act_b(b) */
    void (*gate)(int n, float *y, const float *a, bt_act act_a, const float *b, bt_act act_b);

    /* ---- rows ---- */

    /* y = (x - mean) / sqrt(var + eps) * gamma + beta; sums in double or with
     * error no worse; gamma, beta may be NULL. */
    void (*layer_norm)(int n, float *y, const float *x, const float *gamma, const float *beta,
                       float eps);
    void (*rms_norm)(int n, float *y, const float *x, const float *gamma, float eps);
    /* sum[c] += x[c], sq[c] += x[c]^2 over rows, in double. */
    void (*channel_sums)(int rows, int c, const float *x, size_t ldx, double *sum, double *sq);
    /* y = act(x * mul[c] + add[c]) for one row */
    void (*affine)(int n, float *y, const float *x, const float *mul, const float *add, bt_act act);
    /* Snake (Ziyin et al. 2020) of an affine row: v = x * mul[c] + add[c],
     * y = v + sin^2(a[c] v) / a[c]; inv is 1 / a. |a v| < 1e4, else less exact. */
    void (*snake)(int n, float *y, const float *x, const float *mul, const float *add,
                  const float *a, const float *inv);
    void (*softmax)(int n, float *y, const float *x);
    /* Rotary embedding of one head row of d: pairs (i, i + d/2) if neox else
     * (2i, 2i + 1), angle i has cos[i], sin[i], i < d/2. In place. */
    void (*rope)(int d, float *x, const float *cos, const float *sin, int neox);
    /* One output row of a depthwise 1-D convolution, channels c: y = bias +
     * sum_t x[t][.] * w[t][.], x[t] a row pointer or NULL (padding), w [taps][c]. */
    void (*depthwise)(int c, int taps, float *y, const float *const *x, const float *w,
                      const float *bias);

    /* ---- signals ---- */

    /* s = sin x, c = cos x, off by 2e-7 for |x| < 1e4 (more beyond). s or c may be x. */
    void (*sincos)(int n, float *s, float *c, const float *x);
    /* One pass of a Fourier transform of r * m points (Stockham, decimation in frequency),
     * r 2, 3, 4 or 5, with s values side by side at every point: for p < m, k < r, q < s
     *   y[(r p + k) s + q] = w^(k p) sum_j x[(p + m j) s + q] e^(-2 pi i j k / r),
     * w = e^(-2 pi i / (r m)). xr, xi, yr, yi: real and imaginary parts. w: for every p the
     * real and imaginary part of w^p, w^2p, ..., w^(r-1)p. */
    void (*fft_pass)(int r, int m, int s, const float *w, const float *xr, const float *xi,
                     float *yr, float *yi);

    /* ---- what the processor can do at most (graph/peaks.c measures with these) ---- */

    /* Multiply-adds in registers that do not wait for each other; returns how many
     * operations `rounds` of them were (a multiply-add is two). NULL = not there. */
    double (*peak[BT_PEAK_COUNT])(long rounds);
    /* Reads all of it, as fast as loads can; bytes % 1024 == 0, 64-aligned. */
    void (*read)(const void *p, size_t bytes);

    /* ---- attention ---- */

    size_t (*attention_scratch)(int nq, int d);
    void (*attention)(const bt_attn *a);
    void (*to_f16)(int n, const float *x, uint16_t *y); /* to nearest even */

    /* bf16: queries, keys, values and weights are rounded to bf16, sums are f32. int8:
     * queries and keys are bytes with a scale for each row, weights have 16 bits, values
     * are bytes with a scale for each channel of a block of BT_KEYS keys. */
    bt_attn_form attention_bf16, attention_int8;
} bt_kernels;

/* Fills the table for these flags (of bt_cpu_flags, possibly capped). */
void bt_kernels_init(bt_kernels *t, uint32_t cpu);

#endif
