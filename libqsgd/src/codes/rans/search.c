/* Lane by lane, as kernels/rans_scalar.h specifies it. Runs of lanes that share a stream of words
 * and a class keep what they share in registers. */
#include "codes/rans/search.h"

#include "codes/scratch.h"

#define PLACES 128 /* of a class's slots, each of as many */

/* One class. The second table of a split one lies behind the first. */
struct search {
    uint16_t start[CODE_TOKENS]; /* first slot of each symbol */
    uint8_t symbol[PLACES];      /* that of a place's first slot */
};

_Static_assert(sizeof(struct search) == RANS_SEARCH_BYTES, "scratch of the search");

static unsigned slot_bits(const struct rans_job *job, unsigned class) {
    return job->prob_bits + (job->split >> class & 1);
}

void rans_search_build(const struct rans_job *job, void *tables) {
    struct search *search = tables;
    for (unsigned c = 0; c < job->tables; c++, search++) {
        const uint32_t each = (1U << slot_bits(job, c)) / PLACES;
        uint32_t start = 0, place = 0;
        for (unsigned s = 0; s < CODE_TOKENS; s++) {
            search->start[s] = (uint16_t)start;
            start += job->freq[c][s];
            for (; place < PLACES && place * each < start; place++)
                search->symbol[place] = (uint8_t)s;
        }
    }
}

/* What a run of lanes shares. */
struct run {
    const struct search *search;
    const uint16_t *freq;
    unsigned prob_bits, place_bits;
    uint32_t split; /* RANS_HALF if the class is split, else 0 */
    const uint8_t *end;
};

/* n tokens of as many lanes; returns the next word, behind `end` if words ran out. */
static const uint8_t *read_run(const struct run *run, uint32_t *states, const uint8_t *halves,
                               size_t n, const uint8_t *words, uint8_t *tokens) {
    const unsigned prob_bits = run->prob_bits;
    for (size_t i = 0; i < n; i++) {
        uint32_t x = states[i], slot = x & ((1U << prob_bits) - 1);
        if (halves != NULL) slot += (halves[i] & run->split) / RANS_HALF << prob_bits;
        unsigned s = run->search->symbol[slot >> run->place_bits];
        while (slot - run->search->start[s] >= run->freq[s]) s++;
        x = (x >> prob_bits) * run->freq[s] + (slot - run->search->start[s]);
        if (x < RANS_LOW) {
            x = x << 16 | (run->end - words >= 2 ? (uint32_t)(words[0] | words[1] << 8) : 0);
            words += 2;
        }
        states[i] = x;
        tokens[i] = (uint8_t)(s & ~run->split);
    }
    return words;
}

void rans_search_decode(const struct rans_job *job, const void *tables, struct rans_stream *stream,
                        size_t to, uint8_t *tokens) {
    const size_t lanes = (size_t)1 << job->lanes_log2;
    const uint8_t *halves = job->split != 0 ? stream->halves : NULL;
    for (size_t i = stream->at, n; i < to; i += n) {
        const unsigned class = job->classes == NULL ? 0 : job->classes[i / CODE_GROUP];
        const size_t lane = i & (lanes - 1), g = lane / RANS_GROUP_LANES;
        const size_t shared = lanes < RANS_GROUP_LANES ? lanes : RANS_GROUP_LANES;
        const struct run run = {(const struct search *)tables + class,
                                job->freq[class],
                                job->prob_bits,
                                slot_bits(job, class) - 7,
                                (job->split >> class & 1) * RANS_HALF,
                                stream->end[g]};
        n = shared - lane % shared;
        if (n > to - i) n = to - i;
        stream->words[g] =
            read_run(&run, stream->states + lane, halves, n, stream->words[g], tokens);
        if (stream->words[g] > stream->end[g]) stream->bad = true;
        tokens += n;
        if (halves != NULL) halves += n;
    }
    stream->halves = halves;
    stream->at = to;
}
