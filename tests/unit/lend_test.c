/*
 * lend_test.c: readers that lend each other their parser between two elements
 * read what they would have read with one of their own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "codec/terse.h"

#define NS "http://etherx.jabber.org/streams"
#define HEADER                                                                 \
    "<stream:stream xmlns='jabber:client' xmlns:stream='" NS "' "              \
    "xmlns:x='u:x'>"
#define OTHER                                                                  \
    "<stream:stream xmlns='jabber:client' xmlns:stream='" NS "' "              \
    "xmlns:y='u:y'>"
#define BODY                                                                   \
    "<message to='a@b'><body>one &amp; two</body></message>\r\n \r\n"          \
    "<presence/>  <x:e x:a='1'><![CDATA[<]]></x:e><iq id='7'><odd/></iq>\n"    \
    "<iq id='8'><q xmlns='u:q'><r xmlns:p='u:p' p:a='1'/></q></iq>"            \
    "<message><body>\xc3\xa9</body></message></stream:stream>"

static struct terse_schema *schema;

struct heard {
    struct terse_buf frames;
    unsigned n;
};

static enum terse_err hear(void *arg, enum terse_event event,
                           struct terse_node *node) {
    struct heard *h = arg;
    struct terse_buf frame;

    terse_buf_init(&frame, 1 << 20);
    assert_int_equal(
        terse_encode(schema, &terse_limits_default, event, node, &frame, NULL),
        TERSE_OK);
    assert_int_equal(
        terse_buf_append(&h->frames, terse_buf_data(&frame), frame.len),
        TERSE_OK);
    terse_buf_fini(&frame);
    h->n++;
    return TERSE_OK;
}

static struct terse_reader *reader_new(struct heard *h) {
    struct terse_reader *r;

    memset(h, 0, sizeof(*h));
    terse_buf_init(&h->frames, 1 << 20);
    assert_int_equal(
        terse_reader_new(&r, schema, &terse_limits_default, hear, h), TERSE_OK);
    return r;
}

/* One piece, and the parser goes to whoever wants it next. */
static void feed(struct terse_reader *r, struct terse_parser **spare,
                 const char *p, size_t n, unsigned *lent) {
    if (*spare && terse_reader_wants(r, *spare)) {
        terse_reader_borrow(r, *spare);
        *spare = NULL;
    }
    assert_int_equal(terse_reader_feed(r, p, n), TERSE_OK);
    if (*spare) {
        terse_parser_free(*spare);
        *spare = NULL;
    }
    *spare = terse_reader_lend(r);
    *lent += *spare != NULL;
}

/* Two streams in turn, in pieces of `step` bytes, with one parser between
 * them. */
static void in_turn(size_t step, const struct heard *want) {
    static const char xml[] = HEADER BODY;
    struct heard heard[2];
    struct terse_reader *r[2] = {reader_new(&heard[0]), reader_new(&heard[1])};
    struct terse_parser *spare = NULL;
    unsigned lent = 0;

    for (size_t at = 0; at < sizeof(xml) - 1; at += step) {
        size_t n = sizeof(xml) - 1 - at < step ? sizeof(xml) - 1 - at : step;

        for (int i = 0; i < 2; i++)
            feed(r[i], &spare, xml + at, n, &lent);
    }
    for (int i = 0; i < 2; i++) {
        assert_int_equal(heard[i].n, want->n);
        assert_int_equal(heard[i].frames.len, want->frames.len);
        assert_memory_equal(terse_buf_data(&heard[i].frames),
                            terse_buf_data(&want->frames), want->frames.len);
        terse_reader_free(r[i]);
        terse_buf_fini(&heard[i].frames);
    }
    if (step == 1)
        assert_true(lent > 6);
    terse_parser_free(spare);
}

static void test_lend_at_every_split_reads_the_same(void **state) {
    static const char xml[] = HEADER BODY;
    struct heard want;
    struct terse_reader *r = reader_new(&want);

    (void)state;
    assert_int_equal(terse_reader_feed(r, xml, sizeof(xml) - 1), TERSE_OK);
    assert_int_equal(want.n, 8);
    for (size_t step = 1; step < sizeof(xml); step++)
        in_turn(step, &want);
    terse_reader_free(r);
    terse_buf_fini(&want.frames);
}

/* Prefixes of one stream mean nothing in another. */
static void test_lend_only_to_same_declarations(void **state) {
    struct heard one, two;
    struct terse_reader *a = reader_new(&one), *b = reader_new(&two);
    struct terse_parser *p;

    (void)state;
    assert_int_equal(terse_reader_feed(a, HEADER, strlen(HEADER)), TERSE_OK);
    assert_int_equal(terse_reader_feed(b, OTHER, strlen(OTHER)), TERSE_OK);
    terse_parser_free(terse_reader_lend(b));
    p = terse_reader_lend(a);
    assert_non_null(p);
    assert_false(terse_reader_wants(b, p));
    assert_true(terse_reader_wants(a, p));
    assert_int_equal(terse_reader_feed(b, "<y:e/>", 6), TERSE_OK);
    assert_int_equal(terse_reader_feed(b, "<x:e/>", 6), TERSE_ENAMESPACE);
    terse_parser_free(p);
    terse_reader_free(a);
    terse_reader_free(b);
    terse_buf_fini(&one.frames);
    terse_buf_fini(&two.frames);
}

static void test_lend_nothing_where_something_is_half_read(void **state) {
    static const char *const half[] = {"<",       "<mess", "<message>",
                                       "<a>text", "&",     "<a/>\n<"};
    struct heard h;

    (void)state;
    for (size_t i = 0; i < sizeof(half) / sizeof(half[0]); i++) {
        struct terse_reader *r = reader_new(&h);

        assert_int_equal(terse_reader_feed(r, HEADER, strlen(HEADER)),
                         TERSE_OK);
        (void)!terse_reader_feed(r, half[i], strlen(half[i]));
        assert_null(terse_reader_lend(r));
        terse_reader_free(r);
        terse_buf_fini(&h.frames);
    }
}

static void test_lend_rest_holds_little(void **state) {
    struct heard h;
    struct terse_reader *r = reader_new(&h);
    size_t busy;

    (void)state;
    assert_int_equal(terse_reader_feed(r, HEADER "<a>b", strlen(HEADER) + 4),
                     TERSE_OK);
    busy = terse_reader_memory(r);
    assert_true(busy > 8192);
    assert_int_equal(terse_reader_feed(r, "</a> ", 5), TERSE_OK);
    terse_parser_free(terse_reader_lend(r));
    assert_true(terse_reader_memory(r) < 1024);
    /* A restart begins anew, as ever. */
    terse_reader_restart(r);
    assert_int_equal(terse_reader_feed(r, OTHER "<y:e/>", strlen(OTHER) + 6),
                     TERSE_OK);
    assert_int_equal(h.n, 4);
    terse_reader_free(r);
    terse_buf_fini(&h.frames);
}

static int begin(void **state) {
    (void)state;
    return terse_schema_new(&schema) != TERSE_OK;
}

static int end(void **state) {
    (void)state;
    terse_schema_free(schema);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lend_at_every_split_reads_the_same),
        cmocka_unit_test(test_lend_only_to_same_declarations),
        cmocka_unit_test(test_lend_nothing_where_something_is_half_read),
        cmocka_unit_test(test_lend_rest_holds_little),
    };

    return cmocka_run_group_tests_name("lend", tests, begin, end);
}
