/* SPDX-License-Identifier: MIT
 * The reader of styles: any bytes give arrays that lie within them, or an error of one line.
 */
#include <stdlib.h>
#include <string.h>

#include "audio/kokoro/npz.h"
#include "fuzz.h"

typedef struct span {
    const uint8_t *data;
    size_t size;
} span;

static bt_status touch(void *user, const bt_npz_array *a, bt_error *err)
{
    const span *s = user;
    const size_t bytes = a->rows * a->cols * sizeof(float), at = (size_t)(a->data - s->data);
    (void)err;
    if (at > s->size || bytes > s->size - at || a->name_len == 0)
        abort();
    return BT_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    span s = { data, size };
    bt_error err = { 0 };
    if (bt_npz_read(data, size, "npz", touch, &s, &err) != BT_OK &&
        (!err.text[0] || strchr(err.text, '\n')))
        abort();
    return 0;
}
