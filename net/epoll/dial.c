/*
 * dial.c: attempts to connect. One under way is a stream that waits for room.
 */
#include "net/epoll/loop.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <sys/socket.h>

struct io_attempt {
    struct loop *loop;
    struct net_stream *stream; /* NULL: nothing is under way */
    void (*done)(void *arg);
    void *arg;
};

static void writable(void *arg) {
    struct io_attempt *attempt = arg;

    attempt->done(attempt->arg);
}

static const struct io_ops ops = {NULL, writable};

enum net_err io_attempt_new(struct io_attempt **out,
                            struct net_resolver *resolver,
                            void (*done)(void *arg), void *arg) {
    struct io_attempt *attempt = loop_init() ? NULL : malloc(sizeof(*attempt));

    (void)resolver;
    if (!attempt)
        return NET_ENOMEM;
    *attempt = (struct io_attempt){loop_here(), NULL, done, arg};
    *out = attempt;
    return NET_OK;
}

/* Its length; 0: it is none. */
static socklen_t address(const char *addr, uint16_t port,
                         struct sockaddr_storage *sa) {
    struct sockaddr_in *four = (struct sockaddr_in *)sa;
    struct sockaddr_in6 *six = (struct sockaddr_in6 *)sa;

    memset(sa, 0, sizeof(*sa));
    if (inet_pton(AF_INET, addr, &four->sin_addr) == 1) {
        four->sin_family = AF_INET;
        four->sin_port = htons(port);
        return sizeof(*four);
    }
    if (inet_pton(AF_INET6, addr, &six->sin6_addr) != 1)
        return 0;
    six->sin6_family = AF_INET6;
    six->sin6_port = htons(port);
    return sizeof(*six);
}

struct io_result io_connect(struct io_attempt *attempt, const char *addr,
                            uint16_t port) {
    struct sockaddr_storage sa;
    socklen_t len = address(addr, port, &sa);
    int fd, e;

    if (!len)
        return errno_result(EINVAL);
    fd = socket(sa.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return errno_result(errno);
    tune(fd);
    if (connect(fd, (const struct sockaddr *)&sa, len) &&
        errno != EINPROGRESS) {
        e = errno;
        close(fd);
        return errno_result(e);
    }
    attempt->stream = stream_new(attempt->loop, fd);
    if (!attempt->stream)
        return errno_result(ENOMEM);
    io_attach(attempt->stream, &ops, attempt);
    (void)!io_await_write(attempt->stream, NULL, 0);
    return errno_result(0);
}

void io_connect_abort(struct io_attempt *attempt) {
    if (attempt->stream)
        io_close(attempt->stream);
}

struct io_result io_connected(struct io_attempt *attempt,
                              struct net_stream **stream) {
    struct io_result result = stream_connected(attempt->stream);

    *stream = NULL;
    if (result.err)
        net_stream_drop(attempt->stream);
    else
        *stream = attempt->stream;
    attempt->stream = NULL;
    return result;
}

void io_attempt_free(struct io_attempt *attempt) { free(attempt); }
