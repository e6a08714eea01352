/* Chunks on their own: as a code sees them, and read back. */
#ifndef QSGD_TESTS_CODES_SUPPORT_H
#define QSGD_TESTS_CODES_SUPPORT_H

#include <string.h>

#include "backends/dispatch.h"
#include "check.h"
#include "codes/codes.h"
#include "grid/levels.h"
#include "scratch_support.h"

static struct code_scratch scratch;

static inline struct code_chunk make_chunk(const struct levels *levels, int32_t code, size_t len,
                                           size_t segment) {
    return (struct code_chunk){.levels = levels,
                               .kernels = kernels_current(),
                               .code = code,
                               .len = len,
                               .segment = segment,
                               .scratch = &scratch};
}

static inline bool all_levels(const struct levels *levels, const int16_t *k, size_t len) {
    bool all = true;
    for (size_t i = 0; i < len; i++) all &= levels_has(levels, k[i]);
    return all;
}

/* Parses and reads `bytes` from memory that ends where they end. Every k must be written, and be a
 * level; and whatever is accepted must be written again byte for byte (FORMAT.md section 9). */
static inline qsgd_status decode(const struct code_chunk *chunk, const uint8_t *payload,
                                 size_t bytes, int16_t *k) {
    const struct code *code = code_find(chunk->code);
    uint8_t *copy = malloc(bytes + (bytes == 0));
    struct code_plan plan;
    size_t where = SIZE_MAX;
    memcpy(copy, payload, bytes);
    memset(&plan, 0xA5, sizeof plan);
    for (size_t i = 0; i < chunk->len; i++) k[i] = INT16_MIN;
    qsgd_status status = code->parse(chunk, copy, bytes, &plan, &where);
    CHECK(where <= bytes);
    if (status == QSGD_OK) {
        status = code->read(chunk, &plan, k);
        CHECK(all_levels(chunk->levels, k, chunk->len));
    }
    if (status == QSGD_OK) {
        uint8_t *again = malloc(bytes + 1);
        CHECK(code->write(chunk, k, &plan, again, bytes) == bytes);
        CHECK(memcmp(again, payload, bytes) == 0);
        free(again);
    }
    CHECK(status == QSGD_OK || status == QSGD_ERR_CODE_TABLE || status == QSGD_ERR_STREAM ||
          status == QSGD_ERR_PADDING);
    free(copy);
    return status;
}

#endif
