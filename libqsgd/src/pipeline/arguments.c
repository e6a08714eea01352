/* Options: defaults, ranges, and what must go with the parameters (FORMAT.md section 3). */
#include "pipeline/arguments.h"

#include <string.h>

#include "base/dtype.h"
#include "base/error.h"
#include "frame/params.h"
#include "grid/scales.h"

qsgd_status qsgd_encode_options_init(struct qsgd_encode_options *options) {
    if (options == NULL) return QSGD_ERR_NULL;
    memset(options, 0, sizeof *options);
    options->struct_size = sizeof *options;
    options->dtype = QSGD_FLOAT32;
    options->ndim = UINT32_MAX;
    options->workers = 1;
    return QSGD_OK;
}

qsgd_status arguments_check_elements(uint64_t n, struct qsgd_error *error) {
    if (n <= QSGD_MAX_ELEMENTS) return QSGD_OK;
    return error_parameter(error, QSGD_ERR_SHAPE, "n", "a tensor has at most 2^47 elements");
}

qsgd_status arguments_check_workers(uint32_t workers, struct qsgd_error *error) {
    if (workers >= 1 && workers <= 256) return QSGD_OK;
    return error_parameter(error, QSGD_ERR_PARAM, "workers", "workers must lie in 1..256");
}

/* Makes the shape explicit, and checks that it holds n elements. */
static qsgd_status take_shape(struct encode_call *call, uint64_t n, struct qsgd_error *error) {
    struct qsgd_encode_options *o = &call->options;
    if (o->ndim == UINT32_MAX) {
        o->ndim = 1;
        call->shape[0] = n;
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

qsgd_status arguments_encode_call(const struct qsgd_encode_options *options, uint64_t n,
                                  struct encode_call *call, struct qsgd_error *error) {
    qsgd_status status = QSGD_OK;
    if (options == NULL) {
        qsgd_encode_options_init(&call->options);
    } else {
        status = error_check_size(error, "options", options->struct_size, sizeof *options,
                                  OTHER_VERSION ": use qsgd_encode_options_init");
        if (status != QSGD_OK) return status;
        call->options = *options;
    }
    const struct qsgd_encode_options *o = &call->options;
    status = arguments_check_elements(n, error);
    if (status == QSGD_OK) status = arguments_check_workers(o->workers, error);
    if (status != QSGD_OK) return status;
    if (dtype_bytes(o->dtype) == 0) {
        return error_parameter(error, QSGD_ERR_DTYPE, "dtype",
                               "dtype must be one of QSGD_FLOAT32..");
    }
    if (o->tag_bytes > QSGD_MAX_TAG) {
        return error_parameter(error, QSGD_ERR_PARAM, "tag_bytes", "a tag has at most 16384 bytes");
    }
    return take_shape(call, n, error);
}

qsgd_status arguments_check_dtype(const struct qsgd_params *params,
                                  const struct qsgd_encode_options *o, struct qsgd_error *error) {
    if (params->code != QSGD_CODE_RAW && !dtype_is_float(o->dtype)) {
        return error_parameter(error, QSGD_ERR_DTYPE, "dtype",
                               "only float32, float64, float16 and bfloat16 can be quantised: code "
                               "raw takes the others");
    }
    if (o->residual != NULL && o->dtype != QSGD_FLOAT32) {
        return error_parameter(error, QSGD_ERR_DTYPE, "residual", "a residual needs float32 input");
    }
    return QSGD_OK;
}

qsgd_status arguments_check_tag(const struct qsgd_encode_options *o, struct qsgd_error *error) {
    if (o->tag_bytes == 0 || o->tag != NULL) return QSGD_OK;
    return error_parameter(error, QSGD_ERR_NULL, "tag", "tag is NULL but tag_bytes is not 0");
}

qsgd_status arguments_check_scales(const struct qsgd_params *params,
                                   const struct qsgd_encode_options *o, uint64_t buckets,
                                   struct qsgd_error *error) {
    if (o->scales == NULL) return QSGD_OK;
    if (params->code == QSGD_CODE_RAW) {
        return error_parameter(error, QSGD_ERR_COMBINATION, "scales", "raw frames have no scales");
    }
    if (params->rounding == QSGD_ROUND_TOPK) {
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

/* True if a scale is one that the parameters' scale kind stores exactly. */
static bool scale_fits(const struct qsgd_params *params, float scale) {
    if (!scale_is_valid(scale)) return false;
    return params->scale == QSGD_SCALE_FLOAT32 || (float_bits(scale) & 0xFFFF) == 0;
}

qsgd_status arguments_check_indices(const struct quantizer *q, const int16_t *indices,
                                    const float *scales, struct qsgd_error *error) {
    const struct layout *l = &q->layout;
    const struct scale_array given = scales_native(scales);
    for (uint64_t b = 0; b < l->buckets; b++) {
        if (!scale_fits(&q->params, scale_get(&given, b))) {
            return error_element(error, QSGD_ERR_INDEX, UINT64_MAX, b,
                                 "a scale is not one that a frame can store (negative, infinite, "
                                 "or not exact in its scale kind)");
        }
    }
    for (uint64_t i = 0; i < l->n; i++) {
        int16_t k;
        memcpy(&k, indices + i, sizeof k);
        if (!levels_has(&q->levels, k)) {
            return error_element(error, QSGD_ERR_INDEX, i, i / l->bucket,
                                 "an index names no level");
        }
    }
    return QSGD_OK;
}

qsgd_status arguments_check_coded(const struct qsgd_params *params, struct qsgd_error *error) {
    if (params->code != QSGD_CODE_RAW) return QSGD_OK;
    return error_parameter(error, QSGD_ERR_COMBINATION, "code", "raw frames have no indices");
}
