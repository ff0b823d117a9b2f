/*
 * listen.c: a TCP listener: a stream from which connections are read. Whom it
 * accepts, all loops serve in turn.
 */
#include "net/epoll/loop.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>

enum {
    LISTEN_TURN = 64,    /* accepted before others have a turn */
    LISTEN_REST_MS = 200 /* before the next try when there is no descriptor */
};

struct net_listener {
    struct net_owner owner; /* of `rest`; held for the stream, too */
    struct net_timer *rest; /* NULL: it is to end */
    struct net_stream *stream;
    int fd; /* the stream's */
    pthread_mutex_t accepting;
    bool stopped; /* with `accepting` */
    net_accept_cb cb;
    void *arg;
    uint16_t port;
};

/* ---- accepting -------------------------------------------------------------
 */

/* Out of descriptors or memory: accepting again at once would only burn time,
 * for the connection stays in the backlog. The next one that comes is a try. */
static void take_rest(struct net_listener *listener) {
    net_lock(&listener->owner);
    if (listener->rest)
        net_timer_set(listener->rest, LISTEN_REST_MS);
    net_unlock(&listener->owner);
}

static void rested(void *arg) {
    struct net_listener *listener = arg;

    stream_more(listener->stream);
}

/* False: nobody waits, or we have to. */
static bool accept_one(struct net_listener *listener) {
    int fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    struct net_stream *stream;

    if (fd < 0) {
        switch (errno) {
        case EMFILE:
        case ENFILE:
        case ENOBUFS:
        case ENOMEM:
            take_rest(listener);
            return false;
        case EAGAIN:
            return false;
        default: /* that connection's, and it is gone */
            return true;
        }
    }
    stream = stream_new(loop_next(), fd);
    if (stream)
        listener->cb(listener->arg, stream);
    return true;
}

static void accept_some(struct net_listener *listener) {
    for (int i = 0; i < LISTEN_TURN; i++)
        if (!accept_one(listener))
            return;
    stream_more(listener->stream);
}

/* Once more when the stream is closed, which is awaited whenever this does not
 * run. */
static void readable(void *arg) {
    struct net_listener *listener = arg;
    bool stopped;

    net_mutex_lock(&listener->accepting);
    stopped = listener->stopped;
    if (!stopped) {
        accept_some(listener);
        io_await_read(listener->stream);
    }
    net_mutex_unlock(&listener->accepting);
    if (stopped) {
        io_free(listener->stream);
        net_owner_rele(&listener->owner);
    }
}

static const struct io_ops ops = {readable, NULL};

/* ---- life ------------------------------------------------------------------
 */

static int listen_at(const struct addrinfo *ai) {
    int fd = socket(ai->ai_family,
                    ai->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int on = 1, off = 0, e;

    if (fd < 0)
        return -1;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (ai->ai_family == AF_INET6) /* [::] is for both */
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
    tune(fd);
    if (bind(fd, ai->ai_addr, ai->ai_addrlen) == 0 &&
        listen(fd, SOMAXCONN) == 0)
        return fd;
    e = errno;
    close(fd);
    errno = e;
    return -1;
}

static enum net_err open_socket(const char *address, int *fd) {
    struct addrinfo hints = {.ai_family = AF_UNSPEC,
                             .ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *list;
    char host[256], service[6];
    enum net_err err;
    uint16_t port;

    err = net_parse_address(address, host, &port, 0);
    if (err)
        return err;
    snprintf(service, sizeof(service), "%u", port);
    if (strcmp(host, "*") == 0)
        hints.ai_family = AF_INET;
    if (getaddrinfo(strcmp(host, "*") ? host : NULL, service, &hints, &list))
        return NET_EARG;
    *fd = listen_at(list);
    err = *fd < 0 ? errno_result(errno).err : NET_OK;
    freeaddrinfo(list);
    return err;
}

static uint16_t port_of(int fd) {
    struct sockaddr_storage sa = {0};
    socklen_t len = sizeof(sa);

    (void)getsockname(fd, (struct sockaddr *)&sa, &len);
    return ntohs(sa.ss_family == AF_INET6
                     ? ((const struct sockaddr_in6 *)&sa)->sin6_port
                     : ((const struct sockaddr_in *)&sa)->sin_port);
}

static void listener_fini(struct net_owner *owner) {
    struct net_listener *listener =
        (struct net_listener *)((char *)owner -
                                offsetof(struct net_listener, owner));

    net_owner_fini(owner);
    pthread_mutex_destroy(&listener->accepting);
    free(listener);
}

static enum net_err listener_alloc(struct net_listener **out) {
    struct net_listener *listener =
        loop_init() ? NULL : calloc(1, sizeof(*listener));

    if (!listener || pthread_mutex_init(&listener->accepting, NULL)) {
        free(listener);
        return NET_ENOMEM;
    }
    if (net_owner_init(&listener->owner, listener_fini)) {
        pthread_mutex_destroy(&listener->accepting);
        free(listener);
        return NET_ENOMEM;
    }
    if (net_timer_new(&listener->rest, &listener->owner, rested, listener)) {
        net_owner_rele(&listener->owner);
        return NET_ENOMEM;
    }
    *out = listener;
    return NET_OK;
}

static void rest_no_more(struct net_listener *listener) {
    net_lock(&listener->owner);
    net_timer_free(listener->rest);
    listener->rest = NULL;
    net_unlock(&listener->owner);
}

static enum net_err listen_on(struct net_listener *listener,
                              const char *address) {
    enum net_err err = open_socket(address, &listener->fd);

    if (err)
        return err;
    listener->port = port_of(listener->fd);
    listener->stream = stream_new(loop_next(), listener->fd);
    if (!listener->stream)
        return NET_ENOMEM;
    io_attach(listener->stream, &ops, listener);
    return NET_OK;
}

enum net_err net_listener_new(struct net_listener **out, const char *address,
                              net_accept_cb cb, void *arg) {
    struct net_listener *listener;
    enum net_err err = listener_alloc(&listener);

    if (err)
        return err;
    listener->cb = cb;
    listener->arg = arg;
    err = listen_on(listener, address);
    if (err) {
        rest_no_more(listener);
        net_owner_rele(&listener->owner);
        return err;
    }
    *out = listener; /* the callback may be here before we are back */
    io_await_read(listener->stream);
    return NET_OK;
}

uint16_t net_listener_port(const struct net_listener *listener) {
    return listener->port;
}

void net_listener_free(struct net_listener *listener) {
    if (!listener)
        return;
    rest_no_more(listener);
    net_mutex_lock(&listener->accepting);
    listener->stopped = true;
    io_close(listener->stream);
    net_mutex_unlock(&listener->accepting);
}
