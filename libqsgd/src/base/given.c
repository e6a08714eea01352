/* Structs of callers, refused with a reason. */
#include "base/given.h"

#include <string.h>

#include "base/error.h"

qsgd_status struct_check(const struct struct_row *row, const void *given, qsgd_error *error) {
    if (given == NULL) {
        return error_parameter(error, QSGD_ERR_NULL, row->parameter,
                               "a struct that is needed is NULL");
    }
    if (struct_known(row, given)) return QSGD_OK;
    return error_parameter(error, QSGD_ERR_STRUCT_SIZE, row->parameter,
                           "struct_size is that of no version: initialise the struct with its "
                           "_init function");
}

qsgd_status struct_take(const struct struct_row *row, const void *given, void *to,
                        qsgd_error *error) {
    const qsgd_status status = struct_check(row, given, error);
    if (status != QSGD_OK) return status;
    const uint32_t this_size = (uint32_t)struct_now(row);
    const size_t size = struct_size_of(given), known = size < this_size ? size : this_size;
    for (size_t i = known; i < size; i++) {
        if (((const uint8_t *)given)[i] == 0) continue;
        return error_parameter(error, QSGD_ERR_STRUCT_SIZE, row->parameter,
                               "a field that this version of the library does not know is set: it "
                               "must be 0, or the library newer");
    }
    memcpy(to, given, known);
    memcpy(to, &this_size, sizeof this_size);
    return QSGD_OK;
}
