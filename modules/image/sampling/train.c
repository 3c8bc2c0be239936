/* SPDX-License-Identifier: MIT
 * The noise that training used, and tables over its steps: k-diffusion's and
 * diffusers' _sigma_to_t.
 */
#include <math.h>

#include "image/sampling/schedule.h"

float sd_linspace(float a, float b, int n, int i)
{
    if (n == 1)
        return a;
    float step = (b - a) / (float)(n - 1);
    return i < n / 2 ? a + step * (float)i : b - step * (float)(n - 1 - i);
}

/* "Improved Denoising Diffusion Probabilistic Models" (arXiv 2102.09672), eq. 17 */
static double cosine_bar(double t)
{
    double c = cos((t + 0.008) / 1.008 * M_PI / 2);
    return c * c;
}

static float beta_of(const sd_schedule_config *c, int i)
{
    if (c->trained)
        return c->trained[i];
    if (c->betas == SD_SQUAREDCOS) {
        double b = 1 - cosine_bar((double)(i + 1) / c->steps) / cosine_bar((double)i / c->steps);
        return (float)(b < 0.999 ? b : 0.999);
    }
    if (c->betas == SD_LINEAR)
        return sd_linspace((float)c->beta_start, (float)c->beta_end, c->steps, i);
    float r = sd_linspace((float)sqrt(c->beta_start), (float)sqrt(c->beta_end), c->steps, i);
    return r * r;
}

/* cumprod in double, stored as float, as torch does on a CPU */
static void cumulate(float *abar, int n)
{
    double product = 1;
    for (int i = 0; i < n; i++) {
        product *= (double)abar[i];
        abar[i] = (float)product;
    }
}

/* Algorithm 1 of "Common Diffusion Noise Schedules and Sample Steps are
 * Flawed" (arXiv 2305.08891): the last step becomes pure noise. */
static void rescale_zero_snr(float *abar, int n)
{
    float first = sqrtf(abar[0]), last = sqrtf(abar[n - 1]), before = 0;
    float scale = first / (first - last);
    for (int i = 0; i < n; i++) {
        float root = (sqrtf(abar[i]) - last) * scale;
        float bar = root * root;
        float alpha = i ? bar / before : bar;
        abar[i] = 1.0f - (1.0f - alpha); /* through the betas and back */
        before = bar;
    }
    cumulate(abar, n);
}

bt_status sd_train_create(const sd_schedule_config *c, sd_train *out, bt_error *err)
{
    out->n = c->steps;
    out->abar = bt_calloc((size_t)c->steps, sizeof *out->abar);
    if (!out->abar)
        return bt_no_memory(err, "the time grid");
    for (int i = 0; i < c->steps; i++)
        out->abar[i] = 1.0f - beta_of(c, i);
    cumulate(out->abar, c->steps);
    if (c->zero_snr)
        rescale_zero_snr(out->abar, c->steps);
    for (int i = 0; i < c->steps; i++)
        if (!(out->abar[i] >= 0 && out->abar[i] < 1)) {
            sd_train_release(out);
            return bt_fail(err, BT_EFORMAT, "the scheduler's betas make no noise schedule");
        }
    return BT_OK;
}

void sd_train_release(sd_train *t)
{
    bt_release(t->abar);
    t->abar = NULL;
}

/* ---- tables ---------------------------------------------------------------- */

bt_status sd_table_create(const sd_train *train, int first, int stride, float last, sd_table *out,
                          bt_error *err)
{
    out->n = (train->n - 1 - first) / stride + 1;
    out->sigma = bt_calloc((size_t)out->n * 2, sizeof *out->sigma);
    if (!out->sigma)
        return bt_no_memory(err, "the time grid");
    out->log = out->sigma + out->n;
    for (int i = 0; i < out->n; i++) {
        float abar = train->abar[first + i * stride];
        float s = sqrtf((1 - (abar > 0 ? abar : last)) / (abar > 0 ? abar : last));
        out->sigma[i] = (double)s;
        out->log[i] = (double)logf(s);
    }
    return BT_OK;
}

void sd_table_release(sd_table *t)
{
    bt_release(t->sigma);
    *t = (sd_table){ 0 };
}

double sd_table_t(const sd_table *s, double sigma)
{
    if (s->n == 1) /* a model distilled to one step */
        return 0;
    double log_sigma = log(sigma > 1e-10 ? sigma : 1e-10);
    int low = 0, high = s->n - 1; /* last step whose sigma is not above */
    while (low < high) {
        int mid = (low + high + 1) / 2;
        if (log_sigma - s->log[mid] >= 0)
            low = mid;
        else
            high = mid - 1;
    }
    if (low > s->n - 2)
        low = s->n - 2;
    double w = (s->log[low] - log_sigma) / (s->log[low] - s->log[low + 1]);
    w = w < 0 ? 0 : w > 1 ? 1 : w;
    return (1 - w) * low + w * (low + 1);
}

float sd_table_sigma(const sd_table *s, float t)
{
    if (s->n == 1)
        return (float)s->sigma[0];
    int low = t < (float)(s->n - 1) ? (int)t : s->n - 2;
    float w = t - (float)low, a = (float)s->log[low], b = (float)s->log[low + 1];
    return (float)exp((double)((1 - w) * a + w * b));
}
