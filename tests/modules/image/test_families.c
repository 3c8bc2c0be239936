/* SPDX-License-Identifier: MIT
 * Every family of models, in every form that its files come in, against diffusers in
 * float32: final latents and pictures. The models are made here, from names
 * (tests/golden/make_families.py says how).
 */
#include "recipe.h"

#include "formats/convert.h"
#include "temp_dir.h"

#define LATENTS 1e-3 /* relative L2 */
#define PSNR    40   /* dB */

extern const bt_module bt_module_diffusion;

static cJSON *recipes;
static bt_store *golden;

/* ---- pictures ------------------------------------------------------------------------ */

/* Relative error of the latents; *db: of the picture. */
static double compare(host *h, const cJSON *j, double *db)
{
    float latents[FAMILY_VALUES];
    char name[64];
    size_t n;
    family_options(h, j);
    family_latents(h, latents);
    host_must_run(h);
    snprintf(name, sizeof name, "%s.latents", recipe_text(j, "name"));
    float *want = golden_floats(golden, name, &n), *rows = to_nhwc(want, 4, SIDE, SIDE);
    assert_int_equal(n, FAMILY_VALUES);
    const double e = golden_rel_l2(latents, rows, n);
    snprintf(name, sizeof name, "%s.rgb", recipe_text(j, "name"));
    uint8_t *rgb = family_bytes(golden, name);
    for (int i = 0; h->mask.pixels && i < 3 * SIZE * SIZE; i++)
        if (((const uint8_t *)h->mask.pixels)[i / 3] == 0) /* what is kept is pasted here */
            rgb[i] = h->pictures[0].rgb[i];
    *db = golden_psnr_db(h->pictures[0].rgb, rgb, 3 * SIZE * SIZE);
    free(want), free(rows), free(rgb);
    return e;
}

/* What is asked for, before a first picture is there: an estimate must do without; a model
 * that changes a picture says in the run that it is missing. */
static void check_without_picture(host *h)
{
    const bool edits = sd_edits((const sd_model *)h->model);
    uint8_t *pixels = h->init.pixels, *mask = h->mask.pixels;
    bt_estimate e = { 0 };
    h->init.pixels = h->mask.pixels = NULL;
    if (host_estimate(h, &e) != BT_OK)
        fail_msg("%s", h->error.text);
    assert_true(e.weights > 0 && e.arena > 0 && e.flops > 0);
    if (edits) {
        assert_int_equal(host_run(h), BT_EINVAL);
        assert_string_equal(h->error.text,
                            "this model changes a picture: it needs one to start from");
    }
    h->init.pixels = pixels, h->mask.pixels = mask;
}

/* All pictures of a family that the model at `path` makes. */
static void check(const char *family, const char *form, const char *path, double latents,
                  double psnr)
{
    cJSON *side = side_json("families");
    const cJSON *j;
    host *h = host_open(path, 2, BT_PREC_F32);
    uint8_t *init = family_bytes(golden, "init"), *mask = family_bytes(golden, "mask");
    if (!strcmp(family, "refiner") || !strcmp(family, "inpaint") || !strcmp(family, "ip2p"))
        h->init = (bt_image){ sizeof h->init, SIZE, SIZE, 3, init };
    if (!strcmp(family, "inpaint"))
        h->mask = (bt_image){ sizeof h->mask, SIZE, SIZE, 1, mask };
    cJSON_ArrayForEach(j, cJSON_GetObjectItem(side, "pictures"))
    {
        double db;
        if (strcmp(recipe_text(j, "family"), family))
            continue;
        const double e = compare(h, j, &db);
        print_message("%-8s %-8s %-8s %.1e %6.1f dB\n", family, form, recipe_text(j, "sampler"), e,
                      db);
        if (!(e <= latents && db >= psnr))
            fail_msg("%s of %s: latents %g, picture %.1f dB", form, recipe_text(j, "name"), e, db);
        if (GOLDEN_BRIEF)
            break;
    }
    check_without_picture(h);
    host_close(h);
    cJSON_Delete(side);
    free(init), free(mask);
}

static void test_folders(void **state)
{
    (void)state;
    const cJSON *recipe;
    char path[300];
    cJSON_ArrayForEach(recipe, recipes)
    {
        if (!cJSON_GetObjectItem(recipe, "files"))
            continue;
        snprintf(path, sizeof path, "%s/%s", temp_dir, recipe->string);
        recipe_folder(path, recipe, false);
        check(recipe->string, "folder", path, LATENTS, PSNR);
    }
}

/* Half precision costs what it costs; a wrong file would cost all. */
static void test_fp16(void **state)
{
    (void)state;
    recipe_folder(temp_path("half"), cJSON_GetObjectItem(recipes, "sd1"), true);
    check("sd1", "fp16", temp_path("half"), 3e-3, 50);
}

/* Learned words, and adapters with them, come and go: the other autoencoder stays. A word that
 * the prompt does not say changes nothing. */
static void check_with_words(host *h)
{
    const made word = { .t = { .name = "emb_params",
                               .dtype = BT_F32,
                               .n_dims = 2,
                               .dims = { 1, 32 },
                               .bytes = 32 * sizeof(float) },
                        .values = calloc(32, sizeof(float)) };
    uint8_t *was = h->pictures[0].rgb;
    recipe_safetensors(temp_path("word.safetensors"), &word, 1, BT_F32);
    h->pictures[0].rgb = NULL;
    h->o.embedding = temp_path("word.safetensors");
    host_must_run(h);
    assert_memory_equal(h->pictures[0].rgb, was, 3 * SIZE * SIZE);
    h->o.embedding = "";
    free(word.values), free(was);
}

/* sd1's first picture by another autoencoder. */
static double first_with_vae(const char *model, const char *vae, const char *want)
{
    cJSON *side = side_json("families");
    host *h = host_open(model, 2, BT_PREC_F32);
    uint8_t *rgb = family_bytes(golden, want);
    family_options(h, cJSON_GetArrayItem(cJSON_GetObjectItem(side, "pictures"), 0));
    h->o.vae = vae;
    host_must_run(h);
    const double db = golden_psnr_db(h->pictures[0].rgb, rgb, 3 * SIZE * SIZE);
    print_message("%s: %.1f dB\n", vae + strlen(temp_dir), db);
    check_with_words(h);
    h->o.vae = BT_SOURCE_DIR "/tests/golden/families.safetensors";
    assert_int_equal(host_run(h), BT_EUNSUPPORTED);
    assert_non_null(strstr(h->error.text, "holds no autoencoder"));
    host_close(h);
    cJSON_Delete(side);
    free(rgb);
    return db;
}

/* Previews by a tiny autoencoder are those of a run whose pictures go through it, too, and
 * whole; the picture itself is none of theirs. */
static void check_preview(const char *model, const char *tiny)
{
    host *h = host_open(model, 1, BT_PREC_F32);
    uint8_t without[3 * SIZE * SIZE];
    h->o.steps = 2;
    host_must_run(h);
    memcpy(without, h->pictures[0].rgb, sizeof without);
    h->preview_interval = 1;
    host_must_run(h);
    const uint64_t own = h->preview_hash;
    h->o.preview_vae = tiny;
    host_must_run(h);
    const uint64_t previewed = h->preview_hash;
    assert_memory_equal(without, h->pictures[0].rgb, sizeof without);
    h->o.vae = tiny;
    h->o.preview_vae = "";
    host_must_run(h);
    assert_true(previewed == h->preview_hash);
    assert_true(previewed != own);
    h->o.preview_vae = BT_SOURCE_DIR "/tests/golden/families.safetensors";
    assert_int_equal(host_run(h), BT_EUNSUPPORTED);
    h->preview_interval = 0; /* nobody asks: nothing is opened */
    host_must_run(h);
    host_close(h);
}

static void test_other_vae(void **state)
{
    (void)state;
    const cJSON *sd1 = cJSON_GetObjectItem(recipes, "sd1");
    recipe_folder(temp_path("sd1v"), sd1, false);
    recipe_part(temp_path("ldm_vae.safetensors"), sd1, "ldm", "first_stage_model.");
    recipe_part(temp_path("vae.safetensors"), sd1, "tensors", "vae/");
    recipe_part(temp_path("taesd.safetensors"), cJSON_GetObjectItem(recipes, "taesd"), "tensors",
                "vae/");
    assert_true(first_with_vae(temp_path("sd1v"), temp_path("ldm_vae.safetensors"), "sd10.rgb") >=
                PSNR);
    assert_true(first_with_vae(temp_path("sd1v"), temp_path("vae.safetensors"), "sd10.rgb") >=
                PSNR);
    assert_true(first_with_vae(temp_path("sd1v"), temp_path("taesd.safetensors"), "taesd.rgb") >=
                PSNR);
    check_preview(temp_path("sd1v"), temp_path("taesd.safetensors"));
}

/* The option outweighs what the file says, or what was guessed from its tensors. */
static void test_prediction(void **state)
{
    (void)state;
    cJSON *side = side_json("families");
    const cJSON *j;
    double db;
    recipe_folder(temp_path("sd2p"), cJSON_GetObjectItem(recipes, "sd2"), false);
    host *h = host_open(temp_path("sd2p"), 2, BT_PREC_F32);
    cJSON_ArrayForEach(j, cJSON_GetObjectItem(side, "pictures"))
    {
        if (!strcmp(recipe_text(j, "name"), "sd20"))
            break;
    }
    h->o.prediction = 1 + SD_EPSILON;
    assert_true(compare(h, j, &db) > 0.1);
    h->o.prediction = 1 + SD_V;
    assert_true(compare(h, j, &db) <= LATENTS);
    host_close(h);
    cJSON_Delete(side);
}

static void test_one_file(void **state)
{
    (void)state;
    const cJSON *recipe;
    cJSON_ArrayForEach(recipe, recipes)
    {
        int n;
        bt_store *s;
        bt_error err = { 0 };
        if (!cJSON_GetObjectItem(recipe, "ldm") ||
            (GOLDEN_BRIEF && !cJSON_GetObjectItem(cJSON_GetObjectItem(recipe, "files"),
                                                  "text_encoder_2/config.json")))
            continue;
        made *all = recipe_list(recipe, "ldm", &n);
        recipe_safetensors(temp_path("one.safetensors"), all, n, BT_F32);
        recipe_free(all, n);
        check(recipe->string, "one file", temp_path("one.safetensors"), LATENTS, PSNR);

        assert_int_equal(bt_store_open(temp_path("one.safetensors"), &s, &err), BT_OK);
        assert_int_equal(bt_convert_store(s, temp_path("own.gguf"), BT_F32, NULL, NULL, NULL, &err),
                         BT_OK);
        bt_store_close(s);
        check(recipe->string, "own gguf", temp_path("own.gguf"), LATENTS, PSNR);

        all = recipe_list(recipe, "sdcpp", &n);
        recipe_gguf(temp_path("sdcpp.gguf"), all, n);
        recipe_free(all, n);
        check(recipe->string, "sd.cpp", temp_path("sdcpp.gguf"), LATENTS, PSNR);
    }
}

static int open_goldens(void **state)
{
    if (temp_dir_make(state) || !(recipes = recipe_open("families_models")))
        return -1;
    golden = golden_open("families");
    return 0;
}

static int close_goldens(void **state)
{
    cJSON_Delete(recipes);
    bt_store_close(golden);
    return temp_dir_remove(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_folders),    cmocka_unit_test(test_fp16),
        cmocka_unit_test(test_one_file),   cmocka_unit_test(test_other_vae),
        cmocka_unit_test(test_prediction),
    };
    return cmocka_run_group_tests(tests, open_goldens, close_goldens);
}
