#define _GNU_SOURCE
#if defined(__APPLE__)
#define __APPLE_USE_RFC_3542
#endif
#include "addresses.h"

#if defined(__linux__)
#include <linux/errqueue.h>
#endif

#include <netinet/in.h>
#include <string.h>
#include <sys/uio.h>

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
    datagram.source = cposix_from_sockaddr((struct sockaddr *)&storage);
    datagram.interface = arrival_interface(&message);
    return datagram;
}

#if defined(__linux__)
struct cposix_refusal cposix_take_refusal(int descriptor) {
    struct cposix_refusal refusal = {0};
    struct sockaddr_storage storage;
    union {
        char bytes[CMSG_SPACE(
            sizeof(struct sock_extended_err) + sizeof(struct sockaddr_in6))];
        struct cmsghdr alignment;
    } control;
    char byte;
    struct iovec vector = {.iov_base = &byte, .iov_len = 1};
    struct msghdr message = {
        .msg_name = &storage, .msg_namelen = sizeof storage, .msg_iov = &vector, .msg_iovlen = 1,
        .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
    memset(&storage, 0, sizeof storage);
    ssize_t count;
    do count = recvmsg(descriptor, &message, MSG_ERRQUEUE | MSG_DONTWAIT);
    while (count < 0 && errno == EINTR);
    if (count < 0) return refusal;
    refusal.found = true;
    refusal.destination = cposix_from_sockaddr((struct sockaddr *)&storage);
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&message); c != NULL; c = CMSG_NXTHDR(&message, c)) {
        bool is_v4 = c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_RECVERR;
        bool is_v6 = c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_RECVERR;
        if (!is_v4 && !is_v6) continue;
        struct sock_extended_err error;
        memcpy(&error, CMSG_DATA(c), sizeof error);
        refusal.error = (int)error.ee_errno;
    }
    return refusal;
}
#else
struct cposix_refusal cposix_take_refusal(int descriptor) {
    (void)descriptor;
    return (struct cposix_refusal){0};
}
#endif

long cposix_send_datagram(
    int descriptor, const void *bytes, size_t count, struct cposix_endpoint destination) {
    struct sockaddr_storage storage;
    socklen_t size = cposix_to_sockaddr(destination, &storage);
    ssize_t sent;
    do sent = sendto(
           descriptor, bytes, count, CPOSIX_SEND_FLAGS, (struct sockaddr *)&storage, size);
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
        .msg_name = &to, .msg_namelen = cposix_to_sockaddr(destination, &to), .msg_iov = &vector,
        .msg_iovlen = 1, .msg_control = control.bytes};
    cposix_to_sockaddr(source, &from);
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
    do sent = sendmsg(descriptor, &message, CPOSIX_SEND_FLAGS);
    while (sent < 0 && errno == EINTR);
    return sent < 0 ? -errno : sent;
}
