/* The sparse Elias codes of chunks (FORMAT.md section 7.2): gaps and magnitudes of the non-zero
 * indices, one stream per chunk (Code_s of Alistarh et al., NeurIPS 2017, with a count).
 *
 * Each body is written once, with the kind of Elias code as a parameter that is constant where it
 * is inlined. Dense codes: codes/elias_dense.c. */
#include "codes/elias.h"
#include "codes/nonzeros.h"
#include "codes/segments.h"

#define MAGNITUDE_LOG2_MAX 15U                      /* |k| is below 2^15 */
#define MAGNITUDE_BITS (2 * MAGNITUDE_LOG2_MAX + 2) /* longest codeword, with its sign */
#define WRITE_BITS 56U                              /* of one msb_write */

static void sparse_plan(const struct code_chunk *chunk, const int16_t *k, struct code_plan *plan) {
    nonzeros_find(chunk, k, &plan->nonzeros);
}

/* Gap, sign and magnitude of one non-zero index. */
ELIAS_BODY void put_nonzero(int32_t elias, struct msb_writer *w, uint64_t gap, int32_t k) {
    const struct codeword distance = elias_codeword(elias, gap);
    struct codeword value = elias_codeword(elias, (uint64_t)(k < 0 ? -k : k));
    value.bits |= (uint64_t)(k < 0) << value.length++;
    if (distance.length + value.length <= WRITE_BITS) {
        msb_write(w, distance.bits << value.length | value.bits, distance.length + value.length);
        return;
    }
    msb_write(w, distance.bits, distance.length);
    msb_write(w, value.bits, value.length);
}

ELIAS_BODY size_t write_stream(int32_t elias, const struct code_chunk *chunk, const int16_t *k,
                               const struct code_plan *plan, uint8_t *dst, size_t cap) {
    struct msb_writer w;
    const struct nonzeros_plan found = nonzeros_found(chunk, k, plan);
    const uint32_t *at = found.at;
    const size_t count = found.count;
    size_t first = 0; /* element at which the segment starts */
    msb_write_init(&w, dst, dst + cap);
    for (size_t s = 0, i = 0; s < code_segments(chunk) && !w.full; s++) {
        const size_t end = first + segments_elements(chunk, s);
        size_t stop = i;
        while (stop < count && at[stop] < end) stop++;
        struct codeword head = elias_codeword(elias, stop - i + 1);
        msb_write(&w, head.bits, head.length);
        for (size_t before = first; i < stop && !w.full; i++) {
            put_nonzero(elias, &w, at[i] + 1 - before, k[at[i]]);
            before = at[i] + 1;
        }
        first = end;
    }
    uint8_t *end = msb_write_end(&w);
    return end == NULL ? SIZE_MAX : (size_t)(end - dst);
}

static qsgd_status sparse_parse(const struct code_chunk *chunk, const uint8_t *p, size_t bytes,
                                struct code_plan *plan, size_t *where) {
    (void)chunk;
    *where = 0;
    plan->body = p;
    plan->tail = plan->end = p + bytes;
    plan->nonzeros.at = NULL;
    return QSGD_OK;
}

/* Reads the segment of len elements from `first` on; false if a symbol is malformed. */
ELIAS_BODY bool read_segment(int32_t elias, const struct levels *levels, struct bit_reader *r,
                             size_t first, size_t len, uint32_t *at, int16_t *k, size_t *found) {
    msb_refill(r);
    uint64_t count = elias_take(elias, r, ELIAS_LOG2_MAX);
    if (count == 0 || count - 1 > len) return false;
    const size_t end = first + len;
    size_t position = first, i = *found; /* position: behind the previous non-zero */
    for (*found += (size_t)count - 1; i < *found; i++) {
        msb_refill(r);
        uint64_t gap = elias_take(elias, r, ELIAS_LOG2_MAX);
        if (gap == 0 || gap > end - position) return false;
        position += (size_t)gap;
        if (r->held < MAGNITUDE_BITS) msb_refill(r);
        bool negative = msb_take(r, 1) != 0;
        uint64_t m = elias_take(elias, r, MAGNITUDE_LOG2_MAX);
        int32_t value = negative ? -(int32_t)m : (int32_t)m;
        if (m == 0 || !levels_has(levels, value)) return false;
        at[i] = (uint32_t)(position - 1);
        k[i] = (int16_t)value;
    }
    return true;
}

ELIAS_BODY qsgd_status read_stream(int32_t elias, const struct code_chunk *chunk,
                                   const struct code_plan *plan, uint32_t *at, int16_t *k,
                                   size_t *count) {
    struct bit_reader r;
    size_t first = 0;
    *count = 0;
    bit_read_init(&r, plan->body, plan->end);
    for (size_t s = 0; s < code_segments(chunk); s++) {
        size_t len = segments_elements(chunk, s);
        if (!read_segment(elias, chunk->levels, &r, first, len, at, k, count) || r.overrun) {
            return QSGD_ERR_STREAM;
        }
        first += len;
    }
    return msb_read_end(&r) ? QSGD_OK : QSGD_ERR_PADDING;
}

#define SPARSE_ROW(kind, elias)                                                                    \
    static size_t write_##kind(const struct code_chunk *chunk, const int16_t *k,                   \
                               const struct code_plan *plan, uint8_t *dst, size_t cap) {           \
        return write_stream(elias, chunk, k, plan, dst, cap);                                      \
    }                                                                                              \
    static qsgd_status read_##kind(const struct code_chunk *chunk, const struct code_plan *plan,   \
                                   uint32_t *at, int16_t *k, size_t *count) {                      \
        return read_stream(elias, chunk, plan, at, k, count);                                      \
    }                                                                                              \
    const struct code code_elias_##kind##_sparse = {                                               \
        .name = "elias-" #kind "-sparse",                                                          \
        .sparse = true,                                                                            \
        .plan = ENCODES(sparse_plan),                                                              \
        .write = ENCODES(write_##kind),                                                            \
        .parse = sparse_parse,                                                                     \
        .read = nonzeros_read,                                                                     \
        .read_nonzeros = read_##kind,                                                              \
    };

SPARSE_ROW(gamma, QSGD_ELIAS_GAMMA)
SPARSE_ROW(delta, QSGD_ELIAS_DELTA)
SPARSE_ROW(omega, QSGD_ELIAS_OMEGA)
