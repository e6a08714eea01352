// The quantizer alone, both ways: tensor <-> indices and scales.
#include <algorithm>

#include "core.hpp"

namespace binding {

namespace {

py::tuple quantize(Params &params, py::object object, py::object nonce, py::object scales_object,
                   py::object threads) {
    const Tensor x = load(object, "x", Access::read);
    const uint64_t buckets = qsgd_bucket_count(&params.c, x.n);
    const uint64_t chunks = qsgd_chunk_count(&params.c, x.n);
    const Tensor given =
        load_optional(scales_object, "scales", Access::read, QSGD_FLOAT32, buckets);
    py::array indices = new_array(QSGD_INT16, x.shape.data(), x.ndim);
    py::array scales = new_vector(QSGD_FLOAT32, buckets);
    py::array alphas = new_vector(QSGD_UINT8, chunks);

    qsgd_encode_options options;
    qsgd_encode_options_init(&options);
    RunnerContext runner;
    options.dtype = x.dtype;
    options.ndim = x.ndim;
    options.shape = x.shape.data();
    options.scales = static_cast<const float *>(given.data);
    set_runner(options, runner, thread_count(threads, chunks));
    options.nonce = params.take_nonce(nonce);
    auto *to_indices = static_cast<int16_t *>(indices.mutable_data());
    auto *to_scales = static_cast<float *>(scales.mutable_data());
    auto *to_alphas = static_cast<uint8_t *>(alphas.mutable_data());
    Detail detail;
    qsgd_status status = QSGD_OK;
    {
        const Workspace workspace(qsgd_encode_workspace(&params.c, &options, x.n));
        const Unlocked unlocked(x.nbytes());
        status = qsgd_quantize(&params.c, &options, x.data, x.n, to_indices, to_scales, to_alphas,
                               workspace.data(), workspace.size(), &detail);
    }
    check_encode(status, detail);
    return py::make_tuple(indices, scales, alphas);
}

py::array dequantize(const Params &params, py::object idx, py::object scales_object,
                     py::object nonce, py::object alphas_object, py::object dtype_object) {
    const Tensor indices = load_as(idx, "idx", Access::read, QSGD_INT16, kNone);
    const uint64_t n = indices.n;
    const Tensor scales = load_as(scales_object, "scales", Access::read, QSGD_FLOAT32,
                                  qsgd_bucket_count(&params.c, n));
    const Tensor alphas = load_optional(alphas_object, "alphas", Access::read, QSGD_UINT8,
                                        qsgd_chunk_count(&params.c, n));
    const uint32_t dtype = dtype_number(dtype_object);
    if (dtype > QSGD_BFLOAT16)
        raise(QSGD_ERR_DTYPE,
              std::string("must be float32, float64, float16 or bfloat16, got ") +
                  dtype_name(dtype),
              "dtype");
    const uint64_t key = nonce.is_none() ? 0 : to_u64(nonce, "nonce");
    py::array result = new_array(dtype, indices.shape.data(), indices.ndim);
    void *out = result.mutable_data();
    Detail detail;
    qsgd_status status = QSGD_OK;
    {
        const Workspace workspace(qsgd_encode_workspace(&params.c, nullptr, n));
        const Unlocked unlocked(indices.nbytes());
        status = qsgd_dequantize(&params.c, key, static_cast<const int16_t *>(indices.data),
                                 static_cast<const float *>(scales.data),
                                 static_cast<const uint8_t *>(alphas.data), n, dtype, out,
                                 workspace.data(), workspace.size(), &detail);
    }
    check(status, detail);
    return result;
}

py::array turn_indices(const Params &params, py::object idx, py::object scales_object,
                       py::object nonce) {
    const Tensor indices = load_as(idx, "idx", Access::read, QSGD_INT16, kNone);
    const Tensor scales = load_as(scales_object, "scales", Access::read, QSGD_FLOAT32,
                                  qsgd_bucket_count(&params.c, indices.n));
    const uint64_t key = to_u64(nonce, "nonce");
    py::array result = new_array(QSGD_INT16, indices.shape.data(), indices.ndim);
    auto *out = static_cast<int16_t *>(result.mutable_data());
    Detail detail;
    qsgd_status status = QSGD_OK;
    {
        const Unlocked unlocked(indices.nbytes());
        std::copy_n(static_cast<const unsigned char *>(indices.data), indices.nbytes(),
                    reinterpret_cast<unsigned char *>(out));
        status = qsgd_turn_indices(&params.c, key, out, static_cast<const float *>(scales.data),
                                   indices.n, &detail);
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
