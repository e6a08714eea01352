/* Options: defaults, ranges, and what must go with the parameters (FORMAT.md section 4.2). */
#include "pipeline/arguments.h"

#include <string.h>

#include "base/dtype.h"
#include "base/error.h"
#include "base/given.h"
#include "frame/params.h"
#include "grid/scales.h"
#include "pipeline/runner.h"
#include "quantize/zeros.h"

static const struct struct_row encode_row =
    STRUCT_ROW(qsgd_encode_options, runner_context, "options");
static const struct struct_row decode_row = STRUCT_ROW(qsgd_decode_options, reserved, "options");

static const struct struct_row report_row = STRUCT_ROW(qsgd_encode_report, again, "report");

static const qsgd_encode_options encode_defaults = {
    .struct_size = sizeof(qsgd_encode_options),
    .dtype = QSGD_FLOAT32,
    .ndim = QSGD_FLAT,
    .workers = 1,
};

static const qsgd_encode_report report_defaults = {.struct_size = sizeof(qsgd_encode_report)};

static const qsgd_decode_options decode_defaults = {
    .struct_size = sizeof(qsgd_decode_options),
    .dtype = QSGD_DTYPE_OF_FRAME,
    .workers = 1,
    .max_elements = UINT64_MAX,
    .allowed_codes = UINT64_MAX,
    .allowed_norms = UINT64_MAX,
    .allowed_levels = UINT64_MAX,
    .allowed_roundings = UINT64_MAX,
};

qsgd_status qsgd_encode_options_init_sized(qsgd_encode_options *options, size_t struct_size) {
    return struct_init(&encode_row, options, struct_size, &encode_defaults);
}

qsgd_status qsgd_decode_options_init_sized(qsgd_decode_options *options, size_t struct_size) {
    return struct_init(&decode_row, options, struct_size, &decode_defaults);
}

qsgd_status qsgd_encode_report_init_sized(qsgd_encode_report *report, size_t struct_size) {
    return struct_init(&report_row, report, struct_size, &report_defaults);
}

qsgd_status arguments_check_report(const qsgd_encode_report *report, qsgd_error *error) {
    return struct_check(&report_row, report, error);
}

qsgd_status arguments_check_reports(const qsgd_encode_options *o, qsgd_encode_report *last,
                                    qsgd_error *error) {
    *last = report_defaults;
    qsgd_status status = QSGD_OK;
    if (o->report != NULL) status = arguments_check_report(o->report, error);
    if (status != QSGD_OK || o->last == NULL) return status;
    status = struct_take(&report_row, o->last, last, error);
    if (status != QSGD_OK) return status;
    const bool valid = last->step >= 0x1p-20 && last->step <= 0x1p20 && last->elements > 0 &&
                       last->error >= 0 && last->payload_bytes <= last->frame_bytes &&
                       last->frame_bytes < (uint64_t)1 << 56;
    return valid ? QSGD_OK
                 : error_parameter(error, QSGD_ERR_PARAM, "last",
                                   "last must be the report of a frame of open levels");
}

void arguments_give_report(const qsgd_encode_report *report, qsgd_encode_report *given) {
    struct_give(&report_row, report, given);
}

qsgd_status arguments_decode_options(const qsgd_decode_options *options, qsgd_decode_options *to,
                                     qsgd_error *error) {
    *to = decode_defaults;
    if (options == NULL) return QSGD_OK;
    qsgd_status status = struct_take(&decode_row, options, to, error);
    if (status == QSGD_OK) status = runner_check_workers(to->workers, error);
    if (status != QSGD_OK) return status;
    if (to->flags & ~(uint32_t)(QSGD_DECODE_ATOMIC | QSGD_DECODE_PADDED)) {
        return error_parameter(error, QSGD_ERR_PARAM, "flags", "unknown flags are set");
    }
    if (to->reserved != 0) {
        return error_parameter(error, QSGD_ERR_PARAM, "reserved", "reserved must be 0");
    }
    if (to->shared_tables_count > 0 && to->shared_tables == NULL) {
        return error_parameter(error, QSGD_ERR_NULL, "shared_tables",
                               "shared_tables is NULL but shared_tables_count is not 0");
    }
    return QSGD_OK;
}

/* Elements of at most 16 bytes must have addresses, also where those have 32 bits. */
#define MOST_ADDRESSED ((uint64_t)(SIZE_MAX / 32))

qsgd_status arguments_check_elements(uint64_t n, qsgd_error *error) {
    if (n <= QSGD_MAX_ELEMENTS && n <= MOST_ADDRESSED) return QSGD_OK;
    return error_parameter(error, QSGD_ERR_SHAPE, "n",
                           "a tensor has at most 2^47 elements, and no more than memory has room "
                           "for");
}

/* Makes the shape explicit, and checks that it holds n elements. */
static qsgd_status take_shape(struct encode_call *call, uint64_t n, qsgd_error *error) {
    qsgd_encode_options *o = &call->options;
    if (o->ndim == QSGD_FLAT) {
        o->ndim = 1;
        call->shape[0] = n;
        call->given_shape = NULL;
    } else {
        if (o->ndim > QSGD_MAX_DIMS) {
            return error_parameter(error, QSGD_ERR_SHAPE, "ndim", "at most 8 dimensions");
        }
        if (o->ndim > 0 && o->shape == NULL) {
            return error_parameter(error, QSGD_ERR_NULL, "shape",
                                   "shape is NULL but ndim is not 0");
        }
        for (uint32_t d = 0; d < o->ndim; d++) call->shape[d] = o->shape[d];
    }
    o->shape = call->shape;
    uint64_t product = 0;
    if (!params_shape(call->shape, o->ndim, &product)) {
        return error_parameter(error, QSGD_ERR_SHAPE, "shape", "more than 2^47 elements");
    }
    if (product != n) {
        return error_parameter(error, QSGD_ERR_SHAPE, "shape", "the shape's product is not n");
    }
    return QSGD_OK;
}

qsgd_status arguments_encode_call(const qsgd_params *params, const qsgd_encode_options *options,
                                  uint64_t n, struct encode_call *call, qsgd_error *error) {
    call->options = encode_defaults;
    call->given_params = params;
    call->given_options = options;
    qsgd_status status = params_take(params, &call->params, error);
    if (status == QSGD_OK && options != NULL) {
        status = struct_take(&encode_row, options, &call->options, error);
    }
    const qsgd_encode_options *o = &call->options;
    if (status == QSGD_OK) status = arguments_check_elements(n, error);
    if (status == QSGD_OK) status = runner_check_workers(o->workers, error);
    if (status != QSGD_OK) return status;
    call->given_shape = o->shape;
    if (dtype_bytes(o->dtype) == 0) {
        return error_parameter(error, QSGD_ERR_DTYPE, "dtype",
                               "dtype must be one of QSGD_FLOAT32..");
    }
    if (o->tag_bytes > QSGD_MAX_TAG) {
        return error_parameter(error, QSGD_ERR_PARAM, "tag_bytes", "a tag has at most 16384 bytes");
    }
    if (o->origin > QSGD_MAX_ELEMENTS - n) {
        return error_parameter(error, QSGD_ERR_PARAM, "origin",
                               "origin and the number of elements must add up to at most 2^47");
    }
    return take_shape(call, n, error);
}

qsgd_status arguments_check_dtype(const struct encode_call *call, qsgd_error *error) {
    const qsgd_encode_options *o = &call->options;
    if (call->params.code != QSGD_CODE_RAW && !dtype_is_float(o->dtype)) {
        return error_parameter(error, QSGD_ERR_DTYPE, "dtype",
                               "only float32, float64, float16 and bfloat16 can be quantised: code "
                               "raw takes the others");
    }
    if (o->residual != NULL && o->dtype != QSGD_FLOAT32) {
        return error_parameter(error, QSGD_ERR_DTYPE, "residual", "a residual needs float32 input");
    }
    if (o->scales != NULL && params_have_target(&call->params)) {
        return error_parameter(error, QSGD_ERR_COMBINATION, "scales",
                               "a target chooses steps for the norm's scales: give none");
    }
    if (o->residual != NULL && o->scales != NULL) {
        return error_parameter(error, QSGD_ERR_COMBINATION, "scales",
                               "error feedback chooses scales itself: give a residual or scales");
    }
    return QSGD_OK;
}

qsgd_status arguments_check_tag(const qsgd_encode_options *o, qsgd_error *error) {
    if (o->tag_bytes == 0 || o->tag != NULL) return QSGD_OK;
    return error_parameter(error, QSGD_ERR_NULL, "tag", "tag is NULL but tag_bytes is not 0");
}

qsgd_status arguments_check_scales(const struct encode_call *call, uint64_t buckets,
                                   qsgd_error *error) {
    const qsgd_encode_options *o = &call->options;
    if (o->scales == NULL) return QSGD_OK;
    if (code_is_exact(call->params.code)) {
        return error_parameter(error, QSGD_ERR_COMBINATION, "scales",
                               "raw and lossless frames have no scales");
    }
    if (call->params.rounding == QSGD_ROUND_TOPK) {
        return error_parameter(error, QSGD_ERR_COMBINATION, "scales",
                               "topk computes its own scales");
    }
    for (uint64_t i = 0; i < buckets; i++) {
        float scale;
        memcpy(&scale, o->scales + i, sizeof scale);
        if (!(scale >= 0) || !params_finite(scale)) {
            error_parameter(error, QSGD_ERR_PARAM, "scales",
                            "scales must be finite and at least 0");
            error_at_bucket(error, i);
            return QSGD_ERR_PARAM;
        }
    }
    return QSGD_OK;
}

/* True if a scale is one that the parameters' scale_dtype stores exactly. */
static bool scale_fits(const qsgd_params *params, float scale) {
    if (!scale_is_valid(scale)) return false;
    return params->scale_dtype == QSGD_FLOAT32 || (float_bits(scale) & 0xFFFF) == 0;
}

/* The indices of a chunk are levels, or mark whole groups of zeros. */
static qsgd_status check_indices(const struct quantizer *q, const struct chunk_span *span,
                                 const int16_t *indices, qsgd_error *error) {
    const uint64_t group = (uint64_t)1 << ZERO_GROUP_LOG2;
    const bool may_mark = q->params.rotation == 0;
    bool marked = false;
    for (uint64_t i = 0; i < span->len; i++) {
        const uint64_t element = span->first + i;
        int16_t k;
        memcpy(&k, indices + element, sizeof k);
        const bool mark = may_mark && k == INDEX_OF_ZEROS;
        if (i % group == 0) marked = mark;
        if (mark != marked) {
            return error_element(error, QSGD_ERR_INDEX, element, element / q->layout.bucket,
                                 "QSGD_INDEX_OF_ZEROS stands for whole groups of 32 elements of a "
                                 "chunk, or for none of them");
        }
        if (!mark && !levels_has(&q->levels, k)) {
            return error_element(error, QSGD_ERR_INDEX, element, element / q->layout.bucket,
                                 "an index names no level");
        }
    }
    return QSGD_OK;
}

/* True if a scale's sign goes with its bucket's other parts. */
static bool sign_fits(const struct layout *l, const struct scale_array *given, uint64_t b) {
    const bool rotated = scale_rotated(given, b);
    if (l->parts == 0) return !rotated;
    const struct bucket_span span = layout_bucket(l, b);
    const struct bucket_span first = layout_bucket_at(l, span.first / l->bucket * l->bucket);
    const bool may = span.end - span.first >= PART_LEAST;
    if (scale_rotated(given, first.bucket)) return rotated == may;
    return scale_bits(given, b) == scale_bits(given, first.bucket);
}

qsgd_status arguments_check_quantized(const struct quantizer *q, const qsgd_quantized *quantized,
                                      qsgd_error *error) {
    const struct layout *l = &q->layout;
    if (l->n > 0 && (quantized->indices == NULL || quantized->scales == NULL)) {
        return memory_missing(quantized->indices == NULL ? "indices" : "scales", error);
    }
    const struct scale_array given = scales_at(quantized->scales, 0);
    for (uint64_t b = 0; b < l->buckets; b++) {
        if (!scale_fits(&q->params, scale_get(&given, b)) || !sign_fits(l, &given, b)) {
            return error_element(error, QSGD_ERR_INDEX, UINT64_MAX, b,
                                 "a scale is not one that a frame can store (infinite, not exact "
                                 "in scale_dtype, or negative: the sign says that a bucket is "
                                 "rotated, and is the same for all of its parts; those of one that "
                                 "is not have one scale)");
        }
    }
    for (uint64_t chunk = 0; chunk < l->chunks; chunk++) {
        const struct chunk_span span = layout_chunk(l, chunk);
        const qsgd_status status = check_indices(q, &span, quantized->indices, error);
        if (status != QSGD_OK) return status;
    }
    return QSGD_OK;
}

qsgd_status arguments_check_coded(const qsgd_params *params, qsgd_error *error) {
    if (code_is_exact(params->code)) {
        return error_parameter(error, QSGD_ERR_COMBINATION, "code",
                               "raw and lossless frames have no indices");
    }
    if (!params_have_target(params)) return QSGD_OK;
    return error_parameter(error, QSGD_ERR_COMBINATION,
                           params->target_bits > 0 ? "target_bits" : "target_error",
                           "a target is qsgd_encode's to meet: here a step is needed");
}

#define CALL_REGIONS 6
#define MORE_REGIONS 8

qsgd_status arguments_apart(const struct encode_call *call, const struct region *buffers,
                            size_t count, qsgd_error *error) {
    const qsgd_params *p = &call->params;
    const qsgd_encode_options *o = &call->options;
    const uint64_t shape_bytes =
        call->given_shape == NULL ? 0 : o->ndim * sizeof *call->given_shape;
    struct region all[CALL_REGIONS + MORE_REGIONS] = {
        {"params", call->given_params, call->given_params->struct_size, false},
        {"options", call->given_options,
         call->given_options == NULL ? 0 : call->given_options->struct_size, false},
        {"shape", call->given_shape, shape_bytes, false},
        {"tag", o->tag, o->tag_bytes, false},
        {"level_table", p->level_table, p->level_table_len * sizeof *p->level_table, false},
        {"shared_tables", p->shared_tables, p->shared_tables_bytes, false},
    };
    memcpy(all + CALL_REGIONS, buffers, count * sizeof *buffers);
    return regions_apart(all, CALL_REGIONS + count, error);
}
