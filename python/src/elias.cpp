// The Elias codes of plain integers.
#include "core.hpp"

namespace binding {

namespace {

py::tuple elias_encode(py::object object, int code) {
    const Tensor values = load_as(object, "values", Access::read, QSGD_UINT64, kNone);
    const auto *data = static_cast<const uint64_t *>(values.data);
    Detail detail;
    uint64_t bits = 0;
    check(qsgd_elias_encode(code, data, values.n, {nullptr, 0}, &bits, &detail), detail);
    const uint64_t bytes = (bits + 7) / 8;
    NewBytes result(bytes);
    qsgd_status status = QSGD_OK;
    {
        const Unlocked unlocked(values.nbytes());
        status = qsgd_elias_encode(code, data, values.n, result.memory(), &bits, &detail);
    }
    check(status, detail);
    return py::make_tuple(result.cut(bytes), bits);
}

py::array elias_decode(py::object buffer, py::object count_object, int code,
                       py::object bits_object) {
    const Tensor source = load_bytes(buffer, "buffer");
    const uint64_t count = to_u64(count_object, "count");
    const uint64_t available = source.nbytes() * 8;
    const uint64_t bits = bits_object.is_none() ? available : to_u64(bits_object, "nbits");
    if (bits > available)
        raise(QSGD_ERR_PARAM,
              "must be at most " + std::to_string(available) + ", the bits of the buffer, got " +
                  std::to_string(bits),
              "nbits");
    // Every codeword takes a bit at least: checked here so that `count` cannot ask for much memory.
    if (count > bits)
        raise(QSGD_ERR_STREAM,
              "must be at most " + std::to_string(bits) + ", the number of bits, got " +
                  std::to_string(count),
              "count");
    py::array values = new_vector(QSGD_UINT64, count);
    auto *out = static_cast<uint64_t *>(values.mutable_data());
    uint64_t used = 0;
    Detail detail;
    qsgd_status status = QSGD_OK;
    {
        const Unlocked unlocked(count * 8);
        status = qsgd_elias_decode(code, source.data, bits, count, out, &used, &detail);
    }
    check(status, detail);
    return values;
}

} // namespace

void define_elias(py::module_ &module) {
    module.def("elias_encode", &elias_encode);
    module.def("elias_decode", &elias_decode);
}

} // namespace binding
