/* SPDX-License-Identifier: MIT
 * Two jobs on one model at once; alone or together, each makes the same text.
 *     two_jobs TEXT_MODEL
 */
#include <bottega.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

static const char *const prompts[2] = { "The sea is", "A list of colours: red," };

/* A job belongs to one thread at a time; the model is shared and never changes. */
static void *run(void *job) { return bt_job_run(job) == BT_OK ? job : NULL; }

static int together(bt_job *j[2])
{
    pthread_t thread;
    void *first = NULL;
    if (pthread_create(&thread, NULL, run, j[0]) != 0)
        return 0;
    void *second = run(j[1]);
    pthread_join(thread, &first);
    return first && second;
}

/* Runs both at once, then the second again by itself. */
static int compare(bt_job *j[2])
{
    char before[4096];
    if (!together(j))
        return 0;
    for (int i = 0; i < 2; i++)
        printf("%s%s\n", prompts[i], bt_job_text(j[i], 0));
    snprintf(before, sizeof before, "%s", bt_job_text(j[1], 0));
    return bt_job_run(j[1]) == BT_OK && strcmp(before, bt_job_text(j[1], 0)) == 0;
}

int main(int argc, char **argv)
{
    bt_engine *e = NULL;
    bt_model *m = NULL;
    bt_job *j[2] = { NULL, NULL };
    int ok = 1;

    if (argc != 2)
        return 2;
    if (bt_engine_create(NULL, &e) != BT_OK)
        return 1;
    ok = bt_model_open(e, argv[1], &m) == BT_OK;
    for (int i = 0; i < 2 && ok; i++)
        ok = bt_job_create(m, &j[i]) == BT_OK && bt_job_set(j[i], "prompt", prompts[i]) == BT_OK &&
             bt_job_set(j[i], "n_predict", "16") == BT_OK;
    ok = ok && compare(j);
    if (!ok)
        fprintf(stderr, "%s%s\n", bt_engine_message(e), bt_job_message(j[0]));
    for (int i = 0; i < 2; i++)
        bt_job_free(j[i]);
    bt_model_free(m);
    bt_engine_free(e);
    return ok ? 0 : 1;
}
