/* SPDX-License-Identifier: MIT */
#include "store_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    bt_store *s;
    bt_error e;
    if (bt_store_new("fuzz.onnx", "onnx", &s, &e) != BT_OK)
        return 0;
    if (bt_onnx_parse(s, data, size, &e) == BT_OK)
        look_at(s);
    bt_store_close(s);
    return 0;
}
