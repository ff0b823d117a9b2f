/* to_xml_test.c: no frame, however it was made, becomes anything but one
 * well-formed element; what is refused says where and why. */
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

/* ---- making frames ------------------------------------------------------- */

/* A message in the making: fields in any order and of any kind. */
struct msg {
    uint8_t p[4096];
    size_t n;
};

static void put_varint(struct msg *m, uint64_t v) {
    for (; v >= 0x80; v >>= 7)
        m->p[m->n++] = (uint8_t)(v | 0x80);
    m->p[m->n++] = (uint8_t)v;
}

static void put_number(struct msg *m, uint32_t number, uint64_t v) {
    put_varint(m, (uint64_t)number << 3);
    put_varint(m, v);
}

static void put_bytes(struct msg *m, uint32_t number, const void *p, size_t n) {
    put_varint(m, (uint64_t)number << 3 | 2);
    put_varint(m, n);
    memcpy(m->p + m->n, p, n);
    m->n += n;
}

static void put_str(struct msg *m, uint32_t number, const char *s) {
    put_bytes(m, number, s, strlen(s));
}

static void put_msg(struct msg *m, uint32_t number, const struct msg *inner) {
    put_bytes(m, number, inner->p, inner->n);
}

enum {
    FRAME_MESSAGE = 1,
    FRAME_REST = 15,
    REST = 15,
    NAME = 2,
    NS = 4,
    ATTR = 5,
    TEXT = 6,
    CHILD = 7,
    VALUE = 5
};

static struct msg attr_of(const char *ns, const char *name, const char *value) {
    struct msg m = {.n = 0};
    put_str(&m, NAME, name);
    if (ns)
        put_str(&m, NS, ns);
    put_str(&m, VALUE, value);
    return m;
}

/* <name xmlns='ns'> in a Frame, with one more field of the Element. */
static struct msg generic(const char *name, const char *ns, uint32_t number,
                          const void *p, size_t n) {
    struct msg element = {.n = 0}, frame = {.n = 0};
    put_str(&element, NAME, name);
    if (ns)
        put_str(&element, NS, ns);
    if (number)
        put_bytes(&element, number, p, n);
    put_msg(&frame, FRAME_REST, &element);
    return frame;
}

/* ---- judging ------------------------------------------------------------- */

static enum terse_err decode(const void *p, size_t n,
                             const struct terse_limits *limits,
                             struct terse_error *error, struct terse_buf *xml) {
    enum terse_err err =
        terse_decode(schema, limits, p, n, TERSE_IN_STREAM, xml, error);
    assert_int_equal(err, error->code);
    if (err != TERSE_OK) {
        assert_true(error->offset <= n);
        assert_true(error->text[0] != '\0');
    }
    return err;
}

static void refused(const struct msg *frame, const char *path,
                    const char *text) {
    struct terse_buf xml;
    struct terse_error error;
    struct terse_frame_info info;
    bool found;
    terse_buf_init(&xml, 100000);
    assert_int_equal(terse_buf_append(&xml, "before", 6), TERSE_OK);
    if (decode(frame->p, frame->n, &codec_wide, &error, &xml) != TERSE_EFRAME)
        fail_msg("%s: not refused: %.*s", text, (int)xml.len,
                 (const char *)terse_buf_data(&xml));
    assert_int_equal(xml.len, 6); /* as it was */
    assert_memory_equal(terse_buf_data(&xml), "before", 6);
    if (path)
        assert_string_equal(error.path, path);
    assert_string_equal(error.text, text);
    /* These look at the outside only: they must not crash. */
    if (terse_frame_info(schema, frame->p, frame->n, &info) == TERSE_OK)
        assert_non_null(info.name.p);
    if (terse_frame_attr(schema, frame->p, frame->n, "", "a", &xml, &found) !=
        TERSE_OK)
        assert_true(error.code != TERSE_OK);
    (void)!terse_inspect(schema, frame->p, frame->n, &xml);
    terse_buf_fini(&xml);
}

static void raw_refused(const char *p, size_t n, const char *text) {
    struct msg m = {.n = n};
    memcpy(m.p, p, n);
    refused(&m, NULL, text);
}

/* If it decodes, it is one element for our reader and for expat. */
static bool sound(const void *p, size_t n) {
    struct terse_buf xml, dump;
    struct terse_error error;
    terse_buf_init(&xml, SIZE_MAX / 4);
    terse_buf_init(&dump, SIZE_MAX / 4);
    uint8_t *copy = malloc(n ? n : 1);
    assert_non_null(copy);
    memcpy(copy, p, n);
    bool ok = decode(copy, n, &codec_wide, &error, &xml) == TERSE_OK;
    struct terse_frame_info info;
    bool known = terse_frame_info(schema, copy, n, &info) == TERSE_OK;
    if (ok) {
        assert_true(known);
        if (info.kind == TERSE_ELEMENT &&
            (!codec_read_element(schema, false, terse_buf_data(&xml), xml.len,
                                 &dump) ||
             !codec_expat_reads(terse_buf_data(&xml), xml.len, true)))
            fail_msg("not one element: %.*s", (int)xml.len,
                     (const char *)terse_buf_data(&xml));
    }
    free(copy);
    terse_buf_fini(&xml);
    terse_buf_fini(&dump);
    return ok;
}

/* ---- hostile frames ------------------------------------------------------ */

static void test_to_xml_frames_that_are_none_are_refused(void **state) {
    (void)state;
    raw_refused("", 0, "an empty frame");
    raw_refused("\xff", 1, "bytes that are no Protobuf");
    raw_refused("\x0a\x05", 2, "bytes that are no Protobuf");
    raw_refused("\x0b\x0c", 2, "bytes that are no Protobuf"); /* group */
    raw_refused("\x0d\0\0\0\0", 5, "bytes that are no Protobuf");
    raw_refused("\x8a\x00\x00", 3, "bytes that are no Protobuf");
    raw_refused("\x0a\x80\x00", 3, "bytes that are no Protobuf");
    raw_refused("\x08\x01", 2, "a field of the wrong wire type");
    raw_refused("\x0a\x00\x0a\x00", 4, "a frame that is two things");
    raw_refused("\x0a\x00\x12\x00", 4, "a frame that is two things");
    raw_refused("\xfa\xff\x7f\x00", 4, "a field that the schema does not know");
    raw_refused("\x7a\x00", 2, "a fragment where an element must be");
    raw_refused("\x72\x02\x08\x01", 4, "a footer with content");
}

static void test_to_xml_bad_names_are_refused(void **state) {
    static const char *const names[] = {
        "",          "a b",     "x:y",    "1a",          "<",   "a>",
        "a/",        "a='b'",   "-",      ".",           "a\n", "\xff",
        "a\xc0\xbc", "xmlns:a", "a&amp;", "\xef\xbf\xbe"};
    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct msg m = generic(names[i], NULL, 0, NULL, 0);
        refused(&m, NULL, "a name that is no NCName");
        struct msg a = attr_of(NULL, names[i], "");
        m = generic("a", NULL, ATTR, a.p, a.n);
        refused(&m, "a", "a name that is no NCName");
    }
    static const char *const spaces[] = {"http://www.w3.org/2000/xmlns/",
                                         "a b",
                                         "a\nb",
                                         "\x01",
                                         "\xff",
                                         "\xed\xa0\x80",
                                         "\xef\xbf\xbf"};
    for (size_t i = 0; i < sizeof(spaces) / sizeof(spaces[0]); i++) {
        struct msg m = generic("a", spaces[i], 0, NULL, 0);
        refused(&m, NULL, "a namespace name that XML does not allow");
        struct msg a = attr_of(spaces[i], "b", "");
        m = generic("a", NULL, ATTR, a.p, a.n);
        refused(&m, "a", "a namespace name that XML does not allow");
    }
}

static void test_to_xml_bad_attributes_are_refused(void **state) {
    struct msg a, b, m, inner;
    (void)state;
    a = attr_of(NULL, "xmlns", "urn:evil");
    m = generic("a", NULL, ATTR, a.p, a.n);
    refused(&m, "a", "an attribute named xmlns");
    /* in a fragment of a message */
    a = attr_of(NULL, "to", "second");
    inner = (struct msg){.n = 0};
    put_msg(&inner, ATTR, &a);
    b = (struct msg){.n = 0};
    put_msg(&b, REST, &inner);
    put_str(&b, 1, "first"); /* Message.to */
    m = (struct msg){.n = 0};
    put_msg(&m, FRAME_MESSAGE, &b);
    refused(&m, "message", "an attribute that comes twice");
    /* the same attribute by two of its forms */
    b = (struct msg){.n = 0};
    put_number(&b, 17, 5); /* Message.id_decimal */
    put_str(&b, 6, "5");   /* Message.id */
    m = (struct msg){.n = 0};
    put_msg(&m, FRAME_MESSAGE, &b);
    refused(&m, "message", "an attribute that comes twice");
    inner = (struct msg){.n = 0};
    put_str(&inner, NAME, "b");
    m = generic("a", NULL, ATTR, inner.p, inner.n);
    refused(&m, "a", "an attribute without a name or a value");
    put_str(&inner, VALUE, "1");
    put_str(&inner, VALUE, "2");
    m = generic("a", NULL, ATTR, inner.p, inner.n);
    refused(&m, "a", "an attribute with two values");
    inner = attr_of(NULL, "b", "1");
    put_str(&inner, NAME, "c");
    m = generic("a", NULL, ATTR, inner.p, inner.n);
    refused(&m, "a", "a name that comes twice");
}

static void test_to_xml_bad_text_is_refused(void **state) {
    static const struct {
        const char *p;
        size_t n;
    } bad[] = {{"\0", 1},           {"a\x01", 2},        {"\x7f\xff", 2},
               {"\xc0\xbc", 2},     {"\xe0\x80\xbc", 3}, {"\xed\xa0\x80", 3},
               {"\xef\xbf\xbe", 3}, {"\xe2\x82", 2},     {"\x1b[2J", 4}};
    static const char what[] = "text that is no UTF-8 of XML characters";
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct msg m = generic("a", NULL, TEXT, bad[i].p, bad[i].n);
        refused(&m, "a", what);
        struct msg b = {.n = 0};
        put_bytes(&b, 8, bad[i].p, bad[i].n); /* Message.body */
        m = (struct msg){.n = 0};
        put_msg(&m, FRAME_MESSAGE, &b);
        refused(&m, "message/body", what);
        b = (struct msg){.n = 0};
        put_bytes(&b, 1, bad[i].p, bad[i].n); /* Message.to */
        m = (struct msg){.n = 0};
        put_msg(&m, FRAME_MESSAGE, &b);
        refused(&m, "message", what);
    }
}

static void test_to_xml_bad_structure_is_refused(void **state) {
    struct msg m, inner = {.n = 0}, child = {.n = 0};
    (void)state;
    put_str(&child, TEXT, "t");
    m = generic("a", NULL, CHILD, child.p, child.n);
    refused(&m, "a", "a fragment where an element must be");
    put_str(&inner, NS, "urn:x");
    m = (struct msg){.n = 0};
    put_msg(&m, FRAME_REST, &inner);
    refused(&m, "", "an Element with a namespace and no name");
    inner = (struct msg){.n = 0};
    put_str(&inner, NAME, "a");
    put_number(&inner, 41, 1); /* Element.proceed */
    m = (struct msg){.n = 0};
    put_msg(&m, FRAME_REST, &inner);
    refused(&m, "", "an Element that is typed and generic");
    inner = (struct msg){.n = 0};
    put_number(&inner, 41, 1);
    put_number(&inner, 42, 1);
    m = (struct msg){.n = 0};
    put_msg(&m, FRAME_REST, &inner);
    refused(&m, "", "an Element that is two things");
    m = generic("stream", TERSE_NS_STREAM, 0, NULL, 0);
    refused(&m, "", "a stream header inside the stream");
    inner = (struct msg){.n = 0};
    put_str(&inner, 99, "x");
    m = (struct msg){.n = 0};
    put_msg(&m, FRAME_MESSAGE, &inner);
    refused(&m, "message", "a field that the schema does not know");
}

static void test_to_xml_bad_numbers_are_refused(void **state) {
    struct msg m, inner;
    (void)state;
    for (uint64_t v = 0; v <= 2; v += 2) {
        m = (struct msg){.n = 0};
        put_number(&m, 41, v); /* Frame.proceed, a flag */
        refused(&m, NULL, "a flag that is not true");
    }
    static const uint64_t numbers[] = {5, 1000, UINT32_MAX, UINT64_MAX};
    for (size_t i = 0; i < 4; i++) {
        inner = (struct msg){.n = 0};
        put_number(&inner, 3, numbers[i]); /* Message.type */
        m = (struct msg){.n = 0};
        put_msg(&m, FRAME_MESSAGE, &inner);
        refused(&m, "message", "a number that stands for nothing");
    }
    inner = (struct msg){.n = 0};
    put_bytes(&inner, 4, "123456789012345", 15); /* Message.id_uuid */
    m = (struct msg){.n = 0};
    put_msg(&m, FRAME_MESSAGE, &inner);
    refused(&m, "message", "a value of the wrong length");
    inner = (struct msg){.n = 0};
    put_bytes(&inner, 5, "", 0); /* Message.id_hex */
    m = (struct msg){.n = 0};
    put_msg(&m, FRAME_MESSAGE, &inner);
    refused(&m, "message", "a value of the wrong length");
    inner = (struct msg){.n = 0};
    put_number(&inner, 7, 1000000); /* Message.lang_word */
    m = (struct msg){.n = 0};
    put_msg(&m, FRAME_MESSAGE, &inner);
    refused(&m, "message", "a word that is not in the dictionary");
    inner = (struct msg){.n = 0};
    put_number(&inner, 1, 1000000); /* Element.name_word */
    m = (struct msg){.n = 0};
    put_msg(&m, FRAME_REST, &inner);
    refused(&m, "", "a word that is not in the dictionary");
}

static void test_to_xml_header_with_content_is_refused(void **state) {
    struct msg open = {.n = 0}, inner = {.n = 0}, m = {.n = 0};
    (void)state;
    put_str(&inner, NAME, "a");
    put_msg(&open, REST, &inner);
    put_msg(&m, 13, &open);
    refused(&m, NULL, "a stream header with content");
    open = inner = m = (struct msg){.n = 0};
    put_str(&inner, TEXT, "");
    put_msg(&open, REST, &inner);
    put_msg(&m, 13, &open);
    refused(&m, NULL, "a stream header with content");
}

static void test_to_xml_offset_says_where(void **state) {
    struct msg inner = {.n = 0}, m = {.n = 0};
    struct terse_buf xml;
    struct terse_error error;
    (void)state;
    put_str(&inner, 1, "a@b");  /* 2 + 3 bytes */
    put_str(&inner, 8, "\x01"); /* its content is the byte 7 of inner */
    put_msg(&m, FRAME_MESSAGE, &inner);
    terse_buf_init(&xml, 1000);
    assert_int_equal(decode(m.p, m.n, &codec_wide, &error, &xml), TERSE_EFRAME);
    assert_int_equal(error.offset, 2 + 5 + 2);
    assert_string_equal(error.path, "message/body");
    terse_buf_fini(&xml);
}

/* ---- broken frames ------------------------------------------------------- */

static const char *const samples[] = {
    "<message to='a@b' type='chat' id='f81d4fae-7dec-11d0-a765-00a0c91e6bf6' "
    "xml:lang='en'><body>hi</body><request xmlns='urn:xmpp:receipts'/>"
    "<x xmlns='urn:x' y='1'>t<z/>7</x> </message>",
    "<iq type='result' id='7'><query xmlns='jabber:iq:roster' ver='1'>"
    "<item jid='a@b' subscription='both'><group>g</group></item></query></iq>",
    "<presence><show>away</show><priority>-5</priority><c xmlns="
    "'http://jabber.org/protocol/caps' hash='sha-1' node='n' "
    "ver='q07IKJEyjvHSyhC/y0H/CxmKi8w='/></presence>",
    "<message type='error'><error type='cancel'><item-not-found xmlns="
    "'urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>",
    "<a xmlns='urn:a' xmlns:p='urn:p' p:b='0123456789abcdef'><iq><ping "
    "xmlns='urn:xmpp:ping'/></iq><stream:features/></a>",
};

static void sample(size_t i, struct terse_buf *frame) {
    struct terse_error error;
    assert_int_equal(codec_encode(schema, &codec_wide, samples[i],
                                  strlen(samples[i]), frame, &error),
                     TERSE_OK);
    assert_true(sound(terse_buf_data(frame), frame->len));
}

enum { SAMPLES = sizeof(samples) / sizeof(samples[0]) };

/* What peer.c takes out of frames is nothing that the decoder knows. */
static void test_to_xml_state_is_refused(void **state) {
    (void)state;
    struct terse_frame_info info;
    static const uint8_t frames[][3] = {{0x30, 0x00},
                                        {0x38, 0x00},
                                        {0x42, 0x00},
                                        {0x48, 0x01},
                                        {0x80, 0x01, 0x05}};
    static const size_t sizes[] = {2, 2, 2, 2, 3};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct terse_buf out;
        struct terse_error error;
        terse_buf_init(&out, 1000);
        assert_int_equal(terse_decode(schema, &codec_wide, frames[i], sizes[i],
                                      TERSE_IN_STREAM, &out, &error),
                         TERSE_EFRAME);
        assert_int_equal(out.len, 0);
        assert_int_equal(terse_frame_info(schema, frames[i], sizes[i], &info),
                         TERSE_EFRAME);
        terse_buf_fini(&out);
    }
}

static void test_to_xml_every_truncation_is_refused(void **state) {
    struct terse_buf frame;
    (void)state;
    terse_buf_init(&frame, SIZE_MAX / 4);
    for (size_t i = 0; i < SAMPLES; i++) {
        sample(i, &frame);
        for (size_t n = 0; n < frame.len; n++)
            assert_false(sound(terse_buf_data(&frame), n));
    }
    terse_buf_fini(&frame);
}

static void test_to_xml_every_changed_byte_is_refused_or_sound(void **state) {
    struct terse_buf frame;
    unsigned decoded = 0;
    (void)state;
    terse_buf_init(&frame, SIZE_MAX / 4);
    for (size_t i = 0; i < SAMPLES; i++) {
        sample(i, &frame);
        uint8_t *p = frame.data + frame.off;
        for (size_t at = 0; at < frame.len; at++) {
            uint8_t was = p[at];
            for (unsigned v = 0; v < 256; v++) {
                p[at] = (uint8_t)v;
                decoded += sound(p, frame.len);
            }
            p[at] = was;
        }
    }
    assert_true(decoded > 1000); /* most changes within strings */
    terse_buf_fini(&frame);
}

/* ---- limits -------------------------------------------------------------- */

static void limit_is(const struct terse_limits *at,
                     const struct terse_limits *below, const char *xml,
                     const char *text) {
    struct terse_buf frame, out;
    struct terse_error error;
    terse_buf_init(&frame, SIZE_MAX / 4);
    terse_buf_init(&out, SIZE_MAX / 4);
    assert_int_equal(
        codec_encode(schema, &codec_wide, xml, strlen(xml), &frame, &error),
        TERSE_OK);
    if (decode(terse_buf_data(&frame), frame.len, at, &error, &out) != TERSE_OK)
        fail_msg("at the limit: %s", error.text);
    terse_buf_reset(&out);
    assert_int_equal(
        decode(terse_buf_data(&frame), frame.len, below, &error, &out),
        TERSE_ELIMIT);
    if (strncmp(error.text, text, strlen(text)) != 0)
        fail_msg("'%s' is not '%s'", error.text, text);
    terse_buf_fini(&frame);
    terse_buf_fini(&out);
}

static void test_to_xml_limits_hold_exactly(void **state) {
    struct terse_limits at, below;
    (void)state;
    at = below = codec_wide;
    at.stanza_bytes = sizeof("<q>12345</q>") - 1;
    below.stanza_bytes = at.stanza_bytes - 1;
    limit_is(&at, &below, "<q>12345</q>", "more than 11 bytes in one element");
    at = below = codec_wide;
    at.elements = 4;
    below.elements = 3;
    limit_is(&at, &below,
             "<message><body>a</body><q><ping xmlns='urn:xmpp:ping'/></q>"
             "</message>",
             "more than 3 elements in one stanza");
    at = below = codec_wide;
    at.attributes = 3;
    below.attributes = 2;
    limit_is(&at, &below, "<message to='a' from='b' q='c'/>",
             "more than 2 attributes in one element");
    at = below = codec_wide;
    at.depth = 3;
    below.depth = 2;
    limit_is(&at, &below, "<message><q><z/></q></message>",
             "more than 2 levels of nesting");
    at = below = codec_wide;
    at.text_bytes = 6;
    below.text_bytes = 5;
    limit_is(&at, &below, "<message><body>123456</body></message>",
             "more than 5 bytes in one text");
    at = below = codec_wide;
    at.text_bytes = 36;
    below.text_bytes = 35;
    limit_is(&at, &below,
             "<message id='f81d4fae-7dec-11d0-a765-00a0c91e6bf6'/>",
             "more than 35 bytes in one text");
    at = below = codec_wide;
    at.name_bytes = 9;
    below.name_bytes = 8;
    limit_is(&at, &below, "<message><qqqqqqqqz/></message>",
             "more than 8 bytes in one name");
    at = below = codec_wide;
    at.frame_bytes = 2; /* 0a 00 */
    below.frame_bytes = 1;
    limit_is(&at, &below, "<message/>", "more than 1 bytes in one frame");
}

/* A few bytes of words must not become megabytes without end. */
static void test_to_xml_expansion_is_capped(void **state) {
    static uint8_t p[200000];
    struct terse_buf xml;
    struct terse_error error;
    size_t n = 0;
    (void)state;
    uint8_t element[] = {0x08, 1}; /* name_word x */
    memcpy(p, element, 2);
    n = 2;
    while (n + 2 < sizeof(p) - 8) { /* text_word = 3, disco#info */
        p[n++] = 8 << 3;
        p[n++] = 3;
    }
    uint8_t *frame = malloc(n + 4);
    assert_non_null(frame);
    frame[0] = FRAME_REST << 3 | 2;
    frame[1] = (uint8_t)(n | 0x80);
    frame[2] = (uint8_t)(n >> 7 | 0x80);
    frame[3] = (uint8_t)(n >> 14);
    memcpy(frame + 4, p, n);
    terse_buf_init(&xml, SIZE_MAX / 4);
    assert_int_equal(decode(frame, n + 4, &terse_limits_default, &error, &xml),
                     TERSE_ELIMIT);
    assert_true(xml.cap <= 2 * terse_limits_default.stanza_bytes);
    assert_int_equal(xml.len, 0);
    free(frame);
    terse_buf_fini(&xml);
}

static void test_to_xml_deepest_nesting_is_refused_not_crashed(void **state) {
    struct terse_limits l = codec_wide;
    struct terse_error error;
    struct terse_buf xml;
    (void)state;
    l.depth = UINT32_MAX;
    terse_buf_init(&xml, SIZE_MAX / 4);
    /* Built from the inside; lengths take more bytes as they grow. */
    uint8_t *p = malloc(400000), *to = p + 400000;
    assert_non_null(p);
    for (unsigned i = 0; i < 50000; i++) {
        size_t n = (size_t)(p + 400000 - to);
        if (i > 0) {
            struct msg head = {.n = 0};
            put_varint(&head, CHILD << 3 | 2);
            put_varint(&head, n);
            to -= head.n;
            memcpy(to, head.p, head.n);
        }
        *--to = 1;
        *--to = 0x08;
    }
    struct msg head = {.n = 0};
    size_t n = (size_t)(p + 400000 - to);
    put_varint(&head, FRAME_REST << 3 | 2);
    put_varint(&head, n);
    to -= head.n;
    memcpy(to, head.p, head.n);
    n += head.n;
    assert_int_equal(decode(to, n, &l, &error, &xml), TERSE_ELIMIT);
    struct terse_frame_info info;
    assert_int_equal(terse_frame_info(schema, to, n, &info), TERSE_OK);
    assert_int_equal(terse_inspect(schema, to, n, &xml), TERSE_EFRAME);
    free(p);
    terse_buf_fini(&xml);
}

/* ---- looking at frames --------------------------------------------------- */

static void attr_is(const char *xml, const char *ns, const char *name,
                    const char *want) {
    struct terse_buf frame, out;
    struct terse_error error;
    bool found;
    terse_buf_init(&frame, SIZE_MAX / 4);
    terse_buf_init(&out, SIZE_MAX / 4);
    assert_int_equal(
        codec_encode(schema, &codec_wide, xml, strlen(xml), &frame, &error),
        TERSE_OK);
    assert_int_equal(terse_frame_attr(schema, terse_buf_data(&frame), frame.len,
                                      ns, name, &out, &found),
                     TERSE_OK);
    assert_int_equal(found, want != NULL);
    if (want) {
        assert_int_equal(out.len, strlen(want));
        if (out.len > 0)
            assert_memory_equal(terse_buf_data(&out), want, out.len);
    }
    terse_buf_fini(&frame);
    terse_buf_fini(&out);
}

static void test_to_xml_frame_attr_gives_characters(void **state) {
    (void)state;
    attr_is("<message id='007' to='a&apos;b&lt;'/>", "", "id", "007");
    attr_is("<message id='7' to='a&apos;b&lt;'/>", "", "id", "7");
    attr_is("<message id='7' to='a&apos;b&lt;'/>", "", "to", "a'b<");
    attr_is("<iq id='f81d4fae-7dec-11d0-a765-00a0c91e6bf6'/>", "", "id",
            "f81d4fae-7dec-11d0-a765-00a0c91e6bf6");
    attr_is("<iq type='result'/>", "", "type", "result");
    attr_is("<iq type=''/>", "", "type", "");
    attr_is("<iq xml:lang='en'/>", TERSE_NS_XML, "lang", "en");
    attr_is("<iq xml:lang='en'/>", "", "lang", NULL);
    attr_is("<iq><ping xmlns='urn:xmpp:ping' id='1'/></iq>", "", "id", NULL);
    attr_is("<x xmlns='urn:x' id='en' b='c'/>", "", "id", "en");
    attr_is("<a xmlns='urn:xmpp:sm:3' h='5'/>", "", "h", "5");
    attr_is("<proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>", "", "h",
            NULL);
}

static void test_to_xml_frame_attr_twice_is_refused(void **state) {
    struct msg inner = {.n = 0}, m = {.n = 0};
    struct terse_buf out;
    bool found;
    (void)state;
    put_number(&inner, 17, 5);
    put_str(&inner, 6, "x");
    put_msg(&m, FRAME_MESSAGE, &inner);
    terse_buf_init(&out, 100);
    assert_int_equal(terse_frame_attr(schema, m.p, m.n, "", "id", &out, &found),
                     TERSE_EFRAME);
    terse_buf_fini(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_to_xml_frames_that_are_none_are_refused),
        cmocka_unit_test(test_to_xml_bad_names_are_refused),
        cmocka_unit_test(test_to_xml_bad_attributes_are_refused),
        cmocka_unit_test(test_to_xml_bad_text_is_refused),
        cmocka_unit_test(test_to_xml_bad_structure_is_refused),
        cmocka_unit_test(test_to_xml_bad_numbers_are_refused),
        cmocka_unit_test(test_to_xml_header_with_content_is_refused),
        cmocka_unit_test(test_to_xml_offset_says_where),
        cmocka_unit_test(test_to_xml_state_is_refused),
        cmocka_unit_test(test_to_xml_every_truncation_is_refused),
        cmocka_unit_test(test_to_xml_every_changed_byte_is_refused_or_sound),
        cmocka_unit_test(test_to_xml_limits_hold_exactly),
        cmocka_unit_test(test_to_xml_expansion_is_capped),
        cmocka_unit_test(test_to_xml_deepest_nesting_is_refused_not_crashed),
        cmocka_unit_test(test_to_xml_frame_attr_gives_characters),
        cmocka_unit_test(test_to_xml_frame_attr_twice_is_refused),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
