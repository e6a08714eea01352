/* Scales by projection. With e the elements of a bucket and h what their indices decode to at scale
 * 1, the dither's part included:
 *
 *   rescaling       s = <e,e> / <e,h>     <s h, e> = <e, e>: nothing is lost along e (EDEN,
 * Vargaftik et al., ICML 2022) error feedback  s = <e,h> / <h,h>     |e - s h| is least, and no
 * more than |e|
 */
#include "quantize/projection.h"

#include <string.h>

#include "quantize/lane_sums.h"
#include "quantize/values.h"

/* Elements that are summed at once: cut where the numbers that noise is counted by are multiples of
 * it. */
#define PIECE QUANTIZE_SMALL_BLOCK

/* R(from) .. R(to - 1). */
static const uint16_t *noise_of(struct decoded *d, uint64_t from, uint64_t to) {
    if (from < d->noise_from || to > d->noise_to) {
        d->noise_from = from - from % NOISE_TILE;
        d->noise_to = min_u64(d->noise_from + QUANTIZE_BLOCK, d->q->origin + d->end);
        kernels_noise(d->q->kernels, &d->q->key, d->noise_from, d->noise_to, d->scratch->noise);
    }
    return d->scratch->noise + (from - d->noise_from);
}

/* What groups of zeros decode to. */
static void clear_zeros(const struct decoded *d, uint64_t at, uint64_t n, float *h) {
    const uint64_t from = at - d->first, to = from + n;
    for (uint64_t i = from, end; i < to; i = end) {
        bool zero;
        end = zero_run(&d->zeros, i, to, &zero);
        if (zero) memset(h + (i - from), 0, (size_t)(end - i) * sizeof *h);
    }
}

struct projection projection_of(struct decoded *d, uint64_t first, uint64_t len, bool rotated,
                                const float *x, const int16_t *k) {
    const bool noisy = (d->damping != 0 || d->q->turned) && quantizer_dithers(d->q, rotated);
    const struct kernels *kernels = d->q->kernels;
    struct lane_sums elements = {.blocks = 0}, products = {.blocks = 0}, squares = {.blocks = 0};
    float *h = d->scratch->block;
    for (uint64_t i = 0, n; i < len; i += n) {
        const uint64_t at = first + i, number = d->q->origin + at;
        n = min_u64(PIECE - number % PIECE, len - i);
        double sum;
        const uint16_t *noise = noisy ? noise_of(d, number, number + n) : NULL;
        values_at_one(d->q, d->damping, k + i, noise, (size_t)n, h);
        if (!rotated && zeros_any(&d->zeros)) clear_zeros(d, at, n, h);
        kernels->sum_squares(x + i, (size_t)n, &sum);
        lanes_add(&elements, sum);
        kernels->sum_products(x + i, h, (size_t)n, &sum);
        lanes_add(&products, sum);
        kernels->sum_squares(h, (size_t)n, &sum);
        lanes_add(&squares, sum);
    }
    return (struct projection){lanes_fold(&elements), lanes_fold(&products), lanes_fold(&squares)};
}

/* As stored, to the nearest: to round up would be a bias. May be 0, or infinite. */
static float nearest_stored(const struct qsgd_params *params, double scale) {
    const float found = (float)scale;
    if (params->scale_dtype == QSGD_FLOAT32) return found;
    const uint32_t bits = float_bits(found);
    return float_from_bits((bits + 0x7FFF + (bits >> 16 & 1)) >> 16 << 16);
}

/* Every scale below twice the best one leaves less than there was, so the largest that can be
 * stored will do where the best cannot. */
float projection_least(const struct qsgd_params *params, const struct projection *p) {
    if (!(p->products > 0)) return 0;
    const float scale = nearest_stored(params, p->products / p->squares);
    const uint32_t most = params->scale_dtype == QSGD_FLOAT32 ? 0x7F7FFFFF : 0x7F7F0000;
    return float_bits(scale) > most ? float_from_bits(most) : scale;
}

uint64_t projection_largest(const float *x, uint64_t len, uint32_t *most) {
    uint64_t at = 0;
    for (uint64_t i = 0; i < len; i++) {
        uint32_t bits;
        memcpy(&bits, x + i, sizeof bits);
        bits &= 0x7FFFFFFF;
        if (bits > *most) {
            *most = bits;
            at = i;
        }
    }
    return at;
}

void projection_force(const float *x, int16_t *k) {
    float element;
    memcpy(&element, x, sizeof element);
    *k = (int16_t)(*k + (float_bits(element) >> 31 ? -1 : 1));
}

void projection_force_at(struct decoded *d, uint64_t at, bool rotated, const float *x, int16_t *k) {
    const uint64_t number = d->q->origin + at;
    const int16_t before = *k;
    projection_force(x, k);
    if (!d->q->turned || !quantizer_dithers(d->q, rotated)) return;
    if (*noise_of(d, number, number + 1) >> 15 != 0) *k = (int16_t)(2 * before - *k);
}

void projection_force_largest(struct decoded *d, uint64_t first, uint64_t len, bool rotated,
                              const float *x, int16_t *k) {
    uint32_t most = 0;
    const uint64_t at = projection_largest(x, len, &most);
    projection_force_at(d, first + at, rotated, x + at, k + at);
}

float projection_rescale(const struct quantizer *q, uint64_t first, uint64_t len, const float *x,
                         float scale, struct quantize_scratch *scratch, int16_t *k) {
    struct decoded d = decoded_of(q, scratch, first + len, 0);
    const bool rotated = q->params.rotation != 0; /* no other bucket of such frames comes here */
    struct projection p = projection_of(&d, first, len, rotated, x, k);
    if (!(p.products > 0)) { /* all are 0: to say nothing of a bucket would be a bias */
        projection_force_largest(&d, first, len, rotated, x, k);
        p = projection_of(&d, first, len, rotated, x, k);
    }
    const float found = nearest_stored(&q->params, p.elements / p.products);
    const uint32_t bits = float_bits(found);
    return bits == 0 || bits >= SCALE_INF_BITS ? scale : found;
}
