/* Process 1 of every pod sandbox: holds the namespaces open and reaps orphans.
 * SIGTERM and SIGINT end it at once; without a handler process 1 would ignore them. */
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static void end(int signal_number) {
    (void)signal_number;
    _exit(0);
}

static void reap(int signal_number) {
    (void)signal_number;
    while (waitpid(-1, NULL, WNOHANG) > 0) {
    }
}

int main(void) {
    struct sigaction on_child = {.sa_handler = reap, .sa_flags = SA_NOCLDSTOP};

    signal(SIGINT, end);
    signal(SIGTERM, end);
    if (sigaction(SIGCHLD, &on_child, NULL) != 0) {
        return EXIT_FAILURE;
    }
    for (;;) {
        pause();
    }
}
