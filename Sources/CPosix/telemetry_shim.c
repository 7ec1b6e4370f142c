#include "telemetry_shim.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static int64_t nanoseconds_of(clockid_t clock) {
    struct timespec now = {0, 0};
    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int64_t telemetry_wall_nanoseconds(void) { return nanoseconds_of(CLOCK_REALTIME); }

int64_t telemetry_monotonic_nanoseconds(void) { return nanoseconds_of(CLOCK_MONOTONIC); }

int64_t telemetry_local_offset(int64_t unix_seconds) {
    time_t moment = (time_t)unix_seconds;
    struct tm local;
    if (localtime_r(&moment, &local) == NULL) return 0;
    return local.tm_gmtoff;
}

bool telemetry_wants_colours(int descriptor) {
    if (!isatty(descriptor)) return false;
    const char *refused = getenv("NO_COLOR");
    if (refused != NULL && refused[0] != '\0') return false;
    const char *terminal = getenv("TERM");
    return terminal == NULL || strcmp(terminal, "dumb") != 0;
}

void telemetry_error_text(int error, char *buffer, int32_t capacity) {
    if (capacity <= 0) return;
    buffer[0] = '\0';
#if defined(__GLIBC__) && defined(_GNU_SOURCE)
    // GNU's variant may return a constant instead of filling the buffer.
    snprintf(buffer, (size_t)capacity, "%s", strerror_r(error, buffer, (size_t)capacity));
#else
    if (strerror_r(error, buffer, (size_t)capacity) != 0)
        snprintf(buffer, (size_t)capacity, "error %d", error);
#endif
}

int telemetry_open_append(const char *path) {
    int flags = O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
    int descriptor;
    do descriptor = open(path, flags, 0600);
    while (descriptor < 0 && errno == EINTR);
    return descriptor < 0 ? -errno : descriptor;
}

int telemetry_open_read(const char *path) {
    int descriptor;
    do descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    while (descriptor < 0 && errno == EINTR);
    return descriptor < 0 ? -errno : descriptor;
}

void telemetry_close(int descriptor) { close(descriptor); }

int64_t telemetry_write(int descriptor, const uint8_t *bytes, int64_t count, int32_t patience_ms) {
    int64_t done = 0;
    int64_t deadline = telemetry_monotonic_nanoseconds() + (int64_t)patience_ms * 1000000;
    while (done < count) {
        ssize_t written = write(descriptor, bytes + done, (size_t)(count - done));
        if (written > 0) {
            done += written;
            continue;
        }
        if (written < 0 && errno == EINTR) continue;
        int error = written == 0 ? ENOSPC : errno;
        if (error == EAGAIN) {
            int64_t left = (deadline - telemetry_monotonic_nanoseconds()) / 1000000;
            struct pollfd waiting = {descriptor, POLLOUT, 0};
            if (left > 0 && poll(&waiting, 1, (int)left) >= 0) continue;
        }
        return done > 0 ? done : -error;
    }
    return done;
}

int64_t telemetry_read_at(int descriptor, uint8_t *bytes, int64_t count, int64_t offset) {
    ssize_t read;
    do read = pread(descriptor, bytes, (size_t)count, (off_t)offset);
    while (read < 0 && errno == EINTR);
    return read < 0 ? -errno : read;
}

int telemetry_rename(const char *from, const char *to) {
    return rename(from, to) == 0 ? 0 : -errno;
}

int telemetry_make_directory(const char *path) {
    return mkdir(path, 0700) == 0 || errno == EEXIST ? 0 : -errno;
}

static telemetry_file_facts facts_of(int result, const struct stat *status) {
    telemetry_file_facts facts = {0, 0, 0, 0};
    if (result != 0) {
        facts.error = errno;
        return facts;
    }
    facts.device = (uint64_t)status->st_dev;
    facts.number = (uint64_t)status->st_ino;
    facts.size = (int64_t)status->st_size;
    return facts;
}

telemetry_file_facts telemetry_facts_of_path(const char *path) {
    struct stat status;
    int result = stat(path, &status);
    return facts_of(result, &status);
}

telemetry_file_facts telemetry_facts_of_descriptor(int descriptor) {
    struct stat status;
    int result = fstat(descriptor, &status);
    return facts_of(result, &status);
}

// MARK: Threads

struct thread_start {
    void (*body)(void *);
    void *context;
};

static void *run_thread(void *argument) {
    struct thread_start start = *(struct thread_start *)argument;
    free(argument);
    start.body(start.context);
    return NULL;
}

int telemetry_start_thread(void (*body)(void *), void *context) {
    struct thread_start *start = malloc(sizeof *start);
    if (start == NULL) return -ENOMEM;
    start->body = body;
    start->context = context;

    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, 512 * 1024);
    // The process's signals belong to its main loop; and a broken pipe must be an errno here.
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pthread_t thread;
    int error = pthread_create(&thread, &attributes, run_thread, start);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    if (error != 0) free(start);
    return -error;
}

struct telemetry_event {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool raised;
};

telemetry_event *telemetry_event_create(void) {
    telemetry_event *event = malloc(sizeof *event);
    if (event == NULL) abort();  // as Swift's own allocations do
    pthread_mutex_init(&event->lock, NULL);
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
#if !defined(__APPLE__)
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
#endif
    pthread_cond_init(&event->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    event->raised = false;
    return event;
}

void telemetry_event_destroy(telemetry_event *event) {
    pthread_cond_destroy(&event->changed);
    pthread_mutex_destroy(&event->lock);
    free(event);
}

void telemetry_event_raise(telemetry_event *event) {
    pthread_mutex_lock(&event->lock);
    event->raised = true;
    pthread_cond_signal(&event->changed);
    pthread_mutex_unlock(&event->lock);
}

bool telemetry_event_wait(telemetry_event *event, int64_t timeout_ms) {
#if defined(__APPLE__)
    clockid_t clock = CLOCK_REALTIME;
#else
    clockid_t clock = CLOCK_MONOTONIC;
#endif
    int64_t end = nanoseconds_of(clock) + timeout_ms * 1000000;
    struct timespec deadline = {(time_t)(end / 1000000000), (long)(end % 1000000000)};
    pthread_mutex_lock(&event->lock);
    int error = 0;
    while (!event->raised && error == 0) {
        error = timeout_ms < 0 ? pthread_cond_wait(&event->changed, &event->lock)
                               : pthread_cond_timedwait(&event->changed, &event->lock, &deadline);
    }
    bool raised = event->raised;
    event->raised = false;
    pthread_mutex_unlock(&event->lock);
    return raised;
}
