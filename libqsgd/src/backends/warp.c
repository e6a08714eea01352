/* The warp on the host, for tests: 32 lanes, as a device has them. */
#include "simd/warp.h"

#define BACKEND_NAME warp
#include "backends/instantiate.h"
