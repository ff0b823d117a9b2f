/*
 * agent_session.c: one XMPP client of the agent: its life, what comes and goes,
 * what ends it. Guarded by owner.lock, but for the list.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/crypto.h>

#include "bridge/log.h"
#include "client/agent_session.h"
#include "client/client.h"

/* ---- state and ends
 * -------------------------------------------------------------- */

uint64_t session_now(void) {
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

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

bool session_move(struct agent_session *s, enum agent_event event) {
    enum agent_state next;

    if (agent_next(s->state, event, &next)) {
        move_to(s, event, next);
        return true;
    }
    session_fail(s, "bad-format", "This is out of place here.");
    return false;
}

static void end(struct agent_session *s, enum net_close front,
                enum net_close back) {
    move_to(s, AGENT_END, AGENT_OVER);
    net_conn_close(s->front.conn, front, s->agent->close_ms);
    s->front.conn = NULL;
    net_conn_close(s->back.conn, back, s->agent->close_ms);
    s->back.conn = NULL;
    s->linked = false;
    link_fini(s);
    stream_fini(s);
    log_event(LOG_INFO, s->id, "closed", NULL);
}

/* A stream error, or only the footer, to the client; with a header if it has
 * none yet. */
static void tell_client(struct agent_session *s, const char *condition,
                        const char *text) {
    char xml[BRIDGE_TEXT], id[24];

    if (s->footer_said)
        return;
    s->footer_said = true;
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

    if (!s->back.opened || s->close_said || !s->linked)
        return;
    s->close_said = true;
    bridge_header(xml, NULL, NULL, NULL); /* not sent: there was one */
    strcat(xml, BRIDGE_FOOTER);
    if (frame_leg_say(&s->back, xml))
        log_event(LOG_WARN, s->id, "unsaid", NULL);
}

void session_fail(struct agent_session *s, const char *condition,
                  const char *text) {
    if (s->state == AGENT_OVER)
        return;
    log_event(LOG_WARN, s->id, "failed", "condition", condition, "text", text,
              NULL);
    tell_client(s, s->error_passed ? NULL : condition, text);
    tell_proxy(s);
    end(s, NET_CLOSE_LINGER, NET_CLOSE_LINGER);
}

void session_fail_error(struct agent_session *s,
                        const struct terse_error *error) {
    session_fail(s, terse_err_condition(error->code), error->text);
}

void session_fail_net(struct agent_session *s, enum net_err err) {
    session_fail(s, bridge_net_condition(err), net_strerror(err));
}

void session_close(struct agent_session *s) {
    tell_client(s, NULL, NULL);
    tell_proxy(s);
    /* Whoever has said its last word needs no time to hear ours: if both ends
     * lingered, each would wait for the other to hang up. */
    end(s, s->client_left ? NET_CLOSE_FLUSH : NET_CLOSE_LINGER,
        NET_CLOSE_FLUSH);
}

void session_part(struct agent_session *s) {
    if (!s->front.conn)
        return;
    tell_client(s, NULL, NULL);
    net_conn_flush(s->front.conn);
    net_conn_close(s->front.conn, NET_CLOSE_FLUSH, s->agent->close_ms);
    s->front.conn = NULL;
}

/* Whether tersed holds something for this client, or has something to do for
 * it, that should not wait until it notices. */
static bool is_bound(const struct agent_session *s) {
    return !s->transparent &&
           (s->state == AGENT_RESTART || s->state == AGENT_BINDING ||
            s->state == AGENT_UP || s->state == AGENT_LOST ||
            s->state == AGENT_RETURNING || s->state == AGENT_LEAVING);
}

/* The client has gone without a footer. Who manages its stream by itself wants
 * to resume it: then tersed must not see a footer either. Who was given a
 * session by us knows nothing of it, and for its server it has left. */
static void lose(struct agent_session *s, const char *why) {
    log_event(LOG_INFO, s->id, "lost", "why", why, NULL);
    if (!is_bound(s)) {
        end(s, NET_CLOSE_ABORT, NET_CLOSE_FLUSH);
        return;
    }
    net_conn_close(s->front.conn, NET_CLOSE_ABORT, 0);
    s->front.conn = NULL;
    s->client_left = s->footer_said = true;
    if (s->state != AGENT_LEAVING)
        session_move(s, AGENT_CLOSE);
    session_go_on(s);
}

/* ---- what is said
 * ----------------------------------------------------------------- */

static void wipe(struct terse_buf *buf) {
    if (buf->data)
        OPENSSL_cleanse(buf->data, buf->cap);
    terse_buf_fini(buf);
}

bool session_pass(struct agent_session *s, const uint8_t *frame, size_t n) {
    struct terse_error error = {0};

    if (!xml_leg_decode(&s->front, frame, n, &error))
        return true;
    if (error.code == TERSE_ENOMEM)
        session_fail(s, "resource-constraint", error.text);
    else
        session_fail_error(s, &error);
    return false;
}

void session_say(struct agent_session *s, struct terse_buf *xml,
                 enum terse_err err) {
    if (!err)
        err = terse_buf_append(xml, "", 1);
    if (!err)
        xml_leg_say(&s->front, (const char *)terse_buf_data(xml));
    wipe(xml);
    if (err)
        session_fail(s, "resource-constraint", NULL);
}

bool session_tell(struct agent_session *s, struct terse_buf *xml,
                  enum terse_err err) {
    char header[BRIDGE_TEXT];
    struct terse_buf all;
    enum net_err net = NET_ENOMEM;

    bridge_header(header, NULL, s->asked, NULL); /* if there was none */
    terse_buf_init(&all, xml->len + BRIDGE_TEXT + 1);
    if (!err && !terse_buf_append(&all, header, strlen(header)) &&
        !terse_buf_append(&all, terse_buf_data(xml), xml->len) &&
        !terse_buf_append(&all, "", 1))
        net = frame_leg_say(&s->back, (const char *)terse_buf_data(&all));
    wipe(&all);
    wipe(xml);
    if (net)
        session_fail_net(s, net);
    return !net;
}

/* ---- flow
 * ------------------------------------------------------------------------- */

static bool full(const struct net_conn *conn) {
    return conn && net_conn_full(conn);
}

static size_t watched(const struct net_conn *conn) {
    return full(conn) ? net_conn_queued(conn) : SIZE_MAX;
}

/* As in tersed: a full queue has to move. */
static void watch(struct agent_session *s) {
    bool any =
        watched(s->front.conn) != SIZE_MAX || watched(s->back.conn) != SIZE_MAX;

    if ((s->state != AGENT_PASSING && s->state != AGENT_UP) ||
        any == s->watching)
        return;
    s->watching = any;
    if (!any) {
        net_timer_stop(s->timer);
        return;
    }
    s->watch_front = watched(s->front.conn);
    s->watch_back = watched(s->back.conn);
    net_timer_set(s->timer, s->agent->stall_ms);
}

bool session_wants(const struct agent_session *s) {
    if (!s->linked || !s->back.conn || full(s->front.conn))
        return false;
    switch (s->state) {
    case AGENT_OFFER:
    case AGENT_LOGIN:
    case AGENT_UP:
    case AGENT_RETURNING:
    case AGENT_PASSING:
    case AGENT_LEAVING:
        return true;
    case AGENT_RESTART: /* stanzas wait until the client is bound */
        return !s->login->features.len;
    default:
        return false;
    }
}

/* Whether the client is read. */
static bool front_wanted(const struct agent_session *s) {
    if (full(s->back.conn))
        return false;
    switch (s->state) {
    case AGENT_DIALLING:
    case AGENT_OFFER:
        return false;
    case AGENT_LOGIN: /* no more than what goes first */
        return !s->back.holding || !s->login->asked;
    case AGENT_RESTART:
        return !s->login->header_due;
    case AGENT_UP:
    case AGENT_LOST:
    case AGENT_RETURNING:
        return !stream_full(s);
    default:
        return true;
    }
}

static void back_frame(struct agent_session *s, const uint8_t *frame, size_t n);

static void pull(struct agent_session *s) {
    while (session_wants(s)) {
        const uint8_t *frame;
        size_t n;
        enum net_err err = frame_leg_next(&s->back, &frame, &n);

        if (err) {
            session_fail_net(s, err);
            return;
        }
        if (!frame)
            return;
        if (n > 0)
            back_frame(s, frame, n);
    }
}

void session_go_on(struct agent_session *s) {
    pull(s);
    stream_turn(s);
    if (s->state == AGENT_OVER)
        return;
    if (s->linked && session_wants(s))
        net_conn_resume(s->back.conn);
    else if (s->linked)
        net_conn_pause(s->back.conn);
    if (s->front.conn && front_wanted(s))
        net_conn_resume(s->front.conn);
    else if (s->front.conn)
        net_conn_pause(s->front.conn);
    watch(s);
    if (s->front.conn)
        net_conn_flush(s->front.conn);
    if (s->linked && !stream_gathers(s))
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

/* As it is. */
static void pass(struct agent_session *s, enum terse_event event,
                 const struct terse_node *node) {
    struct terse_error error = {0};
    enum net_err err;

    s->close_said |= event == TERSE_CLOSE;
    if (!session_move(s,
                      event == TERSE_CLOSE ? AGENT_CLOSE : AGENT_FROM_CLIENT))
        return;
    err = frame_leg_encode(&s->back, event, node, &error);
    if (err)
        session_fail_net(s, err);
    else if (error.code)
        session_fail_error(s, &error);
}

/* Of a client that is bound. */
static void stanza(struct agent_session *s, enum terse_event event,
                   struct terse_node *node) {
    if (event == TERSE_OPEN)
        session_fail(s, "bad-format", "This is out of place here.");
    else if (!session_move(s, event == TERSE_CLOSE ? AGENT_CLOSE
                                                   : AGENT_FROM_CLIENT))
        return;
    else if (event == TERSE_ELEMENT)
        stream_from_client(s, node);
    else if (s->state == AGENT_LOST || s->state == AGENT_RETURNING)
        session_part(s); /* what it said is still to go */
}

static enum terse_err front_event(void *arg, enum terse_event event,
                                  struct terse_node *node) {
    struct agent_session *s = arg;

    if (s->state == AGENT_OVER || s->state == AGENT_LEAVING)
        return TERSE_ESTREAM;
    if (event == TERSE_OPEN)
        note_domain(s, node);
    s->client_left |= event == TERSE_CLOSE;
    if (s->state == AGENT_GREETING)
        login_begin(s, node);
    else if (s->transparent)
        pass(s, event, node);
    else if (s->login)
        login_from_client(s, event, node);
    else
        stanza(s, event, node);
    return s->state == AGENT_OVER ? TERSE_ESTREAM : TERSE_OK;
}

static void front_data(void *arg, const uint8_t *p, size_t n) {
    struct agent_session *s = arg;

    if (s->state != AGENT_LEAVING && !s->client_left &&
        xml_leg_feed(&s->front, p, n))
        session_fail_error(s, terse_reader_error(s->front.reader));
    session_go_on(s);
}

static void front_closed(void *arg, enum net_err why, const char *text) {
    struct agent_session *s = arg;

    if (s->state == AGENT_LEAVING && (s->transparent || s->close_said))
        session_close(s);
    else
        lose(s, why == NET_EEOF ? "closed by the client" : text);
}

static void drained(void *arg) { session_go_on(arg); }

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

/* Whether the client has no use for that: it had such a thing from us. */
static bool skips(struct agent_session *s,
                  const struct terse_frame_info *info) {
    bool features = is(info, TERSE_NS_STREAM, "features");

    if (!s->skip || (info->kind != TERSE_OPEN && !features))
        return false;
    s->skip = !features;
    return true;
}

static void pass_back(struct agent_session *s,
                      const struct terse_frame_info *info, const uint8_t *frame,
                      size_t n) {
    if (skips(s, info) || !session_pass(s, frame, n))
        return;
    s->front.opened |= info->kind == TERSE_OPEN;
    s->error_passed |= is(info, TERSE_NS_STREAM, "error");
    /* RFC 6120 section 6.4.6: the client begins a new stream. */
    if (is(info, BRIDGE_NS_SASL, "success"))
        terse_reader_restart(s->front.reader);
}

static void back_close(struct agent_session *s) {
    if (s->state == AGENT_RETURNING || link_may_be_stale(s))
        link_lost(s, NET_EEOF, "The proxy has closed the stream.");
    else if (session_move(s, AGENT_CLOSED))
        session_close(s);
}

static void back_frame(struct agent_session *s, const uint8_t *frame,
                       size_t n) {
    struct terse_frame_info info;

    if (terse_frame_info(s->back.bridge->schema, frame, n, &info)) {
        session_fail(s, terse_err_condition(TERSE_EFRAME),
                     "The proxy sent what is no frame.");
        return;
    }
    if (info.kind == TERSE_CLOSE) {
        back_close(s);
        return;
    }
    if (!session_move(s, AGENT_FROM_PROXY))
        return;
    if (s->transparent)
        pass_back(s, &info, frame, n);
    else if (s->login)
        login_from_proxy(s, &info, frame, n);
    else if (s->state == AGENT_RETURNING)
        link_from_proxy(s, &info, frame, n);
    else
        stream_from_proxy(s, &info, frame, n);
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
        session_close(s);
    } else if (s->state == AGENT_LOGIN && s->linked) {
        login_hurry(s);
    } else if (!s->linked || s->state == AGENT_RETURNING) {
        link_lost(s, NET_ETIMEOUT, net_strerror(NET_ETIMEOUT));
    } else if (stuck(s->front.conn, s->watch_front)) {
        lose(s, "the client takes nothing");
    } else if (stuck(s->back.conn, s->watch_back)) {
        link_lost(s, NET_ETIMEOUT, "The proxy takes nothing.");
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

static void phone_fini(struct agent_session *s) {
    struct agent_phone *phone = &s->phone;

    phone_box_fini(&phone->box);
    if (phone->account)
        memory_give_device(s->agent->memory, phone->account, phone->slot);
    client_wipe_free(phone->secret);
    client_wipe_free(phone->token);
    free(phone->account);
    free(phone->user);
    free(phone->jid);
    free(phone->id);
}

static void session_fini(struct net_owner *owner) {
    struct agent_session *s = (struct agent_session *)owner;
    struct agent *agent = s->agent;

    unlist(s);
    login_free(s);
    phone_fini(s);
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
static void start(struct agent_session *s, struct net_stream *stream) {
    struct agent *agent = s->agent;
    struct net_marks marks = bridge_marks(&agent->bridge);

    frame_leg_init(&s->back, &agent->bridge, NET_FRAMING_NATIVE, true);
    frame_leg_hold(&s->back);
    stream_init(s);
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

void agent_accept(void *arg, struct net_stream *stream) {
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
    s->transparent = agent->transparent;
    s->proxy = atomic_load(&agent->proxy);
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
    session_fail(s, "system-shutdown", NULL);
    net_unlock(&s->owner);
    net_owner_rele(&s->owner);
    return true;
}

/* All that are there, held; the caller frees the array. */
static struct agent_session **hold_all(struct agent *agent, size_t *n) {
    struct agent_session **all, *s;

    *n = 0;
    pthread_mutex_lock(&agent->lock);
    all = calloc(agent->n_alive + 1, sizeof(struct agent_session *));
    for (s = agent->sessions; all && s; s = s->next)
        if (net_owner_try_hold(&s->owner))
            all[(*n)++] = s;
    pthread_mutex_unlock(&agent->lock);
    return all;
}

void agent_reconnect(struct agent *agent) {
    struct agent_session **all;
    size_t n;

    all = hold_all(agent, &n);
    for (size_t i = 0; i < n; i++) {
        net_lock(&all[i]->owner);
        link_hint(all[i]);
        session_go_on(all[i]);
        net_unlock(&all[i]->owner);
        net_owner_rele(&all[i]->owner);
    }
    free(all);
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
