/* How kernel bodies are declared, and what they may ask of the threads that run them. They are C11
 * and C++20 at once: backends/instantiate.h compiles them for CPUs, where one thread holds all
 * lanes of a vector, cuda/ for devices, where each lane is a thread (W_THREADS, simd/warp.cuh).
 *
 * On a device all lanes run a body together, with the same arguments. So, in a body:
 * - scalars are the same in all lanes, and so are arrays on the stack, of which each lane has its
 *   own: a vector is never stored there;
 * - what a loop does to its elements each by itself is an EACH, which the lanes share out: within
 *   it scalars differ from lane to lane, and lanes_any, lanes_top bring them together;
 * - between a look at memory and a change of it by another lane stands lanes_sync(). */
#ifndef QSGD_KERNELS_BODY_H
#define QSGD_KERNELS_BODY_H

#include "base/begin.h"

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifndef W_THREADS
/* Bodies are shared through constant arguments, which only inlining makes constant. A vocabulary of
 * loops (simd/warp.h) would take minutes to compile that way, and need not be fast. */
#ifdef W_LOOPS
#define BODY static inline
#else
#define BODY static inline __attribute__((always_inline))
#endif
/* What is called as a function, and what may not be part of a loop. */
#define KERNEL static
#define KERNEL_APART static __attribute__((noinline))
#define RESTRICT restrict
#define PREFETCH(address) __builtin_prefetch(address)
/* for (i = from; i < to; i += step), in any order. */
#define EACH(i, from, to, step) for (size_t i = (from); i < (to); i += (step))
BODY void lanes_sync(void) {}
BODY bool lanes_any(bool a) { return a; }
BODY uint32_t lanes_top(uint32_t a) { return a; } /* the largest */
#endif

#if defined(__cplusplus)
#define ALIGNED(bytes) alignas(bytes)
#else
#define ALIGNED(bytes) _Alignas(bytes)
#endif

/* Elements from `at` on, of n: none past the end. */
BODY size_t elements_left(size_t n, size_t at) { return at < n ? n - at : 0; }

#endif
