/* stream.c: see stream.h. */
#include "proxy/stream.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "bridge/log.h"
#include "proxy/session.h"

/* Of terse.Frame (schemas/xep0198.proto): <r/>, and <a/> before its h. */
enum { TAG_REQUEST = 0x20, TAG_ACK = 0x28 };

/* ---- elements
 * --------------------------------------------------------------------- */

static bool is(struct terse_str s, const char *text) {
    return s.n == strlen(text) && memcmp(s.p, text, s.n) == 0;
}

static bool is_stanza(struct terse_str name, struct terse_str ns) {
    return is(ns, TERSE_NS_CLIENT) &&
           (is(name, "message") || is(name, "presence") || is(name, "iq"));
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

/* ---- from the client
 * -------------------------------------------------------------- */

static void client_acks(struct session *s, uint32_t h) {
    uint32_t n;

    if (sm_client_acks(&s->sm, h, &n))
        queue_acked(&s->queue, n);
    else
        session_fail(s, "undefined-condition",
                     "handled-count-too-high: there were not so many stanzas.");
}

bool stream_from_client(struct session *s, const struct terse_frame_info *info,
                        const uint8_t *frame, size_t n) {
    uint32_t h = 0;

    if (s->state != STATE_UP)
        return false;
    if (is_stanza(info->name, info->ns)) {
        sm_up(&s->sm);
        return false;
    }
    if (!is(info->ns, NS_SM))
        return false;
    if (is(info->name, "enable")) {
        sm_enable(&s->sm);
    } else if (is(info->name, "resume")) {
        sm_enable(&s->sm);
        s->resuming = frame_h(s, frame, n, &s->resume_h);
    } else if (s->sm.on && is(info->name, "r")) {
        sm_client_asks(&s->sm);
        return true;
    } else if (s->sm.on && is(info->name, "a")) {
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
    s->sm.up += since;
}

bool stream_from_server(struct session *s, const struct terse_node *node) {
    struct terse_str name = terse_node_name(node);
    uint32_t h;

    if (!is(terse_node_ns(node), NS_SM))
        return false;
    if (is(name, "enabled"))
        sm_enabled(&s->sm, false);
    else if (is(name, "resumed"))
        resumed(s, node);
    else if (is(name, "failed"))
        sm_failed(&s->sm);
    if (!s->sm.on)
        return false;
    if (is(name, "r")) {
        sm_server_asks(&s->sm);
        return true;
    }
    if (!is(name, "a"))
        return false;
    if (!node_h(node, &h) || !sm_server_acks(&s->sm, h))
        session_fail(s, "remote-connection-failed",
                     "The server acknowledges what it was not sent.");
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

enum terse_err stream_pass(struct session *s, const struct terse_node *node) {
    struct terse_error error = {0};
    enum net_err err = frame_leg_encode(&s->front, TERSE_ELEMENT, node, &error);

    if (err || error.code)
        return failed(s, err, &error);
    if (is_stanza(terse_node_name(node), terse_node_ns(node)))
        sm_down(&s->sm);
    s->frames_out++;
    metrics_add(&s->server->metrics, METRIC_FRAMES_OUT, 1);
    return TERSE_OK;
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

void stream_turn(struct session *s) {
    const struct sm_waits waits = {
        .ack = (uint64_t)s->config->ack_delay * 1000,
        .silent = (uint64_t)s->config->ack_timeout * 1000,
        .answer = (uint64_t)s->config->heartbeat_timeout * 1000,
    };
    uint64_t now = server_now();
    struct terse_error none = {0};
    struct sm_turn turn;

    if (!s->sm.on || s->state != STATE_UP)
        return;
    turn = sm_turn(&s->sm, &waits, now, true, s->front.sent != s->front_sent,
                   s->heard);
    if (turn.lost) {
        metrics_hit(&s->server->metrics, LIMIT_HEARTBEAT);
        session_lose(s, "no acknowledgement");
        return;
    }
    say_server(s, &turn);
    if (failed(s, say_client(s, &turn), &none))
        return;
    look_again(s, turn.again, now);
}

void stream_fini(struct session *s) {
    net_timer_free(s->soon);
    s->soon = NULL;
    queue_clear(&s->queue);
}
