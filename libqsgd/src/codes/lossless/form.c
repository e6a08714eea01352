#include "codes/lossless/form.h"

#include "qsgd.h"

const struct lossless_type *lossless_type_of(uint32_t dtype) {
    static const struct lossless_type types[] = {
        [QSGD_FLOAT32] = {2, 8},
        [QSGD_FLOAT64] = {4, 11},
        [QSGD_FLOAT16] = {1, 5},
        [QSGD_BFLOAT16] = {1, 8},
    };
    return &types[dtype];
}

void lossless_scratch_carve(struct lossless_scratch *scratch, struct memory *memory, size_t len,
                            uint32_t dtype) {
    const struct lossless_type *type = lossless_type_of(dtype);
    for (unsigned h = 0; h < type->halves; h++) {
        scratch->halves[h] = memory_take(memory, len * sizeof(uint16_t));
    }
    scratch->fields = memory_take(memory, len * sizeof(int16_t));
    scratch->elements = memory_take(memory, len * 2 * type->halves);
}

struct code_chunk lossless_chunk(const struct kernels *kernels, size_t len,
                                 struct code_scratch *codes) {
    static const struct levels direct = {.kind = QSGD_LEVELS_UNIFORM,
                                         .zero = true,
                                         .plain_zero = true,
                                         .count = LEVELS_DIRECT,
                                         .kmin = -LEVELS_DIRECT,
                                         .kmax = LEVELS_DIRECT,
                                         .largest = LEVELS_DIRECT};
    return (struct code_chunk){.levels = &direct,
                               .kernels = kernels,
                               .code = QSGD_CODE_RANS,
                               .len = len,
                               .segment = len,
                               .classes = true,
                               .scratch = codes};
}
