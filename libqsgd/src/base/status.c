/* Names of statuses, and the library's version. */
#include "qsgd.h"

uint32_t qsgd_version(void) {
    return QSGD_VERSION_MAJOR * 10000 + QSGD_VERSION_MINOR * 100 + QSGD_VERSION_PATCH;
}

#define NAME(status)                                                                               \
    case status: return #status

const char *qsgd_status_name(qsgd_status status) {
    switch (status) {
        NAME(QSGD_OK);
        NAME(QSGD_ERR_PARAM);
        NAME(QSGD_ERR_COMBINATION);
        NAME(QSGD_ERR_UNSUPPORTED);
        NAME(QSGD_ERR_BACKEND);
        NAME(QSGD_ERR_DTYPE);
        NAME(QSGD_ERR_SHAPE);
        NAME(QSGD_ERR_TABLE);
        NAME(QSGD_ERR_NULL);
        NAME(QSGD_ERR_DST_TOO_SMALL);
        NAME(QSGD_ERR_WORKSPACE);
        NAME(QSGD_ERR_OVERLAP);
        NAME(QSGD_ERR_LENGTH);
        NAME(QSGD_ERR_RANGE);
        NAME(QSGD_ERR_STRUCT_SIZE);
        NAME(QSGD_ERR_NONFINITE);
        NAME(QSGD_ERR_INDEX);
        NAME(QSGD_ERR_NEED_MORE);
        NAME(QSGD_ERR_MAGIC);
        NAME(QSGD_ERR_VERSION);
        NAME(QSGD_ERR_FLAGS);
        NAME(QSGD_ERR_HEADER);
        NAME(QSGD_ERR_HEADER_CRC);
        NAME(QSGD_ERR_FIELD);
        NAME(QSGD_ERR_LIMIT);
        NAME(QSGD_ERR_SCHEME);
        NAME(QSGD_ERR_INDEX_CRC);
        NAME(QSGD_ERR_CHUNK_INDEX);
        NAME(QSGD_ERR_SCALE);
        NAME(QSGD_ERR_CHUNK_CRC);
        NAME(QSGD_ERR_CHUNK);
        NAME(QSGD_ERR_CODE_TABLE);
        NAME(QSGD_ERR_STREAM);
        NAME(QSGD_ERR_PADDING);
        NAME(QSGD_ERR_TRAILING);
        NAME(QSGD_ERR_TABLES);
    default: return "QSGD_ERR_UNKNOWN";
    }
}
