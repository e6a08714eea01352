/* The AVX2 backend: eight lanes, and the permutations that pack and unpack rANS words. */
#include "base/begin.h"

#if defined(QSGD_HAVE_AVX2)
#include <immintrin.h>
#include <string.h>

#include "base/bits.h"
#include "base/crc32c.h"
#include "kernels/kernels.h"

/* Functions below are for these instructions, by what each compiler heeds; headers that others
 * share stand before, as theirs are for any machine. Vectors are written out: what compilers make
 * of neighbouring scalars (SLP) beside them costs more than it saves. */
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,pclmul,bmi,bmi2,popcnt"))),               \
                             apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,pclmul,bmi,bmi2,popcnt")
#pragma GCC optimize("no-tree-slp-vectorize")
#endif

#include "simd/avx2.h"
#include "simd/avx2_codes.h"

#define BACKEND_NAME avx2
#include "backends/instantiate.h"

/* Row m of each table, built by the preprocessor from the bits of m. B(m, l): bit l of m.
 * R(m, l): set bits of m below l. */
#define B(m, l) ((m) >> (l) & 1)
#define R1(m) B(m, 0)
#define R2(m) (R1(m) + B(m, 1))
#define R3(m) (R2(m) + B(m, 2))
#define R4(m) (R3(m) + B(m, 3))
#define R5(m) (R4(m) + B(m, 4))
#define R6(m) (R5(m) + B(m, 5))
#define R7(m) (R6(m) + B(m, 6))
#define R8(m) (R7(m) + B(m, 7))
#define BYTES(word) 2 * (word), 2 * (word) + 1
#define PULL(m)                                                                                    \
    {BYTES(0),     BYTES(R1(m)), BYTES(R2(m)), BYTES(R3(m)),                                       \
     BYTES(R4(m)), BYTES(R5(m)), BYTES(R6(m)), BYTES(R7(m))}

/* Lane of the j-th set bit (from 0) of m; 0 if there is none. */
#define IS(m, l, below, j) (B(m, l) * ((below) == (j)) * (l))
#define NTH(m, j)                                                                                  \
    (IS(m, 1, R1(m), j) + IS(m, 2, R2(m), j) + IS(m, 3, R3(m), j) + IS(m, 4, R4(m), j) +           \
     IS(m, 5, R5(m), j) + IS(m, 6, R6(m), j) + IS(m, 7, R7(m), j))
#define TOP(m, l) BYTES(NTH(m, (l) - 8 + R8(m)))
#define PUSH(m)                                                                                    \
    {TOP(m, 0), TOP(m, 1), TOP(m, 2), TOP(m, 3), TOP(m, 4), TOP(m, 5), TOP(m, 6), TOP(m, 7)}

#define X4(F, m) F(m), F((m) + 1), F((m) + 2), F((m) + 3)
#define X16(F, m) X4(F, m), X4(F, (m) + 4), X4(F, (m) + 8), X4(F, (m) + 12)
#define X64(F, m) X16(F, m), X16(F, (m) + 16), X16(F, (m) + 32), X16(F, (m) + 48)
#define X256(F) X64(F, 0), X64(F, 64), X64(F, 128), X64(F, 192)

_Alignas(16) const uint8_t avx2_pull[256][16] = {X256(PULL)};
_Alignas(16) const uint8_t avx2_push[256][16] = {X256(PUSH)};

#define CLOSE(w, j) ((j) < (w) ? (j) : (j) < 2 * (w) ? 8 + (j) - (w) : 0x80)
#define CLOSE4(w, j) CLOSE(w, j), CLOSE(w, (j) + 1), CLOSE(w, (j) + 2), CLOSE(w, (j) + 3)
#define CLOSE16(w) {CLOSE4(w, 0), CLOSE4(w, 4), CLOSE4(w, 8), CLOSE4(w, 12)}

const uint8_t avx2_close[7][16] = {CLOSE16(1), CLOSE16(2), CLOSE16(3), CLOSE16(4),
                                   CLOSE16(5), CLOSE16(6), CLOSE16(7)};

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

#endif
