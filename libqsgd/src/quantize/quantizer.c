/* What quantizing needs to know of a tensor, worked out once; and the memory of a worker. */
#include "quantize/quantizer.h"

#include <string.h>

#include "backends/dispatch.h"
#include "base/fpenv.h"
#include "quantize/topk.h"

void quantize_scratch_carve(struct quantize_scratch *s, struct memory *memory,
                            const struct quantizer *q, bool copies) {
    const uint64_t longest = layout_longest(&q->layout);
    const uint64_t elements = longest > NORM_BLOCK ? longest : NORM_BLOCK;
    const uint64_t heap = q->params.rounding == QSGD_ROUND_TOPK ? topk_heap_entries(&q->layout) : 0;
    s->elements = memory_take(memory, copies ? elements * sizeof(float) : 0);
    s->noise_from = s->noise_to = 0;
    s->noise = memory_take(memory, (QUANTIZE_BLOCK + 2 * NOISE_TILE) * sizeof(uint16_t));
    s->block = memory_take(memory, QUANTIZE_BLOCK * sizeof(float));
    s->indices = memory_take(memory, longest * sizeof(int16_t));
    s->heap = memory_take(memory, heap * sizeof(struct topk_entry));
    s->rotation = s->second = NULL;
    if (q->params.rotation == 0) return;
    s->rotation = rotation_carve(memory, &q->layout);
    if (q->layout.bucket <= longest / 2) s->second = rotation_carve(memory, &q->layout);
}

/* Levels as the rounding kernels want them: cells, reciprocals, weights of the dither. */
static void build_mirrored(struct quantizer *q) {
    const struct levels *levels = &q->levels;
    struct round_table *t = &q->table;
    t->count = levels->count;
    t->zero = levels->zero;
    for (uint32_t j = 0; j <= levels->count; j++) {
        t->level[j] = levels->value[j];
        float gap = j < levels->count ? levels->value[j + 1] - levels->value[j] : 0;
        if (j == 0 && !levels->zero) gap = 2.0F * levels->value[1];
        t->rcp[j] = gap > 0 ? 1.0F / gap : 0;
        q->level_of[levels->count - j] = -levels->value[j];
        q->level_of[levels->count + j] = levels->value[j]; /* last, so that j = 0 gives +0 */
        double weight = (double)gap / (double)levels->gap;
        t->weight[j] = (uint32_t)(weight * 256.0 + 0.5);
    }
}

static void build_signed(struct quantizer *q) {
    const struct levels *levels = &q->levels;
    memcpy(q->level_of, levels->value, levels->count * sizeof(float));
    for (uint32_t j = 0; j + 1 < levels->count; j++) {
        double gap = (double)levels->value[j + 1] - (double)levels->value[j];
        q->signed_rcp[j] = 1.0 / gap;
        double weight = gap / (double)levels->gap;
        q->signed_weight[j] = (uint32_t)(weight * 256.0 + 0.5);
    }
    q->signed_weight[levels->count - 1] = 0;
}

void quantizer_init(struct quantizer *q, const struct qsgd_params *params, uint64_t n,
                    uint64_t nonce, bool raw) {
    q->params = *params;
    q->layout = layout_of(n, raw ? 0 : params->bucket, params->chunk_log2, raw);
    q->key = (struct noise_key){{(uint32_t)params->seed, (uint32_t)(params->seed >> 32)},
                                {(uint32_t)nonce, (uint32_t)(nonce >> 32)}};
    q->kernels = kernels_current();
    q->tensor_rms = 0;
    q->turned = false;
    if (raw) return;
    fpenv env = fpenv_enter(); /* gaps and reciprocals are rounded */
    levels_build(&q->levels, params);
    q->turned = params->rounding == QSGD_ROUND_DITHERED && params->levels != QSGD_LEVELS_SIGNED;
    if (params->levels == QSGD_LEVELS_SIGNED) {
        build_signed(q);
    } else if (levels_is_table(&q->levels)) {
        build_mirrored(q);
    }
    fpenv_leave(env);
}
