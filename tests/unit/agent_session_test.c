/*
 * agent_session_test.c: terse-agent between an XML client and a tersed that
 * follow a script. The test is both, on blocking sockets.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "client/agent.h"

#define HEADER                                                                 \
    "<?xml version='1.0'?><stream:stream xmlns='jabber:client' "               \
    "xmlns:stream='http://etherx.jabber.org/streams' to='im.example.net' "     \
    "version='1.0'>"
#define SASL_NS "urn:ietf:params:xml:ns:xmpp-sasl"

struct world {
    struct agent agent;
    int listening; /* tersed's */
    int client, proxy;
    bool preface_read;
    struct terse_peer *peer; /* hears the agent; remembers nothing */
    struct terse_work work;
    char *xml;     /* the last frame that tersed got, as XML */
    bool in_plain; /* whether "see you tomorrow" stands in it as it is */
    bool beats;    /* tersed says that it knows heartbeats */
    uint8_t
        open[256]; /* the last Open that tersed got, as it was on the wire */
    size_t n_open;
    char enabled[64];  /* what else log_in's <enabled/> says */
    uint8_t revision;  /* of the schemas, that tersed says; 0: nothing */
    char heard[65536]; /* what the client has read */
    size_t n_heard;
};

static void set_timeout(int fd) {
    struct timeval tv = {20, 0};

    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv));
}

static int listen_anywhere(uint16_t *port) {
    struct sockaddr_in sa = {.sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(sa);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(bind(fd, (struct sockaddr *)&sa, len), 0);
    assert_int_equal(listen(fd, 4), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
    set_timeout(fd);
    *port = ntohs(sa.sin_port);
    return fd;
}

static int set_up(void **state) {
    struct world *w = calloc(1, sizeof(*w));

    signal(SIGPIPE, SIG_IGN);
    w->client = w->proxy = -1;
    w->listening = listen_anywhere(&w->agent.proxies[0].port);
    pthread_mutex_init(&w->agent.lock, NULL);
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&w->agent.left, &attr);
    pthread_condattr_destroy(&attr);
    strcpy(w->agent.proxies[0].host, "127.0.0.1");
    w->agent.n_proxies = 1;
    w->agent.memory = memory_new(NULL);
    assert_non_null(w->agent.memory);
    w->agent.give_up_ms = 20000;
    w->agent.box_stanzas = 100;
    w->agent.box_bytes = 1 << 20;
    w->agent.connect_ms = 5000;
    w->agent.close_ms = 2000;
    w->agent.stall_ms = 5000;
    assert_int_equal(terse_schema_new(&w->agent.schema), TERSE_OK);
    terse_work_init(&w->work, &terse_limits_default);
    assert_int_equal(terse_peer_new(&w->peer, w->agent.schema,
                                    &(struct terse_state_limits){0}, false),
                     TERSE_OK);
    /* The scripted proxy remembers nothing, so neither does the agent. */
    static const struct terse_state_limits no_state;
    w->agent.bridge = (struct bridge){.schema = w->agent.schema,
                                      .limits = &terse_limits_default,
                                      .state = &no_state,
                                      .high = 64 * 1024};
    assert_int_equal(net_resolver_new(&w->agent.resolver, NULL), NET_OK);
    assert_int_equal(net_listener_new(&w->agent.listener, "127.0.0.1:0",
                                      agent_accept, &w->agent),
                     NET_OK);
    *state = w;
    return 0;
}

static void hang_up(int *fd) {
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static int tear_down(void **state) {
    struct world *w = *state;

    hang_up(&w->client);
    hang_up(&w->proxy);
    net_listener_free(w->agent.listener);
    assert_true(agent_drain(&w->agent, 10000));
    net_resolver_free(w->agent.resolver);
    memory_free(w->agent.memory);
    terse_peer_free(w->peer);
    terse_work_fini(&w->work);
    terse_schema_free(w->agent.schema);
    pthread_cond_destroy(&w->agent.left);
    pthread_mutex_destroy(&w->agent.lock);
    hang_up(&w->listening);
    free(w->xml);
    free(w);
    return 0;
}

/* ---- the XML client
 * ---------------------------------------------------------------- */

static void dial_client(struct world *w) {
    struct sockaddr_in sa = {.sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                             .sin_port =
                                 htons(net_listener_port(w->agent.listener))};

    w->client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    set_timeout(w->client);
    assert_int_equal(connect(w->client, (struct sockaddr *)&sa, sizeof(sa)), 0);
}

static void send_all(int fd, const void *p, size_t n, size_t piece) {
    while (n) {
        ssize_t done = send(fd, p, n < piece ? n : piece, MSG_NOSIGNAL);

        assert_true(done > 0);
        p = (const char *)p + done;
        n -= (size_t)done;
    }
}

static void client_says(struct world *w, const char *xml) {
    send_all(w->client, xml, strlen(xml), SIZE_MAX);
}

/* Reads until `text` was heard; forgets all up to it. */
static void client_hears(struct world *w, const char *text) {
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
        n = recv(w->client, w->heard + w->n_heard,
                 sizeof(w->heard) - 1 - w->n_heard, 0);
        if (n <= 0)
            fail_msg("the client waits for %s and has %.300s", text, w->heard);
        w->n_heard += (size_t)n;
    }
}

/* ---- tersed
 * ----------------------------------------------------------------------------
 */

struct encoder {
    struct world *w;
    bool header;
    struct terse_buf out;
};

static enum terse_err encode_event(void *arg, enum terse_event event,
                                   struct terse_node *node) {
    struct encoder *e = arg;
    struct net_framer f;
    struct terse_buf frame;
    uint8_t header[NET_HEADER_MAX];

    if (event == TERSE_OPEN && !e->header)
        return TERSE_OK;
    terse_buf_init(&frame, 1 << 24);
    assert_int_equal(terse_encode(e->w->agent.schema, &terse_limits_default,
                                  event, node, &frame, NULL),
                     TERSE_OK);
    if (event == TERSE_OPEN && e->w->revision) {
        uint8_t said[] = {0xa0, 0x01, e->w->revision}; /* terse.Frame, 20 */

        assert_int_equal(terse_buf_append(&frame, said, sizeof(said)),
                         TERSE_OK);
    }
    if (event == TERSE_OPEN && e->w->beats) {
        static const uint8_t said[] = {0xa8, 0x01, 60}; /* the same, 21 */

        assert_int_equal(terse_buf_append(&frame, said, sizeof(said)),
                         TERSE_OK);
    }
    net_framer_init(&f, NET_FRAMING_NATIVE, 1 << 24);
    assert_int_equal(terse_buf_append(&e->out, header,
                                      net_framer_header(&f, frame.len, header)),
                     TERSE_OK);
    assert_int_equal(
        terse_buf_append(&e->out, terse_buf_data(&frame), frame.len), TERSE_OK);
    terse_buf_fini(&frame);
    return TERSE_OK;
}

/* In one go, if piece allows it: the agent may hang up at the first word. */
static void proxy_says(struct world *w, bool header, const char *xml,
                       size_t piece) {
    struct encoder e = {.w = w, .header = header};
    struct terse_reader *r;

    terse_buf_init(&e.out, 1 << 24);
    assert_int_equal(terse_reader_new(&r, w->agent.schema,
                                      &terse_limits_default, encode_event, &e),
                     TERSE_OK);
    assert_int_equal(terse_reader_feed(r, HEADER, strlen(HEADER)), TERSE_OK);
    assert_int_equal(terse_reader_feed(r, xml, strlen(xml)), TERSE_OK);
    terse_reader_free(r);
    send_all(w->proxy, terse_buf_data(&e.out), e.out.len, piece);
    terse_buf_fini(&e.out);
}

static void read_exactly(int fd, void *p, size_t n) {
    assert_int_equal(recv(fd, p, n, MSG_WAITALL), n);
}

/* The next frame as XML, "(close)", "(ping)" or "(end)". */
static const char *proxy_hears(struct world *w) {
    struct terse_frame_info info;
    struct terse_buf out, plain;
    uint8_t b[4], *frame;
    size_t n = 0;

    free(w->xml);
    w->xml = NULL;
    if (!w->preface_read && recv(w->proxy, b, 4, MSG_WAITALL) == 4) {
        assert_memory_equal(b, NET_PREFACE, 4);
        w->preface_read = true;
    }
    if (recv(w->proxy, b, 1, 0) != 1)
        return w->xml = strdup("(end)");
    n = b[0] & 0x7f;
    for (unsigned shift = 7; b[0] & 0x80; shift += 7) {
        read_exactly(w->proxy, b, 1);
        n |= (size_t)(b[0] & 0x7f) << shift;
    }
    frame = malloc(n + 1);
    read_exactly(w->proxy, frame, n);
    if (n == 2 && memcmp(frame, "\x60\x01", 2) == 0) {
        free(frame);
        return w->xml = strdup("(ping)");
    }
    if (frame[0] == 0x6a && n <= sizeof(w->open)) {
        memcpy(w->open, frame, n);
        w->n_open = n;
    }
    terse_buf_init(&out, 1 << 24);
    terse_buf_init(&plain, 1 << 24);
    assert_int_equal(terse_peer_unpack(w->peer, frame, n, &w->work, &plain),
                     TERSE_OK);
    assert_int_equal(terse_frame_info(w->agent.schema, terse_buf_data(&plain),
                                      plain.len, &info),
                     TERSE_OK);
    assert_int_equal(terse_decode(w->agent.schema, &terse_limits_default,
                                  terse_buf_data(&plain), plain.len,
                                  TERSE_STANDALONE, &out, NULL),
                     TERSE_OK);
    w->in_plain =
        memmem(terse_buf_data(&plain), plain.len, "see you tomorrow", 16);
    terse_buf_fini(&plain);
    free(frame);
    w->xml = info.kind == TERSE_CLOSE
                 ? strdup("(close)")
                 : strndup((const char *)terse_buf_data(&out), out.len);
    terse_buf_fini(&out);
    return w->xml;
}

#define expect(w, text)                                                        \
    do {                                                                       \
        if (!strstr(proxy_hears(w), text))                                     \
            fail_msg("expected %s, got %.300s", text, (w)->xml);               \
    } while (0)

static void expect_silence(struct world *w, int ms) {
    struct pollfd fd = {.fd = w->proxy, .events = POLLIN};

    assert_int_equal(poll(&fd, 1, ms), 0);
}

/* The last Open ends with these bytes. */
#define expect_beside(w, bytes)                                                \
    do {                                                                       \
        size_t n = sizeof(bytes) - 1;                                          \
        assert_true((w)->n_open > n);                                          \
        assert_memory_equal((w)->open + (w)->n_open - n, bytes, n);            \
    } while (0)

/* The agent's next connection, to that tersed. */
static void accept_at(struct world *w, int listening) {
    hang_up(&w->proxy);
    terse_peer_free(w->peer);
    assert_int_equal(terse_peer_new(&w->peer, w->agent.schema,
                                    &(struct terse_state_limits){0}, false),
                     TERSE_OK);
    w->preface_read = false;
    w->proxy = accept(listening, NULL, NULL);
    assert_true(w->proxy >= 0);
    set_timeout(w->proxy);
}

/* The same, and its header. */
static void meet_at(struct world *w, int listening) {
    accept_at(w, listening);
    expect(w, "im.example.net");
}

static void meet(struct world *w) { meet_at(w, w->listening); }

/* A client connects and says its header; more: what comes with it. */
#define greet(w, more)                                                         \
    do {                                                                       \
        dial_client(w);                                                        \
        client_says(w, HEADER more);                                           \
    } while (0)

static void open_stream(struct world *w) {
    greet(w, "");
    meet(w);
    proxy_says(w, true, "<stream:features/>", SIZE_MAX);
    client_hears(w, "<stream:stream");
    client_hears(w, "<stream:features");
}

/* ---- tests
 * --------------------------------------------------------------------------------
 */

static void test_agent_login_passes_and_restarts(void **state) {
    struct world *w = *state;

    open_stream(w);
    client_says(w, "<auth xmlns='" SASL_NS "' mechanism='PLAIN'>=</auth>");
    expect(w, "<auth");
    proxy_says(w, false, "<success xmlns='" SASL_NS "'/>", SIZE_MAX);
    client_hears(w, "<success");
    client_says(w, HEADER "<presence/>");
    expect(w, "<stream:stream");
    expect(w, "<presence");
    proxy_says(w, true, "<message><body>hi</body></message>", SIZE_MAX);
    client_hears(w, "<stream:stream");
    client_hears(w, "<body>hi</body>");
}

static void test_agent_footers_close_both_sides(void **state) {
    struct world *w = *state;
    struct timespec before, after;
    char byte;

    open_stream(w);
    client_says(w, "<presence type='unavailable'/></stream:stream>");
    expect(w, "unavailable");
    expect(w, "(close)");
    clock_gettime(CLOCK_MONOTONIC, &before);
    proxy_says(w, false, "</stream:stream>", SIZE_MAX);
    client_hears(w, "</stream:stream>");
    expect(w, "(end)"); /* at once, not at the deadline of 2 s */
    assert_int_equal(recv(w->client, &byte, 1, 0), 0);
    clock_gettime(CLOCK_MONOTONIC, &after);
    assert_true(after.tv_sec - before.tv_sec < 2);
}

static void test_agent_lost_client_sends_no_close(void **state) {
    struct world *w = *state;

    open_stream(w);
    client_says(w, "<presence/>");
    hang_up(&w->client);
    expect(w, "<presence");
    expect(w, "(end)");
}

static void test_agent_lost_proxy_is_remote_failure(void **state) {
    struct world *w = *state;

    open_stream(w);
    hang_up(&w->proxy);
    client_hears(w, "remote-connection-failed");
    client_hears(w, "</stream:stream>");
}

static void test_agent_dead_proxy_answers_header_with_error(void **state) {
    struct world *w = *state;

    hang_up(&w->listening);
    greet(w, "");
    client_hears(w, "<stream:stream");
    client_hears(w, "from='im.example.net'");
    client_hears(w, "remote-connection-failed");
    client_hears(w, "</stream:stream>");
}

/* What comes in the same packet as the header is not lost. */
static void test_agent_all_that_comes_with_header_passes(void **state) {
    struct world *w = *state;

    w->agent.transparent = true;
    greet(w, "<presence/><message><body>early</body></message>"
             "</stream:stream>");
    meet(w);
    expect(w, "<presence");
    expect(w, "early");
    expect(w, "(close)");
    proxy_says(w, true, "</stream:stream>", SIZE_MAX);
    client_hears(w, "</stream:stream>");
}

/* The same, if it takes features to know that all is to pass. */
static void test_agent_what_came_with_header_waits_for_features(void **state) {
    struct world *w = *state;

    greet(w, "<presence/><message><body>early</body></message>"
             "</stream:stream>");
    meet(w);
    proxy_says(w, true, "<stream:features/>", SIZE_MAX);
    client_hears(w, "<stream:features");
    expect(w, "<presence");
    expect(w, "early");
    expect(w, "(close)");
    proxy_says(w, false, "</stream:stream>", SIZE_MAX);
    client_hears(w, "</stream:stream>");
}

static void test_agent_error_of_server_passed_on_once(void **state) {
    struct world *w = *state;

    open_stream(w);
    proxy_says(w, false,
               "<stream:error><conflict "
               "xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>",
               SIZE_MAX);
    hang_up(&w->proxy);
    client_hears(w, "<conflict");
    client_hears(w, "</stream:error>");
    assert_null(strstr(w->heard, "<stream:error"));
    client_hears(w, "</stream:stream>");
}

static void test_agent_bad_xml_named_and_closed(void **state) {
    struct world *w = *state;

    open_stream(w);
    client_says(w, "<a></b>");
    client_hears(w, "not-well-formed");
    client_hears(w, "</stream:stream>");
    expect(w, "(close)");
}

static void test_agent_bad_frame_named_and_closed(void **state) {
    struct world *w = *state;

    open_stream(w);
    send_all(w->proxy, "\x02\xff\xff", 3, SIZE_MAX);
    client_hears(w, "<stream:error>");
    client_hears(w, "</stream:stream>");
    expect(w, "(close)");
}

static void test_agent_one_byte_at_a_time_passes(void **state) {
    static const char xml[] =
        "<message><body>\xe6\x97\xa5 &amp;</body></message>";
    struct world *w = *state;

    open_stream(w);
    send_all(w->client, xml, sizeof(xml) - 1, 1);
    expect(w, "<body>\xe6\x97\xa5 &amp;</body>");
    proxy_says(w, false, xml, 1);
    client_hears(w, "<body>\xe6\x97\xa5 &amp;</body>");
}

static void test_agent_thousand_stanzas_in_one_write_pass(void **state) {
    struct world *w = *state;
    char *xml = calloc(1, 100000), one[64];

    open_stream(w);
    for (int i = 0; i < 1000; i++) {
        snprintf(one, sizeof(one), "<message><body>%d</body></message>", i);
        strcat(xml, one);
    }
    client_says(w, xml);
    for (int i = 0; i < 1000; i++) {
        snprintf(one, sizeof(one), "<body>%d</body>", i);
        expect(w, one);
    }
    proxy_says(w, false, xml, SIZE_MAX);
    for (int i = 0; i < 1000; i++) {
        snprintf(one, sizeof(one), "<body>%d</body>", i);
        client_hears(w, one);
    }
    free(xml);
}

/* ---- a session of its own
 * ---------------------------------------------------------------- */

#define OFFER                                                                  \
    "<stream:features><mechanisms xmlns='" SASL_NS "'>"                        \
    "<mechanism>SCRAM-SHA-1</mechanism><mechanism>PLAIN</mechanism>"           \
    "</mechanisms><authentication xmlns='urn:xmpp:sasl:2'>"                    \
    "<mechanism>SCRAM-SHA-1</mechanism><mechanism>PLAIN</mechanism><inline>"   \
    "<bind xmlns='urn:xmpp:bind:0'><inline><feature var='urn:xmpp:sm:3'/>"     \
    "</inline></bind><sm xmlns='urn:xmpp:sm:3'/>"                              \
    "<fast xmlns='urn:xmpp:fast:0'><mechanism>HT-SHA-256-NONE</mechanism>"     \
    "</fast></inline></authentication></stream:features>"
#define JOE_SCRAM "biwsbj1qb2Uscj1hYmM=" /* n,,n=joe,r=abc */
#define JOE_PLAIN "AGpvZQBzZWNyZXQ="     /* NUL joe NUL secret */
#define JOE_HT "am9lA"                   /* joe NUL … */
#define SM_NS "urn:xmpp:sm:3"
/* more: attributes of <enabled/>. */
#define BOUND_MORE(token, more)                                                \
    "<success xmlns='urn:xmpp:sasl:2'><additional-data>dj0=</additional-data>" \
    "<authorization-identifier>joe@im.example.net/terse.1"                     \
    "</authorization-identifier><bound xmlns='urn:xmpp:bind:0'>"               \
    "<enabled xmlns='" SM_NS "' id='sm-1' resume='true'" more "/></bound>"     \
    "<token xmlns='urn:xmpp:fast:0' token='" token "'/></success>"             \
    "<stream:features><csi xmlns='urn:xmpp:csi:0'/><sm xmlns='" SM_NS "'/>"    \
    "</stream:features>"
#define BOUND(token) BOUND_MORE(token, "")

static void expect_all(struct world *w, ...) {
    const char *xml = proxy_hears(w), *text;
    va_list ap;

    va_start(ap, w);
    while ((text = va_arg(ap, const char *)))
        if (!strstr(xml, text))
            fail_msg("expected %s, got %.900s", text, xml);
    va_end(ap);
}

static void auth(struct world *w, const char *mechanism, const char *data) {
    char xml[512];

    snprintf(xml, sizeof(xml), "<auth xmlns='%s' mechanism='%s'>%s</auth>",
             SASL_NS, mechanism, data);
    client_says(w, xml);
}

/* The client has waited for tersed's features. */
static void be_offered(struct world *w) {
    greet(w, "");
    meet(w);
    proxy_says(w, true, OFFER, SIZE_MAX);
    client_hears(w, "<mechanism>PLAIN</mechanism>");
    client_hears(w, "</stream:features>");
}

/* A first login. */
static void log_in(struct world *w, const char *mechanism, const char *data) {
    char bound[2048];

    be_offered(w);
    auth(w, mechanism, data);
    snprintf(bound, sizeof(bound), BOUND_MORE("t1", "%s"), w->enabled);
    expect_all(w, "<authenticate", mechanism, data, "<user-agent",
               "urn:xmpp:bind:0", "<enable", "resume=", "<request-token",
               (char *)NULL);
    assert_null(strstr(w->xml, "carbons"));
    proxy_says(w, false, bound, SIZE_MAX);
    client_hears(w, ">dj0=</success>");
}

static void bind_resource(struct world *w) {
    client_says(w, HEADER);
    client_hears(w, "<stream:features>");
    client_hears(w, "</stream:features>");
    client_says(w, "<iq type='set' id='b1'><bind xmlns='urn:ietf:params:xml:ns:"
                   "xmpp-bind'><resource>mine</resource></bind></iq>");
    client_hears(w, "id='b1'");
    client_hears(w, "<jid>joe@im.example.net/terse.1</jid>");
}

static void come_up(struct world *w, const char *mechanism, const char *data) {
    log_in(w, mechanism, data);
    bind_resource(w);
}

/* The next connection is of one who comes back, with that mechanism. */
static void meet_back_at(struct world *w, int listening,
                         const char *mechanism) {
    meet_at(w, listening);
    expect_all(w, "<authenticate", mechanism, "sm-1", (char *)NULL);
}

static void meet_back(struct world *w, const char *mechanism) {
    meet_back_at(w, w->listening, mechanism);
}

/* What proves that tersed knows the token. */
static void say_resumed(struct world *w, const char *token, unsigned h,
                        const char *next) {
    unsigned char mac[32];
    char answer[64], xml[1024];
    unsigned n = sizeof(mac);

    HMAC(EVP_sha256(), token, (int)strlen(token),
         (const unsigned char *)"Responder", 9, mac, &n);
    EVP_EncodeBlock((unsigned char *)answer, mac, (int)n);
    snprintf(xml, sizeof(xml),
             "<stream:features/><success xmlns='urn:xmpp:sasl:2'>"
             "<additional-data>%s</additional-data><authorization-identifier>"
             "joe@im.example.net/terse.1</authorization-identifier>"
             "<resumed xmlns='" SM_NS "' previd='sm-1' h='%u'/>"
             "<token xmlns='urn:xmpp:fast:0' token='%s'/></success>"
             "<stream:features/>",
             answer, h, next);
    proxy_says(w, true, xml, SIZE_MAX);
}

static void test_agent_session_classic_login_in_sasl2(void **state) {
    struct world *w = *state;

    be_offered(w);
    auth(w, "SCRAM-SHA-1", JOE_SCRAM);
    expect_all(w, "<authenticate", "SCRAM-SHA-1", JOE_SCRAM, (char *)NULL);
    proxy_says(w, false, "<challenge xmlns='urn:xmpp:sasl:2'>cj0=</challenge>",
               SIZE_MAX);
    client_hears(w, "<challenge xmlns='" SASL_NS "'>cj0=</challenge>");
    client_says(w, "<response xmlns='" SASL_NS "'>Yz0=</response>");
    expect_all(w, "<response", "urn:xmpp:sasl:2", "Yz0=", (char *)NULL);
    proxy_says(
        w, false,
        "<failure xmlns='urn:xmpp:sasl:2'><not-authorized xmlns='" SASL_NS
        "'/></failure>",
        SIZE_MAX);
    client_hears(w, "<failure xmlns='" SASL_NS "'><not-authorized/></failure>");
    auth(w, "PLAIN", JOE_PLAIN);
    expect_all(w, "<authenticate", "PLAIN", JOE_PLAIN, (char *)NULL);
    proxy_says(w, false, BOUND("t1"), SIZE_MAX);
    client_hears(w, "<success xmlns='" SASL_NS "'>dj0=</success>");
    bind_resource(w);
    client_says(w, "<iq type='set' id='s1'><session xmlns='urn:ietf:params:xml:"
                   "ns:xmpp-session'/></iq><presence/>");
    client_hears(w, "<iq type='result' id='s1'/>");
    expect(w, "<presence");
}

/* The same domain again: header and SASL in one flight, before a word of
 * tersed's. */
static void test_agent_session_second_login_waits_for_nothing(void **state) {
    struct world *w = *state;

    come_up(w, "SCRAM-SHA-1", JOE_SCRAM);
    hang_up(&w->client);
    expect(w, "(close)");
    greet(w, "");
    client_hears(w, "<mechanism>PLAIN</mechanism>");
    auth(w, "SCRAM-SHA-1", JOE_SCRAM);
    meet(w);
    expect(w, "<authenticate");
    proxy_says(w, true, OFFER BOUND("t1"), SIZE_MAX);
    client_hears(w, "<success");
    assert_null(strstr(w->heard, "<stream:features"));
    bind_resource(w);
}

/* tersed has no SASL2 any more: the client's own words, from the start. */
static void test_agent_session_false_memory_begins_anew(void **state) {
    struct world *w = *state;

    come_up(w, "SCRAM-SHA-1", JOE_SCRAM);
    hang_up(&w->client);
    expect(w, "(close)");
    greet(w, "");
    client_hears(w, "</stream:features>");
    auth(w, "SCRAM-SHA-1", JOE_SCRAM);
    meet(w);
    expect(w, "<authenticate");
    proxy_says(w, true,
               "<stream:features><mechanisms xmlns='" SASL_NS
               "'><mechanism>SCRAM-SHA-1</mechanism></mechanisms>"
               "</stream:features>",
               SIZE_MAX);
    meet(w);
    expect_all(w, "<auth ", JOE_SCRAM, (char *)NULL);
    proxy_says(w, true,
               "<stream:features/><challenge xmlns='" SASL_NS
               "'>cj0=</challenge>",
               SIZE_MAX);
    client_hears(w, "<challenge xmlns='" SASL_NS "'>cj0=</challenge>");
    assert_null(strstr(w->heard, "<stream:"));
}

/* One round trip, and what was not acknowledged goes again; the client is told
 * nothing. */
static void test_agent_session_lost_link_is_made_again(void **state) {
    struct world *w = *state;

    come_up(w, "SCRAM-SHA-1", JOE_SCRAM);
    client_says(w, "<inactive xmlns='urn:xmpp:csi:0'/>"
                   "<message id='1'/><message id='2'/>");
    expect(w, "<inactive");
    expect(w, "1");
    expect(w, "2");
    proxy_says(w, false,
               "<message><body>one</body></message>"
               "<presence/><a xmlns='" SM_NS "' h='1'/>",
               SIZE_MAX);
    client_hears(w, "<presence");
    hang_up(&w->proxy);
    client_says(w, "<message id='3'/>");
    meet(w);
    expect_all(w, "<authenticate", "HT-SHA-256-NONE", JOE_HT, "<fast",
               "<user-agent", "previd=", "sm-1", "h='2'", (char *)NULL);
    assert_null(strstr(w->xml, "bind"));
    say_resumed(w, "t1", 1, "t2");
    expect(w, "<inactive");
    expect(w, "2");
    expect(w, "3");
    proxy_says(w, false, "<message><body>two</body></message>", SIZE_MAX);
    client_hears(w, "<body>two</body>");
    assert_null(strstr(w->heard, "stream"));
    /* And again, by the token that came with that. */
    hang_up(&w->proxy);
    meet(w);
    expect_all(w, "HT-SHA-256-NONE", "h='3'", (char *)NULL);
    say_resumed(w, "t2", 3, "t3");
    expect(w, "<inactive");
    client_says(w, "<message id='4'/>");
    expect(w, "4");
}

/* What was made for a tersed that knows more is made again for one that knows
 * less. */
static void test_agent_session_older_tersed_gets_older_frames(void **state) {
    static const char xml[] =
        "<message><body>see you tomorrow</body></message>";
    struct world *w = *state;

    w->revision = 3;
    come_up(w, "SCRAM-SHA-1", JOE_SCRAM);
    client_says(w, xml);
    expect(w, "see you tomorrow");
    assert_false(w->in_plain); /* docs/text.md */
    hang_up(&w->proxy);
    accept_at(w, w->listening);
    w->revision = 0;
    expect(w, "im.example.net");
    expect(w, "HT-SHA-256-NONE");
    say_resumed(w, "t1", 0, "t2");
    expect(w, "see you tomorrow");
    assert_true(w->in_plain);
}

/* SASL in the same packet as the header. */
static void test_agent_session_early_auth_is_taken(void **state) {
    struct world *w = *state;

    greet(w,
          "<auth xmlns='" SASL_NS "' mechanism='PLAIN'>" JOE_PLAIN "</auth>");
    meet(w);
    proxy_says(w, true, OFFER, SIZE_MAX);
    expect_all(w, "<authenticate", JOE_PLAIN, (char *)NULL);
    proxy_says(w, false, BOUND("t1"), SIZE_MAX);
    client_hears(w, "<success");
    bind_resource(w);
}

static void test_agent_session_registration_passes(void **state) {
    struct world *w = *state;

    be_offered(w);
    client_says(w, "<iq type='get' id='r1'><query xmlns='jabber:iq:register'/>"
                   "</iq>");
    expect_all(w, "<iq", "jabber:iq:register", (char *)NULL);
    proxy_says(w, false, "<iq type='result' id='r1'/>", SIZE_MAX);
    client_hears(w, "id='r1'");
    auth(w, "PLAIN", JOE_PLAIN);
    expect(w, "<authenticate");
}

static void test_agent_session_stanza_before_bind_is_refused(void **state) {
    struct world *w = *state;

    log_in(w, "SCRAM-SHA-1", JOE_SCRAM);
    client_says(w, HEADER "<presence/>");
    client_hears(w, "not-authorized");
    expect(w, "(close)");
}

/* Before the client is bound, the link may break, and be made again after. */
static void test_agent_session_link_lost_before_bind(void **state) {
    struct world *w = *state;

    log_in(w, "SCRAM-SHA-1", JOE_SCRAM);
    hang_up(&w->proxy);
    bind_resource(w);
    meet(w);
    expect_all(w, "HT-SHA-256-NONE", "h='0'", (char *)NULL);
    say_resumed(w, "t1", 0, "t2");
    client_says(w, "<presence/>");
    expect(w, "<presence");
}

/* Stanzas that come before it wait for that. */
static void test_agent_session_early_stanza_waits_for_bind(void **state) {
    struct world *w = *state;

    log_in(w, "SCRAM-SHA-1", JOE_SCRAM);
    proxy_says(w, false, "<message><body>early</body></message>", SIZE_MAX);
    bind_resource(w);
    client_hears(w, "<body>early</body>");
}

static void test_agent_session_tersed_that_cannot_prove_is_left(void **state) {
    struct world *w = *state;

    come_up(w, "SCRAM-SHA-1", JOE_SCRAM);
    client_says(w, "<message id='1'/>");
    expect(w, "<message");
    hang_up(&w->proxy);
    meet(w);
    expect(w, "<authenticate");
    say_resumed(w, "another", 0, "t2");
    client_hears(w, "remote-connection-failed");
    client_hears(w, "</stream:stream>");
    expect(w, "(close)"); /* and not the message */
}

#define REFUSED                                                                \
    "<stream:features/><failure xmlns='urn:xmpp:sasl:2'><not-authorized "      \
    "xmlns='" SASL_NS "'/></failure>"

static void test_agent_session_refused_token_ends_it(void **state) {
    struct world *w = *state;

    come_up(w, "SCRAM-SHA-1", JOE_SCRAM);
    hang_up(&w->proxy);
    meet_back(w, "HT-SHA-256-NONE");
    proxy_says(w, true, REFUSED, SIZE_MAX);
    client_hears(w, "remote-connection-failed");
    client_hears(w, "</stream:stream>");
    expect(w, "(close)");
}

static void test_agent_session_refused_token_then_password(void **state) {
    struct world *w = *state;

    come_up(w, "PLAIN", JOE_PLAIN);
    hang_up(&w->proxy);
    meet_back(w, "HT-SHA-256-NONE");
    proxy_says(w, true, REFUSED, SIZE_MAX);
    expect_all(w, "<authenticate", "PLAIN", JOE_PLAIN,
               "previd=", "<request-token", (char *)NULL);
    assert_null(strstr(w->xml, "bind"));
    proxy_says(w, false,
               "<success xmlns='urn:xmpp:sasl:2'><resumed xmlns='" SM_NS
               "' previd='sm-1' h='0'/></success><stream:features/>",
               SIZE_MAX);
    client_says(w, "<presence/>");
    expect(w, "<presence");
    proxy_says(w, false, "<presence/>", SIZE_MAX);
    client_hears(w, "<presence");
}

static void test_agent_session_that_is_gone_ends_the_stream(void **state) {
    struct world *w = *state;

    come_up(w, "PLAIN", JOE_PLAIN);
    hang_up(&w->proxy);
    meet_back(w, "HT-SHA-256-NONE");
    proxy_says(w, true, REFUSED, SIZE_MAX);
    expect(w, "PLAIN");
    proxy_says(w, false,
               "<success xmlns='urn:xmpp:sasl:2'><failed xmlns='" SM_NS
               "'/></success><stream:features/>",
               SIZE_MAX);
    client_hears(w, "remote-connection-failed");
    client_hears(w, "</stream:stream>");
    expect(w, "(close)");
}

/* A server without stream management: there is nothing to come back to. */
static void test_agent_session_without_management_ends_with_link(void **state) {
    struct world *w = *state;

    be_offered(w);
    auth(w, "PLAIN", JOE_PLAIN);
    expect(w, "<authenticate");
    proxy_says(w, false,
               "<success xmlns='urn:xmpp:sasl:2'><authorization-identifier>"
               "joe@im.example.net/terse.1</authorization-identifier>"
               "<bound xmlns='urn:xmpp:bind:0'><failed xmlns='" SM_NS "'/>"
               "</bound></success><stream:features/>",
               SIZE_MAX);
    client_hears(w, "<success");
    bind_resource(w);
    client_says(w, "<message id='1'/>");
    expect(w, "<message");
    proxy_says(w, false, "<message id='2'/>", SIZE_MAX);
    client_hears(w, "<message");
    client_says(w, "<message id='3'/>");
    expect(w, "3"); /* and no <a/> before it */
    hang_up(&w->proxy);
    client_hears(w, "remote-connection-failed");
}

static void test_agent_session_conflict_is_the_clients_affair(void **state) {
    struct world *w = *state;

    come_up(w, "PLAIN", JOE_PLAIN);
    proxy_says(w, false,
               "<stream:error><conflict xmlns='urn:ietf:params:xml:ns:"
               "xmpp-streams'/></stream:error></stream:stream>",
               SIZE_MAX);
    client_hears(w, "<conflict");
    client_hears(w, "</stream:stream>");
}

/* A tersed that stops keeps nothing, but leaves the session to the server. */
static void test_agent_session_shutdown_is_no_end_with_password(void **state) {
    struct world *w = *state;

    come_up(w, "PLAIN", JOE_PLAIN);
    proxy_says(w, false,
               "<stream:error><system-shutdown xmlns='urn:ietf:params:xml:ns:"
               "xmpp-streams'/></stream:error></stream:stream>",
               SIZE_MAX);
    meet(w);
    expect(w, "<authenticate");
    assert_null(strstr(w->heard, "stream:error"));
}

static void test_agent_session_acknowledgement_rides(void **state) {
    struct world *w = *state;

    come_up(w, "SCRAM-SHA-1", JOE_SCRAM);
    proxy_says(w, false, "<message/><message id='last'/>", SIZE_MAX);
    client_hears(w, "last");
    /* What it has heard, the agent may not know yet to be sent. */
    for (int i = 0; i < 20; i++) {
        client_says(w, "<message id='mine'/>");
        expect(w, "mine");
        if (poll(&(struct pollfd){w->proxy, POLLIN, 0}, 1, 200) == 1)
            break;
    }
    expect_all(w, "<a ", "h='2'", (char *)NULL);
    proxy_says(w, false, "<r xmlns='" SM_NS "'/>", SIZE_MAX);
    expect_all(w, "<a ", "h='2'", (char *)NULL);
}

/* On each connection, with what tersed is to know of heartbeats. */
static void test_agent_session_says_what_may_wait(void **state) {
    static const uint32_t wait = 10, bytes = 2048;
    struct world *w = *state;

    w->agent.bridge.heartbeat = 60;
    w->agent.bridge.wait = &wait;
    w->agent.bridge.wait_bytes = &bytes;
    come_up(w, "SCRAM-SHA-1", JOE_SCRAM);
    expect_beside(w, "\xa8\x01\x3c\xb8\x01\x0a\xc0\x01\x80\x10");
    hang_up(&w->proxy);
    w->n_open = 0;
    meet(w);
    expect_beside(w, "\xa8\x01\x3c\xb8\x01\x0a\xc0\x01\x80\x10");
}

/* Whatever there is of heartbeats; and what is not said is left out. */
static void test_agent_session_says_no_more_than_it_wants(void **state) {
    static const uint32_t nothing = 0;
    struct world *w = *state;

    w->agent.bridge.wait_bytes = &nothing;
    come_up(w, "SCRAM-SHA-1", JOE_SCRAM);
    expect_beside(w, "\xc0\x01\x00");
    assert_null(memmem(w->open, w->n_open, "\xb8\x01", 2));
    assert_null(memmem(w->open, w->n_open, "\xa8\x01", 2));
}

/* An agent that asks soon for what tersed owes it. */
static void come_up_in_a_hurry(struct world *w, uint32_t wait_ms) {
    w->beats = true;
    w->agent.bridge.heartbeat = 60;
    w->agent.doubt_ms = 150;
    w->agent.wait_ms = wait_ms;
    w->agent.beat_most = 1000000;
    w->agent.pong_ms = 10000;
    atomic_store(&w->agent.beat_ms, 1000000);
    come_up(w, "SCRAM-SHA-1", JOE_SCRAM);
}

static void test_agent_session_asks_for_what_is_owed(void **state) {
    struct world *w = *state;

    come_up_in_a_hurry(w, UINT32_MAX);
    client_says(w, "<message id='1'/>");
    expect(w, "1");
    expect(w, "(ping)");
    proxy_says(w, false, "<a xmlns='" SM_NS "' h='1'/>", SIZE_MAX);
    expect_silence(w, 600);
    /* Of this one tersed tells late. */
    client_says(w, "<message to='a@b'><received xmlns='urn:xmpp:receipts' "
                   "id='m'/></message>");
    expect(w, "received");
    expect_silence(w, 600);
}

/* tersed may hold back what it owes to a program that nobody looks at. */
static void test_agent_session_inactive_waits_for_what_may_wait(void **state) {
    struct world *w = *state;

    come_up_in_a_hurry(w, 1000);
    client_says(w, "<inactive xmlns='urn:xmpp:csi:0'/><message id='1'/>");
    expect(w, "<inactive");
    expect(w, "1");
    expect_silence(w, 1000);
    expect(w, "(ping)");
}

static void test_agent_session_active_waits_no_more(void **state) {
    struct world *w = *state;

    come_up_in_a_hurry(w, UINT32_MAX);
    client_says(w, "<inactive xmlns='urn:xmpp:csi:0'/><message id='1'/>");
    expect(w, "<inactive");
    expect(w, "1");
    expect_silence(w, 600);
    client_says(w, "<active xmlns='urn:xmpp:csi:0'/>");
    expect(w, "<active");
    expect(w, "(ping)");
}

static void test_agent_session_too_many_acknowledged_is_error(void **state) {
    struct world *w = *state;

    come_up(w, "SCRAM-SHA-1", JOE_SCRAM);
    client_says(w, "<message/>");
    expect(w, "<message");
    proxy_says(w, false, "<a xmlns='" SM_NS "' h='2'/>", SIZE_MAX);
    client_hears(w, "undefined-condition");
}

/* Asks when half of the outbox is full, takes no more when it is, and goes on
 * with the answer. */
static void test_agent_session_full_outbox_holds_the_client_up(void **state) {
    struct world *w = *state;
    struct timeval soon = {1, 0};
    char one[4200], b;
    int sent = 0;

    w->agent.box_bytes = 100000;
    come_up(w, "SCRAM-SHA-1", JOE_SCRAM);
    snprintf(one, sizeof(one), "<message><body>%4000s</body></message>", "x");
    /* Until the agent reads no more and all buffers are full. */
    setsockopt(w->client, SOL_SOCKET, SO_SNDTIMEO, &soon, sizeof(soon));
    while (send(w->client, one, strlen(one), MSG_NOSIGNAL) ==
               (ssize_t)strlen(one) &&
           sent < 10000)
        sent++;
    assert_true(sent < 10000);
    for (int i = 0;; i++) {
        assert_true(i < 60);
        if (strncmp(proxy_hears(w), "<r ", 3) == 0)
            break;
    }
    /* No more than the box and one read of the client come. */
    setsockopt(w->proxy, SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof(soon));
    for (int i = 0; recv(w->proxy, &b, 1, MSG_PEEK) == 1; i++) {
        assert_true(i < 60);
        expect(w, "<message");
    }
    set_timeout(w->proxy);
    proxy_says(w, false, "<a xmlns='" SM_NS "' h='24'/>", SIZE_MAX);
    expect(w, "<message");
}

static void test_agent_session_client_gone_closes_the_session(void **state) {
    struct world *w = *state;

    come_up(w, "SCRAM-SHA-1", JOE_SCRAM);
    client_says(w, "<message id='1'/>");
    hang_up(&w->client);
    expect(w, "<message");
    expect(w, "(close)");
}

/* What it said when there was no connection is still to go. */
static void test_agent_session_client_leaves_while_lost(void **state) {
    struct world *w = *state;

    come_up(w, "SCRAM-SHA-1", JOE_SCRAM);
    hang_up(&w->proxy);
    client_says(w, "<message id='last'/></stream:stream>");
    client_hears(w, "</stream:stream>");
    meet(w);
    expect(w, "<authenticate");
    say_resumed(w, "t1", 0, "t2");
    expect(w, "last");
    expect(w, "(close)");
    proxy_says(w, false, "</stream:stream>", SIZE_MAX);
    expect(w, "(end)");
}

/* Nor is it lost if the connection breaks behind the footer. */
static void test_agent_session_client_leaves_and_link_breaks(void **state) {
    struct world *w = *state;

    come_up(w, "SCRAM-SHA-1", JOE_SCRAM);
    client_says(w, "<message id='last'/></stream:stream>");
    expect(w, "last");
    expect(w, "(close)");
    hang_up(&w->proxy);
    client_hears(w, "</stream:stream>");
    meet(w);
    expect(w, "<authenticate");
    say_resumed(w, "t1", 0, "t2");
    expect(w, "last");
    expect(w, "(close)");
}

static void test_agent_session_hint_makes_a_new_connection(void **state) {
    struct world *w = *state;

    come_up(w, "SCRAM-SHA-1", JOE_SCRAM);
    agent_reconnect(&w->agent);
    meet_back(w, "HT-SHA-256-NONE");
    say_resumed(w, "t1", 0, "t2");
    client_says(w, "<presence/>");
    expect(w, "<presence");
}

static void test_agent_session_gives_up(void **state) {
    struct world *w = *state;

    w->agent.give_up_ms = 300;
    come_up(w, "SCRAM-SHA-1", JOE_SCRAM);
    hang_up(&w->listening);
    hang_up(&w->proxy);
    client_hears(w, "remote-connection-failed");
    client_hears(w, "</stream:stream>");
}

static void test_agent_session_next_proxy_is_tried(void **state) {
    struct world *w = *state;

    w->agent.proxies[1] = w->agent.proxies[0];
    w->agent.proxies[0].port = 1; /* nobody listens there */
    w->agent.n_proxies = 2;
    come_up(w, "SCRAM-SHA-1", JOE_SCRAM);
    assert_int_equal(atomic_load(&w->agent.proxy), 1);
}

/* ---- where a session is held
 * ------------------------------------------------------------------------- */

/* Logs in at a tersed that says that it is found at that port. */
static void come_up_located(struct world *w, uint16_t port,
                            const char *mechanism, const char *data) {
    w->agent.follows = true;
    snprintf(w->enabled, sizeof(w->enabled), " location='127.0.0.1:%u'",
             (unsigned)port);
    come_up(w, mechanism, data);
}

static void exchange(struct world *w) {
    client_says(w, "<message id='last'/>");
    expect(w, "last");
    assert_null(strstr(w->heard, "stream"));
}

/* Each time, though <resumed/> does not say it again; a new client goes where
 * all do. */
static void test_agent_session_returns_to_its_location(void **state) {
    struct world *w = *state;
    uint16_t port;
    int there = listen_anywhere(&port);

    come_up_located(w, port, "SCRAM-SHA-1", JOE_SCRAM);
    hang_up(&w->proxy);
    meet_back_at(w, there, "HT-SHA-256-NONE");
    say_resumed(w, "t1", 0, "t2");
    agent_reconnect(&w->agent);
    meet_back_at(w, there, "HT-SHA-256-NONE");
    say_resumed(w, "t2", 0, "t3");
    exchange(w);
    assert_int_equal(atomic_load(&w->agent.proxy), 0);
    hang_up(&there);
}

/* Without a password the token is all there is, so it is tried at home: it may
 * be the same tersed. And then that is where it is. */
static void test_agent_session_location_that_is_gone_is_left(void **state) {
    struct world *w = *state;

    come_up_located(w, 1, "SCRAM-SHA-1", JOE_SCRAM);
    hang_up(&w->proxy);
    meet_back(w, "HT-SHA-256-NONE");
    say_resumed(w, "t1", 0, "t2");
    hang_up(&w->proxy);
    meet_back(w, "HT-SHA-256-NONE");
    say_resumed(w, "t2", 0, "t3");
    exchange(w);
}

/* The network came back between the two attempts: the token is still good where
 * it was made. */
static void test_agent_session_refused_token_is_good_elsewhere(void **state) {
    struct world *w = *state;
    uint16_t port;
    int there = listen_anywhere(&port);

    come_up_located(w, port, "SCRAM-SHA-1", JOE_SCRAM);
    hang_up(&w->proxy);
    accept_at(w, there);
    meet_back(w, "HT-SHA-256-NONE"); /* that one was hung up on */
    proxy_says(w, true, REFUSED, SIZE_MAX);
    meet_back_at(w, there, "HT-SHA-256-NONE");
    say_resumed(w, "t1", 0, "t2");
    exchange(w);
    hang_up(&there);
}

/* There it is known whether it is good. */
static void test_agent_session_refused_at_its_location_is_over(void **state) {
    struct world *w = *state;
    uint16_t port;
    int there = listen_anywhere(&port);

    come_up_located(w, port, "SCRAM-SHA-1", JOE_SCRAM);
    hang_up(&w->proxy);
    meet_back_at(w, there, "HT-SHA-256-NONE");
    proxy_says(w, true, REFUSED, SIZE_MAX);
    client_hears(w, "remote-connection-failed");
    hang_up(&there);
}

/* With one, others need no token. */
static void test_agent_session_password_is_for_other_places(void **state) {
    struct world *w = *state;

    come_up_located(w, 1, "PLAIN", JOE_PLAIN);
    hang_up(&w->proxy);
    meet_back(w, JOE_PLAIN);
    say_resumed(w, "t1", 0, "t2");
    exchange(w);
}

static void test_agent_session_does_not_follow_unasked(void **state) {
    struct world *w = *state;
    uint16_t port;
    int there = listen_anywhere(&port);
    struct pollfd fd = {.fd = there, .events = POLLIN};

    snprintf(w->enabled, sizeof(w->enabled), " location='127.0.0.1:%u'",
             (unsigned)port);
    come_up(w, "SCRAM-SHA-1", JOE_SCRAM);
    hang_up(&w->proxy);
    meet_back(w, "HT-SHA-256-NONE");
    assert_int_equal(poll(&fd, 1, 0), 0);
    hang_up(&there);
}

static void test_agent_session_does_not_follow_to_nowhere(void **state) {
    struct world *w = *state;

    w->agent.follows = true;
    strcpy(w->enabled, " location='*:1'");
    come_up(w, "PLAIN", JOE_PLAIN);
    hang_up(&w->proxy);
    meet_back(w, "HT-SHA-256-NONE"); /* which is good here, then */
}

static void test_agent_table_ends_everywhere(void **state) {
    (void)state;
    for (int s = 0; s < AGENT_STATES; s++) {
        enum agent_state next = AGENT_STATES;

        assert_non_null(agent_state_names[s]);
        assert_int_equal(agent_next((enum agent_state)s, AGENT_END, &next),
                         s != AGENT_OVER);
        assert_int_equal(
            agent_next((enum agent_state)s, AGENT_FROM_PROXY, &next),
            s != AGENT_GREETING && s != AGENT_DIALLING && s != AGENT_BINDING &&
                s != AGENT_LOST && s != AGENT_OVER);
    }
}

#define t(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        t(test_agent_login_passes_and_restarts),
        t(test_agent_footers_close_both_sides),
        t(test_agent_lost_client_sends_no_close),
        t(test_agent_lost_proxy_is_remote_failure),
        t(test_agent_dead_proxy_answers_header_with_error),
        t(test_agent_all_that_comes_with_header_passes),
        t(test_agent_what_came_with_header_waits_for_features),
        t(test_agent_error_of_server_passed_on_once),
        t(test_agent_bad_xml_named_and_closed),
        t(test_agent_bad_frame_named_and_closed),
        t(test_agent_one_byte_at_a_time_passes),
        t(test_agent_thousand_stanzas_in_one_write_pass),
        t(test_agent_session_classic_login_in_sasl2),
        t(test_agent_session_second_login_waits_for_nothing),
        t(test_agent_session_false_memory_begins_anew),
        t(test_agent_session_lost_link_is_made_again),
        t(test_agent_session_older_tersed_gets_older_frames),
        t(test_agent_session_early_auth_is_taken),
        t(test_agent_session_registration_passes),
        t(test_agent_session_stanza_before_bind_is_refused),
        t(test_agent_session_link_lost_before_bind),
        t(test_agent_session_early_stanza_waits_for_bind),
        t(test_agent_session_tersed_that_cannot_prove_is_left),
        t(test_agent_session_refused_token_ends_it),
        t(test_agent_session_refused_token_then_password),
        t(test_agent_session_that_is_gone_ends_the_stream),
        t(test_agent_session_without_management_ends_with_link),
        t(test_agent_session_conflict_is_the_clients_affair),
        t(test_agent_session_shutdown_is_no_end_with_password),
        t(test_agent_session_acknowledgement_rides),
        t(test_agent_session_says_what_may_wait),
        t(test_agent_session_says_no_more_than_it_wants),
        t(test_agent_session_asks_for_what_is_owed),
        t(test_agent_session_inactive_waits_for_what_may_wait),
        t(test_agent_session_active_waits_no_more),
        t(test_agent_session_too_many_acknowledged_is_error),
        t(test_agent_session_full_outbox_holds_the_client_up),
        t(test_agent_session_client_gone_closes_the_session),
        t(test_agent_session_client_leaves_while_lost),
        t(test_agent_session_client_leaves_and_link_breaks),
        t(test_agent_session_hint_makes_a_new_connection),
        t(test_agent_session_gives_up),
        t(test_agent_session_next_proxy_is_tried),
        t(test_agent_session_returns_to_its_location),
        t(test_agent_session_location_that_is_gone_is_left),
        t(test_agent_session_refused_token_is_good_elsewhere),
        t(test_agent_session_refused_at_its_location_is_over),
        t(test_agent_session_password_is_for_other_places),
        t(test_agent_session_does_not_follow_unasked),
        t(test_agent_session_does_not_follow_to_nowhere),
        cmocka_unit_test(test_agent_table_ends_everywhere),
    };

    return cmocka_run_group_tests_name("agent_session", tests, NULL, NULL);
}
