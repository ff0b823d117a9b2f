/*
 * stream.c: a byte stream of nng's. nng does not say that there is something to
 * read: it reads. So a small buffer is what waits, and where it was filled, the
 * rest is read at once, so that what came together is passed on together.
 */
#include "net/nng/nng.h"

#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>

struct net_stream {
    nng_stream *nng;
    nng_aio *recv;
    nng_aio *send; /* NULL: nobody waits for room */
    const struct io_ops *ops;
    void *arg;
    uint8_t small[IO_READ_MIN / 2];
};

/* ---- errors ----------------------------------------------------------------
 */

static enum net_err err_of(int rv) {
    switch (rv) {
    case 0:
        return NET_OK;
    case NNG_ENOMEM:
    case NNG_ENOFILES:
    case NNG_ENOSPC:
        return NET_ENOMEM;
    case NNG_ECONNSHUT:
        return NET_EEOF;
    case NNG_ETIMEDOUT:
        return NET_ETIMEOUT;
    case NNG_ECONNREFUSED:
        return NET_EREFUSED;
    case NNG_EADDRINUSE:
    case NNG_EADDRINVAL:
    case NNG_EPERM:
        return NET_EINUSE;
    default:
        return NET_ECLOSED;
    }
}

struct io_result nng_result(int rv, size_t n) {
    return (struct io_result){err_of(rv), nng_strerror(rv), rv ? 0 : n};
}

/* ---- what is done at once, or taken back -----------------------------------
 *
 * nng runs a callback on another thread, which has to be woken and then waits
 * for our lock: that costs as much as the send. nng tries what it is asked for
 * before it waits; what is aborted is the waiting. Each thread has an operation
 * without a callback for this.
 */

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t key;
static bool have_key;

static void free_aio(void *aio) { nng_aio_free(aio); }

static void make_key(void) {
    have_key = pthread_key_create(&key, free_aio) == 0;
}

/* NULL for lack of memory. */
static nng_aio *aio_of_thread(void) {
    nng_aio *aio;

    if (pthread_once(&once, make_key) || !have_key)
        return NULL;
    aio = pthread_getspecific(key);
    if (aio || nng_aio_alloc(&aio, NULL, NULL))
        return aio;
    if (pthread_setspecific(key, aio) == 0)
        return aio;
    nng_aio_free(aio);
    return NULL;
}

/* How many bytes went; 0: none could, or it failed, which the next read or
 * write that waits will say. */
static size_t at_once(nng_stream *nng, void (*op)(nng_stream *, nng_aio *),
                      void *p, size_t n) {
    nng_aio *aio = aio_of_thread();
    nng_iov iov = {p, n};

    if (!aio)
        return 0;
    (void)nng_aio_set_iov(aio, 1, &iov); /* fails for more than 8 only */
    op(nng, aio);
    nng_aio_abort(aio, NNG_ECANCELED);
    nng_aio_wait(aio);
    return nng_aio_result(aio) ? 0 : nng_aio_count(aio);
}

/* ---- life ------------------------------------------------------------------
 */

static void received(void *arg) {
    struct net_stream *stream = arg;

    stream->ops->readable(stream->arg);
}

static void sent(void *arg) {
    struct net_stream *stream = arg;

    stream->ops->writable(stream->arg);
}

struct net_stream *stream_new(nng_stream *nng) {
    struct net_stream *stream = calloc(1, sizeof(*stream));

    if (!stream || nng_aio_alloc(&stream->recv, received, stream)) {
        free(stream);
        nng_stream_close(nng);
        nng_stream_free(nng);
        return NULL;
    }
    stream->nng = nng;
    /* Best effort: where it fails, the stream is gone and a read will say so.
     */
    (void)nng_stream_set_bool(nng, NNG_OPT_TCP_NODELAY, true);
    (void)nng_stream_set_bool(nng, NNG_OPT_TCP_KEEPALIVE, true);
    return stream;
}

void io_attach(struct net_stream *stream, const struct io_ops *ops, void *arg) {
    stream->ops = ops;
    stream->arg = arg;
}

void io_close(struct net_stream *stream) { nng_stream_close(stream->nng); }

/* An operation must not be freed from its own callback: nng's reaper does. */
void io_free(struct net_stream *stream) {
    nng_stream_free(stream->nng);
    nng_aio_reap(stream->recv);
    nng_aio_reap(stream->send);
    free(stream);
}

/* ---- bytes -----------------------------------------------------------------
 */

void io_await_read(struct net_stream *stream) {
    nng_iov iov = {stream->small, sizeof(stream->small)};

    (void)nng_aio_set_iov(stream->recv, 1, &iov);
    nng_stream_recv(stream->nng, stream->recv);
}

struct io_result io_read(struct net_stream *stream, void *p, size_t cap) {
    int rv = nng_aio_result(stream->recv);
    size_t n = rv ? 0 : nng_aio_count(stream->recv);

    if (n == 0)
        return nng_result(rv ? rv : NNG_ECONNSHUT, 0);
    memcpy(p, stream->small, n);
    if (n == sizeof(stream->small))
        n += at_once(stream->nng, nng_stream_recv, (uint8_t *)p + n, cap - n);
    return nng_result(0, n);
}

size_t io_write(struct net_stream *stream, const void *p, size_t n) {
    return at_once(stream->nng, nng_stream_send, (void *)(uintptr_t)p, n);
}

enum net_err io_await_write(struct net_stream *stream, const void *p,
                            size_t n) {
    nng_iov iov = {(void *)(uintptr_t)p, n};

    if (nng_aio_alloc(&stream->send, sent, stream)) {
        stream->send = NULL;
        return NET_ENOMEM;
    }
    (void)nng_aio_set_iov(stream->send, 1, &iov);
    nng_stream_send(stream->nng, stream->send);
    return NET_OK;
}

struct io_result io_written(struct net_stream *stream) {
    struct io_result result =
        nng_result(nng_aio_result(stream->send), nng_aio_count(stream->send));

    nng_aio_reap(stream->send);
    stream->send = NULL;
    return result;
}

/* ---- ends ------------------------------------------------------------------
 */

static void end(struct net_stream *stream, const char *which, char addr[48],
                uint16_t *port) {
    nng_sockaddr sa;

    memset(&sa, 0, sizeof(sa));
    addr[0] = '\0';
    *port = 0;
    if (nng_stream_get_addr(stream->nng, which, &sa))
        return;
    if (sa.s_family == NNG_AF_INET) {
        net_address_text((const uint8_t *)&sa.s_in.sa_addr, 4, addr);
        *port = ntohs(sa.s_in.sa_port);
    } else if (sa.s_family == NNG_AF_INET6) {
        net_address_text(sa.s_in6.sa_addr, 16, addr);
        *port = ntohs(sa.s_in6.sa_port);
    }
}

void net_stream_peer(struct net_stream *stream, char addr[48], uint16_t *port) {
    end(stream, NNG_OPT_REMADDR, addr, port);
}

void io_local(struct net_stream *stream, char addr[48], uint16_t *port) {
    end(stream, NNG_OPT_LOCADDR, addr, port);
}
