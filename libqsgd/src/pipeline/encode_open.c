#include "pipeline/encode_open.h"

#include "base/dtype.h"
#include "base/sizes.h"
#include "frame/frame.h"
#include "frame/header.h"
#include "frame/params.h"
#include "pipeline/before_chunks.h"
#include "pipeline/exact.h"
#include "pipeline/report.h"
#include "pipeline/slot.h"
#include "pipeline/target.h"

/* ---- bounds ---------------------------------------------------------------------------------- */

uint64_t encode_bodies_bound(const struct quantizer *q, uint64_t chunks, uint64_t first) {
    const struct layout *l = &q->layout;
    const int kind = scale_kind(q->params.scale_dtype);
    const uint64_t most = layout_most_buckets(l);
    return payload_body_bound(&q->levels, first) +
           chunks * (payload_head_bound(layout_longest(l), most, kind) + 4);
}

static uint64_t payloads_bound(const struct quantizer *q, int32_t code, uint32_t dtype) {
    const struct layout *l = &q->layout;
    uint64_t raw = l->n * dtype_bytes(dtype);
    if (code_is_exact(code)) return exact_bound(q, code, l->chunks, l->n);
    uint64_t coded = encode_bodies_bound(q, l->chunks, l->n);
    return code == QSGD_CODE_AUTO && raw > coded ? raw : coded;
}

uint64_t encode_bound(const struct encode_call *call, const struct quantizer *q) {
    struct frame f;
    const qsgd_params *params = &q->params;
    if (params->slot != 0) return slot_bytes(params, &q->layout) + call->options.tag_bytes;
    header_place(&f, &q->layout, params, &call->options);
    uint64_t bound = f.payload_offset + payloads_bound(q, params->code, call->options.dtype);
    if (params->code == QSGD_CODE_AUTO) { /* a raw frame has its own grid of chunks */
        struct layout raw = layout_of(q->layout.n, 0, params->chunk_log2, LAYOUT_RAW);
        bound += raw.chunks * frame_entry_bytes(params->checksum != 0);
    }
    return bound;
}

/* ---- what a call starts with ----------------------------------------------------------------- */

void encode_quantizer(const struct encode_call *call, uint64_t n, struct quantizer *q) {
    const qsgd_params *p = &call->params;
    quantizer_init(q, p, n, arguments_noise(call), code_is_exact(p->code));
    q->dtype = call->options.dtype;
    q->finds_outliers = !code_is_exact(p->code) && p->rounding != QSGD_ROUND_TOPK &&
                        layout_longest(&q->layout) >= OUTLIERS_FROM;
    q->measured = !code_is_exact(p->code) && report_measures(call);
}

qsgd_status encode_open(const qsgd_params *params, const qsgd_encode_options *options, uint64_t n,
                        struct encode_call *call, struct quantizer *q, qsgd_error *error) {
    qsgd_status status = arguments_encode_call(params, options, n, call, error);
    if (status == QSGD_OK) status = arguments_check_dtype(call, error);
    if (status != QSGD_OK) return status;
    if (params_have_target(&call->params)) call->params.step = 1; /* some step, for now */
    encode_quantizer(call, n, q);
    q->measured |= call->params.target_error > 0; /* by the search */
    return QSGD_OK;
}

static uint64_t workspace_bytes(const struct encode_call *call, const struct quantizer *q) {
    const uint64_t encode = before_chunks_bytes(call, q);
    if (!params_have_target(&call->params)) return encode;
    const uint64_t trials = target_bytes(call, q);
    return trials > encode ? trials : encode;
}

qsgd_status qsgd_encode_sizes(const qsgd_params *params, const qsgd_encode_options *options,
                              uint64_t n, qsgd_sizes *sizes, qsgd_error *error) {
    struct encode_call call;
    struct quantizer q;
    qsgd_status status = encode_open(params, options, n, &call, &q, error);
    if (status != QSGD_OK) return status;
    return sizes_give(&(qsgd_sizes){.dtype = call.options.dtype,
                                    .elements = n,
                                    .buckets = q.layout.buckets,
                                    .chunks = q.layout.chunks,
                                    .dst_bytes = encode_bound(&call, &q),
                                    .workspace_bytes = workspace_bytes(&call, &q)},
                      sizes, error);
}
