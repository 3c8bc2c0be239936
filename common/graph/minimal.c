/* SPDX-License-Identifier: MIT
 * The numbers of minimal filtering: points, and what they make of inputs, taps, products.
 */
#include "graph/minimal.h"

#include <string.h>

/* Pairs of points, +-at; for one pair, two, .. */
static const double points[BT_MAX_PAIRS][BT_MAX_PAIRS] = {
    { 1.0 },
    { 2.0 / 3, 4.0 / 3 },
    { 1.0, 0.5, 2.0 },
    { 1.0 / 3, 3.0, 0.75, 4.0 / 3 },
    { 1.0, 1.5, 1.0 / 3, 3.0, 0.75 },
};

enum { LARGE = 32768 }; /* weights of a tap: 3 taps of them are twice a core's L1 and more */

int bt_minimal_outs(int taps, int64_t in, int64_t out)
{
    if (taps != 3 && taps != 5 && taps != 7)
        return 0;
    return in * out < LARGE ? 6 : taps == 3 ? 2 : 4;
}

static int pairs_of(int taps, int outs) { return (outs + taps - 3) / 2; }

/* Coefficients of the product of (s - at[i]^2) over all pairs but `skip`, rising; the
 * last one, 1, is not written. */
static void product(const double *at, int pairs, int skip, float *out)
{
    double c[BT_MAX_PAIRS + 1] = { 1.0 };
    int degree = 0;
    for (int i = 0; i < pairs; i++) {
        if (i == skip)
            continue;
        degree++;
        for (int j = degree; j >= 0; j--)
            c[j] = (j ? c[j - 1] : 0.0) - at[i] * at[i] * (j < degree ? c[j] : 0.0);
    }
    for (int j = 0; j < degree; j++)
        out[j] = (float)c[j];
}

void bt_minimal_points(int taps, int outs, bt_points *t)
{
    const int pairs = pairs_of(taps, outs);
    const double *at = points[pairs - 1];
    memset(t, 0, sizeof *t);
    t->pairs = pairs;
    t->outs = outs;
    product(at, pairs, -1, t->all);
    for (int a = 0; a < pairs; a++) {
        double power = 1.0;
        t->at[a] = (float)at[a];
        product(at, pairs, a, t->but[a]);
        for (int i = 0; i < t->outs; i++, power *= at[a])
            t->power[i][a] = (float)power;
    }
}

/* The filter's value at a finite point, over the product of the point's distances from
 * the other finite ones; its last tap at infinity. */
void bt_minimal_weights(int taps, int outs, double g[BT_MAX_POINTS][BT_MINIMAL_TAPS])
{
    const int n = 2 * pairs_of(taps, outs) + 1;
    double x[BT_MAX_POINTS] = { 0.0 };
    for (int i = 1; i < n; i++)
        x[i] = points[n / 2 - 1][(i - 1) / 2] * (i % 2 ? 1.0 : -1.0);
    for (int i = 0; i < n; i++) {
        double power = 1.0;
        for (int j = 0; j < n; j++)
            power /= j == i ? 1.0 : x[i] - x[j];
        for (int t = 0; t < taps; t++, power *= x[i])
            g[i][t] = power;
    }
    for (int t = 0; t < taps; t++)
        g[n][t] = t == taps - 1 ? 1.0 : 0.0;
}
