// Params (what a codec does) and encoding: tensor -> frame.
#include <pybind11/stl.h>

#include <algorithm>
#include <array>
#include <memory>

#include "frames.hpp"

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
    c.target_bits = take<double>(given, "target_bits");
    c.target_error = take<double>(given, "target_error");
    c.slot = take<bool>(given, "slot") ? 1 : 0;
    c.dead_zone = take<double>(given, "dead_zone");
    c.strict = take<bool>(given, "strict") ? 1 : 0;
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

// A report as Python has it, in the order of report_tuple.
qsgd_encode_report load_report(const py::tuple &fields) {
    qsgd_encode_report report;
    qsgd_encode_report_init(&report);
    report.met = fields[0].cast<bool>() ? 1 : 0;
    report.elements = fields[1].cast<uint64_t>();
    report.frame_bytes = fields[2].cast<uint64_t>();
    report.payload_bytes = fields[3].cast<uint64_t>();
    report.bits = fields[4].cast<double>();
    report.error = fields[5].cast<double>();
    report.step = fields[6].cast<double>();
    report.trials = fields[7].cast<uint32_t>();
    report.again = fields[8].cast<uint32_t>();
    return report;
}

py::tuple report_tuple(const qsgd_encode_report &report) {
    return py::make_tuple(report.met != 0, report.elements, report.frame_bytes,
                          report.payload_bytes, report.bits, report.error, report.step,
                          report.trials, report.again);
}

// What an encode goes on from: a report, or a frame.
qsgd_encode_report load_last(py::handle last) {
    if (py::isinstance<py::tuple>(last)) return load_report(py::cast<py::tuple>(last));
    const Frame frame(last);
    qsgd_encode_report report;
    qsgd_encode_report_init(&report);
    Detail detail;
    check(qsgd_inspect_report(frame.data(), frame.size(), &report, &detail), detail);
    return report;
}

// The parameters for elements of that type: what lossless frames do not hold, raw ones do.
qsgd_params params_for(const Params &params, uint32_t dtype) {
    qsgd_params c = params.c;
    if (c.code == QSGD_CODE_LOSSLESS && dtype > QSGD_BFLOAT16) c.code = QSGD_CODE_RAW;
    return c;
}

// The arguments of one call of encode, valid while this lives.
struct Call : EncodeCall {
    Tensor x;
    qsgd_params chosen;
    Tensor tag;
    Tensor residual;
    Tensor scales;
    qsgd_encode_report last{};
    mutable qsgd_encode_report report{};

    // `noise` is nonce and origin; `last_object` a report, a frame, or None.
    Call(Params &params, py::handle x_object, const py::tuple &noise, py::handle tag_object,
         py::handle residual_object, py::handle scales_object, py::handle threads,
         py::handle last_object, bool reports)
        : EncodeCall("x"), x(load(x_object, "x", Access::read)),
          chosen(params_for(params, x.dtype)) {
        if (!last_object.is_none()) {
            last = load_last(last_object);
            options.last = &last;
        }
        if (reports) {
            qsgd_encode_report_init(&report);
            options.report = &report;
        }
        options.dtype = x.dtype;
        set_shape(x);
        tag = load_bytes(tag_object, "tag");
        options.tag = tag.nbytes() != 0 ? tag.data : nullptr;
        options.tag_bytes = tag.nbytes();
        residual = load_optional(residual_object, "residual", Access::write, QSGD_FLOAT32, x.n);
        options.residual = static_cast<float *>(residual.data);
        options.origin = to_u64(noise[1], "origin");
        ask(chosen, x.n, threads);
        scales = load_optional(scales_object, "scales", Access::read, QSGD_FLOAT32, sizes.buckets);
        options.scales = static_cast<const float *>(scales.data);
        options.nonce = params.take_nonce(noise[0]);
    }
};

// Runs qsgd_encode with the thread's scratch; returns the frame's bytes.
uint64_t run_encode(const Call &call, qsgd_memory out) {
    Detail detail;
    qsgd_status status = QSGD_OK;
    uint64_t frame_bytes = 0;
    {
        const Workspace workspace(call.sizes.workspace_bytes);
        const Unlocked unlocked(call.x.nbytes());
        status = qsgd_encode(&call.chosen, &call.options, call.x.data, call.x.n, out,
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
                 py::object scales, py::object threads, py::object last) {
    const Call call(params, x, noise, tag, residual, scales, threads, last, false);
    NewBytes frame(call.sizes.dst_bytes);
    return frame.cut(run_encode(call, frame.memory()));
}

py::tuple encode_report(Params &params, py::object x, py::tuple noise, py::object tag,
                        py::object residual, py::object scales, py::object threads,
                        py::object last) {
    const Call call(params, x, noise, tag, residual, scales, threads, last, true);
    NewBytes frame(call.sizes.dst_bytes);
    py::bytes bytes = frame.cut(run_encode(call, frame.memory()));
    return py::make_tuple(std::move(bytes), report_tuple(call.report));
}

uint64_t encode_into(Params &params, py::object x, py::object out, py::tuple noise, py::object tag,
                     py::object residual, py::object scales, py::object threads, py::object last) {
    const Tensor target = load(out, "out", Access::write);
    const Call call(params, x, noise, tag, residual, scales, threads, last, false);
    return run_encode(call, {target.data, target.nbytes()});
}

// A tensor of many, as FrameOfMany in decode.cpp.
struct TensorOfMany {
    const Call &call;
    NewBytes frame;
    qsgd_memory room;
    uint64_t bytes = 0;
    qsgd_status status = QSGD_OK;
    Detail detail;

    explicit TensorOfMany(const Call &given)
        : call(given), frame(given.sizes.dst_bytes), room(frame.memory()) {}
    void run(const qsgd_params &params) {
        const Workspace workspace(call.sizes.workspace_bytes);
        status = qsgd_encode(&params, &call.options, call.x.data, call.x.n, room,
                             workspace.memory(), &bytes, &detail);
    }
};

// Encodes calls [from, to), at the same time but for those that have threads of their own.
void encode_wave(const qsgd_params &params, const std::vector<std::unique_ptr<Call>> &calls,
                 size_t from, size_t to, uint32_t workers, const py::list &names,
                 py::list &frames) {
    std::vector<std::unique_ptr<TensorOfMany>> all;
    uint64_t elements = 0;
    for (size_t i = from; i < to; i++) {
        all.push_back(std::make_unique<TensorOfMany>(*calls[i]));
        elements += calls[i]->x.nbytes();
    }
    Pool &pool = Pool::instance();
    {
        const Unlocked unlocked(elements);
        auto one = [&](uint64_t i) { all[i]->run(params); };
        run_each(pool, all.size(), workers, one);
    }
    for (size_t i = from; i < to; i++) {
        TensorOfMany &item = *all[i - from];
        numbered(i, py::str(names[i]), [&] { check_as(item.status, item.detail, "x"); });
        frames.append(item.frame.cut(item.bytes));
    }
}

// All arguments are checked before anything is encoded.
py::list encode_many(Params &params, py::list tensors, py::list names, py::list tags,
                     py::list residuals, py::list nonces, py::object threads) {
    std::vector<std::unique_ptr<Call>> calls;
    const uint64_t count = tensors.size();
    for (size_t i = 0; i < count; i++)
        numbered(i, py::str(names[i]), [&] {
            calls.push_back(std::make_unique<Call>(params, tensors[i], py::make_tuple(nonces[i], 0),
                                                   tags[i], residuals[i], py::none(), threads,
                                                   py::none(), false));
        });
    py::list frames;
    for (size_t from = 0; from < count;) {
        uint64_t bytes = calls[from]->sizes.dst_bytes;
        size_t to = from + 1;
        const auto alone = [&](size_t i) { return calls[i]->options.workers > 1; };
        while (to < count && !alone(from) && !alone(to) && bytes < kWaveBytes)
            bytes += calls[to++]->sizes.dst_bytes;
        encode_wave(params.c, calls, from, to, thread_count_of_many(threads, to - from), names,
                    frames);
        from = to;
    }
    return frames;
}

uint64_t slot(const Params &params, py::object n) {
    Detail detail;
    uint64_t bytes = 0;
    check(qsgd_slot_bytes(&params.c, to_u64(n, "n"), &bytes, &detail), detail);
    return bytes;
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
    call.ask(params_for(params, call.options.dtype), elements);
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
    params.def("encode_report", &encode_report);
    params.def("encode_into", &encode_into);
    params.def("encode_many", &encode_many);
    params.def("take_nonces",
               [](Params &self, uint64_t count) { return self.next_nonce.fetch_add(count); });
    params.def("slot", &slot);
    params.def("bound", &bound);
    define_quantize(params);
    define_indices(params);
    define_shared_tables(module, params);
}

} // namespace binding
