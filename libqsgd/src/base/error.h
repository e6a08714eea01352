/* Fills struct qsgd_error: one place, so that every error says what and where. */
#ifndef QSGD_BASE_ERROR_H
#define QSGD_BASE_ERROR_H

#include <stddef.h>

#include "qsgd.h"

static inline qsgd_status error_set(struct qsgd_error *e, qsgd_status status, const char *reason) {
    if (e != NULL && e->struct_size >= sizeof *e) {
        e->status = status;
        e->offset = e->element = e->bucket = UINT64_MAX;
        e->parameter = NULL;
        e->reason = reason;
    }
    return status;
}

static inline qsgd_status error_parameter(struct qsgd_error *e, qsgd_status status,
                                          const char *parameter, const char *reason) {
    error_set(e, status, reason);
    if (e != NULL && e->struct_size >= sizeof *e) e->parameter = parameter;
    return status;
}

static inline qsgd_status error_offset(struct qsgd_error *e, qsgd_status status, uint64_t offset,
                                       const char *reason) {
    error_set(e, status, reason);
    if (e != NULL && e->struct_size >= sizeof *e) e->offset = offset;
    return status;
}

static inline qsgd_status error_element(struct qsgd_error *e, qsgd_status status, uint64_t element,
                                        uint64_t bucket, const char *reason) {
    error_set(e, status, reason);
    if (e != NULL && e->struct_size >= sizeof *e) {
        e->element = element;
        e->bucket = bucket;
    }
    return status;
}

#define OTHER_VERSION "struct_size is not that of this version"

/* A caller's struct is as long as this version's; reason: OTHER_VERSION, and what to use. */
static inline qsgd_status error_check_size(struct qsgd_error *e, const char *parameter,
                                           uint32_t struct_size, size_t size, const char *reason) {
    if (struct_size == size) return QSGD_OK;
    return error_parameter(e, QSGD_ERR_STRUCT_SIZE, parameter, reason);
}

/* Add a place to an error that is set. */
static inline void error_at_offset(struct qsgd_error *e, uint64_t offset) {
    if (e != NULL && e->struct_size >= sizeof *e) e->offset = offset;
}

static inline void error_at_bucket(struct qsgd_error *e, uint64_t bucket) {
    if (e != NULL && e->struct_size >= sizeof *e) e->bucket = bucket;
}

static inline void error_at_element(struct qsgd_error *e, uint64_t element) {
    if (e != NULL && e->struct_size >= sizeof *e) e->element = element;
}

#endif
