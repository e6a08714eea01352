/* Writes and reads payloads: chooses the mode, falls back to fixed width where a code would grow.
 */
#include "codes/payload.h"

#include <string.h>

#include "base/bits.h"
#include "codes/nonzeros.h"
#include "grid/layout.h"
#include "kernels/kernels.h"

static uint64_t fixed_bytes(const struct levels *levels, uint64_t len, unsigned width) {
    return (levels->kind == QSGD_LEVELS_OPEN ? 1 : 0) + div_up(len * width, 8);
}

uint64_t payload_bound(const struct levels *levels, uint64_t len) {
    return 2 + fixed_bytes(levels, len, floor_log2(levels_ranks(levels) - 1) + 1);
}

static bool all_equal(const int16_t *k, size_t len) {
    return memcmp(k, k + 1, (len - 1) * sizeof *k) == 0;
}

static bool all_tokens_equal(const struct code_chunk *chunk) {
    const uint8_t *tokens = chunk->scratch->tokens;
    return memcmp(tokens, tokens + 1, chunk->len - 1) == 0;
}

/* The indices of direct tokens, in memory that codes of tokens no longer need. */
static const int16_t *indices_of_tokens(const struct code_chunk *chunk) {
    int16_t *k = (int16_t *)(void *)chunk->scratch->words;
    chunk->kernels->whole_tokens(chunk->scratch->tokens, chunk->len, k);
    return k;
}

static size_t write_head(bool dithered, uint8_t mode, uint8_t damping, uint8_t *dst) {
    dst[0] = mode;
    if (dithered) dst[1] = damping;
    return dithered ? 2 : 1;
}

static size_t write_constant(bool dithered, int16_t k, uint8_t damping, uint8_t *dst) {
    size_t head = write_head(dithered, MODE_CONSTANT, damping, dst);
    return head + varint_write(dst + head, levels_zigzag(k));
}

/* Bytes that mode 1 takes, at least; open levels' width is known by a look at all of k alone. */
static size_t fixed_floor(const struct code_chunk *chunk, const struct code_plan *plan) {
    const bool open = chunk->levels->kind == QSGD_LEVELS_OPEN;
    return (size_t)fixed_bytes(chunk->levels, chunk->len, open ? plan->least_width : 0);
}

size_t payload_write(const struct code_chunk *chunk, bool dithered, const int16_t *k,
                     uint8_t damping, uint8_t *dst) {
    const struct code *code = code_find(chunk->code);
    const size_t most = (size_t)payload_bound(chunk->levels, chunk->len) - 2;
    struct code_plan plan, fixed;
    memset(&plan, 0, sizeof plan); /* all of the union, whatever member a code fills */
    if (k == NULL && all_tokens_equal(chunk)) {
        const int32_t same = levels_unzigzag(chunk->scratch->tokens[0]);
        return write_constant(dithered, (int16_t)same, damping, dst);
    }
    if (k != NULL && code->may_be_constant && all_equal(k, chunk->len)) {
        return write_constant(dithered, k[0], damping, dst);
    }
    size_t bytes = SIZE_MAX;
    uint8_t mode = MODE_FIXED;
    if (code != &code_fixed) {
        code->plan(chunk, k, &plan);
        mode = plan.shared ? MODE_SHARED : MODE_CODED;
        const size_t head = write_head(dithered, mode, damping, dst);
        bytes = code->write(chunk, k, &plan, dst + head, most);
        if (bytes <= fixed_floor(chunk, &plan)) return head + bytes;
    }
    code_fixed.plan(chunk, k, &fixed);
    const size_t limit = (size_t)fixed_bytes(chunk->levels, chunk->len, fixed.fixed.width);
    const size_t head = write_head(dithered, bytes <= limit ? mode : MODE_FIXED, damping, dst);
    if (bytes <= limit) return head + bytes;
    if (k == NULL) k = indices_of_tokens(chunk);
    return head + code_fixed.write(chunk, k, &fixed, dst + head, limit);
}

size_t payload_write_like(const struct code_chunk *chunk, bool dithered, const int16_t *k,
                          uint8_t damping, const struct payload_form *like, uint8_t *dst,
                          size_t cap) {
    uint8_t head_bytes[2 + VARINT_MAX_BYTES];
    size_t head = write_head(dithered, like->mode, damping, head_bytes);
    if (like->mode == MODE_CONSTANT) {
        if (!all_equal(k, chunk->len)) return SIZE_MAX;
        head = write_constant(dithered, k[0], damping, head_bytes);
    }
    if (head > cap) return SIZE_MAX;
    memcpy(dst, head_bytes, head);
    if (like->mode == MODE_CONSTANT) return head;
    const struct code *code = like->mode == MODE_FIXED ? &code_fixed : code_find(chunk->code);
    size_t bytes = code->write(chunk, k, &like->plan, dst + head, cap - head);
    return bytes == SIZE_MAX ? SIZE_MAX : head + bytes;
}

/* True if a chunk of that code may have that mode. */
static bool mode_fits(const struct code *code, uint8_t mode, const struct shared_tables *shared) {
    switch (mode) {
    case MODE_CODED: return code != &code_fixed; /* whose payloads are of mode 1 */
    case MODE_FIXED: return true;
    case MODE_CONSTANT: return code->may_be_constant;
    case MODE_SHARED: return code->may_share && shared != NULL;
    default: return false;
    }
}

/* The one index of a constant chunk, from p on. */
static qsgd_status parse_constant(const struct levels *levels, const uint8_t *p, size_t bytes,
                                  int16_t *constant, size_t *where) {
    uint64_t rank = 0;
    const size_t used = varint_read(p, p + bytes, &rank);
    *where = 0;
    if (used == 0 || rank > 65534) return QSGD_ERR_STREAM;
    const int32_t k = levels_unzigzag((uint32_t)rank);
    if (!levels_has(levels, k)) return QSGD_ERR_STREAM;
    *constant = (int16_t)k;
    *where = used;
    return used == bytes ? QSGD_OK : QSGD_ERR_PADDING;
}

qsgd_status payload_parse(const struct code_chunk *chunk, bool dithered, const uint8_t *p,
                          size_t bytes, struct payload_form *form, size_t *where) {
    const struct code *code = code_find(chunk->code);
    const size_t head = dithered ? 2 : 1;
    *where = 0;
    if (bytes < head) return QSGD_ERR_CHUNK;
    form->mode = p[0];
    form->damping = dithered ? p[1] : 0;
    memset(&form->plan, 0, sizeof form->plan);
    if (!mode_fits(code, form->mode, chunk->shared)) return QSGD_ERR_CHUNK;
    qsgd_status status;
    if (form->mode == MODE_CONSTANT) {
        status = parse_constant(chunk->levels, p + head, bytes - head, &form->constant, where);
    } else {
        struct code_chunk own = *chunk;
        if (form->mode != MODE_SHARED) own.shared = NULL;
        if (form->mode == MODE_FIXED) code = &code_fixed;
        status = code->parse(&own, p + head, bytes - head, &form->plan, where);
    }
    *where += head;
    return status;
}

qsgd_status payload_read(const struct code_chunk *chunk, const struct payload_form *form,
                         int16_t *k) {
    if (form->mode == MODE_CONSTANT) {
        for (size_t i = 0; i < chunk->len; i++) k[i] = form->constant;
        return QSGD_OK;
    }
    const struct code *code = form->mode == MODE_FIXED ? &code_fixed : code_find(chunk->code);
    return code->read(chunk, &form->plan, k);
}

bool payload_is_sparse(const struct code_chunk *chunk, const struct payload_form *form) {
    return form->mode == MODE_CODED && code_find(chunk->code)->sparse;
}

qsgd_status payload_read_nonzeros(const struct code_chunk *chunk, const struct payload_form *form,
                                  const uint32_t **at, int16_t *k, size_t *count) {
    uint32_t *positions = nonzeros_positions(chunk);
    *at = positions;
    return code_find(chunk->code)->read_nonzeros(chunk, &form->plan, positions, k, count);
}

const char *payload_reason(qsgd_status status) {
    switch (status) {
    case QSGD_ERR_CHUNK:
        return "a chunk's mode is unknown or not the code's, or its length is wrong";
    case QSGD_ERR_CODE_TABLE: return "a chunk's table is malformed or cut short";
    case QSGD_ERR_STREAM: return "a chunk's symbols are malformed, run out, or name no level";
    case QSGD_ERR_PADDING: return "a chunk has bits or bytes left over that are not zero padding";
    default: return "a chunk is malformed";
    }
}
