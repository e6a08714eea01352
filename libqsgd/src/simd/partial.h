/* Partial vectors by way of the stack: included at the end of vocabularies, for what they cannot
 * mask. W_MASKED_WORDS: they mask vectors of 32-bit lanes; W_MASKED: of all widths;
 * W_PARTIAL_BYTES: they have lanes from bytes and halves, and back, by words
 * (simd/partial_bytes.h). Meanings: simd/scalar.h. */
#ifndef QSGD_SIMD_PARTIAL_H
#define QSGD_SIMD_PARTIAL_H

#include "base/begin.h"

/* memcpy of few bytes, without a call. */
static inline void partial_copy(void *to, const void *from, size_t bytes) {
    uint8_t *t = (uint8_t *)to;
    const uint8_t *f = (const uint8_t *)from;
    for (; bytes >= 16; bytes -= 16, t += 16, f += 16) memcpy(t, f, 16);
    if ((bytes & 8) != 0) {
        memcpy(t, f, 8);
        t += 8;
        f += 8;
    }
    if ((bytes & 4) != 0) {
        memcpy(t, f, 4);
        t += 4;
        f += 4;
    }
    if ((bytes & 2) != 0) {
        memcpy(t, f, 2);
        t += 2;
        f += 2;
    }
    if ((bytes & 1) != 0) *t = *f;
}

static inline size_t partial_most(size_t n, size_t most) { return n < most ? n : most; }

#ifndef W_MASKED
#ifndef W_MASKED_WORDS
static inline vf vf_load_some(const float *p, size_t n) {
    float lanes[W] = {0};
    partial_copy(lanes, p, partial_most(n, W) * sizeof *p);
    return vf_load(lanes);
}
static inline void vf_store_some(float *p, vf a, size_t n) {
    float lanes[W];
    vf_store(lanes, a);
    partial_copy(p, lanes, partial_most(n, W) * sizeof *p);
}
static inline vu vu_load_some(const uint32_t *p, size_t n) {
    uint32_t lanes[W] = {0};
    partial_copy(lanes, p, partial_most(n, W) * sizeof *p);
    return vu_load(lanes);
}
static inline void vu_store_some(uint32_t *p, vu a, size_t n) {
    uint32_t lanes[W];
    vu_store(lanes, a);
    partial_copy(p, lanes, partial_most(n, W) * sizeof *p);
}
#endif

#ifndef W_PARTIAL_BYTES
static inline vu vu_load_u8_some(const uint8_t *p, size_t n) {
    uint8_t lanes[W] = {0};
    partial_copy(lanes, p, partial_most(n, W));
    return vu_load_u8(lanes);
}
static inline void vu_store_u8_some(uint8_t *p, vu a, size_t n) {
    uint8_t lanes[W];
    vu_store_u8(lanes, a);
    partial_copy(p, lanes, partial_most(n, W));
}
static inline vu vu_load_u16_some(const uint16_t *p, size_t n) {
    uint16_t lanes[W] = {0};
    partial_copy(lanes, p, partial_most(n, W) * sizeof *p);
    return vu_load_u16(lanes);
}
static inline vu vu_load_i16_some(const int16_t *p, size_t n) {
    int16_t lanes[W] = {0};
    partial_copy(lanes, p, partial_most(n, W) * sizeof *p);
    return vu_load_i16(lanes);
}
static inline void vu_store_i16_some(int16_t *p, vu a, size_t n) {
    int16_t lanes[W];
    vu_store_i16(lanes, a);
    partial_copy(p, lanes, partial_most(n, W) * sizeof *p);
}
#endif

static inline vh vh_load_some(const int16_t *p, size_t n) {
    int16_t halves[W_HALVES] = {0};
    partial_copy(halves, p, partial_most(n, W_HALVES) * sizeof *p);
    return vh_load(halves);
}
static inline vh vh_load_u16_some(const uint16_t *p, size_t n) {
    uint16_t halves[W_HALVES] = {0};
    partial_copy(halves, p, partial_most(n, W_HALVES) * sizeof *p);
    return vh_load_u16(halves);
}
static inline vh vh_load_u8_some(const uint8_t *p, size_t n) {
    uint8_t bytes[W_HALVES] = {0};
    partial_copy(bytes, p, partial_most(n, W_HALVES));
    return vh_load_u8(bytes);
}
static inline void vh_store_some(int16_t *p, vh a, size_t n) {
    int16_t halves[W_HALVES];
    vh_store(halves, a);
    partial_copy(p, halves, partial_most(n, W_HALVES) * sizeof *p);
}
static inline void vh_store_u8_some(uint8_t *p, vh a, vh b, size_t n) {
    uint8_t bytes[2 * W_HALVES];
    vh_store_u8(bytes, a, b);
    partial_copy(p, bytes, partial_most(n, 2 * W_HALVES));
}

#ifdef W_BYTES
static inline vb vb_load_some(const uint8_t *p, size_t n) {
    uint8_t bytes[W_BYTES] = {0};
    partial_copy(bytes, p, partial_most(n, W_BYTES));
    return vb_load(bytes);
}
#endif
#endif /* W_MASKED */

#ifdef W_PACK
static inline vb vb_narrow_some(const int16_t *k, size_t n) {
    int16_t halves[W_BYTES] = {0};
    partial_copy(halves, k, partial_most(n, W_BYTES) * sizeof *k);
    return vb_narrow(halves);
}
static inline void vb_store_wide_some(int16_t *k, vb a, size_t n) {
    int16_t halves[W_BYTES];
    vb_store_wide(halves, a);
    partial_copy(k, halves, partial_most(n, W_BYTES) * sizeof *k);
}
static inline void vb_store_close_some(uint8_t *p, vb a, unsigned w, size_t bytes) {
    uint8_t reach[W_REACH];
    vb_store_close(reach, a, w);
    partial_copy(p, reach, partial_most(bytes, W_REACH));
}
static inline vb vb_load_spread_some(const uint8_t *p, unsigned w, size_t bytes) {
    uint8_t reach[W_REACH] = {0};
    partial_copy(reach, p, partial_most(bytes, W_REACH));
    return vb_load_spread(reach, w);
}
static inline uint32_t vb_top(vb a) {
    uint8_t bytes[W_BYTES], top = 0;
    vb_store(bytes, a);
    for (int i = 0; i < W_BYTES; i++) top = bytes[i] > top ? bytes[i] : top;
    return top;
}
#endif

#ifdef W_PACK_HALVES
static inline void vh_store_close_some(uint8_t *p, vb a, unsigned w, size_t bytes) {
    uint8_t reach[W_REACH];
    vh_store_close(reach, a, w);
    partial_copy(p, reach, partial_most(bytes, W_REACH));
}
static inline vb vh_load_spread_some(const uint8_t *p, unsigned w, size_t bytes) {
    uint8_t reach[W_REACH] = {0};
    partial_copy(reach, p, partial_most(bytes, W_REACH));
    return vh_load_spread(reach, w);
}
static inline uint32_t vh_top(vh a) {
    int16_t halves[W_HALVES];
    uint32_t top = 0;
    vh_store(halves, a);
    for (int i = 0; i < W_HALVES; i++) {
        top = (uint16_t)halves[i] > top ? (uint16_t)halves[i] : top;
    }
    return top;
}
#endif

#ifdef W_NONZERO
static inline uint64_t vh_nonzero64_some(const int16_t *k, size_t n) {
    int16_t halves[64] = {0};
    partial_copy(halves, k, partial_most(n, 64) * sizeof *k);
    return vh_nonzero64(halves);
}
#endif

#ifdef W_STREAM
/* Lanes [from, to) to p[from], .. past the cache, one by one. */
static inline void vf_stream_some(float *p, vf a, size_t from, size_t to) {
    float lanes[W];
    vf_store(lanes, a);
    for (; from < to; from++) vf_stream_one(p + from, lanes[from]);
}
#endif

#endif
