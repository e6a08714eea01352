"""The bindings' thread pool as a C++ program sees it: every task once, and no exception leaves it.

pool.cpp needs no Python, so a compiler and the headers are enough; without a compiler the test is
skipped.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROGRAM = r"""
#include <atomic>
#include <cstdio>
#include <cstring>
#include <stdexcept>
#include <thread>
#include <vector>

#include "pool.hpp"

#define CHECK(condition)                                                                           \
    if (!(condition)) {                                                                            \
        std::printf("line %d: %s\n", __LINE__, #condition);                                        \
        return 1;                                                                                  \
    }

struct Work {
    explicit Work(uint64_t count) : runs(count) {}
    std::vector<std::atomic<int>> runs;
    std::atomic<uint32_t> most{0};
    uint64_t throws_at = UINT64_MAX;
};

static void task(void *argument, uint64_t index, uint32_t worker) {
    auto *work = static_cast<Work *>(argument);
    if (index == work->throws_at) throw std::runtime_error("no");
    work->runs.at(index)++; // throws out of range
    uint32_t seen = work->most;
    while (seen < worker && !work->most.compare_exchange_weak(seen, worker)) {
    }
}

int main() {
    using namespace binding;
    for (uint32_t workers : {1U, 2U, 5U}) {
        RunnerContext context{&Pool::instance(), workers};
        for (uint64_t count : {0, 1, 2, 3, 100}) {
            Work all(count);
            CHECK(run_on_pool(&context, task, &all, count) == QSGD_OK);
            for (const auto &runs : all.runs) CHECK(runs == 1);
            CHECK(all.most < workers);

            Work failing(count);
            failing.throws_at = count / 2;
            CHECK(run_on_pool(&context, task, &failing, count) ==
                  (count == 0 ? QSGD_OK : QSGD_ERR_RUNNER));
            CHECK(run_on_pool(&context, task, &all, count) == QSGD_OK); // the pool goes on
        }
    }
    // Many callers at once, one of which fails.
    std::atomic<int> wrong{0};
    std::vector<std::thread> callers;
    for (int i = 0; i < 6; i++)
        callers.emplace_back([i, &wrong] {
            RunnerContext context{&Pool::instance(), 3};
            for (int round = 0; round < 50; round++) {
                Work work(20);
                if (i == 0) work.throws_at = static_cast<uint64_t>(round % 20);
                const qsgd_status status = run_on_pool(&context, task, &work, 20);
                if (status != (i == 0 ? QSGD_ERR_RUNNER : QSGD_OK)) wrong++;
            }
        });
    for (auto &caller : callers) caller.join();
    CHECK(wrong == 0);
    return 0;
}
"""


def test_every_task_runs_once_and_a_task_that_throws_is_an_error(tmp_path: Path) -> None:
    compiler = shutil.which("c++") or pytest.skip("no C++ compiler")
    (tmp_path / "test.cpp").write_text(PROGRAM)
    folders = [f"-I{ROOT / 'python' / 'src'}", f"-I{ROOT / 'libqsgd' / 'include'}"]
    flags = ["-std=c++17", "-Wall", "-Wextra", "-Werror", "-pthread", "-DQSGD_STATIC"]
    source = ROOT / "python" / "src" / "pool.cpp"
    build = [compiler, *flags, *folders, "test.cpp", str(source), "-o", "test"]
    done = subprocess.run(build, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    ran = subprocess.run([tmp_path / "test"], capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, ran.stdout + ran.stderr
