/* Carves a worker's scratch. Pieces that a code or a direction does without are empty. */
#include "codes/scratch.h"

#include "codes/huffman.h"
#include "codes/prefix.h"
#include "grid/layout.h"

/* Memory of rANS tables for decoding: those of a chunk have 2^13 slots at most, which are twice as
 * many where one of seven classes is split; two chunks may go at once. Chunks above `small` have
 * all that any tables take, as far as these may repay; those below have room for the tables of
 * ordinary frames, and others are decoded by searching (codes/rans/search.h). */
static size_t rans_tables_bytes(size_t len) {
    const size_t least = CODE_CLASSES * RANS_SEARCH_BYTES, small = 4096, all = 4 * RANS_TABLE_BYTES;
    const size_t most = len > small ? all : ((size_t)16 << 10) + 512;
    const size_t bytes = len > small ? 32 * len : 16 * len;
    return bytes < least ? least : (bytes < most ? bytes : most);
}

static size_t most(size_t a, size_t b) { return a > b ? a : b; }

/* Which kinds of codes a use is of. */
struct kinds {
    bool rans, huffman, sparse;
    bool prefix; /* byte symbols in segments: dense elias, huffman */
};

static inline struct kinds kinds_of(int32_t code) {
    const bool any = code == QSGD_CODE_AUTO;
    const bool elias = code >= QSGD_CODE_ELIAS_GAMMA && code <= QSGD_CODE_ELIAS_OMEGA;
    const bool sparse = code >= QSGD_CODE_ELIAS_GAMMA_SPARSE && code <= QSGD_CODE_RICE_SPARSE;
    const bool huffman = code == QSGD_CODE_HUFFMAN;
    return (struct kinds){any || code == QSGD_CODE_RANS, any || huffman, any || sparse,
                          any || huffman || elias};
}

/* Pieces are taken through a copy of the memory, which the compiler knows nothing else to change.
 */

void code_scratch_carve(struct code_scratch *scratch, struct memory *memory,
                        const struct code_use *use) {
    const struct kinds of = kinds_of(use->code);
    const bool decodes = (use->directions & CODE_DECODES) != 0;
    struct memory m = *memory;
    scratch->tokens = memory_take(&m, of.prefix || of.rans ? use->len : 0);
    scratch->prefix = NULL;
    if (of.prefix) {
        const size_t runs = decodes ? prefix_runs_bytes(use->len) : 0;
        struct prefix_memory *const prefix = memory_take(&m, sizeof *prefix + runs);
        if (prefix != NULL) prefix->code_key = prefix->runs_key = 0;
        scratch->prefix = prefix;
    }
    *memory = m;
}

/* Classes, words or positions, symbols. */
static void written_carve(struct code_scratch *scratch, struct memory *memory,
                          const struct code_use *use, struct kinds of) {
    const size_t len = use->len;
    const uint64_t from = memory->used;
    size_t words = of.prefix ? (len / SEGMENT_LEAST + 2) * sizeof(uint32_t) : 0;
    if (of.rans) {
        words = most(words, (len + 512) * sizeof(uint16_t));
        /* classes are chosen before words are made */
        if ((use->directions & CODE_ENCODES) != 0) words = most(words, code_classify_bytes(len));
    }
    scratch->words = scratch->classify = memory_take(memory, words);
    scratch->symbols = of.rans && use->turned ? memory_take(memory, len) : NULL;
    if (!of.sparse) return;
    /* where there are positions, there are no symbols */
    const uint64_t to = from + (len + 128) * sizeof(uint32_t);
    if (memory->used < to) memory_take(memory, to - memory->used);
}

void code_passing_carve(struct code_scratch *scratch, struct memory *memory,
                        const struct code_use *use) {
    const struct kinds of = kinds_of(use->code);
    const bool decodes = (use->directions & CODE_DECODES) != 0;
    struct memory m = *memory;
    if (of.rans) {
        const size_t groups = use->len / CODE_GROUP + 1;
        scratch->classes = memory_take(&m, decodes ? 2 * groups : groups);
        scratch->more_classes = m.base == NULL ? NULL : scratch->classes + groups;
    }
    const uint64_t from = m.used;
    written_carve(scratch, &m, use, of);
    if (decodes && (of.rans || of.huffman)) {
        const uint64_t to = m.used;
        if (!of.prefix) m.used = from; /* rans: tables are read before words are, if at all */
        scratch->decode_bytes = of.rans ? rans_tables_bytes(use->len) : HUFFMAN_DECODER_BYTES;
        scratch->decode = memory_take(&m, scratch->decode_bytes);
        if (m.used < to) m.used = to;
    }
    *memory = m;
}
