/* SPDX-License-Identifier: MIT
 * Where models are found: the user's data folders, then the shipped assets.
 *
 *     $BOTTEGA_DATA/models, $BOTTEGA_DATA            if set
 *     $XDG_DATA_HOME/bottega/models                  (~/.local/share)
 *     <prefix>/share/bottega/models, .../bottega     beside an installed program
 *     assets/                                        of the source tree
 *
 * The program reads the environment; the library never does.
 */
#include <dirent.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli.h"

enum { MAX_DIRS = 9 };

static const char *default_name(bt_kind kind)
{
    switch (kind) {
    case BT_KIND_IMAGE: return "icons-128.gguf";
    case BT_KIND_AUDIO: return "hibari";
    default: return "SmolLM2-135M-Instruct.Q4_1.gguf";
    }
}

char *cli_data_dir(void)
{
    const char *own = getenv("BOTTEGA_DATA"), *xdg = getenv("XDG_DATA_HOME");
    const char *home = getenv("HOME");
    if (own && *own)
        return cli_text("%s", own);
    if (xdg && *xdg)
        return cli_text("%s/bottega", xdg);
    return cli_text("%s/.local/share/bottega", home ? home : "");
}

/* As the XDG rules have it: a path that is not absolute is no path. */
char *cli_cache_dir(void)
{
    const char *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    if (xdg && *xdg == '/')
        return cli_text("%s/bottega", xdg);
    return home && *home == '/' ? cli_text("%s/.cache/bottega", home) : NULL;
}

/* <prefix>/share/bottega of the running program. */
static char *share_dir(void)
{
    char exe[PATH_MAX];
    const ssize_t n = readlink("/proc/self/exe", exe, sizeof exe - 1);
    if (n <= 0)
        return NULL;
    exe[n] = 0;
    for (int i = 0; i < 2; i++) {
        char *slash = strrchr(exe, '/');
        if (!slash)
            return NULL;
        *slash = 0;
    }
    return cli_text("%s/share/bottega", exe);
}

/* The folders in the order of search, `first` (NULL: none) before all; each entry: free. */
static int folders(const char *first, char *dirs[MAX_DIRS])
{
    int n = 0;
    if (first)
        dirs[n++] = cli_text("%s", first);
    char *data = cli_data_dir();
    const char *xdg = getenv("XDG_DATA_HOME"), *home = getenv("HOME");
    dirs[n++] = cli_text("%s/models", data);
    dirs[n++] = data;
    if (getenv("BOTTEGA_DATA")) {
        dirs[n++] = xdg && *xdg ? cli_text("%s/bottega/models", xdg)
                                : cli_text("%s/.local/share/bottega/models", home ? home : "");
    }
    char *share = share_dir();
    if (share) {
        dirs[n++] = cli_text("%s/models", share);
        dirs[n++] = share;
    }
    dirs[n++] = cli_text("%s", BT_ASSETS_DIR);
    return n;
}

/* A folder of the model's own, with its side files: "hibari/hibari.onnx". NULL: it is
 * none; free. */
static char *own_folder(const char *dir, const char *name)
{
    char *path = cli_text("%s/%s/%s.onnx", dir, name, name);
    if (cli_exists(path))
        return path;
    free(path);
    return NULL;
}

/* A name may be given without its suffix. NULL: nowhere; free. */
static char *search(const char *name, const char *first)
{
    static const char *const suffixes[] = { "", ".gguf", ".onnx" };
    char *dirs[MAX_DIRS], *found = NULL;
    const int n = folders(first, dirs);
    for (int i = 0; i < n; i++) {
        if (!found)
            found = own_folder(dirs[i], name);
        for (size_t k = 0; k < 3 && !found; k++) {
            char *path = cli_text("%s/%s%s", dirs[i], name, suffixes[k]);
            if (cli_exists(path))
                found = path;
            else
                free(path);
        }
        free(dirs[i]);
    }
    return found;
}

char *cli_default_model(bt_kind kind) { return search(default_name(kind), NULL); }

bool cli_installed(const char *name)
{
    char *path = search(name, NULL);
    free(path);
    return path;
}

/* What looks like a path, or is a file here, is taken as it is. */
char *cli_find_model(const char *given, bt_kind kind, const char *first)
{
    if (given && (strchr(given, '/') || cli_exists(given)))
        return cli_text("%s", given);
    if (!kind)
        kind = BT_KIND_TEXT;
    char *found = search(given ? given : default_name(kind), first);
    if (found)
        return found;
    if (given) {
        cli_fail(EXIT_INPUT, "%s: no such file, and no installed model has that name", given);
        return NULL;
    }
    char *data = cli_data_dir();
    cli_fail(EXIT_INPUT,
             "%s: the default %s model is not installed: run scripts/quickstart, or put the file "
             "into %s/models, or choose another with -m",
             default_name(kind), bt_kind_name(kind), data);
    free(data);
    return NULL;
}

/* By its name, or a folder that holds a model in the diffusers layout. */
static bool is_model(const char *path)
{
    const char *dot = strrchr(path, '.');
    if (dot && (strcmp(dot, ".gguf") == 0 || strcmp(dot, ".onnx") == 0))
        return true;
    char *index = cli_text("%s/model_index.json", path);
    const bool folder = cli_exists(index);
    free(index);
    return folder;
}

void cli_each_model(void (*each)(void *user, const char *path), void *user)
{
    char *dirs[MAX_DIRS];
    const int n = folders(NULL, dirs);
    for (int i = 0; i < n; i++) {
        DIR *d = opendir(dirs[i]);
        for (struct dirent *e; d && (e = readdir(d));) {
            if (e->d_name[0] == '.')
                continue;
            char *path = cli_text("%s/%s", dirs[i], e->d_name);
            char *inside = own_folder(dirs[i], e->d_name);
            if (inside || is_model(path))
                each(user, inside ? inside : path);
            free(inside);
            free(path);
        }
        if (d)
            closedir(d);
        free(dirs[i]);
    }
}
