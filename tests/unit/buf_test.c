/* buf_test.c: buffers that cannot exist without a cap, filled at either end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "codec/buf.h"
#include "tests/unit/codec_util.h"

static void test_buf_cap_is_exact_and_leaves_content(void **state) {
    struct terse_buf buf;
    (void)state;
    terse_buf_init(&buf, 5);
    assert_int_equal(terse_buf_append(&buf, "abc", 3), TERSE_OK);
    assert_int_equal(terse_buf_append(&buf, "def", 3), TERSE_ELIMIT);
    assert_int_equal(buf.len, 3);
    assert_int_equal(terse_buf_append(&buf, "de", 2), TERSE_OK);
    assert_int_equal(terse_buf_append(&buf, "", 0), TERSE_OK);
    assert_int_equal(terse_buf_append(&buf, "f", 1), TERSE_ELIMIT);
    assert_memory_equal(terse_buf_data(&buf), "abcde", 5);
    assert_int_equal(buf_room_front(&buf, 1), TERSE_ELIMIT);
    terse_buf_fini(&buf);
    assert_int_equal(buf.max, 5);
    assert_null(terse_buf_data(&buf));
}

static void test_buf_huge_request_does_not_wrap(void **state) {
    struct terse_buf buf;
    (void)state;
    terse_buf_init(&buf, 100);
    assert_int_equal(terse_buf_append(&buf, "abc", 3), TERSE_OK);
    assert_int_equal(buf_room(&buf, SIZE_MAX), TERSE_ELIMIT);
    assert_int_equal(buf_room(&buf, SIZE_MAX - 2), TERSE_ELIMIT);
    assert_int_equal(buf_room_front(&buf, SIZE_MAX - 2), TERSE_ELIMIT);
    assert_memory_equal(terse_buf_data(&buf), "abc", 3);
    terse_buf_fini(&buf);
}

static void prepend(struct terse_buf *buf, const char *s, size_t n) {
    assert_int_equal(buf_room_front(buf, n), TERSE_OK);
    assert_true(buf->off >= n);
    buf->off -= n;
    buf->len += n;
    memcpy(buf->data + buf->off, s, n);
}

/* Against a plain array that is filled from its middle. */
static void test_buf_both_ends_hold_what_was_put(void **state) {
    static char model[400000];
    struct codec_random random = {4};
    (void)state;
    for (int round = 0; round < 50; round++) {
        size_t from = sizeof(model) / 2, to = from;
        struct terse_buf buf;
        terse_buf_init(&buf, SIZE_MAX / 4);
        for (int i = 0; i < 200; i++) {
            char piece[900];
            size_t n = codec_random(&random) % sizeof(piece);
            memset(piece, (int)codec_random(&random), n);
            if (codec_random(&random) % 2) {
                prepend(&buf, piece, n);
                from -= n;
                memcpy(model + from, piece, n);
            } else {
                assert_int_equal(terse_buf_append(&buf, piece, n), TERSE_OK);
                memcpy(model + to, piece, n);
                to += n;
            }
            assert_int_equal(buf.len, to - from);
            if (buf.len > 0)
                assert_memory_equal(terse_buf_data(&buf), model + from,
                                    buf.len);
        }
        terse_buf_fini(&buf);
    }
}

static void test_buf_reset_keeps_memory(void **state) {
    struct terse_buf buf;
    (void)state;
    terse_buf_init(&buf, 1000);
    prepend(&buf, "abc", 3);
    const uint8_t *data = buf.data;
    terse_buf_reset(&buf);
    assert_int_equal(buf.len, 0);
    assert_int_equal(terse_buf_append(&buf, "xy", 2), TERSE_OK);
    assert_ptr_equal(buf.data, data);
    buf_to_end(&buf);
    prepend(&buf, "q", 1);
    assert_ptr_equal(buf.data, data);
    assert_memory_equal(terse_buf_data(&buf), "q", 1);
    terse_buf_fini(&buf);
}

/* No pointer arithmetic on nothing: an empty string can be what comes first. */
static void test_buf_empty_front_has_memory(void **state) {
    struct terse_buf buf;
    (void)state;
    terse_buf_init(&buf, 10);
    buf_to_end(&buf);
    assert_int_equal(buf_room_front(&buf, 0), TERSE_OK);
    assert_non_null(buf.data);
    terse_buf_fini(&buf);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_buf_cap_is_exact_and_leaves_content),
        cmocka_unit_test(test_buf_huge_request_does_not_wrap),
        cmocka_unit_test(test_buf_both_ends_hold_what_was_put),
        cmocka_unit_test(test_buf_reset_keeps_memory),
        cmocka_unit_test(test_buf_empty_front_has_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
