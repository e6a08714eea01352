// Params (what a codec does) and encoding: tensor -> frame.
#include <pybind11/stl.h>

#include <algorithm>

#include "core.hpp"

namespace binding {

namespace {

std::unique_ptr<Params> make_params(int norm, int levels, py::object s, float step, bool zero,
                                    py::object bucket, int rounding, int code, int classes,
                                    bool rotation, bool rescale, float clip, int scale,
                                    int nonfinite, bool checksum, uint32_t chunk_log2,
                                    std::vector<float> table, py::object seed, std::string tables) {
    auto params = std::make_unique<Params>();
    qsgd_params &c = params->c;
    qsgd_params_init(&c);
    params->table = std::move(table);
    c.norm = norm;
    c.levels = levels;
    c.s = static_cast<uint32_t>(std::min<uint64_t>(to_u64(s, "s"), UINT32_MAX));
    c.step = step;
    c.zero = zero ? 1 : 0;
    c.bucket = to_u64(bucket, "bucket");
    c.rounding = rounding;
    c.code = code;
    c.classes = classes;
    c.rotation = rotation ? 1 : 0;
    c.rescale = rescale ? 1 : 0;
    c.clip = clip;
    c.scale = scale;
    c.nonfinite = nonfinite;
    c.checksum = checksum ? 1 : 0;
    c.chunk_log2 = chunk_log2;
    c.table = params->table.empty() ? nullptr : params->table.data();
    c.table_len = static_cast<uint32_t>(params->table.size());
    c.seed = to_u64(seed, "seed");
    params->tables = std::move(tables);
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
        if (!residual_object.is_none()) {
            residual = load_as(residual_object, "residual", Access::write, QSGD_FLOAT32, x.n);
            options.residual = static_cast<float *>(residual.data);
        }
        if (!scales_object.is_none()) {
            scales = load_as(scales_object, "scales", Access::read, QSGD_FLOAT32,
                             qsgd_bucket_count(&params.c, x.n));
            options.scales = static_cast<const float *>(scales.data);
        }
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
    PyObject *frame = PyBytes_FromStringAndSize(nullptr, static_cast<Py_ssize_t>(bound));
    if (frame == nullptr) throw py::error_already_set();
    py::object owner = py::reinterpret_steal<py::object>(frame);
    const uint64_t size = run_encode(params, call, PyBytes_AS_STRING(frame), bound);
    frame = owner.release().ptr();
    if (_PyBytes_Resize(&frame, static_cast<Py_ssize_t>(size)) != 0) throw py::error_already_set();
    return py::reinterpret_steal<py::bytes>(frame);
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
    params.def(py::init(&make_params), py::kw_only(), py::arg("norm"), py::arg("levels"),
               py::arg("s"), py::arg("step"), py::arg("zero"), py::arg("bucket"),
               py::arg("rounding"), py::arg("code"), py::arg("classes"), py::arg("rotation"),
               py::arg("rescale"), py::arg("clip"), py::arg("scale"), py::arg("nonfinite"),
               py::arg("checksum"), py::arg("chunk_log2"), py::arg("table"), py::arg("seed"),
               py::arg("tables"));
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
    define_quantize(module, params);
    define_tables(module, params);
}

} // namespace binding
