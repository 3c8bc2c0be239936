/* SPDX-License-Identifier: MIT
 * The entry of an in-tree module built as a shared object; the build names its
 * descriptor.
 */
#include "module.h"

extern const bt_module BT_PLUGIN_DESCRIPTOR;

BT_API const bt_module *bt_module_entry(void);

const bt_module *bt_module_entry(void) { return &BT_PLUGIN_DESCRIPTOR; }
