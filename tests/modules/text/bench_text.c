/* SPDX-License-Identifier: MIT
 * Tokens per second of a GGUF: bench_text MODEL [threads [precision [isa]]].
 * Not a test. Median of five runs of 512 tokens of prompt and 128 of decode;
 * in brackets per second of processor time, which others' load touches less.
 */
#include "host.h"

#include <time.h>

#include "base/threads.h"

static double cpu_now(void) { return (double)clock() / CLOCKS_PER_SEC; }

/* Without n the speed of the prompt, else that of decoding n tokens. */
static double run(host *h, size_t n_prompt, size_t n, double (*now)(void))
{
    bt_llm_session *s = &h->job->session;
    size_t done;
    s->tokens.len = 0;
    double start = now(), prompt = 0;
    for (size_t i = 0; i < n_prompt + n; i += done) {
        int32_t ids[512];
        for (size_t k = 0; k < 512; k++)
            ids[k] = (int32_t)((i + k) * 2654435761u % (unsigned)h->model->config.n_vocab);
        size_t left = i < n_prompt ? n_prompt - i : 1;
        if (bt_llm_step(s, ids, left, false, &done, NULL, &h->error) != BT_OK)
            return 0;
        if (i < n_prompt)
            prompt = now() - start;
    }
    return n ? (double)n / (now() - start - prompt) : (double)n_prompt / prompt;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(host *h, size_t n_prompt, size_t n, double (*now)(void))
{
    double v[5];
    run(h, n_prompt, n, now); /* packs */
    for (int i = 0; i < 5; i++)
        v[i] = run(h, n_prompt, n, now);
    qsort(v, 5, sizeof *v, by_value);
    return v[2];
}

int main(int argc, char **argv)
{
    static const char *const names[] = { "auto", "int8", "bf16", "f32" };
    host h;
    int precision = 0;
    for (int i = 0; argc > 3 && i < 4; i++)
        if (!strcmp(argv[3], names[i]))
            precision = i;
    host_init(&h, argc > 4 ? argv[4] : NULL, argc > 2 ? atoi(argv[2]) : 1, (bt_precision)precision);
    host_open(&h, argc > 1 ? argv[1] : TINY "tied.gguf");
    double prompt = median(&h, 512, 0, bt_now), prompt_cpu = median(&h, 512, 0, cpu_now);
    double decode = median(&h, 16, 128, bt_now), decode_cpu = median(&h, 16, 128, cpu_now);
    printf("%s, %d threads, %s: prompt %.1f (%.1f) tokens/s, decode %.1f (%.1f) tokens/s\n",
           h.kernels.isa, h.compute.threads, names[precision], prompt, prompt_cpu, decode,
           decode_cpu);
    host_close(&h);
    return 0;
}
