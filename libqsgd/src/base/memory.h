/* The caller's memory: pieces of a workspace, and where two buffers lie. */
#ifndef QSGD_BASE_MEMORY_H
#define QSGD_BASE_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

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

static inline bool memory_misaligned(const void *workspace) {
    return ((uintptr_t)workspace & 63) != 0;
}

#endif
