/* SPDX-License-Identifier: MIT
 * From logits to a token. Order and meaning are llama.cpp's (common/sampling.cpp,
 * src/llama-sampler.cpp): repeat penalty, top-k, top-p, min-p, temperature, draw.
 * Top-k, top-p and min-p each keep a prefix of the candidates by falling logit;
 * only as many as may be kept are sorted.
 */
#include <math.h>

#include "base/rng.h"
#include "llm.h"

bt_status bt_llm_sampler_open(bt_llm_sampler *s, bt_llm_sampling p, uint64_t seed, int n_vocab)
{
    *s = (bt_llm_sampler){ .p = p, .state = seed, .n_vocab = n_vocab };
    s->x = bt_calloc((size_t)n_vocab, sizeof *s->x);
    s->c = bt_calloc((size_t)n_vocab, sizeof *s->c);
    if (s->x && s->c)
        return BT_OK;
    bt_llm_sampler_close(s);
    return BT_ENOMEM;
}

void bt_llm_sampler_close(bt_llm_sampler *s)
{
    bt_release(s->x);
    bt_release(s->c);
    s->x = NULL;
    s->c = NULL;
}

/* Copies the logits and returns the id of the largest, the first of equals.
 * What is no number cannot be chosen. */
static int32_t load(bt_llm_sampler *s, const float *logits, const int32_t *recent, size_t n_recent,
                    const bt_ids *banned)
{
    const float penalty = (float)s->p.repeat_penalty;
    for (int i = 0; i < s->n_vocab; i++)
        s->x[i] = isnan(logits[i]) ? -INFINITY : logits[i];
    for (size_t i = 0; penalty != 1 && i < n_recent; i++) {
        const int32_t id = recent[i];
        if (id < 0 || id >= s->n_vocab || isnan(logits[id]))
            continue;
        /* the raw logit: a token that came twice is punished once */
        s->x[id] = logits[id] > 0 ? logits[id] / penalty : logits[id] * penalty;
    }
    for (size_t i = 0; banned && i < banned->len; i++)
        if (banned->data[i] >= 0 && banned->data[i] < s->n_vocab)
            s->x[banned->data[i]] = -INFINITY;
    int32_t best = 0;
    for (int i = 1; i < s->n_vocab; i++)
        if (s->x[i] > s->x[best])
            best = i;
    return best;
}

/* A total order, so that equal logits give the same token everywhere. */
static bool after(bt_llm_candidate a, bt_llm_candidate b)
{
    return a.logit < b.logit || (a.logit == b.logit && a.id > b.id);
}

/* A heap with the last candidate on top. */
static void sift(bt_llm_candidate *c, size_t n, size_t i)
{
    const bt_llm_candidate x = c[i];
    for (size_t k; (k = 2 * i + 1) < n; i = k) {
        if (k + 1 < n && after(c[k + 1], c[k]))
            k++;
        if (!after(c[k], x))
            break;
        c[i] = c[k];
    }
    c[i] = x;
}

/* The best k of all, best first: a heap of the best so far, then heap sort. */
static void best_k(bt_llm_sampler *s, size_t k)
{
    bt_llm_candidate *c = s->c;
    for (size_t i = 0; i < k; i++)
        c[i] = (bt_llm_candidate){ s->x[i], (int32_t)i };
    for (size_t i = k / 2; i-- > 0;)
        sift(c, k, i);
    for (size_t i = k; i < (size_t)s->n_vocab; i++)
        if (s->x[i] > c[0].logit) {
            c[0] = (bt_llm_candidate){ s->x[i], (int32_t)i };
            sift(c, k, 0);
        }
    while (k-- > 1) {
        const bt_llm_candidate last = c[0];
        c[0] = c[k];
        sift(c, k, 0);
        c[k] = last;
    }
}

/* How many of the first n sorted candidates min-p and top-p keep; n + 1: more
 * candidates are needed to know. */
static size_t cut(const bt_llm_sampler *s, size_t n, double max, double floor, double enough)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        if (i > 0 && s->c[i].logit < floor)
            return i;
        sum += exp(s->c[i].logit - max);
        if (sum >= enough)
            return i + 1;
    }
    return n + 1;
}

/* Fills c with what is kept; returns how many. Top-p's probabilities are those
 * among top-k's candidates. */
static size_t keep(bt_llm_sampler *s, double max)
{
    const size_t n = (size_t)s->n_vocab;
    const size_t top_k = s->p.top_k > 0 && (size_t)s->p.top_k < n ? (size_t)s->p.top_k : n;
    const double floor = s->p.min_p > 0 ? max + log(s->p.min_p) : -INFINITY;
    size_t kept = 0;
    if (top_k == n && s->p.top_p >= 1) {
        for (size_t i = 0; i < n; i++)
            if (s->x[i] >= floor)
                s->c[kept++] = (bt_llm_candidate){ s->x[i], (int32_t)i };
        return kept;
    }
    for (size_t k = top_k < n ? top_k : 64;; k *= 8) {
        double total = 0;
        k = k < n ? k : n;
        best_k(s, k);
        for (size_t i = 0; s->p.top_p < 1 && i < top_k; i++)
            total += exp((top_k < n ? s->c[i].logit : s->x[i]) - max);
        kept = cut(s, k, max, floor, s->p.top_p < 1 ? s->p.top_p * total : INFINITY);
        if (kept <= k || k == top_k)
            return kept < k ? kept : k;
    }
}

/* One of c[0..kept) with probability exp(logit / temp). */
static int32_t draw(bt_llm_sampler *s, size_t kept, double max, int32_t best)
{
    double total = 0;
    for (size_t i = 0; i < kept; i++)
        total += exp((s->c[i].logit - max) / s->p.temp);
    double at = bt_uniform(&s->state) * total;
    for (size_t i = 0; i < kept; i++) {
        at -= exp((s->c[i].logit - max) / s->p.temp);
        if (at < 0)
            return s->c[i].id;
    }
    return best; /* rounding left nothing, or there is no finite logit */
}

int32_t bt_llm_sample(bt_llm_sampler *s, const float *logits, const int32_t *recent,
                      size_t n_recent, const bt_ids *banned)
{
    const int32_t best = load(s, logits, recent, n_recent, banned);
    if (s->p.temp <= 0)
        return best;
    return draw(s, keep(s, s->x[best]), s->x[best], best);
}
