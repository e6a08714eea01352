/* Carves a worker's scratch. Codes that need none of a piece leave it alone. */
#include "codes/scratch.h"

#include "codes/prefix.h"
#include "kernels/types.h"

void code_scratch_carve(struct code_scratch *scratch, struct memory *memory, size_t len) {
    const size_t groups = len / CODE_GROUP + 1;
    scratch->tokens = memory_take(memory, len);
    scratch->words = memory_take(memory, (len + 128) * sizeof(uint32_t));
    scratch->symbols = memory_take(memory, len);
    scratch->classes = memory_take(memory, 2 * groups);
    scratch->decode = memory_take(memory, CODE_CLASSES * RANS_TABLE_BYTES);
    scratch->classify = memory_take(memory, CODE_CLASSIFY_BYTES);
    scratch->prefix = memory_take(memory, sizeof *scratch->prefix);
    if (memory->base == NULL) return;
    scratch->more_classes = scratch->classes + groups;
    scratch->prefix->code_key = scratch->prefix->runs_key = 0;
}
