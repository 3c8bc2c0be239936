/* SPDX-License-Identifier: MIT
 * One thread runs a long job, another one cancels it.
 *     cancel TEXT_MODEL
 */
#include <bottega.h>
#include <pthread.h>
#include <stdio.h>
#include <time.h>

/* The one call on a job that any thread may make, at any time of its life. */
static void *cancel_soon(void *job)
{
    const struct timespec wait = { .tv_nsec = 300 * 1000 * 1000 };
    nanosleep(&wait, NULL);
    bt_job_cancel(job);
    return NULL;
}

int main(int argc, char **argv)
{
    bt_engine *e = NULL;
    bt_model *m = NULL;
    bt_job *j = NULL;
    pthread_t thread;
    bt_status st = BT_EINVAL;

    if (argc != 2)
        return 2;
    if (bt_engine_create(NULL, &e) != BT_OK)
        return 1;
    if (bt_model_open(e, argv[1], &m) == BT_OK && bt_job_create(m, &j) == BT_OK &&
        bt_job_set(j, "prompt", "Once upon a time") == BT_OK &&
        bt_job_set(j, "n_predict", "5000") == BT_OK &&
        bt_job_set(j, "ignore_eos", "true") == BT_OK &&
        pthread_create(&thread, NULL, cancel_soon, j) == 0) {
        st = bt_job_run(j);
        pthread_join(thread, NULL);
    }
    printf("%s\n", bt_status_text(st));
    if (st != BT_ECANCELLED)
        fprintf(stderr, "%s%s\n", bt_engine_message(e), bt_job_message(j));
    bt_job_free(j);
    bt_model_free(m);
    bt_engine_free(e);
    return st == BT_ECANCELLED ? 0 : 1;
}
