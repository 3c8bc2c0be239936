/* SPDX-License-Identifier: MIT
 * Runs a fuzz target on every file of the folders named as arguments, each
 * whole, cut in half, and as one more byte would find it: in memory of its
 * exact size, where a sanitizer sees any step outside.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"

static void run(const uint8_t *data, size_t n)
{
    uint8_t *copy = malloc(n ? n : 1);
    if (!copy)
        exit(2);
    if (n)
        memcpy(copy, data, n);
    LLVMFuzzerTestOneInput(copy, n);
    free(copy);
}

static int replay(const char *path)
{
    FILE *f = fopen(path, "rb");
    if (!f)
        return 0;
    static uint8_t data[1 << 20];
    const size_t n = fread(data, 1, sizeof data, f);
    const int is_file = !ferror(f);
    fclose(f);
    if (!is_file)
        return 0;
    run(data, n);
    run(data, n / 2);
    return 1;
}

int main(int argc, char **argv)
{
    int files = 0;
    for (int i = 1; i < argc; i++) {
        DIR *d = opendir(argv[i]);
        const struct dirent *e;
        while (d && (e = readdir(d))) {
            char path[4096];
            snprintf(path, sizeof path, "%s/%s", argv[i], e->d_name);
            if (e->d_name[0] != '.')
                files += replay(path);
        }
        if (d)
            closedir(d);
    }
    printf("%d files\n", files);
    return files > 0 ? 0 : 1; /* an empty corpus tests nothing */
}
