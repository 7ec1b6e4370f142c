// How the other files of this module write addresses for the system, and read them.
#pragma once

#include "include/sockets_shim.h"

#include <errno.h>
#include <sys/socket.h>

socklen_t cposix_to_sockaddr(struct cposix_endpoint endpoint, struct sockaddr_storage *storage);
struct cposix_endpoint cposix_from_sockaddr(const struct sockaddr *storage);

// Darwin says it with a socket option instead.
#if defined(MSG_NOSIGNAL)
#define CPOSIX_SEND_FLAGS MSG_NOSIGNAL
#else
#define CPOSIX_SEND_FLAGS 0
#endif

// The result of a system call, with the error number in it.
static inline int result(int value) {
    return value < 0 ? -errno : value;
}
