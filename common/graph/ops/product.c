/* SPDX-License-Identifier: MIT
 * A product of plain matrices, for weights that are computed before they are packed: a few
 * columns at a time, put into panels, so that these stay near while all rows go by.
 */
#include <string.h>

#include "base/alloc.h"
#include "graph/graph.h"

enum { ROWS = 64, COLUMNS = 4096, DEPTH = 256 }; /* at once; columns are whole panels */

/* b[k][n] of a wider matrix (rows ld apart) as panels of [k][16]; n is whole panels. */
static void to_panels(const float *b, int64_t ld, int64_t k, int64_t n, float *to)
{
    for (int64_t p = 0; p < n; p += BT_NR)
        for (int64_t j = 0; j < k; j++, to += BT_NR)
            memcpy(to, b + j * ld + p, BT_NR * sizeof *to);
}

/* What is left of the columns, fewer than a panel. */
static void add_rest(float *y, const float *a, const float *b, int64_t m, int64_t k, int64_t n,
                     int64_t from, float s)
{
    for (int64_t i = 0; i < m; i++)
        for (int64_t c = from; c < n; c++) {
            float sum = y[i * n + c];
            for (int64_t j = 0; j < k; j++)
                sum += s * a[i * k + j] * b[j * n + c];
            y[i * n + c] = sum;
        }
}

bool bt_product_add(const bt_kernels *kernels, float *y, const float *a, const float *b, int64_t m,
                    int64_t k, int64_t n, float s)
{
    const int64_t whole = n / BT_NR * BT_NR, most = whole < COLUMNS ? whole : COLUMNS;
    float *panels = bt_alloc((size_t)((k < DEPTH ? k : DEPTH) * most + 1) * sizeof *panels);
    float *scaled = bt_alloc(sizeof(float[ROWS][DEPTH]));
    const float *row[ROWS];
    for (int64_t c = 0; panels && scaled && c < whole; c += most)
        for (int64_t j = 0; j < k; j += DEPTH) {
            const int64_t cols = whole - c < most ? whole - c : most;
            const int64_t deep = k - j < DEPTH ? k - j : DEPTH;
            to_panels(b + j * n + c, n, deep, cols, panels);
            for (int64_t i = 0; i < m; i += ROWS) {
                const int64_t high = m - i < ROWS ? m - i : ROWS;
                for (int64_t r = 0; r < high; r++) {
                    row[r] = scaled + r * DEPTH;
                    kernels->scale((int)deep, scaled + r * DEPTH, a + (i + r) * k + j, s);
                }
                kernels->gemm_f32((int)high, (int)(cols / BT_NR), (int)deep, row, panels,
                                  (size_t)deep * BT_NR, y + i * n + c, (size_t)n, 0);
            }
        }
    const bool ok = panels && scaled;
    if (ok)
        add_rest(y, a, b, m, k, n, whole, s);
    bt_release(panels);
    bt_release(scaled);
    return ok;
}
