/* The scratch memory that the codes share: which piece is how long. */
#ifndef QSGD_CODES_SCRATCH_H
#define QSGD_CODES_SCRATCH_H

#include "base/memory.h"
#include "codes/codes.h"

/* Takes scratch for chunks of at most `len` elements, or only counts it. */
void code_scratch_carve(struct code_scratch *scratch, struct memory *memory, size_t len);

#endif
