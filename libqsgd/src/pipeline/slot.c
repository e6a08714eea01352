#include "pipeline/slot.h"

#include "base/error.h"
#include "base/fpenv.h"
#include "base/square_root.h"
#include "codes/logarithms.h"
#include "frame/header.h"
#include "frame/params.h"
#include "kernels/philox.h"
#include "pipeline/arguments.h"

/* The target, 1 %, and what spreads; headers of any shape, and what chunks have each. */
uint64_t slot_bytes(const qsgd_params *params, const struct layout *layout) {
    const double n = (double)layout->n, bits = params->target_bits;
    const uint64_t wanted = (uint64_t)(n * bits / 8) + 1;
    const uint64_t spread = (uint64_t)square_root(n * (bits < 2 ? bits : 2));
    return wanted + wanted / 100 + spread + 192 + 24 * layout->chunks;
}

qsgd_status qsgd_slot_bytes(const qsgd_params *params, uint64_t n, uint64_t *bytes,
                            qsgd_error *error) {
    qsgd_params p;
    if (bytes == NULL) return memory_missing("bytes", error);
    qsgd_status status = params_take(params, &p, error);
    if (status == QSGD_OK) status = arguments_check_elements(n, error);
    if (status != QSGD_OK) return status;
    if (p.slot == 0) {
        return error_parameter(error, QSGD_ERR_COMBINATION, "slot",
                               "frames have slots with a target in bits and slot=1");
    }
    const struct layout layout =
        layout_of(n, p.bucket, p.chunk_log2, layout_kind_of(false, p.rotation != 0));
    fpenv env = fpenv_enter();
    *bytes = slot_bytes(&p, &layout);
    fpenv_leave(env);
    return QSGD_OK;
}

/* Eight standard deviations in bits are as many bytes as one has bits; prices may be a 256th off,
 * and an origin takes 10 bytes. */
int64_t slot_value(const struct encode_call *call, const struct layout *layout,
                   const struct trial_result *result) {
    const double mean = result->payload_bytes + result->payload_bytes / 256 + 16;
    const uint64_t before = header_payload_offset(layout, &call->params, &call->options);
    const double bytes = (double)before + mean + square_root(result->spread);
    return fine_lg(bytes * 8 / (double)layout->n);
}

int64_t slot_wanted(const struct encode_call *call, const struct layout *layout) {
    return fine_lg((double)slot_bytes(&call->params, layout) * 8 / (double)layout->n);
}

void slot_other_noise(const struct encode_call *first, uint32_t attempt, struct encode_call *call) {
    const uint64_t seed = first->params.seed, nonce = first->options.nonce;
    uint32_t c[4] = {attempt, (uint32_t)NOISE_SLOT << 28, (uint32_t)nonce, (uint32_t)(nonce >> 32)};
    philox(c, (uint32_t)seed, (uint32_t)(seed >> 32));
    call->params.seed = c[0] | (uint64_t)c[1] << 32;
    call->options.nonce = c[2] | (uint64_t)c[3] << 32;
}
