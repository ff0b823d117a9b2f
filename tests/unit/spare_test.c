/* spare_test.c: a reader that is told to spare its stream steps over an element
 * that is refused, wherever its bytes are split, tells whose it was, and takes
 * nothing of it for an element of the stream. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codec/str.h"
#include "tests/unit/codec_util.h"

static struct terse_schema *schema;
static struct terse_limits limits = {
    .stanza_bytes = 100000,
    .frame_bytes = 100000,
    .elements = 8,
    .attributes = 6,
    .depth = 5,
    .text_bytes = 4096,
    .name_bytes = 64,
};

static int setup(void **state) {
    (void)state;
    return terse_schema_new(&schema) == TERSE_OK ? 0 : 1;
}

static int teardown(void **state) {
    (void)state;
    terse_schema_free(schema);
    return 0;
}

struct events {
    struct terse_reader *reader;
    struct terse_buf dump;
};

static enum terse_err on_event(void *arg, enum terse_event event,
                               struct terse_node *node) {
    struct events *e = arg;

    assert_int_equal(terse_buf_append(&e->dump, &"OECR"[event], 1), TERSE_OK);
    if (event == TERSE_REFUSED)
        assert_int_not_equal(terse_reader_error(e->reader)->code, TERSE_OK);
    if (event == TERSE_ELEMENT || event == TERSE_REFUSED)
        codec_dump(&e->dump, node);
    return TERSE_OK;
}

/* Feeds p in pieces: up to `at`, then `step` bytes each. */
static enum terse_err feed(struct events *e, const char *p, size_t n, size_t at,
                           size_t step) {
    enum terse_err err = TERSE_OK;

    for (size_t i = 0; i < n && err == TERSE_OK;) {
        size_t piece = i < at ? at - i : step;
        struct terse_parser *parser;

        if (piece > n - i)
            piece = n - i;
        err = terse_reader_feed(e->reader, p + i, piece);
        i += piece;
        /* As legs do: between elements the parser is somebody else's. */
        parser = err ? NULL : terse_reader_lend(e->reader);
        if (parser && terse_reader_wants(e->reader, parser))
            terse_reader_borrow(e->reader, parser);
        else
            terse_parser_free(parser);
    }
    return err;
}

static void read_as(const char *xml, size_t at, size_t step, const char *want) {
    size_t n = strlen(xml);
    struct events e = {0};
    enum terse_err err;

    terse_buf_init(&e.dump, 100000);
    assert_int_equal(terse_reader_new(&e.reader, schema, &limits, on_event, &e),
                     TERSE_OK);
    terse_reader_spare(e.reader);
    err = feed(&e, xml, n, at, step);
    assert_int_equal(terse_buf_append(&e.dump, "", 1), TERSE_OK);
    if (err || strcmp((const char *)terse_buf_data(&e.dump), want) != 0)
        fail_msg("%.200s at %zu by %zu: %d %s\n%s\nnot\n%s", xml, at, step,
                 (int)err, terse_reader_error(e.reader)->text,
                 (const char *)terse_buf_data(&e.dump), want);
    terse_reader_free(e.reader);
    terse_buf_fini(&e.dump);
}

/* n times `piece` with the number in place of %d. */
static char *many(const char *piece, unsigned n) {
    char *out = calloc(n, strlen(piece) + 8), *p = out;

    assert_non_null(out);
    for (unsigned i = 0; i < n; i++) {
        const char *hole = strchr(piece, '%');

        p += hole ? sprintf(p, "%.*s%u%s", (int)(hole - piece), piece, i,
                            hole + 2)
                  : sprintf(p, "%s", piece);
    }
    return out;
}

#define STANZA "<message from='a@b/c' x='y' to='d' id='&lt;&amp;' type='t'>"
#define WHOSE                                                                  \
    "R<7:messagen13:jabber:client@4:fromn0:=5:a@b/c@2:idn0:=2:<&"              \
    "@2:ton0:=1:d@4:typen0:=1:t{}"
#define NEXT "<iq id='2'><q/></iq>\n<p/>"
#define NEXT_READ                                                              \
    "E<2:iqn13:jabber:client@2:idn0:=1:2{<1:qn13:jabber:client{}}"             \
    "E<1:pn13:jabber:client{}"

/* Content that looks like something else. */
static const char tricks[] =
    "<x y='/>' z=\"</message>'\"/>a/>b>c<![CDATA[</message><iq/>]]]>]]>"
    "<e></e ><f/><g h = '>'>]]&gt;</g>";

static void every_way(const char *bad, const char *whose) {
    char *xml = malloc(2 * strlen(bad) + 2000), *want = malloc(4000);
    size_t n, step;

    assert_true(xml && want);
    sprintf(xml, CODEC_HEADER "<p/>%s" NEXT "%s" NEXT, bad, bad);
    sprintf(want, "OE<1:pn13:jabber:client{}%s" NEXT_READ "%s" NEXT_READ, whose,
            whose);
    n = strlen(xml);
    step = n > 40000 ? 997 : n > 4000 ? 37 : 1;
    for (size_t at = 1; at <= n; at += step)
        read_as(xml, at, n, want);
    read_as(xml, 0, 1, want);
    free(xml);
    free(want);
}

static void test_spare_refused_content_is_stepped_over(void **state) {
    static const char *const bad[] = {
        "<a><b><c><d><e/></d></c></b></a>", /* too deep */
        "<a><b><c><d><e x='>'></e></d></c></b></a>",
        "<a/><a/><a/><a/><a/><a/><a/><a/><a/>", /* too many */
        "<a a='1' b='2' c='3' d='4' e='5' f='6' g='7'/>",
        "<a a='1' b='2' c='3' d='4' e='5' f='6' g='7'><h/></a>",
        "<a xmlns='x y'/>",
        "<a xmlns='x&#10;y'>b</a>",
        "<a xmlns:p='x y' p:b='c'/>",
        ("<n234567890123456789012345678901234567890123456789012345678901234567/"
         ">"),
        "<p:a/>", /* no such prefix */
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char xml[2000];

        snprintf(xml, sizeof(xml), STANZA "u<b/>%s%s</message>", bad[i],
                 tricks);
        every_way(xml, WHOSE);
    }
}

static void test_spare_floods_are_stepped_over(void **state) {
    static const char *const pieces[] = {" a%d='x'", " xmlns:a%d='x'"};
    static const unsigned counts[] = {7, 257, 300, 3000};

    (void)state;
    for (size_t i = 0; i < 8; i++) {
        unsigned count = counts[i / 2];
        char *flood = many(pieces[i % 2], count);
        char *xml = malloc(strlen(flood) + 2000);

        assert_non_null(xml);
        if (i % 2 == 0 || count > 256) {
            sprintf(xml, STANZA "<a%s>%s</a></message>", flood, tricks);
            every_way(xml, WHOSE);
        }
        free(xml);
        free(flood);
    }
}

/* Larger than it may be, in all that takes room; most of it comes behind. */
static void test_spare_what_is_too_large_is_stepped_over(void **state) {
    static const char *const pieces[] = {"&lt;'>\"/", "<![CDATA[</message>]]>",
                                         "<a/>", "<b c='/>'></b >"};
    struct terse_limits was = limits;

    (void)state;
    for (size_t i = 0; i < 6; i++) {
        char *many_pieces = many(pieces[i % 4], 6000);
        char *xml = malloc(strlen(many_pieces) + 2000);

        assert_non_null(xml);
        limits.stanza_bytes = 3000;
        limits.elements = 100000;
        limits.text_bytes = 100000;
        if (i == 4) /* a value, and a tag, that do not end for long */
            memset(many_pieces, 'v', strlen(many_pieces));
        if (i == 5)
            memset(many_pieces, ' ', strlen(many_pieces));
        sprintf(xml,
                i == 4   ? STANZA "<a b='%s'/></message>"
                : i == 5 ? STANZA "<a b=''%s/></message>"
                         : STANZA "%s</message>",
                many_pieces);
        every_way(xml, WHOSE);
        free(xml);
        free(many_pieces);
    }
    limits = was;
}

/* A text or a value that is too large, first in one slice, then in several; and
 * what comes behind it in the stanza. */
static void test_spare_too_large_texts_are_stepped_over(void **state) {
    static const char *const ways[] = {
        STANZA "%s</message>",
        STANZA "<b>%s</b></message>",
        STANZA "<b><![CDATA[%s]]></b></message>",
        STANZA "<b>&gt;%s]]&gt;a<c/></b><x y='/>'/>a<![CDATA[</message>]]>"
               "</message>",
        STANZA "<b>%s<a><a><a><a/></a></a></a></b></message>",
        STANZA "<b c='%s'/>a</message>",
    };
    static const unsigned counts[] = {21, 3000};
    struct terse_limits was = limits;

    (void)state;
    limits.text_bytes = 20;
    for (size_t i = 0; i < 2 * sizeof(ways) / sizeof(ways[0]); i++) {
        char *text = many(i / 6 ? "v'>" : "v", counts[i / 6]);
        char *xml = malloc(strlen(text) + 2000);

        assert_non_null(xml);
        if (i % 6 == 5)
            memset(text, 'v', strlen(text));
        sprintf(xml, ways[i % 6], text);
        every_way(xml, WHOSE);
        free(text);
        free(xml);
    }
    limits = was;
}

/* What a stanza's own tag is refused for: it is known what it was, and if
 * libxml2 has read it, whose. */
static void test_spare_refused_tags_are_told_of(void **state) {
    char *flood = many(" a%d='x'", 300), *xml = malloc(8000);

    (void)state;
    assert_non_null(xml);
    every_way("<message from='a@b/c' to='d' id='&lt;&amp;' type='t' e='' f='' "
              "g=''><a/></message>",
              WHOSE);
    every_way("<iq id='1' xmlns:p='x y' p:b='c'/>",
              "R<2:iqn13:jabber:client@2:idn0:=1:1{}");
    sprintf(xml, "<message from='a@b/c'%s><a>t</a></message>", flood);
    every_way(xml, "R<7:messagen13:jabber:client{}");
    sprintf(xml, "<presence%s/>", flood);
    every_way(xml, "R<8:presencen13:jabber:client{}");
    free(xml);
    free(flood);
}

/* ---- against a reader without limits ----------------------------------------
 */

static const char *const bits[] = {
    "t",
    "/",
    "]]",
    "'",
    "\"",
    "&gt;",
    "&lt;a&gt;",
    "<![CDATA[<a>]]>",
    "\r",
    "\n",
    "<a/>",
    "<b c='>'/>",
    "<d e=\"/>'\" f='\"/' />",
    "<![CDATA[]]]]>",
    "<![CDATA[/>\"'&]]>",
};

/* One element and what is in it. */
static void make_element(struct terse_buf *out, struct codec_random *r,
                         unsigned depth) {
    char tag[64];
    uint64_t n = codec_random(r) % 6;

    snprintf(tag, sizeof(tag), "<n%u%s", depth,
             codec_random(r) % 99 ? "" : " xmlns='x y'");
    assert_false(terse_buf_append(out, tag, strlen(tag)));
    for (uint64_t i = codec_random(r) % 9; i > 0; i--) {
        snprintf(tag, sizeof(tag), " a%u=%s", (unsigned)i,
                 codec_random(r) % 2 ? "'/>\"'" : "\"'>\"");
        assert_false(terse_buf_append(out, tag, strlen(tag)));
    }
    if (n == 0) {
        assert_false(terse_buf_append(out, "/>", 2));
        return;
    }
    assert_false(terse_buf_append(out, ">", 1));
    while (n-- > 1) {
        const char *bit =
            bits[codec_random(r) % (sizeof(bits) / sizeof(bits[0]))];

        if (depth < 9 && codec_random(r) % 2)
            make_element(out, r, depth + 1);
        else
            assert_false(terse_buf_append(out, bit, strlen(bit)));
    }
    snprintf(tag, sizeof(tag), "</n%u>", depth);
    assert_false(terse_buf_append(out, tag, strlen(tag)));
}

static void list(struct codec_list *l, const struct terse_limits *by,
                 const struct terse_buf *xml, struct codec_random *r) {
    assert_int_equal(codec_list_read(l, schema, by,
                                     (const char *)terse_buf_data(xml),
                                     xml->len, r),
                     TERSE_OK);
}

/* Nothing that is inside of an element comes out as one, and none is lost. */
static void
test_spare_elements_are_those_of_a_reader_without_limits(void **state) {
    struct terse_limits small = codec_wide;
    struct codec_random random = {4711};
    struct terse_limits short_texts = codec_wide;
    size_t refused = 0, passed = 0, large = 0, texts = 0;

    (void)state;
    short_texts.text_bytes = 6;
    for (int turn = 0; turn < 3000; turn++) {
        struct codec_list wide, tight, few, brief;
        struct terse_buf xml;

        terse_buf_init(&xml, 1 << 24);
        assert_false(
            terse_buf_append(&xml, CODEC_HEADER, sizeof(CODEC_HEADER) - 1));
        for (int i = 0; i < 5; i++)
            make_element(&xml, &random, 0);
        list(&wide, &codec_wide, &xml, NULL);
        list(&tight, &limits, &xml, &random);
        small.stanza_bytes = 200 + (uint32_t)(codec_random(&random) % 500);
        list(&few, &small, &xml, &random);
        list(&brief, &short_texts, &xml, &random);
        assert_int_equal(wide.n, 5);
        assert_int_equal(brief.n, 5);
        assert_int_equal(few.n, 5);
        assert_int_equal(tight.n, 5);
        for (size_t i = 0; i < 5; i++) {
            refused += tight.refused[i];
            passed += !tight.refused[i];
            large += few.refused[i] && !wide.refused[i];
            texts += brief.refused[i] && !wide.refused[i];
            if (!brief.refused[i])
                assert_true(codec_same(&wide.at[i], &brief.at[i]));
            if (!tight.refused[i])
                assert_true(codec_same(&wide.at[i], &tight.at[i]));
            if (!few.refused[i])
                assert_true(codec_same(&wide.at[i], &few.at[i]));
        }
        codec_list_fini(&brief);
        codec_list_fini(&few);
        codec_list_fini(&wide);
        codec_list_fini(&tight);
        terse_buf_fini(&xml);
    }
    assert_true(refused > 1000 && passed > 1000 && large > 1000 && texts > 500);
}

static enum terse_err read_err(const char *xml, bool spare) {
    struct events e = {0};
    enum terse_err err;

    terse_buf_init(&e.dump, 100000);
    assert_int_equal(terse_reader_new(&e.reader, schema, &limits, on_event, &e),
                     TERSE_OK);
    if (spare)
        terse_reader_spare(e.reader);
    err = feed(&e, xml, strlen(xml), 0, 61);
    terse_reader_free(e.reader);
    terse_buf_fini(&e.dump);
    return err;
}

/* What ends a stream still does. */
static void test_spare_only_what_was_asked_for(void **state) {
    (void)state;
    assert_int_equal(read_err(CODEC_HEADER "<a xmlns='x y'/>", false),
                     TERSE_ENAMESPACE);
    assert_int_equal(read_err(CODEC_HEADER "<a><a a='1' b='2' c='3' d='4' "
                                           "e='5' f='6' g='7'/></a>",
                              false),
                     TERSE_ELIMIT);
    assert_int_equal(read_err(CODEC_HEADER "<a><b></a>", true), TERSE_EXML);
    /* A tag that is refused has to be a tag. */
    assert_int_equal(read_err(CODEC_HEADER "<a><p:b\x13/></a>", true),
                     TERSE_ENAMESPACE);
    assert_int_equal(
        read_err(CODEC_HEADER "<m><a xmlns='x y'/><!-- --></m>", true),
        TERSE_ERESTRICTED);
    assert_int_equal(
        read_err(CODEC_HEADER "<m><a xmlns='x y'/><?p i?></m>", true),
        TERSE_ERESTRICTED);
    assert_int_equal(read_err("<stream:stream xmlns='" TERSE_NS_CLIENT
                              "' xmlns:stream='" TERSE_NS_STREAM
                              "' a='' b='' c='' d='' e='' f='' g=''><a/>",
                              true),
                     TERSE_ELIMIT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_spare_refused_content_is_stepped_over),
        cmocka_unit_test(test_spare_floods_are_stepped_over),
        cmocka_unit_test(test_spare_what_is_too_large_is_stepped_over),
        cmocka_unit_test(test_spare_too_large_texts_are_stepped_over),
        cmocka_unit_test(test_spare_refused_tags_are_told_of),
        cmocka_unit_test(
            test_spare_elements_are_those_of_a_reader_without_limits),
        cmocka_unit_test(test_spare_only_what_was_asked_for),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
