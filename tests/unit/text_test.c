/* text_test.c: which bytes XML can carry, over all characters there are. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <libxml/parserInternals.h>
#include <string.h>

#include "codec/str.h"
#include "codec/text.h"

/* UTF-8 of c in `n` bytes, shortest or not. */
static void utf8(uint32_t c, size_t n, char *out) {
    static const uint8_t lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t i = n; i-- > 1; c >>= 6)
        out[i] = (char)(0x80 | (c & 0x3f));
    out[0] = (char)(lead[n] | c);
}

static size_t length(uint32_t c) {
    return c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
}

/* libxml2 has its own tables of the same productions. */
static void test_text_every_character_as_xml_says(void **state) {
    char s[5];
    (void)state;
    for (uint32_t c = 0; c <= 0x10ffff; c++) {
        size_t n = length(c);
        utf8(c, n, s);
        assert_int_equal(text_is_xml((struct terse_str){s, n}),
                         IS_CHAR(c) != 0);
    }
}

/* Every byte at every place of strings that end at every place of a word. */
static void test_text_look_sees_every_byte(void **state) {
    (void)state;
    for (size_t n = 1; n <= 26; n++) {
        for (size_t at = 0; at < n; at++) {
            for (int c = 0; c < 256; c++) {
                char s[26];
                memset(s, 'a', n);
                s[at] = (char)c;
                bool calm = c >= ' ' && c < 0x80 && !strchr("&<>", c);
                unsigned want = !calm       ? 0
                                : c == '\'' ? (unsigned)TEXT_CALM
                                            : TEXT_CALM | TEXT_CALMER;
                assert_int_equal(text_look((struct terse_str){s, n}), want);
            }
        }
    }
    assert_int_equal(text_look((struct terse_str){NULL, 0}),
                     TEXT_CALM | TEXT_CALMER);
}

static void test_text_every_name_as_libxml2_says(void **state) {
    char s[6];
    (void)state;
    for (uint32_t c = 1; c <= 0x10ffff; c++) {
        if (c >= 0xd800 && c <= 0xdfff)
            continue;
        size_t n = length(c);
        utf8(c, n, s);
        s[n] = '\0';
        bool start = xmlValidateNCName(BAD_CAST s, 0) == 0;
        /* xmlValidateNCName knows the fourth edition only. */
        if (start)
            assert_true(text_is_ncname((struct terse_str){s, n}));
        if (c < 0x80)
            assert_int_equal(text_is_ncname((struct terse_str){s, n}), start);
        memmove(s + 1, s, n);
        s[0] = 'a';
        s[n + 1] = '\0';
        if (c < 0x80)
            assert_int_equal(text_is_ncname((struct terse_str){s, n + 1}),
                             xmlValidateNCName(BAD_CAST s, 0) == 0);
    }
}

static void test_text_longer_forms_are_refused(void **state) {
    static const uint32_t chars[] = {0,     1,      '<',    'A',    0x7f,  0x80,
                                     0x7ff, 0x20ac, 0xffff, 0xd7ff, 0xe000};
    char s[5];
    (void)state;
    for (size_t i = 0; i < sizeof(chars) / sizeof(chars[0]); i++) {
        for (size_t n = length(chars[i]) + 1; n <= 4; n++) {
            utf8(chars[i], n, s);
            assert_false(text_is_xml((struct terse_str){s, n}));
            assert_false(text_is_ncname((struct terse_str){s, n}));
        }
    }
}

static void test_text_bad_utf8_is_refused(void **state) {
    static const char *bad[] = {
        "\x80",
        "a\xbf",
        "\xc2",
        "\xc2"
        "a",
        "\xe2\x82",
        "\xe2\x82"
        "a",
        "\xf0\x9f\x98",
        "\xf4\x90\x80\x80",
        "\xed\xa0\x80",
        "\xed\xbf\xbf",
        "\xf5\x80\x80\x80",
        "\xf8\x88\x80\x80\x80",
        "\xfe",
        "\xff",
        "\xef\xbf\xbe",
        "\xef\xbf\xbf",
    };
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (text_is_xml(str_of(bad[i])))
            fail_msg("bad string %zu passes", i);
    assert_true(text_is_xml(str_of("\xf0\x9f\x98\x80 \xe2\x82\xac \t\n\r")));
    assert_true(text_is_xml((struct terse_str){NULL, 0}));
}

static void test_text_names_of_attacks_are_refused(void **state) {
    static const char *bad[] = {
        "",   "a b", "x:y", ":",  "1a",  "-a",  ".a",       "<",
        "a>", "a=",  "a'b", "a/", "a\n", "a&b", "\xcc\x80z"};
    static const char *good[] = {"a", "_", "a-b.c1", "\xc3\xa9", "x\xcc\x80"};
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (text_is_ncname(str_of(bad[i])))
            fail_msg("'%s' passes", bad[i]);
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        if (!text_is_ncname(str_of(good[i])))
            fail_msg("'%s' does not pass", good[i]);
    assert_false(text_is_ncname((struct terse_str){"a\0b", 3}));
}

static void test_text_namespaces_hold_no_separators(void **state) {
    (void)state;
    assert_true(text_is_namespace(str_of("")));
    assert_true(text_is_namespace(str_of("urn:x:\xc3\xa9'<&>")));
    for (int c = 0; c <= 0x20; c++) {
        char s[] = "urn:?:x";
        s[4] = (char)c;
        assert_false(text_is_namespace((struct terse_str){s, 7}));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text_every_character_as_xml_says),
        cmocka_unit_test(test_text_look_sees_every_byte),
        cmocka_unit_test(test_text_every_name_as_libxml2_says),
        cmocka_unit_test(test_text_longer_forms_are_refused),
        cmocka_unit_test(test_text_bad_utf8_is_refused),
        cmocka_unit_test(test_text_names_of_attacks_are_refused),
        cmocka_unit_test(test_text_namespaces_hold_no_separators),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
