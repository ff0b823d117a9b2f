/*
 * agent_words_test.c: one login in the words of two RFCs: which features are of
 * a tersed that holds sessions, what of them a classic client may see, whose
 * login it is, what is said to whom.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/evp.h>

#include "client/agent_words.h"

#define SASL "urn:ietf:params:xml:ns:xmpp-sasl"
#define MECHANISMS                                                             \
    "<mechanisms xmlns='" SASL "'><mechanism>SCRAM-SHA-256</mechanism>"        \
    "<mechanism>PLAIN</mechanism></mechanisms>"
#define INLINE(fast)                                                           \
    "<inline><bind xmlns='urn:xmpp:bind:0'><inline>"                           \
    "<feature var='urn:xmpp:sm:3'/></inline></bind>"                           \
    "<sm xmlns='urn:xmpp:sm:3'/><fast xmlns='urn:xmpp:fast:0'>" fast           \
    "</fast></inline>"
#define HT "<mechanism>HT-SHA-256-NONE</mechanism>"
#define SASL2(mechanisms, fast)                                                \
    "<authentication xmlns='urn:xmpp:sasl:2'>" mechanisms INLINE(              \
        fast) "</authentication>"
#define BOTH "<mechanism>SCRAM-SHA-256</mechanism><mechanism>PLAIN</mechanism>"
#define REGISTER "<register xmlns='http://jabber.org/features/iq-register'/>"

static struct bridge bridge;

static int set_up(void **state) {
    static struct terse_schema *schema;

    assert_int_equal(terse_schema_new(&schema), TERSE_OK);
    bridge = (struct bridge){.schema = schema, .limits = &terse_limits_default};
    *state = schema;
    return 0;
}

static int tear_down(void **state) {
    terse_schema_free(*state);
    return 0;
}

/* ---- an element to look at
 * -------------------------------------------------------------- */

static struct {
    void (*use)(struct terse_node *node);
    unsigned seen;
} looking;

static enum terse_err look(void *arg, enum terse_event event,
                           struct terse_node *node) {
    (void)arg;
    if (event == TERSE_ELEMENT) {
        looking.seen++;
        looking.use(node);
    }
    return TERSE_OK;
}

static void with(const char *xml, void (*use)(struct terse_node *node)) {
    char header[BRIDGE_TEXT];
    struct terse_reader *reader;

    looking.use = use;
    looking.seen = 0;
    bridge_header(header, NULL, NULL, NULL);
    assert_int_equal(
        terse_reader_new(&reader, bridge.schema, bridge.limits, look, NULL),
        TERSE_OK);
    assert_int_equal(terse_reader_feed(reader, header, strlen(header)),
                     TERSE_OK);
    assert_int_equal(terse_reader_feed(reader, xml, strlen(xml)), TERSE_OK);
    terse_reader_free(reader);
    assert_int_equal(looking.seen, 1);
}

static bool offered;
static void see_offer(struct terse_node *node) {
    offered = words_offered(node);
}

static bool is_offer(const char *features) {
    char xml[8192];

    snprintf(xml, sizeof(xml), "<stream:features>%s</stream:features>",
             features);
    with(xml, see_offer);
    return offered;
}

static struct terse_buf out;
static const char *more;
static enum terse_err err;

static const char *text(void) {
    assert_int_equal(err, TERSE_OK);
    assert_int_equal(terse_buf_append(&out, "", 1), TERSE_OK);
    return (const char *)terse_buf_data(&out);
}

/* ---- features
 * ------------------------------------------------------------------- */

static void test_words_offer_of_tersed_is_known(void **state) {
    (void)state;
    assert_true(is_offer(MECHANISMS SASL2(BOTH, HT)));
    assert_true(is_offer(MECHANISMS REGISTER SASL2(BOTH, HT)));
}

static void test_words_other_offers_pass(void **state) {
    (void)state;
    assert_false(is_offer(""));
    assert_false(is_offer(MECHANISMS REGISTER));
    /* A server's own: it offers mechanisms that tersed would have to strip, or
     * says what tersed never does, or in another place. */
    assert_false(is_offer(SASL2(BOTH, HT)));
    assert_false(is_offer(SASL2(BOTH, HT) MECHANISMS));
    assert_false(is_offer(
        MECHANISMS SASL2(BOTH "<mechanism>SCRAM-SHA-1</mechanism>", HT)));
    assert_false(
        is_offer(MECHANISMS SASL2("<mechanism>PLAIN</mechanism>", HT)));
    assert_false(is_offer(
        MECHANISMS SASL2(BOTH, HT "<mechanism>HT-SHA-256-ENDP</mechanism>")));
    /* hold = 0s: nothing is held. */
    assert_false(is_offer(MECHANISMS
                          "<authentication xmlns='urn:xmpp:sasl:2'>" BOTH
                          "<inline><bind xmlns='urn:xmpp:bind:0'/>"
                          "<sm xmlns='urn:xmpp:sm:3'/></inline>"
                          "</authentication>"));
}

static void strip(struct terse_node *node) {
    err = words_features(&bridge, node, more, &out);
}

static const char *stripped(const char *features, const char *added) {
    terse_buf_fini(&out);
    terse_buf_init(&out, 65536);
    more = added;
    with(features, strip);
    return text();
}

static void test_words_features_without_what_is_ours(void **state) {
    const char *xml;

    (void)state;
    xml = stripped("<stream:features>" MECHANISMS REGISTER SASL2(
                       BOTH, HT) "</stream:features>",
                   "");
    assert_non_null(strstr(xml, "<mechanism>SCRAM-SHA-256</mechanism>"));
    assert_non_null(strstr(xml, "iq-register"));
    assert_null(strstr(xml, "sasl:2"));
    xml = stripped("<stream:features><sm xmlns='urn:xmpp:sm:2'/>"
                   "<csi xmlns='urn:xmpp:csi:0'/><sm xmlns='urn:xmpp:sm:3'/>"
                   "</stream:features>",
                   "<x xmlns='urn:x'/>");
    assert_null(strstr(xml, "urn:xmpp:sm"));
    assert_non_null(strstr(xml, "<stream:features><x xmlns='urn:x'/><csi"));
    xml = stripped("<stream:features/>", "<x xmlns='urn:x'/>");
    assert_string_equal(
        xml, "<stream:features><x xmlns='urn:x'/></stream:features>");
    terse_buf_fini(&out);
}

/* ---- who it is
 * ------------------------------------------------------------------ */

static const char *user_of(const char *mechanism, const char *said, size_t n) {
    static char user[WORDS_NAME];
    char base64[8192];

    EVP_EncodeBlock((unsigned char *)base64, (const unsigned char *)said,
                    (int)n);
    return bridge_sasl_user(mechanism, base64, user) ? user : NULL;
}
#define said(mechanism, text) user_of(mechanism, text, sizeof(text) - 1)

static void test_words_user_of_first_message(void **state) {
    char long_one[WORDS_NAME + 64];

    (void)state;
    assert_string_equal(said("PLAIN", "\0joe\0secret"), "joe");
    assert_string_equal(said("SCRAM-SHA-1", "n,,n=joe,r=abc"), "joe");
    assert_string_equal(said("SCRAM-SHA-256", "y,,n=a=2Cb=3Dc,r=abc"), "a,b=c");
    /* For somebody else, or nobody; or not to be read. */
    assert_null(said("PLAIN", "other\0joe\0secret"));
    assert_null(said("PLAIN", "\0\0secret"));
    assert_null(said("PLAIN", "\0joe"));
    assert_null(said("SCRAM-SHA-1", "n,a=other,n=joe,r=abc"));
    assert_null(said("SCRAM-SHA-1", "p=tls-unique,,n=joe,r=abc"));
    assert_null(said("SCRAM-SHA-1", "n,,n=joe"));
    assert_null(said("SCRAM-SHA-1", "n,,n=jo=2,r=abc"));
    assert_null(said("SCRAM-SHA-1", "n,,n=,r=abc"));
    assert_null(said("DIGEST-MD5", "n,,n=joe,r=abc"));
    memset(long_one, 'x', sizeof(long_one));
    memcpy(long_one, "n,,n=", 5);
    long_one[sizeof(long_one) - 1] = ',';
    assert_null(user_of("SCRAM-SHA-1", long_one, sizeof(long_one)));
}

static void test_words_user_of_no_base64_is_none(void **state) {
    static const char *const bad[] = {
        "", "=", "====", "bm8", "!!!!", "bm8=bm8="};
    char user[WORDS_NAME];

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(bridge_sasl_user("PLAIN", bad[i], user));
}

/* ---- elements
 * -------------------------------------------------------------------- */

static void start(void) {
    terse_buf_fini(&out);
    terse_buf_init(&out, 65536);
}

static void fail_with(struct terse_node *node) {
    err = words_failure(&out, node);
}
static void bind_to(struct terse_node *node) {
    err = words_result(&out, node, "a@b/'<c>'");
}
static void answer_to(struct terse_node *node) {
    err = words_result(&out, node, NULL);
}

static void test_words_sasl_both_ways(void **state) {
    (void)state;
    start();
    err = words_challenge(&out, "YWJj");
    assert_string_equal(text(), "<challenge xmlns='" SASL "'>YWJj</challenge>");
    start();
    err = words_response(&out, "a<b");
    assert_string_equal(text(), "<response xmlns='urn:xmpp:sasl:2'>a&lt;b"
                                "</response>");
    start();
    err = words_success(&out, "dj0=");
    assert_string_equal(text(), "<success xmlns='" SASL "'>dj0=</success>");
    start();
    err = words_success(&out, "");
    assert_string_equal(text(), "<success xmlns='" SASL "'/>");
    start();
    with("<failure xmlns='urn:xmpp:sasl:2'><invalid-mechanism xmlns='" SASL
         "'/></failure>",
         fail_with);
    assert_string_equal(text(), "<failure xmlns='" SASL
                                "'><invalid-mechanism/></failure>");
    start();
    with("<continue xmlns='urn:xmpp:sasl:2'/>", fail_with);
    assert_string_equal(text(), "<failure xmlns='" SASL
                                "'><not-authorized/></failure>");
    terse_buf_fini(&out);
}

static void test_words_results_have_the_id(void **state) {
    (void)state;
    start();
    with("<iq type='set' id='&lt;1&gt;'/>", bind_to);
    assert_string_equal(
        text(), "<iq type='result' id='&lt;1&gt;'><bind xmlns='urn:ietf:params:"
                "xml:ns:xmpp-bind'><jid>a@b/&apos;&lt;c&gt;&apos;</jid></bind>"
                "</iq>");
    start();
    with("<iq type='set' id='s'/>", answer_to);
    assert_string_equal(text(), "<iq type='result' id='s'/>");
    terse_buf_fini(&out);
}

/* The frames that are written by hand are those that the codec reads. */
static void test_words_acknowledgements_are_frames(void **state) {
    static const uint32_t counts[] = {0, 1, 127, 128, 300, UINT32_MAX};
    struct terse_frame_info info;
    uint8_t frame[8];
    uint32_t h;
    size_t n;

    (void)state;
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        n = words_ack(frame, counts[i]);
        assert_int_equal(terse_frame_info(bridge.schema, frame, n, &info),
                         TERSE_OK);
        assert_memory_equal(info.name.p, "a", 1);
        assert_true(phone_frame_count(bridge.schema, frame, n, &h));
        assert_int_equal(h, counts[i]);
    }
    n = words_request(frame);
    assert_int_equal(terse_frame_info(bridge.schema, frame, n, &info),
                     TERSE_OK);
    assert_memory_equal(info.name.p, "r", 1);
    assert_false(phone_frame_count(bridge.schema, frame, n, &h));
}

#define t(name) cmocka_unit_test(name)

int main(void) {
    const struct CMUnitTest tests[] = {
        t(test_words_offer_of_tersed_is_known),
        t(test_words_other_offers_pass),
        t(test_words_features_without_what_is_ours),
        t(test_words_user_of_first_message),
        t(test_words_user_of_no_base64_is_none),
        t(test_words_sasl_both_ways),
        t(test_words_results_have_the_id),
        t(test_words_acknowledgements_are_frames),
    };

    return cmocka_run_group_tests_name("agent_words", tests, set_up, tear_down);
}
