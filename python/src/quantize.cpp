// The quantizer alone, tensor <-> indices and scales; indices to a frame; the Elias codes alone.
#include <algorithm>
#include <cstring>

#include "core.hpp"

namespace binding {

namespace {

const void *data_or_null(const Tensor &tensor) { return tensor.object ? tensor.data : nullptr; }

// An argument that may be None, else of that dtype and count.
Tensor load_optional(py::handle object, const char *name, uint32_t dtype, uint64_t n) {
    if (object.is_none()) return {};
    Tensor tensor = load_as(object, name, Access::read, dtype, n);
    if (!tensor.object) tensor.object = py::reinterpret_borrow<py::object>(object);
    return tensor;
}

py::array new_vector(uint32_t dtype, uint64_t n) { return new_array(dtype, &n, 1); }

py::tuple quantize(Params &params, py::object object, py::object nonce, py::object scales_object,
                   py::object threads) {
    const Tensor x = load(object, "x", Access::read);
    const uint64_t buckets = qsgd_bucket_count(&params.c, x.n);
    const uint64_t chunks = qsgd_chunk_count(&params.c, x.n);
    const Tensor given = load_optional(scales_object, "scales", QSGD_FLOAT32, buckets);
    py::array indices = new_array(QSGD_INT16, x.shape.data(), x.ndim);
    py::array scales = new_vector(QSGD_FLOAT32, buckets);
    py::array alphas = new_vector(QSGD_UINT8, chunks);

    qsgd_encode_options options;
    qsgd_encode_options_init(&options);
    RunnerContext runner;
    options.dtype = x.dtype;
    options.ndim = x.ndim;
    options.shape = x.shape.data();
    options.scales = static_cast<const float *>(data_or_null(given));
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
    const Tensor alphas =
        load_optional(alphas_object, "alphas", QSGD_UINT8, qsgd_chunk_count(&params.c, n));
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
                                 static_cast<const uint8_t *>(data_or_null(alphas)), n, dtype, out,
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

// What decides a frame's bytes beside its indices: this codec and call, or an existing frame.
struct Recipe {
    qsgd_params params{};
    std::vector<float> table;
    Tensor like;
    struct qsgd_frame_info info{};

    Recipe(const Params &own, py::handle like_object) : params(own.c) {
        if (like_object.is_none()) return;
        like = load_bytes(like_object, "like");
        info.struct_size = sizeof info;
        Detail detail;
        check(qsgd_frame_info(like.data, like.nbytes(), &info, &detail), detail);
        params = info.params;
        if (info.table == nullptr) return;
        table.resize(params.table_len);
        const auto *bytes = static_cast<const unsigned char *>(info.table);
        for (size_t i = 0; i < table.size(); i++) {
            const uint32_t bits = static_cast<uint32_t>(bytes[4 * i]) |
                                  static_cast<uint32_t>(bytes[4 * i + 1]) << 8 |
                                  static_cast<uint32_t>(bytes[4 * i + 2]) << 16 |
                                  static_cast<uint32_t>(bytes[4 * i + 3]) << 24;
            std::memcpy(&table[i], &bits, sizeof bits);
        }
        params.table = table.data();
    }

    // `like` is parsed as a decoder does, with a decoder's scratch.
    uint64_t workspace() const {
        Detail detail;
        uint64_t bytes = 0;
        check(qsgd_decode_workspace(like.data, like.nbytes(), nullptr, &bytes, &detail), detail);
        return bytes;
    }
};

py::bytes encode_indices(const Params &own, py::object idx, py::object scales_object,
                         py::object nonce, py::object alphas_object, py::object dtype,
                         py::object tag_object, py::object like_object, py::object threads) {
    const Recipe recipe(own, like_object);
    const bool has_like = !like_object.is_none();
    qsgd_params params = recipe.params;
    const Tensor indices =
        load_as(idx, "idx", Access::read, QSGD_INT16, has_like ? recipe.info.elements : kNone);
    const uint64_t n = indices.n;
    const uint64_t chunks = qsgd_chunk_count(&params, n);
    const Tensor scales =
        load_as(scales_object, "scales", Access::read, QSGD_FLOAT32, qsgd_bucket_count(&params, n));
    const Tensor alphas = load_optional(alphas_object, "alphas", QSGD_UINT8, chunks);
    const Tensor tag = load_bytes(tag_object, "tag");

    qsgd_encode_options options;
    qsgd_encode_options_init(&options);
    RunnerContext runner;
    options.dtype = has_like ? recipe.info.dtype : dtype_number(dtype);
    options.ndim = has_like ? recipe.info.ndim : indices.ndim;
    options.shape = has_like ? recipe.info.shape : indices.shape.data();
    options.nonce = nonce.is_none() ? 0 : to_u64(nonce, "nonce");
    options.tag = tag.nbytes() != 0 ? tag.data : nullptr;
    options.tag_bytes = tag.nbytes();
    set_runner(options, runner, thread_count(threads, chunks));
    const uint64_t bound =
        has_like ? recipe.like.nbytes() : qsgd_encode_bound(&params, &options, n);
    PyObject *frame = PyBytes_FromStringAndSize(nullptr, static_cast<Py_ssize_t>(bound));
    if (frame == nullptr) throw py::error_already_set();
    py::object owner = py::reinterpret_steal<py::object>(frame);
    char *out = PyBytes_AS_STRING(frame);
    uint64_t size = 0;
    Detail detail;
    uint64_t scratch = qsgd_encode_workspace(&params, &options, n);
    if (has_like) scratch = std::max(scratch, recipe.workspace());
    qsgd_status status = QSGD_OK;
    if (has_like) { // it may name this codec's tables, or be of another code
        params.tables = own.c.tables;
        params.tables_bytes = own.c.tables_bytes;
    }
    {
        const Workspace workspace(scratch);
        const Unlocked unlocked(indices.nbytes());
        status = qsgd_encode_indices(&params, &options, has_like ? recipe.like.data : nullptr,
                                     has_like ? recipe.like.nbytes() : 0,
                                     static_cast<const int16_t *>(indices.data),
                                     static_cast<const float *>(scales.data),
                                     static_cast<const uint8_t *>(data_or_null(alphas)), n, out,
                                     bound, workspace.data(), workspace.size(), &size, &detail);
    }
    check_frame(status, detail, recipe.info);
    frame = owner.release().ptr();
    if (_PyBytes_Resize(&frame, static_cast<Py_ssize_t>(size)) != 0) throw py::error_already_set();
    return py::reinterpret_steal<py::bytes>(frame);
}

py::tuple elias_encode(py::object object, int code) {
    const Tensor values = load_as(object, "values", Access::read, QSGD_UINT64, kNone);
    const auto *data = static_cast<const uint64_t *>(values.data);
    Detail detail;
    uint64_t bits = 0;
    check(qsgd_elias_encode(code, data, values.n, nullptr, 0, &bits, &detail), detail);
    const uint64_t bytes = (bits + 7) / 8;
    py::bytes result = py::reinterpret_steal<py::bytes>(
        PyBytes_FromStringAndSize(nullptr, static_cast<Py_ssize_t>(bytes)));
    if (!result) throw py::error_already_set();
    char *out = PyBytes_AS_STRING(result.ptr());
    qsgd_status status = QSGD_OK;
    {
        const Unlocked unlocked(values.nbytes());
        status = qsgd_elias_encode(code, data, values.n, out, bytes, &bits, &detail);
    }
    check(status, detail);
    return py::make_tuple(result, bits);
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

void define_quantize(py::module_ &module, py::class_<Params> &params) {
    params.def("quantize", &quantize);
    params.def("dequantize", &dequantize);
    params.def("turn_indices", &turn_indices);
    params.def("encode_indices", &encode_indices);
    module.def("elias_encode", &elias_encode);
    module.def("elias_decode", &elias_decode);
}

} // namespace binding
