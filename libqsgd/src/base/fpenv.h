/* The floating-point environment of a task: round to nearest, subnormals kept, no traps. Callers
 * may have set flush-to-zero (torch.set_flush_denormal) or a rounding mode; results must not
 * change. */
#ifndef QSGD_BASE_FPENV_H
#define QSGD_BASE_FPENV_H

#include "base/begin.h"

#include <stdint.h>

/* QSGD_FENV: what C99 has, as on machines that have no code below. */
#if defined(QSGD_FENV)
#elif defined(__i386__)
#include <xmmintrin.h>
/* And x87, by which conversions from 64-bit integers go. */
typedef struct {
    uint32_t sse;
    uint16_t x87;
} fpenv;
static inline fpenv fpenv_enter(void) {
    const uint16_t exact = 0x37F; /* all exceptions masked, 64 bits, nearest */
    fpenv old;
    old.sse = _mm_getcsr();
    __asm__ volatile("fnstcw %0" : "=m"(old.x87));
    _mm_setcsr(0x1F80);
    __asm__ volatile("fldcw %0" ::"m"(exact));
    return old;
}
static inline void fpenv_leave(fpenv old) {
    __asm__ volatile("fldcw %0" ::"m"(old.x87));
    _mm_setcsr(old.sse);
}
#elif defined(__x86_64__)
#include <xmmintrin.h>
typedef uint32_t fpenv;
static inline fpenv fpenv_enter(void) {
    fpenv old = _mm_getcsr();
    _mm_setcsr(0x1F80); /* all exceptions masked, nearest, no FTZ, no DAZ */
    return old;
}
static inline void fpenv_leave(fpenv old) { _mm_setcsr(old); }
#else
/* Registers that are all zeros for nearest, subnormals kept, no traps: how they are read and
 * written. */
#if defined(__aarch64__)
typedef uint64_t fpenv;
#define FPENV_READ(to) __asm__ volatile("mrs %0, fpcr" : "=r"(to))
#define FPENV_WRITE(from) __asm__ volatile("msr fpcr, %0" ::"r"(from))
#elif defined(__arm__) && defined(__ARM_FP)
typedef uint32_t fpenv;
#define FPENV_READ(to) __asm__ volatile("vmrs %0, fpscr" : "=r"(to))
#define FPENV_WRITE(from) __asm__ volatile("vmsr fpscr, %0" ::"r"(from))
#elif defined(__s390x__)
typedef uint32_t fpenv;
#define FPENV_READ(to) __asm__ volatile("efpc %0" : "=d"(to))
#define FPENV_WRITE(from) __asm__ volatile("sfpc %0" ::"d"(from))
#elif defined(__riscv_flen)
typedef unsigned long fpenv;
#define FPENV_READ(to) __asm__ volatile("frcsr %0" : "=r"(to))
#define FPENV_WRITE(from) __asm__ volatile("fscsr %0" ::"r"(from))
#elif defined(__powerpc64__)
typedef double fpenv; /* its bits */
#define FPENV_READ(to) __asm__ volatile("mffs %0" : "=d"(to))
#define FPENV_WRITE(from) __asm__ volatile("mtfsf 0xff, %0" ::"d"(from))
#endif
#if defined(FPENV_READ)
static inline fpenv fpenv_enter(void) {
    const fpenv exact = 0;
    fpenv old;
    FPENV_READ(old);
    FPENV_WRITE(exact);
    return old;
}
static inline void fpenv_leave(fpenv old) { FPENV_WRITE(old); }
#undef FPENV_READ
#undef FPENV_WRITE
#else
#define QSGD_FENV
#endif
#endif

#if defined(QSGD_FENV) /* in libm, or in libc */
#include <fenv.h>
typedef fenv_t fpenv;
static inline fpenv fpenv_enter(void) {
    fpenv old;
    fegetenv(&old);
    fesetenv(FE_DFL_ENV);
    return old;
}
static inline void fpenv_leave(fpenv old) { fesetenv(&old); }
#endif

#endif
