/* xml_spaces_test.c: namespaces inside of a stream's elements are found as
 * libxml2 finds them where it is let. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <libxml/parser.h>
#include <stdio.h>
#include <string.h>

#include "codec/str.h"
#include "tests/unit/codec_util.h"

#define HEADER                                                                 \
    "<stream:stream xmlns='jabber:client' xmlns:stream='" TERSE_NS_STREAM      \
    "' xmlns:p='urn:p' xmlns:q='urn:q'>"

enum { ROUNDS = 30000, DEPTH = 4 };

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

/* ---- elements at random -------------------------------------------------- */

struct writer {
    struct codec_random random;
    char xml[4096];
    size_t n;
};

static size_t below(struct writer *w, size_t n) {
    return (size_t)(codec_random(&w->random) >> 33) % n;
}

static void add(struct writer *w, const char *s) {
    size_t n = strlen(s);
    assert_true(w->n + n < sizeof(w->xml));
    memcpy(w->xml + w->n, s, n + 1);
    w->n += n;
}

#define ONE_OF(w, list) ((list)[below((w), sizeof(list) / sizeof((list)[0]))])

/* Most are right and declared; some are one of all that can be wrong. */
static void add_declaration(struct writer *w) {
    static const char *const names[] = {"",   "",   "",   ":p",   ":p",
                                        ":q", ":q", ":r", ":xml", ":xmlns"};
    static const char *const uris[] = {"urn:p",
                                       "urn:p",
                                       "urn:q",
                                       "urn:q",
                                       "urn:x",
                                       "u&amp;v",
                                       "",
                                       TERSE_NS_XML,
                                       "http://www.w3.org/2000/xmlns/",
                                       "jabber:client"};
    add(w, " xmlns");
    add(w, ONE_OF(w, names));
    add(w, "='");
    add(w, below(w, 3) ? uris[below(w, 6)] : ONE_OF(w, uris));
    add(w, "'");
}

static void add_element(struct writer *w, int depth) {
    static const char *const names[] = {"a",   "a", "p:a",   "q:a",
                                        "r:a", "b", "xml:a", "stream:a"};
    static const char *const attrs[] = {" a=''",   " b=''",   " p:a=''",
                                        " q:a=''", " p:b=''", " xml:lang=''"};
    const char *name = ONE_OF(w, names);
    add(w, "<");
    add(w, name);
    for (size_t i = below(w, 3); i > 0; i--)
        add_declaration(w);
    for (size_t i = below(w, 3); i > 0; i--)
        add(w, ONE_OF(w, attrs));
    if (below(w, 3) == 0)
        add_declaration(w);
    add(w, ">");
    for (size_t i = depth < DEPTH ? below(w, 3) : 0; i > 0; i--)
        add_element(w, depth + 1);
    add(w, "</");
    add(w, name);
    add(w, ">");
}

/* ---- what libxml2 says --------------------------------------------------- */

static void put(struct terse_buf *out, const char *kind, const xmlChar *s) {
    char head[32];
    size_t n = s ? (size_t)xmlStrlen(s) : 0;
    snprintf(head, sizeof(head), "%s%zu:", kind, n);
    assert_int_equal(terse_buf_append(out, head, strlen(head)), TERSE_OK);
    assert_int_equal(terse_buf_append(out, s, n), TERSE_OK);
}

/* Names in the order of codec_dump: by local name, then by namespace. */
static bool before(const xmlAttr *a, const xmlAttr *b) {
    int c = xmlStrcmp(a->name, b->name);
    return c < 0 ||
           (c == 0 && xmlStrcmp(a->ns ? a->ns->href : BAD_CAST "",
                                b->ns ? b->ns->href : BAD_CAST "") < 0);
}

static void dump(struct terse_buf *out, const xmlNode *node) {
    put(out, "<", node->name);
    put(out, "n", node->ns ? node->ns->href : NULL);
    const xmlAttr *last = NULL;
    for (;;) {
        const xmlAttr *next = NULL;
        for (const xmlAttr *a = node->properties; a; a = a->next)
            if ((!last || before(last, a)) && (!next || before(a, next)))
                next = a;
        if (!next)
            break;
        put(out, "@", next->name);
        put(out, "n", next->ns ? next->ns->href : NULL);
        put(out, "=", BAD_CAST "");
        last = next;
    }
    assert_int_equal(terse_buf_append(out, "{", 1), TERSE_OK);
    for (const xmlNode *c = node->children; c; c = c->next)
        dump(out, c);
    assert_int_equal(terse_buf_append(out, "}", 1), TERSE_OK);
}

static void quiet(void *arg, xmlErrorPtr e) { (void)arg, (void)e; }

/* False if there is anything that namespaces do not allow. */
static bool libxml2_reads(const struct writer *w, struct terse_buf *out) {
    xmlParserCtxtPtr ctxt = xmlNewParserCtxt();
    xmlSetStructuredErrorFunc(NULL, quiet);
    xmlDocPtr doc = xmlCtxtReadMemory(ctxt, w->xml, (int)w->n, NULL, NULL,
                                      XML_PARSE_NOENT | XML_PARSE_NONET);
    bool good = doc && ctxt->wellFormed && ctxt->nsWellFormed;
    if (good)
        dump(out, xmlDocGetRootElement(doc)->children);
    xmlFreeDoc(doc);
    xmlFreeParserCtxt(ctxt);
    xmlSetStructuredErrorFunc(NULL, NULL);
    return good;
}

static void test_xml_spaces_as_libxml2_finds_them(void **state) {
    static const char footer[] = "</stream:stream>";
    struct terse_buf want;
    unsigned good = 0, bad = 0;
    (void)state;
    terse_buf_init(&want, 1 << 20);
    for (uint64_t i = 0; i < ROUNDS; i++) {
        struct writer w = {.random = {i}};
        struct codec_events ev;
        add(&w, HEADER);
        add_element(&w, 0);
        codec_read(schema, &codec_wide, w.xml, w.n, NULL, NULL, &ev);
        add(&w, footer);
        terse_buf_reset(&want);
        bool fine = libxml2_reads(&w, &want);
        if (fine != (ev.err == TERSE_OK))
            fail_msg("%s: %d %s", w.xml, (int)ev.err, ev.error.text);
        if (fine) {
            const char *got = (const char *)terse_buf_data(&ev.dump);
            const char *line = strchr(got, '\n') + 2; /* behind O...\nE */
            size_t n = ev.dump.len - (size_t)(line - got) - 1;
            if (n != want.len || memcmp(line, terse_buf_data(&want), n) != 0)
                fail_msg("%s: read as %.*s", w.xml, (int)n, line);
        }
        good += fine;
        bad += !fine;
        codec_events_fini(&ev);
    }
    assert_true(good > ROUNDS / 10 && bad > ROUNDS / 10);
    terse_buf_fini(&want);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_xml_spaces_as_libxml2_finds_them),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
