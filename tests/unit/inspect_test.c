/* inspect_test.c: a frame as a tree for people, whatever its bytes are. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "codec/text.h"
#include "tests/unit/codec_util.h"

static struct terse_schema *schema;

static int setup(void **state) {
    (void)state;
    return terse_schema_new(&schema) == TERSE_OK ? 0 : 1;
}

static int teardown(void **state) {
    (void)state;
    terse_schema_free(schema);
    return 0;
}

static void encode(const char *xml, struct terse_buf *frame) {
    struct terse_error error;
    terse_buf_init(frame, SIZE_MAX / 4);
    assert_int_equal(
        codec_encode(schema, &codec_wide, xml, strlen(xml), frame, &error),
        TERSE_OK);
}

static void test_inspect_shows_fields_items_and_values(void **state) {
    struct terse_buf frame, out;
    (void)state;
    encode("<message to='a@b' type='chat' id='007'><body>hi there</body>"
           "<q xmlns='urn:zzz'/></message>",
           &frame);
    terse_buf_init(&out, SIZE_MAX / 4);
    assert_int_equal(
        terse_inspect(schema, terse_buf_data(&frame), frame.len, &out),
        TERSE_OK);
    assert_int_equal(terse_buf_append(&out, "", 1), TERSE_OK);
    const char *s = (const char *)terse_buf_data(&out);
    assert_non_null(strstr(s, "message <message>"));
    assert_non_null(strstr(s, "to @to"));
    assert_non_null(strstr(s, "\"a@b\""));
    assert_non_null(strstr(s, "\"chat\""));
    assert_non_null(strstr(s, "\"007\""));
    assert_non_null(strstr(s, "body <body>"));
    assert_non_null(strstr(s, "\"hi there\""));
    assert_non_null(strstr(s, "urn:zzz"));
    terse_buf_fini(&frame);
    terse_buf_fini(&out);
}

/* Nothing of a hostile frame may reach a terminal as it is. */
static void test_inspect_prints_text_only(void **state) {
    static const char *const bad[] = {
        "\x0a\x05\x0a\x03\x1b[H",
        "\x0a\x03\x0a\x01\xff",
        "\x0a\x04\x0a\x02\r\n",
    };
    struct terse_buf out;
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        terse_buf_init(&out, 10000);
        assert_int_equal(terse_inspect(schema, bad[i], strlen(bad[i]), &out),
                         TERSE_OK);
        struct terse_str s = {(const char *)terse_buf_data(&out), out.len};
        assert_true(text_is_xml(s));
        assert_null(memchr(s.p, '\r', s.n));
        terse_buf_fini(&out);
    }
}

static void test_inspect_every_truncation_and_change_is_survived(void **state) {
    struct terse_buf frame, out;
    (void)state;
    encode("<message to='a' id='f81d4fae-7dec-11d0-a765-00a0c91e6bf6'><body>"
           "hi</body><x xmlns='urn:x' y='AAAAAAAAAAAAAAAAAAAAAAA='>7</x>"
           "</message>",
           &frame);
    terse_buf_init(&out, SIZE_MAX / 4);
    for (size_t n = 0; n < frame.len; n++) {
        terse_buf_reset(&out);
        enum terse_err err =
            terse_inspect(schema, terse_buf_data(&frame), n, &out);
        assert_int_equal(err, n == 0 ? TERSE_OK : TERSE_EFRAME);
    }
    for (size_t at = 0; at < frame.len; at++) {
        uint8_t *p = frame.data + frame.off + at, was = *p;
        for (unsigned v = 0; v < 256; v++) {
            *p = (uint8_t)v;
            terse_buf_reset(&out);
            enum terse_err err =
                terse_inspect(schema, terse_buf_data(&frame), frame.len, &out);
            assert_true(err == TERSE_OK || err == TERSE_EFRAME);
        }
        *p = was;
    }
    terse_buf_fini(&frame);
    terse_buf_fini(&out);
}

static void test_inspect_keeps_to_the_buffers_cap(void **state) {
    struct terse_buf frame, out;
    (void)state;
    encode("<message><body>hello</body></message>", &frame);
    terse_buf_init(&out, 10);
    assert_int_equal(
        terse_inspect(schema, terse_buf_data(&frame), frame.len, &out),
        TERSE_ELIMIT);
    assert_true(out.len <= 10);
    terse_buf_fini(&frame);
    terse_buf_fini(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_inspect_shows_fields_items_and_values),
        cmocka_unit_test(test_inspect_prints_text_only),
        cmocka_unit_test(test_inspect_every_truncation_and_change_is_survived),
        cmocka_unit_test(test_inspect_keeps_to_the_buffers_cap),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
