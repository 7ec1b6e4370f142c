#pragma once
// What Agent needs of the C library.

#include <stdint.h>

/// Who may do what with a file, as `chmod` takes it; -1 if it is not there.
int agent_mode(const char *_Nonnull path);
/// Waits until what was written is on the disk; 0 or -1.
int agent_sync(int descriptor);
int agent_rename(const char *_Nonnull from, const char *_Nonnull to);
/// A number that nobody can guess.
uint64_t agent_random(void);
