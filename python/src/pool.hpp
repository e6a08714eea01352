// Threads for chunks: the runner that the C library calls in encode and decode, and the scratch
// memory of each calling thread.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <mutex>
#include <new>

#include "qsgd.h"

namespace binding {

// A pool of helper threads that calls share. A call always works on its own thread and is joined by
// helpers that are free; it never waits for a busy one, so concurrent calls cannot deadlock, and
// callers plus helpers at work never exceed the largest `workers` asked for so far (callers alone
// may: those threads are the program's own).
class Pool {
  public:
    // The process's pool. Call under the GIL. A forked child has none of its parent's threads (and
    // perhaps a locked mutex), so it leaves the parent's pool alone and makes its own.
    static Pool &instance();

    // Calls task(job, i, worker) for every i < count, on at most `workers` threads. False if a task
    // threw, which then ends the job early; throws itself only before the first task.
    bool run(qsgd_task task, void *job, uint64_t count, uint32_t workers);

  private:
    struct Job {
        qsgd_task task;
        void *argument;
        uint64_t count;
        uint32_t workers;
        std::atomic<uint64_t> next{0};
        std::atomic<bool> failed{false};
        uint32_t joined = 1; // worker numbers given out; 0 is the caller's
        uint32_t active = 0; // helpers at work
        void work(uint32_t worker);
    };

    void grow(uint32_t helpers);
    void help();
    void forget(Job *job);

    // Never destroyed: helpers wait here while the process exits, and touch no Python object.
    std::mutex mutex_;
    std::condition_variable wake_;
    std::condition_variable done_;
    std::deque<Job *> jobs_;
    uint32_t helpers_ = 0;
    uint32_t busy_ = 0;
    uint32_t callers_ = 0;
};

// `runner_context` of the options of one call.
struct RunnerContext {
    Pool *pool = nullptr;
    uint32_t workers = 1;
};

// The runner of the C interface. No exception leaves it: QSGD_ERR_RUNNER.
qsgd_status run_on_pool(void *context, qsgd_task task, void *job, uint64_t count) noexcept;

// Runs one(i) for every i < count on at most `threads` threads of the pool, without the GIL. What a
// call throws ends it: std::bad_alloc.
template <typename One> void run_each(Pool &pool, uint64_t count, uint32_t threads, One &one) {
    const qsgd_task task = [](void *job, uint64_t index, uint32_t) {
        (*static_cast<One *>(job))(index);
    };
    if (threads == 1 || count < 2) {
        for (uint64_t i = 0; i < count; i++) one(i);
    } else if (!pool.run(task, &one, count, threads)) {
        throw std::bad_alloc();
    }
}

// Cores that this process may use, at most 8: more helps little, as memory is the limit.
uint32_t default_threads();

// 64-byte aligned scratch of the calling thread, kept for the next call, freed at thread exit.
// Requests past 64 MiB are not kept: construct, use, destroy.
class Workspace {
  public:
    explicit Workspace(uint64_t bytes); // throws std::bad_alloc
    ~Workspace();
    Workspace(const Workspace &) = delete;
    Workspace &operator=(const Workspace &) = delete;
    qsgd_memory memory() const { return {data_, size_}; }

  private:
    void *data_;
    uint64_t size_;
    bool kept_;
};

} // namespace binding
