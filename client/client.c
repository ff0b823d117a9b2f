/* client.c: life, options, closing, and what the application is given. */
#include "client/client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

const char *terse_client_strerror(enum terse_client_err err) {
    static const char *const names[] = {
        [TERSE_CLIENT_OK] = "no error",
        [TERSE_CLIENT_ENOMEM] = "out of memory",
        [TERSE_CLIENT_EARG] = "invalid argument",
        [TERSE_CLIENT_ESTATE] = "not possible in this state",
        [TERSE_CLIENT_ECONNECT] = "the proxy cannot be reached",
        [TERSE_CLIENT_ELOST] = "connection lost",
        [TERSE_CLIENT_ETIMEOUT] = "timed out",
        [TERSE_CLIENT_EFULL] = "queue full",
        [TERSE_CLIENT_EAUTH] = "login refused",
        [TERSE_CLIENT_EMECH] = "no login mechanism in common",
        [TERSE_CLIENT_EBIND] = "no resource was bound",
        [TERSE_CLIENT_ESTREAM] = "ended by the server with a stream error",
        [TERSE_CLIENT_EPROTO] = "the peer broke the protocol",
        [TERSE_CLIENT_EXML] = "cannot be translated",
        [TERSE_CLIENT_ESTANZA] = "answered with an error",
        [TERSE_CLIENT_ECLOSED] = "closed",
        [TERSE_CLIENT_ETLS] = "no TLS with the proxy",
    };

    if ((size_t)err >= sizeof(names) / sizeof(names[0]))
        return "unknown error";
    return names[err];
}

void terse_client_options_init(struct terse_client_options *options) {
    memset(options, 0, sizeof(*options));
    options->port = 5333;
    options->session = true;
    options->retry_least_ms = 1000;
    options->retry_most_ms = 60000;
    options->connect_ms = 10000;
    options->outbox_stanzas = 1000;
    options->outbox_bytes = 1024 * 1024;
    options->ack_ms = 20000;
    options->heartbeat_ms = 1680000;
    options->answer_ms = 15000;
    options->wait_ms = options->wait_bytes = TERSE_CLIENT_UNSAID;
    options->login_ms = 30000;
    options->close_ms = 5000;
    options->recv_frames = 1024;
    options->recv_bytes = 4 * 1024 * 1024;
    options->send_bytes = 1024 * 1024;
    options->iqs = 256;
}

/* Silence before a ping, to begin with. And the most for that, and for what may
 * wait. */
enum { BEAT_FIRST_MS = 240000, DAY_MS = 86400000 };

/* ---- codec
 * ------------------------------------------------------------------------ */

void client_codec_rele(struct client_codec *codec) {
    if (!codec || atomic_fetch_sub(&codec->refs, 1) != 1)
        return;
    terse_schema_free(codec->schema);
    free(codec);
}

static struct client_codec *codec_new(const struct terse_limits *limits) {
    struct client_codec *codec = calloc(1, sizeof(*codec));

    if (!codec)
        return NULL;
    atomic_init(&codec->refs, 1);
    codec->limits = limits ? *limits : terse_limits_default;
    if (terse_schema_new(&codec->schema) != TERSE_OK) {
        free(codec);
        return NULL;
    }
    return codec;
}

/* ---- new
 * ---------------------------------------------------------------------------
 */

/* terse_client_tls is net_tls under a name that users may know. */
enum terse_client_err terse_client_tls_new(struct terse_client_tls **out,
                                           const char *ca_file) {
    struct net_tls *tls;
    char text[256];
    enum net_err err = net_tls_client(&tls, ca_file, text);

    *out = NULL;
    if (err)
        return err == NET_ENOMEM ? TERSE_CLIENT_ENOMEM : TERSE_CLIENT_EARG;
    if (net_tls_offer(tls, NET_ALPN)) {
        net_tls_rele(tls);
        return TERSE_CLIENT_ENOMEM;
    }
    *out = (struct terse_client_tls *)tls;
    return TERSE_CLIENT_OK;
}

void terse_client_tls_free(struct terse_client_tls *tls) {
    net_tls_rele((struct net_tls *)tls);
}

static enum terse_client_err
copy_tls(struct terse_client *client,
         const struct terse_client_options *options) {
    struct terse_client_tls *tls = options->tls;

    if (options->clear)
        return TERSE_CLIENT_OK;
    if (options->tls_name && !options->tls_name[0])
        return TERSE_CLIENT_EARG;
    client->tls_name =
        strdup(options->tls_name ? options->tls_name : client->domain);
    if (!client->tls_name)
        return TERSE_CLIENT_ENOMEM;
    if (tls) {
        net_tls_hold((struct net_tls *)tls);
    } else {
        enum terse_client_err err =
            terse_client_tls_new(&tls, options->ca_file);

        if (err)
            return err;
    }
    client->tls = (struct net_tls *)tls;
    return TERSE_CLIENT_OK;
}

/* user@domain[/resource]; a resource may hold '@' and '/'. */
static enum terse_client_err split_jid(struct terse_client *client,
                                       const char *jid) {
    size_t bare = strcspn(jid, "/");
    const char *at = memchr(jid, '@', bare);
    const char *resource = jid[bare] ? jid + bare + 1 : NULL;
    size_t user;

    if (!at || at == jid || at + 1 == jid + bare)
        return TERSE_CLIENT_EARG;
    if (resource && !*resource)
        return TERSE_CLIENT_EARG;
    user = (size_t)(at - jid);
    client->user = strndup(jid, user);
    client->domain = strndup(at + 1, bare - user - 1);
    client->resource = resource ? strdup(resource) : NULL;
    return client->user && client->domain && (!resource || client->resource)
               ? TERSE_CLIENT_OK
               : TERSE_CLIENT_ENOMEM;
}

/* What cannot be, whatever else there is. */
static bool sound(const struct terse_client_options *o) {
    bool device = true;

    for (const char *p = o->device; p && *p; p++)
        device = device && *p > ' ' && *p < 0x7f && p - o->device < 255;
    return o->host && o->host[0] && o->port && o->jid && o->password &&
           o->recv_frames && o->recv_bytes && o->send_bytes &&
           o->outbox_stanzas && o->outbox_bytes && o->connect_ms &&
           o->answer_ms && device && (!o->device || o->device[0]) &&
           o->heartbeat_ms <= DAY_MS &&
           (o->wait_ms <= DAY_MS || o->wait_ms == TERSE_CLIENT_UNSAID);
}

/* Nothing may look at the caller's strings later. */
static void forget_strings(struct terse_client_options *options) {
    options->host = NULL;
    options->jid = NULL;
    options->password = NULL;
    options->lang = NULL;
    options->limits = NULL;
    options->state = NULL;
    options->tls_name = NULL;
    options->ca_file = NULL;
    options->tls = NULL;
    options->device = NULL;
    options->restore = NULL;
}

/* A random UUID (RFC 9562, version 4), if the application has none. */
static char *device_id(const char *given) {
    uint8_t r[16];
    char text[40];

    if (given)
        return strdup(given);
    if (getrandom(r, sizeof(r), 0) != sizeof(r))
        return NULL;
    r[6] = (uint8_t)((r[6] & 0x0f) | 0x40);
    r[8] = (uint8_t)((r[8] & 0x3f) | 0x80);
    snprintf(text, sizeof(text),
             "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-"
             "%02x%02x%02x%02x%02x%02x",
             r[0], r[1], r[2], r[3], r[4], r[5], r[6], r[7], r[8], r[9], r[10],
             r[11], r[12], r[13], r[14], r[15]);
    return strdup(text);
}

static enum terse_client_err
copy_options(struct terse_client *client,
             const struct terse_client_options *options) {
    enum terse_client_err err;

    if (!sound(options))
        return TERSE_CLIENT_EARG;
    client->options = *options;
    client->lasting =
        options->reconnect == TERSE_CLIENT_ON ||
        (options->reconnect == TERSE_CLIENT_AUTO && options->on.stanza);
    client->state_limits =
        options->state ? *options->state : terse_state_limits_default;
    client->password = strdup(options->password);
    client->lang = options->lang ? strdup(options->lang) : NULL;
    client->device = device_id(options->device);
    if (!client->device || !client->password ||
        (options->lang && !client->lang))
        return TERSE_CLIENT_ENOMEM;
    forget_strings(&client->options);
    err = client_hosts(client, options->host, options->port);
    if (!err)
        err = split_jid(client, options->jid);
    return err ? err : copy_tls(client, options);
}

/* Nothing of net is left: on whatever thread of its. */
static void on_gone(struct net_owner *owner) {
    struct terse_client *client = (struct terse_client *)owner;

    pthread_mutex_lock(&client->gone_lock);
    client->gone = true;
    pthread_cond_signal(&client->gone_cond);
    pthread_mutex_unlock(&client->gone_lock);
}

static void on_timer(void *arg) {
    struct terse_client *client = arg;

    if (client->state == STATE_WAITING)
        client_link_retry(client);
    else if (client->state == STATE_DIALLING)
        client_end(client, false, TERSE_CLIENT_ETIMEOUT, NULL,
                   "not connected in time");
    else if (client_logging_in(client))
        client_end(client, true, TERSE_CLIENT_ETIMEOUT, NULL,
                   "not logged in in time");
    else if (client->state == STATE_CLOSING)
        client_end(client, false, TERSE_CLIENT_ETIMEOUT, NULL,
                   "the stream was not closed by the server in %u ms",
                   client->options.close_ms);
}

static void on_beat(void *arg) {
    struct terse_client *client = arg;

    client->beat_at = 0;
    client_turn(client, false);
    client_flush(client);
}

static bool init_cond(pthread_cond_t *cond) {
    pthread_condattr_t attr;
    bool ok;

    if (pthread_condattr_init(&attr))
        return false;
    ok = pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) == 0 &&
         pthread_cond_init(cond, &attr) == 0;
    pthread_condattr_destroy(&attr);
    return ok;
}

/* What free() alone cannot undo is made by this, in one go. */
static bool init_threads(struct terse_client *client) {
    if (net_owner_init(&client->owner, on_gone))
        return false;
    if (!init_cond(&client->cond))
        goto no_cond;
    if (pthread_mutex_init(&client->gone_lock, NULL))
        goto no_gone_lock;
    if (pthread_cond_init(&client->gone_cond, NULL))
        goto no_gone_cond;
    return true;

no_gone_cond:
    pthread_mutex_destroy(&client->gone_lock);
no_gone_lock:
    pthread_cond_destroy(&client->cond);
no_cond:
    net_owner_fini(&client->owner);
    return false;
}

static enum terse_client_err make(struct terse_client *client,
                                  const struct terse_client_options *options) {
    enum terse_client_err err = copy_options(client, options);

    if (err)
        return err;
    client->codec = codec_new(options->limits);
    if (!client->codec)
        return TERSE_CLIENT_ENOMEM;
    net_framer_init(&client->framer, NET_FRAMING_NATIVE,
                    client->codec->limits.frame_bytes);
    terse_work_init(&client->work, &client->codec->limits);
    terse_buf_init(&client->wire, client->codec->limits.frame_bytes);
    terse_buf_init(&client->plain, client->codec->limits.frame_bytes);
    phone_box_init(&client->box, options->outbox_stanzas,
                   options->outbox_bytes);
    client->box.arg = client;
    if (options->restore) {
        err = client_restore(client, options->restore, options->n_restore);
        if (err)
            return err;
    }
    client->box.changed = client_changed;
    if (net_resolver_new(&client->resolver, NULL)) {
        client->resolver = NULL;
        return TERSE_CLIENT_ENOMEM;
    }
    if (net_timer_new(&client->timer, &client->owner, on_timer, client)) {
        client->timer = NULL;
        return TERSE_CLIENT_ENOMEM;
    }
    if (net_timer_new(&client->beat, &client->owner, on_beat, client)) {
        client->beat = NULL;
        return TERSE_CLIENT_ENOMEM;
    }
    return TERSE_CLIENT_OK;
}

enum terse_client_err
terse_client_new(struct terse_client **out,
                 const struct terse_client_options *options) {
    struct terse_client *client = calloc(1, sizeof(*client));
    enum terse_client_err err;

    *out = NULL;
    if (!client)
        return TERSE_CLIENT_ENOMEM;
    client->state = STATE_NEW;
    client->mechanism = "";
    client->queue.tail = &client->queue.head;
    client->notes_tail = &client->notes;
    client->silence = BEAT_FIRST_MS;
    if (options->heartbeat_ms < BEAT_FIRST_MS)
        client->silence = options->heartbeat_ms;
    client->last_id = 2; /* 1 and 2 are the login's */
    if (!init_threads(client)) {
        free(client);
        return TERSE_CLIENT_ENOMEM;
    }
    err = make(client, options);
    if (err)
        terse_client_free(client);
    else
        *out = client;
    return err;
}

/* ---- the receive queue
 * ----------------------------------------------------------------- */

static bool over(const struct terse_client *client, unsigned share) {
    return client->queue.frames >= client->options.recv_frames / share ||
           client->queue.bytes >= client->options.recv_bytes / share;
}

static void item_free(struct client_item *item) {
    if (!item)
        return;
    terse_stanza_free(item->stanza);
    client_iq_free(item->iq);
    free(item);
}

void client_push(struct terse_client *client, struct client_item *item) {
    /* At the end the connection must be read on, whatever comes. */
    if (client->state == STATE_CLOSING && item->stanza && over(client, 1)) {
        item_free(item);
        return;
    }
    item->next = NULL;
    *client->queue.tail = item;
    client->queue.tail = &item->next;
    client->queue.frames++;
    client->queue.bytes += item->bytes;
    if (over(client, 1) && !client->ignored && client->conn &&
        client->state != STATE_CLOSING) {
        client->paused = true;
        net_conn_pause(client->conn);
    }
    pthread_cond_broadcast(&client->cond);
}

static struct client_item *pop(struct terse_client *client) {
    struct client_item *item = client->queue.head;

    if (!item)
        return NULL;
    client->queue.head = item->next;
    if (!client->queue.head)
        client->queue.tail = &client->queue.head;
    client->queue.frames--;
    client->queue.bytes -= item->bytes;
    if (client->queue.frames == 0 || !over(client, 2))
        client_unpause(client);
    return item;
}

/* What a callback is to be given, taken while the lock is held. */
struct turn {
    struct client_item *item;
    bool lost, ready;
    struct terse_client_error why;
    uint32_t again_ms;
};

/* The next thing to call back for, or a stanza. False: none. */
static bool take_turn(struct terse_client *client, struct turn *turn) {
    memset(turn, 0, sizeof(*turn));
    if (client->lost_due) {
        client->lost_due = false;
        turn->lost = true;
        turn->why = client->lost;
        turn->again_ms = client->again_ms;
    } else if (client->ready_due && client->threaded) {
        client->ready_due = false;
        client->told_resumed = !client->renewed;
        client->renewed = false;
        turn->ready = true;
    } else {
        turn->item = pop(client);
    }
    return turn->lost || turn->ready || turn->item;
}

static void call(struct terse_client *client, const struct turn *turn) {
    const struct terse_client_callbacks *on = &client->options.on;

    if (turn->lost && on->lost)
        on->lost(on->arg, client, &turn->why, turn->again_ms);
    else if (turn->ready && on->ready)
        on->ready(on->arg, client);
    else if (turn->item && turn->item->iq)
        client_iq_call(client, turn->item->iq);
    else if (turn->item && on->delivery)
        on->delivery(on->arg, client, turn->item->number, turn->item->delivery);
    free(turn->item);
}

/* Before and after a callback: what it sends leaves together. */
static void begin_call(struct terse_client *client) {
    client->calling = client->threaded;
    net_unlock(&client->owner);
}

static void end_call(struct terse_client *client) {
    net_lock(&client->owner);
    client->calling = false;
    if (client->held_back)
        client_flush(client); /* unless somebody holds a cork */
}

/* Waits for the next stanza, calling back for all else meanwhile. With the
 * lock, which it gives up where it calls. In the callback style `ready` is
 * called from here as well, and `stopping` ends it with ESTATE. */
static enum terse_client_err next(struct terse_client *client,
                                  uint64_t deadline,
                                  struct terse_stanza **out) {
    for (;;) {
        uint64_t soonest = client_iq_expire(client);
        struct turn turn;

        if (client->stopping)
            return TERSE_CLIENT_ESTATE;
        if (take_turn(client, &turn)) {
            if (turn.item && turn.item->stanza) {
                *out = turn.item->stanza;
                client->busy_session = turn.item->session;
                client->busy_seq = turn.item->seq;
                free(turn.item);
                return TERSE_CLIENT_OK;
            }
            begin_call(client);
            call(client, &turn);
            end_call(client);
            continue;
        }
        if (client->state == STATE_CLOSED)
            return client->why.code;
        if (client_now() >= deadline)
            return TERSE_CLIENT_ETIMEOUT;
        client_wait(client, soonest < deadline ? soonest : deadline);
    }
}

/* The application has dealt with what it was given. */
static void handled(struct terse_client *client) {
    client->busy_session = 0;
    client_turn(client, false);
}

enum terse_client_err terse_client_recv(struct terse_client *client,
                                        int timeout_ms,
                                        struct terse_stanza **out) {
    uint64_t deadline = client_deadline(timeout_ms);
    enum terse_client_err err = TERSE_CLIENT_ESTATE;

    *out = NULL;
    net_lock(&client->owner);
    if (!client->options.on.stanza && client->state != STATE_NEW)
        err = next(client, deadline, out);
    if (!err)
        handled(client);
    net_unlock(&client->owner);
    return err;
}

/* The thread of the callback style: ends when the client has. */
static void *run(void *arg) {
    struct terse_client *client = arg;
    const struct terse_client_callbacks *on = &client->options.on;
    struct terse_client_error why;
    struct terse_stanza *stanza = NULL;
    bool stopping;

    net_lock(&client->owner);
    while (!next(client, UINT64_MAX, &stanza)) {
        begin_call(client);
        on->stanza(on->arg, client, stanza);
        terse_stanza_free(stanza);
        end_call(client);
        handled(client);
    }
    stopping = client->stopping;
    why = client->why;
    net_unlock(&client->owner);
    if (!stopping && on->closed)
        on->closed(on->arg, client, &why);
    return NULL;
}

/* ---- connect and close
 * -------------------------------------------------------------------- */

static enum terse_client_err start(struct terse_client *client) {
    enum terse_client_err err;

    if (!client_move(client, EVENT_CONNECT))
        return TERSE_CLIENT_ESTATE;
    err = client_dial(client);
    if (err)
        client_end(client, false, err, NULL, "dialling: %s",
                   terse_client_strerror(err));
    return client->state == STATE_CLOSED ? err : TERSE_CLIENT_OK;
}

/* Blocking style. What has ended since it was ready is for terse_client_recv
 * to say. */
static enum terse_client_err await_login(struct terse_client *client) {
    uint64_t deadline = UINT64_MAX;

    if (client->lasting)
        deadline = client_now() + (uint64_t)client->options.login_ms *
                                      (client->n_hosts + client->located);
    while (!client->ready_due && client->state < STATE_CLOSING &&
           client_now() < deadline)
        client_wait(client, deadline);
    return client->ready_due                ? TERSE_CLIENT_OK
           : client->state == STATE_CLOSED  ? client->why.code
           : client->state == STATE_CLOSING ? TERSE_CLIENT_ECLOSED
                                            : TERSE_CLIENT_ETIMEOUT;
}

enum terse_client_err terse_client_connect(struct terse_client *client) {
    enum terse_client_err err;

    net_lock(&client->owner);
    err = start(client);
    if (!err && client->options.on.stanza) {
        /* It waits for the lock before it looks at `threaded`. */
        if (pthread_create(&client->thread, NULL, run, client)) {
            err = TERSE_CLIENT_ENOMEM;
            client->lasting = false;
            client_end(client, false, err, NULL, "no thread to call back");
        } else {
            client->threaded = true;
        }
    } else if (!err) {
        err = await_login(client);
    }
    net_unlock(&client->owner);
    return err;
}

/* All that waits, if it leaves in time. */
static void send_out(struct terse_client *client) {
    uint64_t deadline = client_now() + client->options.close_ms;
    size_t n;

    client_pump(client);
    client_flush_now(client);
    while (client->state == STATE_READY && phone_box_peek(&client->box, &n) &&
           client_now() < deadline)
        client_wait(client, deadline);
}

enum terse_client_err terse_client_close(struct terse_client *client) {
    static const struct terse_client_error not_connected = {
        .code = TERSE_CLIENT_ECLOSED, .text = "not connected"};
    enum terse_client_err err;

    net_lock(&client->owner);
    client->lasting = false;
    if (client->state <= STATE_DIALLING) {
        client_finish(client, false, &not_connected);
    } else if (client->state < STATE_CLOSING) {
        client_iq_abort(client, TERSE_CLIENT_ECLOSED);
        send_out(client);
        client_put_close(client);
        client_flush_now(client);
        if (client->state < STATE_CLOSING) {
            client_move(client, EVENT_CLOSE);
            net_timer_set(client->timer, client->options.close_ms);
            client_unpause(client);
        }
    }
    while (client->state != STATE_CLOSED)
        client_wait(client, UINT64_MAX);
    err = client->why.code == TERSE_CLIENT_ETIMEOUT ? TERSE_CLIENT_ETIMEOUT
                                                    : TERSE_CLIENT_OK;
    net_unlock(&client->owner);
    return err;
}

/* ---- free
 * ------------------------------------------------------------------------------------
 */

static void wait_gone(struct terse_client *client) {
    net_owner_rele(&client->owner);
    pthread_mutex_lock(&client->gone_lock);
    while (!client->gone)
        pthread_cond_wait(&client->gone_cond, &client->gone_lock);
    pthread_mutex_unlock(&client->gone_lock);
}

static void free_memory(struct terse_client *client) {
    struct client_item *item;

    while ((item = client->queue.head)) {
        client->queue.head = item->next;
        item_free(item);
    }
    while ((item = client->notes)) {
        client->notes = item->next;
        item_free(item);
    }
    phone_box_fini(&client->box);
    net_framer_fini(&client->framer);
    terse_peer_free(client->peer);
    terse_work_fini(&client->work);
    terse_buf_fini(&client->wire);
    terse_buf_fini(&client->plain);
    client_codec_rele(client->codec);
    client_wipe_free(client->password);
    client_wipe_free(client->token);
    client_wipe_free(client->sm_id);
    free(client->hosts);
    free(client->device);
    free(client->lang);
    free(client->tls_name);
    net_tls_rele(client->tls);
    free(client->user);
    free(client->domain);
    free(client->resource);
    free(client->jid);
    pthread_cond_destroy(&client->gone_cond);
    pthread_mutex_destroy(&client->gone_lock);
    pthread_cond_destroy(&client->cond);
    net_owner_fini(&client->owner);
    free(client);
}

void terse_client_free(struct terse_client *client) {
    if (!client)
        return;
    net_lock(&client->owner);
    client->stopping = true;
    client_end(client, false, TERSE_CLIENT_ECLOSED, NULL, "freed");
    pthread_cond_broadcast(&client->cond);
    net_unlock(&client->owner);
    if (client->threaded)
        pthread_join(client->thread, NULL);
    net_lock(&client->owner);
    net_timer_free(client->timer);
    net_timer_free(client->beat);
    net_unlock(&client->owner);
    wait_gone(client);
    net_resolver_free(client->resolver);
    free_memory(client);
}

/* ---- what one may ask
 * ----------------------------------------------------------------------------
 */

void terse_client_jid(struct terse_client *client, char *out, size_t n) {
    net_lock(&client->owner);
    if (n)
        snprintf(out, n, "%s", client->jid ? client->jid : "");
    net_unlock(&client->owner);
}

const char *terse_client_mechanism(struct terse_client *client) {
    const char *mechanism;

    net_lock(&client->owner);
    mechanism = client->mechanism;
    net_unlock(&client->owner);
    return mechanism;
}

void terse_client_why(struct terse_client *client,
                      struct terse_client_error *out) {
    net_lock(&client->owner);
    *out = client->why;
    net_unlock(&client->owner);
}

bool terse_client_resumed(struct terse_client *client) {
    bool resumed;

    net_lock(&client->owner);
    resumed = client->threaded ? client->told_resumed : client->resumed;
    net_unlock(&client->owner);
    return resumed;
}

void terse_client_status(struct terse_client *client,
                         struct terse_client_status *out) {
    const struct client_host *host;

    memset(out, 0, sizeof(*out));
    net_lock(&client->owner);
    host = &client->hosts[client->host];
    out->ready = client->state == STATE_READY;
    out->lasting = client->sm.on && client->sm_id;
    out->sessions = client->sessions;
    out->resumptions = client->resumptions;
    out->attempts = client->attempts;
    out->round_trips = client->trips;
    out->sent = client->box.sent;
    out->queued = client->box.stanzas - client->box.sent;
    out->outbox_bytes = client->box.bytes;
    snprintf(out->host, sizeof(out->host), "%s:%u", host->name,
             (unsigned)host->port);
    out->lost = client->lost;
    net_unlock(&client->owner);
}
