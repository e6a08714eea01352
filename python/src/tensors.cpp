// NumPy, torch, DLPack and buffer-protocol objects as memory: see tensors.hpp.
#include "tensors.hpp"

#include <cstring>
#include <vector>

namespace binding {

namespace {

std::string type_name(py::handle object) { return Py_TYPE(object.ptr())->tp_name; }

// Fills shape and n from `ndim` signed extents.
template <typename Extent>
void set_shape(Tensor &tensor, const Extent *shape, int64_t ndim, const char *name) {
    if (ndim > QSGD_MAX_DIMS)
        raise(QSGD_ERR_SHAPE, "has " + std::to_string(ndim) + " dimensions; at most 8 are allowed",
              name);
    tensor.ndim = static_cast<uint32_t>(ndim);
    tensor.n = 1;
    for (uint32_t i = 0; i < tensor.ndim; i++) {
        tensor.shape[i] = static_cast<uint64_t>(shape[i]);
        tensor.n *= tensor.shape[i];
    }
}

void require_writable(bool writable, const char *name) {
    if (!writable) raise(QSGD_ERR_PARAM, "is read-only; a writable buffer is needed", name);
}

void require_contiguous(bool contiguous, const char *name) {
    if (!contiguous)
        raise(QSGD_ERR_PARAM, "is not C-contiguous; results are written to contiguous memory only",
              name);
}

[[noreturn]] void refuse_device(const std::string &device, const char *name) {
    raise(QSGD_ERR_UNSUPPORTED,
          "is on device " + device + "; this version takes CPU memory only (move it with .cpu())",
          name);
}

// ---- NumPy ----------------------------------------------------------------------------------

Tensor load_numpy(py::array array, const char *name, Access access) {
    Tensor tensor;
    const py::dtype dtype = array.dtype();
    tensor.dtype = numpy_dtype(dtype);
    if (tensor.dtype == kUnknownDtype) refuse_dtype(py::str(dtype).cast<std::string>(), name);
    tensor.itemsize = dtype_size(tensor.dtype);
    set_shape(tensor, array.shape(), array.ndim(), name);
    const bool contiguous = (array.flags() & py::array::c_style) != 0;
    if (access == Access::write) {
        require_writable(array.writeable(), name);
        require_contiguous(contiguous, name);
    } else if (!contiguous) {
        array = py::reinterpret_borrow<py::array>(array.attr("copy")("C"));
    }
    tensor.data = const_cast<void *>(array.data());
    tensor.object = std::move(array);
    return tensor;
}

// ---- torch, without importing it ------------------------------------------------------------

bool is_torch(py::handle object) {
    py::str name("torch");
    py::object module = py::reinterpret_steal<py::object>(PyImport_GetModule(name.ptr()));
    if (!module) {
        PyErr_Clear();
        return false;
    }
    py::object type = py::getattr(module, "Tensor", py::none());
    return PyType_Check(type.ptr()) && py::isinstance(object, type);
}

Tensor load_torch(py::object object, const char *name, Access access) {
    Tensor tensor;
    if (py::str(object.attr("layout")).cast<std::string>() != "torch.strided")
        raise(QSGD_ERR_UNSUPPORTED, "is a sparse torch tensor; use .to_dense()", name);
    if (!object.attr("is_cpu").cast<bool>())
        refuse_device(py::str(object.attr("device")).cast<std::string>(), name);
    const std::string dtype = py::str(object.attr("dtype")).cast<std::string>();
    tensor.dtype = find_dtype(std::string_view(dtype).substr(dtype.find('.') + 1));
    if (tensor.dtype == kUnknownDtype) refuse_dtype(dtype, name);
    tensor.itemsize = dtype_size(tensor.dtype);

    // A lazy negation or conjugation is not in the memory yet.
    const bool lazy = object.attr("is_neg")().cast<bool>() || object.attr("is_conj")().cast<bool>();
    const bool contiguous = !lazy && object.attr("is_contiguous")().cast<bool>();
    if (access == Access::write) {
        require_contiguous(contiguous, name);
    } else if (!contiguous) {
        object = object.attr("detach")().attr("resolve_conj")().attr("resolve_neg")();
        object = object.attr("contiguous")();
    }
    std::vector<int64_t> shape;
    for (py::handle extent : object.attr("shape")) shape.push_back(extent.cast<int64_t>());
    set_shape(tensor, shape.data(), static_cast<int64_t>(shape.size()), name);
    tensor.data = reinterpret_cast<void *>(object.attr("data_ptr")().cast<uintptr_t>());
    tensor.object = std::move(object);
    return tensor;
}

// ---- DLPack ---------------------------------------------------------------------------------

uint32_t dlpack_dtype(const dlpack::Tensor &source) {
    if (source.lanes != 1 || source.bits % 8 != 0) return kUnknownDtype;
    const uint64_t size = source.bits / 8;
    switch (source.code) {
    case dlpack::kInt: return find_dtype('i', size);
    case dlpack::kUInt: return find_dtype('u', size);
    case dlpack::kFloat: return find_dtype('f', size);
    case dlpack::kBfloat: return find_dtype('V', size);
    case dlpack::kComplex: return find_dtype('c', size);
    case dlpack::kBool: return find_dtype('b', size);
    default: return kUnknownDtype;
    }
}

bool is_contiguous(const dlpack::Tensor &source) {
    if (source.strides == nullptr) return true;
    int64_t expected = 1;
    bool contiguous = true;
    for (int32_t i = source.ndim - 1; i >= 0; i--) {
        if (source.shape[i] == 0) return true;
        if (source.shape[i] != 1 && source.strides[i] != expected) contiguous = false;
        expected *= source.shape[i];
    }
    return contiguous;
}

// Copies a strided tensor to C order; strides are in elements.
py::bytes gather(const dlpack::Tensor &source, const char *data, uint64_t n, uint64_t itemsize) {
    py::bytes copy = py::reinterpret_steal<py::bytes>(
        PyBytes_FromStringAndSize(nullptr, static_cast<Py_ssize_t>(n * itemsize)));
    if (!copy) throw py::error_already_set();
    char *out = PyBytes_AS_STRING(copy.ptr());
    std::array<int64_t, QSGD_MAX_DIMS> position{};
    int64_t offset = 0; // elements
    for (uint64_t i = 0; i < n; i++) {
        std::memcpy(out + i * itemsize, data + offset * static_cast<int64_t>(itemsize), itemsize);
        for (int32_t axis = source.ndim - 1; axis >= 0; axis--) {
            const auto a = static_cast<size_t>(axis);
            offset += source.strides[axis];
            if (++position[a] < source.shape[axis]) break;
            offset -= source.strides[axis] * source.shape[axis];
            position[a] = 0;
        }
    }
    return copy;
}

py::object dlpack_capsule(py::handle object) {
    try {
        return object.attr("__dlpack__")(py::arg("max_version") = py::make_tuple(1, 0));
    } catch (py::error_already_set &error) {
        if (!error.matches(PyExc_TypeError)) throw; // a producer from before DLPack 1.0
    }
    return object.attr("__dlpack__")();
}

Tensor load_dlpack(py::handle object, const char *name, Access access) {
    const auto device = object.attr("__dlpack_device__")().cast<std::pair<int, int>>();
    if (device.first != dlpack::kCPU && device.first != dlpack::kCUDAHost)
        refuse_device(device.first == dlpack::kCUDA ? "cuda:" + std::to_string(device.second)
                                                    : "type " + std::to_string(device.first),
                      name);
    py::object capsule = dlpack_capsule(object);
    Tensor tensor;
    if (!tensor.managed.take(capsule.ptr()))
        raise(QSGD_ERR_UNSUPPORTED, "gives a DLPack capsule of an unknown version", name);
    const dlpack::Tensor &source = tensor.managed.tensor();
    tensor.dtype = dlpack_dtype(source);
    if (tensor.dtype == kUnknownDtype)
        refuse_dtype("with DLPack code " + std::to_string(source.code) + " and " +
                         std::to_string(source.bits) + " bits",
                     name);
    tensor.itemsize = dtype_size(tensor.dtype);
    set_shape(tensor, source.shape, source.ndim, name);
    char *data = static_cast<char *>(source.data);
    if (data != nullptr) data += source.byte_offset;
    tensor.data = data;
    const bool contiguous = is_contiguous(source);
    if (access == Access::write) {
        require_writable(tensor.managed.writable(), name);
        require_contiguous(contiguous, name);
    } else if (!contiguous) {
        py::bytes copy = gather(source, data, tensor.n, tensor.itemsize);
        tensor.data = PyBytes_AS_STRING(copy.ptr());
        tensor.object = std::move(copy);
    }
    return tensor;
}

// ---- Buffer protocol ------------------------------------------------------------------------

// A struct-module format of one native number; "B" if absent.
uint32_t format_dtype(const char *format, uint64_t size) {
    std::string_view text(format == nullptr ? "B" : format);
    const uint16_t probe = 1;
    const bool little = *reinterpret_cast<const unsigned char *>(&probe) == 1;
    if (!text.empty() && (text[0] == '@' || text[0] == '=' || text[0] == (little ? '<' : '>')))
        text.remove_prefix(1);
    if (text == "Zf" || text == "Zd" || text == "F" || text == "D") return find_dtype('c', size);
    if (text.size() != 1) return kUnknownDtype;
    if (std::strchr("efd", text[0]) != nullptr) return find_dtype('f', size);
    if (std::strchr("bhilqn", text[0]) != nullptr) return find_dtype('i', size);
    if (std::strchr("BHILQNc", text[0]) != nullptr) return find_dtype('u', size);
    return text[0] == '?' ? find_dtype('b', size) : kUnknownDtype;
}

Tensor load_buffer(py::handle object, const char *name, Access access) {
    Tensor tensor;
    auto view = std::make_unique<Py_buffer>();
    if (PyObject_GetBuffer(object.ptr(), view.get(), PyBUF_FULL_RO) != 0)
        throw py::error_already_set();
    tensor.buffer = BufferOwner(view.release());
    Py_buffer &buffer = *tensor.buffer;
    tensor.itemsize = static_cast<uint64_t>(buffer.itemsize);
    tensor.dtype = format_dtype(buffer.format, tensor.itemsize);
    if (tensor.dtype == kUnknownDtype)
        refuse_dtype(std::string("with format '") + (buffer.format ? buffer.format : "B") + "'",
                     name);
    set_shape(tensor, buffer.shape, buffer.ndim, name);
    tensor.data = buffer.buf;
    const bool contiguous = PyBuffer_IsContiguous(&buffer, 'C') != 0;
    if (access == Access::write) {
        require_writable(buffer.readonly == 0, name);
        require_contiguous(contiguous, name);
    } else if (!contiguous) {
        py::bytes copy =
            py::reinterpret_steal<py::bytes>(PyBytes_FromStringAndSize(nullptr, buffer.len));
        if (!copy ||
            PyBuffer_ToContiguous(PyBytes_AS_STRING(copy.ptr()), &buffer, buffer.len, 'C') != 0)
            throw py::error_already_set();
        tensor.data = PyBytes_AS_STRING(copy.ptr());
        tensor.object = std::move(copy);
    }
    return tensor;
}

} // namespace

namespace {

Tensor load_any(py::handle object, const char *name, Access access) {
    if (is_torch(object))
        return load_torch(py::reinterpret_borrow<py::object>(object), name, access);
    if (!PyType_Check(object.ptr())) {
        if (py::hasattr(object, "__dlpack__") && py::hasattr(object, "__dlpack_device__"))
            return load_dlpack(object, name, access);
        if (PyObject_CheckBuffer(object.ptr())) return load_buffer(object, name, access);
    }
    raise(QSGD_ERR_DTYPE,
          "must be a NumPy array, a torch tensor, or offer DLPack or the buffer protocol, got " +
              type_name(object),
          name);
}

} // namespace

Tensor load(py::handle object, const char *name, Access access) {
    if (py::isinstance<py::array>(object))
        return load_numpy(py::reinterpret_borrow<py::array>(object), name, access);
    try {
        return load_any(object, name, access);
    } catch (py::error_already_set &error) {
        // What the object's own code raised (a BufferError, a RuntimeError of torch) becomes ours.
        if (!error.matches(PyExc_Exception) || error.matches(PyExc_MemoryError) ||
            error.matches(py::module_::import("qsgd.errors").attr("QsgdError")))
            throw;
        raise(QSGD_ERR_UNSUPPORTED,
              "cannot be read as a tensor: " + py::str(error.value()).cast<std::string>(), name);
    }
}

Tensor load_bytes(py::handle object, const char *name) {
    if (!PyBytes_Check(object.ptr())) return load(object, name, Access::read);
    Tensor tensor;
    tensor.dtype = QSGD_UINT8;
    tensor.n = static_cast<uint64_t>(PyBytes_GET_SIZE(object.ptr()));
    tensor.data = PyBytes_AS_STRING(object.ptr());
    tensor.object = py::reinterpret_borrow<py::object>(object);
    return tensor;
}

void check_length(const Tensor &tensor, uint64_t n, const char *name) {
    if (tensor.n != n)
        raise(QSGD_ERR_LENGTH,
              "must have " + std::to_string(n) + " elements, has " + std::to_string(tensor.n),
              name);
}

Tensor load_as(py::handle object, const char *name, Access access, uint32_t dtype, uint64_t n) {
    Tensor tensor = load(object, name, access);
    if (tensor.dtype != dtype)
        raise(QSGD_ERR_DTYPE,
              std::string("must be ") + dtype_name(dtype) + ", got " + dtype_name(tensor.dtype),
              name);
    if (n != kNone) check_length(tensor, n, name);
    return tensor;
}

Tensor load_optional(py::handle object, const char *name, Access access, uint32_t dtype,
                     uint64_t n) {
    return object.is_none() ? Tensor{} : load_as(object, name, access, dtype, n);
}

} // namespace binding
