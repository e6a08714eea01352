// What a frame says of itself, and where it ends.
#include <algorithm>
#include <array>

#include "frames.hpp"

namespace binding {

namespace {

// The header's choices, by the names of the codec's options; numbers as in qsgd.h.
void add_params(py::dict &result, const Frame &frame) {
    qsgd_params params;
    std::array<float, QSGD_MAX_LEVEL_TABLE> level_table{};
    qsgd_params_init(&params);
    Detail detail;
    check(qsgd_inspect_params(frame.data(), frame.size(), &params, level_table.data(), &detail),
          detail);
    py::list levels;
    for (uint32_t i = 0; i < params.level_table_len; i++) levels.append(level_table[i]);
    result["level_table"] = levels;
    result["norm"] = params.norm;
    result["levels"] = params.levels;
    result["s"] = params.s;
    result["step"] = params.step;
    result["zero"] = params.zero != 0;
    result["bucket"] = params.bucket;
    result["rounding"] = params.rounding;
    result["code"] = params.code;
    result["rotation"] = params.rotation != 0;
    result["scale_dtype"] = params.scale_dtype;
    result["checksum"] = params.checksum != 0;
    result["chunk_log2"] = params.chunk_log2;
    result["seed"] = params.seed;
}

py::dict frame_info(py::object frame_object) {
    const Frame frame(frame_object);
    const qsgd_frame_info &info = frame.info;
    py::dict result;
    py::tuple shape(info.ndim);
    for (uint32_t i = 0; i < info.ndim; i++) shape[i] = info.shape[i];
    result["version"] = info.version;
    result["dtype"] = dtype_name(info.dtype);
    result["shape"] = shape;
    result["elements"] = info.elements;
    result["nbytes"] = info.frame_bytes;
    result["header_bytes"] = info.header_bytes;
    result["buckets"] = info.buckets;
    result["chunks"] = info.chunks;
    result["chunk_elements"] = info.chunk_elements;
    result["has_noise_key"] = info.has_noise_key != 0;
    result["nonce"] = info.nonce;
    result["origin"] = info.origin;
    result["tag"] = py::bytes(static_cast<const char *>(info.tag), info.tag_bytes);
    const std::string digest = named_tables(info);
    result["shared_tables_digest"] =
        digest.empty() ? py::object(py::none()) : py::object(py::str(digest));
    result["provenance"] = py::make_tuple(info.norm, info.rounding);
    result["profile"] = info.profile;
    result["dithered"] = info.dithered != 0;
    add_params(result, frame);
    return result;
}

// Bytes of the frame at `start` of a buffer, checked to be there; offsets count from the buffer.
uint64_t frame_size(py::object buffer, uint64_t start) {
    const Tensor bytes = load_bytes(buffer, "buffer");
    const uint64_t left = bytes.nbytes() - std::min(start, bytes.nbytes());
    Detail detail;
    uint64_t size = 0;
    const qsgd_status status = qsgd_frame_size(static_cast<const char *>(bytes.data) + start, left,
                                               UINT64_MAX, &size, &detail);
    if (status != QSGD_OK)
        raise(status, detail.reason, {}, {detail.offset == kNone ? start : start + detail.offset});
    if (size > left)
        raise(QSGD_ERR_NEED_MORE,
              "the last frame has " + std::to_string(size) + " bytes, " + std::to_string(left) +
                  " are left",
              {}, {start});
    return size;
}

// Bytes that a frame claims to have, by its first 16; refused above the limit.
uint64_t frame_claim(py::object prefix, uint64_t limit) {
    const Tensor bytes = load_bytes(prefix, "prefix");
    Detail detail;
    uint64_t size = 0;
    const qsgd_status status = qsgd_frame_size(bytes.data, bytes.nbytes(), limit, &size, &detail);
    if (status != QSGD_OK)
        raise(status, detail.reason, {}, {detail.offset == kNone ? 0 : detail.offset});
    return size;
}

} // namespace

void define_frames(py::module_ &module) {
    module.def("frame_info", &frame_info);
    module.def("frame_size", &frame_size);
    module.def("frame_claim", &frame_claim);
}

} // namespace binding
