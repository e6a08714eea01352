/* The caller's memory: pieces of a workspace, where buffers lie, and what is wrong with them. */
#ifndef QSGD_BASE_MEMORY_H
#define QSGD_BASE_MEMORY_H

#include "base/begin.h"

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

#define MEMORY_SLACK 63 /* bytes that bring any workspace to its first piece */

static inline void *memory_take(struct memory *memory, uint64_t bytes) {
    uint8_t *p = memory->base == NULL ? NULL : memory->base + memory->used;
    memory->used += (bytes + 63) & ~(uint64_t)63;
    return p;
}

/* Opens a caller's workspace, of which `used` bytes will be taken. */
static inline qsgd_status memory_open(struct memory *memory, qsgd_memory workspace, uint64_t used,
                                      qsgd_error *error) {
    const uint64_t pad = (0 - (uint64_t)(uintptr_t)workspace.data) & MEMORY_SLACK;
    if (workspace.data == NULL) {
        return error_needed(error, QSGD_ERR_NULL, "workspace", used + MEMORY_SLACK,
                            "workspace is NULL");
    }
    if (used > SIZE_MAX - MEMORY_SLACK || workspace.bytes < pad || workspace.bytes - pad < used) {
        return error_needed(error, QSGD_ERR_WORKSPACE, "workspace", used + MEMORY_SLACK,
                            "the workspace must hold sizes.workspace_bytes bytes");
    }
    memory->base = (uint8_t *)workspace.data + pad;
    memory->used = 0;
    return QSGD_OK;
}

/* True if [a, a + a_bytes) and [b, b + b_bytes) share a byte, whatever is claimed of their ends. */
static inline bool memory_overlap(const void *a, uint64_t a_bytes, const void *b,
                                  uint64_t b_bytes) {
    const uintptr_t x = (uintptr_t)a, y = (uintptr_t)b;
    if (a_bytes == 0 || b_bytes == 0) return false;
    return x < y ? y - x < a_bytes : x - y < b_bytes;
}

/* That buffer, or one of several that are named together, is NULL. */
static inline qsgd_status memory_missing(const char *parameter, qsgd_error *error) {
    return error_parameter(error, QSGD_ERR_NULL, parameter, "a buffer that is needed is NULL");
}

/* The result does not fit the caller's dst. */
static inline qsgd_status memory_too_small(uint64_t needed, const char *reason, qsgd_error *error) {
    return error_needed(error, QSGD_ERR_DST_TOO_SMALL, "dst", needed, reason);
}

#define FRAME_TOO_LONG "the frame does not fit dst: sizes.dst_bytes bytes always suffice"

/* Bytes that a call reads, or writes. */
struct region {
    const char *parameter;
    const void *data; /* NULL: not given */
    uint64_t bytes;
    bool written;
};

/* What a call writes shares no byte with anything else that it touches. */
qsgd_status regions_apart(const struct region *regions, size_t count, qsgd_error *error);

#endif
