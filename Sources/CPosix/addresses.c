#define _GNU_SOURCE
#if defined(__APPLE__)
#define __APPLE_USE_RFC_3542
#endif
#include "addresses.h"

#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>

socklen_t cposix_to_sockaddr(struct cposix_endpoint endpoint, struct sockaddr_storage *storage) {
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
struct cposix_endpoint cposix_from_sockaddr(const struct sockaddr *storage) {
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
        struct cposix_endpoint address = cposix_from_sockaddr(entry->ifa_addr);
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
                out->broadcast = cposix_from_sockaddr(entry->ifa_broadaddr);
            }
        }
        count++;
    }
    freeifaddrs(list);
    return count;
}
