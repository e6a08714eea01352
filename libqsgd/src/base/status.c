/* Names and meanings of statuses, and the library's version. */
#include "base/begin.h"

#include "qsgd.h"

uint32_t qsgd_version(void) {
    return QSGD_VERSION_MAJOR * 10000 + QSGD_VERSION_MINOR * 100 + QSGD_VERSION_PATCH;
}

#define ROW(status, message) {status, #status, message}

static const struct {
    qsgd_status status;
    const char *name, *message;
} statuses[] = {
    ROW(QSGD_OK, "no error"),
    ROW(QSGD_ERR_PARAM, "a parameter is outside its range"),
    ROW(QSGD_ERR_COMBINATION, "parameters that are legal alone make no sense together"),
    ROW(QSGD_ERR_UNSUPPORTED, "a legal request that this version does not implement"),
    ROW(QSGD_ERR_BACKEND, "no such backend, or this CPU lacks it"),
    ROW(QSGD_ERR_DTYPE, "dtype unknown, or not usable here"),
    ROW(QSGD_ERR_SHAPE, "too many dimensions, or too many elements"),
    ROW(QSGD_ERR_LEVEL_TABLE, "a level table is not increasing, or does not end at 1"),
    ROW(QSGD_ERR_NULL, "a pointer that is needed is NULL"),
    ROW(QSGD_ERR_DST_TOO_SMALL, "the result does not fit dst"),
    ROW(QSGD_ERR_WORKSPACE, "the workspace is too small"),
    ROW(QSGD_ERR_OVERLAP, "input and output overlap"),
    ROW(QSGD_ERR_LENGTH, "the output's element count differs from the frame's"),
    ROW(QSGD_ERR_RANGE, "a range [start, stop) outside the tensor"),
    ROW(QSGD_ERR_STRUCT_SIZE, "struct_size unknown to this version, or its init was left out"),
    ROW(QSGD_ERR_NONFINITE, "NaN or Inf (or a scale that overflows) under nonfinite=raise"),
    ROW(QSGD_ERR_TARGET, "no step gives this tensor the bits or the error asked for"),
    ROW(QSGD_ERR_INDEX, "an index, scale or damping that the codec could not have made"),
    ROW(QSGD_ERR_NEED_MORE, "the bytes so far are the start of a frame; more are needed"),
    ROW(QSGD_ERR_MAGIC, "not a frame"),
    ROW(QSGD_ERR_VERSION, "a frame of a version that this library does not know"),
    ROW(QSGD_ERR_FLAGS, "reserved flag bits are set"),
    ROW(QSGD_ERR_HEADER, "a header field is malformed or out of range"),
    ROW(QSGD_ERR_HEADER_CRC, "the header's checksum does not match"),
    ROW(QSGD_ERR_FIELD, "an extension field that must be understood is unknown"),
    ROW(QSGD_ERR_LIMIT, "more elements or bytes than the caller allows"),
    ROW(QSGD_ERR_SCHEME, "a scheme that the caller does not allow"),
    ROW(QSGD_ERR_INDEX_CRC, "the checksum of chunk index and scales does not match"),
    ROW(QSGD_ERR_CHUNK_INDEX, "chunk lengths do not add up to the frame's length"),
    ROW(QSGD_ERR_SCALE, "a scale is negative, infinite or a non-canonical NaN"),
    ROW(QSGD_ERR_CHUNK_CRC, "a chunk's checksum does not match"),
    ROW(QSGD_ERR_CHUNK, "a chunk's own header is malformed"),
    ROW(QSGD_ERR_CODE_TABLE, "a probability, code-length or class table is malformed"),
    ROW(QSGD_ERR_STREAM, "code symbols are malformed, run out, or name no level"),
    ROW(QSGD_ERR_PADDING, "padding bits are not zero, or bytes are left over"),
    ROW(QSGD_ERR_TRAILING, "bytes follow the frame"),
    ROW(QSGD_ERR_SHARED_TABLES, "the frame names shared tables that the caller did not give"),
    ROW(QSGD_ERR_RUNNER, "the runner failed, or did not run every task exactly once"),
    ROW(QSGD_ERR_MEMORY, "the allocator returned NULL"),
    ROW(QSGD_ERR_SELFTEST, "this build computes other bytes than FORMAT.md says"),
};

enum { STATUSES = sizeof statuses / sizeof *statuses };

const char *qsgd_status_name(qsgd_status status) {
    for (int i = 0; i < STATUSES; i++) {
        if (statuses[i].status == status) return statuses[i].name;
    }
    return "QSGD_ERR_UNKNOWN";
}

const char *qsgd_status_message(qsgd_status status) {
    for (int i = 0; i < STATUSES; i++) {
        if (statuses[i].status == status) return statuses[i].message;
    }
    return "a status that this version of the library does not know";
}
