// qsgd_stages.hpp and qsgd_fit.hpp.
#include <qsgd_fit.hpp>
#include <qsgd_stages.hpp>

#include "support.hpp"

static_assert(!std::is_copy_constructible_v<qsgd::Stats>);
static_assert(std::is_nothrow_move_constructible_v<qsgd::Stats>);

static qsgd::Params dithered() {
    qsgd::Params params = seeded(3);
    params.rounding = QSGD_ROUND_DITHERED;
    params.chunk_log2 = 10;
    return params;
}

static void test_indices_are_those_of_frames() {
    const auto x = tensor(3000);
    const auto params = dithered();
    const auto frame = qsgd::encode(params, x);
    qsgd::Quantized q = qsgd::quantize(params, x);
    qsgd::Quantized d = qsgd::decode_indices(frame);
    CHECK(equal(q.indices, d.indices) && equal(q.scales, d.scales) && equal(q.damping, d.damping));
    CHECK(q.scales.size() == 6 && q.damping.size() == 3);

    std::vector<float> y(3000);
    qsgd::dequantize(params, q.view(), y);
    CHECK(equal(y, qsgd::decode<float>(frame)));
    CHECK(equal(qsgd::encode_indices(params, q.view()), frame));
    CHECK(equal(qsgd::encode_indices_like(frame, d.view()), frame));

    std::vector<std::int16_t> indices(3000);
    std::vector<float> scales(6);
    qsgd::quantize_into(params, x, {indices, scales});
    CHECK(equal(indices, q.indices) && equal(scales, q.scales));
    qsgd::turn_indices(params, 0, {indices, scales});
    CHECK(!equal(indices, q.indices));
    qsgd::turn_indices(params, 0, {indices, scales});
    CHECK(equal(indices, q.indices));
}

static void test_lengths_are_checked() {
    const auto x = tensor(3000);
    const auto params = dithered();
    std::vector<std::int16_t> indices(3000);
    std::vector<float> scales(6);
    std::vector<std::uint8_t> damping(2);
    const auto status = [&](const qsgd::QuantizedView &view) {
        return thrown_by([&] { qsgd::quantize_into(params, x, view); });
    };
    CHECK(status({indices, scales}) == QSGD_OK);
    CHECK(status({indices, scales, damping}) == QSGD_ERR_LENGTH);
    scales.resize(5);
    CHECK(status({indices, scales}) == QSGD_ERR_LENGTH);
    scales.resize(6);
    indices.resize(2999);
    CHECK(status({indices, scales}) == QSGD_ERR_LENGTH);
    std::vector<float> y(3000);
    CHECK(thrown_by([&] { qsgd::dequantize(params, {indices, scales}, y); }) == QSGD_ERR_LENGTH);
}

static void test_shared_tables() {
    qsgd::Params params = seeded(3);
    params.norm = QSGD_NORM_MAX;
    params.chunk_log2 = 10;
    std::vector<double> weights(15);
    for (int k = -7; k <= 7; k++) weights[static_cast<std::size_t>(k + 7)] = 8 - (k < 0 ? -k : k);
    params.shared_tables = qsgd::shared_tables(params, weights);
    const auto frame = qsgd::encode(params, tensor(1000));
    const qsgd::FrameInfo info = qsgd::inspect(frame);
    CHECK(info.has_shared_tables == 1);
    const qsgd::Digest digest = qsgd::shared_tables_digest(params.shared_tables);
    CHECK(equal(digest, qsgd::Span<const std::uint8_t>(info.shared_tables_digest)));
    CHECK(thrown_by([&] { qsgd::decode<float>(frame); }) == QSGD_ERR_SHARED_TABLES);
    const qsgd_bytes known[] = {qsgd::Bytes(params.shared_tables)};
    qsgd::DecodeOptions options;
    options.shared_tables = known;
    CHECK(qsgd::decode<float>(frame, options).size() == 1000);
    weights.pop_back();
    CHECK(thrown_by([&] { qsgd::shared_tables(params, weights); }) != QSGD_OK);
    CHECK(thrown_by([] { qsgd::shared_tables_digest(std::vector<char>(9)); }) ==
          QSGD_ERR_CODE_TABLE);
}

static void test_elias_codes() {
    const std::vector<std::uint64_t> values{1, 2, 3, 1000, UINT64_MAX};
    for (const auto elias : {QSGD_ELIAS_GAMMA, QSGD_ELIAS_DELTA, QSGD_ELIAS_OMEGA}) {
        const qsgd::EliasBits coded = qsgd::elias_encode(elias, values);
        std::vector<std::uint64_t> decoded(values.size());
        CHECK(qsgd::elias_decode(elias, coded.bytes, coded.bits, decoded) == coded.bits);
        CHECK(decoded == values);
        CHECK(thrown_by([&] {
                  qsgd::elias_decode(elias, coded.bytes, coded.bytes.size() * 8 + 1, decoded);
              }) == QSGD_ERR_LENGTH);
        CHECK(thrown_by([&] { qsgd::elias_decode(elias, coded.bytes, 3, decoded); }) ==
              QSGD_ERR_STREAM);
    }
    CHECK(thrown_by([] { qsgd::elias_encode(QSGD_ELIAS_GAMMA, std::vector<std::uint64_t>{0}); }) ==
          QSGD_ERR_INDEX);
}

static void test_levels_are_fitted() {
    qsgd::Params params = seeded(3);
    params.norm = QSGD_NORM_L2;
    const auto x = tensor(8192);
    qsgd::Workspace workspace;
    qsgd::Stats a(params), b(params);
    a.add(x, &workspace).add(tensor(100));
    b.add(tensor(100)).add(x);
    CHECK(equal(a.save(), b.save()));
    CHECK(a.inspect().elements == 8292);
    qsgd::Stats c = qsgd::Stats::load(a.save());
    c.merge(b);
    CHECK(c.inspect().elements == 2 * 8292);

    qsgd::FitOptions options;
    options.s = 3;
    const qsgd::Fit fit = qsgd::fit_levels(a, options);
    CHECK(fit.level_table_len == 3 && fit.level_table[2] == 1);
    const qsgd::Params fitted = fit.params(params);
    CHECK(fitted.levels == QSGD_LEVELS_TABLE && fitted.level_table.size() == 3);
    CHECK(qsgd::decode<float>(qsgd::encode(fitted, x)).size() == x.size());
    CHECK(qsgd::fit_evaluate(a, fitted, options).variance == fit.variance);

    qsgd_fit_options defaults;
    qsgd_fit_options_init(&defaults);
    const qsgd_fit_options ours = qsgd::FitOptions().c();
    CHECK(ours.method == defaults.method && ours.weight == defaults.weight);
    CHECK(ours.model == defaults.model && ours.start == defaults.start && ours.s == defaults.s);
    CHECK(ours.symmetric == defaults.symmetric && ours.zero == defaults.zero);
    CHECK(ours.sweeps == defaults.sweeps && ours.struct_size == defaults.struct_size);

    qsgd::FitOptions normal;
    normal.model = QSGD_MODEL_NORMAL;
    normal.sigma = 0.25;
    CHECK(static_cast<bool>(qsgd::try_fit_levels(nullptr, normal)));
    CHECK(!qsgd::try_fit_levels(nullptr));
    params.norm = QSGD_NORM_RMS;
    CHECK(thrown_by([&] { qsgd::Stats other(params); }) != QSGD_OK);
    CHECK(thrown_by([] { qsgd::Stats::load(std::vector<char>(100)); }) != QSGD_OK);
    params.norm = QSGD_NORM_MAX;
    CHECK(thrown_by([&] { qsgd::Stats(params).merge(a); }) == QSGD_ERR_COMBINATION);
}

int main() {
    test_indices_are_those_of_frames();
    test_lengths_are_checked();
    test_shared_tables();
    test_elias_codes();
    test_levels_are_fitted();
    return check_result();
}
