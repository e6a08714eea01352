// qsgd_fit.hpp: qsgd_fit.h for C++17 and later: statistics of tensors, and levels fitted to them.
// Calls in two forms, as in qsgd.hpp.
#ifndef QSGD_FIT_HPP
#define QSGD_FIT_HPP

#include "qsgd.hpp"
#if __has_include("qsgd_fit.h") // else qsgd.h is that of tools/amalgamate.py, with all inside
#include "qsgd_fit.h"
#endif

namespace qsgd {
inline namespace QSGD_INLINE_NAMESPACE {

// ---- statistics ---------------------------------------------------------------------------------

// Of tensors that are quantised with equal norm, bucket, scale_dtype and clip.
class Stats {
  public:
    static Result<Stats> try_make(const Params &params) {
        Stats stats;
        detail::NewError error;
        const qsgd_params c = params.c();
        if (!stats.allocate()) return out_of_memory();
        if (qsgd_stats_init(stats.c(), &c, &error) != QSGD_OK) return Failure(error);
        return stats;
    }
    // What save gave, or any other bytes, which are refused.
    static Result<Stats> try_load(Bytes saved) {
        Stats stats;
        detail::NewError error;
        if (!stats.allocate()) return out_of_memory();
        if (qsgd_stats_load(stats.c(), saved.data(), saved.size(), &error) != QSGD_OK)
            return Failure(error);
        return stats;
    }

    // Adds a tensor.
    Status try_add(Input src, Workspace *workspace = nullptr) {
        const Runner none;
        detail::Call call(none, workspace);
        if (qsgd_stats_sizes(c(), src.dtype(), src.size(), &call.sizes, &call.error) != QSGD_OK ||
            !call.reserve(call.sizes.workspace_bytes))
            return call.failure();
        return call.result(qsgd_stats_add(c(), src.dtype(), src.data(), src.size(),
                                          call.workspace(), &call.error));
    }
    Status try_merge(const Stats &other) {
        detail::NewError error;
        if (qsgd_stats_merge(c(), other.c(), &error) != QSGD_OK) return Failure(error);
        return Nothing();
    }
    Result<Array<std::uint8_t>> try_save() const {
        const Runner none;
        detail::Call call(none, nullptr);
        if (qsgd_stats_sizes(c(), QSGD_FLOAT32, 0, &call.sizes, &call.error) != QSGD_OK)
            return call.failure();
        auto saved = call.make<std::uint8_t>(call.sizes.dst_bytes);
        if (!saved) return call.failure();
        std::uint64_t bytes = 0;
        if (qsgd_stats_save(c(), MutableBytes(*saved), &bytes, &call.error) != QSGD_OK)
            return call.failure();
        saved->shrink(bytes);
        return std::move(*saved);
    }
    Result<qsgd_stats_info> try_inspect() const {
        qsgd_stats_info info;
        detail::NewError error;
        qsgd_stats_info_init(&info);
        if (qsgd_stats_inspect(c(), &info, &error) != QSGD_OK) return Failure(error);
        return info;
    }

#if QSGD_EXCEPTIONS
    explicit Stats(const Params &params) : Stats(try_make(params).value()) {}
    static Stats load(Bytes saved) { return try_load(saved).value(); }
    Stats &add(Input src, Workspace *workspace = nullptr) {
        try_add(src, workspace).value();
        return *this;
    }
    Stats &merge(const Stats &other) {
        try_merge(other).value();
        return *this;
    }
    Array<std::uint8_t> save() const { return try_save().value(); }
    qsgd_stats_info inspect() const { return try_inspect().value(); }
#endif

    qsgd_stats *c() { return reinterpret_cast<qsgd_stats *>(memory_.data()); }
    const qsgd_stats *c() const { return reinterpret_cast<const qsgd_stats *>(memory_.data()); }

  private:
    Stats() = default;
    static Failure out_of_memory() { return Failure(QSGD_ERR_MEMORY, nullptr, "out of memory"); }
    bool allocate() {
        auto memory = Array<std::uint64_t>::make((qsgd_stats_bytes() + 7) / 8);
        if (memory) memory_ = std::move(*memory);
        return memory.has_value();
    }

    Array<std::uint64_t> memory_;
};

// ---- fitting ------------------------------------------------------------------------------------

// qsgd_fit_options, with the same defaults.
struct FitOptions {
    qsgd_fit_method method = QSGD_FIT_ALQ;
    qsgd_fit_weight weight = QSGD_WEIGHT_NORM2;
    qsgd_fit_model model = QSGD_MODEL_EMPIRICAL;
    qsgd_fit_start start = QSGD_START_BEST;
    std::uint32_t s = 7;
    bool symmetric = true;
    bool zero = true;
    std::uint32_t sweeps = 0;
    double bits = 0;
    double mean = 0;
    double sigma = 0;

    qsgd_fit_options c() const {
        qsgd_fit_options c;
        qsgd_fit_options_init(&c);
        c.method = method;
        c.weight = weight;
        c.model = model;
        c.start = start;
        c.s = s;
        c.symmetric = symmetric;
        c.zero = zero;
        c.sweeps = sweeps;
        c.bits = bits;
        c.mean = mean;
        c.sigma = sigma;
        return c;
    }
};

// Fitted levels, and what they make of the statistics.
struct Fit : qsgd_fit {
    // A codec with these levels, otherwise as given.
    Params params(Params params = {}) const {
        params.levels = static_cast<qsgd_levels>(levels);
        params.zero = zero != 0;
        params.level_table.assign(level_table, level_table + level_table_len);
        return params;
    }
};

namespace detail {
// Calls fit(options, result, workspace, error) with what both functions need.
template <typename Function> Result<Fit> run_fit(const FitOptions &options, Function fit) {
    const Runner none;
    Call call(none, nullptr);
    Fit result;
    qsgd_fit_init(static_cast<qsgd_fit *>(&result));
    const qsgd_fit_options c = options.c();
    if (!call.reserve(qsgd_fit_workspace_bytes())) return call.failure();
    return call.result(fit(&c, &result, call.workspace(), &call.error), result);
}
} // namespace detail

// Fits levels to statistics, which may be nullptr for QSGD_MODEL_NORMAL.
inline Result<Fit> try_fit_levels(const Stats *stats, const FitOptions &options = {}) {
    return detail::run_fit(options, [&](const qsgd_fit_options *c, qsgd_fit *fit,
                                        qsgd_memory workspace, qsgd_error *error) {
        return qsgd_fit_levels(stats ? stats->c() : nullptr, c, fit, workspace, error);
    });
}

// The same evaluation for the levels of params.
inline Result<Fit> try_fit_evaluate(const Stats *stats, const Params &params,
                                    const FitOptions &options = {}) {
    const qsgd_params p = params.c();
    return detail::run_fit(options, [&](const qsgd_fit_options *c, qsgd_fit *fit,
                                        qsgd_memory workspace, qsgd_error *error) {
        return qsgd_fit_evaluate(stats ? stats->c() : nullptr, c, &p, fit, workspace, error);
    });
}

#if QSGD_EXCEPTIONS
inline Fit fit_levels(const Stats &stats, const FitOptions &options = {}) {
    return try_fit_levels(&stats, options).value();
}
inline Fit fit_evaluate(const Stats &stats, const Params &params, const FitOptions &options = {}) {
    return try_fit_evaluate(&stats, params, options).value();
}
#endif

} // namespace QSGD_INLINE_NAMESPACE
} // namespace qsgd

#endif // QSGD_FIT_HPP
