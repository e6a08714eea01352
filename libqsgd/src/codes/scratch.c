/* Carves a worker's scratch. Pieces that a code or a direction does without are empty. */
#include "codes/scratch.h"

#include "codes/huffman.h"
#include "codes/prefix.h"

/* Memory of rANS tables for decoding. Chunks above `small` have all that any tables take, as far as
 * these may repay; those below have room for the tables of ordinary frames, and others are decoded
 * by searching (codes/rans/search.h). */
static size_t rans_tables_bytes(size_t len) {
    const size_t least = CODE_CLASSES * RANS_SEARCH_BYTES, small = 4096, all = 8 * RANS_TABLE_BYTES;
    const size_t most = len > small ? all : ((size_t)16 << 10) + 512;
    const size_t bytes = len > small ? 32 * len : 16 * len;
    return bytes < least ? least : (bytes < most ? bytes : most);
}

static bool is_code(const struct code_use *use, int32_t first, int32_t last) {
    return use->code == QSGD_CODE_AUTO || (use->code >= first && use->code <= last);
}

static bool is_rans(const struct code_use *use) {
    return is_code(use, QSGD_CODE_RANS, QSGD_CODE_RANS);
}

static bool is_huffman(const struct code_use *use) {
    return is_code(use, QSGD_CODE_HUFFMAN, QSGD_CODE_HUFFMAN);
}

static bool is_sparse(const struct code_use *use) {
    return is_code(use, QSGD_CODE_ELIAS_GAMMA_SPARSE, QSGD_CODE_RICE_SPARSE);
}

/* True of codes of byte symbols in segments. */
static bool is_prefix(const struct code_use *use) {
    return is_code(use, QSGD_CODE_ELIAS_GAMMA, QSGD_CODE_ELIAS_OMEGA) || is_huffman(use);
}

static size_t most(size_t a, size_t b) { return a > b ? a : b; }

/* Of scratch->words, but for positions. */
static size_t words_bytes(const struct code_use *use) {
    size_t bytes = 0;
    if (is_prefix(use)) bytes = (use->len / CODE_LEAST_SEGMENT + 2) * sizeof(uint32_t);
    if (is_rans(use)) bytes = most(bytes, (use->len + 256) * sizeof(uint16_t));
    return bytes;
}

void code_scratch_carve(struct code_scratch *scratch, struct memory *memory,
                        const struct code_use *use) {
    const bool decodes = (use->directions & CODE_DECODES) != 0, prefix = is_prefix(use);
    const size_t runs = decodes ? prefix_runs_bytes(use->len) : 0;
    scratch->tokens = memory_take(memory, prefix || is_rans(use) ? use->len : 0);
    scratch->prefix = memory_take(memory, prefix ? sizeof *scratch->prefix + runs : 0);
    if (memory->base == NULL || !prefix) return;
    scratch->prefix->code_key = scratch->prefix->runs_key = 0;
}

void code_passing_carve(struct code_scratch *scratch, struct memory *memory,
                        const struct code_use *use) {
    const bool encodes = (use->directions & CODE_ENCODES) != 0;
    const bool decodes = (use->directions & CODE_DECODES) != 0, rans = is_rans(use);
    const size_t groups = use->len / CODE_GROUP + 1, words = words_bytes(use);
    const size_t classify = rans && encodes ? code_classify_bytes(use->len) : 0;
    scratch->classes = memory_take(memory, rans ? (decodes ? 2 * groups : groups) : 0);
    scratch->more_classes = memory->base == NULL ? NULL : scratch->classes + groups;
    const uint64_t from = memory->used;
    const uint64_t positions = is_sparse(use) ? from + (use->len + 128) * sizeof(uint32_t) : from;
    /* classes are chosen before words are made; where there are positions, there are no symbols */
    scratch->words = memory_take(memory, most(words, classify));
    scratch->classify = scratch->words;
    scratch->symbols = memory_take(memory, rans && use->turned ? use->len : 0);
    if (memory->used < positions) memory_take(memory, positions - memory->used);
    const uint64_t to = memory->used;
    /* and a chunk is read by tables before, if at all, it is written anew */
    memory->used = is_prefix(use) ? to : from;
    scratch->decode_bytes = 0;
    if (decodes && is_huffman(use)) scratch->decode_bytes = HUFFMAN_DECODER_BYTES;
    if (decodes && rans) scratch->decode_bytes = rans_tables_bytes(use->len);
    scratch->decode = memory_take(memory, scratch->decode_bytes);
    if (memory->used < to) memory->used = to;
}
