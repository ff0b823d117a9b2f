/* stream.c: see stream.h. */
#include "proxy/stream.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "bridge/log.h"
#include "proxy/hold.h"
#include "proxy/refusal.h"
#include "proxy/sasl2.h"
#include "proxy/session.h"

/* Of terse.Frame (schemas/xep0198.proto): <r/>, and <a/> before its h. */
enum { TAG_REQUEST = 0x20, TAG_ACK = 0x28 };
/* Of <handled-count-too-high/>, at most. */
enum { TOO_HIGH = 128 };

/* ---- elements
 * --------------------------------------------------------------------- */

static bool is_stanza(struct terse_str name, struct terse_str ns) {
    return terse_str_is(ns, TERSE_NS_CLIENT) &&
           (terse_str_is(name, "message") || terse_str_is(name, "presence") ||
            terse_str_is(name, "iq"));
}

static bool number(const char *p, size_t n, uint32_t *out) {
    uint64_t v = 0;

    if (n == 0 || n > 10)
        return false;
    for (size_t i = 0; i < n; i++) {
        if (p[i] < '0' || p[i] > '9')
            return false;
        v = v * 10 + (uint64_t)(p[i] - '0');
    }
    *out = (uint32_t)v;
    return v <= UINT32_MAX;
}

static bool frame_h(const struct session *s, const uint8_t *frame, size_t n,
                    uint32_t *h) {
    struct terse_buf value;
    bool found = false, good;

    terse_buf_init(&value, 64);
    good =
        !terse_frame_attr(s->bridge.schema, frame, n, "", "h", &value, &found);
    good = good && found &&
           number((const char *)terse_buf_data(&value), value.len, h);
    terse_buf_fini(&value);
    return good;
}

static bool node_h(const struct terse_node *node, uint32_t *h) {
    struct terse_str value;

    return terse_node_attr(node, "", "h", &value) &&
           number(value.p, value.n, h);
}

/* XEP-0198 section 6: h came, and no more than `sent` can be. */
static void too_high(char out[TOO_HIGH], uint32_t h, uint32_t sent) {
    snprintf(out, TOO_HIGH,
             "<handled-count-too-high xmlns='" NS_SM "' h='%" PRIu32
             "' send-count='%" PRIu32 "'/>",
             h, sent);
}

/* ---- from the client
 * -------------------------------------------------------------- */

static void client_acks(struct session *s, uint32_t h) {
    char more[TOO_HIGH];
    uint32_t n;

    if (sm_client_acks(&s->sm, h, &n)) {
        queue_acked(&s->queue, n);
        return;
    }
    too_high(more, h, s->sm.down + s->sm.skew);
    session_fail_more(s, "undefined-condition",
                      "There were not so many stanzas.", more);
}

/* What waits goes with this turn. */
static void hurry(struct session *s) { s->flush_by = s->queue.waiting ? 1 : 0; }

/* False: the server wants to know as well. */
static bool client_state(struct session *s, struct terse_str name) {
    bool active = terse_str_is(name, "active");

    if (!active && !terse_str_is(name, "inactive"))
        return false;
    s->inactive = !active;
    if (active)
        hurry(s);
    if (!s->own)
        return false;
    s->told_inactive = s->server_csi && !active;
    return !s->server_csi;
}

/* An id that we made has more in it than the server's: it gets its own. */
static bool client_resumes(struct session *s, const uint8_t *frame, size_t n) {
    char previd[SASL2_ID] = "", xml[BRIDGE_TEXT];
    struct terse_buf value;
    bool found = false;
    uint32_t skew = 0;

    sm_enable(&s->sm);
    s->resuming = frame_h(s, frame, n, &s->resume_h);
    terse_buf_init(&value, sizeof(previd) - 1);
    if (!terse_frame_attr(s->bridge.schema, frame, n, "", "previd", &value,
                          &found) &&
        found && value.len > 0)
        memcpy(previd, terse_buf_data(&value), value.len);
    terse_buf_fini(&value);
    if (previd[0] != '~' || !s->resuming)
        return false;
    skew = sasl2_id_read(previd);
    /* What is missing of those is lost, and will not be counted. */
    s->sm.skew = skew < s->resume_h ? skew : s->resume_h;
    s->resume_h = sasl2_h(s->resume_h, skew);
    snprintf(xml, sizeof(xml),
             "<resume xmlns='" NS_SM "' h='%" PRIu32 "' previd='", s->resume_h);
    bridge_escape(xml, sizeof(xml) - 4, previd);
    strcat(xml, "'/>");
    xml_leg_say(&s->back, xml);
    return true;
}

bool stream_from_client(struct session *s, const struct terse_frame_info *info,
                        const uint8_t *frame, size_t n) {
    uint32_t h = 0;

    if (is_stanza(info->name, info->ns)) {
        sm_up(&s->sm,
              !terse_frame_slight(frame, n)); /* behind <authenticate/>, too */
        return false;
    }
    if (s->state != STATE_UP)
        return false;
    if (terse_str_is(info->ns, NS_CSI))
        return client_state(s, info->name);
    if (!terse_str_is(info->ns, NS_SM))
        return false;
    if (terse_str_is(info->name, "enable")) {
        sm_enable(&s->sm);
    } else if (terse_str_is(info->name, "resume")) {
        return client_resumes(s, frame, n);
    } else if (s->sm.on && terse_str_is(info->name, "r")) {
        sm_client_asks(&s->sm);
        return true;
    } else if (s->sm.on && terse_str_is(info->name, "a")) {
        if (frame_h(s, frame, n, &h))
            client_acks(s, h);
        else
            session_fail(s, "bad-format", "An acknowledgement without h.");
        return true;
    }
    return false;
}

/* ---- from the server
 * ------------------------------------------------------------------ */

/* The server has gone on with a stream that the client had before. */
static void resumed(struct session *s, const struct terse_node *node) {
    uint32_t h, since = s->sm.up;

    if (!s->resuming || s->sm.on || !node_h(node, &h))
        return;
    s->resuming = false;
    sm_resumed(&s->sm, false, h, s->resume_h);
    sm_early(&s->sm, since);
}

static void server_too_high(struct session *s, uint32_t h) {
    char xml[BRIDGE_TEXT], more[TOO_HIGH];

    too_high(more, h, s->sm.up);
    snprintf(xml, sizeof(xml),
             "<stream:error><undefined-condition xmlns='" BRIDGE_NS_ERRORS
             "'/>%s</stream:error>" BRIDGE_FOOTER,
             more);
    xml_leg_say(&s->back, xml);
    s->footed = true;
    session_fail(s, "remote-connection-failed",
                 "The server acknowledges what it was not sent.");
}

bool stream_from_server(struct session *s, const struct terse_node *node) {
    struct terse_str name = terse_node_name(node);
    uint32_t h;

    if (!terse_str_is(terse_node_ns(node), NS_SM) ||
        (s->state != STATE_UP && s->state != STATE_HELD &&
         s->state != STATE_RESUMING))
        return false;
    if (terse_str_is(name, "enabled"))
        sm_enabled(&s->sm, false);
    else if (terse_str_is(name, "resumed"))
        resumed(s, node);
    else if (terse_str_is(name, "failed"))
        sm_failed(&s->sm);
    if (!s->sm.on)
        return false;
    if (terse_str_is(name, "r")) {
        sm_server_asks(&s->sm);
        return true;
    }
    if (!terse_str_is(name, "a"))
        return false;
    if (!node_h(node, &h))
        session_fail(s, "remote-connection-failed",
                     "The server's acknowledgement has no h.");
    else if (!sm_server_acks(&s->sm, h))
        server_too_high(s, h);
    return true;
}

/* ---- to the client
 * -------------------------------------------------------------------- */

static enum terse_err failed(struct session *s, enum net_err err,
                             const struct terse_error *error) {
    if (err == NET_EFULL) {
        session_over(s, LIMIT_QUEUE, "resource-constraint",
                     "write_queue: far too much waits for the client.");
        return TERSE_ENOMEM;
    }
    if (err) {
        session_fail(s, bridge_net_condition(err), net_strerror(err));
        return TERSE_ENOMEM;
    }
    if (error->code)
        session_fail_error(s, error, "server");
    return error->code;
}

/* For how long, in milliseconds, and how much: the operator says the most, the
 * client may say less. */
static uint32_t wait_ms(const struct session *s) {
    uint64_t said = (uint64_t)s->front.wait * 1000;

    return said < s->config->coalesce ? (uint32_t)said : s->config->coalesce;
}

static uint32_t wait_bytes(const struct session *s) {
    return s->front.wait_bytes < s->config->coalesce_bytes
               ? s->front.wait_bytes
               : s->config->coalesce_bytes;
}

static bool coalesces(const struct session *s) {
    return s->inactive && wait_ms(s);
}

/* Into the queue. What *error says is for the caller. */
static enum terse_err keep(struct session *s, const struct terse_node *node,
                           bool stanza, struct terse_error *error) {
    struct terse_buf frame;
    enum terse_err err;

    if (s->front.conn)
        s->revision = frame_leg_revision(&s->front);
    terse_buf_init(&frame, s->config->limits.frame_bytes);
    err = frame_leg_make(&s->front, node, s->revision, &frame, error);
    if (!err)
        err = queue_put(&s->queue, &frame, stanza);
    terse_buf_fini(&frame);
    if (err && !error->code)
        session_fail(s, "resource-constraint", "out of memory");
    return err;
}

enum terse_err stream_keep(struct session *s, const struct terse_node *node) {
    struct terse_error error = {0};
    enum terse_err err = keep(s, node, true, &error);

    if (error.code)
        session_fail_error(s, &error, "server");
    return err;
}

/* Sends all that waits. */
static enum terse_err flush(struct session *s) {
    struct terse_error none = {0};
    struct terse_str frame;
    enum net_err err = NET_OK;

    s->flush_by = 0;
    while (!err && queue_take(&s->queue, &frame))
        err = frame_leg_write(&s->front, frame.p, frame.n);
    return failed(s, err, &none);
}

bool stream_full(const struct session *s) {
    return s->queue.frames >= s->config->hold_stanzas ||
           s->queue.bytes >= s->config->hold_bytes;
}

/* A client that does not acknowledge is asked; if that does not help, it cannot
 * come back to this proxy, but it can to the server. */
static void bound(struct session *s) {
    if (!s->queue.keeps)
        return;
    if (stream_full(s))
        queue_keep_none(&s->queue);
    else if (s->queue.frames >= s->config->hold_stanzas / 2 ||
             s->queue.bytes >= s->config->hold_bytes / 2)
        sm_hurry(&s->sm);
}

/* A stanza is about to be written: is there time for another? */
static void gather(struct session *s, enum bridge_slight how) {
    if (!how || !s->own)
        s->urgent = true;
    else if (!s->gather_by)
        s->gather_by = server_now() + (uint64_t)s->config->gather * 1000;
}

bool stream_gathers(struct session *s) {
    if (s->gather_by && !s->urgent && s->state == STATE_UP && s->front.conn &&
        server_now() < s->gather_by)
        return true;
    s->gather_by = 0;
    s->urgent = false;
    return false;
}

/* A stanza that has no frame. It was counted: so is what stands in for it. */
static enum terse_err cannot(struct session *s, const struct terse_node *node,
                             const struct terse_error *error) {
    enum terse_err err;

    if (s->sm.on && !s->standing_in)
        s->sm.down--;
    if (!s->standing_in && refusal_pass(s, node, error, &err))
        return err;
    session_fail_error(s, error, "server");
    return error->code;
}

enum terse_err stream_pass(struct session *s, const struct terse_node *node) {
    bool stanza = is_stanza(terse_node_name(node), terse_node_ns(node));
    enum bridge_slight how =
        s->own || coalesces(s) ? bridge_slight(node) : BRIDGE_SAYS;
    bool waits = stanza && coalesces(s) && how == BRIDGE_STATE;
    struct terse_error error = {0};
    enum net_err err;

    if (!s->front.conn && !stanza)
        return TERSE_OK; /* of this connection, which is gone */
    s->frames_out++;
    metrics_add(&s->server->metrics, METRIC_FRAMES_OUT, 1);
    if (s->mobile && !s->queue.frames && s->sm.down_acked == s->sm.down)
        s->queue.keeps = true; /* nothing is missing any more */
    if (stanza)
        sm_down(&s->sm);
    if (!waits)
        gather(s, how);
    if (s->front.conn && !s->queue.keeps && !waits && !s->queue.frames) {
        err = frame_leg_encode(&s->front, TERSE_ELEMENT, node, &error);
        return stanza && !err && error.code ? cannot(s, node, &error)
                                            : failed(s, err, &error);
    }
    if (keep(s, node, stanza, &error))
        return !error.code ? TERSE_ENOMEM
               : stanza    ? cannot(s, node, &error)
                           : failed(s, NET_OK, &error);
    if (!s->front.conn || s->state == STATE_RESUMING)
        return TERSE_OK;
    bound(s);
    if (!waits)
        return flush(s);
    metrics_add(&s->server->metrics, METRIC_COALESCED, 1);
    if (!s->flush_by)
        s->flush_by = server_now() + (uint64_t)wait_ms(s) * 1000;
    return s->queue.waiting > wait_bytes(s) ? flush(s) : TERSE_OK;
}

void stream_client_state(struct session *s, bool active) {
    if (!s->own || !s->server_csi || active == !s->told_inactive)
        return;
    xml_leg_say(&s->back, active ? "<active xmlns='" NS_CSI "'/>"
                                 : "<inactive xmlns='" NS_CSI "'/>");
    s->told_inactive = !active;
}

/* ---- what is due
 * ------------------------------------------------------------------------ */

static void soon(void *arg) {
    struct session *s = arg;

    s->soon_at = 0;
    session_go_on(s);
    if (!s->soon_at) { /* whoever waits for nothing needs no timer */
        net_timer_free(s->soon);
        s->soon = NULL;
    }
}

/* What is later than what is set already is found then. */
static void look_again(struct session *s, uint64_t at, uint64_t now) {
    if (!at || (s->soon_at && s->soon_at <= at))
        return;
    if (!s->soon && net_timer_new(&s->soon, &s->owner, soon, s))
        return; /* then what waits rides with what comes */
    s->soon_at = at;
    net_timer_set(s->soon, at > now ? (uint32_t)((at - now) / 1000 + 1) : 1);
}

static void say_server(struct session *s, const struct sm_turn *turn) {
    char xml[80];

    if (turn->tell_server) {
        snprintf(xml, sizeof(xml), "<a xmlns='" NS_SM "' h='%" PRIu32 "'/>",
                 turn->server_h);
        xml_leg_say(&s->back, xml);
    }
    if (turn->ask_server)
        xml_leg_say(&s->back, "<r xmlns='" NS_SM "'/>");
    metrics_add(&s->server->metrics, METRIC_ACKS_SERVER,
                turn->tell_server + turn->ask_server);
}

static enum net_err say_client(struct session *s, const struct sm_turn *turn) {
    const uint8_t request[] = {TAG_REQUEST, 1};
    uint8_t ack[6] = {TAG_ACK};
    enum net_err err = NET_OK;
    size_t n = 1;

    if (turn->tell_client) {
        uint32_t h = turn->client_h;

        for (; h >= 0x80; h >>= 7)
            ack[n++] = (uint8_t)(h | 0x80);
        ack[n++] = (uint8_t)h;
        err = frame_leg_write(&s->front, ack, n);
    }
    if (!err && turn->ask_client)
        err = frame_leg_write(&s->front, request, sizeof(request));
    metrics_add(&s->server->metrics, METRIC_ACKS_CLIENT,
                turn->tell_client + turn->ask_client);
    return err;
}

/* Acknowledgements, with what goes anyway. */
static void acknowledge(struct session *s, uint64_t now, bool there) {
    uint64_t ack = s->config->ack_delay;
    struct sm_waits waits = {
        .silent = (uint64_t)s->config->ack_timeout * 1000,
        .answer = (uint64_t)s->config->heartbeat_timeout * 1000,
    };
    struct terse_error none = {0};
    struct sm_turn turn;

    /* A client that nobody looks at is told less often. It is asked less often,
     * too: it cannot acknowledge what waits here. */
    if (coalesces(s) && ack < wait_ms(s))
        ack = wait_ms(s);
    waits.ack = ack * 1000;
    turn = sm_turn(&s->sm, &waits, now, there, s->front.sent != s->front_sent,
                   s->heard);
    say_server(s, &turn);
    if (turn.lost) {
        metrics_hit(&s->server->metrics, LIMIT_HEARTBEAT);
        session_lose(s, "no acknowledgement");
        return;
    }
    if (!failed(s, say_client(s, &turn), &none))
        look_again(s, turn.again, now);
}

void stream_turn(struct session *s) {
    uint64_t now = server_now();

    /* First of all: a server may hold back what it has to say, its <a/> too,
     * from a client that is inactive. */
    if (s->state == STATE_RESUMING)
        stream_client_state(s, true);
    if (s->state == STATE_RESUMING && sm_settled(&s->sm)) {
        hold_answer(s);
        s->inactive = false;
        hurry(s);
    }
    if (s->state == STATE_UP && s->queue.waiting &&
        (s->flush_by <= now || !coalesces(s)) && flush(s))
        return;
    if (s->sm.on && (s->state == STATE_UP || s->state == STATE_HELD ||
                     s->state == STATE_RESUMING))
        acknowledge(s, now, s->state == STATE_UP);
    if (s->state == STATE_UP && s->flush_by > now)
        look_again(s, s->flush_by, now);
    if (!s->urgent && s->gather_by > now)
        look_again(s, s->gather_by, now);
}

void stream_fini(struct session *s) {
    net_timer_free(s->soon);
    s->soon = NULL;
    queue_clear(&s->queue);
}
