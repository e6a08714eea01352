/* Parameters: defaults, ranges and combinations (FORMAT.md section 4.2). */
#include "frame/params.h"

#include <string.h>

#include "base/bits.h"
#include "base/error.h"
#include "base/given.h"
#include "base/ranges.h"
#include "codes/codes.h"
#include "codes/shared_tables.h"
#include "codes/tokens.h"
#include "grid/layout.h"
#include "grid/levels.h"

static const struct struct_row row = STRUCT_ROW(qsgd_params, shared_tables_bytes, "params");

static const qsgd_params defaults = {
    .struct_size = sizeof(qsgd_params),
    .norm = QSGD_NORM_BALANCED,
    .levels = QSGD_LEVELS_AUTO,
    .s = 7,
    .zero = 1,
    .bucket = 512,
    .rounding = QSGD_ROUND_AUTO,
    .code = QSGD_CODE_RANS,
    .scale_dtype = QSGD_BFLOAT16,
    .checksum = 1,
    .chunk_log2 = 16,
};
#define STEP_LEFT_OUT 0.5F /* 3 bits an element of normal numbers, error 0.02 */

static int open_norm(const qsgd_params *p) {
    return p->norm == QSGD_NORM_RMS || p->norm == QSGD_NORM_BALANCED;
}

void params_resolve(qsgd_params *p) {
    if (p->levels == QSGD_LEVELS_AUTO) {
        p->levels = open_norm(p) ? QSGD_LEVELS_OPEN : QSGD_LEVELS_UNIFORM;
    }
    const int is_open = p->levels == QSGD_LEVELS_OPEN;
    if (p->rounding == QSGD_ROUND_AUTO) {
        const struct code *code = code_find(p->code);
        const int sparse = code != NULL && code->sparse;
        p->rounding = is_open && !sparse ? QSGD_ROUND_DITHERED : QSGD_ROUND_STOCHASTIC;
    }
    if (is_open && p->step == 0 && !params_have_target(p)) p->step = STEP_LEFT_OUT;
}

/* Programs that were built with the headers of 0.1 go on with its defaults. */
qsgd_status qsgd_params_init_sized(qsgd_params *params, size_t struct_size) {
    const qsgd_status status = struct_init(&row, params, struct_size, &defaults);
    if (status == QSGD_OK && struct_size == row.sizes[0]) {
        params->norm = QSGD_NORM_MAX;
        params->levels = QSGD_LEVELS_UNIFORM;
        params->rounding = QSGD_ROUND_STOCHASTIC;
    }
    return status;
}

int params_finite(float f) { return (float_bits(f) & 0x7F800000) != 0x7F800000; }

#define PARAM(name, reason) error_parameter(error, QSGD_ERR_PARAM, name, reason)
#define COMBINATION(name, reason) error_parameter(error, QSGD_ERR_COMBINATION, name, reason)
#define TABLE(reason) error_parameter(error, QSGD_ERR_LEVEL_TABLE, "level_table", reason)

static qsgd_status check_table(const qsgd_params *p, qsgd_error *error) {
    const int is_signed = p->levels == QSGD_LEVELS_SIGNED;
    const uint32_t least = is_signed ? 2 : 1, most = is_signed ? 255 : 127;
    if (p->level_table_len < least || p->level_table_len > most) {
        return error_parameter(error, QSGD_ERR_LEVEL_TABLE, "level_table_len",
                               is_signed ? "a signed table has 2 to 255 entries"
                                         : "a mirrored table has 1 to 127 entries");
    }
    if (p->level_table == NULL)
        return error_parameter(error, QSGD_ERR_NULL, "level_table", "level_table is NULL");
    float before = 0;
    for (uint32_t i = 0; i < p->level_table_len; i++) {
        float level;
        memcpy(&level, p->level_table + i, sizeof level);
        if (!params_finite(level)) return TABLE("levels must be finite");
        if (i == 0 && is_signed && level != -1.0F) return TABLE("a signed table starts at -1");
        if (i == 0 && !is_signed && level < 0x1p-126F) {
            return TABLE("the first level of a mirrored table is at least 2^-126 (0 is implied)");
        }
        if (i > 0 && !(level - before >= 0x1p-126F)) {
            return TABLE("levels must increase strictly, by 2^-126 at least");
        }
        before = level;
    }
    return before == 1.0F ? QSGD_OK : TABLE("the last level must be 1");
}

static qsgd_status check_levels(const qsgd_params *p, qsgd_error *error) {
    switch (p->levels) {
    case QSGD_LEVELS_UNIFORM:
        if (p->s < 1 || p->s > QSGD_MAX_S) return PARAM("s", "s must lie in 1..32767");
        break;
    case QSGD_LEVELS_EXPONENTIAL:
        if (p->s < 1 || p->s > 127)
            return PARAM("s", "s must lie in 1..127 for exponential levels");
        break;
    case QSGD_LEVELS_OPEN:
        if (params_have_target(p) ? p->step != 0 : !(p->step >= 0x1p-20F && p->step <= 0x1p20F)) {
            return params_have_target(p)
                       ? COMBINATION("step", "a target finds the step: step must be 0 with one")
                       : PARAM("step", "step must lie in 2^-20..2^20");
        }
        if (!p->zero) return COMBINATION("zero", "open levels always hold 0");
        break;
    default:
        if (p->levels == QSGD_LEVELS_SIGNED && !p->zero) {
            return COMBINATION("zero", "a signed table says itself whether 0 is a level");
        }
        return check_table(p, error);
    }
    return QSGD_OK;
}

int params_code_fits(const qsgd_params *p, int32_t code) {
    const struct code *row = code_find(code);
    if (row == NULL || !row->sparse) return 1;
    return p->zero && p->levels != QSGD_LEVELS_SIGNED && !scheme_dithers(p);
}

/* True if every bucket lies within a chunk, however long the tensor. */
static int buckets_fit(const qsgd_params *p) {
    return p->bucket != 0 && p->bucket <= (uint64_t)1 << p->chunk_log2;
}

static qsgd_status check_rotation(const qsgd_params *p, qsgd_error *error) {
    if (p->rotation == 0) return QSGD_OK;
    if (code_is_exact(p->code))
        return COMBINATION("rotation", "raw and lossless frames are not rotated");
    if (!buckets_fit(p)) {
        return COMBINATION("rotation",
                           "rotation needs buckets within chunks: bucket in 1..2^chunk_log2");
    }
    return QSGD_OK;
}

static int uniform1(const qsgd_params *p) { return p->levels == QSGD_LEVELS_UNIFORM && p->s == 1; }

qsgd_status params_check_scheme(const qsgd_params *p, qsgd_error *error) {
    qsgd_status status = check_levels(p, error);
    if (status == QSGD_OK) status = check_rotation(p, error);
    if (status != QSGD_OK) return status;
    if (p->rounding == QSGD_ROUND_DITHERED && uniform1(p)) {
        return COMBINATION("rounding",
                           "dithered needs more than one level (s=1 is TernGrad or sign)");
    }
    if (!params_code_fits(p, p->code)) {
        return COMBINATION("code", p->rounding == QSGD_ROUND_DITHERED
                                       ? "dithered refuses sparse codes: zeros would carry noise"
                                       : "sparse codes need 0 as the level of index 0");
    }
    return QSGD_OK;
}

qsgd_status params_check_encoder(const qsgd_params *p, qsgd_error *error) {
    if (open_norm(p) != (p->levels == QSGD_LEVELS_OPEN)) {
        return COMBINATION("norm",
                           "norms rms and balanced, and open levels (step), need each other");
    }
    if (p->norm > QSGD_NORM_BALANCED)
        return PARAM("norm", "norm must be one of QSGD_NORM_* (0..4)");
    if (p->norm == QSGD_NORM_MEAN &&
        !(uniform1(p) && !p->zero && p->rounding == QSGD_ROUND_NEAREST)) {
        return COMBINATION("norm",
                           "norm mean is for sign alone: uniform, s=1, no zero level, nearest");
    }
    if (p->rounding == QSGD_ROUND_TOPK && !(uniform1(p) && p->zero && p->norm == QSGD_NORM_L2)) {
        return COMBINATION("rounding", "topk needs norm l2 and uniform levels with s=1 and 0");
    }
    if (p->rounding == QSGD_ROUND_TOPK && p->rotation != 0) {
        return COMBINATION("rotation", "topk sends the largest elements: it refuses rotation");
    }
    return QSGD_OK;
}

static qsgd_status check_shared(const qsgd_params *p, qsgd_error *error) {
    struct shared_tables tables;
    if (p->shared_tables == NULL && p->shared_tables_bytes == 0) return QSGD_OK;
    qsgd_status status =
        shared_tables_parse(p->shared_tables, p->shared_tables_bytes, &tables, error);
    if (status != QSGD_OK) return status;
    if (p->code != tables.code) {
        return COMBINATION("shared_tables",
                           p->code == QSGD_CODE_HUFFMAN || p->code == QSGD_CODE_RANS
                               ? "the tables are those of the other code"
                               : "only huffman and rans can share tables");
    }
    struct levels levels;
    levels_build(&levels, p);
    if (tables.direct != tokens_direct(&levels)) {
        return COMBINATION("shared_tables",
                           "the tables' tokens have extra bits where the levels' have "
                           "none, or the other way round");
    }
    return QSGD_OK;
}

#define RANGE(field, most, also, reason)                                                           \
    {#field, offsetof(qsgd_params, field), 0, most, also, #field " must be " reason}

static const struct range enumerations[] = {
    RANGE(norm, 4, 0, "one of QSGD_NORM_* (0..4)"),
    RANGE(levels, 4, 0, "one of QSGD_LEVELS_* (0..4)"),
    RANGE(zero, 1, 0, "0 or 1"),
    RANGE(rounding, 3, 0, "one of QSGD_ROUND_* (0..3)"),
    RANGE(code, QSGD_CODE_LOSSLESS, QSGD_CODE_AUTO, "one of QSGD_CODE_* (0..11, 255)"),
    RANGE(classes, 2, 0, "one of QSGD_CLASSES_* (0..2)"),
    RANGE(scale_dtype, 0, QSGD_BFLOAT16, "QSGD_FLOAT32 or QSGD_BFLOAT16 (0, 3)"),
    RANGE(nonfinite, 1, 0, "one of QSGD_NONFINITE_* (0..1)"),
    RANGE(rotation, 1, 0, "0 or 1"),
    RANGE(rescale, 1, 0, "0 or 1"),
    RANGE(checksum, 1, 0, "0 or 1"),
    RANGE(exact_zeros, 1, 0, "0 or 1"),
    RANGE(strict, 1, 0, "0 or 1"),
    RANGE(slot, 1, 0, "0 or 1"),
};

static qsgd_status check_rescale(const qsgd_params *p, qsgd_error *error) {
    if (p->rescale == 0) return QSGD_OK;
    if (p->rounding != QSGD_ROUND_NEAREST || code_is_exact(p->code) ||
        (p->levels != QSGD_LEVELS_UNIFORM && p->levels != QSGD_LEVELS_OPEN)) {
        return COMBINATION("rescale", "rescale needs nearest rounding to uniform or open levels");
    }
    if (!buckets_fit(p)) {
        return COMBINATION("rescale",
                           "rescale needs buckets within chunks: bucket in 1..2^chunk_log2");
    }
    return QSGD_OK;
}

static qsgd_status check_dead_zone(const qsgd_params *p, qsgd_error *error) {
    if (!(p->dead_zone >= 0 && p->dead_zone < 0.5)) {
        return PARAM("dead_zone", "dead_zone must lie in 0..0.5, and below 0.5");
    }
    if (p->dead_zone == 0) return QSGD_OK;
    if (p->rounding != QSGD_ROUND_NEAREST || p->rotation != 0) {
        return COMBINATION("dead_zone", "a dead zone needs nearest rounding, without rotation");
    }
    if (!p->zero || p->levels == QSGD_LEVELS_SIGNED) {
        return COMBINATION("dead_zone", "a dead zone needs mirrored levels that hold 0");
    }
    return QSGD_OK;
}

static qsgd_status check_targets(const qsgd_params *p, qsgd_error *error) {
    if (p->target_bits != 0 && !(p->target_bits >= 0.25 && p->target_bits <= 12)) {
        return PARAM("target_bits", "target_bits must be 0 (off) or lie in 0.25..12");
    }
    if (p->target_error != 0 && !(p->target_error >= 1e-6 && p->target_error <= 0.9)) {
        return PARAM("target_error", "target_error must be 0 (off) or lie in 1e-6..0.9");
    }
    if (p->target_bits != 0 && p->target_error != 0) {
        return COMBINATION("target_error", "one target at a time: bits or an error");
    }
    if (p->slot && (p->target_bits == 0 || p->code != QSGD_CODE_RANS)) {
        return COMBINATION("slot", "slots need a target in bits, and code rans");
    }
    if (p->slot && p->bucket > 0 && p->bucket < 256) {
        return COMBINATION("slot", "slots need bucket 0 (the whole tensor), or 256 and more");
    }
    if (!params_have_target(p)) return QSGD_OK;
    if (p->levels != QSGD_LEVELS_OPEN) {
        return COMBINATION(p->target_bits != 0 ? "target_bits" : "target_error",
                           "targets choose the step of open levels (norm rms or balanced)");
    }
    if (code_is_exact(p->code)) {
        return COMBINATION("code", "raw and lossless frames are exact: they have no target");
    }
    return QSGD_OK;
}

/* True if some level is 0. */
static int holds_zero(const qsgd_params *p) {
    if (p->levels != QSGD_LEVELS_SIGNED) return p->zero;
    for (uint32_t i = 0; i < p->level_table_len; i++) {
        float level;
        memcpy(&level, p->level_table + i, sizeof level);
        if (level == 0) return 1;
    }
    return 0;
}

static qsgd_status check(const qsgd_params *p, qsgd_error *error) {
    qsgd_status status =
        ranges_check(p, enumerations, sizeof enumerations / sizeof *enumerations, error);
    if (status != QSGD_OK) return status;
    if (p->bucket > QSGD_MAX_ELEMENTS) return PARAM("bucket", "bucket must lie in 0..2^47");
    if (p->chunk_log2 < CHUNK_LOG2_LEAST || p->chunk_log2 > CHUNK_LOG2_MOST) {
        return PARAM("chunk_log2", "chunk_log2 must lie in 10..18");
    }
    if (!(p->feedback_decay >= 0 && p->feedback_decay <= 1)) {
        return PARAM("feedback_decay", "feedback_decay must lie in 0..1");
    }
    if (!(p->clip >= 0) || !params_finite(p->clip)) {
        return PARAM("clip", "clip must be 0 (off) or finite and positive");
    }
    if (p->reference != 0 && !(p->reference >= 0x1p-149 && p->reference <= 0x1p127)) {
        return PARAM("reference", "reference must be 0 (none) or lie in 2^-149..2^127");
    }
    if (p->reference != 0 && p->norm != QSGD_NORM_RMS && p->norm != QSGD_NORM_BALANCED) {
        return COMBINATION("reference", "reference needs norm rms or balanced");
    }
    if (p->clip > 0 && p->norm != QSGD_NORM_MAX) {
        return COMBINATION("clip", "clip needs norm max");
    }
    status = check_rescale(p, error);
    if (status == QSGD_OK) status = check_dead_zone(p, error);
    if (status == QSGD_OK) status = check_targets(p, error);
    if (status != QSGD_OK) return status;
    if (p->levels != QSGD_LEVELS_OPEN && p->step != 0) {
        return COMBINATION("step", "step is for open levels alone: it must be 0 otherwise");
    }
    status = params_check_scheme(p, error);
    if (status == QSGD_OK) status = params_check_encoder(p, error);
    if (status != QSGD_OK) return status;
    if (p->exact_zeros && !code_is_exact(p->code) && !holds_zero(p)) {
        return COMBINATION("exact_zeros", "exact zeros need 0 among the levels");
    }
    return check_shared(p, error);
}

qsgd_status params_take(const qsgd_params *given, qsgd_params *to, qsgd_error *error) {
    *to = defaults;
    const qsgd_status status = struct_take(&row, given, to, error);
    if (status != QSGD_OK) return status;
    params_resolve(to);
    return check(to, error);
}

qsgd_status params_give(const qsgd_params *params, qsgd_params *given, qsgd_error *error) {
    const qsgd_status status = struct_check(&row, given, error);
    if (status == QSGD_OK) struct_give(&row, params, given);
    return status;
}

qsgd_status qsgd_params_check(const qsgd_params *params, qsgd_error *error) {
    qsgd_params taken;
    return params_take(params, &taken, error);
}

int params_shape(const uint64_t *shape, uint32_t ndim, uint64_t *product) {
    uint64_t n = 1;
    int empty = 0;
    for (uint32_t d = 0; d < ndim; d++) {
        if (shape[d] == 0) empty = 1;
        if (shape[d] == 0) continue;
        if (shape[d] > QSGD_MAX_ELEMENTS / n) return 0;
        n *= shape[d];
    }
    *product = empty ? 0 : n;
    return 1;
}
