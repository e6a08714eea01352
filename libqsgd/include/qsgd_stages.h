/* qsgd_stages.h: the stages of the codec apart. Quantising without coding, frames from and to
 * indices, shared tables, and Elias codes on their own. The contract of qsgd.h holds here too.
 */
#ifndef QSGD_STAGES_H
#define QSGD_STAGES_H

#include "qsgd.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---------------------------------------------------------------------------------------------
 * Indices
 * ------------------------------------------------------------------------------------------- */

/* The index of elements that are exactly 0 and decode to 0, in whole groups of 32 from the start of
 * their chunk on: where zeros would not stay zeros by themselves (DITHERED, or 0 is no level). Not
 * in rotated frames, whose indices are not those of single elements. */
#define QSGD_INDEX_OF_ZEROS (-32768)

/* A quantised tensor: arrays of the caller. Functions that read one do not write its arrays. */
typedef struct qsgd_quantized {
    int16_t *indices; /* n: of levels, or QSGD_INDEX_OF_ZEROS */
    float *scales;    /* one per bucket (sizes.buckets); in rotated frames one per part that buckets
                         are cut into: powers of two from 128 elements on, the largest first, and
                         what remains; negative (or -0) if the part is rotated. All parts of a
                         bucket have the same if it is not */
    uint8_t *damping; /* of the dither, in 1/128, one per chunk (sizes.chunks); zeros unless
                         DITHERED, or NEAREST with rotation. May be NULL: not wanted, or zeros */
    uint64_t n;
} qsgd_quantized;

/* Quantises n = quantized->n elements at src without coding them, with one scale for each bucket,
 * however long, also where there is a reference. Buffers and errors as qsgd_encode, sizes of
 * qsgd_encode_sizes; code, checksum, tag and residual are not used. */
QSGD_API qsgd_status qsgd_quantize(const qsgd_params *params, const qsgd_encode_options *options,
                                   const void *src, const qsgd_quantized *quantized,
                                   qsgd_memory workspace, qsgd_error *error);

/* The inverse, as a decoder computes it, with the same params and options: dtype is that of dst;
 * nonce and origin count where dither is subtracted or buckets are rotated; runner and workers
 * count; the rest is not used. QSGD_ERR_INDEX names a bad element. */
QSGD_API qsgd_status qsgd_dequantize(const qsgd_params *params, const qsgd_encode_options *options,
                                     const qsgd_quantized *quantized, void *dst,
                                     qsgd_memory workspace, qsgd_error *error);

/* Codes given indices, scales and, if DITHERED, damping into a frame. The scales must be exact in
 * params->scale_dtype. dst, workspace and errors as qsgd_encode. */
QSGD_API qsgd_status qsgd_encode_indices(const qsgd_params *params,
                                         const qsgd_encode_options *options,
                                         const qsgd_quantized *quantized, qsgd_memory dst,
                                         qsgd_memory workspace, uint64_t *frame_bytes,
                                         qsgd_error *error);

/* The same in the form of another frame, whose header, modes and tables are taken over: a frame's
 * own indices, scales and damping give back that frame, byte for byte (FORMAT.md section 9), unless
 * it has several scales for a bucket longer than a chunk (params->reference, and one chunk asked
 * for more). Options, sizes and errors of `like` as of qsgd_decode; QSGD_ERR_INDEX also names the
 * first element of a chunk that cannot be coded so. dst: the size of `like`. */
QSGD_API qsgd_status qsgd_encode_indices_like(const void *like, uint64_t like_bytes,
                                              const qsgd_decode_options *options,
                                              const qsgd_quantized *quantized, qsgd_memory dst,
                                              qsgd_memory workspace, uint64_t *frame_bytes,
                                              qsgd_error *error);

/* Decodes a frame to indices, scales (of a bucket longer than a chunk, its first chunk's) and, if
 * wanted, damping. Always as if QSGD_DECODE_ATOMIC were
 * set. Raw frames: QSGD_ERR_SCHEME. */
QSGD_API qsgd_status qsgd_decode_indices(const void *frame, uint64_t bytes,
                                         const qsgd_decode_options *options,
                                         const qsgd_quantized *quantized, qsgd_memory workspace,
                                         qsgd_error *error);

/* Turns indices in place into what dithered frames code, or back (FORMAT.md section 8.2): those of
 * buckets whose scale is above 0 change sign where the noise of params->seed and nonce says so,
 * which is counted from origin 0. For entropy codes of one's own, and the weights of shared tables.
 * Without DITHERED, and for SIGNED levels, indices stay as they are. QSGD_ERR_INDEX names an
 * element, or a bucket whose scale a frame cannot store. */
QSGD_API qsgd_status qsgd_turn_indices(const qsgd_params *params, uint64_t nonce,
                                       const qsgd_quantized *quantized, qsgd_error *error);

/* ---------------------------------------------------------------------------------------------
 * Shared tables (FORMAT.md section 7.7)
 *
 * Where encoder and decoder know the probabilities of the levels beforehand, a table can travel
 * once, or be made on both sides, in place of a table in every chunk. It is a short byte string
 * without pointers, the same on every machine. Frames name it by its digest, which tells tables
 * apart but protects nothing: anyone can make two tables of one digest.
 * ------------------------------------------------------------------------------------------- */

/* Bytes that suffice for any tables. */
QSGD_API uint64_t qsgd_shared_tables_bound(void);

/* Makes tables for a codec.
 *
 * params   code RANS or HUFFMAN, and the levels; the rest does not matter.
 * weights  one per level, in ascending order of the index k (index 0 is left out where it is no
 *          level): probabilities or counts, finite, at least 0, not all 0; for DITHERED, of turned
 *          indices (qsgd_turn_indices). Every level can be coded with the tables, also one of
 *          weight 0.
 * count    number of weights: the levels of params (2 s + 1; without zero 2 s; SIGNED
 *          level_table_len; OPEN 65535).
 * dst      receives the tables; qsgd_shared_tables_bound bytes always suffice.
 * bytes    on success, their length.
 *
 * Returns QSGD_OK; QSGD_ERR_PARAM, _COMBINATION, _NULL, _DST_TOO_SMALL and what qsgd_params_check
 * returns. Equal arguments give equal bytes on every machine. */
QSGD_API qsgd_status qsgd_shared_tables_build(const qsgd_params *params, const double *weights,
                                              uint64_t count, qsgd_memory dst, uint64_t *bytes,
                                              qsgd_error *error);

/* Checks tables from anywhere, as every use of them does: QSGD_ERR_CODE_TABLE, and error->offset is
 * the byte of the tables. */
QSGD_API qsgd_status qsgd_shared_tables_check(const void *tables, uint64_t bytes,
                                              qsgd_error *error);

/* Checks tables and computes the 8 bytes by which frames name them. */
QSGD_API qsgd_status qsgd_shared_tables_digest(const void *tables, uint64_t bytes,
                                               uint8_t digest[8], qsgd_error *error);

/* ---------------------------------------------------------------------------------------------
 * Elias codes of positive integers, on their own (Elias, IEEE Trans. Inf. Theory 21(2), 1975)
 * ------------------------------------------------------------------------------------------- */

typedef enum qsgd_elias {
    QSGD_ELIAS_GAMMA = 0,
    QSGD_ELIAS_DELTA = 1,
    QSGD_ELIAS_OMEGA = 2
} qsgd_elias;

/* Codes `count` integers in 1 .. 2^64-1 (QSGD_ERR_INDEX names a zero), most significant bit first,
 * zero bits to the end of the last byte. *bits receives the length before padding. dst.data may be
 * NULL to ask for *bits alone. Returns QSGD_ERR_DST_TOO_SMALL if it does not fit. */
QSGD_API qsgd_status qsgd_elias_encode(int32_t elias, const uint64_t *values, uint64_t count,
                                       qsgd_memory dst, uint64_t *bits, qsgd_error *error);

/* Decodes `count` integers from the first `bits` bits of src (of bits / 8 bytes, rounded up).
 * *used receives the bits consumed. QSGD_ERR_STREAM: the bits run out, or a value passes 2^64-1;
 * error->offset is then the byte where that codeword starts. values is unspecified on error. */
QSGD_API qsgd_status qsgd_elias_decode(int32_t elias, const void *src, uint64_t bits,
                                       uint64_t count, uint64_t *values, uint64_t *used,
                                       qsgd_error *error);

#ifdef __cplusplus
}
#endif

#endif /* QSGD_STAGES_H */
