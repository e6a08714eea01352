/* What every file of the library includes before anything else: the compiler is made to give the
 * bytes of FORMAT.md whatever its flags are, or refuses to compile; which backends there are; and
 * names that no other library has. */
#ifndef QSGD_BASE_BEGIN_H
#define QSGD_BASE_BEGIN_H

/* ---- arithmetic as IEEE 754 has it ----------------------------------------------------------- */

#if !defined(__CUDACC__)

#if defined(__FAST_MATH__) || (defined(__FINITE_MATH_ONLY__) && __FINITE_MATH_ONLY__ > 0)
#error                                                                                             \
    "qsgd: -ffast-math changes the bytes of frames; compile its files without it (-fno-fast-math)"
#endif
#if defined(__ASSOCIATIVE_MATH__) || defined(__RECIPROCAL_MATH__) || defined(__NO_SIGNED_ZEROS__)
#error                                                                                             \
    "qsgd: -funsafe-math-optimizations, or a part of it, changes the bytes of frames; leave it out"
#endif
/* gcc 12 and later know more of it, such as -fsingle-precision-constant. */
#if defined(__GNUC__) && !defined(__clang__) && defined(__GCC_IEC_559) && __GCC_IEC_559 == 0
#error "qsgd: these flags let the compiler leave IEEE 754, which changes the bytes of frames"
#endif

/* 0: as written; 16: but for _Float16. gcc says 1, float as double, for s390x in -std=c11: every
 * float there is the result of one operation, which rounds alike by way of double. */
#if defined(__FLT_EVAL_METHOD__) && __FLT_EVAL_METHOD__ != 0 && __FLT_EVAL_METHOD__ != 16 &&       \
    !(defined(__s390x__) && __FLT_EVAL_METHOD__ == 1)
#if defined(__i386__)
#error "qsgd: x87 arithmetic changes the bytes of frames; on 32-bit x86 pass -msse2 -mfpmath=sse"
#else
#error "qsgd: needs float and double arithmetic in their own precision (FLT_EVAL_METHOD 0)"
#endif
#endif

/* No fused multiply-add, which rounds once where FORMAT.md rounds twice. Each compiler heeds what
 * the other ignores; clang's first line takes back what it tells by no macro (-fassociative-math,
 * -fapprox-func) and has to come before the second. clang's -ffp-contract=fast overrules both. gcc
 * inlines only functions whose options agree: hence before every other header. */
#if defined(__clang__)
#if defined(__has_warning) && (defined(__x86_64__) || defined(__i386__) || defined(__aarch64__))
#pragma float_control(precise, on)
#endif
#pragma STDC FP_CONTRACT OFF
#elif defined(__GNUC__)
#pragma GCC optimize("fp-contract=off")
#else
#error "qsgd: is for gcc and clang, and compilers that are either underneath"
#endif

#endif

/* ---- names ----------------------------------------------------------------------------------- */

/* On Windows a DLL says that it is one; whatever else these files are part of is static. */
#if defined(_WIN32) && !defined(QSGD_BUILD) && !defined(QSGD_STATIC)
#define QSGD_STATIC
#endif

#include "base/names.h"

/* ---- parts ----------------------------------------------------------------------------------- */

/* QSGD_ENCODER 0: decodes alone. QSGD_FIT 0: has no qsgd_fit.h. In files that have both directions
 * the public functions of one and its pointers in tables are under the switch, so that compilers
 * drop what only they call. */
#ifndef QSGD_ENCODER
#define QSGD_ENCODER 1
#endif
#ifndef QSGD_FIT
#define QSGD_FIT QSGD_ENCODER
#endif
#if !QSGD_ENCODER || !QSGD_FIT
#pragma GCC diagnostic ignored "-Wunused-function"
#endif
#if QSGD_FIT && !QSGD_ENCODER
#error "qsgd: fitting levels is for encoders: QSGD_FIT needs QSGD_ENCODER"
#endif

/* ---- backends -------------------------------------------------------------------------------- */

/* 0: the scalar backend alone. By one: QSGD_AVX2, QSGD_AVX512, QSGD_NEON. */
#ifndef QSGD_SIMD
#define QSGD_SIMD 1
#endif
#ifndef QSGD_AVX2
#define QSGD_AVX2 QSGD_SIMD
#endif
#ifndef QSGD_AVX512
#define QSGD_AVX512 QSGD_SIMD
#endif
#ifndef QSGD_NEON
#define QSGD_NEON QSGD_SIMD
#endif

/* gcc does not align the stack for vectors of 32 bytes on Windows (its bug 54412). */
#if defined(__x86_64__) && !(defined(_WIN32) && !defined(__clang__))
#if QSGD_SIMD && QSGD_AVX2
#define QSGD_HAVE_AVX2
#endif
#if QSGD_SIMD && QSGD_AVX512
#define QSGD_HAVE_AVX512
#endif
#endif
#if defined(__aarch64__) && defined(__ARM_NEON) && !defined(__AARCH64EB__)
#if QSGD_SIMD && QSGD_NEON
#define QSGD_HAVE_NEON
#endif
#endif

#endif
