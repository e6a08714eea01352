/* Fields that are one of a range of whole numbers: what a struct's enumerations are checked by. */
#ifndef QSGD_BASE_RANGES_H
#define QSGD_BASE_RANGES_H

#include "base/begin.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/error.h"
#include "qsgd.h"

/* One field of 32 bits: least..most, or `also`. */
struct range {
    const char *name;
    size_t offset; /* in its struct */
    int32_t least, most, also;
    const char *reason;
};

/* The first field that is out of its range, in the order of the table, is the one that is named. */
static inline qsgd_status ranges_check(const void *fields, const struct range *ranges, size_t count,
                                       struct qsgd_error *error) {
    for (size_t i = 0; i < count; i++) {
        const struct range *r = &ranges[i];
        int32_t value;
        memcpy(&value, (const uint8_t *)fields + r->offset, sizeof value);
        if ((value < r->least || value > r->most) && value != r->also) {
            return error_parameter(error, QSGD_ERR_PARAM, r->name, r->reason);
        }
    }
    return QSGD_OK;
}

#endif
