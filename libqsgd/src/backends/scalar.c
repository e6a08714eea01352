/* The scalar backend: one lane, plain C, on every machine. */
#include "simd/scalar.h"

#define BACKEND_NAME scalar
#include "backends/instantiate.h"
