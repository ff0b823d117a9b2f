/* notify.c: see notify.h. */
#include "proxy/notify.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

void notify_send(const char *state) {
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    const char *path = getenv("NOTIFY_SOCKET");
    size_t n = path ? strlen(path) : 0;
    int fd;

    /* A path, or the name of an abstract socket behind '@'. */
    if (n < 2 || n >= sizeof(sa.sun_path) || (*path != '/' && *path != '@'))
        return;
    memcpy(sa.sun_path, path, n);
    if (*path == '@')
        sa.sun_path[0] = '\0';
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    /* Best effort: nobody could be told of a failure. */
    (void)!sendto(fd, state, strlen(state), MSG_NOSIGNAL,
                  (const struct sockaddr *)&sa,
                  (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n));
    close(fd);
}

void notify_reloading(void) {
    struct timespec ts;
    char text[80];

    clock_gettime(CLOCK_MONOTONIC, &ts);
    snprintf(text, sizeof(text), "RELOADING=1\nMONOTONIC_USEC=%llu",
             (unsigned long long)ts.tv_sec * 1000000 +
                 (unsigned long long)ts.tv_nsec / 1000);
    notify_send(text);
}

uint32_t notify_watchdog(void) {
    const char *usec = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
    unsigned long long v;
    char *end;

    if (!usec || (pid && strtol(pid, NULL, 10) != getpid()))
        return 0;
    errno = 0;
    v = strtoull(usec, &end, 10);
    if (errno || *end || v < 2000 || v / 2000 > UINT32_MAX)
        return 0;
    return (uint32_t)(v / 2000);
}
