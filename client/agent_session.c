/*
 * agent_session.c: one XMPP client of the agent. Guarded by owner.lock, but for
 * the list.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bridge/log.h"
#include "client/agent.h"

struct agent_session {
    struct net_owner owner; /* first */
    struct agent *agent;
    struct agent_session *next, **prev; /* agent's list; agent.lock */
    bool listed;                        /* agent.lock */
    uint64_t id;
    enum agent_state state;
    struct xml_leg front;
    struct frame_leg back;
    struct net_dial *dial;
    struct net_timer *timer; /* of TLS, of a full queue, or of leaving */
    struct net_timer *beat;  /* of silence towards and from tersed */
    uint64_t heard;          /* ms; from tersed */
    uint32_t silence;        /* ms that were waited for before the ping */
    bool watching;
    size_t watch_front, watch_back;
    char asked[256];   /* the domain in the client's header */
    bool client_left;  /* the client has sent its footer */
    bool error_passed; /* tersed has sent a stream error */
};

/* ---- state and ends
 * -------------------------------------------------------------- */

static void fail(struct agent_session *s, const char *condition,
                 const char *text);

static void move_to(struct agent_session *s, enum agent_event event,
                    enum agent_state next) {
    if (s->state == next)
        return;
    log_event(LOG_DEBUG, s->id, "move", "on", agent_event_names[event], "from",
              agent_state_names[s->state], "to", agent_state_names[next], NULL);
    s->state = next;
    s->watching = false;
    if (s->timer && next == AGENT_LEAVING)
        net_timer_set(s->timer, s->agent->close_ms);
    else if (s->timer)
        net_timer_stop(s->timer);
}

/* The one way to change state. False, and the session has failed, if the event
 * is out of place. */
static bool move(struct agent_session *s, enum agent_event event) {
    enum agent_state next;

    if (agent_next(s->state, event, &next)) {
        move_to(s, event, next);
        return true;
    }
    fail(s, "bad-format", "This is out of place here.");
    return false;
}

static void end(struct agent_session *s, enum net_close front,
                enum net_close back) {
    if (s->state != AGENT_OVER)
        move_to(s, AGENT_END, AGENT_OVER);
    net_dial_cancel(s->dial);
    s->dial = NULL;
    net_conn_close(s->front.conn, front, s->agent->close_ms);
    s->front.conn = NULL;
    net_conn_close(s->back.conn, back, s->agent->close_ms);
    s->back.conn = NULL;
    net_timer_free(s->timer);
    s->timer = NULL;
    net_timer_free(s->beat);
    s->beat = NULL;
    log_event(LOG_INFO, s->id, "closed", NULL);
}

/* A stream error, or only the footer, to the client; with a header if it has
 * none yet. */
static void tell_client(struct agent_session *s, const char *condition,
                        const char *text) {
    char xml[BRIDGE_TEXT], id[24];

    snprintf(id, sizeof(id), "agent-%" PRIu64, s->id);
    if (s->front.opened)
        xml[0] = '\0';
    else
        bridge_header(xml, s->asked[0] ? s->asked : NULL, NULL, id);
    s->front.opened = true;
    if (condition)
        bridge_error(xml, condition, text, NULL);
    else
        strcat(xml, BRIDGE_FOOTER);
    xml_leg_say(&s->front, xml);
}

/* A Close to tersed, if there was an Open. */
static void tell_proxy(struct agent_session *s) {
    char xml[BRIDGE_TEXT];

    if (!s->back.opened || s->client_left) /* its footer went as a Close */
        return;
    bridge_header(xml, NULL, NULL, NULL); /* not sent: there was one */
    strcat(xml, BRIDGE_FOOTER);
    if (frame_leg_say(&s->back, xml))
        log_event(LOG_WARN, s->id, "unsaid", NULL);
}

static void fail(struct agent_session *s, const char *condition,
                 const char *text) {
    if (s->state == AGENT_OVER)
        return;
    log_event(LOG_WARN, s->id, "failed", "condition", condition, "text", text,
              NULL);
    tell_client(s, s->error_passed ? NULL : condition, text);
    tell_proxy(s);
    end(s, NET_CLOSE_LINGER, NET_CLOSE_LINGER);
}

static void fail_error(struct agent_session *s,
                       const struct terse_error *error) {
    fail(s, terse_err_condition(error->code), error->text);
}

static void close_both(struct agent_session *s) {
    tell_client(s, NULL, NULL);
    tell_proxy(s);
    /* Whoever has said its last word needs no time to hear ours: if both ends
     * lingered, each would wait for the other to hang up. */
    end(s, s->client_left ? NET_CLOSE_FLUSH : NET_CLOSE_LINGER,
        NET_CLOSE_FLUSH);
}

/* The client has gone without a footer: tersed must not see one either, so that
 * the session can be resumed. */
static void lose(struct agent_session *s, const char *why) {
    log_event(LOG_INFO, s->id, "lost", "why", why, NULL);
    end(s, NET_CLOSE_ABORT, NET_CLOSE_FLUSH);
}

/* ---- heartbeats
 * ------------------------------------------------------------------- */

static bool back_wanted(const struct agent_session *s);

static uint64_t now_ms(void) {
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* Nobody says how long a NAT on the way keeps a silent connection. So the
 * silence before a ping grows while pings are answered, and shrinks when a
 * connection turns out to be dead after one; for all sessions of this agent,
 * since they go the same way. */
static void learn(struct agent_session *s, bool alive) {
    struct agent *agent = s->agent;
    uint32_t ms = alive ? s->silence + s->silence / 4 : s->silence / 2;

    if (ms > agent->beat_most)
        ms = agent->beat_most;
    if (ms < agent->beat_least)
        ms = agent->beat_least;
    atomic_store(&agent->beat_ms, ms);
}

static void beat(void *arg) {
    struct agent_session *s = arg;
    uint64_t silent = now_ms() - s->heard;
    uint32_t wait = atomic_load(&s->agent->beat_ms);

    if (!s->back.conn || !s->back.beat)
        return;
    if (s->back.asked) {
        log_event(LOG_WARN, s->id, "no-pong", NULL);
        learn(s, false);
        fail(s, "remote-connection-failed", "The proxy does not answer.");
        return;
    }
    if (!back_wanted(s))
        silent = 0; /* it is not read: it may well have spoken */
    if (silent < wait) {
        net_timer_set(s->beat, (uint32_t)(wait - silent));
        return;
    }
    s->silence = wait;
    if (!frame_leg_ping(&s->back))
        net_conn_flush(s->back.conn);
    net_timer_set(s->beat, s->agent->pong_ms);
}

/* Something came from tersed. */
static void heard(struct agent_session *s) {
    s->heard = now_ms();
    if (!s->back.asked)
        return;
    learn(s, true);
    net_timer_set(s->beat, atomic_load(&s->agent->beat_ms));
}

/* ---- flow
 * ------------------------------------------------------------------------- */

static size_t watched(const struct net_conn *conn) {
    return conn && net_conn_full(conn) ? net_conn_queued(conn) : SIZE_MAX;
}

/* As in tersed: a full queue has to move. */
static void watch(struct agent_session *s) {
    bool full =
        watched(s->front.conn) != SIZE_MAX || watched(s->back.conn) != SIZE_MAX;

    if (s->state != AGENT_PASSING || full == s->watching)
        return;
    s->watching = full;
    if (!full) {
        net_timer_stop(s->timer);
        return;
    }
    s->watch_front = watched(s->front.conn);
    s->watch_back = watched(s->back.conn);
    net_timer_set(s->timer, s->agent->stall_ms);
}

static bool back_wanted(const struct agent_session *s) {
    return (s->state == AGENT_PASSING || s->state == AGENT_LEAVING) &&
           s->back.conn && !net_conn_full(s->front.conn);
}

static void back_frame(struct agent_session *s, const uint8_t *frame, size_t n);

static void pull(struct agent_session *s) {
    while (back_wanted(s)) {
        const uint8_t *frame;
        size_t n;
        enum net_err err = frame_leg_next(&s->back, &frame, &n);

        if (err) {
            fail(s, bridge_net_condition(err), net_strerror(err));
            return;
        }
        if (!frame)
            return;
        if (n > 0)
            back_frame(s, frame, n);
    }
}

static void go_on(struct agent_session *s) {
    pull(s);
    if (s->state == AGENT_OVER)
        return;
    if (s->state != AGENT_DIALLING && s->back.conn) {
        if (back_wanted(s))
            net_conn_resume(s->back.conn);
        else
            net_conn_pause(s->back.conn);
    }
    if (s->state == AGENT_DIALLING ||
        (s->back.conn && net_conn_full(s->back.conn)))
        net_conn_pause(s->front.conn);
    else
        net_conn_resume(s->front.conn);
    watch(s);
    net_conn_flush(s->front.conn);
    if (s->back.conn)
        net_conn_flush(s->back.conn);
}

/* ---- from the client
 * ------------------------------------------------------------------ */

static void note_domain(struct agent_session *s,
                        const struct terse_node *header) {
    struct terse_str to;

    if (!terse_node_attr(header, "", "to", &to) || to.n >= sizeof(s->asked))
        return;
    memcpy(s->asked, to.p, to.n);
    s->asked[to.n] = '\0';
}

static void reach_proxy(struct agent_session *s);

static enum terse_err front_event(void *arg, enum terse_event event,
                                  struct terse_node *node) {
    struct agent_session *s = arg;
    struct terse_error error = {0};
    bool first = s->state == AGENT_GREETING;
    enum net_err err;

    if (s->state == AGENT_OVER)
        return TERSE_ESTREAM;
    if (event == TERSE_OPEN)
        note_domain(s, node);
    s->client_left |= event == TERSE_CLOSE;
    if (!move(s, event == TERSE_CLOSE ? AGENT_CLOSE : AGENT_FROM_CLIENT))
        return TERSE_ESTREAM;
    err = frame_leg_encode(&s->back, event, node, &error);
    if (err)
        fail(s, bridge_net_condition(err), net_strerror(err));
    else if (error.code)
        fail_error(s, &error);
    else if (first)
        reach_proxy(s);
    return err || s->state == AGENT_OVER ? TERSE_ESTREAM : error.code;
}

static void front_data(void *arg, const uint8_t *p, size_t n) {
    struct agent_session *s = arg;

    if (s->state != AGENT_LEAVING && xml_leg_feed(&s->front, p, n))
        fail_error(s, terse_reader_error(s->front.reader));
    go_on(s);
}

static void front_closed(void *arg, enum net_err why, const char *text) {
    struct agent_session *s = arg;

    if (s->state == AGENT_LEAVING)
        close_both(s);
    else
        lose(s, why == NET_EEOF ? "closed by the client" : text);
}

static void drained(void *arg) { go_on(arg); }

static void front_secured(void *arg) { (void)arg; /* it has no TLS */ }

static const struct net_conn_ops front_ops = {front_data, drained,
                                              front_secured, front_closed};

/* ---- from tersed
 * ----------------------------------------------------------------------- */

static bool is(const struct terse_frame_info *info, const char *ns,
               const char *name) {
    return info->kind == TERSE_ELEMENT && info->name.n == strlen(name) &&
           info->ns.n == strlen(ns) &&
           memcmp(info->name.p, name, info->name.n) == 0 &&
           memcmp(info->ns.p, ns, info->ns.n) == 0;
}

static void back_frame(struct agent_session *s, const uint8_t *frame,
                       size_t n) {
    struct terse_frame_info info;
    struct terse_error error = {0};

    if (terse_frame_info(s->back.bridge->schema, frame, n, &info)) {
        fail(s, terse_err_condition(TERSE_EFRAME),
             "The proxy sent what is no frame.");
        return;
    }
    if (!move(s, info.kind == TERSE_CLOSE ? AGENT_CLOSED : AGENT_FROM_PROXY))
        return;
    if (info.kind == TERSE_CLOSE) {
        close_both(s);
        return;
    }
    if (xml_leg_decode(&s->front, frame, n, &error)) {
        if (error.code == TERSE_ENOMEM)
            fail(s, "resource-constraint", error.text);
        else
            fail_error(s, &error);
        return;
    }
    s->front.opened |= info.kind == TERSE_OPEN;
    s->error_passed |= is(&info, TERSE_NS_STREAM, "error");
    /* RFC 6120 section 6.4.6: the client begins a new stream. */
    if (is(&info, BRIDGE_NS_SASL, "success"))
        terse_reader_restart(s->front.reader);
}

static void back_data(void *arg, const uint8_t *p, size_t n) {
    struct agent_session *s = arg;
    enum net_err err = net_framer_feed(&s->back.framer, p, n);

    heard(s);
    if (err)
        fail(s, bridge_net_condition(err), net_strerror(err));
    go_on(s);
    /* With its first header tersed has said that it knows heartbeats. */
    if (s->back.beat && !s->beat && s->state == AGENT_PASSING &&
        !net_timer_new(&s->beat, &s->owner, beat, s))
        net_timer_set(s->beat, atomic_load(&s->agent->beat_ms));
}

/* Why tersed cannot be used. */
static void back_failed(struct agent_session *s, enum net_err why,
                        const char *text) {
    char words[400];

    log_event(LOG_WARN, s->id, "unreachable", "text", text, NULL);
    if (why == NET_ECERT)
        snprintf(words, sizeof(words),
                 "The proxy's certificate is not good for %.100s: %.200s.",
                 s->agent->tls_name ? s->agent->tls_name : s->asked, text);
    else
        snprintf(words, sizeof(words), "The proxy cannot be reached: %.250s",
                 text);
    fail(s, "remote-connection-failed", words);
}

static void back_closed(void *arg, enum net_err why, const char *text) {
    struct agent_session *s = arg;

    net_conn_close(s->back.conn, NET_CLOSE_ABORT, 0);
    s->back.conn = NULL;
    if (s->state == AGENT_DIALLING)
        back_failed(s, why, text);
    else if (s->state == AGENT_LEAVING)
        close_both(s);
    else
        fail(s, "remote-connection-failed", text);
}

/* What the client said meanwhile goes first. */
static void connected(struct agent_session *s) {
    enum net_err err;

    if (!move(s, AGENT_CONNECTED))
        return;
    err = frame_leg_release(&s->back);
    if (err) {
        fail(s, bridge_net_condition(err), net_strerror(err));
        return;
    }
    if (s->client_left && !move(s, AGENT_CLOSE))
        return;
    go_on(s);
}

static void back_secured(void *arg) {
    struct agent_session *s = arg;
    char cipher[64];

    net_conn_cipher(s->back.conn, cipher);
    log_event(LOG_INFO, s->id, "tls", "cipher", cipher, "resumed",
              net_conn_resumed(s->back.conn) ? "yes" : "no", NULL);
    connected(s);
}

static const struct net_conn_ops back_ops = {back_data, drained, back_secured,
                                             back_closed};

static void secure(struct agent_session *s) {
    const char *name = s->agent->tls_name ? s->agent->tls_name : s->asked;
    enum net_err err = net_conn_secure(s->back.conn, s->agent->tls, name);

    if (err == NET_EARG) {
        fail(s, "improper-addressing", "The header names no domain.");
    } else if (err) {
        fail(s, "resource-constraint", NULL);
    } else {
        net_timer_set(s->timer, s->agent->connect_ms);
        net_conn_resume(s->back.conn);
    }
}

static void dialled(void *arg, enum net_err err, const char *text,
                    struct nng_stream *stream) {
    struct agent_session *s = arg;
    struct net_marks marks = bridge_marks(&s->agent->bridge);

    s->dial = NULL;
    if (err) {
        back_failed(s, err, text);
    } else if (net_conn_new(&s->back.conn, &s->owner, stream, &marks, &back_ops,
                            s)) {
        net_stream_drop(stream);
        fail(s, "resource-constraint", NULL);
    } else if (s->agent->tls) {
        secure(s);
    } else {
        connected(s);
    }
}

static void reach_proxy(struct agent_session *s) {
    struct agent *agent = s->agent;
    struct net_target target = {agent->host, agent->port, NULL};

    if (net_dial_new(&s->dial, &s->owner, agent->resolver, &target,
                     agent->connect_ms, dialled, s))
        fail(s, "resource-constraint", NULL);
}

/* ---- life
 * --------------------------------------------------------------------------------
 */

static bool stuck(const struct net_conn *conn, size_t before) {
    return before != SIZE_MAX && watched(conn) != SIZE_MAX &&
           net_conn_queued(conn) >= before;
}

static void late(void *arg) {
    struct agent_session *s = arg;

    if (s->state == AGENT_LEAVING) {
        close_both(s);
    } else if (s->state == AGENT_DIALLING) {
        back_failed(s, NET_ETIMEOUT, net_strerror(NET_ETIMEOUT));
    } else if (stuck(s->front.conn, s->watch_front)) {
        lose(s, "the client takes nothing");
    } else if (stuck(s->back.conn, s->watch_back)) {
        fail(s, "remote-connection-failed", "The proxy takes nothing.");
    } else {
        s->watching = false;
        watch(s);
    }
}

static void unlist(struct agent_session *s) {
    struct agent *agent = s->agent;

    pthread_mutex_lock(&agent->lock);
    if (s->listed) {
        *s->prev = s->next;
        if (s->next)
            s->next->prev = s->prev;
    }
    pthread_mutex_unlock(&agent->lock);
}

static void session_fini(struct net_owner *owner) {
    struct agent_session *s = (struct agent_session *)owner;
    struct agent *agent = s->agent;

    unlist(s);
    xml_leg_fini(&s->front);
    frame_leg_fini(&s->back);
    net_owner_fini(&s->owner);
    free(s);
    pthread_mutex_lock(&agent->lock);
    agent->n_alive--;
    pthread_cond_signal(&agent->left);
    pthread_mutex_unlock(&agent->lock);
}

static bool admit(struct agent *agent, struct agent_session *s) {
    bool admitted;

    pthread_mutex_lock(&agent->lock);
    admitted = !agent->draining;
    s->id = ++agent->next_id;
    agent->n_alive++;
    if (admitted) {
        s->next = agent->sessions;
        s->prev = &agent->sessions;
        if (s->next)
            s->next->prev = &s->next;
        agent->sessions = s;
        s->listed = true;
    }
    pthread_mutex_unlock(&agent->lock);
    return admitted;
}

/* With the lock. Takes the stream. */
static void start(struct agent_session *s, struct nng_stream *stream) {
    struct agent *agent = s->agent;
    struct net_marks marks = bridge_marks(&agent->bridge);

    frame_leg_init(&s->back, &agent->bridge, NET_FRAMING_NATIVE, true);
    frame_leg_hold(&s->back);
    if (xml_leg_init(&s->front, &agent->bridge, front_event, s) ||
        s->state == AGENT_OVER ||
        net_timer_new(&s->timer, &s->owner, late, s) ||
        net_conn_new(&s->front.conn, &s->owner, stream, &marks, &front_ops,
                     s)) {
        net_stream_drop(stream);
        end(s, NET_CLOSE_ABORT, NET_CLOSE_ABORT);
        return;
    }
    net_conn_resume(s->front.conn);
}

void agent_accept(void *arg, struct nng_stream *stream) {
    struct agent *agent = arg;
    struct agent_session *s = calloc(1, sizeof(*s));
    char peer[48], port[8];
    uint16_t number;

    if (!s || net_owner_init(&s->owner, session_fini)) {
        free(s);
        net_stream_drop(stream);
        return;
    }
    s->agent = agent;
    net_stream_peer(stream, peer, &number);
    snprintf(port, sizeof(port), "%u", number);
    if (!admit(agent, s)) {
        net_stream_drop(stream);
    } else {
        net_lock(&s->owner);
        log_event(LOG_INFO, s->id, "accepted", "peer", peer, "port", port,
                  NULL);
        start(s, stream);
        net_unlock(&s->owner);
    }
    net_owner_rele(&s->owner);
}

/* ---- all of them
 * ---------------------------------------------------------------------------
 */

/* Ends one session that has not been told yet. False: there is none. */
static bool drain_one(struct agent *agent) {
    struct agent_session *s;

    pthread_mutex_lock(&agent->lock);
    agent->draining = true;
    for (s = agent->sessions; s; s = s->next)
        if (net_owner_try_hold(&s->owner))
            break;
    if (s) { /* out of the list, so that the next call finds the next */
        *s->prev = s->next;
        if (s->next)
            s->next->prev = s->prev;
        s->listed = false;
    }
    pthread_mutex_unlock(&agent->lock);
    if (!s)
        return false;
    net_lock(&s->owner);
    fail(s, "system-shutdown", NULL);
    net_unlock(&s->owner);
    net_owner_rele(&s->owner);
    return true;
}

bool agent_drain(struct agent *agent, uint32_t ms) {
    struct timespec until;
    bool gone;

    while (drain_one(agent))
        ;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += ms / 1000;
    pthread_mutex_lock(&agent->lock);
    while (agent->n_alive &&
           pthread_cond_timedwait(&agent->left, &agent->lock, &until) == 0)
        ;
    gone = agent->n_alive == 0;
    pthread_mutex_unlock(&agent->lock);
    return gone;
}
