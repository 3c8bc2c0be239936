/* SPDX-License-Identifier: MIT
 * Speed of a voice: bench_voice VOICE [threads [precision [isa]]]. Not a test.
 * Best of five runs of a sentence; per second of audio, as a whole and by part.
 */
#include <stdio.h>

#include "audio/vits/vits.h"
#include "base/threads.h"
#include "voice_host.h"

static bt_status drop(void *user, const float *x, size_t n)
{
    (void)x;
    *(size_t *)user += n;
    return BT_OK;
}

static void print_parts(const bt_trace *t)
{
    bt_buf json = { 0 };
    if (bt_trace_summary(t, NULL, &json) == BT_OK)
        puts(json.data);
    bt_buf_free(&json);
}

int main(int argc, char **argv)
{
    static const char *const names[] = { "auto", "int8", "bf16", "f32" };
    int32_t ids[201];
    host h;
    int precision = 0;
    size_t n = 0;
    double best = 1e9;
    for (int i = 0; argc > 3 && i < 4; i++)
        if (!strcmp(argv[3], names[i]))
            precision = i;
    for (int i = 0; i < 201; i++)
        ids[i] = i == 0 ? 1 : i == 200 ? 2 : i % 2 ? 0 : 14 + i * 7 % 90;
    host_open(&h, argc > 1 ? argv[1] : JOE, argc > 4 ? argv[4] : NULL, argc > 2 ? atoi(argv[2]) : 1,
              (bt_precision)precision);
    bt_parts plans = bt_vits_parts(h.model);
    bt_vits_settings s = {
        .noise_scale = 0.667f, .length_scale = 1, .noise_w = 0.8f, .samples = drop, .user = &n
    };
    for (int i = 0; i < 6; i++) {
        n = 0;
        double begin = bt_now();
        if (bt_vits_speak(&plans, ids, 201, &s, NULL, &h.error) != BT_OK)
            fail_msg("%s", h.error.text);
        double t = bt_now() - begin;
        best = i && t < best ? t : best;
    }
    double seconds = (double)n / ((const bt_voice *)plans.voice)->sample_rate;
    fprintf(stderr, "%s, %d threads, %s: %.2f s of audio in %.3f s, %.4f per second\n",
            h.kernels.isa, h.compute.threads, names[precision], seconds, best, best / seconds);
    if (argc > 5 && bt_trace_create(&s.trace) == BT_OK) {
        bt_vits_speak(&plans, ids, 201, &s, NULL, &h.error);
        print_parts(s.trace);
        bt_trace_free(s.trace);
    }
    bt_parts_clear(&plans);
    host_close(&h);
    return 0;
}
