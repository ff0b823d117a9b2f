/*
 * agent_login.c: from the client's first header to its <bind/>. The client
 * speaks RFC 6120, tersed hears XEP-0388:
 *
 *   client                    agent                        tersed
 *   header               ──►
 *   header, features     ◄──  (from memory, if it can)
 *   <auth/>              ──►  header, <authenticate/> ──►
 *   <challenge/>         ◄──                          ◄──  header, features,
 *                                                          <challenge/>
 *   <response/>          ──►  <response/>             ──►
 *   <success/>           ◄──                          ◄──  <success/>, features
 *   header               ──►
 *   header, features     ◄──
 *   <bind/>              ──►
 *   its JID              ◄──
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

#include "bridge/log.h"
#include "client/agent_session.h"
#include "client/client.h"

/* Before all other features that the client gets after login. Who still asks
 * for a session gets one. */
#define MORE                                                                   \
    "<bind xmlns='" CLIENT_NS_BIND "'/><session xmlns='" CLIENT_NS_SESSION     \
    "'><optional/></session>"

enum { EARLY = 65536 };

/* A buffer that may have held a secret. */
static void wipe(struct terse_buf *buf) {
    if (buf->data)
        OPENSSL_cleanse(buf->data, buf->cap);
    terse_buf_fini(buf);
}

static void no_memory(struct agent_session *s) {
    session_fail(s, "resource-constraint", NULL);
}

/* ---- life
 * ----------------------------------------------------------------------- */

static bool login_new(struct agent_session *s) {
    struct agent_login *login = calloc(1, sizeof(*login));
    size_t frame = s->back.bridge->limits->frame_bytes;

    if (!login)
        return false;
    terse_buf_init(&login->header, frame);
    terse_buf_init(&login->auth, frame);
    terse_buf_init(&login->early, frame + EARLY);
    terse_buf_init(&login->features,
                   (size_t)s->back.bridge->limits->stanza_bytes + 4096);
    s->login = login;
    return true;
}

void login_free(struct agent_session *s) {
    struct agent_login *login = s->login;

    if (!login)
        return;
    s->login = NULL;
    terse_buf_fini(&login->header);
    terse_buf_fini(&login->features);
    wipe(&login->auth);
    wipe(&login->early);
    free(login);
}

/* ---- the first header
 * ------------------------------------------------------------------- */

static void answer_header(struct agent_session *s,
                          const struct terse_buf *features) {
    char header[BRIDGE_TEXT], id[24];
    struct terse_buf xml;
    enum terse_err err;

    snprintf(id, sizeof(id), "agent-%" PRIu64, s->id);
    bridge_header(header, s->asked, NULL, id);
    terse_buf_init(&xml, features->len + BRIDGE_TEXT);
    err = terse_buf_append(&xml, header, strlen(header));
    if (!err)
        err = terse_buf_append(&xml, terse_buf_data(features), features->len);
    s->front.opened = true;
    session_say(s, &xml, err);
}

static void recall(struct agent_session *s) {
    struct terse_buf xml;

    terse_buf_init(&xml, MEMORY_FEATURES);
    if (memory_recall(s->agent->memory, s->asked, &xml) &&
        session_move(s, AGENT_RECALLED)) {
        s->skip = true;
        answer_header(s, &xml);
    }
    terse_buf_fini(&xml);
}

void login_begin(struct agent_session *s, const struct terse_node *header) {
    struct terse_error error = {0};
    enum net_err err;

    if (!login_new(s)) {
        no_memory(s);
        return;
    }
    error.code = terse_encode(s->back.bridge->schema, s->back.bridge->limits,
                              TERSE_OPEN, header, &s->login->header, &error);
    if (error.code) {
        session_fail_error(s, &error);
        return;
    }
    s->back.opened = true;
    err = frame_leg_write(&s->back, terse_buf_data(&s->login->header),
                          s->login->header.len);
    if (err) {
        session_fail_net(s, err);
        return;
    }
    if (!s->transparent)
        recall(s);
    if (s->state != AGENT_GREETING || session_move(s, AGENT_FROM_CLIENT))
        link_dial(s);
}

/* What was held until there was something to send with it. */
static void release(struct agent_session *s) {
    enum net_err err;

    if (!s->linked || !s->back.holding)
        return;
    err = frame_leg_release(&s->back);
    if (err)
        session_fail_net(s, err);
}

void login_hurry(struct agent_session *s) {
    release(s);
    session_go_on(s);
}

/* ---- the client's elements
 * -------------------------------------------------------------- */

/* It is not clear yet what becomes of it. */
static void keep_early(struct agent_session *s, const struct terse_node *node) {
    struct terse_error error = {0};
    struct terse_buf frame;
    enum terse_err err;
    uint32_t n;

    terse_buf_init(&frame, s->back.bridge->limits->frame_bytes);
    err = frame_leg_make(&s->back, node, 1, &frame, &error);
    n = (uint32_t)frame.len;
    if (!err)
        err = terse_buf_append(&s->login->early, &n, sizeof(n));
    if (!err)
        err = terse_buf_append(&s->login->early, terse_buf_data(&frame), n);
    wipe(&frame);
    if (err && error.code)
        session_fail_error(s, &error);
    else if (err)
        session_fail(s, "policy-violation", NULL);
}

static char *copy(const char *s) { return *s ? strdup(s) : NULL; }

static void forget_device(struct agent_session *s) {
    if (s->phone.account)
        memory_give_device(s->agent->memory, s->phone.account, s->phone.slot);
    free(s->phone.account);
    s->phone.account = NULL;
}

/* Each account has its own devices, if we know whose it is. */
static bool take_device(struct agent_session *s) {
    char account[WORDS_NAME + sizeof(s->asked) + 1];

    forget_device(s);
    snprintf(account, sizeof(account), "%s@%s",
             s->phone.user ? s->phone.user : "", s->asked);
    if (!memory_take_device(s->agent->memory, account, s->phone.device,
                            &s->phone.slot))
        return false;
    s->phone.account = strdup(account);
    if (!s->phone.account)
        memory_give_device(s->agent->memory, account, s->phone.slot);
    return s->phone.account != NULL;
}

static void forget_secret(struct agent_session *s) {
    client_wipe_free(s->phone.secret);
    s->phone.secret = NULL;
}

/* Notes whose login it is, from SASL's first message; PLAIN's is all it takes
 * to log in again. */
static void note_user(struct agent_session *s, const char *data) {
    char user[WORDS_NAME];

    free(s->phone.user);
    s->phone.user = NULL;
    forget_secret(s);
    if (!bridge_sasl_user(s->login->mechanism, data, user))
        return;
    s->phone.user = copy(user);
    if (strcmp(s->login->mechanism, "PLAIN") == 0)
        s->phone.secret = copy(data);
}

static void say_authenticate(struct agent_session *s, const char *data) {
    struct phone_ask ask = {
        .mechanism = s->login->mechanism,
        .initial = *data ? data : NULL,
        .agent = s->phone.device,
        .bind = true,
        .tag = s->agent->tag,
        .sm = true,
        .wants_token = true,
    };
    struct terse_buf xml;

    terse_buf_init(&xml, WORDS_DATA + BRIDGE_TEXT * 2);
    session_tell(s, &xml, phone_authenticate(&xml, &ask));
}

static void authenticate(struct agent_session *s,
                         const struct terse_node *node) {
    struct agent_login *login = s->login;
    struct terse_error error = {0};
    char data[WORDS_DATA];

    if (login->asked ||
        !phone_attr(node, "mechanism", login->mechanism,
                    sizeof(login->mechanism)) ||
        !phone_text(node, data, sizeof(data))) {
        session_fail(s, "bad-format", "An <auth/> that makes no sense.");
        return;
    }
    login->asked = true;
    login->spoke = data[0] != '\0';
    note_user(s, data);
    if (!take_device(s) ||
        frame_leg_make(&s->back, node, 1, &login->auth, &error))
        no_memory(s);
    else
        say_authenticate(s, data);
    OPENSSL_cleanse(data, sizeof(data));
}

static void respond(struct agent_session *s, const struct terse_node *node) {
    struct terse_buf xml;
    char data[WORDS_DATA];

    if (!phone_text(node, data, sizeof(data))) {
        session_fail(s, "bad-format", "A <response/> that makes no sense.");
        return;
    }
    if (!s->login->spoke)
        note_user(s, data);
    s->login->spoke = true;
    terse_buf_init(&xml, WORDS_DATA + BRIDGE_TEXT);
    session_tell(s, &xml, words_response(&xml, data));
    OPENSSL_cleanse(data, sizeof(data));
}

static void abort_sasl(struct agent_session *s) {
    struct terse_buf xml;
    bool good;

    terse_buf_init(&xml, BRIDGE_TEXT);
    good = client_cat(&xml, "<abort xmlns='" BRIDGE_NS_SASL2 "'/>", NULL);
    session_tell(s, &xml, good ? TERSE_OK : TERSE_ENOMEM);
}

/* In-band registration, for one. */
static void pass(struct agent_session *s, const struct terse_node *node) {
    struct terse_error error = {0};
    enum net_err err = frame_leg_encode(&s->back, TERSE_ELEMENT, node, &error);

    if (err)
        session_fail_net(s, err);
    else if (error.code)
        session_fail_error(s, &error);
}

static void login_element(struct agent_session *s,
                          const struct terse_node *node) {
    if (terse_node_is(node, BRIDGE_NS_SASL, "auth"))
        authenticate(s, node);
    else if (terse_node_is(node, BRIDGE_NS_SASL, "response") && s->login->asked)
        respond(s, node);
    else if (terse_node_is(node, BRIDGE_NS_SASL, "abort") && s->login->asked)
        abort_sasl(s);
    else
        pass(s, node);
    release(s);
}

/* ---- after login
 * ------------------------------------------------------------------ */

static void reopen(struct agent_session *s) {
    s->login->header_due = !s->login->features.len;
    if (!s->login->header_due && session_move(s, AGENT_REOPENED))
        answer_header(s, &s->login->features);
}

static void bind(struct agent_session *s, const struct terse_node *node) {
    struct terse_buf xml;
    char type[8];

    if (!terse_node_is(node, TERSE_NS_CLIENT, "iq") ||
        !phone_child(node, CLIENT_NS_BIND, "bind") ||
        !phone_attr(node, "type", type, sizeof(type)) ||
        strcmp(type, "set") != 0) {
        session_fail(s, "not-authorized", "First a resource has to be bound.");
        return;
    }
    terse_buf_init(&xml, PHONE_JID * 6 + BRIDGE_TEXT);
    session_say(s, &xml, words_result(&xml, node, s->phone.jid));
    if (s->state == AGENT_OVER || !session_move(s, AGENT_BOUND))
        return;
    log_event(LOG_INFO, s->id, "bound", "resumable",
              link_may_return(s) ? "yes" : "no", NULL);
    login_free(s);
    if (!s->linked)
        link_lost(s, NET_ECLOSED, "lost during login");
}

void login_from_client(struct agent_session *s, enum terse_event event,
                       struct terse_node *node) {
    bool early = s->state == AGENT_DIALLING || s->state == AGENT_OFFER;

    if (event == TERSE_CLOSE) {
        s->login->early_close = early;
        session_move(s, AGENT_CLOSE);
        release(s);
    } else if (!session_move(s, AGENT_FROM_CLIENT)) {
        return;
    } else if (event == TERSE_OPEN) {
        if (s->state == AGENT_RESTART)
            reopen(s);
        else
            session_fail(s, "bad-format", "This is out of place here.");
    } else if (early) {
        keep_early(s, node);
    } else if (s->state == AGENT_LOGIN) {
        login_element(s, node);
    } else if (s->state == AGENT_BINDING) {
        bind(s, node);
    } else {
        session_fail(s, "bad-format", "This is out of place here.");
    }
}

/* ---- tersed's features
 * -------------------------------------------------------------- */

struct offer {
    struct agent_session *s;
    bool good; /* of a tersed that holds sessions */
    const char *more;
    struct terse_buf xml; /* for the client */
    enum terse_err err;
};

static void read_offer(void *arg, struct terse_node *node) {
    struct offer *offer = arg;

    offer->good = words_offered(node);
    if (offer->good || *offer->more)
        offer->err = words_features(offer->s->back.bridge, node, offer->more,
                                    &offer->xml);
}

static bool look_at(struct offer *offer, struct agent_session *s,
                    const char *more, const uint8_t *frame, size_t n) {
    memset(offer, 0, sizeof(*offer));
    offer->s = s;
    offer->more = more;
    terse_buf_init(&offer->xml,
                   (size_t)s->back.bridge->limits->stanza_bytes + 4096);
    if (words_visit(s->back.bridge, frame, n, read_offer, offer) && !offer->err)
        return true;
    terse_buf_fini(&offer->xml);
    session_fail(s, "undefined-condition",
                 "The proxy's features make no sense.");
    return false;
}

static void early_element(void *arg, struct terse_node *node) {
    struct agent_session *s = arg;

    if (s->login && s->state != AGENT_OVER)
        login_from_client(s, TERSE_ELEMENT, node);
}

/* It is clear now: a login of ours, or all passes. */
static void replay(struct agent_session *s) {
    struct terse_buf early = s->login->early;
    bool close = s->login->early_close;
    struct terse_error error = {0};
    enum net_err err = NET_OK;
    uint32_t n;

    terse_buf_init(&s->login->early, early.max);
    for (size_t at = 0; !err && at < early.len && s->state != AGENT_OVER;
         at += n) {
        const uint8_t *p = terse_buf_data(&early) + at + sizeof(n);

        memcpy(&n, p - sizeof(n), sizeof(n));
        at += sizeof(n);
        if (s->transparent)
            err = frame_leg_write(&s->back, p, n);
        else if (!words_visit(s->back.bridge, p, n, early_element, s))
            err = NET_ENOMEM;
    }
    wipe(&early);
    if (err)
        session_fail_net(s, err);
    if (!close || s->state == AGENT_OVER || !session_move(s, AGENT_CLOSE) ||
        !s->transparent)
        return;
    s->close_said = true;
    err = frame_leg_encode(&s->back, TERSE_CLOSE, NULL, &error);
    if (err)
        session_fail_net(s, err);
}

static void learn(struct agent_session *s, const struct terse_buf *xml) {
    memory_learn(s->agent->memory, s->asked, (const char *)terse_buf_data(xml),
                 xml->len);
}

/* No tersed that holds sessions: from here on all passes as it is. */
static void pass_all(struct agent_session *s) {
    log_event(LOG_INFO, s->id, "transparent", NULL);
    memory_forget(s->agent->memory, s->asked);
    s->transparent = true;
}

/* The features that the client has are not true any more, and <authenticate/>
 * has gone to who does not know it. So once more from the start, and this time
 * what the client said as it said it. */
static void start_over(struct agent_session *s) {
    enum net_err err;

    pass_all(s);
    if (!session_move(s, AGENT_NOT_OFFERED))
        return;
    frame_leg_close(&s->back, NET_CLOSE_ABORT, 0);
    s->linked = false;
    frame_leg_fini(&s->back);
    frame_leg_init(&s->back, &s->agent->bridge, NET_FRAMING_NATIVE, true);
    frame_leg_hold(&s->back);
    s->back.opened = true;
    err = frame_leg_write(&s->back, terse_buf_data(&s->login->header),
                          s->login->header.len);
    if (!err && s->login->asked)
        err = frame_leg_write(&s->back, terse_buf_data(&s->login->auth),
                              s->login->auth.len);
    s->skip = true;
    login_free(s);
    if (err)
        session_fail_net(s, err);
    else
        link_dial(s);
}

static void features(struct agent_session *s, const uint8_t *frame, size_t n) {
    struct offer offer;

    if (s->state == AGENT_LOGIN && !s->skip) {
        session_fail(s, "bad-format", "Features out of place.");
        return;
    }
    if (!look_at(&offer, s, "", frame, n))
        return;
    if (offer.good)
        learn(s, &offer.xml);
    if (s->state == AGENT_LOGIN) { /* the client has some, from memory */
        s->skip = false;
        terse_buf_fini(&offer.xml);
        if (!offer.good)
            start_over(s);
        return;
    }
    if (offer.good) {
        if (session_move(s, AGENT_OFFERED))
            session_say(s, &offer.xml, TERSE_OK);
    } else {
        terse_buf_fini(&offer.xml);
        pass_all(s);
        if (session_move(s, AGENT_NOT_OFFERED))
            session_pass(s, frame, n);
    }
    if (s->state == AGENT_OVER)
        return;
    replay(s);
    if (s->transparent)
        login_free(s);
}

/* The features of a client that is logged in. */
static void second_features(struct agent_session *s, const uint8_t *frame,
                            size_t n) {
    struct offer offer;

    if (!look_at(&offer, s, MORE, frame, n))
        return;
    terse_buf_fini(&s->login->features);
    s->login->features = offer.xml;
    if (s->login->header_due)
        reopen(s);
}

/* ---- tersed's answers
 * --------------------------------------------------------------- */

static void challenge(void *arg, struct terse_node *node) {
    struct agent_session *s = arg;
    struct terse_buf xml;
    char data[WORDS_DATA];

    if (!phone_text(node, data, sizeof(data))) {
        session_fail(s, "undefined-condition",
                     "The proxy's challenge makes no sense.");
        return;
    }
    terse_buf_init(&xml, WORDS_DATA + BRIDGE_TEXT);
    session_say(s, &xml, words_challenge(&xml, data));
}

static void failure(void *arg, struct terse_node *node) {
    struct agent_session *s = arg;
    struct terse_buf xml;

    s->login->asked = false;
    wipe(&s->login->auth);
    forget_secret(s);
    terse_buf_init(&xml, BRIDGE_TEXT * 2);
    session_say(s, &xml, words_failure(&xml, node));
}

/* What it takes to have the session back. */
static bool keep(struct agent_session *s, const struct phone_success *ok) {
    struct agent_phone *phone = &s->phone;

    phone->jid = copy(ok->jid);
    phone->id = copy(ok->id);
    phone->token = copy(ok->token);
    link_locate(s, ok->location);
    if (ok->enabled)
        phone_sm_begin(&phone->sm);
    return phone->jid && (phone->id || !ok->id[0]) &&
           (phone->token || !ok->token[0]);
}

static void success(void *arg, struct terse_node *node) {
    struct agent_session *s = arg;
    struct phone_success ok;
    struct terse_buf xml;

    if (!phone_read_success(node, &ok) || !ok.bound || !ok.jid[0]) {
        session_fail(s, "undefined-condition",
                     "The proxy has bound no resource.");
    } else if (!keep(s, &ok)) {
        no_memory(s);
    } else if (session_move(s, AGENT_SUCCESS)) {
        wipe(&s->login->auth);
        terse_buf_init(&xml, PHONE_DATA * 6 + BRIDGE_TEXT);
        session_say(s, &xml, words_success(&xml, ok.data));
        /* RFC 6120 section 6.4.6: the client begins a new stream. */
        terse_reader_restart(s->front.reader);
    }
    OPENSSL_cleanse(&ok, sizeof(ok));
}

static void sasl2(struct agent_session *s, const struct terse_frame_info *info,
                  const uint8_t *frame, size_t n) {
    void (*use)(void *, struct terse_node *) =
        terse_str_is(info->name, "challenge") ? challenge
        : terse_str_is(info->name, "success") ? success
                                              : failure;

    if (!s->login->asked)
        session_fail(s, "bad-format", "An answer that nobody asked for.");
    else if (!words_visit(s->back.bridge, frame, n, use, s) &&
             s->state != AGENT_OVER)
        session_fail(s, "undefined-condition",
                     "The proxy's answer makes no sense.");
}

void login_from_proxy(struct agent_session *s,
                      const struct terse_frame_info *info, const uint8_t *frame,
                      size_t n) {
    bool stream = terse_str_is(info->ns, TERSE_NS_STREAM);

    if (s->skip && s->state == AGENT_LEAVING &&
        (info->kind == TERSE_OPEN || stream))
        return;
    if (info->kind == TERSE_OPEN) {
        if (s->state != AGENT_OFFER && s->skip)
            return; /* the client has one */
        s->front.opened = true;
        session_pass(s, frame, n);
    } else if (stream && terse_str_is(info->name, "features") &&
               s->state != AGENT_LEAVING) {
        if (s->state == AGENT_RESTART)
            second_features(s, frame, n);
        else
            features(s, frame, n);
    } else if (s->state == AGENT_LOGIN &&
               terse_str_is(info->ns, BRIDGE_NS_SASL2)) {
        sasl2(s, info, frame, n);
    } else {
        s->error_passed |= stream && terse_str_is(info->name, "error");
        session_pass(s, frame, n);
    }
}
