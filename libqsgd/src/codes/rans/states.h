/* The states of a rANS chunk's lanes in its payload (FORMAT.md section 8.5): where the highest bit
 * is, of all of them, then the bits below it. Whole words would waste the 8 bits that a state has
 * less than 32 on average; knowing where it starts takes 4 of them. */
#ifndef QSGD_CODES_RANS_STATES_H
#define QSGD_CODES_RANS_STATES_H

#include "codes/codes.h"

/* Writes the padded block; returns its end, NULL if over `end`. */
uint8_t *rans_states_write(const uint32_t *states, size_t lanes, uint8_t *p, uint8_t *end);

/* Reads it. *next: the byte after it. QSGD_OK, _STREAM (cut short) or _PADDING. */
qsgd_status rans_states_read(const uint8_t *p, const uint8_t *end, size_t lanes, uint32_t *states,
                             const uint8_t **next);

#endif
