/* xml_in_test.c: the reader gives the same events however its bytes are split,
 * refuses what RFC 6120 forbids, and keeps to its limits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codec/str.h"
#include "tests/unit/codec_corpus.h"
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

/* ---- splits -------------------------------------------------------------- */

static size_t split_one(void *arg, size_t left) {
    (void)arg, (void)left;
    return 1;
}

/* The first chunk is *arg bytes, the second the rest. */
static size_t split_at(void *arg, size_t left) {
    size_t *at = arg, n = *at;
    (void)left;
    *at = 0;
    return n;
}

static size_t split_random(void *arg, size_t left) {
    uint64_t r = codec_random(arg);
    (void)left;
    return r % 3 ? 1 + r / 3 % 20 : 1 + r / 3 % 20000;
}

static char *with_header(const char *xml, size_t n, size_t *total) {
    size_t lead = sizeof(CODEC_HEADER) - 1;
    char *p = malloc(lead + n + 1);
    assert_non_null(p);
    memcpy(p, CODEC_HEADER, lead);
    memcpy(p + lead, xml, n);
    *total = lead + n;
    return p;
}

static void same_as(const struct codec_events *want, const char *p, size_t n,
                    const struct terse_limits *limits, codec_split split,
                    void *arg, const char *what) {
    struct codec_events got;
    size_t at = arg ? *(size_t *)arg : 0;
    codec_read(schema, limits, p, n, split, arg, &got);
    if (got.err != want->err || !codec_same(&got.dump, &want->dump))
        fail_msg("%.60s: other events, split at %zu: %d not %d, %s", what, at,
                 (int)got.err, (int)want->err, got.error.text);
    codec_events_fini(&got);
}

/* Every split point, and byte by byte. */
static void same_at_every_split(const char *p, size_t n,
                                const struct codec_events *want,
                                const char *what) {
    for (size_t at = 1; at < n; at++) {
        size_t arg = at;
        same_as(want, p, n, &terse_limits_default, split_at, &arg, what);
    }
    same_as(want, p, n, &terse_limits_default, split_one, NULL, what);
}

/* ---- what is read -------------------------------------------------------- */

static const struct {
    const char *xml, *dump;
} read_rows[] = {
    {"<a/>", "<1:an13:jabber:client{}"},
    {"<a></a>", "<1:an13:jabber:client{}"},
    {"<a xmlns=''><b/></a>", "<1:an0:{<1:bn0:{}}"},
    {"<p:a xmlns:p='u'><b/></p:a>", "<1:an1:u{<1:bn13:jabber:client{}}"},
    {"<stream:a/>", "<1:an32:http://etherx.jabber.org/streams{}"},
    {"<xml:a/>", "<1:an36:http://www.w3.org/XML/1998/namespace{}"},
    {"<a xml:lang='de'/>", "<1:an13:jabber:client@4:langn36:"
                           "http://www.w3.org/XML/1998/namespace=2:de{}"},
    {"<a b='1' xmlns:p='u' p:b='2'/>",
     "<1:an13:jabber:client@1:bn0:=1:1@1:bn1:u=1:2{}"},
    {"<a b='x>y'>t</a>", "<1:an13:jabber:client@1:bn0:=3:x>y{\"1:t}"},
    {"<a b=\"x'>y\"/>", "<1:an13:jabber:client@1:bn0:=4:x'>y{}"},
    {"<a b='&lt;&amp;&gt;&apos;&quot;'/>",
     "<1:an13:jabber:client@1:bn0:=5:<&>'\"{}"},
    {"<a>&lt;&amp;&gt;&apos;&quot;</a>", "<1:an13:jabber:client{\"5:<&>'\"}"},
    {"<a>x<![CDATA[<&>]]>y</a>", "<1:an13:jabber:client{\"5:x<&>y}"},
    {"<a><![CDATA[]]></a>", "<1:an13:jabber:client{}"},
    {"<a><![CDATA[]]]]><![CDATA[>'=\"]]></a>",
     "<1:an13:jabber:client{\"6:]]>'=\"}"},
    {"<a>x\r\ny\rz</a>", "<1:an13:jabber:client{\"5:x\ny\nz}"},
    {"<a><![CDATA[x\r\ny\rz\r]]><![CDATA[\n]]></a>",
     "<1:an13:jabber:client{\"7:x\ny\nz\n\n}"},
    {"<a b='x\r\ny\rz\tw'/>", "<1:an13:jabber:client@1:bn0:=7:x y z w{}"},
    {"<a b='&#13;&#10;&#9;'>&#xD;&#x1F600;</a>",
     "<1:an13:jabber:client@1:bn0:=3:\r\n\t{\"5:\r\xf0\x9f\x98\x80}"},
    {"<a> <b/>\t<c/>x</a>",
     "<1:an13:jabber:client{\"1: <1:bn13:jabber:client{}\"1:\t"
     "<1:cn13:jabber:client{}\"1:x}"},
    {"<a xmlns='%zz rel'/>", NULL}, /* white space: refused */
    {"<a xmlns='%zz'/>", "<1:an3:%zz{}"},
    {"\r\n\t <a/> \n", "<1:an13:jabber:client{}"},
    {"<\xc3\xa9 \xc3\xa9='\xe2\x82\xac'/>",
     "<2:\xc3\xa9n13:jabber:client@2:\xc3\xa9n0:=3:\xe2\x82\xac{}"},
};

static void test_xml_in_elements_read_the_same_at_every_split(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof(read_rows) / sizeof(read_rows[0]); i++) {
        struct codec_events ev;
        const char *xml = read_rows[i].xml;
        size_t n;
        char *p = with_header(xml, strlen(xml), &n);
        codec_read(schema, &terse_limits_default, p, n, NULL, NULL, &ev);
        if (read_rows[i].dump) {
            if (ev.err != TERSE_OK || ev.elements != 1)
                fail_msg("%s: %s", xml, ev.error.text);
            const char *got = (const char *)terse_buf_data(&ev.dump);
            const char *line = strchr(got, '\n') + 2; /* behind O...\nE */
            size_t len = ev.dump.len - (size_t)(line - got) - 1;
            if (!str_is((struct terse_str){line, len}, read_rows[i].dump))
                fail_msg("%s: read as %.*s", xml, (int)len, line);
        } else {
            assert_int_not_equal(ev.err, TERSE_OK);
        }
        same_at_every_split(p, n, &ev, xml);
        codec_events_fini(&ev);
        free(p);
    }
}

/* ---- what is refused ----------------------------------------------------- */

#define BYTES(s) s, sizeof(s) - 1
#define NS_XMLNS "http://www.w3.org/2000/xmlns/"

/* Each stands behind a header and <ok/>; `path` is that of the error. */
static const struct {
    const char *xml;
    size_t n;
    enum terse_err code;
    const char *path;
} bad_rows[] = {
    {BYTES("<!--x-->"), TERSE_ERESTRICTED, ""},
    {BYTES("<a><b><!--x--></b></a>"), TERSE_ERESTRICTED, "a/b"},
    {BYTES("<?foo bar?>"), TERSE_ERESTRICTED, ""},
    {BYTES("<a><?foo?></a>"), TERSE_ERESTRICTED, "a"},
    {BYTES("<a>&foo;</a>"), TERSE_ERESTRICTED, "a"},
    {BYTES("<a><b c='&foo;'/></a>"), TERSE_ERESTRICTED, "a"},
    {BYTES("<x:a/>"), TERSE_ENAMESPACE, ""},
    {BYTES("<a x:b=''/>"), TERSE_ENAMESPACE, ""},
    {BYTES("<a xmlns:b=''/>"), TERSE_ENAMESPACE, ""},
    {BYTES("<a xmlns='" NS_XMLNS "'/>"), TERSE_ENAMESPACE, ""},
    {BYTES("<a xmlns:p='" NS_XMLNS "'/>"), TERSE_ENAMESPACE, ""},
    {BYTES("<a xmlns:xmlns='u'/>"), TERSE_ENAMESPACE, ""},
    {BYTES("<a xmlns='" TERSE_NS_XML "'/>"), TERSE_ENAMESPACE, ""},
    {BYTES("<a xmlns:xml='u'/>"), TERSE_ENAMESPACE, ""},
    {BYTES("<a xmlns='u u'/>"), TERSE_ENAMESPACE, ""},
    {BYTES("<a xmlns='u&#10;u'/>"), TERSE_ENAMESPACE, ""},
    {BYTES("<a xmlns:p='u' xmlns:q='u' p:b='' q:b=''/>"), TERSE_ENAMESPACE, ""},
    {BYTES("<a:b:c/>"), TERSE_ENAMESPACE, ""},
    {BYTES("<:a/>"), TERSE_ENAMESPACE, ""},
    {BYTES("<a:/>"), TERSE_ENAMESPACE, ""},
    {BYTES("<a b='' b=''/>"), TERSE_EXML, ""},
    {BYTES("<a></b>"), TERSE_EXML, "a"},
    {BYTES("</a>"), TERSE_EXML, ""},
    {BYTES("<a b=c/>"), TERSE_EXML, ""},
    {BYTES("<a b/>"), TERSE_EXML, ""},
    {BYTES("<a b='<'/><c/>"), TERSE_EXML, ""},
    {BYTES("<a/ >"), TERSE_EXML, ""},
    {BYTES("<1/>"), TERSE_EXML, ""},
    {BYTES("<a>]]></a>"), TERSE_EXML, "a"},
    {BYTES("<a>&#0;</a>"), TERSE_EXML, "a"},
    {BYTES("<a>&#xFFFE;</a>"), TERSE_EXML, "a"},
    {BYTES("<a>&#xD800;</a>"), TERSE_EXML, "a"},
    {BYTES("<a>\0</a>"), TERSE_EXML, "a"},
    {BYTES("<a>\x01</a>"), TERSE_EXML, "a"},
    {BYTES("<a>\xef\xbf\xbe</a>"), TERSE_EXML, "a"},
    {BYTES("<a><![CDATA[\xef\xbf\xbf]]></a>"), TERSE_EXML, "a"},
    {BYTES("<?xml version='1.0'?><a/>"), TERSE_EXML, ""},
    {BYTES("<a>\xff</a>"), TERSE_EENCODING, "a"},
    {BYTES("<a>\xc0\xbc</a>"), TERSE_EENCODING, "a"},
    {BYTES("<a>\xc1\x81</a>"), TERSE_EENCODING, "a"},
    {BYTES("<a>\xe0\x80\xbc</a>"), TERSE_EENCODING, "a"},
    {BYTES("<a>\xf0\x80\x80\xbc</a>"), TERSE_EENCODING, "a"},
    {BYTES("<a>\xed\xa0\x80</a>"), TERSE_EENCODING, "a"},
    {BYTES("<a>\xed\xbf\xbf</a>"), TERSE_EENCODING, "a"},
    {BYTES("<a>\xf4\x90\x80\x80</a>"), TERSE_EENCODING, "a"},
    {BYTES("<a>\xf8\x88\x80\x80\x80</a>"), TERSE_EENCODING, "a"},
    {BYTES("<a>\xe2\x82</a>"), TERSE_EENCODING, "a"},
    {BYTES("<a>\x80</a>"), TERSE_EENCODING, "a"},
    {BYTES("<a><![CDATA[\xe0\x80\xbc]]></a>"), TERSE_EENCODING, "a"},
    {BYTES("<a><![CDATA[\xc1\x81]]></a>"), TERSE_EENCODING, "a"},
    {BYTES("<a b='\xc1\x81'/>"), TERSE_EENCODING, ""},
    {BYTES("<a\xc1\x81/>"), TERSE_EENCODING, ""},
    {BYTES("x<a/>"), TERSE_ESTREAM, ""},
    {BYTES("&lt;<a/>"), TERSE_ESTREAM, ""},
    {BYTES("</stream:stream>x"), TERSE_ESTREAM, ""},
    {BYTES("</stream:stream><a/>"), TERSE_ESTREAM, ""},
    {BYTES("</stream:stream>\n<!--x-->"), TERSE_ESTREAM, ""},
};

static void test_xml_in_forbidden_xml_is_refused_at_every_split(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof(bad_rows) / sizeof(bad_rows[0]); i++) {
        struct codec_events ev;
        char xml[200];
        size_t n = bad_rows[i].n + 5, total;
        memcpy(xml, "<ok/>", 5);
        memcpy(xml + 5, bad_rows[i].xml, bad_rows[i].n);
        char *p = with_header(xml, n, &total);
        codec_read(schema, &terse_limits_default, p, total, NULL, NULL, &ev);
        if (ev.err != bad_rows[i].code || ev.error.code != ev.err)
            fail_msg("%s: %d, %s", bad_rows[i].xml, (int)ev.err, ev.error.text);
        assert_string_equal(ev.error.path, bad_rows[i].path);
        assert_true(ev.error.offset <= bad_rows[i].n);
        assert_int_equal(ev.elements, 1); /* <ok/> and nothing else */
        assert_null(strstr(ev.error.text, "foo"));
        same_at_every_split(p, total, &ev, bad_rows[i].xml);
        codec_events_fini(&ev);
        free(p);
    }
}

#define HEAD "<stream:stream xmlns:stream='" TERSE_NS_STREAM "'"

static const struct {
    const char *p;
    size_t n;
    enum terse_err code;
} start_rows[] = {
    {BYTES(HEAD ">"), TERSE_OK},
    {BYTES(" \n" HEAD ">"), TERSE_OK},
    {BYTES("<?xml version='1.0'?>" HEAD ">"), TERSE_OK},
    {BYTES("<?xml version='1.0' encoding='UTF-8'?>" HEAD ">"), TERSE_OK},
    {BYTES("<?xml version='1.0' encoding='utf-8'?>" HEAD ">"), TERSE_OK},
    {BYTES("<s:stream xmlns:s='" TERSE_NS_STREAM "'>"), TERSE_OK},
    {BYTES("<stream xmlns='" TERSE_NS_STREAM "'>"), TERSE_OK},
    {BYTES("<?xml version='1.0' encoding='ISO-8859-1'?>" HEAD ">"),
     TERSE_EENCODING},
    {BYTES("<?xml version='1.0' encoding='US-ASCII'?>" HEAD ">"),
     TERSE_EENCODING},
    {BYTES("<?xml version='1.0' encoding='x-none'?>" HEAD ">"),
     TERSE_EENCODING},
    {BYTES("\xef\xbb\xbf" HEAD ">"), TERSE_EENCODING},
    {BYTES("\xff\xfe<\0"), TERSE_EENCODING},
    {BYTES("\xfe\xff\0<"), TERSE_EENCODING},
    {BYTES("<\0s\0t\0r\0"), TERSE_EENCODING},
    {BYTES("\0<\0s\0t"), TERSE_EENCODING},
    {BYTES("\0\0\0<"), TERSE_EENCODING},
    {BYTES("GET / HTTP/1.1\r\n"), TERSE_EXML},
    {BYTES("\x16\x03\x01"), TERSE_EXML},
    {BYTES("L\x6f\xa7\x94"), TERSE_EXML}, /* "<?xm" in EBCDIC */
    {BYTES("<!DOCTYPE s><s/>"), TERSE_ERESTRICTED},
    {BYTES("<!DOCTYPE s [<!ENTITY a \"b\">]>" HEAD " to='&a;'>"),
     TERSE_ERESTRICTED},
    {BYTES("<!DOCTYPE s SYSTEM 'file:///etc/passwd'>" HEAD ">"),
     TERSE_ERESTRICTED},
    {BYTES("<!DOCTYPE s [<!ENTITY % a SYSTEM 'http://127.0.0.1/'>%a;]>" HEAD
           ">"),
     TERSE_ERESTRICTED},
    {BYTES("<!--x-->" HEAD ">"), TERSE_ERESTRICTED},
    {BYTES("<?foo?>" HEAD ">"), TERSE_ERESTRICTED},
    {BYTES("<message xmlns='jabber:client'>"), TERSE_ESTREAM},
    {BYTES("<stream xmlns='urn:x'>"), TERSE_ENAMESPACE},
    {BYTES("<stream:stream>"), TERSE_ENAMESPACE},
};

static void test_xml_in_start_of_stream_is_judged_at_every_split(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof(start_rows) / sizeof(start_rows[0]); i++) {
        struct codec_events ev;
        const char *p = start_rows[i].p;
        size_t n = start_rows[i].n;
        codec_read(schema, &terse_limits_default, p, n, NULL, NULL, &ev);
        if (ev.err != start_rows[i].code ||
            ev.opens != (ev.err == TERSE_OK ? 1u : 0u))
            fail_msg("%s: %d, %s", p, (int)ev.err, ev.error.text);
        same_at_every_split(p, n, &ev, p);
        codec_events_fini(&ev);
    }
}

static void test_xml_in_billion_laughs_cost_nothing(void **state) {
    struct codec_events ev;
    struct terse_buf p;
    char line[200];
    (void)state;
    terse_buf_init(&p, 100000);
    int n = snprintf(line, sizeof(line), "<!DOCTYPE s [<!ENTITY e0 'ha'>");
    assert_int_equal(terse_buf_append(&p, line, (size_t)n), TERSE_OK);
    for (int i = 1; i < 30; i++) {
        n = snprintf(line, sizeof(line), "<!ENTITY e%d '&e%d;&e%d;'>", i, i - 1,
                     i - 1);
        assert_int_equal(terse_buf_append(&p, line, (size_t)n), TERSE_OK);
    }
    const char end[] = "]>" HEAD " to='&e29;'>&e29;";
    assert_int_equal(terse_buf_append(&p, end, sizeof(end) - 1), TERSE_OK);
    codec_read(schema, &terse_limits_default, (const char *)p.data, p.len, NULL,
               NULL, &ev);
    assert_int_equal(ev.err, TERSE_ERESTRICTED);
    assert_int_equal(ev.opens, 0);
    codec_events_fini(&ev);
    terse_buf_fini(&p);
}

/* ---- recorded sessions --------------------------------------------------- */

static void test_xml_in_corpus_reads_the_same_however_split(void **state) {
    struct codec_events want;
    struct terse_buf all;
    struct codec_random random = {7};
    unsigned elements;
    (void)state;
    codec_corpus(&all, 3 * 1024 * 1024, &elements);
    if (elements == 0)
        skip();
    const char *p = (const char *)terse_buf_data(&all);
    codec_read(schema, &codec_wide, p, all.len, NULL, NULL, &want);
    assert_int_equal(want.err, TERSE_OK);
    assert_int_equal(want.elements, elements);
    for (int i = 0; i < 3; i++)
        same_as(&want, p, all.len, &codec_wide, split_random, &random,
                "random");
    same_as(&want, p, all.len, &codec_wide, split_one, NULL, "byte by byte");
    codec_events_fini(&want);
    terse_buf_fini(&all);
}

static void test_xml_in_corpus_reads_the_same_at_every_split(void **state) {
    struct codec_events want;
    struct terse_buf all;
    unsigned elements;
    (void)state;
    codec_corpus(&all, 6000, &elements);
    if (elements == 0)
        skip();
    const char *p = (const char *)terse_buf_data(&all);
    codec_read(schema, &codec_wide, p, all.len, NULL, NULL, &want);
    assert_int_equal(want.elements, elements);
    same_at_every_split(p, all.len, &want, "corpus");
    codec_events_fini(&want);
    terse_buf_fini(&all);
}

/* ---- limits -------------------------------------------------------------- */

static enum terse_err read_with(const struct terse_limits *limits,
                                const char *xml, struct terse_error *error) {
    struct codec_events whole, bytes;
    size_t n;
    char *p = with_header(xml, strlen(xml), &n);
    codec_read(schema, limits, p, n, NULL, NULL, &whole);
    codec_read(schema, limits, p, n, split_one, NULL, &bytes);
    assert_int_equal(whole.err, bytes.err);
    assert_true(codec_same(&whole.dump, &bytes.dump));
    *error = whole.error;
    enum terse_err err = whole.err;
    codec_events_fini(&whole);
    codec_events_fini(&bytes);
    free(p);
    return err;
}

/* `at` is accepted, `above` refused with a text that names the limit. */
static void limit_is(const struct terse_limits *limits, const char *at,
                     const char *above, const char *text) {
    struct terse_error error;
    if (read_with(limits, at, &error) != TERSE_OK)
        fail_msg("%s: at the limit: %s", text, error.text);
    assert_int_equal(read_with(limits, above, &error), TERSE_ELIMIT);
    assert_string_equal(error.text, text);
}

static void test_xml_in_limits_hold_exactly(void **state) {
    struct terse_limits l;
    (void)state;
    /* The header has 2 attributes of its own less: version. */
    l = terse_limits_default;
    l.stanza_bytes = 200;
    char at[300], above[300];
    snprintf(at, sizeof(at), "<a>%0193d</a>", 0);
    snprintf(above, sizeof(above), "<a>%0194d</a>", 0);
    limit_is(&l, at, above, "more than 200 bytes in one element");
    snprintf(at, sizeof(at), " <b/> <a b='%0191d'/> ", 0);
    snprintf(above, sizeof(above), "<b/> \n <a b='%0192d'/>", 0);
    limit_is(&l, at, above, "more than 200 bytes in one element");
    l = terse_limits_default;
    l.elements = 3;
    limit_is(&l, "<a><b/><c/></a><a><b><c/></b></a>", "<a><b/><c/><d/></a>",
             "more than 3 elements in one stanza");
    l = terse_limits_default;
    l.attributes = 2;
    limit_is(&l, "<a b='' c='' xmlns:p='u'/>", "<a b='' c='' d=''/>",
             "more than 2 attributes in one element");
    l = terse_limits_default;
    l.depth = 2;
    limit_is(&l, "<a><b/><b>x</b></a>", "<a><b><c/></b></a>",
             "more than 2 levels of nesting");
    l = terse_limits_default;
    l.text_bytes = 4;
    limit_is(&l, "<a>1&lt;3<![CDATA[4]]><b/>1234</a>",
             "<a>123<![CDATA[45]]></a>", "more than 4 bytes in one text");
    limit_is(&l, "<a b='123&amp;'/>", "<a b='12345'/>",
             "more than 4 bytes in one value");
    l = terse_limits_default;
    l.name_bytes = 64;
    char name[66], ns[66];
    memset(name, 'n', 65);
    name[65] = '\0';
    memcpy(ns, name, 66);
    snprintf(at, sizeof(at), "<%.64s xmlns='%.64s' %.64s=''/>", name, ns, name);
    snprintf(above, sizeof(above), "<%s/>", name);
    limit_is(&l, at, above, "more than 64 bytes in one name");
    snprintf(above, sizeof(above), "<a xmlns='%s'/>", ns);
    limit_is(&l, at, above, "more than 64 bytes in one name");
    snprintf(above, sizeof(above), "<a %s=''/>", name);
    limit_is(&l, at, above, "more than 64 bytes in one name");
}

static char *nested(unsigned depth, const char *open, const char *close) {
    size_t size = depth * (strlen(open) + strlen(close)) + 1;
    char *p = malloc(size), *to = p;
    assert_non_null(p);
    for (unsigned i = 0; i < depth; i++)
        to = stpcpy(to, open);
    for (unsigned i = 0; i < depth; i++)
        to = stpcpy(to, close);
    return p;
}

static void test_xml_in_depth_never_exceeds_256(void **state) {
    struct terse_limits l = terse_limits_default;
    (void)state;
    l.depth = 100000;
    char *at = nested(256, "<a>", "</a>"), *above = nested(257, "<a>", "</a>");
    struct terse_error error;
    assert_int_equal(read_with(&l, at, &error), TERSE_OK);
    assert_int_equal(read_with(&l, above, &error), TERSE_ELIMIT);
    free(at);
    free(above);
}

/* libxml2 compares each attribute of a tag with each, and looks for a prefix
 * through all declarations: both are stopped before they cost seconds. */
static void test_xml_in_attribute_floods_are_stopped_early(void **state) {
    static const char *shapes[] = {" a%x=''", " xmlns:a%x='u'", " p:a%x=''"};
    (void)state;
    for (size_t s = 0; s < 3; s++) {
        struct terse_buf p;
        struct codec_events ev;
        char piece[40];
        terse_buf_init(&p, SIZE_MAX / 4);
        assert_int_equal(terse_buf_append(&p, CODEC_HEADER "<a",
                                          sizeof(CODEC_HEADER "<a") - 1),
                         TERSE_OK);
        for (unsigned i = 0; p.len < 1000 * 1000; i++) {
            int n = snprintf(piece, sizeof(piece), shapes[s], i);
            assert_int_equal(terse_buf_append(&p, piece, (size_t)n), TERSE_OK);
        }
        codec_read(schema, &terse_limits_default, (const char *)p.data, p.len,
                   NULL, NULL, &ev);
        assert_int_equal(ev.err, TERSE_ELIMIT); /* with no '>' in sight */
        codec_events_fini(&ev);
        terse_buf_fini(&p);
    }
    char *deep = nested(5, "<a xmlns:b='u' xmlns:c='u' xmlns:d='u'>", "</a>");
    struct terse_error error;
    assert_int_equal(read_with(&terse_limits_default, deep, &error), TERSE_OK);
    free(deep);
    /* 64 * 5 declarations are in scope at once, 20 one after the other */
    deep = nested(64,
                  "<a xmlns:b='u' xmlns:c='u' xmlns:d='u' xmlns:e='u' "
                  "xmlns:f='u'>",
                  "</a>");
    assert_int_equal(read_with(&terse_limits_default, deep, &error),
                     TERSE_ELIMIT);
    free(deep);
}

/* Declarations that have gone out of scope do not count. */
static void test_xml_in_declarations_of_siblings_do_not_add_up(void **state) {
    struct terse_error error;
    char *wide = malloc(2000 * 40 + 20), *to = wide;
    (void)state;
    assert_non_null(wide);
    to = stpcpy(to, "<a>");
    for (int i = 0; i < 2000; i++)
        to = stpcpy(to, "<b xmlns='u'><c xmlns='v'/></b>");
    stpcpy(to, "</a>");
    assert_int_equal(read_with(&terse_limits_default, wide, &error), TERSE_OK);
    free(wide);
}

/* ---- memory -------------------------------------------------------------- */

static size_t in_use(void) {
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

static size_t most_in_use;

static enum terse_err on_event(void *arg, enum terse_event event,
                               struct terse_node *node) {
    unsigned *count = arg;
    (void)event, (void)node;
    (*count)++;
    if (in_use() > most_in_use)
        most_in_use = in_use();
    return TERSE_OK;
}

/* Feeds 100 MB: first, then `piece` again and again; the most memory that the
 * reader took meanwhile. */
static size_t feed_much(const char *first, const char *piece,
                        enum terse_err *err, unsigned *events) {
    struct terse_reader *reader;
    size_t before = in_use(), n = strlen(piece);
    most_in_use = before;
    *events = 0;
    assert_int_equal(terse_reader_new(&reader, schema, &terse_limits_default,
                                      on_event, events),
                     TERSE_OK);
    *err = terse_reader_feed(reader, first, strlen(first));
    for (size_t fed = 0; fed < 100u * 1000 * 1000; fed += n) {
        *err = terse_reader_feed(reader, piece, n);
        if (in_use() > most_in_use)
            most_in_use = in_use();
    }
    terse_reader_free(reader);
    return most_in_use - before;
}

static void fill(char *piece, size_t size, const char *with) {
    size_t n = strlen(with), at = 0;
    for (; at + n < size; at += n)
        memcpy(piece + at, with, n);
    piece[at] = '\0';
}

static void test_xml_in_memory_is_flat_on_100_megabytes(void **state) {
    static const struct {
        const char *first, *piece;
        enum terse_err err;
    } rows[] = {
        {CODEC_HEADER "<a>", "x", TERSE_ELIMIT},
        {CODEC_HEADER "<a>", "<b/>", TERSE_ELIMIT},
        {CODEC_HEADER "<a b='", "x", TERSE_ELIMIT},
        {CODEC_HEADER "<a><![CDATA[", "]] >", TERSE_ELIMIT},
        {CODEC_HEADER "<", "n", TERSE_ELIMIT},
        {CODEC_HEADER, " ", TERSE_OK},
        {CODEC_HEADER, "\r\n", TERSE_OK},
        {CODEC_HEADER, "<message><body>hello</body></message>\n", TERSE_OK},
        {" ", " ", TERSE_OK},
        {"<?xml version='1.0'?><stream:stream a='", "x", TERSE_ELIMIT},
    };
    static char piece[60000];
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        enum terse_err err;
        unsigned events;
        fill(piece, sizeof(piece), rows[i].piece);
        size_t took = feed_much(rows[i].first, piece, &err, &events);
        if (err != rows[i].err && !(err == TERSE_EXML && rows[i].err))
            fail_msg("%s: %d", rows[i].piece, (int)err);
        if (took > 12u * 1000 * 1000)
            fail_msg("%s: %zu bytes", rows[i].piece, took);
    }
}

/* ---- restarts and renewals ----------------------------------------------- */

struct restarting {
    struct terse_reader *reader;
    const char *after; /* restart after this element */
    struct terse_buf dump;
};

static enum terse_err restart_on(void *arg, enum terse_event event,
                                 struct terse_node *node) {
    struct restarting *r = arg;
    assert_int_equal(terse_buf_append(&r->dump, &"OEC"[event], 1), TERSE_OK);
    if (event == TERSE_ELEMENT)
        codec_dump(&r->dump, node);
    if (event == TERSE_ELEMENT && str_is(terse_node_name(node), r->after))
        terse_reader_restart(r->reader);
    return TERSE_OK;
}

/* Every element <r/> is followed by a new header in the same bytes. */
static void test_xml_in_restart_in_callback_loses_no_byte(void **state) {
    static const char *between[] = {"", " ", "\r\n", "\n"};
    static const char *ends[] = {"", "\r", "\r\n", "<b>\r", "<b>\rx</b>"};
    (void)state;
    for (size_t b = 0; b < 4; b++) {
        for (size_t e = 0; e < 5; e++) {
            char p[2000];
            int n = snprintf(p, sizeof(p),
                             CODEC_HEADER "<x/><r/>%s" CODEC_HEADER
                                          "<a>t</a><r a='1'>q</r>%s" HEAD
                                          "><stream:a/>%s",
                             between[b], between[b], ends[e]);
            for (size_t at = 0; at < (size_t)n; at++) {
                struct restarting r = {.after = "r"};
                terse_buf_init(&r.dump, 10000);
                assert_int_equal(terse_reader_new(&r.reader, schema,
                                                  &terse_limits_default,
                                                  restart_on, &r),
                                 TERSE_OK);
                enum terse_err err = terse_reader_feed(r.reader, p, at);
                if (err == TERSE_OK)
                    err = terse_reader_feed(r.reader, p + at, (size_t)n - at);
                if (err != TERSE_OK)
                    fail_msg("%s at %zu: %s", p, at,
                             terse_reader_error(r.reader)->text);
                assert_int_equal(terse_buf_append(&r.dump, "", 1), TERSE_OK);
                const char *got = (const char *)terse_buf_data(&r.dump);
                static const char want[] =
                    "OE<1:xn13:jabber:client{}E<1:rn13:jabber:client{}"
                    "OE<1:an13:jabber:client{\"1:t}"
                    "E<1:rn13:jabber:client@1:an0:=1:1{\"1:q}"
                    "OE<1:an32:http://etherx.jabber.org/streams{}";
                assert_int_equal(strncmp(got, want, sizeof(want) - 1), 0);
                terse_reader_free(r.reader);
                terse_buf_fini(&r.dump);
            }
        }
    }
}

static void test_xml_in_restart_after_an_error_reads_again(void **state) {
    struct restarting r = {.after = "none"};
    (void)state;
    terse_buf_init(&r.dump, 10000);
    assert_int_equal(terse_reader_new(&r.reader, schema, &terse_limits_default,
                                      restart_on, &r),
                     TERSE_OK);
    static const char *bad[] = {"<",    "<a",    "<a>\xe2",           "<a><b>",
                                "<!--", "x</b>", "</stream:stream>x", ""};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        terse_buf_reset(&r.dump);
        terse_reader_restart(r.reader);
        assert_int_equal(terse_reader_error(r.reader)->code, TERSE_OK);
        assert_int_equal(terse_reader_feed(r.reader, CODEC_HEADER "<ok/>",
                                           sizeof(CODEC_HEADER "<ok/>") - 1),
                         TERSE_OK);
        assert_memory_equal(terse_buf_data(&r.dump), "OE<2:ok", 7);
        enum terse_err err =
            terse_reader_feed(r.reader, bad[i], strlen(bad[i]));
        enum terse_err more = terse_reader_feed(r.reader, "<!-- ", 5);
        if (err != TERSE_OK)
            assert_int_equal(more, err); /* for good */
    }
    terse_reader_free(r.reader);
    terse_buf_fini(&r.dump);
}

static enum terse_err stop_on(void *arg, enum terse_event event,
                              struct terse_node *node) {
    unsigned *count = arg;
    (void)node;
    (*count)++;
    return event == TERSE_ELEMENT ? TERSE_EFRAME : TERSE_OK;
}

static void test_xml_in_callback_error_stops_for_good(void **state) {
    struct terse_reader *reader;
    unsigned count = 0;
    (void)state;
    assert_int_equal(terse_reader_new(&reader, schema, &terse_limits_default,
                                      stop_on, &count),
                     TERSE_OK);
    static const char p[] = CODEC_HEADER "<a/><b/><c/>";
    assert_int_equal(terse_reader_feed(reader, p, sizeof(p) - 1), TERSE_EFRAME);
    assert_int_equal(terse_reader_feed(reader, "<d/>", 4), TERSE_EFRAME);
    assert_int_equal(count, 2);
    terse_reader_free(reader);
}

/* More unknown names than a parser keeps, so that it is renewed; the prefixes
 * of the header must go on to mean what they meant. */
static void test_xml_in_renewed_parser_keeps_declarations(void **state) {
    static const char tails[][16] = {"", "\r", "<p:t>\r", "<p:t>x\r"};
    struct terse_buf p;
    char piece[100];
    (void)state;
    for (size_t t = 0; t < 4; t++) {
        struct codec_events want, got;
        size_t at[3];
        terse_buf_init(&p, SIZE_MAX / 4);
        static const char head[] =
            "<?xml version='1.0'?><q:stream xmlns:q='" TERSE_NS_STREAM
            "' xmlns='urn:d' xmlns:p='urn:p&apos;&quot;&amp;' version='1.0'>";
        assert_int_equal(terse_buf_append(&p, head, sizeof(head) - 1),
                         TERSE_OK);
        unsigned names = 0;
        for (int stanza = 0; stanza < 3; stanza++) {
            assert_int_equal(terse_buf_append(&p, "<m>", 3), TERSE_OK);
            for (int i = 0; i < 1100; i++, names++) {
                int n = snprintf(piece, sizeof(piece), "<u%u/>", names);
                assert_int_equal(terse_buf_append(&p, piece, (size_t)n),
                                 TERSE_OK);
            }
            int n = snprintf(piece, sizeof(piece),
                             "</m><p:a p:b='1'><c/></p:a><q:d/>");
            assert_int_equal(terse_buf_append(&p, piece, (size_t)n), TERSE_OK);
            at[stanza] = p.len;
        }
        assert_int_equal(terse_buf_append(&p, tails[t], strlen(tails[t])),
                         TERSE_OK);
        const char *s = (const char *)terse_buf_data(&p);
        codec_read(schema, &codec_wide, s, p.len, NULL, NULL, &want);
        assert_int_equal(want.err, TERSE_OK);
        assert_int_equal(want.elements, 9);
        assert_int_equal(terse_buf_append(&want.dump, "", 1), TERSE_OK);
        want.dump.len--;
        assert_non_null(
            strstr((const char *)terse_buf_data(&want.dump), "n8:urn:p'\"&"));
        for (size_t k = 0; k < 3; k++) {
            for (size_t near = at[k] - 60; near < at[k] && near < p.len;
                 near++) {
                size_t arg = near;
                codec_read(schema, &codec_wide, s, p.len, split_at, &arg, &got);
                assert_int_equal(got.err, TERSE_OK);
                assert_true(codec_same(&got.dump, &want.dump));
                codec_events_fini(&got);
            }
        }
        same_as(&want, s, p.len, &codec_wide, split_one, NULL, "renewed");
        codec_events_fini(&want);
        terse_buf_fini(&p);
    }
}

/* A slice that ends in '\r' behind a renewal: libxml2 keeps that byte back. */
static void
test_xml_in_renewal_with_cr_at_slice_end_loses_no_byte(void **state) {
    struct terse_buf p;
    char piece[100];
    (void)state;
    for (size_t back = 0; back < 40; back++) {
        struct codec_events ev;
        terse_buf_init(&p, SIZE_MAX / 4);
        assert_int_equal(terse_buf_append(&p, CODEC_HEADER "<m>",
                                          sizeof(CODEC_HEADER "<m>") - 1),
                         TERSE_OK);
        for (int i = 0; i < 1100; i++) {
            int n = snprintf(piece, sizeof(piece), "<u%d/>", i);
            assert_int_equal(terse_buf_append(&p, piece, (size_t)n), TERSE_OK);
        }
        while ((p.len + 8 + back) % 8192 != 0)
            assert_int_equal(terse_buf_append(&p, "x", 1), TERSE_OK);
        assert_int_equal(terse_buf_append(&p, "</m><t>", 7), TERSE_OK);
        for (size_t i = 0; i < back; i++)
            assert_int_equal(terse_buf_append(&p, "y", 1), TERSE_OK);
        assert_int_equal(terse_buf_append(&p, "\rz</t>", 6), TERSE_OK);
        codec_read(schema, &codec_wide, (const char *)terse_buf_data(&p), p.len,
                   NULL, NULL, &ev);
        assert_int_equal(ev.err, TERSE_OK);
        assert_int_equal(ev.elements, 2);
        snprintf(piece, sizeof(piece), "\"%zu:%.*s\nz}\n", back + 2, (int)back,
                 "yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy");
        size_t n = strlen(piece);
        assert_memory_equal(terse_buf_data(&ev.dump) + ev.dump.len - n, piece,
                            n);
        codec_events_fini(&ev);
        terse_buf_fini(&p);
    }
}

/* ---- nodes --------------------------------------------------------------- */

static enum terse_err look(void *arg, enum terse_event event,
                           struct terse_node *m) {
    struct terse_str s;
    if (event != TERSE_ELEMENT)
        return TERSE_OK;
    *(bool *)arg = true;
    assert_true(terse_node_is(m, TERSE_NS_CLIENT, "message"));
    assert_true(terse_node_attr(m, "", "id", &s) && str_is(s, "1"));
    assert_true(terse_node_attr(m, TERSE_NS_XML, "lang", &s) &&
                str_is(s, "de"));
    assert_false(terse_node_attr(m, "", "lang", &s));
    assert_false(terse_node_text(m, &s));
    struct terse_node *a = terse_node_child(m), *b = terse_node_next(a);
    assert_true(terse_node_is(a, "u", "a") && terse_node_is(b, "u", "b"));
    assert_true(terse_node_text(a, &s) && str_is(s, "t"));
    assert_true(terse_node_text(b, &s) && s.n == 0);
    assert_null(terse_node_next(b));
    assert_null(terse_node_child(b));
    terse_node_remove(m, a);
    assert_ptr_equal(terse_node_child(m), b);
    terse_node_remove(m, b);
    assert_null(terse_node_child(m));
    return TERSE_OK;
}

static void test_xml_in_nodes_can_be_looked_at(void **state) {
    struct terse_reader *reader;
    bool called = false;
    (void)state;
    assert_int_equal(
        terse_reader_new(&reader, schema, &terse_limits_default, look, &called),
        TERSE_OK);
    static const char p[] = CODEC_HEADER
        "<message id='1' xml:lang='de'> <a xmlns='u'>t</a>x<b xmlns='u'/> "
        "</message>";
    assert_int_equal(terse_reader_feed(reader, p, sizeof(p) - 1), TERSE_OK);
    assert_true(called);
    terse_reader_free(reader);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_xml_in_elements_read_the_same_at_every_split),
        cmocka_unit_test(test_xml_in_forbidden_xml_is_refused_at_every_split),
        cmocka_unit_test(test_xml_in_start_of_stream_is_judged_at_every_split),
        cmocka_unit_test(test_xml_in_billion_laughs_cost_nothing),
        cmocka_unit_test(test_xml_in_corpus_reads_the_same_however_split),
        cmocka_unit_test(test_xml_in_corpus_reads_the_same_at_every_split),
        cmocka_unit_test(test_xml_in_limits_hold_exactly),
        cmocka_unit_test(test_xml_in_depth_never_exceeds_256),
        cmocka_unit_test(test_xml_in_attribute_floods_are_stopped_early),
        cmocka_unit_test(test_xml_in_declarations_of_siblings_do_not_add_up),
        cmocka_unit_test(test_xml_in_memory_is_flat_on_100_megabytes),
        cmocka_unit_test(test_xml_in_restart_in_callback_loses_no_byte),
        cmocka_unit_test(test_xml_in_restart_after_an_error_reads_again),
        cmocka_unit_test(test_xml_in_callback_error_stops_for_good),
        cmocka_unit_test(test_xml_in_renewed_parser_keeps_declarations),
        cmocka_unit_test(
            test_xml_in_renewal_with_cr_at_slice_end_loses_no_byte),
        cmocka_unit_test(test_xml_in_nodes_can_be_looked_at),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
