/*
 * due.c: pairing heaps of what waits, and a sleep of nng's until the first of
 * it. An object's queue follows from its address, so that not everybody wants
 * the same lock.
 */
#include "net/due.h"
#include "net/io.h"

#include <stdlib.h>

enum {
    DUE_QUEUES = 4,
    DUE_LONGEST = 3600 * 1000, /* ms of a sleep */
};

struct queue {
    pthread_mutex_t lock;
    struct due *first; /* the heap's root: nothing in it is due before */
    nng_aio *aio;
    bool sleeping;  /* the aio is posted, and its callback has not begun */
    nng_time wakes; /* when that sleep ends */
};

static struct queue queues[DUE_QUEUES] = {
    {.lock = PTHREAD_MUTEX_INITIALIZER},
    {.lock = PTHREAD_MUTEX_INITIALIZER},
    {.lock = PTHREAD_MUTEX_INITIALIZER},
    {.lock = PTHREAD_MUTEX_INITIALIZER},
};

static struct queue *queue_of(const struct due *due) {
    /* What malloc gives differs from the fifth bit on. */
    return &queues[((uintptr_t)due >> 4 ^ (uintptr_t)due >> 10) % DUE_QUEUES];
}

/* ---- the heap --------------------------------------------------------------
 *
 * Each node is due no later than its children. `child` is the first of them,
 * `next` the next of the same parent, `prev` whose child or next it is.
 */

static struct due *meld(struct due *a, struct due *b) {
    if (!a || !b)
        return a ? a : b;
    if (b->at < a->at) {
        struct due *c = a;

        a = b;
        b = c;
    }
    b->prev = a;
    b->next = a->child;
    if (b->next)
        b->next->prev = b;
    a->child = b;
    return a;
}

/* Makes one heap of a list of them: in pairs, then pair by pair. */
static struct due *meld_all(struct due *list) {
    struct due *pairs = NULL, *root = NULL;

    while (list) {
        struct due *a = list, *b = a->next;

        list = b ? b->next : NULL;
        a->next = a->prev = NULL;
        if (b)
            b->next = b->prev = NULL;
        a = meld(a, b);
        a->next = pairs;
        pairs = a;
    }
    while (pairs) {
        struct due *a = pairs;

        pairs = a->next;
        a->next = NULL;
        root = meld(root, a);
    }
    return root;
}

static void take_out(struct queue *queue, struct due *due) {
    struct due *rest = meld_all(due->child);

    if (due == queue->first) {
        queue->first = rest;
    } else {
        if (due->prev->child == due)
            due->prev->child = due->next;
        else
            due->prev->next = due->next;
        if (due->next)
            due->next->prev = due->prev;
        queue->first = meld(queue->first, rest);
    }
    due->child = due->next = due->prev = NULL;
    due->waiting = false;
}

/* ---- time ------------------------------------------------------------------
 */

/* With the lock: sees to it that the aio's callback looks in time. nng's sleeps
 * end a millisecond late; one that was aborted ends at once. */
static void arm(struct queue *queue, nng_time now) {
    nng_time at, longest = now + DUE_LONGEST;

    if (!queue->first)
        return;
    at = queue->first->at < longest ? queue->first->at : longest;
    if (queue->sleeping && at >= queue->wakes)
        return;
    queue->wakes = at;
    if (!queue->sleeping) {
        queue->sleeping = true;
        nng_sleep_aio(at > now ? (nng_duration)(at - now) : DUE_LONGEST,
                      queue->aio);
        if (at > now)
            return;
    }
    nng_aio_abort(queue->aio, NNG_ECANCELED);
}

/* Calls what is due. While it does, another thread may do the same: who waits
 * for a lock in a callback holds nobody up. */
static void woke(void *arg) {
    struct queue *queue = arg;

    net_mutex_lock(&queue->lock);
    queue->sleeping = false;
    for (;;) {
        nng_time now = nng_clock();
        struct due *due = queue->first;

        if (due && due->at <= now)
            take_out(queue, due);
        else
            due = NULL;
        arm(queue, now);
        if (!due)
            break;
        net_mutex_unlock(&queue->lock);
        due->cb(due);
        net_mutex_lock(&queue->lock);
    }
    net_mutex_unlock(&queue->lock);
}

/* With the lock. */
static void put(struct queue *queue, struct due *due, uint32_t ms) {
    nng_time now = nng_clock();

    due->at = ms ? now + ms : 0;
    due->waiting = true;
    queue->first = meld(queue->first, due);
    arm(queue, now);
}

void due_set(struct due *due, uint32_t ms) {
    struct queue *queue = queue_of(due);

    net_mutex_lock(&queue->lock);
    put(queue, due, ms);
    net_mutex_unlock(&queue->lock);
}

void due_hurry(struct due *due, uint32_t ms) {
    struct queue *queue = queue_of(due);

    net_mutex_lock(&queue->lock);
    if (due->waiting && due->at > (ms ? nng_clock() + ms : 0)) {
        take_out(queue, due);
        put(queue, due, ms);
    }
    net_mutex_unlock(&queue->lock);
}

bool due_stop(struct due *due) {
    struct queue *queue = queue_of(due);
    bool stopped;

    net_mutex_lock(&queue->lock);
    stopped = due->waiting;
    if (stopped)
        take_out(queue, due);
    net_mutex_unlock(&queue->lock);
    return stopped;
}

enum net_err due_init(void) {
    static pthread_mutex_t making = PTHREAD_MUTEX_INITIALIZER;
    static atomic_bool made;
    bool all = true;

    if (atomic_load(&made))
        return NET_OK;
    net_mutex_lock(&making);
    for (struct queue *q = queues; all && q < queues + DUE_QUEUES; q++)
        all = q->aio || nng_aio_alloc(&q->aio, woke, q) == 0;
    atomic_store(&made, all);
    net_mutex_unlock(&making);
    return all ? NET_OK : NET_ENOMEM;
}
