/* Answers of the size queries. */
#ifndef QSGD_BASE_SIZES_H
#define QSGD_BASE_SIZES_H

#include "base/begin.h"

#include "qsgd.h"

/* Copies sizes into a caller's, of whatever version. Workspaces are given as what is taken of them:
 * what aligns them is added here. */
qsgd_status sizes_give(const qsgd_sizes *sizes, qsgd_sizes *given, qsgd_error *error);

#endif
