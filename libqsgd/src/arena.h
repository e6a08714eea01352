/* The caller's workspace, handed out piece by piece. */
#ifndef QSGD_ARENA_H
#define QSGD_ARENA_H

#include <stddef.h>
#include <stdint.h>

/* Carves memory in 64-byte aligned pieces, or only counts if memory is NULL. */
struct arena {
    uint8_t *memory;
    uint64_t used;
};

static inline void *arena_take(struct arena *arena, uint64_t bytes) {
    uint8_t *p = arena->memory == NULL ? NULL : arena->memory + arena->used;
    arena->used += (bytes + 63) & ~(uint64_t)63;
    return p;
}

#endif
