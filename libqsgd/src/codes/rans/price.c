#include "codes/rans/price.h"

#include "codes/rans/plan.h"
#include "codes/rans/tables.h"
#include "codes/tokens.h"
#include "kernels/kernels.h"

/* Bits of the extra bits, and of how many each block has. */
static uint64_t extra_bits(const struct code_chunk *chunk, unsigned limit) {
    if (!tokens_have_extra(chunk->levels, limit)) return 0;
    const uint64_t len = (uint64_t)chunk->len * chunk->weight;
    const uint64_t bits =
        chunk->weight * chunk->kernels->extra_count(chunk->scratch->tokens, chunk->len);
    const uint64_t blocks = (len - 1) / TOKENS_BLOCK;
    return bits + blocks * (floor_log2(bits / (blocks + 1) + 1) + 1);
}

/* A lane takes 19.5 bits, less what the tokens in its rest state save, in units of 2^-16. */
static int64_t lanes_cost(const struct code_chunk *chunk, const struct code_plan *plan,
                          unsigned limit) {
    const uint64_t len = (uint64_t)chunk->len * chunk->weight;
    const uint64_t held = rans_tail_most(limit) * (plan->rans.cost / len);
    return ((int64_t)(39 << 15) - (int64_t)held) * ((int64_t)1 << plan->rans.lanes_log2);
}

size_t rans_price(const struct code_chunk *chunk, const struct code_plan *plan) {
    const unsigned limit = rans_token_limit(plan);
    if (chunk->spread != NULL) *chunk->spread = plan->rans.spread;
    uint64_t bits = 8 + 16 * (uint64_t)rans_lane_groups(plan) + extra_bits(chunk, limit);
    if (!plan->shared) bits += rans_tables_bits(chunk, plan);
    const int64_t cost = (int64_t)(plan->rans.cost + (bits << 16)) + lanes_cost(chunk, plan, limit);
    return (size_t)((cost + (7 << 16)) >> 19);
}
