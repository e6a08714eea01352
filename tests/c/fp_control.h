/* What callers may have written to the floating-point control register, beyond fesetround: for
 * tests. */
#ifndef QSGD_TESTS_FP_CONTROL_H
#define QSGD_TESTS_FP_CONTROL_H

#include <stdint.h>

#if defined(__SSE__)
#include <xmmintrin.h>
#endif

/* MXCSR, with the control word of x87 above it where that is used; FPCR; FPSCR; FPC; fcsr. */
static inline uint64_t fp_control_get(void) {
    uint64_t control = 0;
#if defined(__SSE__)
    control = _mm_getcsr();
#if defined(__i386__)
    uint16_t x87;
    __asm__ volatile("fnstcw %0" : "=m"(x87));
    control |= (uint64_t)x87 << 32;
#endif
#elif defined(__aarch64__)
    __asm__ volatile("mrs %0, fpcr" : "=r"(control));
#elif defined(__arm__)
    uint32_t word;
    __asm__ volatile("vmrs %0, fpscr" : "=r"(word));
    control = word;
#elif defined(__s390x__)
    uint32_t word;
    __asm__ volatile("efpc %0" : "=d"(word));
    control = word;
#elif defined(__riscv_flen)
    __asm__ volatile("frcsr %0" : "=r"(control));
#elif defined(__powerpc64__)
    union {
        double d;
        uint64_t u;
    } word;
    __asm__ volatile("mffs %0" : "=d"(word.d));
    control = word.u;
#endif
    return control;
}

static inline void fp_control_set(uint64_t control) {
    (void)control;
#if defined(__SSE__)
    _mm_setcsr((uint32_t)control);
#if defined(__i386__)
    const uint16_t x87 = (uint16_t)(control >> 32);
    __asm__ volatile("fldcw %0" ::"m"(x87));
#endif
#elif defined(__aarch64__)
    __asm__ volatile("msr fpcr, %0" ::"r"(control));
#elif defined(__arm__)
    __asm__ volatile("vmsr fpscr, %0" ::"r"((uint32_t)control));
#elif defined(__s390x__)
    __asm__ volatile("sfpc %0" ::"d"((uint32_t)control));
#elif defined(__riscv_flen)
    __asm__ volatile("fscsr %0" ::"r"(control));
#elif defined(__powerpc64__)
    const union {
        uint64_t u;
        double d;
    } word = {control};
    __asm__ volatile("mtfsf 0xff, %0" ::"d"(word.d));
#endif
}

/* FP_KEPT: bits that are not flags of what happened. */
static const uint64_t fp_controls[] = {
#if defined(__SSE__)
#if defined(__i386__)
#define FP_KEPT 0xFFFFFFFFFC0
#define FP_X87(word) ((uint64_t)(word) << 32)
    FP_X87(0x07F) | 0x1F80, /* x87 of 24 bits */
    FP_X87(0xC7F) | 0x1F80, /* and toward zero */
#else
#define FP_KEPT 0xFFFFFFC0
#define FP_X87(word) 0
#endif
    FP_X87(0x37F) | 0x9FC0, /* flush to zero, both ways */
    FP_X87(0x37F) | 0xDFC0, /* and upward */
    FP_X87(0x37F) | 0x1000, /* every exception but inexact traps */
#elif defined(__aarch64__) || defined(__arm__)
#define FP_KEPT 0x03C00000
    1 << 24,           /* flush to zero */
    1 << 24 | 1 << 22, /* and upward */
    1 << 25,           /* default NaN */
#elif defined(__s390x__)
#define FP_KEPT 0xF8000007
    0xF0000000, /* every exception but inexact traps */
#elif defined(__riscv_flen)
#define FP_KEPT 0xE0
    4 << 5, /* to nearest, ties away from zero */
#elif defined(__powerpc64__)
#define FP_KEPT 0x7
    0x4 | 0x2, /* non-IEEE mode, upward */
#else
#define FP_KEPT 0
    0,
#endif
};

enum { FP_CONTROLS = sizeof fp_controls / sizeof *fp_controls };

#endif
