/* Huffman code of tokens (FORMAT.md section 8.4): canonical, at most 12 bits, fitted to the chunk.
 *
 * Payload: code lengths, segment lengths, a stream of codewords per segment, extra bits. */
#include "segments.h"
#include "tokens.h"

#define COUNT_BITS 6U
#define LENGTH_BITS 4U
#define NO_TOKEN (CODE_TOKENS - 1U) /* names no index under any set of levels */

static size_t table_bytes(unsigned token_count) {
    return (COUNT_BITS + LENGTH_BITS * token_count + 7) / 8;
}

/* ---- code lengths --------------------------------------------------------------------------- */

struct tree {
    uint32_t weight[2 * CODE_TOKENS];
    uint8_t parent[2 * CODE_TOKENS];
    uint8_t token[CODE_TOKENS]; /* of each leaf */
    unsigned leaves;            /* nodes 0 .. leaves - 1; then sums, by age */
};

/* Leaves in ascending order of (weight, token). */
static void tree_leaves(struct tree *tree, const uint32_t weights[CODE_TOKENS]) {
    tree->leaves = 0;
    for (unsigned t = 0; t < CODE_TOKENS; t++) {
        if (weights[t] == 0) continue;
        unsigned i = tree->leaves++;
        for (; i > 0 && tree->weight[i - 1] > weights[t]; i--) {
            tree->weight[i] = tree->weight[i - 1];
            tree->token[i] = tree->token[i - 1];
        }
        tree->weight[i] = weights[t];
        tree->token[i] = (uint8_t)t;
    }
}

/* Sums come out in ascending weight, so both kinds of node are queues. A token alone gets length 1.
 * Returns the longest length. */
static unsigned tree_lengths(const uint32_t weights[CODE_TOKENS], uint8_t lengths[CODE_TOKENS]) {
    struct tree tree;
    tree_leaves(&tree, weights);
    memset(lengths, 0, CODE_TOKENS);
    if (tree.leaves == 1) lengths[tree.token[0]] = 1;
    if (tree.leaves < 2) return 1;
    unsigned leaf = 0, sum = tree.leaves, nodes = 2 * tree.leaves - 1;
    for (unsigned made = tree.leaves; made < nodes; made++) {
        tree.weight[made] = 0;
        for (int child = 0; child < 2; child++) {
            bool sums = sum < made;
            bool take_leaf = leaf < tree.leaves && (!sums || tree.weight[leaf] <= tree.weight[sum]);
            unsigned node = take_leaf ? leaf++ : sum++;
            tree.weight[made] += tree.weight[node];
            tree.parent[node] = (uint8_t)made;
        }
    }
    uint8_t depth[2 * CODE_TOKENS];
    unsigned longest = 0;
    depth[nodes - 1] = 0;
    for (unsigned i = nodes - 1; i-- > 0;) {
        depth[i] = (uint8_t)(depth[tree.parent[i]] + 1);
        if (i >= tree.leaves) continue;
        lengths[tree.token[i]] = depth[i];
        if (depth[i] > longest) longest = depth[i];
    }
    return longest;
}

static void huffman_plan(const struct code_chunk *chunk, const int16_t *k, struct code_plan *plan) {
    uint32_t weights[CODE_TOKENS];
    tokens_from_indices(chunk, k, chunk->scratch->tokens, weights);
    while (tree_lengths(weights, plan->lengths) > CODE_HUFFMAN_BITS) {
        for (unsigned t = 0; t < CODE_TOKENS; t++) weights[t] = (weights[t] + 1) >> 1;
    }
    plan->token_count = CODE_TOKENS;
    while (plan->token_count > 1 && plan->lengths[plan->token_count - 1] == 0) plan->token_count--;
}

/* ---- encode --------------------------------------------------------------------------------- */

/* Canonical codewords: numbered in ascending order of (length, token). */
static void canonical_codes(const uint8_t lengths[CODE_TOKENS], uint16_t codes[CODE_TOKENS]) {
    unsigned next = 0;
    for (unsigned length = 1; length <= CODE_HUFFMAN_BITS; length++) {
        next <<= 1;
        for (unsigned t = 0; t < CODE_TOKENS; t++) {
            if (lengths[t] == length) codes[t] = (uint16_t)next++;
        }
    }
}

/* Sets the bytes of every segment; false if a token has no codeword. */
static bool measure_segments(const struct code_chunk *chunk, const uint8_t lengths[CODE_TOKENS],
                             uint32_t *segment_bytes) {
    const uint8_t *tokens = chunk->scratch->tokens;
    bool coded = true;
    for (size_t s = 0; s < code_segments(chunk); s++) {
        size_t len = segments_elements(chunk, s);
        uint64_t bits = 0;
        for (size_t i = 0; i < len; i++) {
            unsigned length = lengths[tokens[i]];
            coded &= length != 0;
            bits += length;
        }
        segment_bytes[s] = (uint32_t)((bits + 7) / 8);
        tokens += len;
    }
    return coded;
}

static void write_table(const struct code_plan *plan, uint8_t *dst) {
    struct lsb_writer w;
    lsb_write_init(&w, dst, dst + table_bytes(plan->token_count));
    lsb_write(&w, plan->token_count - 1, COUNT_BITS);
    for (unsigned t = 0; t < plan->token_count; t++) lsb_write(&w, plan->lengths[t], LENGTH_BITS);
    lsb_write_end(&w);
}

static void write_segment(const uint8_t lengths[CODE_TOKENS], const uint16_t codes[CODE_TOKENS],
                          const uint8_t *tokens, size_t len, struct msb_writer *w) {
    uint64_t pending = 0;
    unsigned held = 0;
    for (size_t i = 0; i < len; i++) {
        unsigned length = lengths[tokens[i]];
        if (held + length > 56) {
            msb_write(w, pending, held);
            pending = 0;
            held = 0;
        }
        pending = pending << length | codes[tokens[i]];
        held += length;
    }
    msb_write(w, pending, held);
}

static size_t huffman_write(const struct code_chunk *chunk, const int16_t *k,
                            const struct code_plan *plan, uint8_t *dst, size_t cap) {
    uint32_t *segment_bytes = segments_scratch(chunk);
    const uint8_t *tokens = chunk->scratch->tokens;
    tokens_from_indices(chunk, k, chunk->scratch->tokens, NULL);
    if (!measure_segments(chunk, plan->lengths, segment_bytes)) return SIZE_MAX;
    size_t head = table_bytes(plan->token_count);
    if (head > cap) return SIZE_MAX;
    write_table(plan, dst);
    size_t index = segments_write(segment_bytes, code_segments(chunk), dst + head, cap - head);
    if (index == SIZE_MAX) return SIZE_MAX;

    uint16_t codes[CODE_TOKENS] = {0};
    canonical_codes(plan->lengths, codes);
    struct msb_writer w;
    uint8_t *end = dst + head + index;
    msb_write_init(&w, end, dst + cap);
    for (size_t s = 0; s < code_segments(chunk); s++) {
        size_t len = segments_elements(chunk, s);
        write_segment(plan->lengths, codes, tokens, len, &w);
        tokens += len;
        end = msb_write_end(&w);
        if (end == NULL) return SIZE_MAX;
    }
    end = tokens_write_extra(chunk, k, end, dst + cap);
    return end == NULL ? SIZE_MAX : (size_t)(end - dst);
}

/* ---- decode --------------------------------------------------------------------------------- */

/* Reads A and the code lengths at p; *bytes receives the table's size. */
static qsgd_status parse_table(const uint8_t *p, const uint8_t *end, struct code_plan *plan,
                               size_t *bytes) {
    struct bit_reader r;
    memset(plan->lengths, 0, sizeof plan->lengths);
    if (p == end) return QSGD_ERR_CODE_TABLE;
    plan->token_count = (*p & ((1U << COUNT_BITS) - 1)) + 1;
    *bytes = table_bytes(plan->token_count);
    if (plan->token_count == CODE_TOKENS) return QSGD_ERR_CODE_TABLE; /* tokens are below 63 */
    if ((size_t)(end - p) < *bytes) return QSGD_ERR_CODE_TABLE;

    unsigned total = 0; /* sum of 2^-length, in units of 2^-CODE_HUFFMAN_BITS */
    unsigned used = 0;
    bit_read_init(&r, p, p + *bytes);
    lsb_read(&r, COUNT_BITS);
    for (unsigned t = 0; t < plan->token_count; t++) {
        unsigned length = (unsigned)lsb_read(&r, LENGTH_BITS);
        if (length > CODE_HUFFMAN_BITS) return QSGD_ERR_CODE_TABLE;
        plan->lengths[t] = (uint8_t)length;
        if (length == 0) continue;
        total += 1U << (CODE_HUFFMAN_BITS - length);
        used++;
    }
    /* Different indices may share their only token, where signs and low bits differ. */
    unsigned last = plan->lengths[plan->token_count - 1];
    bool alone = used == 1 && last == 1;
    if (last == 0) return QSGD_ERR_CODE_TABLE;
    if (total != 1U << CODE_HUFFMAN_BITS && !alone) return QSGD_ERR_CODE_TABLE;
    return lsb_read_end(&r) ? QSGD_OK : QSGD_ERR_PADDING;
}

static qsgd_status huffman_parse(const struct code_chunk *chunk, const uint8_t *p, size_t bytes,
                                 struct code_plan *plan, size_t *where) {
    size_t head = 0;
    *where = 0;
    plan->end = p + bytes;
    qsgd_status status = parse_table(p, plan->end, plan, &head);
    if (status != QSGD_OK) return status;
    *where = head;
    status = segments_parse(chunk, p + head, plan->end, plan);
    if (status != QSGD_OK) return status;
    *where = (size_t)(plan->tail - p);
    bool leftover = tokens_direct(chunk->levels) && plan->tail != plan->end;
    return leftover ? QSGD_ERR_PADDING : QSGD_OK;
}

/* Fills table[1 << longest], entry = token | length << 8, for the next `longest` bits. The code is
 * canonical, so codewords fill it from the start, and complete unless a token is alone: then the
 * rest is NO_TOKEN. Returns `longest`. */
static unsigned decode_table(const uint8_t lengths[CODE_TOKENS], uint32_t *table) {
    unsigned longest = 0;
    uint32_t *next = table;
    for (unsigned t = 0; t < CODE_TOKENS; t++) {
        if (lengths[t] > longest) longest = lengths[t];
    }
    for (unsigned length = 1; length <= longest; length++) {
        for (unsigned t = 0; t < CODE_TOKENS; t++) {
            if (lengths[t] != length) continue;
            for (unsigned i = 1U << (longest - length); i > 0; i--) *next++ = t | length << 8;
        }
    }
    while (next < table + (1U << longest)) *next++ = NO_TOKEN | 1U << 8;
    return longest;
}

static inline uint8_t take_token(struct bit_reader *r, const uint32_t *table, unsigned longest) {
    uint32_t entry = table[r->acc >> (64 - longest)];
    msb_take(r, entry >> 8);
    return (uint8_t)entry;
}

static void read_segment(struct bit_reader *r, const uint32_t *table, unsigned longest,
                         uint8_t *tokens, size_t len) {
    size_t i = 0;
    for (; i + 4 <= len; i += 4) { /* a refill covers 4 codewords */
        msb_refill(r);
        for (size_t j = i; j < i + 4; j++) tokens[j] = take_token(r, table, longest);
    }
    msb_refill(r);
    for (; i < len; i++) tokens[i] = take_token(r, table, longest);
}

static qsgd_status huffman_read(const struct code_chunk *chunk, const struct code_plan *plan,
                                int16_t *k) {
    uint32_t *table = chunk->scratch->decode;
    uint8_t *tokens = chunk->scratch->tokens;
    unsigned longest = decode_table(plan->lengths, table);
    const uint8_t *p = plan->body;
    qsgd_status status = QSGD_OK;
    for (size_t s = 0; s < code_segments(chunk); s++) {
        size_t len = segments_elements(chunk, s);
        struct bit_reader r;
        bit_read_init(&r, p, p + segments_length(plan, s));
        p = r.end;
        read_segment(&r, table, longest, tokens, len);
        tokens += len;
        bool whole = msb_read_end(&r);
        if (status == QSGD_OK && !whole) status = r.overrun ? QSGD_ERR_STREAM : QSGD_ERR_PADDING;
    }
    uint64_t possible = 0;
    for (unsigned t = 0; t < plan->token_count; t++) {
        possible |= (uint64_t)(plan->lengths[t] != 0) << t;
    }
    if ((possible & (possible - 1)) == 0) possible |= (uint64_t)1 << NO_TOKEN; /* incomplete */
    qsgd_status extra =
        tokens_to_indices(chunk, chunk->scratch->tokens, possible, plan->tail, plan->end, k);
    return status != QSGD_OK ? status : extra;
}

const struct qsgd_code code_huffman = {
    .name = "huffman",
    .may_be_constant = true,
    .plan = huffman_plan,
    .write = huffman_write,
    .parse = huffman_parse,
    .read = huffman_read,
};
