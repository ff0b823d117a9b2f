/* proxy_mobile_test.c: what phones log in and come back with: XEP-0388 and
 * what goes along, tokens, and the list of sessions that are held. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <cmocka.h>

#include "proxy/held.h"
#include "proxy/sasl2.h"
#include "proxy/token.h"

/* ---- <authenticate/> --------------------------------------------------------
 */

static struct sasl2 sasl;
static const char *condition;
static bool good;

static enum terse_err on_event(void *arg, enum terse_event event,
                               struct terse_node *node) {
    (void)arg;
    if (event == TERSE_ELEMENT)
        good = sasl2_read(node, &sasl, &condition);
    return TERSE_OK;
}

static bool read_xml(const char *xml) {
    static const char header[] =
        "<stream:stream xmlns='jabber:client' "
        "xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>";
    struct terse_schema *schema;
    struct terse_reader *reader;

    good = false;
    assert_int_equal(terse_schema_new(&schema), TERSE_OK);
    assert_int_equal(terse_reader_new(&reader, schema, &terse_limits_default,
                                      on_event, NULL),
                     TERSE_OK);
    assert_int_equal(terse_reader_feed(reader, header, strlen(header)),
                     TERSE_OK);
    assert_int_equal(terse_reader_feed(reader, xml, strlen(xml)), TERSE_OK);
    terse_reader_free(reader);
    terse_schema_free(schema);
    return good;
}

static void test_sasl2_reads_all_that_may_go_along(void **state) {
    (void)state;
    assert_true(read_xml(
        "<authenticate xmlns='urn:xmpp:sasl:2' mechanism='SCRAM-SHA-1'>"
        "<initial-response>biwsbj11c2VyLHI9YWJj</initial-response>"
        "<user-agent id='d4565fa7'><software>x</software></user-agent>"
        "<bind xmlns='urn:xmpp:bind:0'><tag>phone</tag>"
        "<enable xmlns='urn:xmpp:carbons:2'/>"
        "<enable xmlns='urn:xmpp:sm:3' resume='1'/>"
        "<inactive xmlns='urn:xmpp:csi:0'/></bind>"
        "<resume xmlns='urn:xmpp:sm:3' previd='p&amp;q' h='4294967295'/>"
        "<request-token xmlns='urn:xmpp:fast:0' "
        "mechanism='HT-SHA-256-NONE'/></authenticate>"));
    assert_string_equal(sasl.mechanism, "SCRAM-SHA-1");
    assert_true(sasl.has_user);
    assert_string_equal(sasl.user, "user");
    assert_string_equal(sasl.agent, "d4565fa7");
    assert_string_equal(sasl.tag, "phone");
    assert_true(sasl.bind && sasl.carbons && sasl.enable && sasl.may_resume);
    assert_true(sasl.inactive && sasl.resume && sasl.wants_token);
    assert_string_equal(sasl.previd, "p&q");
    assert_int_equal(sasl.h, UINT32_MAX);
    assert_false(sasl.fast || sasl.invalidate);
}

static void test_sasl2_refuses_what_is_malformed(void **state) {
    static const char *const bad[] = {
        "<authenticate xmlns='urn:xmpp:sasl:2'/>",
        "<authenticate xmlns='urn:xmpp:sasl:2' mechanism='X'>"
        "<resume xmlns='urn:xmpp:sm:3' previd='p'/></authenticate>",
        "<authenticate xmlns='urn:xmpp:sasl:2' mechanism='X'>"
        "<resume xmlns='urn:xmpp:sm:3' previd='p' h='4294967296'/>"
        "</authenticate>",
        "<authenticate xmlns='urn:xmpp:sasl:2' mechanism='X'>"
        "<resume xmlns='urn:xmpp:sm:3' previd='' h='1'/></authenticate>",
        "<authenticate xmlns='urn:xmpp:sasl:2' mechanism='X'>"
        "<initial-response><x/></initial-response></authenticate>",
        "<authenticate xmlns='urn:xmpp:sasl:2' mechanism='X'><bind "
        "xmlns='urn:xmpp:bind:0'><tag>"
        "0123456789012345678901234567890123456789012345678901234567890123456"
        "</tag></bind></authenticate>",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(read_xml(bad[i]));
}

/* ---- users ------------------------------------------------------------------
 */

static const char *base64(const char *p, size_t n) {
    static char out[2048];

    EVP_EncodeBlock((unsigned char *)out, (const unsigned char *)p, (int)n);
    return out;
}

#define B(text) base64(text, sizeof(text) - 1)

static void test_sasl2_user_is_whom_the_mechanism_names(void **state) {
    char user[SASL2_NAME];

    (void)state;
    assert_true(bridge_sasl_user("PLAIN", B("\0julia\0secret"), user));
    assert_string_equal(user, "julia");
    assert_true(
        bridge_sasl_user("SCRAM-SHA-256", B("n,,n=a=2Cb=3Dc,r=x"), user));
    assert_string_equal(user, "a,b=c");
    assert_true(bridge_sasl_user("SCRAM-SHA-512", B("y,,n=julia,r=x"), user));
    assert_string_equal(user, "julia");
}

/* Another identity, or anything that a server might read in another way. */
static void test_sasl2_user_is_nobody_when_in_doubt(void **state) {
    char user[SASL2_NAME], twice[64];

    (void)state;
    assert_false(bridge_sasl_user("PLAIN", B("other\0julia\0secret"), user));
    assert_false(bridge_sasl_user("PLAIN", B("\0julia"), user));
    assert_false(bridge_sasl_user("PLAIN", B("\0\0secret"), user));
    assert_false(
        bridge_sasl_user("SCRAM-SHA-1", B("n,a=other,n=julia,r=x"), user));
    assert_false(bridge_sasl_user("SCRAM-SHA-1", B("p=x,,n=julia,r=x"), user));
    assert_false(
        bridge_sasl_user("SCRAM-SHA-1", B("n,,m=x,n=julia,r=x"), user));
    assert_false(bridge_sasl_user("SCRAM-SHA-1", B("n,,n=ju=lia,r=x"), user));
    assert_false(bridge_sasl_user("SCRAM-SHA-1", B("n,,n=julia"), user));
    assert_false(bridge_sasl_user("SCRAM-SHA-1", B("n,,n=,r=x"), user));
    assert_false(bridge_sasl_user("EXTERNAL", B("julia"), user));
    assert_false(bridge_sasl_user("PLAIN", "", user));
    assert_false(bridge_sasl_user("PLAIN", "AGp1=GlhAHNl", user));
    assert_false(bridge_sasl_user("PLAIN", "AGp1bGlhAHNl\n", user));
    snprintf(twice, sizeof(twice), "%.20s", B("\0a\0b\0c\0d\0e\0f\0g"));
    assert_true(bridge_sasl_user("PLAIN", twice, user));
    assert_string_equal(user, "a");
}

static void test_sasl2_id_carries_what_only_the_client_counted(void **state) {
    static const struct {
        const char *id, *shown;
        uint32_t skew;
    } cases[] = {
        {"abc", "abc", 0},
        {"abc", "~2~abc", 2},
        {"~2~abc", "~0~~2~abc", 0}, /* a server's own id may look like ours */
        {"~x", "~4294967295~~x", UINT32_MAX},
    };
    char id[SASL2_ID];

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        sasl2_id_write(id, cases[i].id, cases[i].skew);
        assert_string_equal(id, cases[i].shown);
        assert_int_equal(sasl2_id_read(id), cases[i].skew);
        assert_string_equal(id, cases[i].id);
    }
    snprintf(id, sizeof(id), "~12");
    assert_int_equal(sasl2_id_read(id), 0);
    assert_string_equal(id, "~12");
}

static void test_sasl2_resource_is_the_devices(void **state) {
    static struct sasl2 a, b, c, d;
    char first[128], again[128], other[128];

    (void)state;
    strcpy(a.agent, "one");
    strcpy(b.agent, "two");
    sasl2_resource(&a, first);
    sasl2_resource(&a, again);
    sasl2_resource(&b, other);
    assert_string_equal(first, again);
    assert_string_not_equal(first, other);
    sasl2_resource(&c, first);
    sasl2_resource(&d, again);
    assert_string_not_equal(first, again);
}

static void test_sasl2_print_escapes(void **state) {
    struct terse_buf out;

    (void)state;
    terse_buf_init(&out, 100);
    assert_int_equal(
        sasl2_print(&out, "<a b='%s' c='%u'>%S", "<&'>\"", 7u, "<d/>"),
        TERSE_OK);
    assert_int_equal(terse_buf_append(&out, "", 1), TERSE_OK);
    assert_string_equal((const char *)terse_buf_data(&out),
                        "<a b='&lt;&amp;&apos;&gt;\"' c='7'><d/>");
    terse_buf_fini(&out);
}

/* ---- tokens -----------------------------------------------------------------
 */

static void prove(const char *text, const char *who, uint8_t out[32]) {
    assert_non_null(HMAC(EVP_sha256(), text, (int)strlen(text),
                         (const uint8_t *)who, strlen(who), out, NULL));
}

static void test_token_is_for_one_user_on_one_device_for_a_time(void **state) {
    struct token token = {0};
    char text[TOKEN_TEXT];
    uint8_t proof[32], answer[32];

    (void)state;
    assert_true(token_make(&token, text, "julia", "phone", 100));
    assert_int_equal(strlen(text), TOKEN_TEXT - 1);
    prove(text, "Initiator", proof);
    prove(text, "Responder", answer);
    assert_memory_equal(answer, token.answer, 32);
    assert_true(token_check(&token, "julia", "phone", proof, 99));
    assert_false(token_check(&token, "julia", "phone", proof, 100));
    assert_false(token_check(&token, "romeo", "phone", proof, 99));
    assert_false(token_check(&token, "julia", "tablet", proof, 99));
    assert_false(token_check(&token, "julia", "phone", answer, 99));
    assert_false(token_check(&token, "julia", "phone", token.proof, 99));
    token_forget(&token);
    assert_false(token_check(&token, "julia", "phone", proof, 99));
}

/* Neither the token nor what its owner says is in what is kept. */
static void test_token_is_not_kept(void **state) {
    struct token token = {0}, other = {0};
    char text[TOKEN_TEXT], second[TOKEN_TEXT];
    const uint8_t *p = (const uint8_t *)&token;
    uint8_t proof[32];

    (void)state;
    assert_true(token_make(&token, text, "julia", "phone", 100));
    assert_true(token_make(&other, second, "julia", "phone", 100));
    assert_string_not_equal(text, second);
    prove(text, "Initiator", proof);
    for (size_t i = 0; i + 16 <= sizeof(token); i++) {
        assert_memory_not_equal(p + i, text, 16);
        assert_memory_not_equal(p + i, proof, 16);
    }
    prove(second, "Initiator", proof);
    assert_false(token_check(&token, "julia", "phone", proof, 1));
}

static void test_sasl2_proof_is_user_and_32_bytes(void **state) {
    char data[64] = "julia", user[SASL2_NAME];
    uint8_t proof[32];

    (void)state;
    memset(data + 6, 'x', 33);
    assert_true(sasl2_proof(base64(data, 38), user, proof));
    assert_string_equal(user, "julia");
    assert_memory_equal(proof, data + 6, 32);
    assert_false(sasl2_proof(base64(data, 37), user, proof));
    assert_false(sasl2_proof(base64(data, 39), user, proof));
    assert_false(sasl2_proof(base64(data + 5, 33), user, proof));
    assert_false(sasl2_proof("", user, proof));
}

/* ---- the list ---------------------------------------------------------------
 */

static unsigned freed;

static void owner_fini(struct net_owner *owner) {
    net_owner_fini(owner);
    freed++;
}

static void test_held_finds_the_latest_of_many(void **state) {
    enum { MANY = 500 };
    static struct net_owner owners[MANY], newer;
    static char ids[MANY][16];
    struct held *held = held_new();
    struct net_owner *found;

    (void)state;
    freed = 0;
    assert_non_null(held);
    assert_int_equal(net_owner_init(&newer, owner_fini), NET_OK);
    for (int i = 0; i < MANY; i++) {
        snprintf(ids[i], sizeof(ids[i]), "id-%d", i);
        assert_int_equal(net_owner_init(&owners[i], owner_fini), NET_OK);
        assert_true(held_put(held, ids[i], &owners[i]));
    }
    assert_null(held_find(held, "id-500"));
    for (int i = 0; i < MANY; i++) {
        found = held_find(held, ids[i]);
        assert_ptr_equal(found, &owners[i]);
        net_owner_rele(found);
    }
    /* One that goes on elsewhere: the older one's end is not its end. */
    assert_true(held_put(held, "id-7", &newer));
    held_drop(held, "id-7", &owners[7]);
    found = held_find(held, "id-7");
    assert_ptr_equal(found, &newer);
    net_owner_rele(found);
    held_drop(held, "id-7", &newer);
    assert_null(held_find(held, "id-7"));
    /* One that is being freed is not found. */
    net_owner_rele(&owners[8]);
    assert_int_equal(freed, 1);
    held_drop(held, ids[8], &owners[8]);
    for (int i = 0; i < MANY; i++) {
        held_drop(held, ids[i], &owners[i]);
        if (i != 8)
            net_owner_rele(&owners[i]);
    }
    net_owner_rele(&newer);
    assert_int_equal(freed, MANY + 1);
    held_free(held);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sasl2_reads_all_that_may_go_along),
        cmocka_unit_test(test_sasl2_refuses_what_is_malformed),
        cmocka_unit_test(test_sasl2_user_is_whom_the_mechanism_names),
        cmocka_unit_test(test_sasl2_user_is_nobody_when_in_doubt),
        cmocka_unit_test(test_sasl2_id_carries_what_only_the_client_counted),
        cmocka_unit_test(test_sasl2_resource_is_the_devices),
        cmocka_unit_test(test_sasl2_print_escapes),
        cmocka_unit_test(test_token_is_for_one_user_on_one_device_for_a_time),
        cmocka_unit_test(test_token_is_not_kept),
        cmocka_unit_test(test_sasl2_proof_is_user_and_32_bytes),
        cmocka_unit_test(test_held_finds_the_latest_of_many),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
