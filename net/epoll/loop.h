/*
 * loop.h: what the files of net/epoll share: threads that wait for events, one
 * for each processor, and streams made of descriptors.
 */
#ifndef NET_EPOLL_LOOP_H
#define NET_EPOLL_LOOP_H

#include "net/io.h"

/* An epoll, and the few threads that wait for it together. */
struct loop;

/* Starts the threads, the first time. Before all else; any thread. They run
 * until the process ends. */
NET_NODISCARD enum net_err loop_init(void);
/* The loop whose thread this is, or else as loop_next. */
struct loop *loop_here(void);
/* One after the other. */
struct loop *loop_next(void);

/* ---- descriptors --- */

/* Has stream_event called with that tag for each edge; not 2^64 - 1. Once it is
 * removed, it may still be called for edges that other threads have taken. */
NET_NODISCARD bool loop_add(struct loop *loop, int fd, uint64_t tag);
/* Removes and closes it. */
void loop_remove(struct loop *loop, int fd);

/* ---- jobs ---- */

struct loop_job {
    struct loop_job *next;
    void (*run)(struct loop_job *job);
};

/* Has job->run(job) called on one of the loop's threads, when it has seen to
 * the events in its hands; if posted from one of them, by it or by another.
 * Not while it waits. Any thread, any lock. */
void loop_post(struct loop *loop, struct loop_job *job);

/* ---- streams ---- */

/* What errno means here. */
struct io_result errno_result(int e);

/* Takes the descriptor, which does not block. NULL for lack of memory, and then
 * it is closed. */
struct net_stream *stream_new(struct loop *loop, int fd);
/* Of loop.c. */
void stream_event(uint64_t tag, uint32_t events);
/* There is more to read, though no edge will say so. Any thread, any lock. */
void stream_more(struct net_stream *stream);
/* Of a stream that connects: how that went. */
struct io_result stream_connected(struct net_stream *stream);
/* No delay, and the kernel's keep-alive; what is accepted inherits it. */
void tune(int fd);

#endif
