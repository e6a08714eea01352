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

    char *data() { return PyBytes_AS_STRING(object_); }

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
        if (wanted < 1 || wanted > 256)
            raise(QSGD_ERR_PARAM, "must be from 1 to 256, got " + std::to_string(wanted),
                  "threads");
    }
    if (chunks < kFewestChunks) return 1;
    return static_cast<uint32_t>(std::min(wanted, chunks));
}

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
    std::vector<float> table;
    std::string tables; // shared tables; empty: none
    std::atomic<uint64_t> next_nonce{0};

    Params() = default;
    Params(const Params &) = delete;
    Params &operator=(const Params &) = delete;

    // The nonce given, or the counter's next one.
    uint64_t take_nonce(py::handle nonce) {
        return nonce.is_none() ? next_nonce.fetch_add(1) : to_u64(nonce, "nonce");
    }
};

void define_encode(py::module_ &module);                             // encode.cpp
void define_quantize(py::class_<Params> &params);                    // quantize.cpp
void define_indices(py::class_<Params> &params);                     // indices.cpp
void define_elias(py::module_ &module);                              // elias.cpp
void define_decode(py::module_ &module);                             // decode.cpp
void define_levels(py::module_ &module);                             // levels.cpp
void define_tables(py::module_ &module, py::class_<Params> &params); // tables.cpp

// Digest of the shared tables that a frame names, in hexadecimal; empty if it names none.
std::string named_tables(const struct qsgd_frame_info &info);

// As check, for a frame: an error of its tables names them.
inline void check_frame(qsgd_status status, const Detail &detail,
                        const struct qsgd_frame_info &info) {
    if (status == QSGD_ERR_TABLES)
        raise(status, detail.reason, {}, detail.offset, kNone, kNone, named_tables(info));
    check(status, detail);
}

} // namespace binding
