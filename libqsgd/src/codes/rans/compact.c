/* Groups of zeros that are left out no longer stand between the others, so that groups of a class
 * take in elements that were far apart: where local energy varies, classes then tell less. So both
 * ways are priced with the classes that they would have. */
#include "codes/rans/compact.h"

#include "codes/rans/classes.h"
#include "codes/tokens.h"

/* What live elements cost, without the set that names them. */
static int64_t cost_of_live(const struct code_chunk *chunk, const struct live *live,
                            const struct coded_items *items) {
    struct code_chunk own = *chunk;
    uint8_t *tokens = chunk->scratch->tokens;
    own.len = (size_t)live_count(live);
    if (own.len == 0) return 0;
    const bool gathers = own.len < chunk->len;
    if (gathers) live_gather(live, coded_items_at(items, 0), coded_item_bytes(items));
    if (items->k != NULL) tokens_from_indices(&own, items->k, tokens, NULL);
    const int64_t cost = rans_classes_cost(&own, items->k, tokens);
    if (gathers) live_ungather(live, coded_items_at(items, 0), coded_item_bytes(items));
    return cost;
}

bool rans_gains_by_zeros(const struct code_chunk *chunk, const struct live *live,
                         const struct coded_items *items) {
    struct live coded = *live;
    coded.zeros.words = NULL;
    const int64_t bytes = (int64_t)zero_sets_write(&live->zeros, live->len, NULL);
    const int64_t set = bytes * code_weight(chunk) << 19;
    return cost_of_live(chunk, live, items) + set < cost_of_live(chunk, &coded, items);
}
