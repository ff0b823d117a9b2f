/*
 * agent_session.h: the inside of one client's session. All of it is guarded by
 * owner.lock, but for the list.
 *
 *   agent_session.c  life, the two connections, what ends a session
 *   agent_login.c    from the client's first header to its <bind/>
 *   agent_stream.c   stanzas: counted, kept, acknowledged
 *   agent_link.c     the connection to tersed: made, lost, made again
 *   agent_words.c    XEP-0388 and RFC 6120 in each other's words
 */
#ifndef CLIENT_AGENT_SESSION_H
#define CLIENT_AGENT_SESSION_H

#include "client/agent.h"
#include "client/agent_words.h"

/* What only the login needs. */
struct agent_login {
    struct terse_buf header;   /* the client's, as a frame */
    struct terse_buf auth;     /* its <auth/>, until it is answered; wiped */
    struct terse_buf early;    /* frames that came before it was clear what
                                  becomes of them, each after its length */
    bool early_close;          /* and the footer */
    struct terse_buf features; /* after login, as XML for the client */
    bool header_due;           /* its new header waits for them */
    char mechanism[64];
    bool asked; /* <authenticate/> is not answered */
    bool spoke; /* SASL's first message, which names the user, was sent */
};

/* The session at tersed, which outlives its connection. */
struct agent_phone {
    struct phone_sm sm;
    struct phone_box box;
    uint32_t revision; /* of the schemas: the newest that the box has */
    uint32_t handled;  /* stanzas that the client's connection has taken */
    bool box_asked;    /* <r/> is sent, because the box is half full */
    bool inactive;     /* the client's state, by XEP-0352 */
    bool features_due; /* tersed's, after <resumed/>: not for the client */
    char *jid, *id;    /* XEP-0198's */
    char *user;        /* as SASL named it; NULL: not known */
    char *secret;      /* PLAIN's message, base64; NULL: another mechanism */
    char *token;       /* for the next time; NULL: none */
    bool by_token;     /* how the session is being taken back */
    unsigned home;     /* the proxy that it was with last */
    bool located;      /* it is held at `location`, and the token good there; */
    struct agent_proxy location; /* else both is so at home */
    char *account; /* of the device, at agent->memory; NULL: none */
    char device[MEMORY_DEVICE];
    unsigned slot;
    unsigned attempt; /* to connect, since the last connection */
    uint64_t until;   /* ms: then it is given up */
    uint64_t back_at; /* ms: when it was had back last */
};

struct agent_session {
    struct net_owner owner; /* first */
    struct agent *agent;
    struct agent_session *next, **prev; /* agent's list; agent.lock */
    bool listed;                        /* agent.lock */
    uint64_t id;
    enum agent_state state;
    bool transparent; /* all passes as it is */
    struct xml_leg front;
    struct frame_leg back;
    bool linked; /* back is connected, with TLS if there is to be any */
    struct net_dial *dial;
    unsigned proxy;          /* that is dialled, or spoken to; AGENT_LOCATION */
    unsigned tried;          /* of the proxies, before the first answer */
    struct net_timer *timer; /* of TLS, of a full queue, of leaving, … */
    struct net_timer *beat;  /* of silence towards and from tersed */
    struct net_timer *retry; /* of the next attempt to connect */
    struct net_timer *tell;  /* of an acknowledgement that waits */
    struct net_timer *more;  /* of what was written and may wait for more */
    uint64_t gather_by;      /* until then; 0: it may not */
    bool urgent;             /* some of it may not */
    uint64_t heard;          /* ms; from tersed */
    uint32_t silence;        /* ms that were waited for before the ping; 0:
                                nothing is learnt from it */
    uint64_t back_sent;      /* back.sent at the last turn */
    bool watching;
    size_t watch_front, watch_back;
    char asked[256];   /* the domain in the client's header */
    bool skip;         /* tersed's first header and features: the client has
                          some */
    bool client_left;  /* the client has sent its footer, or is gone */
    bool footer_said;  /* to the client */
    bool close_said;   /* to tersed */
    bool error_passed; /* tersed has sent a stream error */
    struct agent_login *login; /* until the client has bound its resource */
    struct agent_phone phone;
};

/* ---- agent_session.c
 * -------------------------------------------------------------- */

/* The one way to change state. False, and the session has failed, if the event
 * is out of place. */
bool session_move(struct agent_session *s, enum agent_event event);
/* A stream error to the client, a Close to tersed, and it is over. */
void session_fail(struct agent_session *s, const char *condition,
                  const char *text);
void session_fail_error(struct agent_session *s,
                        const struct terse_error *error);
void session_fail_net(struct agent_session *s, enum net_err err);
/* Both have said all there is to say. */
void session_close(struct agent_session *s);
/* The client is told that its stream is over; its session need not be. */
void session_part(struct agent_session *s);
/* Reads and sends what there is. At the end of each event. */
void session_go_on(struct agent_session *s);
/* Whether frames from tersed are wanted now. */
bool session_wants(const struct agent_session *s);
/* A frame from tersed for the client. False: the session has failed. */
bool session_pass(struct agent_session *s, const uint8_t *frame, size_t n);
/* XML for the client, which is wiped. */
void session_say(struct agent_session *s, struct terse_buf *xml,
                 enum terse_err err);
/* Elements for tersed, likewise. False: the session has failed. */
bool session_tell(struct agent_session *s, struct terse_buf *xml,
                  enum terse_err err);
uint64_t session_now(void);

/* ---- agent_login.c
 * ---------------------------------------------------------------- */

/* The client's first header. */
void login_begin(struct agent_session *s, const struct terse_node *header);
/* What comes from the client until it is bound; node NULL: its footer. */
void login_from_client(struct agent_session *s, enum terse_event event,
                       struct terse_node *node);
/* What comes from tersed until then. */
void login_from_proxy(struct agent_session *s,
                      const struct terse_frame_info *info, const uint8_t *frame,
                      size_t n);
/* Nothing came with the header: it goes alone. */
void login_hurry(struct agent_session *s);
void login_free(struct agent_session *s);

/* ---- agent_stream.c
 * --------------------------------------------------------------- */

void stream_init(struct agent_session *s);
void stream_fini(struct agent_session *s);
/* An element of a client that is bound. */
void stream_from_client(struct agent_session *s, struct terse_node *node);
/* A frame from tersed, since then. */
void stream_from_proxy(struct agent_session *s,
                       const struct terse_frame_info *info,
                       const uint8_t *frame, size_t n);
/* <resumed h='…'/>. False: h cannot be, so it is not where we left it. */
bool stream_resumes(struct agent_session *s, uint32_t h);
/* The session goes on: what tersed has not got goes again. */
void stream_resumed(struct agent_session *s);
/* At the end of an event: sends what waits, acknowledges. */
void stream_turn(struct agent_session *s);
/* Behind it: whether what was written to tersed may wait for more. */
bool stream_gathers(struct agent_session *s);
/* Enough waits for tersed: the client is read no more. */
bool stream_full(const struct agent_session *s);

/* ---- agent_link.c
 * ----------------------------------------------------------------- */

/* Begins to connect to s->proxy. */
void link_dial(struct agent_session *s);
/* The session is with whom we speak to. He may have said how to get back there;
 * "": he did not. */
void link_locate(struct agent_session *s, const char *location);
/* The connection is lost, or could not be made: makes another one, or the
 * session fails. */
void link_lost(struct agent_session *s, enum net_err why, const char *text);
/* Whether the session could be had back on a new connection. */
bool link_may_return(const struct agent_session *s);
/* The same, where the end may be that of a connection which the session had
 * before: a tersed that still held it may have been quicker to say yes than the
 * server was to tell it that the session had gone elsewhere meanwhile. */
bool link_may_be_stale(const struct agent_session *s);
/* What comes from tersed until it has given the session back. */
void link_from_proxy(struct agent_session *s,
                     const struct terse_frame_info *info, const uint8_t *frame,
                     size_t n);
/* The network has changed. */
void link_hint(struct agent_session *s);
/* Something may wait for tersed's answer: then it is to be asked before long.
 */
void link_doubt(struct agent_session *s);
void link_fini(struct agent_session *s);

#endif
