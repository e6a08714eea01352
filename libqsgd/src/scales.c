/* Scales of buckets, by exactly rounded operations in the order of FORMAT.md section 4. */
#include "scales.h"

/* Correctly rounded square root as one instruction where the CPU has it, so that the core needs no
 * libm: compilers may call sqrt() to set errno, which -fno-math-errno (CMakeLists.txt) forbids. */
static double square_root(double x) { return __builtin_sqrt(x); }

static float scale_stored(const struct qsgd_params *params, float scale) {
    uint32_t bits = scale_bits(scale);
    if (params->scale == QSGD_SCALE_BFLOAT16) bits = ((bits + 0xFFFF) >> 16) << 16;
    return scale_from_bits(bits >= SCALE_INF_BITS ? SCALE_NAN_BITS : bits);
}

float scale_of_sums(const struct qsgd_params *params, const struct bucket_sums *sums, uint64_t len,
                    double tensor_rms) {
    if (sums->max_bits >= SCALE_INF_BITS) return scale_from_bits(SCALE_NAN_BITS);
    const float max = scale_from_bits(sums->max_bits);
    const double count = (double)len;
    float scale = max;
    if (params->norm == QSGD_NORM_L2) {
        scale = (float)square_root(sums->sum);
    } else if (params->norm == QSGD_NORM_RMS) {
        scale = (float)square_root(sums->sum / count);
    } else if (params->norm == QSGD_NORM_BALANCED) {
        scale = (float)square_root(square_root(sums->sum / count) * tensor_rms);
    } else if (params->norm == QSGD_NORM_MEAN) {
        scale = (float)(sums->sum / count);
    } else if (params->clip > 0) {
        float clipped = (float)((double)params->clip * square_root(sums->sum / count));
        scale = clipped < max ? clipped : max;
    }
    if (params->levels == QSGD_LEVELS_OPEN) {
        float range = 32767.0F * params->step;
        float least = max / range;
        scale = least > scale ? least : scale;
    }
    if (scale == 0 && max > 0) scale = 0x1p-149F;
    return scale_stored(params, scale);
}

float scale_of_given(const struct qsgd_params *params, float given, uint32_t max_bits) {
    if (max_bits >= SCALE_INF_BITS) return scale_from_bits(SCALE_NAN_BITS);
    return scale_stored(params, given + 0.0F); /* -0 becomes +0 */
}

float scale_rescaled(const struct qsgd_params *params, float scale, double squares,
                     double projection) {
    const float found = (float)(squares / projection);
    uint32_t bits = scale_bits(found);
    if (params->scale == QSGD_SCALE_BFLOAT16) { /* to nearest even: up would be a bias */
        bits = ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16) << 16;
    }
    return bits == 0 || bits >= SCALE_INF_BITS ? scale : scale_from_bits(bits);
}
