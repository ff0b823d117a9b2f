/* net_ends_test.c: the PROXY protocol, cut anywhere, hostile, and written; and
 * ranges of addresses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "net/net.h"

#define SIGN "\r\n\r\n\0\r\nQUIT\n"

struct text {
    const char *p;
    size_t n;
};
#define T(literal)                                                             \
    { literal, sizeof(literal) - 1 }

/* ---- reading ---------------------------------------------------------------
 */

static void test_proxy_headers_read_and_cut_anywhere(void **state) {
    static const struct {
        struct text in;
        const char *from, *to;
        uint16_t from_port, to_port;
    } cases[] = {
        {T("PROXY TCP4 192.0.2.1 198.51.100.7 56324 5333\r\n"), "192.0.2.1",
         "198.51.100.7", 56324, 5333},
        {T("PROXY TCP4 0.0.0.0 255.255.255.255 0 65535\r\n"), "0.0.0.0",
         "255.255.255.255", 0, 65535},
        {T("PROXY TCP6 2001:DB8::1 ::1 1 2\r\n"), "2001:db8::1", "::1", 1, 2},
        {T("PROXY UNKNOWN\r\n"), "", "", 0, 0},
        {T("PROXY UNKNOWN what ever this is\r\n"), "", "", 0, 0},
        {T(SIGN "\x21\x11\0\x0c\xc0\0\2\1\xc6\x33\x64\7\xdc\4\x14\xd5"),
         "192.0.2.1", "198.51.100.7", 56324, 5333},
        {T(SIGN "\x21\x21\0\x24 \1\r\xb8\0\0\0\0\0\0\0\0\0\0\0\1"
                "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\0\1\0\2"),
         "2001:db8::1", "::1", 1, 2},
        /* extensions are passed over */
        {T(SIGN "\x21\x11\0\x10\xc0\0\2\1\xc6\x33\x64\7\xdc\4\x14\xd5"
                "\4\0\1x"),
         "192.0.2.1", "198.51.100.7", 56324, 5333},
        /* the load balancer itself; a socket of UNIX; something unknown */
        {T(SIGN "\x20\0\0\0"), "", "", 0, 0},
        {T(SIGN "\x20\x11\0\x0c\xc0\0\2\1\xc6\x33\x64\7\xdc\4\x14\xd5"), "", "",
         0, 0},
        {T(SIGN "\x21\0\0\0"), "", "", 0, 0},
        {T(SIGN "\x21\x31\0\2xx"), "", "", 0, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint8_t in[256];
        size_t n = cases[i].in.n, used;
        struct net_ends ends;

        memcpy(in, cases[i].in.p, n);
        memcpy(in + n, "\x16TLS", 4);
        for (size_t cut = 0; cut < n; cut++) {
            assert_int_equal(net_proxy_read(in, cut, &used, &ends), NET_OK);
            assert_int_equal(used, 0);
        }
        assert_int_equal(net_proxy_read(in, n + 4, &used, &ends), NET_OK);
        assert_int_equal(used, n);
        assert_string_equal(ends.from, cases[i].from);
        assert_string_equal(ends.to, cases[i].to);
        assert_int_equal(ends.from_port, cases[i].from_port);
        assert_int_equal(ends.to_port, cases[i].to_port);
        assert_int_equal(ends.known, cases[i].from[0] != 0);
    }
}

static void test_proxy_headers_that_are_none_refused(void **state) {
    static const struct text cases[] = {
        T("TRS1"),
        T("\x16\3\1"),
        T("GET / HTTP/1.1\r\n"),
        T("P R"),
        T("PROXY\r\n"),
        T("PROXY TCP4\r\n"),
        T("PROXY UNKNOWNX\r\n"),
        T("PROXY TCP4 192.0.2.1 198.51.100.7 56324\r\n"),
        T("PROXY TCP4 192.0.2.1 198.51.100.7 56324 5333 \r\n"),
        T("PROXY TCP4 192.0.2.1 198.51.100.7 56324 5333 x\r\n"),
        T("PROXY TCP4  192.0.2.1 198.51.100.7 56324 5333\r\n"),
        T("PROXY TCP4 192.0.2.256 198.51.100.7 56324 5333\r\n"),
        T("PROXY TCP4 192.0.2.1 198.51.100.7 56324 65536\r\n"),
        T("PROXY TCP4 192.0.2.1 198.51.100.7 056324 5333\r\n"),
        T("PROXY TCP4 192.0.2.1 198.51.100.7 +1 5333\r\n"),
        T("PROXY TCP4 ::1 ::1 1 2\r\n"),
        T("PROXY TCP6 1.2.3.4 ::1 1 2\r\n"),
        T("PROXY TCP5 1.2.3.4 1.2.3.4 1 2\r\n"),
        T("proxy TCP4 1.2.3.4 1.2.3.4 1 2\r\n"),
        T("PROXY TCP4 1.2.3.4\0 1.2.3.4 1 2\r\n"),
        T("PROXY TCP4 1.2.3.4 1.2.3.4 1 2\n\r\n"),
        T("\r\n\r\n\0\r\nQUIX"),
        T(SIGN "\x11\x11\0\x0c"),
        T(SIGN "\x22\x11\0\x0c"),
        T(SIGN "\x21\x11\xff\xff"),
        T(SIGN "\x21\x11\0\x0bxxxxxxxxxxx"), /* too short for its addresses */
        T(SIGN "\x21\x21\0\x0cxxxxxxxxxxxx"),
    };
    static char endless[300] = "PROXY UNKNOWN ";
    struct net_ends ends;
    size_t used;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        if (net_proxy_read((const uint8_t *)cases[i].p, cases[i].n, &used,
                           &ends) != NET_EFRAMING)
            fail_msg("case %zu: %s", i, cases[i].p);
    memset(endless + 14, 'x', sizeof(endless) - 14);
    assert_int_equal(
        net_proxy_read((const uint8_t *)endless, 106, &used, &ends), NET_OK);
    assert_int_equal(
        net_proxy_read((const uint8_t *)endless, 107, &used, &ends),
        NET_EFRAMING);
}

/* ---- writing ---------------------------------------------------------------
 */

static void test_proxy_header_written_is_read_again(void **state) {
    static const struct net_ends cases[] = {
        {true, "192.0.2.1", "198.51.100.7", 56324, 5333},
        {true, "2001:db8::1", "fe80::1:2", 65535, 1},
        {true, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
         "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 65535, 65535},
        {false, "", "", 0, 0},
        {true, "192.0.2.1", "::1", 1, 2}, /* of two families: nothing to say */
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        for (unsigned version = 1; version <= 2; version++) {
            uint8_t out[NET_PROXY_MAX];
            size_t n = net_proxy_write(out, version, &cases[i]), used;
            struct net_ends ends;

            assert_true(n <= NET_PROXY_MAX);
            assert_int_equal(net_proxy_read(out, n, &used, &ends), NET_OK);
            assert_int_equal(used, n);
            assert_int_equal(out[0], version == 1 ? 'P' : '\r');
            assert_int_equal(ends.known, i < 3);
            if (i >= 3)
                continue;
            assert_string_equal(ends.from, cases[i].from);
            assert_string_equal(ends.to, cases[i].to);
            assert_int_equal(ends.from_port, cases[i].from_port);
            assert_int_equal(ends.to_port, cases[i].to_port);
        }
}

/* ---- ranges ----------------------------------------------------------------
 */

static void test_range_holds_what_it_says(void **state) {
    static const struct {
        const char *range, *addr;
        bool has;
    } cases[] = {
        {"127.0.0.1", "127.0.0.1", true},
        {"127.0.0.1", "127.0.0.2", false},
        {"10.0.0.0/8", "10.255.1.2", true},
        {"10.0.0.0/8", "11.0.0.0", false},
        {"10.128.0.0/9", "10.128.0.1", true},
        {"10.128.0.0/9", "10.127.255.255", false},
        {"0.0.0.0/0", "203.0.113.9", true},
        {"0.0.0.0/0", "2001:db8::1", false},
        {"::/0", "203.0.113.9", true},
        {"2001:db8::/33", "2001:db8:7fff::1", true},
        {"2001:db8::/33", "2001:db8:8000::1", false},
        {"192.0.2.0/24", "::ffff:192.0.2.77", true},
        {"::1", "::1", true},
        {"192.0.2.4/31", "192.0.2.5", true},
        {"192.0.2.4/31", "192.0.2.6", false},
        {"192.0.2.0/24", "garbage", false},
    };
    static const char *const wrong[] = {
        "",          "10",          "10.0.0.0/33", "10.0.0.1/8",
        "::1/129",   "10.0.0.0/",   "10.0.0.0/x",  "/8",
        "a.example", "10.0.0.0/-1", "10.0.0.0/8 ", "10.0.0.0/08"};
    struct net_range range;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(net_range_parse(cases[i].range, &range), NET_OK);
        if (net_range_has(&range, cases[i].addr) != cases[i].has)
            fail_msg("%s %s", cases[i].range, cases[i].addr);
    }
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        if (net_range_parse(wrong[i], &range) != NET_EARG)
            fail_msg("%s", wrong[i]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_proxy_headers_read_and_cut_anywhere),
        cmocka_unit_test(test_proxy_headers_that_are_none_refused),
        cmocka_unit_test(test_proxy_header_written_is_read_again),
        cmocka_unit_test(test_range_holds_what_it_says),
    };

    return cmocka_run_group_tests_name("net_ends", tests, NULL, NULL);
}
