/* Tests of codec/book.c: entries that stay, in both directions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "codec/book.h"
#include "codec/str.h"
#include "codec_util.h"

static struct terse_str bytes(const void *p, size_t n) {
    return (struct terse_str){p, n};
}

/* Adds text as it is. */
static void add(struct book *b, const char *text) {
    struct terse_str s = str_of(text);
    assert_true(book_has_room(b, s.n));
    assert_int_equal(book_add(b, s, s), TERSE_OK);
}

/* Adds what `came` stands for, which has marks in it. */
static void add_as(struct book *b, const void *came, size_t n,
                   const char *text) {
    assert_true(book_has_room(b, n));
    assert_int_equal(book_add(b, bytes(came, n), str_of(text)), TERSE_OK);
}

static void expands(const struct book *b, const struct book *other, uint32_t i,
                    const char *text) {
    char out[BOOK_TEXT_MAX];
    int n = book_expand(b, other, i, out);
    assert_true(n >= 0);
    assert_true(str_eq(bytes(out, (size_t)n), str_of(text)));
    assert_int_equal(book_find(b, other, str_of(text)), i);
}

/* As docs/wire.md has it: one byte for entries 0 to 63, two for the rest. */
static void test_book_references_are_those_of_the_format(void **state) {
    (void)state;
    for (uint32_t i = 0; i < BOOK_MAX; i++) {
        char out[3];
        size_t n = book_put_ref(BOOK_OWN, i, out), at = 0;
        uint32_t back = UINT32_MAX;
        assert_int_equal(n, i < 64 ? 2 : 3);
        assert_int_equal(out[0], 0x1e);
        if (i < 64) {
            assert_int_equal((uint8_t)out[1], 0x20 + i);
        } else {
            assert_int_equal((uint8_t)out[1], 0x60 + (i - 64) / 96);
            assert_int_equal((uint8_t)out[2], 0x20 + (i - 64) % 96);
        }
        assert_true(book_read_ref(bytes(out, n), &at, &back));
        assert_int_equal(at, n);
        assert_int_equal(back, i);
        at = 0; /* cut off */
        assert_false(book_read_ref(bytes(out, n - 1), &at, &back));
        assert_int_equal(at, 0);
    }
    char last[3];
    book_put_ref(BOOK_OTHER, BOOK_MAX - 1, last);
    assert_memory_equal(last, "\x1f\x7f\x7f", 3);
    /* No other byte is one. */
    for (int c = 0; c < 256; c++) {
        char one[3] = {0x1e, (char)c, 'x'}, two[3] = {0x1e, 0x60, (char)c};
        size_t at = 0;
        uint32_t i;
        assert_int_equal(book_read_ref(bytes(one, 3), &at, &i),
                         c >= 0x20 && c <= 0x7f);
        at = 0;
        assert_int_equal(book_read_ref(bytes(two, 3), &at, &i),
                         c >= 0x20 && c <= 0x7f);
    }
}

static void test_book_entries_refer_to_both_books(void **state) {
    (void)state;
    struct budget budgets[2] = {{1000, 0}, {1000, 0}};
    struct book own = {.budget = &budgets[0]}, other = {.budget = &budgets[1]};
    add(&own, "example.org");
    add(&other, "rooms.");
    add_as(&own, "bob@\x1e\x20", 6, "bob@example.org");
    add_as(&other, "\x1e\x20\x1f\x20", 4, "rooms.example.org");
    add_as(&own, "r@\x1f\x21/\x1e\x21", 7,
           "r@rooms.example.org/bob@example.org");
    expands(&own, &other, 0, "example.org");
    expands(&own, &other, 1, "bob@example.org");
    expands(&own, &other, 2, "r@rooms.example.org/bob@example.org");
    expands(&other, &own, 1, "rooms.example.org");
    assert_int_equal(book_depth(&own, &other, 0), 1);
    assert_int_equal(book_depth(&own, &other, 1), 2);
    assert_int_equal(book_depth(&other, &own, 1), 2);
    assert_int_equal(book_depth(&own, &other, 2), 3);
    assert_int_equal(book_find(&own, &other, str_of("example.or")), -1);
    assert_int_equal(book_find(&own, &other, str_of("")), -1);
    assert_int_equal(book_find(NULL, &own, str_of("example.org")), -1);
    char out[BOOK_TEXT_MAX];
    assert_int_equal(book_expand(&own, &other, 3, out), -1);
    assert_int_equal(book_expand(NULL, &own, 0, out), -1);
    assert_int_equal(book_expand(&own, NULL, 2, out), -1); /* what it names */
    expands(&own, NULL, 1, "bob@example.org");
    book_fini(&own);
    book_fini(&other);
}

/* One entry deeper each; that in the other book counts as well. */
static void test_book_depth_ends(void **state) {
    (void)state;
    struct budget budgets[2] = {{1000, 0}, {1000, 0}};
    struct book own = {.budget = &budgets[0]}, other = {.budget = &budgets[1]};
    char came[] = "x\x1f\x20", out[BOOK_TEXT_MAX];
    add(&own, "a");
    for (unsigned depth = 2; depth <= 5; depth++) {
        struct book *b = depth % 2 ? &own : &other;
        struct book *o = depth % 2 ? &other : &own;
        add_as(b, came, 3, "irrelevant");
        assert_int_equal(book_depth(b, o, b->n - 1), depth);
        assert_int_equal(book_expand(b, o, b->n - 1, out),
                         depth <= 4 ? (int)depth : -1);
        if (depth <= 4)
            assert_memory_equal(out, &"xxxa"[4 - depth], depth);
        came[2] = (char)(0x20 + b->n - 1);
    }
    book_fini(&own);
    book_fini(&other);
}

static void test_book_text_ends_at_255(void **state) {
    (void)state;
    struct budget budget = {2000, 0};
    struct book b = {.budget = &budget};
    char text[257], out[BOOK_TEXT_MAX];
    memset(text, 'x', sizeof(text));
    text[127] = 0;
    add(&b, text); /* 127 */
    add_as(&b,
           "\x1e\x20\x1e\x20"
           "x",
           5, "255");
    add_as(&b,
           "\x1e\x20\x1e\x20"
           "xx",
           6, "256");
    assert_int_equal(book_expand(&b, NULL, 1, out), 255);
    assert_int_equal(book_expand(&b, NULL, 2, out), -1);
    assert_true(book_has_room(&b, 255));
    assert_false(book_has_room(&b, 256));
    book_fini(&b);
}

/* To the last byte, and no book at all where the bound is small. */
static void test_book_room_is_the_budgets(void **state) {
    (void)state;
    struct budget budget = {511, 0};
    struct book b = {.budget = &budget};
    assert_false(book_has_room(&b, 1));
    budget.max = 512;
    assert_true(book_has_room(&b, 1));
    budget.now = 512 - 4 - 10;
    assert_true(book_has_room(&b, 10));
    assert_false(book_has_room(&b, 11));
    add(&b, "0123456789");
    assert_int_equal(budget.now, 512);
    assert_false(book_has_room(&b, 1));
    book_drop_last(&b);
    assert_int_equal(budget.now, 512 - 4 - 10);
    assert_int_equal(b.n, 0);
    book_fini(&b);
}

/* All that a reference can name, each found by its text, whatever the hashes;
 * and what is dropped at the end is gone. */
static void test_book_finds_each_of_all_entries(void **state) {
    (void)state;
    struct budget budget = {100000, 0};
    struct book b = {.budget = &budget};
    char text[20];
    for (uint32_t i = 0; i < BOOK_MAX; i++) {
        snprintf(text, sizeof(text), "entry%u", i);
        add(&b, text);
    }
    assert_false(book_has_room(&b, 1));
    for (uint32_t i = 0; i < BOOK_MAX; i++) {
        snprintf(text, sizeof(text), "entry%u", i);
        expands(&b, NULL, i, text);
    }
    book_drop_last(&b);
    assert_int_equal(book_find(&b, NULL, str_of(text)), -1);
    assert_true(book_has_room(&b, 1));
    add(&b, "another");
    expands(&b, NULL, BOOK_MAX - 1, "another");
    while (b.n > 0)
        book_drop_last(&b);
    assert_int_equal(budget.now, 0);
    book_fini(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_book_references_are_those_of_the_format),
        cmocka_unit_test(test_book_entries_refer_to_both_books),
        cmocka_unit_test(test_book_depth_ends),
        cmocka_unit_test(test_book_text_ends_at_255),
        cmocka_unit_test(test_book_room_is_the_budgets),
        cmocka_unit_test(test_book_finds_each_of_all_entries),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
