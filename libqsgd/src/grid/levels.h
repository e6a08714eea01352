/* The set of levels (FORMAT.md section 8.3): what an index may be, and which value it names. */
#ifndef QSGD_GRID_LEVELS_H
#define QSGD_GRID_LEVELS_H

#include "base/begin.h"

#include <stdbool.h>
#include <stdint.h>

#include "qsgd.h"

/* Mirrored tables: value[0] = 0, value[1 .. count] increasing to 1. Signed: value[0 .. count - 1].
 */
struct levels {
    int32_t kind;       /* QSGD_LEVELS_* */
    bool zero;          /* 0 is a level (always true for OPEN and SIGNED) */
    bool plain_zero;    /* index 0 is the level +0, so that zeros come back as they were */
    uint32_t count;     /* s or K of FORMAT.md section 8.3; 32767 for OPEN */
    int32_t kmin, kmax; /* range of indices; where !zero, 0 within it names no level */
    int32_t largest;    /* kmax of FORMAT.md: the bound of |k| that the codes use */
    int32_t idle;       /* index of all elements of an idle bucket */
    float gap;
    float value[QSGD_MAX_LEVEL_TABLE + 2];
};

#define LEVELS_DIRECT 15 /* up to this largest index, tokens are whole indices (FORMAT.md 7.4) */

static inline bool levels_is_table(const struct levels *levels) {
    return levels->kind != QSGD_LEVELS_UNIFORM && levels->kind != QSGD_LEVELS_OPEN;
}

/* True if k names a level. */
static inline bool levels_has(const struct levels *levels, int32_t k) {
    return k >= levels->kmin && k <= levels->kmax && (levels->zero || k != 0);
}

/* Builds the set from checked parameters; `table` as in params (native floats). */
void levels_build(struct levels *levels, const struct qsgd_params *params);

/* Rank of an index among the `levels_ranks` of them, and back (FORMAT.md section 7.1). */
static inline uint32_t levels_zigzag(int32_t k) {
    return k > 0 ? 2U * (uint32_t)k - 1 : 2U * (uint32_t)-k;
}

static inline int32_t levels_unzigzag(uint32_t z) {
    return z & 1 ? (int32_t)(z / 2 + 1) : -(int32_t)(z / 2);
}

uint32_t levels_ranks(const struct levels *levels);

static inline uint32_t levels_rank(const struct levels *levels, int32_t k) {
    if (levels->kind == QSGD_LEVELS_SIGNED) return (uint32_t)(k - levels->kmin);
    if (levels->zero) return levels_zigzag(k);
    return k < 0 ? 2U * (uint32_t)(-k - 1) + 1 : 2U * (uint32_t)(k - 1);
}

static inline int32_t levels_unrank(const struct levels *levels, uint32_t rank) {
    if (levels->kind == QSGD_LEVELS_SIGNED) return (int32_t)rank + levels->kmin;
    if (levels->zero) return levels_unzigzag(rank);
    return rank & 1 ? -(int32_t)(rank / 2 + 1) : (int32_t)(rank / 2 + 1);
}

/* True if decoders subtract part of the noise: everywhere, or, in rotated frames of nearest
 * rounding, where a bucket is not rotated (ENCODER.md section 6.5), unless levels or code do not
 * allow it. */
static inline bool scheme_dithers(const struct qsgd_params *p) {
    const bool sparse = p->code >= QSGD_CODE_ELIAS_GAMMA_SPARSE && p->code <= QSGD_CODE_RICE_SPARSE;
    const bool one = p->levels == QSGD_LEVELS_UNIFORM && p->s == 1;
    if (p->rounding != QSGD_ROUND_NEAREST) return p->rounding == QSGD_ROUND_DITHERED;
    return p->rotation != 0 && !sparse && !one;
}

#endif
