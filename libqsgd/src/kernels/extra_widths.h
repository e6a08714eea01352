/* Kernel body of how many extra bits tokens have (FORMAT.md section 7.4), and what the reader and
 * the writer of those bits ask of it. */
#ifndef QSGD_KERNELS_EXTRA_WIDTHS_H
#define QSGD_KERNELS_EXTRA_WIDTHS_H

#include "kernels/body.h"
#include "kernels/types.h"

/* True if one of eight tokens, each below 64, has extra bits. */
BODY bool extra_any(const uint8_t *tokens) {
    uint64_t eight;
    memcpy(&eight, tokens, sizeof eight);
    return ((eight + (128 - TOKENS_WHOLE) * 0x0101010101010101U) & 0x8080808080808080U) != 0;
}

/* Extra bits of a token >= TOKENS_WHOLE. */
BODY unsigned extra_width(uint8_t token) { return (token - 7U) >> 2; }

/* Of eight tokens, each below 64: byte by byte in a register. */
BODY unsigned extra_widths_of_eight(const uint8_t *tokens) {
    const uint64_t each = 0x0101010101010101U;
    uint64_t eight;
    memcpy(&eight, tokens, sizeof eight);
    const uint64_t has = (eight + (128 - TOKENS_WHOLE) * each) >> 7 & each;
    const uint64_t widths = (eight + (128 - 7) * each) >> 2 & 15 * each;
    return (unsigned)((widths & has * 255) * each >> 56);
}

#ifdef W_EXTRA
/* Extra bits of tokens, 0 for whole ones. */
BODY vh extra_widths(vh token, vh has) { return vh_and(has, vh_srl(vh_sub(token, vh_set1(7)), 2)); }

BODY vh extra_has(vh token) { return vh_ones(vh_above(token, vh_set1(TOKENS_WHOLE - 1))); }
#endif

#ifdef W_SCAN
BODY vm extra_lane_has(vu token) { return vu_gt31(token, vu_set1(TOKENS_WHOLE - 1)); }

BODY vu extra_lane_widths(vu token) {
    return vu_where(extra_lane_has(token), vu_srl(vu_sub(token, vu_set1(7)), 2));
}
#endif

KERNEL uint64_t kernel_extra_count(const uint8_t *tokens, size_t n) {
    uint64_t total = 0;
    size_t i = 0;
#if defined(W_SCAN)
    for (; i < n; i += W) {
        total += vu_sum(extra_lane_widths(vu_load_u8_some(tokens + i, n - i)));
    }
#elif defined(W_EXTRA)
    while (n - i >= W_BYTES) { /* as many vectors as a byte can sum: no width is above 14 */
        const size_t stop = (n - i) / W_BYTES < 16 ? n : i + 16 * (size_t)W_BYTES;
        vb sum = vb_set1(0);
        for (; stop - i >= W_BYTES; i += W_BYTES) {
            sum = vb_add(sum, vb_extra_widths(vb_load(tokens + i)));
        }
        total += vb_sum(sum);
    }
    total += vb_sum(vb_extra_widths(vb_load_some(tokens + i, n - i)));
#else
    for (; n - i >= 8; i += 8) total += extra_widths_of_eight(tokens + i);
    for (; i < n; i++) total += tokens[i] < TOKENS_WHOLE ? 0 : extra_width(tokens[i]);
#endif
    return total;
}

#endif
