/*
 * dial.c: look a target up, then try its addresses one after the other.
 *
 * A dial has one step under way at a time: the look-up, then one attempt after
 * the other. The step's callback either begins the next or ends the dial, and
 * only it frees; so a cancel only marks, and cuts the step short. So does the
 * timer, when an attempt has had its share of the time.
 */
#include "net/due.h"
#include "net/io.h"
#include "net/resolve.h"

#include <stdio.h>
#include <stdlib.h>

struct net_dial {
    struct net_owner *owner;
    net_dial_cb cb;
    void *arg;
    struct io_attempt *attempt;
    struct net_timer *timer;
    nng_time deadline;
    bool late; /* the attempt under way has had its time */
    bool cancelled;
    struct endpoints list;
    size_t next; /* in list */
    enum net_err err;
    char text[256];
};

/* Ends the dial: with the lock, which it gives up. */
static void dial_end(struct net_dial *dial, struct net_stream *stream) {
    struct net_owner *owner = dial->owner;

    if (dial->cancelled)
        net_stream_drop(stream);
    else
        dial->cb(dial->arg, stream ? NET_OK : dial->err,
                 stream ? "" : dial->text, stream);
    net_timer_free(dial->timer);
    net_unlock(owner);
    io_attempt_free(dial->attempt);
    free(dial);
    net_owner_rele(owner);
}

static void dial_late(void *arg) {
    struct net_dial *dial = arg;

    dial->late = true;
    io_connect_abort(dial->attempt);
}

static void dial_failed(struct net_dial *dial, enum net_err err,
                        const char *words) {
    const struct endpoint *e = &dial->list.at[dial->next ? dial->next - 1 : 0];

    dial->err = err;
    if (dial->next)
        snprintf(dial->text, sizeof(dial->text), "%s port %u: %s", e->addr,
                 e->port, words);
    else
        snprintf(dial->text, sizeof(dial->text), "%s", words);
}

/* Begins the next attempt. False: there is none. */
static bool dial_next(struct net_dial *dial) {
    nng_time now = nng_clock();

    while (!dial->cancelled && dial->next < dial->list.n) {
        const struct endpoint *e = &dial->list.at[dial->next];
        size_t left = dial->list.n - dial->next++;
        struct io_result result;

        if (now >= dial->deadline) {
            dial_failed(dial, NET_ETIMEOUT, net_strerror(NET_ETIMEOUT));
            return false;
        }
        result = io_connect(dial->attempt, e->addr, e->port);
        if (result.err) {
            dial_failed(dial, result.err, result.words);
            continue;
        }
        /* A share of the time each, so that a black hole among the
         * addresses leaves some for the others. */
        dial->late = false;
        net_timer_set(dial->timer,
                      (uint32_t)((dial->deadline - now) / left + 1));
        return true;
    }
    return false;
}

static void dialled(void *arg) {
    struct net_dial *dial = arg;
    struct net_stream *stream;
    struct io_result result;

    net_lock(dial->owner);
    net_timer_stop(dial->timer);
    result = io_connected(dial->attempt, &stream);
    if (!result.err) {
        dial_end(dial, stream);
        return;
    }
    if (dial->late)
        dial_failed(dial, NET_ETIMEOUT, net_strerror(NET_ETIMEOUT));
    else
        dial_failed(dial, result.err, result.words);
    if (dial_next(dial))
        net_unlock(dial->owner);
    else
        dial_end(dial, NULL);
}

static void resolved(void *arg, enum net_err err,
                     const struct endpoints *list) {
    struct net_dial *dial = arg;

    net_lock(dial->owner);
    if (err)
        dial_failed(dial, err, net_strerror(err));
    else
        dial->list = *list;
    if (!err && dial_next(dial))
        net_unlock(dial->owner);
    else
        dial_end(dial, NULL);
}

enum net_err net_dial_new(struct net_dial **out, struct net_owner *owner,
                          struct net_resolver *resolver,
                          const struct net_target *target, uint32_t ms,
                          net_dial_cb cb, void *arg) {
    struct net_dial *dial = calloc(1, sizeof(*dial));
    enum net_err err;

    if (!dial)
        return NET_ENOMEM;
    err = io_attempt_new(&dial->attempt, resolver, dialled, dial);
    if (err) {
        free(dial);
        return err;
    }
    err = net_timer_new(&dial->timer, owner, dial_late, dial);
    if (err) {
        io_attempt_free(dial->attempt);
        free(dial);
        return err;
    }
    dial->owner = owner;
    dial->deadline = nng_clock() + ms;
    dial->cb = cb;
    dial->arg = arg;
    dial->err = NET_EDNS;
    net_owner_hold(owner);
    err = resolve_start(resolver, target, resolved, dial);
    if (err) {
        net_timer_free(dial->timer);
        io_attempt_free(dial->attempt);
        free(dial);
        net_owner_rele_locked(owner);
        return err;
    }
    *out = dial;
    return NET_OK;
}

void net_dial_cancel(struct net_dial *dial) {
    if (!dial)
        return;
    dial->cancelled = true;
    io_connect_abort(dial->attempt);
}
