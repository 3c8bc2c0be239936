/* SPDX-License-Identifier: MIT
 * The table of number types (types.h), made from the one list BT_DTYPE_MAP.
 */
#include "types.h"

#include <strings.h>

const bt_dtype_info bt_dtypes[BT_DTYPE_COUNT] = {
#define BT_DTYPE_ROW(name, number, text, block, bytes) [number] = { text, block, bytes },
    BT_DTYPE_MAP(BT_DTYPE_ROW)
#undef BT_DTYPE_ROW
};

int bt_dtype_from_name(const char *name)
{
    for (int i = 0; i < BT_DTYPE_COUNT; i++)
        if (bt_dtypes[i].name && strcasecmp(bt_dtypes[i].name, name) == 0)
            return i;
    return -1;
}
