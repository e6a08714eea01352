// The quantizer alone, both ways: tensor <-> indices and scales.
#include <cstring>

#include "core.hpp"

namespace binding {

namespace {

py::tuple quantize(Params &params, py::object object, py::tuple noise, py::object scales_object,
                   py::object threads) {
    const Tensor x = load(object, "x", Access::read);
    EncodeCall call("x");
    call.options.dtype = x.dtype;
    call.options.origin = to_u64(noise[1], "origin");
    call.ask(params.c, x.n, threads);
    const Tensor given =
        load_optional(scales_object, "scales", Access::read, QSGD_FLOAT32, call.sizes.buckets);
    call.options.scales = static_cast<const float *>(given.data);
    py::array indices = new_array(QSGD_INT16, x.shape.data(), x.ndim);
    py::array scales = new_vector(QSGD_FLOAT32, call.sizes.buckets);
    py::array damping = new_vector(QSGD_UINT8, call.sizes.chunks);
    const qsgd_quantized quantized{static_cast<int16_t *>(indices.mutable_data()),
                                   static_cast<float *>(scales.mutable_data()),
                                   static_cast<uint8_t *>(damping.mutable_data()), x.n};
    call.options.nonce = params.take_nonce(noise[0]);
    Detail detail;
    qsgd_status status = QSGD_OK;
    {
        const Workspace workspace(call.sizes.workspace_bytes);
        const Unlocked unlocked(x.nbytes());
        status = qsgd_quantize(&params.c, &call.options, x.data, &quantized, workspace.memory(),
                               &detail);
    }
    check_as(status, detail, "x");
    return py::make_tuple(indices, scales, damping);
}

py::array dequantize(const Params &params, py::tuple parts, py::tuple noise,
                     py::object dtype_object, py::object threads) {
    const Quantized given = load_quantized(parts);
    const uint32_t dtype = dtype_number(dtype_object);
    if (dtype > QSGD_BFLOAT16)
        raise(QSGD_ERR_DTYPE,
              std::string("must be float32, float64, float16 or bfloat16, got ") +
                  dtype_name(dtype),
              "dtype");
    EncodeCall call("dtype");
    call.options.dtype = dtype;
    call.set_noise(noise);
    call.ask(params.c, given.indices.n, threads);
    given.check_lengths(call.sizes);
    py::array result = new_array(dtype, given.indices.shape.data(), given.indices.ndim);
    void *out = result.mutable_data();
    const qsgd_quantized quantized = given.c();
    Detail detail;
    qsgd_status status = QSGD_OK;
    {
        const Workspace workspace(call.sizes.workspace_bytes);
        const Unlocked unlocked(given.indices.nbytes());
        status =
            qsgd_dequantize(&params.c, &call.options, &quantized, out, workspace.memory(), &detail);
    }
    check(status, detail);
    return result;
}

py::array turn_indices(const Params &params, py::object indices_object, py::object scales_object,
                       py::object nonce) {
    const Quantized given = load_quantized(
        py::make_tuple(std::move(indices_object), std::move(scales_object), py::none()));
    EncodeCall call("indices");
    call.ask(params.c, given.indices.n);
    given.check_lengths(call.sizes);
    const uint64_t key = to_u64(nonce, "nonce");
    py::array result = new_array(QSGD_INT16, given.indices.shape.data(), given.indices.ndim);
    qsgd_quantized quantized = given.c();
    quantized.indices = static_cast<int16_t *>(result.mutable_data());
    Detail detail;
    qsgd_status status = QSGD_OK;
    {
        const Unlocked unlocked(given.indices.nbytes());
        std::memcpy(quantized.indices, given.indices.data, given.indices.nbytes());
        status = qsgd_turn_indices(&params.c, key, &quantized, &detail);
    }
    check(status, detail);
    return result;
}

} // namespace

void define_quantize(py::class_<Params> &params) {
    params.def("quantize", &quantize);
    params.def("dequantize", &dequantize);
    params.def("turn_indices", &turn_indices);
}

} // namespace binding
