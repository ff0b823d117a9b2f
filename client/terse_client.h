/*
 * terse_client.h: libterse-client, an XMPP client on the compact wire. It
 * connects to a tersed, logs in and exchanges stanzas, as protobuf-c structs
 * (terse.pb-c.h) or as XML.
 *
 * A terse_client is one account's session on this device. It outlives its
 * connections (options.reconnect): when one breaks, another is made, which goes
 * on where the last one was, by stream management (XEP-0198) in one round trip
 * where tersed still holds the session; nothing is lost then and nothing comes
 * twice. What was given to send waits meanwhile in an outbox. After the program
 * itself was ended, terse_client_export and options.restore do the same. A
 * client that was closed, or that ended for good, is freed; to begin again,
 * make another.
 *
 * Two styles, chosen when the client is made:
 *
 *   callbacks  options.on.stanza is set. A thread of the library calls the
 *              functions of options.on, one at a time, without any lock held.
 *              They may call every function of this header but
 *              terse_client_free and terse_client_recv. While one of them
 *              waits (an iq with its answer, a send with a time-out), no other
 *              is called.
 *   blocking   options.on is left empty. terse_client_connect returns when the
 *              client is logged in, terse_client_recv gives out what came.
 *
 * Threads: every function may be called from any thread, several at once, but
 * for terse_client_free, which must be the last call. The functions on a
 * terse_stanza belong to one thread at a time.
 *
 * Units: sizes are bytes, times are milliseconds. Strings are UTF-8 and end
 * with NUL. Pointers that are passed in are borrowed for the call, unless a
 * line says "takes".
 *
 * The library never prints, and never gives credentials to the trace hook.
 */
#ifndef TERSE_CLIENT_H
#define TERSE_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "codec/terse.h"
#include "terse.pb-c.h"

struct terse_client;

/* ---- errors ---------------------------------------------------------------
 */

enum terse_client_err {
    TERSE_CLIENT_OK = 0,
    TERSE_CLIENT_ENOMEM,   /* no memory; the connection may have ended by it */
    TERSE_CLIENT_EARG,     /* an argument or option that cannot be */
    TERSE_CLIENT_ESTATE,   /* not in this state: not connected yet, or twice */
    TERSE_CLIENT_ECONNECT, /* the proxy cannot be reached */
    TERSE_CLIENT_ELOST,    /* the connection broke, with nothing said */
    TERSE_CLIENT_ETIMEOUT, /* the time is over; a connection that lives goes on
                            */
    TERSE_CLIENT_EFULL,    /* a queue is full: try again, or wait */
    TERSE_CLIENT_EAUTH,    /* login refused: condition is SASL's */
    TERSE_CLIENT_EMECH,    /* no SASL mechanism in common that is allowed */
    TERSE_CLIENT_EBIND,    /* resource or session refused: a stanza condition */
    TERSE_CLIENT_ESTREAM,  /* the server ended the stream by a stream error */
    TERSE_CLIENT_EPROTO,   /* the peer sent what is no frame, or not due now */
    TERSE_CLIENT_EXML,     /* XML or a frame that cannot be translated */
    TERSE_CLIENT_ESTANZA,  /* the answer to an iq is of type error */
    TERSE_CLIENT_ECLOSED,  /* the stream has ended in good order */
    TERSE_CLIENT_ETLS,     /* no TLS with the proxy, or its certificate is not
                              good for the domain */
};

/* A few words for `err`. Static. */
const char *terse_client_strerror(enum terse_client_err err);

/* Why a call failed, or a connection ended. */
struct terse_client_error {
    enum terse_client_err code;
    char condition[64]; /* the server's defined condition, e.g.
                           "not-authorized", or "" */
    char text[240];     /* more for people; may quote the server's own text */
};

/* ---- stanzas received -----------------------------------------------------
 */

/* One top-level element that came: message, presence, iq, or whatever else a
 * stream may hold (stream management, …). Owns all that its functions return,
 * until it is freed. */
struct terse_stanza;

/* Frees it; NULL is fine. */
void terse_stanza_free(struct terse_stanza *stanza);

/* The frame as it came, without state; its text may be packed (docs/text.md),
 * its ids numbers (docs/wire.md). */
const uint8_t *terse_stanza_frame(const struct terse_stanza *stanza, size_t *n);

/* The frame as protobuf-c's struct, or NULL: no memory, malformed, or over the
 * client's limits. Unpacked at the first call. A value can be in any of the
 * forms that the schema has for it (an id e.g. as id, id_uuid, id_hex,
 * id_decimal): use terse_stanza_attr where only the characters matter. Text is
 * always a string: body, never body_packed, and id, never id_ident. */
const Terse__Frame *terse_stanza_typed(struct terse_stanza *stanza);

/* The element as XML on its own, every namespace declared in it, or NULL as
 * above. n may be NULL. */
const char *terse_stanza_xml(struct terse_stanza *stanza, size_t *n);

/* The characters of the element's attribute `name` (in no namespace, or
 * "xml:lang"), in whatever form it came; NULL if it is not there, or as above.
 * Stays valid as the others do. */
const char *terse_stanza_attr(struct terse_stanza *stanza, const char *name);

/* Local name of the element, e.g. "message"; namespace of it in *ns, if ns is
 * not NULL. */
const char *terse_stanza_name(struct terse_stanza *stanza, const char **ns);

/* Whether it is an iq, message or presence of type='error'; then *condition, if
 * not NULL, is e.g. "item-not-found", or "". */
bool terse_stanza_is_error(struct terse_stanza *stanza, const char **condition);

/* ---- the outbox -----------------------------------------------------------
 */

/* Where a stanza is. The last word is one of the last three. */
enum terse_client_delivery {
    TERSE_CLIENT_QUEUED, /* waits for a connection, or to be sent again */
    TERSE_CLIENT_SENT,   /* on its way; not acknowledged */
    TERSE_CLIENT_ACKED,  /* the server has it */
    TERSE_CLIENT_FAILED, /* the session ended before the server acknowledged it:
                            it may have it, or not */
    TERSE_CLIENT_UNACKED, /* sent on a connection without acknowledgements */
};

/* If the session is gone, and with it the knowledge of what the server has
 * (XEP-0198 section 8): is what it has not acknowledged sent once more in the
 * next one? It may have it already. So a message should have an id, by which
 * the receiver can tell. What was never sent is sent in any case. */
enum terse_client_resend {
    TERSE_CLIENT_RESEND_DEFAULT, /* of a stanza: as options.resend; of
                                    options: messages are, others are not */
    TERSE_CLIENT_RESEND_NO,
    TERSE_CLIENT_RESEND_YES,
};

/* ---- options --------------------------------------------------------------
 */

enum terse_client_switch {
    TERSE_CLIENT_AUTO, /* see there */
    TERSE_CLIENT_ON,
    TERSE_CLIENT_OFF,
};

/* In place of a number: the other end is told none. */
#define TERSE_CLIENT_UNSAID UINT32_MAX

/* The library's thread calls these; see "callbacks" above. */
struct terse_client_callbacks {
    /* Logged in: stanzas may be sent. Once for each connection;
     * terse_client_resumed says whether the session goes on or is a new one,
     * which knows of no presence. May be NULL. */
    void (*ready)(void *arg, struct terse_client *client);
    /* The connection is lost, or could not be made; the next attempt begins in
     * about again_ms. May be NULL. */
    void (*lost)(void *arg, struct terse_client *client,
                 const struct terse_client_error *why, uint32_t again_ms);
    /* What became of a stanza in the outbox, by its number. States in between
     * may be left out, the last one is not, but for stanzas that are still in
     * the outbox when the client is freed. In the blocking style from within
     * terse_client_recv. May be NULL. */
    void (*delivery)(void *arg, struct terse_client *client, uint64_t number,
                     enum terse_client_delivery delivery);
    /* An element came that answers none of our iqs. The stanza is borrowed
     * for the call. */
    void (*stanza)(void *arg, struct terse_client *client,
                   struct terse_stanza *stanza);
    /* It is over, and nothing is tried any more; code is TERSE_CLIENT_ECLOSED
     * if that was in good order. The last call. May be NULL. */
    void (*closed)(void *arg, struct terse_client *client,
                   const struct terse_client_error *why);
    void *arg;
};

/* One frame that passes. */
struct terse_client_traffic {
    bool sent;         /* by us; else received */
    const void *frame; /* as it is without state; borrowed for the call */
    size_t n;          /* its bytes */
    size_t wire; /* bytes on the wire: with state and framing, before TCP */
};

/* What TLS connections share: whom they trust, and what lets a client come back
 * with one round trip less. Immutable; any thread, any number of clients. */
struct terse_client_tls;

/* ca_file: PEM file of the authorities to trust, or NULL: those of the system.
 * TERSE_CLIENT_EARG: it cannot be read. */
TERSE_NODISCARD enum terse_client_err
terse_client_tls_new(struct terse_client_tls **out, const char *ca_file);
/* Gives it back; clients made with it keep it. NULL is fine. */
void terse_client_tls_free(struct terse_client_tls *tls);

struct terse_client_options {
    /* Where tersed is: name or address, and port (5333). Or several, with
     * ports where they differ: "a.example,b.example:5334,[2001:db8::1]". They
     * are tried in turn, the one that was good last first. */
    const char *host;
    uint16_t port;

    /* Between us and tersed there is TLS, and its certificate has to be valid
     * for the JID's domain, as an XMPP server's has to be. */
    const char *tls_name; /* for another name, if not NULL */
    const char *ca_file;  /* PEM; NULL: the authorities of the system */
    /* Instead of ca_file: made once, for all clients of the program. */
    struct terse_client_tls *tls;
    /* No TLS: what passes can be read on the way. */
    bool clear;

    /* user@domain, or user@domain/resource; without a resource the server
     * makes one up. Taken as they are, without stringprep. With Bind 2 the
     * resource is only the beginning of what is bound ("phone.1f3a…"), as that
     * XEP has it: see terse_client_jid. */
    const char *jid;
    /* Copied. Wiped when the login is over, or, if the client reconnects, when
     * it has ended. */
    const char *password;
    /* xml:lang of our stream, or NULL. */
    const char *lang;
    /* SCRAM only, unless this is set: then also PLAIN, if nothing else is
     * offered. It shows the password to tersed, and to who reads the wire. */
    bool allow_plain;
    /* Ask for a session (RFC 3921) if the server does not call it optional. */
    bool session;

    /* XEP-0388 and what comes with it, where tersed or the server offers it:
     * login in two round trips, return in one. What is said first is said
     * without waiting for the offer. OFF: only RFC 6120's SASL and binding. */
    enum terse_client_switch sasl2; /* (AUTO: on) */
    /* Says which device this is, in 1 to 255 characters of ASCII, the same each
     * time: so it gets its own place again. NULL: random, and kept in what
     * terse_client_export gives. */
    const char *device;
    /* Copies of what other devices of the account send and get (XEP-0280). With
     * XEP-0388 only. */
    bool carbons;

    /* Connect again when a connection is lost, and go on. AUTO: in the callback
     * style. In the blocking style, if ON, it happens by itself, too, while
     * terse_client_recv waits or not; terse_client_status shows it. Before the
     * first login of a blocking client nothing is tried again, but all hosts
     * are tried. Ends for good: what the server refuses (EAUTH, EMECH, EBIND),
     * a stream error that coming again would not change (conflict,
     * policy-violation, host-unknown, …), a certificate that is not good at the
     * very first connection, terse_client_close. */
    enum terse_client_switch reconnect;
    /* Before attempt n a random time passes, of 0 to retry_least_ms * 2^n, but
     * retry_most_ms at most. (1000, 60000) */
    uint32_t retry_least_ms, retry_most_ms;
    uint32_t retries;    /* in a row, after which it is over; 0: no bound (0) */
    uint32_t connect_ms; /* for TCP and TLS, with one host (10000) */
    /* Where several tersed stand behind a name, each may tell where it itself
     * is reached (XEP-0198, <enabled location='…'/>), for it alone holds the
     * session. A client that comes back dials there first, and if it gets no
     * connection in 5 s, or then no answer in 5 s, the hosts above. TLS is the
     * same as with them: the certificate has to be valid for the JID's domain,
     * or tls_name, not for the name that was told. AUTO: with TLS. ON: with
     * `clear` as well, where whoever is on the way can send the client
     * anywhere. OFF: never. */
    enum terse_client_switch location;

    /* Stanzas that the server has not acknowledged, and that wait for a
     * connection; above these bounds a send waits, or gives
     * TERSE_CLIENT_EFULL. (1000, 1 MiB) */
    uint32_t outbox_stanzas;
    size_t outbox_bytes;
    enum terse_client_resend resend;
    /* What the application was given is acknowledged with the next frame that
     * is sent, or after this. (20000) */
    uint32_t ack_ms;
    /* Silence after which the other end is asked whether it is there, at most:
     * it is learnt how much the network bears (docs/wire.md, "Heartbeats"). 0:
     * never asked. (1680000) */
    uint32_t heartbeat_ms;
    /* For the answer to that, and for any sign of life after a stanza was sent.
     * (15000) */
    uint32_t answer_ms;

    /* For how long, and how much of it, tersed may hold back what can wait
     * (presence, chat states, acknowledgements) while nobody looks
     * (terse_client_inactive). tersed has bounds of its own, 60 s and 8 KiB if
     * its operator did not choose others: this can only ask for less. Said with
     * each connection (docs/wire.md, "What may wait").
     *
     * wait_ms: whole seconds count, what is below one is cut off; 0 to 86400000
     * (a day); 0: nothing waits. wait_bytes: of frames, with what it costs
     * tersed to keep them; 0: none waits for another.
     * TERSE_CLIENT_UNSAID: as tersed likes. (TERSE_CLIENT_UNSAID, both) */
    uint32_t wait_ms, wait_bytes;

    /* What terse_client_export gave, for the same account: goes on from there.
     * TERSE_CLIENT_EARG from terse_client_new if it is something else. Copied.
     */
    const void *restore;
    size_t n_restore;

    uint32_t login_ms; /* from connect to ready, at most (30000) */
    uint32_t close_ms; /* for the peer's Close after ours (5000) */

    /* Received and not yet given out. At either of them nothing more is read
     * from the connection, and the peer has to wait, until half of it is
     * free. */
    uint32_t recv_frames; /* (1024) */
    size_t recv_bytes;    /* (4 MiB) */
    /* Given to the connection and not yet taken by the kernel; above it, what
     * is sent stays in the outbox, or, where nothing is acknowledged, a send
     * waits, or gives TERSE_CLIENT_EFULL. (1 MiB) */
    size_t send_bytes;
    /* Iqs that wait for their answer. (256) */
    uint32_t iqs;
    /* Of frames and XML, both ways; NULL: terse_limits_default. Copied. */
    const struct terse_limits *limits;
    /* What the connection remembers; NULL: terse_state_limits_default. Copied.
     */
    const struct terse_state_limits *state;

    struct terse_client_callbacks on;

    /* Called for each frame, in the order of the wire, Open and Close and SASL
     * as well. On any thread, with the client's lock held: must be quick and
     * must not call this library's terse_client_ functions. Frames of the login
     * hold SASL data: count them, do not show them. NULL: none. */
    void (*traffic)(void *arg, const struct terse_client_traffic *traffic);
    void *traffic_arg;

    /* Called with a line "state=… event=…" for each move of the state machine.
     * As traffic: any thread, lock held. NULL: none. */
    void (*trace)(void *arg, const char *line);
    void *trace_arg;
};

/* Sets the defaults, in parentheses above. host, jid and password are left for
 * the caller to set. */
void terse_client_options_init(struct terse_client_options *options);

/* ---- connecting -----------------------------------------------------------
 */

/* Makes a client; everything in options is copied. TERSE_CLIENT_EARG: host,
 * jid or password is missing or none. Nothing is sent yet. */
TERSE_NODISCARD enum terse_client_err
terse_client_new(struct terse_client **out,
                 const struct terse_client_options *options);

/* Connects, logs in, binds a resource, or goes on with the session.
 *   blocking   returns when that is done, or has failed: terse_client_why says
 *              more. At most login_ms for each host; TERSE_CLIENT_ETIMEOUT
 *              then, and one that restores goes on trying.
 *   callbacks  returns at once; on.ready, on.lost or on.closed is called later.
 *              An error means that none of them will be.
 * Once per client: TERSE_CLIENT_ESTATE afterwards. */
TERSE_NODISCARD enum terse_client_err
terse_client_connect(struct terse_client *client);

/* Ends the stream in good order: what is queued and our Close are sent, then
 * the peer's Close is waited for, at most close_ms. Stanzas that come meanwhile
 * are still given out; iqs under way end with TERSE_CLIENT_ECLOSED. OK if the
 * stream is over, however it ended; TERSE_CLIENT_ETIMEOUT if the peer did not
 * answer: the connection is cut then. May be called in any state, and again. */
enum terse_client_err terse_client_close(struct terse_client *client);

/* Frees it. A connection that lives is cut: terse_client_close before is the
 * polite way, and ends the session; without it the session stays where it is,
 * to be gone on with (terse_client_export). Waits for the library's thread;
 * when it returns, no callback runs. Not from a callback. NULL is fine. */
void terse_client_free(struct terse_client *client);

/* The network has changed or is back, as the system tells its programs: connect
 * now, without waiting for the next attempt. With a connection: `changed` says
 * that our address is another one, so that it cannot be good any more; else it
 * is asked whether it is, and has answer_ms or 3 s to say so, whichever is
 * less. Nothing if the client does not reconnect. */
void terse_client_hint_network(struct terse_client *client, bool changed);

/* Whether anybody looks at the program (XEP-0352): tersed and the server hold
 * back what may wait while nobody does. Active at first. Remembered over
 * connections. */
enum terse_client_err terse_client_inactive(struct terse_client *client);
enum terse_client_err terse_client_active(struct terse_client *client);

/* Whether the last login went on with the session of before; in on.ready: of
 * what has happened since the last call of it. */
bool terse_client_resumed(struct terse_client *client);

struct terse_client_status {
    bool ready;            /* stanzas pass */
    bool lasting;          /* it can be resumed */
    uint32_t sessions;     /* logins that began a session, so far */
    uint32_t resumptions;  /* logins that went on with one */
    uint32_t attempts;     /* that failed in a row */
    uint32_t round_trips;  /* of the last login, after TCP and TLS */
    uint32_t queued, sent; /* stanzas in the outbox: that wait, that are not
                              acknowledged */
    size_t outbox_bytes;
    char host[264];                 /* of the connection: "name:port" */
    struct terse_client_error lost; /* why the last connection ended, or could
                                       not be made */
};
void terse_client_status(struct terse_client *client,
                         struct terse_client_status *out);

/* What it takes to go on after this program has ended, in one piece, into *out,
 * which the caller frees by free(): the session's id and a token for it,
 * counts, the outbox, what was received and not yet given out. It is good until
 * the next login or the next stanza in either direction; an older one costs
 * another round trip, and may bring stanzas again. It holds a secret: who has
 * it has the session. TERSE_CLIENT_ESTATE: there is nothing to go on with, yet
 * or any more. */
TERSE_NODISCARD enum terse_client_err
terse_client_export(struct terse_client *client, void **out, size_t *n);

/* Our full JID as the server bound it, into out (n bytes). "" before that. */
void terse_client_jid(struct terse_client *client, char *out, size_t n);

/* The SASL mechanism that was used, e.g. "SCRAM-SHA-256"; "" before. Static. */
const char *terse_client_mechanism(struct terse_client *client);

/* Why the connection ended or could not be made; code is TERSE_CLIENT_OK while
 * it lives or was not begun. */
void terse_client_why(struct terse_client *client,
                      struct terse_client_error *out);

/* ---- sending --------------------------------------------------------------
 */

/* What is sent goes through the outbox. A client that reconnects takes it at
 * any time from terse_client_connect on; one that does not, when it is ready.
 * What is sent from within a callback leaves in one piece when that returns.
 *
 * timeout_ms: how long to wait while the outbox is full; 0: not at all, and
 * TERSE_CLIENT_EFULL; negative: as long as the client lives. What was accepted
 * is sent in order of the calls; that it was sent does not say that it was
 * received: that says its delivery.
 *
 * Errors: TERSE_CLIENT_EFULL or ETIMEOUT: not sent, may be tried again.
 * TERSE_CLIENT_EXML: not one element that can be translated; *error, if not
 * NULL, says what and where. TERSE_CLIENT_ESTATE before the login. Else the
 * connection's own end, as terse_client_why has it. */

/* Sends one frame, e.g. with frame->message set. It is packed, checked as a
 * received one would be, and not changed. */
TERSE_NODISCARD enum terse_client_err
terse_client_send(struct terse_client *client, const Terse__Frame *frame,
                  int timeout_ms, struct terse_error *error);

/* Sends one element: xml of n bytes (or up to its NUL if n is SIZE_MAX), as it
 * would stand in a stream whose default namespace is jabber:client. */
TERSE_NODISCARD enum terse_client_err
terse_client_send_xml(struct terse_client *client, const char *xml, size_t n,
                      int timeout_ms, struct terse_error *error);

/* The same, with a say in what happens if the session is lost, and with the
 * number of the stanza (may be NULL), which counts up from 1. */
TERSE_NODISCARD enum terse_client_err
terse_client_post(struct terse_client *client, const Terse__Frame *frame,
                  enum terse_client_resend resend, int timeout_ms,
                  uint64_t *number, struct terse_error *error);
TERSE_NODISCARD enum terse_client_err
terse_client_post_xml(struct terse_client *client, const char *xml, size_t n,
                      enum terse_client_resend resend, int timeout_ms,
                      uint64_t *number, struct terse_error *error);

/* Between the two, nothing leaves: so what is sent goes in one piece, and one
 * packet, where it fits. They nest. */
void terse_client_cork(struct terse_client *client);
void terse_client_uncork(struct terse_client *client);

/* Where the stanza with that number is. Of those that have failed only the last
 * 64 are known as such. TERSE_CLIENT_EARG: no such number was given. */
TERSE_NODISCARD enum terse_client_err
terse_client_delivery_of(struct terse_client *client, uint64_t number,
                         enum terse_client_delivery *out);

/* ---- receiving, blocking style --------------------------------------------
 */

/* The next element that answers none of our iqs; the caller frees it by
 * terse_stanza_free. Callbacks of iqs are called from within it.
 * TERSE_CLIENT_ETIMEOUT: none within timeout_ms (0: do not wait; negative: as
 * long as the connection lives). When the connection has ended and all that
 * came before is given out: the reason, TERSE_CLIENT_ECLOSED if it was in good
 * order. TERSE_CLIENT_ESTATE in the callback style. */
TERSE_NODISCARD enum terse_client_err
terse_client_recv(struct terse_client *client, int timeout_ms,
                  struct terse_stanza **out);

/* ---- iq -------------------------------------------------------------------
 */

/* Called once: OK and the answer, borrowed for the call; TERSE_CLIENT_ESTANZA
 * and an answer of type error; or another error without one. In the callback
 * style by the library's thread, in the blocking style from within
 * terse_client_recv, which has to be called for it. */
typedef void (*terse_client_iq_cb)(void *arg, struct terse_client *client,
                                   enum terse_client_err err,
                                   struct terse_stanza *answer);

/* Each of these sends an iq of type get or set with a new id, and gives the
 * answer of the one it was sent to: an iq that only has the same id but comes
 * from elsewhere is none. An answer that is late is given out like any other
 * stanza.
 *
 * The waiting ones return OK and *answer for a result; TERSE_CLIENT_ESTANZA and
 * *answer if it is of type error; else *answer is NULL: TERSE_CLIENT_ETIMEOUT
 * after timeout_ms (which must be above 0) and the errors of sending. The
 * caller frees *answer. In the blocking style, should so much else come that
 * the receive queue is full before the answer is there, it cannot come in until
 * terse_client_recv is called: TERSE_CLIENT_ETIMEOUT then.
 *
 * The callback ones return an error if nothing was sent; cb is not called
 * then. They do not wait: TERSE_CLIENT_EFULL if a queue is full.
 *
 * A request survives a lost connection if the session goes on; if not, it ends
 * with TERSE_CLIENT_ELOST, unless it has not been sent yet. */

/* iq: type, perhaps to, and a payload; no id. Not changed. */
TERSE_NODISCARD enum terse_client_err
terse_client_iq(struct terse_client *client, const Terse__Iq *iq,
                int timeout_ms, struct terse_stanza **answer);
TERSE_NODISCARD enum terse_client_err
terse_client_iq_async(struct terse_client *client, const Terse__Iq *iq,
                      int timeout_ms, terse_client_iq_cb cb, void *arg);

/* type "get" or "set"; to: a JID, or NULL for our own account; payload: one
 * element, as for terse_client_send_xml. */
TERSE_NODISCARD enum terse_client_err
terse_client_iq_xml(struct terse_client *client, const char *type,
                    const char *to, const char *payload, int timeout_ms,
                    struct terse_stanza **answer);
TERSE_NODISCARD enum terse_client_err
terse_client_iq_xml_async(struct terse_client *client, const char *type,
                          const char *to, const char *payload, int timeout_ms,
                          terse_client_iq_cb cb, void *arg);

/* Answers an iq that came, which RFC 6120 (section 8.2.3) asks for each get and
 * set: a result with `payload` (one element, or NULL for none), or, with
 * `condition` (e.g. "service-unavailable"), an error of type `type` ("cancel").
 * TERSE_CLIENT_EARG if it is no get or set. Errors and timeout_ms as for
 * sending. */
TERSE_NODISCARD enum terse_client_err
terse_client_reply(struct terse_client *client, struct terse_stanza *request,
                   const char *payload, int timeout_ms);
TERSE_NODISCARD enum terse_client_err
terse_client_refuse(struct terse_client *client, struct terse_stanza *request,
                    const char *type, const char *condition, int timeout_ms);

#endif
