/*
 * listen.c: a TCP listener with many accepts posted, since nng's backlog is
 * short and one accept at a time is slow.
 */
#include "net/nng/nng.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>

enum {
    LISTEN_ACCEPTS = 64, /* posted at once */
    LISTEN_REST_MS = 200 /* before the next try when there is no descriptor */
};

struct acceptor {
    struct net_listener *listener;
    nng_aio *aio;
    bool resting; /* the aio sleeps */
};

struct net_listener {
    nng_stream_listener *nng;
    net_accept_cb cb;
    void *arg;
    atomic_bool closing;
    uint16_t port;
    struct acceptor acceptors[LISTEN_ACCEPTS];
};

static void accepted(void *arg) {
    struct acceptor *a = arg;
    struct net_listener *listener = a->listener;
    int rv = nng_aio_result(a->aio);

    if (!a->resting && rv == 0) {
        struct net_stream *stream = stream_new(nng_aio_get_output(a->aio, 0));

        if (atomic_load(&listener->closing))
            net_stream_drop(stream);
        else if (stream)
            listener->cb(listener->arg, stream);
    }
    if (atomic_load(&listener->closing) || rv == NNG_ECLOSED)
        return;
    /* Out of descriptors or memory: accepting again at once would only burn
     * time, for the connection stays in the backlog. */
    if (!a->resting && rv != 0 && rv != NNG_ECONNABORTED) {
        a->resting = true;
        nng_sleep_aio(LISTEN_REST_MS, a->aio);
        return;
    }
    a->resting = false;
    nng_stream_listener_accept(listener->nng, a->aio);
}

static enum net_err bound_port(struct net_listener *listener) {
    nng_sockaddr sa;

    memset(&sa, 0, sizeof(sa));
    if (nng_stream_listener_get_addr(listener->nng, NNG_OPT_LOCADDR, &sa))
        return NET_ECLOSED;
    listener->port =
        ntohs(sa.s_family == NNG_AF_INET6 ? sa.s_in6.sa_port : sa.s_in.sa_port);
    return NET_OK;
}

static enum net_err start(struct net_listener *listener, const char *address) {
    char url[300], host[256];
    uint16_t port;
    enum net_err err;
    int rv;

    err = net_parse_address(address, host, &port, 0);
    if (err)
        return err;
    snprintf(url, sizeof(url),
             strchr(host, ':') ? "tcp://[%s]:%u" : "tcp://%s:%u", host, port);
    rv = nng_stream_listener_alloc(&listener->nng, url);
    if (rv)
        return rv == NNG_ENOMEM ? NET_ENOMEM : NET_EARG;
    (void)nng_stream_listener_set_bool(listener->nng, NNG_OPT_TCP_NODELAY,
                                       true);
    (void)nng_stream_listener_set_bool(listener->nng, NNG_OPT_TCP_KEEPALIVE,
                                       true);
    rv = nng_stream_listener_listen(listener->nng);
    return rv ? nng_result(rv, 0).err : bound_port(listener);
}

enum net_err net_listener_new(struct net_listener **out, const char *address,
                              net_accept_cb cb, void *arg) {
    struct net_listener *listener = calloc(1, sizeof(*listener));
    enum net_err err;

    if (!listener)
        return NET_ENOMEM;
    atomic_init(&listener->closing, false);
    listener->cb = cb;
    listener->arg = arg;
    err = start(listener, address);
    for (size_t i = 0; !err && i < LISTEN_ACCEPTS; i++) {
        listener->acceptors[i].listener = listener;
        if (nng_aio_alloc(&listener->acceptors[i].aio, accepted,
                          &listener->acceptors[i]))
            err = NET_ENOMEM;
    }
    if (err) {
        net_listener_free(listener);
        return err;
    }
    for (size_t i = 0; i < LISTEN_ACCEPTS; i++)
        nng_stream_listener_accept(listener->nng, listener->acceptors[i].aio);
    *out = listener;
    return NET_OK;
}

uint16_t net_listener_port(const struct net_listener *listener) {
    return listener->port;
}

void net_listener_free(struct net_listener *listener) {
    if (!listener)
        return;
    atomic_store(&listener->closing, true);
    if (listener->nng)
        nng_stream_listener_close(listener->nng);
    for (size_t i = 0; i < LISTEN_ACCEPTS; i++) {
        if (!listener->acceptors[i].aio)
            continue;
        nng_aio_stop(listener->acceptors[i].aio);
        nng_aio_free(listener->acceptors[i].aio);
    }
    if (listener->nng)
        nng_stream_listener_free(listener->nng);
    free(listener);
}
