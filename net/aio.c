/* aio.c: see aio.h. */
#include "net/aio.h"

#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>

enum net_err net_err_of(int rv) {
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

void net_owner_rele_locked(struct net_owner *owner) {
    if (atomic_fetch_sub_explicit(&owner->refs, 1, memory_order_acq_rel) == 1)
        abort();
}

void net_stream_tune(nng_stream *stream) {
    /* Best effort: where it fails, the stream is gone and a read will say so.
     */
    (void)nng_stream_set_bool(stream, NNG_OPT_TCP_NODELAY, true);
    (void)nng_stream_set_bool(stream, NNG_OPT_TCP_KEEPALIVE, true);
}

void net_stream_drop(struct nng_stream *stream) {
    if (!stream)
        return;
    nng_stream_close(stream);
    nng_stream_free(stream);
}

static void stream_addr(struct nng_stream *stream, const char *which,
                        char addr[48], uint16_t *port) {
    nng_sockaddr sa;

    memset(&sa, 0, sizeof(sa));
    addr[0] = '\0';
    *port = 0;
    if (nng_stream_get_addr(stream, which, &sa))
        return;
    if (sa.s_family == NNG_AF_INET) {
        inet_ntop(AF_INET, &sa.s_in.sa_addr, addr, 48);
        *port = ntohs(sa.s_in.sa_port);
    } else if (sa.s_family == NNG_AF_INET6) {
        const uint8_t *p = sa.s_in6.sa_addr;

        /* What a socket for both families says of IPv4. */
        if (memcmp(p, "\0\0\0\0\0\0\0\0\0\0\xff\xff", 12) == 0)
            inet_ntop(AF_INET, p + 12, addr, 48);
        else
            inet_ntop(AF_INET6, p, addr, 48);
        *port = ntohs(sa.s_in6.sa_port);
    }
}

void net_stream_peer(struct nng_stream *stream, char addr[48], uint16_t *port) {
    stream_addr(stream, NNG_OPT_REMADDR, addr, port);
}

void net_stream_local(struct nng_stream *stream, char addr[48],
                      uint16_t *port) {
    stream_addr(stream, NNG_OPT_LOCADDR, addr, port);
}

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t key;
static bool have_key;

static void free_aio(void *aio) { nng_aio_free(aio); }

static void make_key(void) {
    have_key = pthread_key_create(&key, free_aio) == 0;
}

nng_aio *net_aio_of_thread(void) {
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
