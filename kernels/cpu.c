/* SPDX-License-Identifier: MIT
 * What the processor offers and the operating system saves (XGETBV): both are
 * needed before an instruction may be used. */
#include "kernels.h"

#include <strings.h>

#if defined(__x86_64__)
#include <cpuid.h>
#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

enum {
    XCR0_YMM = 0x6,      /* SSE, AVX state */
    XCR0_ZMM = 0xe6,     /* + opmask, upper halves, zmm16-31 */
    XCR0_TILE = 0x60000, /* AMX configuration and data */
};

static int has(uint32_t reg, int bit) { return reg >> bit & 1; }

static uint32_t xcr0(void)
{
    uint32_t lo, hi;
    __asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
    return lo;
}

/* Linux gives a process its tiles when it asks (arch_prctl's ARCH_REQ_XCOMP_PERM for
 * state 18, the tile data); asking again does no harm. */
static int may_use_tiles(void)
{
#if defined(__linux__)
    enum { REQ_XCOMP_PERM = 0x1023, TILE_DATA = 18 };
    return syscall(SYS_arch_prctl, REQ_XCOMP_PERM, TILE_DATA) == 0;
#else
    return 0;
#endif
}

static int is_amd(void)
{
    uint32_t a = 0, b = 0, c = 0, d = 0;
    return __get_cpuid(0, &a, &b, &c, &d) && b == signature_AMD_ebx && c == signature_AMD_ecx;
}

/* Bits: Intel SDM volume 2, CPUID, leaves 1 and 7. */
uint32_t bt_cpu_flags(void)
{
    uint32_t a, b, c, d, a1 = 0, b1, c1, d1, flags = 0;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !has(c, 27) || !has(c, 28))
        return 0;
    const uint32_t os = xcr0();
    const int fma_f16c = has(c, 12) && has(c, 29);
    if ((os & XCR0_YMM) != XCR0_YMM || !__get_cpuid_count(7, 0, &a, &b, &c, &d))
        return 0;
    if (a >= 1)
        __get_cpuid_count(7, 1, &a1, &b1, &c1, &d1);
    if (has(b, 5) && fma_f16c)
        flags |= BT_CPU_AVX2;
    if (flags && has(a1, 4))
        flags |= BT_CPU_AVXVNNI;
    if (flags && (os & XCR0_ZMM) == XCR0_ZMM && has(b, 16) && has(b, 17) && has(b, 30) &&
        has(b, 31)) {
        flags |= BT_CPU_AVX512;
        flags |= has(c, 11) ? BT_CPU_AVX512VNNI : 0;
        flags |= has(a1, 5) ? BT_CPU_AVX512BF16 : 0;
        flags |= has(a1, 5) && is_amd() ? BT_CPU_FASTBF16 : 0;
    }
    if ((os & XCR0_TILE) == XCR0_TILE && has(d, 22) && has(d, 24) && has(d, 25) && may_use_tiles())
        flags |= BT_CPU_AMX;
    return flags;
}

#elif defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>

enum { HWCAP_DOTPROD = 1 << 20 }; /* HWCAP_ASIMDDP of asm/hwcap.h */

uint32_t bt_cpu_flags(void)
{
    return BT_CPU_NEON | (getauxval(AT_HWCAP) & HWCAP_DOTPROD ? BT_CPU_DOTPROD : 0);
}

#else

uint32_t bt_cpu_flags(void) { return 0; }

#endif

int64_t bt_cpu_cap(const char *isa)
{
    static const struct {
        const char *name;
        uint32_t flags;
    } caps[] = {
        { "scalar", 0 },
        { "avx2", BT_CPU_AVX2 },
        { "avxvnni", BT_CPU_AVX2 | BT_CPU_AVXVNNI },
        { "avx512", BT_CPU_AVX2 | BT_CPU_AVX512 },
        { "avx512vnni", BT_CPU_AVX2 | BT_CPU_AVX512 | BT_CPU_AVX512VNNI },
        { "avx512bf16",
          BT_CPU_AVX2 | BT_CPU_AVX512 | BT_CPU_AVX512VNNI | BT_CPU_AVX512BF16 | BT_CPU_FASTBF16 },
        { "amx", BT_CPU_AVX2 | BT_CPU_AVX512 | BT_CPU_AVX512VNNI | BT_CPU_AVX512BF16 |
                     BT_CPU_FASTBF16 | BT_CPU_AMX },
        { "neon", BT_CPU_NEON },
        { "dotprod", BT_CPU_NEON | BT_CPU_DOTPROD },
        { "auto", UINT32_MAX },
    };
    for (size_t i = 0; i < sizeof caps / sizeof *caps; i++)
        if (strcasecmp(caps[i].name, isa) == 0)
            return caps[i].flags;
    return -1;
}
