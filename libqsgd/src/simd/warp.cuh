/* Vocabulary of a warp, one lane a thread: 32 threads hold a vector together. Meanings:
 * simd/scalar.h; the same on the host, as one vector: simd/warp.h, its twin.
 *
 * All lanes of a warp call everything here together (EACH shares out what they do apart). A block
 * is one-dimensional, of whole warps. Additions, multiplications and conversions of floats are
 * intrinsics that round to nearest, which nvcc neither fuses nor flushes. On a device pointers are
 * aligned to their elements; vectors are stored to memory that all lanes share, never to arrays on
 * the stack.
 *
 * Without nvcc the same text is C++ for a host where the lanes of a warp take turns
 * (simd/warp_emulator.h): everything but the primitives is then tested as it is. */
#ifndef QSGD_SIMD_WARP_CUH
#define QSGD_SIMD_WARP_CUH

#include "base/begin.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define W 32
#define W_HALVES 64
#define W_THREADS 1

/* ---- primitives ------------------------------------------------------------------------------ */

#if defined(__CUDACC__)
#define LANE static __device__ __forceinline__
#define KERNEL static __device__
#define KERNEL_APART static __device__ __noinline__

LANE uint32_t warp_lane(void) { return threadIdx.x & 31; }
LANE void lanes_sync(void) { __syncwarp(); }
LANE uint32_t warp_shuffle(uint32_t a, uint32_t from) {
    return __shfl_sync(0xFFFFFFFFU, a, (int)from);
}
LANE uint64_t warp_shuffle64(uint64_t a, uint32_t from) {
    return __shfl_sync(0xFFFFFFFFU, (unsigned long long)a, (int)from);
}
LANE uint32_t warp_ballot(bool a) { return __ballot_sync(0xFFFFFFFFU, a); }
LANE void warp_atomic_add(uint32_t *p, uint32_t a) { atomicAdd(p, a); }
LANE void warp_atomic_or(uint32_t *p, uint32_t a) { atomicOr(p, a); }
LANE uint32_t warp_count(uint32_t a) { return (uint32_t)__popc(a); }
LANE uint32_t warp_count64(uint64_t a) { return (uint32_t)__popcll(a); }
LANE float f32_get(const float *p) { return *p; }
LANE void f32_put(float *p, float a) { *p = a; }
LANE float f32_add(float a, float b) { return __fadd_rn(a, b); }
LANE float f32_sub(float a, float b) { return __fsub_rn(a, b); }
LANE float f32_mul(float a, float b) { return __fmul_rn(a, b); }
LANE double f64_add(double a, double b) { return __dadd_rn(a, b); }
LANE double f64_mul(double a, double b) { return __dmul_rn(a, b); }
LANE float f32_from_int(int32_t a) { return __int2float_rn(a); }
LANE int32_t f32_trunc(float a) { return __float2int_rz(a); }
#else
#include "simd/warp_emulator.h"
#endif

#define BODY LANE
#define RESTRICT __restrict__
#define PREFETCH(address) (void)(address) /* other warps fill the wait */
#define EACH(i, from, to, step)                                                                    \
    for (size_t i = (from) + warp_lane() * (size_t)(step); i < (to); i += W * (size_t)(step))

LANE bool lanes_any(bool a) { return warp_ballot(a) != 0; }
LANE uint32_t lanes_top(uint32_t a) {
    for (uint32_t h = W / 2; h > 0; h /= 2) {
        const uint32_t b = warp_shuffle(a, warp_lane() ^ h);
        a = a > b ? a : b;
    }
    return a;
}

/* ---- lanes of 32 bits ------------------------------------------------------------------------ */

struct vf {
    float f;
};
struct vu {
    uint32_t u;
};
struct vd {
    double d;
};
struct vm {
    bool b;
};

LANE vf warp_f(float f) {
    vf a;
    a.f = f;
    return a;
}
LANE vu warp_u(uint32_t u) {
    vu a;
    a.u = u;
    return a;
}
LANE vd warp_d(double d) {
    vd a;
    a.d = d;
    return a;
}
LANE vm warp_m(bool b) {
    vm a;
    a.b = b;
    return a;
}
LANE bool warp_in(size_t n) { return warp_lane() < n; } /* this lane is one of the first n */

LANE vf vf_load(const float *p) { return warp_f(f32_get(p + warp_lane())); }
LANE vf vf_load_some(const float *p, size_t n) {
    return warp_f(warp_in(n) ? f32_get(p + warp_lane()) : 0);
}
LANE void vf_store(float *p, vf a) { f32_put(p + warp_lane(), a.f); }
LANE void vf_store_some(float *p, vf a, size_t n) {
    if (warp_in(n)) f32_put(p + warp_lane(), a.f);
}
LANE vf vf_set1(float a) { return warp_f(a); }
LANE vf vf_add(vf a, vf b) { return warp_f(f32_add(a.f, b.f)); }
LANE vf vf_sub(vf a, vf b) { return warp_f(f32_sub(a.f, b.f)); }
LANE vf vf_mul(vf a, vf b) { return warp_f(f32_mul(a.f, b.f)); }
LANE vf vf_min(vf a, vf b) { return a.f < b.f ? a : b; } /* fminf differs on NaN */
LANE vm vf_ge(vf a, vf b) { return warp_m(a.f >= b.f); }
LANE vu vf_bits(vf a) {
    vu u;
    memcpy(&u.u, &a.f, 4);
    return u;
}
LANE vf vf_from_bits(vu a) {
    vf f;
    memcpy(&f.f, &a.u, 4);
    return f;
}
LANE vf vf_partner(vf a, int h) {
    return vf_from_bits(warp_u(warp_shuffle(vf_bits(a).u, warp_lane() ^ (uint32_t)h)));
}
LANE vf vf_gather(const float *table, vu i) { return warp_f(table[(int32_t)i.u]); }
LANE vf vf_from_int(vu a) { return warp_f(f32_from_int((int32_t)a.u)); }
LANE vu vf_trunc(vf a) { return warp_u((uint32_t)f32_trunc(a.f)); }

LANE vu vu_set1(uint32_t a) { return warp_u(a); }
LANE vu vu_iota(void) { return warp_u(warp_lane()); }
LANE vu vu_flips(const uint16_t *bits, size_t first, size_t n) {
    const size_t bit = first + warp_lane();
    return warp_u(warp_in(n) ? (uint32_t)bits[bit / 16] >> bit % 16 << 31 : 0);
}
LANE vu vu_add(vu a, vu b) { return warp_u(a.u + b.u); }
LANE vu vu_sub(vu a, vu b) { return warp_u(a.u - b.u); }
LANE vu vu_and(vu a, vu b) { return warp_u(a.u & b.u); }
LANE vu vu_or(vu a, vu b) { return warp_u(a.u | b.u); }
LANE vu vu_xor(vu a, vu b) { return warp_u(a.u ^ b.u); }
LANE vu vu_srl(vu a, int n) { return warp_u(a.u >> n); }
LANE vu vu_sll(vu a, int n) { return warp_u(a.u << n); }
LANE vu vu_srlv(vu a, vu n) { return warp_u(a.u >> n.u); }
LANE vu vu_sllv(vu a, vu n) { return warp_u(a.u << n.u); }
LANE vu vu_sign(vu a) { return warp_u(0U - (a.u >> 31)); }
LANE vu vu_mullo(vu a, vu b) { return warp_u(a.u * b.u); }
LANE vu vu_mulhi(vu a, vu b) { return warp_u((uint32_t)((uint64_t)a.u * b.u >> 32)); }
LANE vu vu_max31(vu a, vu b) { return a.u > b.u ? a : b; }
LANE vm vu_eq(vu a, vu b) { return warp_m(a.u == b.u); }
LANE vm vu_gt31(vu a, vu b) { return warp_m(a.u > b.u); }
LANE vm vu_below_2_16(vu a) { return warp_m(a.u < 65536); }
LANE vm vm_first(size_t n) { return warp_m(warp_in(n)); }
LANE vu vu_select(vm m, vu a, vu b) { return m.b ? a : b; }
LANE vu vu_where(vm m, vu a) { return warp_u(m.b ? a.u : 0); }
LANE vu vu_inc(vm m, vu a) { return warp_u(a.u + m.b); }
LANE vu vu_gather(const uint32_t *table, vu i) { return warp_u(table[i.u]); }
LANE uint32_t vu_top31(vu a) { return lanes_top(a.u); }
LANE uint64_t vu_sum(vu a) {
    uint64_t sum = a.u;
    for (uint32_t h = W / 2; h > 0; h /= 2) sum += warp_shuffle64(sum, warp_lane() ^ h);
    return sum;
}
LANE vu vu_load(const uint32_t *p) { return warp_u(p[warp_lane()]); }
LANE vu vu_load_some(const uint32_t *p, size_t n) {
    return warp_u(warp_in(n) ? p[warp_lane()] : 0);
}
LANE void vu_store(uint32_t *p, vu a) { p[warp_lane()] = a.u; }
LANE void vu_store_some(uint32_t *p, vu a, size_t n) {
    if (warp_in(n)) p[warp_lane()] = a.u;
}
LANE vu vu_load_u8(const uint8_t *p) { return warp_u(p[warp_lane()]); }
LANE vu vu_load_u8_some(const uint8_t *p, size_t n) {
    return warp_u(warp_in(n) ? p[warp_lane()] : 0);
}
LANE void vu_store_u8(uint8_t *p, vu a) { p[warp_lane()] = (uint8_t)a.u; }
LANE void vu_store_u8_some(uint8_t *p, vu a, size_t n) {
    if (warp_in(n)) p[warp_lane()] = (uint8_t)a.u;
}
LANE vu vu_load_u16(const uint16_t *p) { return warp_u(p[warp_lane()]); }
LANE vu vu_load_u16_some(const uint16_t *p, size_t n) {
    return warp_u(warp_in(n) ? p[warp_lane()] : 0);
}
LANE vu vu_load_i16(const int16_t *p) { return warp_u((uint32_t)(int32_t)p[warp_lane()]); }
LANE vu vu_load_i16_some(const int16_t *p, size_t n) {
    return warp_u(warp_in(n) ? (uint32_t)(int32_t)p[warp_lane()] : 0);
}
LANE void vu_store_i16(int16_t *p, vu a) { p[warp_lane()] = (int16_t)(int32_t)a.u; }
LANE void vu_store_i16_some(int16_t *p, vu a, size_t n) {
    if (warp_in(n)) p[warp_lane()] = (int16_t)(int32_t)a.u;
}
LANE void vu_store_halves(uint16_t *p, vu a) {
    p[2 * warp_lane()] = (uint16_t)a.u;
    p[2 * warp_lane() + 1] = (uint16_t)(a.u >> 16);
}

struct vp {
    uint32_t u;
};
LANE vp vp_set1(uint32_t u) {
    vp a;
    a.u = u;
    return a;
}
LANE vp vp_count(uint32_t a) { return vp_set1(a + warp_lane()); }
LANE vp vp_split(vu a) { return vp_set1(a.u); }
LANE void vp_mulhilo(vp a, uint32_t b, vp *hi, vp *lo) {
    const uint64_t product = (uint64_t)a.u * b;
    hi->u = (uint32_t)(product >> 32);
    lo->u = (uint32_t)product;
}
LANE vp vp_xor3(vp a, vp b, vu c) { return vp_set1(a.u ^ b.u ^ c.u); }
LANE vu vp_join(vp a) { return warp_u(a.u); }

/* ---- halves: a lane holds half l and half 32 + l, so that pair order is the natural one -------
 */

struct vh {
    uint16_t a, b;
};
struct vhm {
    bool a, b;
};
LANE vh vh_make(uint32_t a, uint32_t b) {
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
LANE vh vh_load_u16(const uint16_t *p) { return vh_make(p[warp_lane()], p[W + warp_lane()]); }
LANE vh vh_load_u16_some(const uint16_t *p, size_t n) {
    return vh_make(warp_in(n) ? p[warp_lane()] : 0, W + warp_lane() < n ? p[W + warp_lane()] : 0);
}
LANE vh vh_load(const int16_t *p) {
    return vh_make((uint16_t)p[warp_lane()], (uint16_t)p[W + warp_lane()]);
}
LANE vh vh_load_some(const int16_t *p, size_t n) {
    return vh_make(warp_in(n) ? (uint16_t)p[warp_lane()] : 0,
                   W + warp_lane() < n ? (uint16_t)p[W + warp_lane()] : 0);
}
LANE vh vh_load_u8(const uint8_t *p) { return vh_make(p[warp_lane()], p[W + warp_lane()]); }
LANE vh vh_load_u8_some(const uint8_t *p, size_t n) {
    const size_t l = warp_lane();
    return vh_make(l < n ? p[l] : 0, W + l < n ? p[W + l] : 0);
}
LANE void vh_store(int16_t *p, vh a) {
    p[warp_lane()] = (int16_t)a.a;
    p[W + warp_lane()] = (int16_t)a.b;
}
LANE void vh_store_some(int16_t *p, vh a, size_t n) {
    if (warp_in(n)) p[warp_lane()] = (int16_t)a.a;
    if (W + warp_lane() < n) p[W + warp_lane()] = (int16_t)a.b;
}
LANE void vh_store_u8_some(uint8_t *p, vh a, vh b, size_t n) {
    const uint32_t l = warp_lane();
    if (l < n) p[l] = (uint8_t)a.a;
    if (W + l < n) p[W + l] = (uint8_t)a.b;
    if (2 * W + l < n) p[2 * W + l] = (uint8_t)b.a;
    if (3 * W + l < n) p[3 * W + l] = (uint8_t)b.b;
}
LANE void vh_store_u8(uint8_t *p, vh a, vh b) { vh_store_u8_some(p, a, b, 4 * W); }
LANE vh vh_pair(vh a) { return a; }
LANE vh vh_natural(vh a) { return a; }
LANE vh vh_first(size_t n) {
    return vh_make(warp_in(n) ? 0xFFFF : 0, W + warp_lane() < n ? 0xFFFF : 0);
}
LANE vu vh_lanes(vh a, const int last) { return warp_u(last ? a.b : a.a); }
LANE vh vh_high(vu a, vu b) { return vh_make(a.u >> 16, b.u >> 16); }
LANE vh vh_low(vu a, vu b) { return vh_make(a.u, b.u); }
LANE vh vh_sign(vh a) { return vh_make(0U - (a.a >> 15), 0U - (a.b >> 15)); }
LANE vh vh_signs(vu a, vu b) { return vh_sign(vh_high(a, b)); }
LANE vh vh_set1(int16_t a) { return vh_make((uint16_t)a, (uint16_t)a); }
LANE vh vh_add(vh a, vh b) { return vh_make((uint32_t)a.a + b.a, (uint32_t)a.b + b.b); }
LANE vh vh_sub(vh a, vh b) { return vh_make((uint32_t)a.a - b.a, (uint32_t)a.b - b.b); }
LANE vh vh_sub_or_zero(vh a, vh b) {
    return vh_make(a.a > b.a ? (uint32_t)a.a - b.a : 0, a.b > b.b ? (uint32_t)a.b - b.b : 0);
}
LANE vh vh_mullo(vh a, vh b) { return vh_make((uint32_t)a.a * b.a, (uint32_t)a.b * b.b); }
LANE vh vh_and(vh a, vh b) { return vh_make(a.a & b.a, a.b & b.b); }
LANE vh vh_xor(vh a, vh b) { return vh_make(a.a ^ b.a, a.b ^ b.b); }
LANE vh vh_srl(vh a, int n) { return vh_make((uint32_t)a.a >> n, (uint32_t)a.b >> n); }
LANE vhm vh_above(vh a, vh b) { return vhm_make(a.a > b.a, a.b > b.b); }
LANE vhm vh_eq(vh a, vh b) { return vhm_make(a.a == b.a, a.b == b.b); }
LANE bool vhm_any(vhm a) { return lanes_any(a.a || a.b); }
LANE vh vh_inc(vhm m, vh a) { return vh_make((uint32_t)a.a + m.a, (uint32_t)a.b + m.b); }
LANE vh vh_ones(vhm m) { return vh_make(0U - m.a, 0U - m.b); }
LANE vh vh_abs(vh a) { return vh_make(a.a >> 15 ? 0U - a.a : a.a, a.b >> 15 ? 0U - a.b : a.b); }
LANE vu vh_pair_sums(vh a) { return warp_u((uint32_t)a.a + a.b); }

/* ---- binary64 -------------------------------------------------------------------------------- */

LANE vd vd_zero(void) { return warp_d(0); }
LANE vd vd_add(vd a, vd b) { return warp_d(f64_add(a.d, b.d)); }
LANE vd vd_mul(vd a, vd b) { return warp_d(f64_mul(a.d, b.d)); }
LANE vd vd_from_vf(vf a) { return warp_d((double)a.f); }
/* Partners add the same two numbers, so that all lanes come to the same sum. */
LANE double vd_fold(vd a) {
    for (uint32_t h = W / 2; h > 0; h /= 2) {
        uint64_t bits;
        double other;
        memcpy(&bits, &a.d, 8);
        bits = warp_shuffle64(bits, warp_lane() ^ h);
        memcpy(&other, &bits, 8);
        a.d = f64_add(a.d, other);
    }
    return a.d;
}

#include "simd/warp_codes.cuh"

#endif
