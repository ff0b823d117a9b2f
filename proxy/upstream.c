/*
 * upstream.c: a session's stream to the XMPP server. With STARTTLS there are
 * two streams, and the client sees only the second: the first has a header of
 * our own, without the client's JID, and ends with <proceed/>.
 */
#include "proxy/session.h"

#include <stdio.h>
#include <string.h>

#include "bridge/log.h"
#include "proxy/door.h"
#include "proxy/login.h"
#include "proxy/refusal.h"
#include "proxy/stream.h"

#define NS_COMPRESS_FEATURE "http://jabber.org/features/compress"
#define NS_SASL_CB "urn:xmpp:sasl-cb:0"

static enum terse_err back_event(void *arg, enum terse_event event,
                                 struct terse_node *node);
static void dial(struct session *s);

/* ---- to the client ----------------------------------------------------------
 */

/* Passes one event on as a frame. TERSE_OK, or the session has failed. */
static enum terse_err pass(struct session *s, enum terse_event event,
                           const struct terse_node *node) {
    struct terse_error error = {0};
    enum net_err err = frame_leg_encode(&s->front, event, node, &error);

    if (err == NET_EFULL) {
        session_over(s, LIMIT_QUEUE, "resource-constraint",
                     "write_queue: far too much waits for the client.");
        return TERSE_ENOMEM;
    }
    if (err) {
        session_fail(s, bridge_net_condition(err), net_strerror(err));
        return TERSE_ENOMEM;
    }
    if (error.code) {
        session_fail_error(s, &error, "server");
        return error.code;
    }
    s->frames_out++;
    metrics_add(&s->server->metrics, METRIC_FRAMES_OUT, 1);
    return TERSE_OK;
}

/* Lets the client see the header of the first stream after all. */
static bool pass_held(struct session *s) {
    enum net_err err = NET_OK;

    if (s->held.len) {
        err = frame_leg_write(&s->front, terse_buf_data(&s->held), s->held.len);
        s->front.opened = true;
        terse_buf_fini(&s->held);
    }
    if (err)
        session_fail(s, bridge_net_condition(err), net_strerror(err));
    return !err;
}

/* ---- features
 * ----------------------------------------------------------------- */

/* SASL mechanisms bound to the TLS channel, which ends here. */
static void strip_plus(struct terse_node *parent) {
    struct terse_node *child, *next;

    for (child = terse_node_child(parent); child; child = next) {
        struct terse_str text, name = terse_node_name(child);
        bool plus = name.n == 9 && memcmp(name.p, "mechanism", 9) == 0 &&
                    terse_node_text(child, &text) && text.n >= 5 &&
                    memcmp(text.p + text.n - 5, "-PLUS", 5) == 0;

        next = terse_node_next(child);
        if (plus || terse_node_is(child, NS_SASL_CB, "sasl-channel-binding"))
            terse_node_remove(parent, child);
    }
}

/* Takes out of the features what cannot work through this hop. */
static void strip_features(struct terse_node *features) {
    struct terse_node *child, *next;

    for (child = terse_node_child(features); child; child = next) {
        next = terse_node_next(child);
        if (terse_node_is(child, BRIDGE_NS_TLS, "starttls") ||
            terse_node_is(child, NS_COMPRESS_FEATURE, "compression") ||
            terse_node_is(child, NS_SASL_CB, "sasl-channel-binding"))
            terse_node_remove(features, child);
        else if (terse_node_is(child, BRIDGE_NS_SASL, "mechanisms") ||
                 terse_node_is(child, BRIDGE_NS_SASL2, "authentication"))
            strip_plus(child);
    }
}

static bool offers_tls(const struct terse_node *features) {
    struct terse_node *child = terse_node_child(features);

    while (child && !terse_node_is(child, BRIDGE_NS_TLS, "starttls"))
        child = terse_node_next(child);
    return child != NULL;
}

/* ---- the first stream
 * ------------------------------------------------------------ */

/* Features in clear: whether to go on with TLS. */
static enum terse_err probe_features(struct session *s,
                                     struct terse_node *node) {
    if (offers_tls(node)) {
        if (!session_move(s, EVENT_OFFER))
            return TERSE_ESTREAM;
        xml_leg_say(&s->back, "<starttls xmlns='" BRIDGE_NS_TLS "'/>");
        return TERSE_OK;
    }
    if (s->domain->starttls == STARTTLS_REQUIRED) {
        session_fail(s, "remote-connection-failed",
                     "The server offers no STARTTLS, and TLS is required.");
        return TERSE_ESTREAM;
    }
    /* This stream becomes the client's, with the header we sent for it. */
    if (!session_move(s, EVENT_NO_OFFER) || !pass_held(s))
        return TERSE_ESTREAM;
    strip_features(node);
    return login_features(s, node);
}

static enum terse_err begin_tls(struct session *s) {
    enum net_err err;

    if (!session_move(s, EVENT_PROCEED))
        return TERSE_ESTREAM;
    err = net_conn_secure(s->back.conn, s->domain->tls, s->domain->name);
    if (!err)
        return TERSE_OK;
    session_fail(s, "remote-connection-failed", net_strerror(err));
    return TERSE_ENOMEM;
}

/* An element of the first stream. */
static enum terse_err probe_element(struct session *s,
                                    struct terse_node *node) {
    if (terse_node_is(node, TERSE_NS_STREAM, "error")) {
        if (!session_move(s, EVENT_SERVER_ERROR) || !pass_held(s))
            return TERSE_ESTREAM;
        s->server_error = true;
        return pass(s, TERSE_ELEMENT, node);
    }
    if (s->state == STATE_PROBING &&
        terse_node_is(node, TERSE_NS_STREAM, "features"))
        return probe_features(s, node);
    if (s->state == STATE_ASKING &&
        terse_node_is(node, BRIDGE_NS_TLS, "proceed"))
        return begin_tls(s);
    session_fail(s, "remote-connection-failed",
                 s->state == STATE_ASKING
                     ? "The server refused STARTTLS."
                     : "The server's answer makes no sense.");
    return TERSE_ESTREAM;
}

/* ---- events of the XML reader
 * ----------------------------------------------------- */

static enum terse_err back_open(struct session *s,
                                const struct terse_node *node) {
    struct terse_error error = {0};

    if (!session_move(s, EVENT_SERVER_OPEN))
        return TERSE_ESTREAM;
    if (s->state == STATE_BINDING)
        return TERSE_OK; /* the client's stream goes on */
    if (s->state != STATE_PROBING)
        return pass(s, TERSE_OPEN, node);
    if (!terse_encode(s->bridge.schema, s->bridge.limits, TERSE_OPEN, node,
                      &s->held, &error))
        return TERSE_OK;
    session_fail_error(s, &error, "server");
    return error.code;
}

/* Who guesses passwords is to be found in the log, since it is our address that
 * the server sees. A line for each connection, however often it tries. */
static void note_refused(struct session *s, const struct terse_node *node) {
    if (s->state != STATE_LOGIN ||
        (!terse_node_is(node, BRIDGE_NS_SASL, "failure") &&
         !terse_node_is(node, BRIDGE_NS_SASL2, "failure")))
        return;
    metrics_add(&s->server->metrics, METRIC_LOGINS_REFUSED, 1);
    if (!s->refused)
        log_event(LOG_INFO, s->id, "login-refused", "peer", s->peer, "domain",
                  s->domain->name, NULL);
    s->refused = true;
}

static enum terse_err back_element(struct session *s, struct terse_node *node) {
    enum event event = EVENT_SERVER_ELEMENT;
    enum terse_err err;

    if (s->state == STATE_PROBING || s->state == STATE_ASKING)
        return probe_element(s, node);
    if (terse_node_is(node, TERSE_NS_STREAM, "error"))
        event = EVENT_SERVER_ERROR;
    else if (terse_node_is(node, BRIDGE_NS_SASL, "success") && s->login &&
             s->login->step == LOGIN_AUTH)
        event = EVENT_SERVER_ELEMENT; /* the client hears of it later */
    else if (terse_node_is(node, BRIDGE_NS_SASL, "success"))
        event = EVENT_SUCCESS;
    else if (terse_node_is(node, BRIDGE_NS_SASL2, "success"))
        event = EVENT_SUCCESS2;
    if (!session_move(s, event))
        return TERSE_ESTREAM;
    note_refused(s, node);
    if (event == EVENT_SERVER_ERROR && s->state == STATE_RESUMING) {
        /* Who comes back has heard nothing yet, not even a header. */
        session_fail(s, "remote-connection-failed",
                     "The server has ended the session.");
        return TERSE_ESTREAM;
    }
    if ((s->login && login_from_server(s, node)) || stream_from_server(s, node))
        return s->state == STATE_OVER ? TERSE_ESTREAM : TERSE_OK;
    if (terse_node_is(node, TERSE_NS_STREAM, "features")) {
        strip_features(node);
        if (s->state == STATE_LOGIN)
            return login_features(s, node);
    }
    if (event == EVENT_SUCCESS || event == EVENT_SUCCESS2)
        login_watched(s, node);
    err = stream_pass(s, node);
    s->server_error |= event == EVENT_SERVER_ERROR;
    if (!err && event == EVENT_SUCCESS)
        terse_reader_restart(s->back.reader);
    return err;
}

/* The server's XML cannot be gone on with. */
static void refuse_xml(struct session *s, const struct terse_error *error) {
    char text[300];

    snprintf(text, sizeof(text), "The server's XML was refused: %s",
             error->text);
    if (error->code == TERSE_ELIMIT)
        session_over(s, LIMIT_STANZA, terse_err_condition(error->code), text);
    else
        session_fail(s,
                     error->code == TERSE_ENOMEM ? "resource-constraint"
                                                 : "remote-connection-failed",
                     text);
}

static enum terse_err back_refused(struct session *s,
                                   const struct terse_node *node) {
    const struct terse_error *error = terse_reader_error(s->back.reader);
    enum terse_err err;

    if (refusal_pass(s, node, error, &err))
        return err;
    refuse_xml(s, error);
    return TERSE_ESTREAM;
}

static enum terse_err back_event(void *arg, enum terse_event event,
                                 struct terse_node *node) {
    struct session *s = arg;

    if (s->state == STATE_OVER)
        return TERSE_ESTREAM;
    switch (event) {
    case TERSE_OPEN:
        return back_open(s, node);
    case TERSE_ELEMENT:
        return back_element(s, node);
    case TERSE_REFUSED:
        return back_refused(s, node);
    default:
        /* The footer answers ours, or comes first; either way that is all. */
        if (!pass_held(s) || !session_move(s, EVENT_SERVER_CLOSE))
            return TERSE_ESTREAM;
        session_close(s);
        return TERSE_OK;
    }
}

/* ---- events of the connection
 * -------------------------------------------------------- */

static void back_data(void *arg, const uint8_t *p, size_t n) {
    struct session *s = arg;
    enum terse_err err;

    metrics_add(&s->server->metrics, METRIC_SERVER_BYTES_IN, (long)n);
    s->back_heard = server_now();
    s->pulse_asked = false;
    err = xml_leg_feed(&s->back, p, n);
    if (err && s->state != STATE_OVER)
        refuse_xml(s, terse_reader_error(s->back.reader));
    session_go_on(s);
}

static void back_drained(void *arg) { session_go_on(arg); }

static void back_secured(void *arg) {
    struct session *s = arg;
    char cipher[64];

    net_conn_cipher(s->back.conn, cipher);
    log_event(LOG_INFO, s->id, "secured", "cipher", cipher, NULL);
    terse_buf_fini(&s->held);
    terse_reader_restart(s->back.reader);
    if (!session_move(s, EVENT_SECURED))
        return;
    upstream_header(s);
    session_go_on(s);
}

static void back_closed(void *arg, enum net_err why, const char *text) {
    struct session *s = arg;
    char words[400];

    if (s->state == STATE_LEAVING || s->server_error) {
        session_close(s);
        return;
    }
    if (why == NET_ECERT)
        snprintf(words, sizeof(words),
                 "The server's certificate for %s is not good: %s.",
                 s->domain->name, text);
    else if (why == NET_EEOF || s->state > STATE_SECURING)
        snprintf(words, sizeof(words),
                 "The server closed the connection in mid-stream: %s.", text);
    else
        snprintf(words, sizeof(words), "No stream with the server: %s.", text);
    net_conn_close(s->back.conn, NET_CLOSE_ABORT, 0);
    s->back.conn = NULL;
    if (!pass_held(s))
        return;
    session_fail(s, "remote-connection-failed", words);
}

static const struct net_conn_ops back_ops = {back_data, back_drained,
                                             back_secured, back_closed};

/* ---- dialling
 * ----------------------------------------------------------------------- */

/* The header of the first stream, and of the only one if the server has no
 * STARTTLS. It does not tell who the client is. */
static void own_header(struct session *s) {
    char xml[BRIDGE_TEXT];

    bridge_header(xml, NULL, s->domain->name, NULL);
    xml_leg_say(&s->back, xml);
    s->back.opened = true;
}

void upstream_header(struct session *s) {
    struct terse_error error = {0};

    if (xml_leg_decode(&s->back, terse_buf_data(&s->open), s->open.len, &error))
        session_fail_error(s, &error, "client");
    else
        s->back.opened = true;
}

/* Whether the server answered, for /readyz. */
static void note_reached(struct session *s, bool reached) {
    int64_t now = (int64_t)(server_now() / 1000000) + 1;

    atomic_store(&s->domain->reached, reached ? now : -now);
    metrics_add(&s->server->metrics, METRIC_DIALS, 1);
    metrics_add(&s->server->metrics, METRIC_DIALS_FAILED, reached ? 0 : 1);
}

static void not_dialled(struct session *s, enum net_err err, const char *text) {
    char words[400];

    if (s->direct && s->domain->tls_how == TLS_ANY &&
        server_now() < s->dial_until) {
        log_event(LOG_DEBUG, s->id, "no-direct-tls", "text", text, NULL);
        s->direct = false;
        dial(s);
        return;
    }
    note_reached(s, false);
    snprintf(words, sizeof(words), "The server of %s cannot be reached: %s",
             s->domain->name, text);
    /* Without a descriptor the fault is ours. */
    session_fail(s,
                 err == NET_ENOMEM ? "resource-constraint"
                                   : "remote-connection-failed",
                 words);
}

/* TLS from the first byte, or a header in clear. */
static void begin_stream(struct session *s) {
    bool off = !s->direct && s->domain->starttls == STARTTLS_OFF;
    enum net_err err = NET_OK;

    if (!session_move(s, s->direct ? EVENT_CONNECTED_DIRECT
                         : off     ? EVENT_CONNECTED_OFF
                                   : EVENT_CONNECTED))
        return;
    if (s->direct)
        err = net_conn_secure(s->back.conn, s->domain->tls, s->domain->name);
    else if (off)
        upstream_header(s);
    else
        own_header(s);
    if (err)
        session_fail(s, "resource-constraint", net_strerror(err));
}

static void dialled(void *arg, enum net_err err, const char *text,
                    struct net_stream *stream) {
    struct session *s = arg;
    struct net_marks marks = bridge_marks(&s->bridge);

    s->dial = NULL;
    if (err) {
        not_dialled(s, err, text);
        return;
    }
    note_reached(s, true);
    if (xml_leg_init(&s->back, &s->bridge, back_event, s) ||
        net_conn_new(&s->back.conn, &s->owner, stream, &marks, &back_ops, s)) {
        net_stream_drop(stream);
        session_fail(s, "resource-constraint", NULL);
        return;
    }
    terse_reader_spare(s->back.reader);
    log_event(LOG_DEBUG, s->id, "connected", "tls",
              s->direct ? "direct" : "starttls", NULL);
    if (door_introduce(s->domain, s->front.conn, s->back.conn)) {
        session_fail(s, "resource-constraint", NULL);
        return;
    }
    begin_stream(s);
    session_go_on(s);
}

/* Looks for the server, the way of s->direct. */
static void dial(struct session *s) {
    const struct config_domain *d = s->domain;
    struct net_target target = {d->name, s->direct ? 5223 : 5222,
                                s->direct ? "_xmpps-client._tcp"
                                          : "_xmpp-client._tcp"};
    uint64_t now = server_now();
    uint32_t ms = 1;
    char host[256];
    enum net_err err = NET_OK;

    if (d->server) {
        err = net_parse_address(d->server, host, &target.port, target.port);
        target.host = host;
        target.service = NULL;
    } else if (d->tls_how == TLS_ANY && s->direct) {
        target.port = 0; /* only if SRV says so */
    }
    if (now < s->dial_until)
        ms = (uint32_t)((s->dial_until - now) / 1000 + 1);
    if (!err)
        err = net_dial_new(&s->dial, &s->owner, s->server->resolver, &target,
                           ms, dialled, s);
    if (err)
        session_fail(s, "resource-constraint", net_strerror(err));
}

void upstream_dial(struct session *s) {
    s->direct = s->domain->tls_how != TLS_STARTTLS;
    s->dial_until = server_now() + (uint64_t)s->config->connect_timeout * 1000;
    dial(s);
}
