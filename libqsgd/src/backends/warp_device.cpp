/* The device's vocabulary and bodies on the host, for tests: every kernel runs in the 32 lanes of a
 * warp that take turns (simd/warp_emulator.h), and all lanes must return the same. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include <type_traits>

#include "simd/warp.cuh"

extern "C" {
#include "kernels/kernels.h"
}

/* ---- lanes as coroutines --------------------------------------------------------------------- */

#define STACK_BYTES ((size_t)256 << 10)

/* One warp at a time: `turn` is whose it is among threads of the host. */
static struct {
    pthread_mutex_t turn;
    void (*work)(void *data);
    void *data;
    void *host;      /* stack pointer of who called warp_run */
    void *stack[32]; /* and of lanes that wait */
    uint32_t lane, step, done;
    uint64_t met[2][32], meetings[32];
} warp = {PTHREAD_MUTEX_INITIALIZER, nullptr, nullptr, nullptr, {}, 0, 1, 0, {}, {}};

alignas(64) static uint8_t stacks[32][STACK_BYTES];

/* Saves what a function must preserve and its stack pointer to *from, goes on with `to`. */
extern "C" void warp_switch(void **from, void *to);
__asm__(".text\n"
        ".globl warp_switch\n"
        ".hidden warp_switch\n"
        ".type warp_switch, @function\n"
        "warp_switch:\n"
        "push %rbp\n push %rbx\n push %r12\n push %r13\n push %r14\n push %r15\n"
        "mov %rsp, (%rdi)\n"
        "mov %rsi, %rsp\n"
        "pop %r15\n pop %r14\n pop %r13\n pop %r12\n pop %rbx\n pop %rbp\n"
        "ret\n"
        ".size warp_switch, . - warp_switch\n");

static void fail(const char *what) {
    fprintf(stderr, "warp: lane %u: %s\n", warp.lane, what);
    abort();
}

uint32_t warp_lane(void) { return warp.lane; }

static void next_lane(void **from) {
    warp.lane = (warp.lane + warp.step) % 32;
    warp_switch(from, warp.stack[warp.lane]);
}

/* Lanes come here in order, so that all others have given their numbers when the turn is back. The
 * next meeting has another row, as some lanes have yet to read this one. */
const uint64_t *warp_meet(uint64_t a) {
    const uint32_t lane = warp.lane;
    if (warp.done != 0) fail("comes to a meeting after others have returned");
    uint64_t *const row = warp.met[warp.meetings[lane]++ % 2];
    row[lane] = a;
    next_lane(&warp.stack[lane]);
    return row;
}

static void lane_main(void) {
    warp.work(warp.data);
    const uint32_t lane = warp.lane;
    if (warp.done++ != 0 && warp.meetings[lane] != warp.meetings[(lane - warp.step) % 32]) {
        fail("came to other meetings than the lane before");
    }
    if (warp.done == 32) warp_switch(&warp.stack[lane], warp.host);
    next_lane(&warp.stack[lane]);
    fail("goes on after its end");
}

void warp_run(void (*work)(void *data), void *data) {
    pthread_mutex_lock(&warp.turn);
    warp.work = work;
    warp.data = data;
    warp.done = 0;
    warp.step = 32 - warp.step; /* 1 or 31: up or down */
    warp.lane = warp.step == 1 ? 0 : 31;
    for (uint32_t l = 0; l < 32; l++) {
        void **top = (void **)(void *)(stacks[l] + STACK_BYTES) - 8;
        memset(top - 6, 0, 6 * sizeof *top);
        *top = reinterpret_cast<void *>(lane_main);
        warp.stack[l] = top - 6;
        warp.meetings[l] = 0;
    }
    warp_switch(&warp.host, warp.stack[warp.lane]);
    pthread_mutex_unlock(&warp.turn);
}

/* ---- kernels by warps ------------------------------------------------------------------------ */

template <auto F> struct together;

template <typename R, typename... A, R (*F)(A...)> struct together<F> {
    static R run(A... a) {
        if constexpr (std::is_void_v<R>) {
            auto one = [&] { F(a...); };
            warp_run([](void *data) { (*static_cast<decltype(one) *>(data))(); }, &one);
        } else {
            R result[32] = {};
            auto one = [&] { result[warp_lane()] = F(a...); };
            warp_run([](void *data) { (*static_cast<decltype(one) *>(data))(); }, &one);
            for (int l = 1; l < 32; l++) {
                if (result[l] != result[0]) fail("a lane returns another result");
            }
            return result[0];
        }
    }
};

#define BACKEND_ENTRY(kernel) together<kernel>::run
#define BACKEND_NAME warp_device
#include "backends/instantiate.h"
