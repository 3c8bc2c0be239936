/* SPDX-License-Identifier: MIT
 * The engine handle: creation and description.
 *
 * An engine is what jobs share and what does not change after creation: the
 * table of kernels, the number of threads, the precision, the memory budget.
 */
#include "engine/handles.h"

#include <stdlib.h>
#include <string.h>

#include "base/threads.h"
#include "graph/pack_cache.h"

enum { MAX_THREADS = 1024 };

const char *bt_version(void) { return BT_VERSION; }

void bt_free(void *p) { bt_release(p); }

/* ---- life ---------------------------------------------------------------- */

static const char *const precisions[] = {
    [BT_PREC_AUTO] = "auto", [BT_PREC_INT8] = "int8", [BT_PREC_BF16] = "bf16", [BT_PREC_F32] = "f32"
};

static int precision_of(const char *name)
{
    for (int i = 0; i < (int)(sizeof precisions / sizeof *precisions); i++)
        if (strcmp(name, precisions[i]) == 0)
            return i;
    return -1;
}

static bt_status configure(bt_engine *e, const bt_engine_options *o)
{
    const int64_t cpu = bt_cpu_cap(o->isa ? o->isa : "auto");
    const int precision = precision_of(o->precision ? o->precision : "auto");
    if (cpu < 0 || precision < 0 || o->threads < 0 || o->threads > MAX_THREADS)
        return BT_EINVAL;
    bt_kernels_init(&e->kernels, bt_cpu_flags() & (uint32_t)cpu);
    e->compute.kernels = &e->kernels;
    e->compute.threads = o->threads ? o->threads : bt_cpu_count();
    e->compute.precision = (bt_precision)precision;
    e->compute.memory = o->memory;
    if (o->cache_dir && *o->cache_dir && !(e->compute.cache_dir = bt_strdup(o->cache_dir)))
        return BT_ENOMEM;
    e->compute.cache_size = o->cache_size;
    e->wants_peaks = o->peaks != 0;
    e->locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    return e->locale ? BT_OK : BT_ENOMEM;
}

bt_status bt_engine_create(const bt_engine_options *opts, bt_engine **out)
{
    bt_engine_options o = { 0 };
    if (!out)
        return BT_EINVAL;
    *out = NULL;
    if (opts && !bt_struct_in(&o, sizeof o, opts))
        return BT_EINVAL;
    bt_engine *e = bt_calloc(1, sizeof *e);
    if (!e)
        return BT_ENOMEM;
    atomic_init(&e->refs, 1);
    pthread_mutex_init(&e->lock, NULL);
    bt_status st = configure(e, &o);
    if (st == BT_OK) {
        const locale_t host = bt_enter(e);
        st = bt_loader_builtin(e);
        bt_leave(host);
    }
    if (st != BT_OK) {
        bt_engine_free(e);
        return st;
    }
    *out = e;
    return BT_OK;
}

void bt_engine_retain(bt_engine *e) { atomic_fetch_add(&e->refs, 1); }

void bt_engine_free(bt_engine *e)
{
    if (!e || atomic_fetch_sub(&e->refs, 1) > 1)
        return;
    bt_loader_free(e);
    while (e->slots) {
        bt_slot *next = e->slots->next;
        bt_release(e->slots);
        e->slots = next;
    }
    if (e->locale)
        freelocale(e->locale);
    bt_release((void *)(uintptr_t)e->compute.cache_dir);
    pthread_mutex_destroy(&e->lock);
    bt_release(e);
}

const bt_peaks *bt_engine_peaks(bt_engine *e)
{
    if (!e->wants_peaks)
        return NULL;
    pthread_mutex_lock(&e->lock);
    if (e->peaks.threads == 0)
        bt_peaks_measure(&e->compute, &e->peaks);
    pthread_mutex_unlock(&e->lock);
    return &e->peaks;
}

/* ---- description --------------------------------------------------------- */

static void describe_cpu(uint32_t flags, bt_buf *b)
{
    static const struct {
        uint32_t flag;
        const char *name;
    } names[] = {
        { BT_CPU_AVX2, "avx2" },
        { BT_CPU_AVX512, "avx512" },
        { BT_CPU_AVX512VNNI, "avx512vnni" },
        { BT_CPU_AVX512BF16, "avx512bf16" },
        { BT_CPU_AVXVNNI, "avxvnni" },
        { BT_CPU_AMX, "amx" },
    };
    const char *comma = "";
    bt_buf_puts(b, "[");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (flags & names[i].flag) {
            bt_buf_printf(b, "%s\"%s\"", comma, names[i].name);
            comma = ",";
        }
    bt_buf_puts(b, "]");
}

/* What the table of kernels was filled with. */
static void describe_kernels(const bt_kernels *k, bt_buf *b)
{
    const char *comma = "";
    bt_buf_printf(b, "{\"isa\":\"%s\",\"rows\":%d,\"panels\":%d,\"int8\":[", k->isa, k->gemm_mr,
                  k->gemm_np);
    for (int t = 0; t < BT_DTYPE_COUNT; t++)
        if (k->gemm_q8[t]) {
            bt_buf_printf(b, "%s\"%s\"", comma, bt_dtypes[t].name);
            comma = ",";
        }
    bt_buf_printf(b, "],\"bf16\":%s}", k->gemm_bf16 ? "true" : "false");
}

/* Keys stay as they are once released: programs read this. */
bt_status bt_engine_describe(bt_engine *e, char **json)
{
    if (json)
        *json = NULL;
    if (!e || !json)
        return BT_EINVAL;
    const locale_t host = bt_enter(e);
    bt_buf b = { 0 };
    bt_buf_printf(&b, "{\"version\":\"%s\",\"cpu\":", BT_VERSION);
    describe_cpu(bt_cpu_flags(), &b);
    bt_buf_puts(&b, ",\"cpu_used\":");
    describe_cpu(e->kernels.cpu, &b);
    bt_buf_puts(&b, ",\"kernels\":");
    describe_kernels(&e->kernels, &b);
    bt_buf_printf(&b, ",\"threads\":%d,\"processors\":%d,\"precision\":\"%s\"", e->compute.threads,
                  bt_cpu_count(), precisions[e->compute.precision]);
    bt_buf_printf(&b, ",\"memory\":{\"total\":%llu,\"available\":%llu,\"budget\":%llu}",
                  (unsigned long long)bt_proc_bytes("/proc/meminfo", "MemTotal:"),
                  (unsigned long long)bt_proc_bytes("/proc/meminfo", "MemAvailable:"),
                  (unsigned long long)e->compute.memory);
    bt_buf_puts(&b, ",\"pack_cache\":");
    if (e->compute.cache_dir)
        bt_pack_cache_describe(e->compute.cache_dir, e->compute.cache_size, &b);
    else
        bt_buf_puts(&b, "null");
    const bt_peaks *peaks = bt_engine_peaks(e);
    if (peaks) {
        bt_buf_puts(&b, ",\"peaks\":");
        bt_peaks_json(peaks, &b);
    }
    bt_buf_puts(&b, ",\"modules\":");
    bt_loader_describe(e, &b);
    bt_buf_puts(&b, "}");
    *json = bt_buf_take(&b);
    const bt_status st = *json ? BT_OK : bt_fail(bt_engine_error(e), BT_ENOMEM, "out of memory");
    bt_leave(host);
    return st;
}
