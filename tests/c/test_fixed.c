/* Packing of ranks on every backend that this machine can run, against a bit by bit reference: all
 * widths, all kinds of levels, lengths around every block, guard pages on both sides (kernels.h,
 * FORMAT.md section 7.1). */
#define _DEFAULT_SOURCE
#include "backends/dispatch.h"
#include "guard.h"
#include "support.h"

#define LONGEST 1500

static uint64_t state = 20261123;
static struct guard indices, packed;

static const size_t lengths[] = {1,   2,   3,   7,   8,   9,   15,   16,     17,  31,
                                 32,  33,  63,  64,  65,  71,  72,   96,     127, 128,
                                 129, 191, 192, 255, 256, 257, 319,  320,    500, 511,
                                 512, 513, 575, 576, 577, 640, 1024, LONGEST};

/* FORMAT.md section 7.1, as it stands there. */
static uint32_t rank_of(const struct rank_map *map, int32_t k) {
    if (map->from_lowest) return (uint32_t)(k - map->lowest);
    if (map->zero) return (uint32_t)(k > 0 ? 2 * k - 1 : -2 * k);
    return (uint32_t)(2 * ((k < 0 ? -k : k) - 1) + (k < 0 ? 1 : 0));
}

static struct rank_map map_of(int kind, unsigned width) {
    const int32_t ranks = (int32_t)1 << width;
    const int32_t lowest = kind != 0 ? -(ranks / 2) : -((ranks - 1) / 2);
    return (struct rank_map){
        .width = width, .from_lowest = kind == 2, .zero = kind == 0, .lowest = lowest};
}

/* Any k whose rank fits; mirrored ones reach 32767 at most. */
static int16_t random_index(const struct rank_map *map) {
    for (;;) {
        const int32_t k = (int32_t)random_below(&state, 65535) - 32767;
        const int32_t small = map->width < 16 ? k % (1 << map->width) : k;
        const bool level = map->from_lowest || map->zero || small != 0;
        if (level && small >= map->lowest && rank_of(map, small) >> map->width == 0) {
            return (int16_t)small;
        }
    }
}

static uint32_t read_bits(const uint8_t *p, size_t at, unsigned width) {
    uint32_t value = 0;
    for (unsigned i = 0; i < width; i++, at++) value |= (uint32_t)(p[at / 8] >> (at % 8) & 1) << i;
    return value;
}

static void ranks_are_packed_lowest_bit_first(const struct kernels *kernels, int kind,
                                              unsigned width, size_t n, size_t gap) {
    const struct rank_map map = map_of(kind, width);
    const size_t bytes = (n * width + 7) / 8;
    int16_t *k = guard_place(indices, 2 * n, gap == SIZE_MAX ? gap : 2 * gap);
    uint8_t *p = guard_place(packed, bytes, gap);
    int16_t expected[LONGEST];
    uint32_t largest = 0;
    for (size_t i = 0; i < n; i++) {
        expected[i] = k[i] = random_index(&map);
        const uint32_t rank = rank_of(&map, k[i]);
        largest = rank > largest ? rank : largest;
    }
    memset(p, 0xA5, bytes);
    kernels->pack(&map, k, n, p);
    bool right = true;
    for (size_t i = 0; i < n; i++) right &= read_bits(p, i * width, width) == rank_of(&map, k[i]);
    CHECK(right);
    CHECK(n * width % 8 == 0 || p[bytes - 1] >> (n * width % 8) == 0);
    if (kind == 0) CHECK(kernels->largest_zigzag(k, n) == largest);

    /* back, whatever the padding holds */
    if (n * width % 8 != 0) p[bytes - 1] |= (uint8_t)(0xFF << (n * width % 8));
    memset(k, 0x5A, 2 * n);
    CHECK(kernels->unpack(&map, p, n, k) == largest);
    CHECK(memcmp(k, expected, 2 * n) == 0);
}

/* Every rank that the width holds is reported, levels or not. */
static void one_large_rank_is_seen_wherever_it_is(const struct kernels *kernels, unsigned width) {
    const struct rank_map map = map_of(0, width);
    for (size_t l = 0; l < sizeof lengths / sizeof *lengths; l++) {
        const size_t n = lengths[l], bytes = (n * width + 7) / 8;
        int16_t *k = guard_place(indices, 2 * n, 0);
        uint8_t *p = guard_place(packed, bytes, 0);
        for (int round = 0; round < 8; round++) {
            const size_t i = round == 0 ? n - 1 : (size_t)random_below(&state, n);
            memset(p, 0, bytes);
            for (unsigned b = 0; b < width; b++) {
                p[(i * width + b) / 8] |= (uint8_t)(1 << (i * width + b) % 8);
            }
            CHECK(kernels->unpack(&map, p, n, k) == (1U << width) - 1);
        }
    }
}

int main(void) {
    static const size_t gaps[] = {0, 1, 2, 3, 8, 13, 31, SIZE_MAX};
    const char *name;
    int32_t available;
    indices = guard_new(2 * LONGEST + 64);
    packed = guard_new(2 * LONGEST + 64);
    for (uint32_t b = 0; (name = qsgd_backends(b, &available)) != NULL; b++) {
        if (!available) continue;
        CHECK(qsgd_set_backend(name, NULL) == QSGD_OK);
        for (unsigned width = 1; width <= 16; width++) {
            for (size_t l = 0; l < sizeof lengths / sizeof *lengths; l++) {
                for (int g = 0; g < 8; g++) {
                    /* a signed table has at most 255 entries */
                    for (int kind = 0; kind < (width <= 8 ? 3 : 2); kind++) {
                        ranks_are_packed_lowest_bit_first(kernels_current(), kind, width,
                                                          lengths[l], gaps[g]);
                    }
                }
            }
            one_large_rank_is_seen_wherever_it_is(kernels_current(), width);
        }
    }
    guard_free(indices);
    guard_free(packed);
    return check_result();
}
