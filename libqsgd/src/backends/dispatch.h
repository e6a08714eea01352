/* Which backend is in use. */
#ifndef QSGD_BACKENDS_DISPATCH_H
#define QSGD_BACKENDS_DISPATCH_H

#include "kernels/kernels.h"

/* The backend in use (one relaxed atomic load after the first call). */
const struct kernels *kernels_current(void);

#endif
