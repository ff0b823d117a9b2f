/*
 * io.h: what conn.c and dial.c need of the system: streams that are connected,
 * and attempts to connect. There are two backends, and a program is linked with
 * one of them:
 *
 *   net/nng    nng's byte streams: wherever nng runs. Of libterse-client,
 *              terse and terse-agent.
 *   net/epoll  threads of our own, one for each processor: Linux only, and for
 * a stanza it costs half as much. Of tersed.
 *
 * They make net_listener_* and net_stream_peer of net.h as well.
 *
 * Functions are called by one thread at a time, which is up to the caller: with
 * the lock of the stream's owner. Callbacks come without any lock, on a thread
 * of the backend's, and never from within a function.
 */
#ifndef NET_IO_H
#define NET_IO_H

#include <stdlib.h>

#include "net/net.h"

struct io_result {
    enum net_err err;
    const char *words; /* of err, for a log; static */
    size_t n;          /* bytes, if there is no error */
};

/* ---- a stream that is connected -------------------------------------------
 */

struct io_ops {
    /* What io_await_read or io_await_write waited for has come, or never will,
     * since the stream is closed or broken. Once for each of their calls. */
    void (*readable)(void *arg);
    void (*writable)(void *arg);
};

/* Before all else; whose callbacks get `arg`. */
void io_attach(struct net_stream *stream, const struct io_ops *ops, void *arg);

/* `readable` will be called, once. Not while it is to come, and not once the
 * stream is closed. */
void io_await_read(struct net_stream *stream);
/* From `readable`, with the lock: what has come, at most cap bytes, which are
 * IO_READ_MIN at least. n is 0: nothing, after all. */
struct io_result io_read(struct net_stream *stream, void *p, size_t cap);
enum { IO_READ_MIN = 512 };

/* Sends as much as there is room for; n is 0: there is none, or it is broken,
 * and io_await_write will tell. */
size_t io_write(struct net_stream *stream, const void *p, size_t n);
/* `writable` will be called, once; until then the n bytes at p, which are to be
 * sent next, stay as they are. Not while it is to come, and not once the stream
 * is closed. NET_ENOMEM: it will not. */
NET_NODISCARD enum net_err io_await_write(struct net_stream *stream,
                                          const void *p, size_t n);
/* From `writable`, with the lock: how many of these bytes were sent by then. */
struct io_result io_written(struct net_stream *stream);

/* Closes the connection, which ends what is awaited: its callbacks are on their
 * way. */
void io_close(struct net_stream *stream);
/* Frees it, closed, when nothing is awaited. From within a callback, too. */
void io_free(struct net_stream *stream);

/* As net_stream_peer, of our end. */
void io_local(struct net_stream *stream, char addr[48], uint16_t *port);

/* ---- attempts to connect ---------------------------------------------------
 */

/* One after the other, for one dial. */
struct io_attempt;

/* done(arg) is called once for each io_connect. Where the backend has a choice,
 * the connection is served by the threads that serve what called this. */
NET_NODISCARD enum net_err io_attempt_new(struct io_attempt **out,
                                          struct net_resolver *resolver,
                                          void (*done)(void *arg), void *arg);
/* Begins. An error: it is over, and `done` will not be called. addr: numeric.
 */
NET_NODISCARD struct io_result io_connect(struct io_attempt *attempt,
                                          const char *addr, uint16_t port);
/* Ends what is under way, if anything is; `done` comes. */
void io_connect_abort(struct io_attempt *attempt);
/* From `done`, with the lock: how it went. *stream: the caller's. */
struct io_result io_connected(struct io_attempt *attempt,
                              struct net_stream **stream);
/* When nothing is under way; from `done`, too. */
void io_attempt_free(struct io_attempt *attempt);

/* ---- mutexes ----------------------------------------------------------------
 *
 * An error of one is a bug of ours.
 */

static inline void net_mutex_lock(pthread_mutex_t *mutex) {
    if (pthread_mutex_lock(mutex))
        abort();
}

static inline void net_mutex_unlock(pthread_mutex_t *mutex) {
    if (pthread_mutex_unlock(mutex))
        abort();
}

/* ---- of owner.c and address.c ----------------------------------------------
 */

/* Gives back a reference while its lock is held. The caller of a function of
 * net.h holds the lock by virtue of another reference, so this is never the
 * last; that is checked. */
void net_owner_rele_locked(struct net_owner *owner);

/* An address in words: of 4 bytes, or of 16; ::ffff:192.0.2.1, which is what a
 * socket of both families says of IPv4, as 192.0.2.1. */
void net_address_text(const uint8_t *p, size_t n, char addr[48]);

#endif
