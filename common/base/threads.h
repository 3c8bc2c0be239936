/* SPDX-License-Identifier: MIT
 * How many threads, and a light barrier for those of one parallel region.
 */
#ifndef BT_BASE_THREADS_H
#define BT_BASE_THREADS_H

#include <stdatomic.h>

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

typedef struct bt_barrier {
    atomic_int waiting;
    atomic_int round;
    int n;
} bt_barrier;

void bt_barrier_init(bt_barrier *b, int n);
/* Spins briefly, then yields: waits here must be short. */
void bt_barrier_wait(bt_barrier *b);

#endif
