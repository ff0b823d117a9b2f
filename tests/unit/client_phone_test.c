/* client_phone_test.c: a phone's session without I/O: counts, the box of
 * stanzas on their way, what is said at login and what comes of it. */
#include "client/client.h"
#include "client/phone.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define TOKEN "c2VjcmV0LXRva2VuLTAxMjM0NTY3ODk="

/* ---- counts -----------------------------------------------------------------
 */

static void test_sm_ack_waits_or_rides(void **state) {
    struct phone_sm sm;
    uint32_t h = 0;

    (void)state;
    phone_sm_begin(&sm);
    assert_false(phone_sm_due(&sm, sm.in, 0, 100, true, &h));
    phone_sm_came(&sm);
    assert_false(phone_sm_due(&sm, sm.in, 1000, 100, false, &h));
    assert_int_equal(sm.tell_by, 1100);
    phone_sm_came(&sm); /* does not wait for longer by that */
    assert_false(phone_sm_due(&sm, sm.in, 1050, 100, false, &h));
    assert_true(phone_sm_due(&sm, sm.in, 1100, 100, false, &h));
    assert_int_equal(h, 2);
    assert_int_equal(sm.tell_by, 0);
    assert_false(phone_sm_due(&sm, sm.in, 9999, 100, true, &h)); /* no news */
    phone_sm_came(&sm);
    assert_true(phone_sm_due(&sm, sm.in, 2000, 100, true, &h));
    assert_int_equal(h, 3);
}

static void test_sm_many_are_told_at_once(void **state) {
    struct phone_sm sm;
    uint32_t h = 0;

    (void)state;
    phone_sm_begin(&sm);
    for (int i = 0; i < PHONE_MANY - 1; i++)
        phone_sm_came(&sm);
    assert_false(phone_sm_due(&sm, sm.in, 1, 100, false, &h));
    phone_sm_came(&sm);
    assert_true(phone_sm_due(&sm, sm.in, 1, 100, false, &h));
    assert_int_equal(h, PHONE_MANY);
}

/* What the application has not been given is not acknowledged. */
static void test_sm_tells_only_what_is_handled(void **state) {
    struct phone_sm sm;
    uint32_t h = 0, n;

    (void)state;
    phone_sm_begin(&sm);
    for (int i = 0; i < 3; i++)
        phone_sm_came(&sm);
    assert_false(phone_sm_due(&sm, 0, 1, 1, true, &h));
    assert_true(phone_sm_due(&sm, 2, 1, 1, true, &h));
    assert_int_equal(h, 2);
    assert_int_equal(phone_sm_answer(&sm, 2), 2);
    /* A resumption told all; what is handled lags behind for a while. */
    assert_true(phone_sm_resumed(&sm, 0, &n));
    assert_false(phone_sm_due(&sm, 2, 2, 1, true, &h));
    assert_int_equal(phone_sm_answer(&sm, 2), 3);
}

static void test_sm_counts_wrap_around(void **state) {
    struct phone_sm sm;
    uint32_t n = 0, h = 0;

    (void)state;
    phone_sm_begin(&sm);
    sm.in = sm.in_told = UINT32_MAX - 1;
    sm.out = sm.out_acked = UINT32_MAX;
    for (int i = 0; i < 3; i++) {
        phone_sm_came(&sm);
        phone_sm_sent(&sm);
    }
    assert_true(phone_sm_due(&sm, sm.in, 1, 1, true, &h));
    assert_int_equal(h, 1);
    assert_true(phone_sm_acked(&sm, 1, &n));
    assert_int_equal(n, 2);
    assert_false(phone_sm_acked(&sm, 3, &n));          /* not sent */
    assert_false(phone_sm_acked(&sm, UINT32_MAX, &n)); /* taken back */
    assert_true(phone_sm_resumed(&sm, 2, &n));
    assert_int_equal(n, 1);
    assert_int_equal(sm.out, 2);
}

static void test_sm_off_counts_nothing(void **state) {
    struct phone_sm sm = {0};
    uint32_t n = 7, h;

    (void)state;
    phone_sm_came(&sm);
    phone_sm_sent(&sm);
    assert_true(phone_sm_acked(&sm, 5, &n));
    assert_int_equal(n, 0);
    assert_false(phone_sm_due(&sm, 0, 1, 0, true, &h));
    assert_false(phone_sm_resumed(&sm, 0, &n));
}

static void test_sm_held_back_only_while_nobody_looks(void **state) {
    (void)state;
    assert_int_equal(phone_held_back(false, 5000), 0);
    assert_int_equal(phone_held_back(true, 5000), 5000);
    assert_int_equal(phone_held_back(true, 0), 0);
    assert_int_equal(phone_held_back(true, UINT32_MAX), PHONE_HELD_MS);
}

/* ---- the box ----------------------------------------------------------------
 */

/* "3s 3a": number and state, as they were told. */
static char told[512];

static void note(void *arg, uint64_t number, enum phone_state state) {
    size_t n = strlen(told);

    assert_string_equal(arg, "arg");
    snprintf(told + n, sizeof(told) - n, "%s%llu%c", n ? " " : "",
             (unsigned long long)number, "qsafd"[state]);
}

static struct phone_box new_box(uint32_t stanzas, size_t bytes) {
    static char arg[] = "arg";
    struct phone_box box;

    told[0] = '\0';
    phone_box_init(&box, stanzas, bytes);
    box.changed = note;
    box.arg = arg;
    return box;
}

static void put(struct phone_box *box, const char *frame, bool again) {
    uint64_t number = 0;

    assert_int_equal(phone_box_put(box, frame, strlen(frame), again, &number),
                     TERSE_OK);
    assert_int_equal(number, box->last_number);
}

/* Sends all that waits; checks which it was: one character each. */
static void send_all(struct phone_box *box, bool kept, const char *expected) {
    const uint8_t *frame;
    size_t n;

    while ((frame = phone_box_peek(box, &n))) {
        assert_int_equal(n, 1);
        assert_int_equal(*frame, *expected++);
        phone_box_sent(box, kept);
    }
    assert_int_equal(*expected, '\0');
}

static void test_box_keeps_until_acknowledged(void **state) {
    struct phone_box box = new_box(10, 10000);

    (void)state;
    put(&box, "a", true);
    put(&box, "b", true);
    send_all(&box, true, "ab");
    put(&box, "c", true);
    assert_false(phone_box_acked(&box, 3)); /* c was not sent */
    assert_true(phone_box_acked(&box, 1));
    assert_string_equal(told, "1s 2s 1a");
    phone_box_rewind(&box);
    send_all(&box, true, "bc");
    assert_string_equal(told, "1s 2s 1a 2q 2s 3s");
    assert_true(phone_box_acked(&box, 2));
    assert_int_equal(box.bytes, 0);
    assert_int_equal(box.stanzas, 0);
    phone_box_fini(&box);
}

/* What is neither a receipt nor a chat state is told of as it comes. */
static void test_box_knows_how_late_it_may_hear(void **state) {
    struct phone_box box = new_box(10, 10000);

    (void)state;
    put(&box, "a", true);
    assert_int_equal(phone_box_held_back(&box, 5), UINT32_MAX);
    send_all(&box, true, "a");
    assert_int_equal(phone_box_held_back(&box, 5), 5);
    box.owed = 0; /* as behind receipts alone */
    assert_int_equal(phone_box_held_back(&box, 5), PHONE_HELD_MS);
    assert_int_equal(phone_box_held_back(&box, PHONE_HELD_MS + 5),
                     PHONE_HELD_MS + 5);
    put(&box, "b", true);
    send_all(&box, true, "b");
    assert_int_equal(phone_box_held_back(&box, 5), 5);
    assert_true(phone_box_acked(&box, 2));
    assert_int_equal(phone_box_held_back(&box, 5), UINT32_MAX);
    phone_box_fini(&box);
}

static void test_box_new_session_sends_again_what_may_be(void **state) {
    struct phone_box box = new_box(10, 10000);

    (void)state;
    put(&box, "a", true);
    put(&box, "b", false);
    put(&box, "c", true);
    send_all(&box, true, "abc");
    put(&box, "d", false); /* was never sent: that is no doubt */
    told[0] = '\0';
    phone_box_renew(&box);
    assert_string_equal(told, "1q 2f 3q");
    send_all(&box, true, "acd");
    assert_int_equal(box.stanzas, 3);
    assert_int_equal(box.sent, 3);
    phone_box_fail(&box);
    assert_string_equal(told, "1q 2f 3q 1s 3s 4s 1f 3f 4f");
    assert_int_equal(box.bytes, 0);
    phone_box_fini(&box);
}

static void test_box_without_acknowledgement_is_done_when_sent(void **state) {
    struct phone_box box = new_box(10, 10000);

    (void)state;
    put(&box, "a", true);
    put(&box, "b", true);
    send_all(&box, false, "ab");
    assert_string_equal(told, "1s 1d 2s 2d");
    assert_int_equal(box.stanzas, 0);
    assert_null(box.first);
    phone_box_fini(&box);
}

static void test_box_is_bounded_in_stanzas_and_bytes(void **state) {
    struct phone_box box = new_box(3, 100000);
    char large[900];
    uint64_t number = 0;

    (void)state;
    for (int i = 0; i < 3; i++)
        put(&box, "x", true);
    assert_int_equal(phone_box_put(&box, "x", 1, true, &number), TERSE_ELIMIT);
    send_all(&box, true, "xxx");
    assert_true(phone_box_full(&box, 1)); /* sent is not acknowledged */
    assert_true(phone_box_acked(&box, 1));
    put(&box, "x", true);
    phone_box_fini(&box);

    memset(large, 'l', sizeof(large));
    box = new_box(100, 2000);
    assert_int_equal(phone_box_put(&box, large, 900, true, NULL), TERSE_OK);
    assert_int_equal(phone_box_put(&box, large, 900, true, NULL), TERSE_OK);
    assert_int_equal(phone_box_put(&box, large, 200, true, NULL), TERSE_ELIMIT);
    assert_true(box.bytes <= 2000);
    assert_int_equal(box.last_number, 2); /* no number is skipped */
    phone_box_fini(&box);
    assert_int_equal(box.bytes, 0);
}

static void test_box_walks_and_restores(void **state) {
    struct phone_box box = new_box(10, 10000), other = new_box(10, 10000);
    const struct phone_item *item = NULL;

    (void)state;
    put(&box, "a", true);
    put(&box, "b", false);
    phone_box_sent(&box, true);
    while ((item = phone_box_walk(&box, item))) {
        struct phone_view v = phone_item_view(item);

        assert_int_equal(v.sent, v.number == 1);
        assert_int_equal(v.again, v.number == 1);
        assert_int_equal(
            phone_box_restore(&other, v.frame, v.n, v.again, v.number + 7),
            TERSE_OK);
    }
    put(&other, "c", true);
    assert_int_equal(other.last_number, 10);
    send_all(&other, true, "abc");
    phone_box_fini(&box);
    phone_box_fini(&other);
}

/* ---- login ------------------------------------------------------------------
 */

static struct client_codec codec;

static int setup(void **state) {
    (void)state;
    codec.limits = terse_limits_default;
    return terse_schema_new(&codec.schema) != TERSE_OK;
}

static int teardown(void **state) {
    (void)state;
    terse_schema_free(codec.schema);
    return 0;
}

/* Reads one element. */
static void with(const char *xml, client_node_cb cb, void *arg) {
    struct terse_error error;
    struct terse_buf frame;

    terse_buf_init(&frame, codec.limits.frame_bytes);
    assert_int_equal(
        client_xml_encode(&codec, xml, strlen(xml), &frame, &error),
        TERSE_CLIENT_OK);
    assert_int_equal(
        client_xml_visit(&codec, terse_buf_data(&frame), frame.len, cb, arg),
        TERSE_CLIENT_OK);
    terse_buf_fini(&frame);
}

static void test_authenticate_says_what_is_asked(void **state) {
    struct phone_ask ask = {.mechanism = "SCRAM-SHA-256",
                            .initial = "biws",
                            .agent = "d4565fa7",
                            .bind = true,
                            .tag = "a<b>&'c'",
                            .carbons = true,
                            .sm = true,
                            .inactive = true,
                            .resume = "~2~id'",
                            .h = UINT32_MAX,
                            .wants_token = true};
    struct terse_buf xml;

    (void)state;
    terse_buf_init(&xml, 4096);
    assert_int_equal(phone_authenticate(&xml, &ask), TERSE_OK);
    assert_int_equal(terse_buf_append(&xml, "", 1), TERSE_OK);
    assert_string_equal(
        (const char *)terse_buf_data(&xml),
        "<authenticate xmlns='urn:xmpp:sasl:2' mechanism='SCRAM-SHA-256'>"
        "<initial-response>biws</initial-response>"
        "<user-agent id='d4565fa7'/>"
        "<bind xmlns='urn:xmpp:bind:0'><tag>a&lt;b&gt;&amp;&apos;c&apos;</tag>"
        "<inactive xmlns='urn:xmpp:csi:0'/>"
        "<enable xmlns='urn:xmpp:carbons:2'/>"
        "<enable xmlns='urn:xmpp:sm:3' resume='true'/></bind>"
        "<resume xmlns='urn:xmpp:sm:3' h='4294967295' previd='~2~id&apos;'/>"
        "<request-token xmlns='urn:xmpp:fast:0' mechanism='HT-SHA-256-NONE'/>"
        "</authenticate>");
    terse_buf_fini(&xml);
    ask = (struct phone_ask){.mechanism = PHONE_HT, .fast = true};
    terse_buf_init(&xml, 4096);
    assert_int_equal(phone_authenticate(&xml, &ask), TERSE_OK);
    assert_int_equal(terse_buf_append(&xml, "", 1), TERSE_OK);
    assert_string_equal(
        (const char *)terse_buf_data(&xml),
        "<authenticate xmlns='urn:xmpp:sasl:2' mechanism='HT-SHA-256-NONE'>"
        "<fast xmlns='urn:xmpp:fast:0'/></authenticate>");
    terse_buf_fini(&xml);
    terse_buf_init(&xml, 20);
    assert_int_equal(phone_authenticate(&xml, &ask), TERSE_ELIMIT);
    terse_buf_fini(&xml);
}

struct reading {
    struct phone_success success;
    bool good;
};

static void read_success(void *arg, struct terse_node *node) {
    struct reading *r = arg;

    r->good = phone_read_success(node, &r->success);
}

static struct reading success(const char *inner) {
    struct reading r;
    char xml[1024];

    snprintf(xml, sizeof(xml), "<success xmlns='urn:xmpp:sasl:2'>%s</success>",
             inner);
    with(xml, read_success, &r);
    return r;
}

static void test_success_of_a_new_session(void **state) {
    struct reading r = success(
        "<additional-data>dj1hYmM=</additional-data>"
        "<authorization-identifier>a@b/phone.12</authorization-identifier>"
        "<failed xmlns='urn:xmpp:sm:3' h='7'><item-not-found "
        "xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>"
        "<bound xmlns='urn:xmpp:bind:0'><enabled xmlns='urn:xmpp:sm:3' "
        "id='~1~x' resume='true'/></bound>"
        "<token xmlns='urn:xmpp:fast:0' token='t' "
        "expiry='2030-01-01T00:00:00Z'/>");

    (void)state;
    assert_true(r.good);
    assert_string_equal(r.success.data, "dj1hYmM=");
    assert_string_equal(r.success.jid, "a@b/phone.12");
    assert_true(r.success.bound && r.success.enabled);
    assert_false(r.success.resumed);
    assert_true(r.success.resume_failed && r.success.failed_h);
    assert_int_equal(r.success.h, 7);
    assert_string_equal(r.success.id, "~1~x");
    assert_string_equal(r.success.token, "t");
}

static void test_success_of_one_that_goes_on(void **state) {
    struct reading r =
        success("<resumed xmlns='urn:xmpp:sm:3' h='4294967295' previd='x'/>");

    (void)state;
    assert_true(r.good && r.success.resumed);
    assert_int_equal(r.success.h, UINT32_MAX);
    assert_false(r.success.bound || r.success.has_data || r.success.token[0]);
    /* Not to be resumed. */
    r = success("<bound xmlns='urn:xmpp:bind:0'><enabled "
                "xmlns='urn:xmpp:sm:3' id='x'/></bound>");
    assert_true(r.good && r.success.enabled);
    assert_string_equal(r.success.id, "");
}

static void test_success_that_makes_no_sense(void **state) {
    (void)state;
    assert_false(success("<resumed xmlns='urn:xmpp:sm:3' previd='x'/>").good);
    assert_false(
        success("<resumed xmlns='urn:xmpp:sm:3' h='-1' previd='x'/>").good);
    assert_false(
        success("<resumed xmlns='urn:xmpp:sm:3' h='4294967296' previd='x'/>")
            .good);
    assert_false(success("<resumed xmlns='urn:xmpp:sm:3' h='1' previd='x'/>"
                         "<bound xmlns='urn:xmpp:bind:0'/>")
                     .good);
}

#define ENABLED(more)                                                          \
    "<bound xmlns='urn:xmpp:bind:0'><enabled xmlns='urn:xmpp:sm:3' id='x' "    \
    "location='" more "'/></bound>"

/* It is read where there is something to come back to; what is too long, or
 * cannot be, is no reason to refuse the login. */
static void test_success_that_says_where(void **state) {
    char name[PHONE_LOCATION + 1], xml[sizeof(name) + 256];
    struct reading r;

    (void)state;
    r = success(ENABLED("a.example:5351' resume='1"));
    assert_true(r.good);
    assert_string_equal(r.success.location, "a.example:5351");
    r = success(ENABLED("a.example:5351"));
    assert_true(r.good);
    assert_string_equal(r.success.location, "");
    r = success("<resumed xmlns='urn:xmpp:sm:3' h='1' previd='x' "
                "location='b.example'/>");
    assert_true(r.good);
    assert_string_equal(r.success.location, "b.example");
    for (size_t n = PHONE_LOCATION - 1; n <= PHONE_LOCATION; n++) {
        memset(name, 'a', n);
        name[n] = '\0';
        snprintf(xml, sizeof(xml), ENABLED("%s' resume='true"), name);
        r = success(xml);
        assert_true(r.good && r.success.enabled);
        assert_string_equal(r.success.location, n < PHONE_LOCATION ? name : "");
    }
}

static void test_location_is_a_name_and_a_port(void **state) {
    static const struct {
        const char *text, *host; /* NULL: it is none */
        uint16_t port;
    } rows[] = {
        {"a.example:5351", "a.example", 5351},
        {"a.example", "a.example", 7},
        {"192.0.2.1:1", "192.0.2.1", 1},
        {"[2001:db8::1]:65535", "2001:db8::1", 65535},
        {"[2001:db8::1]", "2001:db8::1", 7},
        {"", NULL, 0},
        {":5351", NULL, 0},
        {"a.example:0", NULL, 0},
        {"a.example:65536", NULL, 0},
        {"a.example:+1", NULL, 0},
        {"a.example:", NULL, 0},
        {"a.example:1:2", NULL, 0},
        {"2001:db8::1", NULL, 0},
        {"[2001:db8::1", NULL, 0},
        {"[fe80::1%eth0]:1", NULL, 0}, /* whose interface? */
        {"*:1", NULL, 0},
        {"a b:1", NULL, 0},
        {"a/b:1", NULL, 0},
        {"user@a:1", NULL, 0},
        {"a.example:1\n", NULL, 0},
        {"b\xc3\xbc"
         "cher.example:1",
         NULL, 0},
    };
    char host[256], name[300];
    uint16_t port;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        bool good = phone_location(rows[i].text, 7, host, &port);

        assert_int_equal(good, rows[i].host != NULL);
        if (good)
            assert_string_equal(host, rows[i].host);
        if (good)
            assert_int_equal(port, rows[i].port);
    }
    memset(name, 'a', sizeof(name));
    name[255] = '\0';
    assert_true(phone_location(name, 7, host, &port));
    name[255] = 'a';
    name[256] = '\0';
    assert_false(phone_location(name, 7, host, &port));
}

static void read_features(void *arg, struct terse_node *node) {
    struct phone_offer *offer = arg;

    phone_read_features(node, offer);
    assert_int_equal(phone_offers(node, "SCRAM-SHA-1"), offer->sasl2);
    assert_false(phone_offers(node, "PLAIN"));
}

static void test_features_are_read(void **state) {
    struct phone_offer offer;

    (void)state;
    with("<stream:features><mechanisms "
         "xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>PLAIN</mechanism>"
         "</mechanisms></stream:features>",
         read_features, &offer);
    assert_false(offer.sasl2 || offer.empty);
    with("<stream:features/>", read_features, &offer);
    assert_true(offer.empty);
    with("<stream:features><authentication xmlns='urn:xmpp:sasl:2'>"
         "<mechanism>SCRAM-SHA-1</mechanism><inline>"
         "<bind xmlns='urn:xmpp:bind:0'/><sm xmlns='urn:xmpp:sm:3'/>"
         "<fast xmlns='urn:xmpp:fast:0'><mechanism>X</mechanism>"
         "<mechanism>HT-SHA-256-NONE</mechanism></fast>"
         "</inline></authentication></stream:features>",
         read_features, &offer);
    assert_true(offer.sasl2 && offer.bind2 && offer.sm && offer.fast);
}

/* ---- tokens and trying again
 * --------------------------------------------------- */

/* By Python's hmac. */
static void test_token_is_proved_both_ways(void **state) {
    char out[PHONE_HT_SIZE], user[PHONE_HT_SIZE];

    (void)state;
    assert_true(phone_ht_initial(TOKEN, "romeo", out));
    assert_string_equal(out,
                        "cm9tZW8AtDOm0QjWCVRxKhnO76cAp6fJ6lv/Q3w8ps0bfsXckdQ=");
    assert_true(
        phone_ht_proves(TOKEN, "oqL+Anhoj+titz7okVNcvIGTAKAtopc0d++xigDGhn8="));
    assert_false(phone_ht_proves(
        "another", "oqL+Anhoj+titz7okVNcvIGTAKAtopc0d++xigDGhn8="));
    assert_false(phone_ht_proves(TOKEN, ""));
    memset(user, 'u', sizeof(user) - 1);
    user[sizeof(user) - 1] = '\0';
    assert_false(phone_ht_initial(TOKEN, user, out));
}

static void test_backoff_doubles_to_its_bound(void **state) {
    (void)state;
    assert_int_equal(phone_backoff(0, 1000, 60000, UINT32_MAX), 1000);
    assert_int_equal(phone_backoff(3, 1000, 60000, UINT32_MAX), 8000);
    assert_int_equal(phone_backoff(3, 1000, 60000, UINT32_MAX / 2), 4000);
    assert_int_equal(phone_backoff(6, 1000, 60000, UINT32_MAX), 60000);
    assert_int_equal(phone_backoff(UINT32_MAX, 1000, UINT32_MAX, UINT32_MAX),
                     UINT32_MAX);
    assert_int_equal(phone_backoff(4, 1000, 60000, 0), 0);
    assert_int_equal(phone_backoff(UINT32_MAX, 0, 60000, UINT32_MAX), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sm_ack_waits_or_rides),
        cmocka_unit_test(test_sm_many_are_told_at_once),
        cmocka_unit_test(test_sm_tells_only_what_is_handled),
        cmocka_unit_test(test_sm_counts_wrap_around),
        cmocka_unit_test(test_sm_off_counts_nothing),
        cmocka_unit_test(test_sm_held_back_only_while_nobody_looks),
        cmocka_unit_test(test_box_keeps_until_acknowledged),
        cmocka_unit_test(test_box_knows_how_late_it_may_hear),
        cmocka_unit_test(test_box_new_session_sends_again_what_may_be),
        cmocka_unit_test(test_box_without_acknowledgement_is_done_when_sent),
        cmocka_unit_test(test_box_is_bounded_in_stanzas_and_bytes),
        cmocka_unit_test(test_box_walks_and_restores),
        cmocka_unit_test(test_authenticate_says_what_is_asked),
        cmocka_unit_test(test_success_of_a_new_session),
        cmocka_unit_test(test_success_of_one_that_goes_on),
        cmocka_unit_test(test_success_that_makes_no_sense),
        cmocka_unit_test(test_success_that_says_where),
        cmocka_unit_test(test_location_is_a_name_and_a_port),
        cmocka_unit_test(test_features_are_read),
        cmocka_unit_test(test_token_is_proved_both_ways),
        cmocka_unit_test(test_backoff_doubles_to_its_bound),
    };

    return cmocka_run_group_tests_name("client_phone", tests, setup, teardown);
}
