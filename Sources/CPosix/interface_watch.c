#include "interface_watch.h"

#include <errno.h>

#if defined(__linux__)
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int cposix_interface_watch(void) {
    int descriptor =
        socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, NETLINK_ROUTE);
    if (descriptor < 0) return -errno;
    struct sockaddr_nl address;
    memset(&address, 0, sizeof address);
    address.nl_family = AF_NETLINK;
    address.nl_groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR;
    if (bind(descriptor, (struct sockaddr *)&address, sizeof address) < 0) {
        int error = errno;
        close(descriptor);
        return -error;
    }
    return descriptor;
}

int cposix_interface_watch_clear(int descriptor) {
    char bytes[8192];
    // Bounded: whoever changes interfaces without end must not keep the loop here.
    for (int i = 0; i < 64; i++) {
        if (recv(descriptor, bytes, sizeof bytes, 0) >= 0) continue;
        // ENOBUFS: so much changed that some of it was dropped. Something changed, that is all.
        if (errno == EINTR || errno == ENOBUFS) continue;
        if (errno == EAGAIN || errno == EWOULDBLOCK) return 0;
        return -errno;
    }
    return 0;
}
#else
int cposix_interface_watch(void) { return -ENOSYS; }
int cposix_interface_watch_clear(int descriptor) {
    (void)descriptor;
    return -ENOSYS;
}
#endif
