/* SPDX-License-Identifier: MIT
 * See convert_rules.h.
 */
#include "convert_rules.h"

#include <regex.h>
#include <string.h>

#include "base/alloc.h"

enum { MOST_RULES = 256 };

typedef struct bt_type_rule {
    char *text; /* of the expression */
    regex_t regex;
    int type;
    bool met;
} bt_type_rule;

/* The type behind the last '=' of a rule; its text then ends before it. */
static bt_status read_type(bt_type_rule *r, bool (*writable)(bt_dtype), bt_error *err)
{
    char *equals = strrchr(r->text, '=');
    if (!equals || equals == r->text)
        return bt_fail(err, BT_EINVAL, "type rule \"%.60s\" is not REGEX=TYPE", r->text);
    *equals = 0;
    r->type = bt_dtype_from_name(equals + 1);
    if (r->type < 0)
        return bt_fail(err, BT_EINVAL, "type rule \"%.60s\": there is no type \"%.40s\"", r->text,
                       equals + 1);
    if (!writable((bt_dtype)r->type))
        return bt_fail(err, BT_EUNSUPPORTED, "type rule \"%.60s\": cannot write type %s yet",
                       r->text, bt_dtypes[r->type].name);
    return BT_OK;
}

static bt_status read_rule(const char *text, size_t n, bool (*writable)(bt_dtype),
                           bt_type_rules *all, bt_error *err)
{
    char why[80];
    bt_type_rule r = { .text = bt_calloc(n + 1, 1) };
    if (!r.text)
        return bt_no_memory(err, "type rules");
    memcpy(r.text, text, n);
    bt_status st = read_type(&r, writable, err);
    const int failed = st == BT_OK ? regcomp(&r.regex, r.text, REG_EXTENDED | REG_NOSUB) : 0;
    if (failed) {
        regerror(failed, &r.regex, why, sizeof why);
        st = bt_fail(err, BT_EINVAL, "type rule \"%.60s\": %s", r.text, why);
    }
    if (st == BT_OK)
        all->at[all->n++] = r;
    else
        bt_release(r.text);
    return st;
}

bt_status bt_type_rules_read(const char *text, bool (*writable)(bt_dtype), bt_type_rules *out,
                             bt_error *err)
{
    bt_status st = BT_OK;
    *out = (bt_type_rules){ 0 };
    if (!text || !*text)
        return BT_OK;
    out->at = bt_calloc(MOST_RULES, sizeof *out->at);
    if (!out->at)
        return bt_no_memory(err, "type rules");
    for (size_t n; *text && st == BT_OK; text += n + (text[n] != 0)) {
        n = strcspn(text, ",\n");
        if (n && out->n == MOST_RULES)
            st = bt_fail(err, BT_EINVAL, "more than %d type rules", MOST_RULES);
        else if (n)
            st = read_rule(text, n, writable, out, err);
    }
    return st;
}

int bt_type_rules_find(const bt_type_rules *r, const char *name)
{
    for (size_t i = 0; i < r->n; i++)
        if (regexec(&r->at[i].regex, name, 0, NULL, 0) == 0) {
            r->at[i].met = true;
            return r->at[i].type;
        }
    return -1;
}

bt_status bt_type_rules_check(const bt_type_rules *r, bt_error *err)
{
    for (size_t i = 0; i < r->n; i++)
        if (!r->at[i].met)
            return bt_fail(err, BT_EINVAL,
                           "type rule \"%.60s\" matches no weight that is left to it",
                           r->at[i].text);
    return BT_OK;
}

void bt_type_rules_free(bt_type_rules *r)
{
    for (size_t i = 0; i < r->n; i++) {
        regfree(&r->at[i].regex);
        bt_release(r->at[i].text);
    }
    bt_release(r->at);
    *r = (bt_type_rules){ 0 };
}
