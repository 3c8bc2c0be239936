/* SPDX-License-Identifier: MIT
 * What the operating system says of memory.
 */
#include <stdio.h>
#include <string.h>

#include "engine/handles.h"

uint64_t bt_proc_bytes(const char *file, const char *key)
{
    char line[256];
    unsigned long long kib = 0;
    const size_t n = strlen(key);
    FILE *f = fopen(file, "re");
    if (!f)
        return 0;
    while (fgets(line, sizeof line, f))
        if (strncmp(line, key, n) == 0 && sscanf(line + n, "%llu", &kib) == 1)
            break;
    fclose(f);
    return (uint64_t)kib * 1024;
}
