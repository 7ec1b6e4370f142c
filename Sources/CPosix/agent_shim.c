#define _GNU_SOURCE
#include "agent_shim.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#if defined(__linux__)
#include <sys/random.h>
#endif

int agent_mode(const char *path) {
    struct stat status;
    if (stat(path, &status) != 0) return -1;
    return (int)(status.st_mode & 07777);
}

int agent_sync(int descriptor) { return fsync(descriptor); }

int agent_rename(const char *from, const char *to) { return rename(from, to); }

uint64_t agent_random(void) {
    uint64_t value = 0;
#if defined(__linux__)
    if (getrandom(&value, sizeof value, 0) == sizeof value) return value;
#endif
    FILE *file = fopen("/dev/urandom", "rb");
    if (file == NULL || fread(&value, sizeof value, 1, file) != 1) abort();
    fclose(file);
    return value;
}
