#pragma once
#include "sockets_shim.h"
