/* SPDX-License-Identifier: MIT
 * Every allocation of opening a model and making a picture fails once (in
 * builds with BT_FAULTS; elsewhere only the unbroken run is made).
 */
#include "common.h"

extern const bt_module bt_module_diffusion;

static host *h;

/* Opens, runs, closes; the first failure. */
static bt_status whole_life(void)
{
    bt_store *s = NULL;
    bt_status st = bt_store_open(BT_SOURCE_DIR "/tests/golden/tiny-sd", &s, &h->error);
    if (st != BT_OK)
        return st;
    st = bt_module_diffusion.open(s, &h->compute, &h->model, &h->error);
    if (st != BT_OK) {
        assert_null(h->model);
        bt_store_close(s);
        return st;
    }
    st = bt_module_diffusion.job_open(h->model, &h->job, &h->error);
    if (st == BT_OK)
        st = host_run(h);
    bt_module_diffusion.job_close(h->job);
    bt_module_diffusion.close(h->model);
    h->job = NULL;
    return st;
}

static void all_fail(void)
{
    assert_int_equal(whole_life(), BT_OK);
#ifdef BT_FAULTS
    long n = 1;
    for (;; n += 1 + n / 64) {
        bt_fault_after(n);
        bt_status st = whole_life();
        if (bt_fault_after(0) > 0) { /* the run needs fewer allocations */
            assert_int_equal(st, BT_OK);
            break;
        }
        if (st != BT_ENOMEM || !h->error.text[0])
            fail_msg("allocation %ld: status %d, \"%s\"", n, st, h->error.text);
    }
    print_message("%ld allocations\n", n);
#endif
}

static void test_faults(void **state)
{
    (void)state;
    static uint8_t pixel[3], white[3] = { 255, 255, 255 };
    h = host_new(1, BT_PREC_F32);
    h->o.prompt = "a (red:1.2) {cat|dog}<x:y> [|BREAK] AND b :.5";
    h->o.steps = 2;
    h->o.width = h->o.height = 8;
    h->o.strength = 1;
    h->init = (bt_image){ sizeof h->init, 1, 1, 3, pixel };
    h->mask = h->init;
    all_fail();
    h->o.outpaint = "8,0,0,0";
    h->o.inpaint_fill = -1;
    all_fail();
    h->o.outpaint = "";
    h->o.inpaint_area = 1;
    h->mask.pixels = white;
    all_fail();
    h->init.pixels = h->mask.pixels = NULL;
    h->o.vae = BT_SOURCE_DIR "/tests/golden/tiny-sd";
    all_fail();
    h->o.vae = NULL;
    h->o.hires_scale = 2;
    h->o.hires_upscaler = 2;
    h->preview_interval = 1;
    all_fail();
    host_close(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_faults) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
