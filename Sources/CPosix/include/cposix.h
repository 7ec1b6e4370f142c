#pragma once
#include "process_guard.h"
