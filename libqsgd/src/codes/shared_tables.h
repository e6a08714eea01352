/* Shared tables: one code table of tokens that travels apart from frames, which name it by its
 * digest (FORMAT.md section 7.7). pipeline/tables.c makes them. */
#ifndef QSGD_CODES_SHARED_TABLES_H
#define QSGD_CODES_SHARED_TABLES_H

#include "codes/codes.h"
#include "qsgd_stages.h"

#define SHARED_TABLES_HEAD_BYTES 9
#define SHARED_TABLES_DIGEST_BYTES 8

/* A blob, read and checked. */
struct shared_tables {
    int32_t code; /* QSGD_CODE_HUFFMAN or _RANS; QSGD_CODE_RAW: there are no tables */
    bool direct;  /* of tokens without extra bits */
    uint8_t tokens;
    uint8_t prob_bits, mode;      /* rans: P, and a token of the largest frequency */
    uint16_t freq[CODE_TOKENS];   /* rans */
    uint8_t lengths[CODE_TOKENS]; /* huffman */
    uint8_t digest[SHARED_TABLES_DIGEST_BYTES];
};

/* Reads a blob. On QSGD_ERR_CODE_TABLE error->offset counts from its first byte. */
qsgd_status shared_tables_parse(const void *blob, uint64_t bytes, struct shared_tables *tables,
                                struct qsgd_error *error);

/* Those of checked parameters; code QSGD_CODE_RAW if they have none. */
void shared_tables_of(const struct qsgd_params *params, struct shared_tables *tables);

/* Writes the blob of tables whose digest is not there yet; returns its bytes. */
uint64_t shared_tables_write(const struct shared_tables *tables, uint8_t *dst);

/* Bytes of a blob of `tokens` tokens. */
static inline uint64_t shared_tables_bytes(int32_t code, unsigned tokens) {
    return SHARED_TABLES_HEAD_BYTES + (uint64_t)(code == QSGD_CODE_RANS ? 2 : 1) * tokens;
}

#endif
