#include "quantize/rounding.h"

#include <string.h>

#include "quantize/source.h"

/* In rotated frames nearest rounding is for rotated buckets: in others it would be a bias. */
static bool takes_nearest(const struct quantizer *q, bool rotated) {
    return q->params.rotation == 0 || rotated;
}

void bucket_begin(const struct quantizer *q, struct bucket_state *b) {
    const float range = scale_range(b->scale), scale = b->scale * range;
    const struct levels *levels = &q->levels;
    b->range = range;
    b->variance = b->elements = 0;
    b->round.nearest = q->params.rounding == QSGD_ROUND_NEAREST && takes_nearest(q, b->rotated);
    b->round.edge = q->edge;
    b->round.turned = q->turned && quantizer_dithers(q, b->rotated);
    b->round.dithered =
        quantizer_dithers(q, b->rotated) || (q->measured && quantizer_knows_error(q));
    b->round.key = &q->key;
    b->round.crossed = !levels->zero;
    b->round.table = NULL;
    if (levels_is_table(levels)) {
        b->round.inv16 = 1.0F / scale;
        b->round.table = &q->table;
        return;
    }
    float unit = levels->gap * scale;
    float inv = 1.0F / unit;
    float cap = levels->zero ? (float)levels->largest : (float)levels->largest - 0.5F;
    b->round.inv16 = inv * 65536.0F; /* exact */
    b->round.cap16 = cap * 65536.0F;
}

/* T << 16 | low of an element between signed levels: in binary64, so that cells about 0 keep their
 * precision. One body for all backends. */
static uint64_t position_signed(const struct quantizer *q, float inv, float x) {
    const float *level = q->levels.value;
    float r = x * inv;
    r = r < -1.0F ? -1.0F : r;
    r = r > 1.0F ? 1.0F : r;
    uint32_t j = 0, last = q->levels.count - 2;
    while (j < last && level[j + 1] <= r) j++;
    double w = ((double)r - (double)level[j]) * q->signed_rcp[j] * 0x1p32;
    return ((uint64_t)j << 32) + (w < 0x1p32 ? (uint64_t)w : (uint64_t)1 << 32);
}

/* m of ENCODER.md section 6.2; nothing is complemented. The noise is R(number). */
static uint32_t round_signed(const struct quantizer *q, bool nearest, uint64_t at, uint32_t noise,
                             uint64_t number) {
    const uint32_t t = (uint32_t)(at >> 16), low = (uint32_t)(at & 0xFFFF);
    if (nearest) return (t + 0x8000) >> 16;
    const bool tie = (t & 0xFFFF) == noise;
    const bool up = tie && q->kernels->tie_noise(&q->key, number) < low;
    return ((t + (noise ^ 0xFFFF)) >> 16) + (up ? 1 : 0);
}

/* x: the run's elements times X. */
static void run_signed(const struct quantizer *q, struct bucket_state *b, const struct run *run,
                       const float *x) {
    for (size_t i = 0; i < run->n; i++) {
        float xi;
        memcpy(&xi, x + i, sizeof xi);
        const uint64_t at = position_signed(q, b->round.inv16, xi);
        const uint32_t f = (uint32_t)(at >> 16) & 0xFFFF;
        b->variance += (uint64_t)((f >> 8) * (256 - (f >> 8))) * q->signed_weight[at >> 32];
        const uint32_t noise = b->round.nearest ? 0 : run->noise[i];
        const uint32_t m =
            round_signed(q, b->round.nearest, at, noise, q->origin + run->element + i);
        run->k[i] = (int16_t)((int32_t)m + q->levels.kmin);
    }
}

static void run_topk(const struct bucket_state *b, const struct run *run) {
    uint64_t position = run->element - b->span.first;
    for (size_t i = 0; i < run->n; i++) {
        uint32_t bits;
        memcpy(&bits, run->x + i, sizeof bits);
        uint32_t magnitude = bits & 0x7FFFFFFF;
        bool taken = magnitude > b->cut.bits ||
                     (magnitude == b->cut.bits && position + i <= b->cut.position);
        run->k[i] = (int16_t)(taken ? (bits >> 31 ? -1 : 1) : 0);
    }
}

static void run_idle(const struct quantizer *q, const struct run *run) {
    if (run->k == NULL) memset(run->tokens, (int)levels_zigzag(q->levels.idle), run->n);
    for (size_t i = 0; run->k != NULL && i < run->n; i++) run->k[i] = (int16_t)q->levels.idle;
}

void run_round(const struct quantizer *q, struct bucket_state *b, const struct run *run,
               float *block) {
    b->elements += run->n;
    if (scale_is_idle(b->scale)) {
        run_idle(q, run);
        return;
    }
    if (q->params.rounding == QSGD_ROUND_TOPK) {
        run_topk(b, run);
        return;
    }
    const uint64_t number = q->origin + run->element;
    const float *x = source_in_range(run->x, run->n, b->range, block);
    if (q->levels.kind == QSGD_LEVELS_SIGNED) {
        run_signed(q, b, run, x);
        return;
    }
    if (b->round.table != NULL) {
        b->variance +=
            q->kernels->round_table(&b->round, number, x, run->noise, run->n, run->k, run->tokens);
    } else {
        b->variance += 256 * q->kernels->round_uniform(&b->round, number, x, run->noise, run->n,
                                                       run->k, run->tokens);
    }
}

void run_round_with_zeros(const struct quantizer *q, struct bucket_state *b, const struct run *run,
                          float *block, const struct zero_groups *zeros, uint64_t at) {
    const uint64_t stop = at + run->n;
    for (uint64_t from = at, end; from < stop; from = end) {
        bool zero;
        end = zero_run(zeros, from, stop, &zero);
        const size_t i = (size_t)(from - at);
        const struct run part = {run->x + i,
                                 run->noise + i,
                                 run->element + i,
                                 (size_t)(end - from),
                                 run->k == NULL ? NULL : run->k + i,
                                 run->k == NULL ? run->tokens + i : NULL};
        if (zero) {
            run_idle(q, &part);
        } else {
            run_round(q, b, &part, block);
        }
    }
}
