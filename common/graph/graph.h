/* SPDX-License-Identifier: MIT
 * Define, then run: a builder of typed nodes, a planner, an executor.
 *
 *     bt_graph *g;  bt_plan *p;
 *     bt_graph_create(ws, &g);
 *     bt_node *x = bt_input(g, (bt_shape){ 1, 1, n_tokens, 576 });
 *     bt_node *y = bt_linear(g, x, bt_w(g, "%s.weight", name), NULL);
 *     bt_output(g, y);
 *     bt_plan_create(g, &p, err);              (takes the graph over)
 *     memcpy(bt_plan_data(p, x), ...);
 *     bt_plan_run(p, cancel, err);
 *     const float *r = bt_plan_data(p, y);
 *     bt_plan_free(p);
 *
 * Activations are f32, channels last: [n, h, w, c], a row = c consecutive
 * values. Text is [1, 1, tokens, channels], audio [1, 1, frames, channels],
 * pictures [batch, height, width, channels].
 *
 * Builder errors are sticky: a call with wrong shapes or a missing weight
 * returns NULL, every call with a NULL node returns NULL, and bt_plan_create
 * reports the first error. So graph code needs no checks of its own.
 *
 * Nodes and everything the builder makes belong to the graph; weights belong to
 * the weight set and must outlive graphs and plans. A graph or a plan is used by
 * one thread at a time; several plans may run at once on the same weights. What
 * a plan computes does not depend on the number of threads (op.h, tiles).
 */
#ifndef BT_GRAPH_GRAPH_H
#define BT_GRAPH_GRAPH_H

#include <stdatomic.h>

#include "base/status.h"
#include "formats/store.h"
#include "kernels/kernels.h"

typedef struct bt_graph bt_graph;
typedef struct bt_node bt_node;
typedef struct bt_plan bt_plan;
typedef struct bt_weights bt_weights;
typedef struct bt_weight bt_weight;

/* Batch, height, width, channels; each at least 1. */
typedef struct bt_shape {
    int64_t n, h, w, c;
} bt_shape;

/* What matrix multiplies compute in. AUTO: int8 where the file's weights are
 * quantized; for float weights bf16 with AMX, int8 with int8 dot products, else
 * f32. INT8 also quantizes float weights, to Q8_0; F32 is the reference. SPLIT is for
 * modules to choose: float weights as sums of two bf16 numbers, 16 bits of precision,
 * where AMX makes that faster than f32; else f32. MINIMAL, for modules too: f32, but 1-D
 * convolutions of 3, 5 and 7 taps with fewer products (graph/minimal.h). ROWS and ROWS24, for
 * modules too: linear layers in whole numbers, by weights of 8 bits with a scale for each output
 * (which loses nothing of weights that had one) and inputs of 8 or 24 bits with a scale for each
 * row; where there are no kernels for that, and in other layers, AUTO and SPLIT. */
typedef enum bt_precision {
    BT_PREC_AUTO,
    BT_PREC_INT8,
    BT_PREC_BF16,
    BT_PREC_F32,
    BT_PREC_SPLIT,
    BT_PREC_MINIMAL,
    BT_PREC_ROWS,
    BT_PREC_ROWS24
} bt_precision;

/* What a computation runs on; made by the engine, shared by all. */
typedef struct bt_compute {
    const bt_kernels *kernels;
    int threads; /* of one run, at least 1 */
    bt_precision precision;
    const char *cache_dir; /* of packed weights (pack_cache.h); NULL: none */
    uint64_t cache_size;   /* its bound in bytes; 0: chosen */
    uint64_t memory;       /* what a job may take, bytes; 0: what it likes */
} bt_compute;

/* ---- weights: the tensors of a store, packed once when first used ------ */

/* `store` (NULL: only made weights) and `compute` must outlive the weights.
 * Thread-safe. */
bt_status bt_weights_create(const bt_store *store, const bt_compute *compute, bt_weights **out,
                            bt_error *err);
void bt_weights_free(bt_weights *ws);
const bt_compute *bt_weights_compute(const bt_weights *ws);

/* Lets go of the memory of weights whose names begin with `prefix`, as far as the pack
 * cache can bring it back when it is read again. For a part that has done its work. */
void bt_weights_rest(bt_weights *ws, const char *prefix);

/* From now on weights are in memory only while a step of a plan uses them: panels that are not
 * there yet are made in files of the pack cache's folder. A step then takes longer, and gives the
 * same. False: without such a folder nothing changes. */
bool bt_weights_spare(bt_weights *ws);

/* NULL if the store has no such tensor (no error). */
const bt_weight *bt_weight_find(bt_weights *ws, const char *name);
const bt_tensor *bt_weight_tensor(const bt_weight *w); /* dims, dtype */
/* dim i in torch order whatever the file's layout: [out, in, kh, kw]; 1 past the end */
int64_t bt_weight_dim(const bt_weight *w, int i);
/* A weight from memory (f32, torch order), copied: for constants a module
 * computes (a folded norm, a permuted matrix). Same name again: the same weight. */
const bt_weight *bt_weight_make(bt_weights *ws, const char *name, const float *data, int n_dims,
                                const int64_t *dims);
/* A weight whose values `fill` computes whenever they are wanted (dequantized, folded), so
 * that nobody holds them; for large ones. `from` must outlive ws; fill may be called by
 * several threads. Panels are kept in the pack cache under the name, which therefore must
 * say all that the values depend on besides the model. Same name again: the same weight. */
typedef bt_status (*bt_weight_fill)(const void *from, float *out, bt_error *err);
const bt_weight *bt_weight_derive(bt_weights *ws, const char *name, int n_dims, const int64_t *dims,
                                  bt_weight_fill fill, const void *from);
/* A set over `base`, the set of a store, which must outlive it: its weights are base's
 * own, packed once for both, but for those that are replaced, made or derived here. */
bt_status bt_weights_create_over(bt_weights *base, bt_weights **out, bt_error *err);
/* In `ws` alone, `rows` computes the values of base's weight `of` anew, some rows of dim 0
 * at a time, in torch order (all of them at once if `whole`). It is multiplied in what `of`
 * would be, but quantized to no less than 8 bits, and not at all for F32; its panels stay
 * out of the pack cache. `from` and rows as for bt_weight_derive. NULL: no memory. */
typedef bt_status (*bt_weight_rows)(const void *from, int64_t first, int64_t n, float *out,
                                    bt_error *err);
const bt_weight *bt_weight_replace(bt_weights *ws, const bt_weight *of, bt_weight_rows rows,
                                   bool whole, const void *from);
/* All values as floats (torch order), bt_release; NULL: no memory. */
float *bt_weight_values(const bt_weight *w, bt_error *err);
/* Those of rows first..first+n of dim 0. */
bt_status bt_weight_read(const bt_weight *w, int64_t first, int64_t n, float *out, bt_error *err);
/* y[m][n] += s a[m][k] b[k][n]: for weights that are computed (ops/product.c). False: no
 * memory. A value's bytes depend on its row of a, its column and column of b. */
bool bt_product_add(const bt_kernels *kernels, float *y, const float *a, const float *b, int64_t m,
                    int64_t k, int64_t n, float s);

/* ---- builder ----------------------------------------------------------- */

/* BT_ENOMEM is the only failure. Ends in bt_plan_create, else in bt_graph_free. */
bt_status bt_graph_create(bt_weights *ws, bt_graph **out);
void bt_graph_free(bt_graph *g);
/* Precision of the nodes built from here on; default: the compute's. */
void bt_graph_precision(bt_graph *g, bt_precision p);
/* May the nodes built from here on read and write what is between them as bf16, in
 * half the memory, although that rounds once more? Only where the precision makes
 * multiplies of float weights compute in bf16 or int8; default: no. */
void bt_graph_round(bt_graph *g, bool on);
/* Weight by printf-style name; missing: a sticky error that names it. */
const bt_weight *bt_w(bt_graph *g, const char *fmt, ...) BT_PRINTF(2, 3);
/* The same, but NULL without an error: for optional biases. */
const bt_weight *bt_w_opt(bt_graph *g, const char *fmt, ...) BT_PRINTF(2, 3);
/* Records an error of a module's own; returns NULL. */
bt_node *bt_graph_fail(bt_graph *g, const char *fmt, ...) BT_PRINTF(2, 3);
bt_shape bt_shape_of(const bt_node *n); /* all zero for NULL */

bt_node *bt_input(bt_graph *g, bt_shape s);    /* f32, filled by the host before a run */
bt_node *bt_input_ids(bt_graph *g, int64_t n); /* n int32 */
bt_node *bt_output(bt_graph *g, bt_node *x);   /* keeps x readable after a run; returns it */

/* y[.., n] = x[.., k] W^T + b; W [n, k] (further dims must be 1), b [n] or NULL */
bt_node *bt_linear(bt_graph *g, bt_node *x, const bt_weight *w, const bt_weight *b);

/* y[i] = x w[i]^T + b[i] for i < n <= 3, as one multiply where that can be (queries,
 * keys and values; a gate and what it gates): y are slices. */
void bt_linears(bt_graph *g, bt_node *x, int n, const bt_weight *const *w,
                const bt_weight *const *b, bt_node **y);

typedef struct bt_conv {
    int stride;                   /* 0 means 1 */
    int dilation;                 /* 0 means 1 */
    int top, left, bottom, right; /* zero padding; 1-D: left and right */
    int upsample;                 /* 2: x is first doubled by nearest neighbour */
    int groups;                   /* 0 or 1; or the channel count: depthwise (1-D only) */
} bt_conv;

/* W [out, in, kh, kw] on [n,h,w,in]; W [out, in, k] on [n,1,len,in]. */
bt_node *bt_conv2d(bt_graph *g, bt_node *x, const bt_weight *w, const bt_weight *b, bt_conv p);
bt_node *bt_conv1d(bt_graph *g, bt_node *x, const bt_weight *w, const bt_weight *b, bt_conv p);
/* torch ConvTranspose1d: W [in, out, k]; out length (len-1)*stride - 2*pad + k */
bt_node *bt_conv_transpose1d(bt_graph *g, bt_node *x, const bt_weight *w, const bt_weight *b,
                             int stride, int pad);

/* torch ConvTranspose1d with groups = channels: W [c, 1, k]; out length (len-1)*stride
 * - 2*pad + k + more. */
bt_node *bt_depthwise_transpose1d(bt_graph *g, bt_node *x, const bt_weight *w, const bt_weight *b,
                                  int stride, int pad, int more);

/* Row ids[i] of W [rows, c]: -> [1, 1, n, c]; zeros where there is none */
bt_node *bt_embed(bt_graph *g, bt_node *ids, const bt_weight *w);
/* The same for a table that goes on where another ends: row ids[i] - first. */
bt_node *bt_embed_from(bt_graph *g, bt_node *ids, const bt_weight *w, int64_t first);
/* Row ids[i] of x (its n*h*w rows): -> [1, 1, n, c]; for repeating frames */
bt_node *bt_gather(bt_graph *g, bt_node *x, bt_node *ids);

/* Norms over the c channels of each row; gamma [c], beta [c] or NULL.
 * Layer: (x - mean) / sqrt(var + eps) * gamma + beta. RMS: x / sqrt(mean(x^2) +
 * eps) * gamma. */
bt_node *bt_layer_norm(bt_graph *g, bt_node *x, const bt_weight *gamma, const bt_weight *beta,
                       float eps);
bt_node *bt_rms_norm(bt_graph *g, bt_node *x, const bt_weight *gamma, float eps);
/* statistics per picture of the batch over h, w and c/groups channels */
bt_node *bt_group_norm(bt_graph *g, bt_node *x, const bt_weight *gamma, const bt_weight *beta,
                       int groups, float eps);

/* Adaptive instance norm over the rows of one utterance: (1 + gamma) (x - mean) /
 * sqrt(var + eps) + beta, statistics per channel; style [1,1,1,2c] is gamma, then beta.
 * alpha (NULL: none): Snake after it, v + sin^2(alpha v) / alpha, one alpha per channel. */
bt_node *bt_ada_norm(bt_graph *g, bt_node *x, bt_node *style, const bt_weight *alpha, float eps);

/* One or two LSTMs over the rows of x (torch.nn.LSTM, gates i, f, g, o; states begin at
 * 0), the second from the last row to the first: [1,1,t,in] -> [1,1,t,h] or [1,1,t,2h].
 * w_ih [4h, in], w_hh [4h, h], b_ih, b_hh [4h], one of each per direction. */
typedef struct bt_lstm {
    const bt_weight *w_ih, *w_hh, *b_ih, *b_hh;
} bt_lstm;
bt_node *bt_lstm_rows(bt_graph *g, bt_node *x, int directions, const bt_lstm *w);

bt_node *bt_act_of(bt_graph *g, bt_node *x, bt_act act, float alpha); /* alpha: leaky ReLU only */
/* b: the same shape; or one row [1,1,1,c]; or one row per picture [n,1,1,c] */
bt_node *bt_add(bt_graph *g, bt_node *a, bt_node *b);
bt_node *bt_mul(bt_graph *g, bt_node *a, bt_node *b);
bt_node *bt_scale(bt_graph *g, bt_node *x, float s); /* s * x */
/* act_a(a) * act_b(b), same shapes: SwiGLU, GEGLU, WaveNet's tanh*sigmoid */
bt_node *bt_gate(bt_graph *g, bt_node *a, bt_act act_a, bt_node *b, bt_act act_b);

bt_node *bt_slice(bt_graph *g, bt_node *x, int64_t c0, int64_t c1); /* channels [c0, c1): a view */
bt_node *bt_concat(bt_graph *g, bt_node *a, bt_node *b);            /* along channels */
/* The same for dense blocks, which widen a tensor step by step: b is not copied but made in
 * its place, and so is a if a was widened. b is what an op computes, put into one tensor
 * only; neither is an output. */
bt_node *bt_widen(bt_graph *g, bt_node *a, bt_node *b);
bt_node *bt_reshape(bt_graph *g, bt_node *x,
                    bt_shape s);           /* same count and c, or x without a view */
bt_node *bt_flip(bt_graph *g, bt_node *x); /* channels in reverse order */

/* Rotary embedding on [1,1,tokens,heads*d]: row i is at position pos + i, pos
 * the run's parameter BT_PARAM_POS. freq_factors: [d/2] or NULL (divides).
 * neox: pairs (i, i+d/2); else (2i, 2i+1). */
bt_node *bt_rope(bt_graph *g, bt_node *x, int d, float freq_base, float freq_scale,
                 const bt_weight *freq_factors, int neox);

/* Multi-head attention, softmax(scale q k^T) v. q [n,h,w,n_head*d]; k, v
 * [n,h2,w2,n_kv*d]; n_head a multiple of n_kv (grouped queries). Batch members
 * attend only to themselves. scale 0 = 1/sqrt(d). causal: row i sees j <= i. Where
 * the processor has kernels for it, in bf16 unless the precision is F32. */
bt_node *bt_attention(bt_graph *g, bt_node *q, bt_node *k, bt_node *v, int n_head, int n_kv,
                      float scale, int causal);

/* Keys and values of one sequence, all layers, n_kv heads of d; grows on demand up
 * to n_ctx positions. Floats at precision F32, else 16 bits a value (bf16 where
 * the processor computes attention in it, f16 elsewhere). Plans that use it keep
 * a pointer to it. `c` must outlive it. */
typedef struct bt_kv_cache bt_kv_cache;
bt_status bt_kv_create(const bt_compute *c, int n_layer, int n_ctx, int n_kv, int d,
                       bt_kv_cache **out);
void bt_kv_free(bt_kv_cache *kv);
/* Makes room for n positions; call before a run that reaches position n-1.
 * BT_EINVAL: n > n_ctx; BT_ENOMEM: what is in the cache stays. */
bt_status bt_kv_reserve(bt_kv_cache *kv, int n, bt_error *err);
uint64_t bt_kv_bytes(const bt_kv_cache *kv);
/* Causal attention through a cache: stores this run's k, v rows of `layer` at
 * positions pos.. (BT_PARAM_POS), then attends to positions 0..pos+i. */
bt_node *bt_attention_kv(bt_graph *g, bt_node *q, bt_node *k, bt_node *v, bt_kv_cache *kv,
                         int layer, int n_head, int n_kv, float scale);
/* VITS (attentions.py MultiHeadAttention, window_size): relative keys and
 * values for |j - i| <= window, shared by heads: rel_k, rel_v [1, 2*window+1, d]. */
bt_node *bt_attention_rel(bt_graph *g, bt_node *q, bt_node *k, bt_node *v, const bt_weight *rel_k,
                          const bt_weight *rel_v, int n_head, int window);

/* ---- plan and run ------------------------------------------------------ */

/* Numbers that may change from run to run without a new plan; 0 until set. */
enum {
    BT_PARAM_POS, /* position of this run's first row in its sequence */
    BT_PARAM_COUNT = 4
};

/* Fuses, lays out memory; takes g over, also on failure. Packs no weights yet. */
bt_status bt_plan_create(bt_graph *g, bt_plan **out, bt_error *err);
void bt_plan_free(bt_plan *p);
/* Gives the memory of activations back until it is needed again: what inputs and
 * outputs held is lost, and pointers to it. */
void bt_plan_rest(bt_plan *p);
/* Memory of activations for plans that take turns: fresh memory costs the system a
 * tenth of what speech takes to compute. All zero at first; not thread-safe, and in
 * place until the last of its plans is freed. */
typedef struct bt_arena {
    uint8_t *data;
    size_t bytes;
    const bt_plan *owner; /* who wrote to it last */
} bt_arena;
/* From now on p keeps its values there, and only until another plan's bt_plan_data
 * or bt_plan_run: what inputs and outputs held is then lost, and pointers to it. */
void bt_plan_share(bt_plan *p, bt_arena *a);
void bt_arena_free(bt_arena *a);
/* Bytes of packed weights that a run reads; that the step reads which reads most. */
uint64_t bt_plan_weights(const bt_plan *p);
uint64_t bt_plan_widest(const bt_plan *p);
/* Bytes of activations and scratch: known before anything is allocated. */
uint64_t bt_plan_arena(const bt_plan *p);
/* Floating-point operations of one run (a multiply-add is two), ops that count. */
double bt_plan_flops(const bt_plan *p);
void bt_plan_param(bt_plan *p, int which, int64_t value);
/* Memory of an input (write before a run) or output (read after). f32 or
 * int32, rows contiguous. NULL for other nodes, and if there is no memory for
 * the plan (the first call takes it); a run then says BT_ENOMEM. The address
 * stays the same for the plan's life, unless it rests or shares its memory. */
void *bt_plan_data(bt_plan *p, const bt_node *n);
/* Packs what is not packed yet, then runs. cancel (may be NULL) is looked at
 * between tiles: BT_ECANCELLED, and the outputs hold anything. After a failure
 * the plan may be run again. */
bt_status bt_plan_run(bt_plan *p, const atomic_bool *cancel, bt_error *err);

/* ---- profile ----------------------------------------------------------- */

/* What the machine can do at most: operations per second in registers (a
 * multiply-add is two), bytes per second read from memory. 0: it cannot. */
typedef struct bt_peak_rates {
    double flops[BT_PEAK_COUNT], read;
} bt_peak_rates;

typedef struct bt_peaks {
    bt_peak_rates one, all; /* one thread; `threads` of them together */
    int threads;
} bt_peaks;

/* Measures for a good half second, with 512 MiB to read. */
void bt_peaks_measure(const bt_compute *c, bt_peaks *out);
/* The best rate for a compute type ("f32", "bf16", "int8") among the instructions
 * there are; that of floats where there are none for it. */
double bt_peak_of(const bt_peak_rates *r, const char *compute);
void bt_peaks_json(const bt_peaks *p, bt_buf *json);

/* Times of ops, of any number of plans and runs. Attach it before a run; it must
 * outlive the plan or be detached, and `name` must be a literal. */
typedef struct bt_trace bt_trace;
bt_status bt_trace_create(bt_trace **out);
void bt_trace_free(bt_trace *t);
void bt_trace_attach(bt_plan *p, bt_trace *t, const char *name); /* t NULL detaches */
/* Chrome/Perfetto JSON: per op its time, GFLOP/s, GB/s and, where the machine's
 * peaks are given, the share of the roofline. */
bt_status bt_trace_json(const bt_trace *t, const bt_peaks *peaks, bt_buf *out);
/* JSON: {"parts": by plan name, "ops": by kind and shape, the longest first}. */
bt_status bt_trace_summary(const bt_trace *t, const bt_peaks *peaks, bt_buf *out);

#endif
