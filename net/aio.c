/* aio.c: see aio.h. */
#include "net/aio.h"

#include <stdlib.h>

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
    /* Best effort: where it fails, the stream is gone and a read will say so. */
    (void)nng_stream_set_bool(stream, NNG_OPT_TCP_NODELAY, true);
    (void)nng_stream_set_bool(stream, NNG_OPT_TCP_KEEPALIVE, true);
}

void net_stream_drop(struct nng_stream *stream) {
    if (!stream)
        return;
    nng_stream_close(stream);
    nng_stream_free(stream);
}
