/*
 * proxy_session_test.c: tersed between a client and an XMPP server that follow
 * a script, over loopback. The test is both: it reads and writes blocking
 * sockets, one step after the other.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <arpa/inet.h>
#include <malloc.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "bridge/log.h"
#include "proxy/admin.h"
#include "proxy/server.h"

#define DOMAIN "im.example.net"
#define HEADER                                                                 \
    "<?xml version='1.0'?><stream:stream xmlns='jabber:client' "               \
    "xmlns:stream='http://etherx.jabber.org/streams' to='" DOMAIN "' "         \
    "version='1.0'>"
#define ANSWER                                                                 \
    "<?xml version='1.0'?><stream:stream id='srv-id-1' version='1.0' "         \
    "xml:lang='en' xmlns:stream='http://etherx.jabber.org/streams' "           \
    "from='" DOMAIN "' xmlns='jabber:client'>"
#define SASL_NS "urn:ietf:params:xml:ns:xmpp-sasl"
#define TLS_NS "urn:ietf:params:xml:ns:xmpp-tls"
#define FEATURES                                                               \
    "<stream:features><starttls xmlns='" TLS_NS "'/>"                          \
    "<mechanisms xmlns='" SASL_NS "'><mechanism>SCRAM-SHA-1-PLUS</mechanism>"  \
    "<mechanism>SCRAM-SHA-1</mechanism></mechanisms>"                          \
    "<sasl-channel-binding xmlns='urn:xmpp:sasl-cb:0'>"                        \
    "<channel-binding type='tls-exporter'/></sasl-channel-binding>"            \
    "<compression xmlns='http://jabber.org/features/compress'>"                \
    "<method>zlib</method></compression>"                                      \
    "<authentication xmlns='urn:xmpp:sasl:2'>"                                 \
    "<mechanism>SCRAM-SHA-256-PLUS</mechanism>"                                \
    "<mechanism>SCRAM-SHA-256</mechanism>"                                     \
    "<sasl-channel-binding xmlns='urn:xmpp:sasl-cb:0'/></authentication>"      \
    "<register xmlns='http://jabber.org/features/iq-register'/>"               \
    "</stream:features>"
#define PROCEED "<proceed xmlns='" TLS_NS "'/>"
#define SUCCESS "<success xmlns='" SASL_NS "'/>"

/* ---- the world of one test
 * ----------------------------------------------------- */

struct world {
    struct server *server;
    char conf[64], pem[64];
    int listening; /* the XMPP server's socket */
    uint16_t port;
    EVP_PKEY *key;
    X509 *cert, *other; /* for DOMAIN; for another name */
    struct terse_schema *schema;
    /* the client */
    int client;
    bool sp, preface_sent;
    uint8_t beat; /* seconds that the client says beside its first header */
    bool heard_beat;
    char *xml; /* the last frame, decoded */
    /* the XMPP server */
    int back;
    SSL *ssl;
    char heard[65536]; /* what the server has read */
    size_t n_heard;
};

static void set_timeout(int fd) {
    struct timeval tv = {20, 0};

    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv));
}

static int listen_at(uint16_t port) {
    struct sockaddr_in sa = {.sin_family = AF_INET,
                             .sin_port = htons(port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

    assert_true(fd >= 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
    assert_int_equal(listen(fd, 8), 0);
    set_timeout(fd);
    return fd;
}

static int listen_somewhere(uint16_t *port) {
    struct sockaddr_in sa;
    socklen_t len = sizeof(sa);
    int fd = listen_at(0);

    assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
    *port = ntohs(sa.sin_port);
    return fd;
}

/* name: of DNS, or of another kind with that in front. */
static X509 *make_cert(EVP_PKEY *key, const char *name) {
    X509 *cert = X509_new();
    X509_NAME *subject = X509_get_subject_name(cert);
    X509_EXTENSION *san;
    char text[100];

    ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
    X509_set_version(cert, X509_VERSION_3);
    X509_gmtime_adj(X509_getm_notBefore(cert), -3600);
    X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
    X509_NAME_add_entry_by_txt(
        subject, "CN", MBSTRING_ASC,
        (const unsigned char *)(strchr(name, ':') ? "x" : name), -1, -1, 0);
    X509_set_issuer_name(cert, subject);
    snprintf(text, sizeof(text), "%s%s", strchr(name, ':') ? "" : "DNS:", name);
    san = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, text);
    X509_add_ext(cert, san, -1);
    X509_EXTENSION_free(san);
    X509_set_pubkey(cert, key);
    assert_true(X509_sign(cert, key, EVP_sha256()) > 0);
    return cert;
}

static void write_file(char *path, const char *text, X509 *a, X509 *b) {
    int fd;
    FILE *file;

    strcpy(path, "/tmp/terse-session-XXXXXX");
    fd = mkstemp(path);
    assert_true(fd >= 0);
    file = fdopen(fd, "w");
    assert_non_null(file);
    fputs(text, file);
    if (a)
        PEM_write_X509(file, a);
    if (b)
        PEM_write_X509(file, b);
    fclose(file);
}

/* Starts tersed with this for [domain]'s starttls and more for [tersed];
 * "direct" is for its tls. */
static void begin(struct world *w, const char *starttls, const char *more) {
    char text[1024], why[300];
    struct config *config;

    if (strcmp(starttls, "off") == 0)
        snprintf(text, sizeof(text),
                 "[tersed]\nlisten = 127.0.0.1:0\nclose_timeout = 2s\n%s\n"
                 "[domain " DOMAIN "]\nserver = 127.0.0.1:%u\n"
                 "starttls = off\n",
                 more, w->port);
    else
        snprintf(text, sizeof(text),
                 "[tersed]\nlisten = 127.0.0.1:0\nclose_timeout = 2s\n%s\n"
                 "[domain " DOMAIN "]\nserver = 127.0.0.1:%u\n"
                 "%s = %s\nca_file = %s\n",
                 more, w->port,
                 strcmp(starttls, "direct") == 0 ? "tls" : "starttls", starttls,
                 w->pem);
    write_file(w->conf, text, NULL, NULL);
    config = config_load(w->conf, stderr);
    unlink(w->conf);
    assert_non_null(config);
    log_set_level((enum log_level)config->log_level);
    assert_int_equal(server_start(&w->server, config, why), NET_OK);
}

static int set_up(void **state) {
    struct world *w = calloc(1, sizeof(*w));

    signal(SIGPIPE, SIG_IGN);
    w->client = w->back = -1;
    w->key = EVP_EC_gen("P-256");
    w->cert = make_cert(w->key, DOMAIN);
    w->other = make_cert(w->key, "elsewhere.example");
    write_file(w->pem, "", w->cert, w->other);
    w->listening = listen_somewhere(&w->port);
    assert_int_equal(terse_schema_new(&w->schema), TERSE_OK);
    *state = w;
    return 0;
}

static void hang_up_client(struct world *w) {
    if (w->client >= 0)
        close(w->client);
    w->client = -1;
    w->preface_sent = false;
}

static void hang_up_server(struct world *w) {
    SSL_free(w->ssl);
    w->ssl = NULL;
    if (w->back >= 0)
        close(w->back);
    w->back = -1;
}

static int tear_down(void **state) {
    struct world *w = *state;

    hang_up_client(w);
    hang_up_server(w);
    if (w->server) {
        assert_true(server_drain(w->server));
        server_free(w->server);
    }
    close(w->listening);
    unlink(w->pem);
    EVP_PKEY_free(w->key);
    X509_free(w->cert);
    X509_free(w->other);
    terse_schema_free(w->schema);
    free(w->xml);
    free(w);
    return 0;
}

/* ---- the client
 * ------------------------------------------------------------------ */

static void dial_client(struct world *w) {
    struct sockaddr_in sa = {
        .sin_family = AF_INET,
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
        .sin_port = htons(net_listener_port(w->server->listeners[0]))};

    w->client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    set_timeout(w->client);
    assert_int_equal(connect(w->client, (struct sockaddr *)&sa, sizeof(sa)), 0);
}

static void send_bytes(int fd, const void *p, size_t n) {
    while (n) {
        ssize_t done = send(fd, p, n, MSG_NOSIGNAL);

        assert_true(done > 0);
        p = (const char *)p + done;
        n -= (size_t)done;
    }
}

static void receive_bytes(int fd, void *p, size_t n) {
    while (n) {
        ssize_t done = recv(fd, p, n, 0);

        if (done <= 0)
            fail_msg("the connection ended while %zu bytes were awaited", n);
        p = (char *)p + done;
        n -= (size_t)done;
    }
}

struct encoder {
    struct world *w;
    bool skip_open;
    struct terse_buf out;
};

static void add_frame(struct world *w, struct terse_buf *out, const void *p,
                      size_t n) {
    struct net_framer f;
    uint8_t header[NET_HEADER_MAX];
    size_t used;
    const void *hello;

    net_framer_init(&f, w->sp ? NET_FRAMING_SP : NET_FRAMING_NATIVE, 1 << 30);
    hello = net_framer_hello(&f, true, &used);
    if (!w->preface_sent)
        assert_int_equal(terse_buf_append(out, hello, used), TERSE_OK);
    w->preface_sent = true;
    used = net_framer_header(&f, n, header);
    assert_int_equal(terse_buf_append(out, header, used), TERSE_OK);
    assert_int_equal(terse_buf_append(out, p, n), TERSE_OK);
}

static enum terse_err encode_event(void *arg, enum terse_event event,
                                   struct terse_node *node) {
    struct encoder *e = arg;
    struct terse_buf frame;

    if (event == TERSE_OPEN && e->skip_open)
        return TERSE_OK;
    terse_buf_init(&frame, 1 << 24);
    assert_int_equal(terse_encode(e->w->schema, &terse_limits_default, event,
                                  node, &frame, NULL),
                     TERSE_OK);
    if (event == TERSE_OPEN && e->w->beat) {
        const uint8_t said[] = {0xa8, 0x01, e->w->beat};

        assert_int_equal(terse_buf_append(&frame, said, 3), TERSE_OK);
    }
    add_frame(e->w, &e->out, terse_buf_data(&frame), frame.len);
    terse_buf_fini(&frame);
    return TERSE_OK;
}

/* The frames of a stream that says `xml`, without the header if `within`. */
static struct terse_buf frames(struct world *w, bool within, const char *xml) {
    struct encoder e = {.w = w, .skip_open = within};
    struct terse_reader *r;

    terse_buf_init(&e.out, 1 << 26);
    assert_int_equal(terse_reader_new(&r, w->schema, &terse_limits_default,
                                      encode_event, &e),
                     TERSE_OK);
    if (within)
        assert_int_equal(terse_reader_feed(r, HEADER, strlen(HEADER)),
                         TERSE_OK);
    assert_int_equal(terse_reader_feed(r, xml, strlen(xml)), TERSE_OK);
    terse_reader_free(r);
    return e.out;
}

static void client_says(struct world *w, bool within, const char *xml) {
    struct terse_buf buf = frames(w, within, xml);

    send_bytes(w->client, terse_buf_data(&buf), buf.len);
    terse_buf_fini(&buf);
}

/* Reads a frame's length; false at the end of the connection. */
static bool read_length(struct world *w, size_t *n) {
    uint8_t b[8];

    if (recv(w->client, b, 1, 0) != 1)
        return false;
    *n = b[0] & 0x7f;
    if (w->sp) {
        receive_bytes(w->client, b + 1, 7);
        *n = (size_t)b[4] << 24 | (size_t)b[5] << 16 | (size_t)b[6] << 8 | b[7];
        return true;
    }
    for (unsigned shift = 7; b[0] & 0x80; shift += 7) {
        receive_bytes(w->client, b, 1);
        *n |= (size_t)(b[0] & 0x7f) << shift;
    }
    return true;
}

/* The next frame as XML, in w->xml; "(end)" if the connection has ended,
 * "(close)" for a Close frame. */
static const char *client_hears(struct world *w) {
    struct terse_buf out;
    struct terse_frame_info info;
    uint8_t *frame;
    size_t n;

    free(w->xml);
    w->xml = NULL;
    if (!read_length(w, &n))
        return w->xml = strdup("(end)");
    frame = malloc(n + 1);
    receive_bytes(w->client, frame, n);
    if (n == 2 && frame[0] == 0x60) {
        w->xml = strdup(frame[1] ? "(ping)" : "(pong)");
        free(frame);
        return w->xml;
    }
    /* A header is short; bounds of state and a heartbeat may be beside it. */
    if (frame[0] == 0x6a && n > frame[1] + 2U) {
        w->heard_beat = memmem(frame + frame[1] + 2, n - frame[1] - 2,
                               "\xa8\x01", 2) != NULL;
        n = frame[1] + 2U;
    }
    assert_int_equal(terse_frame_info(w->schema, frame, n, &info), TERSE_OK);
    terse_buf_init(&out, 1 << 24);
    assert_int_equal(terse_decode(w->schema, &terse_limits_default, frame, n,
                                  TERSE_STANDALONE, &out, NULL),
                     TERSE_OK);
    free(frame);
    if (info.kind == TERSE_CLOSE)
        w->xml = strdup("(close)");
    else
        w->xml = strndup((const char *)terse_buf_data(&out), out.len);
    terse_buf_fini(&out);
    return w->xml;
}

#define expect(w, text)                                                        \
    do {                                                                       \
        if (!strstr(client_hears(w), text))                                    \
            fail_msg("expected %s, got %.300s", text, (w)->xml);               \
    } while (0)

/* An Open (if due), this error, a Close and the end. */
static void expect_error(struct world *w, bool open, const char *condition) {
    if (open)
        expect(w, "<stream:stream");
    expect(w, condition);
    assert_non_null(strstr(w->xml, "urn:ietf:params:xml:ns:xmpp-streams"));
    expect(w, "(close)");
    shutdown(w->client, SHUT_WR);
    expect(w, "(end)");
}

/* ---- the XMPP server
 * ------------------------------------------------------------ */

static void server_accepts(struct world *w) {
    w->back = accept(w->listening, NULL, NULL);
    assert_true(w->back >= 0);
    set_timeout(w->back);
    w->n_heard = 0;
}

static ssize_t server_read(struct world *w, void *p, size_t n) {
    return w->ssl ? SSL_read(w->ssl, p, (int)n) : recv(w->back, p, n, 0);
}

/* Reads until `text` was heard; forgets all up to it. */
static void server_hears(struct world *w, const char *text) {
    for (;;) {
        char *at;
        ssize_t n;

        w->heard[w->n_heard] = '\0';
        at = strstr(w->heard, text);
        if (at) {
            at += strlen(text);
            w->n_heard -= (size_t)(at - w->heard);
            memmove(w->heard, at, w->n_heard + 1);
            return;
        }
        n = server_read(w, w->heard + w->n_heard,
                        sizeof(w->heard) - 1 - w->n_heard);
        if (n <= 0)
            fail_msg("the server waits for %s and has %.300s", text, w->heard);
        w->n_heard += (size_t)n;
    }
}

/* The connection ends, and until then comes no such text. */
static void server_hears_end_without(struct world *w, const char *text) {
    ssize_t n;

    while ((n = server_read(w, w->heard + w->n_heard,
                            sizeof(w->heard) - 1 - w->n_heard)) > 0)
        w->n_heard += (size_t)n;
    w->heard[w->n_heard] = '\0';
    if (strstr(w->heard, text))
        fail_msg("heard %s", w->heard);
}

static void server_says(struct world *w, const char *xml) {
    if (w->ssl)
        assert_true(SSL_write(w->ssl, xml, (int)strlen(xml)) > 0);
    else
        send_bytes(w->back, xml, strlen(xml));
}

/* The server's side of TLS with this certificate; whether it succeeds. */
static bool server_secures(struct world *w, X509 *cert) {
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    bool ok;

    assert_int_equal(SSL_CTX_use_certificate(ctx, cert), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(ctx, w->key), 1);
    w->ssl = SSL_new(ctx);
    SSL_CTX_free(ctx);
    SSL_set_fd(w->ssl, w->back);
    ok = SSL_accept(w->ssl) == 1;
    return ok;
}

/* Up to where elements pass, in clear. */
static void open_plain(struct world *w, const char *more) {
    begin(w, "off", more);
    dial_client(w);
    client_says(w, false, HEADER);
    server_accepts(w);
    server_hears(w, "<stream:stream");
    server_hears(w, ">");
    server_says(w, ANSWER FEATURES);
    expect(w, "srv-id-1");
    expect(w, "features");
}

/* And logged in. */
static void log_in(struct world *w) {
    server_says(w, SUCCESS);
    expect(w, "success");
    client_says(w, false, HEADER);
    server_hears(w, "<stream:stream");
    server_hears(w, ">");
    server_says(w, ANSWER "<stream:features><bind "
                          "xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>"
                          "</stream:features>");
    expect(w, "srv-id-1");
    expect(w, "xmpp-bind");
}

/* Up to the server's answer to <starttls/>. */
static void open_to_starttls(struct world *w) {
    begin(w, "required", "");
    dial_client(w);
    client_says(w, false, HEADER);
    server_accepts(w);
    server_hears(w, "<stream:stream");
    server_hears(w, ">");
    server_says(w, ANSWER FEATURES);
    server_hears(w, "<starttls xmlns='" TLS_NS "'/>");
}

/* ---- errors before anything passes
 * ------------------------------------------------ */

static void test_session_unknown_domain_is_host_unknown(void **state) {
    struct world *w = *state;

    begin(w, "off", "");
    dial_client(w);
    client_says(w, false,
                "<stream:stream xmlns='jabber:client' "
                "xmlns:stream='http://etherx.jabber.org/streams' "
                "to='other.example' version='1.0'>");
    expect(w, "from='other.example'");
    expect_error(w, false, "host-unknown");
}

static void test_session_dead_server_is_remote_failure(void **state) {
    struct world *w = *state;

    begin(w, "off", "");
    close(w->listening);
    w->listening = -1;
    dial_client(w);
    client_says(w, false, HEADER);
    expect_error(w, true, "remote-connection-failed");
}

static void test_session_silent_server_is_remote_failure(void **state) {
    struct world *w = *state;

    begin(w, "required", "negotiate_timeout = 200ms");
    dial_client(w);
    client_says(w, false, HEADER);
    server_accepts(w);
    expect_error(w, true, "remote-connection-failed");
}

static void test_session_first_frame_not_open_refused(void **state) {
    struct world *w = *state;

    begin(w, "off", "");
    dial_client(w);
    client_says(w, true, "<presence/>");
    expect_error(w, true, "bad-format");
}

static void test_session_garbage_frame_refused(void **state) {
    struct world *w = *state;

    open_plain(w, "");
    send_bytes(w->client, "\x03\xff\xff\xff", 4);
    expect_error(w, false, terse_err_condition(TERSE_EFRAME));
    server_hears(w, "</stream:stream>");
}

static void test_session_foreign_protocol_hung_up_on(void **state) {
    struct world *w = *state;

    begin(w, "off", "");
    dial_client(w);
    send_bytes(w->client, "<?xml", 5);
    shutdown(w->client, SHUT_WR);
    expect(w, "(end)");
}

static void test_session_frame_over_limit_refused_unread(void **state) {
    struct world *w = *state;
    size_t before, after;

    open_plain(w, "");
    before = mallinfo2().uordblks;
    /* The length alone, 10 MB: refused before any of the body is there. */
    send_bytes(w->client, "\x80\xad\xe2\x04", 4);
    expect(w, "policy-violation");
    after = mallinfo2().uordblks;
    assert_true(after < before + 1024 * 1024);
    expect(w, "(close)");
    server_hears(w, "</stream:stream>");
}

static void test_session_too_much_before_login_refused(void **state) {
    struct world *w = *state;
    char *xml = calloc(1, 8000);

    open_plain(w, "login_bytes = 4k");
    strcpy(xml, "<message><body>");
    memset(xml + strlen(xml), 'x', 5000);
    strcat(xml, "</body></message>");
    client_says(w, true, xml);
    free(xml);
    expect_error(w, false, "policy-violation");
}

static void test_session_no_login_in_time_refused(void **state) {
    struct world *w = *state;

    open_plain(w, "login_timeout = 300ms");
    expect_error(w, false, "connection-timeout");
    server_hears(w, "</stream:stream>");
}

/* ---- TLS towards the server
 * --------------------------------------------------------- */

static void test_session_starttls_shows_client_one_header(void **state) {
    struct world *w = *state;

    open_to_starttls(w);
    server_says(w, PROCEED);
    assert_true(server_secures(w, w->cert));
    server_hears(w, "<stream:stream");
    server_hears(w, ">");
    server_says(w, "<?xml version='1.0'?><stream:stream id='second' "
                   "version='1.0' xmlns='jabber:client' "
                   "xmlns:stream='http://etherx.jabber.org/streams' "
                   "from='" DOMAIN "'>" FEATURES);
    expect(w, "second");
    expect(w, "features");
    assert_null(strstr(w->xml, "starttls"));
    assert_null(strstr(w->xml, "-PLUS"));
    assert_null(strstr(w->xml, "channel-binding"));
    assert_null(strstr(w->xml, "compression"));
    assert_non_null(strstr(w->xml, ">SCRAM-SHA-1<"));
    assert_non_null(strstr(w->xml, ">SCRAM-SHA-256<"));
    assert_non_null(strstr(w->xml, "iq-register"));
    client_says(w, true, "<auth xmlns='" SASL_NS "' mechanism='X'>=</auth>");
    server_hears(w, "<auth");
}

static void test_session_wrong_name_in_certificate_refused(void **state) {
    struct world *w = *state;

    open_to_starttls(w);
    server_says(w, PROCEED);
    assert_false(server_secures(w, w->other));
    expect_error(w, true, "certificate");
    assert_int_equal(metrics_get(&w->server->metrics, METRIC_FRAMES_IN), 1);
}

/* RFC 6120 section 13.7.1.2: names of the service, not of a host. */
static void service_name(struct world *w, const char *name, bool good) {
    X509_free(w->cert);
    w->cert = make_cert(w->key, name);
    unlink(w->pem);
    write_file(w->pem, "", w->cert, NULL);
    open_to_starttls(w);
    server_says(w, PROCEED);
    assert_int_equal(server_secures(w, w->cert), good);
    if (good)
        server_hears(w, "<stream:stream");
    else
        expect_error(w, true, "certificate");
}

#define SRV_ID "otherName:1.3.6.1.5.5.7.8.7;IA5STRING:_xmpp-client."
#define XMPP_ADDR "otherName:1.3.6.1.5.5.7.8.5;UTF8:"

static void test_session_srv_id_in_certificate_passes(void **state) {
    service_name(*state, SRV_ID "IM.example.net", true);
}

static void test_session_srv_id_of_other_domain_refused(void **state) {
    service_name(*state, SRV_ID "other.example", false);
}

static void test_session_xmpp_addr_in_certificate_passes(void **state) {
    service_name(*state, XMPP_ADDR DOMAIN, true);
}

static void test_session_xmpp_addr_longer_refused(void **state) {
    service_name(*state, XMPP_ADDR DOMAIN ".evil.example", false);
}

static void test_session_untrusted_certificate_refused(void **state) {
    struct world *w = *state;
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *forged;

    EVP_PKEY_free(w->key);
    w->key = key;
    forged = make_cert(key, DOMAIN);
    open_to_starttls(w);
    server_says(w, PROCEED);
    assert_false(server_secures(w, forged));
    expect(w, "<stream:stream");
    expect(w, "remote-connection-failed");
    assert_non_null(strstr(w->xml, "certificate"));
    X509_free(forged);
}

static void test_session_no_offer_of_tls_refused_if_required(void **state) {
    struct world *w = *state;

    begin(w, "required", "");
    dial_client(w);
    client_says(w, false, HEADER);
    server_accepts(w);
    server_says(w, ANSWER "<stream:features/>");
    expect_error(w, true, "remote-connection-failed");
}

static void test_session_no_offer_of_tls_passes_if_optional(void **state) {
    struct world *w = *state;

    begin(w, "optional", "");
    dial_client(w);
    client_says(w, false, HEADER);
    server_accepts(w);
    server_says(w, ANSWER "<stream:features/>");
    expect(w, "srv-id-1");
    expect(w, "features");
    client_says(w, true, "<presence/>");
    server_hears(w, "<presence/>");
}

static void test_session_text_slipped_in_before_tls_refused(void **state) {
    struct world *w = *state;

    open_to_starttls(w);
    server_says(w, PROCEED "<presence/>");
    expect(w, "<stream:stream");
    expect(w, "<stream:error");
}

static void test_session_half_element_before_tls_dropped(void **state) {
    struct world *w = *state;

    open_to_starttls(w);
    server_says(w, PROCEED "<presence from='mallory'");
    assert_true(server_secures(w, w->cert));
    server_hears(w, "<stream:stream");
    server_says(w, ANSWER "<stream:features/>");
    expect(w, "srv-id-1");
    expect(w, "features");
    assert_null(strstr(w->xml, "mallory"));
}

static void test_session_server_error_before_tls_passed_on(void **state) {
    struct world *w = *state;

    begin(w, "required", "");
    dial_client(w);
    client_says(w, false, HEADER);
    server_accepts(w);
    server_hears(w, "<stream:stream");
    server_says(w, ANSWER "<stream:error><see-other-host "
                          "xmlns='urn:ietf:params:xml:ns:xmpp-streams'>"
                          "b.example</see-other-host></stream:error>"
                          "</stream:stream>");
    expect(w, "srv-id-1");
    expect_error(w, false, "b.example");
}

/* ---- ends
 * ----------------------------------------------------------------------------
 */

static void test_session_server_closing_mid_stanza_is_remote(void **state) {
    struct world *w = *state;

    open_plain(w, "");
    server_says(w, "<message><bo");
    hang_up_server(w);
    expect_error(w, false, "remote-connection-failed");
}

static void test_session_server_error_passed_on_once(void **state) {
    struct world *w = *state;

    open_plain(w, "");
    server_says(w, "<stream:error><conflict "
                   "xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>"
                   "<text xmlns='urn:ietf:params:xml:ns:xmpp-streams'>Replaced"
                   "</text></stream:error>");
    hang_up_server(w); /* without a footer, as servers do */
    expect_error(w, false, "conflict");
}

static void test_session_bad_xml_from_server_is_remote(void **state) {
    struct world *w = *state;

    open_plain(w, "");
    server_says(w, "<message><!-- no --></message>");
    expect(w, "remote-connection-failed");
    expect(w, "(close)");
    server_hears(w, "</stream:stream>");
}

static void test_session_client_close_closes_both(void **state) {
    struct world *w = *state;

    open_plain(w, "");
    client_says(w, true, "</stream:stream>");
    server_hears(w, "</stream:stream>");
    server_says(w, "<presence from='late'/></stream:stream>");
    expect(w, "late");
    expect(w, "(close)");
    hang_up_server(w);
    shutdown(w->client, SHUT_WR);
    expect(w, "(end)");
}

static void test_session_server_close_closes_both(void **state) {
    struct world *w = *state;

    open_plain(w, "");
    server_says(w, "</stream:stream>");
    expect(w, "(close)");
    server_hears(w, "</stream:stream>");
}

/* So that the server keeps its session for XEP-0198 resumption. */
static void test_session_client_lost_sends_server_no_footer(void **state) {
    struct world *w = *state;

    open_plain(w, "");
    log_in(w);
    client_says(w, true, "<presence/>");
    hang_up_client(w);
    server_hears(w, "<presence/>");
    server_hears_end_without(w, "</stream:stream>");
}

static void *drain(void *arg) {
    struct world *w = arg;

    return server_drain(w->server) ? w : NULL;
}

static void test_session_drain_tells_both_sides(void **state) {
    struct world *w = *state;
    pthread_t thread;
    void *drained;

    open_plain(w, "");
    log_in(w);
    assert_int_equal(pthread_create(&thread, NULL, drain, w), 0);
    expect(w, "system-shutdown");
    expect(w, "(close)");
    server_hears(w, "</stream:stream>");
    hang_up_client(w);
    hang_up_server(w);
    assert_int_equal(pthread_join(thread, &drained), 0);
    assert_ptr_equal(drained, w);
}

/* ---- what passes
 * ----------------------------------------------------------------------- */

static void test_session_starttls_of_client_refused(void **state) {
    struct world *w = *state;

    open_plain(w, "");
    client_says(w, true, "<starttls xmlns='" TLS_NS "'/>");
    expect(w, "failure");
    assert_non_null(strstr(w->xml, TLS_NS));
    expect(w, "(close)");
    server_hears(w, "</stream:stream>");
}

static void test_session_compress_of_client_answered_here(void **state) {
    struct world *w = *state;

    open_plain(w, "");
    client_says(w, true,
                "<compress xmlns='http://jabber.org/protocol/compress'>"
                "<method>zlib</method></compress>");
    expect(w, "unsupported-method");
    client_says(w, true, "<presence/>");
    server_hears(w, "<presence/>");
    assert_null(strstr(w->heard, "compress"));
}

static void test_session_login_starts_stream_anew(void **state) {
    struct world *w = *state;

    open_plain(w, "login_timeout = 1s");
    log_in(w);
    server_says(w, " \n<message><body>hi</body></message> ");
    expect(w, "<body>hi</body>");
    /* Past the deadline for logging in, which is over. */
    nanosleep(&(struct timespec){1, 200000000}, NULL);
    client_says(w, true, "<message><body>ho</body></message>");
    server_hears(w, "<body>ho</body>");
}

static void test_session_sp_framing_passes(void **state) {
    struct world *w = *state;
    uint8_t hello[8];

    w->sp = true;
    begin(w, "off", "");
    dial_client(w);
    client_says(w, false, HEADER);
    server_accepts(w);
    receive_bytes(w->client, hello, 8);
    assert_memory_equal(hello, "\0SP\0\0\x10\0\0", 8);
    server_says(w, ANSWER FEATURES);
    expect(w, "srv-id-1");
    expect(w, "features");
    client_says(w, true, "<presence/>");
    server_hears(w, "<presence/>");
}

static void test_session_one_byte_at_a_time_passes(void **state) {
    static const char xml[] =
        ANSWER FEATURES "<message><body>h\xc3\xa9llo &amp; co</body></message>";
    struct world *w = *state;
    struct terse_buf buf;

    begin(w, "off", "");
    dial_client(w);
    buf = frames(w, false, HEADER "<message><body>one</body></message>");
    for (size_t i = 0; i < buf.len; i++)
        send_bytes(w->client, terse_buf_data(&buf) + i, 1);
    terse_buf_fini(&buf);
    server_accepts(w);
    server_hears(w, "<body>one</body>");
    for (size_t i = 0; i < sizeof(xml) - 1; i++)
        send_bytes(w->back, xml + i, 1);
    expect(w, "srv-id-1");
    expect(w, "features");
    expect(w, "<body>h\xc3\xa9llo &amp; co</body>");
}

static void test_session_thousand_stanzas_in_one_write_pass(void **state) {
    struct world *w = *state;
    char *xml = calloc(1, 200000), one[80];

    open_plain(w, "");
    log_in(w);
    for (int i = 0; i < 1000; i++) {
        snprintf(one, sizeof(one),
                 "<message id='m%d'><body>%d</body></message>", i, i);
        strcat(xml, one);
    }
    client_says(w, true, xml);
    for (int i = 0; i < 1000; i++) {
        snprintf(one, sizeof(one), "<body>%d</body>", i);
        server_hears(w, one);
    }
    server_says(w, xml);
    for (int i = 0; i < 1000; i++) {
        snprintf(one, sizeof(one), "<body>%d</body>", i);
        expect(w, one);
    }
    free(xml);
}

static void test_session_large_stanza_passes(void **state) {
    struct world *w = *state;
    char *xml = calloc(1, 300000), *end;

    open_plain(w, "");
    log_in(w);
    strcpy(xml, "<message><body>");
    end = xml + strlen(xml);
    memset(end, 'x', 200000);
    strcpy(end + 200000, "</body></message>");
    server_says(w, xml);
    expect(w, end);
    free(xml);
}

/* 10 MB of the server's in one stanza are stepped over, memory flat. */
static void test_session_huge_stanza_of_server_refused(void **state) {
    struct world *w = *state;
    static char chunk[65536];
    size_t before, most = 0;

    open_plain(w, "");
    log_in(w);
    before = mallinfo2().uordblks;
    memset(chunk, 'x', sizeof(chunk));
    server_says(w, "<message><body>");
    for (int i = 0; i < 160; i++) {
        size_t now = mallinfo2().uordblks;

        most = now > most ? now : most;
        assert_int_equal(send(w->back, chunk, sizeof(chunk), MSG_NOSIGNAL),
                         sizeof(chunk));
    }
    assert_true(most < before + 8 * 1024 * 1024);
    server_says(w, "</body></message><message><body>next</body></message>");
    expect(w, "policy-violation");
    expect(w, "next");
}

/* A client that does not read stops the server, and is cut off in the end. */
static void test_session_client_not_reading_stops_server(void **state) {
    struct world *w = *state;
    static char chunk[65536];
    size_t sent = 0, before, most = 0;
    int small = 4096;
    struct timeval tv = {1, 0};
    ssize_t n;

    begin(w, "off", "write_queue = 64k\nstall_timeout = 300ms");
    dial_client(w);
    setsockopt(w->client, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
    client_says(w, false, HEADER);
    server_accepts(w);
    server_says(w, ANSWER);
    setsockopt(w->back, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv));
    memset(chunk, 'x', sizeof(chunk));
    memcpy(chunk, "<message><body>", 15);
    memcpy(chunk + sizeof(chunk) - 17, "</body></message>", 17);
    before = mallinfo2().uordblks;
    while (sent < 200 * 1024 * 1024 &&
           (n = send(w->back, chunk, sizeof(chunk), MSG_NOSIGNAL)) > 0) {
        size_t now = mallinfo2().uordblks;

        sent += (size_t)n;
        most = now > most ? now : most;
    }
    assert_true(sent < 50 * 1024 * 1024); /* the kernel's buffers */
    assert_true(most < before + 4 * 1024 * 1024);
}

enum { FLOOD = 2000, FLOOD_SIZE = 10000 };

struct flood {
    int fd;
    const void *p;
    size_t n;
};

static void *flood(void *arg) {
    struct flood *f = arg;

    send_bytes(f->fd, f->p, f->n);
    return NULL;
}

/* 2,000 numbered messages of 10 KB. */
static char *flood_xml(void) {
    char *xml = malloc((size_t)FLOOD * (FLOOD_SIZE + 100)), *p = xml;

    for (int i = 0; i < FLOOD; i++) {
        p += sprintf(p, "<message><body>%d.", i);
        memset(p, 'x', FLOOD_SIZE);
        p += FLOOD_SIZE;
        p += sprintf(p, "</body></message>");
    }
    return xml;
}

/* Paused and resumed many times, nothing is lost and nothing comes twice. */
static void test_session_slow_client_gets_all_in_order(void **state) {
    struct world *w = *state;
    char *xml = flood_xml(), body[32];
    struct flood f;
    pthread_t thread;

    open_plain(w, "write_queue = 16k");
    log_in(w);
    f = (struct flood){w->back, xml, strlen(xml)};
    assert_int_equal(pthread_create(&thread, NULL, flood, &f), 0);
    for (int i = 0; i < FLOOD; i++) {
        if (i % 500 == 0)
            nanosleep(&(struct timespec){0, 200000000}, NULL);
        snprintf(body, sizeof(body), "<body>%d.", i);
        expect(w, body);
    }
    pthread_join(thread, NULL);
    free(xml);
}

static void test_session_slow_server_gets_all_in_order(void **state) {
    struct world *w = *state;
    char *xml = flood_xml(), body[32];
    struct terse_buf buf;
    struct flood f;
    pthread_t thread;

    open_plain(w, "write_queue = 16k");
    log_in(w);
    buf = frames(w, true, xml);
    free(xml);
    f = (struct flood){w->client, terse_buf_data(&buf), buf.len};
    assert_int_equal(pthread_create(&thread, NULL, flood, &f), 0);
    for (int i = 0; i < FLOOD; i++) {
        if (i % 500 == 0)
            nanosleep(&(struct timespec){0, 200000000}, NULL);
        snprintf(body, sizeof(body), "<body>%d.", i);
        server_hears(w, body);
    }
    pthread_join(thread, NULL);
    terse_buf_fini(&buf);
}

/* How much gets through until then says nothing: while the client is told, what
 * it still sends is read and dropped, as fast as it can send. */
static void test_session_server_not_reading_is_given_up(void **state) {
    struct world *w = *state;
    char *xml = flood_xml();
    struct terse_buf buf;
    size_t sent = 0;
    ssize_t n;

    open_plain(w, "write_queue = 16k\nstall_timeout = 300ms");
    log_in(w);
    buf = frames(w, true, xml);
    free(xml);
    /* Again and again: the kernel's buffers alone hold some of it. */
    do {
        n = send(w->client, (const char *)terse_buf_data(&buf) + sent % buf.len,
                 buf.len - sent % buf.len, MSG_NOSIGNAL);
        sent += n > 0 ? (size_t)n : 0;
    } while (n > 0);
    /* Hung up on; were it just not read, send would run into its timeout. */
    assert_true(errno == EPIPE || errno == ECONNRESET);
    terse_buf_fini(&buf);
}

static void test_session_too_many_clients_hung_up_on(void **state) {
    struct world *w = *state;
    int first;

    begin(w, "off", "max_per_address = 1");
    dial_client(w);
    client_says(w, false, HEADER);
    server_accepts(w); /* so the first one is in */
    first = w->client;
    dial_client(w);
    expect(w, "(end)");
    assert_int_equal(atomic_load(&w->server->metrics.limits[LIMIT_PER_ADDRESS]),
                     1);
    close(w->client);
    w->client = first;
    server_says(w, ANSWER);
    expect(w, "srv-id-1");
}

/* ---- TLS from the first byte
 * ------------------------------------------------------- */

static void test_session_direct_tls_has_one_stream(void **state) {
    struct world *w = *state;

    begin(w, "direct", "");
    dial_client(w);
    client_says(w, false, HEADER);
    server_accepts(w);
    assert_true(server_secures(w, w->cert));
    server_hears(w, "<stream:stream");
    server_hears(w, ">");
    server_says(w, ANSWER FEATURES);
    expect(w, "srv-id-1");
    expect(w, "features");
    assert_null(strstr(w->xml, "starttls"));
    client_says(w, true, "<presence/>");
    server_hears(w, "<presence/>");
}

static void test_session_direct_tls_wrong_name_refused(void **state) {
    struct world *w = *state;

    begin(w, "direct", "");
    dial_client(w);
    client_says(w, false, HEADER);
    server_accepts(w);
    assert_false(server_secures(w, w->other));
    expect_error(w, true, "certificate");
}

/* A server that waits for text, as on the port of STARTTLS. */
static void test_session_direct_tls_to_silent_server_refused(void **state) {
    struct world *w = *state;

    begin(w, "direct", "negotiate_timeout = 200ms");
    dial_client(w);
    client_says(w, false, HEADER);
    server_accepts(w);
    expect_error(w, true, "remote-connection-failed");
}

/* ---- limits
 * ------------------------------------------------------------------------ */

static double seconds(void) {
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static long hits(const struct world *w, enum limit limit) {
    return atomic_load(&w->server->metrics.limits[limit]);
}

/* `n` numbered stanzas; the caller frees. */
static char *numbered(int n) {
    char *xml = malloc((size_t)n * 64 + 1), *p = xml;

    for (int i = 0; i < n; i++)
        p += sprintf(p, "<message><body>%d.</body></message>", i);
    return xml;
}

static void all_arrive_slowly(struct world *w, const char *limits) {
    char *xml = numbered(60), body[32];
    double from;

    open_plain(w, limits);
    log_in(w);
    from = seconds();
    client_says(w, true, xml);
    for (int i = 0; i < 60; i++) {
        snprintf(body, sizeof(body), "<body>%d.", i);
        server_hears(w, body);
    }
    assert_true(seconds() - from > 0.5);
    assert_true(seconds() - from < 5);
    assert_true(metrics_get(&w->server->metrics, METRIC_SLOWED) > 2);
    assert_int_equal(hits(w, LIMIT_FLOOD), 0);
    free(xml);
}

static void test_session_over_stanza_rate_is_slowed_not_lost(void **state) {
    all_arrive_slowly(*state, "stanza_rate = 60\nstanza_burst = 20");
}

/* A frame of 7 to 11 bytes each. */
static void test_session_over_byte_rate_is_slowed_not_lost(void **state) {
    all_arrive_slowly(*state, "byte_rate = 256\nbyte_burst = 1024\n"
                              "stanza_rate = 60\nstanza_burst = 20");
}

static void test_session_endless_flood_is_refused(void **state) {
    struct world *w = *state;
    char *xml = numbered(2000);

    open_plain(w, "stanza_rate = 100\nstanza_burst = 10\n"
                  "flood_timeout = 400ms");
    log_in(w);
    client_says(w, true, xml);
    free(xml);
    expect(w, "policy-violation");
    assert_non_null(strstr(w->xml, "stanza_rate"));
    expect(w, "(close)");
    assert_int_equal(hits(w, LIMIT_FLOOD), 1);
}

static void test_session_refusals_name_limit_and_are_counted(void **state) {
    struct world *w = *state;

    open_plain(w, "login_timeout = 300ms");
    expect(w, "login_timeout");
    assert_int_equal(hits(w, LIMIT_LOGIN_TIME), 1);
}

static void test_session_over_memory_budget_sheds_largest(void **state) {
    struct world *w = *state;
    static char chunk[65536];
    int idle;

    open_plain(w, "memory = 1M\nstanza_bytes = 16M\ntext_bytes = 16M\n"
                  "frame_bytes = 16M");
    log_in(w);
    idle = w->client;
    w->preface_sent = false;
    dial_client(w); /* another one, which holds nothing */
    client_says(w, false, HEADER);
    memset(chunk, 'x', sizeof(chunk));
    server_says(w, "<message><body>");
    for (int i = 0; i < 100; i++)
        if (send(w->back, chunk, sizeof(chunk), MSG_NOSIGNAL) <= 0)
            break; /* hung up on */
    close(w->client);
    w->client = idle;
    expect(w, "resource-constraint");
    assert_non_null(strstr(w->xml, "memory"));
    expect(w, "(close)");
    assert_int_equal(hits(w, LIMIT_MEMORY), 1);
    hang_up_client(w);
    for (int i = 0;
         i < 100 && metrics_get(&w->server->metrics, METRIC_MEMORY) > 65536;
         i++)
        nanosleep(&(struct timespec){0, 50000000}, NULL);
    assert_true(metrics_get(&w->server->metrics, METRIC_MEMORY) <= 65536);
}

static void test_session_too_fast_from_one_address_hung_up_on(void **state) {
    struct world *w = *state;
    int fds[12];
    char byte;

    begin(w, "off", "connect_rate = 1");
    for (int i = 0; i < 12; i++) {
        dial_client(w);
        fds[i] = w->client;
    }
    /* Ten at once; of the others, all but those of the time it took. */
    assert_int_equal(recv(fds[11], &byte, 1, 0), 0);
    assert_true(hits(w, LIMIT_CONNECT_RATE) >= 1);
    w->client = -1;
    for (int i = 0; i < 12; i++)
        close(fds[i]);
}

/* ---- heartbeats
 * -------------------------------------------------------------------- */

static void open_beating(struct world *w, const char *more) {
    w->beat = 1;
    open_plain(w, more);
    log_in(w);
    assert_true(w->heard_beat);
}

static void test_session_silent_client_is_asked_then_lost(void **state) {
    struct world *w = *state;
    double from;

    open_beating(w, "heartbeat_timeout = 300ms");
    from = seconds();
    expect(w, "(ping)");
    assert_true(seconds() - from > 0.8);
    send_bytes(w->client, "\x02\x60\x00", 3);
    expect(w, "(ping)");
    expect(w, "(end)");
    server_hears_end_without(w, "</stream:stream>");
    assert_int_equal(hits(w, LIMIT_HEARTBEAT), 1);
    assert_int_equal(metrics_get(&w->server->metrics, METRIC_PINGS), 2);
}

static void test_session_client_that_speaks_is_not_asked(void **state) {
    struct world *w = *state;

    open_beating(w, "");
    for (int i = 0; i < 5; i++) {
        nanosleep(&(struct timespec){0, 400000000}, NULL);
        client_says(w, true, "<presence/>");
        server_hears(w, "<presence/>");
    }
    assert_int_equal(metrics_get(&w->server->metrics, METRIC_PINGS), 0);
}

/* It is no stanza: the server never hears of it. */
static void test_session_ping_of_client_is_answered(void **state) {
    struct world *w = *state;

    open_beating(w, "");
    send_bytes(w->client, "\x02\x60\x01", 3);
    expect(w, "(pong)");
    client_says(w, true, "<presence/>");
    server_hears(w, "<presence/>");
}

static void test_session_ping_never_agreed_on_is_refused(void **state) {
    struct world *w = *state;

    open_plain(w, "");
    assert_false(w->heard_beat);
    send_bytes(w->client, "\x02\x60\x01", 3);
    expect_error(w, false, terse_err_condition(TERSE_EFRAME));
}

/* Nor do those of XML become frames. */
static void test_session_white_space_of_server_does_not_cross(void **state) {
    struct world *w = *state;

    open_plain(w, "");
    log_in(w);
    for (int i = 0; i < 20; i++)
        server_says(w, " \n");
    server_says(w, "<presence/>");
    expect(w, "<presence");
    assert_int_equal(metrics_get(&w->server->metrics, METRIC_FRAMES_OUT), 6);
}

/* ---- sessions for phones
 * ----------------------------------------------------------- */

#define CLASSIC                                                                \
    "<stream:features><mechanisms xmlns='" SASL_NS "'>"                        \
    "<mechanism>PLAIN</mechanism></mechanisms></stream:features>"
#define BIND_FEATURE "<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>"
#define SM "urn:xmpp:sm:3"
#define AUTHENTICATE                                                           \
    "<authenticate xmlns='urn:xmpp:sasl:2' mechanism='PLAIN'>"                 \
    "<initial-response>AGp1bGlhAHNlY3JldA==</initial-response>"                \
    "<user-agent id='dev'/><bind xmlns='urn:xmpp:bind:0'>"                     \
    "<tag>phone</tag><enable xmlns='" SM "' resume='true'/>"

static void open_classic(struct world *w, const char *more) {
    begin(w, "off", more);
    dial_client(w);
    client_says(w, false, HEADER);
    server_accepts(w);
    server_hears(w, "<stream:stream");
    server_hears(w, ">");
    server_says(w, ANSWER CLASSIC);
    expect(w, "srv-id-1");
    expect(w, "features");
}

/* Up to the answer to bind, of a server with these features. */
static void log_in_modern(struct world *w, const char *features) {
    char xml[1024];

    client_says(w, true, AUTHENTICATE "</bind></authenticate>");
    server_hears(w, "<auth xmlns='" SASL_NS "' mechanism='PLAIN'>"
                    "AGp1bGlhAHNlY3JldA==</auth>");
    server_says(w, SUCCESS);
    server_hears(w, "<stream:stream");
    server_hears(w, "id='terse-bind'");
    server_hears(w, "<resource>phone.");
    server_hears(w, "</iq>");
    snprintf(xml, sizeof(xml),
             ANSWER "<stream:features>" BIND_FEATURE "%s</stream:features>"
                    "<iq type='result' id='terse-bind'>"
                    "<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>"
                    "<jid>julia@" DOMAIN "/phone.x</jid></bind></iq>",
             features);
    server_says(w, xml);
}

/* What the server has of it already is not doubled. */
static void test_session_sasl2_of_server_passes(void **state) {
    struct world *w = *state;

    open_plain(w, "");
    assert_null(strstr(w->xml, "urn:xmpp:bind:0"));
    client_says(w, true, AUTHENTICATE "</bind></authenticate>");
    server_hears(w, "<authenticate xmlns='urn:xmpp:sasl:2'");
    server_hears(w, "<tag>phone</tag>");
}

static void test_session_sasl2_off_is_not_offered(void **state) {
    struct world *w = *state;

    open_classic(w, "sasl2 = off");
    assert_null(strstr(w->xml, "urn:xmpp:sasl:2"));
}

/* A stanza that comes before the server counts is the client's to count, and
 * its id says so. */
static void test_session_sasl2_login_at_classic_server(void **state) {
    struct world *w = *state;

    open_classic(w, "ack_delay = 10ms");
    assert_non_null(strstr(w->xml, "<mechanism>PLAIN</mechanism><inline>"));
    log_in_modern(w, "<session xmlns='urn:ietf:params:xml:ns:xmpp-session'/>"
                     "<sm xmlns='" SM "'/><csi xmlns='urn:xmpp:csi:0'/>");
    server_hears(w, "id='terse-session'");
    server_says(w, "<message><body>early</body></message>"
                   "<iq type='result' id='terse-session'/>");
    server_hears(w, "<enable xmlns='" SM "' resume='true'/>");
    server_says(w, "<enabled xmlns='" SM "' id='srv' resume='true'/>"
                   "<message><body>late</body></message><r xmlns='" SM "'/>");
    expect(w, "<success xmlns='urn:xmpp:sasl:2'>");
    assert_non_null(strstr(w->xml, ">julia@" DOMAIN "/phone.x<"));
    assert_non_null(strstr(w->xml, "id='~1~srv'"));
    expect(w, "features");
    assert_null(strstr(w->xml, "xmpp-bind"));
    expect(w, "early");
    expect(w, "late");
    server_hears(w, "<a xmlns='" SM "' h='0'/>");
    client_says(w, true, "<a xmlns='" SM "' h='1'/><presence/>");
    server_hears(w, "<presence");
    server_hears(w, "<r xmlns='" SM "'/>");
    server_says(w, "<a xmlns='" SM "' h='1'/>");
    expect(w, "<a xmlns='" SM "' h='1'/>");
    client_says(w, true, "<a xmlns='" SM "' h='2'/>");
    server_hears(w, "<a xmlns='" SM "' h='1'/>");
    client_says(w, true, "<inactive xmlns='urn:xmpp:csi:0'/>");
    server_hears(w, "<inactive xmlns='urn:xmpp:csi:0'/>");
}

/* Nothing is acknowledged that nobody has acknowledged. */
static void test_session_sasl2_server_without_sm_nor_csi(void **state) {
    struct world *w = *state;

    open_classic(w, "");
    log_in_modern(w, "");
    expect(w, "<failed xmlns='" SM "'><feature-not-implemented");
    assert_null(strstr(w->xml, "enabled"));
    expect(w, "features");
    client_says(w, true,
                "<inactive xmlns='urn:xmpp:csi:0'/><presence id='1'/>");
    server_hears(w, "<presence");
    assert_int_equal(metrics_get(&w->server->metrics, METRIC_ACKS_SERVER), 0);
    server_says(w, "<presence/><message><body>now</body></message>");
    expect(w, "<presence");
    expect(w, "now");
    assert_int_equal(metrics_get(&w->server->metrics, METRIC_COALESCED), 1);
    hang_up_client(w);
    server_hears_end_without(w, "urn:xmpp:csi:0");
}

static void test_session_sasl2_failure_and_another_try(void **state) {
    struct world *w = *state;

    open_classic(w, "");
    client_says(w, true, AUTHENTICATE "</bind></authenticate>");
    server_hears(w, "</auth>");
    server_says(w, "<failure xmlns='" SASL_NS "'><account-disabled/>"
                   "<text>no</text></failure>");
    expect(w,
           "<failure xmlns='urn:xmpp:sasl:2'><account-disabled xmlns='" SASL_NS
           "'/>");
    client_says(w, true, "<authenticate xmlns='urn:xmpp:sasl:2'/>");
    expect(w, "<invalid-mechanism");
    client_says(w, true, "<response xmlns='urn:xmpp:sasl:2'/>");
    expect(w, "<malformed-request");
    log_in_modern(w, "");
    expect(w, "<success");
}

/* It is held, then let go without a word, so that the server keeps it. */
static void test_session_held_then_released_without_footer(void **state) {
    struct world *w = *state;

    open_classic(w, "hold = 200ms");
    log_in_modern(w, "<sm xmlns='" SM "'/><csi xmlns='urn:xmpp:csi:0'/>");
    server_hears(w, "<enable");
    server_says(w, "<enabled xmlns='" SM "' id='srv' resume='true'/>");
    expect(w, "<success");
    expect(w, "features");
    client_says(w, true, "<message><body>last</body></message>");
    server_hears(w, "last");
    server_hears(w, "<r xmlns='" SM "'/>");
    hang_up_client(w);
    server_hears(w, "<inactive xmlns='urn:xmpp:csi:0'/>");
    server_says(w, "<message><body>x</body></message><r xmlns='" SM "'/>");
    server_hears(w, "<a xmlns='" SM "' h='0'/>");
    server_hears_end_without(w, "</stream:stream>");
    assert_int_equal(metrics_get(&w->server->metrics, METRIC_HELD), 1);
    assert_int_equal(metrics_get(&w->server->metrics, METRIC_RELEASED), 1);
}

/* Bytes that have come for the client, once some have, or after ms. */
static int waiting(struct world *w, int ms) {
    struct pollfd fd = {.fd = w->client, .events = POLLIN};
    int n = 0;

    if (poll(&fd, 1, ms) == 1)
        assert_int_equal(ioctl(w->client, FIONREAD, &n), 0);
    return n;
}

#define RECEIPT                                                                \
    "<message id='r'><received xmlns='urn:xmpp:receipts' id='m'/></message>"

/* What says little waits for what may follow, and no longer than it may; what
 * says more takes it along, and does not wait. */
static void test_session_gathers_what_says_little(void **state) {
    struct world *w = *state;

    open_classic(w, "gather = 1s\nack_delay = 1m");
    log_in_modern(w, "<sm xmlns='" SM "'/>");
    server_hears(w, "<enable");
    server_says(w, "<enabled xmlns='" SM "' id='srv' resume='true'/>");
    expect(w, "<success");
    expect(w, "features");
    server_says(w, RECEIPT);
    assert_int_equal(waiting(w, 200), 0);
    server_says(w, "<message><displayed xmlns='urn:xmpp:chat-markers:0' "
                   "id='m'/><store xmlns='urn:xmpp:hints'/></message>");
    assert_int_equal(waiting(w, 200), 0);
    server_says(w, "<message><body>now</body></message>");
    assert_true(waiting(w, 500) > 0);
    expect(w, "<received");
    expect(w, "<displayed");
    expect(w, "now");
    server_says(w, "<message><received xmlns='urn:xmpp:receipts' id='m'/>"
                   "<body>now</body></message>");
    assert_true(waiting(w, 500) > 0);
    expect(w, "now");
    server_says(w, RECEIPT);
    assert_int_equal(waiting(w, 200), 0);
    assert_true(waiting(w, 10000) > 0);
    expect(w, "<received");
}

/* While it is held, the server is read no more when enough waits; and a server
 * that ends the stream ends the session. */
static void test_session_held_is_bounded_and_ends_with_server(void **state) {
    struct world *w = *state;

    open_classic(w, "hold = 10m\nhold_stanzas = 3");
    log_in_modern(w, "<sm xmlns='" SM "'/>");
    server_hears(w, "<enable");
    server_says(w, "<enabled xmlns='" SM "' id='srv' resume='true'/>");
    expect(w, "<success");
    expect(w, "features");
    hang_up_client(w);
    while (!metrics_get(&w->server->metrics, METRIC_HELD))
        usleep(1000);
    server_says(w, "<message/><r xmlns='" SM "'/>");
    server_hears(w, "<a xmlns='" SM "' h='0'/>");
    server_says(w, "<stream:error><conflict xmlns='urn:ietf:params:xml:ns:"
                   "xmpp-streams'/></stream:error></stream:stream>");
    server_hears(w, "</stream:stream>");
    while (metrics_get(&w->server->metrics, METRIC_SESSIONS))
        usleep(1000);
}

/* A server that goes on and on has to wait, and takes no memory. */
static void test_session_held_reads_no_more_than_it_may(void **state) {
    struct world *w = *state;
    char xml[1100] = "<message><body>";
    size_t sent = 0;
    ssize_t n = 1;

    open_classic(w, "hold = 10m\nhold_stanzas = 20\nhold_bytes = 20k");
    log_in_modern(w, "<sm xmlns='" SM "'/>");
    server_hears(w, "<enable");
    server_says(w, "<enabled xmlns='" SM "' id='srv' resume='true'/>");
    expect(w, "<success");
    expect(w, "features");
    hang_up_client(w);
    while (!metrics_get(&w->server->metrics, METRIC_HELD))
        usleep(1000);
    memset(xml + strlen(xml), 'x', 1000);
    strcat(xml, "</body></message>");
    for (int quiet = 0; quiet < 50 && sent < 32 << 20;) {
        size_t at = sent % strlen(xml);

        n = send(w->back, xml + at, strlen(xml) - at, MSG_DONTWAIT);
        sent += n > 0 ? (size_t)n : 0;
        quiet = n > 0 ? 0 : quiet + 1;
        if (n <= 0)
            usleep(5000);
    }
    assert_true(sent < 32 << 20);
    assert_true(metrics_get(&w->server->metrics, METRIC_MEMORY) < 200000);
    assert_int_equal(atomic_load(&w->server->metrics.states[STATE_HELD]), 1);
}

/* With classic SASL, by an id of ours. */
static void test_session_resume_of_old_kind_by_our_id(void **state) {
    struct world *w = *state;

    open_plain(w, "");
    log_in(w);
    client_says(w, true, "<resume xmlns='" SM "' h='5' previd='~2~a&amp;b'/>");
    server_hears(w, "<resume xmlns='" SM "' h='3' previd='a&amp;b'/>");
    server_says(w, "<resumed xmlns='" SM "' h='7' previd='a&amp;b'/>");
    expect(w, "<resumed");
    server_says(w, "<message/><r xmlns='" SM "'/>");
    expect(w, "<message");
    server_hears(w, "<a xmlns='" SM "' h='3'/>");
    client_says(w, true, "<a xmlns='" SM "' h='6'/><message/>");
    server_hears(w, "<message");
    server_hears(w, "<a xmlns='" SM "' h='4'/>");
    server_hears(w, "<r xmlns='" SM "'/>");
    server_says(w, "<a xmlns='" SM "' h='8'/>");
    client_says(w, true, "<r xmlns='" SM "'/>");
    expect(w, "<a xmlns='" SM "' h='8'/>");
}

/* A client that manages its stream by itself: its requests are answered when
 * there is an answer, and it is asked when it was silent. */
static void test_session_sm_of_old_client_is_end_to_end(void **state) {
    struct world *w = *state;

    open_plain(w, "ack_delay = 50ms");
    log_in(w);
    client_says(w, true, "<enable xmlns='" SM "'/><presence/>");
    server_hears(w, "<enable xmlns='" SM "'/>");
    server_says(w, "<enabled xmlns='" SM "'/>");
    expect(w, "<enabled");
    server_hears(w, "<r xmlns='" SM "'/>");
    server_says(w, "<a xmlns='" SM "' h='1'/>"); /* nobody has asked for it */
    client_says(w, true, "<message/><r xmlns='" SM "'/>");
    server_hears(w, "<message");
    server_hears(w, "<r xmlns='" SM "'/>");
    server_says(w, "<a xmlns='" SM "' h='2'/>");
    expect(w, "<a xmlns='" SM "' h='2'/>");
    server_says(w, "<message/><r xmlns='" SM "'/>");
    expect(w, "<message");
    server_hears(w, "<a xmlns='" SM "' h='0'/>");
    expect(w, "<r xmlns='" SM "'/>");
    client_says(w, true, "<a xmlns='" SM "' h='1'/>");
    server_hears(w, "<a xmlns='" SM "' h='1'/>");
    client_says(w, true, "<a xmlns='" SM "' h='2'/>");
    expect(w, "undefined-condition");
}

/* ---- for operators
 * ----------------------------------------------------------------- */

/* What HTTP says to a request; static. */
static const char *http(struct world *w, const char *request) {
    static char text[65536];
    struct sockaddr_in sa = {.sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                             .sin_port = htons(admin_port(w->server->admin))};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    size_t n = 0;
    ssize_t got;

    set_timeout(fd);
    assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
    send_bytes(fd, request, strlen(request));
    while ((got = recv(fd, text + n, sizeof(text) - 1 - n, 0)) > 0)
        n += (size_t)got;
    text[n] = '\0';
    close(fd);
    return text;
}

#define GET(path) "GET " path " HTTP/1.0\r\n\r\n"
#define has(text, part)                                                        \
    do {                                                                       \
        if (!strstr(text, part))                                               \
            fail_msg("no %s in %s", part, text);                               \
    } while (0)

static void test_admin_tells_metrics_and_sessions(void **state) {
    struct world *w = *state;
    const char *text;

    open_plain(w, "admin = 127.0.0.1:0");
    log_in(w);
    client_says(w, true, "<message><body>secret</body></message>");
    server_hears(w, "secret");
    text = http(w, GET("/metrics"));
    has(text, " 200 ");
    has(text, "# TYPE tersed_sessions gauge\ntersed_sessions 1\n");
    has(text, "tersed_frames_total{direction=\"in\"} 3\n");
    has(text, "tersed_limit_hits_total{limit=\"login_bytes\"} 0\n");
    has(text, "tersed_state_sessions{state=\"up\"} 1\n");
    has(text, "process_resident_memory_bytes ");
    text = http(w, GET("/sessions"));
    has(text, "application/json");
    has(text, "\"domain\":\"" DOMAIN "\",\"state\":\"up\"");
    has(text, "\"peer\":\"127.0.0.1\"");
    assert_null(strstr(text, "secret"));
    has(http(w, GET("/healthz")), " 200 ");
    has(http(w, GET("/elsewhere")), " 404 ");
    has(http(w, "POST /metrics HTTP/1.0\r\nContent-Length: 0\r\n\r\n"),
        " 405 ");
}

/* Ready is who can serve: not before a server was reached, not when it is
 * gone, again when it is back, not when draining. */
static bool comes_to(struct world *w, const char *status) {
    for (int i = 0; i < 100; i++) {
        if (strstr(http(w, GET("/readyz")), status))
            return true;
        nanosleep(&(struct timespec){0, 50000000}, NULL);
    }
    return false;
}

static void test_admin_ready_while_server_can_be_reached(void **state) {
    struct world *w = *state;
    pthread_t thread;
    void *drained;
    char byte;

    begin(w, "off", "admin = 127.0.0.1:0\ndrain_timeout = 3s");
    assert_true(comes_to(w, " 200 "));
    /* Down: the next client notices, and so does who asks. */
    close(w->listening);
    w->listening = -1;
    dial_client(w);
    client_says(w, false, HEADER);
    expect_error(w, true, "remote-connection-failed");
    hang_up_client(w);
    has(http(w, GET("/readyz")), " 503 ");
    has(http(w, GET("/healthz")), " 200 ");
    w->listening = listen_at(w->port);
    assert_true(comes_to(w, " 200 "));
    dial_client(w); /* whom draining waits for */
    client_says(w, false, HEADER);
    do { /* those who only asked are gone */
        hang_up_server(w);
        server_accepts(w);
    } while (recv(w->back, &byte, 1, MSG_PEEK) != 1);
    server_hears(w, "<stream:stream");
    assert_int_equal(pthread_create(&thread, NULL, drain, w), 0);
    expect(w, "<stream:stream");
    has(http(w, GET("/readyz")), " 503 ");
    hang_up_client(w);
    hang_up_server(w);
    assert_int_equal(pthread_join(thread, &drained), 0);
    assert_ptr_equal(drained, w);
}

#define t(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        t(test_session_unknown_domain_is_host_unknown),
        t(test_session_dead_server_is_remote_failure),
        t(test_session_silent_server_is_remote_failure),
        t(test_session_first_frame_not_open_refused),
        t(test_session_garbage_frame_refused),
        t(test_session_foreign_protocol_hung_up_on),
        t(test_session_frame_over_limit_refused_unread),
        t(test_session_too_much_before_login_refused),
        t(test_session_no_login_in_time_refused),
        t(test_session_starttls_shows_client_one_header),
        t(test_session_wrong_name_in_certificate_refused),
        t(test_session_srv_id_in_certificate_passes),
        t(test_session_srv_id_of_other_domain_refused),
        t(test_session_xmpp_addr_in_certificate_passes),
        t(test_session_xmpp_addr_longer_refused),
        t(test_session_untrusted_certificate_refused),
        t(test_session_no_offer_of_tls_refused_if_required),
        t(test_session_no_offer_of_tls_passes_if_optional),
        t(test_session_text_slipped_in_before_tls_refused),
        t(test_session_half_element_before_tls_dropped),
        t(test_session_server_error_before_tls_passed_on),
        t(test_session_server_closing_mid_stanza_is_remote),
        t(test_session_server_error_passed_on_once),
        t(test_session_bad_xml_from_server_is_remote),
        t(test_session_client_close_closes_both),
        t(test_session_server_close_closes_both),
        t(test_session_client_lost_sends_server_no_footer),
        t(test_session_drain_tells_both_sides),
        t(test_session_starttls_of_client_refused),
        t(test_session_compress_of_client_answered_here),
        t(test_session_login_starts_stream_anew),
        t(test_session_sp_framing_passes),
        t(test_session_one_byte_at_a_time_passes),
        t(test_session_thousand_stanzas_in_one_write_pass),
        t(test_session_large_stanza_passes),
        t(test_session_huge_stanza_of_server_refused),
        t(test_session_client_not_reading_stops_server),
        t(test_session_slow_client_gets_all_in_order),
        t(test_session_slow_server_gets_all_in_order),
        t(test_session_server_not_reading_is_given_up),
        t(test_session_too_many_clients_hung_up_on),
        t(test_session_direct_tls_has_one_stream),
        t(test_session_direct_tls_wrong_name_refused),
        t(test_session_direct_tls_to_silent_server_refused),
        t(test_session_over_stanza_rate_is_slowed_not_lost),
        t(test_session_over_byte_rate_is_slowed_not_lost),
        t(test_session_endless_flood_is_refused),
        t(test_session_refusals_name_limit_and_are_counted),
        t(test_session_over_memory_budget_sheds_largest),
        t(test_session_too_fast_from_one_address_hung_up_on),
        t(test_session_silent_client_is_asked_then_lost),
        t(test_session_client_that_speaks_is_not_asked),
        t(test_session_ping_of_client_is_answered),
        t(test_session_ping_never_agreed_on_is_refused),
        t(test_session_white_space_of_server_does_not_cross),
        t(test_session_sasl2_of_server_passes),
        t(test_session_sasl2_off_is_not_offered),
        t(test_session_sasl2_login_at_classic_server),
        t(test_session_sasl2_server_without_sm_nor_csi),
        t(test_session_sasl2_failure_and_another_try),
        t(test_session_held_then_released_without_footer),
        t(test_session_gathers_what_says_little),
        t(test_session_held_is_bounded_and_ends_with_server),
        t(test_session_held_reads_no_more_than_it_may),
        t(test_session_resume_of_old_kind_by_our_id),
        t(test_session_sm_of_old_client_is_end_to_end),
        t(test_admin_tells_metrics_and_sessions),
        t(test_admin_ready_while_server_can_be_reached),
    };

    return cmocka_run_group_tests_name("proxy_session", tests, NULL, NULL);
}
