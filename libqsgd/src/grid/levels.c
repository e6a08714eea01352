/* Builds the set of levels from checked parameters (FORMAT.md section 8.3).
 *
 * Rounding, decoding and the integer codes all take ranges, gap and level values from here. No
 * libm: every gap is one float32 operation, and powers of two are put together from their bits. */
#include "grid/levels.h"

#include <string.h>

/* 2^exponent for -126 <= exponent <= 127. */
static float power_of_two(int32_t exponent) {
    uint32_t bits = (uint32_t)(127 + exponent) << 23;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static float level_gap(const struct levels *levels, const struct qsgd_params *params) {
    uint32_t count = levels->count;
    if (levels->kind == QSGD_LEVELS_OPEN) return params->step;
    if (levels->kind == QSGD_LEVELS_SIGNED) return 2.0F / (float)(count - 1);
    return levels->zero ? 1.0F / (float)count : 2.0F / (float)(2 * count - 1);
}

void levels_build(struct levels *levels, const struct qsgd_params *params) {
    memset(levels, 0, sizeof *levels);
    levels->kind = params->levels;
    bool is_signed = params->levels == QSGD_LEVELS_SIGNED;
    bool is_open = params->levels == QSGD_LEVELS_OPEN;
    levels->zero = is_signed || is_open || params->zero != 0;
    levels->idle = levels->zero ? 0 : 1;

    if (is_open) {
        levels->count = QSGD_MAX_S;
    } else if (is_signed || params->levels == QSGD_LEVELS_TABLE) {
        levels->count = params->level_table_len;
        memcpy(levels->value + (is_signed ? 0 : 1), params->level_table,
               params->level_table_len * sizeof(float));
    } else {
        levels->count = params->s;
    }
    if (params->levels == QSGD_LEVELS_EXPONENTIAL) {
        for (uint32_t i = 1; i <= levels->count; i++) {
            levels->value[i] = power_of_two((int32_t)i - (int32_t)levels->count);
        }
    }

    int32_t count = (int32_t)levels->count;
    levels->largest = is_signed ? count / 2 : count;
    levels->kmin = -levels->largest;
    levels->kmax = is_signed ? count - 1 - count / 2 : count;
    levels->gap = level_gap(levels, params);
    uint32_t middle = 0;
    if (is_signed) memcpy(&middle, &levels->value[count / 2], sizeof middle);
    levels->plain_zero = levels->zero && middle == 0;
}

uint32_t levels_ranks(const struct levels *levels) {
    if (levels->kind == QSGD_LEVELS_SIGNED) return levels->count;
    return 2 * levels->count + (levels->zero ? 1 : 0);
}
