#pragma once

/// Takes a lock that ends with this process at the latest, and returns its file.
///
/// The file is made when it is missing, and stays. -1 with EWOULDBLOCK in `errno` when another
/// process holds the lock.
int caravan_lock_file(const char *_Nonnull path);

/// Gives up a lock and closes its file.
void caravan_unlock_file(int file);

/// What went wrong in the last call of this thread, in words.
const char *_Nonnull caravan_last_error(void);

/// Whether the last call failed because it would have had to wait.
int caravan_last_error_is_would_block(void);
