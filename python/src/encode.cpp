// Params (what a codec does) and encoding: tensor -> frame.
#include <pybind11/stl.h>

#include <algorithm>
#include <array>

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
    c.scale_dtype = take<uint32_t>(given, "scale_dtype");
    c.nonfinite = take<int>(given, "nonfinite");
    c.feedback_decay = take<double>(given, "feedback_decay");
    c.reference = take<double>(given, "reference");
    c.exact_zeros = take<uint32_t>(given, "exact_zeros");
    c.checksum = take<bool>(given, "checksum") ? 1 : 0;
    c.chunk_log2 = take<uint32_t>(given, "chunk_log2");
    c.seed = to_u64(given["seed"], "seed");
    params->level_table = take<std::vector<float>>(given, "level_table");
    c.level_table = params->level_table.empty() ? nullptr : params->level_table.data();
    c.level_table_len = static_cast<uint32_t>(params->level_table.size());
    params->shared_tables = take<std::string>(given, "shared_tables");
    c.shared_tables = params->shared_tables.empty() ? nullptr : params->shared_tables.data();
    c.shared_tables_bytes = params->shared_tables.size();
    Detail detail;
    check(qsgd_params_check(&c, &detail), detail);
    return params;
}

// The arguments of one call of encode, valid while this lives.
struct Call : EncodeCall {
    Tensor x;
    Tensor tag;
    Tensor residual;
    Tensor scales;

    // `noise` is nonce and origin.
    Call(Params &params, py::handle x_object, const py::tuple &noise, py::handle tag_object,
         py::handle residual_object, py::handle scales_object, py::handle threads)
        : EncodeCall("x"), x(load(x_object, "x", Access::read)) {
        options.dtype = x.dtype;
        set_shape(x);
        tag = load_bytes(tag_object, "tag");
        options.tag = tag.nbytes() != 0 ? tag.data : nullptr;
        options.tag_bytes = tag.nbytes();
        residual = load_optional(residual_object, "residual", Access::write, QSGD_FLOAT32, x.n);
        options.residual = static_cast<float *>(residual.data);
        options.origin = to_u64(noise[1], "origin");
        ask(params.c, x.n, threads);
        scales = load_optional(scales_object, "scales", Access::read, QSGD_FLOAT32, sizes.buckets);
        options.scales = static_cast<const float *>(scales.data);
        options.nonce = params.take_nonce(noise[0]);
    }
};

// Runs qsgd_encode with the thread's scratch; returns the frame's bytes.
uint64_t run_encode(const Params &params, const Call &call, qsgd_memory out) {
    Detail detail;
    qsgd_status status = QSGD_OK;
    uint64_t frame_bytes = 0;
    {
        const Workspace workspace(call.sizes.workspace_bytes);
        const Unlocked unlocked(call.x.nbytes());
        status = qsgd_encode(&params.c, &call.options, call.x.data, call.x.n, out,
                             workspace.memory(), &frame_bytes, &detail);
    }
    if (status == QSGD_ERR_DST_TOO_SMALL)
        raise(status,
              "the frame does not fit " + std::to_string(out.bytes) + " bytes; " +
                  std::to_string(detail.needed) + " suffice (Codec.bound)",
              "out", {kNone, kNone, kNone, kNone, detail.needed});
    check_as(status, detail, "x");
    return frame_bytes;
}

py::bytes encode(Params &params, py::object x, py::tuple noise, py::object tag, py::object residual,
                 py::object scales, py::object threads) {
    const Call call(params, x, noise, tag, residual, scales, threads);
    NewBytes frame(call.sizes.dst_bytes);
    return frame.cut(run_encode(params, call, frame.memory()));
}

uint64_t encode_into(Params &params, py::object x, py::object out, py::tuple noise, py::object tag,
                     py::object residual, py::object scales, py::object threads) {
    const Tensor target = load(out, "out", Access::write);
    const Call call(params, x, noise, tag, residual, scales, threads);
    return run_encode(params, call, {target.data, target.nbytes()});
}

uint64_t bound(const Params &params, py::object n, py::object dtype, uint32_t ndim,
               uint64_t tag_bytes) {
    EncodeCall call("dtype");
    const uint64_t elements = to_u64(n, "n");
    const std::array<uint64_t, QSGD_MAX_DIMS> shape{elements, 1, 1, 1, 1, 1, 1, 1};
    call.options.dtype = dtype_number(dtype);
    call.options.ndim = ndim;
    call.options.shape = shape.data();
    call.options.tag_bytes = tag_bytes;
    call.ask(params.c, elements);
    return call.sizes.dst_bytes;
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
    define_quantize(params);
    define_indices(params);
    define_shared_tables(module, params);
}

} // namespace binding
