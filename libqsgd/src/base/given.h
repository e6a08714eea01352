/* Structs that callers give: checked, and copied. */
#ifndef QSGD_BASE_GIVEN_H
#define QSGD_BASE_GIVEN_H

#include "base/structs.h"

/* Copies a caller's struct into *to, which holds the defaults of this version. */
qsgd_status struct_take(const struct struct_row *row, const void *given, void *to,
                        qsgd_error *error);

/* A caller's struct can take results. */
qsgd_status struct_check(const struct struct_row *row, const void *given, qsgd_error *error);

#endif
