/* SPDX-License-Identifier: MIT
 * A chat of two turns: the job remembers the first when it runs again.
 *     chat MODEL
 */
#include <bottega.h>
#include <stdio.h>

/* Whole UTF-8 characters; len 0 while one is incomplete. Not 0 would stop. */
static int on_token(void *user, int32_t id, const char *text, size_t len)
{
    (void)user;
    (void)id;
    fwrite(text, 1, len, stdout);
    return fflush(stdout) != 0;
}

int main(int argc, char **argv)
{
    static const char *const turns[] = { "My name is Ada. Greet me.", "What is my name?" };
    bt_engine *e = NULL;
    bt_model *m = NULL;
    bt_job *j = NULL;
    const bt_callbacks cb = { .struct_size = sizeof cb, .token = on_token };
    int ok = 0;

    if (argc != 2)
        return 2;
    if (bt_engine_create(NULL, &e) != BT_OK)
        return 1;
    if (bt_model_open(e, argv[1], &m) == BT_OK && bt_job_create(m, &j) == BT_OK) {
        bt_job_set_callbacks(j, &cb);
        ok = bt_job_set(j, "chat", "true") == BT_OK && bt_job_set(j, "temp", "0") == BT_OK &&
             bt_job_set(j, "n_predict", "24") == BT_OK;
        for (int i = 0; i < 2 && ok; i++) {
            printf("> %s\n", turns[i]);
            ok = bt_job_set(j, "prompt", turns[i]) == BT_OK && bt_job_run(j) == BT_OK;
            printf("\n");
        }
    }
    if (!ok)
        fprintf(stderr, "%s%s\n", bt_engine_message(e), bt_job_message(j));
    bt_job_free(j);
    bt_model_free(m);
    bt_engine_free(e);
    return ok ? 0 : 1;
}
