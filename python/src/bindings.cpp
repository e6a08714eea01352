// The module qsgd._core: a thin layer over libqsgd. Contents:
//   encode.cpp    Params, encode             decode.cpp         decode, sums, parts of frames
//   quantize.cpp  the quantizer alone        frames.cpp         what a frame says of itself
//   indices.cpp   indices to a frame         shared_tables.cpp  shared tables
//   levels.cpp    statistics, fitted levels  elias.cpp          Elias codes of integers
//   tensors.cpp   Python objects as memory   dlpack.hpp         those of DLPack
//   dtypes.cpp    element types              errors.hpp         status to qsgd.QsgdError
//   pool.cpp      threads and scratch        core.hpp           what these files share
// Arguments have no defaults; the package's Python modules give them names, defaults and docs.
#include "core.hpp"

namespace {

namespace py = pybind11;

py::list backends() {
    py::list result;
    for (uint32_t i = 0;; i++) {
        int32_t available = 0;
        const char *name = qsgd_backends(i, &available);
        if (name == nullptr) return result;
        result.append(py::make_tuple(name, available != 0));
    }
}

void set_backend(const std::string &name) {
    if (qsgd_set_backend(name.c_str(), nullptr) != QSGD_OK)
        binding::raise(QSGD_ERR_BACKEND, "no backend '" + name + "' on this CPU", "name");
}

py::str version() {
    const uint32_t number = qsgd_version();
    return py::str("{}.{}.{}").format(number / 10000, number / 100 % 100, number % 100);
}

} // namespace

PYBIND11_MODULE(_core, module) {
    // pybind11 fetches NumPy's C interface on first use and lets the GIL go meanwhile, which ends
    // the process if a daemon thread does so at exit: fetch it now.
    py::detail::npy_api::get();
    module.attr("__version__") = version();
    binding::define_encode(module);
    binding::define_decode(module);
    binding::define_frames(module);
    binding::define_levels(module);
    binding::define_elias(module);
    module.def("backends", &backends);
    module.def("backend", &qsgd_backend);
    module.def("set_backend", &set_backend);
    module.def("default_threads", &binding::default_threads);
}
