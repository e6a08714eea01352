/* Vocabulary of one lane per thread, for nvcc: simd/scalar.h as device functions. Meanings: there.
 * Multiplications, additions and conversions are intrinsics, which nvcc never fuses nor rounds
 * otherwise; without __CUDA_ARCH__ the same functions are plain C++ for the host.
 *
 * Only cuda/check_bodies.cu uses it, to show that the kernel bodies will carry: nothing runs on a
 * GPU yet, and nothing is measured. Pointers of a device are aligned to their elements. */
#ifndef QSGD_SIMD_CUDA_H
#define QSGD_SIMD_CUDA_H

#include <stdint.h>

#define W 1

#define LANE static __host__ __device__ __forceinline__
#if defined(__CUDA_ARCH__)
#define ON_DEVICE(device, host) device
#else
#define ON_DEVICE(device, host) host
#endif

typedef float vf;
typedef uint32_t vu;
typedef double vd;
typedef bool vm;

LANE vf vf_load(const float *p) { return *p; }
LANE void vf_store(float *p, vf a) { *p = a; }
LANE vf vf_set1(float a) { return a; }
LANE vf vf_add(vf a, vf b) { return ON_DEVICE(__fadd_rn(a, b), a + b); }
LANE vf vf_sub(vf a, vf b) { return ON_DEVICE(__fsub_rn(a, b), a - b); }
LANE vf vf_mul(vf a, vf b) { return ON_DEVICE(__fmul_rn(a, b), a * b); }
LANE vf vf_min(vf a, vf b) { return a < b ? a : b; } /* fminf differs on NaN */
LANE vm vf_ge(vf a, vf b) { return a >= b; }
LANE vu vf_bits(vf a) {
    uint32_t u;
    memcpy(&u, &a, 4);
    return u;
}
LANE vf vf_from_bits(vu a) {
    float f;
    memcpy(&f, &a, 4);
    return f;
}
LANE vf vf_partner(vf a, int h) {
    (void)h;
    return a;
}
LANE vf vf_gather(const float *table, vu i) { return table[(int32_t)i]; }
LANE vf vf_from_int(vu a) { return ON_DEVICE(__int2float_rn((int32_t)a), (float)(int32_t)a); }
LANE vu vf_trunc(vf a) { return (uint32_t)ON_DEVICE(__float2int_rz(a), (int32_t)a); }

LANE vu vu_set1(uint32_t a) { return a; }
LANE vu vu_flips(uint32_t bits) { return bits << 31; }
LANE vu vu_add(vu a, vu b) { return a + b; }
LANE vu vu_sub(vu a, vu b) { return a - b; }
LANE vu vu_and(vu a, vu b) { return a & b; }
LANE vu vu_or(vu a, vu b) { return a | b; }
LANE vu vu_xor(vu a, vu b) { return a ^ b; }
LANE vu vu_srl(vu a, int n) { return a >> n; }
LANE vu vu_sll(vu a, int n) { return a << n; }
LANE vu vu_srlv(vu a, vu n) { return a >> n; }
LANE vu vu_sign(vu a) { return 0U - (a >> 31); }
LANE vu vu_mullo(vu a, vu b) { return a * b; }
LANE vu vu_mulhi(vu a, vu b) {
    return ON_DEVICE(__umulhi(a, b), (uint32_t)((uint64_t)a * b >> 32));
}
LANE vu vu_max31(vu a, vu b) { return a > b ? a : b; }
LANE vm vu_eq(vu a, vu b) { return a == b; }
LANE vm vu_gt31(vu a, vu b) { return a > b; }
LANE unsigned vm_bits(vm mask) { return mask; }
LANE vu vu_select(vm mask, vu a, vu b) { return mask ? a : b; }
LANE vu vu_where(vm mask, vu a) { return mask ? a : 0; }
LANE vu vu_inc(vm mask, vu a) { return a + mask; }
LANE vu vu_gather(const uint32_t *table, vu i) { return table[i]; }
LANE uint32_t vu_top31(vu a) { return a; }
LANE uint64_t vu_sum(vu a) { return a; }
LANE void vu_store(uint32_t *p, vu a) { *p = a; }
LANE vu vu_load(const uint32_t *p) { return *p; }
LANE vu vu_load_u8(const uint8_t *p) { return *p; }
LANE void vu_store_u8(uint8_t *p, vu a) { *p = (uint8_t)a; }
LANE vu vu_load_u16(const uint16_t *p) { return *p; }
LANE vu vu_load_i16(const int16_t *p) { return (uint32_t)(int32_t)*p; }
LANE void vu_store_i16(int16_t *p, vu a) { *p = (int16_t)(int32_t)a; }
LANE void vu_store_halves(uint16_t *p, vu a) {
    p[0] = (uint16_t)a;
    p[1] = (uint16_t)(a >> 16);
}

typedef uint32_t vp;
LANE vp vp_set1(uint32_t a) { return a; }
LANE vp vp_count(uint32_t a) { return a; }
LANE void vp_mulhilo(vp a, uint32_t b, vp *hi, vp *lo) {
    *hi = vu_mulhi(a, b);
    *lo = a * b;
}
LANE vp vp_xor3(vp a, vp b, vp c) { return a ^ b ^ c; }
LANE vu vp_join(vp a) { return a; }

#define W_HALVES 2

typedef struct {
    uint16_t a, b;
} vh;
typedef struct {
    bool a, b;
} vhm;
LANE vh vh_make(unsigned a, unsigned b) {
    vh h;
    h.a = (uint16_t)a;
    h.b = (uint16_t)b;
    return h;
}
LANE vhm vhm_make(bool a, bool b) {
    vhm m;
    m.a = a;
    m.b = b;
    return m;
}
LANE vh vh_load(const int16_t *p) { return vh_make((uint16_t)p[0], (uint16_t)p[1]); }
LANE vh vh_load_u16(const uint16_t *p) { return vh_make(p[0], p[1]); }
LANE vh vh_load_u8(const uint8_t *p) { return vh_make(p[0], p[1]); }
LANE void vh_store(int16_t *p, vh a) {
    p[0] = (int16_t)a.a;
    p[1] = (int16_t)a.b;
}
LANE void vh_store_u8(uint8_t *p, vh a, vh b) {
    p[0] = (uint8_t)a.a;
    p[1] = (uint8_t)a.b;
    p[2] = (uint8_t)b.a;
    p[3] = (uint8_t)b.b;
}
LANE vh vh_pair(vh a) { return a; }
LANE vh vh_natural(vh a) { return a; }
LANE vh vh_high(vu a, vu b) { return vh_make(a >> 16, b >> 16); }
LANE vh vh_low(vu a, vu b) { return vh_make(a, b); }
LANE vh vh_signs(vu a, vu b) { return vh_make(vu_sign(a), vu_sign(b)); }
LANE vh vh_set1(int16_t a) { return vh_make((uint16_t)a, (uint16_t)a); }
LANE vh vh_add(vh a, vh b) { return vh_make((unsigned)a.a + b.a, (unsigned)a.b + b.b); }
LANE vh vh_sub(vh a, vh b) { return vh_make((unsigned)a.a - b.a, (unsigned)a.b - b.b); }
LANE vh vh_sub_or_zero(vh a, vh b) {
    return vh_make(a.a > b.a ? (unsigned)a.a - b.a : 0, a.b > b.b ? (unsigned)a.b - b.b : 0);
}
LANE vh vh_mullo(vh a, vh b) { return vh_make((unsigned)a.a * b.a, (unsigned)a.b * b.b); }
LANE vh vh_and(vh a, vh b) { return vh_make(a.a & b.a, a.b & b.b); }
LANE vh vh_xor(vh a, vh b) { return vh_make(a.a ^ b.a, a.b ^ b.b); }
LANE vh vh_srl(vh a, int n) { return vh_make((unsigned)a.a >> n, (unsigned)a.b >> n); }
LANE vh vh_sign(vh a) { return vh_make(0U - (a.a >> 15), 0U - (a.b >> 15)); }
LANE vhm vh_above(vh a, vh b) { return vhm_make(a.a > b.a, a.b > b.b); }
LANE vhm vh_eq(vh a, vh b) { return vhm_make(a.a == b.a, a.b == b.b); }
LANE bool vhm_any(vhm a) { return a.a || a.b; }
LANE vh vh_inc(vhm m, vh a) { return vh_make((unsigned)a.a + m.a, (unsigned)a.b + m.b); }
LANE vh vh_ones(vhm m) { return vh_make(0U - m.a, 0U - m.b); }
LANE vu vh_pair_sums(vh a) { return (vu)a.a + a.b; }

LANE vd vd_zero(void) { return 0; }
LANE vd vd_add(vd a, vd b) { return ON_DEVICE(__dadd_rn(a, b), a + b); }
LANE vd vd_mul(vd a, vd b) { return ON_DEVICE(__dmul_rn(a, b), a * b); }
LANE vd vd_from_vf(vf a) { return (double)a; }
LANE double vd_fold(vd a) { return a; }

#endif
