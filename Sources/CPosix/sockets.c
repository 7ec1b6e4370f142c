#define _GNU_SOURCE
#if defined(__APPLE__)
#define __APPLE_USE_RFC_3542
#endif
#include "include/sockets_shim.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

// MARK: Addresses

static socklen_t to_sockaddr(struct cposix_endpoint endpoint, struct sockaddr_storage *storage) {
    memset(storage, 0, sizeof *storage);
    if (endpoint.version == 4) {
        struct sockaddr_in *address = (struct sockaddr_in *)storage;
        address->sin_family = AF_INET;
        address->sin_port = htons(endpoint.port);
        address->sin_addr.s_addr = htonl((uint32_t)endpoint.low);
#if defined(__APPLE__)
        address->sin_len = sizeof *address;
#endif
        return sizeof *address;
    }
    struct sockaddr_in6 *address = (struct sockaddr_in6 *)storage;
    address->sin6_family = AF_INET6;
    address->sin6_port = htons(endpoint.port);
    address->sin6_scope_id = endpoint.scope;
    for (int i = 0; i < 8; i++) {
        address->sin6_addr.s6_addr[i] = (uint8_t)(endpoint.high >> (56 - 8 * i));
        address->sin6_addr.s6_addr[8 + i] = (uint8_t)(endpoint.low >> (56 - 8 * i));
    }
#if defined(__APPLE__)
    address->sin6_len = sizeof *address;
#endif
    return sizeof *address;
}

// An IPv4 address that came over an IPv6 socket (`::ffff:a.b.c.d`) is an IPv4 address.
static struct cposix_endpoint from_sockaddr(const struct sockaddr *storage) {
    struct cposix_endpoint endpoint = {0};
    if (storage == NULL) return endpoint;
    if (storage->sa_family == AF_INET) {
        const struct sockaddr_in *address = (const struct sockaddr_in *)storage;
        endpoint.version = 4;
        endpoint.port = ntohs(address->sin_port);
        endpoint.low = ntohl(address->sin_addr.s_addr);
    } else if (storage->sa_family == AF_INET6) {
        const struct sockaddr_in6 *address = (const struct sockaddr_in6 *)storage;
        endpoint.port = ntohs(address->sin6_port);
        for (int i = 0; i < 8; i++) {
            endpoint.high = endpoint.high << 8 | address->sin6_addr.s6_addr[i];
            endpoint.low = endpoint.low << 8 | address->sin6_addr.s6_addr[8 + i];
        }
        if (endpoint.high == 0 && endpoint.low >> 32 == 0xFFFF) {
            endpoint.version = 4;
            endpoint.low &= 0xFFFFFFFFu;
        } else {
            endpoint.version = 6;
            // Only link-local addresses mean something else on another interface.
            if (endpoint.high >> 54 == 0x3FA) endpoint.scope = address->sin6_scope_id;
        }
    }
    return endpoint;
}

static int result(int value) {
    return value < 0 ? -errno : value;
}

// MARK: Sockets

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
    socklen_t size = to_sockaddr(endpoint, &storage);
    return result(bind(descriptor, (struct sockaddr *)&storage, size));
}

int cposix_listen(int descriptor, int backlog) {
    return result(listen(descriptor, backlog));
}

int cposix_connect(int descriptor, struct cposix_endpoint endpoint) {
    struct sockaddr_storage storage;
    socklen_t size = to_sockaddr(endpoint, &storage);
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
    return from_sockaddr(status < 0 ? NULL : (struct sockaddr *)&storage);
}

struct cposix_endpoint cposix_peer_endpoint(int descriptor) {
    struct sockaddr_storage storage;
    socklen_t size = sizeof storage;
    int status = getpeername(descriptor, (struct sockaddr *)&storage, &size);
    return from_sockaddr(status < 0 ? NULL : (struct sockaddr *)&storage);
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
    if (accepted.descriptor >= 0) accepted.peer = from_sockaddr((struct sockaddr *)&storage);
    return accepted;
}

#if defined(MSG_NOSIGNAL)
static const int send_flags = MSG_NOSIGNAL;
#else
static const int send_flags = 0;
#endif

long cposix_receive(int descriptor, void *bytes, size_t capacity) {
    ssize_t count;
    do count = recv(descriptor, bytes, capacity, 0);
    while (count < 0 && errno == EINTR);
    return count < 0 ? -errno : count;
}

long cposix_send(int descriptor, const void *bytes, size_t count) {
    ssize_t sent;
    do sent = send(descriptor, bytes, count, send_flags);
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

// MARK: Datagrams

static uint32_t arrival_interface(struct msghdr *message) {
    for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c != NULL; c = CMSG_NXTHDR(message, c)) {
        if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
            struct in_pktinfo info;
            memcpy(&info, CMSG_DATA(c), sizeof info);
            return (uint32_t)info.ipi_ifindex;
        }
        if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
            struct in6_pktinfo info;
            memcpy(&info, CMSG_DATA(c), sizeof info);
            return (uint32_t)info.ipi6_ifindex;
        }
    }
    return 0;
}

union control_buffer {
    char bytes[CMSG_SPACE(sizeof(struct in6_pktinfo)) + CMSG_SPACE(sizeof(struct in_pktinfo))];
    struct cmsghdr alignment;
};

struct cposix_datagram cposix_receive_datagram(int descriptor, void *bytes, size_t capacity) {
    struct cposix_datagram datagram = {0};
    struct sockaddr_storage storage;
    union control_buffer control;
    struct iovec vector = {.iov_base = bytes, .iov_len = capacity};
    struct msghdr message = {
        .msg_name = &storage, .msg_namelen = sizeof storage, .msg_iov = &vector, .msg_iovlen = 1,
        .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
    memset(&storage, 0, sizeof storage);
    ssize_t count;
    do count = recvmsg(descriptor, &message, 0);
    while (count < 0 && errno == EINTR);
    datagram.byte_count = count < 0 ? -errno : count;
    if (count < 0) return datagram;
    datagram.truncated = (message.msg_flags & MSG_TRUNC) != 0;
    datagram.source = from_sockaddr((struct sockaddr *)&storage);
    datagram.interface = arrival_interface(&message);
    return datagram;
}

long cposix_send_datagram(
    int descriptor, const void *bytes, size_t count, struct cposix_endpoint destination) {
    struct sockaddr_storage storage;
    socklen_t size = to_sockaddr(destination, &storage);
    ssize_t sent;
    do sent = sendto(
           descriptor, bytes, count, send_flags, (struct sockaddr *)&storage, size);
    while (sent < 0 && errno == EINTR);
    return sent < 0 ? -errno : sent;
}

long cposix_send_datagram_via(
    int descriptor, const void *bytes, size_t count, struct cposix_endpoint destination,
    uint32_t interface, struct cposix_endpoint source) {
    struct sockaddr_storage to, from;
    union control_buffer control;
    memset(&control, 0, sizeof control);
    struct iovec vector = {.iov_base = (void *)bytes, .iov_len = count};
    struct msghdr message = {
        .msg_name = &to, .msg_namelen = to_sockaddr(destination, &to), .msg_iov = &vector,
        .msg_iovlen = 1, .msg_control = control.bytes};
    to_sockaddr(source, &from);
    struct cmsghdr *header = &control.alignment;
    if (destination.version == 4) {
        struct in_pktinfo info = {0};
        info.ipi_ifindex = (int)interface;
        info.ipi_spec_dst = ((struct sockaddr_in *)&from)->sin_addr;
        header->cmsg_level = IPPROTO_IP;
        header->cmsg_type = IP_PKTINFO;
        header->cmsg_len = CMSG_LEN(sizeof info);
        memcpy(CMSG_DATA(header), &info, sizeof info);
        message.msg_controllen = CMSG_SPACE(sizeof info);
    } else {
        struct in6_pktinfo info = {0};
        info.ipi6_ifindex = interface;
        info.ipi6_addr = ((struct sockaddr_in6 *)&from)->sin6_addr;
        header->cmsg_level = IPPROTO_IPV6;
        header->cmsg_type = IPV6_PKTINFO;
        header->cmsg_len = CMSG_LEN(sizeof info);
        memcpy(CMSG_DATA(header), &info, sizeof info);
        message.msg_controllen = CMSG_SPACE(sizeof info);
    }
    ssize_t sent;
    do sent = sendmsg(descriptor, &message, send_flags);
    while (sent < 0 && errno == EINTR);
    return sent < 0 ? -errno : sent;
}

// MARK: Options

static int set(int descriptor, int level, int name, int value) {
    return result(setsockopt(descriptor, level, name, &value, sizeof value));
}

static int set_keepalive(int descriptor, int idle_seconds) {
    int status = set(descriptor, SOL_SOCKET, SO_KEEPALIVE, 1);
#if defined(__APPLE__)
    set(descriptor, IPPROTO_TCP, TCP_KEEPALIVE, idle_seconds);
#else
    set(descriptor, IPPROTO_TCP, TCP_KEEPIDLE, idle_seconds);
#endif
    set(descriptor, IPPROTO_TCP, TCP_KEEPINTVL, idle_seconds / 4 > 0 ? idle_seconds / 4 : 1);
    set(descriptor, IPPROTO_TCP, TCP_KEEPCNT, 4);
    return status;
}

static int set_multicast(int descriptor, int version) {
    int status;
    if (version == 4) {
        status = set(descriptor, IPPROTO_IP, IP_MULTICAST_TTL, 1);
        if (status == 0) status = set(descriptor, IPPROTO_IP, IP_MULTICAST_LOOP, 1);
#if defined(IP_MULTICAST_ALL)
        // Linux otherwise delivers every group that anybody on this machine has joined.
        set(descriptor, IPPROTO_IP, IP_MULTICAST_ALL, 0);
#endif
    } else {
        status = set(descriptor, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, 1);
        if (status == 0) status = set(descriptor, IPPROTO_IPV6, IPV6_MULTICAST_LOOP, 1);
#if defined(__linux__) && defined(IPV6_MULTICAST_ALL)
        set(descriptor, IPPROTO_IPV6, IPV6_MULTICAST_ALL, 0);
#endif
    }
    return status;
}

static int share_port(int descriptor) {
    int status = set(descriptor, SOL_SOCKET, SO_REUSEADDR, 1);
#if !defined(__linux__)
    // Linux needs only the first, and with both spreads unicast over the sockets.
    if (status == 0) status = set(descriptor, SOL_SOCKET, SO_REUSEPORT, 1);
#endif
    return status;
}

int cposix_set_option(int descriptor, enum cposix_option option, int value) {
    switch (option) {
    case CPOSIX_REUSE_ADDRESS: return set(descriptor, SOL_SOCKET, SO_REUSEADDR, value);
    case CPOSIX_SHARE_PORT: return share_port(descriptor);
    case CPOSIX_ONLY_V6: return set(descriptor, IPPROTO_IPV6, IPV6_V6ONLY, value);
    case CPOSIX_BROADCAST: return set(descriptor, SOL_SOCKET, SO_BROADCAST, value);
    case CPOSIX_NO_DELAY: return set(descriptor, IPPROTO_TCP, TCP_NODELAY, value);
    case CPOSIX_KEEPALIVE: return set_keepalive(descriptor, value);
    case CPOSIX_USER_TIMEOUT:
#if defined(TCP_USER_TIMEOUT)
        return set(descriptor, IPPROTO_TCP, TCP_USER_TIMEOUT, value);
#else
        return 0;
#endif
    case CPOSIX_RECEIVE_BUFFER: return set(descriptor, SOL_SOCKET, SO_RCVBUF, value);
    case CPOSIX_SEND_BUFFER: return set(descriptor, SOL_SOCKET, SO_SNDBUF, value);
    case CPOSIX_LATE_PORT:
#if defined(IP_BIND_ADDRESS_NO_PORT)
        return set(descriptor, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, value);
#else
        return 0;
#endif
    case CPOSIX_MULTICAST_V4: return set_multicast(descriptor, 4);
    case CPOSIX_MULTICAST_V6: return set_multicast(descriptor, 6);
    case CPOSIX_ARRIVAL_V4: return set(descriptor, IPPROTO_IP, IP_PKTINFO, value);
    case CPOSIX_ARRIVAL_V6: return set(descriptor, IPPROTO_IPV6, IPV6_RECVPKTINFO, value);
    }
    return -EINVAL;
}

static int change_group(
    int descriptor, struct cposix_endpoint group, uint32_t interface, bool joins) {
    struct sockaddr_storage storage;
    to_sockaddr(group, &storage);
    if (group.version == 4) {
        struct ip_mreqn request = {0};
        request.imr_multiaddr = ((struct sockaddr_in *)&storage)->sin_addr;
        request.imr_ifindex = (int)interface;
        int name = joins ? IP_ADD_MEMBERSHIP : IP_DROP_MEMBERSHIP;
        return result(setsockopt(descriptor, IPPROTO_IP, name, &request, sizeof request));
    }
    struct ipv6_mreq request = {0};
    request.ipv6mr_multiaddr = ((struct sockaddr_in6 *)&storage)->sin6_addr;
    request.ipv6mr_interface = interface;
    int name = joins ? IPV6_JOIN_GROUP : IPV6_LEAVE_GROUP;
    return result(setsockopt(descriptor, IPPROTO_IPV6, name, &request, sizeof request));
}

int cposix_join_group(int descriptor, struct cposix_endpoint group, uint32_t interface) {
    return change_group(descriptor, group, interface, true);
}

int cposix_leave_group(int descriptor, struct cposix_endpoint group, uint32_t interface) {
    return change_group(descriptor, group, interface, false);
}

// MARK: Interfaces

static uint32_t prefix_length(const struct sockaddr *mask) {
    if (mask == NULL) return 0;
    uint32_t length = 0;
    if (mask->sa_family == AF_INET) {
        uint32_t bits = ((const struct sockaddr_in *)mask)->sin_addr.s_addr;
        length = (uint32_t)__builtin_popcount(bits);
    } else if (mask->sa_family == AF_INET6) {
        const uint8_t *bytes = ((const struct sockaddr_in6 *)mask)->sin6_addr.s6_addr;
        for (int i = 0; i < 16; i++) length += (uint32_t)__builtin_popcount(bytes[i]);
    }
    return length;
}

int cposix_interfaces(struct cposix_interface *interfaces, int capacity) {
    struct ifaddrs *list = NULL;
    if (getifaddrs(&list) < 0) return -errno;
    int count = 0;
    for (struct ifaddrs *entry = list; entry != NULL; entry = entry->ifa_next) {
        struct cposix_endpoint address = from_sockaddr(entry->ifa_addr);
        if (address.version == 0) continue;
        if (count < capacity) {
            struct cposix_interface *out = &interfaces[count];
            memset(out, 0, sizeof *out);
            strncpy(out->name, entry->ifa_name, sizeof out->name - 1);
            out->index = if_nametoindex(entry->ifa_name);
            out->prefix_length = prefix_length(entry->ifa_netmask);
            out->is_up = (entry->ifa_flags & IFF_UP) != 0;
            out->is_loopback = (entry->ifa_flags & IFF_LOOPBACK) != 0;
            out->is_multicast = (entry->ifa_flags & IFF_MULTICAST) != 0;
            out->address = address;
            if (entry->ifa_flags & IFF_BROADCAST) {
                out->broadcast = from_sockaddr(entry->ifa_broadaddr);
            }
        }
        count++;
    }
    freeifaddrs(list);
    return count;
}
