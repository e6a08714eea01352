"""Codecs across forks and threads: fresh noise, no lost nonce, the GIL free, no deadlock."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

import qsgd
from qsgd import Codec

# Ten chunks: enough for several threads.
X = np.random.default_rng(3).standard_normal(160_000).astype(np.float32)
OPTIONS: dict[str, Any] = {"chunk": 16384, "threads": 4}

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
# Python 3.12 and later warn of any fork while other threads exist; that case is what is tested.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")


def in_child(call: Callable[[], Any]) -> Any:
    """The result of `call` in a forked child, which is killed after a minute."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            import signal

            signal.alarm(60)
            os.close(reader)
            with os.fdopen(writer, "wb") as pipe:
                pickle.dump(call(), pipe)
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        data = pipe.read()
    assert os.waitpid(pid, 0)[1] == 0
    return pickle.loads(data)


@needs_fork
def test_fork_draws_a_new_seed_where_none_was_given() -> None:
    codec = Codec()
    parent = codec.key
    children = [in_child(lambda: codec.key) for _ in range(3)]
    assert len({parent, *children}) == 4
    assert codec.key == parent
    x = X[:1000]
    assert in_child(lambda: codec.encode(x, nonce=0)) != codec.encode(x, nonce=0)


@needs_fork
def test_fork_of_a_fork_draws_again() -> None:
    codec = Codec()
    child, grandchild = in_child(lambda: (codec.key, in_child(lambda: codec.key)))
    assert len({codec.key, child, grandchild}) == 3


@needs_fork
def test_fork_keeps_a_given_seed_and_the_counter() -> None:
    codec = Codec(seed=5)
    codec.encode(X)
    assert in_child(lambda: (codec.key, codec.nonce)) == (5, 1)


@needs_fork
def test_thread_pool_works_in_a_child_of_a_process_that_used_it() -> None:
    codec = Codec(seed=1, **OPTIONS)
    frame = codec.encode(X, nonce=0)
    child_frame, total = in_child(
        lambda: (codec.encode(X, nonce=0), qsgd.decode(frame, threads=4).sum())
    )
    assert child_frame == frame
    assert total == qsgd.decode(frame).sum()
    assert codec.encode(X, nonce=0) == frame


@needs_fork
def test_fork_while_another_thread_encodes_is_safe() -> None:
    codec = Codec(seed=1, **OPTIONS)
    frame = codec.encode(X, nonce=0)
    stop = threading.Event()

    def busy() -> None:
        while not stop.is_set():
            codec.encode(X, nonce=0)

    thread = threading.Thread(target=busy)
    thread.start()
    try:
        for _ in range(10):
            assert in_child(lambda: codec.encode(X, nonce=0)) == frame
    finally:
        stop.set()
        thread.join()


def test_counter_gives_every_thread_its_own_nonce() -> None:
    codec = Codec(seed=1, rounding="dithered")
    x = X[:100]
    with ThreadPoolExecutor(8) as pool:
        frames = list(pool.map(lambda _: codec.encode(x), range(400)))
    assert sorted(qsgd.inspect(frame).nonce or 0 for frame in frames) == list(range(400))
    assert codec.nonce == 400


def test_concurrent_calls_that_share_the_pool_give_the_same_results() -> None:
    codecs = [Codec(seed=1, chunk=16384, threads=t) for t in (1, 2, 3, 8)]
    frame = codecs[0].encode(X, nonce=7)
    values = qsgd.decode(frame, threads=1)

    def work(i: int) -> bool:
        codec = codecs[i % len(codecs)]
        acc = np.zeros_like(X)
        qsgd.decode_add(frame, acc, threads=codec.threads)
        return (
            codec.encode(X, nonce=7) == frame
            and bool((qsgd.decode(frame, threads=codec.threads) == values).all())
            and bool((acc == values).all())
        )

    with ThreadPoolExecutor(6) as pool:
        assert all(pool.map(work, range(60)))


@pytest.mark.parametrize("kind", ["encode", "encode_into", "quantize", "decode", "decode_add"])
def test_gil_is_released_during_work(kind: str) -> None:
    codec = Codec(seed=1, threads=1)
    frame = codec.encode(X)
    acc = np.zeros_like(X)
    out = bytearray(codec.bound(X.size))
    calls: dict[str, Callable[[], object]] = {
        "encode": lambda: codec.encode(X),
        "encode_into": lambda: codec.encode_into(X, out),
        "quantize": lambda: codec.quantize(X),
        "decode": lambda: qsgd.decode(frame, threads=1),
        "decode_add": lambda: qsgd.decode_add(frame, acc, threads=1),
    }
    call = calls[kind]
    started = threading.Event()
    noticed: list[bool] = []
    seen_by_worker: list[bool] = []

    def worker() -> None:
        started.set()
        for _ in range(20_000):
            call()
            if noticed:
                break
        seen_by_worker.append(bool(noticed))

    # With so long a switch interval no thread loses the GIL but by releasing it: the main thread
    # gets it before the worker ends only if `call` lets it go.
    interval = sys.getswitchinterval()
    thread = threading.Thread(target=worker)
    try:
        sys.setswitchinterval(1000)
        thread.start()
        started.wait()
        noticed.append(True)
    finally:
        sys.setswitchinterval(interval)
        thread.join()
    assert seen_by_worker == [True]


def test_process_exits_with_the_pool_in_use() -> None:
    script = """
import threading, numpy as np, qsgd
x = np.ones(1_000_000, np.float32)
codec = qsgd.Codec(seed=1, threads=4)
def forever():
    while True:
        codec.encode(x)
threading.Thread(target=forever, daemon=True).start()
print(codec.encode(x, nonce=0) == codec.encode(x, nonce=0))
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "True", "")
