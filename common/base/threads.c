/* SPDX-License-Identifier: MIT
 * Processors and time of this process, and waiting between ops.
 */
#include "threads.h"

#include <math.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define PATH_LEN 4096
#define SPINS    2000

/* Up to two numbers of the first line of <dir>/<name>; "max" reads as -1. */
static int read_numbers(const char *dir, const char *name, double v[2])
{
    char path[PATH_LEN], line[128];
    if (snprintf(path, sizeof path, "%s/%s", dir, name) >= (int)sizeof path)
        return 0;
    FILE *f = fopen(path, "re");
    if (!f)
        return 0;
    int n = 0;
    if (fgets(line, sizeof line, f)) {
        if (strncmp(line, "max", 3) == 0) {
            v[0] = -1;
            n = 1 + (sscanf(line + 3, "%lf", &v[1]) == 1);
        } else {
            n = sscanf(line, "%lf %lf", &v[0], &v[1]);
        }
    }
    fclose(f);
    return n;
}

/* Quota of one group, 0 = none. v2: "cpu.max" holds quota and period;
 * v1: one file for each. */
static double group_quota(const char *dir)
{
    double v[2] = { 0, 0 }, period[2] = { 0, 0 };
    if (read_numbers(dir, "cpu.max", v) == 2)
        return v[0] > 0 && v[1] > 0 ? v[0] / v[1] : 0;
    if (read_numbers(dir, "cpu.cfs_quota_us", v) < 1)
        return 0;
    if (read_numbers(dir, "cpu.cfs_period_us", period) < 1)
        return 0;
    return v[0] > 0 && period[0] > 0 ? v[0] / period[0] : 0;
}

/* The smallest quota from root/path upwards to root. A container may see a
 * path that it has not mounted: the missing folders count as no quota. */
static double smallest_quota(const char *root, const char *path)
{
    char dir[PATH_LEN];
    const size_t base = strlen(root);
    if (snprintf(dir, sizeof dir, "%s%s", root, path) >= (int)sizeof dir)
        return 0;
    double best = 0;
    for (;;) {
        const double q = group_quota(dir);
        if (q > 0 && (best == 0 || q < best))
            best = q;
        char *slash = strrchr(dir, '/');
        if (!slash || (size_t)(slash - dir) < base)
            return best;
        *slash = 0;
    }
}

/* Is `name` one of the comma-separated words of `list`? */
static bool has_word(const char *list, const char *name)
{
    const size_t n = strlen(name);
    for (const char *p = list; p; p = strchr(p, ',')) {
        if (*p == ',')
            p++;
        if (strncmp(p, name, n) == 0 && (p[n] == 0 || p[n] == ','))
            return true;
    }
    return false;
}

double bt_cgroup_quota(const char *proc, const char *sys)
{
    char line[PATH_LEN], root[PATH_LEN];
    double best = 0;
    FILE *f = fopen(proc, "re");
    if (!f)
        return 0;
    while (fgets(line, sizeof line, f)) { /* "hierarchy:controllers:path" */
        line[strcspn(line, "\n")] = 0;
        char *controllers = strchr(line, ':');
        char *path = controllers ? strchr(++controllers, ':') : NULL;
        if (!path)
            continue;
        *path++ = 0;
        const bool v2 = *controllers == 0;
        if (!v2 && !has_word(controllers, "cpu"))
            continue;
        const int n = snprintf(root, sizeof root, v2 ? "%s" : "%s/cpu", sys);
        if (n >= (int)sizeof root)
            continue;
        const double q = smallest_quota(root, path);
        if (q > 0 && (best == 0 || q < best))
            best = q;
    }
    fclose(f);
    return best;
}

int bt_cpu_count(void)
{
    unsigned long mask[16384 / (8 * sizeof(unsigned long))] = { 0 };
    int n = 0;
    if (sched_getaffinity(0, sizeof mask, (cpu_set_t *)mask) == 0)
        n = CPU_COUNT_S(sizeof mask, (cpu_set_t *)mask);
    if (n < 1)
        n = 1;
    const double quota = bt_cgroup_quota("/proc/self/cgroup", "/sys/fs/cgroup");
    if (quota > 0 && ceil(quota) < n)
        n = (int)ceil(quota);
    return n;
}

double bt_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static inline void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ __volatile__("yield");
#endif
}

void bt_spin(int turn)
{
    if (turn < SPINS)
        relax();
    else
        sched_yield();
}
