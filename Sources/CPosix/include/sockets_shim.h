// Sockets, readiness and threads, as Swift wants to see them: structs by value, no pointers
// where none are needed, and the error number in the result (`-errno`) instead of beside it.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// An address and a port in host order. `version` is 4, 6, or 0 for none. An IPv4 address is the
// low 32 bits of `low`.
struct cposix_endpoint {
    uint64_t high;
    uint64_t low;
    uint32_t scope;
    uint16_t port;
    uint8_t version;
};

// MARK: Sockets. Non-blocking, closed on exec, never SIGPIPE.

int cposix_socket(int version, bool is_stream);
int cposix_bind(int descriptor, struct cposix_endpoint endpoint);
int cposix_listen(int descriptor, int backlog);
// 0 when it stands already, -EINPROGRESS when it is under way.
int cposix_connect(int descriptor, struct cposix_endpoint endpoint);
// How a connection attempt ended: 0 or -errno.
int cposix_connect_result(int descriptor);
struct cposix_endpoint cposix_local_endpoint(int descriptor);
struct cposix_endpoint cposix_peer_endpoint(int descriptor);

struct cposix_accepted {
    int descriptor; // or -errno
    struct cposix_endpoint peer;
};
struct cposix_accepted cposix_accept(int listener);

// Two connected stream sockets; `first` is -errno on failure.
struct cposix_pair {
    int first;
    int second;
};
struct cposix_pair cposix_stream_pair(void);

long cposix_receive(int descriptor, void *bytes, size_t capacity);
// With `more_follows` the system may wait for what comes next, to put both into one packet.
long cposix_send(int descriptor, const void *bytes, size_t count, int more_follows);
// How many bytes wait to be read.
int cposix_available(int descriptor);
int cposix_shutdown_write(int descriptor);
void cposix_close(int descriptor);
// Closes so that the peer sees a reset, not an orderly end.
void cposix_abort(int descriptor);

struct cposix_datagram {
    long byte_count; // or -errno
    bool truncated;
    uint32_t interface; // 0 when unknown
    struct cposix_endpoint source;
};
struct cposix_datagram cposix_receive_datagram(int descriptor, void *bytes, size_t capacity);
long cposix_send_datagram(
    int descriptor, const void *bytes, size_t count, struct cposix_endpoint destination);
// The next answer of a network to a datagram that was sent before: that it was not delivered.
struct cposix_refusal {
    bool found;
    int error;
    struct cposix_endpoint destination; // of the datagram
};
// Asks without waiting; finds nothing where systems tell connected sockets only.
struct cposix_refusal cposix_take_refusal(int descriptor);
// Sends out of one interface, from one of its addresses.
long cposix_send_datagram_via(
    int descriptor, const void *bytes, size_t count, struct cposix_endpoint destination,
    uint32_t interface, struct cposix_endpoint source);

enum cposix_option {
    CPOSIX_REUSE_ADDRESS,   // for TCP listeners: bind while old connections linger
    CPOSIX_SHARE_PORT,      // several sockets on one UDP port
    CPOSIX_ONLY_V6,
    CPOSIX_BROADCAST,
    CPOSIX_NO_DELAY,
    CPOSIX_KEEPALIVE,       // the value is the idle time in seconds
    CPOSIX_USER_TIMEOUT,    // milliseconds that sent bytes may stay unacknowledged
    CPOSIX_RECEIVE_BUFFER,
    CPOSIX_SEND_BUFFER,
    CPOSIX_LATE_PORT,       // choose the source port at connect, not at bind
    CPOSIX_MULTICAST_V4,    // this link only, heard on this machine too, only joined groups
    CPOSIX_MULTICAST_V6,
    CPOSIX_ARRIVAL_V4,      // report the interface on which a datagram arrived
    CPOSIX_ARRIVAL_V6,
    CPOSIX_REFUSALS_V4,     // tell what networks answer to datagrams (a wish)
    CPOSIX_REFUSALS_V6,
};
// 0, or -errno; 0 as well for an option that this system does not have and that is only a wish.
int cposix_set_option(int descriptor, enum cposix_option option, int value);
int cposix_join_group(int descriptor, struct cposix_endpoint group, uint32_t interface);
int cposix_leave_group(int descriptor, struct cposix_endpoint group, uint32_t interface);

// MARK: Readiness

#define CPOSIX_READABLE 1u
#define CPOSIX_WRITABLE 2u
#define CPOSIX_HANGUP 4u
#define CPOSIX_FAILED 8u

struct cposix_ready {
    uint64_t token;
    uint32_t events;
};

#if defined(__linux__)
int cposix_epoll_create(void);
int cposix_epoll_add(int epoll, int descriptor, uint64_t token, uint32_t interest);
int cposix_epoll_change(int epoll, int descriptor, uint64_t token, uint32_t interest);
int cposix_epoll_remove(int epoll, int descriptor);
int cposix_epoll_wait(int epoll, struct cposix_ready *ready, int capacity, int milliseconds);
#else
int cposix_kqueue_create(void);
int cposix_kqueue_change(int queue, int descriptor, uint64_t token, uint32_t interest);
int cposix_kqueue_wait(int queue, struct cposix_ready *ready, int capacity, int milliseconds);
#endif

struct cposix_watch {
    uint64_t token;
    int descriptor;
    uint32_t interest;
    uint32_t events;
};
int cposix_poll(struct cposix_watch *watches, int count, int milliseconds);

// What another thread writes to so that a poll returns; one descriptor or two.
struct cposix_wake {
    int read_end; // or -errno
    int write_end;
};
struct cposix_wake cposix_wake_create(void);
void cposix_wake_signal(int write_end);
void cposix_wake_clear(int read_end);

// MARK: Time and threads

// On a clock that never goes back and counts the time that the machine sleeps.
int64_t cposix_monotonic_nanoseconds(void);
// Lets others run on this processor, if they want to.
void cposix_yield(void);
// Starts a detached thread that receives no signals: they belong to the main thread.
int cposix_thread_start(void (*body)(void *), void *context, const char *name);
// A number kept for the calling thread; 0 until it is set.
uint64_t cposix_thread_tag(void);
void cposix_set_thread_tag(uint64_t tag);

// A door that opens once.
struct cposix_latch;
struct cposix_latch *cposix_latch_create(void);
void cposix_latch_open(struct cposix_latch *latch);
void cposix_latch_wait(struct cposix_latch *latch);
void cposix_latch_destroy(struct cposix_latch *latch);

// MARK: Interfaces

struct cposix_interface {
    char name[16];
    uint32_t index;
    uint32_t prefix_length;
    bool is_up;
    bool is_loopback;
    bool is_multicast;
    struct cposix_endpoint address;
    struct cposix_endpoint broadcast; // version 0 when there is none
};
// Fills in one element per address; returns how many there are, or -errno.
int cposix_interfaces(struct cposix_interface *interfaces, int capacity);

void cposix_error_text(int error, char *text, size_t capacity);
