/*
 * aio.h: what the files of net/ share about nng.
 */
#ifndef NET_AIO_H
#define NET_AIO_H

#include "net/net.h"

#include <nng/nng.h>

/* What an error number of nng means here. */
enum net_err net_err_of(int rv);

/* Gives back a reference while its lock is held. The caller of a function of
 * net.h holds the lock by virtue of another reference, so this is never the
 * last; that is checked. */
void net_owner_rele_locked(struct net_owner *owner);

/* As net_stream_peer, of our end. */
void net_stream_local(struct nng_stream *stream, char addr[48], uint16_t *port);

/* No delay, and the kernel's keep-alive. */
void net_stream_tune(nng_stream *stream);

/* This thread's operation without a callback, for what is done at once or taken
 * back; freed with the thread. NULL for lack of memory. */
nng_aio *net_aio_of_thread(void);

#endif
