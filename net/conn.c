/*
 * conn.c: a byte stream with a bounded write queue, pause, TLS and an orderly
 * end.
 *
 * Bytes out: write -> plain -> (encrypt) -> wire -> stream. Bytes in: stream ->
 * raw -> (gate) -> (decrypt) -> the owner.
 *
 * Life: what it waits for is something to read, room to send, once the socket
 * takes no more, and its place among what is due; each at most once at a time,
 * and `posted` counts them. When the owner closes, the place is for the
 * deadline; until then it serves to pump from nowhere in particular. Whoever
 * finds the work done cuts the deadline short. When it is over, the stream is
 * closed, which ends the other two; the callback that brings `posted` to zero
 * frees, after it has unlocked. Nothing is awaited of the stream once it is
 * closed. None of this needs memory.
 */
#include "net/due.h"
#include "net/framer.h"
#include "net/io.h"
#include "net/tls.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    CONN_READ = 16384,   /* bytes read at a time */
    CONN_PLAIN = 16384,  /* decrypted at a time */
    CONN_BATCH = 65536,  /* bytes encrypted at a time */
    CONN_RECORD = 16384, /* the largest TLS record */
    TLS_FIRST_BYTE = 0x16,
    CONN_LINGER = 4 << 20, /* bytes that are dropped while we linger */
    CONN_RETRY = 20,       /* ms, where there is no memory to wait with */
};

enum conn_stage {
    STAGE_OPEN,   /* the owner's */
    STAGE_FLUSH,  /* closed by the owner; the queue is being sent */
    STAGE_LINGER, /* sent; waiting for the peer to close */
    STAGE_ENDING, /* the deadline was cut short */
    STAGE_CLOSED, /* the stream is closed, the last callbacks run */
};

struct net_conn {
    struct due due; /* first: to pump soon; once closed, the deadline */
    _Atomic(struct net_owner *) owner;
    struct net_owner *former; /* before it was moved; held, since callbacks may
                                 wait for its lock */
    const struct net_conn_ops *ops;
    void *arg;
    struct net_marks marks;
    enum conn_stage stage;
    struct net_stream *stream;
    nng_time end; /* the deadline, once closed */
    unsigned posted;
    bool receiving, sending, waiting; /* for which of the three it waits */
    bool starved;                     /* what is to be sent needs another try */
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
    uint8_t *raw;    /* what was read: conn_readable's, or what it left */
    size_t raw_len;  /* bytes in raw, not yet taken */
    uint8_t *kept;   /* owned: raw, if conn_readable has left something */
    size_t lingered; /* bytes dropped after the owner closed */
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

    io_free(conn->stream);
    tls_free(conn->tls);
    net_tls_rele(conn->gate.tls);
    free(conn->ends);
    if (conn->last)
        net_framer_fini(conn->last);
    free(conn->last);
    net_buf_fini(&conn->plain);
    net_buf_fini(&conn->wire);
    free(conn->kept);
    free(conn->text);
    free(conn);
    net_owner_rele(owner);
    if (former)
        net_owner_rele(former);
}

/* Every callback of what it waits for ends here: with the lock, which it gives
 * up. */
static void conn_leave(struct net_conn *conn) {
    bool gone = --conn->posted == 0 && conn->stage == STAGE_CLOSED;

    net_unlock(conn->owner);
    if (gone)
        conn_gone(conn);
}

/* The callback of `due` comes in ms, or before. */
static void conn_wake(struct net_conn *conn, uint32_t ms) {
    if (conn->waiting) {
        due_hurry(&conn->due, ms);
        return;
    }
    conn->waiting = true;
    conn->posted++;
    due_set(&conn->due, ms);
}

/* The work of closing is done, or hopeless: no need to wait for the deadline.
 */
static void conn_finish(struct net_conn *conn) {
    if (conn->stage != STAGE_FLUSH && conn->stage != STAGE_LINGER)
        return;
    conn->stage = STAGE_ENDING;
    conn_wake(conn, 0);
}

/* The owner has closed: the end, or what is to be done until then. */
static void conn_wait_end(struct net_conn *conn) {
    nng_time now = nng_clock();

    if (conn->stage == STAGE_ENDING || conn->end <= now) {
        conn->stage = STAGE_CLOSED;
        io_close(conn->stream);
        return;
    }
    conn_wake(conn, (uint32_t)(conn->end - now));
    if (conn->starved)
        conn_send(conn);
}

static void conn_due(struct due *due) {
    struct net_conn *conn = (struct net_conn *)due;

    conn_enter(conn);
    conn->waiting = false;
    if (conn->stage == STAGE_OPEN) {
        if (conn->starved)
            conn_send(conn);
        conn_pump(conn);
    } else if (conn->stage != STAGE_CLOSED) {
        conn_wait_end(conn);
    }
    conn_leave(conn);
}

/* Pumps soon, on another thread: for what must not be called from
 * within a function of the owner. */
static void conn_later(struct net_conn *conn) {
    if (conn->stage == STAGE_OPEN)
        conn_wake(conn, 0);
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

/* Sends wire as soon as the socket has room. */
static void conn_send_later(struct net_conn *conn) {
    if (io_await_write(conn->stream, net_buf_data(&conn->wire),
                       conn->wire.len)) {
        conn->starved = true;
        conn_wake(conn, CONN_RETRY);
        return;
    }
    conn->sending = true;
    conn->posted++;
}

/* Sends wire, and what can be sent after it. */
static void conn_send(struct net_conn *conn) {
    size_t n;

    if (conn->sending || conn->stage > STAGE_FLUSH)
        return;
    conn->starved = false;
    if (conn->broken || conn->mute) {
        conn_finish(conn);
        return;
    }
    while (conn_ready(conn)) {
        n = io_write(conn->stream, net_buf_data(&conn->wire), conn->wire.len);
        if (!n) {
            conn_send_later(conn);
            return;
        }
        net_buf_consume(&conn->wire, n);
    }
    if (!conn->broken && conn->stage == STAGE_FLUSH)
        conn_flushed(conn);
    if (conn_drained(conn))
        conn_later(conn); /* the owner may be who asked us to send */
}

static void conn_writable(void *arg) {
    struct net_conn *conn = arg;
    struct io_result result;

    conn_enter(conn);
    conn->sending = false;
    result = io_written(conn->stream);
    if (result.err) {
        /* What the peer said before it broke is read first, if we read. */
        conn->mute = true;
        if (!conn->receiving || conn->stage != STAGE_OPEN)
            conn_break(conn, result.err, result.words);
    } else {
        net_buf_consume(&conn->wire, result.n);
        conn_send(conn);
    }
    conn_tell_drained(conn);
    conn_leave(conn);
}

void net_conn_flush(struct net_conn *conn) { conn_send(conn); }

/* ---- in --------------------------------------------------------------------
 */

/* Nothing is left of what was read. */
static void conn_empty(struct net_conn *conn) {
    free(conn->kept);
    conn->kept = conn->raw = NULL;
    conn->raw_len = 0;
}

/* What is left in the memory of conn_readable stays for later. */
static void conn_keep(struct net_conn *conn) {
    size_t waits = conn->tls ? tls_waiting(conn->tls) : 0;
    size_t n = waits ? waits : conn->raw_len;
    uint8_t *kept;

    if (conn->raw == conn->kept) {
        if (n == 0)
            conn_empty(conn);
        return;
    }
    kept = n ? malloc(n) : NULL;
    if (kept) {
        memcpy(kept, conn->raw + conn->raw_len - n, n);
    } else if (n) {
        conn_break(conn, NET_ENOMEM, NULL);
        n = waits = 0;
    }
    conn->kept = conn->raw = kept;
    conn->raw_len = n;
    if (conn->tls)
        tls_input(conn->tls, kept, waits);
}

/* At the gate, what comes goes behind what is there and does not suffice. */
static void conn_receive(struct net_conn *conn) {
    if (conn->receiving || conn->broken || (conn->raw_len && !conn->gated))
        return;
    if (conn->stage != STAGE_LINGER &&
        (conn->stage != STAGE_OPEN || conn->paused))
        return;
    conn->receiving = true;
    conn->posted++;
    io_await_read(conn->stream);
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
    if (conn->tls)
        tls_input(conn->tls, NULL, 0);
    conn_empty(conn);
    /* Whoever goes on and on hears nothing. */
    if (conn->lingered > CONN_LINGER ||
        (conn->heard && conn->stage == STAGE_LINGER))
        conn_finish(conn);
}

/* Only from callbacks of what it waits for: it calls the owner. */
static void conn_pump(struct net_conn *conn) {
    if (conn->pumping)
        return;
    conn->pumping = true;
    conn_tell_drained(conn);
    while (conn_deliver(conn))
        ;
    if (conn->stage != STAGE_OPEN)
        conn_drop(conn);
    conn_keep(conn);
    conn_receive(conn);
    conn->pumping = false;
    conn_report(conn);
}

/* Reads into `much`, behind what the gate has left; that is less than a PROXY
 * header. Paused after it was to read: the less is read, the less is kept. */
static void conn_read(struct net_conn *conn, uint8_t much[CONN_READ]) {
    struct io_result result;

    if (conn->raw_len)
        memcpy(much, conn->raw, conn->raw_len);
    free(conn->kept);
    conn->kept = NULL;
    conn->raw = much;
    result = io_read(conn->stream, much + conn->raw_len,
                     conn->paused ? IO_READ_MIN : CONN_READ - conn->raw_len);
    if (result.err)
        conn_break(conn, result.err, result.words);
    conn->raw_len += result.n;
}

static void conn_readable(void *arg) {
    struct net_conn *conn = arg;
    uint8_t much[CONN_READ];

    conn_enter(conn);
    conn->receiving = false;
    conn_read(conn, much);
    conn_pump(conn);
    conn_leave(conn);
}

static const struct io_ops stream_ops = {conn_readable, conn_writable};

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

void net_stream_drop(struct net_stream *stream) {
    if (!stream)
        return;
    io_close(stream);
    io_free(stream);
}

enum net_err net_conn_new(struct net_conn **out, struct net_owner *owner,
                          struct net_stream *stream,
                          const struct net_marks *marks,
                          const struct net_conn_ops *ops, void *arg) {
    struct net_conn *conn = due_init() ? NULL : calloc(1, sizeof(*conn));

    if (!conn)
        return NET_ENOMEM;
    conn->due.cb = conn_due;
    conn->owner = owner;
    conn->marks = *marks;
    conn->ops = ops;
    conn->arg = arg;
    conn->paused = true;
    conn->stream = stream;
    io_attach(stream, &stream_ops, conn);
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
    io_local(conn->stream, ends->to, &ends->to_port);
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
    conn->end = nng_clock() + ms;
    conn_wake(conn, ms);
    if (ms)
        conn_send(conn);
}
