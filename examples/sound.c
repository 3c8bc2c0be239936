/* SPDX-License-Identifier: MIT
 * Speech into a callback, as an audio device would take it.
 *     sound MODEL TEXT
 */
#include <bottega.h>
#include <stdio.h>

typedef struct player {
    int chunks;
    size_t samples;
    int rate;
} player;

/* On the thread that runs the job; the samples are the library's and gone when
 * this returns, so a player would copy them to its ring here. */
static int on_samples(void *user, const bt_audio *chunk)
{
    player *p = user;
    p->chunks++;
    p->samples += chunk->n;
    p->rate = chunk->sample_rate;
    return 0;
}

int main(int argc, char **argv)
{
    bt_engine *e = NULL;
    bt_model *m = NULL;
    bt_job *j = NULL;
    player p = { 0 };
    const bt_callbacks cb = { .struct_size = sizeof cb, .user = &p, .samples = on_samples };
    int ok = 0;

    if (argc != 3)
        return 2;
    if (bt_engine_create(NULL, &e) != BT_OK)
        return 1;
    if (bt_model_open(e, argv[1], &m) == BT_OK && bt_job_create(m, &j) == BT_OK) {
        bt_job_set_callbacks(j, &cb);
        ok = bt_job_set(j, "text", argv[2]) == BT_OK && bt_job_run(j) == BT_OK && p.rate > 0;
    }
    if (ok)
        printf("%.2f s in %d pieces\n", (double)p.samples / p.rate, p.chunks);
    else
        fprintf(stderr, "%s%s\n", bt_engine_message(e), bt_job_message(j));
    bt_job_free(j);
    bt_model_free(m);
    bt_engine_free(e);
    return ok ? 0 : 1;
}
