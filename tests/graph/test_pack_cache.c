/* SPDX-License-Identifier: MIT
 * The pack cache: whatever happens to its files, a run gives the bytes that it
 * gives without a cache.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "graph/naive.h"
#include "graph/pack_cache.h"
#include "graph/weights.h"
#include "temp_dir.h"

enum { IN = 64, MID = 96, OUT = 40, N_PARAMS = MID * IN + OUT * MID + 16 * OUT };

static const char *cache_dir; /* of the test that runs */

/* ---- a model and a run of it ------------------------------------------- */

/* Two layers and a convolution that few runs use, values of `seed`. */
static const char *make_model(const char *name, unsigned seed)
{
    static char json[512];
    float *v = malloc(N_PARAMS * sizeof *v);
    const char *path = temp_path(name);
    const int a = MID * IN * 4, b = a + OUT * MID * 4;
    int n = snprintf(json, sizeof json,
                     "{\"a\":{\"dtype\":\"F32\",\"shape\":[%d,%d],\"data_offsets\":[0,%d]},"
                     "\"b\":{\"dtype\":\"F32\",\"shape\":[%d,%d],\"data_offsets\":[%d,%d]},"
                     "\"c\":{\"dtype\":\"F32\",\"shape\":[16,%d],\"data_offsets\":[%d,%d]}}",
                     MID, IN, a, OUT, MID, a, b, OUT, b, b + 16 * OUT * 4);
    const uint64_t header = (uint64_t)n;
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    fill_noise(v, N_PARAMS, seed);
    fwrite(&header, 8, 1, f);
    fwrite(json, 1, (size_t)n, f);
    fwrite(v, sizeof *v, N_PARAMS, f);
    assert_int_equal(fclose(f), 0);
    free(v);
    return path;
}

typedef struct run {
    const char *isa, *dir;
    bt_precision precision;
    uint64_t limit;
    bool with_c;  /* the third layer too */
    bool mapped;  /* after the run: a and b came from the cache */
    float y[OUT]; /* what the run gave */
} run;

static void run_plan(bt_weights *ws, run *r)
{
    bt_graph *g;
    bt_plan *p;
    bt_error err = { 0 };
    assert_int_equal(bt_graph_create(ws, &g), BT_OK);
    bt_node *x = bt_input(g, (bt_shape){ 1, 1, 1, IN });
    bt_node *y = bt_linear(g, bt_linear(g, x, bt_w(g, "a"), NULL), bt_w(g, "b"), NULL);
    if (r->with_c)
        bt_output(g, bt_linear(g, y, bt_w(g, "c"), NULL));
    bt_output(g, y);
    if (bt_plan_create(g, &p, &err) != BT_OK)
        fail_msg("%s", err.text);
    fill_noise(bt_plan_data(p, x), IN, 7);
    assert_int_equal(bt_plan_run(p, NULL, &err), BT_OK);
    memcpy(r->y, bt_plan_data(p, y), sizeof r->y);
    bt_plan_free(p);
    r->mapped = bt_weight_find(ws, "a")->packed->mapped && bt_weight_find(ws, "b")->packed->mapped;
}

/* One thread, since some tests fork: a team would not survive that. */
static void run_model(const char *path, run *r)
{
    bt_store *s;
    bt_kernels kernels;
    bt_weights *ws;
    bt_error err = { 0 };
    bt_kernels_init(&kernels, bt_cpu_flags() & (uint32_t)bt_cpu_cap(r->isa ? r->isa : "auto"));
    const bt_compute c = { .kernels = &kernels,
                           .threads = 1,
                           .precision = r->precision,
                           .cache_dir = r->dir,
                           .cache_size = r->limit };
    if (bt_store_open(path, &s, &err) != BT_OK)
        fail_msg("%s", err.text);
    assert_int_equal(bt_weights_create(s, &c, &ws, &err), BT_OK);
    run_plan(ws, r);
    bt_weights_free(ws);
    bt_store_close(s);
}

/* Runs with the cache and compares with a run without. */
static run checked(const char *path, run r)
{
    run plain = r;
    plain.dir = NULL;
    r.dir = r.dir ? r.dir : cache_dir;
    run_model(path, &plain);
    run_model(path, &r);
    assert_false(plain.mapped);
    assert_memory_equal(r.y, plain.y, sizeof r.y);
    return r;
}

/* ---- the folder --------------------------------------------------------- */

/* Names that end so, and the last one's path. */
static int count(const char *end, char path[512])
{
    char dir[300];
    int n = 0;
    snprintf(dir, sizeof dir, "%s/packs", cache_dir);
    DIR *d = opendir(dir);
    for (struct dirent *e; d && (e = readdir(d));) {
        const size_t len = strlen(e->d_name), m = strlen(end);
        if (len < m || strcmp(e->d_name + len - m, end) != 0)
            continue;
        if (path)
            snprintf(path, 512, "%s/%.200s", dir, e->d_name);
        n++;
    }
    if (d)
        closedir(d);
    return n;
}

static size_t size_of(const char *path)
{
    struct stat sb;
    assert_int_equal(stat(path, &sb), 0);
    return (size_t)sb.st_size;
}

static void later(void) { nanosleep(&(struct timespec){ .tv_nsec = 60000000 }, NULL); }

/* A model whose packs are on disk, and known to be sound if `stamped`. */
static const char *cached_model(const char *name, char pack[512], bool stamped)
{
    const char *path = make_model(name, 1);
    assert_false(checked(path, (run){ 0 }).mapped);
    assert_int_equal(count(".pack", pack), 1);
    if (stamped) {
        later();
        assert_true(checked(path, (run){ 0 }).mapped);
        assert_int_equal(count(".used", NULL), 1);
    }
    return path;
}

static int new_cache(void **state)
{
    static char dir[256];
    static int k;
    (void)state;
    snprintf(dir, sizeof dir, "%s/cache%d/deep", temp_dir, k++);
    cache_dir = dir;
    return 0;
}

/* ---- what should be ----------------------------------------------------- */

static void the_second_start_maps(void **state)
{
    (void)state;
    char pack[512], used[512];
    struct stat sb;
    const char *path = cached_model("m", pack, true);
    assert_int_equal(count(".tmp", NULL), 0);
    assert_int_equal(count(".used", used), 1);
    assert_int_equal(stat(pack, &sb), 0);
    assert_int_equal(sb.st_mode & 0777, 0600);
    assert_int_equal(stat(cache_dir, &sb), 0);
    assert_int_equal(sb.st_mode & 0777, 0700);
    assert_true(checked(path, (run){ 0 }).mapped);
    /* another precision has panels of its own, and more layers add to them */
    run r = { .precision = BT_PREC_INT8 };
    assert_false(checked(path, r).mapped);
    assert_true(checked(path, r).mapped);
    r.with_c = true;
    assert_true(checked(path, r).mapped);
    assert_int_equal(count(".pack", NULL), 3);
    assert_true(checked(path, r).mapped);
    assert_int_equal(count(".pack", NULL), 3);
}

static void no_folder_no_cache(void **state)
{
    (void)state;
    const char *path = make_model("m", 1);
    run r = { .dir = "/proc/none" };
    assert_false(checked(path, r).mapped);
    assert_false(checked(path, r).mapped);
    assert_int_equal(count(".pack", NULL), 0);
}

static void every_processor_reads_the_same(void **state)
{
    (void)state;
    static const char *const isas[] = { "scalar", "avx2", "avx512", "avx512vnni", "auto" };
    const char *path = make_model("m", 1);
    for (int p = BT_PREC_AUTO; p <= BT_PREC_F32; p++)
        for (size_t i = 0; i < 5; i++)
            checked(path, (run){ .isa = isas[i], .precision = (bt_precision)p });
    for (size_t i = 0; i < 5; i++)
        assert_true(checked(path, (run){ .isa = isas[i], .precision = BT_PREC_F32 }).mapped);
}

/* ---- damage -------------------------------------------------------------- */

static void flip(const char *file, size_t at)
{
    uint8_t byte;
    const int fd = open(file, O_RDWR);
    assert_int_equal(pread(fd, &byte, 1, (off_t)at), 1);
    byte ^= 0x10;
    assert_int_equal(pwrite(fd, &byte, 1, (off_t)at), 1);
    close(fd);
}

/* Anywhere in the file, with and without a stamp that says it was sound. */
static void a_damaged_file_is_not_used(void **state)
{
    (void)state;
    for (int stamped = 0; stamped < 2; stamped++) {
        char pack[512];
        const char *path = cached_model("m", pack, stamped);
        const size_t size = size_of(pack);
        const size_t index = 48 + 2 * 48; /* header, two entries */
        for (size_t at = 0; at < size; at += at < index ? 5 : 1997) {
            if (stamped && at % 10 == 0)
                continue; /* half of them: each waits for a stamp */
            flip(pack, at);
            run r = checked(path, (run){ 0 });
            /* names end before the first page does: what fills it up is nobody's */
            if (at < index)
                assert_false(r.mapped);
            assert_true(checked(path, (run){ 0 }).mapped || checked(path, (run){ 0 }).mapped);
            if (count(".pack", pack) != 1 || size_of(pack) != size) {
                unlink(pack);
                while (count(".pack", pack))
                    unlink(pack);
                checked(path, (run){ 0 });
                assert_int_equal(count(".pack", pack), 1);
            }
            if (stamped) {
                later();
                checked(path, (run){ 0 });
            }
        }
        while (count(".pack", pack))
            unlink(pack);
    }
}

/* The stamp of a sound file must not cover what was written to it later. */
static void a_stamp_does_not_hide_damage(void **state)
{
    (void)state;
    char pack[512];
    const char *path = cached_model("m", pack, true);
    struct stat sb;
    assert_int_equal(stat(pack, &sb), 0);
    flip(pack, 8000);
    assert_int_equal(utimensat(AT_FDCWD, pack, (struct timespec[]){ sb.st_atim, sb.st_mtim }, 0),
                     0);
    assert_false(checked(path, (run){ 0 }).mapped);
}

static void a_cut_file_is_not_used(void **state)
{
    (void)state;
    char pack[512];
    const char *path = cached_model("m", pack, true);
    for (size_t size = size_of(pack) - 1; size > 0; size /= 2) {
        assert_int_equal(truncate(pack, (off_t)size), 0);
        assert_false(checked(path, (run){ 0 }).mapped);
        while (count(".pack", pack))
            unlink(pack);
        checked(path, (run){ 0 });
        assert_int_equal(count(".pack", pack), 1);
    }
    assert_int_equal(truncate(pack, 0), 0);
    assert_false(checked(path, (run){ 0 }).mapped);
}

static void others_files_are_not_used(void **state)
{
    (void)state;
    char pack[512], moved[600];
    const char *path = cached_model("m", pack, false);
    assert_int_equal(chmod(pack, 0622), 0); /* anybody may have written to it */
    assert_false(checked(path, (run){ 0 }).mapped);
    assert_true(checked(path, (run){ 0 }).mapped);
    while (count(".pack", pack))
        unlink(pack);
    checked(path, (run){ 0 });
    count(".pack", pack);
    snprintf(moved, sizeof moved, "%s.moved", pack);
    assert_int_equal(rename(pack, moved), 0);
    assert_int_equal(symlink(moved, pack), 0);
    assert_false(checked(path, (run){ 0 }).mapped);
}

/* ---- changes -------------------------------------------------------------- */

/* Same name, same size, same time, other weights: written over or put in place. */
static void a_changed_model_gets_new_panels(void **state)
{
    (void)state;
    char pack[512];
    const char *path = cached_model("m", pack, true);
    struct stat sb;
    for (unsigned seed = 2; seed < 6; seed++) {
        assert_int_equal(stat(path, &sb), 0);
        if (seed % 2)
            unlink(path);
        make_model("m", seed);
        const struct timespec times[] = { sb.st_atim, sb.st_mtim };
        assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
        assert_false(checked(path, (run){ 0 }).mapped);
    }
}

/* Panels of a file that changed between its opening and the end of packing. */
static void a_change_while_packing_is_not_kept(void **state)
{
    (void)state;
    bt_store *s;
    bt_kernels kernels;
    bt_weights *ws;
    const char *path = make_model("m", 1);
    run r = { 0 };
    bt_kernels_init(&kernels, 0);
    const bt_compute c = { .kernels = &kernels, .threads = 1, .cache_dir = cache_dir };
    assert_int_equal(bt_store_open(path, &s, NULL), BT_OK);
    assert_int_equal(bt_weights_create(s, &c, &ws, NULL), BT_OK);
    later(); /* a tick of the clock */
    flip(path, size_of(path) - 1);
    run_plan(ws, &r);
    assert_int_equal(count(".pack", NULL) + count(".tmp", NULL), 0);
    bt_weights_free(ws);
    bt_store_close(s);
}

static void packs_may_be_deleted_while_in_use(void **state)
{
    (void)state;
    bt_store *s;
    bt_kernels kernels;
    bt_weights *ws;
    char pack[512];
    const char *path = cached_model("m", pack, false);
    run r = { 0 }, plain = { 0 };
    bt_kernels_init(&kernels, bt_cpu_flags());
    const bt_compute c = { .kernels = &kernels, .threads = 1, .cache_dir = cache_dir };
    assert_int_equal(bt_store_open(path, &s, NULL), BT_OK);
    assert_int_equal(bt_weights_create(s, &c, &ws, NULL), BT_OK);
    assert_int_equal(unlink(pack), 0);
    run_plan(ws, &r);
    run_model(path, &plain);
    assert_true(r.mapped);
    assert_memory_equal(r.y, plain.y, sizeof r.y);
    bt_weights_free(ws);
    bt_store_close(s);
    assert_false(checked(path, (run){ 0 }).mapped);
}

/* KiB of the mapping around p that are in this process's memory. */
static long resident(const void *p)
{
    char line[512];
    unsigned long from, to;
    long kib = -1;
    bool here = false;
    FILE *f = fopen("/proc/self/smaps", "r");
    assert_non_null(f);
    while (kib < 0 && fgets(line, sizeof line, f)) {
        if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
            here = (uintptr_t)p >= from && (uintptr_t)p < to;
        else if (here)
            sscanf(line, "Rss: %ld kB", &kib);
    }
    fclose(f);
    return kib;
}

static void resting_parts_take_no_memory(void **state)
{
    (void)state;
    bt_store *s;
    bt_kernels kernels;
    bt_weights *ws;
    char pack[512];
    const char *path = cached_model("m", pack, true);
    run r = { 0 }, again = { 0 };
    bt_kernels_init(&kernels, bt_cpu_flags());
    const bt_compute c = { .kernels = &kernels, .threads = 1, .cache_dir = cache_dir };
    assert_int_equal(bt_store_open(path, &s, NULL), BT_OK);
    assert_int_equal(bt_weights_create(s, &c, &ws, NULL), BT_OK);
    run_plan(ws, &r);
    const void *panels = bt_weight_find(ws, "a")->packed->data;
    const long before = resident(panels);
    bt_weights_rest(ws, "none");
    assert_int_equal(resident(panels), before);
    bt_weights_rest(ws, "a");
    bt_weights_rest(ws, "b");
    assert_true(resident(panels) < before);
    run_plan(ws, &again);
    assert_true(again.mapped);
    assert_memory_equal(again.y, r.y, sizeof r.y);
    bt_weights_free(ws);
    bt_store_close(s);
}

static bt_status fill_derived(const void *from, float *out, bt_error *err)
{
    (void)err;
    for (int i = 0; i < MID * IN; i++)
        out[i] = *(const float *)from * (float)(i % 13 - 6);
    return BT_OK;
}

static const bt_weight *run_derived(bt_weights *ws, float y[MID])
{
    static const float factor = 0.5f;
    bt_graph *g;
    bt_plan *p;
    bt_error err = { 0 };
    const bt_weight *w =
        bt_weight_derive(ws, "derived", 2, (int64_t[]){ MID, IN }, fill_derived, &factor);
    assert_non_null(w);
    assert_int_equal(bt_graph_create(ws, &g), BT_OK);
    bt_node *x = bt_input(g, (bt_shape){ 1, 1, 1, IN });
    bt_node *out = bt_output(g, bt_linear(g, x, w, NULL));
    assert_int_equal(bt_plan_create(g, &p, &err), BT_OK);
    fill_noise(bt_plan_data(p, x), IN, 7);
    assert_int_equal(bt_plan_run(p, NULL, &err), BT_OK);
    memcpy(y, bt_plan_data(p, out), MID * sizeof *y);
    bt_plan_free(p);
    return w;
}

/* What a module computes is kept, mapped and let go of like what the file has. */
static void derived_weights_rest_as_well(void **state)
{
    (void)state;
    bt_store *s;
    bt_kernels kernels;
    float y[3][MID];
    const char *path = make_model("m", 1);
    bt_kernels_init(&kernels, bt_cpu_flags());
    const bt_compute c = { .kernels = &kernels, .threads = 1, .cache_dir = cache_dir };
    for (int i = 0; i < 2; i++) {
        bt_weights *ws;
        assert_int_equal(bt_store_open(path, &s, NULL), BT_OK);
        assert_int_equal(bt_weights_create(s, &c, &ws, NULL), BT_OK);
        const bt_weight *w = run_derived(ws, y[i]);
        assert_int_equal(w->packed->mapped, i);
        const long before = resident(w->packed->data);
        bt_weights_rest(ws, "derive");
        assert_true(i == 0 || resident(w->packed->data) < before); /* the first is no map */
        run_derived(ws, y[2]);
        assert_memory_equal(y[2], y[0], sizeof y[0]);
        bt_weights_free(ws);
        bt_store_close(s);
    }
}

/* ---- several processes, and death ------------------------------------------ */

/* Children that all start with an empty cache. */
static void processes_may_start_together(void **state)
{
    (void)state;
    enum { CHILDREN = 8 };
    const char *path = make_model("m", 1);
    run plain = { 0 };
    run_model(path, &plain);
    for (int round = 0; round < 5; round++) {
        char pack[512];
        pid_t child[CHILDREN];
        for (int i = 0; i < CHILDREN; i++)
            if ((child[i] = fork()) == 0) {
                run r = { .dir = cache_dir };
                run_model(path, &r);
                _exit(memcmp(r.y, plain.y, sizeof r.y) != 0);
            }
        for (int i = 0; i < CHILDREN; i++) {
            int status;
            assert_int_equal(waitpid(child[i], &status, 0), child[i]);
            assert_int_equal(status, 0);
        }
        assert_int_equal(count(".pack", pack), 1);
        assert_int_equal(count(".tmp", NULL), 0);
        assert_true(checked(path, (run){ 0 }).mapped);
        unlink(pack);
    }
}

/* Where its writer was killed: an unfinished file whose lock is gone; and while
 * the writer lives: a locked one. */
static void an_unfinished_file_is_no_obstacle(void **state)
{
    (void)state;
    char pack[512], tmp[512];
    const char *path = cached_model("m", pack, false);
    strcpy(tmp, pack);
    strcpy(strrchr(tmp, '-'), ".tmp");
    assert_int_equal(rename(pack, tmp), 0);
    const int fd = open(tmp, O_RDWR);
    assert_int_equal(flock(fd, LOCK_EX), 0);
    assert_false(checked(path, (run){ 0 }).mapped);
    assert_int_equal(count(".pack", NULL), 0);
    assert_int_equal(count(".tmp", NULL), 1);
    close(fd);
    assert_false(checked(path, (run){ 0 }).mapped);
    assert_int_equal(count(".pack", pack), 1);
    assert_int_equal(count(".tmp", NULL), 0);
    assert_true(checked(path, (run){ 0 }).mapped);
}

static void a_killed_writer_does_no_harm(void **state)
{
    (void)state;
    char pack[512];
    const char *path = make_model("m", 1);
    for (int us = 0; us < 3000; us += 150) {
        const pid_t child = fork();
        if (child == 0) {
            run r = { .dir = cache_dir };
            run_model(path, &r);
            _exit(0);
        }
        nanosleep(&(struct timespec){ .tv_nsec = us * 1000 }, NULL);
        kill(child, SIGKILL);
        assert_int_equal(waitpid(child, NULL, 0), child);
        checked(path, (run){ 0 });
        assert_int_equal(count(".pack", pack), 1);
        assert_int_equal(count(".tmp", NULL), 0);
        unlink(pack);
    }
}

/* A bound on the size of files stands for a full disk. */
static void a_full_disk_does_no_harm(void **state)
{
    (void)state;
    const char *path = make_model("m", 1);
    const pid_t child = fork();
    int status;
    if (child == 0) {
        signal(SIGXFSZ, SIG_DFL);
        for (rlim_t most = 0; most < 40000; most = most * 2 + 1000) {
            run plain = { .precision = BT_PREC_F32 }, r = plain;
            r.dir = cache_dir;
            setrlimit(RLIMIT_FSIZE, &(struct rlimit){ most, RLIM_INFINITY });
            run_model(path, &plain);
            run_model(path, &r);
            if (memcmp(r.y, plain.y, sizeof r.y) != 0 || count(".pack", NULL) ||
                count(".tmp", NULL))
                _exit(1);
        }
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

#ifdef BT_FAULTS
/* Memory that fails only the cache, which then does without, at every point. */
static void a_cache_without_memory_does_no_harm(void **state)
{
    (void)state;
    const char *path = make_model("m", 1);
    for (int warm = 0; warm < 2; warm++) {
        bool failed = true;
        for (long n = 1; failed; n++) {
            bt_store *s;
            assert_int_equal(bt_store_open(path, &s, NULL), BT_OK);
            bt_fault_after(n);
            bt_pack_cache *c = bt_pack_cache_open(s, cache_dir, 0);
            static uint8_t panels[4096];
            bt_packed p = { .type = BT_F32, .n = 16, .k = 64, .taps = 1, .panels = 1 };
            p.panel_bytes = sizeof panels, p.data = panels;
            const bt_pack_item item = { "a", &p };
            bool again, kept = c && bt_pack_cache_save(c, &item, 1, 1, &again);
            const uint8_t *found = c ? bt_pack_cache_find(c, &item) : NULL;
            if (found)
                assert_memory_equal(found, panels, sizeof panels);
            bt_pack_cache_close(c);
            failed = bt_fault_after(0) == 0;
            assert_true(failed || kept);
            assert_int_equal(count(".tmp", NULL), 0);
            bt_store_close(s);
            char pack[512];
            while (!warm && count(".pack", pack))
                unlink(pack);
        }
        checked(path, (run){ .precision = BT_PREC_F32 });
    }
}
#endif

/* ---- the bound ------------------------------------------------------------- */

static void the_oldest_packs_make_room(void **state)
{
    (void)state;
    char pack[512], name[3][512];
    const char *path = cached_model("m0", pack, true);
    const uint64_t two = size_of(pack) * 2 + 100;
    strcpy(name[0], path);
    strcpy(name[1], make_model("m1", 2));
    strcpy(name[2], make_model("m2", 3));
    assert_false(checked(name[1], (run){ .limit = two }).mapped);
    later();
    assert_true(checked(name[1], (run){ .limit = two }).mapped);
    later();
    assert_true(checked(name[0], (run){ .limit = two }).mapped); /* now m1 is the older one */
    assert_false(checked(name[2], (run){ .limit = two }).mapped);
    assert_int_equal(count(".pack", NULL), 2);
    assert_true(checked(name[0], (run){ .limit = two }).mapped);
    assert_true(checked(name[2], (run){ .limit = two }).mapped);
    assert_false(checked(name[1], (run){ .limit = 1000 }).mapped); /* no room for it at all */
    assert_int_equal(count(".pack", NULL), 2);
}

static void what_there_is_can_be_told(void **state)
{
    (void)state;
    char pack[512], want[400];
    bt_buf b = { 0 };
    bt_pack_cache_describe(cache_dir, 5, &b);
    assert_non_null(strstr(b.data, "\"models\":0,\"files\":0,\"bytes\":0,\"limit\":5}"));
    bt_buf_free(&b);
    cached_model("m", pack, true);
    snprintf(want, sizeof want, "\"models\":1,\"files\":1,\"bytes\":%zu,\"limit\":", size_of(pack));
    bt_pack_cache_describe(cache_dir, 0, &b);
    assert_non_null(strstr(b.data, want));
    bt_buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(the_second_start_maps, new_cache),
        cmocka_unit_test_setup(no_folder_no_cache, new_cache),
        cmocka_unit_test_setup(every_processor_reads_the_same, new_cache),
        cmocka_unit_test_setup(a_damaged_file_is_not_used, new_cache),
        cmocka_unit_test_setup(a_stamp_does_not_hide_damage, new_cache),
        cmocka_unit_test_setup(a_cut_file_is_not_used, new_cache),
        cmocka_unit_test_setup(others_files_are_not_used, new_cache),
        cmocka_unit_test_setup(a_changed_model_gets_new_panels, new_cache),
        cmocka_unit_test_setup(a_change_while_packing_is_not_kept, new_cache),
        cmocka_unit_test_setup(packs_may_be_deleted_while_in_use, new_cache),
        cmocka_unit_test_setup(resting_parts_take_no_memory, new_cache),
        cmocka_unit_test_setup(derived_weights_rest_as_well, new_cache),
        cmocka_unit_test_setup(processes_may_start_together, new_cache),
        cmocka_unit_test_setup(an_unfinished_file_is_no_obstacle, new_cache),
        cmocka_unit_test_setup(a_killed_writer_does_no_harm, new_cache),
        cmocka_unit_test_setup(a_full_disk_does_no_harm, new_cache),
#ifdef BT_FAULTS
        cmocka_unit_test_setup(a_cache_without_memory_does_no_harm, new_cache),
#endif
        cmocka_unit_test_setup(the_oldest_packs_make_room, new_cache),
        cmocka_unit_test_setup(what_there_is_can_be_told, new_cache),
    };
    return cmocka_run_group_tests(tests, temp_dir_make, temp_dir_remove);
}
