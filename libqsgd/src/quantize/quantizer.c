/* What quantizing needs to know of a tensor, worked out once; and the memory of a worker. */
#include "quantize/quantizer.h"

#include <string.h>

#include "backends/dispatch.h"
#include "base/fpenv.h"
#include "grid/live.h"
#include "kernels/philox.h"
#include "quantize/topk.h"

/* True if two chunks may be decoded in turn: they take two steps each, at least. */
static bool in_turn(const struct layout *l, enum quantize_use use) {
    const bool long_enough = layout_longest(l) >= (uint64_t)2 * QUANTIZE_SMALL_BLOCK;
    return use == QUANTIZE_DECODES && l->chunks > 1 && long_enough;
}

void quantize_scratch_carve(struct quantize_scratch *s, struct memory *memory,
                            const struct quantizer *q, enum quantize_use use) {
    const struct layout *l = &q->layout;
    const uint64_t longest = layout_longest(l);
    uint64_t elements = min_u64(NORM_BLOCK, l->n);
    if (elements < longest) elements = longest;
    if (q->params.rotation != 0 && elements < l->bucket) elements = l->bucket; /* 1, of nothing */
    struct memory m = *memory; /* a copy, which the compiler knows nothing else to change */
    const bool outliers =
        longest >= OUTLIERS_FROM && (q->finds_outliers || use == QUANTIZE_DECODES);
    const bool copies = use == QUANTIZE_COPIES || (outliers && use != QUANTIZE_DECODES);
    s->elements = memory_take(&m, copies ? elements * sizeof(float) : 0);
    s->indices = memory_take(&m, longest * sizeof(int16_t));
    const uint64_t scales = layout_most_buckets(l) * sizeof(float);
    const bool two = use == QUANTIZE_DECODES && l->chunks > 1;
    s->scales = memory_take(&m, two ? 2 * scales : scales);
    s->entries = memory_take(&m, l->parts != 0 ? scales : 0);
    const uint64_t zeros = zero_words(longest) * sizeof(uint32_t);
    s->zeros = memory_take(&m, use == QUANTIZE_DECODES ? 2 * zeros : zeros);
    const uint64_t lists = use == QUANTIZE_DECODES ? 2 : 1;
    s->outliers = outliers ? memory_take(&m, lists * sizeof *s->outliers) : NULL;
    *memory = m;
    s->left = NULL;
    if (q->measured && !quantizer_knows_error(q)) {
        s->left = memory_take(memory, longest * sizeof(float));
    }
    s->rotation = s->second = NULL;
    if (q->params.rotation == 0) return;
    float *bucket = s->elements; /* residuals are made when rotated elements were coded */
    if (use != QUANTIZE_COPIES) bucket = memory_take(memory, l->bucket * sizeof(float));
    s->rotation = rotation_carve(memory, bucket);
    if (!in_turn(l, use) || l->bucket > longest / 2) return;
    bucket = memory_take(memory, l->bucket * sizeof(float));
    s->second = rotation_carve(memory, bucket);
}

void quantize_passing_carve(struct quantize_scratch *s, struct memory *memory,
                            const struct quantizer *q, enum quantize_use use) {
    const struct layout *l = &q->layout;
    const uint64_t tiles = div_up(layout_longest(l), NOISE_TILE) * NOISE_TILE;
    const bool decodes = use == QUANTIZE_DECODES;
    const uint64_t block = min_u64(quantize_block(l), tiles);
    const bool topk = !decodes && q->params.rounding == QSGD_ROUND_TOPK;
    uint64_t noise = min_u64(QUANTIZE_BLOCK, tiles) + 2 * NOISE_TILE;
    if (in_turn(l, use) && noise < QUANTIZE_NOISE_OF_TWO) noise = QUANTIZE_NOISE_OF_TWO;
    struct memory m = *memory;
    s->noise_from = s->noise_to = 0;
    s->noise = memory_take(&m, noise * sizeof(uint16_t));
    s->block = memory_take(&m, block * sizeof(float));
    s->heap = memory_take(&m, topk ? topk_heap_entries(l) * sizeof(struct topk_entry) : 0);
    *memory = m;
}

struct noise_key quantizer_trial_key(const struct noise_key *key) {
    uint32_t c[4] = {0, (uint32_t)NOISE_TRIAL << 28, key->nonce[0], key->nonce[1]};
    philox(c, key->key[0], key->key[1]);
    return (struct noise_key){{c[0], c[1]}, {c[2], c[3]}, false};
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
                    struct noise_start start, bool raw) {
    q->params = *params;
    q->dtype = QSGD_FLOAT32;
    q->layout = layout_of(n, raw ? 0 : params->bucket, params->chunk_log2,
                          layout_kind_of(raw, params->rotation != 0));
    q->key = (struct noise_key){{(uint32_t)params->seed, (uint32_t)(params->seed >> 32)},
                                {(uint32_t)start.nonce, (uint32_t)(start.nonce >> 32)},
                                false};
    q->kernels = kernels_current();
    q->origin = start.origin;
    q->tensor_rms = params->reference;
    q->edge = (uint16_t)(0x7FFF + (uint32_t)(params->dead_zone * 65536.0)); /* exact */
    q->dithered = q->dithers_rotated = q->turned = q->finds_outliers = q->measured = false;
    if (raw) return;
    fpenv env = fpenv_enter(); /* gaps and reciprocals are rounded */
    levels_build(&q->levels, params);
    q->dithered = scheme_dithers(params);
    q->dithers_rotated = params->rounding == QSGD_ROUND_DITHERED;
    q->turned = q->dithered && params->levels != QSGD_LEVELS_SIGNED;
    if (params->levels == QSGD_LEVELS_SIGNED) {
        build_signed(q);
    } else if (levels_is_table(&q->levels)) {
        build_mirrored(q);
    }
    fpenv_leave(env);
}
