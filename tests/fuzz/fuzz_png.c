/* SPDX-License-Identifier: MIT */
#include "fuzz.h"
#include "media/png.h"

#include "base/alloc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    bt_image img = { .struct_size = sizeof img };
    bt_error e;
    char *text;
    if (bt_png_decode("fuzz.png", data, size, &img, &text, &e) != BT_OK)
        return 0;
    volatile unsigned char last = 0;
    for (size_t i = 0; i < (size_t)img.width * (size_t)img.height * (size_t)img.channels; i++)
        last = img.pixels[i];
    (void)last;
    bt_release(img.pixels);
    bt_release(text);
    return 0;
}
