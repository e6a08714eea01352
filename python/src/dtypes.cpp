// The dtypes of a frame and their names in Python: see tensors.hpp.
#include <vector>

#include "tensors.hpp"

namespace binding {

namespace {

struct Dtype {
    const char *name;
    char kind; // as NumPy's: f i u b c; V for bfloat16
    uint64_t size;
    int numpy; // NumPy's type number
};

namespace npy = py::detail;

// In the order of the dtype numbers of qsgd.h.
const std::array<Dtype, 15> kDtypes = {{
    {"float32", 'f', 4, npy::npy_api::NPY_FLOAT_},
    {"float64", 'f', 8, npy::npy_api::NPY_DOUBLE_},
    {"float16", 'f', 2, 23}, // NPY_HALF
    {"bfloat16", 'V', 2, -1},
    {"int8", 'i', 1, npy::npy_api::NPY_BYTE_},
    {"uint8", 'u', 1, npy::npy_api::NPY_UBYTE_},
    {"int16", 'i', 2, npy::npy_api::NPY_SHORT_},
    {"uint16", 'u', 2, npy::npy_api::NPY_USHORT_},
    {"int32", 'i', 4, npy::npy_api::NPY_INT_},
    {"uint32", 'u', 4, npy::npy_api::NPY_UINT_},
    {"int64", 'i', 8, npy::npy_api::NPY_INT64_},
    {"uint64", 'u', 8, npy::npy_api::NPY_UINT64_},
    {"bool", 'b', 1, npy::npy_api::NPY_BOOL_},
    {"complex64", 'c', 8, npy::npy_api::NPY_CFLOAT_},
    {"complex128", 'c', 16, npy::npy_api::NPY_CDOUBLE_},
}};

} // namespace

uint32_t find_dtype(char kind, uint64_t size) {
    for (uint32_t i = 0; i < kDtypes.size(); i++)
        if (kDtypes[i].kind == kind && kDtypes[i].size == size) return i;
    return kUnknownDtype;
}

uint32_t find_dtype(std::string_view name) {
    for (uint32_t i = 0; i < kDtypes.size(); i++)
        if (name == kDtypes[i].name) return i;
    return kUnknownDtype;
}

[[noreturn]] void refuse_dtype(const std::string &what, const char *name) {
    raise(
        QSGD_ERR_DTYPE,
        "dtype " + what +
            " is not supported; use native float32, float64, float16 or bfloat16 (with code='raw' "
            "also int8 to int64, uint8 to uint64, bool, complex64, complex128)",
        name);
}

uint32_t numpy_dtype(const py::dtype &dtype) {
    const int number = dtype.num();
    if (number >= 256) { // registered by a package, as ml_dtypes' bfloat16
        return dtype.attr("name").cast<std::string>() == "bfloat16" ? uint32_t{QSGD_BFLOAT16}
                                                                    : kUnknownDtype;
    }
    const char order = dtype.byteorder();
    if (order != '=' && order != '|') return kUnknownDtype;
    const char kind = dtype.kind();
    return kind == 'V' ? kUnknownDtype : find_dtype(kind, static_cast<uint64_t>(dtype.itemsize()));
}

const char *dtype_name(uint32_t dtype) {
    return dtype < kDtypes.size() ? kDtypes[dtype].name : "unknown";
}

uint64_t dtype_size(uint32_t dtype) { return kDtypes.at(dtype).size; }

uint32_t dtype_number(py::handle object) {
    uint32_t result = kUnknownDtype;
    if (py::isinstance<py::str>(object)) {
        result = find_dtype(object.cast<std::string>());
    }
    if (result != kUnknownDtype) return result;
    if (std::string_view(Py_TYPE(object.ptr())->tp_name) == "torch.dtype") {
        result = find_dtype(py::str(object).cast<std::string>().substr(6));
    } else {
        try { // also NumPy's other spellings, as "f4" or "<f4"
            result = numpy_dtype(py::dtype::from_args(py::reinterpret_borrow<py::object>(object)));
        } catch (py::error_already_set &) {
            result = kUnknownDtype;
        }
    }
    if (result == kUnknownDtype) refuse_dtype(py::repr(object).cast<std::string>(), "dtype");
    return result;
}

py::array new_array(uint32_t dtype, const uint64_t *shape, uint32_t ndim) {
    py::object type;
    if (kDtypes.at(dtype).numpy >= 0) {
        type = py::dtype(kDtypes[dtype].numpy);
    } else {
        try {
            type = py::dtype::from_args(py::str(kDtypes[dtype].name));
        } catch (py::error_already_set &) {
            raise(
                QSGD_ERR_DTYPE,
                "NumPy has no bfloat16 here; decode to float32, import ml_dtypes, or pass a torch "
                "tensor as out",
                "dtype");
        }
    }
    return py::array(py::reinterpret_borrow<py::dtype>(type),
                     std::vector<py::ssize_t>(shape, shape + ndim));
}

} // namespace binding
