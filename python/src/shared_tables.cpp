// Shared tables: made from weights of levels, checked and named by their digest.
#include <array>

#include "core.hpp"

namespace binding {

namespace {

py::bytes build_shared_tables(const Params &params, py::object weights_object) {
    const Tensor weights =
        load_as(weights_object, "probabilities", Access::read, QSGD_FLOAT64, kNone);
    std::vector<char> blob(qsgd_shared_tables_bound());
    uint64_t bytes = 0;
    Detail detail;
    check(qsgd_shared_tables_build(&params.c, static_cast<const double *>(weights.data), weights.n,
                                   {blob.data(), blob.size()}, &bytes, &detail),
          detail);
    return py::bytes(blob.data(), bytes);
}

py::bytes shared_tables_digest(py::object object) {
    const Tensor blob = load_bytes(object, "shared_tables");
    std::array<uint8_t, 8> digest{};
    Detail detail;
    check(qsgd_shared_tables_digest(blob.data, blob.nbytes(), digest.data(), &detail), detail);
    return py::bytes(reinterpret_cast<const char *>(digest.data()), digest.size());
}

} // namespace

std::string named_tables(const qsgd_frame_info &info) {
    static const char digits[] = "0123456789abcdef";
    std::string text;
    for (const uint8_t byte : info.shared_tables_digest) {
        text += digits[byte >> 4];
        text += digits[byte & 15];
    }
    return info.has_shared_tables != 0 ? text : std::string();
}

void define_shared_tables(py::module_ &module, py::class_<Params> &params) {
    params.def("build_shared_tables", &build_shared_tables);
    module.def("shared_tables_digest", &shared_tables_digest);
}

} // namespace binding
