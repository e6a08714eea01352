/* Kernel bodies of tokens with extra bits for lanes that know how many bits those before them have
 * (W_SCAN): all read, or write, their part of the stream at once. Included by extra_bits.h, which
 * says what a code is. */
#ifndef QSGD_KERNELS_EXTRA_SCAN_H
#define QSGD_KERNELS_EXTRA_SCAN_H

#include "kernels/body.h"
#include "kernels/extra_widths.h"
#include "kernels/types.h"

/* Where each lane's bits start follows from how many those before it have. */
KERNEL uint32_t kernel_extra_read(struct extra_stream *stream, const uint8_t *tokens, size_t n,
                                  int16_t *k) {
    struct extra_stream s = *stream;
    const vu one = vu_set1(1);
    vu most = one;
    for (size_t i = 0; i < n; i += W) {
        const vu token = vu_load_u8_some(tokens + i, n - i);
        const vu next = vu_add(token, one), width = extra_lane_widths(token);
        const vu ends = vu_running(width), power = vu_sllv(one, width);
        const vu top =
            vu_select(extra_lane_has(token), vu_add(vu_and(next, vu_set1(3)), vu_set1(4)), next);
        const vu bits = vu_bits_at(s.base, s.bytes, s.bit, vu_sub(ends, width));
        const vu code = vu_or(vu_sllv(top, width), vu_and(bits, vu_sub(power, one)));
        const vu sign = vu_sub(vu_set1(0), vu_and(code, one));
        const vu index = vu_sub(vu_xor(vu_srl(code, 1), sign), sign);
        vu_store_i16_some(k + i, index, n - i);
        most = vu_max31(most, code);
        s.bit += vu_top31(ends);
    }
    lanes_sync();
    *stream = s;
    lanes_sync();
    return vu_top31(most) >> 1;
}

/* All lanes' bits are counted, then each puts its own where they belong, into zeros. */
KERNEL uint8_t *kernel_extra_write(const int16_t *k, const uint8_t *tokens, size_t n, uint8_t *p,
                                   uint8_t *end) {
    uint64_t bit = 0;
    const size_t bytes = (size_t)((kernel_extra_count(tokens, n) + 7) / 8);
    if (bytes > (size_t)(end - p)) return NULL;
    EACH(i, 0, bytes, 1) p[i] = 0;
    lanes_sync();
    for (size_t i = 0; i < n; i += W) {
        const vu width = extra_lane_widths(vu_load_u8_some(tokens + i, n - i));
        const vu index = vu_load_i16_some(k + i, n - i), sign = vu_sign(index);
        const vu m = vu_sub(vu_xor(index, sign), sign), code = vu_sub(vu_add(m, m), sign);
        const vu ends = vu_running(width), mask = vu_sub(vu_sllv(vu_set1(1), width), vu_set1(1));
        vu_put_bits(p, bit, vu_sub(ends, width), vu_and(code, mask));
        bit += vu_top31(ends);
    }
    lanes_sync();
    return p + bytes;
}

#endif
