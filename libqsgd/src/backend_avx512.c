/* The AVX-512 backend: sixteen lanes. */
#include "simd/avx512.h"

#define BACKEND_NAME avx512
#include "backend.h"
