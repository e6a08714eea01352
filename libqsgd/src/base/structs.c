/* Copies between structs of different versions. */
#include "base/structs.h"

#include <string.h>

size_t struct_now(const struct struct_row *row) {
    size_t size = 0;
    for (int i = 0; i < STRUCT_SIZES && row->sizes[i] != 0; i++) size = row->sizes[i];
    return size;
}

size_t struct_size_of(const void *given) {
    uint32_t size;
    memcpy(&size, given, sizeof size);
    return size;
}

bool struct_size_known(const struct struct_row *row, size_t size) {
    for (int i = 0; i < STRUCT_SIZES && row->sizes[i] != 0; i++) {
        if (size == row->sizes[i]) return true;
    }
    return size > struct_now(row) && size <= STRUCT_MOST;
}

bool struct_known(const struct struct_row *row, const void *given) {
    return given != NULL && struct_size_known(row, struct_size_of(given));
}

qsgd_status struct_init(const struct struct_row *row, void *given, size_t size,
                        const void *defaults) {
    if (given == NULL) return QSGD_ERR_NULL;
    if (!struct_size_known(row, size)) return QSGD_ERR_STRUCT_SIZE;
    const uint32_t struct_size = (uint32_t)size;
    const size_t known = size < struct_now(row) ? size : struct_now(row);
    memcpy(given, defaults, known);
    memset((uint8_t *)given + known, 0, size - known);
    memcpy(given, &struct_size, sizeof struct_size);
    return QSGD_OK;
}

void struct_give(const struct struct_row *row, const void *result, void *given) {
    const uint32_t size = (uint32_t)struct_size_of(given);
    memcpy(given, result, size < struct_now(row) ? size : struct_now(row));
    memcpy(given, &size, sizeof size);
}
