/* qsgd_selftest (qsgd.h): every backend passes, whatever the caller's rounding mode, and nothing of
 * the caller's changes. */
#include <fenv.h>

#include "backends.h"
#include "calls.h"

static void every_backend_passes(void) {
    static const int modes[] = {FE_TONEAREST, FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO};
    for (int b = 0; b < backend_count; b++) {
        CHECK(qsgd_set_backend(backends[b]->name, NULL) == QSGD_OK);
        for (size_t m = 0; m < sizeof modes / sizeof *modes; m++) {
            qsgd_error error = error_new();
            if (fesetround(modes[m]) != 0) continue;
            CHECK(qsgd_selftest(&error) == QSGD_OK);
            CHECK(fegetround() == modes[m] && error.status == QSGD_OK);
            CHECK(qsgd_selftest(NULL) == QSGD_OK);
        }
        fesetround(FE_TONEAREST);
        CHECK(strcmp(qsgd_backend(), backends[b]->name) == 0);
    }
    CHECK(qsgd_set_backend("auto", NULL) == QSGD_OK);
    CHECK(qsgd_selftest(NULL) == QSGD_OK);
}

int main(void) {
    find_backends();
    CHECK(backend_count > 0);
    every_backend_passes();
    return check_result();
}
