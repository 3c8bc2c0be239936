/* SPDX-License-Identifier: MIT
 * Which type a tensor becomes by its name; for convert.c.
 */
#ifndef BT_FORMATS_CONVERT_RULES_H
#define BT_FORMATS_CONVERT_RULES_H

#include "store.h"

typedef struct bt_type_rules {
    struct bt_type_rule *at;
    size_t n;
} bt_type_rules;

/* "REGEX=TYPE" parted by commas or ends of lines (POSIX extended regular expressions, found
 * anywhere in a name); NULL or "": none. BT_EINVAL, or BT_EUNSUPPORTED for types that are not
 * `writable`: the message names the rule. */
bt_status bt_type_rules_read(const char *text, bool (*writable)(bt_dtype), bt_type_rules *out,
                             bt_error *err);
/* The type of the first rule that matches; -1: none does. */
int bt_type_rules_find(const bt_type_rules *r, const char *name);
/* A rule that never matched is a mistake: BT_EINVAL. */
bt_status bt_type_rules_check(const bt_type_rules *r, bt_error *err);
void bt_type_rules_free(bt_type_rules *r);

#endif
