/* to_frame_test.c: whatever XML says comes back from its frame, and the frame
 * holds it at the place where it stood. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "terse.pb-c.h"
#include "tests/unit/codec_util.h"

static struct terse_schema *schema;

static int setup(void **state) {
    (void)state;
    return terse_schema_new(&schema) == TERSE_OK ? 0 : 1;
}

static int teardown(void **state) {
    (void)state;
    terse_schema_free(schema);
    return 0;
}

static void init(struct terse_buf *a, struct terse_buf *b,
                 struct terse_buf *c) {
    terse_buf_init(a, SIZE_MAX / 4);
    terse_buf_init(b, SIZE_MAX / 4);
    terse_buf_init(c, SIZE_MAX / 4);
}

/* The frame of xml, in *frame; fails the test unless it decodes, at both
 * places, to what our reader finds the same and expat well-formed. */
static void comes_back(const char *s, size_t n, struct terse_buf *frame) {
    struct terse_buf xml, want, got;
    struct terse_error error;
    init(&xml, &want, &got);
    if (!codec_read_element(schema, false, s, n, &want))
        fail_msg("%.200s: is not read", s);
    if (codec_encode(schema, &codec_wide, s, n, frame, &error) != TERSE_OK)
        fail_msg("%.200s: %s", s, error.text);
    for (int place = TERSE_IN_STREAM; place <= TERSE_STANDALONE; place++) {
        terse_buf_reset(&xml);
        terse_buf_reset(&got);
        if (terse_decode(schema, &codec_wide, terse_buf_data(frame), frame->len,
                         (enum terse_place)place, &xml, &error) != TERSE_OK)
            fail_msg("%.200s: %s", s, error.text);
        bool alone = place == TERSE_STANDALONE;
        if (!codec_read_element(schema, alone, terse_buf_data(&xml), xml.len,
                                &got) ||
            !codec_same(&want, &got) ||
            !codec_expat_reads(terse_buf_data(&xml), xml.len, !alone))
            fail_msg("%.300s\ncomes back as\n%.*s", s, (int)xml.len,
                     (const char *)terse_buf_data(&xml));
    }
    terse_buf_fini(&xml);
    terse_buf_fini(&want);
    terse_buf_fini(&got);
}

#define PING "<ping xmlns='urn:xmpp:ping'/>"

static const char *const rows[] = {
    "<message/>",
    "<message></message>",
    "<message> </message>",
    "<message to=''/>",
    "<message to='' from='' id='' type='' xml:lang=''/>",
    "<message type='CHAT' id='007' xml:lang='x'/>",
    "<message id='F81D4FAE-7DEC-11D0-A765-00A0C91E6BF6'/>",
    "<message><body/></message>",
    "<message><body> </body></message>",
    "<message><body>a</body><body>b</body><body>c</body></message>",
    "<message><body xml:lang='de'>a</body><body>b</body></message>",
    "<message><body foo='1'>a</body></message>",
    "<message><body>a<b/></body></message>",
    "<message><body>a<b/>c</body></message>",
    "<message><body xmlns='urn:x'>a</body></message>",
    "<message><subject>a</subject><body>b</body><subject>c</subject></message>",
    "<message>a<body>b</body>c<thread>d</thread>e</message>",
    "<message>\n <body>b</body>\n <thread parent='p'>d</thread>\n</message>",
    "<message a='1' to='x' b='2'><body/></message>",
    "<message xmlns:p='u' p:to='1' to='2' p:p='3'/>",
    "<message xmlns:p='u' xmlns:q='v' p:a='1' q:a='2' a='3'/>",
    "<message xmlns:n0='u' n0:n0='1' xmlns:n1='v' n1:n0='2'/>",
    "<message xml:space='preserve' xml:base='b' xml:id='i' xml:x=''/>",
    "<message xmlns=''/>",
    "<message><a xmlns=''><b/><c xmlns='jabber:client'/></a></message>",
    "<message xmlns='urn:x'><message xmlns='jabber:client'/></message>",
    "<xml:message xml:lang='a'><xml:b/></xml:message>",
    "<stream:message stream:a='1'><stream:b/><c/></stream:message>",
    "<message><stream:stream/></message>",
    "<message><stream:features><mechanisms xmlns='urn:ietf:params:xml:ns:"
    "xmpp-sasl'/></stream:features></message>",
    "<s:message xmlns:s='jabber:client' xmlns='urn:y'><s:body/><body/>"
    "</s:message>",
    "<stream:error xmlns:stream='urn:mine'/>",
    "<xmlns/>",
    "<Xml Xmlns='1'/>",
    "<message><message><message/></message></message>",
    "<iq type='get' id='1'>" PING "</iq>",
    "<iq>" PING PING PING "</iq>",
    "<iq><ping xmlns='urn:xmpp:ping' a=''/>" PING "</iq>",
    "<iq><x xmlns='urn:x'>" PING "</x></iq>",
    "<presence><priority>5</priority></presence>",
    "<presence><priority>+5</priority></presence>",
    "<presence><priority>-0</priority></presence>",
    "<presence><priority>2147483648</priority></presence>",
    "<presence><priority/></presence>",
    "<presence><show>away</show><show>xa</show></presence>",
    "<presence><show>AWAY</show></presence>",
    "<message><request xmlns='urn:xmpp:receipts'/></message>",
    "<message><request xmlns='urn:xmpp:receipts'>x</request></message>",
    "<message><request xmlns='urn:xmpp:receipts' a='1'/></message>",
    "<message><active xmlns='http://jabber.org/protocol/chatstates'/>"
    "<composing xmlns='http://jabber.org/protocol/chatstates'/></message>",
    "<message type='error'><error type='cancel'><item-not-found xmlns="
    "'urn:ietf:params:xml:ns:xmpp-stanzas'/><gone xmlns="
    "'urn:ietf:params:xml:ns:xmpp-stanzas'>xmpp:a</gone><gone xmlns="
    "'urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>",
    "<message><delay xmlns='urn:xmpp:delay' stamp='2024-02-30T00:00:00Z'/>"
    "</message>",
    "<message><delay xmlns='urn:xmpp:delay' stamp='2024-02-29T00:00:00Z' "
    "from='a'>why</delay></message>",
    "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>AGEAYg=="
    "</auth>",
    "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='X'>=</auth>",
    "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>AGE<a/>AGEA</auth>",
    "<a>007</a>",
    "<a>7</a>",
    "<a>7<b/>8<c/>urn:xmpp:ping<d/>AAAAAAAAAAAAAAAAAAAAAAA=</a>",
    "<a b='7' c='007' d='urn:xmpp:ping' "
    "e='f81d4fae-7dec-11d0-a765-00a0c91e6bf6'"
    " f='0123456789abcdef' g='AAAAAAAAAAAAAAAAAAAAAAA=' h=''/>",
    "<a b=\"&quot;&apos;&lt;&gt;&amp;&#9;&#10;&#13;\">&quot;'&lt;&gt;&amp;&#9;"
    "&#10;&#13;]]&gt;</a>",
    "<a>\xc2\x85\xe2\x80\xa8\xf0\x9f\x98\x80&#x10FFFF;</a>",
    "<a xmlns='&lt;&apos;&amp;&quot;>'/>",
    "<enabled xmlns='urn:xmpp:sm:3' resume='1' id='x'/>",
    "<enabled xmlns='urn:xmpp:sm:3' resume='true'/>",
    "<r xmlns='urn:xmpp:sm:3'/>",
    "<a xmlns='urn:xmpp:sm:3' h='00'/>",
    "<a xmlns='urn:xmpp:sm:3' h='4294967296'/>",
};

static void test_to_frame_every_shape_comes_back(void **state) {
    struct terse_buf frame;
    (void)state;
    terse_buf_init(&frame, SIZE_MAX / 4);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        comes_back(rows[i], strlen(rows[i]), &frame);
    terse_buf_fini(&frame);
}

/* Each of them inside each of some containers: namespaces around change. */
static void test_to_frame_every_shape_comes_back_inside(void **state) {
    static const char *const around[][2] = {
        {"<message>", "</message>"},
        {"<x xmlns=''>", "</x>"},
        {"<iq><query xmlns='jabber:iq:roster'>t", "t</query></iq>"},
        {"<stream:features>", "</stream:features>"},
        {"<x:x xmlns:x='urn:x' xmlns='urn:y'>", "</x:x>"},
        {"<message><forwarded xmlns='urn:xmpp:forward:0'>",
         "</forwarded></message>"},
    };
    struct terse_buf frame, xml;
    (void)state;
    terse_buf_init(&frame, SIZE_MAX / 4);
    terse_buf_init(&xml, SIZE_MAX / 4);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        for (size_t k = 0; k < sizeof(around) / sizeof(around[0]); k++) {
            terse_buf_reset(&xml);
            const char *parts[] = {around[k][0], rows[i], rows[i],
                                   around[k][1]};
            for (size_t part = 0; part < 4; part++)
                assert_int_equal(
                    terse_buf_append(&xml, parts[part], strlen(parts[part])),
                    TERSE_OK);
            assert_int_equal(terse_buf_append(&xml, "", 1), TERSE_OK);
            comes_back((const char *)xml.data, xml.len - 1, &frame);
        }
    }
    terse_buf_fini(&frame);
    terse_buf_fini(&xml);
}

/* ---- where things are, seen by protobuf-c ---------------------------------
 */

static Terse__Frame *frame_of(const char *xml, struct terse_buf *frame) {
    comes_back(xml, strlen(xml), frame);
    Terse__Frame *f =
        terse__frame__unpack(NULL, frame->len, terse_buf_data(frame));
    assert_non_null(f);
    return f;
}

static void test_to_frame_repeated_single_goes_to_rest(void **state) {
    struct terse_buf frame;
    (void)state;
    terse_buf_init(&frame, SIZE_MAX / 4);
    Terse__Frame *f =
        frame_of("<message><body>a</body><body>b</body></message>", &frame);
    assert_non_null(f->message);
    assert_string_equal(f->message->body, "b");
    assert_int_equal(f->message->n_rest + f->message->n_body_lang, 1);
    terse__frame__free_unpacked(f, NULL);
    terse_buf_fini(&frame);
}

static void test_to_frame_unknown_goes_to_rest_as_fragments(void **state) {
    struct terse_buf frame;
    (void)state;
    terse_buf_init(&frame, SIZE_MAX / 4);
    Terse__Frame *f = frame_of(
        "<message zzfoo='bar'>some words<body>b</body></message>", &frame);
    assert_int_equal(f->message->n_rest, 2);
    assert_int_equal(f->message->rest[0]->n_attr, 1);
    assert_string_equal(f->message->rest[0]->attr[0]->name, "zzfoo");
    assert_int_equal(f->message->rest[1]->n_text, 1);
    assert_string_equal(f->message->rest[1]->text[0], "some words");
    terse__frame__free_unpacked(f, NULL);
    f = frame_of("<foo xmlns='urn:foo'><bar/></foo>", &frame);
    assert_non_null(f->rest);
    assert_string_equal(f->rest->ns, "urn:foo");
    assert_int_equal(f->rest->n_child, 1);
    assert_null(f->rest->child[0]->ns); /* that of the element around */
    terse__frame__free_unpacked(f, NULL);
    terse_buf_fini(&frame);
}

/* protobuf-c packs fields by number: attributes end up behind children. */
static void test_to_frame_stock_order_decodes(void **state) {
    struct terse_buf xml, want, got;
    Terse__Frame f = TERSE__FRAME__INIT;
    Terse__Message m = TERSE__MESSAGE__INIT;
    Terse__Element rest = TERSE__ELEMENT__INIT, *rests[] = {&rest};
    char body[] = "hi", to[] = "a@b", lang[] = "tlh";
    uint8_t bytes[500];
    (void)state;
    init(&xml, &want, &got);
    Terse__Attr a = TERSE__ATTR__INIT, *attrs[] = {&a};
    char foo[] = "foo", bar[] = "bar";
    a.name = foo;
    a.value = bar;
    rest.n_attr = 1;
    rest.attr = attrs;
    m.n_rest = 1;
    m.rest = rests;
    m.to = to;
    m.body = body; /* 8, in front of rest (15) and lang (16) */
    m.lang = lang;
    f.message = &m;
    size_t n = terse__frame__pack(&f, bytes);
    struct terse_error error;
    if (terse_decode(schema, &codec_wide, bytes, n, TERSE_STANDALONE, &xml,
                     &error) != TERSE_OK)
        fail_msg("%s", error.text);
    assert_true(
        codec_read_element(schema, true, terse_buf_data(&xml), xml.len, &got));
    static const char s[] = "<message to='a@b' xml:lang='tlh' foo='bar'>"
                            "<body>hi</body></message>";
    assert_true(codec_read_element(schema, false, s, sizeof(s) - 1, &want));
    assert_true(codec_same(&want, &got));
    terse_buf_fini(&xml);
    terse_buf_fini(&want);
    terse_buf_fini(&got);
}

static void test_to_frame_every_shape_is_known_to_protobuf_c(void **state) {
    struct terse_buf frame;
    struct terse_error error;
    (void)state;
    terse_buf_init(&frame, SIZE_MAX / 4);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(codec_encode(schema, &codec_wide, rows[i],
                                      strlen(rows[i]), &frame, &error),
                         TERSE_OK);
        Terse__Frame *f =
            terse__frame__unpack(NULL, frame.len, terse_buf_data(&frame));
        assert_non_null(f);
        assert_int_equal(f->base.n_unknown_fields, 0);
        /* An unknown field inside would be kept; an unread one would be lost
         * and make it shorter. */
        assert_int_equal(terse__frame__get_packed_size(f), frame.len);
        terse__frame__free_unpacked(f, NULL);
    }
    terse_buf_fini(&frame);
}

/* ---- header, footer, errors ---------------------------------------------- */

struct seen {
    struct terse_buf frame;
    enum terse_err err;
};

static enum terse_err on_event(void *arg, enum terse_event event,
                               struct terse_node *node) {
    struct seen *seen = arg;
    struct terse_buf xml;
    struct terse_error error;
    terse_buf_init(&xml, 10000);
    seen->err = terse_encode(schema, &terse_limits_default, event, node,
                             &seen->frame, &error);
    if (seen->err != TERSE_OK) {
        assert_int_equal(seen->frame.len, 0);
        assert_int_equal(error.code, seen->err);
        return TERSE_OK;
    }
    assert_int_equal(terse_decode(schema, &terse_limits_default,
                                  terse_buf_data(&seen->frame), seen->frame.len,
                                  TERSE_IN_STREAM, &xml, &error),
                     TERSE_OK);
    if (event == TERSE_OPEN)
        assert_memory_equal(terse_buf_data(&xml), "<?xml version='1.0'?>", 21);
    if (event == TERSE_CLOSE)
        assert_memory_equal(terse_buf_data(&xml), "</stream:stream>", 16);
    terse_buf_fini(&xml);
    return TERSE_OK;
}

static void test_to_frame_header_and_footer_come_back(void **state) {
    static const char p[] =
        "<stream:stream xmlns='jabber:client' xmlns:stream='" TERSE_NS_STREAM
        "' to='a' id='&apos;1' version='1.0' xml:lang='en' foo='bar' "
        "xmlns:q='u' q:a='1'><stream:stream/></stream:stream>";
    struct seen seen = {.err = TERSE_OK};
    struct terse_reader *reader;
    (void)state;
    terse_buf_init(&seen.frame, 10000);
    assert_int_equal(terse_reader_new(&reader, schema, &terse_limits_default,
                                      on_event, &seen),
                     TERSE_OK);
    const char *nested = strstr(p, "<stream:stream/>");
    assert_int_equal(terse_reader_feed(reader, p, (size_t)(nested - p)),
                     TERSE_OK);
    assert_int_equal(seen.err, TERSE_OK);
    assert_int_equal(terse_reader_feed(reader, nested, 16), TERSE_OK);
    assert_int_equal(seen.err, TERSE_ESTREAM); /* a header in the stream */
    assert_int_equal(terse_reader_feed(reader, nested + 16, 16), TERSE_OK);
    assert_int_equal(seen.err, TERSE_OK);
    terse_reader_free(reader);
    terse_buf_fini(&seen.frame);
}

static void test_to_frame_limit_is_exact_and_names_itself(void **state) {
    static const char xml[] = "<message><body>hello there</body></message>";
    struct terse_limits l = terse_limits_default;
    struct terse_buf frame;
    struct terse_error error;
    (void)state;
    terse_buf_init(&frame, SIZE_MAX / 4);
    assert_int_equal(
        codec_encode(schema, &l, xml, sizeof(xml) - 1, &frame, &error),
        TERSE_OK);
    l.frame_bytes = (uint32_t)frame.len;
    assert_int_equal(
        codec_encode(schema, &l, xml, sizeof(xml) - 1, &frame, &error),
        TERSE_OK);
    l.frame_bytes--;
    assert_int_equal(
        codec_encode(schema, &l, xml, sizeof(xml) - 1, &frame, &error),
        TERSE_ELIMIT);
    assert_int_equal(frame.len, 0);
    assert_string_equal(error.path, "message");
    assert_non_null(strstr(error.text, "bytes in one frame"));
    assert_null(strstr(error.text, "hello"));
    terse_buf_fini(&frame);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_to_frame_every_shape_comes_back),
        cmocka_unit_test(test_to_frame_every_shape_comes_back_inside),
        cmocka_unit_test(test_to_frame_repeated_single_goes_to_rest),
        cmocka_unit_test(test_to_frame_unknown_goes_to_rest_as_fragments),
        cmocka_unit_test(test_to_frame_stock_order_decodes),
        cmocka_unit_test(test_to_frame_every_shape_is_known_to_protobuf_c),
        cmocka_unit_test(test_to_frame_header_and_footer_come_back),
        cmocka_unit_test(test_to_frame_limit_is_exact_and_names_itself),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
