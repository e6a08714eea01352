/* The caller's sizes struct. */
#include "base/sizes.h"

#include "base/given.h"
#include "base/memory.h"

static const struct struct_row row = STRUCT_ROW(qsgd_sizes, workspace_bytes, "sizes");

qsgd_status qsgd_sizes_init_sized(qsgd_sizes *sizes, size_t struct_size) {
    const qsgd_sizes none = {.struct_size = sizeof none};
    return struct_init(&row, sizes, struct_size, &none);
}

qsgd_status sizes_give(const qsgd_sizes *sizes, qsgd_sizes *given, qsgd_error *error) {
    qsgd_sizes all = *sizes;
    all.workspace_bytes += MEMORY_SLACK;
    const qsgd_status status = struct_check(&row, given, error);
    if (status == QSGD_OK) struct_give(&row, &all, given);
    return status;
}
