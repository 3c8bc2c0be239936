/* SPDX-License-Identifier: MIT
 * Speed of a Kokoro voice: bench_kokoro MODEL [threads [precision [trace]]]. Not a test.
 * Best of three runs of 120 phonemes in a made-up style; per second of audio.
 */
#include <stdio.h>

#include "audio/kokoro/kokoro.h"
#include "base/threads.h"
#include "voice_host.h"

enum { TOKENS = 122 };

int main(int argc, char **argv)
{
    static const char *const names[] = { "auto", "int8", "bf16", "f32" };
    static const int32_t phonemes[] = { 50, 83, 54, 156, 31, 16,  81, 102, 68, 16, 102,
                                        68, 16, 70, 16,  62, 156, 86, 61,  62, 3,  16 };
    int32_t ids[TOKENS] = { 0 };
    float style[1024] = { 0 };
    bt_kernels kernels;
    bt_store *store;
    bt_kokoro *k;
    bt_error err = { 0 };
    int precision = 0;
    double best = 1e9;
    for (int i = 0; argc > 3 && i < 4; i++)
        if (!strcmp(argv[3], names[i]))
            precision = i;
    for (int i = 1; i < TOKENS - 1; i++)
        ids[i] = phonemes[(size_t)i % (sizeof phonemes / sizeof *phonemes)];
    bt_kernels_init(&kernels, bt_cpu_flags());
    const bt_compute compute = { .kernels = &kernels,
                                 .threads = argc > 2 ? atoi(argv[2]) : 1,
                                 .precision = (bt_precision)precision };
    const double start = bt_now();
    if (argc < 2 || bt_store_open(argv[1], &store, &err) != BT_OK ||
        bt_kokoro_open(store, &compute, &k, &err) != BT_OK)
        fail_msg("%s", argc < 2 ? "which model?" : err.text);
    bt_parts parts = bt_kok_parts(k);
    bt_kok_piece x = {
        .ids = ids, .n = TOKENS, .style = style, .length_scale = 1, .noise_scale = 1
    };
    bt_run r = { .error = &err };
    for (int i = 0; i < 4; i++) {
        const double begin = bt_now();
        if (bt_kok_speak(&parts, &x, &r) != BT_OK)
            fail_msg("%s", err.text);
        const double t = bt_now() - begin;
        best = i && t < best ? t : best;
        if (i == 0)
            fprintf(stderr, "opened and spoken once in %.2f s\n", bt_now() - start);
    }
    const double seconds = (double)(x.frames * k->hop) / BT_KOK_RATE;
    fprintf(stderr, "%s, %d threads, %s: %.2f s of audio in %.3f s, %.4f per second\n", kernels.isa,
            compute.threads, names[precision], seconds, best, best / seconds);
    if (argc > 4 && bt_trace_create(&r.trace) == BT_OK) {
        bt_buf json = { 0 };
        bt_kok_speak(&parts, &x, &r);
        if (bt_trace_summary(r.trace, NULL, &json) == BT_OK)
            puts(json.data);
        bt_buf_free(&json);
        bt_trace_free(r.trace);
    }
    bt_parts_clear(&parts);
    bt_kokoro_close(k);
    return 0;
}
