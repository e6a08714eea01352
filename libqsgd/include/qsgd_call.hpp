// qsgd_call.hpp: parameters, runners and options, and what calls make of them for C. Included by
// qsgd.hpp.
#ifndef QSGD_CALL_HPP
#define QSGD_CALL_HPP

#include <condition_variable>
#include <functional>
#include <mutex>
#include <vector>

#include "qsgd_types.hpp"

namespace qsgd {
inline namespace QSGD_INLINE_NAMESPACE {

// ---- parameters ---------------------------------------------------------------------------------

// qsgd_params, with the same defaults, and owner of its tables.
struct Params {
    qsgd_norm norm = QSGD_NORM_BALANCED;
    qsgd_levels levels = QSGD_LEVELS_AUTO;
    std::uint32_t s = 7;
    float step = 0;
    bool zero = true;
    std::uint64_t bucket = 512;
    qsgd_rounding rounding = QSGD_ROUND_AUTO;
    qsgd_code code = QSGD_CODE_RANS;
    qsgd_classes classes = QSGD_CLASSES_AUTO;
    bool rotation = false;
    bool rescale = false;
    float clip = 0;
    qsgd_dtype scale_dtype = QSGD_BFLOAT16;
    qsgd_nonfinite nonfinite = QSGD_NONFINITE_RAISE;
    bool checksum = true;
    std::uint32_t chunk_log2 = 16;
    std::uint64_t seed = 0;
    std::vector<float> level_table = {};
    std::vector<std::uint8_t> shared_tables = {};
    double feedback_decay = 0;
    double reference = 0;
    bool exact_zeros = false;
    double target_bits = 0;
    double target_error = 0;
    bool strict = false;
    bool slot = false;
    double dead_zone = 0;

    static Params from(const qsgd_params &c) {
        Params p;
        p.norm = static_cast<qsgd_norm>(c.norm);
        p.levels = static_cast<qsgd_levels>(c.levels);
        p.s = c.s;
        p.step = c.step;
        p.zero = c.zero != 0;
        p.bucket = c.bucket;
        p.rounding = static_cast<qsgd_rounding>(c.rounding);
        p.code = static_cast<qsgd_code>(c.code);
        p.classes = static_cast<qsgd_classes>(c.classes);
        p.rotation = c.rotation != 0;
        p.rescale = c.rescale != 0;
        p.clip = c.clip;
        p.scale_dtype = static_cast<qsgd_dtype>(c.scale_dtype);
        p.nonfinite = static_cast<qsgd_nonfinite>(c.nonfinite);
        p.checksum = c.checksum != 0;
        p.chunk_log2 = c.chunk_log2;
        p.seed = c.seed;
        p.feedback_decay = c.feedback_decay;
        p.reference = c.reference;
        p.exact_zeros = c.exact_zeros != 0;
        p.target_bits = c.target_bits;
        p.target_error = c.target_error;
        p.strict = c.strict != 0;
        p.slot = c.slot != 0;
        p.dead_zone = c.dead_zone;
        if (c.level_table != nullptr)
            p.level_table.assign(c.level_table, c.level_table + c.level_table_len);
        if (c.shared_tables != nullptr) {
            const auto *bytes = static_cast<const std::uint8_t *>(c.shared_tables);
            p.shared_tables.assign(bytes, bytes + c.shared_tables_bytes);
        }
        return p;
    }
    // The same for C; its pointers are to this object's tables.
    qsgd_params c() const {
        qsgd_params c;
        qsgd_params_init(&c);
        c.norm = norm;
        c.levels = levels;
        c.s = s;
        c.step = step;
        c.zero = zero;
        c.bucket = bucket;
        c.rounding = rounding;
        c.code = code;
        c.classes = classes;
        c.rotation = rotation;
        c.rescale = rescale;
        c.clip = clip;
        c.scale_dtype = scale_dtype;
        c.nonfinite = nonfinite;
        c.checksum = checksum;
        c.chunk_log2 = chunk_log2;
        c.seed = seed;
        c.feedback_decay = feedback_decay;
        c.reference = reference;
        c.exact_zeros = exact_zeros;
        c.target_bits = target_bits;
        c.target_error = target_error;
        c.strict = strict;
        c.slot = slot;
        c.dead_zone = dead_zone;
        c.level_table = level_table.empty() ? nullptr : level_table.data();
        c.level_table_len = static_cast<std::uint32_t>(level_table.size());
        c.shared_tables = shared_tables.empty() ? nullptr : shared_tables.data();
        c.shared_tables_bytes = shared_tables.size();
        return c;
    }
};

// ---- runners ------------------------------------------------------------------------------------

namespace detail {
// Lets tasks of a run in until it is over, and then waits for those that are inside.
class Gate {
  public:
    bool enter() {
        const std::lock_guard<std::mutex> lock(mutex_);
        if (!closed_) inside_++;
        return !closed_;
    }
    void leave() {
        const std::lock_guard<std::mutex> lock(mutex_);
        if (--inside_ == 0) empty_.notify_all();
    }
    void close() {
        std::unique_lock<std::mutex> lock(mutex_);
        closed_ = true;
        empty_.wait(lock, [this] { return inside_ == 0; });
    }

  private:
    std::mutex mutex_;
    std::condition_variable empty_;
    std::uint64_t inside_ = 0;
    bool closed_ = false;
};
} // namespace detail

// What a runner is given. Copies may outlive the run: they then do nothing.
class Task {
  public:
    Task(qsgd_task task, void *job)
        : gate_(std::make_shared<detail::Gate>()), task_(task), job_(job) {}
    void operator()(std::uint64_t index, std::uint32_t worker = 0) const {
        if (!gate_->enter()) return;
        task_(job_, index, worker);
        gate_->leave();
    }
    void close() const { gate_->close(); }

  private:
    std::shared_ptr<detail::Gate> gate_;
    qsgd_task task_;
    void *job_;
};

// Calls task(index, worker) once for every index below `count`, on any threads, and returns when
// all are done; qsgd_runner says the rest. It may throw: the call then ends when the tasks that are
// under way have ended, and throws the same.
using Runner = std::function<void(std::uint64_t count, const Task &task)>;

// ---- options ------------------------------------------------------------------------------------

// Scratch for calls that follow each other: it grows to what they need and is kept.
class Workspace {
  public:
    // False: there is no memory.
    bool reserve(std::uint64_t bytes) {
        if (bytes <= memory_.size()) return true;
        memory_ = Array<unsigned char>();
        auto more = Array<unsigned char>::make(bytes);
        if (more) memory_ = std::move(*more);
        return more.has_value();
    }
    qsgd_memory c() { return {memory_.data(), memory_.size()}; }

  private:
    Array<unsigned char> memory_;
};

// qsgd_encode_options; the dtype is that of the elements. Views must outlive the call.
struct EncodeOptions {
    std::uint64_t nonce = 0;
    std::optional<Span<const std::uint64_t>> shape = std::nullopt; // default: flat
    Bytes tag = {};
    Span<const float> scales = {}; // one per bucket
    Span<float> residual = {};     // one per element
    std::uint32_t workers = 1;
    Runner runner = nullptr;
    Workspace *workspace = nullptr; // default: the call's own
    std::uint64_t origin = 0;
    qsgd_encode_report *report = nullptr;     // initialised; receives what came out
    const qsgd_encode_report *last = nullptr; // with a target: where to go on from
};

// qsgd_decode_options; the dtype is that of the elements.
struct DecodeOptions {
    bool atomic = false;
    bool padded = false;                     // zeros may follow the frame, as in a slot
    std::uint64_t max_elements = UINT64_MAX; // calls that allocate the elements: then 2^28
    std::uint64_t allowed_codes = UINT64_MAX;
    std::uint64_t allowed_norms = UINT64_MAX;
    std::uint64_t allowed_levels = UINT64_MAX;
    std::uint64_t allowed_roundings = UINT64_MAX;
    Span<const qsgd_bytes> shared_tables = {};
    std::uint32_t workers = 1;
    Runner runner = nullptr;
    Workspace *workspace = nullptr;
};

namespace detail {
constexpr auto dtype_of_frame = static_cast<qsgd_dtype>(QSGD_DTYPE_OF_FRAME);
constexpr std::uint64_t most_allocated = std::uint64_t{1} << 28;

// What every call has: sizes, scratch, a runner that keeps what it throws, and an error.
class Call {
  public:
    Call(const Runner &runner, Workspace *workspace)
        : runner_(runner), workspace_(workspace != nullptr ? workspace : &own_) {
        qsgd_sizes_init(&sizes);
    }
    Call(const Call &) = delete;
    Call &operator=(const Call &) = delete;

    NewError error;
    qsgd_sizes sizes;

    qsgd_memory workspace() { return workspace_->c(); }
    Failure failure() const { return Failure(error, thrown_); }
    bool reserve(std::uint64_t bytes) {
        return workspace_->reserve(bytes) || fail(QSGD_ERR_MEMORY, nullptr, "out of memory");
    }
    bool fail(qsgd_status status, const char *parameter, const char *reason) {
        error.status = status;
        error.parameter = parameter;
        error.reason = reason;
        return false;
    }
    template <typename T> std::optional<Array<T>> make(std::uint64_t size) {
        auto array = Array<T>::make(size);
        if (!array) fail(QSGD_ERR_MEMORY, nullptr, "out of memory");
        return array;
    }
    template <typename T = Nothing> Result<T> result(qsgd_status status, T value = T()) {
        if (status != QSGD_OK) return failure();
        return value;
    }

  protected:
    template <typename Options> void give_runner(Options &c, std::uint32_t workers) {
        c.workers = workers;
        if (!runner_) return;
        c.runner = run;
        c.runner_context = this;
    }

  private:
    // The runner as C calls it: nothing is thrown through C, and no task runs after its return.
    static qsgd_status run(void *context, qsgd_task task, void *job, std::uint64_t count) noexcept {
        struct Closing {
            Task task;
            ~Closing() { task.close(); }
        };
        Call &call = *static_cast<Call *>(context);
#if QSGD_EXCEPTIONS
        try {
            const Closing closing{Task(task, job)};
            call.runner_(count, closing.task);
        } catch (...) {
            call.thrown_ = std::current_exception();
            return QSGD_ERR_RUNNER;
        }
#else
        const Closing closing{Task(task, job)};
        call.runner_(count, closing.task);
#endif
        return QSGD_OK;
    }

    const Runner &runner_;
    std::exception_ptr thrown_;
    Workspace own_;
    Workspace *workspace_;
};

class EncodeCall : public Call {
  public:
    EncodeCall(const Params &p, const EncodeOptions &o, qsgd_dtype dtype)
        : Call(o.runner, o.workspace), params(p.c()), scales_(o.scales.size()),
          residual_(o.residual.size()) {
        qsgd_encode_options_init(&options);
        options.dtype = dtype;
        options.nonce = o.nonce;
        options.origin = o.origin;
        options.report = o.report;
        options.last = o.last;
        if (o.shape) {
            options.ndim = static_cast<std::uint32_t>(o.shape->size());
            options.shape = o.shape->data();
        }
        options.tag = o.tag.data();
        options.tag_bytes = o.tag.size();
        options.scales = o.scales.data();
        options.residual = o.residual.data();
        give_runner(options, o.workers);
    }
    bool measure(std::uint64_t n) {
        if (qsgd_encode_sizes(&params, &options, n, &sizes, &error) != QSGD_OK) return false;
        if (options.residual != nullptr && residual_ != n)
            return fail(QSGD_ERR_LENGTH, "residual", "residual needs an entry per element");
        if (options.scales != nullptr && scales_ != sizes.buckets)
            return fail(QSGD_ERR_LENGTH, "scales", "scales needs an entry per bucket");
        return true;
    }
    bool prepare(std::uint64_t n) { return measure(n) && reserve(sizes.workspace_bytes); }

    qsgd_params params;
    qsgd_encode_options options;

  private:
    std::size_t scales_, residual_;
};

class DecodeCall : public Call {
  public:
    explicit DecodeCall(const DecodeOptions &o, qsgd_dtype dtype = dtype_of_frame)
        : Call(o.runner, o.workspace) {
        qsgd_decode_options_init(&options);
        options.dtype = dtype;
        if (o.atomic) options.flags |= QSGD_DECODE_ATOMIC;
        if (o.padded) options.flags |= QSGD_DECODE_PADDED;
        options.max_elements = o.max_elements;
        options.allowed_codes = o.allowed_codes;
        options.allowed_norms = o.allowed_norms;
        options.allowed_levels = o.allowed_levels;
        options.allowed_roundings = o.allowed_roundings;
        options.shared_tables = o.shared_tables.data();
        options.shared_tables_count = static_cast<std::uint32_t>(o.shared_tables.size());
        give_runner(options, o.workers);
    }
    // For calls that allocate what a frame says it holds.
    void limit() {
        if (options.max_elements == UINT64_MAX) options.max_elements = most_allocated;
    }
    bool prepare(Bytes frame) {
        return qsgd_decode_sizes(frame.data(), frame.size(), &options, &sizes, &error) == QSGD_OK &&
               reserve(sizes.workspace_bytes);
    }
    bool prepare(Span<const qsgd_weighted_frame> frames, std::uint64_t n) {
        return qsgd_decode_sum_sizes(frames.data(), static_cast<std::uint32_t>(frames.size()),
                                     &options, n, &sizes, &error) == QSGD_OK &&
               reserve(sizes.workspace_bytes);
    }
    Status decode(Bytes frame, void *dst, std::uint64_t n) {
        return result(
            qsgd_decode(frame.data(), frame.size(), &options, dst, n, workspace(), &error));
    }

    qsgd_decode_options options;
};
} // namespace detail

} // namespace QSGD_INLINE_NAMESPACE
} // namespace qsgd

#endif // QSGD_CALL_HPP
