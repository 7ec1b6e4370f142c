#pragma once
#include "agent_shim.h"
#include "file_lock.h"
#include "interface_watch.h"
#include "process_guard.h"
#include "sockets_shim.h"
#include "store_shim.h"
#include "telemetry_shim.h"
