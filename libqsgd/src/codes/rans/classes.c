/* Classes of a rANS chunk follow local energy: groups of 128 elements fall into half-octave bins of
 * their sum of |k|, and neighbouring bins are merged while that makes the chunk shorter (ENCODER.md
 * section 8.4). */
#include "codes/rans/classes.h"

#include <string.h>

#include "grid/live.h"
#include "kernels/kernels.h"

#define BINS GROUP_BINS
#define STEP_MOST 3U /* low bits of a step: zigzag of one below 8 and 1 are below 16 */

struct cluster {
    struct tally tally[BINS]; /* per class, at first per bin that occurs */
    uint8_t of_bin[BINS];     /* class of such a bin */
    /* Of the bins that occur; and from rans_classes_histograms, behind as many as there may be. */
    _Alignas(64) token_counts counts[];
};

_Static_assert(sizeof(struct cluster) <= CODE_CLASSIFY_HEAD, "scratch of the classes");

/* The cost of two in one. */
static int64_t joint_cost(const struct tally *a, const struct tally *b) {
    const unsigned tokens = a->tokens > b->tokens ? a->tokens : b->tokens;
    uint64_t bits = count_lg(a->sum + b->sum);
    for (unsigned t = 0; t < tokens; t++) bits -= count_lg((uint64_t)a->counts[t] + b->counts[t]);
    return tally_cost(bits, tokens);
}

/* Groups of rotated buckets, which are not dithered as others are, have bins of their own: the
 * upper half of all. */
static void part_bins(const struct code_chunk *chunk, uint8_t *bins) {
    const unsigned half = BINS / 2;
    if (chunk->live == NULL) return;
    live_mark_rotated(chunk->live, CODE_GROUP, bins);
    for (size_t g = 0; g < code_groups(chunk->len); g++) {
        const unsigned bin = bins[g] & 127;
        bins[g] = (uint8_t)((bin < half ? bin : half - 1) + (bins[g] > 127 ? half : 0));
    }
}

/* Groups' bins, numbered anew so that all occur; returns how many there are. */
static unsigned name_bins(const struct code_chunk *chunk, const int16_t *k, const uint8_t *tokens,
                          uint8_t *bins) {
    const size_t groups = code_groups(chunk->len);
    uint8_t used[BINS] = {0};
    unsigned count = 0;
    chunk->kernels->group_bins(k, tokens, chunk->len, bins);
    part_bins(chunk, bins);
    for (size_t g = 0; g < groups; g++) used[bins[g]] = 1;
    for (unsigned b = 0; b < BINS; b++) {
        const unsigned before = count;
        count += used[b];
        used[b] = (uint8_t)before;
    }
    for (size_t g = 0; g < groups; g++) bins[g] = used[bins[g]];
    return count;
}

/* Counts as many times. */
static void weigh(const struct code_chunk *chunk, unsigned number, token_counts *counts) {
    for (unsigned i = 0; i < number && chunk->weight > 1; i++) {
        for (unsigned t = 0; t < CODE_TOKENS; t++) counts[i][t] *= chunk->weight;
    }
}

/* Tallies of the bins, and of all together; returns how many bins there are. */
static unsigned count_bins(const struct code_chunk *chunk, const int16_t *k, const uint8_t *tokens,
                           struct cluster *c, uint8_t *bins, struct tally *all) {
    const unsigned count = name_bins(chunk, k, tokens, bins);
    chunk->kernels->group_histograms(tokens, chunk->len, bins, count, c->counts);
    weigh(chunk, count, c->counts);
    memset(all->counts, 0, sizeof(token_counts));
    for (unsigned b = 0; b < count; b++) {
        struct tally *tally = &c->tally[b];
        tally->counts = c->counts[b];
        tally_finish(tally);
        for (unsigned t = 0; t < tally->tokens; t++) all->counts[t] += tally->counts[t];
        c->of_bin[b] = (uint8_t)b;
    }
    tally_finish(all);
    return count;
}

/* What merging a and a + 1 would cost. */
static int64_t merge_delta(const struct cluster *c, unsigned a) {
    const struct tally *one = &c->tally[a], *two = one + 1;
    return joint_cost(one, two) - one->cost - two->cost;
}

static void merge(struct cluster *c, unsigned a, unsigned classes, unsigned bins, int64_t delta) {
    struct tally *one = &c->tally[a], *two = one + 1;
    one->cost += two->cost + delta;
    one->sum += two->sum;
    if (two->tokens > one->tokens) one->tokens = two->tokens;
    for (unsigned t = 0; t < two->tokens; t++) one->counts[t] += two->counts[t];
    memmove(two, two + 1, (classes - a - 2) * sizeof *two);
    for (unsigned b = 0; b < bins; b++) {
        if (c->of_bin[b] > a) c->of_bin[b]--;
    }
}

/* Greedy merging of neighbours; delta[a] is what merging a and a + 1 would cost. */
static unsigned merge_all(struct cluster *c, unsigned bins) {
    unsigned classes = bins;
    int64_t delta[BINS];
    for (unsigned a = 0; a + 1 < classes; a++) delta[a] = merge_delta(c, a);
    while (classes > 1) {
        unsigned best = 0;
        for (unsigned a = 1; a + 1 < classes; a++) {
            if (delta[a] < delta[best]) best = a;
        }
        if (classes <= CODE_CLASSES && delta[best] > 0) break;
        merge(c, best, classes--, bins, delta[best]);
        for (unsigned a = best; a + 1 < classes; a++) delta[a] = delta[a + 1];
        if (best > 0) delta[best - 1] = merge_delta(c, best - 1);
        if (best + 1 < classes) delta[best] = merge_delta(c, best);
    }
    return classes;
}

/* How the step from one class to the next is written, by the step plus CODE_CLASSES: `width` zeros
 * and a one, and elsewhere so many `low` bits. */
struct class_code {
    uint8_t low, width;
};

static void class_codes(struct class_code code[2 * CODE_CLASSES]) {
    for (int32_t d = 0; d < 2 * CODE_CLASSES; d++) {
        const uint32_t step = levels_zigzag(d - CODE_CLASSES) + 1;
        const unsigned n = floor_log2(step);
        code[d].low = (uint8_t)(step - (1U << n));
        code[d].width = (uint8_t)n;
    }
}

uint64_t rans_classes_bits(const struct code_chunk *chunk) {
    const uint8_t *classes = chunk->scratch->classes;
    const size_t groups = code_groups(chunk->len);
    struct class_code code[2 * CODE_CLASSES];
    uint64_t bits = 0;
    uint8_t before = 0;
    class_codes(code);
    for (size_t g = 0; g < groups; g++) {
        bits += 2U * code[CODE_CLASSES + classes[g] - before].width + 1;
        before = classes[g];
    }
    return bits * code_weight(chunk);
}

unsigned rans_classes_choose(const struct code_chunk *chunk, const int16_t *k,
                             const uint8_t *tokens, struct tally *all, struct tally **each) {
    struct cluster *c = chunk->scratch->classify;
    uint8_t *bins = chunk->scratch->classes;
    const size_t groups = code_groups(chunk->len);
    *each = c->tally;
    unsigned classes = merge_all(c, count_bins(chunk, k, tokens, c, bins, all));
    if (classes == 1) return 1;
    for (size_t g = 0; g < groups; g++) bins[g] = c->of_bin[bins[g]];
    int64_t cost = (int64_t)(rans_classes_bits(chunk) << 16);
    for (unsigned i = 0; i < classes; i++) cost += c->tally[i].cost;
    return cost < all->cost ? classes : 1;
}

int64_t rans_classes_cost(const struct code_chunk *chunk, const int16_t *k, const uint8_t *tokens) {
    token_counts counts;
    struct tally all = {.counts = counts}, *each;
    const unsigned classes = rans_classes_choose(chunk, k, tokens, &all, &each);
    if (classes == 1) return all.cost;
    int64_t cost = (int64_t)(rans_classes_bits(chunk) << 16);
    for (unsigned i = 0; i < classes; i++) cost += each[i].cost;
    return cost;
}

token_counts *rans_classes_histograms(const struct code_chunk *chunk, const uint8_t *tokens,
                                      unsigned classes) {
    struct cluster *c = chunk->scratch->classify;
    token_counts *const counts = c->counts + code_classify_bins(chunk->len);
    if (classes == 1) {
        chunk->kernels->histogram(tokens, chunk->len, counts[0]);
    } else {
        chunk->kernels->group_histograms(tokens, chunk->len, chunk->scratch->classes, classes,
                                         counts);
    }
    weigh(chunk, classes, counts);
    return counts;
}

/* ---- bits ------------------------------------------------------------------------------------ */

/* Groups from g on whose parts, of at most `most` bits, one write or refill covers. */
static size_t classes_stop(size_t g, size_t groups, unsigned most) {
    const size_t count = 56 / most;
    return groups - g < count ? groups : g + count;
}

/* All zeros and ones, or all low bits. */
static void write_parts(struct lsb_writer *w, const struct class_code *code, bool low,
                        const uint8_t *classes, size_t groups) {
    uint8_t before = 0;
    for (size_t g = 0; g < groups;) {
        const size_t stop = classes_stop(g, groups, STEP_MOST + 1);
        uint64_t bits = 0;
        unsigned held = 0;
        for (; g < stop; g++) {
            const struct class_code c = code[CODE_CLASSES + classes[g] - before];
            bits |= (uint64_t)(low ? c.low : 1U << c.width) << held;
            held += low ? c.width : c.width + 1U;
            before = classes[g];
        }
        lsb_write(w, bits, held);
    }
}

void rans_classes_write(struct lsb_writer *w, const uint8_t *classes, size_t groups) {
    struct class_code code[2 * CODE_CLASSES];
    class_codes(code);
    write_parts(w, code, false, classes, groups);
    write_parts(w, code, true, classes, groups);
}

/* How many low bits each step has, into `classes`; false if too many. */
static bool parse_widths(struct bit_reader *r, uint8_t *classes, size_t groups) {
    unsigned most = 0;
    for (size_t g = 0; g < groups;) {
        lsb_refill(r);
        const size_t stop = classes_stop(g, groups, STEP_MOST + 2);
        uint64_t next = r->acc;
        unsigned taken = 0;
        for (; g < stop; g++) {
            const unsigned n = lowest_bit(next | 1U << (STEP_MOST + 1));
            most = n > most ? n : most;
            next >>= n + 1;
            taken += n + 1;
            classes[g] = (uint8_t)n;
        }
        lsb_take(r, taken);
    }
    return most <= STEP_MOST;
}

bool rans_classes_parse(struct bit_reader *r, unsigned number, uint8_t *classes, size_t groups) {
    unsigned used = 0;
    int32_t class = 0;
    if (!parse_widths(r, classes, groups)) return false;
    for (size_t g = 0; g < groups;) {
        lsb_refill(r);
        const size_t stop = classes_stop(g, groups, STEP_MOST);
        uint64_t next = r->acc;
        unsigned taken = 0;
        for (; g < stop; g++) {
            const unsigned n = classes[g];
            const uint32_t step = 1U << n | ((uint32_t)next & ((1U << n) - 1));
            class += levels_unzigzag(step - 1);
            if (class < 0 || class >= (int32_t)number) return false;
            next >>= n;
            taken += n;
            classes[g] = (uint8_t)class;
            used |= 1U << class;
        }
        lsb_take(r, taken);
    }
    return !r->overrun && used == (1U << number) - 1;
}
