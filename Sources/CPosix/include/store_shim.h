#pragma once
// What TensorStore needs of the C library.

#include <stdint.h>

// `modified` is 0 for what cannot be looked at.
struct store_stamp {
    int64_t byte_count; // or -errno
    int64_t modified;   // nanoseconds since 1970
};
struct store_stamp store_stamp_of(const char *_Nonnull path);

/// How much this user may still write to the file system of a folder, or -errno.
int64_t store_free_bytes(const char *_Nonnull folder);
/// Marks a file as used now; 0 or -errno.
int store_touch(const char *_Nonnull path);
/// Removes a file; 0 or -errno.
int store_remove(const char *_Nonnull path);
