/*
 * net.h: libterse-net, byte streams for programs that speak frames or XML:
 * owners, timers, connections with TLS, listeners, diallers, framing.
 *
 * Callbacks run on threads of the backend (io.h), several at once. So that
 * nobody above this header has to think about it, there is one rule:
 *
 *   Each object belongs to a net_owner, which is a lock and a count. Functions
 *   that take an object are called with its owner's lock held, unless they say
 *   otherwise; callbacks are called with it held. No callback is called from
 *   within a function of this header, so there is no recursion.
 *
 * An object that was closed or freed calls back no more, and its pointer is
 * dead for the caller at once. The memory lives on until no thread uses it;
 * meanwhile it holds its owner (net_owner_hold), so an owner's memory and lock
 * outlive everything that uses them. Two owners' locks are never held at once,
 * but for net_conn_move, whose caller has to know an order.
 */
#ifndef NET_H
#define NET_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct net_stream; /* a connected byte stream of the backend (io.h) */

#if defined(__GNUC__)
#define NET_NODISCARD __attribute__((warn_unused_result))
#else
#define NET_NODISCARD
#endif

/* ---- errors ---------------------------------------------------------------
 */

enum net_err {
    NET_OK = 0,
    NET_ENOMEM,   /* no memory, or no descriptor */
    NET_EARG,     /* an address or name that is none */
    NET_EEOF,     /* the peer closed the connection */
    NET_ECLOSED,  /* the connection broke: reset, unreachable, … */
    NET_ETIMEOUT, /* a deadline passed */
    NET_EREFUSED, /* nobody listens there */
    NET_EDNS,     /* the name has no address, or SRV says "no such service" */
    NET_EINUSE,   /* the address to listen on is taken, or not ours */
    NET_EFULL,    /* the write queue is at its hard limit */
    NET_ETLS,     /* TLS failed: no common version, garbage, … */
    NET_ECERT,    /* the certificate is not trusted, or of another name */
    NET_EFRAMING, /* bytes that are no framing, or an overlong length */
    NET_ELIMIT,   /* a frame longer than allowed */
};

/* A few words for a log. Static. */
const char *net_strerror(enum net_err err);

/* ---- owner ----------------------------------------------------------------
 */

/* Embedded at the start of what owns network objects, e.g. a session. */
struct net_owner {
    pthread_mutex_t lock;
    atomic_uint refs;
    void (*fini)(struct net_owner *owner);
};

/* refs is 1 afterwards: the caller's. fini(owner) is called once, without the
 * lock, when the last reference is gone; it calls net_owner_fini and frees. */
NET_NODISCARD enum net_err net_owner_init(struct net_owner *owner,
                                          void (*fini)(struct net_owner *));
/* Destroys the lock. From fini only. */
void net_owner_fini(struct net_owner *owner);
/* Any thread, with or without the lock. */
void net_owner_hold(struct net_owner *owner);
/* The same for one who only knows where it is, as a list does that fini takes
 * it from: false if the last reference is gone already. */
bool net_owner_try_hold(struct net_owner *owner);
/* Any thread, never with the lock. May call fini. */
void net_owner_rele(struct net_owner *owner);
void net_lock(struct net_owner *owner);
void net_unlock(struct net_owner *owner);

/* ---- timer ----------------------------------------------------------------
 */

struct net_timer;

/* cb(arg) is called each time the timer runs out. Not running at first. */
NET_NODISCARD enum net_err net_timer_new(struct net_timer **out,
                                         struct net_owner *owner,
                                         void (*cb)(void *arg), void *arg);
/* Runs out once, in ms from now; replaces what was set before. */
void net_timer_set(struct net_timer *timer, uint32_t ms);
/* Does not run out any more, until set again. */
void net_timer_stop(struct net_timer *timer);
/* Takes the timer; NULL is fine. */
void net_timer_free(struct net_timer *timer);

/* ---- ends of a connection ---------------------------------------------------
 */

/* Who speaks with whom, as the PROXY protocol of load balancers tells. */
struct net_ends {
    bool known; /* if not, nothing was told */
    char from[48], to[48];
    uint16_t from_port, to_port;
};

enum { NET_PROXY_MAX = 108 };

/* Reads a header of version 1 or 2 at the start of n bytes; *used is its
 * length, 0: there is more to come. NET_EFRAMING: it is none. */
NET_NODISCARD enum net_err net_proxy_read(const uint8_t *p, size_t n,
                                          size_t *used, struct net_ends *ends);
/* Writes one; returns its length. */
size_t net_proxy_write(uint8_t out[NET_PROXY_MAX], unsigned version,
                       const struct net_ends *ends);

/* Addresses with the same first bits. */
struct net_range {
    uint8_t addr[16]; /* IPv4 as ::ffff:0:0/96 */
    unsigned bits;
};

/* "192.0.2.0/24", "2001:db8::/32" or one address. NET_EARG: none of these. */
NET_NODISCARD enum net_err net_range_parse(const char *text,
                                           struct net_range *range);
bool net_range_has(const struct net_range *range, const char *addr);

/* ---- TLS ------------------------------------------------------------------
 */

/* What is trusted or shown, and what is needed to resume sessions. Shared by
 * any number of connections on any thread; held by each. */
struct net_tls;

/* For the dialling side. ca_file: PEM file of the authorities to trust; NULL
 * for those of the system. Sessions are resumed by their tickets. On an error
 * `text` (256 bytes) says why. */
NET_NODISCARD enum net_err net_tls_client(struct net_tls **out,
                                          const char *ca_file, char *text);

/* PEM files: a certificate with its chain, and its private key; key NULL: in
 * the same file. */
struct net_cert {
    const char *certificate, *key;
};

/* For the accepting side. A client that names a host (SNI) gets the first
 * certificate that is good for it; every other one gets the first. Tickets are
 * encrypted by keys that are only in memory and change every 12 hours. */
NET_NODISCARD enum net_err net_tls_server(struct net_tls **out,
                                          const struct net_cert *certs,
                                          size_t n, char *text);
/* Adds a protocol to those that ALPN offers (dialling) or takes (accepting), in
 * order of preference. Before the first connection. */
NET_NODISCARD enum net_err net_tls_offer(struct net_tls *tls,
                                         const char *protocol);
/* Makes the keys of tickets from a file of 32 random bytes or more, and the
 * time, so that tickets outlive the process, and are good at other proxies that
 * have the same file. NET_EARG with the reason in text[256]. Before the first
 * connection. */
NET_NODISCARD enum net_err net_tls_secret(struct net_tls *tls, const char *path,
                                          char *text);
/* Takes over the keys of old's tickets, so that a reload of certificates does
 * not end them, unless one of them has a secret. Before the first connection of
 * tls; either may be NULL. */
void net_tls_inherit(struct net_tls *tls, struct net_tls *old);
void net_tls_hold(struct net_tls *tls);
/* Gives back the caller's hold; NULL is fine. Any thread, no lock. */
void net_tls_rele(struct net_tls *tls);

/* ---- connection -----------------------------------------------------------
 */

struct net_conn;

struct net_conn_ops {
    /* Bytes have arrived, after decryption. May pause or close. */
    void (*data)(void *arg, const uint8_t *p, size_t n);
    /* The write queue has been above the high mark and is at the low mark. */
    void (*drained)(void *arg);
    /* The TLS handshake that net_conn_secure began is done. */
    void (*secured)(void *arg);
    /* The connection ended: NET_EEOF or another error. `text` says more, for
     * a log. Called once, and nothing after it; the owner still closes. */
    void (*closed)(void *arg, enum net_err why, const char *text);
};

/* Marks of the write queue, in bytes of plain text. */
struct net_marks {
    size_t low;  /* `drained` is called at or below it */
    size_t high; /* at or above it: time to pause what feeds this queue */
    size_t max;  /* no more is taken: NET_EFULL */
};

/* Wraps a connected stream, which it takes on success only. The connection is
 * paused at first, so that nothing is read before the owner is ready. */
NET_NODISCARD enum net_err
net_conn_new(struct net_conn **out, struct net_owner *owner,
             struct net_stream *stream, const struct net_marks *marks,
             const struct net_conn_ops *ops, void *arg);

/* What an accepted connection may begin with. */
struct net_gate {
    struct net_tls *tls; /* TLS, told by its first byte; NULL: refused */
    bool clear;          /* anything else; if not, it is refused */
    bool proxy;          /* a PROXY protocol header, before all else */
    /* The header is read: net_conn_ends says who it is. May close, and may
     * set another gate, without `proxy`. */
    void (*proxied)(void *arg);
};

/* Gives the connection to another owner, whose lock is held as well: its
 * callbacks get `arg` from now on. Once only, and not from within a callback of
 * this connection; false then. The former owner lives as long as it does. */
NET_NODISCARD bool net_conn_move(struct net_conn *conn, struct net_owner *owner,
                                 void *arg);

/* Looks at what comes before `data` is called: for accepted connections, before
 * the first net_conn_resume. Holds gate->tls. `secured` is called if there is
 * TLS; `closed` with NET_EFRAMING for what the gate does not let in. */
void net_conn_gate(struct net_conn *conn, const struct net_gate *gate);

/* Queues n bytes (copied). Nothing leaves before net_conn_flush: so header and
 * body, or many stanzas, go in one write and one TLS record. On NET_EFULL or
 * NET_ENOMEM nothing was queued. */
NET_NODISCARD enum net_err net_conn_write(struct net_conn *conn, const void *p,
                                          size_t n);
/* Begins to send what is queued. Call it at the end of each event. */
void net_conn_flush(struct net_conn *conn);
/* Bytes written and not yet taken by the kernel. */
size_t net_conn_queued(const struct net_conn *conn);
/* Whether the queue is at or above the high mark, or has been and `drained`
 * is still to come. */
bool net_conn_full(const struct net_conn *conn);

/* Reads no more: the kernel's buffers fill and the peer has to wait. While
 * paused, a dead peer goes unnoticed; run a timer. */
void net_conn_pause(struct net_conn *conn);
/* Reads again. What came in meanwhile is delivered first. */
void net_conn_resume(struct net_conn *conn);

/* Speaks TLS from here on as a client: SNI and certificate are `name`'s.
 * (Accepted connections get theirs by net_conn_gate.)
 * Calls `secured`, or `closed` with NET_ETLS or NET_ECERT. What was queued
 * must have been sent before. For STARTTLS call it from `data`; what follows
 * in that same chunk is plain text that somebody slipped in: do not use it.
 * NET_EARG: no name, or not in this state. */
NET_NODISCARD enum net_err
net_conn_secure(struct net_conn *conn, struct net_tls *tls, const char *name);
bool net_conn_is_secure(const struct net_conn *conn);
/* E.g. "TLSv1.3 TLS_AES_256_GCM_SHA384", or "" in clear; into out[64]. */
void net_conn_cipher(const struct net_conn *conn, char *out);
/* Whether its TLS session is the continuation of an earlier one. */
bool net_conn_resumed(const struct net_conn *conn);
/* The protocol that ALPN chose, or "", into out[32]. */
void net_conn_protocol(const struct net_conn *conn, char *out);

/* The peer and the end that it has connected to; after a PROXY header, what
 * that says. */
void net_conn_ends(const struct net_conn *conn, struct net_ends *ends);

enum net_close {
    NET_CLOSE_ABORT,  /* at once; what is queued is lost */
    NET_CLOSE_FLUSH,  /* when what is queued has been sent */
    NET_CLOSE_LINGER, /* then, reads and drops until the peer closes, so that a
                         reset cannot overtake our last words */
};

/* Takes the connection: no callback any more. It is gone after `ms` at the
 * latest. NULL is fine. */
void net_conn_close(struct net_conn *conn, enum net_close how, uint32_t ms);

/* ---- listening --------------------------------------------------------------
 */

struct net_listener;

/* Called for each connection, on any thread, without any lock, several at once.
 * Takes the stream: net_conn_new, or net_stream_drop. */
typedef void (*net_accept_cb)(void *arg, struct net_stream *stream);

/* Listens on "127.0.0.1:5333", "[::1]:5333", or "*:5333" for all addresses.
 * Port 0 takes a free one. */
NET_NODISCARD enum net_err net_listener_new(struct net_listener **out,
                                            const char *address,
                                            net_accept_cb cb, void *arg);
/* The port that it listens on. */
uint16_t net_listener_port(const struct net_listener *listener);
/* Stops; waits for callbacks that run. Not from a callback, no lock held. NULL
 * is fine. */
void net_listener_free(struct net_listener *listener);
/* Closes a stream that nobody wants. Any thread, any lock. */
void net_stream_drop(struct net_stream *stream);
/* The peer's address, e.g. "192.0.2.1" or "2001:db8::1", and its port. */
void net_stream_peer(struct net_stream *stream, char addr[48], uint16_t *port);

/* ---- dialling ---------------------------------------------------------------
 */

/* Looks names up through c-ares, on one thread of its own. */
struct net_resolver;

/* servers: "192.0.2.53,[2001:db8::1]:5353", or NULL for the system's. */
NET_NODISCARD enum net_err net_resolver_new(struct net_resolver **out,
                                            const char *servers);
/* No dial may be under way. Waits for its thread. NULL is fine. */
void net_resolver_free(struct net_resolver *resolver);

struct net_target {
    const char *host;    /* name or address; with a service: the domain */
    uint16_t port;       /* with a service: where to go if there is no SRV; 0:
                            nowhere */
    const char *service; /* "_xmpp-client._tcp": look SRV up; NULL: do not */
};

struct net_dial;

/* Success: err is NET_OK and stream the callback's. Else stream is NULL and
 * text says what was tried last. The dial is over and freed. */
typedef void (*net_dial_cb)(void *arg, enum net_err err, const char *text,
                            struct net_stream *stream);

/* Tries all addresses of all targets, in order of SRV priority and weight,
 * until one answers or `ms` have passed. */
NET_NODISCARD enum net_err net_dial_new(struct net_dial **out,
                                        struct net_owner *owner,
                                        struct net_resolver *resolver,
                                        const struct net_target *target,
                                        uint32_t ms, net_dial_cb cb, void *arg);
/* Takes the dial, if its callback has not been called. NULL is fine. */
void net_dial_cancel(struct net_dial *dial);

/* "host:port", "[::1]:port" or "host" (default_port then; 0: required) into
 * host[256] and *port. NET_EARG if it is none of these. */
NET_NODISCARD enum net_err net_parse_address(const char *text, char host[256],
                                             uint16_t *port,
                                             uint16_t default_port);

/* ---- framing ----------------------------------------------------------------
 */

/* Cuts a byte stream into frames. Sans-I/O, belongs to one thread at a time.
 *
 * native     the dialling side sends NET_PREFACE once; then, both ways, each
 *            frame is its length as a varint (shortest form, at most 5 bytes) +
 *            frame
 * SP         what nng's pair0 speaks over tcp: each side sends 8 bytes
 *            00 'S' 'P' 00 00 10 00 00; then 8 bytes of length, big-endian, +
 *            frame
 * WebSocket  RFC 6455: each frame is one binary message; accepting side only
 */
#define NET_PREFACE "TRS1"
#define NET_ALPN "terse/1"       /* of native framing and SP, inside TLS */
#define NET_ALPN_HTTP "http/1.1" /* of WebSocket */
enum { NET_HEADER_MAX = 10 };

enum net_framing {
    NET_FRAMING_DETECT, /* accepting side: the first byte will tell */
    NET_FRAMING_NATIVE,
    NET_FRAMING_SP,
    NET_FRAMING_WS,
};
/* "native", "sp" or "websocket", for a log. Static. */
const char *net_framing_name(enum net_framing framing);

/* Which WebSocket handshakes are taken. */
struct net_ws_rules {
    const char *path;    /* of the request, e.g. "/terse" */
    const char *origins; /* that browsers may come from, separated by blanks;
                            "*": any; NULL: none */
};

struct ws;

struct net_framer {
    enum net_framing framing;
    bool started;     /* the peer's preface, SP header or HTTP request is read,
                         or not due */
    uint32_t max;     /* bytes of one frame */
    enum net_err err; /* once not NET_OK, for good */
    uint8_t *data;    /* bytes read, not yet given out */
    size_t off, len, cap;
    unsigned allowed;                 /* 1 << framing, each */
    const struct net_ws_rules *rules; /* borrowed until started */
    struct ws *ws;                    /* of WebSocket */
};

/* NET_FRAMING_DETECT on the accepting side; the dialling side says which.
 * Detects native framing and SP. */
void net_framer_init(struct net_framer *framer, enum net_framing framing,
                     uint32_t max);
/* Detects those of `allowed` (1 << framing, each) from here on. rules: of
 * WebSocket, borrowed until framer->started. */
void net_framer_allow(struct net_framer *framer, unsigned allowed,
                      const struct net_ws_rules *rules);
void net_framer_fini(struct net_framer *framer);
/* What a side has to send before its first frame: the dialling side at once,
 * the accepting side as soon as framer->started. Static; *n may be 0. */
const void *net_framer_hello(const struct net_framer *framer, bool dialling,
                             size_t *n);
/* Takes n bytes from the peer (copied). */
NET_NODISCARD enum net_err net_framer_feed(struct net_framer *framer,
                                           const void *p, size_t n);
/* The next whole frame; *frame is NULL if there is none yet. Borrowed until the
 * next call. A length over max is NET_ELIMIT as soon as it is read: the frame's
 * bytes are never waited for. NET_EEOF: the peer has closed WebSocket. */
NET_NODISCARD enum net_err net_framer_next(struct net_framer *framer,
                                           const uint8_t **frame, size_t *n);
/* What goes before a frame of n bytes; returns its length. framing is known. */
size_t net_framer_header(const struct net_framer *framer, size_t n,
                         uint8_t header[NET_HEADER_MAX]);
/* What framing itself has to say, to be sent before the next frame: *n bytes,
 * borrowed until net_framer_said, which has to follow. */
const void *net_framer_output(struct net_framer *framer, size_t *n);
void net_framer_said(struct net_framer *framer);
/* Nothing follows from us. WebSocket: says close, for the reason of an error of
 * net_framer_next or else this code, or refuses the handshake. */
void net_framer_bye(struct net_framer *framer, uint16_t code,
                    const char *reason);

/* As net_conn_close, taking what is in the framer as well: where the framing
 * has a close of its own, NET_CLOSE_LINGER ends when the peer has answered
 * ours. */
void net_conn_close_framed(struct net_conn *conn, struct net_framer *framer,
                           enum net_close how, uint32_t ms);

#endif
