#include "csimulation.h"

#include <stdatomic.h>
#include <stdbool.h>

#define SWIFT_CONVENTION __attribute__((swiftcall))

// The Swift runtime's documented hook (Concurrency.h): called instead of the global executor,
// with the original to fall back to.
typedef SWIFT_CONVENTION void (*enqueue_original)(void *job);
typedef SWIFT_CONVENTION void (*enqueue_hook)(void *job, enqueue_original original);
extern enqueue_hook swift_task_enqueueGlobal_hook;

static _Thread_local bool is_simulating;
static _Thread_local uint64_t escaped_count;
static atomic_flag is_installed = ATOMIC_FLAG_INIT;
static enqueue_hook previous_hook;

static SWIFT_CONVENTION void count_and_enqueue(void *job, enqueue_original original) {
    if (is_simulating) escaped_count += 1;
    // Other threads are none of our business, and an escaped job runs all the same: whoever
    // waits for it would wait for ever, and the run is reported as failed anyway.
    if (previous_hook) {
        previous_hook(job, original);
    } else {
        original(job);
    }
}

void csimulation_enter(void) {
    if (!atomic_flag_test_and_set(&is_installed)) {
        previous_hook = swift_task_enqueueGlobal_hook;
        swift_task_enqueueGlobal_hook = count_and_enqueue;
    }
    escaped_count = 0;
    is_simulating = true;
}

uint64_t csimulation_leave(void) {
    is_simulating = false;
    return escaped_count;
}
