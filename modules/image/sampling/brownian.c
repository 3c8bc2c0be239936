/* SPDX-License-Identifier: MIT
 * Brownian trees as torchsde's BrownianInterval(halfway_tree, tol = 1e-6,
 * pool_size = 24) builds them: the path over an interval is halved again and
 * again, each half drawn given the whole (a Brownian bridge). A node's noise
 * comes from a generator of its own, whose seed follows from the tree's seed
 * and the node's place by numpy's SeedSequence.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "image/sampling/noise.h"

/* ---- numpy's SeedSequence (O'Neill's seed_seq_fe, pool of 24 words) --------- */

enum { POOL = 24, KEY = 4 };

static uint32_t hash_mix(uint32_t value, uint32_t *hash)
{
    value ^= *hash;
    *hash *= 0x931e8875u;
    value *= *hash;
    return value ^ value >> 16;
}

static uint32_t mix(uint32_t x, uint32_t y)
{
    uint32_t r = 0xca01f9ddu * x - 0x4973f715u * y;
    return r ^ r >> 16;
}

static size_t put_words(uint32_t *out, uint64_t v)
{
    out[0] = (uint32_t)v;
    out[1] = (uint32_t)(v >> 32);
    return out[1] ? 2 : 1;
}

/* First word of SeedSequence(seed, spawn_key, pool_size = 24).generate_state();
 * n words of key, 0: none. */
static uint32_t seed_of(uint64_t seed, const uint32_t *key, size_t n)
{
    uint32_t pool[POOL] = { 0 }, hash = 0x43b0d7e5u;
    put_words(pool, seed);
    for (int i = 0; i < POOL; i++)
        pool[i] = hash_mix(pool[i], &hash);
    for (int from = 0; from < POOL; from++)
        for (int to = 0; to < POOL; to++)
            if (from != to)
                pool[to] = mix(pool[to], hash_mix(pool[from], &hash));
    for (size_t from = 0; from < n; from++)
        for (int to = 0; to < POOL; to++)
            pool[to] = mix(pool[to], hash_mix(key[from], &hash));
    uint32_t state = (pool[0] ^ 0x8b51f9ddu) * (0x8b51f9ddu * 0x58f38dedu);
    return state ^ state >> 16;
}

/* ---- the tree -------------------------------------------------------------- */

/* An interval of the path and its place among the 2^depth of its depth. */
typedef struct node {
    double start, mid, end;
    uint64_t place;
    int depth;
} node;

/* Python's round(x, 6): to decimals, from the exact binary value, because the
 * middle of two such numbers often lies between two others. */
static double rounded(double x)
{
    char text[64];
    snprintf(text, sizeof text, "%.6f", x);
    return strtod(text, NULL);
}

static node node_of(double start, double end, uint64_t place, int depth)
{
    return (node){ start, rounded(0.5 * (end + start)), end, place, depth };
}

static node left_of(const node *n) { return node_of(n->start, n->mid, 2 * n->place, n->depth + 1); }

static node right_of(const node *n)
{
    return node_of(n->mid, n->end, 2 * n->place + 1, n->depth + 1);
}

static void normals(const sd_brownian *b, uint32_t seed, float *out, size_t n)
{
    bt_torch_rng r;
    if (b->philox) {
        bt_philox_randn(seed, 0, out, n);
    } else {
        bt_torch_seed(&r, seed);
        bt_torch_randn(&r, out, n);
    }
}

/* left = the move over the node's left half, w being that over the whole. */
static void bridge(const sd_brownian *b, const node *at, const float *w, float *left, size_t n)
{
    uint32_t key[KEY];
    size_t words = put_words(key, at->place);
    words += put_words(key + words, (uint64_t)at->depth);
    normals(b, seed_of(b->seed, key, words), left, n);
    double l = at->mid - at->start, r = at->end - at->mid, h = at->end - at->start;
    float share = (float)(l / h), std = (float)sqrt(l * r / h);
    for (size_t i = 0; i < n; i++)
        left[i] = share * w[i] + std * left[i];
}

static void add(float *out, const float *x, size_t n, float sign)
{
    for (size_t i = 0; i < n; i++)
        out[i] += sign * x[i];
}

/* out += the move from `from` to `to`, one of which is an end of the node; uses
 * up w. A node of width 1e-6 is one of the asked or has nothing of it. */
static void add_part(const sd_brownian *b, node at, float *w, double from, double to, float *out,
                     float *left, size_t n)
{
    while (from > at.start || to < at.end) {
        bridge(b, &at, w, left, n);
        if (to <= at.mid) {
            memcpy(w, left, n * sizeof *w);
            at = left_of(&at);
        } else if (from >= at.mid) {
            add(w, left, n, -1);
            at = right_of(&at);
        } else if (from > at.start) { /* the right half is all in */
            add(out, w, n, 1), add(out, left, n, -1);
            memcpy(w, left, n * sizeof *w);
            to = at.mid;
            at = left_of(&at);
        } else {
            add(out, left, n, 1);
            add(w, left, n, -1);
            from = at.mid;
            at = right_of(&at);
        }
    }
    add(out, w, n, 1);
}

/* Down to the node in whose middle the asked part stands, then into both halves. */
static void move_over(const sd_brownian *b, double from, double to, float *out, float *tmp,
                      size_t n)
{
    float *w = tmp, *left = tmp + n, *other = tmp + 2 * n;
    node at = node_of(rounded(b->start), rounded(b->end), 0, 0);
    float scale = (float)sqrt(b->end - b->start);

    memset(out, 0, n * sizeof *out);
    from = rounded(fmin(fmax(from, at.start), at.end));
    to = rounded(fmin(fmax(to, at.start), at.end));
    if (from == to)
        return;
    normals(b, seed_of(b->seed, NULL, 0), w, n);
    for (size_t i = 0; i < n; i++)
        w[i] *= scale;
    while (from > at.start && to < at.end) {
        bridge(b, &at, w, left, n);
        if (from < at.mid && to > at.mid) {
            memcpy(other, left, n * sizeof *other);
            add(w, left, n, -1);
            add_part(b, left_of(&at), other, from, at.mid, out, left, n);
            add_part(b, right_of(&at), w, at.mid, to, out, left, n);
            return;
        }
        if (to <= at.mid)
            memcpy(w, left, n * sizeof *w);
        else
            add(w, left, n, -1);
        at = to <= at.mid ? left_of(&at) : right_of(&at);
    }
    add_part(b, at, w, from, to, out, left, n);
}

void sd_brownian_draw(const sd_brownian *b, sd_shape s, float from, float to, float *out,
                      float *tmp)
{
    size_t rows = (size_t)s.h * (size_t)s.w, c = (size_t)s.c, n = rows * c;
    float *planes = tmp + 3 * n, root = -sqrtf(from - to); /* the path is told upwards */
    move_over(b, (double)to, (double)from, planes, tmp, n);
    for (size_t i = 0; i < rows; i++)
        for (size_t k = 0; k < c; k++)
            out[i * c + k] = planes[k * rows + i] / root;
}
