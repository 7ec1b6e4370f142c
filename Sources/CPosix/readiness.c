#define _GNU_SOURCE
#include "include/sockets_shim.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#if defined(__linux__)
#include <sys/epoll.h>
#include <sys/eventfd.h>
#else
#include <sys/types.h>
#include <sys/event.h>
#include <sys/time.h>
#endif

#define READY_LIMIT 64

// MARK: epoll

#if defined(__linux__)
int cposix_epoll_create(void) {
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    return epoll < 0 ? -errno : epoll;
}

static int control(int epoll, int operation, int descriptor, uint64_t token, uint32_t interest) {
    struct epoll_event event = {0};
    event.data.u64 = token;
    if (interest & CPOSIX_READABLE) event.events |= EPOLLIN;
    if (interest & CPOSIX_WRITABLE) event.events |= EPOLLOUT;
    return epoll_ctl(epoll, operation, descriptor, &event) < 0 ? -errno : 0;
}

int cposix_epoll_add(int epoll, int descriptor, uint64_t token, uint32_t interest) {
    return control(epoll, EPOLL_CTL_ADD, descriptor, token, interest);
}

int cposix_epoll_change(int epoll, int descriptor, uint64_t token, uint32_t interest) {
    return control(epoll, EPOLL_CTL_MOD, descriptor, token, interest);
}

int cposix_epoll_remove(int epoll, int descriptor) {
    return control(epoll, EPOLL_CTL_DEL, descriptor, 0, 0);
}

int cposix_epoll_wait(int epoll, struct cposix_ready *ready, int capacity, int milliseconds) {
    struct epoll_event events[READY_LIMIT];
    int limit = capacity < READY_LIMIT ? capacity : READY_LIMIT;
    int count = epoll_wait(epoll, events, limit, milliseconds);
    if (count < 0) return -errno;
    for (int i = 0; i < count; i++) {
        uint32_t flags = events[i].events;
        ready[i].token = events[i].data.u64;
        ready[i].events = (flags & EPOLLIN ? CPOSIX_READABLE : 0)
            | (flags & EPOLLOUT ? CPOSIX_WRITABLE : 0) | (flags & EPOLLHUP ? CPOSIX_HANGUP : 0)
            | (flags & EPOLLERR ? CPOSIX_FAILED : 0);
    }
    return count;
}
#else

// MARK: kqueue

int cposix_kqueue_create(void) {
    int queue = kqueue();
    if (queue < 0) return -errno;
    fcntl(queue, F_SETFD, FD_CLOEXEC);
    return queue;
}

static int set_filter(int queue, int descriptor, uint64_t token, int filter, bool wanted) {
    struct kevent change;
    EV_SET(&change, descriptor, filter, wanted ? EV_ADD : EV_DELETE, 0, 0,
        (void *)(uintptr_t)token);
    if (kevent(queue, &change, 1, NULL, 0, NULL) == 0) return 0;
    return !wanted && errno == ENOENT ? 0 : -errno;
}

int cposix_kqueue_change(int queue, int descriptor, uint64_t token, uint32_t interest) {
    int status = set_filter(queue, descriptor, token, EVFILT_READ, interest & CPOSIX_READABLE);
    if (status < 0) return status;
    return set_filter(queue, descriptor, token, EVFILT_WRITE, interest & CPOSIX_WRITABLE);
}

int cposix_kqueue_wait(int queue, struct cposix_ready *ready, int capacity, int milliseconds) {
    struct kevent events[READY_LIMIT];
    int limit = capacity < READY_LIMIT ? capacity : READY_LIMIT;
    struct timespec timeout = {milliseconds / 1000, (milliseconds % 1000) * 1000000L};
    int count = kevent(queue, NULL, 0, events, limit, milliseconds < 0 ? NULL : &timeout);
    if (count < 0) return -errno;
    for (int i = 0; i < count; i++) {
        ready[i].token = (uint64_t)(uintptr_t)events[i].udata;
        ready[i].events = events[i].filter == EVFILT_READ ? CPOSIX_READABLE : CPOSIX_WRITABLE;
        // What an end means is found out by reading or writing, which the filter asks for.
        if (events[i].flags & EV_EOF && events[i].fflags != 0) ready[i].events |= CPOSIX_FAILED;
    }
    return count;
}
#endif

// MARK: poll

int cposix_poll(struct cposix_watch *watches, int count, int milliseconds) {
    struct pollfd few[READY_LIMIT];
    struct pollfd *polled = few;
    if (count > READY_LIMIT) {
        polled = malloc((size_t)count * sizeof *polled);
        if (polled == NULL) return -ENOMEM;
    }
    for (int i = 0; i < count; i++) {
        polled[i].fd = watches[i].descriptor;
        polled[i].events = (short)((watches[i].interest & CPOSIX_READABLE ? POLLIN : 0)
            | (watches[i].interest & CPOSIX_WRITABLE ? POLLOUT : 0));
        polled[i].revents = 0;
    }
    int ready = poll(polled, (nfds_t)count, milliseconds);
    int status = ready < 0 ? -errno : ready;
    for (int i = 0; i < count; i++) {
        short flags = ready < 0 ? 0 : polled[i].revents;
        watches[i].events = (flags & POLLIN ? CPOSIX_READABLE : 0)
            | (flags & POLLOUT ? CPOSIX_WRITABLE : 0) | (flags & POLLHUP ? CPOSIX_HANGUP : 0)
            | (flags & (POLLERR | POLLNVAL) ? CPOSIX_FAILED : 0);
    }
    if (polled != few) free(polled);
    return status;
}

// MARK: Wake-up

struct cposix_wake cposix_wake_create(void) {
    struct cposix_wake wake;
#if defined(__linux__)
    int event = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    wake.read_end = event < 0 ? -errno : event;
    wake.write_end = wake.read_end;
#else
    int ends[2];
    if (pipe(ends) < 0) {
        wake.read_end = wake.write_end = -errno;
        return wake;
    }
    for (int i = 0; i < 2; i++) {
        fcntl(ends[i], F_SETFL, fcntl(ends[i], F_GETFL) | O_NONBLOCK);
        fcntl(ends[i], F_SETFD, FD_CLOEXEC);
    }
    wake.read_end = ends[0];
    wake.write_end = ends[1];
#endif
    return wake;
}

void cposix_wake_signal(int write_end) {
    uint64_t one = 1;
    // A full pipe or counter wakes just as well.
    ssize_t ignored = write(write_end, &one, sizeof one);
    (void)ignored;
}

void cposix_wake_clear(int read_end) {
    uint64_t values[64];
    ssize_t ignored = read(read_end, values, sizeof values);
    (void)ignored;
}
