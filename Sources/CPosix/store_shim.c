#define _GNU_SOURCE
#include "store_shim.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

struct store_stamp store_stamp_of(const char *path) {
    struct stat status;
    if (stat(path, &status) != 0) return (struct store_stamp){.byte_count = -errno};
#if defined(__APPLE__)
    struct timespec modified = status.st_mtimespec;
#else
    struct timespec modified = status.st_mtim;
#endif
    return (struct store_stamp){
        .byte_count = status.st_size,
        .modified = (int64_t)modified.tv_sec * 1000000000 + modified.tv_nsec,
    };
}

int64_t store_free_bytes(const char *folder) {
    struct statvfs status;
    if (statvfs(folder, &status) != 0) return -errno;
    return (int64_t)status.f_bavail * (int64_t)status.f_frsize;
}

int store_touch(const char *path) {
    return utimensat(AT_FDCWD, path, NULL, 0) == 0 ? 0 : -errno;
}

int store_remove(const char *path) { return unlink(path) == 0 ? 0 : -errno; }
