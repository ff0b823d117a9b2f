/* client_stream.c: dialling, frames in and out, back-pressure. */
#include "client/client.h"

#include <stdlib.h>
#include <string.h>

/* ---- out
 * ----------------------------------------------------------------------- */

/* wire: bytes of the frame as it passed, without its header. */
static void count(struct terse_client *client, bool sent, const void *frame,
                  size_t n, size_t wire) {
    uint8_t header[NET_HEADER_MAX];
    struct terse_client_traffic traffic = {
        .sent = sent, .frame = frame, .n = n};

    if (!client->options.traffic)
        return;
    traffic.wire = wire + net_framer_header(&client->framer, wire, header);
    client->options.traffic(client->options.traffic_arg, &traffic);
}

/* Queues what is in client->wire. */
static enum net_err put_wire(struct terse_client *client) {
    uint8_t header[NET_HEADER_MAX];
    size_t n = client->wire.len;
    size_t n_header = net_framer_header(&client->framer, n, header);
    enum net_err err = net_conn_write(client->conn, header, n_header);

    return err ? err
               : net_conn_write(client->conn, terse_buf_data(&client->wire), n);
}

/* Beside our first header: that we know heartbeats, and what may wait
 * (docs/wire.md). */
static enum terse_err say_bounds(struct terse_client *client) {
    const struct terse_client_options *o = &client->options;
    uint8_t said[3 * TERSE_FIELD_MAX];
    size_t n = 0;

    if (o->heartbeat_ms)
        n += terse_frame_put(said, TERSE_FIELD_BEAT,
                             (o->heartbeat_ms + 999) / 1000);
    if (o->wait_ms != TERSE_CLIENT_UNSAID)
        n += terse_frame_put(said + n, TERSE_FIELD_WAIT, o->wait_ms / 1000);
    if (o->wait_bytes != TERSE_CLIENT_UNSAID)
        n += terse_frame_put(said + n, TERSE_FIELD_WAIT_BYTES, o->wait_bytes);
    return terse_buf_append(&client->wire, said, n);
}

bool client_put(struct terse_client *client, const void *frame, size_t n) {
    enum terse_err packed =
        terse_peer_pack(client->peer, frame, n, &client->work, &client->wire);
    enum net_err err;

    if (!packed && !client->said_open) {
        packed = say_bounds(client);
        client->said_open = true;
    }
    err = packed ? NET_ENOMEM : put_wire(client);

    if (err) {
        /* Half a frame may be queued: nothing can follow it. */
        client_end(client, false, TERSE_CLIENT_ENOMEM, NULL, "sending: %s",
                   net_strerror(err));
        return false;
    }
    count(client, true, frame, n, client->wire.len);
    return true;
}

bool client_put_xml(struct terse_client *client, const struct terse_buf *xml) {
    struct terse_buf frame;
    enum terse_client_err err;
    bool ok = false;

    terse_buf_init(&frame, client->codec->limits.frame_bytes);
    err = client_xml_encode_for(client->codec, client->revision,
                                (const char *)terse_buf_data(xml), xml->len,
                                &frame, NULL);
    if (err)
        client_end(client, true, err, NULL, "this cannot be encoded: %s",
                   terse_client_strerror(err));
    else
        ok = client_put(client, terse_buf_data(&frame), frame.len);
    if (frame.data)
        explicit_bzero(frame.data, frame.cap);
    terse_buf_fini(&frame);
    return ok;
}

void client_flush_now(struct terse_client *client) {
    client->held_back = false;
    if (client->conn)
        net_conn_flush(client->conn);
}

void client_flush(struct terse_client *client) {
    if (client->corks > 0 ||
        (client->calling && pthread_equal(pthread_self(), client->thread)))
        client->held_back = true;
    else
        client_flush_now(client);
}

bool client_put_beat(struct terse_client *client, uint8_t what) {
    uint8_t frame[TERSE_FIELD_MAX];
    size_t n = terse_frame_put(frame, TERSE_FIELD_PING, what);
    enum net_err err = NET_ENOMEM;

    terse_buf_reset(&client->wire);
    if (terse_buf_append(&client->wire, frame, n) == TERSE_OK)
        err = put_wire(client);
    if (err) {
        client_end(client, false, TERSE_CLIENT_ENOMEM, NULL, "sending: %s",
                   net_strerror(err));
        return false;
    }
    count(client, true, frame, n, n);
    return true;
}

bool client_put_open(struct terse_client *client) {
    struct terse_buf attrs, frame;
    enum terse_client_err err = TERSE_CLIENT_ENOMEM;
    bool ok;

    terse_buf_init(&attrs, client->codec->limits.stanza_bytes);
    terse_buf_init(&frame, client->codec->limits.frame_bytes);
    ok = client_cat(&attrs, " to='", NULL) &&
         client_cat_text(&attrs, client->domain) &&
         client_cat(&attrs, "' version='1.0'", NULL);
    if (ok && client->lang)
        ok = client_cat(&attrs, " xml:lang='", NULL) &&
             client_cat_text(&attrs, client->lang) &&
             client_cat(&attrs, "'", NULL);
    if (ok && client_cat(&attrs, "", NULL) &&
        terse_buf_append(&attrs, "", 1) == TERSE_OK)
        err = client_xml_open(client->codec,
                              (const char *)terse_buf_data(&attrs), &frame);
    if (err)
        client_end(client, false, err, NULL, "the stream cannot be opened: %s",
                   terse_client_strerror(err));
    else
        ok = client_put(client, terse_buf_data(&frame), frame.len);
    terse_buf_fini(&attrs);
    terse_buf_fini(&frame);
    return !err && ok;
}

void client_put_close(struct terse_client *client) {
    struct terse_buf frame;

    if (!client->conn)
        return;
    terse_buf_init(&frame, client->codec->limits.frame_bytes);
    if (terse_encode(client->codec->schema, &client->codec->limits, TERSE_CLOSE,
                     NULL, &frame, NULL) == TERSE_OK)
        (void)client_put(client, terse_buf_data(&frame), frame.len);
    terse_buf_fini(&frame);
}

/* ---- in
 * ------------------------------------------------------------------------- */

void client_deliver(struct terse_client *client, const uint8_t *frame,
                    size_t n) {
    struct client_item *item = calloc(1, sizeof(*item));

    if (item)
        item->stanza = client_stanza_new(client->codec, frame, n);
    if (!item || !item->stanza) {
        free(item);
        client_end(client, true, TERSE_CLIENT_ENOMEM, NULL,
                   "no memory for what was received");
        return;
    }
    item->bytes = n;
    if (client->sm.on && client->state >= STATE_READY) {
        item->session = client->session;
        item->seq = client->sm.in;
    }
    client_push(client, item);
}

/* For where the session was held, at most, to connect and then to answer:
 * others may have it back, too. */
enum { LOCATION_MS = 5000 };

/* Of that time since the dial began. */
static uint32_t left(const struct terse_client *client, uint32_t ms) {
    uint64_t gone = client_now() - client->dialled_at;

    return gone < ms ? (uint32_t)(ms - gone) : 1;
}

static void on_open(struct terse_client *client) {
    client->revision = terse_peer_revision(client->peer);
    client->hosts[client->host].revision = client->revision;
    if (client->state == STATE_OPENING)
        net_timer_set(client->timer, left(client, client->options.login_ms));
    if (client->state != STATE_CLOSING && !client_move(client, EVENT_OPEN))
        client_end(client, true, TERSE_CLIENT_EPROTO, NULL,
                   "a stream header at a wrong time");
}

static void on_close(struct terse_client *client) {
    switch (client->state) {
    case STATE_CLOSING:
    case STATE_READY:
        client_end(client, true, TERSE_CLIENT_ECLOSED, NULL,
                   "the stream was closed");
        break;
    default:
        client_end(client, true, TERSE_CLIENT_ELOST, NULL,
                   "the server closed the stream before the login was over");
    }
}

/* What the application may want. */
static void on_element(struct terse_client *client,
                       const struct terse_frame_info *info,
                       const uint8_t *frame, size_t n) {
    bool stanza = phone_is_stanza(info), counted = stanza && client->sm.on;

    if (client->features_due && terse_str_is(info->name, "features") &&
        terse_str_is(info->ns, TERSE_NS_STREAM)) {
        client->features_due = false;
        return;
    }
    if (counted)
        phone_sm_came(&client->sm);
    if (!stanza || !terse_str_is(info->name, "iq") ||
        !client_iq_answer(client, frame, n))
        client_deliver(client, frame, n);
    if (!client->conn && counted)
        client->sm.in--; /* there was no memory to take it */
}

/* A frame without its state; it took `wire` bytes with it. */
static void on_frame(struct terse_client *client, const uint8_t *frame,
                     size_t n, size_t wire) {
    struct terse_frame_info info;

    count(client, false, frame, n, wire);
    if (terse_frame_info(client->codec->schema, frame, n, &info) != TERSE_OK)
        client_end(client, true, TERSE_CLIENT_EPROTO, NULL,
                   "what came is no frame");
    else if (info.kind == TERSE_OPEN)
        on_open(client);
    else if (info.kind == TERSE_CLOSE)
        on_close(client);
    else if (terse_str_is(info.name, "error") &&
             terse_str_is(info.ns, TERSE_NS_STREAM))
        client_stream_error(client, frame, n);
    else if (client_logging_in(client))
        client_login_frame(client, frame, n);
    else if (!client->ready_at)
        return; /* closing amid the login: nobody wants the rest of it */
    else if (!client_sm_frame(client, &info, frame, n))
        on_element(client, &info, frame, n);
}

/* Deals with the whole frames that have been read. */
static void take_frames(struct terse_client *client) {
    while (client->conn && !client->paused) {
        const uint8_t *frame;
        size_t n;
        enum terse_err unpacked;
        enum net_err err = net_framer_next(&client->framer, &frame, &n);

        if (err) {
            client_end(client, true, TERSE_CLIENT_EPROTO, NULL,
                       "what came is no frame: %s", net_strerror(err));
            return;
        }
        if (!frame)
            return;
        if (client_is_beat(client, frame, n))
            continue;
        client_hear_open(client, frame, n);
        unpacked = terse_peer_unpack(client->peer, frame, n, &client->work,
                                     &client->plain);
        if (unpacked) {
            client_end(client, true, TERSE_CLIENT_EPROTO, NULL,
                       "what came is no frame: %s",
                       terse_err_condition(unpacked));
            return;
        }
        on_frame(client, terse_buf_data(&client->plain), client->plain.len, n);
    }
}

void client_unpause(struct terse_client *client) {
    if (!client->paused)
        return;
    client->paused = false;
    take_frames(client);
    client_flush(client);
    if (client->conn && !client->paused)
        net_conn_resume(client->conn);
}

static void on_data(void *arg, const uint8_t *p, size_t n) {
    struct terse_client *client = arg;
    enum net_err err = net_framer_feed(&client->framer, p, n);

    client_heard(client);
    if (err)
        client_end(client, true,
                   err == NET_ENOMEM ? TERSE_CLIENT_ENOMEM
                                     : TERSE_CLIENT_EPROTO,
                   NULL, "receiving: %s", net_strerror(err));
    else
        take_frames(client);
    client_pump(client);
    client_turn(client, false);
    client_flush(client);
}

static void on_drained(void *arg) {
    struct terse_client *client = arg;

    client_pump(client);
    client_turn(client, false);
    client_flush(client);
    pthread_cond_broadcast(&client->cond);
}

static void begin(struct terse_client *client);

static void on_secured(void *arg) {
    struct terse_client *client = arg;

    begin(client);
}

static void on_lost(void *arg, enum net_err why, const char *text) {
    struct terse_client *client = arg;

    /* What was read goes out, even if that is a little over the limits. */
    client->ignored = true;
    client->paused = false;
    take_frames(client);
    if (client->state == STATE_DIALLING)
        client_end(client, false, TERSE_CLIENT_ETLS, NULL,
                   why == NET_ECERT
                       ? "the proxy's certificate is not good for %s: %s"
                       : "TLS with the proxy for %s failed: %s",
                   client->tls_name, text);
    else if (client->state == STATE_CLOSING && why == NET_EEOF)
        client_end(client, false, TERSE_CLIENT_ECLOSED, NULL,
                   "the stream was closed");
    else
        client_end(client, false, TERSE_CLIENT_ELOST, NULL, "%s", text);
}

static const struct net_conn_ops conn_ops = {
    .data = on_data,
    .drained = on_drained,
    .secured = on_secured,
    .closed = on_lost,
};

/* ---- dialling
 * --------------------------------------------------------------------- */

static void begin(struct terse_client *client) {
    size_t n;
    const void *hello = net_framer_hello(&client->framer, true, &n);
    enum net_err err = net_conn_write(client->conn, hello, n);
    uint32_t ms = left(client, client->options.login_ms);

    client_move(client, EVENT_DIALLED);
    if (client_on_location(client) && ms > LOCATION_MS)
        ms = LOCATION_MS;
    net_timer_set(client->timer, ms);
    if (err) {
        client_end(client, false, TERSE_CLIENT_ENOMEM, NULL, "sending: %s",
                   net_strerror(err));
        return;
    }
    if (!client_put_open(client))
        return;
    client->trips = 1;
    client_sasl2_begin(client);
    if (!client->conn)
        return;
    client_flush_now(client);
    net_conn_resume(client->conn);
}

static void on_dialled(void *arg, enum net_err err, const char *text,
                       struct net_stream *stream) {
    struct terse_client *client = arg;
    size_t queue = client->options.send_bytes;
    struct net_marks marks = {
        .low = queue / 2,
        .high = queue,
        /* One frame more is accepted while it is below the high mark. */
        .max = queue + client->codec->limits.frame_bytes + 65536};

    client->dial = NULL;
    if (err) {
        client_end(client, false,
                   err == NET_ETIMEOUT ? TERSE_CLIENT_ETIMEOUT
                                       : TERSE_CLIENT_ECONNECT,
                   NULL, "%s", text);
        return;
    }
    err = net_conn_new(&client->conn, &client->owner, stream, &marks, &conn_ops,
                       client);
    if (err) {
        client->conn = NULL;
        net_stream_drop(stream);
        client_end(client, false, TERSE_CLIENT_ENOMEM, NULL, "%s",
                   net_strerror(err));
        return;
    }
    if (!client->tls) {
        begin(client);
        return;
    }
    err = net_conn_secure(client->conn, client->tls, client->tls_name);
    if (err)
        client_end(client, false, TERSE_CLIENT_ENOMEM, NULL, "%s",
                   net_strerror(err));
    else
        net_conn_resume(client->conn);
}

/* All that belongs to one connection, as it is at the start. */
static bool reset(struct terse_client *client) {
    const struct terse_state_limits *state = &client->state_limits;

    net_framer_fini(&client->framer);
    net_framer_init(&client->framer, NET_FRAMING_NATIVE,
                    client->codec->limits.frame_bytes);
    terse_peer_free(client->peer);
    if (terse_peer_new(&client->peer, client->codec->schema, state, true))
        client->peer = NULL;
    client->paused = client->ignored = client->held_back = false;
    client->said_open = client->peer_beats = client->features_due = false;
    client->offers_sm = client->asks = client->asking = false;
    client->trying = NULL;
    client->refused = 0;
    client->asked = client->expected = client->ready_at = 0;
    client->patience = client->options.answer_ms;
    client->revision = 1;
    return client->peer != NULL;
}

enum terse_client_err client_dial(struct terse_client *client) {
    const struct client_host *host = &client->hosts[client->host];
    struct net_target target = {.host = host->name, .port = host->port};
    uint32_t ms = client->options.connect_ms;

    if (!reset(client))
        return TERSE_CLIENT_ENOMEM;
    client->dialled_at = client_now();
    if (ms > client->options.login_ms)
        ms = client->options.login_ms;
    if (client_on_location(client) && ms > LOCATION_MS)
        ms = LOCATION_MS;
    if (net_dial_new(&client->dial, &client->owner, client->resolver, &target,
                     ms, on_dialled, client)) {
        client->dial = NULL;
        return TERSE_CLIENT_ENOMEM;
    }
    net_timer_set(client->timer, ms);
    return TERSE_CLIENT_OK;
}
