/* arena_test.c: pieces do not overlap, are aligned, and are capped. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdalign.h>
#include <string.h>

#include "codec/arena.h"
#include "tests/unit/codec_util.h"

enum { PIECES = 3000 };

static void test_arena_pieces_keep_what_was_written(void **state) {
    static struct {
        unsigned char *p;
        size_t n;
    } pieces[PIECES];
    struct codec_random random = {5};
    struct arena arena;
    (void)state;
    arena_init(&arena, SIZE_MAX);
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < PIECES; i++) {
            uint64_t r = codec_random(&random);
            size_t n = r % 100 ? r / 100 % 300 : r / 100 % 600000;
            bool object = r >> 63;
            pieces[i].n = n;
            pieces[i].p = object ? arena_alloc(&arena, n)
                                 : (unsigned char *)arena_chars(&arena, n);
            assert_non_null(pieces[i].p);
            if (object)
                assert_int_equal((uintptr_t)pieces[i].p % alignof(max_align_t),
                                 0);
            memset(pieces[i].p, (int)(i % 251), n);
        }
        for (size_t i = 0; i < PIECES; i++)
            for (size_t k = 0; k < pieces[i].n; k++)
                assert_int_equal(pieces[i].p[k], i % 251);
        arena_reset(&arena);
    }
    arena_fini(&arena);
}

static void test_arena_text_grows_and_keeps_content(void **state) {
    struct codec_random random = {6};
    struct arena arena;
    (void)state;
    arena_init(&arena, 64 * 1024 * 1024);
    for (int round = 0; round < 20; round++) {
        size_t n = 3;
        char *p = arena_chars(&arena, n);
        assert_non_null(p);
        memcpy(p, "abc", 3);
        for (int i = 0; i < 400; i++) {
            size_t more = codec_random(&random) % 700;
            if (codec_random(&random) % 50 == 0)
                assert_non_null(arena_alloc(&arena, 8)); /* in its way */
            p = arena_extend(&arena, p, n, more);
            assert_non_null(p);
            memset(p + n, 'a' + i % 26, more);
            n += more;
        }
        assert_memory_equal(p, "abc", 3);
        assert_int_equal(p[n - 1] >= 'a', 1);
        arena_reset(&arena);
    }
    arena_fini(&arena);
}

/* Growing byte by byte takes no more than a few times what is there. */
static void test_arena_growth_is_not_quadratic(void **state) {
    enum { LEN = 1024 * 1024 };
    struct arena arena;
    (void)state;
    arena_init(&arena, SIZE_MAX);
    char *p = arena_chars(&arena, 1);
    for (size_t n = 1; n < LEN; n++) {
        p = arena_extend(&arena, p, n, 1);
        assert_non_null(p);
        p[n] = 'x';
    }
    assert_true(arena.total < 6 * LEN);
    arena_fini(&arena);
}

static void test_arena_cap_refuses_and_stays_usable(void **state) {
    struct arena arena;
    (void)state;
    arena_init(&arena, 10000);
    char *p = arena_chars(&arena, 10);
    assert_non_null(p);
    memcpy(p, "0123456789", 10);
    assert_null(arena_alloc(&arena, 10001));
    assert_null(arena_alloc(&arena, SIZE_MAX));
    assert_null(arena_extend(&arena, p, 10, 20000));
    assert_memory_equal(p, "0123456789", 10);
    assert_true(arena.total <= arena.max);
    assert_non_null(arena_alloc(&arena, 10));
    arena_reset(&arena);
    assert_non_null(arena_alloc(&arena, 1000));
    assert_true(arena.total <= arena.max);
    arena_fini(&arena);
    assert_int_equal(arena.total, 0);
}

static void test_arena_reset_keeps_one_block(void **state) {
    struct arena arena;
    (void)state;
    arena_init(&arena, SIZE_MAX);
    arena_reset(&arena); /* of nothing */
    for (int i = 0; i < 100; i++)
        assert_non_null(arena_alloc(&arena, 10000));
    assert_true(arena.total >= 1000000);
    arena_reset(&arena);
    assert_true(arena.total < 20000);
    arena_fini(&arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_arena_pieces_keep_what_was_written),
        cmocka_unit_test(test_arena_text_grows_and_keeps_content),
        cmocka_unit_test(test_arena_growth_is_not_quadratic),
        cmocka_unit_test(test_arena_cap_refuses_and_stays_usable),
        cmocka_unit_test(test_arena_reset_keeps_one_block),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
