/* Scales by projection (ENCODER.md section 7): once indices are known, the multiple of what they
 * decode to whose projection on the elements is these themselves (rescaling), or that leaves least
 * of them (error feedback, quantize/feedback.c). Stage: indices -> scale. */
#ifndef QSGD_QUANTIZE_PROJECTION_H
#define QSGD_QUANTIZE_PROJECTION_H

#include "grid/live.h"
#include "quantize/quantizer.h"

/* A chunk, or bucket, whose indices are known, and the noise that they were read by. */
struct decoded {
    const struct quantizer *q;
    struct quantize_scratch *scratch;
    uint64_t end; /* of its elements */
    uint8_t damping;
    struct zero_groups zeros; /* of the chunk, which starts at element `first` */
    uint64_t first;
    uint64_t noise_from, noise_to; /* R(noise_from) .. R(noise_to - 1) are in the scratch */
};

static inline struct decoded decoded_of(const struct quantizer *q, struct quantize_scratch *scratch,
                                        uint64_t end, uint8_t damping) {
    return (struct decoded){q, scratch, end, damping, {NULL, ZERO_GROUP_LOG2, NULL}, 0, 0, 0};
}

/* Sums over elements e and what they decode to at scale 1, h. */
struct projection {
    double elements; /* <e, e> */
    double products; /* <e, h> */
    double squares;  /* <h, h> */
};

/* Of elements [first, first + len) of one bucket, x and k theirs. */
struct projection projection_of(struct decoded *d, uint64_t first, uint64_t len, bool rotated,
                                const float *x, const int16_t *k);

/* The stored scale that leaves least: +0 if none is better than nothing. */
float projection_least(const struct qsgd_params *params, const struct projection *p);

/* Where the first element of the largest magnitude is, if that is above *most, which it becomes;
 * else 0. */
uint64_t projection_largest(const float *x, uint64_t len, uint32_t *most);

/* Makes an index that decodes to 0, and is not turned, the next one on the side of element *x. */
void projection_force(const float *x, int16_t *k);

/* The same for element `at`, whose index may be a turned one (FORMAT.md 8.2); and for the first of
 * the largest magnitude of those that projection_of is given. */
void projection_force_at(struct decoded *d, uint64_t at, bool rotated, const float *x, int16_t *k);
void projection_force_largest(struct decoded *d, uint64_t first, uint64_t len, bool rotated,
                              const float *x, int16_t *k);

/* Rescaling, of nearest rounding: the scale to store of a whole bucket that is not idle. May force
 * one index. */
float projection_rescale(const struct quantizer *q, uint64_t first, uint64_t len, const float *x,
                         float scale, struct quantize_scratch *scratch, int16_t *k);

#endif
