/* SPDX-License-Identifier: MIT
 * The options that name ControlNets, two lines: refused, or a list of sane numbers. (Files are
 * fuzz_checkpoint's.)
 */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "image/control/control.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    sd_control_list list;
    bt_error err = { 0 };
    bt_buf text = { 0 };
    char *controls = bt_strndup((const char *)data, size);
    if (!controls)
        return 0;
    char *preprocess = strchr(controls, '\n');
    if (preprocess)
        *preprocess++ = 0;
    const bt_status st = sd_control_list_read(controls, preprocess ? preprocess : "", &list, &err);
    for (int i = 0; st == BT_OK && i < list.n; i++) {
        const sd_control_ask *a = &list.at[i];
        if (a->length < 1 || a->start < 0 || a->end > 1 || a->start >= a->end || a->low > a->high)
            abort();
        sd_control_steers(a, 1, 3);
    }
    if (st == BT_OK)
        sd_control_text(&list, &text);
    else if (!err.text[0])
        abort();
    bt_buf_free(&text);
    bt_release(controls);
    return 0;
}
