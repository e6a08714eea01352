// Status to exception: one qsgd.QsgdError for every failure, with the status, the parameter's
// Python name, and the place where it applies. Included by every binding source.
#pragma once

#include <pybind11/pybind11.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "qsgd.h"

namespace binding {

namespace py = pybind11;

constexpr uint64_t kNone = UINT64_MAX;

// The error struct of the C interface, ready for use.
struct Detail : qsgd_error {
    Detail() { qsgd_error_init(static_cast<qsgd_error *>(this)); }
};

// Names in Python of what the C interface calls otherwise.
inline std::string python_name(const char *parameter) {
    if (parameter == nullptr) return {};
    const std::string_view name(parameter);
    if (name == "src") return "x";
    if (name == "dst") return "out";
    if (name == "chunk_log2") return "chunk";
    if (name == "level_table" || name == "level_table_len") return "levels";
    if (name == "workers") return "threads";
    if (name == "weights") return "probabilities";
    if (name == "tag_bytes") return "tag";
    if (name == "sigma") return "std";
    if (name == "exact_zeros") return "zeros";
    if (name == "target_bits") return "bits";
    if (name == "target_error") return "error";
    if (name == "last") return "like";
    return std::string(name);
}

// Where an error is; kNone and empty where that does not apply.
struct Place {
    uint64_t offset = kNone;
    uint64_t element = kNone;
    uint64_t bucket = kNone;
    uint64_t frame = kNone;
    uint64_t needed = kNone;
    std::string digest{}; // of the shared tables that are missing
};

// Raises QsgdError. `reason` is the bare sentence; where it applies the message adds the parameter
// in front and the place behind. The class is looked up when needed: it lives in Python, so that it
// pickles.
[[noreturn]] inline void raise(qsgd_status status, const std::string &reason,
                               const std::string &parameter = {}, const Place &place = {}) {
    const auto number = [](uint64_t value) -> py::object {
        return value == kNone ? py::none() : py::object(py::int_(value));
    };
    const auto text = [](const std::string &value) -> py::object {
        return value.empty() ? py::none() : py::object(py::str(value));
    };
    py::object type = py::module_::import("qsgd.errors").attr("QsgdError");
    py::object error = type.attr("build")(
        static_cast<int>(status), qsgd_status_name(status), reason, text(parameter),
        py::arg("offset") = number(place.offset), py::arg("element") = number(place.element),
        py::arg("bucket") = number(place.bucket), py::arg("frame") = number(place.frame),
        py::arg("needed") = number(place.needed), py::arg("digest") = text(place.digest));
    PyErr_SetObject(type.ptr(), error.ptr());
    throw py::error_already_set();
}

[[noreturn]] inline void raise(const Detail &detail, const std::string &digest = {}) {
    raise(detail.status, detail.reason, python_name(detail.parameter),
          {detail.offset, detail.element, detail.bucket, detail.frame, detail.needed, digest});
}

inline void check(qsgd_status status, const Detail &detail) {
    if (status != QSGD_OK) raise(detail);
}

// As check, for calls whose dtype is that of the argument `dtype_is`.
inline void check_as(qsgd_status status, Detail &detail, const char *dtype_is) {
    if (detail.parameter != nullptr && std::string_view(detail.parameter) == "dtype")
        detail.parameter = dtype_is;
    check(status, detail);
}

// An unsigned 64-bit argument; any object with __index__.
inline uint64_t to_u64(py::handle value, const char *name) {
    if (PyBool_Check(value.ptr()) || !PyIndex_Check(value.ptr()))
        raise(QSGD_ERR_PARAM,
              std::string("must be an integer, got ") + Py_TYPE(value.ptr())->tp_name, name);
    py::object integer = py::reinterpret_steal<py::object>(PyNumber_Index(value.ptr()));
    if (!integer) throw py::error_already_set();
    const unsigned long long result = PyLong_AsUnsignedLongLong(integer.ptr());
    if (result == ~0ULL && PyErr_Occurred()) {
        PyErr_Clear();
        raise(QSGD_ERR_PARAM,
              "must be from 0 to 2**64 - 1, got " + py::repr(integer).cast<std::string>(), name);
    }
    return result;
}

} // namespace binding
