#define _GNU_SOURCE
#if defined(__APPLE__)
#define __APPLE_USE_RFC_3542
#endif
#include "addresses.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#if !defined(__linux__)
static int make_ours(int descriptor) {
    int flags = fcntl(descriptor, F_GETFL);
    if (flags < 0 || fcntl(descriptor, F_SETFL, flags | O_NONBLOCK) < 0
        || fcntl(descriptor, F_SETFD, FD_CLOEXEC) < 0) {
        int error = errno;
        close(descriptor);
        return -error;
    }
#if defined(SO_NOSIGPIPE)
    int on = 1;
    setsockopt(descriptor, SOL_SOCKET, SO_NOSIGPIPE, &on, sizeof on);
#endif
    return descriptor;
}
#endif

int cposix_socket(int version, bool is_stream) {
    int family = version == 4 ? AF_INET : AF_INET6;
    int kind = is_stream ? SOCK_STREAM : SOCK_DGRAM;
#if defined(__linux__)
    return result(socket(family, kind | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
#else
    int descriptor = socket(family, kind, 0);
    return descriptor < 0 ? -errno : make_ours(descriptor);
#endif
}

int cposix_bind(int descriptor, struct cposix_endpoint endpoint) {
    struct sockaddr_storage storage;
    socklen_t size = cposix_to_sockaddr(endpoint, &storage);
    return result(bind(descriptor, (struct sockaddr *)&storage, size));
}

int cposix_listen(int descriptor, int backlog) {
    return result(listen(descriptor, backlog));
}

int cposix_connect(int descriptor, struct cposix_endpoint endpoint) {
    struct sockaddr_storage storage;
    socklen_t size = cposix_to_sockaddr(endpoint, &storage);
    int status = result(connect(descriptor, (struct sockaddr *)&storage, size));
    // An interrupted connect goes on by itself.
    return status == -EINTR ? -EINPROGRESS : status;
}

int cposix_connect_result(int descriptor) {
    int error = 0;
    socklen_t size = sizeof error;
    if (getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &error, &size) < 0) return -errno;
    return -error;
}

struct cposix_endpoint cposix_local_endpoint(int descriptor) {
    struct sockaddr_storage storage;
    socklen_t size = sizeof storage;
    int status = getsockname(descriptor, (struct sockaddr *)&storage, &size);
    return cposix_from_sockaddr(status < 0 ? NULL : (struct sockaddr *)&storage);
}

struct cposix_endpoint cposix_peer_endpoint(int descriptor) {
    struct sockaddr_storage storage;
    socklen_t size = sizeof storage;
    int status = getpeername(descriptor, (struct sockaddr *)&storage, &size);
    return cposix_from_sockaddr(status < 0 ? NULL : (struct sockaddr *)&storage);
}

struct cposix_accepted cposix_accept(int listener) {
    struct cposix_accepted accepted = {0};
    struct sockaddr_storage storage;
    socklen_t size = sizeof storage;
    memset(&storage, 0, sizeof storage);
#if defined(__linux__)
    int flags = SOCK_NONBLOCK | SOCK_CLOEXEC;
    accepted.descriptor = result(accept4(listener, (struct sockaddr *)&storage, &size, flags));
#else
    accepted.descriptor = result(accept(listener, (struct sockaddr *)&storage, &size));
    if (accepted.descriptor >= 0) accepted.descriptor = make_ours(accepted.descriptor);
#endif
    if (accepted.descriptor >= 0) accepted.peer = cposix_from_sockaddr((struct sockaddr *)&storage);
    return accepted;
}

long cposix_receive(int descriptor, void *bytes, size_t capacity) {
    ssize_t count;
    do count = recv(descriptor, bytes, capacity, 0);
    while (count < 0 && errno == EINTR);
    return count < 0 ? -errno : count;
}

long cposix_send(int descriptor, const void *bytes, size_t count, int more_follows) {
    int flags = CPOSIX_SEND_FLAGS;
#ifdef MSG_MORE
    if (more_follows) flags |= MSG_MORE;
#else
    (void)more_follows;
#endif
    ssize_t sent;
    do sent = send(descriptor, bytes, count, flags);
    while (sent < 0 && errno == EINTR);
    return sent < 0 ? -errno : sent;
}

int cposix_available(int descriptor) {
    int count = 0;
    return ioctl(descriptor, FIONREAD, &count) < 0 ? -errno : count;
}

int cposix_shutdown_write(int descriptor) {
    return result(shutdown(descriptor, SHUT_WR));
}

void cposix_close(int descriptor) {
    close(descriptor);
}

void cposix_abort(int descriptor) {
    struct linger none = {.l_onoff = 1, .l_linger = 0};
    setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &none, sizeof none);
    close(descriptor);
}

struct cposix_pair cposix_stream_pair(void) {
    int ends[2];
#if defined(__linux__)
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) < 0) {
        return (struct cposix_pair){.first = -errno, .second = -1};
    }
#else
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) < 0) {
        return (struct cposix_pair){.first = -errno, .second = -1};
    }
    ends[0] = make_ours(ends[0]);
    ends[1] = make_ours(ends[1]);
    if (ends[0] < 0 || ends[1] < 0) {
        int error = ends[0] < 0 ? ends[0] : ends[1];
        if (ends[0] >= 0) close(ends[0]);
        if (ends[1] >= 0) close(ends[1]);
        return (struct cposix_pair){.first = error, .second = -1};
    }
#endif
    return (struct cposix_pair){.first = ends[0], .second = ends[1]};
}
