/* session.c: see session.h. */
#include "proxy/session.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "bridge/log.h"
#include "proxy/door.h"
#include "proxy/hold.h"
#include "proxy/login.h"
#include "proxy/stream.h"

/* More than a domain of DNS has. */
enum { DOMAIN_MAX = 256 };

#define NS_COMPRESS "http://jabber.org/protocol/compress"

/* ---- state ------------------------------------------------------------------
 */

static void step_late(void *arg);
static void clock_late(void *arg);
static void pulse_late(void *arg);

/* How long a state may last; 0 is no matter how long. */
static uint32_t patience(const struct session *s) {
    switch (s->state) {
    case STATE_GREETING:
        return s->handshaking ? s->config->handshake_timeout : 0;
    case STATE_DIALLING: /* the dial itself knows more, but a name server that
                            is silent holds it up for longer */
        return s->config->connect_timeout + 500;
    case STATE_PROBING:
    case STATE_ASKING:
    case STATE_SECURING:
        return s->config->negotiate_timeout;
    case STATE_BINDING:
    case STATE_RESUMING:
        return s->config->negotiate_timeout;
    case STATE_HELD:
        return s->config->hold;
    case STATE_LEAVING:
        return s->config->close_timeout;
    default:
        return 0;
    }
}

/* What of the client's silence is too much: what it said, within reason, and a
 * little more, so that nobody is asked who is about to ask. */
static uint32_t beat_interval(const struct session *s) {
    uint64_t most = (uint64_t)s->config->heartbeat * 4;
    uint64_t said = (uint64_t)s->front.beat * 1000;

    return (uint32_t)((said < most ? said : most) +
                      s->config->heartbeat_timeout / 2);
}

/* The login's timer serves heartbeats from now on, if the client knows them. */
static void begin_beats(struct session *s) {
    if (s->front.beat) {
        net_timer_set(s->clock, beat_interval(s));
        return;
    }
    net_timer_free(s->clock);
    s->clock = NULL;
}

/* The server is watched from now on. Without memory for that, the kernel is all
 * that notices. */
static void begin_pulse(struct session *s) {
    s->back_heard = server_now();
    if (!net_timer_new(&s->pulse, &s->owner, pulse_late, s))
        net_timer_set(s->pulse, s->config->heartbeat);
}

/* Sets the timer of the state; 0: none, and an idle session has no memory for
 * one. False: there is none. */
static bool step_in(struct session *s, uint32_t ms) {
    if (!ms) {
        net_timer_free(s->step);
        s->step = NULL;
        return true;
    }
    if (!s->step && net_timer_new(&s->step, &s->owner, step_late, s))
        return false;
    net_timer_set(s->step, ms);
    return true;
}

static void move_to(struct session *s, enum event event, enum state next) {
    enum state old = s->state;

    if (old == next)
        return;
    log_event(LOG_DEBUG, s->id, "move", "on", event_names[event], "from",
              state_names[old], "to", state_names[next], NULL);
    s->state = next;
    atomic_fetch_sub(&s->server->metrics.states[old], 1);
    atomic_fetch_add(&s->server->metrics.states[next], 1);
    s->watching = false;
    if (next == STATE_OVER)
        return;
    /* It is there until the session is up. For STATE_LEAVING, front_close
     * looks whether it could be had. */
    if (next == STATE_UP || patience(s))
        (void)step_in(s, patience(s));
    else
        net_timer_stop(s->step);
    if (next == STATE_UP && !s->logged_in) {
        s->logged_in = true;
        log_event(LOG_INFO, s->id, "logged-in", NULL);
        metrics_add(&s->server->metrics, METRIC_LOGINS, 1);
        begin_beats(s);
        begin_pulse(s);
    }
}

bool session_move(struct session *s, enum event event) {
    enum state next;
    char text[128];

    if (state_next(s->state, event, &next)) {
        move_to(s, event, next);
        return true;
    }
    if (s->state == STATE_OVER)
        return false;
    snprintf(text, sizeof(text), "%s is out of place in state %s",
             event_names[event], state_names[s->state]);
    session_fail(s, "bad-format", text);
    return false;
}

/* ---- ends
 * -------------------------------------------------------------------- */

/* Counts what it holds: queues, half a frame, half a stanza. */
static void charge(struct session *s, bool over) {
    size_t n = 0, old;

    if (!over) {
        n = s->front.framer.cap + s->open.cap + s->held.cap + s->queue.bytes +
            s->early.cap;
        if (s->front.conn)
            n += net_conn_queued(s->front.conn);
        if (s->back.conn)
            n += net_conn_queued(s->back.conn);
        if (s->back.reader)
            n += terse_reader_memory(s->back.reader);
    }
    old = atomic_exchange_explicit(&s->charged, n, memory_order_relaxed);
    metrics_add(&s->server->metrics, METRIC_MEMORY, (long)n - (long)old);
    if (n > old)
        server_press(s->server);
}

/* Counts what went out. */
static void count(struct session *s) {
    struct metrics *m = &s->server->metrics;

    metrics_add(m, METRIC_BYTES_OUT, (long)(s->front.sent - s->front_sent));
    metrics_add(m, METRIC_SERVER_BYTES_OUT,
                (long)(s->back.sent - s->back_sent));
    s->front_sent = s->front.sent;
    s->back_sent = s->back.sent;
}

/* Closes both legs. After this the session only waits to be freed. */
static void end(struct session *s, enum net_close front, enum net_close back) {
    uint32_t ms = s->config->close_timeout;
    char in[24], out[24];

    if (s->state != STATE_OVER)
        move_to(s, EVENT_END, STATE_OVER);
    net_dial_cancel(s->dial);
    s->dial = NULL;
    frame_leg_close(&s->front, front, ms);
    net_conn_close(s->back.conn, back, ms);
    s->back.conn = NULL;
    net_timer_free(s->clock);
    s->clock = NULL;
    net_timer_free(s->step);
    s->step = NULL;
    net_timer_free(s->pace);
    s->pace = NULL;
    net_timer_free(s->pulse);
    s->pulse = NULL;
    stream_fini(s);
    login_fini(s);
    hold_end(s);
    terse_buf_fini(&s->early);
    /* What is half read is of no more use, and may be large. */
    terse_buf_fini(&s->open);
    terse_buf_fini(&s->held);
    count(s);
    charge(s, true);
    snprintf(in, sizeof(in), "%" PRIu64, s->frames_in);
    snprintf(out, sizeof(out), "%" PRIu64, s->frames_out);
    log_event(LOG_INFO, s->id, "closed", "frames_in", in, "frames_out", out,
              NULL);
}

/* A header of ours for a client that got none, and then an error, or none;
 * more: as bridge_error has it. */
static void say_more(struct session *s, const char *condition, const char *text,
                     const char *more) {
    char xml[BRIDGE_TEXT], id[17];
    uint64_t random = 0;

    if (!s->front.conn || !s->front.framer.started)
        return; /* we do not even know how it frames */
    if (getrandom(&random, sizeof(random), GRND_NONBLOCK) < 0)
        random = s->id;
    snprintf(id, sizeof(id), "%016" PRIx64, random);
    bridge_header(xml, s->asked[0] ? s->asked : NULL, NULL, id);
    if (condition)
        bridge_error(xml, condition, text, more);
    else
        strcat(xml, BRIDGE_FOOTER);
    if (frame_leg_say(&s->front, xml))
        log_event(LOG_WARN, s->id, "unsaid", "condition", condition, NULL);
}

static void say(struct session *s, const char *condition, const char *text) {
    say_more(s, condition, text, NULL);
}

static void footer(struct session *s) {
    if (s->back.opened && !s->footed)
        xml_leg_say(&s->back, BRIDGE_FOOTER);
    s->footed = true;
}

/* Whether the server has, or may just have made, a stream that its client can
 * go on with elsewhere. */
static bool may_be_resumed(const struct session *s) {
    return s->mobile || s->sm.on || s->resuming ||
           (s->login && s->login->sasl.resume);
}

/* To the server a footer means that nobody comes back. That is the client's to
 * say, where it can. */
static void give_up(struct session *s) {
    if (!may_be_resumed(s))
        footer(s);
}

void session_fail(struct session *s, const char *condition, const char *text) {
    session_fail_more(s, condition, text, NULL);
}

void session_fail_more(struct session *s, const char *condition,
                       const char *text, const char *more) {
    if (s->state == STATE_OVER)
        return;
    log_event(LOG_WARN, s->id, "failed", "condition", condition, "text", text,
              "state", state_names[s->state], NULL);
    if (s->server_error)
        say(s, NULL, NULL); /* the client knows worse already */
    else
        say_more(s, condition, text, more);
    frame_leg_bye(&s->front, condition);
    give_up(s);
    end(s, NET_CLOSE_LINGER, NET_CLOSE_LINGER);
}

void session_fail_error(struct session *s, const struct terse_error *error,
                        const char *side) {
    char text[512];

    snprintf(text, sizeof(text), "%s%s%s%s", error->text,
             error->path[0] ? " (in " : "", error->path,
             error->path[0] ? ")" : "");
    log_event(LOG_WARN, s->id, "refused", "side", side, NULL);
    if (error->code == TERSE_ELIMIT)
        metrics_hit(&s->server->metrics, LIMIT_STANZA);
    session_fail(s, terse_err_condition(error->code), text);
}

void session_over(struct session *s, enum limit limit, const char *condition,
                  const char *text) {
    if (s->state == STATE_OVER)
        return;
    metrics_hit(&s->server->metrics, limit);
    session_fail(s, condition, text);
}

void session_close(struct session *s) {
    if (!s->front.conn && !s->back.conn)
        return;
    say(s, NULL, NULL);
    frame_leg_bye(&s->front, NULL);
    footer(s);
    /* Whoever has said its last word needs no time to hear ours: if both ends
     * lingered, each would wait for the other to hang up. */
    end(s, s->client_left ? NET_CLOSE_FLUSH : NET_CLOSE_LINGER,
        NET_CLOSE_FLUSH);
}

void session_lose(struct session *s, const char *why) {
    if (s->state == STATE_OVER)
        return;
    log_event(LOG_INFO, s->id, "lost", "why", why, "state",
              state_names[s->state], NULL);
    if (hold_lost(s))
        return;
    if (s->state != STATE_GREETING) /* it has said something */
        metrics_add(&s->server->metrics, METRIC_LOST, 1);
    end(s, NET_CLOSE_ABORT, NET_CLOSE_FLUSH);
}

/* The same, for a client that is still there to hear the framing's close. */
static void hang_up(struct session *s, const char *condition, const char *why) {
    log_event(LOG_INFO, s->id, "lost", "why", why, "state",
              state_names[s->state], NULL);
    frame_leg_bye(&s->front, condition);
    if (hold_lost(s))
        return;
    end(s, NET_CLOSE_FLUSH, NET_CLOSE_FLUSH);
}

void session_drop(struct session *s, const char *why) {
    log_event(LOG_INFO, s->id, "dropped", "why", why, NULL);
    end(s, NET_CLOSE_ABORT, NET_CLOSE_FLUSH);
}

void session_detach(struct session *s) {
    frame_leg_close(&s->front, NET_CLOSE_FLUSH, s->config->close_timeout);
    count(s);
    frame_leg_fini(&s->front);
    frame_leg_init(&s->front, &s->bridge, NET_FRAMING_DETECT, false);
    s->front_sent = 0;
    net_timer_free(s->clock);
    s->clock = NULL;
    net_timer_free(s->pace);
    s->pace = NULL;
    s->slowed = false;
}

bool session_attach(struct session *s, struct session *from) {
    if (!net_conn_move(from->front.conn, &s->owner, s))
        return false;
    if (s->front.conn) { /* of which the client may know nothing any more */
        say(s, "conflict", "The client is back by another connection.");
        frame_leg_bye(&s->front, "conflict");
    }
    session_detach(s);
    s->front = from->front;
    s->front.bridge = &s->bridge;
    frame_leg_init(&from->front, &from->bridge, NET_FRAMING_DETECT, false);
    s->front_sent = from->front_sent;
    from->front_sent = 0;
    /* Behind <authenticate/>; a token is such a frame itself, and was used. */
    if (from->state == STATE_BINDING) {
        terse_buf_fini(&s->early);
        s->early = from->early;
        terse_buf_init(&from->early, s->early.max);
    }
    server_hand_over(s->server, from, s);
    s->heard = server_now();
    if (s->front.beat && !net_timer_new(&s->clock, &s->owner, clock_late, s))
        net_timer_set(s->clock, beat_interval(s));
    return session_move(s, EVENT_CLIENT_BACK);
}

void session_moved(struct session *s) {
    footer(s);
    end(s, NET_CLOSE_ABORT, NET_CLOSE_FLUSH);
    server_unlist(s->server, s);
    /* Its memory stays for as long as its client's connection: what it can do
     * without goes. */
    terse_reader_free(s->back.reader);
    s->back.reader = NULL;
}

void session_drain(struct session *s) {
    if (s->state == STATE_OVER)
        return;
    if (!s->mobile) {
        session_fail(s, "system-shutdown", NULL);
        return;
    }
    /* It can go on through another proxy: to the server not a word. */
    say(s, "system-shutdown", NULL);
    frame_leg_bye(&s->front, "system-shutdown");
    log_event(LOG_INFO, s->id, "released", "why", "draining", NULL);
    end(s, NET_CLOSE_LINGER, NET_CLOSE_FLUSH);
}

void session_shed(struct session *s) {
    static const char text[] = "memory: this session holds too much of it.";

    if (s->state == STATE_OVER)
        return;
    metrics_hit(&s->server->metrics, LIMIT_MEMORY);
    log_event(LOG_WARN, s->id, "shed", NULL);
    if (s->state == STATE_HELD)
        session_drop(s, text);
    /* A client that does not read keeps its queue for as long as it may. */
    else if (s->front.conn && net_conn_full(s->front.conn))
        end(s, NET_CLOSE_ABORT, NET_CLOSE_ABORT);
    else
        session_fail(s, "resource-constraint", text);
    /* Nobody is reading: this is no callback of the reader. */
    terse_reader_free(s->back.reader);
    s->back.reader = NULL;
}

/* ---- flow
 * -------------------------------------------------------------------- */

/* Whether the client's next frame can be used now. */
static bool front_wanted(const struct session *s) {
    if (s->slowed)
        return false;
    switch (s->state) {
    case STATE_GREETING:
        return true;
    case STATE_DIALLING: /* what comes early is looked at, and kept */
    case STATE_PROBING:
    case STATE_ASKING:
    case STATE_SECURING:
        return !s->early.len;
    case STATE_LOGIN:
        return s->back.conn && !net_conn_full(s->back.conn) && !s->early.len &&
               !(s->login && s->login->step == LOGIN_JUMP);
    case STATE_RESTART:
    case STATE_UP:
        return s->back.conn && !net_conn_full(s->back.conn);
    default:
        return false;
    }
}

/* Whether what the server sends has a place to go. */
static bool back_wanted(const struct session *s) {
    if (s->front.conn)
        return !net_conn_full(s->front.conn);
    return !stream_full(s);
}

static size_t watched(const struct net_conn *conn) {
    return conn && net_conn_full(conn) ? net_conn_queued(conn) : SIZE_MAX;
}

/* A queue that is full has to move, or the session ends: with nothing read
 * from a side, its death would go unnoticed. */
static void watch(struct session *s) {
    bool full =
        watched(s->front.conn) != SIZE_MAX || watched(s->back.conn) != SIZE_MAX;

    if (patience(s) || full == s->watching)
        return;
    s->watching = full;
    s->watch_front = watched(s->front.conn);
    s->watch_back = watched(s->back.conn);
    if (!step_in(s, full ? s->config->stall_timeout : 0))
        session_lose(s, "no memory for a timer");
}

/* The client's bytes are no frames, or too long ones; or there is no memory. */
static void front_bad(struct session *s, enum net_err err) {
    if (err == NET_ELIMIT)
        metrics_hit(&s->server->metrics, LIMIT_STANZA);
    session_fail(s, bridge_net_condition(err), net_strerror(err));
}

static void pace_over(void *arg) {
    struct session *s = arg;

    s->slowed = false;
    session_go_on(s);
}

/* Takes one stanza of n bytes from what the client may send. Over its rate it
 * is not read for a while; if that goes on and on, it is a flood. */
static void spend(struct session *s, size_t n) {
    const struct config *c = s->config;
    uint64_t now = server_now(), stanzas, bytes, wait;

    if (bucket_full(&s->stanzas, now) && bucket_full(&s->bytes, now))
        s->flooding = 0;
    stanzas =
        bucket_spend(&s->stanzas, now, 1, c->stanza_rate, c->stanza_burst);
    bytes = bucket_spend(&s->bytes, now, n, c->byte_rate, c->byte_burst);
    wait = stanzas > bytes ? stanzas : bytes;
    if (wait == 0 || s->state == STATE_OVER)
        return;
    if (!s->flooding)
        s->flooding = now;
    if (now - s->flooding > (uint64_t)c->flood_timeout * 1000) {
        session_over(s, LIMIT_FLOOD, "policy-violation",
                     stanzas > bytes
                         ? "stanza_rate: exceeded for all of flood_timeout."
                         : "byte_rate: exceeded for all of flood_timeout.");
        return;
    }
    if (!s->pace && net_timer_new(&s->pace, &s->owner, pace_over, s)) {
        session_fail(s, "resource-constraint", "out of memory");
        return;
    }
    metrics_add(&s->server->metrics, METRIC_SLOWED, 1);
    s->slowed = true;
    /* At least 10 ms, so that what is over comes in portions. */
    net_timer_set(s->pace, wait < 10000 ? 10 : (uint32_t)(wait / 1000));
}

static void front_frame(struct session *s, const uint8_t *frame, size_t n);

static bool of_sasl2(const struct terse_frame_info *info) {
    return terse_str_is(info->ns, BRIDGE_NS_SASL2);
}

/* A login of ours is under way: the server has to hear nothing else. */
static bool logging_in(const struct session *s) {
    return s->login &&
           (s->login->step == LOGIN_JUMP || s->login->step == LOGIN_AUTH);
}

/* What came before its time, once it has come: for XEP-0388 that is when the
 * features tell who speaks it. */
static void take_early(struct session *s) {
    struct terse_buf early = s->early;
    struct terse_frame_info info;

    if (!early.len || (s->state != STATE_LOGIN && s->state != STATE_UP) ||
        logging_in(s) || !s->back.conn)
        return;
    if (!s->featured &&
        !terse_frame_info(s->bridge.schema, terse_buf_data(&early), early.len,
                          &info) &&
        info.kind == TERSE_ELEMENT && of_sasl2(&info))
        return;
    terse_buf_init(&s->early, early.max);
    /* It was counted when it came. */
    s->frames_in--;
    metrics_add(&s->server->metrics, METRIC_FRAMES_IN, -1);
    front_frame(s, terse_buf_data(&early), early.len);
    terse_buf_fini(&early);
}

/* Counts what comes before login, as it was sent or as it was unpacked, which
 * may be a thousand times as much. False: the session has failed. */
static bool may_send(struct session *s, uint64_t *count, size_t n) {
    if (s->logged_in)
        return true;
    *count += n;
    if (*count <= s->config->login_bytes)
        return true;
    session_over(s, LIMIT_LOGIN_BYTES, "policy-violation",
                 "login_bytes: too much was sent before login.");
    return false;
}

static void pull(struct session *s) {
    take_early(s);
    while (front_wanted(s)) {
        const uint8_t *frame;
        size_t n;
        enum net_err err = frame_leg_next(&s->front, &frame, &n);

        if (err == NET_EEOF) {
            hang_up(s, NULL, "closed by the client");
            return;
        }
        if (err) {
            front_bad(s, err);
            return;
        }
        if (!frame || !may_send(s, &s->login_frames, n))
            return;
        if (n > 0)
            front_frame(s, frame, n);
        spend(s, n);
    }
}

/* The client's binding is known: the rest is a matter of login_timeout. */
static void note_binding(struct session *s) {
    if (!s->handshaking || !s->front.framer.started)
        return;
    s->handshaking = false;
    if (s->state == STATE_GREETING)
        net_timer_stop(s->step);
}

void session_go_on(struct session *s) {
    bool back = s->state == STATE_RESUMING;

    pull(s);
    note_binding(s);
    if (s->dial_due && s->state == STATE_DIALLING &&
        !(s->login && s->login->step == LOGIN_JUMP)) {
        s->dial_due = false;
        upstream_dial(s);
    }
    stream_turn(s);
    if (back && s->state == STATE_UP) { /* it may have sent more by now */
        pull(s);
        stream_turn(s);
    }
    if (s->state == STATE_OVER)
        return;
    if (s->front.conn && (front_wanted(s) || s->state == STATE_LEAVING))
        net_conn_resume(s->front.conn);
    else if (s->front.conn)
        net_conn_pause(s->front.conn);
    if (s->back.conn && back_wanted(s))
        net_conn_resume(s->back.conn);
    else if (s->back.conn)
        net_conn_pause(s->back.conn);
    watch(s);
    if (s->state == STATE_OVER)
        return;
    if (!stream_gathers(s))
        frame_leg_flush(&s->front);
    if (s->back.conn)
        net_conn_flush(s->back.conn);
    count(s);
    charge(s, false);
}

/* ---- frames from the client
 * ---------------------------------------------------- */

/* Notes what domain the client named. Most call it as we do. */
static bool note_asked(struct session *s, const char *asked) {
    if (s->domain && strcmp(s->domain->name, asked) == 0) {
        s->asked = s->domain->name;
        return true;
    }
    free(s->named);
    s->named = strdup(asked);
    s->asked = s->named ? s->named : "";
    return s->named != NULL;
}

/* Reads what domain the header asks for; false if the session failed. */
static bool read_domain(struct session *s, const uint8_t *frame, size_t n) {
    struct terse_buf to;
    enum terse_err err;
    char asked[DOMAIN_MAX] = "";
    bool found = false;

    terse_buf_init(&to, 4096);
    err = terse_frame_attr(s->bridge.schema, frame, n, "", "to", &to, &found);
    if (!err && found && to.len < sizeof(asked) &&
        !memchr(terse_buf_data(&to), 0, to.len))
        memcpy(asked, terse_buf_data(&to), to.len);
    terse_buf_fini(&to);
    if (s->asked[0] && strcmp(s->asked, asked) != 0) {
        session_fail(s, "host-unknown", "The new header names another domain.");
        return false;
    }
    s->domain = config_find(s->config, asked);
    if (!note_asked(s, asked)) {
        session_fail(s, "resource-constraint", "out of memory");
        return false;
    }
    if (!s->domain)
        session_fail(s, "host-unknown", "This domain is not served here.");
    return s->domain != NULL;
}

static void front_open(struct session *s, const uint8_t *frame, size_t n) {
    bool first = s->state == STATE_GREETING;

    if (!session_move(s, EVENT_CLIENT_OPEN) || !read_domain(s, frame, n))
        return;
    terse_buf_reset(&s->open);
    if (terse_buf_append(&s->open, frame, n)) {
        session_fail(s, "resource-constraint", "out of memory");
        return;
    }
    if (first) {
        log_event(LOG_INFO, s->id, "opened", "domain", s->domain->name,
                  "framing", net_framing_name(s->front.framer.framing), NULL);
        s->dial_due = true;
    } else {
        upstream_header(s);
        terse_buf_fini(&s->open);
    }
}

/* What must not reach the server through a proxy that ends TLS and encodes
 * (RFC 6120 section 5.4.2.2, XEP-0138). True if it was answered here. */
static bool answered(struct session *s, const struct terse_frame_info *info) {
    char xml[BRIDGE_TEXT];
    bool tls, compress;

    tls = info->name.n == 8 && memcmp(info->name.p, "starttls", 8) == 0 &&
          info->ns.n == sizeof(BRIDGE_NS_TLS) - 1 &&
          memcmp(info->ns.p, BRIDGE_NS_TLS, info->ns.n) == 0;
    compress = info->name.n == 8 && memcmp(info->name.p, "compress", 8) == 0 &&
               info->ns.n == sizeof(NS_COMPRESS) - 1 &&
               memcmp(info->ns.p, NS_COMPRESS, info->ns.n) == 0;
    if (!tls && !compress)
        return false;
    bridge_header(xml, s->asked, NULL, NULL);
    strcat(xml, tls ? "<failure xmlns='" BRIDGE_NS_TLS "'/>" BRIDGE_FOOTER
                    : "<failure xmlns='" NS_COMPRESS
                      "'><unsupported-method/></failure>");
    if (frame_leg_say(&s->front, xml)) {
        session_fail(s, "resource-constraint", NULL);
        return true;
    }
    if (!tls)
        return true;
    log_event(LOG_INFO, s->id, "refused", "element", "starttls", NULL);
    frame_leg_bye(&s->front, "policy-violation");
    footer(s);
    end(s, NET_CLOSE_LINGER, NET_CLOSE_LINGER);
    return true;
}

/* There is no server yet that could have it. */
static void come_early(struct session *s, const uint8_t *frame, size_t n) {
    if (terse_buf_append(&s->early, frame, n))
        session_fail(s, "resource-constraint", "out of memory");
}

/* Whether it is too early for that frame; it is kept then. */
static bool too_early(struct session *s, const uint8_t *frame, size_t n,
                      const struct terse_frame_info *info) {
    bool sasl2 = info->kind == TERSE_ELEMENT && of_sasl2(info);

    if (s->state == STATE_LOGIN
            ? s->featured || !sasl2
            : s->state < STATE_DIALLING || s->state > STATE_SECURING)
        return false;
    come_early(s, frame, n);
    if (sasl2 && s->state != STATE_OVER)
        (void)login_early(s, frame, n);
    return true;
}

static void front_element(struct session *s, const uint8_t *frame, size_t n,
                          const struct terse_frame_info *info) {
    struct terse_error error = {0};

    if (!session_move(s, EVENT_CLIENT_ELEMENT) || answered(s, info) ||
        stream_from_client(s, info, frame, n))
        return;
    if (s->state == STATE_LOGIN && of_sasl2(info)) {
        if (s->offered) {
            login_from_client(s, info, frame, n);
            return;
        }
        login_watch(s, info, frame, n);
    } else if (s->state == STATE_LOGIN && s->offered && logging_in(s)) {
        come_early(s, frame, n); /* behind <authenticate/>: for later */
        return;
    }
    s->classic |=
        s->state == STATE_LOGIN && terse_str_is(info->ns, BRIDGE_NS_SASL);
    if (xml_leg_decode(&s->back, frame, n, &error)) {
        if (error.code == TERSE_ENOMEM)
            session_fail(s, "resource-constraint", error.text);
        else
            session_fail_error(s, &error, "client");
    }
}

static void front_close(struct session *s) {
    s->client_left = true;
    if (s->state == STATE_GREETING) {
        session_close(s);
        return;
    }
    footer(s);
    if (!session_move(s, EVENT_CLIENT_CLOSE))
        return;
    log_event(LOG_DEBUG, s->id, "leaving", NULL);
    if (!s->step) /* no memory to wait with */
        session_close(s);
}

static void front_frame(struct session *s, const uint8_t *frame, size_t n) {
    struct terse_frame_info info;
    enum terse_err err = terse_frame_info(s->bridge.schema, frame, n, &info);

    s->frames_in++;
    metrics_add(&s->server->metrics, METRIC_FRAMES_IN, 1);
    if (err) {
        session_fail(s, terse_err_condition(err),
                     "A frame is not one element, header or footer.");
        return;
    }
    if (too_early(s, frame, n, &info))
        return;
    switch (info.kind) {
    case TERSE_OPEN:
        front_open(s, frame, n);
        break;
    case TERSE_CLOSE:
        front_close(s);
        break;
    default:
        front_element(s, frame, n, &info);
    }
}

/* ---- events of the front
 * --------------------------------------------------------- */

static void front_data(void *arg, const uint8_t *p, size_t n) {
    struct session *s = arg;
    enum net_err err;

    metrics_add(&s->server->metrics, METRIC_BYTES_IN, (long)n);
    s->heard = server_now();
    if (s->state == STATE_LEAVING) {
        /* After its footer a client has nothing to say but WebSocket's close,
         * which is looked for when the session ends. */
        if (s->front.framer.ws && net_framer_feed(&s->front.framer, p, n))
            session_close(s);
        return;
    }
    if (!may_send(s, &s->login_bytes, n))
        return;
    err = net_framer_feed(&s->front.framer, p, n);
    if (err)
        front_bad(s, err);
    session_go_on(s);
}

static void front_drained(void *arg) { session_go_on(arg); }

static void front_secured(void *arg) {
    struct session *s = arg;
    char cipher[64], protocol[32];

    net_conn_cipher(s->front.conn, cipher);
    net_conn_protocol(s->front.conn, protocol);
    log_event(LOG_INFO, s->id, "tls", "cipher", cipher, "alpn", protocol,
              "resumed", net_conn_resumed(s->front.conn) ? "yes" : "no", NULL);
    door_bindings(s->config, protocol, &s->front.framer);
}

/* A load balancer has said who its client is. */
static void front_proxied(void *arg) {
    struct session *s = arg;
    struct net_gate gate;
    struct net_ends ends;
    enum limit hit;
    char port[8];

    net_conn_ends(s->front.conn, &ends);
    if (strcmp(ends.from, s->peer) == 0)
        return; /* the balancer itself: a check of its own */
    snprintf(port, sizeof(port), "%u", ends.from_port);
    log_event(LOG_INFO, s->id, "proxied", "peer", ends.from, "port", port,
              NULL);
    if (!server_readdress(s->server, s, ends.from, ends.from_port, &hit)) {
        session_lose(s, hit == LIMIT_PER_ADDRESS ? "too many from this address"
                                                 : limit_names[hit]);
        return;
    }
    gate = door_gate(s->config, ends.from);
    gate.proxy = false;
    net_conn_gate(s->front.conn, &gate);
}

static void front_closed(void *arg, enum net_err why, const char *text) {
    struct session *s = arg;

    if (s->state == STATE_LEAVING)
        session_close(s);
    else
        session_lose(s, why == NET_EEOF ? "closed by the client" : text);
}

static const struct net_conn_ops front_ops = {front_data, front_drained,
                                              front_secured, front_closed};

/* ---- deadlines
 * -------------------------------------------------------------------- */

/* The client was silent for as long as it said it would be at most. What it
 * cannot say since it is not read is no silence. */
static void beat_late(struct session *s) {
    uint64_t now = server_now();
    uint64_t most = (uint64_t)beat_interval(s) * 1000, silent;

    if (!front_wanted(s))
        s->heard = now;
    silent = now - s->heard;
    if (silent < most) {
        s->front.asked = false;
        net_timer_set(s->clock, (uint32_t)((most - silent) / 1000 + 1));
    } else if (s->front.asked) {
        metrics_hit(&s->server->metrics, LIMIT_HEARTBEAT);
        session_lose(s, "no answer to a ping");
    } else if (frame_leg_ping(&s->front)) {
        session_lose(s, "the client takes nothing");
    } else {
        metrics_add(&s->server->metrics, METRIC_PINGS, 1);
        net_timer_set(s->clock, s->config->heartbeat_timeout);
        net_conn_flush(s->front.conn);
    }
}

/* Says something to a server that was silent for long. With stream management
 * it has to answer; where it has stanzas to acknowledge, it may be slow (a
 * shaper), and has as long again. Without, the kernel notices a space that does
 * not arrive. */
static void pulse(struct session *s) {
    bool owes = s->sm.asking_server || !sm_settled(&s->sm);

    s->pulse_asked = s->sm.on;
    xml_leg_say(&s->back, s->sm.on && !owes ? "<r xmlns='" NS_SM "'/>" : " ");
    metrics_add(&s->server->metrics, METRIC_PULSES, 1);
    net_timer_set(s->pulse, s->sm.on && !owes ? s->config->heartbeat_timeout
                                              : s->config->heartbeat);
    net_conn_flush(s->back.conn);
}

static void pulse_late(void *arg) {
    struct session *s = arg;
    uint64_t now = server_now(), silent;
    uint64_t most = (uint64_t)s->config->heartbeat * 1000;

    if (s->state == STATE_LEAVING)
        return;            /* close_timeout is for that */
    if (!back_wanted(s)) { /* it is not read: that is no silence */
        s->back_heard = now;
        s->pulse_asked = false;
    }
    silent = now - s->back_heard;
    if (silent < most) {
        net_timer_set(s->pulse, (uint32_t)((most - silent) / 1000 + 1));
    } else if (s->pulse_asked) {
        net_conn_close(s->back.conn, NET_CLOSE_ABORT, 0);
        s->back.conn = NULL;
        session_over(s, LIMIT_HEARTBEAT, "remote-connection-failed",
                     "heartbeat_timeout: the server does not answer.");
    } else {
        pulse(s);
    }
}

static void clock_late(void *arg) {
    struct session *s = arg;

    if (s->logged_in && s->state != STATE_LEAVING)
        beat_late(s);
    else if (!s->logged_in)
        session_over(s, LIMIT_LOGIN_TIME, "connection-timeout",
                     "login_timeout: not logged in in time.");
}

static bool stuck(const struct net_conn *conn, size_t before) {
    return before != SIZE_MAX && watched(conn) != SIZE_MAX &&
           net_conn_queued(conn) >= before;
}

static void step_late(void *arg) {
    struct session *s = arg;

    if (s->state == STATE_LEAVING) {
        session_close(s);
    } else if (s->state == STATE_HELD) {
        hold_release(s);
    } else if (s->handshaking) {
        hang_up(s, "connection-timeout",
                "handshake_timeout: no binding is known");
    } else if (!s->watching) {
        /* Who has come back may yet find the session at the server. */
        s->footed |= s->state == STATE_RESUMING;
        session_fail(s, "remote-connection-failed",
                     "The server did not answer in time.");
    } else if (stuck(s->front.conn, s->watch_front)) {
        metrics_hit(&s->server->metrics, LIMIT_STALL);
        session_lose(s, "the client takes nothing");
    } else if (stuck(s->back.conn, s->watch_back)) {
        session_over(s, LIMIT_STALL, "remote-connection-failed",
                     "The server takes nothing.");
    } else {
        s->watching = false;
        watch(s);
    }
}

/* ---- life
 * -------------------------------------------------------------------------- */

static void session_fini(struct net_owner *owner) {
    struct session *s = (struct session *)owner;
    struct server *server = s->server;

    charge(s, true);
    server_unlist(server, s);
    frame_leg_fini(&s->front);
    xml_leg_fini(&s->back);
    terse_buf_fini(&s->open);
    terse_buf_fini(&s->held);
    free(s->named);
    config_rele(s->config);
    net_owner_fini(&s->owner);
    free(s);
    server_forget(server);
}

/* With the lock. Takes the stream. */
static void start(struct session *s, struct net_stream *stream) {
    struct net_gate gate = door_gate(s->config, s->peer);
    struct net_marks marks;

    s->bridge.schema = s->server->schema;
    s->bridge.limits = &s->config->limits;
    s->bridge.state = &s->config->state;
    s->bridge.pool = s->server->pool;
    s->bridge.high = s->config->write_queue;
    s->bridge.heartbeat = s->config->heartbeat / 1000 + 1;
    s->began = s->heard = server_now();
    frame_leg_init(&s->front, &s->bridge, NET_FRAMING_DETECT, false);
    door_bindings(s->config, "", &s->front.framer);
    terse_buf_init(&s->open, s->config->limits.frame_bytes);
    terse_buf_init(&s->held, s->config->limits.frame_bytes);
    terse_buf_init(&s->early, s->config->limits.frame_bytes);
    marks = bridge_marks(&s->bridge);
    if (s->state == STATE_OVER ||
        net_timer_new(&s->clock, &s->owner, clock_late, s) ||
        net_timer_new(&s->step, &s->owner, step_late, s) ||
        net_conn_new(&s->front.conn, &s->owner, stream, &marks, &front_ops,
                     s)) {
        net_stream_drop(stream);
        end(s, NET_CLOSE_ABORT, NET_CLOSE_ABORT);
        return;
    }
    net_timer_set(s->clock, s->config->login_timeout);
    s->handshaking = true;
    net_timer_set(s->step, patience(s));
    gate.proxied = front_proxied;
    net_conn_gate(s->front.conn, &gate);
    net_conn_resume(s->front.conn);
}

/* Each try costs its sender a packet: lines are bounded, and so is what waits
 * for a log that is slow. */
static void log_refusal(const struct session *s, enum limit hit) {
    uint64_t unsaid;
    char more[24];

    if (!server_complains(s->server, &unsaid))
        return;
    snprintf(more, sizeof(more), "%" PRIu64, unsaid);
    log_event(LOG_WARN, 0, "hung-up-on", "peer", s->peer, "limit",
              hit < LIMIT_COUNT ? limit_names[hit] : "draining", "unsaid", more,
              NULL);
}

void session_accept(void *arg, struct net_stream *stream) {
    struct server *server = arg;
    struct session *s = calloc(1, sizeof(*s));
    enum limit hit;
    char port[8];

    if (!s || net_owner_init(&s->owner, session_fini)) {
        free(s);
        net_stream_drop(stream);
        return;
    }
    s->server = server;
    s->asked = "";
    net_stream_peer(stream, s->peer, &s->port);
    snprintf(port, sizeof(port), "%u", s->port);
    if (!server_admit(server, s, &hit)) {
        log_refusal(s, hit);
        net_stream_drop(stream);
    } else {
        net_lock(&s->owner);
        log_event(LOG_INFO, s->id, "accepted", "peer", s->peer, "port", port,
                  NULL);
        start(s, stream);
        net_unlock(&s->owner);
    }
    net_owner_rele(&s->owner);
}
