/* What the tests of public calls share: structs that are ready, sizes that were asked for, and
 * memory of exactly the size that a call needs, at an odd address. */
#ifndef QSGD_TESTS_CALLS_H
#define QSGD_TESTS_CALLS_H

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "qsgd.h"
#include "qsgd_stages.h"

static inline qsgd_error error_new(void) {
    qsgd_error error;
    CHECK(qsgd_error_init(&error) == QSGD_OK);
    return error;
}

static inline qsgd_frame_info info_new(void) {
    qsgd_frame_info info;
    CHECK(qsgd_frame_info_init(&info) == QSGD_OK);
    return info;
}

static inline qsgd_sizes sizes_new(void) {
    qsgd_sizes sizes;
    CHECK(qsgd_sizes_init(&sizes) == QSGD_OK);
    return sizes;
}

static inline qsgd_sizes encode_sizes(const qsgd_params *params, const qsgd_encode_options *options,
                                      uint64_t n) {
    qsgd_sizes sizes = sizes_new();
    CHECK(qsgd_encode_sizes(params, options, n, &sizes, NULL) == QSGD_OK);
    return sizes;
}

static inline qsgd_sizes decode_sizes(const void *frame, uint64_t bytes,
                                      const qsgd_decode_options *options) {
    qsgd_sizes sizes = sizes_new();
    CHECK(qsgd_decode_sizes(frame, bytes, options, &sizes, NULL) == QSGD_OK);
    return sizes;
}

/* ---- memory ---------------------------------------------------------------------------------- */

#if defined(__SANITIZE_ADDRESS__)
#define CALLS_POISON 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define CALLS_POISON 1
#endif
#endif

#ifdef CALLS_POISON
void __asan_poison_memory_region(void const volatile *address, size_t bytes); /* the runtime's */
#endif

#define ODD_BYTE 0xA5
enum { ODD_HEAD = sizeof(void *) + 1 }; /* the block's own address, and a byte to look at */
enum { ODD_TAIL = 64 };                 /* bytes to look at, behind */

/* `bytes` bytes at the place that is worst for a workspace, 1 past a multiple of 64. The sanitizer
 * sees every access behind them; without it, odd_free sees what was written there. */
static inline qsgd_memory odd_memory(uint64_t bytes) {
    const size_t room = (size_t)bytes + ODD_HEAD + 64 + ODD_TAIL;
    uint8_t *block = malloc(room);
    if (block == NULL) abort();
    uint8_t *p = block + ODD_HEAD;
    while ((uintptr_t)p % 64 != 1) p++;
    memcpy(p - ODD_HEAD, &block, sizeof block);
    p[-1] = ODD_BYTE;
    memset(p + bytes, ODD_BYTE, ODD_TAIL);
#ifdef CALLS_POISON
    __asan_poison_memory_region(p + bytes, room - (size_t)(p - block) - (size_t)bytes);
#endif
    return (qsgd_memory){p, bytes};
}

static inline void odd_free(qsgd_memory memory) {
    uint8_t *p = memory.data, *block;
    CHECK(p[-1] == ODD_BYTE);
#ifndef CALLS_POISON
    for (int i = 0; i < ODD_TAIL; i++) CHECK(p[memory.bytes + (uint64_t)i] == ODD_BYTE);
#endif
    memcpy(&block, p - ODD_HEAD, sizeof block);
    free(block);
}

static inline qsgd_memory encode_workspace(const qsgd_params *params,
                                           const qsgd_encode_options *options, uint64_t n) {
    return odd_memory(encode_sizes(params, options, n).workspace_bytes);
}

static inline qsgd_memory decode_workspace(const void *frame, uint64_t bytes,
                                           const qsgd_decode_options *options) {
    return odd_memory(decode_sizes(frame, bytes, options).workspace_bytes);
}

/* The whole of what qsgd_error says of a parameter. */
static inline bool error_names(const qsgd_error *error, qsgd_status status, const char *parameter) {
    return error->status == status && error->reason != NULL && error->parameter != NULL &&
           strcmp(error->parameter, parameter) == 0;
}

#endif
