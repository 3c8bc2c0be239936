/* SPDX-License-Identifier: MIT
 * SIGINT and SIGTERM end a run in order: the job is cancelled, half-written
 * files go, and the program leaves with EXIT_CANCELLED.
 */
#include <stdatomic.h>

#include "cli.h"

volatile sig_atomic_t cli_stop;
static bt_job *_Atomic running; /* what a signal cancels */

void cli_running(bt_job *j) { atomic_store(&running, j); }

/* Async-signal-safe: bt_job_cancel is one atomic store. */
static void on_signal(int sig)
{
    cli_stop = sig;
    bt_job_cancel(atomic_load(&running));
}

void cli_catch_signals(void)
{
    struct sigaction sa = { .sa_handler = on_signal }; /* no SA_RESTART: reads shall end */
    sigemptyset(&sa.sa_mask);
    sigaction(SIGINT, &sa, NULL);
    sigaction(SIGTERM, &sa, NULL);
    signal(SIGPIPE, SIG_IGN); /* a closed pipe is a failed write */
    signal(SIGXFSZ, SIG_IGN); /* so is a file beyond the limit */
}
