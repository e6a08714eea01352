/* What quantizing one tensor needs to know, both ways, and the memory that a worker needs for it.
 * Everything here is the same for all backends; the inner loops are kernels. */
#ifndef QSGD_QUANTIZE_QUANTIZER_H
#define QSGD_QUANTIZE_QUANTIZER_H

#include "base/memory.h"
#include "grid/layout.h"
#include "grid/levels.h"
#include "kernels/kernels.h"
#include "quantize/rotation.h"
#include "quantize/source.h"

struct topk_entry;

/* Of one tensor, read-only while tasks run. */
struct quantizer {
    struct qsgd_params params;
    struct layout layout;
    struct levels levels;
    struct noise_key key;
    uint32_t dtype;       /* of the tensor; set where frames may be lossless */
    uint64_t origin;      /* what the first element counts as where noise is counted */
    double tensor_rms;    /* for QSGD_NORM_BALANCED: of all elements, before chunks start, or
                             given */
    bool finds_outliers;  /* encode: chunks may have some */
    bool dithered;        /* the decoder subtracts part of the noise, in rotated frames where a
                             bucket is not rotated, */
    bool dithers_rotated; /* or everywhere */
    bool turned;          /* indices of dithered buckets are as frames code them (FORMAT.md 8.2) */
    bool measured;        /* encode: the error of chunks is asked for */
    uint16_t edge;        /* of nearest rounding (struct round_bucket) */
    const struct kernels *kernels;
    float level_of[QSGD_MAX_LEVEL_TABLE + 1]; /* tables: level of index k at level_of[k - kmin] */
    float of_token[32];                       /* direct tokens: as value_bucket has it */
    struct round_table table;                 /* mirrored tables */
    double signed_rcp[QSGD_MAX_LEVEL_TABLE];  /* signed tables: 1 / gap of cell j */
    uint32_t signed_weight[QSGD_MAX_LEVEL_TABLE]; /* and G of ENCODER.md section 6.3 */
};

/* True if a bucket that is rotated, or is not, is dithered. */
static inline bool quantizer_dithers(const struct quantizer *q, bool rotated) {
    return rotated ? q->dithers_rotated : q->dithered;
}

/* True if the expected error of a chunk follows from where its elements lie between levels
 * (ENCODER.md section 10.3); else it is that of what decodes. */
static inline bool quantizer_knows_error(const struct quantizer *q) {
    return q->params.rounding <= QSGD_ROUND_DITHERED && !levels_is_table(&q->levels);
}

/* Which noise a tensor takes beside the seed, and from which of its numbers on. */
struct noise_start {
    uint64_t nonce, origin;
};

void quantizer_init(struct quantizer *q, const struct qsgd_params *params, uint64_t n,
                    struct noise_start start, bool raw);

/* The key of a trial (ENCODER.md section 9): what it leads to must not depend on the noise of the
 * frame itself. */
struct noise_key quantizer_trial_key(const struct noise_key *key);

/* Per-worker memory of these stages, carved from the workspace. */
struct quantize_scratch {
    float *elements;  /* longest chunk: elements after conversion and rotation, if any, and without
                         outliers */
    int16_t *indices; /* longest chunk */
    float *scales;    /* of a chunk's buckets; decoding: of another chunk's, too, behind them */
    float *entries;   /* rotated frames: scales as they are stored (grid/parts.h) */
    uint32_t *zeros;  /* zero_words of the longest chunk (grid/live.h); decoding: as for scales */
    struct outliers *outliers;     /* of a chunk; decoding: two; NULL if no chunk can have any */
    uint16_t *noise;               /* QUANTIZE_BLOCK, as far as there are elements, and 2 tiles */
    uint64_t noise_from, noise_to; /* decoding: R(noise_from) and on are there already */
    float *block;                  /* a block (quantize_block) */
    struct topk_entry *heap;       /* top-k */
    float *left; /* longest chunk, where errors are asked for and not known beforehand; else NULL */
    /* Rotated frames, else NULL. second: of a chunk that is decoded beside another; NULL where a
     * chunk does not hold two whole buckets. */
    struct rotation *rotation, *second;
};

/* Noise of two chunks that are decoded in turn, for QUANTIZE_SMALL_BLOCK elements of each. */
#define QUANTIZE_NOISE_OF_TWO (2 * (QUANTIZE_SMALL_BLOCK + 2 * NOISE_TILE))

/* What a scratch is for. Copies: as quantizer_copies. */
enum quantize_use { QUANTIZE_DECODES, QUANTIZE_IN_PLACE, QUANTIZE_COPIES };

/* Takes the scratch from the memory, or only counts it: what lasts until a chunk is coded and its
 * residual is stored; and what these stages need each by itself. */
void quantize_scratch_carve(struct quantize_scratch *s, struct memory *memory,
                            const struct quantizer *q, enum quantize_use use);
void quantize_passing_carve(struct quantize_scratch *s, struct memory *memory,
                            const struct quantizer *q, enum quantize_use use);

/* True if elements are copied before use: converted, or rotated. */
static inline bool quantizer_copies(const struct quantizer *q, uint32_t dtype,
                                    const float *residual) {
    return dtype != QSGD_FLOAT32 || residual != NULL || q->params.rotation != 0;
}

/* True if quantize_chunk can give tokens in place of indices. */
static inline bool quantizer_gives_tokens(const struct quantizer *q) {
    return q->levels.largest <= LEVELS_DIRECT && q->levels.kind != QSGD_LEVELS_SIGNED &&
           q->params.rounding != QSGD_ROUND_TOPK && q->params.rescale == 0;
}

#endif
