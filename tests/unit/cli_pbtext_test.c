/*
 * cli_pbtext_test.c: frames as Protobuf text, byte for byte as protoc has it.
 */
#include "cli/pbtext.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <terse.pb-c.h>

#include <cmocka.h>

static enum terse_err print(const char *bytes, size_t n, char *out,
                            size_t cap) {
    struct terse_buf buf;
    terse_buf_init(&buf, cap - 1);
    enum terse_err err =
        pbtext_print(&terse__frame__descriptor, bytes, n, &buf);
    if (buf.len)
        memcpy(out, terse_buf_data(&buf), buf.len);
    out[buf.len] = '\0';
    terse_buf_fini(&buf);
    return err;
}

static void test_pbtext_fields_are_in_order_of_the_wire(void **state) {
    char text[400];
    (void)state;
    /* message { body, to, type = GROUPCHAT } */
    static const char frame[] = "\x0a\x0c\x42\x02\"\n\x0a\x04"
                                "a\xc3\xa9\x01\x18\x01";
    assert_int_equal(print(frame, sizeof(frame) - 1, text, sizeof(text)),
                     TERSE_OK);
    assert_string_equal(text, "message {\n"
                              "  body: \"\\\"\\n\"\n"
                              "  to: \"a\\303\\251\\001\"\n"
                              "  type: GROUPCHAT\n"
                              "}\n");
}

static void test_pbtext_unknown_is_printed_by_number(void **state) {
    char text[400];
    (void)state;
    /* presence { 30000: 5, 29999: "x", 29998: fixed32, 29997: fixed64 } */
    static const char whole[] = "\x12\x1b"
                                "\x80\xd3\x0e\x05"
                                "\xfa\xd2\x0e\x01x"
                                "\xf5\xd2\x0e\x01\x00\x00\x00"
                                "\xe9\xd2\x0e\x02\x00\x00\x00\x00\x00\x00\x00";
    assert_int_equal(print(whole, sizeof(whole) - 1, text, sizeof(text)),
                     TERSE_OK);
    assert_string_equal(text, "presence {\n"
                              "  30000: 5\n"
                              "  29999: \"x\"\n"
                              "  29998: 0x00000001\n"
                              "  29997: 0x0000000000000002\n"
                              "}\n");
}

static void test_pbtext_signed_numbers(void **state) {
    char text[400];
    (void)state;
    static const char frame[] = "\x12\x02\x50\x01"; /* presence.priority */
    assert_int_equal(print(frame, 4, text, sizeof(text)), TERSE_OK);
    assert_string_equal(text, "presence {\n  priority: -1\n}\n");
}

static void test_pbtext_damage_is_an_error(void **state) {
    static const struct {
        const char *p;
        size_t n;
    } bad[] = {
        {"\x0a", 1},     {"\x0a\x05", 2}, {"\x00\x00", 2},
        {"\x0b\x0c", 2}, {"\xff\xff", 2}, {"\x0a\x02\x42\x09", 4},
    };
    char text[400];
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(print(bad[i].p, bad[i].n, text, sizeof(text)),
                         TERSE_EFRAME);
}

static void test_pbtext_deep_nesting_is_limited(void **state) {
    /* rest { child { child { ..., each with its own length */
    uint8_t frame[600];
    char text[65536];
    size_t at = sizeof(frame), n = 0;
    (void)state;
    for (int i = 0; i < 200; i++) {
        if (n >= 0x80) {
            frame[--at] = (uint8_t)(n >> 7);
            frame[--at] = (uint8_t)((n & 0x7f) | 0x80);
        } else {
            frame[--at] = (uint8_t)n;
        }
        frame[--at] = i == 199 ? 0x7a : 0x3a;
        n = sizeof(frame) - at;
        assert_true(at > 4);
    }
    assert_int_equal(print((const char *)frame + at, n, text, sizeof(text)),
                     TERSE_ELIMIT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pbtext_fields_are_in_order_of_the_wire),
        cmocka_unit_test(test_pbtext_unknown_is_printed_by_number),
        cmocka_unit_test(test_pbtext_signed_numbers),
        cmocka_unit_test(test_pbtext_damage_is_an_error),
        cmocka_unit_test(test_pbtext_deep_nesting_is_limited),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
