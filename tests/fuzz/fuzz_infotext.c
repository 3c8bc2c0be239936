/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "infotext.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    infotext t;
    if (!text)
        return 0;
    memcpy(text, data, size);
    text[size] = 0;
    infotext_read(text, &t);
    volatile size_t n = strlen(t.prompt) + strlen(t.negative);
    for (size_t i = 0; i < t.n; i++)
        n += strlen(t.fields[i].name) + strlen(t.fields[i].value);
    infotext_free(&t);
    free(text);
    return 0;
}
