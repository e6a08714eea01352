/* The caller's memory: pieces of a workspace, where two buffers lie, and what is wrong with them.
 */
#ifndef QSGD_BASE_MEMORY_H
#define QSGD_BASE_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "qsgd.h"

/* A workspace, carved in 64-byte aligned pieces; only counted if base is NULL. */
struct memory {
    uint8_t *base;
    uint64_t used;
};

static inline void *memory_take(struct memory *memory, uint64_t bytes) {
    uint8_t *p = memory->base == NULL ? NULL : memory->base + memory->used;
    memory->used += (bytes + 63) & ~(uint64_t)63;
    return p;
}

/* True if [a, a + a_bytes) and [b, b + b_bytes) share a byte. */
static inline bool memory_overlap(const void *a, uint64_t a_bytes, const void *b,
                                  uint64_t b_bytes) {
    uintptr_t x = (uintptr_t)a, y = (uintptr_t)b;
    return a_bytes > 0 && b_bytes > 0 && x < y + b_bytes && y < x + a_bytes;
}

/* That buffer, or one of several that are named together, is NULL. */
static inline qsgd_status memory_missing(const char *parameter, struct qsgd_error *error) {
    return error_parameter(error, QSGD_ERR_NULL, parameter, "a buffer that is needed is NULL");
}

#define WORKSPACE_MUST_HOLD(query) "the workspace must be 64-byte aligned and hold " query " bytes"

/* reason: WORKSPACE_MUST_HOLD the bytes that a query names, which are `needed`. */
static inline qsgd_status memory_check_workspace(const void *workspace, uint64_t bytes,
                                                 uint64_t needed, const char *reason,
                                                 struct qsgd_error *error) {
    if (((uintptr_t)workspace & 63) == 0 && bytes >= needed) return QSGD_OK;
    return error_parameter(error, QSGD_ERR_WORKSPACE, "workspace", reason);
}

#endif
