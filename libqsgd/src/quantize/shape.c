/* In binary64, every operation rounded once. The bounds were measured: what the rotation loses at
 * equal bits beside dithered steps, over lengths, steps and structures, and what single elements
 * gain (docs/accuracy.md). */
#include "quantize/shape.h"

#include "base/bits.h"
#include "base/square_root.h"

_Static_assert(SHAPE_BLOCK == PART_LEAST, "kernels sum blocks of shapes at once");

struct shape shape_measure(const struct kernels *kernels, const float *x, uint64_t n) {
    struct shape s = {0, 0, 0, 0};
    for (uint64_t at = 0; at < n; at += PART_LEAST) {
        const size_t len = (size_t)min_u64(PART_LEAST, n - at);
        double sums[3];
        kernels->shape_sums(x + at, len, sums);
        s.squares = s.squares + sums[0];
        s.magnitudes = s.magnitudes + sums[1];
        s.elements = s.elements + sums[2];
        s.roots = s.roots + square_root((double)len * sums[0]);
    }
    return s;
}

bool shape_is_even(const struct shape *s, uint64_t n) {
    return 10.0 * (s->roots * s->roots) >= 7.0 * ((double)n * s->squares);
}

bool shape_rotates(const struct kernels *kernels, const struct shape *s, const float *x, uint64_t n,
                   double unit, double turned) {
    const double count = (double)n, energy = count * s->squares;
    const double rms = square_root(s->squares / count);
    const double a = s->magnitudes * s->magnitudes, mean = s->elements * s->elements;
    const double z = (double)min_u64(floor_log2(n), 11);
    if (!(10.0 * turned <= 8.0 * z - 27.0)) return false;                      /* quiet */
    if (!(10.0 * rms <= 7.0 * unit)) return false;                             /* loud */
    if (!(20.0 * a * unit >= energy * (7.0 * unit + 6.0 * rms))) return false; /* sparse */
    if (!(5.0 * a <= 4.0 * energy)) return false;                              /* flat */
    if (!(4.0 * mean <= a)) return false;                                      /* of one sign */
    /* of continuous elements none */
    return shape_is_even(s, n) && 16 * kernels->equal_pairs(x, (size_t)n) < 3 * n;
}
