/* SPDX-License-Identifier: MIT */
#include "fuzz.h"
#include "media/picture.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    bt_image img = { .struct_size = sizeof img };
    bt_error e;
    bt_texts texts;
    if (bt_picture_decode("fuzz", data, size, &img, &texts, &e) != BT_OK)
        return 0;
    volatile unsigned char last = 0;
    for (size_t i = 0; i < (size_t)img.width * (size_t)img.height * (size_t)img.channels; i++)
        last = img.pixels[i];
    (void)last;
    bt_release(img.pixels);
    bt_texts_free(&texts);
    return 0;
}
