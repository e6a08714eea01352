/* Reproducible random numbers: splitmix64. */
#ifndef QSGD_TESTS_SPLITMIX_H
#define QSGD_TESTS_SPLITMIX_H

#include <stdint.h>

static uint64_t random_state = 20250711;

static inline uint64_t random_next(void) { /* splitmix64 */
    uint64_t z = random_state += 0x9E3779B97F4A7C15;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9;
    z = (z ^ z >> 27) * 0x94D049BB133111EB;
    return z ^ z >> 31;
}

static inline uint64_t random_below(uint64_t bound) { return random_next() % bound; }

#endif
