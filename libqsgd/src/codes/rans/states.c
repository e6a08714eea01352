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

qsgd_status rans_states_read(const uint8_t *p, const uint8_t *end, size_t lanes, uint32_t *states,
                             const uint8_t **next) {
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
