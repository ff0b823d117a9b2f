/*
 * login.h: a login for a client that speaks XEP-0388, at a server that does
 * not: classic SASL, then binding and all that the client asked for, in steps
 * that it does not see. With the session's lock.
 */
#ifndef PROXY_LOGIN_H
#define PROXY_LOGIN_H

#include "proxy/sasl2.h"
#include "proxy/session.h"

/* What the login waits for. */
enum login_step {
    LOGIN_IDLE,     /* the client's <authenticate/> */
    LOGIN_AUTH,     /* SASL */
    LOGIN_JUMP,     /* our own timer: to the session that was held */
    LOGIN_FEATURES, /* the server's, of the second stream */
    LOGIN_RESUME,
    LOGIN_BIND,
    LOGIN_EXTRAS, /* the session, carbons */
    LOGIN_ENABLE,
};

/* From the client's <authenticate/> until it is logged in. */
struct login {
    struct sasl2 sasl;
    enum login_step step;
    bool spoke;             /* the client's first message of SASL has come */
    bool tried;             /* <auth/> was sent for what stands in sasl, */
    bool mixed;             /* and for another user, or for one unknown, too */
    char names[SASL2_NAME]; /* the user of earlier tries, or "" */
    char *success;          /* the server's additional data, or NULL */
    char jid[3072];         /* as it was bound, or "" */
    char sm_id[SASL2_ID];   /* of <enabled/>, as the client gets it */
    uint32_t sm_max, sm_h;
    bool has_session, has_sm, has_csi, carbons_on;
    bool resumed, resume_failed, enabled, enable_failed;
    unsigned extras;           /* answers that are still to come */
    uint32_t early;            /* stanzas that came before <enabled/> */
    struct terse_buf features; /* a frame, for behind <success/> */
    struct net_timer *jump;
};

/* The features before login: offers XEP-0388 too. TERSE_OK, or the session has
 * failed. */
TERSE_NODISCARD enum terse_err login_features(struct session *s,
                                              struct terse_node *node);
/* An element of XEP-0388 from the client, which the server must not see. */
void login_from_client(struct session *s, const struct terse_frame_info *info,
                       const uint8_t *frame, size_t n);
/* A token in the client's first flight: true, if the session that it is for may
 * be here, which will be known soon. */
bool login_early(struct session *s, const uint8_t *frame, size_t n);
/* An element of XEP-0388 from the client, to a server that speaks it itself: it
 * passes, but what goes along with it is to be known here. */
void login_watch(struct session *s, const struct terse_frame_info *info,
                 const uint8_t *frame, size_t n);
/* That server's <success/>; or that of a login without XEP-0388. */
void login_watched(struct session *s, const struct terse_node *success);
/* An element of the server's while the login is under way. True: it is dealt
 * with; the session may have failed. */
bool login_from_server(struct session *s, struct terse_node *node);
/* The session that the client meant is not here. */
void login_not_held(struct session *s);
void login_fini(struct session *s);

/* Queues frames for our own XML, behind a header if there was none. */
NET_NODISCARD bool login_say(struct session *s, const struct terse_buf *xml);

#endif
