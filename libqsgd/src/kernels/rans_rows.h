/* Interleaved rANS by rows of vectors, where the vocabulary can exchange words with memory
 * (W_RENORM). Sixteen lanes take their words from one stream, so that no vector waits for how many
 * the one before it took. Rows that fill their vectors are the rule; where a vector has more lanes
 * than share a stream (a warp), shorter rows and the last one go by parts of vectors, too. */
#ifndef QSGD_KERNELS_RANS_ROWS_H
#define QSGD_KERNELS_RANS_ROWS_H

#include "kernels/body.h"
#include "kernels/types.h"

#ifdef W_RENORM
#if W > RANS_GROUP_LANES
#define RANS_PARTS 1 /* rows by parts of vectors; ends of words are minded by the vocabulary */
#endif

/* The first group whose words a vector's lanes take. */
BODY int rans_group_of(const int vector) { return vector * W / RANS_GROUP_LANES; }

/* Groups of a row. */
BODY int rans_groups_of(size_t lanes) {
    return (int)((lanes + RANS_GROUP_LANES - 1) / RANS_GROUP_LANES);
}

/* Of a row's lanes, those that are in a vector. */
BODY size_t rans_part(size_t lanes, const int vector) {
    return elements_left(lanes, (size_t)vector * W);
}

BODY vu rans_load_tokens(const uint8_t *tokens, size_t left, const bool whole) {
    return whole ? vu_load_u8(tokens) : vu_load_u8_some(tokens, left);
}
#endif

#endif
