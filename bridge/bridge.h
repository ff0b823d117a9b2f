/*
 * bridge.h: the two legs that a session stands on, shared by tersed and
 * terse-agent. A leg is a connection (net/) with what turns its bytes into
 * elements (codec/): one leg carries frames, the other XML.
 *
 * A leg belongs to the session that embeds it; every function is called with
 * the session's lock held. What to do with an element is the session's affair.
 */
#ifndef BRIDGE_H
#define BRIDGE_H

#include "codec/terse.h"
#include "net/net.h"

#define BRIDGE_NS_SASL "urn:ietf:params:xml:ns:xmpp-sasl"
#define BRIDGE_NS_SASL2 "urn:xmpp:sasl:2"
#define BRIDGE_NS_TLS "urn:ietf:params:xml:ns:xmpp-tls"
#define BRIDGE_NS_ERRORS "urn:ietf:params:xml:ns:xmpp-streams"

/* XML parsers that sessions lend each other while they rest. Any thread. */
struct bridge_pool;
struct bridge_pool *bridge_pool_new(void); /* NULL for lack of memory */
/* When no leg is left. NULL is fine. */
void bridge_pool_free(struct bridge_pool *pool);

/* What both legs of a session share; borrowed for the session's life. */
struct bridge {
    const struct terse_schema *schema;
    const struct terse_limits *limits;
    const struct terse_state_limits *state; /* of the leg of frames */
    struct bridge_pool *pool; /* NULL: each session keeps its parser */
    size_t high;              /* high mark of write queues, in bytes */
    uint32_t heartbeat;       /* seconds of silence after which this end asks
                                 whether the other is there; 0: it cannot */
    /* What a leg that dials says of how long, in seconds, and how much may wait
     * (docs/wire.md); NULL: nothing. */
    const uint32_t *wait, *wait_bytes;
};

/* Marks for a leg's connection: so that what one read or one frame turns into
 * fits above the high mark. */
struct net_marks bridge_marks(const struct bridge *bridge);

/* The condition of a stream error for a failure of the network side. */
const char *bridge_net_condition(enum net_err err);

/* Appends s as attribute value or text, escaped, to out[size]; what does not
 * fit is cut at a character. For our own few lines of XML only. */
void bridge_escape(char *out, size_t size, const char *s);

/* How little a stanza says. */
enum bridge_slight {
    BRIDGE_SAYS,  /* something that somebody may wait for */
    BRIDGE_ABOUT, /* of a message that it came, or was read (XEP-0184,
                     XEP-0333) */
    BRIDGE_STATE, /* presence that asks for nothing, or that somebody writes
                     (XEP-0085) */
};
enum bridge_slight bridge_slight(const struct terse_node *node);

/* ---- the leg of frames ------------------------------------------------------
 */

struct frame_leg {
    const struct bridge *bridge;
    struct net_conn *conn; /* NULL: none yet, or closed */
    struct net_framer framer;
    struct terse_peer *peer; /* what the connection remembers */
    bool dialling;           /* we began: we say hello first */
    bool greeted;            /* our hello is queued */
    bool opened;             /* a header went out on this leg */
    bool bounds_said;        /* what goes beside our first header */
    bool asked;              /* a ping is out, and nothing was heard since */
    bool bound;              /* the other end's first header has come */
    uint64_t sent;           /* bytes queued so far */
    uint32_t beat;           /* seconds that the other end said; 0: it cannot */
    uint32_t wait;         /* seconds and bytes for which the other end lets */
    uint32_t wait_bytes;   /* frames wait; UINT32_MAX: it did not say */
    bool holding;          /* frames wait in held for the connection */
    struct terse_buf held; /* each with its length before it, as a uint32_t */
};

void frame_leg_init(struct frame_leg *leg, const struct bridge *bridge,
                    enum net_framing framing, bool dialling);
void frame_leg_fini(struct frame_leg *leg);

/* Queues one frame, as it was before state. */
NET_NODISCARD enum net_err frame_leg_write(struct frame_leg *leg,
                                           const void *frame, size_t n);
/* Until frame_leg_release, frames are not queued but held, one read's worth:
 * the connection is still to come. */
void frame_leg_hold(struct frame_leg *leg);
/* Queues what was held. */
NET_NODISCARD enum net_err frame_leg_release(struct frame_leg *leg);
/* Encodes an element as the reader's callback got it, and queues it. *error
 * says what of it cannot be encoded. */
NET_NODISCARD enum net_err frame_leg_encode(struct frame_leg *leg,
                                            enum terse_event event,
                                            const struct terse_node *node,
                                            struct terse_error *error);
/* Encodes an element into out (emptied first), for frame_leg_write, now or
 * later, here or on another leg whose other end knows that schema revision. */
NET_NODISCARD enum terse_err frame_leg_make(const struct frame_leg *leg,
                                            const struct terse_node *node,
                                            uint32_t revision,
                                            struct terse_buf *out,
                                            struct terse_error *error);
/* The schema revision that the other end knows; makes what remembers it. */
uint32_t frame_leg_revision(struct frame_leg *leg);
/* Queues what `xml` says, a stream from its header on; the header itself is
 * left out if one went out before. For the few things we say ourselves. */
NET_NODISCARD enum net_err frame_leg_say(struct frame_leg *leg,
                                         const char *xml);
/* The next frame that came in, or NULL: see net_framer_next. Queues our hello
 * when the peer's framing is known. Borrowed until the callback returns. *n is
 * 0 for a heartbeat, which is dealt with. */
NET_NODISCARD enum net_err frame_leg_next(struct frame_leg *leg,
                                          const uint8_t **frame, size_t *n);

/* Queues what framing itself has to say, and sends what is queued. */
void frame_leg_flush(struct frame_leg *leg);
/* Nothing follows from us: the framing's own close, if it has one. condition:
 * of the stream error that ended the stream, NULL: none. */
void frame_leg_bye(struct frame_leg *leg, const char *condition);
/* As net_conn_close, for the leg's connection, if it has one. */
void frame_leg_close(struct frame_leg *leg, enum net_close how, uint32_t ms);
/* Queues a ping, if the other end knows what that is (leg->beat). Whatever
 * comes in clears leg->asked. */
NET_NODISCARD enum net_err frame_leg_ping(struct frame_leg *leg);

/* ---- the leg of XML
 * ---------------------------------------------------------- */

struct xml_leg {
    const struct bridge *bridge;
    struct net_conn *conn;
    struct terse_reader *reader;
    uint64_t sent; /* bytes queued so far */
    bool opened;   /* a header went out on this leg */
};

NET_NODISCARD enum terse_err xml_leg_init(struct xml_leg *leg,
                                          const struct bridge *bridge,
                                          terse_reader_cb cb, void *arg);
void xml_leg_fini(struct xml_leg *leg);

/* Reads n bytes that came in, which calls the reader's callback. Between
 * elements the leg holds no parser. */
NET_NODISCARD enum terse_err xml_leg_feed(struct xml_leg *leg, const uint8_t *p,
                                          size_t n);
/* Decodes a frame and queues its XML. TERSE_ENOMEM also where the queue is
 * full. *error says what is wrong with the frame. */
NET_NODISCARD enum terse_err xml_leg_decode(struct xml_leg *leg,
                                            const void *frame, size_t n,
                                            struct terse_error *error);
/* Queues our own XML. */
void xml_leg_say(struct xml_leg *leg, const char *xml);

/* ---- what we say ourselves
 * ---------------------------------------------------- */

enum { BRIDGE_TEXT = 2048 };

/* "<?xml …?><stream:stream …>" into out[BRIDGE_TEXT]; from, to, id: NULL for
 * none. */
void bridge_header(char *out, const char *from, const char *to, const char *id);
/* Appends <stream:error> and the footer. more: XML of a condition of its own
 * beside it (RFC 6120 section 4.9.4), NULL: none. */
void bridge_error(char *out, const char *condition, const char *text,
                  const char *more);

#define BRIDGE_FOOTER "</stream:stream>"

#endif
