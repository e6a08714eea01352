#include "base/steps.h"

#include "base/bits.h"

/* 2^(a / 32) and 2^(b / 1024), in units of 2^-30, each rounded to the nearest: integers alone, so
 * that steps are the same everywhere. */
static const uint32_t coarse[32] = {
    0x40000000, 0x4166C34C, 0x42D561B4, 0x444C0740, 0x45CAE0F2, 0x47521CC6, 0x48E1E9BA, 0x4A7A77D4,
    0x4C1BF829, 0x4DC69CDD, 0x4F7A9930, 0x51382182, 0x52FF6B55, 0x54D0AD5A, 0x56AC1F75, 0x5891FAC1,
    0x5A82799A, 0x5C7DD7A4, 0x5E8451D0, 0x60962665, 0x62B39509, 0x64DCDEC3, 0x6712460B, 0x69540EC9,
    0x6BA27E65, 0x6DFDDBCC, 0x70666F76, 0x72DC8374, 0x75606374, 0x77F25CCE, 0x7A92BE8B, 0x7D41D96E,
};
static const uint32_t fine[32] = {
    0x40000000, 0x400B1818, 0x4016321B, 0x40214E0C, 0x402C6BE9, 0x40378BB4, 0x4042AD6D, 0x404DD113,
    0x4058F6A8, 0x40641E2B, 0x406F479E, 0x407A7300, 0x4085A051, 0x4090CF92, 0x409C00C4, 0x40A733E6,
    0x40B268FA, 0x40BD9FFF, 0x40C8D8F5, 0x40D413DD, 0x40DF50B8, 0x40EA8F86, 0x40F5D046, 0x410112FA,
    0x410C57A2, 0x41179E3D, 0x4122E6CD, 0x412E3152, 0x41397DCC, 0x4144CC3B, 0x41501CA0, 0x415B6EFB,
};

int32_t step_clamped(int64_t number) {
    if (number < STEP_NUMBER_LEAST) return STEP_NUMBER_LEAST;
    return number > STEP_NUMBER_MOST ? STEP_NUMBER_MOST : (int32_t)number;
}

float step_of_number(int32_t j) {
    const uint32_t up = (uint32_t)(j - STEP_NUMBER_LEAST), part = up & 1023;
    const uint64_t product = (uint64_t)coarse[part >> 5] * fine[part & 31]; /* below 2^61 */
    const uint32_t mantissa = (uint32_t)((product + ((uint64_t)1 << 36)) >> 37);
    const uint32_t exponent = 127 - 20 + (up >> 10);
    return (float)mantissa * 0x1p-23F * float_from_bits(exponent << 23);
}

int32_t step_number(float step) {
    /* low's step is at most this one, high's is more */
    int32_t low = STEP_NUMBER_LEAST, high = STEP_NUMBER_MOST + 1;
    while (high - low > 1) {
        const int32_t middle = low + (high - low) / 2;
        if (step_of_number(middle) <= step) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return low;
}

float step_after(float step, uint32_t again) {
    return step_of_number(step_clamped((int64_t)step_number(step) + 128 * (int64_t)again));
}
