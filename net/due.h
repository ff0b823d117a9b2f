/*
 * due.h: what is to be done at a time, or soon, for timer.c and conn.c. Each
 * object that waits has a struct due in it; what nng has to know of all of them
 * is one sleep a queue, so an object costs no operation of nng's, and to wait
 * needs no memory.
 */
#ifndef NET_DUE_H
#define NET_DUE_H

#include "net/net.h"

#include <nng/nng.h>
#include <nng/supplemental/util/platform.h>

/* Zero at first. While it waits it is a node of a heap (due.c). */
struct due {
    struct due *child, *next, *prev;
    nng_time at;
    bool waiting;
    void (*cb)(struct due *due); /* on a thread of nng's, without a lock */
};

/* Makes the queues, the first time. Before anything waits; any thread. */
NET_NODISCARD enum net_err due_init(void);

/* Calls due->cb(due) once, in ms from now; 0: at once, on another thread. Not
 * while it waits. Any thread, any lock. */
void due_set(struct due *due, uint32_t ms);
/* The same in ms from now, if it waits for longer. If it does not wait any
 * more, its callback is on its way. */
void due_hurry(struct due *due, uint32_t ms);
/* It waits no more. False: its callback is on its way, and cannot be stopped.
 */
NET_NODISCARD bool due_stop(struct due *due);

#endif
