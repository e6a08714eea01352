/* Vocabulary of one lane: the executable specification of every vector operation, and the backend
 * of machines without a vector one. simd/avx2.h says the same in eight lanes. */
#ifndef QSGD_SIMD_SCALAR_H
#define QSGD_SIMD_SCALAR_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define W 1 /* lanes of 32 bits */

typedef float vf;
typedef uint32_t vu;
typedef double vd; /* W doubles */
typedef bool vm;   /* a truth value per lane */

/* Floats of the caller may have any alignment. */
static inline vf vf_load(const float *p) {
    float a;
    memcpy(&a, p, 4);
    return a;
}
static inline void vf_store(float *p, vf a) { memcpy(p, &a, 4); }
static inline vf vf_set1(float a) { return a; }
static inline vf vf_add(vf a, vf b) { return a + b; }
static inline vf vf_sub(vf a, vf b) { return a - b; }
static inline vf vf_mul(vf a, vf b) { return a * b; }
static inline vf vf_min(vf a, vf b) { return a < b ? a : b; }
static inline vm vf_ge(vf a, vf b) { return a >= b; }
static inline vu vf_bits(vf a) {
    uint32_t u;
    memcpy(&u, &a, 4);
    return u;
}
static inline vf vf_from_bits(vu a) {
    float f;
    memcpy(&f, &a, 4);
    return f;
}
static inline vf vf_gather(const float *table, vu i) { return table[(int32_t)i]; }
static inline vf vf_from_int(vu a) { return (float)(int32_t)a; } /* two's complement */
static inline vu vf_trunc(vf a) { return (uint32_t)(int32_t)a; } /* 0 <= a <= 2^31 - 128 */

static inline vu vu_set1(uint32_t a) { return a; }
static inline vu vu_iota(void) { return 0; }
static inline vu vu_add(vu a, vu b) { return a + b; }
static inline vu vu_sub(vu a, vu b) { return a - b; }
static inline vu vu_and(vu a, vu b) { return a & b; }
static inline vu vu_andnot(vu a, vu b) { return ~a & b; }
static inline vu vu_or(vu a, vu b) { return a | b; }
static inline vu vu_xor(vu a, vu b) { return a ^ b; }
static inline vu vu_srl(vu a, int n) { return a >> n; }
static inline vu vu_sll(vu a, int n) { return a << n; }
static inline vu vu_srlv(vu a, vu n) { return a >> n; }   /* n <= 31 */
static inline vu vu_sign(vu a) { return 0U - (a >> 31); } /* all ones if the top bit is set */
static inline vu vu_mullo(vu a, vu b) { return a * b; }
static inline vu vu_max31(vu a, vu b) { return a > b ? a : b; } /* both below 2^31 */
static inline vm vu_eq(vu a, vu b) { return a == b; }
static inline vm vu_gt31(vu a, vu b) { return a > b; } /* both below 2^31 */
static inline vm vm_and(vm a, vm b) { return a && b; }
static inline vm vm_not(vm a) { return !a; }
static inline bool vm_any(vm mask) { return mask; }
static inline unsigned vm_bits(vm mask) { return mask; } /* bit l is lane l */
static inline vu vu_select(vm mask, vu a, vu b) { return mask ? a : b; }
static inline vu vu_where(vm mask, vu a) { return mask ? a : 0; }
static inline vu vu_ones(vm mask) { return mask ? UINT32_MAX : 0; }
static inline vu vu_inc(vm mask, vu a) { return a + mask; } /* one more where true */
static inline vu vu_gather(const uint32_t *table, vu i) { return table[i]; }
static inline void vu_mulhilo(vu a, uint32_t b, vu *hi, vu *lo) {
    uint64_t p = (uint64_t)a * b;
    *hi = (uint32_t)(p >> 32);
    *lo = (uint32_t)p;
}
static inline vu vu_mulhi(vu a, vu b) { return (uint32_t)((uint64_t)a * b >> 32); }
static inline void vu_store(uint32_t *p, vu a) { *p = a; }
static inline vu vu_load(const uint32_t *p) { return *p; }
static inline vu vu_load_u8(const uint8_t *p) { return *p; }
static inline void vu_store_u8(uint8_t *p, vu a) { *p = (uint8_t)a; } /* a <= 255 */
static inline vu vu_load_u16(const uint16_t *p) { return *p; }
static inline vu vu_load_i16(const int16_t *p) { return (uint32_t)(int32_t)*p; }
static inline void vu_store_i16(int16_t *p, vu a) { *p = (int16_t)(int32_t)a; } /* fits in int16 */
/* Halves of each lane, low then high: 2 W numbers. */
static inline void vu_store_halves(uint16_t *p, vu a) {
    p[0] = (uint16_t)a;
    p[1] = (uint16_t)(a >> 16);
}

static inline vd vd_zero(void) { return 0; }
static inline vd vd_add(vd a, vd b) { return a + b; }
static inline vd vd_mul(vd a, vd b) { return a * b; }
static inline vd vd_from_vf(vf a) { return (double)a; }
static inline void vd_store(double *p, vd a) { *p = a; }

#endif
