/* In binary64, every operation rounded once. The bounds were measured: what the rotation loses at
 * equal bits beside dithered steps, over lengths, steps and structures, and what single elements
 * gain (docs/accuracy.md). */
#include "quantize/shape.h"

#include <string.h>

#include "base/bits.h"
#include "base/square_root.h"

static const float ones[PART_LEAST] = {
#define ONES8 1, 1, 1, 1, 1, 1, 1, 1
#define ONES32 ONES8, ONES8, ONES8, ONES8
    ONES32, ONES32, ONES32, ONES32};

struct shape shape_measure(const struct kernels *kernels, const float *x, uint64_t n) {
    struct shape s = {0, 0, 0, 0};
    for (uint64_t at = 0; at < n; at += PART_LEAST) {
        const size_t len = (size_t)min_u64(PART_LEAST, n - at);
        double squares, magnitudes, elements;
        kernels->sum_squares(x + at, len, &squares);
        kernels->sum_magnitudes(x + at, len, &magnitudes);
        kernels->sum_products(x + at, ones, len, &elements);
        s.squares = s.squares + squares;
        s.magnitudes = s.magnitudes + magnitudes;
        s.elements = s.elements + elements;
        s.roots = s.roots + square_root((double)len * squares);
    }
    return s;
}

bool shape_is_even(const struct shape *s, uint64_t n) {
    return 10.0 * (s->roots * s->roots) >= 7.0 * ((double)n * s->squares);
}

/* Pairs of the same magnitude among aligned fours: none where elements are continuous. */
static uint64_t equal_pairs(const float *x, uint64_t n) {
    uint64_t pairs = 0;
    for (uint64_t i = 0; i < n; i += 4) {
        uint32_t m[4];
        memcpy(m, x + i, sizeof m);
        for (int j = 0; j < 4; j++) m[j] <<= 1;
        pairs += (uint64_t)((m[0] == m[1]) + (m[0] == m[2]) + (m[0] == m[3]) + (m[1] == m[2]) +
                            (m[1] == m[3]) + (m[2] == m[3]));
    }
    return pairs;
}

bool shape_rotates(const struct shape *s, const float *x, uint64_t n, double unit, double turned) {
    const double count = (double)n, energy = count * s->squares;
    const double rms = square_root(s->squares / count);
    const double a = s->magnitudes * s->magnitudes, mean = s->elements * s->elements;
    const double z = (double)min_u64(floor_log2(n), 11);
    if (!(10.0 * turned <= 8.0 * z - 27.0)) return false;                      /* quiet */
    if (!(10.0 * rms <= 7.0 * unit)) return false;                             /* loud */
    if (!(20.0 * a * unit >= energy * (7.0 * unit + 6.0 * rms))) return false; /* sparse */
    if (!(5.0 * a <= 4.0 * energy)) return false;                              /* flat */
    if (!(4.0 * mean <= a)) return false;                                      /* of one sign */
    return shape_is_even(s, n) && 16 * equal_pairs(x, n) < 3 * n;
}
