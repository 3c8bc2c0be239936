/* SPDX-License-Identifier: MIT
 * A checkpoint in one file, as safetensors: names, settings from shapes, tensors cut and turned.
 */
#include "store_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    bt_store *s;
    bt_error e;
    if (bt_store_new("fuzz.safetensors", "safetensors", &s, &e) != BT_OK)
        return 0;
    if (bt_safetensors_parse(s, "fuzz.safetensors", "", data, size, &e) == BT_OK &&
        bt_ldm_adopt(s, &e) == BT_OK)
        look_at(s);
    bt_store_looks_like(s);
    bt_store_close(s);
    return 0;
}
