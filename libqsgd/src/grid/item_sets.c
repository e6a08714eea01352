/* A bit per word of 32 items, padded to bytes: the words that are not empty follow. */
#include "grid/item_sets.h"

#include "base/bits.h"
#include "grid/layout.h"

static uint64_t flag_bytes(uint64_t items) { return div_up(items, (uint64_t)8 * SET_WORD); }

uint64_t set_bound(uint64_t items) { return flag_bytes(items) + 4 * div_up(items, SET_WORD); }

size_t set_write(uint64_t items, set_word *word, const void *context, uint8_t *dst) {
    size_t at = (size_t)flag_bytes(items);
    for (size_t i = 0; dst != NULL && i < at; i++) dst[i] = 0;
    for (uint64_t w = 0; w < div_up(items, SET_WORD); w++) {
        const uint32_t bits = word(context, w);
        if (bits == 0) continue;
        if (dst != NULL) {
            dst[w / 8] = (uint8_t)(dst[w / 8] | 1U << w % 8);
            store_le32(dst + at, bits);
        }
        at += 4;
    }
    return at;
}

static unsigned bits_set(uint32_t word) {
    unsigned count = 0;
    for (; word != 0; word &= word - 1) count++;
    return count;
}

/* Bits of the last word that name items, as a mask. */
static uint32_t last_mask(uint64_t items) {
    const unsigned rest = (unsigned)(items % SET_WORD);
    return rest == 0 ? UINT32_MAX : ((uint32_t)1 << rest) - 1;
}

size_t set_parse(struct item_set *set, const uint8_t *p, size_t bytes, uint64_t items) {
    const uint64_t words = div_up(items, SET_WORD), flags = flag_bytes(items);
    size_t at = (size_t)flags;
    if (bytes < flags) return 0;
    *set = (struct item_set){p, p + flags, items, 0};
    if (words % 8 != 0 && p[flags - 1] >> words % 8 != 0) return 0;
    for (uint64_t w = 0; w < words; w++) {
        if ((p[w / 8] >> w % 8 & 1) == 0) continue;
        if (bytes - at < 4) return 0;
        const uint32_t bits = load_le32(p + at);
        if (bits == 0 || (w + 1 == words && (bits & ~last_mask(items)) != 0)) return 0;
        set->count += bits_set(bits);
        at += 4;
    }
    return at;
}

uint32_t set_next(struct item_set *set, uint64_t word) {
    if ((set->flags[word / 8] >> word % 8 & 1) == 0) return 0;
    const uint32_t bits = load_le32(set->words);
    set->words += 4;
    return bits;
}
