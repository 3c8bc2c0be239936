/* SPDX-License-Identifier: MIT
 * From logits to a token. Order and meaning are llama.cpp's (common/sampling.cpp,
 * src/llama-sampler.cpp): repeat penalty, top-k, top-p, min-p, temperature, draw.
 * Top-k, top-p and min-p each keep a prefix of the candidates by falling
 * logit, so they are popped off a heap until one of the three says enough.
 */
#include <math.h>

#include "base/rng.h"
#include "llm.h"

bt_status bt_llm_sampler_open(bt_llm_sampler *s, bt_llm_sampling p, uint64_t seed, int n_vocab)
{
    *s = (bt_llm_sampler){ .p = p, .state = seed, .n_vocab = n_vocab };
    s->c = bt_calloc((size_t)n_vocab, sizeof *s->c);
    return s->c ? BT_OK : BT_ENOMEM;
}

void bt_llm_sampler_close(bt_llm_sampler *s)
{
    bt_release(s->c);
    s->c = NULL;
}

/* A total order, so that equal logits give the same token everywhere. */
static bool before(bt_llm_candidate a, bt_llm_candidate b)
{
    return a.logit > b.logit || (a.logit == b.logit && a.id < b.id);
}

static void sift(bt_llm_candidate *c, size_t n, size_t i)
{
    bt_llm_candidate x = c[i];
    for (size_t k; (k = 2 * i + 1) < n; i = k) {
        if (k + 1 < n && before(c[k + 1], c[k]))
            k++;
        if (!before(c[k], x))
            break;
        c[i] = c[k];
    }
    c[i] = x;
}

/* Fills the candidates; what is no number cannot be chosen. */
static void load(bt_llm_sampler *s, const float *logits, const int32_t *recent, size_t n_recent,
                 const bt_ids *banned)
{
    float penalty = (float)s->p.repeat_penalty;
    for (int i = 0; i < s->n_vocab; i++)
        s->c[i] = (bt_llm_candidate){ isnan(logits[i]) ? -INFINITY : logits[i], i };
    for (size_t i = 0; i < n_recent; i++) {
        int32_t id = recent[i];
        if (id < 0 || id >= s->n_vocab)
            continue;
        float x = logits[id]; /* the raw one: a token that came twice is punished once */
        if (!isnan(x))
            s->c[id].logit = x > 0 ? x / penalty : x * penalty;
    }
    for (size_t i = 0; banned && i < banned->len; i++)
        if (banned->data[i] >= 0 && banned->data[i] < s->n_vocab)
            s->c[banned->data[i]].logit = -INFINITY;
}

static int32_t best(const bt_llm_sampler *s)
{
    bt_llm_candidate b = s->c[0];
    for (int i = 1; i < s->n_vocab; i++)
        if (before(s->c[i], b))
            b = s->c[i];
    return b.id;
}

/* Moves the best of the first *left candidates, a heap, behind the others. */
static void pop(bt_llm_candidate *c, size_t *left)
{
    bt_llm_candidate top = c[0];
    c[0] = c[--*left];
    sift(c, *left, 0);
    c[*left] = top;
}

/* Moves the kept candidates to the end of c, the best one last; returns how
 * many they are. Top-p's probabilities are those among top-k's candidates. */
static size_t keep(bt_llm_sampler *s)
{
    bt_llm_candidate *c = s->c;
    size_t n = (size_t)s->n_vocab, left = n;
    size_t k = s->p.top_k > 0 && s->p.top_k < s->n_vocab ? (size_t)s->p.top_k : n;
    double total = 0, sum = 0;

    for (size_t i = n / 2; i-- > 0;)
        sift(c, n, i);
    double max = c[0].logit, floor = s->p.min_p > 0 ? max + log(s->p.min_p) : -INFINITY;
    while (k < n && left > n - k)
        pop(c, &left);
    for (size_t i = k < n ? n - k : 0; s->p.top_p < 1 && i < n; i++)
        total += exp(c[i].logit - max);

    for (size_t i = 0; i < k; i++) {
        if (left > n - 1 - i)
            pop(c, &left);
        double logit = c[n - 1 - i].logit;
        if (i > 0 && logit < floor)
            return i;
        sum += exp(logit - max);
        if (s->p.top_p < 1 && sum >= s->p.top_p * total)
            return i + 1;
    }
    return k;
}

/* One of c[n - kept..n), best last, with probability exp(logit / temp). */
static int32_t draw(bt_llm_sampler *s, size_t kept)
{
    const bt_llm_candidate *top = s->c + s->n_vocab - 1;
    double total = 0, max = top->logit;
    for (size_t i = 0; i < kept; i++)
        total += exp((top[-(ptrdiff_t)i].logit - max) / s->p.temp);
    double at = bt_uniform(&s->state) * total;
    for (size_t i = 0; i < kept; i++) {
        at -= exp((top[-(ptrdiff_t)i].logit - max) / s->p.temp);
        if (at < 0)
            return top[-(ptrdiff_t)i].id;
    }
    return top->id;
}

int32_t bt_llm_sample(bt_llm_sampler *s, const float *logits, const int32_t *recent,
                      size_t n_recent, const bt_ids *banned)
{
    load(s, logits, s->p.repeat_penalty == 1 ? NULL : recent,
         s->p.repeat_penalty == 1 ? 0 : n_recent, banned);
    if (s->p.temp <= 0)
        return best(s);
    return draw(s, keep(s));
}
