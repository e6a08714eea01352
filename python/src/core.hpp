// What the binding sources share: the codec's parameters as an object, the GIL released around C,
// and the options of one call.
#pragma once

#include <pybind11/pybind11.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "errors.hpp"
#include "pool.hpp"
#include "qsgd_stages.h"
#include "tensors.hpp"

namespace binding {

// Below this many bytes a call is shorter than handing the GIL over and back.
constexpr uint64_t kKeepGilBytes = 4096;
// With fewer chunks than this, waking threads costs more than they save.
constexpr uint64_t kFewestChunks = 4;

// Releases the GIL while it lives, if there is enough work.
class Unlocked {
  public:
    explicit Unlocked(uint64_t bytes)
        : state_(bytes > kKeepGilBytes ? PyEval_SaveThread() : nullptr) {}
    ~Unlocked() {
        if (state_ == nullptr) return;
        try {
            PyEval_RestoreThread(state_);
        } catch (...) {
            // Python before 3.14 ends daemon threads with pthread_exit when the process exits. To
            // unwind would touch Python objects without the GIL: wait for the end here instead.
            for (;;) pause();
        }
    }
    Unlocked(const Unlocked &) = delete;
    Unlocked &operator=(const Unlocked &) = delete;

  private:
    PyThreadState *state_;
};

// Bytes that C writes into, cut to what it wrote.
class NewBytes {
  public:
    explicit NewBytes(uint64_t size)
        : object_(PyBytes_FromStringAndSize(nullptr, static_cast<Py_ssize_t>(size))) {
        if (object_ == nullptr) throw py::error_already_set();
    }
    ~NewBytes() { Py_XDECREF(object_); }
    NewBytes(const NewBytes &) = delete;
    NewBytes &operator=(const NewBytes &) = delete;

    qsgd_memory memory() {
        return {PyBytes_AS_STRING(object_), static_cast<uint64_t>(PyBytes_GET_SIZE(object_))};
    }

    py::bytes cut(uint64_t size) {
        if (_PyBytes_Resize(&object_, static_cast<Py_ssize_t>(size)) != 0)
            throw py::error_already_set();
        return py::reinterpret_steal<py::bytes>(std::exchange(object_, nullptr));
    }

  private:
    PyObject *object_;
};

// A keyword argument in C++; KeyError if it is missing.
template <typename T> T take(const py::kwargs &arguments, const char *name) {
    return arguments[name].cast<T>();
}

// Threads for a call over `chunks` chunks; `threads` is None or an integer from 1 to 256.
inline uint32_t thread_count(py::handle threads, uint64_t chunks) {
    uint64_t wanted = 0;
    if (threads.is_none()) {
        wanted = default_threads();
    } else {
        wanted = to_u64(threads, "threads");
        if (wanted < 1 || wanted > QSGD_MAX_WORKERS)
            raise(QSGD_ERR_PARAM, "must be from 1 to 256, got " + std::to_string(wanted),
                  "threads");
    }
    if (chunks < kFewestChunks) return 1;
    return static_cast<uint32_t>(std::min(wanted, chunks));
}

// The same for many tensors, of which there are `count`.
inline uint32_t thread_count_of_many(py::handle threads, uint64_t count) {
    return static_cast<uint32_t>(
        std::min<uint64_t>(thread_count(threads, QSGD_MAX_WORKERS), std::max<uint64_t>(count, 1)));
}

// Runs `call` for one of several tensors or frames: its errors say which, in `frame` and, behind
// the prefix, in words.
template <typename Call> void numbered(size_t number, const std::string &prefix, Call call) {
    try {
        call();
    } catch (py::error_already_set &error) {
        if (!error.matches(py::module_::import("qsgd.errors").attr("QsgdError"))) throw;
        const std::string text = py::str(error.value());
        error.value().attr("args") = py::make_tuple(prefix + ": " + text);
        error.value().attr("frame") = number;
        throw;
    }
}

// Bytes of results that calls without the GIL fill at a time; what more there is comes after them.
constexpr uint64_t kWaveBytes = uint64_t{64} << 20;

// Gives `options` (encode's or decode's) a runner over `workers` threads. Call under the GIL.
template <typename Options>
void set_runner(Options &options, RunnerContext &context, uint32_t workers) {
    context.workers = workers;
    options.workers = workers;
    if (workers > 1) {
        context.pool = &Pool::instance();
        options.runner = run_on_pool;
        options.runner_context = &context;
    }
}

// The parameters of a codec, checked, with the counter that gives nonces.
class Params {
  public:
    qsgd_params c{};
    std::vector<float> level_table;
    std::string shared_tables; // empty: none
    std::atomic<uint64_t> next_nonce{0};

    Params() = default;
    Params(const Params &) = delete;
    Params &operator=(const Params &) = delete;

    // The nonce given, or the counter's next one.
    uint64_t take_nonce(py::handle nonce) {
        return nonce.is_none() ? next_nonce.fetch_add(1) : to_u64(nonce, "nonce");
    }
};

// The options of one call that encodes or quantises n elements, and what it needs.
struct EncodeCall {
    qsgd_encode_options options{};
    RunnerContext runner;
    qsgd_sizes sizes{};
    const char *dtype_is; // the argument that a dtype is of

    explicit EncodeCall(const char *dtype_is_) : dtype_is(dtype_is_) {
        qsgd_encode_options_init(&options);
        qsgd_sizes_init(&sizes);
    }
    EncodeCall(const EncodeCall &) = delete;
    EncodeCall &operator=(const EncodeCall &) = delete;

    // Nonce, 0 for None, and origin.
    void set_noise(const py::tuple &noise) {
        const py::object nonce = noise[0];
        options.nonce = nonce.is_none() ? 0 : to_u64(nonce, "nonce");
        options.origin = to_u64(noise[1], "origin");
    }

    void set_shape(const Tensor &tensor) {
        options.ndim = tensor.ndim;
        options.shape = tensor.shape.data();
    }

    void ask(const qsgd_params &params, uint64_t n) {
        Detail detail;
        check_as(qsgd_encode_sizes(&params, &options, n, &sizes, &detail), detail, dtype_is);
    }

    // The same with as many threads as the chunks are worth.
    void ask(const qsgd_params &params, uint64_t n, py::handle threads) {
        ask(params, n);
        const uint32_t workers = thread_count(threads, sizes.chunks);
        if (workers == 1) return;
        set_runner(options, runner, workers);
        ask(params, n);
    }
};

// Indices, scales and damping of a tensor as C takes them, from Python's or for Python.
struct Quantized {
    Tensor indices;
    Tensor scales;
    Tensor damping; // without data: not given

    qsgd_quantized c() const {
        return {static_cast<int16_t *>(indices.data), static_cast<float *>(scales.data),
                static_cast<uint8_t *>(damping.data), indices.n};
    }

    // Checks the numbers of buckets and chunks, which C takes on trust.
    void check_lengths(const qsgd_sizes &sizes) const {
        check_length(scales, sizes.buckets, "scales");
        if (damping.data != nullptr) check_length(damping, sizes.chunks, "damping");
    }
};

// `parts` are arrays of Python: int16 indices, float32 scales, uint8 damping or None.
inline Quantized load_quantized(const py::tuple &parts) {
    return {load_as(parts[0], "indices", Access::read, QSGD_INT16, kNone),
            load_as(parts[1], "scales", Access::read, QSGD_FLOAT32, kNone),
            load_optional(parts[2], "damping", Access::read, QSGD_UINT8, kNone)};
}

void define_encode(py::module_ &module);                                    // encode.cpp
void define_quantize(py::class_<Params> &params);                           // quantize.cpp
void define_indices(py::class_<Params> &params);                            // indices.cpp
void define_elias(py::module_ &module);                                     // elias.cpp
void define_decode(py::module_ &module);                                    // decode.cpp
void define_frames(py::module_ &module);                                    // frames.cpp
void define_levels(py::module_ &module);                                    // levels.cpp
void define_shared_tables(py::module_ &module, py::class_<Params> &params); // shared_tables.cpp

// Digest of the shared tables that a frame names, in hexadecimal; empty if it names none.
std::string named_tables(const qsgd_frame_info &info);

// As check, for a frame: an error of shared tables that are missing names them.
inline void check_frame(qsgd_status status, const Detail &detail, const qsgd_frame_info &info) {
    if (status == QSGD_OK) return;
    raise(detail, status == QSGD_ERR_SHARED_TABLES ? named_tables(info) : std::string());
}

} // namespace binding
