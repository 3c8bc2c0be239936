/* SPDX-License-Identifier: MIT
 * JSON as settings are read: parsed with limits, members looked up, strings
 * written again.
 */
#include "base/alloc.h"
#include "formats/json.h"
#include "fuzz.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    cJSON *json;
    const cJSON *item;
    bt_error e;
    bt_buf b = { 0 };
    if (bt_json_parse("fuzz.json", (const char *)data, size, &json, &e) != BT_OK)
        return 0;
    cJSON_ArrayForEach(item, json)
    {
        int64_t i;
        double f;
        bool t;
        bt_json_i64(json, item->string, &i);
        bt_json_f64(json, item->string, &f);
        bt_json_bool(json, item->string, &t);
        const char *s = bt_json_str(json, item->string);
        if (s)
            bt_buf_json(&b, s, strlen(s));
        if (b.len > 1 << 20)
            break;
    }
    bt_buf_free(&b);
    cJSON_Delete(json);
    return 0;
}
