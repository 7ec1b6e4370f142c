#pragma once

// A descriptor that becomes readable when an interface or an address of this machine changes;
// -errno where the system has none or keeps it from programs (-ENOSYS, -EACCES).
int cposix_interface_watch(void);
// Takes all that waits to be read, whatever it says. 0, or -errno if the descriptor is broken.
int cposix_interface_watch_clear(int descriptor);
