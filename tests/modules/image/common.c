/* SPDX-License-Identifier: MIT */
#include "common.h"

#include <ftw.h>
#include <sys/stat.h>
#include <unistd.h>

cJSON *side_json(const char *name)
{
    char file[128];
    snprintf(file, sizeof file, "%s.json", name);
    char *text = golden_text(file, NULL);
    cJSON *j = cJSON_Parse(text);
    free(text);
    assert_non_null(j);
    return j;
}

static float *transpose(const float *x, int rows, int cols)
{
    float *y = malloc(sizeof *y * (size_t)rows * (size_t)cols);
    assert_non_null(y);
    for (int r = 0; r < rows; r++)
        for (int c = 0; c < cols; c++)
            y[(size_t)c * (size_t)rows + (size_t)r] = x[(size_t)r * (size_t)cols + (size_t)c];
    return y;
}

float *to_nhwc(const float *x, int c, int h, int w)
{
    return transpose(x, c, h * w);
}

float *to_nchw(const float *x, int c, int h, int w)
{
    return transpose(x, h * w, c);
}

static void write_file(const char *root, const char *name, const void *data, size_t n)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", root, name);
    char *slash = strrchr(path, '/');
    *slash = 0;
    mkdir(path, 0700);
    *slash = '/';
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, n, f), n);
    fclose(f);
}

const char *temp_model(const char *const *files)
{
    static const char index[] =
        "{\"unet\":[\"\",\"\"],\"vae\":[\"\",\"\"],\"text_encoder\":[\"\",\"\"],"
        "\"scheduler\":[\"\",\"\"],\"tokenizer\":[\"\",\"\"]}";
    static const char header[] =
        "{\"x\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}";
    static char root[64];
    char weights[8 + sizeof header - 1 + 4] = { sizeof header - 1 };

    snprintf(root, sizeof root, "/tmp/bottega-test-XXXXXX");
    assert_non_null(mkdtemp(root));
    memcpy(weights + 8, header, sizeof header - 1);
    write_file(root, "model_index.json", index, sizeof index - 1);
    write_file(root, "unet/diffusion_pytorch_model.safetensors", weights, sizeof weights);
    for (; files[0]; files += 2)
        write_file(root, files[0], files[1], strlen(files[1]));
    return root;
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st, (void)flag, (void)ftw;
    return remove(path);
}

void remove_model(const char *path)
{
    nftw(path, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

const char *icons_path(void)
{
    const char *path = getenv("BOTTEGA_ICONS");
    if (!path)
        path = BT_SOURCE_DIR "/../shared/models/icons-128";
    return access(path, R_OK) == 0 ? path : NULL;
}
