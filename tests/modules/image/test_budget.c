/* SPDX-License-Identifier: MIT
 * A memory budget: what is done without, that it changes no byte (but tiles), that it holds.
 */
#include "common.h"

#include "../../temp_dir.h"

#define ASSET BT_SOURCE_DIR "/assets/icons-128.gguf"

enum { SIDE = 256, BYTES = 3 * SIDE * SIDE, HALF = BYTES / 2 };

extern const bt_module bt_module_diffusion;

/* A model whose panels have a cache of their own. memory: bytes, 0: no budget. */
static host *open_icons(const char *cache, uint64_t memory)
{
    host *h = host_new(2, BT_PREC_AUTO);
    bt_store *s;
    h->compute.cache_dir = cache;
    h->compute.memory = memory;
    if (bt_store_open(ASSET, &s, &h->error) ||
        bt_module_diffusion.open(s, &h->compute, &h->model, &h->error) ||
        bt_module_diffusion.job_open(h->model, &h->job, &h->error))
        fail_msg("%s", h->error.text);
    h->o.prompt = "a red apple";
    h->o.steps = 2;
    h->o.width = h->o.height = SIDE;
    return h;
}

static bt_estimate need_of(host *h)
{
    bt_estimate e = { 0 };
    assert_int_equal(host_estimate(h, &e), BT_OK);
    return e;
}

static uint64_t sum_of(bt_estimate e) { return e.weights + e.arena + e.caches; }

/* Pages of files that are in this process's memory, bytes. */
static uint64_t file_pages(void)
{
    char line[128];
    unsigned long long kib, sum = 0;
    FILE *f = fopen("/proc/self/status", "r");
    assert_non_null(f);
    while (fgets(line, sizeof line, f))
        if (sscanf(line, "RssFile: %llu", &kib) == 1 || sscanf(line, "RssShmem: %llu", &kib) == 1)
            sum += kib;
    fclose(f);
    return sum << 10;
}

static double psnr(const host *a, const host *b)
{
    return golden_psnr_db(a->pictures[0].rgb, b->pictures[0].rgb, BYTES);
}

/* A first picture is counted, and so is its size. */
static void test_inputs(void **state)
{
    (void)state;
    static uint8_t grey[320 * 192];
    host *h = open_icons(NULL, 0);
    h->o.width = 320, h->o.height = 192;
    const bt_estimate without = need_of(h);
    h->o.width = h->o.height = BT_INT_UNSET;
    h->init = (bt_image){ sizeof h->init, 320, 192, 1, grey };
    h->o.strength = 1; /* as many steps */
    const bt_estimate with = need_of(h);
    assert_true(with.arena >= without.arena && with.caches >= without.caches);
    assert_true(with.flops >= without.flops);
    h->o.outpaint = "64";
    assert_true(need_of(h).caches > with.caches);
    h->init.pixels = NULL;
    host_close(h);
}

/* First with panels that are made in files, then with those of the cache. */
static void test_spare(void **state)
{
    (void)state;
    host *whole = open_icons(temp_path("whole"), 0);
    whole->o.height = SIDE / 2;
    host_must_run(whole);
    const bt_estimate all = need_of(whole);
    const char *cache = temp_path("spare");
    for (int run = 0; run < 2; run++) {
        const uint64_t before = file_pages();
        host *h = open_icons(cache, sum_of(all) - 1);
        h->o.height = SIDE / 2;
        const bt_estimate e = need_of(h);
        assert_true(e.weights < all.weights / 4);
        assert_int_equal(e.arena, all.arena);
        host_must_run(h);
        assert_memory_equal(h->pictures[0].rgb, whole->pictures[0].rgb, HALF);
        const uint64_t after = file_pages();
        if (after > before + all.weights / 2)
            fail_msg("run %d: %.1f MB of files stay in memory, weights are %.1f", run,
                     (double)(after - before) / 1e6, (double)all.weights / 1e6);
        host_close(h);
    }
    host_close(whole);
}

static void test_group(void **state)
{
    (void)state;
    host *all = open_icons(NULL, 0);
    all->o.vae_tile = 128; /* else the decoder needs most, which takes one picture at a time */
    all->o.batch = 4;
    all->o.height = SIDE / 2;
    host_must_run(all);
    const bt_estimate four = need_of(all);
    host *h = open_icons(NULL, sum_of(four) - 1);
    h->o = all->o;
    assert_true(sum_of(need_of(h)) < sum_of(four));
    host_must_run(h);
    for (int i = 0; i < 4; i++)
        assert_memory_equal(h->pictures[i].rgb, all->pictures[i].rgb, HALF);
    host_close(h);
    host_close(all);
}

static void test_tiles(void **state)
{
    (void)state;
    host *whole = open_icons(NULL, 0), *h = open_icons(NULL, 0);
    host_must_run(whole);
    const bt_estimate all = need_of(whole);
    h->o.vae_tile = 256;
    host_must_run(h);
    assert_memory_equal(h->pictures[0].rgb, whole->pictures[0].rgb, BYTES);
    for (int side = 128; side <= 192; side += 64) {
        h->o.vae_tile = side;
        host_must_run(h);
        if (psnr(h, whole) < 35 || psnr(h, whole) > 80)
            fail_msg("tiles of %d: %.1f dB", side, psnr(h, whole));
    }
    assert_true(need_of(h).arena < all.arena);

    /* a picture to begin with goes through tiles too */
    whole->init = h->init = (bt_image){ .width = SIDE, .height = SIDE, .channels = 3 };
    whole->init.pixels = h->init.pixels = whole->pictures[0].rgb;
    whole->pictures[0].rgb = NULL;
    whole->o.strength = h->o.strength = 0.5;
    host_must_run(whole);
    host_must_run(h);
    if (psnr(h, whole) < 30)
        fail_msg("with a first picture: %.1f dB", psnr(h, whole));
    free((void *)(uintptr_t)h->init.pixels);
    host_close(h);
    host_close(whole);
}

/* Without a cache there are no files for weights, so tiles come at once. */
static void test_chosen(void **state)
{
    (void)state;
    host *whole = open_icons(NULL, 0);
    const bt_estimate all = need_of(whole);
    host *h = open_icons(NULL, all.weights + all.caches + all.arena / 2);
    assert_true(sum_of(need_of(h)) <= h->compute.memory);
    host_must_run(h);
    assert_null(strstr(h->facts, "vae_tile=0;"));
    host_must_run(whole);
    assert_non_null(strstr(whole->facts, "vae_tile=0;"));
    host_close(h);
    host_close(whole);
}

/* Without a cache panels stay where they are, those of the text encoder too. */
static void test_resident(void **state)
{
    (void)state;
    host *stay = open_icons(NULL, 0), *go = open_icons(temp_path("resident"), 0);
    assert_true(need_of(stay).weights > need_of(go).weights);
    host_close(stay);
    host_close(go);
}

/* The batch's longest prompt counts, wherever it stands. */
static void test_choices(void **state)
{
    (void)state;
    static char text[1200];
    host *h = open_icons(NULL, 0);
    h->o.batch = 6;
    strcpy(text, "{apple|apple");
    for (int i = 0; i < 150; i++)
        strcat(text, " red");
    const size_t end = strlen(text);
    h->o.prompt = strchr(text, '|') + 1;
    const bt_estimate all_long = need_of(h);
    h->o.prompt = "apple";
    const bt_estimate all_short = need_of(h);
    assert_true(all_short.caches < all_long.caches);
    strcpy(text + end, "}");
    h->o.prompt = text;
    for (h->o.seed = 0; h->o.seed < 4; h->o.seed++)
        assert_int_equal(need_of(h).caches, all_long.caches);
    host_close(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_inputs),  cmocka_unit_test(test_spare),
        cmocka_unit_test(test_group),   cmocka_unit_test(test_tiles),
        cmocka_unit_test(test_chosen),  cmocka_unit_test(test_resident),
        cmocka_unit_test(test_choices),
    };
    return cmocka_run_group_tests(tests, temp_dir_make, temp_dir_remove);
}
