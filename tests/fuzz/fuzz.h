/* SPDX-License-Identifier: MIT
 * One entry per fuzz target. libFuzzer calls it (BT_FUZZ=ON, clang); otherwise
 * replay.c does, with the files of a corpus, as a test.
 */
#ifndef BT_TESTS_FUZZ_H
#define BT_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
