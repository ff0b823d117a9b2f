/* client_fake.c: a tersed that follows a script. */
#include "tests/unit/client_fake.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <gsasl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { FAKE_TIMEOUT = 10, TAG_OPEN = 0x6a, TAG_PING = 0x60 };

void fake_fail(struct fake *fake, const char *text) {
    if (!fake->failure[0])
        snprintf(fake->failure, sizeof(fake->failure), "%s", text);
}

void fake_sleep(unsigned ms) {
    struct timespec ts = {ms / 1000, (long)(ms % 1000) * 1000000};

    nanosleep(&ts, NULL);
}

/* ---- life ------------------------------------------------------------------
 */

static void *run(void *arg) {
    struct fake *fake = arg;
    struct timeval tv = {FAKE_TIMEOUT, 0};

    fake->fd = accept(fake->listener, NULL, NULL);
    if (fake->fd < 0) {
        fake_fail(fake, "nobody connected");
        return NULL;
    }
    setsockopt(fake->fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
    fake->script(fake);
    close(fake->fd);
    return NULL;
}

void fake_start(struct fake *fake, void (*script)(struct fake *fake),
                void *arg) {
    struct sockaddr_in sa = {.sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof(sa);
    struct timeval tv = {FAKE_TIMEOUT, 0};

    memset(fake, 0, sizeof(*fake));
    fake->script = script;
    fake->arg = arg;
    fake->codec = calloc(1, sizeof(*fake->codec));
    assert_non_null(fake->codec);
    atomic_init(&fake->codec->refs, 1);
    fake->codec->limits = terse_limits_default;
    fake->codec->limits.stanza_bytes *= 4;
    fake->codec->limits.frame_bytes *= 4;
    fake->codec->limits.revision = UINT32_MAX; /* as new as it gets */
    assert_int_equal(terse_schema_new(&fake->codec->schema), TERSE_OK);
    net_framer_init(&fake->framer, NET_FRAMING_DETECT, 1 << 22);
    terse_work_init(&fake->work, &fake->codec->limits);
    terse_buf_init(&fake->wire, 1 << 22);
    terse_buf_init(&fake->plain, 1 << 22);
    assert_int_equal(terse_peer_new(&fake->peer, fake->codec->schema,
                                    &terse_state_limits_default, false),
                     TERSE_OK);
    fake->listener = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(fake->listener >= 0);
    setsockopt(fake->listener, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
    assert_int_equal(bind(fake->listener, (void *)&sa, sizeof(sa)), 0);
    assert_int_equal(listen(fake->listener, 4), 0);
    assert_int_equal(getsockname(fake->listener, (void *)&sa, &n), 0);
    fake->port = ntohs(sa.sin_port);
    assert_int_equal(pthread_create(&fake->thread, NULL, run, fake), 0);
}

void fake_stop(struct fake *fake) {
    pthread_join(fake->thread, NULL);
    close(fake->listener);
    net_framer_fini(&fake->framer);
    terse_peer_free(fake->peer);
    terse_work_fini(&fake->work);
    terse_buf_fini(&fake->wire);
    terse_buf_fini(&fake->plain);
    client_codec_rele(fake->codec);
    free(fake->last);
    if (fake->failure[0])
        fail_msg("fake server: %s", fake->failure);
}

/* ---- frames
 * ------------------------------------------------------------------ */

static void keep_open(struct fake *fake, const uint8_t *frame, size_t n) {
    if (frame[0] != TAG_OPEN || n > sizeof(fake->open))
        return;
    memcpy(fake->open, frame, n);
    fake->n_open = n;
}

/* The next frame as it came; NULL at the end of the stream. */
static const uint8_t *next_raw(struct fake *fake, size_t *n) {
    uint8_t bytes[4096];
    const uint8_t *frame;

    for (;;) {
        ssize_t got;

        if (net_framer_next(&fake->framer, &frame, n)) {
            fake_fail(fake, "bad framing");
            return NULL;
        }
        if (frame)
            return frame;
        got = recv(fake->fd, bytes, sizeof(bytes), 0);
        if (got < 0)
            fake_fail(fake, "nothing came");
        if (got <= 0)
            return NULL;
        if (net_framer_feed(&fake->framer, bytes, (size_t)got)) {
            fake_fail(fake, "bad framing");
            return NULL;
        }
    }
}

/* The same without its state. */
static const uint8_t *next_frame(struct fake *fake, size_t *n) {
    const uint8_t *frame = next_raw(fake, n);

    if (!frame)
        return NULL;
    keep_open(fake, frame, *n);
    if (terse_peer_unpack(fake->peer, frame, *n, &fake->work, &fake->plain))
        fake_fail(fake, "state that was not agreed");
    *n = fake->plain.len;
    return terse_buf_data(&fake->plain);
}

static char *frame_xml(struct fake *fake, const uint8_t *frame, size_t n) {
    struct terse_frame_info info;
    struct terse_buf xml;
    struct terse_str text;
    char *copy = NULL;

    if (terse_frame_info(fake->codec->schema, frame, n, &info))
        return NULL;
    if (info.kind == TERSE_CLOSE)
        return strdup("<close/>");
    terse_buf_init(&xml, 1 << 22);
    if (info.kind == TERSE_OPEN &&
        terse_buf_append(&xml, "<open/>", strlen("<open/>")))
        goto out;
    if (terse_decode(fake->codec->schema, &fake->codec->limits, frame, n,
                     TERSE_STANDALONE, &xml, NULL) == TERSE_OK) {
        text = (struct terse_str){(const char *)terse_buf_data(&xml), xml.len};
        copy = client_strndup(text);
    }
out:
    terse_buf_fini(&xml);
    return copy;
}

void fake_expect(struct fake *fake, const char *text) {
    const uint8_t *frame;
    size_t n;

    if (fake->failure[0])
        return;
    frame = next_frame(fake, &n);
    free(fake->last);
    fake->last = frame ? frame_xml(fake, frame, n) : NULL;
    if (!fake->last || !strstr(fake->last, text)) {
        char failure[sizeof(fake->failure)];

        snprintf(failure, sizeof(failure), "expected %.200s, got %.250s", text,
                 fake->last ? fake->last
                 : frame    ? "no XML"
                            : "the end");
        fake_fail(fake, failure);
    }
}

static uint64_t take_varint(const uint8_t **p, const uint8_t *end) {
    uint64_t v = 0;

    for (unsigned shift = 0; *p < end; shift += 7) {
        v |= (uint64_t)(**p & 0x7f) << shift;
        if (!(*(*p)++ & 0x80))
            break;
    }
    return v;
}

void fake_expect_beside(struct fake *fake, uint32_t field, int64_t value) {
    const uint8_t *p = fake->open, *end = p + fake->n_open;
    int64_t found = -1;

    while (p < end) {
        uint64_t tag = take_varint(&p, end), v = take_varint(&p, end);

        if ((tag & 7) == 2)
            p += v;
        else if (tag >> 3 == field)
            found = (int64_t)v;
    }
    if (found != value)
        fake_fail(fake, "not what the Open should say beside it");
}

void fake_expect_ping(struct fake *fake) {
    const uint8_t *frame;
    size_t n;

    if (fake->failure[0])
        return;
    frame = next_raw(fake, &n);
    if (!frame || n != 2 || frame[0] != TAG_PING || frame[1] != 1)
        fake_fail(fake, "expected a ping");
}

void fake_pong(struct fake *fake) {
    const uint8_t pong[] = {2, TAG_PING, 0};

    fake_send_raw(fake, pong, sizeof(pong));
}

void fake_expect_plain(struct fake *fake, const char *text, bool plain) {
    if (fake->failure[0])
        return;
    if (plain != (memmem(terse_buf_data(&fake->plain), fake->plain.len, text,
                         strlen(text)) != NULL))
        fake_fail(fake, plain ? "text that an older server cannot read"
                              : "text as it is, where it could be shorter");
}

void fake_expect_silence(struct fake *fake, int ms) {
    struct pollfd fd = {.fd = fake->fd, .events = POLLIN};
    const uint8_t *frame;
    size_t n;

    if (fake->failure[0])
        return;
    if (net_framer_next(&fake->framer, &frame, &n) || frame ||
        poll(&fd, 1, ms) != 0)
        fake_fail(fake, "expected silence");
}

void fake_expect_eof(struct fake *fake) {
    uint8_t byte;
    size_t n;

    if (fake->failure[0])
        return;
    if (next_frame(fake, &n) || recv(fake->fd, &byte, 1, 0) > 0)
        fake_fail(fake, "expected the end, got a frame");
}

void fake_send_raw(struct fake *fake, const void *p, size_t n) {
    const char *at = p;

    while (n && !fake->failure[0]) {
        ssize_t sent = send(fake->fd, at, n, MSG_NOSIGNAL);

        if (sent <= 0)
            return; /* the client may have had enough: not our failure */
        at += sent;
        n -= (size_t)sent;
    }
}

static void send_frame(struct fake *fake, struct terse_buf *frame) {
    static const uint8_t beats[] = {0xa8, 0x01, 60}; /* terse.Frame, 21 */
    uint8_t header[NET_HEADER_MAX];
    size_t n;

    terse_buf_reset(&fake->wire);
    if (fake->old
            ? terse_buf_append(&fake->wire, terse_buf_data(frame), frame->len)
            : terse_peer_pack(fake->peer, terse_buf_data(frame), frame->len,
                              &fake->work, &fake->wire))
        fake_fail(fake, "no frame");
    if (fake->beats && terse_buf_data(frame)[0] == TAG_OPEN &&
        terse_buf_append(&fake->wire, beats, sizeof(beats)))
        fake_fail(fake, "no memory");
    n = net_framer_header(&fake->framer, fake->wire.len, header);
    fake_send_raw(fake, header, n);
    fake_send_raw(fake, terse_buf_data(&fake->wire), fake->wire.len);
}

void fake_send(struct fake *fake, const char *xml) {
    struct terse_error error;
    struct terse_buf frame;

    terse_buf_init(&frame, 1 << 22);
    if (client_xml_encode(fake->codec, xml, strlen(xml), &frame, &error))
        fake_fail(fake, error.text);
    else
        send_frame(fake, &frame);
    terse_buf_fini(&frame);
}

void fake_send_open(struct fake *fake) {
    struct terse_buf frame;

    terse_buf_init(&frame, 1 << 16);
    if (client_xml_open(fake->codec,
                        " from='" FAKE_DOMAIN "' id='77' version='1.0'",
                        &frame))
        fake_fail(fake, "no Open");
    else
        send_frame(fake, &frame);
    terse_buf_fini(&frame);
}

void fake_send_close(struct fake *fake) {
    struct terse_buf frame;

    terse_buf_init(&frame, 1 << 16);
    if (terse_encode(fake->codec->schema, &fake->codec->limits, TERSE_CLOSE,
                     NULL, &frame, NULL))
        fake_fail(fake, "no Close");
    else
        send_frame(fake, &frame);
    terse_buf_fini(&frame);
}

/* The value of an attribute of the last element, copied into out. */
static bool last_attr(struct fake *fake, const char *name, char out[64]) {
    char pattern[32];
    const char *at;
    size_t n;

    snprintf(pattern, sizeof(pattern), " %s=", name);
    at = fake->last ? strstr(fake->last, pattern) : NULL;
    if (!at)
        return false;
    at += strlen(pattern);
    n = strcspn(at + 1, (char[]){*at, '\0'});
    snprintf(out, 64, "%.*s", (int)n, at + 1);
    return true;
}

void fake_answer(struct fake *fake, const char *xml) {
    char id[64], text[4096];
    const char *at = strstr(xml, "%s");

    if (fake->failure[0])
        return;
    if (!last_attr(fake, "id", id) || !at) {
        fake_fail(fake, "no id to answer");
        return;
    }
    snprintf(text, sizeof(text), "%.*s%s%s", (int)(at - xml), xml, id, at + 2);
    fake_send(fake, text);
}

/* ---- login
 * ---------------------------------------------------------------------- */

void fake_offer(struct fake *fake, const char *mechanisms) {
    char xml[1024] = "<stream:features><mechanisms xmlns='" CLIENT_NS_SASL "'>";

    while (*mechanisms) {
        int n = (int)strcspn(mechanisms, " ");
        size_t have = strlen(xml);

        snprintf(xml + have, sizeof(xml) - have, "<mechanism>%.*s</mechanism>",
                 n, mechanisms);
        mechanisms += n;
        mechanisms += strspn(mechanisms, " ");
    }
    snprintf(xml + strlen(xml), sizeof(xml) - strlen(xml),
             "</mechanisms></stream:features>");
    fake_expect(fake, "<open");
    fake_send_open(fake);
    fake_send(fake, xml);
}

static int on_property(Gsasl *ctx, Gsasl_session *session,
                       Gsasl_property property) {
    const char *password = gsasl_session_hook_get(session);

    (void)ctx;
    if (property == GSASL_PASSWORD)
        return gsasl_property_set(session, GSASL_PASSWORD, password);
    if (property == GSASL_SCRAM_ITER)
        return gsasl_property_set(session, GSASL_SCRAM_ITER, "4096");
    if (property == GSASL_SCRAM_SALT)
        return gsasl_property_set(session, GSASL_SCRAM_SALT,
                                  "QSXCR+Q6sek8bf92");
    return GSASL_NO_CALLBACK;
}

/* The text of the last element, in base64; "" if there is none. */
static void last_text(struct fake *fake, char *out, size_t n) {
    const char *at = fake->last ? strchr(fake->last, '>') : NULL;

    out[0] = '\0';
    if (at && at[-1] != '/')
        snprintf(out, n, "%.*s", (int)strcspn(at + 1, "<"), at + 1);
}

static void send_sasl(struct fake *fake, const char *name, const char *text) {
    char xml[2048];

    snprintf(xml, sizeof(xml), "<%s xmlns='" CLIENT_NS_SASL "'>%s</%s>", name,
             text, name);
    fake_send(fake, xml);
}

bool fake_sasl(struct fake *fake, const char *mechanism, const char *password) {
    Gsasl *ctx = NULL;
    Gsasl_session *session = NULL;
    char in[2048], expected[64];
    bool in_good_order = false;
    int rv = GSASL_NEEDS_MORE;

    snprintf(expected, sizeof(expected), "%s", mechanism);
    if (gsasl_init(&ctx) || gsasl_server_start(ctx, mechanism, &session)) {
        fake_fail(fake, "gsasl cannot");
        return false;
    }
    gsasl_callback_set(ctx, on_property);
    gsasl_session_hook_set(session, (void *)(uintptr_t)password);
    fake_expect(fake, expected);
    while (rv == GSASL_NEEDS_MORE && !fake->failure[0]) {
        char *out = NULL;

        last_text(fake, in, sizeof(in));
        rv = gsasl_step64(session, in, &out);
        if (rv == GSASL_NEEDS_MORE) {
            send_sasl(fake, "challenge", out);
            fake_expect(fake, "<response");
        } else if (rv == GSASL_OK) {
            send_sasl(fake, "success", out ? out : "");
            in_good_order = true;
        } else {
            fake_send(fake, "<failure xmlns='" CLIENT_NS_SASL
                            "'><not-authorized/><text>Who?</text></failure>");
        }
        gsasl_free(out);
    }
    gsasl_finish(session);
    gsasl_done(ctx);
    return in_good_order && !fake->failure[0];
}

void fake_login(struct fake *fake) {
    fake_offer(fake, "SCRAM-SHA-1 SCRAM-SHA-256 PLAIN");
    if (!fake_sasl(fake, "SCRAM-SHA-256", FAKE_PASSWORD))
        fake_fail(fake, "not logged in");
    fake_expect(fake, "<open");
    fake_send_open(fake);
    fake_send(fake, "<stream:features><bind xmlns='" CLIENT_NS_BIND "'/>"
                    "<session xmlns='" CLIENT_NS_SESSION
                    "'><optional/></session></stream:features>");
    fake_expect(fake, "<resource>orchard</resource>");
    fake_answer(fake, "<iq type='result' id='%s'><bind xmlns='" CLIENT_NS_BIND
                      "'><jid>" FAKE_JID "</jid></bind></iq>");
}

/* ---- a session that lasts
 * ------------------------------------------------------ */

void fake_again(struct fake *fake) {
    struct timeval tv = {FAKE_TIMEOUT, 0};

    if (fake->failure[0])
        return;
    close(fake->fd);
    net_framer_fini(&fake->framer);
    net_framer_init(&fake->framer, NET_FRAMING_DETECT, 1 << 22);
    terse_peer_free(fake->peer);
    assert_int_equal(terse_peer_new(&fake->peer, fake->codec->schema,
                                    &terse_state_limits_default, false),
                     TERSE_OK);
    fake->fd = accept(fake->listener, NULL, NULL);
    if (fake->fd < 0)
        fake_fail(fake, "nobody came back");
    else
        setsockopt(fake->fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
}

void fake_offer2(struct fake *fake, const char *mechanisms) {
    char xml[1024] =
        "<stream:features><authentication xmlns='" PHONE_NS_SASL2 "'>";

    while (*mechanisms) {
        int n = (int)strcspn(mechanisms, " ");
        size_t have = strlen(xml);

        snprintf(xml + have, sizeof(xml) - have, "<mechanism>%.*s</mechanism>",
                 n, mechanisms);
        mechanisms += n;
        mechanisms += strspn(mechanisms, " ");
    }
    snprintf(xml + strlen(xml), sizeof(xml) - strlen(xml),
             "<inline><bind xmlns='" PHONE_NS_BIND2 "'/><sm xmlns='" PHONE_NS_SM
             "'/><fast xmlns='" PHONE_NS_FAST "'><mechanism>" PHONE_HT
             "</mechanism></fast></inline></authentication></stream:features>");
    fake_send_open(fake);
    fake_send(fake, xml);
}

/* Of the last element, the text of {…}name. */
static void text_in(struct fake *fake, const char *name, char *out, size_t n) {
    char tag[64];
    const char *at;

    snprintf(tag, sizeof(tag), "<%s", name);
    at = fake->last ? strstr(fake->last, tag) : NULL;
    at = at ? strchr(at, '>') : NULL;
    snprintf(out, n, "%.*s", at ? (int)strcspn(at + 1, "<") : 0,
             at ? at + 1 : "");
}

bool fake_sasl2(struct fake *fake, const char *mechanism, char data[512]) {
    Gsasl *ctx = NULL;
    Gsasl_session *session = NULL;
    char in[2048], xml[2048], *out = NULL;
    int rv;

    if (gsasl_init(&ctx) || gsasl_server_start(ctx, mechanism, &session)) {
        fake_fail(fake, "gsasl cannot");
        return false;
    }
    gsasl_callback_set(ctx, on_property);
    gsasl_session_hook_set(session, (void *)(uintptr_t)FAKE_PASSWORD);
    text_in(fake, "initial-response", in, sizeof(in));
    rv = gsasl_step64(session, in, &out);
    if (rv == GSASL_NEEDS_MORE) {
        snprintf(xml, sizeof(xml),
                 "<challenge xmlns='" PHONE_NS_SASL2 "'>%s</challenge>", out);
        gsasl_free(out);
        out = NULL;
        fake_send(fake, xml);
        fake_expect(fake, "<response");
        text_in(fake, "response", in, sizeof(in));
        rv = gsasl_step64(session, in, &out);
    }
    snprintf(data, 512, "%s", rv == GSASL_OK && out ? out : "");
    gsasl_free(out);
    gsasl_finish(session);
    gsasl_done(ctx);
    return rv == GSASL_OK && !fake->failure[0];
}

void fake_success2(struct fake *fake, const char *data, const char *inner) {
    char xml[4096];

    snprintf(xml, sizeof(xml),
             "<success xmlns='" PHONE_NS_SASL2 "'>%s%s%s"
             "<authorization-identifier>" FAKE_JID ".77"
             "</authorization-identifier>%s</success>",
             data ? "<additional-data>" : "", data ? data : "",
             data ? "</additional-data>" : "", inner);
    fake_send(fake, xml);
    fake_send(fake, "<stream:features/>");
}

void fake_login2(struct fake *fake, const char *inner) {
    char data[512];

    fake_expect(fake, "<open");
    fake_expect(fake, "mechanism='SCRAM-SHA-256'");
    fake_offer2(fake, "SCRAM-SHA-1 SCRAM-SHA-256");
    if (fake_sasl2(fake, "SCRAM-SHA-256", data))
        fake_success2(fake, data, inner);
    else
        fake_fail(fake, "not logged in");
}

/* By Python's hmac: what the owner of FAKE_TOKEN says first. */
void fake_expect_return(struct fake *fake, const char *h) {
    char text[64];

    fake_expect(fake, "<open");
    fake_expect(fake, "mechanism='HT-SHA-256-NONE'");
    snprintf(text, sizeof(text), " h='%s'", h);
    if (!fake->last ||
        !strstr(fake->last, "cm9tZW8AtDOm0QjWCVRxKhnO76cAp6fJ6lv/"
                            "Q3w8ps0bfsXckdQ=") ||
        !strstr(fake->last, "previd='one'") || !strstr(fake->last, text))
        fake_fail(fake, fake->last ? fake->last : "no <authenticate/>");
    fake_send_open(fake);
    fake_send(fake, "<stream:features/>");
}

/* ---- the test's side
 * -------------------------------------------------------------------- */

struct terse_client_options fake_options(const struct fake *fake) {
    struct terse_client_options options;

    terse_client_options_init(&options);
    options.clear = true;
    options.host = "127.0.0.1";
    options.port = fake->port;
    options.jid = FAKE_JID;
    options.password = FAKE_PASSWORD;
    options.reconnect = TERSE_CLIENT_ON;
    options.retry_least_ms = options.retry_most_ms = 20;
    options.close_ms = 300;
    return options;
}

struct terse_client_status fake_await_ready(struct terse_client *client,
                                            uint32_t n) {
    struct terse_client_status status;

    for (int i = 0; i < 1000; i++) {
        terse_client_status(client, &status);
        if (status.ready && status.sessions + status.resumptions == n)
            return status;
        fake_sleep(5);
    }
    fail_msg("not ready: %s", status.lost.text);
    return status;
}

void fake_try_damaged(const struct terse_client_options *like,
                      const uint8_t *blob, size_t n) {
    struct terse_client_options options = *like;
    struct terse_client *client;
    uint8_t *copy = malloc(n);

    assert_non_null(copy);
    options.restore = copy;
    for (size_t i = 0; i < n; i++) {
        memcpy(copy, blob, n);
        options.n_restore = i;
        assert_int_equal(terse_client_new(&client, &options),
                         TERSE_CLIENT_EARG);
        options.n_restore = n;
        copy[i] ^= 0xff;
        if (terse_client_new(&client, &options) == TERSE_CLIENT_OK)
            terse_client_free(client);
    }
    free(copy);
}
