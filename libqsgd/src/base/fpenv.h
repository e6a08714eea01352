/* The floating-point environment of a task: round to nearest, subnormals kept, no traps. Callers
 * may have set flush-to-zero (torch.set_flush_denormal) or a rounding mode; results must not
 * change. */
#ifndef QSGD_BASE_FPENV_H
#define QSGD_BASE_FPENV_H

#include "base/begin.h"

#include <stdint.h>

#if defined(__x86_64__) || defined(__i386__)
#include <xmmintrin.h>
typedef uint32_t fpenv;
static inline fpenv fpenv_enter(void) {
    fpenv old = _mm_getcsr();
    _mm_setcsr(0x1F80); /* all exceptions masked, nearest, no FTZ, no DAZ */
    return old;
}
static inline void fpenv_leave(fpenv old) { _mm_setcsr(old); }
#elif defined(__aarch64__)
typedef uint64_t fpenv;
static inline fpenv fpenv_enter(void) {
    fpenv old;
    __asm__ volatile("mrs %0, fpcr" : "=r"(old));
    __asm__ volatile("msr fpcr, %0" ::"r"((uint64_t)0));
    return old;
}
static inline void fpenv_leave(fpenv old) { __asm__ volatile("msr fpcr, %0" ::"r"(old)); }
#elif defined(__s390x__)
typedef uint32_t fpenv;
static inline fpenv fpenv_enter(void) {
    fpenv old;
    __asm__ volatile("efpc %0" : "=d"(old));
    __asm__ volatile("sfpc %0" ::"d"((uint32_t)0));
    return old;
}
static inline void fpenv_leave(fpenv old) { __asm__ volatile("sfpc %0" ::"d"(old)); }
#else
/* No known control register: the caller must keep the default environment. */
typedef int fpenv;
static inline fpenv fpenv_enter(void) { return 0; }
static inline void fpenv_leave(fpenv old) { (void)old; }
#endif

#endif
