/* How kernel bodies are declared. They are C11 and C++20 at once: backends/instantiate.h compiles
 * them for CPUs, cuda/ for devices. */
#ifndef QSGD_KERNELS_BODY_H
#define QSGD_KERNELS_BODY_H

#if defined(__CUDACC__)
#define BODY static __host__ __device__ __forceinline__
#define KERNEL static __host__ __device__
#define PREFETCH(address) (void)(address) /* other warps fill the wait */
#else
/* Bodies are shared through constant arguments, which only inlining makes constant. */
#define BODY static inline __attribute__((always_inline))
/* What is called as a function. */
#define KERNEL static
#define PREFETCH(address) __builtin_prefetch(address)
#endif

#endif
