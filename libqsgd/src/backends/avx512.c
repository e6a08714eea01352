/* The AVX-512 backend: sixteen lanes. */
#include "simd/avx512.h"
#include "simd/avx512_codes.h"

#define BACKEND_NAME avx512
#include "backends/instantiate.h"

const uint16_t avx512_rotate[32] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15,
                                    0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
