/* Looks at a frame without decoding it. */
#include "base/error.h"
#include "frame/header.h"

qsgd_status qsgd_frame_size(const void *bytes, uint64_t size, uint64_t *frame_bytes,
                            struct qsgd_error *error) {
    if ((bytes == NULL && size > 0) || frame_bytes == NULL) {
        return error_parameter(error, QSGD_ERR_NULL, "bytes", "a pointer that is needed is NULL");
    }
    return header_parse_prefix(bytes, size, frame_bytes, error);
}

qsgd_status qsgd_frame_info(const void *frame, uint64_t size, struct qsgd_frame_info *info,
                            struct qsgd_error *error) {
    struct frame f;
    if ((frame == NULL && size > 0) || info == NULL) {
        return error_parameter(error, QSGD_ERR_NULL, "frame", "a pointer that is needed is NULL");
    }
    qsgd_status status =
        error_check_size(error, "info", info->struct_size, sizeof *info, OTHER_VERSION);
    if (status == QSGD_OK) status = header_parse(&f, frame, size, error);
    if (status != QSGD_OK) return status;
    *info = f.info;
    info->params.table = NULL;
    return QSGD_OK;
}
