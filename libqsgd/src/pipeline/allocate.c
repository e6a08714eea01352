/* One call for one frame: the only place that allocates. Scratch is one piece, and what the caller
 * keeps another, of just the right size. */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/memory.h"
#include "base/structs.h"
#include "frame/header.h"
#include "pipeline/arguments.h"

#define DECODE_MOST ((uint64_t)1 << 28) /* elements, unless options say another limit */

static void *by_malloc(void *context, size_t bytes) {
    (void)context;
    return malloc(bytes);
}

static void by_free(void *context, void *data) {
    (void)context;
    free(data);
}

static const qsgd_allocator standard = {by_malloc, by_free, NULL};

void qsgd_free(const qsgd_allocator *allocator, void *data) {
    const qsgd_allocator *a = allocator == NULL ? &standard : allocator;
    if (data != NULL) a->release(a->context, data);
}

/* NULL, too, where there are no so many addresses. */
static void *take(const qsgd_allocator *allocator, uint64_t bytes) {
    const qsgd_allocator *a = allocator == NULL ? &standard : allocator;
    return bytes > SIZE_MAX ? NULL : a->allocate(a->context, (size_t)bytes);
}

static qsgd_status out_of_memory(uint64_t needed, qsgd_error *error) {
    return error_needed(error, QSGD_ERR_MEMORY, "allocator", needed,
                        "the allocator returned NULL for that many bytes");
}

static qsgd_status check_allocator(const qsgd_allocator *allocator, qsgd_memory *out,
                                   const char *name, qsgd_error *error) {
    if (out == NULL) return memory_missing(name, error);
    *out = (qsgd_memory){NULL, 0};
    if (allocator == NULL || (allocator->allocate != NULL && allocator->release != NULL)) {
        return QSGD_OK;
    }
    return error_parameter(error, QSGD_ERR_NULL, "allocator",
                           "allocate and release are both needed");
}

#if QSGD_ENCODER
qsgd_status qsgd_encode_alloc(const qsgd_params *params, const qsgd_encode_options *options,
                              const void *src, uint64_t n, const qsgd_allocator *allocator,
                              qsgd_memory *frame, qsgd_error *error) {
    qsgd_sizes sizes;
    qsgd_sizes_init(&sizes);
    qsgd_status status = check_allocator(allocator, frame, "frame", error);
    if (status == QSGD_OK) status = qsgd_encode_sizes(params, options, n, &sizes, error);
    if (status != QSGD_OK) return status;
    const uint64_t scratch_bytes = sizes.workspace_bytes + sizes.dst_bytes;
    uint8_t *const scratch = take(allocator, scratch_bytes);
    if (scratch == NULL) return out_of_memory(scratch_bytes, error);
    uint8_t *const room = scratch + sizes.workspace_bytes;
    uint64_t bytes = 0;
    status = qsgd_encode(params, options, src, n, (qsgd_memory){room, sizes.dst_bytes},
                         (qsgd_memory){scratch, sizes.workspace_bytes}, &bytes, error);
    if (status == QSGD_OK) {
        void *const data = take(allocator, bytes);
        if (data != NULL) {
            memcpy(data, room, (size_t)bytes);
            *frame = (qsgd_memory){data, bytes};
        } else {
            status = out_of_memory(bytes, error);
        }
    }
    qsgd_free(allocator, scratch);
    return status;
}
#endif

/* What is known of the frame before anything is allocated: that it is whole, and not too large. */
static qsgd_status look(const void *frame, uint64_t bytes, const qsgd_decode_options *options,
                        qsgd_sizes *sizes, qsgd_error *error) {
    struct frame f;
    qsgd_status status = qsgd_decode_sizes(frame, bytes, options, sizes, error);
    if (status == QSGD_OK) status = header_parse(&f, frame, bytes, error);
    return status == QSGD_OK ? frame_check_size(&f, bytes, error) : status;
}

qsgd_status qsgd_decode_alloc(const void *frame, uint64_t bytes, const qsgd_decode_options *options,
                              const qsgd_allocator *allocator, qsgd_memory *dst,
                              qsgd_frame_info *info, qsgd_error *error) {
    qsgd_decode_options limited;
    qsgd_sizes sizes;
    qsgd_sizes_init(&sizes);
    const bool known = info != NULL && info->struct_size <= STRUCT_MOST; /* else refused below */
    const struct region given[] = {
        {"frame", frame, bytes, false},
        {"dst", dst, sizeof *dst, true},
        {"info", info, known ? info->struct_size : 0, true},
    };
    qsgd_status status = regions_apart(given, sizeof given / sizeof *given, error);
    if (status == QSGD_OK) status = check_allocator(allocator, dst, "dst", error);
    if (status == QSGD_OK) status = arguments_decode_options(options, &limited, error);
    if (status != QSGD_OK) return status;
    if (limited.max_elements == UINT64_MAX) limited.max_elements = DECODE_MOST;
    status = look(frame, bytes, &limited, &sizes, error);
    if (status == QSGD_OK && info != NULL) status = qsgd_inspect(frame, bytes, info, error);
    if (status != QSGD_OK) return status;
    void *const scratch = take(allocator, sizes.workspace_bytes);
    void *const data =
        scratch == NULL || sizes.dst_bytes == 0 ? NULL : take(allocator, sizes.dst_bytes);
    if (scratch == NULL || (data == NULL && sizes.dst_bytes > 0)) {
        status = out_of_memory(scratch == NULL ? sizes.workspace_bytes : sizes.dst_bytes, error);
    } else {
        status = qsgd_decode(frame, bytes, &limited, data, sizes.elements,
                             (qsgd_memory){scratch, sizes.workspace_bytes}, error);
    }
    qsgd_free(allocator, scratch);
    if (status == QSGD_OK) {
        *dst = (qsgd_memory){data, sizes.dst_bytes};
    } else {
        qsgd_free(allocator, data);
    }
    return status;
}
