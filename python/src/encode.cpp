// Params (what a codec does) and encoding: tensor -> frame.
#include <pybind11/stl.h>

#include <algorithm>

#include "core.hpp"

namespace binding {

namespace {

std::unique_ptr<Params> make_params(const py::kwargs &given) {
    auto params = std::make_unique<Params>();
    qsgd_params &c = params->c;
    qsgd_params_init(&c);
    c.norm = take<int>(given, "norm");
    c.levels = take<int>(given, "levels");
    c.s = static_cast<uint32_t>(std::min<uint64_t>(to_u64(given["s"], "s"), UINT32_MAX));
    c.step = take<float>(given, "step");
    c.zero = take<bool>(given, "zero") ? 1 : 0;
    c.bucket = to_u64(given["bucket"], "bucket");
    c.rounding = take<int>(given, "rounding");
    c.code = take<int>(given, "code");
    c.classes = take<int>(given, "classes");
    c.rotation = take<bool>(given, "rotation") ? 1 : 0;
    c.rescale = take<bool>(given, "rescale") ? 1 : 0;
    c.clip = take<float>(given, "clip");
    c.scale = take<int>(given, "scale");
    c.nonfinite = take<int>(given, "nonfinite");
    c.checksum = take<bool>(given, "checksum") ? 1 : 0;
    c.chunk_log2 = take<uint32_t>(given, "chunk_log2");
    c.seed = to_u64(given["seed"], "seed");
    params->table = take<std::vector<float>>(given, "table");
    c.table = params->table.empty() ? nullptr : params->table.data();
    c.table_len = static_cast<uint32_t>(params->table.size());
    params->tables = take<std::string>(given, "tables");
    c.tables = params->tables.empty() ? nullptr : params->tables.data();
    c.tables_bytes = params->tables.size();
    Detail detail;
    check(qsgd_params_check(&c, &detail), detail);
    return params;
}

// The arguments of one encode call, as options whose pointers stay valid while this lives.
struct Call {
    Tensor x;
    Tensor tag;
    Tensor residual;
    Tensor scales;
    qsgd_encode_options options{};
    RunnerContext runner;

    Call(Params &params, py::handle x_object, py::handle nonce, py::handle tag_object,
         py::handle residual_object, py::handle scales_object, py::handle threads)
        : x(load(x_object, "x", Access::read)) {
        qsgd_encode_options_init(&options);
        options.dtype = x.dtype;
        options.ndim = x.ndim;
        options.shape = x.shape.data();
        tag = load_bytes(tag_object, "tag");
        options.tag = tag.nbytes() != 0 ? tag.data : nullptr;
        options.tag_bytes = tag.nbytes();
        residual = load_optional(residual_object, "residual", Access::write, QSGD_FLOAT32, x.n);
        options.residual = static_cast<float *>(residual.data);
        scales = load_optional(scales_object, "scales", Access::read, QSGD_FLOAT32,
                               qsgd_bucket_count(&params.c, x.n));
        options.scales = static_cast<const float *>(scales.data);
        set_runner(options, runner, thread_count(threads, qsgd_chunk_count(&params.c, x.n)));
        options.nonce = params.take_nonce(nonce);
    }
    Call(const Call &) = delete;
    Call &operator=(const Call &) = delete;
};

// Runs qsgd_encode with the thread's scratch; returns the frame's bytes.
uint64_t run_encode(const Params &params, const Call &call, void *out, uint64_t out_bytes) {
    Detail detail;
    qsgd_status status = QSGD_OK;
    uint64_t frame_bytes = 0;
    {
        const Workspace workspace(qsgd_encode_workspace(&params.c, &call.options, call.x.n));
        const Unlocked unlocked(call.x.nbytes());
        status = qsgd_encode(&params.c, &call.options, call.x.data, call.x.n, out, out_bytes,
                             workspace.data(), workspace.size(), &frame_bytes, &detail);
    }
    check_encode(status, detail);
    return frame_bytes;
}

py::bytes encode(Params &params, py::object x, py::object nonce, py::object tag,
                 py::object residual, py::object scales, py::object threads) {
    const Call call(params, x, nonce, tag, residual, scales, threads);
    // A bound of 0 means a refusal, which qsgd_encode then explains.
    const uint64_t bound = qsgd_encode_bound(&params.c, &call.options, call.x.n);
    NewBytes frame(bound);
    return frame.cut(run_encode(params, call, frame.data(), bound));
}

uint64_t encode_into(Params &params, py::object x, py::object out, py::object nonce, py::object tag,
                     py::object residual, py::object scales, py::object threads) {
    const Tensor target = load(out, "out", Access::write);
    const Call call(params, x, nonce, tag, residual, scales, threads);
    const uint64_t bound = qsgd_encode_bound(&params.c, &call.options, call.x.n);
    if (target.nbytes() < bound)
        raise(QSGD_ERR_DST_TOO_SMALL,
              "must have at least " + std::to_string(bound) + " bytes (Codec.bound), has " +
                  std::to_string(target.nbytes()),
              "out");
    return run_encode(params, call, target.data, target.nbytes());
}

uint64_t bound(const Params &params, py::object n, py::object dtype, uint32_t ndim,
               uint64_t tag_bytes) {
    qsgd_encode_options options;
    qsgd_encode_options_init(&options);
    options.dtype = dtype_number(dtype);
    const uint64_t elements = to_u64(n, "n");
    const std::array<uint64_t, QSGD_MAX_DIMS> shape{elements, 1, 1, 1, 1, 1, 1, 1};
    options.ndim = ndim;
    options.shape = shape.data();
    options.tag_bytes = tag_bytes;
    const uint64_t bytes = qsgd_encode_bound(&params.c, &options, elements);
    if (bytes == 0)
        raise(QSGD_ERR_SHAPE,
              "no frame holds " + std::to_string(elements) + " elements of " +
                  dtype_name(options.dtype) + " with this codec",
              "n");
    return bytes;
}

} // namespace

void define_encode(py::module_ &module) {
    py::class_<Params> params(module, "Params");
    params.def(py::init(&make_params));
    params.def_property(
        "nonce", [](const Params &self) { return self.next_nonce.load(); },
        [](Params &self, py::object value) { self.next_nonce = to_u64(value, "nonce"); });
    params.def_property(
        "seed", [](const Params &self) { return self.c.seed; },
        [](Params &self, py::object value) { self.c.seed = to_u64(value, "seed"); });
    params.def("encode", &encode);
    params.def("encode_into", &encode_into);
    params.def("bound", &bound);
    params.def("bucket_count", [](const Params &self, py::object n) {
        return qsgd_bucket_count(&self.c, to_u64(n, "n"));
    });
    params.def("chunk_count", [](const Params &self, py::object n) {
        return qsgd_chunk_count(&self.c, to_u64(n, "n"));
    });
    define_quantize(params);
    define_indices(params);
    define_tables(module, params);
}

} // namespace binding
