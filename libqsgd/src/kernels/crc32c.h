/* Kernel body of CRC-32C (FORMAT.md section 1), without initial value and final xor: the CPU's
 * crc32 instruction, which takes eight bytes every three cycles, and ways around its latency for
 * longer strings (Gopal et al., "Fast CRC Computation for Generic Polynomials Using PCLMULQDQ",
 * Intel 2009). */
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
#else
#define kernel_crc32c crc32c_portable
#endif

#endif
