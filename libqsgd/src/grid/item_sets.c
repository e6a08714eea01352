/* A byte that says which items are stored, a bit per word of 32 items, padded to bytes, and the
 * words that are not empty. */
#include "grid/item_sets.h"

#include "base/bits.h"
#include "grid/layout.h"

static uint64_t flag_bytes(uint64_t items) { return div_up(items, (uint64_t)8 * SET_WORD); }

uint64_t set_bound(uint64_t items) { return 1 + flag_bytes(items) + 4 * div_up(items, SET_WORD); }

/* Bits of a word that name items, as a mask. */
static uint32_t word_mask(uint64_t items, uint64_t word) {
    const uint64_t rest = items - word * SET_WORD;
    return rest >= SET_WORD ? UINT32_MAX : ((uint32_t)1 << rest) - 1;
}

size_t set_write(uint64_t items, set_word *word, const void *context, uint8_t *dst) {
    const uint64_t words = div_up(items, SET_WORD);
    uint64_t full = 0, empty = 0;
    for (uint64_t w = 0; w < words; w++) {
        const uint32_t bits = word(context, w);
        empty += bits == 0;
        full += bits == word_mask(items, w);
    }
    const bool others = full > empty;
    size_t at = 1 + (size_t)flag_bytes(items);
    if (dst == NULL) return at + 4 * (size_t)(words - (others ? full : empty));
    dst[0] = others;
    for (size_t i = 1; i < at; i++) dst[i] = 0;
    for (uint64_t w = 0; w < words; w++) {
        const uint32_t bits = word(context, w) ^ (others ? word_mask(items, w) : 0);
        if (bits == 0) continue;
        dst[1 + w / 8] = (uint8_t)(dst[1 + w / 8] | 1U << w % 8);
        store_le32(dst + at, bits);
        at += 4;
    }
    return at;
}

static unsigned bits_set(uint32_t word) {
    unsigned count = 0;
    for (; word != 0; word &= word - 1) count++;
    return count;
}

size_t set_parse(struct item_set *set, const uint8_t *p, size_t bytes, uint64_t items) {
    const uint64_t words = div_up(items, SET_WORD), flags = flag_bytes(items);
    size_t at = 1 + (size_t)flags;
    if (bytes < at || p[0] > 1) return 0;
    *set = (struct item_set){p + 1, p + at, items, p[0] != 0, 0};
    uint64_t full = 0, empty = 0; /* of what is stored */
    if (words % 8 != 0 && p[flags] >> words % 8 != 0) return 0;
    for (uint64_t w = 0; w < words; w++) {
        if ((p[1 + w / 8] >> w % 8 & 1) == 0) {
            empty++;
            continue;
        }
        if (bytes - at < 4) return 0;
        const uint32_t bits = load_le32(p + at);
        if (bits == 0 || (bits & ~word_mask(items, w)) != 0) return 0;
        full += bits == word_mask(items, w);
        set->count += bits_set(bits);
        at += 4;
    }
    if (set->others ? full >= empty : full > empty) return 0; /* the other way is the set's own */
    if (set->others) set->count = items - set->count;
    return at;
}

uint32_t set_next(struct item_set *set, uint64_t word) {
    const uint32_t flip = set->others ? word_mask(set->items, word) : 0;
    if ((set->flags[word / 8] >> word % 8 & 1) == 0) return flip;
    const uint32_t bits = load_le32(set->words);
    set->words += 4;
    return bits ^ flip;
}
