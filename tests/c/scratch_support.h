/* The scratch that codes need, in memory of its own. */
#ifndef QSGD_TESTS_SCRATCH_SUPPORT_H
#define QSGD_TESTS_SCRATCH_SUPPORT_H

#include <stdlib.h>

#include "codes/scratch.h"

/* For chunks of at most `len` elements; the caller frees what is returned. */
static inline void *new_scratch(struct code_scratch *scratch, size_t len) {
    const struct code_use use = {QSGD_CODE_AUTO, len, CODE_ENCODES | CODE_DECODES, true};
    struct memory memory = {NULL, 0};
    code_scratch_carve(scratch, &memory, &use);
    code_passing_carve(scratch, &memory, &use);
    memory = (struct memory){aligned_alloc(64, (size_t)memory.used), 0};
    code_scratch_carve(scratch, &memory, &use);
    code_passing_carve(scratch, &memory, &use);
    return memory.base;
}

#endif
