/* SPDX-License-Identifier: MIT
 * Memory, strings, statuses, files, processor counts, waiting.
 */
#include <fcntl.h>
#include <locale.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/status.h"
#include "base/threads.h"
#include "temp_dir.h"

static void put(const char *name, const char *text)
{
    FILE *f = fopen(temp_path(name), "wb");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static void test_alloc(void **state)
{
    (void)state;
    for (size_t n = 0; n < 300; n += 7) {
        void *p = bt_alloc(n);
        assert_non_null(p);
        assert_int_equal((uintptr_t)p % 64, 0);
        bt_release(p);
    }
    assert_null(bt_alloc(SIZE_MAX));
    assert_null(bt_calloc(SIZE_MAX / 2, 3));
    int *a = bt_calloc(3, sizeof *a);
    assert_int_equal(a[0] | a[1] | a[2], 0);
    a[2] = 5;
    assert_null(bt_realloc_array(a, 3, SIZE_MAX, 4));
    a = bt_realloc_array(a, 3, 100, sizeof *a);
    assert_int_equal(a[2], 5);
    bt_release(a);
    bt_release(NULL);
    char *s = bt_strndup("abcdef", 3);
    assert_string_equal(s, "abc");
    bt_release(s);
    assert_true(bt_ends_with("a.gguf", ".gguf") && bt_ends_with("", "") && bt_ends_with("a", ""));
    assert_false(bt_ends_with("gguf", ".gguf") || bt_ends_with("a.gguf.", ".gguf"));
}

static void test_buf(void **state)
{
    bt_buf b = { 0 };
    (void)state;
    for (int i = 0; i < 1000; i++)
        bt_buf_printf(&b, "%d,", i);
    assert_int_equal(b.len, 10 + 90 * 2 + 900 * 3 + 1000);
    assert_int_equal(strlen(b.data), b.len);
    char *s = bt_buf_take(&b);
    assert_memory_equal(s, "0,1,2,", 6);
    assert_null(b.data);
    bt_release(s);
    s = bt_buf_take(&b);
    assert_string_equal(s, "");
    bt_release(s);
    b.len = SIZE_MAX - 4;
    bt_buf_add(&b, "12345678", 8);
    assert_true(b.failed);
    b.len = 0;
    assert_null(bt_buf_take(&b));
}

static void json_is(const char *in, size_t n, const char *want)
{
    bt_buf b = { 0 };
    bt_buf_json(&b, in, n);
    assert_string_equal(b.data, want);
    bt_buf_free(&b);
}

#define FFFD "\xef\xbf\xbd"

static void test_json(void **state)
{
    (void)state;
    json_is("a\"b\\c\n\t\x7f", 8, "\"a\\\"b\\\\c\\n\\u0009\\u007f\"");
    json_is("a\0b", 3, "\"a\\u0000b\"");
    json_is("gr\xc3\xbc\xc3\x9f \xf0\x9f\x8d\x8e", 11, "\"gr\xc3\xbc\xc3\x9f \xf0\x9f\x8d\x8e\"");
    json_is("\xff", 1, "\"" FFFD "\"");
    json_is("\xc3", 1, "\"" FFFD "\"");                   /* cut */
    json_is("\xc0\xaf", 2, "\"" FFFD FFFD "\"");          /* overlong */
    json_is("\xe0\x80\xaf", 3, "\"" FFFD FFFD FFFD "\""); /* overlong */
    json_is("\xed\xa0\x80", 3, "\"" FFFD FFFD FFFD "\""); /* surrogate */
    json_is("\xf4\x90\x80\x80", 4, "\"" FFFD FFFD FFFD FFFD "\"");
    json_is("\xe2\x82x", 3, "\"" FFFD FFFD "x\"");
}

static void number_is(double v, const char *want)
{
    bt_buf b = { 0 };
    bt_buf_f64(&b, v);
    assert_string_equal(b.data, want);
    bt_buf_free(&b);
}

static void test_number(void **state)
{
    (void)state;
    /* A locale with a decimal comma, where the machine has one. */
    setlocale(LC_NUMERIC, "de_DE.UTF-8");
    number_is(0.5, "0.5");
    number_is(-1e300, "-1e+300");
    number_is(1234567.25, "1234567.25");
    number_is(0.0 / 0.0, "null");
    number_is(-1.0 / 0.0, "null");
    setlocale(LC_NUMERIC, "C");
}

static void test_status(void **state)
{
    bt_error e = { 0 };
    char longer[2000];
    (void)state;
    assert_int_equal(bt_fail(&e, BT_EIO, "a\nb\x1b[31m%s", "c\x7f"), BT_EIO);
    assert_string_equal(e.text, "a?b?[31mc?");
    assert_int_equal(e.status, BT_EIO);
    assert_int_equal(bt_fail(NULL, BT_EINVAL, "x"), BT_EINVAL);
    for (size_t i = 0; i + 2 < sizeof longer; i += 2)
        memcpy(longer + i, "\xc3\xbc", 3);
    bt_fail(&e, BT_EIO, "%s", longer); /* 511 bytes would cut a character */
    assert_int_equal(strlen(e.text), 510);
    bt_fail(&e, BT_EIO, "x%s", longer);
    assert_true(strlen(e.text) >= 509 && (e.text[strlen(e.text) - 1] & 0xc0) == 0x80);
    assert_string_equal(bt_status_text(BT_EFORMAT), "malformed file");
    assert_string_equal(bt_kind_name(BT_KIND_AUDIO), "audio");
    assert_int_equal(bt_hash(BT_HASH_INIT, "a", 1), 0xaf63dc4c8601ec8cu); /* FNV's own vector */
}

static void test_map(void **state)
{
    bt_map m;
    bt_error e = { 0 };
    char *text;
    size_t n;
    (void)state;
    put("ten", "0123456789");
    assert_int_equal(bt_map_open(temp_path("ten"), &m, &e), BT_OK);
    assert_int_equal(m.size, 10);
    assert_memory_equal(m.data, "0123456789", 10);
    bt_map_drop(m.data, m.size);
    assert_int_equal(m.data[9], '9');
    bt_map_close(&m);
    assert_null(m.data);
    put("empty", "");
    assert_int_equal(bt_map_open(temp_path("empty"), &m, &e), BT_OK);
    assert_null(m.data);
    bt_map_close(&m);
    assert_int_equal(bt_map_open(temp_path("none"), &m, &e), BT_ENOTFOUND);
    assert_non_null(strstr(e.text, "none"));
    assert_int_equal(bt_map_open(temp_dir, &m, &e), BT_EIO);
    assert_true(bt_is_dir(temp_dir));
    assert_false(bt_is_dir(temp_path("ten")));
    assert_int_equal(bt_file_read(temp_path("ten"), 10, &text, &n, &e), BT_OK);
    assert_string_equal(text, "0123456789");
    bt_release(text);
    assert_int_equal(bt_file_read(temp_path("ten"), 9, &text, &n, &e), BT_EFORMAT);
    assert_null(text);
}

static int count_files(void)
{
    char cmd[256];
    int n = -1;
    snprintf(cmd, sizeof cmd, "ls -A %s | wc -l", temp_dir);
    FILE *p = popen(cmd, "r");
    assert_non_null(p);
    assert_int_equal(fscanf(p, "%d", &n), 1);
    pclose(p);
    return n;
}

static void content_is(const char *name, const char *want)
{
    char *text;
    assert_int_equal(bt_file_read(temp_path(name), 100, &text, NULL, NULL), BT_OK);
    assert_string_equal(text, want);
    bt_release(text);
}

static void test_out(void **state)
{
    bt_out o;
    bt_error e = { 0 };
    struct stat sb;
    (void)state;
    put("old", "old");
    const int before = count_files();
    assert_int_equal(bt_out_open(temp_path("old"), &o, &e), BT_OK);
    fputs("new", o.f);
    fflush(o.f);
    content_is("old", "old"); /* nothing shows before commit */
    assert_int_equal(count_files(), before + 1);
    assert_int_equal(bt_out_commit(&o, &e), BT_OK);
    content_is("old", "new");
    assert_int_equal(count_files(), before);
    const mode_t mask = umask(0);
    umask(mask);
    assert_int_equal(stat(temp_path("old"), &sb), 0);
    assert_int_equal(sb.st_mode & 0777, 0666 & ~mask);

    assert_int_equal(bt_out_open(temp_path("old"), &o, &e), BT_OK);
    fputs("half", o.f);
    bt_out_abort(&o);
    content_is("old", "new");
    assert_int_equal(count_files(), before);
    assert_null(o.path);

    assert_int_equal(symlink("old", temp_path("link")), 0);
    assert_int_equal(bt_out_open(temp_path("link"), &o, &e), BT_OK);
    fputs("by link", o.f);
    assert_int_equal(bt_out_commit(&o, &e), BT_OK);
    content_is("old", "by link");
    assert_int_equal(lstat(temp_path("link"), &sb), 0);
    assert_true(S_ISLNK(sb.st_mode));

    assert_int_equal(bt_out_open(temp_path("no/such"), &o, &e), BT_EIO);
    assert_non_null(strstr(e.text, "no/such"));
    assert_null(o.f);
}

/* A disk without room: the failure is told and nothing replaces the device. */
static void test_out_full(void **state)
{
    bt_out o;
    bt_error e = { 0 };
    struct stat sb;
    (void)state;
    assert_int_equal(bt_out_open("/dev/full", &o, &e), BT_OK);
    fputs("text", o.f);
    assert_int_equal(bt_out_commit(&o, &e), BT_EIO);
    assert_non_null(strstr(e.text, "/dev/full"));
    assert_int_equal(stat("/dev/full", &sb), 0);
    assert_true(S_ISCHR(sb.st_mode));
}

static void test_cpus(void **state)
{
    (void)state;
    assert_true(bt_cpu_count() >= 1);
    assert_int_equal(mkdir(temp_path("v2"), 0700), 0);
    assert_int_equal(mkdir(temp_path("v2/a"), 0700), 0);
    assert_int_equal(mkdir(temp_path("v2/a/b"), 0700), 0);
    put("proc2", "0::/a/b\n");
    assert_true(bt_cgroup_quota(temp_path("proc2"), temp_path("v2")) == 0);
    put("v2/a/b/cpu.max", "max 100000\n");
    assert_true(bt_cgroup_quota(temp_path("proc2"), temp_path("v2")) == 0);
    put("v2/a/cpu.max", "150000 100000\n");
    assert_true(bt_cgroup_quota(temp_path("proc2"), temp_path("v2")) == 1.5);
    put("v2/a/b/cpu.max", "400000 100000\n");
    assert_true(bt_cgroup_quota(temp_path("proc2"), temp_path("v2")) == 1.5);
    put("proc2", "0::/not/mounted\n"); /* a container's view: the root counts */
    put("v2/cpu.max", "300000 100000\n");
    assert_true(bt_cgroup_quota(temp_path("proc2"), temp_path("v2")) == 3);
    assert_int_equal(mkdir(temp_path("v1"), 0700), 0);
    assert_int_equal(mkdir(temp_path("v1/cpu"), 0700), 0);
    assert_int_equal(mkdir(temp_path("v1/cpu/g"), 0700), 0);
    put("proc1", "3:cpuset:/g\n2:cpuacct,cpu:/g\n1:name=systemd:/\n");
    put("v1/cpu/g/cpu.cfs_quota_us", "-1\n");
    put("v1/cpu/g/cpu.cfs_period_us", "100000\n");
    assert_true(bt_cgroup_quota(temp_path("proc1"), temp_path("v1")) == 0);
    put("v1/cpu/g/cpu.cfs_quota_us", "50000\n");
    assert_true(bt_cgroup_quota(temp_path("proc1"), temp_path("v1")) == 0.5);
    assert_true(bt_cgroup_quota(temp_path("none"), temp_path("v1")) == 0);
}

#define ROUNDS 2000

static void *answer(void *arg)
{
    atomic_int *ball = arg;
    for (int r = 0; r < ROUNDS; r++) {
        for (int i = 0; atomic_load(ball) != 2 * r + 1; i++)
            bt_spin(i);
        atomic_store(ball, 2 * r + 2);
    }
    return NULL;
}

/* Two threads take turns, also where they share one processor. */
static void test_spin(void **state)
{
    atomic_int ball = 0;
    pthread_t other;
    (void)state;
    const double start = bt_now();
    assert_int_equal(pthread_create(&other, NULL, answer, &ball), 0);
    for (int r = 0; r < ROUNDS; r++) {
        atomic_store(&ball, 2 * r + 1);
        for (int i = 0; atomic_load(&ball) != 2 * r + 2; i++)
            bt_spin(i);
    }
    pthread_join(other, NULL);
    assert_int_equal(atomic_load(&ball), 2 * ROUNDS);
    assert_true(bt_now() > start);
}

#ifdef BT_FAULTS
/* Every allocation of a task fails once; the task must say so and leak nothing
 * (the sanitizer build looks). */
static void test_faults(void **state)
{
    (void)state;
    for (long n = 1;; n++) {
        bt_out o;
        bt_buf b = { 0 };
        bt_error e = { 0 };
        bt_fault_after(n);
        const bt_status st = bt_out_open(temp_path("fault"), &o, &e);
        for (int i = 0; i < 100; i++)
            bt_buf_printf(&b, "%d", i);
        char *s = bt_buf_take(&b);
        const bool fired = bt_fault_after(0) == 0;
        assert_true(fired == (st != BT_OK || s == NULL));
        if (st == BT_OK)
            bt_out_abort(&o);
        bt_release(s);
        if (!fired)
            break;
        assert_true(n < 100);
    }
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_alloc),    cmocka_unit_test(test_buf),  cmocka_unit_test(test_json),
        cmocka_unit_test(test_status),   cmocka_unit_test(test_map),  cmocka_unit_test(test_out),
        cmocka_unit_test(test_out_full), cmocka_unit_test(test_cpus), cmocka_unit_test(test_spin),
        cmocka_unit_test(test_number),
#ifdef BT_FAULTS
        cmocka_unit_test(test_faults),
#endif
    };
    return cmocka_run_group_tests(tests, temp_dir_make, temp_dir_remove);
}
