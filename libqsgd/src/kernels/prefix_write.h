/* Kernel bodies that write prefix codes of byte symbols (FORMAT.md sections 7.2 and 7.5), most
 * significant bit first. With W_MERGE: codewords by table in registers, neighbours joined by
 * shifts, first by the length of the second, from 16 to 32 to 64 bits; what is left per eight
 * symbols is one append. Without: an append per few symbols, as many as 56 bits hold. */
#ifndef QSGD_KERNELS_PREFIX_WRITE_H
#define QSGD_KERNELS_PREFIX_WRITE_H

#include "base/bits.h"
#include "kernels/body.h"
#include "kernels/types.h"

struct append {
    uint8_t *p;
    uint64_t acc;  /* bits that no whole byte was filled with, at the top */
    uint64_t held; /* 0..7 of them */
};

/* bits <= 56; eight bytes at p may be written. */
BODY void append_bits(struct append *a, uint64_t word, uint64_t bits) {
    const uint64_t held = a->held + bits;
    a->acc |= word << (-held & 63); /* held = 0: word is 0 too */
    store_be64(a->p, a->acc);
    a->p += held >> 3;
    a->acc <<= held & 56;
    a->held = held & 7;
}

#ifdef W_MERGE
#define MERGE_WORDS (W_BYTES / 8)
#define MERGE_ROOM (2 * W_BYTES + 8) /* bytes that a vector of symbols may write to */

/* Pairs of 16-bit codewords and their lengths, first in the low half, to words of four. */
BODY vq merge_four(vu code, vu length, vq *bits) {
    const vu low = vu_set1(0xFFFF);
    vu next = vu_srl(length, 16);
    vu two = vu_or(vu_sllv(vu_and(code, low), next), vu_srl(code, 16));
    vq words = vq_of(two), lengths = vq_of(vu_add(vu_and(length, low), next));
    vq after = vq_high(lengths);
    *bits = vq_add(vq_low(lengths), after);
    return vq_or(vq_sllv(vq_low(words), after), vq_high(words));
}

/* Appends a vector of symbols, of which the bytes that are 0 in `keep` do not count. */
BODY void merge_vector(const struct prefix_code *code, vb symbols, vb keep, const bool whole,
                       struct append *out) {
    uint64_t words[2][MERGE_WORDS], bits[2][MERGE_WORDS];
    vb part[3];
    vb_lookup3(code->part, code->rows, symbols, part);
    if (!whole) {
        for (int i = 0; i < 3; i++) part[i] = vb_and(part[i], keep);
    }
    vq bits_a, bits_b;
    vb zero = vb_set1(0);
    vq a = merge_four(vb_zip_low(part[0], part[1]), vb_zip_low(part[2], zero), &bits_a);
    vq b = merge_four(vb_zip_high(part[0], part[1]), vb_zip_high(part[2], zero), &bits_b);
    vq first = vq_zip_low(a, b), second = vq_zip_high(a, b);
    vq bits_first = vq_zip_low(bits_a, bits_b), bits_second = vq_zip_high(bits_a, bits_b);
    vq total = vq_add(bits_first, bits_second);
    if (!vq_any_above(total, 56)) {
        vq_store(words[0], vq_or(vq_sllv(first, bits_second), second));
        vq_store(bits[0], total);
        for (int i = 0; i < MERGE_WORDS; i++) append_bits(out, words[0][i], bits[0][i]);
        return;
    }
    vq_store(words[0], first);
    vq_store(words[1], second);
    vq_store(bits[0], bits_first);
    vq_store(bits[1], bits_second);
    const bool longer = vq_any_above(bits_first, 56) || vq_any_above(bits_second, 56);
    for (int i = 0; i < MERGE_WORDS; i++) {
        for (int half = 0; half < 2; half++) {
            uint64_t word = words[half][i], low = bits[half][i] / 2;
            if (!longer) {
                append_bits(out, word, bits[half][i]);
                continue;
            }
            append_bits(out, word >> low, bits[half][i] - low);
            append_bits(out, word & (((uint64_t)1 << low) - 1), low);
        }
    }
}

#endif

/* Bits of the codewords of n symbols. */
KERNEL uint64_t kernel_prefix_bits(const struct prefix_code *code, const uint8_t *symbols,
                                   size_t n) {
#ifdef W_MERGE
    vq sum = vq_sum8(vb_set1(0));
    size_t i = 0;
    for (; i + W_BYTES <= n; i += W_BYTES) {
        sum = vq_add(sum, vq_sum8(vb_lookup(code->part[2], code->rows, vb_load(symbols + i))));
    }
    if (i < n) {
        const vb lengths = vb_lookup(code->part[2], code->rows, vb_load_some(symbols + i, n - i));
        sum = vq_add(sum, vq_sum8(vb_and(lengths, vb_first(n - i))));
    }
    return vq_total(sum);
#else
    enum { most = 1 << 24 }; /* vectors that a lane can sum, at 16 bits each */
    uint64_t bits = 0;
    for (size_t i = 0; i < n;) {
        const size_t stop = n - i < (size_t)most * W ? n : i + (size_t)most * W;
        vu sum = vu_set1(0);
        for (; i < stop; i += W) {
            const size_t left = stop - i;
            const vu symbol =
                left >= W ? vu_load_u8(symbols + i) : vu_load_u8_some(symbols + i, left);
            const vu length = vu_and(vu_gather(code->word, symbol), vu_set1(0xFF));
            sum = vu_add(sum, vu_where(vm_first(left), length));
        }
        bits += vu_sum(sum);
    }
    return bits;
#endif
}

/* Writes the codewords of n symbols from p on and pads them; NULL if they pass `end`. */
KERNEL uint8_t *kernel_prefix_write(const struct prefix_code *code, const uint8_t *symbols,
                                    size_t n, uint8_t *p, uint8_t *end) {
    struct append out = {p, 0, 0};
    size_t i = 0;
#ifdef W_MERGE
    for (; n - i >= W_BYTES && end - out.p >= MERGE_ROOM; i += W_BYTES) {
        merge_vector(code, vb_load(symbols + i), vb_set1(0), true, &out);
    }
    if (i < n && n - i < W_BYTES && end - out.p >= MERGE_ROOM) {
        merge_vector(code, vb_load_some(symbols + i, n - i), vb_first(n - i), false, &out);
        i = n;
    }
#endif
    struct msb_writer w;
    msb_write_init(&w, out.p, end);
    msb_write(&w, out.held == 0 ? 0 : out.acc >> (64 - out.held), (unsigned)out.held);
    uint64_t pending = 0;
    unsigned held = 0;
    for (; i < n; i++) {
        const uint32_t word = code->word[symbols[i]];
        const unsigned length = word & 0xFF;
        if (held + length > 56) {
            msb_write(&w, pending, held);
            pending = 0;
            held = 0;
        }
        pending = pending << length | word >> 8;
        held += length;
    }
    msb_write(&w, pending, held);
    return msb_write_end(&w);
}

#endif
