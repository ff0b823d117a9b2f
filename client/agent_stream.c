/* agent_stream.c: a client's stanzas: counted, kept, acknowledged. */
#include <string.h>

#include <openssl/crypto.h>

#include "bridge/log.h"
#include "client/agent_session.h"
#include "client/client.h"

/* What one read of the client may put into a box that is all but full. */
enum { SLACK_STANZAS = 4096 };

void stream_init(struct agent_session *s) {
    const struct agent *agent = s->agent;

    phone_box_init(&s->phone.box, agent->box_stanzas + SLACK_STANZAS,
                   agent->box_bytes +
                       (size_t)agent->bridge.limits->frame_bytes * 2);
}

void stream_fini(struct agent_session *s) {
    phone_box_fini(&s->phone.box);
    net_timer_free(s->tell);
    net_timer_free(s->more);
    s->tell = s->more = NULL;
}

bool stream_full(const struct agent_session *s) {
    return s->phone.box.stanzas >= s->agent->box_stanzas ||
           s->phone.box.bytes >= s->agent->box_bytes;
}

static bool half_full(const struct agent_session *s) {
    return s->phone.box.sent >= s->agent->box_stanzas / 2 ||
           s->phone.box.bytes >= s->agent->box_bytes / 2;
}

/* ---- out
 * ------------------------------------------------------------------------ */

struct again {
    struct agent_session *s;
    struct terse_buf frame;
    enum terse_err err;
};

static void make_again(void *arg, struct terse_node *node) {
    struct again *again = arg;
    struct terse_error error = {0};

    again->err = frame_leg_make(&again->s->back, node,
                                frame_leg_revision(&again->s->back),
                                &again->frame, &error);
}

/* Queues a frame that was made for a tersed that knows more of the schemas than
 * this one does. */
static enum net_err write_older(struct agent_session *s, const uint8_t *frame,
                                size_t n) {
    struct again again = {.s = s};
    enum net_err err = NET_ENOMEM;

    terse_buf_init(&again.frame, s->back.bridge->limits->frame_bytes);
    if (words_visit(s->back.bridge, frame, n, make_again, &again) && !again.err)
        err = frame_leg_write(&s->back, terse_buf_data(&again.frame),
                              again.frame.len);
    terse_buf_fini(&again.frame);
    return err;
}

static bool send_one(struct agent_session *s, const uint8_t *frame, size_t n) {
    enum net_err err = frame_leg_revision(&s->back) < s->phone.revision
                           ? write_older(s, frame, n)
                           : frame_leg_write(&s->back, frame, n);

    if (err) {
        session_fail_net(s, err);
        return false;
    }
    phone_box_sent(&s->phone.box, s->phone.sm.on);
    phone_sm_sent(&s->phone.sm);
    return true;
}

/* Sends what waits in the box, as far as there is room. */
static bool send_box(struct agent_session *s) {
    const uint8_t *frame;
    bool sent = false;
    size_t n;

    while (s->linked && !net_conn_full(s->back.conn) &&
           (frame = phone_box_peek(&s->phone.box, &n))) {
        if (!send_one(s, frame, n))
            return false;
        sent = true;
    }
    if (sent)
        link_doubt(s);
    return true;
}

static void tell(void *arg) { session_go_on(arg); }

static void gathered(void *arg) {
    struct agent_session *s = arg;

    s->gather_by = 0;
    session_go_on(s);
}

/* A stanza goes to tersed: is there time for another? */
static void gather(struct agent_session *s, enum bridge_slight how) {
    if (how == BRIDGE_SAYS || s->state != AGENT_UP ||
        (!s->more && net_timer_new(&s->more, &s->owner, gathered, s))) {
        s->urgent = true;
    } else if (!s->gather_by) {
        s->gather_by = session_now() + s->agent->gather_ms;
        net_timer_set(s->more, s->agent->gather_ms);
    }
}

bool stream_gathers(struct agent_session *s) {
    if (s->gather_by && !s->urgent && s->state == AGENT_UP &&
        session_now() < s->gather_by)
        return true;
    s->gather_by = 0;
    s->urgent = false;
    return false;
}

static void put(struct agent_session *s, const struct terse_node *node) {
    uint32_t revision =
        s->linked ? frame_leg_revision(&s->back) : s->phone.revision;
    struct terse_error error = {0};
    struct terse_buf frame;
    enum terse_err err;

    terse_buf_init(&frame, s->back.bridge->limits->frame_bytes);
    err = frame_leg_make(&s->back, node, revision, &frame, &error);
    if (!err)
        err = phone_box_put(&s->phone.box, terse_buf_data(&frame), frame.len,
                            true, NULL);
    terse_buf_fini(&frame);
    if (revision > s->phone.revision)
        s->phone.revision = revision;
    if (err && error.code)
        session_fail_error(s, &error);
    else if (err)
        session_fail(s, "resource-constraint", NULL);
    else if (s->state == AGENT_UP)
        send_box(s);
    gather(s, bridge_slight(node));
}

/* ---- from the client
 * ------------------------------------------------------------------ */

static bool asks_for_session(const struct terse_node *node) {
    char type[8];

    return terse_node_is(node, TERSE_NS_CLIENT, "iq") &&
           phone_child(node, CLIENT_NS_SESSION, "session") &&
           phone_attr(node, "type", type, sizeof(type)) &&
           strcmp(type, "set") == 0;
}

static void answer(struct agent_session *s, const struct terse_node *iq) {
    struct terse_buf xml;

    terse_buf_init(&xml, BRIDGE_TEXT * 4);
    session_say(s, &xml, words_result(&xml, iq, NULL));
}

/* Stream management is ours towards tersed; none was offered to the client. */
static void refuse(struct agent_session *s, const struct terse_node *node) {
    if (terse_str_is(terse_node_name(node), "enable") ||
        terse_str_is(terse_node_name(node), "resume"))
        xml_leg_say(&s->front,
                    "<failed xmlns='" PHONE_NS_SM "'><feature-not-implemented "
                    "xmlns='" CLIENT_NS_STANZAS "'/></failed>");
}

/* Whatever else there is belongs to one connection. */
static void pass(struct agent_session *s, const struct terse_node *node) {
    struct terse_error error = {0};
    enum net_err err;

    if (s->state != AGENT_UP || !s->linked || !send_box(s))
        return;
    s->urgent = true;
    err = frame_leg_encode(&s->back, TERSE_ELEMENT, node, &error);
    if (err)
        session_fail_net(s, err);
    else if (error.code)
        session_fail_error(s, &error);
}

void stream_from_client(struct agent_session *s, struct terse_node *node) {
    struct terse_str name = terse_node_name(node), ns = terse_node_ns(node);

    if (terse_str_is(ns, PHONE_NS_SM)) {
        refuse(s, node);
    } else if (asks_for_session(node)) {
        answer(s, node);
    } else if (terse_str_is(ns, TERSE_NS_CLIENT) &&
               (terse_str_is(name, "message") ||
                terse_str_is(name, "presence") || terse_str_is(name, "iq"))) {
        put(s, node);
    } else {
        if (terse_str_is(ns, PHONE_NS_CSI)) {
            s->phone.inactive = terse_str_is(name, "inactive");
            link_doubt(s);
        }
        pass(s, node);
    }
}

/* ---- from tersed
 * ---------------------------------------------------------------------- */

static void acked(struct agent_session *s, const uint8_t *frame, size_t n) {
    uint32_t h, more;

    if (!phone_frame_count(s->back.bridge->schema, frame, n, &h) ||
        !phone_sm_acked(&s->phone.sm, h, &more) ||
        !phone_box_acked(&s->phone.box, more)) {
        session_fail(s, "undefined-condition",
                     "The proxy acknowledges what it was not sent.");
        return;
    }
    s->phone.box_asked = false;
}

static void say_ack(struct agent_session *s, uint32_t h) {
    uint8_t frame[8];
    size_t n = words_ack(frame, h);
    enum net_err err = frame_leg_write(&s->back, frame, n);

    if (err)
        session_fail_net(s, err);
}

/* What the client's connection has taken, as far as one can know. */
static void note_handled(struct agent_session *s) {
    if (s->front.conn && net_conn_queued(s->front.conn) == 0)
        s->phone.handled = s->phone.sm.in;
}

static void management(struct agent_session *s,
                       const struct terse_frame_info *info,
                       const uint8_t *frame, size_t n) {
    if (terse_str_is(info->name, "a")) {
        acked(s, frame, n);
    } else if (terse_str_is(info->name, "r") && s->phone.sm.on) {
        note_handled(s);
        say_ack(s, phone_sm_answer(&s->phone.sm, s->phone.handled));
    }
}

struct erring {
    char condition[64];
};

static void read_error(void *arg, struct terse_node *node) {
    struct erring *erring = arg;
    struct terse_str text;

    client_condition(node, CLIENT_NS_STREAMS, erring->condition, &text);
}

/* Whether a stream error ends the connection and not the session: a tersed that
 * stops, or has lost its server, leaves it to the server, who wants the
 * password; one that heard nothing of us still has it. */
static bool may_return(struct agent_session *s, const uint8_t *frame,
                       size_t n) {
    static const char *const leave[] = {"system-shutdown",
                                        "remote-connection-failed", "reset"};
    struct erring erring = {""};

    if (s->state == AGENT_LEAVING || !link_may_return(s) ||
        !words_visit(s->back.bridge, frame, n, read_error, &erring))
        return false;
    if (strcmp(erring.condition, "connection-timeout") == 0)
        return true;
    if (strcmp(erring.condition, "conflict") == 0)
        return link_may_be_stale(s);
    for (size_t i = 0; i < sizeof(leave) / sizeof(leave[0]); i++)
        if (strcmp(erring.condition, leave[i]) == 0)
            return s->phone.secret != NULL;
    return false;
}

static void stream_error(struct agent_session *s, const uint8_t *frame,
                         size_t n) {
    if (may_return(s, frame, n)) {
        link_lost(s, NET_ECLOSED, "The proxy has ended the stream.");
        return;
    }
    s->error_passed = true;
    session_pass(s, frame, n);
}

void stream_from_proxy(struct agent_session *s,
                       const struct terse_frame_info *info,
                       const uint8_t *frame, size_t n) {
    if (info->kind == TERSE_OPEN) {
        session_fail(s, "bad-format", "A second header from the proxy.");
    } else if (terse_str_is(info->ns, PHONE_NS_SM)) {
        management(s, info, frame, n);
    } else if (terse_str_is(info->ns, TERSE_NS_STREAM) &&
               terse_str_is(info->name, "error")) {
        stream_error(s, frame, n);
    } else if (terse_str_is(info->ns, TERSE_NS_STREAM) &&
               terse_str_is(info->name, "features") && s->phone.features_due) {
        s->phone.features_due = false;
    } else if (session_pass(s, frame, n) && phone_is_stanza(info)) {
        phone_sm_came(&s->phone.sm);
    }
}

bool stream_resumes(struct agent_session *s, uint32_t h) {
    uint32_t more;

    return phone_sm_resumed(&s->phone.sm, h, &more) &&
           phone_box_acked(&s->phone.box, more);
}

void stream_resumed(struct agent_session *s) {
    phone_box_rewind(&s->phone.box);
    s->phone.box_asked = false;
    s->phone.features_due = true;
    if (s->phone.inactive && !s->client_left) {
        struct terse_buf xml;
        bool good;

        terse_buf_init(&xml, BRIDGE_TEXT);
        good = client_cat(&xml, "<inactive xmlns='" PHONE_NS_CSI "'/>", NULL);
        session_tell(s, &xml, good ? TERSE_OK : TERSE_ENOMEM);
    }
}

/* ---- what is due
 * ---------------------------------------------------------------------- */

/* <a/> with what goes now anyway, or when it has waited. */
static void acknowledge(struct agent_session *s, bool riding) {
    struct phone_sm *sm = &s->phone.sm;
    uint64_t now = session_now();
    uint32_t h;

    note_handled(s);
    if (phone_sm_due(sm, s->phone.handled, now, s->agent->ack_ms, riding, &h))
        say_ack(s, h);
    else if (sm->tell_by &&
             (s->tell || !net_timer_new(&s->tell, &s->owner, tell, s)))
        net_timer_set(s->tell,
                      sm->tell_by > now ? (uint32_t)(sm->tell_by - now) : 1);
}

/* <r/> only where waiting for tersed to say so would hold the client up. */
static void ask(struct agent_session *s) {
    uint8_t frame[2];
    enum net_err err;

    if (!s->phone.sm.on || s->phone.box_asked || !s->phone.box.sent ||
        !half_full(s))
        return;
    s->phone.box_asked = true;
    err = frame_leg_write(&s->back, frame, words_request(frame));
    if (err)
        session_fail_net(s, err);
}

/* The client has left: so do we, behind all that it sent. */
static void leave(struct agent_session *s) {
    char xml[BRIDGE_TEXT];
    size_t n;

    if (s->close_said || phone_box_peek(&s->phone.box, &n))
        return;
    s->close_said = true;
    bridge_header(xml, NULL, NULL, NULL); /* not sent: there was one */
    strcat(xml, BRIDGE_FOOTER);
    if (s->back.opened && frame_leg_say(&s->back, xml))
        log_event(LOG_WARN, s->id, "unsaid", NULL);
}

void stream_turn(struct agent_session *s) {
    if ((s->state != AGENT_UP && s->state != AGENT_LEAVING) || s->transparent ||
        !s->linked)
        return;
    if (!send_box(s))
        return;
    if (s->state == AGENT_UP)
        ask(s);
    if (s->state != AGENT_OVER && s->phone.sm.on && !s->close_said)
        acknowledge(s,
                    s->back.sent != s->back_sent || s->state == AGENT_LEAVING);
    if (s->state == AGENT_LEAVING)
        leave(s);
    s->back_sent = s->back.sent;
}
