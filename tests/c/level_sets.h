/* Sets of levels of every kind. */
#ifndef QSGD_TESTS_LEVEL_SETS_H
#define QSGD_TESTS_LEVEL_SETS_H

#include "grid/levels.h"

/* kind, s or entries, zero */
static const struct {
    int32_t kind;
    uint32_t count;
    int32_t zero;
} level_sets[] = {
    {QSGD_LEVELS_UNIFORM, 1, 1},     {QSGD_LEVELS_UNIFORM, 1, 0},
    {QSGD_LEVELS_UNIFORM, 7, 1},     {QSGD_LEVELS_UNIFORM, 7, 0},
    {QSGD_LEVELS_UNIFORM, 15, 1},    {QSGD_LEVELS_UNIFORM, 15, 0},
    {QSGD_LEVELS_UNIFORM, 16, 1},    {QSGD_LEVELS_UNIFORM, 16, 0},
    {QSGD_LEVELS_UNIFORM, 127, 1},   {QSGD_LEVELS_UNIFORM, 32767, 1},
    {QSGD_LEVELS_UNIFORM, 32767, 0}, {QSGD_LEVELS_EXPONENTIAL, 127, 1},
    {QSGD_LEVELS_EXPONENTIAL, 5, 0}, {QSGD_LEVELS_SIGNED, 2, 1},
    {QSGD_LEVELS_SIGNED, 7, 1},      {QSGD_LEVELS_SIGNED, 8, 1},
    {QSGD_LEVELS_SIGNED, 255, 1},    {QSGD_LEVELS_OPEN, 0, 1},
};
#define LEVEL_SETS (sizeof level_sets / sizeof *level_sets)

static inline void build_levels(struct levels *levels, int32_t kind, uint32_t count, int32_t zero) {
    float table[QSGD_MAX_LEVEL_TABLE];
    for (uint32_t i = 0; i < count && i < QSGD_MAX_LEVEL_TABLE; i++) {
        table[i] = kind == QSGD_LEVELS_SIGNED ? 2.0F * (float)i / (float)(count - 1) - 1.0F
                                              : (float)(i + 1) / (float)count;
    }
    qsgd_params params = {.levels = kind,
                          .s = count,
                          .level_table_len = count,
                          .level_table = table,
                          .zero = zero,
                          .step = 0.25F};
    levels_build(levels, &params);
}

#endif
