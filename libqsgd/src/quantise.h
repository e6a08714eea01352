/* Elements to indices and back, chunk by chunk. Stages: norm -> levels -> rounding, and the
 * inverse. Everything here is the same for all backends; the inner loops are kernels.h. */
#ifndef QSGD_QUANTIZE_H
#define QSGD_QUANTIZE_H

#include "arena.h"
#include "kernels/kernels.h"
#include "layout.h"
#include "levels.h"
#include "qsgd.h"
#include "rotation.h"
#include "scales.h"
#include "tables.h"

#define QUANTIZE_BLOCK 4096 /* elements of noise held at once; a multiple of NOISE_TILE */

/* Of one tensor, read-only while tasks run. */
struct quantizer {
    struct qsgd_params params;
    struct layout layout;
    struct levels levels;
    struct noise_key key;
    double tensor_rms; /* for QSGD_NORM_BALANCED: of all elements, before chunks start */
    bool turned;       /* indices are as frames code them (FORMAT.md section 6.6) */
    const struct kernels *kernels;
    struct shared_tables shared;            /* code 0: there are none */
    float level_of[QSGD_MAX_TABLE + 1];     /* tables: level of index k at level_of[k - kmin] */
    float of_token[32];                     /* direct tokens: as value_bucket has it */
    struct round_table table;               /* mirrored tables */
    double signed_rcp[QSGD_MAX_TABLE];      /* signed tables: 1 / gap of cell j */
    uint32_t signed_weight[QSGD_MAX_TABLE]; /* and G of FORMAT.md section 6.3 */
};

void quantizer_init(struct quantizer *q, const struct qsgd_params *params, uint64_t n,
                    uint64_t nonce, bool raw);

/* Where elements come from: src of any float type, with an optional residual and given scales. */
struct source {
    const uint8_t *data;
    uint32_t dtype;
    float *residual;
    const float *given; /* scales, or NULL */
};

/* Per-worker memory of this stage, carved from the workspace. */
struct quantize_scratch {
    float *elements; /* longest chunk: elements after conversion and rotation, if any */
    uint16_t *noise; /* QUANTIZE_BLOCK + 2 tiles */
    uint64_t noise_from, noise_to; /* decoding: elements whose noise is there already */
    float *block;                  /* QUANTIZE_BLOCK */
    int16_t *indices;              /* longest chunk */
    struct topk_entry *heap;
    /* Rotated frames, else NULL. second: of a chunk that is decoded beside another; NULL where a
     * chunk does not hold two whole buckets. */
    struct rotation *rotation, *second;
};

/* Takes the scratch from the arena, or only counts it. `copies`: as quantize_copies. */
void quantize_scratch_carve(struct quantize_scratch *s, struct arena *arena,
                            const struct quantizer *q, bool copies);

/* True if elements must be copied to float32 before use. */
static inline bool source_converts(const struct source *source) {
    return source->dtype != QSGD_FLOAT32 || source->residual != NULL;
}

/* True if elements are copied before use: converted, or rotated. */
static inline bool quantize_copies(const struct quantizer *q, uint32_t dtype,
                                   const float *residual) {
    return dtype != QSGD_FLOAT32 || residual != NULL || q->params.rotation != 0;
}

/* n <= QUANTIZE_BLOCK elements times X (FORMAT.md section 5): x itself where X is 1, or in `block`.
 */
const float *quantize_in_range(const float *x, size_t n, float range, float *block);

/* Elements [first, first + len) as float32: a pointer into the source, or into `to`. */
const float *source_read(const struct source *source, uint64_t first, uint64_t len, float *to);

/* Top-k: which elements of a bucket are taken (quantise_topk.c). */
struct topk_cut {
    uint32_t bits;     /* magnitudes above are taken */
    uint64_t position; /* and those equal up to this position in the bucket */
};

/* Buckets longer than a chunk get their scales before chunks start: task `block` of
 * quantize_big_blocks sums one block into partials[block]; then quantize_big_scales stores the
 * scales (and cuts). */
uint64_t quantize_big_blocks(const struct layout *l);
void quantize_big_block(const struct quantizer *q, const struct source *source, uint64_t block,
                        struct quantize_scratch *scratch, struct bucket_sums *partials);
void quantize_big_scales(const struct quantizer *q, const struct source *source,
                         const struct bucket_sums *partials, const struct scale_array *scales,
                         struct topk_cut *cuts, struct quantize_scratch *scratch);

/* QSGD_NORM_BALANCED wants the sum of squares of the tensor first: task `block` of
 * quantize_total_blocks sums one block into totals[block], then quantize_total takes them. */
uint64_t quantize_total_blocks(const struct quantizer *q);
void quantize_total_block(const struct quantizer *q, const struct source *source, uint64_t block,
                          struct quantize_scratch *scratch, struct bucket_sums *totals);
void quantize_total(struct quantizer *q, const struct bucket_sums *totals);

/* Of an index of a bucket's elements x, after rounding: the scale to store (FORMAT.md section 6.5).
 * May change one index. */
float quantize_rescale(const struct quantizer *q, const float *x, uint64_t len, float scale,
                       int16_t *k);

/* Quantizes one chunk of x (its elements as float32) to indices k, or to tokens if k is NULL.
 * Rotated frames overwrite scratch->elements, which may be x. Scales of buckets within the chunk
 * are computed and stored; longer buckets' are read. Returns QSGD_OK, or QSGD_ERR_NONFINITE with
 * *bad_bucket if params.nonfinite is RAISE. */
qsgd_status quantize_chunk(const struct quantizer *q, const struct source *source,
                           const struct chunk_span *span, const float *x,
                           const struct scale_array *scales, const struct topk_cut *cuts,
                           struct quantize_scratch *scratch, int16_t *k, uint8_t *tokens,
                           uint8_t *alpha, uint64_t *bad_bucket);

/* True if quantize_chunk can give tokens in place of indices. */
static inline bool quantize_gives_tokens(const struct quantizer *q) {
    return q->levels.largest <= LEVELS_DIRECT && q->levels.kind != QSGD_LEVELS_SIGNED &&
           q->params.rounding != QSGD_ROUND_TOPK && q->params.rescale == 0;
}

/* Where values go: stored as dtype, or multiplied by alpha and added to float32. */
struct sink {
    uint8_t *data; /* of element `origin` */
    uint64_t origin;
    uint32_t dtype;
    bool add;
    float alpha;
    uint64_t from, to; /* rotated frames: elements outside come with their buckets, and are left */
    bool stream;       /* the output is so long that it would only pass through the caches */
};

/* n <= QUANTIZE_BLOCK values of one bucket into v. */
void values_of_run(const struct quantizer *q, float scale, uint8_t alpha, const int16_t *k,
                   const uint16_t *noise, size_t n, float *v);

/* Values of elements [from, to) of the chunk, from its indices, scales and damping. */
void values_of_chunk(const struct quantizer *q, const struct chunk_span *span, uint64_t from,
                     uint64_t to, const int16_t *k, const struct scale_array *scales, uint8_t alpha,
                     struct quantize_scratch *scratch, const struct sink *sink);

/* The same from the direct tokens of elements [from, to) (tokens[0] is that of `from`), after
 * values_token_levels. */
void values_of_tokens(const struct quantizer *q, uint64_t from, uint64_t to, const uint8_t *tokens,
                      const struct scale_array *scales, uint8_t alpha,
                      struct quantize_scratch *scratch, const struct sink *sink);
void values_token_levels(struct quantizer *q);
/* True if zeros may be left out: the sink does not add, or what it adds to stays the same. */
bool values_skip_zeros(const struct quantizer *q, const struct sink *sink, uint64_t from,
                       uint64_t to);

/* The same from the non-zero indices alone: k[i] of element at[i] of the chunk, ascending.
 * Undithered, 0 a level, and the sink does not add. */
void values_of_nonzeros(const struct quantizer *q, const struct chunk_span *span, uint64_t from,
                        uint64_t to, const uint32_t *at, const int16_t *k, size_t count,
                        const struct scale_array *scales, struct quantize_scratch *scratch,
                        const struct sink *sink);

/* sums[i] += v[i] * alpha, both rounded; n float32 at any alignment. */
void values_add_to(const float *restrict v, size_t n, float alpha, uint8_t *restrict sums);

/* Indices of a chunk as frames code them, and back: where they are turned, those of buckets that
 * are not idle change sign by the noise (FORMAT.md section 6.6). */
void values_turn(const struct quantizer *q, const struct chunk_span *span,
                 const struct scale_array *scales, struct quantize_scratch *scratch, int16_t *k);

/* residual = x - value, for one chunk; x as source_read gives it, not rotated. */
void residual_of_chunk(const struct quantizer *q, const struct chunk_span *span, const float *x,
                       const int16_t *k, const struct scale_array *scales, uint8_t alpha,
                       struct quantize_scratch *scratch, float *residual);

/* First element of bucket that is not finite, or the bucket's first if none is. */
uint64_t quantize_first_nonfinite(const struct quantizer *q, const struct source *source,
                                  uint64_t bucket);

/* ---- top-k (quantise_topk.c) ---- */

struct topk_entry {
    uint32_t bits;
    uint64_t position;
};

uint64_t topk_heap_entries(const struct layout *layout);

/* The cut of one bucket. */
struct topk_cut topk_select(const struct quantizer *q, const struct source *source, uint64_t bucket,
                            double sum_of_squares, struct quantize_scratch *scratch);

/* The stored scale of a bucket of at most a chunk; *sum_of_squares serves top-k. */
float scale_of_short_bucket(const struct quantizer *q, const struct source *source, uint64_t bucket,
                            const float *x, double *sum_of_squares);

#endif
