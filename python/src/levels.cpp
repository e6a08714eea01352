// Statistics of normalised tensors, and levels fitted to them: qsgd_fit.h as Python objects.
#include <cstring>
#include <mutex>

#include "core.hpp"
#include "qsgd_fit.h"

namespace binding {

namespace {

// Statistics in memory of their own. Calls on one object from several threads take turns.
class Stats {
  public:
    explicit Stats(const Params &params) : memory_(words()) {
        Detail detail;
        check(qsgd_stats_init(get(), &params.c, &detail), detail);
    }
    Stats(const Stats &other) : memory_(other.copy()) {}
    Stats &operator=(const Stats &) = delete;

    void add(py::object object) {
        const Tensor x = load(object, "x", Access::read);
        Detail detail;
        qsgd_status status = QSGD_OK;
        {
            const Workspace workspace(sizes(x.dtype, x.n).workspace_bytes);
            const Unlocked unlocked(UINT64_MAX); // to wait for the lock would stop all threads
            const std::lock_guard<std::mutex> lock(mutex_);
            status = qsgd_stats_add(get(), x.dtype, x.data, x.n, workspace.memory(), &detail);
        }
        check_as(status, detail, "x");
    }

    void merge(const Stats &other) {
        Stats copy(other); // so that no two locks are held at once
        Detail detail;
        qsgd_status status = QSGD_OK;
        {
            const Unlocked unlocked(UINT64_MAX);
            const std::lock_guard<std::mutex> lock(mutex_);
            status = qsgd_stats_merge(get(), copy.get(), &detail);
        }
        check(status, detail);
    }

    py::bytes to_bytes() const {
        const std::vector<uint64_t> copied = copy();
        std::vector<char> bytes(sizes(QSGD_FLOAT32, 0).dst_bytes);
        uint64_t size = 0;
        Detail detail;
        check(qsgd_stats_save(reinterpret_cast<const qsgd_stats *>(copied.data()),
                              {bytes.data(), bytes.size()}, &size, &detail),
              detail);
        return py::bytes(bytes.data(), size);
    }

    static std::unique_ptr<Stats> from_bytes(py::object object) {
        const Tensor bytes = load_bytes(object, "buffer");
        std::unique_ptr<Stats> stats(new Stats());
        Detail detail;
        check(qsgd_stats_load(stats->get(), bytes.data, bytes.nbytes(), &detail), detail);
        return stats;
    }

    qsgd_stats_info info() const {
        qsgd_stats_info info{};
        qsgd_stats_info_init(&info);
        const Unlocked unlocked(UINT64_MAX);
        const std::lock_guard<std::mutex> lock(mutex_);
        qsgd_stats_inspect(get(), &info, nullptr); // of statistics that were made: it cannot fail
        return info;
    }

    // A consistent copy of the memory.
    std::vector<uint64_t> copy() const {
        const Unlocked unlocked(UINT64_MAX);
        const std::lock_guard<std::mutex> lock(mutex_);
        return memory_;
    }

  private:
    Stats() : memory_(words()) {}
    static size_t words() { return (qsgd_stats_bytes() + 7) / 8; }
    qsgd_stats *get() { return reinterpret_cast<qsgd_stats *>(memory_.data()); }
    const qsgd_stats *get() const { return reinterpret_cast<const qsgd_stats *>(memory_.data()); }

    // What adding n elements needs, and saving.
    qsgd_sizes sizes(uint32_t dtype, uint64_t n) const {
        qsgd_sizes sizes{};
        qsgd_sizes_init(&sizes);
        Detail detail;
        qsgd_status status = QSGD_OK;
        {
            const Unlocked unlocked(UINT64_MAX);
            const std::lock_guard<std::mutex> lock(mutex_);
            status = qsgd_stats_sizes(get(), dtype, n, &sizes, &detail);
        }
        check_as(status, detail, "x");
        return sizes;
    }

    std::vector<uint64_t> memory_;
    mutable std::mutex mutex_;
};

py::dict describe(const qsgd_fit &fit) {
    py::list level_table, probabilities;
    for (uint32_t i = 0; i < fit.level_table_len; i++) level_table.append(fit.level_table[i]);
    for (uint32_t i = 0; i < fit.indices; i++) probabilities.append(fit.probability[i]);
    py::dict result;
    result["level_table"] = level_table;
    result["zero"] = fit.zero != 0;
    result["variance"] = fit.variance;
    result["error"] = fit.error;
    result["entropy"] = fit.entropy;
    result["probabilities"] = probabilities;
    result["p"] = fit.p;
    result["sweeps"] = fit.sweeps;
    return result;
}

// Runs fit or evaluate; the statistics are copied, so that others may go on adding.
template <typename Call> py::dict run_fit(const Stats *stats, Call call) {
    std::vector<uint64_t> copied;
    if (stats != nullptr) copied = stats->copy();
    const auto *c = copied.empty() ? nullptr : reinterpret_cast<const qsgd_stats *>(copied.data());
    qsgd_fit fit{};
    qsgd_fit_init(&fit);
    Detail detail;
    qsgd_status status = QSGD_OK;
    {
        const Workspace workspace(qsgd_fit_workspace_bytes());
        const Unlocked unlocked(UINT64_MAX);
        status = call(c, &fit, workspace.memory(), &detail);
    }
    check(status, detail);
    return describe(fit);
}

qsgd_fit_options fit_options(const py::kwargs &given) {
    qsgd_fit_options o{};
    qsgd_fit_options_init(&o);
    o.method = take<int>(given, "method");
    o.weight = take<int>(given, "weight");
    o.model = take<int>(given, "model");
    o.start = take<int>(given, "start");
    o.s = take<uint32_t>(given, "s");
    o.symmetric = take<bool>(given, "symmetric") ? 1 : 0;
    o.zero = take<bool>(given, "zero") ? 1 : 0;
    o.sweeps = take<uint32_t>(given, "sweeps");
    o.bits = take<double>(given, "bits");
    o.mean = take<double>(given, "mean");
    o.sigma = take<double>(given, "sigma");
    return o;
}

py::dict fit_levels(const Stats *stats, const py::kwargs &given) {
    const qsgd_fit_options o = fit_options(given);
    return run_fit(stats,
                   [&](const qsgd_stats *c, qsgd_fit *fit, qsgd_memory workspace, Detail *detail) {
                       return qsgd_fit_levels(c, &o, fit, workspace, detail);
                   });
}

py::dict evaluate_levels(const Stats &stats, const Params &params, int weight, int model) {
    qsgd_fit_options o{};
    qsgd_fit_options_init(&o);
    o.weight = weight;
    o.model = model;
    return run_fit(&stats,
                   [&](const qsgd_stats *c, qsgd_fit *fit, qsgd_memory workspace, Detail *detail) {
                       return qsgd_fit_evaluate(c, &o, &params.c, fit, workspace, detail);
                   });
}

} // namespace

void define_levels(py::module_ &module) {
    py::class_<Stats>(module, "Stats")
        .def(py::init<const Params &>())
        .def("add", &Stats::add)
        .def("merge", &Stats::merge)
        .def("to_bytes", &Stats::to_bytes)
        .def_static("from_bytes", &Stats::from_bytes)
        .def("copy", [](const Stats &stats) { return std::make_unique<Stats>(stats); })
        .def("info", [](const Stats &stats) {
            const qsgd_stats_info info = stats.info();
            py::dict result;
            result["norm"] = info.norm;
            result["scale_dtype"] = info.scale_dtype;
            result["clip"] = info.clip;
            result["bucket"] = info.bucket;
            result["elements"] = info.elements;
            result["buckets"] = info.buckets;
            result["idle"] = info.idle;
            result["zeros"] = info.zeros;
            return result;
        });
    module.def("fit_levels", &fit_levels);
    module.def("evaluate_levels", &evaluate_levels);
}

} // namespace binding
