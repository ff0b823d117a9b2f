/*
 * timer.c: a timer that is moved keeps its place (due.h) where the new time is
 * later: the callback waits on for the rest. So what is moved with every stanza
 * costs nothing but a look at the clock.
 */
#include "net/due.h"
#include "net/io.h"

#include <stddef.h>
#include <stdlib.h>

struct net_timer {
    struct due place; /* first */
    struct net_owner *owner;
    void (*cb)(void *arg);
    void *arg;
    nng_time due; /* when to call back, if armed */
    bool placed;  /* in a queue, or its callback is on its way */
    bool running; /* cb is being called */
    bool armed;   /* the owner wants to be called */
    bool freed;   /* the owner is done; the callback frees */
};

static void timer_place(struct net_timer *timer, nng_time now) {
    timer->placed = true;
    due_set(&timer->place, timer->due > now ? (uint32_t)(timer->due - now) : 0);
}

static void timer_woke(struct due *place) {
    struct net_timer *timer = (struct net_timer *)place;
    struct net_owner *owner = timer->owner;
    bool freed;

    net_lock(owner);
    timer->placed = false;
    if (timer->armed) {
        nng_time now = nng_clock();

        if (timer->due > now) {
            timer_place(timer, now);
        } else {
            timer->armed = false;
            timer->running = true;
            timer->cb(timer->arg);
            timer->running = false;
        }
    }
    freed = timer->freed && !timer->placed; /* else by what is on its way */
    net_unlock(owner);
    if (freed) {
        free(timer);
        net_owner_rele(owner);
    }
}

enum net_err net_timer_new(struct net_timer **out, struct net_owner *owner,
                           void (*cb)(void *arg), void *arg) {
    struct net_timer *timer =
        due_init() ? NULL : calloc(1, sizeof(struct net_timer));

    if (!timer)
        return NET_ENOMEM;
    timer->place.cb = timer_woke;
    timer->owner = owner;
    timer->cb = cb;
    timer->arg = arg;
    net_owner_hold(owner);
    *out = timer;
    return NET_OK;
}

void net_timer_set(struct net_timer *timer, uint32_t ms) {
    nng_time now = nng_clock();

    timer->due = now + ms;
    timer->armed = true;
    if (timer->placed)
        due_hurry(&timer->place, ms);
    else
        timer_place(timer, now);
}

void net_timer_stop(struct net_timer *timer) { timer->armed = false; }

void net_timer_free(struct net_timer *timer) {
    struct net_owner *owner;

    if (!timer)
        return;
    timer->armed = false;
    if (timer->placed && due_stop(&timer->place))
        timer->placed = false;
    if (timer->running || timer->placed) {
        timer->freed = true;
        return;
    }
    owner = timer->owner;
    free(timer);
    net_owner_rele_locked(owner);
}
