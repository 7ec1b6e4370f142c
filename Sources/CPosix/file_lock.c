#include "include/file_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

int caravan_lock_file(const char *path) {
    int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (file < 0) return -1;
    if (flock(file, LOCK_EX | LOCK_NB) == 0) return file;
    int reason = errno;
    close(file);
    errno = reason;
    return -1;
}

void caravan_unlock_file(int file) {
    close(file);
}

const char *caravan_last_error(void) {
    return strerror(errno);
}

int caravan_last_error_is_would_block(void) {
    return errno == EWOULDBLOCK;
}
