/* Fills a caller's qsgd_error: one place, so that every error says what and where. All return the
 * status, and do nothing else if there is no struct, or its init was left out. */
#ifndef QSGD_BASE_ERROR_H
#define QSGD_BASE_ERROR_H

#include "base/begin.h"

#include <stddef.h>

#include "qsgd.h"

qsgd_status error_set(qsgd_error *e, qsgd_status status, const char *reason);
qsgd_status error_parameter(qsgd_error *e, qsgd_status status, const char *parameter,
                            const char *reason);
qsgd_status error_offset(qsgd_error *e, qsgd_status status, uint64_t offset, const char *reason);
qsgd_status error_element(qsgd_error *e, qsgd_status status, uint64_t element, uint64_t bucket,
                          const char *reason);

/* A buffer is too small. */
qsgd_status error_needed(qsgd_error *e, qsgd_status status, const char *parameter, uint64_t needed,
                         const char *reason);

/* Bytes that an error may be written to; 0 if none is. */
size_t error_size(const qsgd_error *e);

/* Add a place to an error that is set. */
void error_at_offset(qsgd_error *e, uint64_t offset);
void error_at_bucket(qsgd_error *e, uint64_t bucket);
void error_at_element(qsgd_error *e, uint64_t element);
void error_at_frame(qsgd_error *e, uint64_t frame);

#endif
