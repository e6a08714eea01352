/* How the states of lanes travel. */
#include "codes/rans/states.h"

#include "base/bits.h"

uint8_t *rans_states_write(const uint32_t *states, size_t lanes, uint8_t *p, uint8_t *end) {
    struct lsb_writer w;
    lsb_write_init(&w, p, end);
    for (size_t l = 0; l < lanes; l++) lsb_write(&w, floor_log2(states[l]) - 16, 4);
    for (size_t l = 0; l < lanes; l++) {
        const unsigned width = floor_log2(states[l]);
        lsb_write(&w, states[l] - (1U << width), width);
    }
    return lsb_write_end(&w);
}

#define WIDEST 31 /* bits of a state below its first one */

/* The same where bytes behind them may be loaded, too: no state waits for the last. False if they
 * are not padded with zeros. */
static bool states_load(const uint8_t *p, size_t lanes, uint32_t *states, const uint8_t **next) {
    uint64_t bit = 4 * (uint64_t)lanes;
    for (size_t l = 0; l < lanes; l++) {
        const unsigned width = 16U + ((unsigned)p[l / 2] >> (l % 2 * 4) & 15U);
        const uint32_t low = (uint32_t)(load_le64(p + (bit >> 3)) >> (bit & 7));
        states[l] = 1U << width | (low & ((1U << width) - 1));
        bit += width;
    }
    *next = p + ((bit + 7) >> 3);
    return (bit & 7) == 0 || p[bit >> 3] >> (bit & 7) == 0;
}

qsgd_status rans_states_read(const uint8_t *p, const uint8_t *end, size_t lanes, uint32_t *states,
                             const uint8_t **next) {
    if ((size_t)(end - p) >= lanes * (4 + WIDEST) / 8 + 8) {
        return states_load(p, lanes, states, next) ? QSGD_OK : QSGD_ERR_PADDING;
    }
    struct bit_reader r;
    bit_read_init(&r, p, end);
    for (size_t l = 0; l < lanes; l++) states[l] = 1U << (16 + lsb_read(&r, 4));
    for (size_t l = 0; l < lanes; l++) {
        states[l] += (uint32_t)lsb_read(&r, floor_log2(states[l]));
    }
    if (r.overrun) return QSGD_ERR_STREAM;
    lsb_refill(&r);
    *next = r.p - (r.held - r.past) / 8;
    return lsb_take(&r, r.held & 7) == 0 ? QSGD_OK : QSGD_ERR_PADDING; /* of the last byte */
}
