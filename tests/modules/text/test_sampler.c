/* SPDX-License-Identifier: MIT
 * The sampler against the definitions of its parts, and the stream of text.
 */
#include "host.h"

#include <math.h>

enum { V = 200 };

static void logits_of(float *x, unsigned seed)
{
    for (int i = 0; i < V; i++) {
        seed = seed * 1664525u + 1013904223u;
        x[i] = (float)(seed >> 8) / (1 << 24) * 12 - 6;
    }
}

static int by_logit(const void *a, const void *b)
{
    float x = ((const bt_llm_candidate *)a)->logit, y = ((const bt_llm_candidate *)b)->logit;
    return (x < y) - (x > y);
}

/* Probabilities that top-k, top-p, min-p and temperature leave, by sorting. */
static void expected(const float *logits, bt_llm_sampling p, double *prob)
{
    bt_llm_candidate c[V];
    int k = p.top_k > 0 && p.top_k < V ? (int)p.top_k : V, n = 0;
    double total = 0, sum = 0;
    for (int i = 0; i < V; i++)
        c[i] = (bt_llm_candidate){ logits[i], i };
    qsort(c, V, sizeof *c, by_logit);
    for (int i = 0; i < k; i++)
        total += exp(c[i].logit - c[0].logit);
    for (double cum = 0; n < k && (n == 0 || p.top_p >= 1 || cum < p.top_p); n++)
        cum += exp(c[n].logit - c[0].logit) / total;
    while (n > 1 && p.min_p > 0 && exp(c[n - 1].logit - c[0].logit) < p.min_p)
        n--;
    for (int i = 0; i < V; i++)
        prob[i] = 0;
    for (int i = 0; i < n; i++)
        sum += exp((c[i].logit - c[0].logit) / p.temp);
    for (int i = 0; i < n; i++)
        prob[c[i].id] = exp((c[i].logit - c[0].logit) / p.temp) / sum;
}

/* 20,000 draws: each count within 5 standard deviations, none where none may be. */
static void test_distribution(void **state)
{
    (void)state;
    static const bt_llm_sampling cases[] = {
        { 1, 0, 1, 0, 1 },        { 0.8, 40, 0.95, 0.05, 1 }, { 1.5, 5, 1, 0, 1 },
        { 1, 0, 0.5, 0, 1 },      { 1, 0, 1, 0.1, 1 },        { 0.3, 1000, 0.9, 0, 1 },
        { 2, 30, 0.4, 0.001, 1 }, { 1, 1, 1, 0, 1 },          { 1, 0, 0, 0, 1 },
        { 1, 0, 0.9, 1, 1 },
    };
    enum { DRAWS = 20000 };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        float logits[V];
        double prob[V];
        int count[V] = { 0 };
        bt_llm_sampler s;
        logits_of(logits, (unsigned)i + 1);
        expected(logits, cases[i], prob);
        assert_int_equal(bt_llm_sampler_open(&s, cases[i], i, V), BT_OK);
        for (int j = 0; j < DRAWS; j++)
            count[bt_llm_sample(&s, logits, NULL, 0, NULL)]++;
        for (int j = 0; j < V; j++) {
            double mean = prob[j] * DRAWS, dev = sqrt(mean * (1 - prob[j]));
            assert_true(prob[j] > 0 ? fabs(count[j] - mean) <= 5 * dev + 1 : count[j] == 0);
        }
        bt_llm_sampler_close(&s);
    }
}

static int32_t pick(bt_llm_sampling p, const float *logits, const int32_t *recent, size_t n,
                    const bt_ids *banned)
{
    bt_llm_sampler s;
    assert_int_equal(bt_llm_sampler_open(&s, p, 1, 4), BT_OK);
    int32_t id = bt_llm_sample(&s, logits, recent, n, banned);
    bt_llm_sampler_close(&s);
    return id;
}

static void test_greedy(void **state)
{
    (void)state;
    const bt_llm_sampling greedy = { 0, 40, 0.95, 0.05, 1 }, penalty = { 0, 0, 1, 0, 2 };
    const float x[4] = { 1, 3, 2, 3 }, low[4] = { -4, -1, -3, -1.5f };
    const int32_t recent[] = { 1, 1, 3, 9, -1 };
    assert_int_equal(pick(greedy, x, recent, 5, NULL), 1); /* the first of equals */
    assert_int_equal(pick(penalty, x, NULL, 0, NULL), 1);
    assert_int_equal(pick(penalty, x, recent, 5, NULL), 2);   /* 3 / 2 < 2, once only */
    assert_int_equal(pick(penalty, low, recent, 1, NULL), 3); /* below 0: times 2 */
    assert_int_equal(pick(penalty, low, recent, 5, NULL), 1); /* -2 against -3, -3, -4 */
    const bt_ids banned = { (int32_t[]){ 1, 3, 100 }, 3, 3 };
    assert_int_equal(pick(greedy, x, NULL, 0, &banned), 2);
}

/* No number must not crash nor be chosen while there is another. */
static void test_odd_logits(void **state)
{
    (void)state;
    const bt_llm_sampling cases[] = {
        { 0, 0, 1, 0, 1 }, { 1, 0, 1, 0, 1 }, { 1, 2, 0.9, 0.1, 1 }, { 1, 0, 0.5, 0, 1 }
    };
    const float some[4] = { NAN, -1, NAN, -INFINITY };
    const float none[4] = { NAN, NAN, -INFINITY, NAN }, all[4] = { INFINITY, INFINITY, 0, 0 };
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pick(cases[i], some, NULL, 0, NULL), 1);
        int32_t id = pick(cases[i], none, NULL, 0, NULL);
        assert_true(id >= 0 && id < 4);
        id = pick(cases[i], all, NULL, 0, NULL);
        assert_true(id >= 0 && id < 4);
    }
}

/* ---- stream ---- */

static bt_status on_token(void *user, int32_t id, const char *text, size_t n)
{
    (void)id;
    bt_buf *b = user;
    assert_true(bt_utf8_valid(text, n));
    bt_buf_add(b, text, n);
    bt_buf_puts(b, "|");
    return BT_OK;
}

static host model; /* for its tokenizer */

/* The stream of a text's single bytes as tokens: pieces end with "|". */
static void stream(const char *text, const char *stop, const char *want, bool stopped)
{
    bt_buf out = { 0 };
    const bt_run r = { .host = &out, .token = on_token };
    bt_llm_stream s;
    assert_int_equal(bt_llm_stream_open(&s, &r, model.model->vocab.bpe, stop), BT_OK);
    for (; *text && !s.stopped; text++) {
        char byte[4];
        uint8_t c = (uint8_t)*text;
        /* GPT-2's character for a byte; those of C0..FF are themselves, and of
         * 80..A0 U+0122.. (only these and ASCII occur here) */
        uint32_t cp = c == ' ' ? 0x120 : c == '\n' ? 0x10A : c >= 0x7F && c <= 0xA0 ? 0xA2u + c : c;
        size_t n = bt_utf8_put(byte, cp);
        int32_t id = bt_bpe_find(model.model->vocab.bpe, byte, n);
        assert_true(id >= 0);
        assert_int_equal(bt_llm_stream_token(&s, id), BT_OK);
    }
    assert_int_equal(bt_llm_stream_end(&s), BT_OK);
    assert_int_equal(s.stopped, stopped);
    assert_string_equal(out.data ? out.data : "", want);
    bt_llm_stream_close(&s);
    bt_buf_free(&out);
}

static void test_stream(void **state)
{
    (void)state;
    host_init(&model, NULL, 1, BT_PREC_AUTO);
    host_open(&model, TINY "tied.gguf");
    stream("abc", "", "a|b|c|", false);
    stream("a\xC3\xA9z", "", "a||\xC3\xA9|z|", false); /* whole characters */
    stream("a\xE2\x82", "", "a|||", false);            /* cut in the middle: left out */
    stream("a\xE2z", "", "a||\xEF\xBF\xBDz|", false);
    stream("one. two", ".", "o|n|e||", true);
    stream("abcabd", "abd", "||abc||||", true); /* held back, then let go */
    stream("ababd", "abd", "||ab|||", true);
    stream("xab", "abd", "x|||ab|", false); /* never came: sent at the end */
    stream("xaby", "[\"q\",\"by\"]", "x|a|||", true);
    stream("x[\"y\"", "[\"y", "x||||", true); /* no JSON: one string */
    stream("a\nb", "[\"\\n\"]", "a||", true);
    stream("aab", "[\"ab\", \"aab\", \"\"]", "|||", true); /* the earliest wins */
    host_close(&model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_distribution),
        cmocka_unit_test(test_greedy),
        cmocka_unit_test(test_odd_logits),
        cmocka_unit_test(test_stream),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
