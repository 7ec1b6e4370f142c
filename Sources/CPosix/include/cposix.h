#pragma once
#include "telemetry_shim.h"
