/*
 * agent_link.c: the connection to tersed: made, watched, lost, made again. When
 * it is lost behind a client that is bound, the client is not told: its session
 * is taken back by token, in one round trip, or else by PLAIN's password, and
 * goes on where it was.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "bridge/log.h"
#include "client/agent_session.h"
#include "client/client.h"

/* In milliseconds. BACKOFF: between attempts to connect. ELSEWHERE: for which a
 * session that one proxy alone can give back waits for it, where the client
 * could log in at another. HEADER: for which the header waits for
 * <authenticate/>. STALE: after a return, in which the end may be that of an
 * older connection. THERE: to connect to where the session is held, and for TLS
 * there; others may have it back, too. */
enum {
    BACKOFF_LEAST = 500,
    BACKOFF_MOST = 30000,
    ELSEWHERE = 15000,
    HEADER = 1000,
    STALE = 10000,
    THERE = 5000,
};

/* ---- heartbeats
 * ------------------------------------------------------------------- */

/* Nobody says how long a NAT on the way keeps a silent connection. So the
 * silence before a ping grows while pings are answered, and shrinks when a
 * connection turns out to be dead after one; for all sessions of this agent,
 * since they go the same way. */
static void learn(struct agent_session *s, bool alive) {
    struct agent *agent = s->agent;
    uint32_t ms = alive ? s->silence + s->silence / 4 : s->silence / 2;

    if (!s->silence)
        return;
    if (ms > agent->beat_most)
        ms = agent->beat_most;
    if (ms < agent->beat_least)
        ms = agent->beat_least;
    atomic_store(&agent->beat_ms, ms);
}

/* Of silence, while something is to be acknowledged; 0: as long as ever. */
static uint32_t doubt_ms(const struct agent_session *s) {
    uint32_t beat_ms = atomic_load(&s->agent->beat_ms);
    uint32_t ms = phone_box_held_back(
        &s->phone.box, phone_held_back(s->phone.inactive, s->agent->wait_ms));

    if (!s->phone.sm.on || ms >= beat_ms || s->agent->doubt_ms >= beat_ms - ms)
        return 0;
    return s->agent->doubt_ms + ms;
}

static void beat(void *arg) {
    struct agent_session *s = arg;
    uint64_t silent = session_now() - s->heard;
    uint32_t wait = atomic_load(&s->agent->beat_ms), doubt = doubt_ms(s);

    if (!s->back.conn || !s->back.beat)
        return;
    if (s->back.asked) {
        log_event(LOG_WARN, s->id, "no-pong", NULL);
        learn(s, false);
        link_lost(s, NET_ETIMEOUT, "The proxy does not answer.");
        return;
    }
    if (doubt)
        wait = doubt;
    if (!session_wants(s))
        silent = 0; /* it is not read: it may well have spoken */
    if (silent < wait) {
        net_timer_set(s->beat, (uint32_t)(wait - silent));
        return;
    }
    s->silence = doubt ? 0 : wait;
    if (!frame_leg_ping(&s->back))
        net_conn_flush(s->back.conn);
    net_timer_set(s->beat, s->agent->pong_ms);
}

void link_doubt(struct agent_session *s) {
    uint32_t ms = doubt_ms(s);

    if (s->beat && !s->back.asked && ms)
        net_timer_set(s->beat, ms);
}

/* Something came from tersed. */
static void heard(struct agent_session *s) {
    s->heard = session_now();
    if (!s->back.asked || !s->beat)
        return;
    learn(s, true);
    net_timer_set(s->beat, atomic_load(&s->agent->beat_ms));
}

/* With its first header tersed has said whether it knows heartbeats. */
static void begin_beat(struct agent_session *s) {
    if (s->back.beat && !s->beat &&
        (s->state == AGENT_PASSING || s->state == AGENT_LOGIN ||
         s->state == AGENT_UP) &&
        !net_timer_new(&s->beat, &s->owner, beat, s))
        net_timer_set(s->beat, atomic_load(&s->agent->beat_ms));
}

/* ---- lost
 * ----------------------------------------------------------------------- */

static void drop(struct agent_session *s) {
    net_dial_cancel(s->dial);
    s->dial = NULL;
    net_conn_close(s->back.conn, NET_CLOSE_ABORT, 0);
    s->back.conn = NULL;
    s->linked = false;
    s->back.asked = false;
    net_timer_free(s->beat);
    s->beat = NULL;
    if (s->timer)
        net_timer_stop(s->timer);
}

bool link_may_return(const struct agent_session *s) {
    return !s->transparent && s->phone.id && s->phone.sm.on &&
           (s->phone.token || s->phone.secret);
}

bool link_may_be_stale(const struct agent_session *s) {
    return s->state == AGENT_UP && s->phone.secret && link_may_return(s) &&
           s->phone.back_at && session_now() - s->phone.back_at < STALE;
}

static void give_up(struct agent_session *s) {
    session_fail(s, "remote-connection-failed",
                 "The session could not be had back.");
}

static void try_again(void *arg);

static uint32_t dice(void) {
    uint32_t random;

    if (getrandom(&random, sizeof(random), 0) != sizeof(random))
        random = (uint32_t)session_now() * 2654435761u;
    return random;
}

/* ---- where to
 * ----------------------------------------------------------------------- */

void link_locate(struct agent_session *s, const char *location) {
    struct agent_phone *phone = &s->phone;
    bool there = s->proxy == AGENT_LOCATION;
    uint16_t port =
        there ? phone->location.port : s->agent->proxies[s->proxy].port;
    struct agent_proxy told;

    if (!there)
        phone->home = s->proxy;
    if (!*location) {
        phone->located = phone->located && there;
        return;
    }
    phone->located = s->agent->follows &&
                     phone_location(location, port, told.host, &told.port);
    if (phone->located)
        phone->location = told;
}

/* Whether the token is good there, as far as one can know. */
static bool knows_token(const struct agent_session *s) {
    return s->proxy == (s->phone.located ? AGENT_LOCATION : s->phone.home);
}

/* How many places there are to try: all, if there is a password for them. */
static unsigned places(const struct agent_session *s) {
    return (s->phone.secret ? s->agent->n_proxies : 1) + s->phone.located;
}

/* Where to, this time: who has the session first. */
static unsigned where(const struct agent_session *s) {
    unsigned turn = s->phone.attempt % places(s);

    if (s->phone.located && turn == 0)
        return AGENT_LOCATION;
    return (s->phone.home + turn - s->phone.located) % s->agent->n_proxies;
}

/* For a step of connecting. */
static uint32_t step_ms(const struct agent_session *s) {
    uint32_t ms = s->agent->connect_ms;

    return s->proxy == AGENT_LOCATION && ms > THERE ? THERE : ms;
}

/* When the next attempt is. */
static void schedule(struct agent_session *s) {
    unsigned round = s->phone.attempt / places(s);
    uint32_t wait = phone_backoff(round, BACKOFF_LEAST, BACKOFF_MOST, dice());
    uint64_t now = session_now();

    if (s->phone.located && s->phone.attempt % places(s) == 1)
        wait = 0; /* the others have no part in that */
    if (now >= s->phone.until) {
        give_up(s);
        return;
    }
    if (now + wait > s->phone.until)
        wait = (uint32_t)(s->phone.until - now);
    if (!s->retry && net_timer_new(&s->retry, &s->owner, try_again, s))
        give_up(s);
    else
        net_timer_set(s->retry, wait);
}

/* From here on the client notices a pause, if anything. */
static void begin_return(struct agent_session *s, const char *text) {
    uint32_t ms = s->agent->give_up_ms;

    if (s->state != AGENT_LOST && !session_move(s, AGENT_LINK_LOST))
        return;
    if (s->state != AGENT_LOST)
        return; /* its login goes on meanwhile */
    if (!s->phone.secret && s->agent->n_proxies > 1 && ms > ELSEWHERE)
        ms = ELSEWHERE;
    if (!s->phone.until) {
        log_event(LOG_INFO, s->id, "link-lost", "text", text, NULL);
        s->phone.until = session_now() + ms;
        s->phone.attempt = 0;
    }
    if (s->client_left)
        session_part(s);
    schedule(s);
}

/* Why tersed cannot be used. */
static void unreachable(struct agent_session *s, enum net_err why,
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
    session_fail(s, "remote-connection-failed", words);
}

/* Before the first answer another proxy is as good. */
static void try_next(struct agent_session *s, enum net_err why,
                     const char *text) {
    if (++s->tried >= s->agent->n_proxies) {
        unreachable(s, why, text);
        return;
    }
    log_event(LOG_INFO, s->id, "next-proxy", "text", text, NULL);
    s->proxy = (s->proxy + 1) % s->agent->n_proxies;
    link_dial(s);
}

void link_lost(struct agent_session *s, enum net_err why, const char *text) {
    bool linked = s->linked;

    if (s->state == AGENT_OVER)
        return;
    drop(s);
    if (!linked && (s->state == AGENT_DIALLING || s->state == AGENT_LOGIN)) {
        try_next(s, why, text);
    } else if (s->state == AGENT_LEAVING &&
               (!link_may_return(s) || !s->phone.box.stanzas)) {
        session_close(s);
    } else if (s->state == AGENT_LOST ||
               ((s->state == AGENT_RESTART || s->state == AGENT_BINDING ||
                 s->state == AGENT_UP || s->state == AGENT_RETURNING ||
                 s->state == AGENT_LEAVING) &&
                link_may_return(s))) {
        begin_return(s, text);
    } else {
        session_fail(s, "remote-connection-failed", text);
    }
}

/* ---- made
 * ----------------------------------------------------------------------- */

static void back_data(void *arg, const uint8_t *p, size_t n) {
    struct agent_session *s = arg;
    enum net_err err = net_framer_feed(&s->back.framer, p, n);

    heard(s);
    if (err)
        session_fail_net(s, err);
    session_go_on(s);
    begin_beat(s);
}

static void drained(void *arg) { session_go_on(arg); }

static void back_closed(void *arg, enum net_err why, const char *text) {
    struct agent_session *s = arg;

    link_lost(s, why, text);
    session_go_on(s);
}

/* Header and <authenticate/>, which asks for the session that there was. */
static void say_return(struct agent_session *s) {
    char initial[PHONE_HT_SIZE];
    struct agent_phone *phone = &s->phone;
    struct phone_ask ask = {.agent = phone->device,
                            .resume = phone->id,
                            .h = phone->sm.in,
                            .wants_token = true};
    struct terse_buf xml;

    phone->by_token = phone->token && (knows_token(s) || !phone->secret) &&
                      phone_ht_initial(phone->token, phone->user, initial);
    if (!phone->by_token && !phone->secret) {
        give_up(s);
        return;
    }
    ask.mechanism = phone->by_token ? PHONE_HT : "PLAIN";
    ask.initial = phone->by_token ? initial : phone->secret;
    ask.fast = phone->by_token;
    terse_buf_init(&xml, WORDS_DATA + BRIDGE_TEXT * 4);
    session_tell(s, &xml, phone_authenticate(&xml, &ask));
    explicit_bzero(initial, sizeof(initial));
}

static void return_to(struct agent_session *s) {
    enum net_err err = frame_leg_release(&s->back);

    if (err) {
        session_fail_net(s, err);
    } else if (session_move(s, AGENT_LINKED)) {
        net_timer_set(s->timer, s->agent->connect_ms);
        say_return(s);
    }
}

/* What the client said meanwhile goes first. */
static void connected(struct agent_session *s) {
    enum net_err err = NET_OK;

    s->linked = true;
    if (s->proxy != AGENT_LOCATION)
        atomic_store(&s->agent->proxy, s->proxy);
    net_timer_stop(s->timer);
    net_conn_resume(s->back.conn);
    if (s->state == AGENT_LOST) {
        return_to(s);
    } else if (!session_move(s, s->transparent ? AGENT_NOT_OFFERED
                                               : AGENT_CONNECTED)) {
        return;
    } else if (s->state == AGENT_LOGIN && !s->login->asked) {
        net_timer_set(s->timer, HEADER); /* the client is about to say more */
    } else {
        if (s->state == AGENT_LEAVING)
            net_timer_set(s->timer, s->agent->close_ms);
        err = frame_leg_release(&s->back);
    }
    if (err)
        session_fail_net(s, err);
    if (s->transparent)
        login_free(s);
    if (s->state == AGENT_PASSING && s->client_left)
        session_move(s, AGENT_CLOSE);
    session_go_on(s);
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
        session_fail(s, "improper-addressing", "The header names no domain.");
    } else if (err) {
        session_fail(s, "resource-constraint", NULL);
    } else {
        net_timer_set(s->timer, step_ms(s));
        net_conn_resume(s->back.conn);
    }
}

static void dialled(void *arg, enum net_err err, const char *text,
                    struct net_stream *stream) {
    struct agent_session *s = arg;
    struct net_marks marks = bridge_marks(&s->agent->bridge);

    s->dial = NULL;
    if (err) {
        link_lost(s, err, text);
    } else if (net_conn_new(&s->back.conn, &s->owner, stream, &marks, &back_ops,
                            s)) {
        net_stream_drop(stream);
        session_fail(s, "resource-constraint", NULL);
    } else if (s->agent->tls) {
        secure(s);
    } else {
        connected(s);
    }
}

void link_dial(struct agent_session *s) {
    struct agent *agent = s->agent;
    const struct agent_proxy *proxy = s->proxy == AGENT_LOCATION
                                          ? &s->phone.location
                                          : &agent->proxies[s->proxy];
    struct net_target target = {proxy->host, proxy->port, NULL};

    if (net_dial_new(&s->dial, &s->owner, agent->resolver, &target, step_ms(s),
                     dialled, s))
        session_fail(s, "resource-constraint", NULL);
}

/* ---- back
 * ----------------------------------------------------------------------- */

static void try_again(void *arg) {
    struct agent_session *s = arg;

    if (s->state != AGENT_LOST || s->dial || s->back.conn)
        return;
    if (session_now() >= s->phone.until) {
        give_up(s);
        return;
    }
    s->proxy = where(s);
    s->phone.attempt++;
    frame_leg_fini(&s->back);
    frame_leg_init(&s->back, &s->agent->bridge, NET_FRAMING_NATIVE, true);
    frame_leg_hold(&s->back);
    s->close_said = false;
    link_dial(s);
}

void link_hint(struct agent_session *s) {
    if (!link_may_return(s))
        return;
    if (s->state == AGENT_UP) {
        link_lost(s, NET_ECLOSED, "The network has changed.");
    } else if (s->state == AGENT_LOST) {
        drop(s);
    } else {
        return; /* it has a connection that is new */
    }
    if (s->state != AGENT_LOST || !s->retry)
        return;
    s->phone.attempt = 0;
    net_timer_set(s->retry, 0);
}

static bool take(char **to, const char *s) {
    char *copy = *s ? strdup(s) : NULL;

    free(*to);
    *to = copy;
    return copy || !*s;
}

static void success(void *arg, struct terse_node *node) {
    struct agent_session *s = arg;
    struct phone_success ok;

    if (!phone_read_success(node, &ok) ||
        (s->phone.by_token && !phone_ht_proves(s->phone.token, ok.data))) {
        session_fail(s, "remote-connection-failed",
                     "The proxy has not proved who it is.");
    } else if (!ok.resumed) {
        give_up(s);
    } else if (!stream_resumes(s, ok.h)) {
        /* Held by who does not know yet that it has gone elsewhere since. */
        link_lost(s, NET_ECLOSED, "The proxy's session is an older one.");
    } else if (!take(&s->phone.token, ok.token)) {
        session_fail(s, "resource-constraint", NULL);
    } else if (session_move(s, AGENT_RESUMED)) {
        log_event(LOG_INFO, s->id, "resumed", "by",
                  s->phone.by_token ? "token" : "password", NULL);
        link_locate(s, ok.location);
        s->phone.until = 0;
        s->phone.back_at = session_now();
        stream_resumed(s);
        if (s->client_left && s->state == AGENT_UP)
            session_move(s, AGENT_CLOSE);
    }
    explicit_bzero(&ok, sizeof(ok));
}

/* Who does not know the token may take the password. */
static void refused(struct agent_session *s) {
    log_event(LOG_INFO, s->id, "refused", "what",
              s->phone.by_token ? "token" : "password", NULL);
    if (s->phone.by_token && !s->phone.secret && !knows_token(s)) {
        /* Good elsewhere; but as things are the client can log in anew. */
        if (s->phone.until > session_now() + ELSEWHERE)
            s->phone.until = session_now() + ELSEWHERE;
        link_lost(s, NET_ECLOSED, "The proxy does not know the token.");
        return;
    }
    if (!s->phone.by_token || !s->phone.secret) {
        give_up(s);
        return;
    }
    free(s->phone.token);
    s->phone.token = NULL;
    say_return(s);
}

void link_from_proxy(struct agent_session *s,
                     const struct terse_frame_info *info, const uint8_t *frame,
                     size_t n) {
    bool stream = terse_str_is(info->ns, TERSE_NS_STREAM);

    if (info->kind == TERSE_OPEN ||
        (stream && terse_str_is(info->name, "features")))
        return; /* the client has some */
    if (stream && terse_str_is(info->name, "error"))
        link_lost(s, NET_ECLOSED, "The proxy has ended the stream.");
    else if (!terse_str_is(info->ns, BRIDGE_NS_SASL2))
        return;
    else if (terse_str_is(info->name, "failure"))
        refused(s);
    else if (!terse_str_is(info->name, "success") ||
             (!words_visit(s->back.bridge, frame, n, success, s) &&
              s->state != AGENT_OVER))
        session_fail(s, "remote-connection-failed",
                     "The proxy's answer makes no sense.");
}

void link_fini(struct agent_session *s) {
    net_dial_cancel(s->dial);
    s->dial = NULL;
    net_timer_free(s->timer);
    net_timer_free(s->beat);
    net_timer_free(s->retry);
    s->timer = s->beat = s->retry = NULL;
}
