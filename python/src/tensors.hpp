// Python objects as memory: the first step of encode, the last of decode. Every tensor argument
// (NumPy, torch, DLPack, buffer protocol) becomes a pointer, a dtype and a shape, without a copy
// where it is C-contiguous.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <array>
#include <cstdint>
#include <memory>
#include <string>

#include "dlpack.hpp"
#include "errors.hpp"

namespace binding {

constexpr uint32_t kUnknownDtype = UINT32_MAX;

enum class Access { read, write };

struct ReleaseBuffer {
    void operator()(Py_buffer *view) const {
        PyBuffer_Release(view);
        delete view;
    }
};
using BufferOwner = std::unique_ptr<Py_buffer, ReleaseBuffer>;

// Memory of a Python object. Valid while this lives; destroy under the GIL.
struct Tensor {
    void *data = nullptr;
    uint32_t dtype = kUnknownDtype;
    uint32_t ndim = 0;
    std::array<uint64_t, QSGD_MAX_DIMS> shape{};
    uint64_t n = 1; // elements
    uint64_t itemsize = 1;
    py::object object;  // keeps the memory: the argument itself, or the one contiguous copy
    BufferOwner buffer; // keeps a buffer exported (a bytearray cannot be resized meanwhile)
    dlpack::Owner managed;

    uint64_t nbytes() const { return n * itemsize; }
};

// Reads `object`; `name` is the argument's name for errors. With Access::write the memory must be
// writable and C-contiguous. With Access::read other strides are copied once.
Tensor load(py::handle object, const char *name, Access access);

// A frame or other plain bytes, read only: `bytes` fast, otherwise anything that `load` takes.
Tensor load_bytes(py::handle object, const char *name);

// Raises unless the tensor has `n` elements.
void check_length(const Tensor &tensor, uint64_t n, const char *name);

// As load, and of that dtype and element count (kNone: any).
Tensor load_as(py::handle object, const char *name, Access access, uint32_t dtype, uint64_t n);

const char *dtype_name(uint32_t dtype);
uint64_t dtype_size(uint32_t dtype);

// By NumPy's kind letter (V: bfloat16) and bytes, by name, and of a NumPy dtype; kUnknownDtype if
// there is none, or its byte order is foreign.
uint32_t find_dtype(char kind, uint64_t size);
uint32_t find_dtype(std::string_view name);
uint32_t numpy_dtype(const py::dtype &dtype);

// Raises: `what` is not a dtype that a frame can hold.
[[noreturn]] void refuse_dtype(const std::string &what, const char *name);

// From a name, a NumPy dtype or scalar type, or a torch.dtype.
uint32_t dtype_number(py::handle object);

// As load_as; None gives a tensor without data.
Tensor load_optional(py::handle object, const char *name, Access access, uint32_t dtype,
                     uint64_t n);

// A new C-contiguous NumPy array; bfloat16 needs a package that registers it with NumPy.
py::array new_array(uint32_t dtype, const uint64_t *shape, uint32_t ndim);
inline py::array new_vector(uint32_t dtype, uint64_t n) { return new_array(dtype, &n, 1); }

} // namespace binding
