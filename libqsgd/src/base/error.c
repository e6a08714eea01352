/* The caller's error struct, of whatever version. */
#include "base/error.h"

#include "base/structs.h"

static const struct struct_row row = STRUCT_ROW(qsgd_error, reason, "error");

static qsgd_error empty(qsgd_status status, const char *reason) {
    return (qsgd_error){.struct_size = sizeof(qsgd_error),
                        .status = status,
                        .offset = UINT64_MAX,
                        .element = UINT64_MAX,
                        .bucket = UINT64_MAX,
                        .frame = UINT64_MAX,
                        .needed = UINT64_MAX,
                        .reason = reason};
}

qsgd_status qsgd_error_init_sized(qsgd_error *error, size_t struct_size) {
    const qsgd_error none = empty(QSGD_OK, "no error");
    return struct_init(&row, error, struct_size, &none);
}

size_t error_size(const qsgd_error *e) { return struct_known(&row, e) ? e->struct_size : 0; }

static qsgd_status give(qsgd_error *e, const qsgd_error *what) {
    if (struct_known(&row, e)) struct_give(&row, what, e);
    return what->status;
}

qsgd_status error_set(qsgd_error *e, qsgd_status status, const char *reason) {
    const qsgd_error what = empty(status, reason);
    return give(e, &what);
}

qsgd_status error_parameter(qsgd_error *e, qsgd_status status, const char *parameter,
                            const char *reason) {
    qsgd_error what = empty(status, reason);
    what.parameter = parameter;
    return give(e, &what);
}

qsgd_status error_offset(qsgd_error *e, qsgd_status status, uint64_t offset, const char *reason) {
    qsgd_error what = empty(status, reason);
    what.offset = offset;
    return give(e, &what);
}

qsgd_status error_element(qsgd_error *e, qsgd_status status, uint64_t element, uint64_t bucket,
                          const char *reason) {
    qsgd_error what = empty(status, reason);
    what.element = element;
    what.bucket = bucket;
    return give(e, &what);
}

qsgd_status error_needed(qsgd_error *e, qsgd_status status, const char *parameter, uint64_t needed,
                         const char *reason) {
    qsgd_error what = empty(status, reason);
    what.parameter = parameter;
    what.needed = needed;
    return give(e, &what);
}

/* Fields of the first version are in every caller's struct. */
void error_at_offset(qsgd_error *e, uint64_t offset) {
    if (struct_known(&row, e)) e->offset = offset;
}

void error_at_bucket(qsgd_error *e, uint64_t bucket) {
    if (struct_known(&row, e)) e->bucket = bucket;
}

void error_at_element(qsgd_error *e, uint64_t element) {
    if (struct_known(&row, e)) e->element = element;
}

void error_at_frame(qsgd_error *e, uint64_t frame) {
    if (struct_known(&row, e)) e->frame = frame;
}
