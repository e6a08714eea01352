/* The tests' only macro: CHECK prints where a fact does not hold and counts it; main returns
 * check_result(). A failure never stops the run, so one run shows all of them. */
#ifndef QSGD_TESTS_CHECK_H
#define QSGD_TESTS_CHECK_H

#include <stdio.h>

static int check_failures = 0;

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            check_failures++;                                                                      \
            if (check_failures <= 50)                                                              \
                fprintf(stderr, "%s:%d: %s: failed: %s\n", __FILE__, __LINE__, __func__,           \
                        #condition);                                                               \
        }                                                                                          \
    } while (0)

static inline int check_result(void) {
    if (check_failures != 0) fprintf(stderr, "%d checks failed\n", check_failures);
    return check_failures == 0 ? 0 : 1;
}

#endif
