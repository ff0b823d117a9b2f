/*
 * timer.c: one nng_aio that sleeps. A timer that is moved keeps its sleep where
 * the new time is later: the callback sleeps on for the rest.
 */
#include "net/aio.h"

#include <stdlib.h>

#include <nng/supplemental/util/platform.h>

struct net_timer {
    struct net_owner *owner;
    nng_aio *aio;
    void (*cb)(void *arg);
    void *arg;
    nng_time due;   /* when to call back, if armed */
    nng_time wakes; /* when the sleep ends, if sleeping */
    bool sleeping;  /* the aio is posted and its callback has not run */
    bool running;   /* cb is being called */
    bool armed;     /* the owner wants to be called */
    bool freed;     /* the owner is done; the callback frees */
};

static void timer_gone(struct net_timer *timer) {
    nng_aio_reap(timer->aio);
    free(timer);
}

static void timer_sleep(struct net_timer *timer, nng_time now) {
    timer->wakes = timer->due;
    timer->sleeping = true;
    nng_sleep_aio(timer->due > now ? (nng_duration)(timer->due - now) : 0,
                  timer->aio);
}

static void timer_woke(void *arg) {
    struct net_timer *timer = arg;
    struct net_owner *owner = timer->owner;
    bool freed;

    net_lock(owner);
    timer->sleeping = false;
    if (timer->armed && !timer->freed) {
        nng_time now = nng_clock();

        if (timer->due > now) {
            timer_sleep(timer, now);
        } else {
            timer->armed = false;
            timer->running = true;
            timer->cb(timer->arg);
            timer->running = false;
        }
    }
    /* Posted again by us or by cb: that sleep's callback will free. */
    freed = timer->freed && !timer->sleeping;
    net_unlock(owner);
    if (freed) {
        timer_gone(timer);
        net_owner_rele(owner);
    }
}

enum net_err net_timer_new(struct net_timer **out, struct net_owner *owner,
                           void (*cb)(void *arg), void *arg) {
    struct net_timer *timer = calloc(1, sizeof(*timer));

    if (!timer)
        return NET_ENOMEM;
    if (nng_aio_alloc(&timer->aio, timer_woke, timer)) {
        free(timer);
        return NET_ENOMEM;
    }
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
    if (!timer->sleeping)
        timer_sleep(timer, now);
    else if (timer->due < timer->wakes)
        nng_aio_abort(timer->aio, NNG_ECANCELED);
}

void net_timer_stop(struct net_timer *timer) { timer->armed = false; }

void net_timer_free(struct net_timer *timer) {
    if (!timer)
        return;
    timer->freed = true;
    timer->armed = false;
    if (timer->sleeping) {
        nng_aio_abort(timer->aio, NNG_ECANCELED);
    } else if (!timer->running) {
        struct net_owner *owner = timer->owner;

        timer_gone(timer);
        net_owner_rele_locked(owner);
    }
}
