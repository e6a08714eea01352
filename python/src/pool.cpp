// Threads for chunks and scratch memory: see pool.hpp.
#include "pool.hpp"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <exception>
#include <new>
#include <thread>

namespace binding {

Pool &Pool::instance() {
    static Pool *pool = nullptr;
    static pid_t owner = 0;
    const pid_t pid = getpid();
    if (pool == nullptr || owner != pid) {
        pool = new Pool;
        owner = pid;
    }
    return *pool;
}

void Pool::Job::work(uint32_t worker) {
    for (;;) {
        const uint64_t index = next.fetch_add(1, std::memory_order_relaxed);
        if (index >= count) return;
        try {
            task(argument, index, worker);
        } catch (...) {
            failed = true;
            next = count; // nobody begins another
            return;
        }
    }
}

bool Pool::run(qsgd_task task, void *argument, uint64_t count, uint32_t workers) {
    Job job{task, argument, count, workers};
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        grow(workers - 1);
        jobs_.push_back(&job);
        callers_++;
    }
    for (uint32_t i = 1; i < workers; i++) wake_.notify_one();
    job.work(0);

    std::unique_lock<std::mutex> lock(mutex_);
    forget(&job);
    callers_--;
    if (!jobs_.empty()) wake_.notify_one(); // a helper may be allowed to join now
    done_.wait(lock, [&] { return job.active == 0; });
    return !job.failed;
}

// Called with the lock held. Fewer threads than asked for is no error: the caller works too.
void Pool::grow(uint32_t helpers) {
    while (helpers_ < helpers) {
        try {
            std::thread(&Pool::help, this).detach();
        } catch (const std::exception &) { // no more threads, or no memory
            return;
        }
        helpers_++;
    }
}

void Pool::help() {
    std::unique_lock<std::mutex> lock(mutex_);
    for (;;) {
        wake_.wait(lock, [&] { return !jobs_.empty() && callers_ + busy_ < helpers_ + 1; });
        Job *job = jobs_.front();
        const uint32_t worker = job->joined++;
        if (job->joined >= job->workers) forget(job);
        job->active++;
        busy_++;
        lock.unlock();
        job->work(worker);
        lock.lock();
        forget(job); // nothing is left to begin
        busy_--;
        if (--job->active == 0) done_.notify_all();
    }
}

void Pool::forget(Job *job) {
    jobs_.erase(std::remove(jobs_.begin(), jobs_.end(), job), jobs_.end());
}

qsgd_status run_on_pool(void *context, qsgd_task task, void *job, uint64_t count) noexcept {
    const auto *runner = static_cast<const RunnerContext *>(context);
    try {
        if (count > 1 && runner->workers > 1)
            return runner->pool->run(task, job, count, runner->workers) ? QSGD_OK : QSGD_ERR_RUNNER;
        for (uint64_t i = 0; i < count; i++) task(job, i, 0);
        return QSGD_OK;
    } catch (...) { // no memory to queue the job, or a task threw
        return QSGD_ERR_RUNNER;
    }
}

uint32_t default_threads() {
    static const uint32_t count = [] {
        uint32_t cores = std::max(1u, std::thread::hardware_concurrency());
#ifdef __linux__
        cpu_set_t set;
        if (sched_getaffinity(0, sizeof set, &set) == 0)
            cores = static_cast<uint32_t>(std::max(1, CPU_COUNT(&set)));
#endif
        return std::min(cores, 8u);
    }();
    return count;
}

namespace {

constexpr std::align_val_t kAlign{64};
constexpr uint64_t kLargestKept = uint64_t{64} << 20; // bytes

struct Kept {
    void *data = nullptr;
    uint64_t size = 0;
    ~Kept() { release(); }
    void release() {
        if (data != nullptr) ::operator delete(data, kAlign);
        data = nullptr;
        size = 0;
    }
};

thread_local Kept kept;

} // namespace

Workspace::Workspace(uint64_t bytes) : data_(nullptr), size_(bytes), kept_(bytes <= kLargestKept) {
    if (kept_ && kept.size >= bytes && kept.data != nullptr) {
        data_ = kept.data;
        return;
    }
    if (!kept_) {
        data_ = ::operator new(bytes, kAlign);
        return;
    }
    const uint64_t rounded = std::max<uint64_t>((bytes + 4095) / 4096 * 4096, 65536);
    kept.release();
    data_ = kept.data = ::operator new(rounded, kAlign);
    kept.size = rounded;
}

Workspace::~Workspace() {
    if (!kept_) ::operator delete(data_, kAlign);
}

} // namespace binding
