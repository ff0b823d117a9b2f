/*
 * loop.h: what the files of net/epoll share: threads that wait for events, one
 * for each processor, and streams made of descriptors.
 */
#ifndef NET_EPOLL_LOOP_H
#define NET_EPOLL_LOOP_H

#include "net/io.h"

struct loop;

/* Starts the threads, the first time. Before all else; any thread. They run
 * until the process ends. */
NET_NODISCARD enum net_err loop_init(void);
/* The loop that runs on this thread, or else as loop_next. */
struct loop *loop_here(void);
/* One after the other. */
struct loop *loop_next(void);

/* ---- descriptors ---
 *
 * Edge-triggered, and added once. An event may still be under way when another
 * thread removes its watch; the memory has to stay until a job that was posted
 * after that runs.
 */

/* First in what it is for; the caller fills it in. */
struct watch {
    struct loop *loop;
    int fd;
    /* On the loop's thread, without a lock. */
    void (*event)(struct watch *watch, uint32_t events);
};

NET_NODISCARD bool loop_add(struct watch *watch, uint32_t events);
/* Removes and closes it. */
void loop_remove(struct watch *watch);

/* ---- jobs ---- */

struct loop_job {
    struct loop_job *next;
    void (*run)(struct loop_job *job);
};

/* Has job->run(job) called on the loop's thread, when all events and jobs have
 * had their turn that the loop already knows of. Not while it waits. Any
 * thread, any lock. */
void loop_post(struct loop *loop, struct loop_job *job);
/* The same, and waits for it. Not on a loop's thread, no lock held. */
void loop_run(struct loop *loop, struct loop_job *job);

/* ---- streams ---- */

/* What errno means here. */
struct io_result errno_result(int e);

/* Takes the descriptor, which does not block. NULL for lack of memory, and then
 * it is closed. */
struct net_stream *stream_new(struct loop *loop, int fd);
/* Of a stream that connects: how that went. */
struct io_result stream_connected(struct net_stream *stream);
/* No delay, and the kernel's keep-alive; what is accepted inherits it. */
void tune(int fd);

#endif
