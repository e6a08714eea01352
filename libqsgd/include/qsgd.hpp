// qsgd.hpp: qsgd.h for C++17 and later, header-only.
//
//     qsgd::Frame frame = qsgd::encode(qsgd::Params(), gradient);
//     qsgd::Array<float> restored = qsgd::decode<float>(frame);
//
// Every call is there twice: try_encode returns a Result, encode its value or throws qsgd::Error.
// Without exceptions (-fno-exceptions) only the former are there. What calls mean, and what they
// promise, is in qsgd.h. Further headers: qsgd_stages.hpp and qsgd_fit.hpp.
#ifndef QSGD_HPP
#define QSGD_HPP

#include "qsgd_call.hpp"

namespace qsgd {
inline namespace QSGD_INLINE_NAMESPACE {

// ---- encode -------------------------------------------------------------------------------------

using Frame = Array<std::uint8_t>;

inline Status try_check(const Params &params) {
    detail::NewError error;
    const qsgd_params c = params.c();
    if (qsgd_params_check(&c, &error) != QSGD_OK) return Failure(error);
    return Nothing();
}

// What encoding n elements needs: dst_bytes for any tensor, though a frame may be much shorter.
inline Result<qsgd_sizes> try_encode_sizes(const Params &params, std::uint64_t n,
                                           qsgd_dtype dtype = QSGD_FLOAT32,
                                           const EncodeOptions &options = {}) {
    detail::EncodeCall call(params, options, dtype);
    if (!call.measure(n)) return call.failure();
    return call.sizes;
}

// Bytes that a frame of n elements takes at most, beside its tag, with params.slot.
inline Result<std::uint64_t> try_slot_bytes(const Params &params, std::uint64_t n) {
    detail::NewError error;
    const qsgd_params c = params.c();
    std::uint64_t bytes = 0;
    if (qsgd_slot_bytes(&c, n, &bytes, &error) != QSGD_OK) return Failure(error);
    return bytes;
}

// Encodes into memory that is there already, of any length, if the frame fits; gives its bytes.
inline Result<std::uint64_t> try_encode_into(const Params &params, Input src, MutableBytes dst,
                                             const EncodeOptions &options = {}) {
    detail::EncodeCall call(params, options, src.dtype());
    if (!call.prepare(src.size())) return call.failure();
    std::uint64_t bytes = 0;
    const qsgd_status status = qsgd_encode(&call.params, &call.options, src.data(), src.size(), dst,
                                           call.workspace(), &bytes, &call.error);
    return call.result(status, bytes);
}

inline Result<Frame> try_encode(const Params &params, Input src,
                                const EncodeOptions &options = {}) {
    detail::EncodeCall call(params, options, src.dtype());
    if (!call.prepare(src.size())) return call.failure();
    auto frame = call.make<std::uint8_t>(call.sizes.dst_bytes);
    if (!frame) return call.failure();
    std::uint64_t bytes = 0;
    if (qsgd_encode(&call.params, &call.options, src.data(), src.size(), MutableBytes(*frame),
                    call.workspace(), &bytes, &call.error) != QSGD_OK)
        return call.failure();
    frame->shrink(bytes);
    return std::move(*frame);
}

// ---- decode -------------------------------------------------------------------------------------

// Decodes into memory that is there already: a std::vector, a C array, any view of the frame's
// elements, whose type is what is decoded to.
inline Status try_decode_into(Bytes frame, Output dst, const DecodeOptions &options = {}) {
    detail::DecodeCall call(options, dst.dtype());
    if (!call.prepare(frame)) return call.failure();
    return call.decode(frame, dst.data(), dst.size());
}

// Decodes to elements of type T, whatever was encoded.
template <typename T> Result<Array<T>> try_decode(Bytes frame, const DecodeOptions &options = {}) {
    detail::DecodeCall call(options, dtype_of<T>::value);
    call.limit();
    if (!call.prepare(frame)) return call.failure();
    auto elements = call.make<T>(call.sizes.elements);
    if (!elements) return call.failure();
    const Status status = call.decode(frame, elements->data(), elements->size());
    if (!status) return status.failure();
    return std::move(*elements);
}

// What a frame says of itself; pointers point into the frame.
struct FrameInfo : qsgd_frame_info {
    Span<const std::uint64_t> dims() const { return {shape, ndim}; }
};

inline Result<FrameInfo> try_inspect(Bytes frame) {
    FrameInfo info;
    detail::NewError error;
    qsgd_frame_info_init(static_cast<qsgd_frame_info *>(&info));
    if (qsgd_inspect(frame.data(), frame.size(), &info, &error) != QSGD_OK) return Failure(error);
    return info;
}

// A tensor as it was encoded, but for what quantising takes.
struct Tensor {
    qsgd_dtype dtype = QSGD_FLOAT32;
    std::vector<std::uint64_t> shape;
    Array<unsigned char> bytes;

    // The elements; none if they are of another type.
    template <typename T> Span<const T> as() const {
        if (dtype_of<T>::value != dtype) return {};
        return {reinterpret_cast<const T *>(bytes.data()), bytes.size() / sizeof(T)};
    }
};

inline Result<Tensor> try_decode(Bytes frame, const DecodeOptions &options = {}) {
    const Result<FrameInfo> info = try_inspect(frame);
    if (!info) return info.failure();
    detail::DecodeCall call(options);
    call.limit();
    if (!call.prepare(frame)) return call.failure();
    auto bytes = call.make<unsigned char>(call.sizes.dst_bytes);
    if (!bytes) return call.failure();
    const Status status = call.decode(frame, bytes->data(), call.sizes.elements);
    if (!status) return status.failure();
    const auto dims = info->dims();
    return Tensor{
        static_cast<qsgd_dtype>(info->dtype), {dims.begin(), dims.end()}, std::move(*bytes)};
}

// sum[i] += alpha * decoded[i].
inline Status try_decode_add(Bytes frame, float alpha, Span<float> sum,
                             const DecodeOptions &options = {}) {
    detail::DecodeCall call(options);
    if (!call.prepare(frame)) return call.failure();
    return call.result(qsgd_decode_add(frame.data(), frame.size(), &call.options, alpha, sum.data(),
                                       sum.size(), call.workspace(), &call.error));
}

inline qsgd_weighted_frame weighted(Bytes frame, float alpha) {
    return {frame.data(), frame.size(), alpha, 0};
}

// out[i] = the sum of alpha * decoded[i] over frames, in their order, over divisor, which makes a
// mean of it. Sums are float32; out is of any floating type.
inline Status try_decode_sum(Span<const qsgd_weighted_frame> frames, Output out,
                             const DecodeOptions &options = {}, float divisor = 1) {
    detail::DecodeCall call(options, out.dtype());
    const auto count = static_cast<std::uint32_t>(frames.size());
    if (!call.prepare(frames, out.size())) return call.failure();
    return call.result(qsgd_decode_sum_to(frames.data(), count, &call.options, divisor, out.data(),
                                          out.size(), call.workspace(), &call.error));
}

// Decodes the dst.size() elements from `start` on.
inline Status try_decode_range(Bytes frame, std::uint64_t start, Output dst,
                               const DecodeOptions &options = {}) {
    detail::DecodeCall call(options, dst.dtype());
    if (!call.prepare(frame)) return call.failure();
    return call.result(qsgd_decode_range(frame.data(), frame.size(), &call.options, start,
                                         start + dst.size(), dst.data(), call.workspace(),
                                         &call.error));
}

inline Result<qsgd_sizes> try_decode_sizes(Bytes frame, qsgd_dtype dtype = detail::dtype_of_frame,
                                           const DecodeOptions &options = {}) {
    detail::DecodeCall call(options, dtype);
    const qsgd_status status =
        qsgd_decode_sizes(frame.data(), frame.size(), &call.options, &call.sizes, &call.error);
    return call.result(status, call.sizes);
}

// ---- look at a frame, and at the library
// ---------------------------------------------------------

// Bytes of the frame that starts there, at most max_bytes; QSGD_ERR_NEED_MORE: not known yet. They
// are unverified until the header is there.
inline Result<std::uint64_t> try_frame_size(Bytes start, std::uint64_t max_bytes) {
    std::uint64_t bytes = 0;
    detail::NewError error;
    if (qsgd_frame_size(start.data(), start.size(), max_bytes, &bytes, &error) != QSGD_OK)
        return Failure(error);
    return bytes;
}

// The codec of a frame, as far as a decoder knows it.
inline Result<Params> try_inspect_params(Bytes frame) {
    qsgd_params c;
    detail::NewError error;
    float table[QSGD_MAX_LEVEL_TABLE];
    qsgd_params_init(&c);
    if (qsgd_inspect_params(frame.data(), frame.size(), &c, table, &error) != QSGD_OK)
        return Failure(error);
    return Params::from(c);
}

inline std::uint32_t version() { return qsgd_version(); }

struct Backend {
    const char *name;
    bool available; // to this CPU and operating system
};

// Best first.
inline std::vector<Backend> backends() {
    std::vector<Backend> all;
    std::int32_t available = 0;
    while (const char *name = qsgd_backends(static_cast<std::uint32_t>(all.size()), &available))
        all.push_back({name, available != 0});
    return all;
}

inline const char *backend() { return qsgd_backend(); }

// For every thread; "auto" is the best one.
inline Status try_set_backend(const char *name) {
    detail::NewError error;
    if (qsgd_set_backend(name, &error) != QSGD_OK) return Failure(error);
    return Nothing();
}

inline Status try_selftest() {
    detail::NewError error;
    if (qsgd_selftest(&error) != QSGD_OK) return Failure(error);
    return Nothing();
}

// ---- the same with exceptions
// --------------------------------------------------------------------

#if QSGD_EXCEPTIONS
inline void check(const Params &params) { try_check(params).value(); }
inline qsgd_sizes encode_sizes(const Params &params, std::uint64_t n,
                               qsgd_dtype dtype = QSGD_FLOAT32, const EncodeOptions &options = {}) {
    return try_encode_sizes(params, n, dtype, options).value();
}
inline std::uint64_t encode_into(const Params &params, Input src, MutableBytes dst,
                                 const EncodeOptions &options = {}) {
    return try_encode_into(params, src, dst, options).value();
}
inline Frame encode(const Params &params, Input src, const EncodeOptions &options = {}) {
    return try_encode(params, src, options).value();
}
inline void decode_into(Bytes frame, Output dst, const DecodeOptions &options = {}) {
    try_decode_into(frame, dst, options).value();
}
template <typename T> Array<T> decode(Bytes frame, const DecodeOptions &options = {}) {
    return try_decode<T>(frame, options).value();
}
inline Tensor decode(Bytes frame, const DecodeOptions &options = {}) {
    return try_decode(frame, options).value();
}
inline std::uint64_t slot_bytes(const Params &params, std::uint64_t n) {
    return try_slot_bytes(params, n).value();
}
inline void decode_add(Bytes frame, float alpha, Span<float> sum,
                       const DecodeOptions &options = {}) {
    try_decode_add(frame, alpha, sum, options).value();
}
inline void decode_sum(Span<const qsgd_weighted_frame> frames, Output out,
                       const DecodeOptions &options = {}, float divisor = 1) {
    try_decode_sum(frames, out, options, divisor).value();
}
inline void decode_range(Bytes frame, std::uint64_t start, Output dst,
                         const DecodeOptions &options = {}) {
    try_decode_range(frame, start, dst, options).value();
}
inline qsgd_sizes decode_sizes(Bytes frame, qsgd_dtype dtype = detail::dtype_of_frame,
                               const DecodeOptions &options = {}) {
    return try_decode_sizes(frame, dtype, options).value();
}
inline std::uint64_t frame_size(Bytes start, std::uint64_t max_bytes) {
    return try_frame_size(start, max_bytes).value();
}
inline FrameInfo inspect(Bytes frame) { return try_inspect(frame).value(); }
inline Params inspect_params(Bytes frame) { return try_inspect_params(frame).value(); }
inline void set_backend(const char *name) { try_set_backend(name).value(); }
inline void selftest() { try_selftest().value(); }
#endif

} // namespace QSGD_INLINE_NAMESPACE
} // namespace qsgd

#endif // QSGD_HPP
