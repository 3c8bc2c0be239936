/* SPDX-License-Identifier: MIT
 * bottega.h must compile alone, in C99 and in C++.
 */
#include <bottega.h>

int bt_header_is_usable(void);

int bt_header_is_usable(void)
{
    bt_engine_options o;
    o.struct_size = sizeof o;
    return o.struct_size > 0 && BT_OK == 0;
}
