#define _GNU_SOURCE
#include "include/process_guard.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(__linux__)
#include <sys/prctl.h>
#include <sys/syscall.h>
#endif

static void fail(const char *what, const char *detail) {
    fprintf(stderr, "caravan-guard: %s: %s\n", what, detail);
    _exit(127);
}

static void close_inherited_files(void) {
#if defined(__linux__) && defined(SYS_close_range)
    if (syscall(SYS_close_range, 3u, ~0u, 0u) == 0) return;
#endif
    // Kernels before 5.9. The bound keeps a limit of "unlimited" from taking minutes.
    long limit = sysconf(_SC_OPEN_MAX);
    if (limit < 0 || limit > 65536) limit = 65536;
    for (int file = 3; file < (int)limit; file++) close(file);
}

static void reset_signals(void) {
    struct sigaction standard;
    memset(&standard, 0, sizeof standard);
    standard.sa_handler = SIG_DFL;
    sigemptyset(&standard.sa_mask);
    // Refused for SIGKILL and SIGSTOP, where there is nothing to reset.
    for (int number = 1; number < NSIG; number++) sigaction(number, &standard, NULL);
#if defined(__linux__)
    // The C library refuses its own signals, which posix_spawn leaves ignored in some children:
    // the kernel is asked instead. All zeros is the default action in every kernel's layout.
    static const unsigned char zeros[64];
    for (int number = 32; number <= 33; number++)
        syscall(SYS_rt_sigaction, number, zeros, (void *)0, (size_t)8);
#endif
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static void die_with_parent(const char *parent_text) {
#if defined(__linux__)
    // The order matters: a parent that dies before the prctl is noticed by the check after it.
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) fail("prctl", strerror(errno));
#endif
    // Other systems have no such wish: there, a child outlives an agent that was killed with -9,
    // and the next agent finds its port taken.
    char *end = NULL;
    long parent = strtol(parent_text, &end, 10);
    if (end == parent_text || *end != '\0') fail("not a process id", parent_text);
    if (getppid() != (pid_t)parent) fail("the agent is gone", parent_text);
}

void caravan_guard_if_requested(int argc, char *const *argv) {
    if (argc < 2 || strcmp(argv[1], "__guard") != 0) return;
    if (argc < 5 || strcmp(argv[3], "--") != 0)
        fail("usage", "caravan __guard PARENT -- COMMAND ARGUMENT…");
    die_with_parent(argv[2]);
    struct rlimit none = {0, 0};
    // An aborting llama-server with 20 GB of weights must not write them to the disk.
    setrlimit(RLIMIT_CORE, &none);
    reset_signals();
    close_inherited_files();
    execv(argv[4], argv + 4);
    fail(argv[4], strerror(errno));
}

int caravan_own_process_id(void) {
    return (int)getpid();
}

long long caravan_clock_ticks_per_second(void) {
    return (long long)sysconf(_SC_CLK_TCK);
}

bool caravan_signal_group(int leader, int signal_number) {
    // kill(-1) and kill(0) would reach far more than one group.
    if (leader <= 1) return false;
    return kill(-leader, signal_number) == 0;
}

bool caravan_child_has_ended(int pid) {
    siginfo_t info;
    memset(&info, 0, sizeof info);
    int result;
    do {
        result = waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT);
    } while (result != 0 && errno == EINTR);
    if (result != 0) return true;
    return info.si_pid == pid;
}

bool caravan_is_executable(const char *path) {
    struct stat status;
    return stat(path, &status) == 0 && S_ISREG(status.st_mode) && access(path, X_OK) == 0;
}
