/* Tests of codec/strings.c and slots.c: every mark, both ways, and strings that
 * nobody should send. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "codec/str.h"
#include "codec/strings.h"
#include "codec_util.h"

/* One end of one direction, and the book of the other one. */
struct end {
    struct budget budget, other_budget;
    struct slots slots;
    struct book book, other;
    struct stems stems;
    struct strings strings;
};

static struct terse_buf wire, back;

static void end_init(struct end *e, uint32_t slots, uint32_t bytes) {
    *e = (struct end){.budget = {bytes, 0}, .other_budget = {60000, 0}};
    slots_init(&e->slots, slots, &e->budget);
    e->book.budget = &e->budget;
    e->other.budget = &e->other_budget;
    e->strings = (struct strings){.slots = &e->slots,
                                  .book = &e->book,
                                  .other = &e->other,
                                  .stems = &e->stems};
}

static void end_fini(struct end *e) {
    slots_fini(&e->slots);
    book_fini(&e->book);
    book_fini(&e->other);
}

static struct terse_str bytes(const void *p, size_t n) {
    return (struct terse_str){p, n};
}

static struct terse_str of(const struct terse_buf *buf) {
    return bytes(terse_buf_data(buf), buf->len);
}

static enum terse_err unpack(struct end *e, const void *p, size_t n) {
    terse_buf_reset(&back);
    return strings_unpack(&e->strings, bytes(p, n), &back);
}

/* n bytes stand for text. */
static void stands_for(struct end *e, const void *p, size_t n,
                       const char *text) {
    assert_int_equal(unpack(e, p, n), TERSE_OK);
    assert_true(str_is(of(&back), text));
}
#define STANDS_FOR(e, p, text) stands_for(e, p, sizeof(p) - 1, text)
#define REFUSED(e, p)                                                          \
    assert_int_equal(unpack(e, p, sizeof(p) - 1), TERSE_EFRAME)

/* What the sender makes of text. */
static struct terse_str packs(struct end *e, const char *text,
                              enum strings_kind kind) {
    terse_buf_reset(&wire);
    assert_int_equal(strings_pack(&e->strings, str_of(text), kind, &wire),
                     TERSE_OK);
    return of(&wire);
}
#define PACKS(e, text, kind, as)                                               \
    assert_true(str_eq(packs(e, text, kind), bytes(as, sizeof(as) - 1)))

/* ---- slots ----------------------------------------------------------------
 */

/* The marks of slot i, as docs/wire.md lists them. */
static size_t ref_of(uint32_t i, char out[2]) {
    if (i < 8)
        out[0] = (char)(0x01 + i);
    else if (i < 19)
        out[0] = (char)(0x0e + i - 8);
    else
        out[0] = i < 115 ? 0x1a : 0x1b;
    out[1] = (char)(0x20 + (i < 115 ? i - 19 : i - 115));
    return i < 19 ? 1 : 2;
}

static void test_strings_name_every_slot(void **state) {
    (void)state;
    struct end in, out;
    char text[40], mark[40], ref[2];
    end_init(&in, SLOTS_MAX, 60000);
    end_init(&out, SLOTS_MAX, 400); /* no book */
    out.budget.max = 60000;
    out.book.budget = &out.other_budget;
    out.other_budget.max = 0;
    for (uint32_t i = 0; i < SLOTS_MAX; i++) {
        int n = snprintf(text, sizeof(text), "token number %u", i);
        mark[0] = i < 96 ? 0x1c : 0x1d;
        mark[1] = (char)(0x20 + i % 96);
        memcpy(mark + 2, text, (size_t)n + 1);
        stands_for(&in, mark, (size_t)n + 2, text);
        /* Ours takes them one after the other. */
        assert_true(str_eq(packs(&out, text, STRINGS_TOKEN),
                           bytes(mark, (size_t)n + 2)));
    }
    for (uint32_t i = 0; i < SLOTS_MAX; i++) {
        snprintf(text, sizeof(text), "token number %u", i);
        size_t n = ref_of(i, ref);
        stands_for(&in, ref, n, text);
        assert_true(str_eq(packs(&out, text, STRINGS_ONCE), bytes(ref, n)));
    }
    /* Then that which was not used for the longest time. */
    assert_true(str_eq(packs(&out, "one token more", STRINGS_TOKEN),
                       str_of("\x1c\x20"
                              "one token more")));
    end_fini(&in);
    end_fini(&out);
}

static void test_strings_slots_are_replaced_and_built_on(void **state) {
    (void)state;
    struct end e;
    end_init(&e, 3, 2000);
    STANDS_FOR(&e,
               "\x1c\x20"
               "abc",
               "abc");
    STANDS_FOR(&e,
               "\x1c\x21\x01"
               "d\x01",
               "abcdabc");
    STANDS_FOR(&e, "\x02\x02", "abcdabcabcdabc");
    STANDS_FOR(&e, "\x1c\x20\x02\x01", "abcdabcabc"); /* of what it was */
    STANDS_FOR(&e, "<\x01>", "<abcdabcabc>");
    STANDS_FOR(&e, "\x02", "abcdabc"); /* stays what it was */
    STANDS_FOR(&e, "\x1c\x22", "");    /* an empty one */
    STANDS_FOR(&e,
               "a\x03"
               "b",
               "ab");
    REFUSED(&e, "\x1c\x23"
                "a"); /* the fourth */
    end_fini(&e);
}

static void test_strings_slots_end_at_their_bounds(void **state) {
    (void)state;
    char text[2 + SLOT_BYTES_MAX + 1] = "\x1c\x20";
    struct end e;
    end_init(&e, 2, 2 * (SLOT_COST + SLOT_BYTES_MAX) - 1);
    memset(text + 2, 'x', sizeof(text) - 2);
    assert_int_equal(unpack(&e, text, sizeof(text)), TERSE_EFRAME);
    assert_int_equal(unpack(&e, text, sizeof(text) - 1), TERSE_OK);
    text[1] = 0x21;
    assert_int_equal(unpack(&e, text, sizeof(text) - 1), TERSE_EFRAME);
    assert_int_equal(unpack(&e, text, sizeof(text) - 2), TERSE_OK);
    assert_int_equal(e.budget.now, e.budget.max);
    assert_int_equal(unpack(&e, text, sizeof(text) - 2), TERSE_OK); /* again */
    STANDS_FOR(&e, "\x1c\x20", "");
    assert_int_equal(e.budget.now, 2 * SLOT_COST + SLOT_BYTES_MAX - 1);
    end_fini(&e);
}

/* ---- the book -------------------------------------------------------------
 */

static void test_strings_enter_the_book(void **state) {
    (void)state;
    struct end e;
    end_init(&e, 3, 2000);
    assert_int_equal(
        book_add(&e.other, str_of("rooms.example"), str_of("rooms.example")),
        TERSE_OK);
    STANDS_FOR(&e,
               "\x19"
               "example.org",
               "example.org");
    STANDS_FOR(&e,
               "\x19"
               "bob@\x1e\x20",
               "bob@example.org");
    STANDS_FOR(&e,
               "\x19"
               "r@\x1f\x20/\x1e\x21",
               "r@rooms.example/bob@example.org");
    STANDS_FOR(&e, "\x1e\x22", "r@rooms.example/bob@example.org");
    STANDS_FOR(&e, "\x1c\x20\x1e\x21", "bob@example.org"); /* to a slot */
    STANDS_FOR(&e, "\x1e\x20\x01\x1f\x20",
               "example.orgbob@example.orgrooms.example");
    REFUSED(&e, "\x1e\x23");
    REFUSED(&e, "\x1f\x21");
    REFUSED(&e, "\x19"
                "a\x01");
    assert_int_equal(strings_enter(&e.strings, str_of("stem")), TERSE_OK);
    STANDS_FOR(&e, "\x1e\x23", "stem");
    assert_int_equal(strings_enter(&e.strings, str_of("")), TERSE_EFRAME);
    assert_int_equal(strings_enter(&e.strings, str_of("a\x1e\x20")),
                     TERSE_EFRAME);
    end_fini(&e);
}

/* Numbers from 64 on take a byte more; all of them can be read. */
static void test_strings_name_far_entries(void **state) {
    (void)state;
    struct end e;
    char text[30], ref[3];
    end_init(&e, 3, 60000);
    for (uint32_t i = 0; i < BOOK_MAX; i++) {
        int n = snprintf(text, sizeof(text),
                         "\x19"
                         "e%u",
                         i);
        stands_for(&e, text, (size_t)n, text + 1);
    }
    for (uint32_t i = 0; i < BOOK_MAX; i++) {
        snprintf(text, sizeof(text), "e%u", i);
        stands_for(&e, ref, book_put_ref(BOOK_OWN, i, ref), text);
    }
    REFUSED(&e, "\x19"
                "more");
    end_fini(&e);
}

/* ---- our own policy -------------------------------------------------------
 */

static void test_strings_of_each_kind_are_remembered_so(void **state) {
    (void)state;
    struct end e;
    end_init(&e, 3, 2000);
    PACKS(&e, "0123456789", STRINGS_ONCE, "0123456789");
    PACKS(&e, "0123456789", STRINGS_ONCE, "0123456789");
    PACKS(&e, "short", STRINGS_TOKEN, "short"); /* not worth a slot */
    PACKS(&e, "a longer one", STRINGS_TOKEN,
          "\x1c\x20"
          "a longer one");
    PACKS(&e, "a longer one", STRINGS_ONCE, "\x01");
    PACKS(&e, "bob@example.org", STRINGS_ADDRESS,
          "\x19"
          "bob@example.org");
    PACKS(&e, "bob@example.org", STRINGS_LISTED, "\x1e\x20");
    PACKS(&e, "bob@example.org/phone", STRINGS_LISTED, "\x19\x1e\x20/phone");
    PACKS(&e, "bob@example.org/desk", STRINGS_ONCE, "\x1e\x20/desk");
    PACKS(&e, "example.org", STRINGS_ADDRESS,
          "\x19"
          "example.org");
    PACKS(&e, "carol@example.org", STRINGS_ADDRESS,
          "\x19"
          "carol@\x1e\x22");
    /* The book is full: addresses take slots, listed ones do not. */
    e.budget.max = 600;
    e.budget.now = 600 - 40;
    PACKS(&e, "somebody-else@elsewhere.example/with/a/long/tail",
          STRINGS_LISTED, "somebody-else@elsewhere.example/with/a/long/tail");
    assert_int_equal(e.book.n, 4);
    e.budget.max = 511; /* no book, but slots */
    e.budget.now = 0;
    PACKS(&e, "dave@example.com", STRINGS_LISTED, "dave@example.com");
    PACKS(&e, "dave@example.com", STRINGS_ADDRESS,
          "\x1c\x21"
          "dave@example.com");
    end_fini(&e);
}

/* How the resources of clients begin comes beside the second of them. */
static void test_strings_stems_come_with_the_second(void **state) {
    (void)state;
    struct end e;
    end_init(&e, 3, 2000);
    packs(&e, "a@example.org/gajim.AB12", STRINGS_ADDRESS);
    assert_int_equal(e.strings.stem_n, 0);
    packs(&e, "b@example.org/other.AB12", STRINGS_ADDRESS);
    assert_int_equal(e.strings.stem_n, 0);
    packs(&e, "c@example.org/gajim.CD34", STRINGS_ADDRESS);
    assert_true(
        str_eq(bytes(e.strings.stem, e.strings.stem_n), str_of("/gajim.")));
    end_fini(&e);
}

/* What goes in comes out, of any kind, at small bounds and large ones; both
 * ends count the same. */
static void test_strings_come_out_as_they_went_in(void **state) {
    (void)state;
    static const char *const locals[] = {"bob@", "carol@", "", "a.long.name@"};
    static const char *const domains[] = {"example.org", "rooms.example.net",
                                          "im.example"};
    static const char *const tails[] = {"",          "/phone", "/gajim.1A",
                                        "/gajim.2B", "#ver=",  "/x/y#z"};
    static const uint32_t budgets[] = {0, 30, 511, 512, 700, 3000, 60000};
    struct codec_random random = {5};
    for (uint32_t b = 0; b < 7; b++) {
        struct end out, in;
        end_init(&out, b * 3, budgets[b]);
        end_init(&in, b * 3, budgets[b]);
        for (int i = 0; i < 4000; i++) {
            char text[100];
            uint64_t r = codec_random(&random);
            int n = snprintf(text, sizeof(text), "%s%s%s", locals[r % 4],
                             domains[r / 4 % 3], tails[r / 12 % 6]);
            if (r / 100 % 3 == 0)
                snprintf(text + n, sizeof(text) - (size_t)n, "%u",
                         (unsigned)(r / 1000 % 300));
            struct terse_str w =
                packs(&out, text, (enum strings_kind)(r / 7777 % 4));
            assert_true(w.n <= strlen(text) + 2);
            stands_for(&in, w.p, w.n, text);
            assert_int_equal(in.budget.now, out.budget.now);
            assert_int_equal(in.book.n, out.book.n);
        }
        end_fini(&out);
        end_fini(&in);
    }
}

/* ---- hostile --------------------------------------------------------------
 */

/* Any bytes: refused, or characters without marks; and what is kept has none
 * either, and is within the bounds. */
static void test_strings_any_bytes_leave_no_marks(void **state) {
    (void)state;
    struct codec_random random = {6};
    unsigned fine = 0;
    struct end e;
    end_init(&e, 40, 3000);
    assert_int_equal(
        book_add(&e.other, str_of("example.org"), str_of("example.org")),
        TERSE_OK);
    for (int i = 0; i < 200000; i++) {
        uint8_t text[12];
        size_t n = 1 + codec_random(&random) % sizeof(text);
        for (size_t j = 0; j < n; j++)
            text[j] = (uint8_t)(codec_random(&random) % 3
                                    ? codec_random(&random) % 0x28
                                    : 0x20 + codec_random(&random) % 0x70);
        if (unpack(&e, text, n) != TERSE_OK)
            continue;
        fine++;
        assert_false(strings_marked(of(&back)));
        assert_true(e.budget.now <= e.budget.max);
    }
    assert_true(fine > 1000 && e.book.n > 20);
    for (uint32_t i = 0; i < e.slots.have; i++) {
        struct terse_str s;
        if (slots_get(&e.slots, i, &s))
            assert_false(strings_marked(s));
    }
    for (uint32_t i = 0; i < e.book.n; i++) {
        char out[BOOK_TEXT_MAX];
        int n = book_expand(&e.book, &e.other, i, out);
        assert_true(n > 0);
        assert_false(strings_marked(bytes(out, (size_t)n)));
        assert_true(book_depth(&e.book, &e.other, i) <= BOOK_DEPTH_MAX);
    }
    end_fini(&e);
}

/* Out of memory and over the bound of what it writes to: said, not worked
 * around; what comes then is not damaged. */
static void test_strings_stop_at_the_buffers_cap(void **state) {
    (void)state;
    struct end e;
    struct terse_buf small;
    terse_buf_init(&small, 10);
    end_init(&e, 3, 2000);
    STANDS_FOR(&e,
               "\x1c\x20"
               "0123456",
               "0123456");
    assert_int_equal(strings_unpack(&e.strings, str_of("\x01\x01"), &small),
                     TERSE_ELIMIT);
    terse_buf_reset(&small);
    assert_int_equal(strings_pack(&e.strings, str_of("0123456 and more"),
                                  STRINGS_TOKEN, &small),
                     TERSE_ELIMIT);
    terse_buf_fini(&small);
    end_fini(&e);
}

static int setup(void **state) {
    (void)state;
    terse_buf_init(&wire, 100000);
    terse_buf_init(&back, 100000);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    terse_buf_fini(&wire);
    terse_buf_fini(&back);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_strings_name_every_slot),
        cmocka_unit_test(test_strings_slots_are_replaced_and_built_on),
        cmocka_unit_test(test_strings_slots_end_at_their_bounds),
        cmocka_unit_test(test_strings_enter_the_book),
        cmocka_unit_test(test_strings_name_far_entries),
        cmocka_unit_test(test_strings_of_each_kind_are_remembered_so),
        cmocka_unit_test(test_strings_stems_come_with_the_second),
        cmocka_unit_test(test_strings_come_out_as_they_went_in),
        cmocka_unit_test(test_strings_any_bytes_leave_no_marks),
        cmocka_unit_test(test_strings_stop_at_the_buffers_cap),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
