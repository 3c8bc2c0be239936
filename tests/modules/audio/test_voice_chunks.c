/* SPDX-License-Identifier: MIT
 * A sentence in chunks of any size, on any number of threads, is the sentence in one
 * piece, to the byte: Piper's flow and decoder, in every kind of arithmetic.
 */
#include "audio/vits/vits.h"
#include "voice_host.h"

#define TINY(name) BT_SOURCE_DIR "/tests/golden/tiny-vits-" name ".onnx"

enum { WHOLE = 1 << 20, FIRST = -1 /* a short one, then as is best */ };

/* Speaks n ids, slowly, with the job's plans: what an earlier sentence left must not matter. */
static host_sound speak(host *h, bt_parts *plans, int n, int chunk)
{
    int32_t ids[400];
    host_sound out = { 0 };
    const int symbols = ((const bt_voice *)h->model)->n_symbols;
    assert_true(n <= 400);
    for (int i = 0; i < n; i++)
        ids[i] = i == 0 ? 1 : i == n - 1 ? 2 : i % 2 ? 0 : 14 + i * 7 % (symbols - 14);
    const bt_vits_settings s = {
        .noise_scale = 0.667f,
        .length_scale = 1.5f,
        .noise_w = 0.8f,
        .chunk = chunk == FIRST ? 0 : chunk,
    };
    const bt_run r = { .error = &h->error };
    const bt_speak_call c = {
        .r = &r, .first = chunk == FIRST, .samples = host_hear, .user = &out
    };
    if (bt_vits_speak(plans, ids, (size_t)n, &s, &c) != BT_OK)
        fail_msg("%s", h->error.text);
    return out;
}

/* The sentence in one piece on one thread, then with each of `chunks` on 1, 2
 * and 3 threads (more threads, fewer of them). */
static void check(const char *path, const char *isa, bt_precision p, int ids, const int *chunks,
                  int n)
{
    host h;
    host_open(&h, path, isa, 1, p);
    bt_parts plans = bt_vits_parts(h.model);
    const host_sound whole = speak(&h, &plans, ids, WHOLE);
    assert_int_equal(whole.calls, 1);
    bt_parts_clear(&plans);
    host_close(&h);
    for (int threads = 1; threads <= 3; threads++) {
        host_open(&h, path, isa, threads, p);
        plans = bt_vits_parts(h.model);
        for (int i = threads - 1; i < n; i += threads) {
            const host_sound cut = speak(&h, &plans, ids, chunks[i]);
            assert_int_equal(cut.n, whole.n);
            assert_memory_equal(cut.x, whole.x, whole.n * sizeof *whole.x);
            assert_true(cut.calls > 1);
            free(cut.x);
        }
        bt_parts_clear(&plans);
        host_close(&h);
    }
    free(whole.x);
}

static void small_voices_in_any_chunk(void **state)
{
    (void)state;
    static const int chunks[] = { 7, FIRST, 13, 1, 2, 32, 64, 101 };
    const int n = GOLDEN_BRIEF ? 3 : 8;
    static const bt_precision precisions[] = { BT_PREC_AUTO, BT_PREC_F32, BT_PREC_BF16,
                                               BT_PREC_INT8 };
    for (int p = 0; p < (GOLDEN_BRIEF ? 1 : 4); p++) {
        check(TINY("high"), NULL, precisions[p], 81, chunks, n);
        check(TINY("low"), NULL, precisions[p], 81, chunks, n);
    }
    check(TINY("high"), "avx2", BT_PREC_AUTO, 81, chunks, n);
    if (!GOLDEN_BRIEF)
        check(TINY("low"), "scalar", BT_PREC_AUTO, 61, chunks, n);
}

/* What `auto` is on each kind of processor: two bf16 numbers, minimal filtering. */
static void a_real_voice_in_any_chunk(void **state)
{
    (void)state;
    static const int some[] = { FIRST, 128, 53 }, single[] = { 1 }, few[] = { 13 };
    check(JOE, NULL, BT_PREC_AUTO, 21, GOLDEN_BRIEF ? few : single, 1);
    if (GOLDEN_BRIEF)
        return;
    check(JOE, NULL, BT_PREC_AUTO, 201, some, 3);
    check(JOE, NULL, BT_PREC_F32, 101, some, 3);
    const int64_t plain = bt_cpu_cap("avx512vnni");
    if (plain > 0 && (bt_cpu_flags() & plain) == plain) {
        check(JOE, "avx512vnni", BT_PREC_AUTO, 201, some, 3);
        check(JOE, "avx512vnni", BT_PREC_AUTO, 21, single, 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_voices_in_any_chunk),
        cmocka_unit_test(a_real_voice_in_any_chunk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
