/* value_test.c: lexical forms give the very same characters back or refuse. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "codec/str.h"
#include "codec/value.h"
#include "codec/wire.h"
#include "tests/unit/codec_util.h"

static const uint8_t varint_forms[] = {
    FORM_DECIMAL,  FORM_SIGNED,         FORM_BOOLEAN,
    FORM_DATETIME, FORM_DATETIME_MILLI, FORM_DATETIME_MICRO,
};
static const uint8_t bytes_forms[] = {FORM_UUID, FORM_HEX, FORM_BASE64};

/* Whether s fits the form; fails the test where it does and what comes back is
 * not s. */
static bool fits_varint(uint8_t form, uint8_t flags, struct terse_str s) {
    uint64_t v;
    char out[VALUE_CHARS];
    if (!value_to_varint(form, flags, s, &v))
        return false;
    size_t n = value_from_varint(form, flags, v, out);
    if (n != s.n || memcmp(out, s.p, n) != 0)
        fail_msg("form %u: '%.*s' comes back as '%.*s'", form, (int)s.n, s.p,
                 (int)n, out);
    return true;
}

static bool fits_bytes(uint8_t form, struct terse_str s) {
    size_t n = value_bytes_size(form, s);
    if (n == 0)
        return false;
    uint8_t *bytes = malloc(n);
    assert_non_null(bytes);
    bool fits = value_to_bytes(form, s, bytes);
    if (fits) {
        size_t chars = value_chars_size(form, n);
        assert_int_equal(chars, s.n);
        char *back = malloc(chars);
        assert_non_null(back);
        value_from_bytes(form, (struct terse_str){(char *)bytes, n}, back);
        if (memcmp(back, s.p, chars) != 0)
            fail_msg("form %u: '%.*s' comes back as '%.*s'", form, (int)s.n,
                     s.p, (int)chars, back);
        free(back);
    }
    free(bytes);
    return fits;
}

static bool fits(uint8_t form, uint8_t flags, const char *s) {
    /* Exactly as long as it is, so that reading behind it is seen. */
    struct terse_str str = {malloc(strlen(s) + 1), strlen(s)};
    assert_non_null(str.p);
    char *copy = realloc((char *)(uintptr_t)str.p, str.n ? str.n : 1);
    assert_non_null(copy);
    memcpy(copy, s, str.n);
    str.p = copy;
    bool ok = value_is_varint(form) ? fits_varint(form, flags, str)
                                    : fits_bytes(form, str);
    free(copy);
    return ok;
}

struct row {
    uint8_t form, flags;
    bool fits;
    const char *text;
};

static const struct row rows[] = {
    {FORM_DECIMAL, 0, true, "0"},
    {FORM_DECIMAL, 0, true, "7"},
    {FORM_DECIMAL, 0, false, "007"},
    {FORM_DECIMAL, 0, false, "00"},
    {FORM_DECIMAL, 0, false, ""},
    {FORM_DECIMAL, 0, false, "-0"},
    {FORM_DECIMAL, 0, false, "-1"},
    {FORM_DECIMAL, 0, false, "+1"},
    {FORM_DECIMAL, 0, false, " 1"},
    {FORM_DECIMAL, 0, false, "1 "},
    {FORM_DECIMAL, 0, false, "1e3"},
    {FORM_DECIMAL, 0, false, "0x1"},
    {FORM_DECIMAL, 0, false, "/"},
    {FORM_DECIMAL, 0, false, ":"},
    {FORM_DECIMAL, 0, false, "\xd9\xa1"}, /* U+0661, a digit in Arabic */
    {FORM_DECIMAL, 0, true, "4294967296"},
    {FORM_DECIMAL, 0, true, "18446744073709551615"},
    {FORM_DECIMAL, 0, false, "18446744073709551616"},
    {FORM_DECIMAL, 0, false, "18446744073709551620"},
    {FORM_DECIMAL, 0, false, "99999999999999999999"},
    {FORM_DECIMAL, 0, false, "100000000000000000000"},
    {FORM_DECIMAL, TABLE_32BIT, true, "4294967295"},
    {FORM_DECIMAL, TABLE_32BIT, false, "4294967296"},
    {FORM_DECIMAL, TABLE_32BIT, false, "18446744073709551615"},
    {FORM_SIGNED, 0, true, "0"},
    {FORM_SIGNED, 0, true, "-1"},
    {FORM_SIGNED, 0, false, "-0"},
    {FORM_SIGNED, 0, false, "+0"},
    {FORM_SIGNED, 0, false, "-"},
    {FORM_SIGNED, 0, false, "--1"},
    {FORM_SIGNED, 0, false, "-01"},
    {FORM_SIGNED, 0, false, ""},
    {FORM_SIGNED, 0, true, "9223372036854775807"},
    {FORM_SIGNED, 0, false, "9223372036854775808"},
    {FORM_SIGNED, 0, true, "-9223372036854775807"},
    {FORM_SIGNED, 0, false, "-9223372036854775809"},
    {FORM_SIGNED, TABLE_32BIT, true, "2147483647"},
    {FORM_SIGNED, TABLE_32BIT, false, "2147483648"},
    {FORM_SIGNED, TABLE_32BIT, true, "-2147483647"},
    {FORM_SIGNED, TABLE_32BIT, false, "-2147483649"},
    {FORM_BOOLEAN, 0, true, "true"},
    {FORM_BOOLEAN, 0, true, "false"},
    {FORM_BOOLEAN, 0, false, "1"},
    {FORM_BOOLEAN, 0, false, "0"},
    {FORM_BOOLEAN, 0, false, "True"},
    {FORM_BOOLEAN, 0, false, "true "},
    {FORM_BOOLEAN, 0, false, ""},
    {FORM_BOOLEAN, 0, false, "null"},
    {FORM_UUID, 0, true, "f81d4fae-7dec-11d0-a765-00a0c91e6bf6"},
    {FORM_UUID, 0, false, "F81D4FAE-7DEC-11D0-A765-00A0C91E6BF6"},
    {FORM_UUID, 0, false, "f81d4fae-7dec-11d0-a765-00a0c91e6bF6"},
    {FORM_UUID, 0, false, "f81d4fae7dec11d0a76500a0c91e6bf6"},
    {FORM_UUID, 0, false, "{f81d4fae-7dec-11d0-a765-00a0c91e6bf}"},
    {FORM_UUID, 0, false, "f81d4fae-7dec-11d0-a765-00a0c91e6bg6"},
    {FORM_UUID, 0, false, "f81d4fae-7dec-11d0-a7650-0a0c91e6bf6"},
    {FORM_UUID, 0, false, "f81d4fae-7dec-11d0-a765-00a0c91e6bf"},
    {FORM_UUID, 0, false, "f81d4fae-7dec-11d0-a765-00a0c91e6bf60"},
    {FORM_UUID, 0, false, "f81d4fae-7dec-11d0--765-00a0c91e6bf6"},
    {FORM_HEX, 0, true, "00"},
    {FORM_HEX, 0, true, "deadbeef"},
    {FORM_HEX, 0, false, "deadbeeF"},
    {FORM_HEX, 0, false, "abc"},
    {FORM_HEX, 0, false, ""},
    {FORM_HEX, 0, false, "0x"},
    {FORM_HEX, 0, false, "g0"},
    {FORM_HEX, 0, false, "0`"},
    {FORM_BASE64, 0, true, "AA=="},
    {FORM_BASE64, 0, true, "AAA="},
    {FORM_BASE64, 0, true, "AAAA"},
    {FORM_BASE64, 0, true, "+/+/"},
    {FORM_BASE64, 0, true, "Zm9vYmFy"},
    {FORM_BASE64, 0, false, ""},
    {FORM_BASE64, 0, false, "="},
    {FORM_BASE64, 0, false, "===="},
    {FORM_BASE64, 0, false, "A==="},
    {FORM_BASE64, 0, false, "AA=A"},
    {FORM_BASE64, 0, false, "=AAA"},
    {FORM_BASE64, 0, false, "AB=="}, /* spare bits that are not 0 */
    {FORM_BASE64, 0, false, "AAB="},
    {FORM_BASE64, 0, false, "AA"},
    {FORM_BASE64, 0, false, "AAA"},
    {FORM_BASE64, 0, false, "AAAAA"},
    {FORM_BASE64, 0, false, "AA==AAAA"},
    {FORM_BASE64, 0, false, "AAA\n"},
    {FORM_BASE64, 0, false, "AA A"},
    {FORM_BASE64, 0, false, "AAAA\nAAA"},
    {FORM_BASE64, 0, false, "-_-_"},
    {FORM_DATETIME, 0, true, "2020-01-01T00:00:00Z"},
    {FORM_DATETIME, 0, true, "0000-01-01T00:00:00Z"},
    {FORM_DATETIME, 0, true, "0000-02-29T00:00:00Z"},
    {FORM_DATETIME, 0, true, "9999-12-31T23:59:59Z"},
    {FORM_DATETIME, 0, true, "2000-02-29T12:00:00Z"},
    {FORM_DATETIME, 0, false, "1900-02-29T12:00:00Z"},
    {FORM_DATETIME, 0, true, "1900-02-28T23:59:59Z"},
    {FORM_DATETIME, 0, true, "2024-02-29T12:00:00Z"},
    {FORM_DATETIME, 0, false, "2023-02-29T12:00:00Z"},
    {FORM_DATETIME, 0, false, "2024-02-30T12:00:00Z"},
    {FORM_DATETIME, 0, false, "2024-04-31T12:00:00Z"},
    {FORM_DATETIME, 0, false, "2024-00-10T12:00:00Z"},
    {FORM_DATETIME, 0, false, "2024-13-10T12:00:00Z"},
    {FORM_DATETIME, 0, false, "2024-01-00T12:00:00Z"},
    {FORM_DATETIME, 0, false, "2024-01-32T12:00:00Z"},
    {FORM_DATETIME, 0, false, "2024-01-01T24:00:00Z"},
    {FORM_DATETIME, 0, false, "2024-01-01T12:60:00Z"},
    {FORM_DATETIME, 0, false, "2016-12-31T23:59:60Z"},
    {FORM_DATETIME, 0, false, "2024-01-01T12:00:00z"},
    {FORM_DATETIME, 0, false, "2024-01-01t12:00:00Z"},
    {FORM_DATETIME, 0, false, "2024-01-01 12:00:00Z"},
    {FORM_DATETIME, 0, false, "2024-01-01T12:00:00"},
    {FORM_DATETIME, 0, false, "2024-01-01T12:00:00+00:00"},
    {FORM_DATETIME, 0, false, "2024-01-01T12:00:00.0Z"},
    {FORM_DATETIME, 0, false, "20240101T12:00:00"},
    {FORM_DATETIME, 0, false, "-024-01-01T12:00:00Z"},
    {FORM_DATETIME, 0, false, "2024-1 -01T12:00:00Z"},
    {FORM_DATETIME, 0, false, ""},
    {FORM_DATETIME_MILLI, 0, true, "2024-01-01T12:00:00.000Z"},
    {FORM_DATETIME_MILLI, 0, true, "1969-12-31T23:59:59.999Z"},
    {FORM_DATETIME_MILLI, 0, false, "2024-01-01T12:00:00,000Z"},
    {FORM_DATETIME_MILLI, 0, false, "2024-01-01T12:00:00.00Z"},
    {FORM_DATETIME_MILLI, 0, false, "2024-01-01T12:00:00.0a0Z"},
    {FORM_DATETIME_MILLI, 0, false, "2024-01-01T12:00:00Z"},
    {FORM_DATETIME_MICRO, 0, true, "2024-01-01T12:00:00.000000Z"},
    {FORM_DATETIME_MICRO, 0, true, "0000-01-01T00:00:00.000001Z"},
    {FORM_DATETIME_MICRO, 0, true, "9999-12-31T23:59:59.999999Z"},
    {FORM_DATETIME_MICRO, 0, false, "2024-01-01T12:00:00.000Z"},
};

static void test_value_tricky_strings_fit_or_do_not(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (fits(rows[i].form, rows[i].flags, rows[i].text) != rows[i].fits)
            fail_msg("form %u: '%s' %s", rows[i].form, rows[i].text,
                     rows[i].fits ? "does not fit" : "fits");
}

/* Every string of the table through every form, not only its own. */
static void test_value_any_string_any_form_comes_back(void **state) {
    (void)state;
    unsigned fitted = 0;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        for (uint8_t form = FORM_PLAIN; form <= FORM_NAMED; form++)
            for (uint8_t flags = 0; flags <= TABLE_32BIT; flags += TABLE_32BIT)
                fitted += fits(form, flags, rows[i].text);
    assert_true(fitted > 40);
}

/* Strings from alphabets in which a form is likely. */
static void test_value_random_strings_come_back(void **state) {
    static const char *alphabets[] = {
        "0123456789",      "0123456789abcdef", "0123456789abcdefABCDEF-",
        "ABCDwxyz019+/==", "-0123456789",      "0123456789T:-.Z",
        "truefals"};
    struct codec_random random = {1};
    unsigned fitted = 0;
    (void)state;
    for (int i = 0; i < 200000; i++) {
        char s[48];
        const char *from = alphabets[codec_random(&random) % 7];
        size_t n = codec_random(&random) % 41;
        for (size_t k = 0; k < n; k++)
            s[k] = from[codec_random(&random) % strlen(from)];
        s[n] = '\0';
        for (size_t f = 0; f < sizeof(varint_forms); f++)
            fitted += fits_varint(varint_forms[f], 0, str_of(s));
        for (size_t f = 0; f < sizeof(bytes_forms); f++)
            fitted += fits_bytes(bytes_forms[f], str_of(s));
    }
    assert_true(fitted > 1000);
}

/* Whatever number a frame holds: no characters, or characters that are read
 * back as this number. */
static void test_value_any_number_prints_what_reads_back(void **state) {
    static const uint64_t edges[] = {
        0,          1,          2,         127,       128,       UINT32_MAX - 1,
        UINT32_MAX, UINT64_MAX, INT64_MAX, INT32_MAX, 1ull << 60};
    struct codec_random random = {2};
    char out[VALUE_CHARS];
    unsigned printed = 0;
    (void)state;
    for (int i = 0; i < 200000; i++) {
        uint64_t v = codec_random(&random) >> codec_random(&random) % 64;
        if (i < 1100)
            v = edges[i % 11] + (uint64_t)(i / 11) - 50;
        for (size_t f = 0; f < sizeof(varint_forms); f++) {
            for (uint8_t flags = 0; flags <= TABLE_32BIT;
                 flags += TABLE_32BIT) {
                uint64_t back;
                uint8_t form = varint_forms[f];
                size_t n = value_from_varint(form, flags, v, out);
                assert_true(n <= VALUE_CHARS);
                if (n == 0)
                    continue;
                printed++;
                if (!value_to_varint(form, flags, (struct terse_str){out, n},
                                     &back) ||
                    back != v)
                    fail_msg("form %u: %llu prints as '%.*s'", form,
                             (unsigned long long)v, (int)n, out);
            }
        }
    }
    assert_true(printed > 200000);
}

static void test_value_numbers_out_of_range_print_nothing(void **state) {
    char out[VALUE_CHARS];
    (void)state;
    assert_int_equal(value_from_varint(FORM_BOOLEAN, 0, 2, out), 0);
    assert_int_equal(value_from_varint(FORM_SIGNED, 0, UINT64_MAX, out), 0);
    assert_int_equal(
        value_from_varint(FORM_DECIMAL, TABLE_32BIT, 1ull << 32, out), 0);
    assert_int_equal(
        value_from_varint(FORM_SIGNED, TABLE_32BIT, UINT32_MAX, out), 0);
    uint64_t first, last;
    assert_true(value_to_varint(FORM_DATETIME, 0,
                                str_of("0000-01-01T00:00:00Z"), &first));
    assert_true(value_to_varint(FORM_DATETIME, 0,
                                str_of("9999-12-31T23:59:59Z"), &last));
    int64_t before = wire_unzigzag(first) - 1, after = wire_unzigzag(last) + 1;
    assert_int_equal(
        value_from_varint(FORM_DATETIME, 0, wire_zigzag(before), out), 0);
    assert_int_equal(
        value_from_varint(FORM_DATETIME, 0, wire_zigzag(after), out), 0);
    assert_int_equal(value_from_varint(FORM_DATETIME, 0, UINT64_MAX, out), 0);
    assert_int_equal(
        value_from_varint(FORM_DATETIME_MICRO, 0, UINT64_MAX - 1, out), 0);
}

static void test_value_epoch_is_2020(void **state) {
    uint64_t v = 1;
    (void)state;
    assert_true(
        value_to_varint(FORM_DATETIME, 0, str_of("2020-01-01T00:00:00Z"), &v));
    assert_int_equal(v, 0);
    assert_true(value_to_varint(FORM_DATETIME_MILLI, 0,
                                str_of("2019-12-31T23:59:59.999Z"), &v));
    assert_int_equal(wire_unzigzag(v), -1);
    assert_true(value_to_varint(FORM_DATETIME_MICRO, 0,
                                str_of("2020-01-02T00:00:00.000001Z"), &v));
    assert_int_equal(wire_unzigzag(v), 86400ll * 1000000 + 1);
}

/* Each day of 800 years, and the one after it is one day later. */
static void test_value_each_day_is_one_day_later(void **state) {
    char out[VALUE_CHARS];
    int64_t day = 86400, start = -420 * 366 * day;
    (void)state;
    start -= start % day;
    char last[VALUE_CHARS] = "";
    for (int64_t i = 0; i < 800 * 366; i++) {
        uint64_t back, v = wire_zigzag(start + i * day);
        size_t n = value_from_varint(FORM_DATETIME, 0, v, out);
        assert_int_equal(n, 20);
        assert_true(memcmp(last, out, 20) < 0); /* ISO dates sort */
        assert_true(value_to_varint(FORM_DATETIME, 0,
                                    (struct terse_str){out, n}, &back));
        assert_int_equal(back, v);
        memcpy(last, out, sizeof(last));
    }
}

static void test_value_zigzag_edges_come_back(void **state) {
    static const int64_t edges[] = {0,         -1,        1,
                                    INT64_MAX, INT64_MIN, INT64_MIN + 1};
    (void)state;
    for (size_t i = 0; i < 6; i++)
        assert_true(wire_unzigzag(wire_zigzag(edges[i])) == edges[i]);
    assert_int_equal(wire_zigzag(-1), 1);
    assert_int_equal(wire_zigzag(1), 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_value_tricky_strings_fit_or_do_not),
        cmocka_unit_test(test_value_any_string_any_form_comes_back),
        cmocka_unit_test(test_value_random_strings_come_back),
        cmocka_unit_test(test_value_any_number_prints_what_reads_back),
        cmocka_unit_test(test_value_numbers_out_of_range_print_nothing),
        cmocka_unit_test(test_value_epoch_is_2020),
        cmocka_unit_test(test_value_each_day_is_one_day_later),
        cmocka_unit_test(test_value_zigzag_edges_come_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
