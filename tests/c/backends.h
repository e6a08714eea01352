/* The kernels of every backend that this machine can run, best first, scalar last. */
#ifndef QSGD_TESTS_BACKENDS_H
#define QSGD_TESTS_BACKENDS_H

#include <string.h>

#include "backends/dispatch.h"
#include "check.h"
#include "qsgd.h"

static const struct kernels *backends[8];
static int backend_count;

#define SCALAR (backends[backend_count - 1])

static void find_backends(void) {
    int32_t available;
    for (uint32_t i = 0; qsgd_backends(i, &available) != NULL; i++) {
        if (!available || backend_count == 8) continue;
        CHECK(qsgd_set_backend(qsgd_backends(i, NULL), NULL) == QSGD_OK);
        backends[backend_count++] = kernels_current();
    }
    CHECK(qsgd_set_backend("auto", NULL) == QSGD_OK);
    CHECK(strcmp(SCALAR->name, "scalar") == 0);
}

#endif
