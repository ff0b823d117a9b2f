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
#include <signal.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

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
    char *xml;         /* the last frame that tersed got, as XML */
    char heard[65536]; /* what the client has read */
    size_t n_heard;
};

static void set_timeout(int fd) {
    struct timeval tv = {20, 0};

    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv));
}

static int set_up(void **state) {
    struct world *w = calloc(1, sizeof(*w));
    struct sockaddr_in sa = {.sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(sa);

    signal(SIGPIPE, SIG_IGN);
    w->client = w->proxy = -1;
    w->listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(w->listening, (struct sockaddr *)&sa, len), 0);
    assert_int_equal(listen(w->listening, 4), 0);
    assert_int_equal(getsockname(w->listening, (struct sockaddr *)&sa, &len),
                     0);
    set_timeout(w->listening);
    pthread_mutex_init(&w->agent.lock, NULL);
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&w->agent.left, &attr);
    pthread_condattr_destroy(&attr);
    strcpy(w->agent.proxies[0].host, "127.0.0.1");
    w->agent.proxies[0].port = ntohs(sa.sin_port);
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
    size_t piece;
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
    net_framer_init(&f, NET_FRAMING_NATIVE, 1 << 24);
    send_all(e->w->proxy, header, net_framer_header(&f, frame.len, header),
             e->piece);
    send_all(e->w->proxy, terse_buf_data(&frame), frame.len, e->piece);
    terse_buf_fini(&frame);
    return TERSE_OK;
}

static void proxy_says(struct world *w, bool header, const char *xml,
                       size_t piece) {
    struct encoder e = {w, header, piece};
    struct terse_reader *r;

    assert_int_equal(terse_reader_new(&r, w->agent.schema,
                                      &terse_limits_default, encode_event, &e),
                     TERSE_OK);
    assert_int_equal(terse_reader_feed(r, HEADER, strlen(HEADER)), TERSE_OK);
    assert_int_equal(terse_reader_feed(r, xml, strlen(xml)), TERSE_OK);
    terse_reader_free(r);
}

static void read_exactly(int fd, void *p, size_t n) {
    assert_int_equal(recv(fd, p, n, MSG_WAITALL), n);
}

/* The next frame as XML, "(close)" or "(end)". */
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

static void open_stream(struct world *w) {
    dial_client(w);
    client_says(w, HEADER);
    w->proxy = accept(w->listening, NULL, NULL);
    assert_true(w->proxy >= 0);
    set_timeout(w->proxy);
    expect(w, "im.example.net");
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
    dial_client(w);
    client_says(w, HEADER);
    client_hears(w, "<stream:stream");
    client_hears(w, "from='im.example.net'");
    client_hears(w, "remote-connection-failed");
    client_hears(w, "</stream:stream>");
}

/* What comes in the same packet as the header is not lost. */
static void test_agent_all_that_comes_with_header_passes(void **state) {
    struct world *w = *state;

    w->agent.transparent = true;
    dial_client(w);
    client_says(w, HEADER "<presence/><message><body>early</body></message>"
                          "</stream:stream>");
    w->proxy = accept(w->listening, NULL, NULL);
    set_timeout(w->proxy);
    expect(w, "im.example.net");
    expect(w, "<presence");
    expect(w, "early");
    expect(w, "(close)");
    proxy_says(w, true, "</stream:stream>", SIZE_MAX);
    client_hears(w, "</stream:stream>");
}

/* The same, if it takes features to know that all is to pass. */
static void test_agent_what_came_with_header_waits_for_features(void **state) {
    struct world *w = *state;

    dial_client(w);
    client_says(w, HEADER "<presence/><message><body>early</body></message>"
                          "</stream:stream>");
    w->proxy = accept(w->listening, NULL, NULL);
    set_timeout(w->proxy);
    expect(w, "im.example.net");
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
        cmocka_unit_test(test_agent_table_ends_everywhere),
    };

    return cmocka_run_group_tests_name("agent_session", tests, NULL, NULL);
}
