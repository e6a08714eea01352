/* An allocator that counts, gives memory of exactly the size that is asked for at odd addresses,
 * and fails when it is told to. */
#ifndef QSGD_TESTS_COUNTING_H
#define QSGD_TESTS_COUNTING_H

#include "calls.h"

#define COUNTING_MOST 64 /* pieces at a time */

struct counting {
    uint64_t calls, fail_at; /* the call that returns NULL, from 0; UINT64_MAX: none */
    uint64_t most;           /* larger pieces are refused, too */
    uint64_t live, largest;
    qsgd_memory pieces[COUNTING_MOST];
};

static inline struct counting counting_new(void) {
    struct counting c;
    memset(&c, 0, sizeof c);
    c.fail_at = c.most = UINT64_MAX;
    return c;
}

static inline void *counting_allocate(void *context, size_t bytes) {
    struct counting *c = context;
    const uint64_t call = c->calls++;
    CHECK(bytes > 0);
    if (bytes > c->largest) c->largest = bytes;
    if (call == c->fail_at || bytes > c->most || c->live == COUNTING_MOST) return NULL;
    c->pieces[c->live] = odd_memory(bytes);
    return c->pieces[c->live++].data;
}

static inline void counting_release(void *context, void *data) {
    struct counting *c = context;
    uint64_t i = 0;
    while (i < c->live && c->pieces[i].data != data) i++;
    CHECK(i < c->live); /* what it gave, once, and not NULL */
    if (i == c->live) return;
    odd_free(c->pieces[i]);
    c->pieces[i] = c->pieces[--c->live];
}

static inline qsgd_allocator counting_allocator(struct counting *c) {
    return (qsgd_allocator){counting_allocate, counting_release, c};
}

/* Bytes of the one piece that is left. */
static inline uint64_t counting_left(const struct counting *c) {
    CHECK(c->live == 1);
    return c->live == 1 ? c->pieces[0].bytes : 0;
}

#endif
