/* Kernel body of CRC-32C (FORMAT.md section 2), without initial value and final xor: the CPU's
 * crc32 instruction, which takes eight bytes every three cycles, and ways around its latency for
 * longer strings (Gopal et al., "Fast CRC Computation for Generic Polynomials Using PCLMULQDQ",
 * Intel 2009); or a word a lane, by tables in registers. */
#ifndef QSGD_KERNELS_CRC32C_H
#define QSGD_KERNELS_CRC32C_H

#include "base/crc32c.h"
#include "kernels/body.h"

#ifdef W_CRC
BODY uint64_t crc_step(uint64_t crc, const uint8_t *p) {
    uint64_t word;
    memcpy(&word, p, sizeof word);
    return vu_crc64(crc, word);
}

BODY uint32_t crc_serial(uint32_t crc, const uint8_t *p, size_t n) {
    uint64_t wide = crc;
    for (; n >= 8; n -= 8, p += 8) wide = crc_step(wide, p);
    crc = (uint32_t)wide;
    for (; n > 0; n--, p++) crc = vu_crc8(crc, *p);
    return crc;
}

#ifdef W_FOLD
/* Folding: a vector of the string, times x^d mod P, is added to the vector d bits ahead; that
 * leaves the remainder as it was, and the string a vector shorter. The constants are x^(d + 32) and
 * x^(d - 32), reflected, shifted by one, for the first and the second 64 bits of every 128. */
#define FOLD_ONE 0x0740EEF02, 0x09E4ADDF8  /* d = 512 */
#define FOLD_FOUR 0x0DCB17AA4, 0x0B9E02B86 /* d = 2048 */

KERNEL uint32_t kernel_crc32c(uint32_t crc, const uint8_t *p, size_t n) {
    if (n < 2 * W_FOLD) return crc_serial(crc, p, n);
    const vc one = vc_pair(FOLD_ONE), four = vc_pair(FOLD_FOUR);
    const uint8_t *const end = p + n;
    vc a = vc_xor(vc_load(p), vc_low(crc));
    p += W_FOLD;
    if (n >= 8 * W_FOLD) { /* four at a time: a fold takes as long as four follow each other */
        vc b = vc_load(p), c = vc_load(p + W_FOLD), d = vc_load(p + 2 * W_FOLD);
        for (p += 3 * W_FOLD; end - p >= 4 * W_FOLD; p += 4 * W_FOLD) {
            a = vc_fold(a, four, vc_load(p));
            b = vc_fold(b, four, vc_load(p + W_FOLD));
            c = vc_fold(c, four, vc_load(p + 2 * W_FOLD));
            d = vc_fold(d, four, vc_load(p + 3 * W_FOLD));
        }
        a = vc_fold(vc_fold(vc_fold(a, one, b), one, c), one, d);
    }
    for (; end - p >= W_FOLD; p += W_FOLD) a = vc_fold(a, one, vc_load(p));
    uint8_t rest[W_FOLD];
    vc_store(rest, a);
    return crc_serial(crc_serial(0, rest, W_FOLD), p, (size_t)(end - p));
}
#else
/* Three streams of n bytes each, one behind the other. `far` and `near` move a remainder over 2 n
 * and n bytes: x^(8 * bytes - 33) mod P, reflected. */
BODY uint32_t crc_three(uint32_t crc, const uint8_t *p, const size_t n, uint32_t far,
                        uint32_t near) {
    uint64_t a = crc, b = 0, c = 0;
    for (size_t i = 0; i < n; i += 8) {
        a = crc_step(a, p + i);
        b = crc_step(b, p + n + i);
        c = crc_step(c, p + 2 * n + i);
    }
    uint64_t moved = vu_clmul((uint32_t)a, far) ^ vu_clmul((uint32_t)b, near);
    return (uint32_t)(c ^ vu_crc64(0, moved));
}

KERNEL uint32_t kernel_crc32c(uint32_t crc, const uint8_t *p, size_t n) {
    for (; n >= 3 * 1024; n -= 3 * 1024, p += 3 * 1024) {
        crc = crc_three(crc, p, 1024, 0xA51B6135, 0x170076FA);
    }
    for (; n >= 3 * 128; n -= 3 * 128, p += 3 * 128) {
        crc = crc_three(crc, p, 128, 0xB9E02B86, 0x0D3B6092);
    }
    return crc_serial(crc, p, n);
}
#endif
#elif defined(W_CRC_ROWS)
/* Without an instruction: each lane takes one word of every row of 128 bytes; what it has so far
 * moves by a row, times x^1024 mod P, by tables of its eight nibbles, before the next is added. At
 * the end each lane's word moves to the end of the row, and they are summed. All reflected, as
 * crc32c.c has it: bit 31 is x^0. */
#define CRC_ROW 128 /* bytes */

/* x^1024 times each bit of a word. */
#define CRC_ROW_BITS                                                                               \
    {                                                                                              \
        0x6992CEA2, 0xD3259D44, 0xA3A74C79, 0x42A2EE03, 0x8545DC06, 0x0F67CEFD, 0x1ECF9DFA,        \
        0x3D9F3BF4, 0x7B3E77E8, 0xF67CEFD0, 0xE915A951, 0xD7C72453, 0xAA623E57, 0x51280A5F,        \
        0xA25014BE, 0x414C5F8D, 0x8298BF1A, 0x00DD08C5, 0x01BA118A, 0x03742314, 0x06E84628,        \
        0x0DD08C50, 0x1BA118A0, 0x37423140, 0x6E846280, 0xDD08C500, 0xBFFDFCF1, 0x7A178F13,        \
        0xF42F1E26, 0xEDB24ABD, 0xDE88E38B, 0xB8FDB1E7}

BODY void crc_row_tables(vt nibble[8]) {
    const uint32_t bits[32] = CRC_ROW_BITS;
    for (int j = 0; j < 8; j++) {
        uint32_t of[16];
        for (uint32_t v = 0; v < 16; v++) {
            of[v] = 0;
            for (int b = 0; b < 4; b++) of[v] ^= (v >> b & 1) * bits[4 * j + b];
        }
        nibble[j] = vt_load(of, 16);
    }
}

BODY vu crc_next_row(const vt nibble[8], vu sum, vu words) {
    for (int j = 0; j < 8; j++) words = vu_xor(words, vt_at(&nibble[j], vu_srl(sum, 4 * j), 16));
    return words;
}

/* The lanes' product mod P, bit by bit. */
BODY vu crc_times(vu a, vu b) {
    vu product = vu_set1(0);
    for (int i = 0; i < 32; i++) {
        const vu odd = vu_sub(vu_set1(0), vu_and(b, vu_set1(1)));
        product = vu_xor(product, vu_and(vu_sign(a), b));
        b = vu_xor(vu_srl(b, 1), vu_and(odd, vu_set1(0x82F63B78)));
        a = vu_sll(a, 1);
    }
    return product;
}

/* Bytes one by one, by nibbles. */
BODY uint32_t crc_serial(uint32_t crc, const uint8_t *p, size_t n) {
    const uint32_t nibble[16] = {0x00000000, 0x105EC76F, 0x20BD8EDE, 0x30E349B1,
                                 0x417B1DBC, 0x5125DAD3, 0x61C69362, 0x7198540D,
                                 0x82F63B78, 0x92A8FC17, 0xA24BB5A6, 0xB21572C9,
                                 0xC38D26C4, 0xD3D3E1AB, 0xE330A81A, 0xF36E6F75};
    for (size_t i = 0; i < n; i++) {
        crc ^= p[i];
        crc = crc >> 4 ^ nibble[crc & 15];
        crc = crc >> 4 ^ nibble[crc & 15];
    }
    return crc;
}

KERNEL uint32_t kernel_crc32c(uint32_t crc, const uint8_t *p, size_t n) {
    /* x^(32 (32 - l)): from lane l to the end of the row */
    const uint32_t to_end[32] = {
        0xB8FDB1E7, 0x069DB049, 0x0B4A395B, 0x156C8E18, 0xC9E90B9E, 0xA11BFAF3, 0xE661F7BE,
        0xE0B99CCB, 0x19B29A35, 0x817CDC51, 0x8CD75659, 0x041D3776, 0x36C41F1C, 0x1CE9D94B,
        0x8CFAA965, 0x3A077781, 0xB82BE955, 0x4F256EFC, 0x52377A55, 0x0E148E82, 0xB2DEA967,
        0xEC1631ED, 0x19E65DDE, 0x9C25531D, 0x510AC59A, 0x5D27E147, 0x9957C0A6, 0x790606FF,
        0x18B8EA18, 0xA66805EB, 0x6EA2D55C, 0x82F63B78};
    if (n < CRC_ROW) return crc_serial(crc, p, n);
    vt nibble[8];
    crc_row_tables(nibble);
    vu sum = vu_xor(vu_load_le32(p), vu_where(vm_first(1), vu_set1(crc)));
    size_t i = CRC_ROW;
    for (; n - i >= CRC_ROW; i += CRC_ROW) sum = crc_next_row(nibble, sum, vu_load_le32(p + i));
    const uint32_t whole = vu_xor_lanes(crc_times(vu_load(to_end), sum));
    return crc_serial(whole, p + i, n - i);
}
#else
#define kernel_crc32c crc32c_portable
#endif

#endif
