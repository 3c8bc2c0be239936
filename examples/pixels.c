/* SPDX-License-Identifier: MIT
 * A picture into a buffer of ours, without a file.
 *     pixels MODEL PROMPT
 */
#include <bottega.h>
#include <stdio.h>

static int on_progress(void *user, const char *stage, int done, int total)
{
    (void)user;
    fprintf(stderr, "%s %d/%d\n", stage, done, total);
    return 0; /* not 0: stop */
}

/* What a paint program would copy into its canvas; here: its mean colour. */
static void use_pixels(const bt_image *img)
{
    double sum[3] = { 0 };
    const size_t n = (size_t)img->width * (size_t)img->height;
    for (size_t i = 0; i < n * 3; i++)
        sum[i % 3] += img->pixels[i];
    printf("%d x %d pixels, mean colour %.0f %.0f %.0f\n", img->width, img->height,
           sum[0] / (double)n, sum[1] / (double)n, sum[2] / (double)n);
}

int main(int argc, char **argv)
{
    bt_engine *e = NULL;
    bt_model *m = NULL;
    bt_job *j = NULL;
    bt_image img = { .struct_size = sizeof img };
    const bt_callbacks cb = { .struct_size = sizeof cb, .progress = on_progress };
    int ok = 0;

    if (argc != 3)
        return 2;
    if (bt_engine_create(NULL, &e) != BT_OK)
        return 1;
    if (bt_model_open(e, argv[1], &m) == BT_OK && bt_job_create(m, &j) == BT_OK) {
        bt_job_set_callbacks(j, &cb);
        ok = bt_job_set(j, "prompt", argv[2]) == BT_OK && bt_job_set(j, "seed", "7") == BT_OK &&
             bt_job_run(j) == BT_OK && bt_job_image(j, 0, &img) == BT_OK;
        if (ok)
            use_pixels(&img);
    }
    /* one of the two is empty: a job, once there, has its own message */
    if (!ok)
        fprintf(stderr, "%s%s\n", bt_engine_message(e), bt_job_message(j));
    bt_job_free(j);
    bt_model_free(m);
    bt_engine_free(e);
    return ok ? 0 : 1;
}
