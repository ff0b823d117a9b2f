/* net_framer_test.c: both framings, split at every point, and hostile bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "net/net.h"

enum { MAX = 1000, FRAMES = 5 };
static const size_t sizes[FRAMES] = {1, 127, 128, 999, 1000};

/* What the dialling side sends for frames of these sizes; returns its length.
 */
static size_t make_stream(enum net_framing framing, uint8_t *out) {
    struct net_framer f;
    size_t n, at = 0;
    const void *hello;

    net_framer_init(&f, framing, MAX);
    hello = net_framer_hello(&f, true, &n);
    memcpy(out, hello, n);
    at += n;
    for (size_t i = 0; i < FRAMES; i++) {
        at += net_framer_header(&f, sizes[i], out + at);
        memset(out + at, (int)('a' + i), sizes[i]);
        at += sizes[i];
    }
    net_framer_fini(&f);
    return at;
}

/* Takes all frames that are there; returns how many, checked against sizes. */
static size_t take_all(struct net_framer *f, size_t seen) {
    const uint8_t *frame;
    size_t n;

    for (;;) {
        assert_int_equal(net_framer_next(f, &frame, &n), NET_OK);
        if (!frame)
            return seen;
        assert_true(seen < FRAMES);
        assert_int_equal(n, sizes[seen]);
        for (size_t i = 0; i < n; i++)
            assert_int_equal(frame[i], 'a' + seen);
        seen++;
    }
}

static void check_split(enum net_framing framing, size_t split) {
    uint8_t stream[4096];
    size_t n = make_stream(framing, stream), seen;
    struct net_framer f;

    net_framer_init(&f, NET_FRAMING_DETECT, MAX);
    assert_int_equal(net_framer_feed(&f, stream, split), NET_OK);
    seen = take_all(&f, 0);
    assert_int_equal(net_framer_feed(&f, stream + split, n - split), NET_OK);
    seen = take_all(&f, seen);
    assert_int_equal(seen, FRAMES);
    assert_int_equal(f.framing, framing);
    assert_int_equal(f.len, 0);
    net_framer_fini(&f);
}

static void test_framer_split_anywhere_gives_same_frames(void **state) {
    uint8_t stream[4096];

    (void)state;
    for (int framing = NET_FRAMING_NATIVE; framing <= NET_FRAMING_SP;
         framing++) {
        size_t n = make_stream((enum net_framing)framing, stream);

        for (size_t split = 0; split <= n; split++)
            check_split((enum net_framing)framing, split);
    }
}

static void test_framer_one_byte_at_a_time_gives_same_frames(void **state) {
    uint8_t stream[4096];

    (void)state;
    for (int framing = NET_FRAMING_NATIVE; framing <= NET_FRAMING_SP;
         framing++) {
        size_t n = make_stream((enum net_framing)framing, stream), seen = 0;
        struct net_framer f;

        net_framer_init(&f, NET_FRAMING_DETECT, MAX);
        for (size_t i = 0; i < n; i++) {
            assert_int_equal(net_framer_feed(&f, stream + i, 1), NET_OK);
            seen = take_all(&f, seen);
        }
        assert_int_equal(seen, FRAMES);
        net_framer_fini(&f);
    }
}

/* Feeds bytes to an accepting side; returns the error of feed or next. */
static enum net_err refuse(const void *bytes, size_t n) {
    const uint8_t *frame;
    size_t len;
    struct net_framer f;
    enum net_err err;

    net_framer_init(&f, NET_FRAMING_DETECT, MAX);
    err = net_framer_feed(&f, bytes, n);
    while (!err) {
        err = net_framer_next(&f, &frame, &len);
        if (!err && !frame)
            break;
    }
    /* For good. */
    if (err)
        assert_int_equal(net_framer_next(&f, &frame, &len), err);
    net_framer_fini(&f);
    return err;
}

static void test_framer_hostile_bytes_refused(void **state) {
    static const struct {
        const char *bytes;
        size_t n;
        enum net_err err;
    } rows[] = {
        {"<", 1, NET_EFRAMING},   /* XML: refused at the first byte */
        {"GET", 3, NET_EFRAMING}, /* HTTP */
        {"\x16\x03", 2, NET_EFRAMING},
        {"TRS2", 4, NET_EFRAMING}, /* another version */
        {"TRS1", 4, NET_OK},
        {"\0SP\0\0\x11\0\0", 8, NET_EFRAMING}, /* pair1 */
        {"\0SP\1", 4, NET_EFRAMING},
        {"\0SP\0\0\x10\0\1", 8, NET_EFRAMING},
        {"TRS1\xe8\x07", 6, NET_OK},                   /* 1000, no body yet */
        {"TRS1\xe9\x07", 6, NET_ELIMIT},               /* 1001 */
        {"TRS1\x80\x00", 6, NET_EFRAMING},             /* overlong 0 */
        {"TRS1\x81\x80\x00", 7, NET_EFRAMING},         /* overlong 1 */
        {"TRS1\xff\xff\xff\xff\x0f", 9, NET_ELIMIT},   /* 2^32 - 1 */
        {"TRS1\xff\xff\xff\xff\x7f", 9, NET_ELIMIT},   /* 2^35 - 1 */
        {"TRS1\x80\x80\x80\x80\x80", 9, NET_EFRAMING}, /* sixth byte */
        {"\0SP\0\0\x10\0\0\0\0\0\0\0\0\x03\xe8", 16, NET_OK},
        {"\0SP\0\0\x10\0\0\0\0\0\0\0\0\x03\xe9", 16, NET_ELIMIT},
        {"\0SP\0\0\x10\0\0\xff\xff\xff\xff\xff\xff\xff\xff", 16, NET_ELIMIT},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (refuse(rows[i].bytes, rows[i].n) != rows[i].err)
            fail_msg("row %zu: %s", i, net_strerror(rows[i].err));
}

static void test_framer_body_without_taker_bounded(void **state) {
    static uint8_t chunk[65536];
    struct net_framer f;
    size_t fed = 0;

    (void)state;
    net_framer_init(&f, NET_FRAMING_DETECT, MAX);
    while (net_framer_feed(&f, chunk, sizeof(chunk)) == NET_OK)
        fed += sizeof(chunk);
    assert_true(fed <= 512 * 1024);
    assert_int_equal(f.err, NET_ELIMIT);
    net_framer_fini(&f);
}

static void test_framer_hello_says_who_speaks_first(void **state) {
    struct net_framer f;
    size_t n;

    (void)state;
    net_framer_init(&f, NET_FRAMING_DETECT, MAX);
    net_framer_hello(&f, false, &n);
    assert_int_equal(n, 0); /* nothing before the peer has shown itself */
    assert_int_equal(net_framer_feed(&f, "\0", 1), NET_OK);
    assert_int_equal(take_all(&f, 0), 0);
    assert_false(f.started);
    assert_int_equal(net_framer_feed(&f, "SP\0\0\x10\0\0", 7), NET_OK);
    assert_int_equal(take_all(&f, 0), 0);
    assert_true(f.started);
    assert_memory_equal(net_framer_hello(&f, false, &n), "\0SP\0\0\x10\0\0", 8);
    assert_int_equal(n, 8);
    net_framer_fini(&f);
}

static void test_address_forms_parsed_or_refused(void **state) {
    static const struct {
        const char *text, *host;
        uint16_t port, def;
    } rows[] = {
        {"127.0.0.1:80", "127.0.0.1", 80, 0},
        {"[::1]:5222", "::1", 5222, 0},
        {"*:1", "*", 1, 0},
        {"im.example.net", "im.example.net", 5222, 5222},
        {"im.example.net", NULL, 0, 0},
        {"[::1]", "::1", 7, 7},
        {"[::1", NULL, 0, 7},
        {"::1", NULL, 0, 7},
        {"a:65536", NULL, 0, 0},
        {"a:-1", NULL, 0, 0},
        {"a:", NULL, 0, 0},
        {":80", NULL, 0, 0},
        {"a/b:80", NULL, 0, 0},
        {"a b:80", NULL, 0, 0},
        {"a@b:80", NULL, 0, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char host[256];
        uint16_t port;
        enum net_err err =
            net_parse_address(rows[i].text, host, &port, rows[i].def);

        if (!rows[i].host) {
            assert_int_equal(err, NET_EARG);
            continue;
        }
        assert_int_equal(err, NET_OK);
        assert_string_equal(host, rows[i].host);
        assert_int_equal(port, rows[i].port);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_framer_split_anywhere_gives_same_frames),
        cmocka_unit_test(test_framer_one_byte_at_a_time_gives_same_frames),
        cmocka_unit_test(test_framer_hostile_bytes_refused),
        cmocka_unit_test(test_framer_body_without_taker_bounded),
        cmocka_unit_test(test_framer_hello_says_who_speaks_first),
        cmocka_unit_test(test_address_forms_parsed_or_refused),
    };

    return cmocka_run_group_tests_name("net_framer", tests, NULL, NULL);
}
