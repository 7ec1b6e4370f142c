#define _GNU_SOURCE
#include "include/sockets_shim.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

void cposix_yield(void) { sched_yield(); }

int64_t cposix_monotonic_nanoseconds(void) {
    struct timespec time;
    // Goes on while the machine sleeps: who slept must see that its leases have ended and that
    // its timers are late.
#if defined(__linux__)
    clock_gettime(CLOCK_BOOTTIME, &time);
#else
    clock_gettime(CLOCK_MONOTONIC, &time);
#endif
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

// MARK: Threads

// Musl gives 128 KiB by default, which Swift code can outgrow.
static const size_t stack_byte_count = 2 << 20;

struct start {
    void (*body)(void *);
    void *context;
    char name[16];
};

static void *run(void *raw) {
    struct start start = *(struct start *)raw;
    free(raw);
#if defined(__APPLE__)
    pthread_setname_np(start.name);
#else
    pthread_setname_np(pthread_self(), start.name);
#endif
    start.body(start.context);
    return NULL;
}

static void fill_with_asynchronous_signals(sigset_t *signals) {
    sigfillset(signals);
    int faults[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTRAP};
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) sigdelset(signals, faults[i]);
}

int cposix_thread_start(void (*body)(void *), void *context, const char *name) {
    struct start *start = calloc(1, sizeof *start);
    if (start == NULL) return -ENOMEM;
    start->body = body;
    start->context = context;
    strncpy(start->name, name, sizeof start->name - 1);

    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, stack_byte_count);
    sigset_t blocked, before;
    fill_with_asynchronous_signals(&blocked);
    pthread_sigmask(SIG_BLOCK, &blocked, &before);
    pthread_t thread;
    int error = pthread_create(&thread, &attributes, run, start);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    if (error != 0) free(start);
    return -error;
}

static _Thread_local uint64_t thread_tag = 0;

uint64_t cposix_thread_tag(void) {
    return thread_tag;
}

void cposix_set_thread_tag(uint64_t tag) {
    thread_tag = tag;
}

// MARK: Latch

struct cposix_latch {
    pthread_mutex_t mutex;
    pthread_cond_t opened;
    bool is_open;
};

struct cposix_latch *cposix_latch_create(void) {
    struct cposix_latch *latch = calloc(1, sizeof *latch);
    if (latch == NULL) abort();
    pthread_mutex_init(&latch->mutex, NULL);
    pthread_cond_init(&latch->opened, NULL);
    return latch;
}

void cposix_latch_open(struct cposix_latch *latch) {
    pthread_mutex_lock(&latch->mutex);
    latch->is_open = true;
    pthread_cond_broadcast(&latch->opened);
    pthread_mutex_unlock(&latch->mutex);
}

void cposix_latch_wait(struct cposix_latch *latch) {
    pthread_mutex_lock(&latch->mutex);
    while (!latch->is_open) pthread_cond_wait(&latch->opened, &latch->mutex);
    pthread_mutex_unlock(&latch->mutex);
}

void cposix_latch_destroy(struct cposix_latch *latch) {
    pthread_cond_destroy(&latch->opened);
    pthread_mutex_destroy(&latch->mutex);
    free(latch);
}

// MARK: Errors

// The two versions of strerror_r, told apart by their type.
static const char *chosen_text(int status, const char *buffer) {
    (void)status;
    return buffer;
}

static const char *returned_text(const char *text, const char *buffer) {
    (void)buffer;
    return text;
}

void cposix_error_text(int error, char *text, size_t capacity) {
    if (capacity == 0) return;
    char buffer[128] = "";
    const char *found = _Generic(strerror_r(error, buffer, sizeof buffer),
        int: chosen_text, default: returned_text)(
            strerror_r(error, buffer, sizeof buffer), buffer);
    strncpy(text, found, capacity - 1);
    text[capacity - 1] = 0;
}
