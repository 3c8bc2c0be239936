/* SPDX-License-Identifier: MIT
 * See utterance.h.
 */
#include "audio/speak/utterance.h"

#include <string.h>

void bt_utterances_drop(bt_utterances *u)
{
    for (size_t i = 0; i < u->n; i++)
        bt_release(u->v[i].ids);
    u->n = 0;
}

void bt_utterances_free(bt_utterances *u)
{
    bt_utterances_drop(u);
    bt_release(u->v);
    bt_buf_free(&u->phonemes);
    memset(u, 0, sizeof *u);
}

bt_utterance *bt_utterance_begin(bt_utterances *out)
{
    if (out->n == out->cap) {
        size_t cap = out->cap ? 2 * out->cap : 16;
        bt_utterance *v = bt_realloc_array(out->v, out->cap, cap, sizeof *v);
        if (!v)
            return NULL;
        out->v = v;
        out->cap = cap;
    }
    bt_utterance *u = &out->v[out->n++];
    memset(u, 0, sizeof *u);
    return u;
}

bool bt_utterance_add(bt_utterance *u, const int32_t *ids, int n)
{
    if (u->n + n > u->cap) {
        int cap = 2 * u->cap + n + 256;
        int32_t *more = bt_realloc_array(u->ids, (size_t)u->cap, (size_t)cap, sizeof *more);
        if (!more)
            return false;
        u->ids = more;
        u->cap = cap;
    }
    for (int i = 0; i < n; i++)
        u->ids[u->n++] = ids[i];
    return true;
}
