/* xml_out_test.c: text that is escaped where it stands is what is escaped on
 * its way, and nothing goes over a buffer's bounds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "codec/xml_out.h"
#include "tests/unit/codec_util.h"

enum { ROUNDS = 20000, SIZE = 600 };

static size_t make(struct codec_random *random, char *p) {
    static const char some[] = "<>&'\"\r\n\tabcdefghijklmnopqrstuvwxyz";
    size_t n = codec_random(random) % SIZE;
    size_t kinds = codec_random(random) % 2 ? sizeof(some) - 1 : 12;
    for (size_t i = 0; i < n; i++)
        p[i] = some[(codec_random(random) >> 20) % kinds];
    return n;
}

/* Writes "x" and s to buf, escaped in one of the two ways. */
static enum terse_err put(struct terse_buf *buf, struct terse_str s, bool attr,
                          bool behind) {
    struct xml_out out;
    xml_begin(&out, buf);
    xml_lit(&out, "x");
    size_t from = xml_size(&out);
    if (!behind && attr) {
        xml_attr_value(&out, s);
    } else if (!behind) {
        xml_text(&out, s);
    } else {
        xml_raw(&out, s);
        xml_escape(&out, from, attr);
    }
    xml_end(&out);
    return out.err;
}

static void test_xml_out_escapes_the_same_where_it_stands(void **state) {
    (void)state;
    for (uint64_t i = 0; i < ROUNDS; i++) {
        struct codec_random random = {i};
        struct terse_buf a, b;
        char p[SIZE];
        struct terse_str s = {p, make(&random, p)};
        size_t max = i % 4 ? SIZE * 8 : codec_random(&random) % (SIZE * 3);
        bool attr = i % 2;
        terse_buf_init(&a, max);
        terse_buf_init(&b, max);
        enum terse_err err = put(&a, s, attr, false);
        assert_int_equal(put(&b, s, attr, true), err);
        assert_true(a.len <= max && b.len <= max);
        if (err == TERSE_OK)
            assert_true(codec_same(&a, &b));
        else
            assert_int_equal(err, TERSE_ELIMIT);
        terse_buf_fini(&a);
        terse_buf_fini(&b);
    }
}

/* Behind an error nothing is written any more, even what would fit. */
static void test_xml_out_stops_at_its_first_error(void **state) {
    struct terse_buf buf;
    struct xml_out out;
    (void)state;
    terse_buf_init(&buf, 4);
    xml_begin(&out, &buf);
    xml_lit(&out, "abc");
    xml_lit(&out, "de");
    xml_lit(&out, "f");
    xml_escape(&out, 0, true);
    xml_end(&out);
    assert_int_equal(out.err, TERSE_ELIMIT);
    assert_int_equal(buf.len, 3);
    assert_memory_equal(terse_buf_data(&buf), "abc", 3);
    terse_buf_fini(&buf);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_xml_out_escapes_the_same_where_it_stands),
        cmocka_unit_test(test_xml_out_stops_at_its_first_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
