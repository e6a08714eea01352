/* Lengths and places of buffers that kernels are tried with. */
#ifndef QSGD_TESTS_LENGTHS_H
#define QSGD_TESTS_LENGTHS_H

#include <stddef.h>
#include <stdint.h>

#define LONGEST 8192

/* 0 .. 70, then around powers of two, up to LONGEST. */
static inline size_t next_length(size_t n) {
    static const size_t more[] = {127, 128, 129,  130,  255,  256,  257,  258,     511,
                                  512, 513, 1023, 4095, 4097, 8191, 8192, SIZE_MAX};
    if (n < 70) return n + 1;
    size_t i = 0;
    while (more[i] <= n) i++;
    return more[i];
}
#define FOR_LENGTHS(n) for (size_t n = 0; n <= LONGEST; n = next_length(n))

/* Places of a buffer: at the end, 1 .. 33 bytes before it, at the start. Few of them if long. */
static inline size_t next_gap(size_t gap, size_t n) {
    if (gap == SIZE_MAX) return SIZE_MAX - 1;
    if (gap >= 33) return SIZE_MAX;
    return n <= 70 ? gap + 1 : gap + 11;
}
#define FOR_GAPS(gap, n) for (size_t gap = 0; gap != SIZE_MAX - 1; gap = next_gap(gap, n))

static inline size_t even(size_t gap) { return gap == SIZE_MAX ? gap : gap & ~(size_t)1; }

#endif
