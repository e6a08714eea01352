/* Elias codes of plain positive integers up to 2^64 - 1: qsgd_elias_encode, qsgd_elias_decode.
 *
 * Small values share the codewords of the chunk codes (codes/elias.h); longer ones, up to 127 bits,
 * are written and read in parts. */
#include "codes/elias.h"

#include "base/error.h"
#include "base/memory.h"

static bool kind_known(int32_t elias) {
    return elias == QSGD_ELIAS_GAMMA || elias == QSGD_ELIAS_DELTA || elias == QSGD_ELIAS_OMEGA;
}

static qsgd_status bad_kind(qsgd_error *error) {
    return error_parameter(error, QSGD_ERR_PARAM, "elias",
                           "elias must be QSGD_ELIAS_GAMMA, QSGD_ELIAS_DELTA or QSGD_ELIAS_OMEGA");
}

/* ---- encode --------------------------------------------------------------------------------- */

/* Length in bits of the codeword of v >= 1. */
static unsigned codeword_length(int32_t elias, uint64_t v) {
    unsigned n = floor_log2(v);
    if (elias == QSGD_ELIAS_GAMMA) return 2 * n + 1;
    if (elias == QSGD_ELIAS_DELTA) return n + 2 * floor_log2(n + 1) + 1;
    unsigned length = 1;
    for (; v > 1; v = n) {
        n = floor_log2(v);
        length += n + 1;
    }
    return length;
}

/* count <= 64. */
static void write_wide(struct msb_writer *w, uint64_t value, unsigned count) {
    if (count > 32) {
        msb_write(w, value >> 32, count - 32);
        value &= 0xFFFFFFFF;
        count = 32;
    }
    msb_write(w, value, count);
}

static void write_codeword(int32_t elias, struct msb_writer *w, uint64_t v) {
    unsigned n = floor_log2(v);
    if (n <= ELIAS_LOG2_MAX) {
        struct codeword word = elias_codeword(elias, v);
        msb_write(w, word.bits, word.length);
    } else if (elias == QSGD_ELIAS_GAMMA) {
        write_wide(w, 0, n);
        write_wide(w, v, n + 1);
    } else if (elias == QSGD_ELIAS_DELTA) {
        struct codeword head = elias_codeword(QSGD_ELIAS_GAMMA, n + 1);
        msb_write(w, head.bits, head.length);
        write_wide(w, v & (((uint64_t)1 << n) - 1), n);
    } else { /* omega of n without its last zero, then v, then that zero */
        struct codeword head = elias_codeword(QSGD_ELIAS_OMEGA, n);
        msb_write(w, head.bits >> 1, head.length - 1);
        write_wide(w, v, n + 1);
        msb_write(w, 0, 1);
    }
}

#if QSGD_ENCODER
qsgd_status qsgd_elias_encode(int32_t elias, const uint64_t *values, uint64_t count,
                              qsgd_memory dst, uint64_t *bits, qsgd_error *error) {
    if (!kind_known(elias)) return bad_kind(error);
    if (bits == NULL) return error_parameter(error, QSGD_ERR_NULL, "bits", "bits must not be NULL");
    if (values == NULL && count > 0) {
        return error_parameter(error, QSGD_ERR_NULL, "values",
                               "values must not be NULL if count is not 0");
    }
    struct region buffers[] = {
        {"values", values, count * sizeof *values, false},
        {"bits", bits, sizeof *bits, true},
        {"dst", NULL, 0, true},
    };
    qsgd_status status = regions_apart(buffers, sizeof buffers / sizeof *buffers, error);
    if (status != QSGD_OK) return status;
    uint64_t total = 0;
    for (uint64_t i = 0; i < count; i++) {
        if (values[i] == 0) {
            error_parameter(error, QSGD_ERR_INDEX, "values", "Elias codes have no codeword for 0");
            error_at_element(error, i);
            return QSGD_ERR_INDEX;
        }
        total += codeword_length(elias, values[i]);
    }
    if (dst.data != NULL) {
        uint64_t bytes = (total + 7) / 8;
        if (dst.bytes < bytes) {
            return memory_too_small(
                bytes, "dst must hold the bits, rounded up to bytes; ask with dst NULL", error);
        }
        buffers[2] = (struct region){"dst", dst.data, bytes, true};
        status = regions_apart(buffers, sizeof buffers / sizeof *buffers, error);
        if (status != QSGD_OK) return status;
        struct msb_writer w;
        msb_write_init(&w, dst.data, (uint8_t *)dst.data + bytes);
        for (uint64_t i = 0; i < count; i++) write_codeword(elias, &w, values[i]);
        msb_write_end(&w);
    }
    *bits = total;
    return QSGD_OK;
}
#endif

/* ---- decode --------------------------------------------------------------------------------- */

/* count <= 64. */
static uint64_t read_wide(struct bit_reader *r, unsigned count) {
    uint64_t high = 0;
    if (count > 32) {
        high = msb_read(r, count - 32) << 32;
        count = 32;
    }
    return high | msb_read(r, count);
}

/* Codeword of any value; 0 if it passes 2^64 - 1. */
static uint64_t read_long(int32_t elias, struct bit_reader *r) {
    if (elias == QSGD_ELIAS_OMEGA) {
        uint64_t v = 1;
        while (msb_read(r, 1) != 0) {
            if (v > 63) return 0;
            v = (uint64_t)1 << v | read_wide(r, (unsigned)v);
        }
        return v;
    }
    unsigned zeros = 0;
    while (msb_read(r, 1) == 0) { /* at most 64 times */
        if (++zeros > 63 || r->overrun) return 0;
    }
    uint64_t v = (uint64_t)1 << zeros | read_wide(r, zeros);
    if (elias == QSGD_ELIAS_GAMMA) return v;
    if (v > 64) return 0;
    unsigned n = (unsigned)v - 1;
    return (uint64_t)1 << n | read_wide(r, n);
}

static uint64_t read_codeword(int32_t elias, struct bit_reader *r) {
    msb_refill(r);
    struct bit_reader start = *r;
    uint64_t v = elias_take(elias, r, ELIAS_LOG2_MAX);
    if (v != 0) return v;
    *r = start;
    return read_long(elias, r);
}

/* Bits taken from the stream that starts at `first`; the reader must not have overrun. */
static uint64_t position(const struct bit_reader *r, const uint8_t *first) {
    return (uint64_t)(r->p - first) * 8 - (r->held - r->past);
}

qsgd_status qsgd_elias_decode(int32_t elias, const void *src, uint64_t bits, uint64_t count,
                              uint64_t *values, uint64_t *used, qsgd_error *error) {
    uint64_t bytes = bits / 8 + (bits % 8 != 0 ? 1 : 0);
    if (!kind_known(elias)) return bad_kind(error);
    if (used == NULL) return error_parameter(error, QSGD_ERR_NULL, "used", "used must not be NULL");
    if (src == NULL && bits > 0) {
        return error_parameter(error, QSGD_ERR_NULL, "src",
                               "src must not be NULL if bits is not 0");
    }
    if (values == NULL && count > 0) {
        return error_parameter(error, QSGD_ERR_NULL, "values",
                               "values must not be NULL if count is not 0");
    }
    const bool wraps = count > UINT64_MAX / sizeof *values;
    const struct region buffers[] = {
        {"src", src, bytes, false},
        {"used", used, sizeof *used, true},
        {"values", values, wraps ? UINT64_MAX : count * sizeof *values, true},
    };
    const qsgd_status status = regions_apart(buffers, sizeof buffers / sizeof *buffers, error);
    if (status != QSGD_OK) return status;
    static const uint8_t nothing = 0;
    const uint8_t *first = src != NULL ? src : &nothing;
    struct bit_reader r;
    uint64_t at = 0;
    bit_read_init(&r, first, first + bytes);
    for (uint64_t i = 0; i < count; i++) {
        values[i] = read_codeword(elias, &r);
        uint64_t next = r.overrun ? UINT64_MAX : position(&r, first);
        if (values[i] == 0 || next > bits) {
            error_offset(error, QSGD_ERR_STREAM, at / 8,
                         "the bits run out within a codeword, or its value passes 2^64 - 1");
            error_at_element(error, i);
            return QSGD_ERR_STREAM;
        }
        at = next;
    }
    *used = at;
    return QSGD_OK;
}
