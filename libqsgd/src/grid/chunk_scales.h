/* Scales as a chunk's payload stores them (FORMAT.md section 7): which buckets have one, the
 * least, and how far above it each one is. Both directions. */
#ifndef QSGD_GRID_CHUNK_SCALES_H
#define QSGD_GRID_CHUNK_SCALES_H

#include "base/begin.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "qsgd.h"

/* The scales that a chunk stores: `count` native floats at any alignment, exact in their kind. */
struct chunk_scales {
    const float *scales;
    uint64_t count;
    int kind; /* SCALES_FLOAT32 or _BFLOAT16 */
};

/* How they are written. */
struct scales_form {
    uint64_t live;         /* buckets that have one: all others have scale 0 */
    uint32_t base;         /* a scale's bits are base + difference * 2^shift; or, where */
    unsigned width, shift; /* all `width` bits of the difference are set, NaN */
};

/* Bytes of the scales of that many buckets, at most. */
uint64_t scales_bound(uint64_t count, int kind);

/* The form that takes least. */
void scales_plan(const struct chunk_scales *c, struct scales_form *form);

/* True if these scales can be written in a form that others have. */
bool scales_fit(const struct chunk_scales *c, const struct scales_form *form);

/* Bytes of the scales in that form; written to dst, unless that is NULL. */
size_t scales_write(const struct chunk_scales *c, const struct scales_form *form, uint8_t *dst);

/* Reads c->count scales of c->kind to `to`. some_idle: a set says which there are. *used: bytes of
 * them all, or the offset of an error: QSGD_ERR_CHUNK, _SCALE or _PADDING. */
qsgd_status scales_read(const struct chunk_scales *c, bool some_idle, const uint8_t *p,
                        size_t bytes, struct scales_form *form, float *to, size_t *used);

#endif
