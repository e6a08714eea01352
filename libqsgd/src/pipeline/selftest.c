#include "base/error.h"
qsgd_status qsgd_selftest(qsgd_error *error) { return error_set(error, QSGD_OK, "x"); }
