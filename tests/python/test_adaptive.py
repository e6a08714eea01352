"""`qsgd.AdaptiveCodec`: schedule, drift, workers that stay identical (also by gloo), resuming."""

from __future__ import annotations

import multiprocessing
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import qsgd
from qsgd import AdaptiveCodec, Codec, LevelStats, QsgdError, fit_levels
from reference_bits import Array


def gradient(step: int, rank: int = 0, n: int = 4096) -> Array:
    rng = np.random.default_rng([step, rank])
    return rng.standard_t(3, n).astype(np.float32)


def train(codec: AdaptiveCodec, steps: int, rank: int = 0) -> list[int]:
    """Encodes a gradient a step; the steps at which levels changed."""
    changed = []
    for _ in range(steps):
        x = gradient(codec.steps, rank)
        y = qsgd.decode(codec.encode(x))
        assert y.shape == x.shape
        if codec.step():
            changed.append(codec.steps)
    return changed


def test_levels_change_on_the_schedule() -> None:
    codec = AdaptiveCodec(Codec(norm="l2", s=3), at=(3, 7), every=10, window=2)
    assert train(codec, 31) == [3, 7, 10, 20, 30]
    assert codec.fitted is not None
    assert codec.codec.levels == codec.fitted.levels


def test_levels_are_those_fitted_to_the_last_steps_before() -> None:
    codec = AdaptiveCodec(Codec(norm="l2", s=3, bucket=1024), "amq", at=(9,), every=None, window=4)
    train(codec, 9)
    stats = LevelStats(norm="l2", bucket=1024)
    for step in (5, 6, 7, 8):
        stats.add(gradient(step))
    assert codec.codec.levels == fit_levels(stats, "amq", 3).levels


def test_only_the_window_before_a_fit_is_counted() -> None:
    codec = AdaptiveCodec(Codec(norm="max"), at=(4,), every=10, window=3)
    counted = []
    for _ in range(20):
        counted.append(codec.sampling)
        codec.step()
    assert [step for step, yes in enumerate(counted) if yes] == [1, 2, 3, 7, 8, 9, 17, 18, 19]


def test_all_options_but_levels_stay_and_noise_goes_on() -> None:
    start = Codec(norm="l2", levels="exponential", s=4, bucket=100, seed=5, checksum=False)
    codec = AdaptiveCodec(start, at=(2,), every=None)
    train(codec, 3)
    assert codec.codec == start.replace(levels=codec.codec.levels)
    assert codec.codec.nonce == 3


def test_the_error_falls_when_levels_are_fitted() -> None:
    codec = AdaptiveCodec(Codec(norm="l2", s=4, bucket=4096, seed=1), at=(5,), every=None)
    errors = []
    for step in range(10):
        x = gradient(step)
        errors.append(float(np.sum((qsgd.decode(codec.encode(x)) - x) ** 2) / np.sum(x**2)))
        codec.step()
    assert np.mean(errors[5:]) < 0.1 * np.mean(errors[:5])


def test_without_drift_levels_stay() -> None:
    codec = AdaptiveCodec(Codec(norm="l2", s=3), at=(), every=5, drift=0.05)
    assert train(codec, 20) == [5]
    assert AdaptiveCodec(Codec(norm="l2", s=3), at=(), every=5).sampling


def test_drift_brings_new_levels() -> None:
    codec = AdaptiveCodec(Codec(norm="l2", s=3, bucket=512), at=(), every=5, drift=0.3)
    train(codec, 10)
    changed = []
    for step in range(10):
        x = gradient(step % 5) ** 5  # another shape from here on
        codec.encode(x)
        changed.append(codec.step())
    assert changed == [False] * 4 + [True] + [False] * 5


def test_zero_gradients_leave_levels_alone() -> None:
    codec = AdaptiveCodec(Codec(norm="l2", s=3), at=(1,), every=None)
    codec.encode(np.zeros(100, np.float32))
    assert not codec.step()
    assert codec.codec.levels == "uniform"


def test_error_feedback_counts_what_is_encoded() -> None:
    codec = AdaptiveCodec(Codec(norm="l2", s=3, bucket=512), at=(1,), every=None)
    x, residual = gradient(0), gradient(1)
    expected = fit_levels(LevelStats(norm="l2", bucket=512).add(x + residual), "alq", 3)
    codec.encode(x, residual=residual)
    codec.step()
    assert codec.codec.levels == expected.levels


def test_tensors_that_are_not_finite_pass_and_are_not_counted() -> None:
    codec = AdaptiveCodec(Codec(norm="max", nonfinite="propagate"), at=(1,), every=None)
    x = gradient(0)
    x[700] = np.nan
    assert np.isnan(codec.decode(codec.encode(x))).sum() == 512
    codec.encode(gradient(1))
    assert codec.step()
    with pytest.raises(QsgdError) as caught:
        AdaptiveCodec(Codec(norm="max"), at=(1,), every=None).encode(x)
    assert caught.value.element == 700


def test_tables_that_the_codec_had_decode_until_the_first_fit_and_after() -> None:
    start = Codec(norm="max", seed=1)
    start = start.replace(shared_tables=qsgd.build_tables(start, data=gradient(0)))
    codec = AdaptiveCodec(start, at=(1,), every=None)
    frame = codec.encode(gradient(0))
    assert qsgd.inspect(frame).shared_tables_digest is not None
    codec.decode(frame)
    assert codec.step()
    codec.decode(frame)
    assert qsgd.inspect(codec.encode(gradient(1))).shared_tables_digest is None


def test_what_fails_can_be_tried_again() -> None:
    answers: list[Any] = [OSError("link down"), None]

    def exchange(own: bytes) -> list[bytes]:
        answer = answers.pop(0)
        if answer is not None:
            raise answer
        return [own]

    codec = AdaptiveCodec(Codec(norm="l2", s=3, bucket=512), at=(2,), every=None, exchange=exchange)
    for step in range(2):
        with pytest.raises(QsgdError):
            codec.encode_into(gradient(step), bytearray(1))
        codec.encode(gradient(step))
        if step == 0:
            codec.step()
    with pytest.raises(OSError, match="link down"):
        codec.step()
    assert codec.step()
    stats = LevelStats(norm="l2", bucket=512).add(gradient(0)).add(gradient(1))
    assert codec.codec.levels == fit_levels(stats, "alq", 3).levels


def test_workers_that_exchange_get_the_same_levels_in_any_order() -> None:
    board: list[bytes] = []
    codecs = []
    for rank in range(3):
        own = AdaptiveCodec(
            Codec(norm="l2", s=3), at=(4,), every=None, exchange=lambda blob: [*board, blob]
        )
        for step in range(4):
            own.encode(gradient(step, rank))
            if step < 3:
                own.step()
        codecs.append(own)
    blobs = [codec.state_dict()["stats"] for codec in codecs]
    for rank, codec in enumerate(codecs):
        board[:] = [blob for other, blob in enumerate(blobs) if other != rank][
            :: 1 - 2 * (rank % 2)
        ]
        assert codec.step()
    assert len({codec.codec.levels for codec in codecs}) == 1


def test_shared_tables_come_from_the_fit_and_outlive_the_next() -> None:
    codec = AdaptiveCodec(
        Codec(norm="l2", s=15, chunk=1024, seed=1),
        at=(2, 4),
        every=None,
        window=2,
        share_tables=True,
    )
    frames, decoded = [], []
    for step in range(6):
        x = gradient(step, n=1 << 16)
        frames.append(codec.encode(x, nonce=step))
        decoded.append(codec.codec.replace(shared_tables=None).encode(x, nonce=step))
        codec.step()
    named = [qsgd.inspect(frame).shared_tables_digest for frame in frames]
    assert named[:2] == [None, None]
    assert named[2] == named[3] == codec.shared_tables[1].digest
    assert named[4] == named[5] == codec.shared_tables[0].digest
    assert codec.fitted is not None
    assert codec.shared_tables[0] == qsgd.build_tables(codec.codec, codec.fitted.probabilities)
    for frame, own in zip(frames, decoded, strict=True):
        assert np.array_equal(codec.decode(frame), qsgd.decode(own))
    assert all(
        len(frame) < 0.995 * len(own) for frame, own in zip(frames[2:], decoded[2:], strict=True)
    )
    start = Codec(norm="l2", s=15, chunk=1024, seed=1)
    again = AdaptiveCodec(start, at=(2, 4), every=None, share_tables=True)
    again.load_state_dict(pickle.loads(pickle.dumps(codec.state_dict())))
    assert again.codec == codec.codec
    assert again.shared_tables == codec.shared_tables


def _worker(rank: int, world: int, folder: str) -> None:
    import torch.distributed

    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=world
    )
    import qsgd.torch

    codec = AdaptiveCodec(
        Codec(norm="l2", s=4, bucket=512), at=(3,), every=5, exchange=qsgd.torch.gather_bytes()
    )
    train(codec, 11, rank)
    Path(folder, f"levels{rank}").write_bytes(pickle.dumps(codec.codec.levels))
    torch.distributed.destroy_process_group()


def test_workers_over_gloo_hold_the_same_levels(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    spawn = multiprocessing.get_context("spawn")
    workers = [spawn.Process(target=_worker, args=(rank, 2, str(tmp_path))) for rank in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(120)
        assert worker.exitcode == 0
    levels = [pickle.loads((tmp_path / f"levels{rank}").read_bytes()) for rank in range(2)]
    stats = LevelStats(norm="l2", bucket=512)
    for rank in range(2):
        for step in range(5, 10):
            stats.add(gradient(step, rank))
    assert levels[0] == levels[1] == fit_levels(stats, "alq", 4).levels


def test_a_checkpoint_takes_up_where_it_was_made() -> None:
    def make() -> AdaptiveCodec:
        return AdaptiveCodec(Codec(norm="l2", s=3, seed=9), at=(4, 12), every=None)

    whole, first = make(), make()
    train(whole, 20)
    train(first, 8)
    second = make()
    second.load_state_dict(pickle.loads(pickle.dumps(first.state_dict())))
    train(second, 12)
    assert second.codec == whole.codec
    assert second.codec.nonce == whole.codec.nonce == 20


def test_a_checkpoint_from_before_the_tables_brings_none() -> None:
    codec = AdaptiveCodec(Codec(norm="max"), at=(1, 2), every=None, share_tables=True)
    before = codec.state_dict()
    for _ in range(2):
        train(codec, 1)
        codec.load_state_dict({**codec.state_dict(), "shared_tables": []})
        codec.decode(codec.encode(gradient(1)))
    codec.load_state_dict(before)
    assert codec.codec.shared_tables is None
    assert codec.shared_tables == ()
    codec.decode(codec.encode(gradient(1)))


@pytest.mark.parametrize(
    "bad", [{"nonce": "x"}, {"steps": "x"}, {"shared_tables": [b"x"]}, {"stats": b""}]
)
def test_a_bad_checkpoint_changes_nothing(bad: dict[str, Any]) -> None:
    codec = AdaptiveCodec(Codec(norm="max", seed=1), at=(1,), every=None, share_tables=True)
    train(codec, 1)
    state = codec.state_dict()
    fresh = AdaptiveCodec(Codec(norm="max", seed=1), at=(1,), every=None, share_tables=True)
    before = fresh.state_dict()
    with pytest.raises(QsgdError):
        fresh.load_state_dict({**state, **bad})
    assert fresh.state_dict() == before


def test_a_checkpoint_of_another_codec_is_refused() -> None:
    state = AdaptiveCodec(Codec(norm="l2", bucket=512)).state_dict()
    with pytest.raises(QsgdError, match="bucket"):
        AdaptiveCodec(Codec(norm="l2", bucket=513)).load_state_dict(state)


@pytest.mark.parametrize(
    ("codec", "arguments", "parameter"),
    [
        ("l2", {}, "codec"),
        (Codec.gradient_descent(), {}, "codec"),
        (Codec(norm="rms", step=0.5), {}, "norm"),
        (Codec(), {}, "norm"),
        (Codec(norm="max"), {"at": (0,)}, "at"),
        (Codec(norm="max"), {"every": 0}, "every"),
        (Codec(norm="max"), {"window": 0}, "window"),
        (Codec(norm="max"), {"drift": -1}, "drift"),
        (Codec(norm="max"), {"method": "best"}, "method"),
        (Codec(norm="max"), {"s": 200}, "s"),
        (Codec(norm="max"), {"bits": 20}, "bits"),
        (Codec(norm="max", code="fixed"), {"share_tables": True}, "share_tables"),
        (Codec(norm="l2", rotation=True), {}, "rotation"),
        (Codec(norm="max", code="rice-sparse"), {"symmetric": False}, "code"),
    ],
)
def test_bad_arguments_are_named_at_once(
    codec: Any, arguments: dict[str, Any], parameter: str
) -> None:
    with pytest.raises(QsgdError) as caught:
        AdaptiveCodec(codec, **arguments)
    assert caught.value.parameter == parameter
