/* SPDX-License-Identifier: MIT
 * A readable model written as one GGUF.
 */
#include "engine/handles.h"
#include "formats/convert.h"

/* The host's callback, which shall see the host's locale. */
typedef struct listener {
    bt_convert_fn each;
    void *user;
    locale_t host, own;
} listener;

static int on_tensor(void *user, const char *tensor, const char *from, const char *to,
                     uint64_t bytes_in, uint64_t bytes_out)
{
    const listener *l = user;
    uselocale(l->host);
    const int stop = l->each ? l->each(l->user, tensor, from, to, bytes_in, bytes_out) : 0;
    uselocale(l->own);
    return stop;
}

bt_status bt_convert(bt_engine *e, const char *in, const char *out, const char *type,
                     const char *rules, bt_convert_fn each, void *user)
{
    if (!e || !in || !out || !type)
        return BT_EINVAL;
    listener l = { each, user, bt_enter(e), e->locale };
    bt_error *err = bt_engine_error(e);
    const int dtype = bt_dtype_from_name(type);
    bt_store *s = NULL;
    bt_status st = BT_OK;
    if (dtype < 0)
        st = bt_fail(err, BT_EINVAL, "type: there is no \"%.40s\"", type);
    else
        st = bt_store_open(in, &s, err);
    if (st == BT_OK)
        st = bt_convert_store(s, out, (bt_dtype)dtype, rules, on_tensor, &l, err);
    bt_store_close(s);
    if (st == BT_ECANCELLED)
        bt_fail(err, st, "%s: cancelled", out);
    bt_leave(l.host);
    return st;
}
