/* Lossless payloads (FORMAT.md section 7.9): the exponents of a chunk's floats by rANS, all other
 * bits packed. What they are made of. */
#ifndef QSGD_CODES_LOSSLESS_FORM_H
#define QSGD_CODES_LOSSLESS_FORM_H

#include "base/memory.h"
#include "codes/codes.h"
#include "kernels/types.h"

#define LOSSLESS_HALVES 4 /* of an element, at most */

/* Bits of a payload's first byte. */
#define LOSSLESS_FORM 3 /* lossless_plan's */
#define LOSSLESS_IS_SPARSE 4
#define LOSSLESS_HAS_ESCAPES 8
#define LOSSLESS_LEAD_BIT 4 /* from here on: lead, 0..LOSSLESS_LEAD */
#define LOSSLESS_LEAD 3

/* What a type's elements are made of. */
struct lossless_type {
    unsigned halves;        /* of 16 bits */
    unsigned exponent_bits; /* behind the sign */
};

const struct lossless_type *lossless_type_of(uint32_t dtype);

/* Per-worker memory. */
struct lossless_scratch {
    struct code_scratch *codes;
    uint16_t *halves[LOSSLESS_HALVES]; /* the upper ones first */
    int16_t *fields;
    void *elements; /* in native order, 64-byte aligned */
};

/* Takes it, for chunks of at most len elements of the type; or only counts it. `codes` is carved by
 * itself, for rANS. */
void lossless_scratch_carve(struct lossless_scratch *scratch, struct memory *memory, size_t len,
                            uint32_t dtype);

/* Bytes of a payload of len elements, at most. */
static inline uint64_t lossless_bound(uint64_t len, uint64_t item) { return 1 + len * item; }

/* Fields of one width, as a payload has them. */
struct lossless_fields {
    const uint8_t *bits;
    unsigned drop, width; /* (v >> drop) is stored in `width` bits */
};

/* What a payload says before its tokens. */
struct lossless_plan {
    enum { LOSSLESS_PLAIN, LOSSLESS_CODED, LOSSLESS_CONSTANT } form;
    bool sparse; /* of tokens 0, nothing else is stored: these elements are +0 */
    unsigned lead;
    struct lossless_split split;
    size_t stored;                                  /* elements whose fields are */
    size_t escapes;                                 /* elements whose symbols are listed */
    struct lossless_fields fields[LOSSLESS_HALVES]; /* of the upper half, and lower halves */
    const uint8_t *symbols;                         /* of escapes */
    const uint8_t *plain;
    uint8_t token;         /* LOSSLESS_CONSTANT: of all elements */
    struct code_plan rans; /* LOSSLESS_CODED */
};

/* A chunk as rANS sees it: tokens that are whole indices. */
struct code_chunk lossless_chunk(const struct kernels *kernels, size_t len,
                                 struct code_scratch *codes);

#endif
