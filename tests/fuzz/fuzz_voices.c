/* SPDX-License-Identifier: MIT
 * voices.json of hibari: names and languages end where their fields do.
 */
#include <stdlib.h>
#include <string.h>

#include "audio/hibari/voice.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    bt_hibari v = { 0 };
    bt_error err = { 0 };
    const bt_status st =
        bt_hibari_read_voices(&v, "hibari.onnx", (const char *)data, size, "voices.json", &err);
    if (st != BT_OK && (!err.text[0] || strchr(err.text, '\n')))
        abort();
    if (!memchr(v.name, 0, sizeof v.name) || !memchr(v.language, 0, sizeof v.language))
        abort();
    return 0;
}
