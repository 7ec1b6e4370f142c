#pragma once
#include <stdint.h>

/// Marks this thread as one that runs a simulation: from now on every job that reaches the global
/// executor from it is counted, because such a job runs on another thread and ends determinism.
void csimulation_enter(void);

/// Ends what `csimulation_enter` began, and returns how many jobs escaped meanwhile.
uint64_t csimulation_leave(void);
