#pragma once
// What Namespaces needs of the system's network devices.

/// Makes a network device, in the network namespace of this process, whose frames are read and
/// written here without blocking; it goes when the descriptor is closed. Returns the descriptor,
/// or a negative errno.
int tap_open(const char *_Nonnull name);
