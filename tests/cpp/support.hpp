// What the C++ tests share.
#pragma once

#include <cstddef>
#include <cstdint>
#include <qsgd.hpp>
#include <vector>

#include "../c/check.h"

inline std::vector<float> tensor(std::size_t n) {
    std::vector<float> x(n);
    for (std::size_t i = 0; i < n; i++) {
        const auto mixed = static_cast<std::uint32_t>(i + 1) * 2654435761U;
        x[i] = static_cast<float>(static_cast<std::int32_t>(mixed >> 8) - (1 << 23)) / (1 << 23);
    }
    return x;
}

inline qsgd::Params seeded(std::uint64_t seed) {
    qsgd::Params params;
    params.seed = seed;
    return params;
}

template <typename A, typename B> bool equal(const A &a, const B &b) {
    if (a.size() != b.size()) return false;
    for (std::size_t i = 0; i < a.size(); i++) {
        if (!(a[i] == b[i])) return false;
    }
    return true;
}

#if QSGD_EXCEPTIONS
// The status of the qsgd::Error that f throws; QSGD_OK if it throws nothing.
template <typename F> qsgd_status thrown_by(F f) {
    try {
        f();
    } catch (const qsgd::Error &error) {
        return error.status();
    }
    return QSGD_OK;
}
#endif
