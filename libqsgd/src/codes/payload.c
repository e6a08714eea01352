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

uint64_t payload_body_bound(const struct levels *levels, uint64_t len) {
    return fixed_bytes(levels, len, floor_log2(levels_ranks(levels) - 1) + 1);
}

uint64_t payload_head_bound(uint64_t len, uint64_t buckets, int kind) {
    return 2 + parts_bound(buckets) + scales_bound(buckets, kind) + zero_sets_bound(len) +
           outliers_bound(len);
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

/* Bits of a payload's first byte, above its mode. */
#define MODE_BITS 3
#define HEAD_IDLE 4  /* some buckets have no scale */
#define HEAD_ZEROS 8 /* some groups of elements are all 0 */
#define HEAD_OUTLIERS 16
#define HEAD_SIGNS 5     /* from this bit on: SIGNS_PLAIN, SIGNS_IN_TOKENS */
#define HEAD_ROTATED 128 /* some buckets are rotated */

static uint8_t *place(uint8_t *dst, size_t at) { return dst == NULL ? NULL : dst + at; }

/* Bytes of the head; written to dst, unless that is NULL. The mode comes last, once it is known. */
static size_t write_head(const struct payload_head *head, const struct scales_form *form,
                         uint8_t *dst) {
    const struct zero_groups *zeros = &head->live.zeros;
    const bool rotated = head->rotated && head->scales.count > 0;
    size_t at = head->has_damping ? 2 : 1;
    if (dst != NULL) {
        dst[0] =
            (uint8_t)((rotated ? HEAD_ROTATED : 0) |
                      (form->live < head->scales.count ? HEAD_IDLE : 0) |
                      (zeros->words != NULL ? HEAD_ZEROS : 0) |
                      (zeros->outliers != NULL ? HEAD_OUTLIERS : 0) | head->signs << HEAD_SIGNS);
        if (head->has_damping) dst[1] = head->damping;
    }
    if (rotated) at += parts_write(&head->parts, place(dst, at));
    at += scales_write(&head->scales, form, place(dst, at));
    if (zeros->words != NULL) at += zero_sets_write(zeros, head->live.len, place(dst, at));
    if (zeros->outliers != NULL) at += outliers_write(zeros->outliers, place(dst, at));
    return at;
}

/* Narrows a chunk to its live elements; false if all are live. */
static bool narrow(struct code_chunk *chunk, const struct payload_head *head) {
    const uint64_t count = live_count(&head->live);
    chunk->signed_tokens = (head->signs & SIGNS_IN_TOKENS) != 0;
    if ((head->signs & SIGNS_PLAIN) != 0) chunk->turned = NULL;
    chunk->live = head->rotated ? &head->live : NULL;
    if (count == chunk->len) return false;
    chunk->len = (size_t)count;
    chunk->turned = NULL; /* which elements these are is the head's to know */
    return true;
}

void payload_gather(struct code_chunk *chunk, const struct payload_head *head,
                    const struct coded_items *items) {
    if (!narrow(chunk, head)) return;
    live_gather(&head->live, coded_items_at(items, 0), coded_item_bytes(items));
}

static void set_mode(uint8_t mode, uint8_t *dst) {
    dst[0] = (uint8_t)((dst[0] & ~MODE_BITS) | mode);
}

static size_t write_constant(int16_t k, size_t head, uint8_t *dst) {
    set_mode(MODE_CONSTANT, dst);
    return head + varint_write(dst + head, levels_zigzag(k));
}

/* True if all of k, or of the chunk's tokens, are equal, which that code has a mode for. */
static bool is_constant(const struct code_chunk *chunk, const struct code *code, const int16_t *k) {
    return k == NULL ? all_tokens_equal(chunk) : code->may_be_constant && all_equal(k, chunk->len);
}

static int16_t first_index(const struct code_chunk *chunk, const int16_t *k) {
    return k != NULL ? k[0] : (int16_t)levels_unzigzag(chunk->scratch->tokens[0]);
}

/* Bytes that mode 1 takes, at least; open levels' width is known by a look at all of k alone. */
static size_t fixed_floor(const struct code_chunk *chunk, const struct code_plan *plan) {
    const bool open = chunk->levels->kind == QSGD_LEVELS_OPEN;
    return (size_t)fixed_bytes(chunk->levels, chunk->len, open ? plan->least_width : 0);
}

/* What payload_write would return, were each element there chunk->weight times. dst: as there. */
static size_t price(const struct code_chunk *chunk, const struct payload_head *head,
                    const int16_t *k, uint8_t *dst) {
    const struct code *code = code_find(chunk->code);
    const size_t most = (size_t)payload_body_bound(chunk->levels, chunk->len);
    const size_t fixed_head = head->has_damping ? 2 : 1, weight = chunk->weight;
    struct code_plan plan;
    struct scales_form scales;
    scales_plan(&head->scales, &scales);
    const size_t at = fixed_head + weight * (write_head(head, &scales, dst) - fixed_head);
    memset(&plan, 0, sizeof plan);
    if (chunk->len == 0) return at;
    if (is_constant(chunk, code, k)) return chunk->signed_tokens ? SIZE_MAX : at + 1;
    size_t bytes = SIZE_MAX;
    if (code != &code_fixed) {
        code->plan(chunk, k, &plan);
        bytes = code->write(chunk, k, &plan, dst, most);
        if (code != &code_rans && bytes != SIZE_MAX) bytes *= weight;
        if (chunk->signed_tokens) return bytes == SIZE_MAX ? SIZE_MAX : at + bytes;
        if (bytes <= weight * fixed_floor(chunk, &plan)) return at + bytes;
    }
    if (k == NULL) k = indices_of_tokens(chunk);
    code_fixed.plan(chunk, k, &plan);
    const uint64_t limit = weight * fixed_bytes(chunk->levels, chunk->len, plan.fixed.width);
    return at + (bytes <= limit ? bytes : (size_t)limit);
}

size_t payload_write(const struct code_chunk *chunk, const struct payload_head *head,
                     const int16_t *k, uint8_t *dst) {
    const struct code *code = code_find(chunk->code);
    const size_t most = (size_t)payload_body_bound(chunk->levels, chunk->len);
    struct code_plan plan, fixed;
    struct scales_form scales;
    if (chunk->weight != 0) return price(chunk, head, k, dst);
    scales_plan(&head->scales, &scales);
    const size_t at = write_head(head, &scales, dst);
    memset(&plan, 0, sizeof plan); /* all of the union, whatever member a code fills */
    if (chunk->len == 0) return at;
    if (is_constant(chunk, code, k)) {
        if (chunk->signed_tokens) return SIZE_MAX;
        return write_constant(first_index(chunk, k), at, dst);
    }
    size_t bytes = SIZE_MAX;
    if (code != &code_fixed) {
        code->plan(chunk, k, &plan);
        set_mode(plan.shared ? MODE_SHARED : MODE_CODED, dst);
        bytes = code->write(chunk, k, &plan, dst + at, most);
        if (chunk->signed_tokens) return bytes == SIZE_MAX ? SIZE_MAX : at + bytes;
        if (bytes <= fixed_floor(chunk, &plan)) return at + bytes;
    }
    code_fixed.plan(chunk, k, &fixed);
    const size_t limit = (size_t)fixed_bytes(chunk->levels, chunk->len, fixed.fixed.width);
    if (bytes <= limit) return at + bytes;
    set_mode(MODE_FIXED, dst);
    if (k == NULL) k = indices_of_tokens(chunk);
    return at + code_fixed.write(chunk, k, &fixed, dst + at, limit);
}

size_t payload_write_like(const struct code_chunk *chunk, const struct payload_head *head,
                          const int16_t *k, const struct payload_form *like, uint8_t *dst,
                          size_t cap) {
    struct scales_form scales;
    if (!scales_fit(&head->scales, &like->scales)) return SIZE_MAX;
    scales_plan(&head->scales, &scales);
    const struct scales_form form = {scales.live, like->scales.base, like->scales.width,
                                     like->scales.shift};
    const size_t least = write_head(head, &form, NULL);
    uint8_t same[VARINT_MAX_BYTES];
    const bool constant = like->mode == MODE_CONSTANT && chunk->len > 0;
    const size_t constant_bytes = constant ? varint_write(same, levels_zigzag(k[0])) : 0;
    if (least + constant_bytes > cap || (constant && !all_equal(k, chunk->len))) return SIZE_MAX;
    const size_t at = write_head(head, &form, dst);
    if (constant) return write_constant(k[0], at, dst);
    if (chunk->len == 0) return at;
    set_mode(like->mode, dst);
    const struct code *code = like->mode == MODE_FIXED ? &code_fixed : code_find(chunk->code);
    size_t bytes = code->write(chunk, k, &like->plan, dst + at, cap - at);
    return bytes == SIZE_MAX ? SIZE_MAX : at + bytes;
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

/* True if a chunk has tokens of large indices, and tables of its own for them. */
static bool signs_may_be_in_tokens(const struct code_chunk *chunk, uint8_t mode) {
    const bool tokens = code_find(chunk->code)->may_share && mode == MODE_CODED;
    return tokens && chunk->levels->largest > LEVELS_DIRECT;
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

/* Mode, damping, scales and groups of zeros, *used bytes. */
static qsgd_status parse_head(struct payload_head *head, const uint8_t *p, size_t bytes,
                              struct payload_form *form, const struct payload_room *room,
                              size_t *used) {
    size_t at = head->has_damping ? 2 : 1;
    *used = 0;
    if (bytes < at) return QSGD_ERR_CHUNK;
    struct item_set set;
    head->rotated = (p[0] & HEAD_ROTATED) != 0;
    form->mode = p[0] & MODE_BITS;
    form->signs = head->signs = p[0] >> HEAD_SIGNS & (SIGNS_PLAIN | SIGNS_IN_TOKENS);
    if ((form->signs & SIGNS_PLAIN) != 0 && !head->turns) return QSGD_ERR_CHUNK;
    if (head->rotated && head->parts.layout == NULL) return QSGD_ERR_CHUNK;
    head->damping = form->damping = head->has_damping ? p[1] : 0;
    head->scales.scales = room->scales;
    head->parts.scales = scales_at(room->scales, head->live.scales.first);
    if (head->rotated) {
        const size_t some =
            parts_parse(&head->parts, p + at, bytes - at, &set, &head->scales.count);
        if (some == 0) return QSGD_ERR_CHUNK;
        at += some;
    } else if (head->parts.layout != NULL) {
        head->scales.count = parts_whole(&head->parts);
    }
    const qsgd_status status = scales_read(&head->scales, (p[0] & HEAD_IDLE) != 0, p + at,
                                           bytes - at, &form->scales, room->scales, used);
    *used += at;
    if (status == QSGD_OK && head->parts.layout != NULL) {
        parts_unpack(&head->parts, head->rotated ? &set : NULL, head->scales.count);
    }
    form->zeros = (struct zero_groups){NULL, ZERO_GROUP_LOG2, NULL};
    if (status == QSGD_OK && (p[0] & HEAD_ZEROS) != 0) {
        const size_t set =
            zero_sets_read(p + *used, bytes - *used, head->live.len, room->zeros, &form->zeros);
        if (set == 0) return QSGD_ERR_CHUNK;
        *used += set;
    }
    if (status == QSGD_OK && (p[0] & HEAD_OUTLIERS) != 0) {
        const size_t list = room->outliers == NULL ? 0
                                                   : outliers_read(p + *used, bytes - *used,
                                                                   head->live.len, room->outliers);
        if (list == 0) return QSGD_ERR_CHUNK;
        *used += list;
        form->zeros.outliers = room->outliers;
    }
    head->live.scales = scales_at(room->scales, head->live.scales.first);
    head->live.zeros = form->zeros;
    return status;
}

qsgd_status payload_parse(struct code_chunk *chunk, struct payload_head *head, const uint8_t *p,
                          size_t bytes, struct payload_form *form, const struct payload_room *room,
                          size_t *where) {
    const struct code *code = code_find(chunk->code);
    memset(&form->plan, 0, sizeof form->plan);
    qsgd_status status = parse_head(head, p, bytes, form, room, where);
    if (status != QSGD_OK) return status;
    const size_t at = *where;
    narrow(chunk, head);
    if (chunk->len == 0) {
        if (form->mode == MODE_CODED && form->signs == 0)
            return at == bytes ? QSGD_OK : QSGD_ERR_PADDING;
        *where = 0;
        return QSGD_ERR_CHUNK;
    }
    *where = 0;
    if (!mode_fits(code, form->mode, chunk->shared)) return QSGD_ERR_CHUNK;
    if (chunk->signed_tokens && !signs_may_be_in_tokens(chunk, form->mode)) return QSGD_ERR_CHUNK;
    if (form->mode == MODE_CONSTANT) {
        status = parse_constant(chunk->levels, p + at, bytes - at, &form->constant, where);
    } else {
        struct code_chunk own = *chunk;
        if (form->mode != MODE_SHARED) own.shared = NULL;
        if (form->mode == MODE_FIXED) code = &code_fixed;
        status = code->parse(&own, p + at, bytes - at, &form->plan, where);
    }
    *where += at;
    return status;
}

qsgd_status payload_read(const struct code_chunk *chunk, const struct payload_form *form,
                         int16_t *k) {
    if (chunk->len == 0) return QSGD_OK;
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
    case QSGD_ERR_SCALE: return "a scale is 0, infinite, or past the largest number";
    case QSGD_ERR_CODE_TABLE: return "a chunk's table is malformed or cut short";
    case QSGD_ERR_STREAM: return "a chunk's symbols are malformed, run out, or name no level";
    case QSGD_ERR_PADDING: return "a chunk has bits or bytes left over that are not zero padding";
    default: return "a chunk is malformed";
    }
}
