#pragma once
#include "file_lock.h"
#include "process_guard.h"
