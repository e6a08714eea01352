/* The scratch memory that the codes share: which piece is how long. Each piece grows with the
 * chunks, and only those are there that the code and the direction need. */
#ifndef QSGD_CODES_SCRATCH_H
#define QSGD_CODES_SCRATCH_H

#include "base/memory.h"
#include "codes/codes.h"
#include "kernels/types.h"

enum { CODE_ENCODES = 1, CODE_DECODES = 2 };

/* What a scratch is for. */
struct code_use {
    int32_t code;        /* QSGD_CODE_AUTO: any */
    size_t len;          /* elements of the longest chunk */
    unsigned directions; /* CODE_ENCODES; CODE_DECODES, and to write what was parsed; both */
    bool turned;         /* indices may be turned */
};

/* Takes what lasts from a chunk's quantization to its coding, and from chunk to chunk; or only
 * counts it. */
void code_scratch_carve(struct code_scratch *scratch, struct memory *memory,
                        const struct code_use *use);

/* The same for what a chunk's coding needs while it lasts, in the same scratch. */
void code_passing_carve(struct code_scratch *scratch, struct memory *memory,
                        const struct code_use *use);

static inline size_t code_groups(size_t len) { return (len + CODE_GROUP - 1) / CODE_GROUP; }

#define RANS_SEARCH_BYTES 256 /* of a class, to search its frequencies (codes/rans/search.h) */

/* rans, while classes are chosen: a head, a histogram for each bin of groups, and one for each
 * class. */
#define CODE_CLASSIFY_HEAD ((size_t)2 << 10)

static inline size_t code_classify_bins(size_t len) {
    const size_t groups = code_groups(len);
    return groups < GROUP_BINS ? groups : GROUP_BINS;
}

static inline size_t code_classify_bytes(size_t len) {
    const size_t groups = code_groups(len), classes = groups < CODE_CLASSES ? groups : CODE_CLASSES;
    return CODE_CLASSIFY_HEAD +
           (code_classify_bins(len) + classes) * CODE_TOKENS * sizeof(uint32_t);
}

#endif
