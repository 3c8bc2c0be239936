/* SPDX-License-Identifier: MIT
 * Mel spectrograms against numpy's formulas in double (tests/golden/make_vocoders.py).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "dsp/mel.h"
#include "tests/golden.h"

static void check(const bt_store *s, const char *sound, const char *mel, bt_mel_form f,
                  const char *isa)
{
    size_t n, m;
    bt_kernels k;
    bt_error err = { 0 };
    float *x = golden_floats(s, sound, &n), *want = golden_floats(s, mel, &m);
    float *got = malloc(m * sizeof *got);
    assert_non_null(got);
    assert_int_equal(bt_mel_frames(&f, n) * f.n_mels, m);
    bt_kernels_init(&k, bt_cpu_flags() & (uint32_t)bt_cpu_cap(isa));
    assert_int_equal(bt_mel_check(&f, "test", &err), BT_OK);
    assert_int_equal(bt_mel_make(&f, &k, x, n, got, &err), BT_OK);
    const double off = golden_max_abs(got, want, m);
    print_message("%s, %s: off by %.1e\n", mel, isa, off);
    assert_true(off < 1e-4);
    free(x);
    free(want);
    free(got);
}

static void both_match_numpy(void **state)
{
    static const char *const isas[] = { "scalar", "avx2", "auto" };
    bt_store *s = golden_open("vocoders");
    (void)state;
    for (int i = 0; i < 3; i++) {
        check(s, "mel.hifigan.sound", "mel.hifigan", bt_mel_hifigan(), isas[i]);
        check(s, "mel.vocos.sound", "mel.vocos", bt_mel_vocos(), isas[i]);
    }
    bt_store_close(s);
}

static void odd_settings_are_refused(void **state)
{
    bt_error err = { 0 };
    bt_mel_form f = bt_mel_hifigan();
    (void)state;
    assert_int_equal(bt_mel_frames(&f, 384), 0); /* as many are mirrored */
    assert_int_equal(bt_mel_frames(&f, 385), 1);
    f.n_fft = 1022; /* 2 * 7 * 73 */
    f.win = 1022;
    assert_int_equal(bt_mel_check(&f, "test", &err), BT_EINVAL);
    f = bt_mel_hifigan();
    f.fmax = f.fmin;
    assert_int_equal(bt_mel_check(&f, "test", &err), BT_EINVAL);
    f = bt_mel_hifigan();
    f.hop = 0;
    assert_int_equal(bt_mel_check(&f, "test", &err), BT_EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_match_numpy),
        cmocka_unit_test(odd_settings_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
