/* Huffman code of tokens (FORMAT.md section 7.5): canonical, at most 12 bits, fitted to the chunk.
 *
 * Payload: code lengths, segment lengths, a stream of codewords per segment, extra bits. */
#include "codes/huffman.h"

#include "codes/prefix.h"
#include "codes/segments.h"
#include "codes/shared_tables.h"
#include "codes/tokens.h"

#define COUNT_BITS 6U
#define LENGTH_BITS 4U
#define LOOK_BITS 9U                /* what most codewords lie within */
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

void huffman_lengths(uint32_t weights[CODE_TOKENS], uint8_t lengths[CODE_TOKENS]) {
    while (tree_lengths(weights, lengths) > CODE_HUFFMAN_BITS) {
        for (unsigned t = 0; t < CODE_TOKENS; t++) weights[t] = (weights[t] + 1) >> 1;
    }
}

/* Bits of the codewords; UINT64_MAX if a token has none. */
static uint64_t codeword_bits(const uint32_t counts[CODE_TOKENS],
                              const uint8_t lengths[CODE_TOKENS]) {
    uint64_t bits = 0;
    for (unsigned t = 0; t < CODE_TOKENS; t++) {
        if (counts[t] != 0 && lengths[t] == 0) return UINT64_MAX;
        bits += (uint64_t)counts[t] * lengths[t];
    }
    return bits;
}

static void use_shared(const struct shared_tables *shared, struct code_plan *plan) {
    plan->shared = true;
    plan->prefix.token_count = shared->tokens;
    memcpy(plan->prefix.lengths, shared->lengths, sizeof plan->prefix.lengths);
}

static void huffman_plan(const struct code_chunk *chunk, const int16_t *k, struct code_plan *plan) {
    uint32_t counts[CODE_TOKENS], weights[CODE_TOKENS];
    tokens_from_indices(chunk, k, chunk->scratch->tokens, counts);
    memcpy(weights, counts, sizeof weights);
    huffman_lengths(weights, plan->prefix.lengths);
    plan->prefix.token_count = CODE_TOKENS;
    while (plan->prefix.token_count > 1 && plan->prefix.lengths[plan->prefix.token_count - 1] == 0)
        plan->prefix.token_count--;
    plan->body = NULL; /* the tokens are there */
    plan->shared = false;
    if (chunk->shared == NULL) return;
    const uint64_t own = codeword_bits(counts, plan->prefix.lengths) +
                         8 * (uint64_t)table_bytes(plan->prefix.token_count);
    if (codeword_bits(counts, chunk->shared->lengths) <= own) use_shared(chunk->shared, plan);
}

/* ---- encode --------------------------------------------------------------------------------- */

/* Canonical codewords: numbered in ascending order of (length, token). */
static void canonical_code(const uint8_t lengths[CODE_TOKENS], unsigned token_count,
                           struct prefix_memory *memory) {
    unsigned next = 0;
    memory->code_key = memory->runs_key = 0;
    memory->code.rows = (token_count + 15) / 16;
    for (unsigned t = 0; t < 16 * memory->code.rows; t++) prefix_set(&memory->code, t, 0, 0);
    for (unsigned length = 1; length <= CODE_HUFFMAN_BITS; length++) {
        next <<= 1;
        for (unsigned t = 0; t < token_count; t++) {
            if (lengths[t] == length) prefix_set(&memory->code, t, next++, length);
        }
    }
}

/* False if a token has no codeword: only with a table from another frame. */
static bool table_covers(const struct code_chunk *chunk, const uint8_t lengths[CODE_TOKENS]) {
    const uint8_t *tokens = chunk->scratch->tokens;
    bool covers = true;
    for (size_t i = 0; i < chunk->len; i++) covers &= lengths[tokens[i]] != 0;
    return covers;
}

static void write_table(const struct code_plan *plan, uint8_t *dst) {
    struct lsb_writer w;
    lsb_write_init(&w, dst, dst + table_bytes(plan->prefix.token_count));
    lsb_write(&w, plan->prefix.token_count - 1, COUNT_BITS);
    for (unsigned t = 0; t < plan->prefix.token_count; t++)
        lsb_write(&w, plan->prefix.lengths[t], LENGTH_BITS);
    lsb_write_end(&w);
}

static size_t huffman_write(const struct code_chunk *chunk, const int16_t *k,
                            const struct code_plan *plan, uint8_t *dst, size_t cap) {
    struct prefix_memory *memory = chunk->scratch->prefix;
    const size_t head = plan->shared ? 0 : table_bytes(plan->prefix.token_count);
    if (plan->body != NULL) { /* a parsed plan: tokens are not there yet, the table may not fit */
        tokens_from_indices(chunk, k, chunk->scratch->tokens, NULL);
        if (!table_covers(chunk, plan->prefix.lengths)) return SIZE_MAX;
    }
    if (head > cap) return SIZE_MAX;
    if (!plan->shared) write_table(plan, dst);
    canonical_code(plan->prefix.lengths, plan->prefix.token_count, memory);
    size_t bytes =
        prefix_write_segments(chunk, &memory->code, chunk->scratch->tokens, dst + head, cap - head);
    if (bytes == SIZE_MAX) return SIZE_MAX;
    uint8_t *end =
        tokens_write_extra(chunk, plan->prefix.token_count, k, dst + head + bytes, dst + cap);
    return end == NULL ? SIZE_MAX : (size_t)(end - dst);
}

/* ---- decode --------------------------------------------------------------------------------- */

/* Reads A and the code lengths at p; *bytes receives the table's size. */
static qsgd_status parse_table(const uint8_t *p, const uint8_t *end, struct code_plan *plan,
                               size_t *bytes) {
    struct bit_reader r;
    memset(plan->prefix.lengths, 0, sizeof plan->prefix.lengths);
    if (p == end) return QSGD_ERR_CODE_TABLE;
    plan->prefix.token_count = (*p & ((1U << COUNT_BITS) - 1)) + 1;
    *bytes = table_bytes(plan->prefix.token_count);
    if (plan->prefix.token_count == CODE_TOKENS)
        return QSGD_ERR_CODE_TABLE; /* tokens are below 63 */
    if ((size_t)(end - p) < *bytes) return QSGD_ERR_CODE_TABLE;

    unsigned total = 0; /* sum of 2^-length, in units of 2^-CODE_HUFFMAN_BITS */
    unsigned used = 0;
    bit_read_init(&r, p, p + *bytes);
    lsb_read(&r, COUNT_BITS);
    for (unsigned t = 0; t < plan->prefix.token_count; t++) {
        unsigned length = (unsigned)lsb_read(&r, LENGTH_BITS);
        if (length > CODE_HUFFMAN_BITS) return QSGD_ERR_CODE_TABLE;
        plan->prefix.lengths[t] = (uint8_t)length;
        if (length == 0) continue;
        total += 1U << (CODE_HUFFMAN_BITS - length);
        used++;
    }
    /* Different indices may share their only token, where signs and low bits differ. */
    unsigned last = plan->prefix.lengths[plan->prefix.token_count - 1];
    bool alone = used == 1 && last == 1;
    if (last == 0) return QSGD_ERR_CODE_TABLE;
    if (total != 1U << CODE_HUFFMAN_BITS && !alone) return QSGD_ERR_CODE_TABLE;
    return lsb_read_end(&r) ? QSGD_OK : QSGD_ERR_PADDING;
}

static qsgd_status huffman_parse(const struct code_chunk *chunk, const uint8_t *p, size_t bytes,
                                 struct code_plan *plan, size_t *where) {
    size_t head = 0;
    qsgd_status status = QSGD_OK;
    *where = 0;
    plan->end = p + bytes;
    plan->shared = false;
    if (chunk->shared != NULL) {
        use_shared(chunk->shared, plan);
    } else {
        status = parse_table(p, plan->end, plan, &head);
    }
    if (status != QSGD_OK) return status;
    *where = head;
    status = segments_parse(chunk, p + head, plan->end, plan);
    if (status != QSGD_OK) return status;
    *where = (size_t)(plan->tail - p);
    return tokens_parse_extra(chunk, plan->prefix.token_count, plan->tail, plan->end);
}

/* Looks codewords up by their first bits, and finds those that are longer by counting: the code is
 * canonical. */
struct decoder {
    uint16_t entry[1 << LOOK_BITS];        /* token | length << 8; 0: the codeword is longer */
    uint16_t first[CODE_HUFFMAN_BITS + 1]; /* codeword of each length */
    uint8_t count[CODE_HUFFMAN_BITS + 1];  /* of codewords of that length */
    uint8_t at[CODE_HUFFMAN_BITS + 1];     /* place of the first one's token */
    uint8_t token[CODE_TOKENS];            /* in order of codewords */
};

_Static_assert(sizeof(struct decoder) <= HUFFMAN_DECODER_BYTES, "scratch of the decoder");

/* Codewords fill the entries from the start. All of them, unless there are longer ones, or a token
 * is alone: then the rest is NO_TOKEN. */
static void decoder_build(struct decoder *d, const uint8_t lengths[CODE_TOKENS]) {
    uint16_t *next = d->entry, *const end = d->entry + (1 << LOOK_BITS);
    unsigned codeword = 0, tokens = 0;
    for (unsigned length = 1; length <= CODE_HUFFMAN_BITS; length++) {
        codeword <<= 1;
        d->first[length] = (uint16_t)codeword;
        d->at[length] = (uint8_t)tokens;
        for (unsigned t = 0; t < CODE_TOKENS; t++) {
            if (lengths[t] != length) continue;
            d->token[tokens++] = (uint8_t)t;
            codeword++;
            for (unsigned i = length > LOOK_BITS ? 0 : 1U << (LOOK_BITS - length); i > 0; i--) {
                *next++ = (uint16_t)(t | length << 8);
            }
        }
        d->count[length] = (uint8_t)(tokens - d->at[length]);
    }
    while (next < end) *next++ = tokens == 1 ? NO_TOKEN | 1U << 8 : 0;
}

/* A token of more than LOOK_BITS bits. The code is complete, so that there is one. */
static uint8_t take_long(const struct decoder *d, struct bit_reader *r) {
    unsigned length = LOOK_BITS + 1;
    uint64_t above = 0; /* of the length's first codeword */
    for (; length <= CODE_HUFFMAN_BITS; length++) {
        above = (r->acc >> (64 - length)) - d->first[length];
        if (above < d->count[length]) break;
    }
    msb_take(r, length);
    return d->token[d->at[length] + above];
}

static inline uint8_t take_token(const struct decoder *d, struct bit_reader *r) {
    const unsigned entry = d->entry[r->acc >> (64 - LOOK_BITS)];
    if (entry == 0) return take_long(d, r);
    msb_take(r, entry >> 8);
    return (uint8_t)entry;
}

static void read_segment(const struct decoder *d, struct bit_reader *r, uint8_t *tokens,
                         size_t len) {
    size_t i = 0;
    for (; i + 4 <= len; i += 4) { /* a refill covers 4 codewords */
        msb_refill(r);
        for (size_t j = i; j < i + 4; j++) tokens[j] = take_token(d, r);
    }
    msb_refill(r);
    for (; i < len; i++) tokens[i] = take_token(d, r);
}

/* Token by token: says what is wrong with a payload, and reads what is too short for runs. */
static qsgd_status read_plain(const struct code_chunk *chunk, const struct code_plan *plan) {
    struct decoder *d = chunk->scratch->decode;
    uint8_t *tokens = chunk->scratch->tokens;
    decoder_build(d, plan->prefix.lengths);
    const uint8_t *p = plan->body;
    qsgd_status status = QSGD_OK;
    for (size_t s = 0; s < code_segments(chunk); s++) {
        size_t len = segments_elements(chunk, s);
        struct bit_reader r;
        bit_read_init(&r, p, p + segments_length(plan, s));
        p = r.end;
        read_segment(d, &r, tokens, len);
        tokens += len;
        bool whole = msb_read_end(&r);
        if (status == QSGD_OK && !whole) status = r.overrun ? QSGD_ERR_STREAM : QSGD_ERR_PADDING;
    }
    return status;
}

/* For prefix_read_segments: the decoder is there. */
static int take_any(const struct code_chunk *chunk, struct bit_reader *r) {
    const uint8_t token = take_token(chunk->scratch->decode, r);
    return token == NO_TOKEN ? -1 : token;
}

/* By runs; false if a segment is malformed, or too short to repay them. */
static bool read_runs(const struct code_chunk *chunk, const struct code_plan *plan) {
    unsigned window = prefix_window(chunk->len), longest = 0;
    if (window == 0) return false;
    if (window > 10) window = 10; /* unlike Elias, tables serve one chunk only */
    for (unsigned t = 0; t < plan->prefix.token_count; t++) {
        if (plan->prefix.lengths[t] > longest) longest = plan->prefix.lengths[t];
    }
    /* No codeword is longer than a look-up, if there is memory. */
    const unsigned most = prefix_window_most(chunk->len);
    if (longest > window) window = longest < most ? longest : most;
    const bool longer = longest > window;
    canonical_code(plan->prefix.lengths, plan->prefix.token_count, chunk->scratch->prefix);
    prefix_runs_build(chunk->scratch->prefix, window);
    if (longer) decoder_build(chunk->scratch->decode, plan->prefix.lengths);
    return prefix_read_segments(chunk, plan, longer ? take_any : NULL, chunk->scratch->tokens);
}

static qsgd_status huffman_read(const struct code_chunk *chunk, const struct code_plan *plan,
                                int16_t *k) {
    qsgd_status status = read_runs(chunk, plan) ? QSGD_OK : read_plain(chunk, plan);
    uint64_t possible = 0;
    for (unsigned t = 0; t < plan->prefix.token_count; t++) {
        possible |= (uint64_t)(plan->prefix.lengths[t] != 0) << t;
    }
    if ((possible & (possible - 1)) == 0) possible |= (uint64_t)1 << NO_TOKEN; /* incomplete */
    qsgd_status extra =
        tokens_to_indices(chunk, chunk->scratch->tokens, possible, plan->tail, plan->end, k);
    return status != QSGD_OK ? status : extra;
}

const struct code code_huffman = {
    .name = "huffman",
    .may_be_constant = true,
    .may_share = true,
    .plan = ENCODES(huffman_plan),
    .write = ENCODES(huffman_write),
    .parse = huffman_parse,
    .read = huffman_read,
};
