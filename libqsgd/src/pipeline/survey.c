/* The trial of `auto` (ENCODER.md section 9), chunk by chunk. */
#include "pipeline/survey.h"

#include "frame/params.h"
#include "pipeline/signs.h"
#include "quantize/zeros.h"

void survey_codes(const struct quantizer *q, const struct chunk_span *span,
                  const struct code_chunk *chunk, const struct payload_head *head,
                  const struct chunk_indices *c, struct worker *worker, uint8_t *dst) {
    const struct coded_items items = {c->k, NULL};
    struct code_chunk of_code = *chunk;
    struct payload_head without = *head;
    struct scales_form form;
    scales_plan(&head->scales, &form);
    const size_t scales = scales_write(&head->scales, &form, NULL) +
                          (head->rotated ? parts_write(&head->parts, NULL) : 0);
    without.scales.count = 0;
    const struct payload_space to = {dst, dst};
    if (zeros_are_marked(q)) worker_zeros(q, chunk, &c->zeros, &items, worker, &without.live);
    for (int32_t code = QSGD_CODE_FIXED; code <= QSGD_CODE_RANS; code++) {
        if (!params_code_fits(&q->params, code)) continue;
        of_code.code = code;
        if (!zeros_are_marked(q)) {
            worker_zeros(q, &of_code, &c->zeros, &items, worker, &without.live);
        }
        worker->auto_bytes[code] +=
            scales + signs_write(q, span, &of_code, &without, &items, &worker->quantize, &to);
        signs_restore(q, span, &of_code, &without, &items, &worker->quantize);
    }
}
