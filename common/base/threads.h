/* SPDX-License-Identifier: MIT
 * How many threads to run, the time, and a polite way to wait for another
 * thread of one parallel region (graph/executor.c waits so between ops).
 */
#ifndef BT_BASE_THREADS_H
#define BT_BASE_THREADS_H

/* Processors this process may use: affinity and cgroup quota, at least 1. */
int bt_cpu_count(void);
/* Its second half: the smallest processor quota on the way from this process's
 * group to the root, 0 = none. `proc` is /proc/self/cgroup or a test's copy,
 * `sys` the place where the hierarchies are mounted. */
double bt_cgroup_quota(const char *proc, const char *sys);

/* Seconds of a monotonic clock. */
double bt_now(void);

/* Turn 0, 1, 2.. of a loop that waits for another thread: spins at first, then
 * gives the processor away. Such waits must be short. */
void bt_spin(int turn);

#endif
