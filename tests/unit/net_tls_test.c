/*
 * net_tls_test.c: the accepting side of TLS, against OpenSSL's own client on a
 * blocking socket: versions, tickets, ALPN, SNI, records, what a gate lets in;
 * and our dialling side against our accepting side.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <signal.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "net/tls.h"
#include "tests/unit/certs.h"

/* ---- a server that sends back what it gets ---------------------------------
 */

struct server {
    struct net_listener *listener;
    struct net_gate gate;
    atomic_int alive, secured, refused;
    atomic_bool stutters; /* pauses after each piece */
    pthread_mutex_t lock;
    char protocol[32], cipher[64], text[256]; /* lock: of the last connection */
    enum net_err why;                         /* lock */
    bool resumed;                             /* lock */
};

struct echo {
    struct net_owner owner; /* first */
    struct server *server;
    struct net_conn *conn;
    struct net_timer *again;
};

static void echo_fini(struct net_owner *owner) {
    struct echo *echo = (struct echo *)owner;

    net_owner_fini(owner);
    atomic_fetch_sub(&echo->server->alive, 1);
    free(echo);
}

/* In two writes, as header and body are. */
static void echo_data(void *arg, const uint8_t *p, size_t n) {
    struct echo *echo = arg;

    assert_int_equal(net_conn_write(echo->conn, p, 1), NET_OK);
    assert_int_equal(net_conn_write(echo->conn, p + 1, n - 1), NET_OK);
    net_conn_flush(echo->conn);
    if (!atomic_load(&echo->server->stutters))
        return;
    net_conn_pause(echo->conn);
    net_timer_set(echo->again, 2);
}

static void echo_again(void *arg) {
    struct echo *echo = arg;

    net_conn_resume(echo->conn);
}

static void echo_drained(void *arg) { (void)arg; }

static void echo_secured(void *arg) {
    struct echo *echo = arg;
    struct server *s = echo->server;

    pthread_mutex_lock(&s->lock);
    net_conn_protocol(echo->conn, s->protocol);
    net_conn_cipher(echo->conn, s->cipher);
    s->resumed = net_conn_resumed(echo->conn);
    pthread_mutex_unlock(&s->lock);
    atomic_fetch_add(&s->secured, 1);
}

static void echo_closed(void *arg, enum net_err why, const char *text) {
    struct echo *echo = arg;
    struct server *s = echo->server;

    pthread_mutex_lock(&s->lock);
    s->why = why;
    snprintf(s->text, sizeof(s->text), "%s", text);
    pthread_mutex_unlock(&s->lock);
    net_conn_close(echo->conn, NET_CLOSE_FLUSH, 1000);
    net_timer_free(echo->again);
    if (why != NET_EEOF)
        atomic_fetch_add(&s->refused, 1);
}

static const struct net_conn_ops echo_ops = {echo_data, echo_drained,
                                             echo_secured, echo_closed};

static void accepted(void *arg, struct net_stream *stream) {
    static const struct net_marks marks = {1 << 20, 1 << 21, 1 << 22};
    struct server *s = arg;
    struct echo *echo = calloc(1, sizeof(*echo));

    assert_non_null(echo);
    assert_int_equal(net_owner_init(&echo->owner, echo_fini), NET_OK);
    atomic_fetch_add(&s->alive, 1);
    echo->server = s;
    net_lock(&echo->owner);
    assert_int_equal(net_conn_new(&echo->conn, &echo->owner, stream, &marks,
                                  &echo_ops, echo),
                     NET_OK);
    assert_int_equal(
        net_timer_new(&echo->again, &echo->owner, echo_again, echo), NET_OK);
    pthread_mutex_lock(&s->lock);
    net_conn_gate(echo->conn, &s->gate);
    pthread_mutex_unlock(&s->lock);
    net_conn_resume(echo->conn);
    net_unlock(&echo->owner);
    net_owner_rele(&echo->owner);
}

static void nap(unsigned ms) {
    nanosleep(&(struct timespec){ms / 1000, (long)(ms % 1000) * 1000000}, NULL);
}

static void await(atomic_int *n, int value) {
    for (int i = 0; i < 2000 && atomic_load(n) != value; i++)
        nap(10);
    assert_int_equal(atomic_load(n), value);
}

/* ---- what all tests use ----------------------------------------------------
 */

static char one[64], two[64]; /* files with a certificate */
static struct server server;
static struct net_tls *tls;

static struct net_tls *make_tls(void) {
    struct net_cert certs[] = {{one, NULL}, {two, two}};
    struct net_tls *made;
    char text[256];

    assert_int_equal(net_tls_server(&made, certs, 2, text), NET_OK);
    assert_int_equal(net_tls_offer(made, "terse/1"), NET_OK);
    assert_int_equal(net_tls_offer(made, "http/1.1"), NET_OK);
    return made;
}

static void set_gate(struct net_tls *use, bool clear) {
    pthread_mutex_lock(&server.lock);
    server.gate = (struct net_gate){.tls = use, .clear = clear};
    pthread_mutex_unlock(&server.lock);
}

static int dial(void) {
    struct sockaddr_in sa = {.sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                             .sin_port =
                                 htons(net_listener_port(server.listener))};
    struct timeval tv = {20, 0};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), yes = 1;

    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
    assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
    return fd;
}

struct client {
    SSL_CTX *ctx;
    SSL *ssl;
    SSL_SESSION *session; /* the last one that came */
    int fd;
};

static int keep(SSL *ssl, SSL_SESSION *session) {
    struct client *c = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));

    SSL_SESSION_free(c->session);
    c->session = session;
    return 1;
}

static void client_init(struct client *c, int version) {
    memset(c, 0, sizeof(*c));
    c->ctx = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_security_level(c->ctx, 0);
    SSL_CTX_set_min_proto_version(c->ctx, version);
    SSL_CTX_set_max_proto_version(c->ctx, version);
    SSL_CTX_set_session_cache_mode(c->ctx, SSL_SESS_CACHE_CLIENT);
    SSL_CTX_sess_set_new_cb(c->ctx, keep);
    SSL_CTX_set_app_data(c->ctx, c);
}

/* As SSL_connect. */
static int client_dial(struct client *c, const char *name, const char *alpn) {
    c->fd = dial();
    c->ssl = SSL_new(c->ctx);
    SSL_set_fd(c->ssl, c->fd);
    if (name)
        SSL_set_tlsext_host_name(c->ssl, name);
    if (alpn)
        SSL_set_alpn_protos(c->ssl, (const unsigned char *)alpn,
                            (unsigned)strlen(alpn));
    if (c->session)
        SSL_set_session(c->ssl, c->session);
    return SSL_connect(c->ssl);
}

static void client_hang_up(struct client *c) {
    /* OpenSSL does not call back for a ticket that was renewed in TLS 1.2. */
    if (SSL_version(c->ssl) == TLS1_2_VERSION && SSL_is_init_finished(c->ssl))
        keep(c->ssl, SSL_get1_session(c->ssl));
    SSL_shutdown(c->ssl);
    SSL_free(c->ssl);
    close(c->fd);
    c->ssl = NULL;
}

static void client_fini(struct client *c) {
    if (c->ssl)
        client_hang_up(c);
    SSL_SESSION_free(c->session);
    SSL_CTX_free(c->ctx);
}

static void client_echo(struct client *c, size_t n) {
    char *out = calloc(1, n), *in = malloc(n);
    size_t got = 0, done;

    for (size_t i = 0; i < n; i++)
        out[i] = (char)(i * 7 + i / 251);
    assert_int_equal(SSL_write_ex(c->ssl, out, n, &done), 1);
    while (got < n && SSL_read_ex(c->ssl, in + got, n - got, &done) == 1)
        got += done;
    assert_int_equal(got, n);
    assert_memory_equal(in, out, n);
    free(out);
    free(in);
}

static bool certificate_is_for(struct client *c, const char *name) {
    return X509_check_host(SSL_get0_peer_certificate(c->ssl), name,
                           strlen(name), 0, NULL) == 1;
}

/* ---- versions --------------------------------------------------------------
 */

static void test_tls_accepts_1_2_and_1_3_and_nothing_older(void **state) {
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    struct client c;

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        client_init(&c, versions[i]);
        assert_int_equal(client_dial(&c, NULL, NULL), 1);
        client_echo(&c, 1);
        client_echo(&c, 300000);
        assert_non_null(strstr(server.cipher, i ? "TLSv1.3" : "TLSv1.2"));
        assert_string_equal(server.protocol, "");
        client_fini(&c);
        await(&server.alive, 0);
        assert_int_equal(server.why, NET_EEOF);
    }
    client_init(&c, TLS1_1_VERSION);
    assert_int_not_equal(client_dial(&c, NULL, NULL), 1);
    client_fini(&c);
    await(&server.alive, 0);
    assert_int_equal(server.why, NET_ETLS);
}

/* ---- tickets ---------------------------------------------------------------
 */

/* Whether a connection that shows the last ticket is resumed. */
static bool comes_back(struct client *c) {
    int before = atomic_load(&server.secured);
    bool resumed;

    assert_int_equal(client_dial(c, "one.example", NULL), 1);
    client_echo(c, 10); /* a ticket of TLS 1.3 has come before that */
    await(&server.secured, before + 1);
    resumed = SSL_session_reused(c->ssl);
    assert_int_equal(server.resumed, resumed);
    client_hang_up(c);
    await(&server.alive, 0);
    return resumed;
}

/* Writes n bytes of c to a file, and has tls make its keys of that. */
static enum net_err give_secret(struct net_tls *to, char c, size_t n) {
    char path[] = "/tmp/terse-secret-XXXXXX", text[256] = "", bytes[64];
    int fd = mkstemp(path);
    enum net_err err;

    assert_true(fd >= 0 && n <= sizeof(bytes));
    memset(bytes, c, sizeof(bytes));
    assert_int_equal(write(fd, bytes, n), n);
    close(fd);
    err = net_tls_secret(to, path, text);
    assert_int_equal(text[0] != 0, err != NET_OK);
    unlink(path);
    return err;
}

static void test_tls_ticket_of_a_secret_outlives_the_process(void **state) {
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct net_tls *first = make_tls(), *same = make_tls(),
                       *other = make_tls();
        struct client c;

        assert_int_equal(give_secret(first, 'a', 31), NET_EARG);
        assert_int_equal(give_secret(first, 'a', 32), NET_OK);
        assert_int_equal(give_secret(same, 'a', 32), NET_OK);
        assert_int_equal(give_secret(other, 'b', 32), NET_OK);
        client_init(&c, versions[i]);
        set_gate(first, true);
        assert_false(comes_back(&c));
        set_gate(same, true);
        assert_true(comes_back(&c));
        set_gate(tls, true);
        assert_false(comes_back(&c)); /* which knows no secret */
        set_gate(same, true);
        assert_false(comes_back(&c));
        set_gate(other, true);
        assert_false(comes_back(&c));
        set_gate(tls, true);
        net_tls_rele(first);
        net_tls_rele(same);
        net_tls_rele(other);
        client_fini(&c);
    }
}

static void test_tls_ticket_resumes_until_its_key_is_gone(void **state) {
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct net_tls *reloaded = make_tls(), *stranger = make_tls();
        struct client c;

        client_init(&c, versions[i]);
        assert_false(comes_back(&c));
        assert_true(comes_back(&c));
        net_tls_rotate(tls);
        assert_true(comes_back(&c)); /* by the key before */
        net_tls_rotate(tls);
        assert_true(comes_back(&c)); /* it was renewed */
        net_tls_inherit(reloaded, tls);
        set_gate(reloaded, true);
        assert_true(comes_back(&c));
        net_tls_rotate(tls);
        net_tls_rotate(tls);
        assert_false(comes_back(&c));
        set_gate(stranger, true);
        assert_false(comes_back(&c));
        set_gate(tls, true);
        net_tls_rele(reloaded);
        net_tls_rele(stranger);
        client_fini(&c);
    }
}

/* ---- ALPN and SNI ----------------------------------------------------------
 */

static void test_tls_alpn_chooses_ours_and_refuses_the_rest(void **state) {
    static const struct {
        const char *offer, *want;
    } cases[] = {
        {"\x07terse/1", "terse/1"},
        {"\x08http/1.1", "http/1.1"},
        {"\x02h2\x08http/1.1", "http/1.1"},
        {"\x08http/1.1\x07terse/1", "terse/1"},
        {"\x02h2", NULL},
        {"\x07terse/2\x06terse/", NULL},
        {"\x0bxmpp-client", NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct client c;
        int rv;

        client_init(&c, TLS1_3_VERSION);
        rv = client_dial(&c, "one.example", cases[i].offer);
        if (cases[i].want) {
            assert_int_equal(rv, 1);
            client_echo(&c, 10);
            assert_string_equal(server.protocol, cases[i].want);
        } else {
            assert_int_not_equal(rv, 1);
            assert_int_equal(ERR_GET_REASON(ERR_peek_error()),
                             SSL_R_TLSV1_ALERT_NO_APPLICATION_PROTOCOL);
            ERR_clear_error();
        }
        client_fini(&c);
        await(&server.alive, 0);
    }
}

static void test_tls_sni_chooses_certificate(void **state) {
    static const struct {
        const char *sni, *want;
    } cases[] = {
        {NULL, "one.example"},
        {"one.example", "one.example"},
        {"also.one.example", "one.example"},
        {"two.example", "two.example"},
        {"a.two.example", "two.example"},
        {"TWO.example", "two.example"},
        {"a.b.two.example", "one.example"},
        {"three.example", "one.example"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct client c;

        client_init(&c, i % 2 ? TLS1_2_VERSION : TLS1_3_VERSION);
        assert_int_equal(client_dial(&c, cases[i].sni, NULL), 1);
        assert_true(certificate_is_for(&c, cases[i].want));
        client_echo(&c, 10);
        client_fini(&c);
        await(&server.alive, 0);
    }
}

static void test_tls_files_that_are_wrong_are_named(void **state) {
    char text[256], empty[] = "/tmp/terse-empty-XXXXXX";
    struct net_cert missing = {"/nowhere/cert.pem", NULL};
    struct net_cert mixed = {one, two}, none = {empty, NULL};
    struct net_tls *made = NULL;

    (void)state;
    close(mkstemp(empty));
    assert_int_equal(net_tls_server(&made, &missing, 1, text), NET_EARG);
    assert_non_null(strstr(text, "/nowhere/cert.pem"));
    assert_int_equal(net_tls_server(&made, &mixed, 1, text), NET_EARG);
    assert_non_null(strstr(text, "fits the certificate"));
    assert_int_equal(net_tls_server(&made, &none, 1, text), NET_EARG);
    assert_non_null(strstr(text, "no certificate"));
    assert_int_equal(net_tls_server(&made, &none, 0, text), NET_EARG);
    assert_null(made);
    unlink(empty);
}

/* ---- bytes -----------------------------------------------------------------
 */

/* What is written before one flush is one record, in TLS 1.3 22 bytes more. */
static void test_tls_flush_is_one_record(void **state) {
    struct client c;
    uint8_t raw[4096];
    size_t done;

    (void)state;
    client_init(&c, TLS1_3_VERSION);
    assert_int_equal(client_dial(&c, "one.example", NULL), 1);
    client_echo(&c, 10); /* past the ticket */
    assert_int_equal(SSL_write_ex(c.ssl, raw, 41, &done), 1);
    assert_int_equal(recv(c.fd, raw, 63, MSG_WAITALL), 63);
    assert_int_equal(raw[0], 0x17);
    assert_int_equal(raw[3] << 8 | raw[4], 58);
    nap(50);
    assert_int_equal(recv(c.fd, raw, sizeof(raw), MSG_DONTWAIT), -1);
    client_fini(&c);
    await(&server.alive, 0);
}

/* What was read and not yet decrypted when the owner paused stays, at a place
 * of its own, and comes when it resumes. */
static void test_tls_paused_in_mid_read_loses_nothing(void **state) {
    struct client c;
    size_t done, got = 0;
    uint8_t in[4096], next = 0, out;

    (void)state;
    atomic_store(&server.stutters, true);
    client_init(&c, TLS1_3_VERSION);
    assert_int_equal(client_dial(&c, "one.example", NULL), 1);
    client_echo(&c, 100000);
    for (unsigned i = 0; i < 3000; i++) {
        out = (uint8_t)(i * 7);
        assert_int_equal(SSL_write_ex(c.ssl, &out, 1, &done), 1);
    }
    for (; got < 3000; got += done) {
        assert_int_equal(SSL_read_ex(c.ssl, in, sizeof(in), &done), 1);
        for (size_t i = 0; i < done; i++, next = (uint8_t)(next + 7))
            assert_int_equal(in[i], next);
    }
    atomic_store(&server.stutters, false);
    client_fini(&c);
    await(&server.alive, 0);
}

/* A client whose bytes come one by one, handshake and all. */
static void test_tls_dribbled_handshake_succeeds(void **state) {
    struct client c;
    BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());
    bool said = false;
    char byte, got[8] = "";
    size_t n = 0;

    (void)state;
    client_init(&c, TLS1_3_VERSION);
    c.fd = dial();
    c.ssl = SSL_new(c.ctx);
    SSL_set_bio(c.ssl, in, out);
    SSL_set_connect_state(c.ssl);
    while (n < 5) {
        int rv = said ? SSL_read(c.ssl, got, 8) : SSL_do_handshake(c.ssl);

        if (said && rv > 0)
            n += (size_t)rv;
        if (!said && rv == 1) {
            assert_int_equal(SSL_write(c.ssl, "hello", 5), 5);
            said = true;
        }
        while (BIO_read(out, &byte, 1) == 1)
            assert_int_equal(send(c.fd, &byte, 1, MSG_NOSIGNAL), 1);
        if (n < 5 && recv(c.fd, &byte, 1, 0) == 1)
            BIO_write(in, &byte, 1);
    }
    assert_memory_equal(got, "hello", 5);
    client_fini(&c);
    await(&server.alive, 0);
}

/* ---- the gate --------------------------------------------------------------
 */

static void expect_end(int fd, enum net_err why, const char *words) {
    char buf[256];
    ssize_t n;

    while ((n = recv(fd, buf, sizeof(buf), 0)) > 0)
        ;
    close(fd);
    await(&server.alive, 0);
    assert_int_equal(server.why, why);
    if (!strstr(server.text, words))
        fail_msg("%s", server.text);
}

static void test_gate_tells_tls_from_clear_text(void **state) {
    struct client c;
    char buf[8];
    int fd = dial();

    (void)state;
    assert_int_equal(send(fd, "clear", 5, 0), 5);
    assert_int_equal(recv(fd, buf, 5, MSG_WAITALL), 5);
    assert_memory_equal(buf, "clear", 5);
    close(fd);
    await(&server.alive, 0);

    set_gate(tls, false);
    fd = dial();
    assert_int_equal(send(fd, "clear", 5, 0), 5);
    expect_end(fd, NET_EFRAMING, "clear text");
    client_init(&c, TLS1_3_VERSION);
    assert_int_equal(client_dial(&c, NULL, NULL), 1);
    client_echo(&c, 10);
    client_fini(&c);
    await(&server.alive, 0);

    set_gate(NULL, true);
    fd = dial();
    assert_int_equal(send(fd, "\x16\x03\x01\x02\x00\x01", 6, 0), 6);
    expect_end(fd, NET_ETLS, "no certificate");
    set_gate(tls, true);
}

static void test_gate_garbage_after_first_byte_is_refused(void **state) {
    static const char *const garbage[] = {
        "\x16GET / HTTP/1.1\r\n\r\n",
        "\x16\x03\x01\xff\xff"
        "garbage garbage garbage garbage",
        "\x16\x03\x01\x01\x05\x01\x05\x01\x03\x03nonsense",
    };

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        int fd = dial();

        assert_true(send(fd, garbage[i], strlen(garbage[i]), 0) > 0);
        expect_end(fd, NET_ETLS, "");
    }
}

/* Half-open: a handshake that never ends costs what it must, and its close
 * leaves nothing behind. */
static void test_gate_half_handshakes_leave_nothing(void **state) {
    enum { MANY = 200 };
    int fds[MANY];

    (void)state;
    for (int i = 0; i < MANY; i++) {
        fds[i] = dial();
        assert_int_equal(send(fds[i], "\x16\x03\x01\x02\x00\x01\x00\x01", 8, 0),
                         8);
    }
    await(&server.alive, MANY);
    for (int i = 0; i < MANY; i++)
        close(fds[i]);
    await(&server.alive, 0);
}

/* ---- our dialling side -----------------------------------------------------
 */

struct peer {
    struct net_owner owner; /* first */
    pthread_cond_t news;
    struct net_conn *conn;
    struct net_stream *stream;
    struct net_dial *dial;
    bool dialled, secured, resumed, closed;
    size_t got;
    enum net_err why;
    char protocol[32];
    atomic_int *gone;
};

static void peer_fini(struct net_owner *owner) {
    struct peer *p = (struct peer *)owner;
    atomic_int *gone = p->gone;

    net_owner_fini(owner);
    pthread_cond_destroy(&p->news);
    free(p);
    atomic_store(gone, 1);
}

static void peer_dialled(void *arg, enum net_err err, const char *text,
                         struct net_stream *stream) {
    struct peer *p = arg;

    (void)text;
    assert_int_equal(err, NET_OK);
    p->stream = stream;
    p->dialled = true;
    pthread_cond_signal(&p->news);
}

static void peer_data(void *arg, const uint8_t *bytes, size_t n) {
    struct peer *p = arg;

    (void)bytes;
    p->got += n;
    pthread_cond_signal(&p->news);
}

static void peer_secured(void *arg) {
    struct peer *p = arg;

    p->secured = true;
    p->resumed = net_conn_resumed(p->conn);
    net_conn_protocol(p->conn, p->protocol);
    pthread_cond_signal(&p->news);
}

static void peer_closed(void *arg, enum net_err why, const char *text) {
    struct peer *p = arg;

    (void)text;
    p->closed = true;
    p->why = why;
    pthread_cond_signal(&p->news);
}

static const struct net_conn_ops peer_ops = {peer_data, echo_drained,
                                             peer_secured, peer_closed};

#define wait_for(p, what)                                                      \
    do {                                                                       \
        struct timespec until_;                                                \
        clock_gettime(CLOCK_REALTIME, &until_);                                \
        until_.tv_sec += 20;                                                   \
        while (!(what))                                                        \
            if (pthread_cond_timedwait(&(p)->news, &(p)->owner.lock, &until_)) \
                fail_msg("waited in vain for %s", #what);                      \
    } while (0)

static struct net_resolver *resolver;

/* A whole connection of ours to the server, `name` verified. */
static enum net_err visit(struct net_tls *trust, const char *name,
                          bool *resumed) {
    static const struct net_marks marks = {1000, 5000, 100000};
    struct net_target target = {"127.0.0.1", net_listener_port(server.listener),
                                NULL};
    struct peer *p = calloc(1, sizeof(*p));
    atomic_int gone = 0;
    enum net_err why;

    assert_int_equal(net_owner_init(&p->owner, peer_fini), NET_OK);
    pthread_cond_init(&p->news, NULL);
    p->gone = &gone;
    net_lock(&p->owner);
    assert_int_equal(net_dial_new(&p->dial, &p->owner, resolver, &target, 10000,
                                  peer_dialled, p),
                     NET_OK);
    wait_for(p, p->dialled);
    assert_int_equal(
        net_conn_new(&p->conn, &p->owner, p->stream, &marks, &peer_ops, p),
        NET_OK);
    assert_int_equal(net_conn_secure(p->conn, trust, name), NET_OK);
    net_conn_resume(p->conn);
    wait_for(p, p->secured || p->closed);
    if (p->secured) {
        assert_string_equal(p->protocol, "terse/1");
        assert_int_equal(net_conn_write(p->conn, "hello", 5), NET_OK);
        net_conn_flush(p->conn);
        wait_for(p, p->got == 5);
    }
    *resumed = p->resumed;
    why = p->why;
    /* Cut, as a phone's connection is: its session is resumed all the same. */
    net_conn_close(p->conn, NET_CLOSE_ABORT, 0);
    net_unlock(&p->owner);
    net_owner_rele(&p->owner);
    await(&gone, 1);
    return why;
}

static void test_dialling_side_resumes_and_verifies(void **state) {
    struct net_tls *trust;
    char text[256];
    bool resumed;

    (void)state;
    assert_int_equal(net_tls_client(&trust, two, text), NET_OK);
    assert_int_equal(net_tls_offer(trust, "terse/1"), NET_OK);
    assert_int_equal(visit(trust, "two.example", &resumed), NET_OK);
    assert_false(resumed);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(visit(trust, "two.example", &resumed), NET_OK);
        assert_true(resumed);
    }
    /* Another name is another session, and is verified. */
    assert_int_equal(visit(trust, "a.two.example", &resumed), NET_OK);
    assert_false(resumed);
    assert_int_equal(visit(trust, "one.example", &resumed), NET_ECERT);
    assert_int_equal(visit(trust, "other.example", &resumed), NET_ECERT);
    net_tls_rele(trust);
    await(&server.alive, 0);
}

/* ---- all of it -------------------------------------------------------------
 */

static int set_up(void **state) {
    (void)state;
    signal(SIGPIPE, SIG_IGN);
    certs_write(one, "one.example,also.one.example");
    certs_write(two, "two.example,*.two.example");
    pthread_mutex_init(&server.lock, NULL);
    tls = make_tls();
    set_gate(tls, true);
    return net_resolver_new(&resolver, NULL) == NET_OK &&
                   net_listener_new(&server.listener, "127.0.0.1:0", accepted,
                                    &server) == NET_OK
               ? 0
               : -1;
}

static int tear_down(void **state) {
    (void)state;
    net_listener_free(server.listener);
    net_resolver_free(resolver);
    net_tls_rele(tls);
    unlink(one);
    unlink(two);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tls_accepts_1_2_and_1_3_and_nothing_older),
        cmocka_unit_test(test_tls_ticket_of_a_secret_outlives_the_process),
        cmocka_unit_test(test_tls_ticket_resumes_until_its_key_is_gone),
        cmocka_unit_test(test_tls_alpn_chooses_ours_and_refuses_the_rest),
        cmocka_unit_test(test_tls_sni_chooses_certificate),
        cmocka_unit_test(test_tls_files_that_are_wrong_are_named),
        cmocka_unit_test(test_tls_flush_is_one_record),
        cmocka_unit_test(test_tls_paused_in_mid_read_loses_nothing),
        cmocka_unit_test(test_tls_dribbled_handshake_succeeds),
        cmocka_unit_test(test_gate_tells_tls_from_clear_text),
        cmocka_unit_test(test_gate_garbage_after_first_byte_is_refused),
        cmocka_unit_test(test_gate_half_handshakes_leave_nothing),
        cmocka_unit_test(test_dialling_side_resumes_and_verifies),
    };

    return cmocka_run_group_tests_name("net_tls", tests, set_up, tear_down);
}
