// qsgd_stages.hpp: qsgd_stages.h for C++17 and later: quantising without coding, frames from and to
// indices, shared tables, Elias codes. Calls in two forms, as in qsgd.hpp.
#ifndef QSGD_STAGES_HPP
#define QSGD_STAGES_HPP

#include <array>

#include "qsgd.hpp"
#if __has_include("qsgd_stages.h") // else qsgd.h is that of tools/amalgamate.py, with all inside
#include "qsgd_stages.h"
#endif

namespace qsgd {
inline namespace QSGD_INLINE_NAMESPACE {

// ---- indices ------------------------------------------------------------------------------------

// A quantised tensor in memory of the caller. Damping may be left out unless rounding is dithered.
struct QuantizedView {
    Span<std::int16_t> indices = {};
    Span<float> scales = {};         // one per bucket
    Span<std::uint8_t> damping = {}; // one per chunk

    qsgd_quantized c() const {
        return {indices.data(), scales.data(), damping.data(), indices.size()};
    }
};

// One of its own.
struct Quantized {
    Array<std::int16_t> indices;
    Array<float> scales;
    Array<std::uint8_t> damping;

    QuantizedView view() { return {indices, scales, damping}; }
};

namespace detail {
inline bool fits(Call &call, const QuantizedView &quantized) {
    if (quantized.indices.size() != call.sizes.elements)
        return call.fail(QSGD_ERR_LENGTH, "indices", "indices needs an entry per element");
    if (quantized.scales.size() != call.sizes.buckets)
        return call.fail(QSGD_ERR_LENGTH, "scales", "scales needs an entry per bucket");
    if (!quantized.damping.empty() && quantized.damping.size() != call.sizes.chunks)
        return call.fail(QSGD_ERR_LENGTH, "damping", "damping needs an entry per chunk, or none");
    return true;
}
inline std::optional<Quantized> make_quantized(Call &call) {
    auto indices = call.make<std::int16_t>(call.sizes.elements);
    auto scales = call.make<float>(call.sizes.buckets);
    auto damping = call.make<std::uint8_t>(call.sizes.chunks);
    if (!indices || !scales || !damping) return std::nullopt;
    return Quantized{std::move(*indices), std::move(*scales), std::move(*damping)};
}
} // namespace detail

inline Status try_quantize_into(const Params &params, Input src, const QuantizedView &quantized,
                                const EncodeOptions &options = {}) {
    detail::EncodeCall call(params, options, src.dtype());
    if (!call.prepare(src.size()) || !detail::fits(call, quantized)) return call.failure();
    const qsgd_quantized c = quantized.c();
    return call.result(
        qsgd_quantize(&call.params, &call.options, src.data(), &c, call.workspace(), &call.error));
}

inline Result<Quantized> try_quantize(const Params &params, Input src,
                                      const EncodeOptions &options = {}) {
    detail::EncodeCall call(params, options, src.dtype());
    if (!call.prepare(src.size())) return call.failure();
    auto quantized = detail::make_quantized(call);
    if (!quantized) return call.failure();
    const qsgd_quantized c = quantized->view().c();
    if (qsgd_quantize(&call.params, &call.options, src.data(), &c, call.workspace(), &call.error) !=
        QSGD_OK)
        return call.failure();
    return std::move(*quantized);
}

// The inverse, with the same params and options.
inline Status try_dequantize(const Params &params, const QuantizedView &quantized, Output dst,
                             const EncodeOptions &options = {}) {
    detail::EncodeCall call(params, options, dst.dtype());
    if (!call.prepare(dst.size()) || !detail::fits(call, quantized)) return call.failure();
    const qsgd_quantized c = quantized.c();
    return call.result(qsgd_dequantize(&call.params, &call.options, &c, dst.data(),
                                       call.workspace(), &call.error));
}

inline Result<Frame> try_encode_indices(const Params &params, const QuantizedView &quantized,
                                        qsgd_dtype dtype = QSGD_FLOAT32,
                                        const EncodeOptions &options = {}) {
    detail::EncodeCall call(params, options, dtype);
    if (!call.prepare(quantized.indices.size()) || !detail::fits(call, quantized))
        return call.failure();
    auto frame = call.make<std::uint8_t>(call.sizes.dst_bytes);
    if (!frame) return call.failure();
    const qsgd_quantized c = quantized.c();
    std::uint64_t bytes = 0;
    if (qsgd_encode_indices(&call.params, &call.options, &c, MutableBytes(*frame), call.workspace(),
                            &bytes, &call.error) != QSGD_OK)
        return call.failure();
    frame->shrink(bytes);
    return std::move(*frame);
}

// In the form of another frame.
inline Result<Frame> try_encode_indices_like(Bytes like, const QuantizedView &quantized,
                                             const DecodeOptions &options = {}) {
    detail::DecodeCall call(options);
    if (!call.prepare(like) || !detail::fits(call, quantized)) return call.failure();
    auto frame = call.make<std::uint8_t>(like.size());
    if (!frame) return call.failure();
    const qsgd_quantized c = quantized.c();
    std::uint64_t bytes = 0;
    if (qsgd_encode_indices_like(like.data(), like.size(), &call.options, &c, MutableBytes(*frame),
                                 call.workspace(), &bytes, &call.error) != QSGD_OK)
        return call.failure();
    frame->shrink(bytes);
    return std::move(*frame);
}

inline Result<Quantized> try_decode_indices(Bytes frame, const DecodeOptions &options = {}) {
    detail::DecodeCall call(options);
    call.limit();
    if (!call.prepare(frame)) return call.failure();
    auto quantized = detail::make_quantized(call);
    if (!quantized) return call.failure();
    const qsgd_quantized c = quantized->view().c();
    if (qsgd_decode_indices(frame.data(), frame.size(), &call.options, &c, call.workspace(),
                            &call.error) != QSGD_OK)
        return call.failure();
    return std::move(*quantized);
}

// In place: what dithered frames code, or back.
inline Status try_turn_indices(const Params &params, std::uint64_t nonce,
                               const QuantizedView &quantized) {
    const EncodeOptions none;
    detail::EncodeCall call(params, none, QSGD_FLOAT32);
    if (!call.measure(quantized.indices.size()) || !detail::fits(call, quantized))
        return call.failure();
    const qsgd_quantized c = quantized.c();
    return call.result(qsgd_turn_indices(&call.params, nonce, &c, &call.error));
}

// ---- shared tables ------------------------------------------------------------------------------

// For Params::shared_tables and DecodeOptions::shared_tables, from a weight per level.
inline Result<std::vector<std::uint8_t>> try_shared_tables(const Params &params,
                                                           Span<const double> weights) {
    detail::NewError error;
    const qsgd_params c = params.c();
    std::vector<std::uint8_t> tables(static_cast<std::size_t>(qsgd_shared_tables_bound()));
    std::uint64_t bytes = 0;
    if (qsgd_shared_tables_build(&c, weights.data(), weights.size(), MutableBytes(tables), &bytes,
                                 &error) != QSGD_OK)
        return Failure(error);
    tables.resize(static_cast<std::size_t>(bytes));
    return tables;
}

using Digest = std::array<std::uint8_t, 8>;

// Checks tables, and gives the name by which frames call them.
inline Result<Digest> try_shared_tables_digest(Bytes tables) {
    Digest digest;
    detail::NewError error;
    if (qsgd_shared_tables_digest(tables.data(), tables.size(), digest.data(), &error) != QSGD_OK)
        return Failure(error);
    return digest;
}

// ---- Elias codes --------------------------------------------------------------------------------

struct EliasBits {
    Array<std::uint8_t> bytes;
    std::uint64_t bits = 0;
};

inline Result<EliasBits> try_elias_encode(qsgd_elias elias, Span<const std::uint64_t> values) {
    detail::NewError error;
    EliasBits coded;
    const auto encode = [&](MutableBytes dst) {
        return qsgd_elias_encode(elias, values.data(), values.size(), dst, &coded.bits, &error);
    };
    if (encode({}) != QSGD_OK) return Failure(error);
    auto bytes = Array<std::uint8_t>::make((coded.bits + 7) / 8);
    if (!bytes) return Failure(QSGD_ERR_MEMORY, nullptr, "out of memory");
    coded.bytes = std::move(*bytes);
    if (encode(coded.bytes) != QSGD_OK) return Failure(error);
    return coded;
}

// Fills `values` from the first `bits` bits; gives the bits that they took.
inline Result<std::uint64_t> try_elias_decode(qsgd_elias elias, Bytes src, std::uint64_t bits,
                                              Span<std::uint64_t> values) {
    detail::NewError error;
    if (bits / 8 + (bits % 8 != 0) > src.size())
        return Failure(QSGD_ERR_LENGTH, "bits", "there are fewer bits than that");
    std::uint64_t used = 0;
    if (qsgd_elias_decode(elias, src.data(), bits, values.size(), values.data(), &used, &error) !=
        QSGD_OK)
        return Failure(error);
    return used;
}

// ---- the same with exceptions
// --------------------------------------------------------------------

#if QSGD_EXCEPTIONS
inline void quantize_into(const Params &params, Input src, const QuantizedView &quantized,
                          const EncodeOptions &options = {}) {
    try_quantize_into(params, src, quantized, options).value();
}
inline Quantized quantize(const Params &params, Input src, const EncodeOptions &options = {}) {
    return try_quantize(params, src, options).value();
}
inline void dequantize(const Params &params, const QuantizedView &quantized, Output dst,
                       const EncodeOptions &options = {}) {
    try_dequantize(params, quantized, dst, options).value();
}
inline Frame encode_indices(const Params &params, const QuantizedView &quantized,
                            qsgd_dtype dtype = QSGD_FLOAT32, const EncodeOptions &options = {}) {
    return try_encode_indices(params, quantized, dtype, options).value();
}
inline Frame encode_indices_like(Bytes like, const QuantizedView &quantized,
                                 const DecodeOptions &options = {}) {
    return try_encode_indices_like(like, quantized, options).value();
}
inline Quantized decode_indices(Bytes frame, const DecodeOptions &options = {}) {
    return try_decode_indices(frame, options).value();
}
inline void turn_indices(const Params &params, std::uint64_t nonce,
                         const QuantizedView &quantized) {
    try_turn_indices(params, nonce, quantized).value();
}
inline std::vector<std::uint8_t> shared_tables(const Params &params, Span<const double> weights) {
    return try_shared_tables(params, weights).value();
}
inline Digest shared_tables_digest(Bytes tables) {
    return try_shared_tables_digest(tables).value();
}
inline EliasBits elias_encode(qsgd_elias elias, Span<const std::uint64_t> values) {
    return try_elias_encode(elias, values).value();
}
inline std::uint64_t elias_decode(qsgd_elias elias, Bytes src, std::uint64_t bits,
                                  Span<std::uint64_t> values) {
    return try_elias_decode(elias, src, bits, values).value();
}
#endif

} // namespace QSGD_INLINE_NAMESPACE
} // namespace qsgd

#endif // QSGD_STAGES_HPP
