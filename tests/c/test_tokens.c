/* The kernels between indices and the rANS coder, on every backend: tokens, symbols, counts, groups
 * by energy (FORMAT.md section 7.4, ENCODER.md section 8.4), one element at a time beside them. */
#define _DEFAULT_SOURCE
#include "backends.h"
#include "base/bits.h"
#include "guard.h"
#include "kernels/kernels.h"
#include "lengths.h"
#include "support.h"

static struct guard guards[3];
static uint64_t state = 20250713;

static uint8_t token_of(int32_t k, bool direct) {
    uint32_t magnitude = (uint32_t)(k < 0 ? -k : k);
    if (direct || magnitude < 8) return (uint8_t)(k > 0 ? 2 * k - 1 : -2 * k);
    unsigned e = floor_log2(magnitude);
    return (uint8_t)(15 + 4 * (e - 3) + (magnitude >> (e - 2) & 3));
}

static void tokens_follow_the_format(void) {
    static uint8_t expected[LONGEST];
    FOR_LENGTHS(n) {
        FOR_GAPS(gap, n) {
            const bool direct = random_below(&state, 2) == 0;
            const uint64_t range = direct ? 15 : (uint64_t)1 << (4 + random_below(&state, 12));
            int16_t *k = guard_place(guards[0], 2 * n, even(gap));
            int16_t *back = guard_place(guards[1], 2 * n, even(gap));
            uint8_t *tokens = guard_place(guards[2], n, gap);
            uint32_t counts[64] = {0}, got[64];
            for (size_t i = 0; i < n; i++) {
                int32_t v = (int32_t)random_below(&state, 2 * range + 1) - (int32_t)range;
                k[i] = (int16_t)(v > 32767 ? 32767 : (v < -32767 ? -32767 : v));
                expected[i] = token_of(k[i], direct);
                counts[expected[i]]++;
            }
            for (int b = 0; b < backend_count; b++) {
                memset(tokens, 0xFF, n);
                backends[b]->tokens(k, n, direct, tokens);
                CHECK(memcmp(tokens, expected, n) == 0);
                memset(got, 0xFF, sizeof got);
                backends[b]->histogram(tokens, n, got);
                CHECK(memcmp(got, counts, sizeof got) == 0);
                if (!direct) continue;
                memset(back, 0x5A, 2 * n);
                backends[b]->whole_tokens(tokens, n, back);
                CHECK(memcmp(back, k, 2 * n) == 0);
            }
        }
    }
}

/* Indices and direct tokens alike. */
static void noise_turns_signs(void) {
    enum { MOST = 300 };
    static uint16_t noise[MOST];
    static int16_t k[MOST], back[MOST];
    static uint8_t tokens[MOST];
    for (size_t n = 0; n <= MOST; n++) {
        for (size_t i = 0; i < n; i++) {
            noise[i] = (uint16_t)random_below(&state, 65536);
            k[i] = (int16_t)((int32_t)random_below(&state, 31) - 15);
        }
        for (int b = 0; b < backend_count; b++) {
            memcpy(back, k, sizeof k);
            backends[b]->tokens(k, n, true, tokens);
            backends[b]->turn(noise, n, back);
            backends[b]->turn_tokens(noise, n, tokens);
            for (size_t i = 0; i < n; i++) {
                CHECK(back[i] == (noise[i] >= 32768 ? -k[i] : k[i]));
                CHECK(tokens[i] == token_of(back[i], true));
            }
        }
    }
}

/* Every index, and both ends of every length of a vector. */
static void signs_and_second_bits_are_swapped(void) {
    enum { ALL = 65535 };
    static int16_t k[ALL], swapped[ALL];
    for (size_t i = 0; i < ALL; i++) k[i] = (int16_t)((int32_t)i - 32767);
    for (int b = 0; b < backend_count; b++) {
        for (size_t n = 0; n <= 70; n++) {
            memcpy(swapped, k, sizeof k);
            backends[b]->swap_signs(swapped, n);
            CHECK(memcmp(swapped + n, k + n, sizeof k - n * sizeof *k) == 0);
            backends[b]->swap_signs(swapped, n);
            CHECK(memcmp(swapped, k, sizeof k) == 0);
        }
        backends[b]->swap_signs(swapped, ALL);
        for (size_t i = 0; i < ALL; i++) {
            const int32_t before = k[i], m = before < 0 ? -before : before;
            int32_t bit = 1;
            while (m >> 3 >= bit) bit *= 2; /* m is below 8 times this, and has it as bit oct - 2 */
            const int32_t other = (before < 0 ? m | bit : m & ~bit) * ((m & bit) != 0 ? -1 : 1);
            CHECK(swapped[i] == (m < 8 ? before : other));
        }
    }
}

/* Long enough that every counter overflows into the next; the tokens of a few bins, all of them or
 * small ones, with energies from nothing to the largest index. */
static void groups_are_counted_by_energy(void) {
    enum { MOST = 128 * 400 };
    static uint8_t tokens[MOST], bins[MOST / 128], expected_bins[MOST / 128];
    static int16_t k[MOST];
    static uint32_t counts[GROUP_BINS][64], expected[GROUP_BINS][64];
    for (size_t n = 1; n <= MOST; n = n < 300 ? n + 37 : n * 3 / 2 + 5) {
        for (unsigned round = 0; round < 6; round++) {
            memset(expected, 0, sizeof expected);
            for (size_t i = 0; i < n; i++) {
                const uint64_t most = round < 3 ? 15 : (uint64_t)1 << (i / 128 % 16);
                const int32_t m = (int32_t)random_below(&state, most == 32768 ? most : most + 1);
                k[i] = (int16_t)(random_below(&state, 2) != 0 ? m : -m);
                tokens[i] = round < 3 ? (uint8_t)(k[i] > 0 ? 2 * m - 1 : 2 * m)
                                      : (uint8_t)random_below(&state, round == 3 ? 16 : 64);
            }
            for (size_t first = 0; first < n; first += 128) {
                uint64_t sum = 0;
                unsigned e = 0;
                for (size_t i = first; i < n && i < first + 128; i++) {
                    sum += (uint64_t)(k[i] < 0 ? -k[i] : k[i]);
                }
                while (sum >> (e + 1) != 0) e++;
                const unsigned half = sum * sum >= (uint64_t)2 << (2 * e);
                expected_bins[first / 128] = (uint8_t)(sum == 0 ? 0 : 1 + 2 * e + half);
            }
            for (size_t i = 0; i < n; i++) expected[expected_bins[i / 128]][tokens[i]]++;
            for (int b = 0; b < backend_count; b++) {
                memset(bins, 0xFF, sizeof bins);
                backends[b]->group_bins(k, tokens, n, bins);
                CHECK(memcmp(bins, expected_bins, (n + 127) / 128) == 0);
                if (round < 3) {
                    memset(bins, 0xFF, sizeof bins);
                    backends[b]->group_bins(NULL, tokens, n, bins);
                    CHECK(memcmp(bins, expected_bins, (n + 127) / 128) == 0);
                }
                backends[b]->group_histograms(tokens, n, bins, GROUP_BINS, counts);
                CHECK(memcmp(counts, expected, sizeof counts) == 0);
            }
        }
    }
}

/* Symbols name the half of an element by its noise, where its class is split, and its token. Marked
 * tokens, those of half 0, are not counted. */
static void symbols_are_halves_and_tokens(void) {
    static uint8_t bins[LONGEST / 128 + 1];
    static uint32_t groups[1][64];
    FOR_LENGTHS(n) {
        FOR_GAPS(gap, n) {
            uint16_t *noise = guard_place(guards[0], 2 * n, even(gap));
            uint8_t *tokens = guard_place(guards[1], n, gap);
            uint8_t *symbols = guard_place(guards[2], n, gap);
            uint32_t counts[64] = {0}, got[64];
            const bool split = random_below(&state, 2) != 0;
            for (size_t i = 0; i < n; i++) {
                static const uint16_t edges[] = {0, 0x3FFF, 0x4000, 0x7FFF, 0x8000, 0xBFFF, 0xC000};
                const uint64_t r = random_below(&state, 1 << 17);
                noise[i] = r < 65536 ? (uint16_t)r : edges[r % 7];
                tokens[i] = (uint8_t)random_below(&state, split ? 32 : 64);
                counts[tokens[i]] += noise[i] >= 0x4000 && noise[i] < 0xC000;
            }
            for (int b = 0; b < backend_count; b++) {
                memset(symbols, 0xFF, n);
                backends[b]->halves(noise, n, symbols);
                for (size_t i = 0; i < n; i++) {
                    CHECK(symbols[i] == (noise[i] >= 0x4000 && noise[i] < 0xC000 ? 32 : 0));
                }
                backends[b]->mark(noise, tokens, n, symbols);
                backends[b]->histogram(symbols, n, got);
                CHECK(memcmp(got, counts, sizeof got) == 0);
                backends[b]->group_histograms(symbols, n, bins, 1, groups);
                CHECK(memcmp(groups[0], counts, sizeof counts) == 0);
                backends[b]->symbols(split, n, symbols);
                for (size_t i = 0; i < n; i++) {
                    const bool middle = noise[i] >= 0x4000 && noise[i] < 0xC000;
                    CHECK(symbols[i] == tokens[i] + (split && middle ? 32 : 0));
                }
            }
        }
    }
}

int main(void) {
    find_backends();
    for (int i = 0; i < 3; i++) guards[i] = guard_new(4 * LONGEST + 64);
    tokens_follow_the_format();
    noise_turns_signs();
    signs_and_second_bits_are_swapped();
    groups_are_counted_by_energy();
    symbols_are_halves_and_tokens();
    for (int i = 0; i < 3; i++) guard_free(guards[i]);
    return check_result();
}
