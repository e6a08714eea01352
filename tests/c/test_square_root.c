/* The root by digits is the one that the machine's instruction gives, over all exponents, beside
 * squares and at the ends. */
#include <stdint.h>
#include <string.h>

#include "base/square_root.h"
#include "check.h"

static double from_bits(uint64_t bits) {
    double x;
    memcpy(&x, &bits, 8);
    return x;
}

static uint64_t bits_of(double x) {
    uint64_t bits;
    memcpy(&bits, &x, 8);
    return bits;
}

static void same(double x) { CHECK(bits_of(square_root(x)) == bits_of(square_root_portable(x))); }

int main(void) {
    uint64_t state = 1;
    for (int i = 0; i < 2000000; i++) {
        state = state * 6364136223846793005U + 1442695040888963407U;
        const uint64_t bits = (state ^ state >> 29) >> 1;
        if (bits < 0x7FF0000000000000U) same(from_bits(bits));
    }
    for (uint64_t n = 1; n < 100000; n++) { /* about squares, of few digits and of many */
        for (uint64_t root = n; root < (uint64_t)1 << 32; root *= 37) {
            const uint64_t square = bits_of((double)(root * root));
            for (uint64_t i = 0; i < 5; i++) same(from_bits(square + i - 2));
        }
        same(from_bits(n));
        same(from_bits(0x7FF0000000000000U - n));
        same(from_bits(0x0010000000000000U + n - 50000));
    }
    same(0.0);
    same(-0.0);
    same(from_bits(0x7FF0000000000000U));
    same(from_bits(0x7FF8000000000000U));
    return check_result();
}
