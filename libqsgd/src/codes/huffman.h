/* Code lengths of Huffman codes, for chunks and for tables that travel apart. */
#ifndef QSGD_CODES_HUFFMAN_H
#define QSGD_CODES_HUFFMAN_H

#include "codes/codes.h"

#define HUFFMAN_DECODER_BYTES 1280 /* scratch->decode */

/* Code lengths for weights, which change: at most CODE_HUFFMAN_BITS (ENCODER.md section 8.3). */
void huffman_lengths(uint32_t weights[CODE_TOKENS], uint8_t lengths[CODE_TOKENS]);

#endif
