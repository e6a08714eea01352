/* The bytes of a plan of rANS: classes and tables (FORMAT.md section 7.6). */
#ifndef QSGD_CODES_RANS_TABLES_H
#define QSGD_CODES_RANS_TABLES_H

#include "codes/codes.h"

/* Bits of the tables and classes, before padding. */
uint64_t rans_tables_bits(const struct code_chunk *chunk, const struct code_plan *plan);

/* Writes byte h and the padded block of tables and classes; returns its end, NULL if over `end`. */
uint8_t *rans_tables_write(const struct code_chunk *chunk, const struct code_plan *plan, uint8_t *p,
                           uint8_t *end);

/* Reads and checks the same; *next is the byte after it. */
qsgd_status rans_tables_parse(const struct code_chunk *chunk, const uint8_t *p, const uint8_t *end,
                              struct code_plan *plan, const uint8_t **next);

#endif
