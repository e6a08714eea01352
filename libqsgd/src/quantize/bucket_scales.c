/* Scales of buckets: sums of blocks by the fixed 32-lane rule, then the norm (ENCODER.md 5).
 * Buckets longer than a chunk are summed block by block before the chunks start, so that any number
 * of threads gives the same bits. Stage: tensor -> norm -> scale. */
#include "quantize/bucket_scales.h"

#include <string.h>

#include "base/square_root.h"
#include "quantize/lane_sums.h"
#include "quantize/outliers.h"

/* ---- sums to scales ------------------------------------------------------------------------- */

static float scale_stored(const struct qsgd_params *params, float scale) {
    uint32_t bits = float_bits(scale);
    if (params->scale_dtype == QSGD_BFLOAT16) bits = ((bits + 0xFFFF) >> 16) << 16;
    return float_from_bits(bits >= SCALE_INF_BITS ? SCALE_NAN_BITS : bits);
}

#define EIGHTHS 20 /* bits below eight steps an octave */

static uint32_t eighths_up(uint32_t bits) {
    return ((bits + ((1U << EIGHTHS) - 1)) >> EIGHTHS) << EIGHTHS;
}

/* Open levels do not end at the scale, so that it may be any size, but for the largest index: to
 * the nearest of eight steps an octave, which takes four bits less a bucket. */
static float scale_in_eighths(float scale, float least) {
    const uint32_t bits = float_bits(scale), most = eighths_up(float_bits(least));
    const uint32_t half = (1U << (EIGHTHS - 1)) - 1, odd = bits >> EIGHTHS & 1;
    uint32_t found = ((bits + half + odd) >> EIGHTHS) << EIGHTHS;
    if (found < most) found = most;
    if (found == 0) found = 1U << EIGHTHS;
    return float_from_bits(found >= SCALE_INF_BITS ? SCALE_NAN_BITS : found);
}

static bool has_reference(const struct qsgd_params *params) {
    return params->norm == QSGD_NORM_RMS && params->reference > 0;
}

/* True if scales are stored so: those of buckets within chunks, whatever the tensor's length, so
 * that parts of one have the scales of the whole. */
static bool stores_eighths(const struct qsgd_params *p, bool rescales) {
    return p->levels == QSGD_LEVELS_OPEN && p->scale_dtype == QSGD_BFLOAT16 && !rescales &&
           !has_reference(p) && p->bucket >= 1 && p->bucket <= (uint64_t)1 << p->chunk_log2;
}

/* At least so much that no index of open levels is out of range; as stored. */
static float scale_in_range(const struct qsgd_params *params, float scale, float max,
                            bool rotated) {
    const bool rescales = params->rescale != 0 && (rotated || params->rotation == 0);
    float least = 0;
    if (params->levels == QSGD_LEVELS_OPEN) {
        float range = 32767.0F * params->step;
        least = max / range;
        scale = least > scale ? least : scale;
    }
    if (max > 0 && stores_eighths(params, rescales)) return scale_in_eighths(scale, least);
    if (scale == 0 && max > 0) scale = 0x1p-149F;
    return scale_stored(params, scale);
}

/* The reference is the scale, also of zeros: where a bucket has several chunks, they have one
 * scale as far as that goes. */
static float scale_of_reference(const struct qsgd_params *params, uint32_t max_bits) {
    if (max_bits >= SCALE_INF_BITS) return float_from_bits(SCALE_NAN_BITS);
    return scale_in_range(params, (float)params->reference, float_from_bits(max_bits), false);
}

double rotated_step(double u) {
    const double over = u - 2.0;
    return over > 0 ? 2.0 + 4.0 * over / (4.0 + over) : u;
}

/* Nearest rounding of rotated elements to long steps leaves more than dither does: so as to leave
 * as much, steps are shorter, and take fewer bits yet. */
static float scale_for_nearest(const struct quantizer *q, const struct bucket_sums *sums,
                               uint64_t len, float scale) {
    const double rms = square_root(sums->sum / (double)len);
    const double u = (double)q->params.step * (double)scale / rms;
    return (float)((double)scale * (rotated_step(u) / u));
}

/* True for open levels of nearest rounding in rotated frames. */
static bool shortens(const struct qsgd_params *p) {
    return p->rotation != 0 && p->levels == QSGD_LEVELS_OPEN && p->rounding == QSGD_ROUND_NEAREST;
}

/* The stored scale of a bucket of `len` elements, widened to float32; NaN if it is non-finite. */
static float scale_of_sums(const struct quantizer *q, const struct bucket_sums *sums, uint64_t len,
                           bool rotated) {
    const struct qsgd_params *params = &q->params;
    if (sums->max_bits >= SCALE_INF_BITS) return float_from_bits(SCALE_NAN_BITS);
    const float max = float_from_bits(sums->max_bits);
    const double count = (double)len;
    float scale = max;
    if (has_reference(params)) {
        scale = max > 0 ? (float)params->reference : 0;
    } else if (params->norm == QSGD_NORM_L2) {
        scale = (float)square_root(sums->sum);
    } else if (params->norm == QSGD_NORM_RMS) {
        scale = (float)square_root(sums->sum / count);
    } else if (params->norm == QSGD_NORM_BALANCED) {
        const double own = square_root(sums->sum / count);
        /* no block of the tensor was finite */
        scale = (float)(q->tensor_rms > 0 ? square_root(own * q->tensor_rms) : own);
    } else if (params->norm == QSGD_NORM_MEAN) {
        scale = (float)(sums->sum / count);
    } else if (params->clip > 0) {
        float clipped = (float)((double)params->clip * square_root(sums->sum / count));
        scale = clipped < max ? clipped : max;
    }
    if (rotated && shortens(params) && max > 0) scale = scale_for_nearest(q, sums, len, scale);
    return scale_in_range(params, scale, max, rotated);
}

/* A caller's scale as stored, with the same largest magnitude test. */
static float scale_of_given(const struct qsgd_params *params, float given, uint32_t max_bits) {
    if (max_bits >= SCALE_INF_BITS) return float_from_bits(SCALE_NAN_BITS);
    return scale_stored(params, given + 0.0F); /* -0 becomes +0 */
}

/* ---- elements to sums ------------------------------------------------------------------------ */

/* Which sum a norm needs beside the largest magnitude. */
enum sum_kind { SUM_NONE, SUM_SQUARES, SUM_MAGNITUDES };

static enum sum_kind sum_kind_of(const struct qsgd_params *params) {
    if (params->norm == QSGD_NORM_MEAN) return SUM_MAGNITUDES;
    if (shortens(params)) return SUM_SQUARES;
    if (has_reference(params)) return SUM_NONE;
    return params->norm == QSGD_NORM_MAX && !(params->clip > 0) ? SUM_NONE : SUM_SQUARES;
}

static void block_sums(const struct quantizer *q, const float *x, size_t n, enum sum_kind kind,
                       struct bucket_sums *sums) {
    sums->sum = 0;
    sums->spiked = false;
    if (kind == SUM_NONE) {
        sums->max_bits = q->kernels->max_bits(x, n);
    } else if (kind == SUM_SQUARES) {
        sums->max_bits = q->kernels->sum_squares(x, n, &sums->sum);
    } else {
        sums->max_bits = q->kernels->sum_magnitudes(x, n, &sums->sum);
    }
}

/* A bucket's sums from those of its blocks, in order. */
struct block_lanes {
    struct lane_sums sums;
    uint32_t max_bits;
};

static void blocks_add(struct block_lanes *l, const struct bucket_sums *block) {
    lanes_add(&l->sums, block->sum);
    l->max_bits = block->max_bits > l->max_bits ? block->max_bits : l->max_bits;
}

static struct bucket_sums blocks_fold(struct block_lanes *l) {
    return (struct bucket_sums){l->max_bits, lanes_fold(&l->sums), false};
}

/* Sums of a whole bucket of at most a chunk. */
static void short_bucket_sums(const struct quantizer *q, const float *x, uint64_t len,
                              struct bucket_sums *sums) {
    const enum sum_kind kind = sum_kind_of(&q->params);
    if (len <= NORM_BLOCK) {
        block_sums(q, x, (size_t)len, kind, sums);
        return;
    }
    struct block_lanes lanes = {.max_bits = 0};
    for (uint64_t i = 0; i < len; i += NORM_BLOCK) {
        block_sums(q, x + i, (size_t)min_u64(NORM_BLOCK, len - i), kind, sums);
        blocks_add(&lanes, sums);
    }
    *sums = blocks_fold(&lanes);
}

/* The stored scale of a bucket from its sums: the caller's, or by norm. */
static float bucket_scale(const struct tensor *t, uint64_t bucket, uint64_t len,
                          const struct bucket_sums *sums, bool rotated) {
    const struct quantizer *q = &t->q;
    if (t->source.given == NULL) return scale_of_sums(q, sums, len, rotated);
    float given;
    memcpy(&given, t->source.given + bucket, sizeof given);
    return scale_of_given(&q->params, given, sums->max_bits);
}

float scale_of_short_bucket(const struct tensor *t, uint64_t bucket, const float *x, uint64_t len,
                            struct bucket_sums *sums) {
    short_bucket_sums(&t->q, x, len, sums);
    return bucket_scale(t, bucket, len, sums, false);
}

float scale_of_rotated(const struct tensor *t, uint64_t bucket, const float *x, uint64_t len) {
    struct bucket_sums sums;
    short_bucket_sums(&t->q, x, len, &sums);
    return bucket_scale(t, bucket, len, &sums, true);
}

float scale_of_piece(const struct tensor *t, const float *x, uint64_t len, uint32_t *max_bits) {
    *max_bits = t->q.kernels->max_bits(x, (size_t)len);
    return scale_of_reference(&t->q.params, *max_bits);
}

void tensor_carve(struct tensor *t, struct memory *memory, const float *residual) {
    const struct layout *l = &t->q.layout;
    const bool topk = t->q.params.rounding == QSGD_ROUND_TOPK && l->per_bucket != 0;
    const uint64_t scales = l->per_bucket != 0 ? l->buckets * sizeof(float) : 0;
    t->scales = scales_at(memory_take(memory, scales), 0);
    t->partials = memory_take(memory, big_scales_blocks(l) * sizeof *t->partials);
    t->totals = memory_take(memory, tensor_total_blocks(&t->q) * sizeof *t->totals);
    t->cuts = memory_take(memory, topk ? l->buckets * sizeof *t->cuts : 0);
    if (!topk) t->cuts = NULL;
    const bool feedback = residual != NULL && l->per_bucket != 0;
    t->feedback_sums = memory_take(memory, feedback ? l->chunks * sizeof *t->feedback_sums : 0);
    t->feedback = memory_take(memory, feedback ? l->buckets * sizeof *t->feedback : 0);
    if (!feedback) t->feedback = NULL;
}

/* ---- before chunks start -------------------------------------------------------------------- */

/* Sums of a block of elements: nearly all have no outliers, which the sums tell. */
static void sums_without_outliers(const struct tensor *t, uint64_t first, uint64_t len,
                                  enum sum_kind kind, struct quantize_scratch *scratch,
                                  struct bucket_sums *sums) {
    const struct quantizer *q = &t->q;
    const float *x = source_read(&t->source, first, len, scratch->elements);
    block_sums(q, x, (size_t)len, kind, sums);
    if (!outliers_are_sought(q, &t->source)) return;
    if (!outliers_suspected(q, x, len, sums->max_bits)) return;
    x = outliers_read_without(q, &t->source, first, len, scratch, NULL);
    block_sums(q, x, (size_t)len, kind, sums);
    sums->spiked = true;
}

/* ---- buckets longer than a chunk ------------------------------------------------------------ */

static uint64_t blocks_per_bucket(const struct layout *l) { return div_up(l->bucket, NORM_BLOCK); }

uint64_t big_scales_blocks(const struct layout *l) {
    if (l->per_bucket == 0) return 0;
    return l->n / l->bucket * blocks_per_bucket(l) + div_up(l->n % l->bucket, NORM_BLOCK);
}

void big_scales_block(const struct tensor *t, uint64_t block, struct quantize_scratch *scratch) {
    const struct layout *l = &t->q.layout;
    uint64_t bucket = block / blocks_per_bucket(l);
    uint64_t start = block % blocks_per_bucket(l) * NORM_BLOCK;
    uint64_t len = min_u64(NORM_BLOCK, layout_bucket_len(l, bucket) - start);
    sums_without_outliers(t, bucket * l->bucket + start, len, sum_kind_of(&t->q.params), scratch,
                          &t->partials[block]);
}

void big_scales_store(const struct tensor *t, struct quantize_scratch *scratch) {
    const struct layout *l = &t->q.layout;
    const struct bucket_sums *partials = t->partials;
    for (uint64_t bucket = 0; bucket < l->buckets; bucket++) {
        uint64_t blocks = div_up(layout_bucket_len(l, bucket), NORM_BLOCK);
        struct block_lanes lanes = {.max_bits = 0};
        for (uint64_t i = 0; i < blocks; i++) blocks_add(&lanes, &partials[i]);
        const struct bucket_sums total = blocks_fold(&lanes);
        const bool given = t->source.given != NULL || t->feedback != NULL;
        const float scale =
            has_reference(&t->q.params) && !given
                ? scale_of_reference(&t->q.params, total.max_bits)
                : bucket_scale(t, bucket, layout_bucket_len(l, bucket), &total, false);
        scale_open(&t->scales, bucket, scale, false);
        if (t->feedback != NULL) {
            t->feedback[bucket] = (struct feedback_bucket){scale, FEEDBACK_NOWHERE};
        }
        if (t->cuts != NULL && !scale_is_idle(scale)) {
            t->cuts[bucket] =
                topk_select(l, &t->source, bucket, total.sum, scratch->heap, scratch->block);
        }
        partials += blocks;
    }
}

double tensor_rms(const struct tensor *t, struct quantize_scratch *scratch) {
    const struct layout *l = &t->q.layout;
    struct block_lanes lanes = {.max_bits = 0};
    for (uint64_t i = 0; i < div_up(l->n, NORM_BLOCK); i++) {
        struct bucket_sums own;
        const uint64_t first = i * NORM_BLOCK, len = min_u64(NORM_BLOCK, l->n - first);
        const bool there = big_scales_blocks(l) != 0;
        if (!there) sums_without_outliers(t, first, len, SUM_SQUARES, scratch, &own);
        blocks_add(&lanes, there ? &t->partials[i] : &own);
    }
    return square_root(blocks_fold(&lanes).sum / (double)l->n);
}

bool tensor_one_pass(const struct tensor *t) {
    const bool chosen = t->source.given == NULL && t->source.residual == NULL;
    return t->q.layout.per_bucket != 0 && has_reference(&t->q.params) && chosen;
}

/* ---- the tensor's sum ------------------------------------------------------------------------ */

/* Of each chunk, some of whose last may be empty. */
static uint64_t blocks_per_chunk(const struct layout *l) { return div_up(l->chunk, NORM_BLOCK); }

uint64_t tensor_total_blocks(const struct quantizer *q) {
    const bool wanted = q->params.norm == QSGD_NORM_BALANCED && !(q->params.reference > 0);
    return wanted ? q->layout.chunks * blocks_per_chunk(&q->layout) : 0;
}

/* Blocks that hold a NaN or Inf count as 0: what is wrong with them must not reach the others. */
void tensor_total_block(const struct tensor *t, uint64_t block, struct quantize_scratch *scratch) {
    const struct layout *l = &t->q.layout;
    const struct chunk_span span = layout_chunk(l, block / blocks_per_chunk(l));
    const uint64_t start = block % blocks_per_chunk(l) * NORM_BLOCK;
    struct bucket_sums *sums = &t->totals[block];
    *sums = (struct bucket_sums){0, 0, false};
    if (start >= span.len) return;
    const uint64_t len = min_u64(NORM_BLOCK, span.len - start);
    sums_without_outliers(t, span.first + start, len, SUM_SQUARES, scratch, sums);
    if (sums->max_bits >= SCALE_INF_BITS) sums->sum = 0;
}

void tensor_total_store(struct tensor *t) {
    struct block_lanes lanes = {.max_bits = 0};
    for (uint64_t i = 0; i < tensor_total_blocks(&t->q); i++) blocks_add(&lanes, &t->totals[i]);
    t->q.tensor_rms = square_root(blocks_fold(&lanes).sum / (double)t->q.layout.n);
}

/* ---- their outliers -------------------------------------------------------------------------- */

bool tensor_knows_outliers(const struct tensor *t, const struct chunk_span *span, bool *any) {
    const struct layout *l = &t->q.layout;
    const struct bucket_sums *sums;
    uint64_t from;
    if (tensor_total_blocks(&t->q) != 0) {
        const uint64_t chunk = layout_chunk_at(l, span->bucket, span->first);
        sums = t->totals + chunk * blocks_per_chunk(l);
        from = 0;
    } else if (l->per_bucket != 0 && !t->one_pass) {
        sums = t->partials + span->bucket * blocks_per_bucket(l);
        from = span->first - span->bucket * l->bucket;
    } else {
        return false;
    }
    *any = false;
    const uint64_t end = div_up(from + span->len, NORM_BLOCK);
    for (uint64_t b = from / NORM_BLOCK; b < end; b++) *any |= sums[b].spiked;
    return true;
}
