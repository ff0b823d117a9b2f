/*
 * terse_client.h: libterse-client, an XMPP client on the compact wire. It
 * connects to a tersed, logs in and exchanges stanzas, as protobuf-c structs
 * (terse.pb-c.h) or as XML.
 *
 * A terse_client is one connection: made, connected once, closed, freed. To
 * connect again, make another.
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

/* ---- options --------------------------------------------------------------
 */

/* The library's thread calls these; see "callbacks" above. */
struct terse_client_callbacks {
    /* Logged in: stanzas may be sent. May be NULL. */
    void (*ready)(void *arg, struct terse_client *client);
    /* An element came that answers none of our iqs. The stanza is borrowed
     * for the call. */
    void (*stanza)(void *arg, struct terse_client *client,
                   struct terse_stanza *stanza);
    /* The connection ended, or could not be made; code is
     * TERSE_CLIENT_ECLOSED if that was in good order. The last call. May be
     * NULL. */
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
    /* Where tersed is: name or address, and port (5333). */
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
     * makes one up. Taken as they are, without stringprep. */
    const char *jid;
    /* Copied, and wiped when the login is over. */
    const char *password;
    /* xml:lang of our stream, or NULL. */
    const char *lang;
    /* SCRAM only, unless this is set: then also PLAIN, if nothing else is
     * offered. It shows the password to tersed, and to who reads the wire. */
    bool allow_plain;
    /* Ask for a session (RFC 3921) if the server does not call it optional. */
    bool session;

    uint32_t login_ms; /* from connect to ready, at most (30000) */
    uint32_t close_ms; /* for the peer's Close after ours (5000) */

    /* Received and not yet given out. At either of them nothing more is read
     * from the connection, and the peer has to wait, until half of it is
     * free. */
    uint32_t recv_frames; /* (1024) */
    size_t recv_bytes;    /* (4 MiB) */
    /* Given to send and not yet taken by the kernel; above it a send waits, or
     * gives TERSE_CLIENT_EFULL. (1 MiB) */
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

/* Connects, logs in, binds a resource.
 *   blocking   returns when that is done, or has failed: terse_client_why says
 *              more. At most login_ms.
 *   callbacks  returns at once; on.ready or on.closed is called later. An error
 *              means that neither will be.
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
 * polite way. Waits for the library's thread; when it returns, no callback
 * runs. Not from a callback. NULL is fine. */
void terse_client_free(struct terse_client *client);

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

/* timeout_ms: how long to wait while the send queue is full; 0: not at all, and
 * TERSE_CLIENT_EFULL; negative: as long as the connection lives. What was
 * accepted is sent in order of the calls; that it was sent does not say that it
 * was received.
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
 * then. They do not wait: TERSE_CLIENT_EFULL if a queue is full. */

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
