/* What callers give: parameters and options of whatever version, with defaults filled in; checks of
 * what is given beside the parameters; and buffers that must not overlap. */
#ifndef QSGD_PIPELINE_ARGUMENTS_H
#define QSGD_PIPELINE_ARGUMENTS_H

#include "base/memory.h"
#include "qsgd_stages.h"
#include "quantize/quantizer.h"

/* Parameters and options of a call that goes forward. Not to be copied: options.shape is `shape`,
 * always explicit. */
struct encode_call {
    qsgd_params params;
    qsgd_encode_options options;
    uint64_t shape[QSGD_MAX_DIMS];
    /* as the caller has them, to compare with what is written */
    const qsgd_params *given_params;
    const qsgd_encode_options *given_options;
    const uint64_t *given_shape;
};

/* Fills *call from parameters, and options, which may be NULL; checks both. */
qsgd_status arguments_encode_call(const qsgd_params *params, const qsgd_encode_options *options,
                                  uint64_t n, struct encode_call *call, qsgd_error *error);

/* The noise that a call's options name. */
static inline struct noise_start arguments_noise(const struct encode_call *call) {
    return (struct noise_start){call->options.nonce, call->options.origin};
}

/* Fills *to from options, which may be NULL, and checks them. */
qsgd_status arguments_decode_options(const qsgd_decode_options *options, qsgd_decode_options *to,
                                     qsgd_error *error);

/* A report that is to be written. */
qsgd_status arguments_check_report(const qsgd_encode_report *report, qsgd_error *error);

/* Reports are there, and the last one, which is copied, is one of open levels. */
qsgd_status arguments_check_reports(const qsgd_encode_options *options, qsgd_encode_report *last,
                                    qsgd_error *error);
void arguments_give_report(const qsgd_encode_report *report, qsgd_encode_report *given);

qsgd_status arguments_check_elements(uint64_t n, qsgd_error *error);

/* Element type and residual go with the parameters. */
qsgd_status arguments_check_dtype(const struct encode_call *call, qsgd_error *error);

/* The tag is there; size queries count its bytes alone. */
qsgd_status arguments_check_tag(const qsgd_encode_options *options, qsgd_error *error);

/* The caller's scales, if there are any, go with the parameters. */
qsgd_status arguments_check_scales(const struct encode_call *call, uint64_t buckets,
                                   qsgd_error *error);

/* Given indices and scales are there, and such as a frame with these parameters can hold. */
qsgd_status arguments_check_quantized(const struct quantizer *q, const qsgd_quantized *quantized,
                                      qsgd_error *error);

/* Raw frames have no indices, and a target no step. */
qsgd_status arguments_check_coded(const qsgd_params *params, qsgd_error *error);

/* The three regions of a qsgd_quantized of that layout, in a list of regions. */
#define QUANTIZED_REGIONS(quantized, layout, written)                                              \
    {"indices", (quantized)->indices, (layout)->n * sizeof(int16_t), written},                     \
        {"scales", (quantized)->scales, (layout)->buckets * sizeof(float), written}, {             \
        "damping", (quantized)->damping, (layout)->chunks, written                                 \
    }

/* Buffers that a call writes share no byte with each other, with what `call` holds, nor with other
 * buffers that it reads. At most 8 buffers. */
qsgd_status arguments_apart(const struct encode_call *call, const struct region *buffers,
                            size_t count, qsgd_error *error);

#endif
