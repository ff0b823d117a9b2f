/*
 * client.h: the inside of libterse-client. A client is a net_owner: all of its
 * fields are read and written with the owner's lock held, but for those that
 * never change after terse_client_new. Functions here are called with the lock
 * held, unless they say otherwise.
 *
 *   client.c         life, options, closing, the receiving thread
 *   client_state.c   the state machine and how a connection ends
 *   client_stream.c  bytes: dialling, frames in and out, back-pressure
 *   client_login.c   what the server says until we are logged in
 *   client_sasl.c    libgsasl
 *   client_send.c    what the application sends
 *   client_iq.c      requests that wait for their answer
 *   client_stanza.c  one element received
 *   client_xml.c     XML to frame and back, through libterse
 */
#ifndef CLIENT_H
#define CLIENT_H

#include "client/terse_client.h"
#include "net/net.h"

#define CLIENT_NS_SASL "urn:ietf:params:xml:ns:xmpp-sasl"
#define CLIENT_NS_BIND "urn:ietf:params:xml:ns:xmpp-bind"
#define CLIENT_NS_SESSION "urn:ietf:params:xml:ns:xmpp-session"
#define CLIENT_NS_STREAMS "urn:ietf:params:xml:ns:xmpp-streams"
#define CLIENT_NS_STANZAS "urn:ietf:params:xml:ns:xmpp-stanzas"

/* ---- state machine (client_state.c)
 * ------------------------------------------ */

enum client_state {
    STATE_NONE,      /* not a state: what the table has for "not possible" */
    STATE_NEW,       /* made; nothing was sent */
    STATE_DIALLING,  /* on its way to the proxy */
    STATE_OPENING,   /* our Open is sent, the server's is due */
    STATE_OFFER,     /* the features with the SASL mechanisms are due */
    STATE_AUTH,      /* SASL is under way */
    STATE_REOPENING, /* logged in; our second Open is sent */
    STATE_FEATURES,  /* the features with resource binding are due */
    STATE_BINDING,   /* the resource was asked for */
    STATE_SESSION,   /* the session was asked for */
    STATE_READY,     /* stanzas pass */
    STATE_CLOSING,   /* our Close is sent, the server's is due */
    STATE_CLOSED,    /* over; client->why says how */
    STATE_COUNT,
};

enum client_event {
    EVENT_CONNECT,  /* the application wants to connect */
    EVENT_DIALLED,  /* the connection is there */
    EVENT_OPEN,     /* the server's Open came */
    EVENT_FEATURES, /* the server's features came */
    EVENT_SUCCESS,  /* SASL succeeded, the server proved itself */
    EVENT_BOUND,    /* the resource is bound, a session is to be asked for */
    EVENT_READY,    /* nothing more is to be asked for */
    EVENT_CLOSE,    /* the application wants to close */
    EVENT_END,      /* the connection is no more */
    EVENT_COUNT,
};

/* ---- what is shared with stanzas
 * --------------------------------------------- */

/* Held by the client and by each stanza, which may outlive it. Immutable. */
struct client_codec {
    atomic_uint refs;
    struct terse_schema *schema;
    struct terse_limits limits;
};

/* Any thread, no lock. NULL is fine. */
void client_codec_rele(struct client_codec *codec);

/* ---- the client
 * --------------------------------------------------------------- */

/* SASL under way; all zero if none is. */
struct client_sasl {
    struct Gsasl *ctx;
    struct Gsasl_session *session;
    const char *mechanism; /* static */
    bool done;             /* our side has what it needs to trust the server */
};

struct client_item;

/* A request that waits for its answer, or whose answer waits for the
 * application. */
struct client_iq {
    struct client_iq *next;
    uint64_t id;
    char *to; /* whom it was sent to, or NULL: our own account */
    uint64_t deadline;
    terse_client_iq_cb cb; /* NULL: a thread waits in terse_client_iq */
    void *arg;
    bool done;
    enum terse_client_err err;
    struct terse_stanza *answer;
    struct client_item *item; /* for the queue, so that it cannot fail then */
};

/* What the application is to be given. */
struct client_item {
    struct client_item *next;
    struct terse_stanza *stanza; /* either this */
    struct client_iq *iq;        /* or this, done, with a callback */
    size_t bytes;                /* counted into queue.bytes */
};

struct client_queue {
    struct client_item *head, **tail;
    size_t frames, bytes;
};

struct terse_client {
    struct net_owner owner;
    pthread_cond_t cond; /* broadcast whenever something here changes */
    /* Set, with its own lock, when nothing of net uses the owner any more. */
    pthread_mutex_t gone_lock;
    pthread_cond_t gone_cond;
    bool gone;

    /* These do not change. */
    struct terse_client_options options; /* strings are in `strings` */
    char *host, *lang;
    char *tls_name;      /* what the proxy's certificate has to be good for */
    struct net_tls *tls; /* NULL: clear text */
    char *user, *domain, *resource; /* of the JID; resource may be NULL */
    struct client_codec *codec;
    struct net_resolver *resolver;

    char *password; /* NULL once wiped */
    struct client_sasl sasl;
    const char *mechanism;

    enum client_state state;
    uint64_t moves; /* of the state machine */
    struct terse_client_error why;
    char *jid;          /* the full one, once bound */
    bool needs_session; /* the server wants one asked for */
    bool keep_frame;    /* a stanza came amid the login: to be delivered */

    struct net_timer *timer; /* login, then close */
    struct net_dial *dial;
    struct net_conn *conn; /* NULL before it is there and after the end */
    struct net_framer framer;
    struct terse_peer *peer; /* what the connection remembers */
    struct terse_work work;
    struct terse_buf wire, plain; /* a frame with state, and one without */
    bool paused;                  /* nothing is read: the queue is full */
    bool ignored; /* reading goes on, whatever the queue holds: the end */

    struct client_queue queue;
    struct client_iq *iqs; /* that wait for an answer */
    uint32_t n_iqs;
    uint64_t last_id;

    pthread_t thread; /* of the callback style */
    bool threaded;    /* thread was created */
    bool ready_due;   /* on.ready is to be called */
    bool stopping;    /* the thread is to end */
};

/* Moves to the state that `event` leads to; false if none: the peer broke the
 * protocol, or the caller its own. */
bool client_move(struct terse_client *client, enum client_event event);

/* Ends the connection, if it has not ended: keeps why, says Close if `polite`,
 * closes, ends iqs under way, wipes the credentials, wakes everyone. condition
 * may be NULL; text is printf's. */
void client_end(struct terse_client *client, bool polite,
                enum terse_client_err code, const char *condition,
                const char *text, ...) __attribute__((format(printf, 5, 6)));

/* Whether the login is under way. */
bool client_logging_in(const struct terse_client *client);

/* Monotonic clock. */
uint64_t client_now(void);

/* Waits on client->cond until `deadline` (UINT64_MAX: for ever). */
void client_wait(struct terse_client *client, uint64_t deadline);

/* timeout_ms as the public header has it, to a deadline. */
uint64_t client_deadline(int timeout_ms);

/* ---- stream (client_stream.c)
 * --------------------------------------------------- */

/* Begins to dial. */
enum terse_client_err client_dial(struct terse_client *client);

/* Queues one frame and flushes. Has ended the connection if it fails. */
bool client_put(struct terse_client *client, const void *frame, size_t n);
/* The same for the stream's header and footer. */
bool client_put_open(struct terse_client *client);
void client_put_close(struct terse_client *client);

/* Reads again, if there is room in the queue. */
void client_unpause(struct terse_client *client);

/* Gives a frame that came to the application (copied). */
void client_deliver(struct terse_client *client, const uint8_t *frame,
                    size_t n);

/* ---- queue (client.c)
 * ------------------------------------------------------------ */

/* Appends; takes the item. */
void client_push(struct terse_client *client, struct client_item *item);

/* ---- login (client_login.c)
 * --------------------------------------------------------- */

/* One frame that came before the login was over, neither Open nor Close. */
void client_login_frame(struct terse_client *client, const uint8_t *frame,
                        size_t n);
/* A stream error, in any state. */
void client_stream_error(struct terse_client *client, const uint8_t *frame,
                         size_t n);

/* ---- SASL (client_sasl.c): no lock needed
 * ----------------------------------------------- */

/* The mechanisms in order of preference; PLAIN is the last. NULL at the end. */
extern const char *const client_mechanisms[];

/* Whether the library can do it. */
bool client_sasl_supports(struct client_sasl *sasl, const char *mechanism);
/* Begins; *out is the initial response in base64, freed by client_wipe_free. */
enum terse_client_err client_sasl_begin(struct client_sasl *sasl,
                                        const char *mechanism, const char *user,
                                        const char *password, char **out);
/* Takes a challenge, or what came with success, in base64; *out as above, and
 * may be "". EAUTH: the server does not know the password, or cheats. */
enum terse_client_err client_sasl_step(struct client_sasl *sasl, const char *in,
                                       char **out);
/* Frees, and wipes the password. */
void client_sasl_fini(struct client_sasl *sasl);
/* Wipes and frees a string; NULL is fine. */
void client_wipe_free(char *secret);

/* ---- iq (client_iq.c)
 * ------------------------------------------------------------------- */

/* True if the frame answers one of ours: it is dealt with. */
bool client_iq_answer(struct terse_client *client, const uint8_t *frame,
                      size_t n);
/* Ends those whose time is over; returns when the next one's will be. Those
 * with a thread that waits end by that thread. */
uint64_t client_iq_expire(struct terse_client *client);
/* Ends all. */
void client_iq_abort(struct terse_client *client, enum terse_client_err err);
/* Calls back and frees. Without the lock. */
void client_iq_call(struct terse_client *client, struct client_iq *iq);
/* Frees it, and an answer that nobody took. NULL is fine. */
void client_iq_free(struct client_iq *iq);

/* ---- sending (client_send.c)
 * ---------------------------------------------------------------- */

/* Puts a stanza's frame, waiting for room until the deadline. */
enum terse_client_err client_send_frame(struct terse_client *client,
                                        const void *frame, size_t n,
                                        uint64_t deadline);
/* Packs a frame into out (initialised) and checks it. Without the lock. */
enum terse_client_err client_pack(const struct client_codec *codec,
                                  const Terse__Frame *frame,
                                  struct terse_buf *out,
                                  struct terse_error *error);

/* ---- stanza (client_stanza.c)
 * ---------------------------------------------------------------- */

/* Copies the frame. NULL: no memory. Without the lock or with it. */
struct terse_stanza *client_stanza_new(struct client_codec *codec,
                                       const uint8_t *frame, size_t n);

/* ---- XML (client_xml.c): no lock needed
 * -------------------------------------------------------- */

/* Appends the pieces (const char *, ended by NULL) as they are. */
bool client_cat(struct terse_buf *buf, ...) __attribute__((sentinel));
/* Appends text for an attribute in single quotes or for an element. */
bool client_cat_text(struct terse_buf *buf, const char *text);

/* One element in a stream -> its frame in out (initialised). */
enum terse_client_err client_xml_encode(const struct client_codec *codec,
                                        const char *xml, size_t n,
                                        struct terse_buf *out,
                                        struct terse_error *error);
/* The same, with all text as strings, none of it packed or IDENT: for structs.
 */
enum terse_client_err client_xml_strings(const struct client_codec *codec,
                                         const char *xml, size_t n,
                                         struct terse_buf *out);
/* A stream header with these further attributes -> its frame in out. */
enum terse_client_err client_xml_open(const struct client_codec *codec,
                                      const char *attrs, struct terse_buf *out);

/* Calls cb with the element of a frame. EPROTO: it stands for none. */
typedef void (*client_node_cb)(void *arg, struct terse_node *node);
enum terse_client_err client_xml_visit(const struct client_codec *codec,
                                       const uint8_t *frame, size_t n,
                                       client_node_cb cb, void *arg);

/* The first child of node that is in namespace ns and not <text>: a defined
 * condition. "" if there is none; *text is that of <text>. Into out[64]. */
void client_condition(const struct terse_node *node, const char *ns,
                      char out[64], struct terse_str *text);
/* The child {ns}name, or NULL. */
struct terse_node *client_child(const struct terse_node *node, const char *ns,
                                const char *name);
/* A new string, or NULL. */
char *client_strndup(struct terse_str s);

#endif
