/* client.c: life, options, closing, and what the application is given. */
#include "client/client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
    options->login_ms = 30000;
    options->close_ms = 5000;
    options->recv_frames = 1024;
    options->recv_bytes = 4 * 1024 * 1024;
    options->send_bytes = 1024 * 1024;
    options->iqs = 256;
}

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

static enum terse_client_err
copy_options(struct terse_client *client,
             const struct terse_client_options *options) {
    enum terse_client_err err;

    if (!options->host || !options->host[0] || !options->port ||
        strlen(options->host) > 255 || !options->jid || !options->password ||
        !options->recv_frames || !options->recv_bytes || !options->send_bytes)
        return TERSE_CLIENT_EARG;
    client->options = *options;
    client->host = strdup(options->host);
    client->password = strdup(options->password);
    client->lang = options->lang ? strdup(options->lang) : NULL;
    if (!client->host || !client->password || (options->lang && !client->lang))
        return TERSE_CLIENT_ENOMEM;
    /* Nothing may look at the caller's strings later. */
    client->options.host = NULL;
    client->options.jid = NULL;
    client->options.password = NULL;
    client->options.lang = NULL;
    client->options.limits = NULL;
    client->options.tls_name = NULL;
    client->options.ca_file = NULL;
    client->options.tls = NULL;
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

    if (client_logging_in(client))
        client_end(client, true, TERSE_CLIENT_ETIMEOUT, NULL,
                   "not logged in after %u ms", client->options.login_ms);
    else if (client->state == STATE_CLOSING)
        client_end(client, false, TERSE_CLIENT_ETIMEOUT, NULL,
                   "the stream was not closed by the server in %u ms",
                   client->options.close_ms);
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
    if (terse_peer_new(&client->peer, client->codec->schema,
                       options->state ? options->state
                                      : &terse_state_limits_default,
                       true))
        return TERSE_CLIENT_ENOMEM;
    if (net_resolver_new(&client->resolver, NULL)) {
        client->resolver = NULL;
        return TERSE_CLIENT_ENOMEM;
    }
    if (net_timer_new(&client->timer, &client->owner, on_timer, client)) {
        client->timer = NULL;
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

/* Waits for the next stanza, calling back for iqs meanwhile. With the lock,
 * which it gives up where it calls. In the callback style `ready` is called
 * from here as well, and `stopping` ends it with ESTATE. */
static enum terse_client_err next(struct terse_client *client,
                                  uint64_t deadline,
                                  struct terse_stanza **out) {
    for (;;) {
        uint64_t soonest = client_iq_expire(client);
        bool ready = client->ready_due && client->threaded;
        struct client_item *item;

        if (client->stopping)
            return TERSE_CLIENT_ESTATE;
        item = ready ? NULL : pop(client);
        if (item && item->stanza) {
            *out = item->stanza;
            free(item);
            return TERSE_CLIENT_OK;
        }
        if (ready || item) {
            client->ready_due = false;
            net_unlock(&client->owner);
            if (item)
                client_iq_call(client, item->iq);
            else if (client->options.on.ready)
                client->options.on.ready(client->options.on.arg, client);
            free(item);
            net_lock(&client->owner);
            continue;
        }
        if (client->state == STATE_CLOSED)
            return client->why.code;
        if (client_now() >= deadline)
            return TERSE_CLIENT_ETIMEOUT;
        client_wait(client, soonest < deadline ? soonest : deadline);
    }
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
    net_unlock(&client->owner);
    return err;
}

/* The thread of the callback style: ends when the connection has. */
static void *run(void *arg) {
    struct terse_client *client = arg;
    const struct terse_client_callbacks *on = &client->options.on;
    struct terse_client_error why;
    struct terse_stanza *stanza = NULL;
    bool stopping;

    net_lock(&client->owner);
    while (!next(client, UINT64_MAX, &stanza)) {
        net_unlock(&client->owner);
        on->stanza(on->arg, client, stanza);
        terse_stanza_free(stanza);
        net_lock(&client->owner);
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
    net_timer_set(client->timer, client->options.login_ms);
    err = client_dial(client);
    if (err)
        client_end(client, false, err, NULL, "dialling: %s",
                   terse_client_strerror(err));
    return err;
}

enum terse_client_err terse_client_connect(struct terse_client *client) {
    enum terse_client_err err;

    net_lock(&client->owner);
    err = start(client);
    if (!err && client->options.on.stanza) {
        /* It waits for the lock before it looks at `threaded`. */
        if (pthread_create(&client->thread, NULL, run, client)) {
            err = TERSE_CLIENT_ENOMEM;
            client_end(client, false, err, NULL, "no thread to call back");
        } else {
            client->threaded = true;
        }
    } else if (!err) {
        while (client_logging_in(client))
            client_wait(client, UINT64_MAX);
        /* What has ended since is for terse_client_recv to say. */
        if (!client->ready_due)
            err = client->state == STATE_CLOSED ? client->why.code
                                                : TERSE_CLIENT_ECLOSED;
    }
    net_unlock(&client->owner);
    return err;
}

enum terse_client_err terse_client_close(struct terse_client *client) {
    enum terse_client_err err;

    net_lock(&client->owner);
    if (client->state == STATE_NEW || client->state == STATE_DIALLING) {
        client_end(client, false, TERSE_CLIENT_ECLOSED, NULL, "not connected");
    } else if (client->state < STATE_CLOSING) {
        client_iq_abort(client, TERSE_CLIENT_ECLOSED);
        client_put_close(client);
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
    net_framer_fini(&client->framer);
    terse_peer_free(client->peer);
    terse_work_fini(&client->work);
    terse_buf_fini(&client->wire);
    terse_buf_fini(&client->plain);
    client_codec_rele(client->codec);
    client_wipe_free(client->password);
    free(client->host);
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
