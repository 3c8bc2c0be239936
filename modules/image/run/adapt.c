/* SPDX-License-Identifier: MIT
 * LoRAs and learned words of a job. When they change, its plans and encoded prompts go, as
 * they were made for other weights; the model and other jobs do not notice.
 */
#include "image/run/run.h"

static void forget(bt_module_job *j)
{
    sd_cache_forget(&j->cache);
    sd_adapters_close(j->adapters);
    j->adapters = NULL;
    j->cache.ws = j->m->ws;
}

void sd_run_unadapt(bt_module_job *j)
{
    forget(j);
    sd_learned_release(&j->words);
    j->cache.words = NULL;
}

/* Files of words are small: they are read for every run, to see what they hold now. */
bt_status sd_run_words(bt_module_job *j, const char *embedding, bt_error *err)
{
    sd_learned now = { 0 };
    const bt_status st =
        embedding && *embedding ? sd_learned_read(&now, j->m->ws, embedding, err) : BT_OK;
    if (st != BT_OK || sd_learned_same(&now, &j->words)) {
        sd_learned_release(&now);
        return st;
    }
    sd_run_unadapt(j);
    j->words = now;
    j->cache.words = now.n ? &j->words : NULL;
    return BT_OK;
}

bt_status sd_run_loras(bt_module_job *j, const sd_lora_list *loras, bt_error *err)
{
    const bool none = !loras->n && !j->words.n;
    if (none ? !j->adapters : j->adapters && sd_adapters_same(j->adapters, loras))
        return BT_OK;
    forget(j);
    if (none)
        return BT_OK;
    const bt_status st =
        sd_adapters_open(j->m->ws, j->m->store, &j->m->unet, loras, &j->words, &j->adapters, err);
    if (st == BT_OK)
        j->cache.ws = sd_adapters_weights(j->adapters);
    return st;
}
