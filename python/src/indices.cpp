// Indices, scales and damping to a frame: the second half of encode.
#include "frames.hpp"

namespace binding {

namespace {

// By the codec's own choices, as encode makes them.
py::bytes encode_own(const Params &params, const Quantized &given, const py::tuple &noise,
                     py::handle dtype, py::handle tag_object, py::handle threads) {
    const Tensor tag = load_bytes(tag_object, "tag");
    EncodeCall call("dtype");
    call.options.dtype = dtype_number(dtype);
    call.set_shape(given.indices);
    call.set_noise(noise);
    call.options.tag = tag.nbytes() != 0 ? tag.data : nullptr;
    call.options.tag_bytes = tag.nbytes();
    call.ask(params.c, given.indices.n, threads);
    given.check_lengths(call.sizes);
    NewBytes frame(call.sizes.dst_bytes);
    const qsgd_quantized quantized = given.c();
    uint64_t size = 0;
    Detail detail;
    qsgd_status status = QSGD_OK;
    {
        const Workspace workspace(call.sizes.workspace_bytes);
        const Unlocked unlocked(given.indices.nbytes());
        status = qsgd_encode_indices(&params.c, &call.options, &quantized, frame.memory(),
                                     workspace.memory(), &size, &detail);
    }
    check_as(status, detail, "dtype");
    return frame.cut(size);
}

// In the form of another frame, with the codec's shared tables, which that may name.
py::bytes encode_like(const Params &params, const Quantized &given, py::handle like_object,
                      py::handle threads) {
    const Frame like(like_object, "like");
    check_length(given.indices, like.info.elements, "indices");
    const qsgd_bytes shared{params.c.shared_tables, params.c.shared_tables_bytes};
    DecodeCall call;
    if (shared.data != nullptr) {
        call.options.shared_tables = &shared;
        call.options.shared_tables_count = 1;
    }
    call.ask(like, threads, like.info.chunks);
    given.check_lengths(call.sizes);
    NewBytes frame(like.size());
    const qsgd_quantized quantized = given.c();
    uint64_t size = 0;
    Detail detail;
    qsgd_status status = QSGD_OK;
    {
        const Workspace workspace(call.sizes.workspace_bytes);
        const Unlocked unlocked(given.indices.nbytes());
        status = qsgd_encode_indices_like(like.data(), like.size(), &call.options, &quantized,
                                          frame.memory(), workspace.memory(), &size, &detail);
    }
    check_frame(status, detail, like.info);
    return frame.cut(size);
}

// `parts` are indices, scales and damping or None, as decode_indices gives them.
py::bytes encode_indices(const Params &params, py::tuple parts, py::tuple noise, py::object dtype,
                         py::object tag, py::object like, py::object threads) {
    const Quantized given = load_quantized(parts);
    if (like.is_none()) return encode_own(params, given, noise, dtype, tag, threads);
    return encode_like(params, given, like, threads);
}

} // namespace

void define_indices(py::class_<Params> &params) { params.def("encode_indices", &encode_indices); }

} // namespace binding
