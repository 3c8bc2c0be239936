/* SPDX-License-Identifier: MIT
 * A folder of its own for a test program: give temp_dir_make and
 * temp_dir_remove to cmocka_run_group_tests.
 */
#ifndef BT_TESTS_TEMP_DIR_H
#define BT_TESTS_TEMP_DIR_H

#include <stdio.h>
#include <stdlib.h>

static char temp_dir[] = "/tmp/bt-test-XXXXXX";

/* <folder>/<name>; the last four results stay valid. */
static inline const char *temp_path(const char *name)
{
    static char path[4][512];
    static int k;
    char *p = path[k = (k + 1) % 4];
    snprintf(p, sizeof path[0], "%s/%s", temp_dir, name);
    return p;
}

static inline int temp_dir_make(void **state)
{
    (void)state;
    return mkdtemp(temp_dir) ? 0 : -1;
}

static inline int temp_dir_remove(void **state)
{
    char cmd[64];
    (void)state;
    snprintf(cmd, sizeof cmd, "rm -r %s", temp_dir);
    return system(cmd);
}

#endif
