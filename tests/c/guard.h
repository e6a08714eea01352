/* Memory between two pages that may not be touched, so that a read or write of one byte outside a
 * buffer stops the test. Needs mmap. */
#ifndef QSGD_TESTS_GUARD_H
#define QSGD_TESTS_GUARD_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

struct guard {
    uint8_t *start, *end; /* whole pages in between */
};

#define GUARD_PAGE ((size_t)65536) /* a multiple of every page size in use */

static inline struct guard guard_new(size_t bytes) {
    size_t inner = (bytes + GUARD_PAGE - 1) / GUARD_PAGE * GUARD_PAGE;
    uint8_t *p = mmap(NULL, inner + 2 * GUARD_PAGE, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED || mprotect(p, GUARD_PAGE, PROT_NONE) != 0 ||
        mprotect(p + GUARD_PAGE + inner, GUARD_PAGE, PROT_NONE) != 0) {
        abort();
    }
    return (struct guard){p + GUARD_PAGE, p + GUARD_PAGE + inner};
}

static inline void guard_free(struct guard g) {
    munmap(g.start - GUARD_PAGE, (size_t)(g.end - g.start) + 2 * GUARD_PAGE);
}

/* `bytes` bytes whose end lies `gap` bytes before the second guard; SIZE_MAX: at the first one. */
static inline void *guard_place(struct guard g, size_t bytes, size_t gap) {
    return gap == SIZE_MAX ? g.start : g.end - bytes - gap;
}

#endif
