/* How much stack a call takes: it runs on a thread whose stack was painted. */
#ifndef QSGD_TESTS_STACK_SUPPORT_H
#define QSGD_TESTS_STACK_SUPPORT_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

#include "check.h"

#define STACK_BYTES ((size_t)512 << 10)
#define STACK_PAINT 0x5AU
#define STACK_FRAME 512 /* bytes below a local variable that its own function may use */

typedef void stack_call(void *context);

static _Alignas(4096) unsigned char stack_memory[STACK_BYTES];

/* Volatile, so that no memset is called, on this very stack. */
static __attribute__((noinline)) void stack_fill(volatile unsigned char *to) {
    for (volatile unsigned char *p = stack_memory; p < to; p++) *p = STACK_PAINT;
}

/* Bytes of stack that call(context) takes below its caller. On a thread of stack_run. */
static __attribute__((noinline)) size_t stack_of(stack_call *call, void *context) {
    volatile unsigned char here = 0;
    const uintptr_t top = (uintptr_t)&here;
    size_t i = 0;
    CHECK(top > (uintptr_t)stack_memory && top < (uintptr_t)stack_memory + STACK_BYTES);
    call(context); /* the dynamic linker looks functions up where they are first called */
    stack_fill(stack_memory + (top - (uintptr_t)stack_memory) - STACK_FRAME);
    call(context);
    while (stack_memory[i] == STACK_PAINT) i++;
    return (size_t)(top - (uintptr_t)stack_memory) - i;
}

/* Runs body(NULL) on a thread with a stack that can be measured. */
static inline void stack_run(void *(*body)(void *)) {
    pthread_attr_t attributes;
    pthread_t thread;
    CHECK(pthread_attr_init(&attributes) == 0);
    CHECK(pthread_attr_setstack(&attributes, stack_memory, STACK_BYTES) == 0);
    CHECK(pthread_create(&thread, &attributes, body, NULL) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
    pthread_attr_destroy(&attributes);
}

#endif
