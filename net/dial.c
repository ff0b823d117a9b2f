/*
 * dial.c: look a target up, then try its addresses one after the other.
 *
 * A dial has one step under way at a time: the look-up, then one aio after the
 * other. The step's callback either begins the next or ends the dial, and only
 * it frees; so a cancel only marks, and cuts the step short.
 */
#include "net/resolve.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <nng/supplemental/util/platform.h>

struct net_dial {
    struct net_owner *owner;
    struct net_resolver *resolver;
    net_dial_cb cb;
    void *arg;
    nng_aio *aio;
    nng_stream_dialer *dialer; /* of the attempt under way, or NULL */
    struct job *burial;        /* to free it with; as long as it */
    nng_time deadline;
    bool cancelled;
    struct endpoints list;
    size_t next; /* in list */
    enum net_err err;
    char text[256];
};

/* Gives up the dialler of the last attempt. */
static void dial_bury(struct net_dial *dial) {
    resolve_free_dialer(dial->resolver, dial->burial, dial->dialer);
    dial->burial = NULL;
    dial->dialer = NULL;
}

static void dial_free(struct net_dial *dial) {
    dial_bury(dial);
    nng_aio_reap(dial->aio);
    free(dial);
}

/* Ends the dial: with the lock, which it gives up. */
static void dial_end(struct net_dial *dial, nng_stream *stream) {
    struct net_owner *owner = dial->owner;

    if (dial->cancelled)
        net_stream_drop(stream);
    else
        dial->cb(dial->arg, stream ? NET_OK : dial->err,
                 stream ? "" : dial->text, stream);
    net_unlock(owner);
    dial_free(dial);
    net_owner_rele(owner);
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
    char url[80];

    dial_bury(dial);
    while (!dial->cancelled && dial->next < dial->list.n) {
        const struct endpoint *e = &dial->list.at[dial->next];
        size_t left = dial->list.n - dial->next++;

        if (now >= dial->deadline) {
            dial_failed(dial, NET_ETIMEOUT, net_strerror(NET_ETIMEOUT));
            return false;
        }
        snprintf(url, sizeof(url),
                 strchr(e->addr, ':') ? "tcp://[%s]:%u" : "tcp://%s:%u",
                 e->addr, e->port);
        dial->burial = resolve_job_new();
        if (!dial->burial || nng_stream_dialer_alloc(&dial->dialer, url)) {
            dial->dialer = NULL;
            dial_bury(dial);
            dial_failed(dial, NET_ENOMEM, net_strerror(NET_ENOMEM));
            continue;
        }
        (void)nng_stream_dialer_set_bool(dial->dialer, NNG_OPT_TCP_NODELAY,
                                         true);
        (void)nng_stream_dialer_set_bool(dial->dialer, NNG_OPT_TCP_KEEPALIVE,
                                         true);
        /* A share of the time each, so that a black hole among the
         * addresses leaves some for the others. */
        nng_aio_set_timeout(dial->aio,
                            (nng_duration)((dial->deadline - now) / left + 1));
        nng_stream_dialer_dial(dial->dialer, dial->aio);
        return true;
    }
    return false;
}

static void dialled(void *arg) {
    struct net_dial *dial = arg;
    int rv;

    net_lock(dial->owner);
    rv = nng_aio_result(dial->aio);
    if (rv == 0) {
        dial_end(dial, nng_aio_get_output(dial->aio, 0));
        return;
    }
    dial_failed(dial, net_err_of(rv), nng_strerror(rv));
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
    if (nng_aio_alloc(&dial->aio, dialled, dial)) {
        free(dial);
        return NET_ENOMEM;
    }
    dial->owner = owner;
    dial->resolver = resolver;
    dial->deadline = nng_clock() + ms;
    dial->cb = cb;
    dial->arg = arg;
    dial->err = NET_EDNS;
    net_owner_hold(owner);
    err = resolve_start(resolver, target, resolved, dial);
    if (err) {
        nng_aio_reap(dial->aio);
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
    nng_aio_abort(dial->aio, NNG_ECANCELED);
}
