#define _GNU_SOURCE
#if defined(__APPLE__)
#define __APPLE_USE_RFC_3542
#endif
#include "addresses.h"

#include <netinet/in.h>
#include <netinet/tcp.h>

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
#if defined(__linux__)
    case CPOSIX_REFUSALS_V4: return set(descriptor, IPPROTO_IP, IP_RECVERR, value);
    case CPOSIX_REFUSALS_V6: return set(descriptor, IPPROTO_IPV6, IPV6_RECVERR, value);
#else
    case CPOSIX_REFUSALS_V4:
    case CPOSIX_REFUSALS_V6: return 0;
#endif
    }
    return -EINVAL;
}

static int change_group(
    int descriptor, struct cposix_endpoint group, uint32_t interface, bool joins) {
    struct sockaddr_storage storage;
    cposix_to_sockaddr(group, &storage);
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
