/* wire_test.c: Protobuf's wire format, read strictly. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "codec/wire.h"
#include "tests/unit/codec_util.h"

static size_t put(uint64_t v, uint8_t *out) {
    size_t n = 0;
    for (; v >= 0x80; v >>= 7)
        out[n++] = (uint8_t)(v | 0x80);
    out[n++] = (uint8_t)v;
    return n;
}

static bool read_varint(const uint8_t *p, size_t n, uint64_t *v) {
    struct wire w = {p, p + n};
    return wire_varint(&w, v) && w.p == w.end;
}

static void test_wire_varints_come_back(void **state) {
    struct codec_random random = {3};
    uint8_t bytes[10];
    (void)state;
    for (int i = 0; i < 100000; i++) {
        uint64_t v = codec_random(&random) >> i % 64, back;
        size_t n = put(v, bytes);
        assert_true(read_varint(bytes, n, &back) && back == v);
        for (size_t cut = 0; cut < n; cut++)
            assert_false(read_varint(bytes, cut, &back));
    }
}

static void test_wire_overlong_varints_are_refused(void **state) {
    uint64_t v;
    (void)state;
    assert_false(read_varint((const uint8_t *)"\x80\x00", 2, &v));
    assert_false(read_varint((const uint8_t *)"\xff\x80\x00", 3, &v));
    uint8_t ten[11];
    memset(ten, 0xff, sizeof(ten));
    ten[9] = 0x01;
    assert_true(read_varint(ten, 10, &v) && v == UINT64_MAX);
    ten[9] = 0x02; /* bit 64 */
    assert_false(read_varint(ten, 10, &v));
    ten[9] = 0x81;
    ten[10] = 0x00;
    assert_false(read_varint(ten, 11, &v));
}

static bool read_field(const char *p, size_t n, struct wire_field *f) {
    struct wire w = wire_of((struct terse_str){p, n});
    return wire_next(&w, f) && w.p == w.end;
}

static void test_wire_fields_are_read(void **state) {
    struct wire_field f;
    (void)state;
    assert_true(read_field("\x08\x05", 2, &f));
    assert_true(f.number == 1 && f.type == WIRE_VARINT && f.value == 5);
    assert_true(read_field("\x7a\x03"
                           "abc",
                           5, &f));
    assert_true(f.number == 15 && f.type == WIRE_BYTES && f.bytes.n == 3);
    assert_memory_equal(f.bytes.p, "abc", 3);
    assert_true(read_field("\x12\x00", 2, &f));
    assert_int_equal(f.bytes.n, 0);
    /* the largest field number there is */
    assert_true(read_field("\xf8\xff\xff\xff\x0f\x01", 6, &f));
    assert_int_equal(f.number, 0x1fffffff);
}

static void test_wire_malformed_fields_are_refused(void **state) {
    static const struct {
        const char *p;
        size_t n;
    } bad[] = {
        {"\x00\x01", 2},             /* number 0 */
        {"\x02\x00", 2},             /* number 0, bytes */
        {"\x08", 1},                 /* no value */
        {"\x09\0\0\0\0\0\0\0\0", 9}, /* fixed64 */
        {"\x0b\x0c", 2},             /* group */
        {"\x0c", 1},                 /* end of group */
        {"\x0d\0\0\0\0", 5},         /* fixed32 */
        {"\x0e\x00", 2},             /* type 6 */
        {"\x0f\x00", 2},             /* type 7 */
        {"\x88\x00\x01", 3},         /* overlong tag */
        {"\x0a\x80\x00", 3},         /* overlong length */
        {"\x0a\x02"
         "a",
         3}, /* truncated bytes */
        {"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11}, /* 2^64-1 bytes */
        {"\x80\x80\x80\x80\x10\x01", 6},                      /* number 2^29 */
        {"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 10},
    };
    struct wire_field f;
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        /* A copy of the exact length: reading behind it is seen. */
        char *copy = malloc(bad[i].n);
        assert_non_null(copy);
        memcpy(copy, bad[i].p, bad[i].n);
        if (read_field(copy, bad[i].n, &f))
            fail_msg("field %zu passes", i);
        free(copy);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wire_varints_come_back),
        cmocka_unit_test(test_wire_overlong_varints_are_refused),
        cmocka_unit_test(test_wire_fields_are_read),
        cmocka_unit_test(test_wire_malformed_fields_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
