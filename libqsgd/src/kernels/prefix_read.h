/* Kernel bodies that read prefix codes of byte symbols: several segments at once, so that the
 * look-ups of one wait while the others go on, and by tables that yield runs of codewords
 * (prefix.h). Whole groups of four look-ups only; ends and long codewords are prefix.c's. */
#ifndef QSGD_KERNELS_PREFIX_READ_H
#define QSGD_KERNELS_PREFIX_READ_H

#include "base/bits.h"
#include "kernels/body.h"
#include "kernels/types.h"

#define RUN_LOOKUPS 4 /* of at most 12 bits: 48 of the 56 that a load surely holds */

/* One look-up of each stream. False if one is at a codeword that is too long, where it stays. */
BODY bool runs_step(const uint64_t *runs, unsigned shift, const int count, uint64_t *acc,
                    uint8_t **out) {
    bool all = true;
    for (int j = 0; j < count; j++) {
        const uint64_t run = runs[acc[j] >> shift];
        store_le64(out[j], run >> 16);
        acc[j] <<= RUN_BITS(run) & 63; /* below it anyway: saves an instruction */
        out[j] += RUN_COUNT(run);
        all &= run != 0;
    }
    return all;
}

/* Goes on while every stream is before its `stop` and its `limit`, and at a run. */
BODY void runs_read(const uint64_t *runs, unsigned window, struct prefix_streams *streams,
                    const int count) {
    const uint8_t *base = streams->base;
    const uint64_t limit = streams->limit;
    const unsigned shift = 64 - window;
    uint64_t bit[PREFIX_STREAMS];
    uint8_t *out[PREFIX_STREAMS];
    bool more = true;
    for (int j = 0; j < count; j++) {
        bit[j] = streams->bit[j];
        out[j] = streams->out[j];
    }
    do {
        /* A one behind the 56 bits tells afterwards how many of them were taken. */
        uint64_t acc[PREFIX_STREAMS];
        for (int j = 0; j < count; j++) {
            const uint64_t next = load_be64(base + (bit[j] >> 3)) << (bit[j] & 7);
            acc[j] = (next & ~(uint64_t)0xFF) | 0x80;
        }
        for (int i = 1; i < RUN_LOOKUPS; i++) runs_step(runs, shift, count, acc, out);
        more = runs_step(runs, shift, count, acc, out);
        for (int j = 0; j < count; j++) {
            bit[j] += (uint64_t)lowest_bit(acc[j]) - 7;
            more &= out[j] < streams->stop[j] && bit[j] <= limit;
        }
    } while (more);
    for (int j = 0; j < count; j++) {
        streams->bit[j] = bit[j];
        streams->out[j] = out[j];
    }
}

KERNEL void kernel_prefix_read(const uint64_t *runs, unsigned window,
                               struct prefix_streams *streams) {
    runs_read(runs, window, streams, PREFIX_STREAMS);
}

KERNEL void kernel_prefix_read_one(const uint64_t *runs, unsigned window,
                                   struct prefix_streams *streams) {
    runs_read(runs, window, streams, 1);
}

#endif
