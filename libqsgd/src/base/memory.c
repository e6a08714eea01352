/* Buffers of one call, compared. */
#include "base/memory.h"

static bool regions_clash(const struct region *a, const struct region *b) {
    if (!a->written && !b->written) return false;
    if (a->data == NULL || b->data == NULL) return false;
    return memory_overlap(a->data, a->bytes, b->data, b->bytes);
}

qsgd_status regions_apart(const struct region *regions, size_t count, qsgd_error *error) {
    for (size_t i = 0; i < count; i++) {
        if (regions[i].data != NULL &&
            memory_overlap(regions[i].data, regions[i].bytes, error, error_size(error))) {
            return QSGD_ERR_OVERLAP; /* and nothing can be said of it */
        }
    }
    for (size_t i = 1; i < count; i++) {
        for (size_t j = 0; j < i; j++) {
            if (!regions_clash(&regions[i], &regions[j])) continue;
            return error_parameter(error, QSGD_ERR_OVERLAP, regions[i].parameter,
                                   "what is written overlaps another buffer of the call");
        }
    }
    return QSGD_OK;
}
