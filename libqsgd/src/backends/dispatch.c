/* Chooses the backend: an ordered table, what each needs of CPU and operating system, and one
 * atomic that holds the choice. Results never depend on it. */
#include "backends/dispatch.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/error.h"
#include "qsgd.h"

#if defined(QSGD_HAVE_AVX2) || defined(QSGD_HAVE_AVX512)
#include <cpuid.h>

/* Leaf 1 ECX: PCLMULQDQ 1, POPCNT 23, OSXSAVE 27, AVX 28. `state`: bits of XCR0 that the operating
 * system must save; `features`, `more`: bits of leaf 7 EBX and ECX. */
static int has_features(unsigned state, unsigned features, unsigned more) {
    unsigned a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d)) return 0;
    const unsigned need = 1U << 1 | 1U << 23 | 1U << 27 | 1U << 28;
    if ((c & need) != need) return 0;
    unsigned xcr0, high;
    __asm__ volatile("xgetbv" : "=a"(xcr0), "=d"(high) : "c"(0));
    if ((xcr0 & state) != state) return 0;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return 0;
    return (b & features) == features && (c & more) == more;
}

/* XCR0: SSE 1, AVX 2. EBX: BMI1 3, AVX2 5, BMI2 8. */
#define AVX2_FEATURES (1U << 3 | 1U << 5 | 1U << 8)

#if defined(QSGD_HAVE_AVX2)
static int has_avx2(void) { return has_features(6, AVX2_FEATURES, 0); }
#endif

#if defined(QSGD_HAVE_AVX512)
/* And opmask 5, ZMM_Hi256 6, Hi16_ZMM 7; F 16, DQ 17, BW 30, VL 31. ECX: VBMI 1, VBMI2 6,
 * VPCLMULQDQ 10. */
static int has_avx512(void) {
    const unsigned features = AVX2_FEATURES | 1U << 16 | 1U << 17 | 1U << 30 | 1U << 31;
    return has_features(0xE6, features, 1U << 1 | 1U << 6 | 1U << 10);
}
#endif
#endif

static int always(void) { return 1; }

static const struct {
    const struct kernels *kernels;
    int (*available)(void);
    bool by_name_alone; /* never chosen as the best */
} backends[] = {
#if defined(QSGD_HAVE_AVX512)
    {&kernels_avx512, has_avx512, false},
#endif
#if defined(QSGD_HAVE_AVX2)
    {&kernels_avx2, has_avx2, false},
#endif
#if defined(QSGD_HAVE_NEON) /* part of every 64-bit Arm */
    {&kernels_neon, always, false},
#endif
#if defined(QSGD_HAVE_WARP)
    {&kernels_warp, always, true},
#endif
#if defined(QSGD_HAVE_WARP_DEVICE)
    {&kernels_warp_device, always, true},
#endif
    {&kernels_scalar, always, false},
};

enum { BACKENDS = sizeof backends / sizeof backends[0] };

static _Atomic(const struct kernels *) current;

static const struct kernels *best(void) {
    for (int i = 0; i < BACKENDS - 1; i++) {
        if (backends[i].available() && !backends[i].by_name_alone) return backends[i].kernels;
    }
    return &kernels_scalar;
}

const struct kernels *kernels_current(void) {
    const struct kernels *k = atomic_load_explicit(&current, memory_order_relaxed);
    if (k == NULL) {
        const struct kernels *none = NULL;
        k = best();
        if (!atomic_compare_exchange_strong(&current, &none, k)) k = none;
    }
    return k;
}

const char *qsgd_backends(uint32_t index, int32_t *available) {
    if (index >= BACKENDS) return NULL;
    if (available != NULL) *available = backends[index].available();
    return backends[index].kernels->name;
}

qsgd_status qsgd_set_backend(const char *name, qsgd_error *error) {
    if (name == NULL) return error_parameter(error, QSGD_ERR_NULL, "name", "name is NULL");
    if (strcmp(name, "auto") == 0) {
        atomic_store(&current, best());
        return QSGD_OK;
    }
    for (int i = 0; i < BACKENDS; i++) {
        if (strcmp(name, backends[i].kernels->name) != 0) continue;
        if (!backends[i].available()) {
            return error_parameter(error, QSGD_ERR_BACKEND, "name",
                                   "this CPU or its operating system lacks that backend");
        }
        atomic_store(&current, backends[i].kernels);
        return QSGD_OK;
    }
    return error_parameter(error, QSGD_ERR_BACKEND, "name",
                           "there is no backend of that name: qsgd_backends lists them");
}

const char *qsgd_backend(void) { return kernels_current()->name; }
