/* SPDX-License-Identifier: MIT
 * Finding the data of English.
 */
#include <string.h>

#include "audio/kokoro/reader.h"
#include "base/file.h"

void bt_kok_reader_open(bt_kok_reader *r)
{
    memset(r, 0, sizeof *r);
    pthread_mutex_init(&r->lock, NULL); /* cannot fail with default attributes */
}

void bt_kok_reader_close(bt_kok_reader *r)
{
    for (int i = 0; i < 2; i++)
        bt_english_close(r->english[i]);
    pthread_mutex_destroy(&r->lock);
}

bool bt_kok_is_british(const char *speaker)
{
    return speaker[0] == 'b' && (speaker[1] == 'f' || speaker[1] == 'm') && speaker[2] == '_';
}

/* "<folder of the model>/<next>"; is there a normalize.json? */
static bool look_in(const bt_kokoro *k, const char *next, bt_buf *folder)
{
    const char *path = bt_store_path(k->store), *slash = strrchr(path, '/');
    bt_file_id id;
    bt_buf file = { 0 };
    folder->len = 0;
    bt_buf_printf(folder, "%.*s/%s", slash ? (int)(slash - path) : 1, slash ? path : ".", next);
    if (folder->failed)
        return false;
    bt_buf_printf(&file, "%s/normalize.json", folder->data);
    const bool there = !file.failed && bt_file_id_at(file.data, &id);
    bt_buf_free(&file);
    return there;
}

static bt_status open_english(const bt_kokoro *k, bool british, bt_english **out, bt_error *err)
{
    bt_buf folder = { 0 };
    bt_status st;
    if (look_in(k, ".", &folder) || look_in(k, "../hibari", &folder))
        st = bt_english_open(folder.data, british, k->compute, out, err);
    else if (folder.failed)
        st = bt_no_memory(err, "the voice");
    else
        st =
            bt_fail(err, BT_ENOTFOUND,
                    "%s: texts need the English lexicons of the voice hibari, beside this voice or "
                    "in ../hibari; phonemes need none",
                    bt_store_path(k->store));
    bt_buf_free(&folder);
    return st;
}

bt_status bt_kok_reader_get(bt_kok_reader *r, const bt_kokoro *k, bool british,
                            const bt_english **out, bt_error *err)
{
    bt_status st = BT_OK;
    pthread_mutex_lock(&r->lock);
    if (!r->english[british])
        st = open_english(k, british, &r->english[british], err);
    *out = r->english[british];
    pthread_mutex_unlock(&r->lock);
    return st;
}
