/* The table of integer codes, and the layout of the scratch memory that they share.
 *
 * Chunk encoding and decoding (indices <-> payload) find their code here by its number in the frame
 * (FORMAT.md section 8). */
#include "codes.h"

#include "kernels/kernels.h"
#include "prefix.h"

#define ALIGNMENT 64U

static const struct qsgd_code *const codes[] = {
    [QSGD_CODE_FIXED] = &code_fixed,
    [QSGD_CODE_ELIAS_GAMMA] = &code_elias_gamma,
    [QSGD_CODE_ELIAS_DELTA] = &code_elias_delta,
    [QSGD_CODE_ELIAS_OMEGA] = &code_elias_omega,
    [QSGD_CODE_ELIAS_GAMMA_SPARSE] = &code_elias_gamma_sparse,
    [QSGD_CODE_ELIAS_DELTA_SPARSE] = &code_elias_delta_sparse,
    [QSGD_CODE_ELIAS_OMEGA_SPARSE] = &code_elias_omega_sparse,
    [QSGD_CODE_RICE_SPARSE] = &code_rice_sparse,
    [QSGD_CODE_HUFFMAN] = &code_huffman,
    [QSGD_CODE_RANS] = &code_rans,
};

const struct qsgd_code *code_find(int32_t code) {
    if (code < QSGD_CODE_FIXED || code > QSGD_CODE_RANS) return NULL;
    return codes[code];
}

/* Offsets of the pieces from the scratch memory's start, in bytes. */
struct layout {
    size_t tokens, words, symbols, classes, decode, classify, prefix, total;
};

static size_t take(size_t *total, size_t bytes) {
    size_t offset = *total;
    *total += (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    return offset;
}

static struct layout scratch_layout(size_t len) {
    struct layout layout;
    size_t total = 0;
    layout.tokens = take(&total, len);
    layout.words = take(&total, (len + 128) * sizeof(uint32_t));
    layout.symbols = take(&total, len);
    layout.classes = take(&total, 2 * (len / CODE_GROUP + 1));
    layout.decode = take(&total, CODE_CLASSES * RANS_TABLE_BYTES);
    layout.classify = take(&total, CODE_CLASSIFY_BYTES);
    layout.prefix = take(&total, sizeof(struct prefix_memory));
    layout.total = total;
    return layout;
}

size_t code_scratch_bytes(size_t len) { return scratch_layout(len).total; }

void code_scratch_carve(struct code_scratch *scratch, void *memory, size_t len) {
    struct layout layout = scratch_layout(len);
    uint8_t *base = memory;
    scratch->tokens = base + layout.tokens;
    scratch->words = (void *)(base + layout.words);
    scratch->symbols = base + layout.symbols;
    scratch->classes = base + layout.classes;
    scratch->more_classes = scratch->classes + len / CODE_GROUP + 1;
    scratch->decode = (void *)(base + layout.decode);
    scratch->classify = base + layout.classify;
    scratch->prefix = (void *)(base + layout.prefix);
    scratch->prefix->code_key = scratch->prefix->runs_key = 0;
}
