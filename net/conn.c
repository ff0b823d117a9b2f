/*
 * conn.c: a byte stream with a bounded write queue, pause, TLS and an orderly
 * end.
 *
 * Bytes out: write -> plain -> (encrypt) -> wire -> nng. Bytes in: nng -> raw
 * -> (gate) -> (decrypt) -> the owner.
 *
 * Life: three aios, each posted at most once at a time; `posted` counts them.
 * When the owner closes, the timer aio is posted as a deadline; until then it
 * serves to pump from nowhere in particular. Whoever
 * finds the work done cuts the deadline short. When the timer's callback runs,
 * the stream is closed, which ends the other aios; the callback that brings
 * `posted` to zero frees, after it has unlocked. Nothing is posted on the
 * stream once it is closed: nng would never complete it.
 */
#include "net/aio.h"
#include "net/framer.h"
#include "net/tls.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    CONN_SMALL = 256,    /* bytes of one read, of a connection that is quiet */
    CONN_LARGE = 16384,  /* and while there is more than that */
    CONN_PLAIN = 16384,  /* decrypted at a time */
    CONN_BATCH = 65536,  /* bytes encrypted at a time */
    CONN_RECORD = 16384, /* the largest TLS record */
    TLS_FIRST_BYTE = 0x16,
    CONN_LINGER = 4 << 20, /* bytes that are dropped while we linger */
};

enum conn_stage {
    STAGE_OPEN,   /* the owner's */
    STAGE_FLUSH,  /* closed by the owner; the queue is being sent */
    STAGE_LINGER, /* sent; waiting for the peer to close */
    STAGE_ENDING, /* the deadline was cut short */
    STAGE_CLOSED, /* the stream is closed, the last callbacks run */
};

struct net_conn {
    _Atomic(struct net_owner *) owner;
    struct net_owner *former; /* before it was moved; held, since callbacks may
                                 wait for its lock */
    const struct net_conn_ops *ops;
    void *arg;
    struct net_marks marks;
    enum conn_stage stage;
    nng_stream *stream;
    nng_aio *recv, *send;
    nng_aio *timer; /* pumps soon; once closed, the deadline */
    unsigned posted;
    bool receiving, sending; /* which of them are posted */
    bool tasking;            /* the timer is, to pump soon */
    nng_duration deadline;   /* from when the owner closed */
    bool paused;
    bool linger;   /* how the owner wants to close */
    bool heard;    /* the peer has said its last word */
    bool full;     /* reached the high mark; `drained` is due */
    bool pumping;  /* bytes are being delivered, further down the stack */
    bool mute;     /* a send failed: what is written is lost */
    bool broken;   /* no use to read or write; see err */
    bool reported; /* the owner's `closed` was called */
    enum net_err err;
    char *text; /* owned; NULL: err says it */
    struct tls *tls;
    bool secured;            /* the owner's `secured` was called */
    struct net_framer *last; /* reads on after the owner closed, for the peer's
                                close; NULL: nothing to wait for */
    bool gated;              /* the gate is still to be passed */
    struct net_gate gate;
    struct net_ends *ends; /* of a PROXY header; NULL: there was none */
    struct net_buf plain, wire;
    uint8_t *large;  /* CONN_LARGE bytes to read into, while there is much */
    uint8_t *raw;    /* what is read into: small or large */
    size_t raw_len;  /* bytes in raw, not yet taken */
    size_t lingered; /* bytes dropped after the owner closed */
    bool filled;     /* the last read was as much as could be */
    bool topping;    /* the read that is posted is conn_top_up's */
    uint8_t small[CONN_SMALL];
};

static void conn_pump(struct net_conn *conn);
static void conn_send(struct net_conn *conn);

/* ---- life ------------------------------------------------------------------
 */

/* With the lock of whose it is; while we waited for it, it may have moved. */
static void conn_enter(struct net_conn *conn) {
    for (;;) {
        struct net_owner *owner = conn->owner;

        net_lock(owner);
        if (owner == conn->owner)
            return;
        net_unlock(owner);
    }
}

static void conn_gone(struct net_conn *conn) {
    struct net_owner *owner = conn->owner, *former = conn->former;

    nng_stream_free(conn->stream);
    nng_aio_reap(conn->recv);
    nng_aio_reap(conn->send);
    nng_aio_reap(conn->timer);
    tls_free(conn->tls);
    net_tls_rele(conn->gate.tls);
    free(conn->ends);
    if (conn->last)
        net_framer_fini(conn->last);
    free(conn->last);
    net_buf_fini(&conn->plain);
    net_buf_fini(&conn->wire);
    free(conn->large);
    free(conn->text);
    free(conn);
    net_owner_rele(owner);
    if (former)
        net_owner_rele(former);
}

/* Every callback of an aio ends here: with the lock, which it gives up. */
static void conn_leave(struct net_conn *conn) {
    bool gone = --conn->posted == 0 && conn->stage == STAGE_CLOSED;

    net_unlock(conn->owner);
    if (gone)
        conn_gone(conn);
}

/* The work of closing is done, or hopeless: no need to wait for the deadline.
 */
static void conn_finish(struct net_conn *conn) {
    if (conn->stage != STAGE_FLUSH && conn->stage != STAGE_LINGER)
        return;
    conn->stage = STAGE_ENDING;
    nng_aio_abort(conn->timer, NNG_ECANCELED);
}

/* The deadline of a connection that was closed begins. */
static void conn_begin_deadline(struct net_conn *conn) {
    conn->posted++;
    nng_sleep_aio(conn->deadline, conn->timer);
}

static void conn_timer(void *arg) {
    struct net_conn *conn = arg;
    bool task;

    conn_enter(conn);
    task = conn->tasking;
    conn->tasking = false;
    if (task && conn->stage == STAGE_OPEN) {
        conn_pump(conn);
    } else if (task && conn->stage != STAGE_ENDING) {
        conn_begin_deadline(conn); /* closed while this was under way */
    } else {
        conn->stage = STAGE_CLOSED;
        nng_stream_close(conn->stream);
    }
    conn_leave(conn);
}

/* Pumps soon, on another thread: for what must not be called from
 * within a function of the owner. */
static void conn_later(struct net_conn *conn) {
    if (conn->tasking || conn->stage != STAGE_OPEN)
        return;
    conn->tasking = true;
    conn->posted++;
    nng_sleep_aio(0, conn->timer);
}

/* The connection is of no more use. The owner hears of it at once if we are in
 * a callback of ours, else soon. */
static void conn_break(struct net_conn *conn, enum net_err err,
                       const char *text) {
    if (conn->broken)
        return;
    conn->broken = true;
    conn->err = err;
    conn->text = text ? strdup(text) : NULL;
    if (conn->stage == STAGE_OPEN)
        conn_later(conn);
    else
        conn_finish(conn);
}

static void conn_report(struct net_conn *conn) {
    if (!conn->broken || conn->reported || conn->stage != STAGE_OPEN)
        return;
    conn->reported = true;
    conn->ops->closed(conn->arg, conn->err,
                      conn->text ? conn->text : net_strerror(conn->err));
}

/* ---- out -------------------------------------------------------------------
 */

size_t net_conn_queued(const struct net_conn *conn) {
    return conn->plain.len + conn->wire.len;
}

bool net_conn_full(const struct net_conn *conn) { return conn->full; }

enum net_err net_conn_write(struct net_conn *conn, const void *p, size_t n) {
    size_t queued = net_conn_queued(conn);
    enum net_err err;

    if (conn->broken || conn->mute)
        return NET_OK; /* lost, and `closed` is on its way */
    if (queued > conn->marks.max || n > conn->marks.max - queued)
        return NET_EFULL;
    err = net_buf_append(&conn->plain, p, n);
    if (!err && queued + n >= conn->marks.high)
        conn->full = true;
    return err;
}

/* Moves what is to be sent from plain to wire. */
static enum net_err conn_fill(struct net_conn *conn) {
    size_t batch = 0;
    enum net_err err = NET_OK;

    if (!conn->tls) {
        net_buf_swap(&conn->wire, &conn->plain);
        return NET_OK;
    }
    while (!err && tls_ready(conn->tls) && conn->plain.len &&
           batch < CONN_BATCH) {
        size_t n =
            conn->plain.len < CONN_RECORD ? conn->plain.len : CONN_RECORD;

        err = tls_write(conn->tls, net_buf_data(&conn->plain), n);
        if (!err)
            net_buf_consume(&conn->plain, n);
        batch += n;
    }
    if (!err && conn->stage == STAGE_FLUSH && conn->plain.len == 0)
        tls_bye(conn->tls);
    net_buf_swap(&conn->wire, tls_output(conn->tls));
    return err;
}

/* The queue of a closed connection is empty, or can never be. */
static void conn_flushed(struct net_conn *conn) {
    if (conn->linger && !conn->broken && !conn->heard) {
        conn->stage = STAGE_LINGER;
        conn_pump(conn);
    } else {
        conn_finish(conn);
    }
}

/* Whether the queue was full and has become short enough. */
static bool conn_drained(const struct net_conn *conn) {
    return conn->stage == STAGE_OPEN && conn->full && !conn->broken &&
           net_conn_queued(conn) <= conn->marks.low;
}

static void conn_tell_drained(struct net_conn *conn) {
    if (!conn_drained(conn))
        return;
    conn->full = false;
    conn->ops->drained(conn->arg);
}

/* Fills wire if it is empty. False: there is nothing to send, or it failed. */
static bool conn_ready(struct net_conn *conn) {
    enum net_err err = NET_OK;

    if (conn->wire.len == 0)
        err = conn_fill(conn);
    if (err)
        conn_break(conn, err, NULL);
    return !err && conn->wire.len > 0;
}

/* Sends of wire what the socket has room for; 0: none, or it broke, and a send
 * that waits will tell. nng runs a callback on another thread, which has to be
 * woken and then waits for our lock: that costs as much as the send. So there
 * is no callback here; where the send would wait, it is taken back. */
static size_t conn_send_now(struct net_conn *conn, const nng_iov *iov) {
    nng_aio *aio = net_aio_of_thread();

    if (!aio || nng_aio_set_iov(aio, 1, iov))
        return 0;
    nng_stream_send(conn->stream, aio);
    nng_aio_abort(aio, NNG_ECANCELED);
    nng_aio_wait(aio);
    return nng_aio_result(aio) ? 0 : nng_aio_count(aio);
}

/* Sends wire, and what can be sent after it. */
static void conn_send(struct net_conn *conn) {
    nng_iov iov;
    size_t n;

    if (conn->sending || conn->stage > STAGE_FLUSH)
        return;
    if (conn->broken || conn->mute) {
        conn_finish(conn);
        return;
    }
    while (conn_ready(conn)) {
        iov.iov_buf = conn->wire.data + conn->wire.off;
        iov.iov_len = conn->wire.len;
        n = conn_send_now(conn, &iov);
        if (n) {
            net_buf_consume(&conn->wire, n);
            continue;
        }
        if (nng_aio_set_iov(conn->send, 1, &iov)) {
            conn_break(conn, NET_ENOMEM, NULL);
            return;
        }
        conn->sending = true;
        conn->posted++;
        nng_stream_send(conn->stream, conn->send);
        return;
    }
    if (!conn->broken && conn->stage == STAGE_FLUSH)
        conn_flushed(conn);
    if (conn_drained(conn))
        conn_later(conn); /* the owner may be who asked us to send */
}

static void conn_sent(void *arg) {
    struct net_conn *conn = arg;
    int rv;

    conn_enter(conn);
    conn->sending = false;
    rv = nng_aio_result(conn->send);
    if (rv) {
        /* What the peer said before it broke is read first, if we read. */
        conn->mute = true;
        if (!conn->receiving || conn->stage != STAGE_OPEN)
            conn_break(conn, net_err_of(rv), nng_strerror(rv));
    } else {
        net_buf_consume(&conn->wire, nng_aio_count(conn->send));
        conn_send(conn);
    }
    conn_tell_drained(conn);
    conn_leave(conn);
}

void net_conn_flush(struct net_conn *conn) { conn_send(conn); }

/* ---- in --------------------------------------------------------------------
 */

/* Where the next read goes. Memory for much is there only while there is much,
 * so that a connection that waits holds little. */
static void conn_choose_raw(struct net_conn *conn) {
    if (!conn->filled) {
        free(conn->large);
        conn->large = NULL;
    } else if (!conn->large) {
        conn->large = malloc(CONN_LARGE);
    }
    conn->raw = conn->large ? conn->large : conn->small;
}

/* Moves what is in the small buffer to a large one. */
static bool conn_enlarge(struct net_conn *conn) {
    if (conn->large)
        return false;
    conn->large = malloc(CONN_LARGE);
    if (!conn->large)
        return false;
    memcpy(conn->large, conn->small, conn->raw_len);
    conn->raw = conn->large;
    return true;
}

static size_t conn_room(const struct net_conn *conn) {
    return (conn->large ? CONN_LARGE : CONN_SMALL) - conn->raw_len;
}

/* At the gate, what is read goes behind what is there and does not suffice: a
 * PROXY header may be longer than the small buffer. */
static void conn_receive(struct net_conn *conn) {
    nng_iov iov;

    if (conn->receiving || conn->broken || (conn->raw_len && !conn->gated))
        return;
    if (conn->stage != STAGE_LINGER &&
        (conn->stage != STAGE_OPEN || conn->paused))
        return;
    if (conn->raw_len == 0)
        conn_choose_raw(conn);
    if (conn_room(conn) == 0 && !conn_enlarge(conn)) {
        conn_break(conn, NET_ENOMEM, NULL);
        return;
    }
    iov.iov_buf = conn->raw + conn->raw_len;
    iov.iov_len = conn_room(conn);
    if (nng_aio_set_iov(conn->recv, 1, &iov)) {
        conn_break(conn, NET_ENOMEM, NULL);
        return;
    }
    conn->receiving = true;
    conn->posted++;
    nng_stream_recv(conn->stream, conn->recv);
}

/* Delivers one piece of what TLS has decrypted. False: there is none. */
static bool conn_decrypt(struct net_conn *conn) {
    uint8_t plain[CONN_PLAIN];
    char text[256];
    enum net_err err;
    size_t n;
    enum tls_step step = tls_read(conn->tls, plain, sizeof(plain), &n);

    /* The last words of a failed handshake, too: the alert. But what the owner
     * has to say first goes with the end of the handshake, in one packet. */
    if (step != TLS_READY)
        conn_send(conn);
    switch (step) {
    case TLS_READY:
        conn->secured = true;
        conn->ops->secured(conn->arg);
        conn_send(conn);
        return true;
    case TLS_DATA:
        conn->ops->data(conn->arg, plain, n);
        return true;
    case TLS_EOF:
        conn_break(conn, NET_EEOF, NULL);
        return false;
    case TLS_FAIL:
        err = tls_error(conn->tls, text);
        conn_break(conn, err, text);
        return false;
    default:
        return false;
    }
}

/* What TLS has read is no longer needed. */
static void conn_taken(struct net_conn *conn) {
    if (conn->tls && tls_waiting(conn->tls) == 0)
        conn->raw_len = 0;
}

/* ---- the gate --------------------------------------------------------------
 */

/* TLS, or anything else? */
static bool conn_first_byte(struct net_conn *conn) {
    enum net_err err;

    if (conn->raw[0] != TLS_FIRST_BYTE) {
        conn->gated = false;
        if (conn->gate.clear)
            return true;
        conn_break(conn, NET_EFRAMING, "clear text is not taken here");
        return false;
    }
    if (!conn->gate.tls) {
        conn_break(conn, NET_ETLS, "there is no certificate for TLS");
        return false;
    }
    err = tls_new(&conn->tls, conn->gate.tls, NULL);
    if (err)
        conn_break(conn, err, NULL);
    conn->gated = false;
    return !err;
}

/* What the load balancer says of its client. A header that says nothing, as of
 * the balancer's own checks, leaves the ends as they are. */
static bool conn_proxy_header(struct net_conn *conn) {
    struct net_ends ends;
    size_t used;

    if (net_proxy_read(conn->raw, conn->raw_len, &used, &ends)) {
        conn_break(conn, NET_EFRAMING, "no PROXY protocol header");
        return false;
    }
    if (!used)
        return false;
    conn->raw_len -= used;
    memmove(conn->raw, conn->raw + used, conn->raw_len);
    conn->gate.proxy = false;
    if (ends.known) {
        conn->ends = malloc(sizeof(ends));
        if (!conn->ends) {
            conn_break(conn, NET_ENOMEM, NULL);
            return false;
        }
        *conn->ends = ends;
    }
    conn->gate.proxied(conn->arg);
    return true;
}

/* True: something was done, and there may be more to do. */
static bool conn_pass_gate(struct net_conn *conn) {
    if (conn->raw_len == 0)
        return false;
    return conn->gate.proxy ? conn_proxy_header(conn) : conn_first_byte(conn);
}

/* ---- delivery --------------------------------------------------------------
 */

/* Delivers what was read, piece by piece, as long as the owner wants it. False:
 * nothing is left, or nothing is wanted. */
static bool conn_deliver(struct net_conn *conn) {
    size_t n = conn->raw_len;

    if (conn->stage != STAGE_OPEN || conn->paused || conn->broken)
        return false;
    if (conn->gated)
        return conn_pass_gate(conn);
    if (!conn->tls) {
        conn->raw_len = 0;
        if (n)
            conn->ops->data(conn->arg, conn->raw, n);
        return n > 0;
    }
    if (n && tls_waiting(conn->tls) == 0)
        tls_input(conn->tls, conn->raw, n);
    if (conn_decrypt(conn)) {
        conn_taken(conn);
        return true;
    }
    conn_taken(conn);
    return false;
}

/* The owner has closed: whether the framing's own close has come. */
static bool conn_hears_last(struct net_conn *conn) {
    uint8_t plain[CONN_PLAIN];
    size_t n = conn->raw_len;

    if (!conn->tls)
        return framer_ended(conn->last, conn->raw, n);
    if (n && tls_waiting(conn->tls) == 0)
        tls_input(conn->tls, conn->raw, n);
    while (tls_read(conn->tls, plain, sizeof(plain), &n) == TLS_DATA)
        if (framer_ended(conn->last, plain, n))
            return true;
    return false;
}

/* The owner has closed: what comes is dropped. */
static void conn_drop(struct net_conn *conn) {
    if (conn->last && conn->raw_len && !conn->heard)
        conn->heard = conn_hears_last(conn);
    conn->lingered += conn->raw_len;
    conn->raw_len = 0;
    /* Whoever goes on and on hears nothing. */
    if (conn->lingered > CONN_LINGER ||
        (conn->heard && conn->stage == STAGE_LINGER))
        conn_finish(conn);
}

/* Only from callbacks of aios: it calls the owner. */
static void conn_pump(struct net_conn *conn) {
    if (conn->pumping)
        return;
    conn->pumping = true;
    conn_tell_drained(conn);
    while (conn_deliver(conn))
        ;
    if (conn->stage != STAGE_OPEN)
        conn_drop(conn);
    conn_receive(conn);
    conn->pumping = false;
    conn_report(conn);
}

/* What is read together is passed on together, so that it leaves together: if
 * the small buffer was filled, the rest is read before anything is delivered.
 * nng reads what is there as it is asked to, so what is aborted is the waiting
 * for more. True: a read is posted. */
static bool conn_top_up(struct net_conn *conn) {
    nng_iov iov;

    if (!conn->filled || conn->gated || conn->paused || conn->broken ||
        conn->stage != STAGE_OPEN || !conn_enlarge(conn))
        return false;
    iov.iov_buf = conn->raw + conn->raw_len;
    iov.iov_len = conn_room(conn);
    if (nng_aio_set_iov(conn->recv, 1, &iov))
        return false;
    conn->topping = true;
    conn->receiving = true;
    conn->posted++;
    nng_stream_recv(conn->stream, conn->recv);
    nng_aio_abort(conn->recv, NNG_ECANCELED);
    return true;
}

static void conn_add_raw(struct net_conn *conn, size_t n) {
    conn->raw_len += n;
    conn->filled = conn_room(conn) == 0;
}

/* The end of a read; true: there is something to deliver, or to report. */
static bool conn_took(struct net_conn *conn) {
    int rv = nng_aio_result(conn->recv);
    size_t n = rv ? 0 : nng_aio_count(conn->recv);

    if (conn->topping) {
        /* If it failed, the next read will say so. */
        conn->topping = false;
        conn_add_raw(conn, n);
        return true;
    }
    if (rv == 0 && n == 0)
        rv = NNG_ECONNSHUT;
    if (rv) {
        conn_break(conn, net_err_of(rv), nng_strerror(rv));
        return true;
    }
    conn_add_raw(conn, n);
    return !conn_top_up(conn);
}

static void conn_received(void *arg) {
    struct net_conn *conn = arg;

    conn_enter(conn);
    conn->receiving = false;
    if (conn_took(conn))
        conn_pump(conn);
    conn_leave(conn);
}

void net_conn_pause(struct net_conn *conn) { conn->paused = true; }

void net_conn_resume(struct net_conn *conn) {
    if (!conn->paused)
        return;
    conn->paused = false;
    if (conn->pumping)
        return; /* conn_pump goes on by itself */
    if (conn->raw_len || conn->tls)
        conn_later(conn);
    else
        conn_receive(conn);
}

/* ---- the rest --------------------------------------------------------------
 */

enum net_err net_conn_new(struct net_conn **out, struct net_owner *owner,
                          struct nng_stream *stream,
                          const struct net_marks *marks,
                          const struct net_conn_ops *ops, void *arg) {
    struct net_conn *conn = calloc(1, sizeof(*conn));

    if (!conn)
        return NET_ENOMEM;
    conn->owner = owner;
    conn->marks = *marks;
    conn->ops = ops;
    conn->arg = arg;
    conn->paused = true;
    conn->raw = conn->small;
    if (nng_aio_alloc(&conn->recv, conn_received, conn) ||
        nng_aio_alloc(&conn->send, conn_sent, conn) ||
        nng_aio_alloc(&conn->timer, conn_timer, conn)) {
        nng_aio_free(conn->recv);
        nng_aio_free(conn->send);
        nng_aio_free(conn->timer);
        free(conn);
        return NET_ENOMEM;
    }
    conn->stream = stream;
    net_stream_tune(stream);
    net_owner_hold(owner);
    *out = conn;
    return NET_OK;
}

enum net_err net_conn_secure(struct net_conn *conn, struct net_tls *tls,
                             const char *name) {
    enum net_err err;

    if (conn->tls || conn->plain.len || !*name)
        return NET_EARG; /* wire may wait for a callback: it has been sent */
    err = tls_new(&conn->tls, tls, name);
    if (err)
        return err;
    conn->raw_len = 0; /* plain text after <proceed/>: not to be used */
    if (!conn->pumping)
        conn_later(conn);
    return NET_OK;
}

bool net_conn_move(struct net_conn *conn, struct net_owner *owner, void *arg) {
    if (conn->former || conn->pumping)
        return false;
    net_owner_hold(owner);
    conn->former = conn->owner;
    conn->arg = arg;
    conn->owner = owner;
    return true;
}

void net_conn_gate(struct net_conn *conn, const struct net_gate *gate) {
    struct net_tls *old = conn->gate.tls;

    if (gate->tls)
        net_tls_hold(gate->tls);
    conn->gate = *gate;
    conn->gated = true;
    net_tls_rele(old);
}

bool net_conn_is_secure(const struct net_conn *conn) { return conn->secured; }

void net_conn_cipher(const struct net_conn *conn, char *out) {
    out[0] = '\0';
    if (conn->secured)
        tls_cipher(conn->tls, out);
}

bool net_conn_resumed(const struct net_conn *conn) {
    return conn->secured && tls_resumed(conn->tls);
}

void net_conn_protocol(const struct net_conn *conn, char *out) {
    out[0] = '\0';
    if (conn->secured)
        tls_protocol(conn->tls, out);
}

void net_conn_ends(const struct net_conn *conn, struct net_ends *ends) {
    if (conn->ends) {
        *ends = *conn->ends;
        return;
    }
    memset(ends, 0, sizeof(*ends));
    net_stream_peer(conn->stream, ends->from, &ends->from_port);
    net_stream_local(conn->stream, ends->to, &ends->to_port);
    ends->known = ends->from[0] && ends->to[0];
}

void net_conn_close_framed(struct net_conn *conn, struct net_framer *framer,
                           enum net_close how, uint32_t ms) {
    if (conn && how == NET_CLOSE_LINGER && framer_ends(framer)) {
        conn->last = malloc(sizeof(*conn->last));
        if (conn->last) {
            *conn->last = *framer;
            memset(framer, 0, sizeof(*framer));
            /* What was read before may have it. */
            conn->heard = framer_ended(conn->last, NULL, 0);
        }
    }
    net_framer_fini(framer);
    net_conn_close(conn, how, ms);
}

void net_conn_close(struct net_conn *conn, enum net_close how, uint32_t ms) {
    if (!conn)
        return;
    conn->linger = how == NET_CLOSE_LINGER;
    conn->stage = STAGE_FLUSH;
    if (how == NET_CLOSE_ABORT || conn->broken || conn->mute)
        ms = 0;
    conn->deadline = ms > INT32_MAX ? INT32_MAX : (nng_duration)ms;
    if (!conn->tasking)
        conn_begin_deadline(conn);
    if (ms)
        conn_send(conn);
}
