#pragma once
#include <stdbool.h>

/// Becomes the guarded command when `argv` asks for it, and returns otherwise.
///
/// `argv` must be `PROGRAM __guard PARENT -- COMMAND ARGUMENT…`. The process asks the kernel to be
/// killed when its parent dies, checks that the parent is still alive, forbids core dumps, resets
/// what it inherited (signal mask and handlers, open files), and turns into COMMAND. It exits with
/// 127 and one line on standard error, starting with `caravan-guard: `, when that fails.
void caravan_guard_if_requested(int argc, char *_Nullable const *_Nonnull argv);

int caravan_own_process_id(void);

/// In which the system counts processor time.
long long caravan_clock_ticks_per_second(void);

/// Sends a signal to a process group; false when nobody was there to receive it.
bool caravan_signal_group(int leader, int signal_number);

/// Whether a child of this process has ended; its process id stays reserved until it is reaped.
bool caravan_child_has_ended(int pid);

/// Whether a path names a regular file that this process may execute.
bool caravan_is_executable(const char *_Nonnull path);
