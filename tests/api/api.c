/* SPDX-License-Identifier: MIT */
#include "api.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char folder[64];

static void remove_folder(void)
{
    char path[400];
    DIR *d = opendir(folder);
    for (struct dirent *e; d && (e = readdir(d));) {
        snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
        unlink(path);
    }
    if (d)
        closedir(d);
    rmdir(folder);
}

const char *scratch(void)
{
    if (!*folder) {
        strcpy(folder, "/tmp/bottega-test-XXXXXX");
        assert_non_null(mkdtemp(folder));
        atexit(remove_folder);
    }
    return folder;
}

const char *scratch_file(const char *name)
{
    static char paths[8][200];
    static int next;
    char *p = paths[next++ % 8];
    snprintf(p, sizeof paths[0], "%s/%s", scratch(), name);
    return p;
}

void write_file(const char *path, const void *data, size_t n)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

char *read_file(const char *path, size_t *n)
{
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    char *s = calloc(1, 1 << 20);
    assert_non_null(s);
    *n = fread(s, 1, (1 << 20) - 1, f);
    fclose(f);
    return s;
}

const char *tiny_model(const char *demo)
{
    char header[128], name[64];
    unsigned char file[136] = { 0 };
    const int n = snprintf(header, sizeof header, "{\"__metadata__\":{\"demo\":\"%s\"}}", demo);
    file[0] = (unsigned char)n;
    memcpy(file + 8, header, (size_t)n);
    snprintf(name, sizeof name, "%s.safetensors", demo);
    const char *path = scratch_file(name);
    write_file(path, file, (size_t)n + 8);
    return path;
}

bt_engine *engine_with(const char *plugin)
{
    bt_engine *e;
    const bt_engine_options o = { .struct_size = sizeof o, .threads = 1, .isa = "scalar" };
    char path[400];
    assert_int_equal(bt_engine_create(&o, &e), BT_OK);
    if (plugin) {
        snprintf(path, sizeof path, "%s/%s.so", PLUGINS, plugin);
        if (bt_engine_load_module(e, path) != BT_OK)
            fail_msg("%s", bt_engine_message(e));
    }
    return e;
}

bt_job *job_with(const char *plugin, const char *demo)
{
    bt_engine *e = engine_with(plugin);
    bt_model *m;
    bt_job *j;
    if (bt_model_open(e, tiny_model(demo), &m) != BT_OK)
        fail_msg("%s", bt_engine_message(e));
    assert_int_equal(bt_job_create(m, &j), BT_OK);
    bt_model_free(m); /* the job keeps it, and the model keeps the engine */
    bt_engine_free(e);
    return j;
}
