#pragma once
// What Telemetry needs of the C library, without pointers where that is possible: the calls that
// take none need no `unsafe` in Swift, and no module there has to ask which C library it is on.

#include <stdbool.h>
#include <stdint.h>

// Calls that return an int or an int64_t answer a negative errno on failure.

/// Nanoseconds since 1970-01-01T00:00:00Z.
int64_t telemetry_wall_nanoseconds(void);
/// Nanoseconds on the monotonic clock.
int64_t telemetry_monotonic_nanoseconds(void);
/// Seconds by which local time is ahead of UTC at that moment (localtime_r); 0 if unknown.
int64_t telemetry_local_offset(int64_t unix_seconds);

/// Whether the descriptor is a terminal on which colours are welcome (NO_COLOR, TERM=dumb).
bool telemetry_wants_colours(int descriptor);
/// Writes the text of an error number into the buffer, always with a terminating zero.
void telemetry_error_text(int error, char *buffer, int32_t capacity);

/// Opens for appending, creating it with mode 0600; never blocks on a FIFO.
int telemetry_open_append(const char *path);
int telemetry_open_read(const char *path);
void telemetry_close(int descriptor);
/// Writes everything, waiting at most `patience_ms` in all for a descriptor that is not ready.
///
/// The number of bytes written, short after a failure; a negative errno if none were.
int64_t telemetry_write(int descriptor, const uint8_t *bytes, int64_t count, int32_t patience_ms);
int64_t telemetry_read_at(int descriptor, uint8_t *bytes, int64_t count, int64_t offset);
int telemetry_rename(const char *from, const char *to);
/// Creates one directory with mode 0700; one that exists is fine.
int telemetry_make_directory(const char *path);

/// Which file it is and how long; `error` is an errno, and the rest is 0, if it cannot be told.
typedef struct {
    uint64_t device;
    uint64_t number;
    int64_t size;
    int32_t error;
} telemetry_file_facts;
telemetry_file_facts telemetry_facts_of_path(const char *path);
telemetry_file_facts telemetry_facts_of_descriptor(int descriptor);

/// Starts a detached thread with a small stack and every signal blocked; 0 or a negative errno.
int telemetry_start_thread(void (*body)(void *), void *context);

/// An event that one thread waits for and others raise; a raise without a waiter is kept.
typedef struct telemetry_event telemetry_event;
telemetry_event *telemetry_event_create(void);
void telemetry_event_destroy(telemetry_event *event);
void telemetry_event_raise(telemetry_event *event);
/// Waits until raised, and lowers it; false after the timeout. Negative: no timeout.
bool telemetry_event_wait(telemetry_event *event, int64_t timeout_ms);
