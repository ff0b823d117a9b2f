/*
 * net_ws_test.c: the accepting side of WebSocket: the HTTP request, message by
 * message, control frames, fragments, closes; and what a peer must not do.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <malloc.h>

#include <cmocka.h>

#include "net/framer.h"
#include "net/http.h"

enum { MAX = 100000 };

static const struct net_ws_rules rules = {
    "/terse", "https://a.example https://b.example:8443"};

/* ---- the request -----------------------------------------------------------
 */

#define LINE "GET /terse HTTP/1.1\r\n"
#define HOST "Host: chat.example\r\n"
#define UPGRADE "Upgrade: websocket\r\nConnection: Upgrade\r\n"
#define VERSION13 "Sec-WebSocket-Version: 13\r\n"
#define KEY "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
#define PROTOCOL "Sec-WebSocket-Protocol: terse.v1\r\n"
#define GOOD LINE HOST UPGRADE VERSION13 KEY PROTOCOL "\r\n"

static int status_of(const char *request, size_t n) {
    struct http_upgrade u;

    http_upgrade((const uint8_t *)request, n, &rules, &u);
    return u.status;
}

static void test_http_requests_get_the_status_that_says_why(void **state) {
    static const struct {
        const char *request;
        int status;
    } cases[] = {
        {GOOD, 101},
        {"GET /terse?x=1 HTTP/1.1\r\n" HOST UPGRADE VERSION13 KEY PROTOCOL
         "\r\n",
         101},
        {LINE "hOST: x\r\nupgrade: h2c, WebSocket\r\n"
              "connection: keep-alive , upgrade\r\n" VERSION13 KEY PROTOCOL
              "\r\n",
         101},
        {LINE HOST UPGRADE VERSION13 KEY
         "Sec-WebSocket-Protocol: x\r\nSec-WebSocket-Protocol: y, "
         "pair.sp.nanomsg.org\r\n\r\n",
         101},
        {LINE HOST UPGRADE VERSION13 KEY PROTOCOL
         "Origin: https://a.example\r\n\r\n",
         101},
        {LINE HOST UPGRADE VERSION13 KEY PROTOCOL
         "Origin: HTTPS://B.example:8443\r\nX: \xc3\xa9\r\n\r\n",
         101},
        /* not for us */
        {LINE HOST UPGRADE VERSION13 KEY PROTOCOL
         "Origin: https://c.example\r\n\r\n",
         403},
        {LINE HOST UPGRADE VERSION13 KEY PROTOCOL
         "Origin: https://a.example.evil\r\n\r\n",
         403},
        {LINE HOST UPGRADE VERSION13 KEY PROTOCOL "Origin: null\r\n\r\n", 403},
        {LINE HOST UPGRADE VERSION13 KEY PROTOCOL "Origin:\r\n\r\n", 403},
        {"GET / HTTP/1.1\r\n" HOST UPGRADE VERSION13 KEY PROTOCOL "\r\n", 404},
        {"GET /terse/ HTTP/1.1\r\n" HOST UPGRADE VERSION13 KEY PROTOCOL "\r\n",
         404},
        {"POST /terse HTTP/1.1\r\n" HOST UPGRADE VERSION13 KEY PROTOCOL "\r\n",
         405},
        {"get /terse HTTP/1.1\r\n" HOST UPGRADE VERSION13 KEY PROTOCOL "\r\n",
         405},
        {LINE HOST "\r\n", 426},
        {LINE HOST UPGRADE KEY PROTOCOL "\r\n", 426},
        {LINE HOST UPGRADE KEY PROTOCOL "Sec-WebSocket-Version: 8\r\n\r\n",
         426},
        {LINE HOST "Upgrade: websocket\r\n" VERSION13 KEY PROTOCOL "\r\n", 426},
        {LINE HOST
         "Connection: Upgrade\r\nUpgrade: h2c\r\n" VERSION13 KEY PROTOCOL
         "\r\n",
         426},
        {"GET /terse HTTP/1.0\r\n" HOST UPGRADE VERSION13 KEY PROTOCOL "\r\n",
         505},
        {"PRI * HTTP/2.0\r\n\r\n", 400},
        /* nothing in common */
        {LINE HOST UPGRADE VERSION13 KEY "\r\n", 400},
        {LINE HOST UPGRADE VERSION13 KEY
         "Sec-WebSocket-Protocol: terse.v2, mqtt\r\n\r\n",
         400},
        /* malformed */
        {LINE UPGRADE VERSION13 KEY PROTOCOL "\r\n", 400},
        {LINE HOST HOST UPGRADE VERSION13 KEY PROTOCOL "\r\n", 400},
        {LINE "Host: a b\r\n" UPGRADE VERSION13 KEY PROTOCOL "\r\n", 400},
        {LINE HOST UPGRADE VERSION13 PROTOCOL "\r\n", 400},
        {LINE HOST UPGRADE VERSION13 KEY KEY PROTOCOL "\r\n", 400},
        {LINE HOST UPGRADE VERSION13 VERSION13 KEY PROTOCOL "\r\n", 400},
        {LINE HOST UPGRADE VERSION13 PROTOCOL
         "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=\r\n\r\n",
         400},
        {LINE HOST UPGRADE VERSION13 PROTOCOL
         "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZR==\r\n\r\n",
         400},
        {LINE HOST UPGRADE VERSION13 PROTOCOL
         "Sec-WebSocket-Key: dGhl!HNhbXBsZSBub25jZQ==\r\n\r\n",
         400},
        {LINE HOST UPGRADE VERSION13 KEY PROTOCOL "Content-Length: 5\r\n\r\n",
         400},
        {LINE HOST UPGRADE VERSION13 KEY PROTOCOL
         "Transfer-Encoding: chunked\r\n\r\n",
         400},
        {LINE HOST UPGRADE VERSION13 KEY PROTOCOL "Host : x\r\n\r\n", 400},
        {LINE HOST UPGRADE VERSION13 KEY PROTOCOL " folded\r\n\r\n", 400},
        {LINE HOST UPGRADE VERSION13 KEY PROTOCOL "no colon\r\n\r\n", 400},
        {LINE HOST UPGRADE VERSION13 KEY PROTOCOL ": empty\r\n\r\n", 400},
        {LINE HOST UPGRADE VERSION13 KEY PROTOCOL "X: a\rb\r\n\r\n", 400},
        {LINE HOST UPGRADE VERSION13 KEY PROTOCOL "X: a\nY: b\r\n\r\n", 400},
        {LINE HOST UPGRADE VERSION13 KEY PROTOCOL "X: \x01\r\n\r\n", 400},
        {LINE HOST UPGRADE VERSION13 KEY PROTOCOL "Origin: a\r\nOrigin: a"
                                                  "\r\n\r\n",
         400},
        {"GET  /terse HTTP/1.1\r\n" HOST "\r\n", 400},
        {"GET /terse\r\n" HOST "\r\n", 400},
        {"GET /terse HTTP/1.1 x\r\n" HOST "\r\n", 400},
        {"GET http://x/terse HTTP/1.1\r\n" HOST "\r\n", 400},
        {"GET /t\xc3\xa9rse HTTP/1.1\r\n" HOST "\r\n", 400},
        {"GET /terse HTTP/11\r\n" HOST "\r\n", 400},
        {"\r\n\r\n", 400},
        {"G\r\n\r\n", 400},
        {"GET /%41 HTTP/1.1\r\n\r\n", 400},
        /* RFC 6455: nothing comes before our answer */
        {GOOD "\x82", 400},
        /* not all of it is here */
        {LINE HOST, 0},
        {"G", 0},
        /* and never will be */
        {"GARBAGE\x02", 400},
        {"PROXY TCP4 a b\r\n", 400},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        if (status_of(cases[i].request, strlen(cases[i].request)) !=
            cases[i].status)
            fail_msg("%d, not %d: %s",
                     status_of(cases[i].request, strlen(cases[i].request)),
                     cases[i].status, cases[i].request);
}

static void test_http_request_too_long_refused(void **state) {
    static char big[20000];
    size_t n;

    (void)state;
    n = (size_t)sprintf(big, LINE HOST UPGRADE VERSION13 KEY PROTOCOL);
    for (int i = 0; i < 58; i++)
        n += (size_t)sprintf(big + n, "X%d: y\r\n", i);
    strcpy(big + n, "\r\n");
    assert_int_equal(status_of(big, n + 2), 101); /* 64 fields */
    strcpy(big + n, "X: y\r\n\r\n");
    assert_int_equal(status_of(big, n + 8), 431);
    memset(big + n, 'a', 10000);
    assert_int_equal(status_of(big, HTTP_HEAD - 1), 0);
    assert_int_equal(status_of(big, HTTP_HEAD), 431);
}

static void test_http_subprotocol_and_key_answered(void **state) {
    struct http_upgrade u;
    char answer[HTTP_ANSWER];
    static const char both[] = LINE HOST UPGRADE VERSION13 KEY
        "Sec-WebSocket-Protocol: pair.sp.nanomsg.org, terse.v1\r\n\r\n";

    (void)state;
    assert_int_equal(
        http_upgrade((const uint8_t *)both, sizeof(both) - 1, &rules, &u),
        sizeof(both) - 1);
    answer[http_answer(&u, answer)] = '\0';
    /* The key and answer of RFC 6455 section 1.3. */
    assert_string_equal(
        answer, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                "Connection: Upgrade\r\n"
                "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
                "Sec-WebSocket-Protocol: terse.v1\r\n\r\n");
    u.status = 426;
    answer[http_answer(&u, answer)] = '\0';
    assert_non_null(strstr(answer, "\r\nSec-WebSocket-Version: 13\r\n"));
    assert_non_null(strstr(answer, "\r\nConnection: close, Upgrade\r\n"));
}

/* ---- frames ----------------------------------------------------------------
 */

struct peer {
    struct net_framer framer;
    char said[65536]; /* what the framer has said */
    size_t n_said;
    char got[4 * MAX]; /* messages, one after the other */
    size_t n_got;
    unsigned messages;
};

static struct peer *peer_new(void) {
    struct peer *p = calloc(1, sizeof(*p));

    assert_non_null(p);
    net_framer_init(&p->framer, NET_FRAMING_DETECT, MAX);
    net_framer_allow(&p->framer, 1U << NET_FRAMING_WS, &rules);
    return p;
}

static void peer_free(struct peer *p) {
    net_framer_fini(&p->framer);
    free(p);
}

static void hear(struct peer *p) {
    size_t n;
    const void *out = net_framer_output(&p->framer, &n);

    assert_true(p->n_said + n <= sizeof(p->said));
    if (n)
        memcpy(p->said + p->n_said, out, n);
    p->n_said += n;
    net_framer_said(&p->framer);
}

static enum net_err take(struct peer *p) {
    const uint8_t *frame;
    size_t n;
    enum net_err err;

    while (!(err = net_framer_next(&p->framer, &frame, &n)) && frame) {
        memcpy(p->got + p->n_got, frame, n);
        p->n_got += n;
        p->messages++;
    }
    return err;
}

static enum net_err send_bytes(struct peer *p, const void *bytes, size_t n) {
    enum net_err err = net_framer_feed(&p->framer, bytes, n);

    return err ? err : take(p);
}

/* One that is past the handshake, of which nothing is left. */
static struct peer *opened(void) {
    struct peer *p = peer_new();

    assert_int_equal(send_bytes(p, GOOD, sizeof(GOOD) - 1), NET_OK);
    assert_true(p->framer.started);
    hear(p);
    assert_memory_equal(p->said, "HTTP/1.1 101 ", 13);
    p->n_said = 0;
    return p;
}

/* A masked frame; returns its length. */
static size_t put(uint8_t *out, uint8_t first, const void *payload, size_t n) {
    static const uint8_t mask[4] = {0x12, 0x00, 0xff, 0x80};
    size_t at = 0;

    out[at++] = first;
    if (n < 126) {
        out[at++] = (uint8_t)(0x80 | n);
    } else {
        out[at++] = 0x80 | (n <= 0xffff ? 126 : 127);
        for (int i = n <= 0xffff ? 1 : 7; i >= 0; i--)
            out[at++] = (uint8_t)((uint64_t)n >> 8 * i);
    }
    memcpy(out + at, mask, 4);
    at += 4;
    for (size_t i = 0; i < n; i++)
        out[at++] = ((const uint8_t *)payload)[i] ^ mask[i % 4];
    return at;
}

static enum net_err send_frame(struct peer *p, uint8_t first,
                               const void *payload, size_t n) {
    uint8_t *frame = malloc(n + 14);
    enum net_err err = send_bytes(p, frame, put(frame, first, payload, n));

    free(frame);
    return err;
}

/* What the framer says last: a close with this code. */
static void expect_close(struct peer *p, uint16_t code) {
    const uint8_t *said;

    p->n_said = 0;
    net_framer_bye(&p->framer, 1000, "");
    hear(p);
    said = (const uint8_t *)p->said;
    assert_true(p->n_said >= 4);
    assert_int_equal(said[0], 0x88);
    assert_int_equal(said[1], p->n_said - 2);
    assert_int_equal(said[2] << 8 | said[3], code);
    p->n_said = 0;
    net_framer_bye(&p->framer, 1011, "again");
    hear(p);
    assert_int_equal(p->n_said, 0); /* one is enough */
}

static void test_ws_messages_of_all_lengths_arrive(void **state) {
    static const size_t sizes[] = {0,    1,    40,    125,   126,
                                   4095, 4096, 65535, 65536, MAX};
    static uint8_t body[MAX];

    (void)state;
    for (size_t i = 0; i < MAX; i++)
        body[i] = (uint8_t)(i * 31 + i / 256);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct peer *p = opened();

        assert_int_equal(send_frame(p, 0x82, body, sizes[i]), NET_OK);
        assert_int_equal(p->messages, 1);
        assert_int_equal(p->n_got, sizes[i]);
        assert_memory_equal(p->got, body, sizes[i]);
        peer_free(p);
    }
}

/* Request, messages in fragments with a ping between them, a close: cut at
 * every byte, and byte by byte. */
static void test_ws_split_anywhere_gives_same_messages(void **state) {
    uint8_t in[1024];
    size_t n = 0;

    (void)state;
    n += put(in + n, 0x82, "one", 3);
    n += put(in + n, 0x02, "t", 1);
    n += put(in + n, 0x89, "ping", 4);
    n += put(in + n, 0x00, "", 0);
    n += put(in + n, 0x80, "wo", 2);
    n += put(in + n, 0x8a, "", 0);
    n += put(in + n, 0x82, "", 0);
    n += put(in + n, 0x82, "", 0);
    n += put(in + n, 0x88,
             "\x03\xe8"
             "bye",
             5);
    for (size_t split = 0; split <= n + 1; split++) {
        struct peer *p = opened();
        enum net_err err = NET_OK;

        if (split > n) {
            for (size_t i = 0; i < n; i++)
                err = send_bytes(p, in + i, 1);
        } else {
            assert_int_not_equal(send_bytes(p, in, split), NET_EFRAMING);
            err = send_bytes(p, in + split, n - split);
        }
        assert_int_equal(err, NET_EEOF);
        assert_int_equal(p->messages, 4);
        assert_int_equal(p->n_got, 6);
        assert_memory_equal(p->got, "onetwo", 6);
        hear(p);
        /* The pong, if it was not overtaken by the close; and its echo. */
        assert_true(p->n_said >= 4);
        assert_memory_equal(p->said + p->n_said - 4, "\x88\x02\x03\xe8", 4);
        assert_int_equal(send_bytes(p, in, n), NET_EEOF);
        peer_free(p);
    }
}

static void test_ws_what_is_not_allowed_is_closed_with_its_code(void **state) {
    static const struct {
        const char *in;
        size_t n;
        uint16_t code;
    } cases[] = {
#define C(text, code) {text, sizeof(text) - 1, code}
        C("\x81\x80\0\0\0\0", 1003),                 /* text */
        C("\x82\x01x", 1002),                        /* not masked */
        C("\xc2\x80\0\0\0\0", 1002),                 /* compressed */
        C("\xa2\x80\0\0\0\0", 1002),                 /* RSV2 */
        C("\x83\x80\0\0\0\0", 1002),                 /* opcode 3 */
        C("\x8b\x80\0\0\0\0", 1002),                 /* opcode 11 */
        C("\x80\x80\0\0\0\0", 1002),                 /* goes on with nothing */
        C("\x02\x80\0\0\0\0\x82\x80\0\0\0\0", 1002), /* begins amid another */
        C("\x09\x80\0\0\0\0", 1002),                 /* a ping in fragments */
        C("\x89\xfe\0\x7e\0\0\0\0", 1002),           /* a ping of 126 bytes */
        C("\x82\xfe\0\x7d\0\0\0\0", 1002),           /* length not shortest */
        C("\x82\xff\0\0\0\0\0\0\0\x7f\0\0\0\0", 1002),
        C("\x82\xff\x80\0\0\0\0\0\0\0\0\0\0\0", 1002),    /* 2^63 */
        C("\x82\xff\0\0\0\0\0\1\x86\xa1\0\0\0\0x", 1009), /* MAX + 1 */
        C("\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff\0\0\0\0x", 1009),
        C("\x88\x81\0\0\0\0\x03", 1002),     /* half a code */
        C("\x88\x82\0\0\0\0\x03\xed", 1002), /* 1005 */
        C("\x88\x82\0\0\0\0\x03\xee", 1002), /* 1006 */
        C("\x88\x82\0\0\0\0\x03\xf7", 1002), /* 1015 */
        C("\x88\x82\0\0\0\0\x00\x00", 1002),
        C("\x88\x82\0\0\0\0\x13\x88", 1002),         /* 5000 */
        C("\x88\x84\0\0\0\0\x03\xe8\xc3\x28", 1007), /* no UTF-8 */
        C("\x88\x85\0\0\0\0\x03\xe8\xed\xa0\x80", 1007),
        C("\x88\x84\0\0\0\0\x03\xe8\xc0\x80", 1007),
        C("\x88\x86\0\0\0\0\x03\xe8\xf4\x90\x80\x80", 1007),
        C("\x88\x83\0\0\0\0\x03\xe8\xe2", 1007),
#undef C
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct peer *p = opened();
        enum net_err err = send_bytes(p, cases[i].in, cases[i].n);

        if (err != NET_EFRAMING && err != NET_ELIMIT)
            fail_msg("case %zu: %d", i, err);
        assert_int_equal(send_bytes(p, "\x82\x80\0\0\0\0", 6), err);
        expect_close(p, cases[i].code);
        peer_free(p);
    }
}

static void test_ws_good_closes_are_echoed(void **state) {
    static const struct {
        const char *payload;
        size_t n;
    } cases[] = {
        {"", 0},
        {"\x03\xe8", 2},
        {"\x03\xe9going", 7},
        {"\x0f\xa0\xf0\x9f\x90\x9f \xe2\x82\xac \xc3\xa9", 13},
        {"\x13\x87", 2},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct peer *p = opened();

        assert_int_equal(send_frame(p, 0x88, cases[i].payload, cases[i].n),
                         NET_EEOF);
        hear(p);
        assert_int_equal(p->n_said, cases[i].n ? 4 : 2);
        if (cases[i].n)
            assert_memory_equal(p->said + 2, cases[i].payload, 2);
        peer_free(p);
    }
}

/* Only the last of many is answered, and what it said is kept in no queue. */
static void test_ws_ping_flood_costs_one_pong(void **state) {
    static uint8_t flood[8192];
    struct peer *p = opened();
    size_t n = 0, before;

    (void)state;
    assert_int_equal(send_frame(p, 0x89, "hello", 5), NET_OK);
    hear(p);
    assert_int_equal(p->n_said, 7);
    assert_memory_equal(p->said, "\x8a\x05hello", 7);
    p->n_said = 0;
    while (n + 140 < sizeof(flood))
        n += put(flood + n, 0x89, flood, 125);
    before = mallinfo2().uordblks;
    for (int i = 0; i < 1000; i++)
        assert_int_equal(send_bytes(p, flood, n), NET_OK);
    assert_true(mallinfo2().uordblks < before + 65536);
    assert_int_equal(send_frame(p, 0x89, "last", 4), NET_OK);
    hear(p);
    assert_int_equal(p->n_said, 6);
    assert_memory_equal(p->said, "\x8a\x04last", 6);
    peer_free(p);
}

static void test_ws_fragments_are_bounded(void **state) {
    static uint8_t chunk[60000];
    struct peer *p = opened();
    enum net_err err;

    (void)state;
    assert_int_equal(send_frame(p, 0x02, "", 0), NET_OK);
    for (int i = 1; i < 256; i++)
        assert_int_equal(send_frame(p, 0x00, "", 0), NET_OK);
    assert_int_equal(send_frame(p, 0x00, "", 0), NET_ELIMIT);
    expect_close(p, 1008);
    peer_free(p);

    p = opened(); /* too long only together */
    assert_int_equal(send_frame(p, 0x02, chunk, sizeof(chunk)), NET_OK);
    err = send_frame(p, 0x80, chunk, sizeof(chunk));
    assert_int_equal(err, NET_ELIMIT);
    expect_close(p, 1009);
    assert_int_equal(p->messages, 0);
    peer_free(p);
}

/* A length that is only announced costs nothing. */
static void test_ws_memory_comes_with_the_bytes(void **state) {
    struct peer *p = opened();
    size_t before = mallinfo2().uordblks;

    (void)state;
    assert_int_equal(send_bytes(p, "\x82\xff\0\0\0\0\0\1\x86\xa0\0\0\0\0x", 15),
                     NET_OK);
    assert_true(mallinfo2().uordblks < before + 4096);
    peer_free(p);
}

/* ---- our close -------------------------------------------------------------
 */

static void test_ws_our_close_waits_for_theirs(void **state) {
    static const uint8_t half[] = "\x82\x8a\0\0\0\0 half";
    struct peer *p = opened();
    uint8_t frame[64];
    size_t n = put(frame, 0x88, "\x03\xe8", 2);

    (void)state;
    assert_int_equal(send_bytes(p, half, sizeof(half) - 1), NET_OK);
    net_framer_bye(&p->framer, 1013, "try again later");
    hear(p);
    assert_memory_equal(p->said, "\x88\x11\x03\xf5try again later", 19);
    assert_true(framer_ends(&p->framer));
    assert_false(framer_ended(&p->framer, half + 11, 0));
    assert_false(framer_ended(&p->framer, (const uint8_t *)"rest5", 5));
    assert_false(framer_ended(&p->framer, frame, 3));
    assert_true(framer_ended(&p->framer, frame + 3, n - 3));
    peer_free(p);

    p = opened(); /* after a message that was too long, too */
    assert_int_equal(send_bytes(p, "\x82\xff\0\0\0\0\0\1\x86\xa1\0\0\0\0x", 15),
                     NET_ELIMIT);
    expect_close(p, 1009);
    assert_true(framer_ends(&p->framer));
    for (size_t left = MAX; left; left -= left < 1000 ? left : 1000) {
        static uint8_t zeroes[1000];

        assert_false(
            framer_ended(&p->framer, zeroes, left < 1000 ? left : 1000));
    }
    assert_true(framer_ended(&p->framer, frame, n));
    peer_free(p);
}

/* Found by fuzzing: a control frame that was refused went on to be collected,
 * behind the one before it. */
static void test_ws_refused_control_frame_is_not_collected(void **state) {
    uint8_t payload[125] = {0}, frame[256];
    struct peer *p = opened();
    size_t n = put(frame, 0x88, "\x03\xe8", 2);

    (void)state;
    assert_int_equal(send_frame(p, 0x89, payload, 125), NET_OK);
    assert_int_equal(put(frame + n, 0xc9, payload, 125), 131);
    assert_int_equal(send_bytes(p, frame + n, 20), NET_EFRAMING);
    expect_close(p, 1002);
    assert_true(framer_ends(&p->framer));
    assert_false(framer_ended(&p->framer, frame + n + 20, 131 - 20));
    assert_true(framer_ended(&p->framer, frame, n));
    peer_free(p);
}

static void test_ws_refused_handshake_says_status(void **state) {
    static const struct {
        const char *in;
        uint16_t code;
        const char *want;
    } cases[] = {
        {"GET /elsewhere HTTP/1.1\r\n" HOST "\r\n", 1007, "HTTP/1.1 404 "},
        {"DELETE /terse HTTP/1.1\r\n" HOST "\r\n", 1007, "HTTP/1.1 405 "},
        {"GET /terse HT", 1008, "HTTP/1.1 408 "},
        {"GET /terse HT", 1001, "HTTP/1.1 503 "},
        {"GET /terse HT", 1013, "HTTP/1.1 503 "},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct peer *p = peer_new();
        enum net_err err = send_bytes(p, cases[i].in, strlen(cases[i].in));

        assert_int_equal(err, i < 2 ? NET_EFRAMING : NET_OK);
        assert_false(p->framer.started);
        net_framer_bye(&p->framer, cases[i].code, "");
        hear(p);
        assert_memory_equal(p->said, cases[i].want, strlen(cases[i].want));
        peer_free(p);
    }
}

/* ---- which bindings --------------------------------------------------------
 */

static void test_framer_takes_only_what_is_allowed(void **state) {
    static const struct {
        const char *in;
        size_t n;
        enum net_framing framing;
    } cases[] = {
        {"TRS1", 4, NET_FRAMING_NATIVE},
        {"\0SP\0\0\x10\0\0", 8, NET_FRAMING_SP},
        {GOOD, sizeof(GOOD) - 1, NET_FRAMING_WS},
    };

    (void)state;
    for (unsigned allowed = 0; allowed < 16; allowed += 2)
        for (size_t i = 0; i < 3; i++) {
            struct peer *p = peer_new();
            bool good = allowed & 1U << cases[i].framing;

            net_framer_allow(&p->framer, allowed, &rules);
            assert_int_equal(send_bytes(p, cases[i].in, cases[i].n),
                             good ? NET_OK : NET_EFRAMING);
            assert_int_equal(p->framer.started, good);
            peer_free(p);
        }
}

static void test_ws_header_of_what_we_send(void **state) {
    static const struct {
        size_t n, used;
        const char *want;
    } cases[] = {
        {0, 2, "\x82\x00"},
        {125, 2, "\x82\x7d"},
        {126, 4, "\x82\x7e\x00\x7e"},
        {65535, 4, "\x82\x7e\xff\xff"},
        {65536, 10, "\x82\x7f\0\0\0\0\0\1\0\0"},
    };
    struct peer *p = opened();

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint8_t header[NET_HEADER_MAX];

        assert_int_equal(net_framer_header(&p->framer, cases[i].n, header),
                         cases[i].used);
        assert_memory_equal(header, cases[i].want, cases[i].used);
    }
    peer_free(p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_http_requests_get_the_status_that_says_why),
        cmocka_unit_test(test_http_request_too_long_refused),
        cmocka_unit_test(test_http_subprotocol_and_key_answered),
        cmocka_unit_test(test_ws_messages_of_all_lengths_arrive),
        cmocka_unit_test(test_ws_split_anywhere_gives_same_messages),
        cmocka_unit_test(test_ws_what_is_not_allowed_is_closed_with_its_code),
        cmocka_unit_test(test_ws_good_closes_are_echoed),
        cmocka_unit_test(test_ws_ping_flood_costs_one_pong),
        cmocka_unit_test(test_ws_fragments_are_bounded),
        cmocka_unit_test(test_ws_memory_comes_with_the_bytes),
        cmocka_unit_test(test_ws_our_close_waits_for_theirs),
        cmocka_unit_test(test_ws_refused_control_frame_is_not_collected),
        cmocka_unit_test(test_ws_refused_handshake_says_status),
        cmocka_unit_test(test_framer_takes_only_what_is_allowed),
        cmocka_unit_test(test_ws_header_of_what_we_send),
    };

    return cmocka_run_group_tests_name("net_ws", tests, NULL, NULL);
}
