/*
 * phone.h: a client's side of a session that outlives its connections: SASL2
 * (XEP-0388) with Bind 2 (XEP-0386), stream management (XEP-0198) and FAST
 * tokens (XEP-0484, HT-SHA-256-NONE). Shared by libterse-client and
 * terse-agent. No I/O, no thread, no clock: times are milliseconds that the
 * caller says, and so is randomness. Guarded by whoever embeds it.
 *
 *   phone_sm       how many stanzas passed, and which <a/> is due
 *   phone_box      stanzas on their way to the server, until it has them
 *   phone_ask      what <authenticate/> says; phone_success, what came of it
 *   phone_text, …  what elements say
 *   phone_ht_…     a token as SASL
 *   phone_backoff  when to try again
 */
#ifndef CLIENT_PHONE_H
#define CLIENT_PHONE_H

#include "codec/terse.h"

#define PHONE_NS_SASL2 "urn:xmpp:sasl:2"
#define PHONE_NS_BIND2 "urn:xmpp:bind:0"
#define PHONE_NS_SM "urn:xmpp:sm:3"
#define PHONE_NS_FAST "urn:xmpp:fast:0"
#define PHONE_NS_CARBONS "urn:xmpp:carbons:2"
#define PHONE_NS_CSI "urn:xmpp:csi:0"
#define PHONE_HT "HT-SHA-256-NONE"

/* ---- counts -----------------------------------------------------------------
 */

/* Both directions of a session, modulo 2^32. All zero: there is none. */
struct phone_sm {
    bool on;
    uint32_t in;        /* stanzas that came */
    uint32_t in_told;   /* of those, that the other end knows that they came */
    uint64_t tell_by;   /* when it is to be told of more; 0: there is no more */
    uint32_t out;       /* stanzas that were sent */
    uint32_t out_acked; /* of those, that the server has */
};

/* <enabled/>: a new session. */
void phone_sm_begin(struct phone_sm *sm);
/* <resumed h='…'/>: the session goes on, on a new connection; `in` is what was
 * said in <resume/>. *n: how many stanzas the server has that it had not
 * acknowledged. What is left is to be sent again: out is h now. False: h cannot
 * be. */
bool phone_sm_resumed(struct phone_sm *sm, uint32_t h, uint32_t *n);
/* A stanza was sent; a stanza came. */
void phone_sm_sent(struct phone_sm *sm);
void phone_sm_came(struct phone_sm *sm);
/* <a/>: as phone_sm_resumed, but nothing is to be sent again. */
bool phone_sm_acked(struct phone_sm *sm, uint32_t h, uint32_t *n);
/* Whether <a h='…'/> is to be sent now, for `handled` stanzas (at most `in`):
 * if there is something new to tell and it is `wait` ms old, or PHONE_MANY
 * stanzas, or other frames leave now anyway (`riding`). True: *h was told.
 * False: sm->tell_by says when to ask again, 0: when something has come. */
bool phone_sm_due(struct phone_sm *sm, uint32_t handled, uint64_t now,
                  uint32_t wait, bool riding, uint32_t *h);
/* <r/>: has to be answered by this at once, news or not. */
uint32_t phone_sm_answer(struct phone_sm *sm, uint32_t handled);
/* Whether that element counts: a message, presence or iq. */
bool phone_is_stanza(const struct terse_frame_info *info);

/* For how long, in milliseconds, the proxy may keep back an acknowledgement of
 * what a client sends that has said that nobody looks (docs/wire.md, "What may
 * wait"). wait_ms: what the client asked for; UINT32_MAX: for nothing, so it is
 * what tersed does if its operator did not choose something else. */
uint32_t phone_held_back(bool inactive, uint32_t wait_ms);

enum { PHONE_MANY = 64, PHONE_HELD_MS = 60000 };

/* ---- stanzas on their way out -----------------------------------------------
 */

enum phone_state {
    PHONE_QUEUED, /* waits for a connection, or to be sent again */
    PHONE_SENT,   /* given to the connection */
    PHONE_ACKED,  /* the server has it */
    PHONE_FAILED, /* the session it was sent in is gone, and nobody knows
                     whether the server has it */
    PHONE_DONE,   /* sent, and nobody will acknowledge it: no XEP-0198 */
};

struct phone_item;

/* A queue of frames: in front those that were sent and are not acknowledged,
 * behind them those that wait. */
struct phone_box {
    struct phone_item *first, *last;
    struct phone_item *unsent; /* the first that waits */
    uint32_t stanzas, sent;    /* of all; of those, that were sent */
    size_t bytes;              /* of all, with what their memory costs */
    uint64_t owed;             /* number of the last that was sent and whose
                                  acknowledgement somebody may wait for */
    uint32_t max_stanzas;      /* bounds */
    size_t max_bytes;
    uint64_t last_number;
    /* Told of each change of an item's state that its owner cannot see: all but
     * PHONE_QUEUED by phone_box_put. The last word on an item is ACKED, FAILED
     * or DONE. Must not use the box. NULL: nobody is. */
    void (*changed)(void *arg, uint64_t number, enum phone_state state);
    void *arg;
};

void phone_box_init(struct phone_box *box, uint32_t max_stanzas,
                    size_t max_bytes);
/* Frees all, tells nobody. */
void phone_box_fini(struct phone_box *box);
/* Copies a stanza's frame to the end. again: if the session is lost, it shall
 * be sent in the next one, though the server may have it already. *number (may
 * be NULL) counts from 1. TERSE_ELIMIT: the box is full. */
TERSE_NODISCARD enum terse_err phone_box_put(struct phone_box *box,
                                             const void *frame, size_t n,
                                             bool again, uint64_t *number);
/* As phone_box_put, with a number of an earlier life; not below those before.
 */
TERSE_NODISCARD enum terse_err phone_box_restore(struct phone_box *box,
                                                 const void *frame, size_t n,
                                                 bool again, uint64_t number);
/* Whether a frame of n bytes would find room. */
bool phone_box_full(const struct phone_box *box, size_t n);
/* The first that waits, borrowed until the next call; NULL: none does. */
const uint8_t *phone_box_peek(const struct phone_box *box, size_t *n);
/* That one was sent. kept: it stays until it is acknowledged; else it is DONE.
 */
void phone_box_sent(struct phone_box *box, bool kept);
/* For how long, in milliseconds, the proxy may keep back its acknowledgement of
 * what was sent; UINT32_MAX: nothing was. held: the same of what matters
 * (phone_held_back). Of receipts and chat states alone it always tells late. */
uint32_t phone_box_held_back(const struct phone_box *box, uint32_t held);
/* The server has n more. False: so many were not sent. */
bool phone_box_acked(struct phone_box *box, uint32_t n);
/* The session goes on: what was sent waits again. */
void phone_box_rewind(struct phone_box *box);
/* Another session begins: what was sent waits again if it may be sent again,
 * else it is FAILED. */
void phone_box_renew(struct phone_box *box);
/* All of it is FAILED. */
void phone_box_fail(struct phone_box *box);

/* One item after the other: NULL begins, NULL ends. */
const struct phone_item *phone_box_walk(const struct phone_box *box,
                                        const struct phone_item *item);
struct phone_view {
    const uint8_t *frame;
    size_t n;
    uint64_t number;
    bool again, sent;
};
struct phone_view phone_item_view(const struct phone_item *item);

/* ---- login ------------------------------------------------------------------
 */

enum {
    PHONE_ID = 512,
    PHONE_TOKEN = 256,
    PHONE_JID = 3072,
    PHONE_DATA = 1024,
    PHONE_LOCATION = 272,
};

/* What <authenticate/> says. Strings are borrowed, and escaped here. */
struct phone_ask {
    const char *mechanism;
    const char *initial; /* base64; "=" or NULL: none */
    const char *agent;   /* id of <user-agent/>; NULL: none, and no token */
    bool bind;           /* a resource, unless the session is resumed */
    const char *tag;     /* in its name; NULL: none */
    bool carbons, sm;    /* enabled with it */
    bool inactive;       /* the client's state from the start on */
    const char *resume;  /* XEP-0198's id of the session; NULL: none */
    uint32_t h;          /* phone_sm.in of it */
    bool wants_token;    /* for the next time */
    bool fast;           /* the mechanism is that of a token */
};

/* Appends <authenticate/>. TERSE_ELIMIT or TERSE_ENOMEM: xml is of no use. */
TERSE_NODISCARD enum terse_err phone_authenticate(struct terse_buf *xml,
                                                  const struct phone_ask *ask);

/* What <success/> says. */
struct phone_success {
    bool has_data;
    char data[PHONE_DATA]; /* SASL's additional data, base64 */
    char jid[PHONE_JID];   /* the full one, if `bound` */
    bool bound;
    bool resumed;
    uint32_t h; /* with resumed; else, with `failed_h`, what the server
                   had of the session that is gone */
    bool resume_failed, failed_h;
    bool enabled;                  /* XEP-0198, in a new session */
    char id[PHONE_ID];             /* to resume it with; "": it cannot be */
    char token[PHONE_TOKEN];       /* for the next time; "": none */
    char location[PHONE_LOCATION]; /* where to resume it, if that can be, as it
                                      was said; "": wherever, or too long */
};

/* False: it makes no sense, or is too long. */
bool phone_read_success(const struct terse_node *node,
                        struct phone_success *out);

/* A location (XEP-0198) into host[256] and *port, `otherwise` if it names none.
 * False: it is no name or address that could be dialled. */
bool phone_location(const char *text, uint16_t otherwise, char host[256],
                    uint16_t *port);

/* What features say of login. */
struct phone_offer {
    bool empty;           /* nothing: what there is to say was said */
    bool sasl2;           /* XEP-0388 */
    bool bind2, sm, fast; /* with it */
};
void phone_read_features(const struct terse_node *node,
                         struct phone_offer *out);
/* Whether XEP-0388 is offered with that mechanism. */
bool phone_offers(const struct terse_node *features, const char *mechanism);

/* ---- reading ----------------------------------------------------------------
 */

/* The first child {ns}name of node, or NULL; so of NULL. */
struct terse_node *phone_child(const struct terse_node *node, const char *ns,
                               const char *name);
/* All of an element's text; false: there is more than text, or it has not room
 * in out[size] with its end. */
bool phone_text(const struct terse_node *node, char *out, size_t size);
/* An attribute, "" if there is none; false: too long. */
bool phone_attr(const struct terse_node *node, const char *name, char *out,
                size_t size);
/* The attribute h, and whether there is one; false: it is no count. */
bool phone_count(const struct terse_node *node, uint32_t *h, bool *has);
/* That of a frame; false: there is none, or it is no count. */
bool phone_frame_count(const struct terse_schema *schema, const void *frame,
                       size_t n, uint32_t *h);

/* ---- tokens -----------------------------------------------------------------
 */

enum { PHONE_HT_SIZE = 2048 };

/* The initial response of HT-SHA-256-NONE, in base64. False: too long a user.
 */
bool phone_ht_initial(const char *token, const char *user,
                      char out[PHONE_HT_SIZE]);
/* Whether the answer, in base64, is of one who has the token as well. */
bool phone_ht_proves(const char *token, const char *answer);

/* ---- trying again
 * ------------------------------------------------------------- */

/* How long to wait before attempt 0, 1, 2, …: evenly distributed from 0 to
 * least_ms * 2^attempt, but at most to most_ms ("full jitter"). random: any
 * number, evenly distributed. */
uint32_t phone_backoff(unsigned attempt, uint32_t least_ms, uint32_t most_ms,
                       uint32_t random);

#endif
