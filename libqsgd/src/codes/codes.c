/* The table of integer codes.
 *
 * Chunk encoding and decoding (indices <-> payload) find their code here by its number in the frame
 * (FORMAT.md section 7). */
#include "codes/codes.h"

static const struct code *const codes[] = {
    [QSGD_CODE_FIXED] = &code_fixed,
    [QSGD_CODE_ELIAS_GAMMA] = &code_elias_gamma,
    [QSGD_CODE_ELIAS_DELTA] = &code_elias_delta,
    [QSGD_CODE_ELIAS_OMEGA] = &code_elias_omega,
    [QSGD_CODE_ELIAS_GAMMA_SPARSE] = &code_elias_gamma_sparse,
    [QSGD_CODE_ELIAS_DELTA_SPARSE] = &code_elias_delta_sparse,
    [QSGD_CODE_ELIAS_OMEGA_SPARSE] = &code_elias_omega_sparse,
    [QSGD_CODE_RICE_SPARSE] = &code_rice_sparse,
    [QSGD_CODE_HUFFMAN] = &code_huffman,
    [QSGD_CODE_RANS] = &code_rans,
};

const struct code *code_find(int32_t code) {
    if (code < QSGD_CODE_FIXED || code > QSGD_CODE_RANS) return NULL;
    return codes[code];
}
