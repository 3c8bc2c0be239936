/* SPDX-License-Identifier: MIT
 * The reader of arrays: any bytes give values that lie within them, or an error of one line.
 */
#include <stdlib.h>
#include <string.h>

#include "formats/npy.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    bt_npy a;
    bt_error err = { 0 };
    if (bt_npy_parse("npy", data, size, &a, &err) != BT_OK) {
        if (!err.text[0] || strchr(err.text, '\n'))
            abort();
        return 0;
    }
    const size_t at = (size_t)(a.data - data);
    if (at > size || a.count > (size - at) / bt_dtypes[a.type].bytes)
        abort();
    bt_release(bt_npy_floats(&a, &err));
    return 0;
}
