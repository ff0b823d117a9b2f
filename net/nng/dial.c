/*
 * dial.c: attempts to connect, by nng's diallers. Each attempt needs a dialler
 * of its own. To free one waits for a task of nng's, which a task's thread must
 * never do: the resolver's thread does. What that takes is taken beforehand.
 */
#include "net/nng/nng.h"
#include "net/resolve.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct io_attempt {
    struct net_resolver *resolver;
    nng_aio *aio;
    nng_stream_dialer *dialer; /* of the last attempt, or NULL */
    struct job *burial;        /* to free it with; as long as it */
};

enum net_err io_attempt_new(struct io_attempt **out,
                            struct net_resolver *resolver,
                            void (*done)(void *arg), void *arg) {
    struct io_attempt *attempt = calloc(1, sizeof(*attempt));

    if (!attempt || nng_aio_alloc(&attempt->aio, done, arg)) {
        free(attempt);
        return NET_ENOMEM;
    }
    attempt->resolver = resolver;
    *out = attempt;
    return NET_OK;
}

static void free_dialer(void *dialer) { nng_stream_dialer_free(dialer); }

static void bury(struct io_attempt *attempt) {
    if (attempt->dialer)
        resolve_run(attempt->resolver, attempt->burial, free_dialer,
                    attempt->dialer);
    attempt->dialer = NULL;
    attempt->burial = NULL;
}

struct io_result io_connect(struct io_attempt *attempt, const char *addr,
                            uint16_t port) {
    char url[80];
    int rv = NNG_ENOMEM;

    bury(attempt);
    snprintf(url, sizeof(url),
             strchr(addr, ':') ? "tcp://[%s]:%u" : "tcp://%s:%u", addr, port);
    attempt->burial = resolve_job_new();
    if (attempt->burial)
        rv = nng_stream_dialer_alloc(&attempt->dialer, url);
    if (rv) {
        free(attempt->burial);
        attempt->burial = NULL;
        attempt->dialer = NULL;
        return nng_result(rv, 0);
    }
    (void)nng_stream_dialer_set_bool(attempt->dialer, NNG_OPT_TCP_NODELAY,
                                     true);
    (void)nng_stream_dialer_set_bool(attempt->dialer, NNG_OPT_TCP_KEEPALIVE,
                                     true);
    nng_stream_dialer_dial(attempt->dialer, attempt->aio);
    return nng_result(0, 0);
}

void io_connect_abort(struct io_attempt *attempt) {
    nng_aio_abort(attempt->aio, NNG_ECANCELED);
}

struct io_result io_connected(struct io_attempt *attempt,
                              struct net_stream **stream) {
    int rv = nng_aio_result(attempt->aio);

    *stream = NULL;
    if (rv == 0) {
        *stream = stream_new(nng_aio_get_output(attempt->aio, 0));
        rv = *stream ? 0 : NNG_ENOMEM;
    }
    return nng_result(rv, 0);
}

void io_attempt_free(struct io_attempt *attempt) {
    bury(attempt);
    nng_aio_reap(attempt->aio);
    free(attempt);
}
