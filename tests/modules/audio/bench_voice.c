/* SPDX-License-Identifier: MIT
 * Speed of a voice: bench_voice VOICE [threads [precision [isa]]]. Not a test.
 * Best of five runs of a sentence as long as 20 words; per second of audio, as a whole
 * and by part; and until the first samples are there, for somebody who waits for them.
 */
#include <stdio.h>

#include "audio/vits/vits.h"
#include "base/threads.h"
#include "voice_host.h"

typedef struct heard {
    size_t n;
    double first; /* when the first samples came */
} heard;

static bt_status drop(void *user, const float *x, size_t n)
{
    heard *to = user;
    (void)x;
    if (to->n == 0)
        to->first = bt_now();
    to->n += n;
    return BT_OK;
}

static void print_parts(const bt_trace *t)
{
    bt_buf json = { 0 };
    if (bt_trace_summary(t, NULL, &json) == BT_OK)
        puts(json.data);
    bt_buf_free(&json);
}

enum { IDS = 233 };

int main(int argc, char **argv)
{
    static const char *const names[] = { "auto", "int8", "bf16", "f32" };
    int32_t ids[IDS];
    host h;
    int precision = 0;
    heard to = { 0 };
    double best = 1e9, soon = 1e9, first = 1e9;
    for (int i = 0; argc > 3 && i < 4; i++)
        if (!strcmp(argv[3], names[i]))
            precision = i;
    for (int i = 0; i < IDS; i++)
        ids[i] = i == 0 ? 1 : i == IDS - 1 ? 2 : i % 2 ? 0 : 14 + i * 7 % 90;
    host_open(&h, argc > 1 ? argv[1] : JOE, argc > 4 ? argv[4] : NULL, argc > 2 ? atoi(argv[2]) : 1,
              (bt_precision)precision);
    bt_parts plans = bt_vits_parts(h.model);
    const bt_vits_settings s = { .noise_scale = 0.667f, .length_scale = 1, .noise_w = 0.8f };
    bt_run r = { .error = &h.error };
    bt_speak_call c = { .r = &r, .samples = drop, .user = &to };
    for (int i = 0; i < 12; i++) {
        to = (heard){ 0 };
        c.first = i % 2;
        double begin = bt_now();
        if (bt_vits_speak(&plans, ids, IDS, &s, &c) != BT_OK)
            fail_msg("%s", h.error.text);
        double t = bt_now() - begin;
        double *least = c.first ? &soon : &best;
        if (i > 1 && t < *least)
            *least = t;
        if (i > 1 && c.first && to.first - begin < first)
            first = to.first - begin;
    }
    double seconds = (double)to.n / ((const bt_voice *)plans.voice)->sample_rate;
    fprintf(
        stderr,
        "%s, %d threads, %s: %.2f s of audio in %.4f s, %.4f per second; for somebody who waits "
        "%.4f s, the first samples after %.1f ms\n",
        h.kernels.isa, h.compute.threads, names[precision], seconds, best, best / seconds, soon,
        1e3 * first);
    if (argc > 5 && bt_trace_create(&r.trace) == BT_OK) {
        bt_vits_speak(&plans, ids, IDS, &s, &c);
        print_parts(r.trace);
        bt_trace_free(r.trace);
    }
    bt_parts_clear(&plans);
    host_close(&h);
    return 0;
}
