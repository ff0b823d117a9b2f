/*
 * client.h: the inside of libterse-client. A client is a net_owner: all of its
 * fields are read and written with the owner's lock held, but for those that
 * never change after terse_client_new. Functions here are called with the lock
 * held, unless they say otherwise.
 *
 *   client.c         life, options, closing, the receiving thread
 *   client_state.c   the state machine and how a connection ends
 *   client_link.c    one connection after the other: which host, and when
 *   client_stream.c  bytes: dialling, frames in and out, back-pressure
 *   client_login.c   what the server says until we are logged in (RFC 6120)
 *   client_sasl2.c   the same with SASL2, Bind 2 and what comes with them
 *   client_sasl.c    libgsasl
 *   client_sm.c      acknowledgements, heartbeats, client state
 *   client_send.c    what the application sends; the outbox
 *   client_export.c  a session as bytes
 *   phone.h          the rules of a session, without I/O
 *   client_iq.c      requests that wait for their answer
 *   client_stanza.c  one element received
 *   client_xml.c     XML to frame and back, through libterse
 */
#ifndef CLIENT_H
#define CLIENT_H

#include "client/phone.h"
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
    STATE_WAITING,   /* between two connections */
    STATE_DIALLING,  /* on its way to the proxy */
    STATE_OPENING,   /* our Open is sent, the server's is due */
    STATE_OFFER,     /* the features with the SASL mechanisms are due */
    STATE_AUTH,      /* SASL is under way */
    STATE_AUTH2,     /* SASL2 is */
    STATE_REOPENING, /* logged in; our second Open is sent */
    STATE_FEATURES,  /* the features with resource binding are due */
    STATE_BINDING,   /* the resource was asked for */
    STATE_SESSION,   /* the session was asked for */
    STATE_RESUMING,  /* the session of before was */
    STATE_ENABLING,  /* stream management was */
    STATE_READY,     /* stanzas pass */
    STATE_CLOSING,   /* our Close is sent, the server's is due */
    STATE_CLOSED,    /* over; client->why says how */
    STATE_COUNT,
};

enum client_event {
    EVENT_CONNECT,  /* the application wants to connect */
    EVENT_LOST,     /* the connection is no more, there will be another */
    EVENT_RETRY,    /* it is time for it */
    EVENT_DIALLED,  /* the connection is there */
    EVENT_OPEN,     /* the server's Open came */
    EVENT_FEATURES, /* the server's features came */
    EVENT_SASL2,    /* the same, and SASL2 goes on or begins */
    EVENT_SUCCESS,  /* SASL succeeded, the server proved itself */
    EVENT_RESUME,   /* the last session may go on */
    EVENT_ENABLE,   /* stream management is to begin */
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
    char *to;        /* whom it was sent to, or NULL: our own account */
    uint64_t number; /* in the box */
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
    uint64_t number;             /* or what became of this one: */
    enum terse_client_delivery delivery;
    size_t bytes;     /* counted into queue.bytes */
    uint32_t session; /* that counted the stanza; 0: none */
    uint32_t seq;     /* its count, behind it */
};

struct client_queue {
    struct client_item *head, **tail;
    size_t frames, bytes;
};

struct client_host {
    char name[256];
    uint16_t port;
    uint32_t revision; /* of the schemas, that it knew last; 1: not known */
};

/* Of failed stanzas, for terse_client_delivery_of. */
enum { CLIENT_FAILED = 64 };

struct terse_client {
    struct net_owner owner;
    pthread_cond_t cond; /* broadcast whenever something here changes */
    /* Set, with its own lock, when nothing of net uses the owner any more. */
    pthread_mutex_t gone_lock;
    pthread_cond_t gone_cond;
    bool gone;

    /* These do not change. */
    struct terse_client_options options; /* strings are in `strings` */
    char *lang;
    struct client_host *hosts; /* revision changes; one more than n_hosts: the
                                  last is where the session is held */
    struct terse_state_limits state_limits;
    uint32_t n_hosts;
    char *tls_name;      /* what the proxy's certificate has to be good for */
    struct net_tls *tls; /* NULL: clear text */
    char *user, *domain, *resource; /* of the JID; resource may be NULL */
    struct client_codec *codec;
    struct net_resolver *resolver;

    char *password; /* NULL once wiped */
    struct client_sasl sasl;
    const char *mechanism;

    /* The session. */
    struct phone_sm sm;
    struct phone_box box;
    uint32_t box_revision; /* of the schemas, that its frames may need */
    char *device;          /* id of <user-agent/> */
    char *sm_id, *token;   /* NULL: none */
    uint32_t token_host;   /* where it was made */
    bool located;          /* hosts[n_hosts] is to be dialled first */
    const char *best; /* the SASL2 mechanism to begin with; NULL: unknown */
    bool restored;    /* and nobody has confirmed it yet */
    bool inactive;    /* nobody looks */
    bool csi;         /* the server knows XEP-0352 */
    uint32_t session; /* counts sessions */
    uint32_t sessions, resumptions; /* logins that began one, or went on */
    bool resumed;                   /* the last one did */
    bool told_resumed;              /* as on.ready was told */
    bool renewed; /* a session began since on.ready was called */
    struct client_item *notes, **notes_tail; /* one for each stanza in the box,
                                                for its last word */
    uint64_t failed[CLIENT_FAILED];          /* the last of them */
    uint32_t n_failed;
    uint64_t done_first, done_last; /* the last run of those that nobody
                                       acknowledges */

    /* One connection after the other. */
    bool lasting;                  /* reconnects */
    bool classic;                  /* the server is known not to have SASL2 */
    uint32_t host;                 /* that is tried, or used */
    uint32_t base;                 /* the same of those that were configured */
    uint32_t tried;                /* hosts since the last login or pause */
    uint32_t attempts;             /* failed, since the last login */
    uint64_t dialled_at, ready_at; /* ms; ready_at: 0 until it is */
    uint64_t dropped_at;           /* ms; the last login that was begun and not
                                      ended; 0: none */
    struct terse_client_error lost;
    uint32_t again_ms;
    bool lost_due; /* on.lost is to be called */

    /* This connection's login. */
    const char *trying; /* mechanism of the <authenticate/> that is sent; static
                           or PHONE_HT; NULL: none */
    unsigned offered, refused; /* mechanisms, by their place in
                                  client_mechanisms */
    uint32_t trips;
    bool features_due; /* behind <success/> */
    bool offers_sm;    /* to those who enable it by themselves */
    bool asks;         /* we did: who wants to hear of acknowledgements asks */
    bool asking;       /* and has asked, with no answer yet */

    enum client_state state;
    uint64_t moves; /* of the state machine */
    struct terse_client_error why;
    char *jid;          /* the full one, once bound */
    bool needs_session; /* the server wants one asked for */
    bool keep_frame;    /* a stanza came amid the login: to be delivered */

    struct net_timer *timer; /* a pause, login, close */
    struct net_timer *beat;  /* acknowledgements, heartbeats */
    uint64_t beat_at;        /* when it runs out; 0: it does not run */
    uint64_t heard;          /* from the other end, last */
    uint64_t asked;          /* when it was asked; 0: was not */
    uint64_t expected;       /* when it should have spoken; 0: no reason to */
    bool by_silence;         /* it was asked for no other reason */
    uint32_t silence;        /* before it is asked: as learnt */
    uint32_t patience;       /* with its answer */
    bool peer_beats;         /* knows what a ping is */
    bool said_open;          /* our first Open is sent, and what goes with it */
    uint32_t revision;       /* of the schemas, that the other end knows */
    struct net_dial *dial;
    struct net_conn *conn; /* NULL before it is there and after the end */
    struct net_framer framer;
    struct terse_peer *peer; /* what the connection remembers */
    struct terse_work work;
    struct terse_buf wire, plain; /* a frame with state, and one without */
    bool paused;                  /* nothing is read: the queue is full */
    bool ignored; /* reading goes on, whatever the queue holds: the end */

    struct client_queue queue;
    /* The application has this one; it is not handled yet. */
    uint32_t busy_session, busy_seq;
    bool calling;   /* a callback runs, on `thread`: what it sends is held */
    unsigned corks; /* of terse_client_cork */
    bool held_back; /* there is something, then */
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

/* The connection cannot go on. If another one may help, begins to wait for it
 * (STATE_WAITING). Else it is all over: keeps why, says Close if `polite`, ends
 * iqs under way, wipes the credentials. Wakes everyone. condition may be NULL;
 * text is printf's. */
void client_end(struct terse_client *client, bool polite,
                enum terse_client_err code, const char *condition,
                const char *text, ...) __attribute__((format(printf, 5, 6)));

/* The same without another try. */
void client_finish(struct terse_client *client, bool polite,
                   const struct terse_client_error *why);
/* Closes the connection, or stops dialling it. */
void client_cut(struct terse_client *client, enum net_close how);

/* ---- connections (client_link.c)
 * ------------------------------------------------- */

/* "a,b:1,[::1]:2" into client->hosts. */
enum terse_client_err client_hosts(struct terse_client *client,
                                   const char *list, uint16_t port);
/* Whether a connection is, or is to be, with where the session is held. */
bool client_on_location(const struct terse_client *client);
/* Where it is, if that may be followed; else it is nowhere. */
void client_locate(struct terse_client *client, const char *text);
/* Whether another connection may do better. */
bool client_may_retry(struct terse_client *client,
                      const struct terse_client_error *why);
/* The connection is lost, and closed: when comes the next one? */
void client_link_lost(struct terse_client *client,
                      const struct terse_client_error *why);
/* Gives the connection up and makes another one at once: nothing has failed. */
void client_link_again(struct terse_client *client);
/* The pause is over. */
void client_link_retry(struct terse_client *client);
void client_link_ready(struct terse_client *client);

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

/* Queues one frame. Has ended the connection if it fails. */
bool client_put(struct terse_client *client, const void *frame, size_t n);
/* The same for one element as XML, for the stream's header and footer. */
bool client_put_xml(struct terse_client *client, const struct terse_buf *xml);
bool client_put_open(struct terse_client *client);
void client_put_close(struct terse_client *client);
/* A heartbeat: 1 asks, 0 answers. */
bool client_put_beat(struct terse_client *client, uint8_t what);
/* Sends what is queued; unless a callback runs, which may queue more. */
void client_flush(struct terse_client *client);
/* Sends it in any case: somebody waits. */
void client_flush_now(struct terse_client *client);

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

/* Stanzas pass from now on; resumed: those of the session before. */
void client_now_ready(struct terse_client *client, bool resumed);
/* A new session: its outbox and its iqs. sm_on: it is counted. */
void client_new_session(struct terse_client *client, bool sm_on);
/* <resumed h='…'/>: those that wait are to be sent again, the client is ready.
 */
void client_goes_on(struct terse_client *client, uint32_t h);
/* RFC 6120's SASL, with these features. */
void client_classic(struct terse_client *client,
                    const struct terse_node *features);
/* Sees which mechanisms are offered, in the way that `has` tells. */
void client_look(struct terse_client *client, const struct terse_node *features,
                 bool (*has)(const struct terse_node *features,
                             const char *mechanism));
/* The best of them that is allowed and was not refused; NULL: none. */
const char *client_choose(struct terse_client *client);

/* ---- SASL2 (client_sasl2.c)
 * -------------------------------------------------------- */

/* <authenticate/> in the first flight, if that is worth a try. */
void client_sasl2_begin(struct terse_client *client);
/* The features before login. */
void client_sasl2_features(struct terse_client *client,
                           const struct terse_node *features);
/* An element in STATE_AUTH2. */
void client_sasl2_element(struct terse_client *client, struct terse_node *node);

/* ---- acknowledgements (client_sm.c)
 * ------------------------------------------------ */

/* How many stanzas the application was given, as XEP-0198 counts. */
uint32_t client_handled(const struct terse_client *client);
/* True if that frame is stream management's, and dealt with. */
bool client_sm_frame(struct terse_client *client,
                     const struct terse_frame_info *info, const uint8_t *frame,
                     size_t n);
/* At the end of each event: says what is due, sets the timer. riding: frames
 * leave now. */
void client_turn(struct terse_client *client, bool riding);
/* Something was sent, or the client's state has changed: by when is there to be
 * an answer? */
void client_expect(struct terse_client *client);
/* Bytes came. */
void client_heard(struct terse_client *client);
/* True if that frame, as it came, is a heartbeat; answers it. And what an Open
 * says of them. */
bool client_is_beat(struct terse_client *client, const uint8_t *frame,
                    size_t n);
void client_hear_open(struct terse_client *client, const uint8_t *frame,
                      size_t n);
/* <active/> or <inactive/>, as it is. */
void client_say_state(struct terse_client *client);

/* ---- export (client_export.c)
 * ------------------------------------------------------ */

enum terse_client_err client_restore(struct terse_client *client,
                                     const void *blob, size_t n);

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
/* Ends those whose request is not in the box: it was sent in a session that is
 * gone, or to nobody. */
void client_iq_orphans(struct terse_client *client);
/* Calls back and frees. Without the lock. */
void client_iq_call(struct terse_client *client, struct client_iq *iq);
/* Frees it, and an answer that nobody took. NULL is fine. */
void client_iq_free(struct client_iq *iq);

/* ---- sending (client_send.c)
 * ---------------------------------------------------------------- */

/* Puts a stanza's frame into the box, waiting for room until the deadline.
 * *number may be NULL. */
enum terse_client_err client_send_frame(struct terse_client *client,
                                        const void *frame, size_t n,
                                        enum terse_client_resend resend,
                                        uint64_t deadline, uint64_t *number);
/* Of an earlier life. */
enum terse_client_err client_restore_stanza(struct terse_client *client,
                                            const void *frame, size_t n,
                                            bool again, uint64_t number);
/* What to encode for, without the lock. */
uint32_t client_revision(struct terse_client *client);
/* Sends what waits in the box, as far as the connection takes it. */
void client_pump(struct terse_client *client);
/* Of the box: an item's state has changed. */
void client_changed(void *arg, uint64_t number, enum phone_state state);
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

/* One element in a stream -> its frame in out (initialised), for one who knows
 * this revision of the schemas; 0: as codec->limits has it. */
enum terse_client_err client_xml_encode_for(const struct client_codec *codec,
                                            uint32_t revision, const char *xml,
                                            size_t n, struct terse_buf *out,
                                            struct terse_error *error);
/* The same with revision 0. */
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
/* A new string, or NULL. */
char *client_strndup(struct terse_str s);

#endif
