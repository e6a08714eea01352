/* The options of calls that encode, and checks of what is given beside the parameters. */
#ifndef QSGD_PIPELINE_ARGUMENTS_H
#define QSGD_PIPELINE_ARGUMENTS_H

#include "qsgd.h"
#include "quantize/quantizer.h"

/* Options with defaults filled in: options.shape is `shape`, always explicit. Not to be copied. */
struct encode_call {
    struct qsgd_encode_options options;
    uint64_t shape[QSGD_MAX_DIMS];
};

/* Where the caller wants a frame, and what may be used on the way there. */
struct buffers {
    uint8_t *dst;
    uint64_t dst_bytes;
    void *workspace;
    uint64_t workspace_bytes;
};

/* Fills *call from options, which may be NULL, and checks it. */
qsgd_status arguments_encode_call(const struct qsgd_encode_options *options, uint64_t n,
                                  struct encode_call *call, struct qsgd_error *error);

qsgd_status arguments_check_elements(uint64_t n, struct qsgd_error *error);
qsgd_status arguments_check_workers(uint32_t workers, struct qsgd_error *error);

/* Element type and residual go with the parameters. */
qsgd_status arguments_check_dtype(const struct qsgd_params *params,
                                  const struct qsgd_encode_options *options,
                                  struct qsgd_error *error);

/* The tag is there; size queries count its bytes alone. */
qsgd_status arguments_check_tag(const struct qsgd_encode_options *options,
                                struct qsgd_error *error);

/* The caller's scales, if there are any, go with the parameters. */
qsgd_status arguments_check_scales(const struct qsgd_params *params,
                                   const struct qsgd_encode_options *options, uint64_t buckets,
                                   struct qsgd_error *error);

/* Given indices and scales are such as a frame with these parameters can hold. */
qsgd_status arguments_check_indices(const struct quantizer *q, const int16_t *indices,
                                    const float *scales, struct qsgd_error *error);

/* Raw frames have no indices. */
qsgd_status arguments_check_coded(const struct qsgd_params *params, struct qsgd_error *error);

#endif
