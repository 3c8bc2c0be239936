/* SPDX-License-Identifier: MIT
 * Every kernel of kernels.inc under every instruction set this machine has. */
#include "kcheck.h"

#include <stdio.h>

static const char *const isas[] = { "scalar",     "avx2", "avxvnni", "avx512", "avx512vnni",
                                    "avx512bf16", "amx",  "neon",    "dotprod" };
enum { N_ISAS = sizeof isas / sizeof *isas };

#define X(name)                                                                                    \
    static void test_##name(void **state) { check_##name(*state); }
#include "kernels.inc"
#undef X

static void test_caps(void **state)
{
    (void)state;
    assert_int_equal(bt_cpu_cap("scalar"), 0);
    assert_true((bt_cpu_cap("AVX512VNNI") & BT_CPU_AVX512VNNI) != 0);
    assert_int_equal(bt_cpu_cap("avx512bf16") & BT_CPU_AMX, 0);
    assert_true((bt_cpu_cap("amx") & BT_CPU_AMX) != 0);
    assert_int_equal(bt_cpu_cap("auto"), UINT32_MAX);
    assert_int_equal(bt_cpu_cap("sse9"), -1);
    bt_kernels t;
    bt_kernels_init(&t, 0);
    assert_string_equal(t.isa, "scalar");
}

static const struct {
    const char *name;
    void (*fn)(void **);
} cases[] = {
#define X(name) { #name, test_##name },
#include "kernels.inc"
#undef X
};
enum { N_CASES = sizeof cases / sizeof *cases };

int main(void)
{
    static bt_kernels tables[N_ISAS];
    static struct CMUnitTest tests[N_ISAS * N_CASES + 1];
    static char names[N_ISAS * N_CASES][48];
    int n = 0;
    for (int i = 0; i < N_ISAS; i++) {
        const uint32_t cpu = bt_cpu_flags() & (uint32_t)bt_cpu_cap(isas[i]);
        bt_kernels_init(&tables[i], cpu);
        if (strcmp(tables[i].isa, isas[i]) != 0) {
            printf("skipped: this machine has no %s\n", isas[i]);
            continue;
        }
        for (int c = 0; c < N_CASES; c++, n++) {
            snprintf(names[n], sizeof names[n], "%s %s", isas[i], cases[c].name);
            tests[n] = (struct CMUnitTest){ names[n], cases[c].fn, NULL, NULL, &tables[i] };
        }
    }
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(test_caps);
    return _cmocka_run_group_tests("kernels", tests, (size_t)n, NULL, NULL);
}
