/* A session that outlives its connections, against a server that follows a
 * script: what real servers do not do, or not when it is wanted. */
#include "tests/unit/client_fake.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { WAIT = 8000 };

#define HELLO "<message from='a@b'><body>hello</body></message>"

/* What a script and its test tell each other, beside the wire. */
static atomic_int stage;

static void await_stage(int n) {
    for (int i = 0; i < 2000 && atomic_load(&stage) < n; i++)
        fake_sleep(5);
}

static struct terse_client *begin(struct fake *fake,
                                  void (*script)(struct fake *fake)) {
    struct terse_client_options options;
    struct terse_client *client;

    atomic_store(&stage, 0);
    fake_start(fake, script, NULL);
    options = fake_options(fake);
    assert_int_equal(terse_client_new(&client, &options), TERSE_CLIENT_OK);
    assert_int_equal(terse_client_connect(client), TERSE_CLIENT_OK);
    return client;
}

static void end(struct fake *fake, struct terse_client *client) {
    terse_client_free(client);
    fake_stop(fake);
}

static enum terse_client_delivery await_delivery(struct terse_client *client,
                                                 uint64_t number) {
    enum terse_client_delivery delivery = TERSE_CLIENT_QUEUED;

    for (int i = 0; i < 1000 && delivery <= TERSE_CLIENT_SENT; i++) {
        assert_int_equal(terse_client_delivery_of(client, number, &delivery),
                         TERSE_CLIENT_OK);
        fake_sleep(5);
    }
    return delivery;
}

static uint64_t post(struct terse_client *client, const char *body,
                     enum terse_client_resend resend) {
    uint64_t number = 0;
    char xml[200];

    snprintf(xml, sizeof(xml),
             "<message to='a@b' id='%s'><body>%s</body></message>", body, body);
    assert_int_equal(
        terse_client_post_xml(client, xml, SIZE_MAX, resend, -1, &number, NULL),
        TERSE_CLIENT_OK);
    return number;
}

static void hear(struct terse_client *client, const char *body) {
    struct terse_stanza *stanza;

    assert_int_equal(terse_client_recv(client, WAIT, &stanza), TERSE_CLIENT_OK);
    assert_string_equal(terse_stanza_typed(stanza)->message->body, body);
    terse_stanza_free(stanza);
}

#define CONFLICT                                                               \
    "<stream:error><conflict xmlns='" CLIENT_NS_STREAMS "'/></stream:error>"

/* ---- it goes on
 * ---------------------------------------------------------------
 */

static void lose_and_resume(struct fake *fake) {
    fake_login2(fake, FAKE_BOUND_TOKEN);
    fake_send(fake, HELLO);
    fake_expect(fake, "one");
    fake_expect(fake, "two");
    fake_expect(fake, "<ping");
    fake_again(fake);
    fake_expect_return(fake, "1");
    fake_success2(fake, FAKE_ANSWER, FAKE_RESUMED("1"));
    fake_expect(fake, ">two<");
    fake_expect(fake, "<ping");
    fake_answer(fake, "<iq type='result' id='%s'/>");
    fake_send(fake, "<a xmlns='" PHONE_NS_SM "' h='3'/>");
    fake_expect_eof(fake);
}

static void answered(void *arg, struct terse_client *client,
                     enum terse_client_err err, struct terse_stanza *answer) {
    int *code = arg;

    (void)client;
    (void)answer;
    *code = (int)err;
}

/* What the server has is not sent again, the rest is, and a request is
 * answered as if nothing had been. */
static void test_session_goes_on(void **state) {
    struct fake fake;
    struct terse_client *client = begin(&fake, lose_and_resume);
    struct terse_client_status status;
    struct terse_stanza *stanza;
    uint64_t one, two;
    int code = -1;

    (void)state;
    one = post(client, "one", TERSE_CLIENT_RESEND_DEFAULT);
    two = post(client, "two", TERSE_CLIENT_RESEND_NO);
    assert_int_equal(terse_client_iq_xml_async(client, "get", NULL,
                                               "<ping xmlns='urn:xmpp:ping'/>",
                                               WAIT, answered, &code),
                     TERSE_CLIENT_OK);
    status = fake_await_ready(client, 2);
    assert_int_equal(status.resumptions, 1);
    assert_int_equal(status.round_trips, 1);
    assert_true(terse_client_resumed(client));
    assert_int_equal(await_delivery(client, one), TERSE_CLIENT_ACKED);
    assert_int_equal(await_delivery(client, two), TERSE_CLIENT_ACKED);
    hear(client, "hello");
    assert_int_equal(terse_client_recv(client, 100, &stanza),
                     TERSE_CLIENT_ETIMEOUT);
    assert_int_equal(code, TERSE_CLIENT_OK);
    end(&fake, client);
}

static void lose_and_begin(struct fake *fake) {
    fake_login2(fake, FAKE_BOUND);
    fake_expect(fake, "keep");
    fake_expect(fake, "drop");
    fake_expect(fake, "<ping");
    fake_again(fake);
    fake_login2(fake, "<failed xmlns='" PHONE_NS_SM "'><item-not-found "
                      "xmlns='" CLIENT_NS_STANZAS "'/></failed>" FAKE_BOUND);
    fake_expect(fake, ">keep<");
    fake_expect(fake, ">last<");
    fake_send(fake, "<a xmlns='" PHONE_NS_SM "' h='2'/>");
    fake_expect_eof(fake);
}

static void test_new_session_sends_again_what_it_may(void **state) {
    struct fake fake;
    struct terse_client *client = begin(&fake, lose_and_begin);
    uint64_t keep = post(client, "keep", TERSE_CLIENT_RESEND_DEFAULT);
    uint64_t drop = post(client, "drop", TERSE_CLIENT_RESEND_NO);
    struct terse_stanza *answer;

    (void)state;
    assert_int_equal(terse_client_iq_xml(client, "get", NULL,
                                         "<ping xmlns='urn:xmpp:ping'/>", WAIT,
                                         &answer),
                     TERSE_CLIENT_ELOST);
    assert_int_equal(fake_await_ready(client, 2).sessions, 2);
    assert_false(terse_client_resumed(client));
    assert_int_equal(await_delivery(client, drop), TERSE_CLIENT_FAILED);
    post(client, "last", TERSE_CLIENT_RESEND_NO);
    assert_int_equal(await_delivery(client, keep), TERSE_CLIENT_ACKED);
    end(&fake, client);
}

/* The login that is dropped gets to the server after the next one, and takes
 * the session from it; then somebody else does. */
static void conflicts(struct fake *fake) {
    fake_login2(fake, FAKE_BOUND);
    fake_again(fake);
    fake_expect(fake, "<open");
    fake_expect(fake, "previd='one'");
    fake_again(fake);
    fake_login2(fake, FAKE_RESUMED("0"));
    fake_send(fake, CONFLICT);
    fake_again(fake);
    fake_login2(fake, FAKE_RESUMED("0"));
    fake_send(fake, CONFLICT);
    fake_expect(fake, "<close");
}

static void test_conflict_with_a_login_of_our_own(void **state) {
    struct fake fake;
    struct terse_client *client = begin(&fake, conflicts);
    struct terse_client_error why;
    struct terse_client_status status;
    struct terse_stanza *stanza;

    (void)state;
    assert_int_equal(terse_client_recv(client, WAIT, &stanza),
                     TERSE_CLIENT_ESTREAM);
    terse_client_why(client, &why);
    assert_string_equal(why.condition, "conflict");
    terse_client_status(client, &status);
    assert_int_equal(status.sessions, 1);
    assert_int_equal(status.resumptions, 2);
    end(&fake, client);
}

/* tersed still has a session that the server has moved, and says so when it is
 * gone on with. */
static void stale(struct fake *fake) {
    fake_login2(fake, FAKE_BOUND_TOKEN);
    fake_again(fake);
    fake_expect_return(fake, "0");
    fake_send(fake, CONFLICT);
    fake_again(fake);
    fake_login2(fake, FAKE_RESUMED("0"));
    fake_send(fake, HELLO);
    fake_expect_eof(fake);
}

static void test_session_that_was_moved_is_found(void **state) {
    struct fake fake;
    struct terse_client *client = begin(&fake, stale);

    (void)state;
    fake_await_ready(client, 2);
    assert_true(terse_client_resumed(client));
    hear(client, "hello");
    end(&fake, client);
}

static void no_counting(struct fake *fake) {
    fake_login2(fake, "<bound xmlns='" PHONE_NS_BIND2
                      "'><failed xmlns='" PHONE_NS_SM "'/></bound>");
    fake_expect(fake, "one");
    fake_again(fake);
    fake_login2(fake, "<bound xmlns='" PHONE_NS_BIND2 "'/>");
    fake_expect(fake, ">two<");
    fake_expect_eof(fake);
}

static void test_server_that_does_not_count(void **state) {
    struct fake fake;
    struct terse_client *client = begin(&fake, no_counting);
    uint64_t one = post(client, "one", TERSE_CLIENT_RESEND_YES);

    (void)state;
    assert_int_equal(await_delivery(client, one), TERSE_CLIENT_UNACKED);
    fake_await_ready(client, 2);
    assert_false(terse_client_resumed(client));
    post(client, "two", TERSE_CLIENT_RESEND_YES);
    end(&fake, client);
}

/* ---- what cannot be trusted
 * --------------------------------------------------------- */

static void resume_too_much(struct fake *fake) {
    fake_login2(fake, FAKE_BOUND_TOKEN);
    fake_expect(fake, "one");
    fake_again(fake);
    fake_expect_return(fake, "0");
    fake_success2(fake, FAKE_ANSWER, FAKE_RESUMED("2"));
    fake_again(fake);
    /* Not that session again. */
    fake_expect(fake, "<open");
    fake_expect(fake, "mechanism='SCRAM-SHA-256'");
    if (fake->last && strstr(fake->last, "<resume"))
        fake_fail(fake, "goes on with what cannot be");
    fake_expect_eof(fake);
}

static void test_count_that_cannot_be_ends_the_session(void **state) {
    struct fake fake;
    struct terse_client *client = begin(&fake, resume_too_much);
    struct terse_client_status status = {0};

    (void)state;
    post(client, "one", TERSE_CLIENT_RESEND_DEFAULT);
    for (int i = 0; i < 1000 && status.lost.code != TERSE_CLIENT_EPROTO; i++) {
        terse_client_status(client, &status);
        fake_sleep(2);
    }
    assert_int_equal(status.lost.code, TERSE_CLIENT_EPROTO);
    fake_sleep(200);
    end(&fake, client);
}

static void ack_too_much(struct fake *fake) {
    fake_login2(fake, FAKE_BOUND);
    fake_expect(fake, "one");
    fake_send(fake, "<a xmlns='" PHONE_NS_SM "' h='2'/>");
    fake_expect_eof(fake);
}

static void test_acknowledgement_of_what_was_not_sent(void **state) {
    struct fake fake;
    struct terse_client *client = begin(&fake, ack_too_much);
    struct terse_client_status status = {0};

    (void)state;
    post(client, "one", TERSE_CLIENT_RESEND_DEFAULT);
    for (int i = 0; i < 1000 && !status.lost.code; i++) {
        terse_client_status(client, &status);
        fake_sleep(2);
    }
    assert_int_equal(status.lost.code, TERSE_CLIENT_EPROTO);
    end(&fake, client);
}

static void thief(struct fake *fake) {
    fake_login2(fake, FAKE_BOUND_TOKEN);
    fake_again(fake);
    fake_expect_return(fake, "0");
    /* It has the id, but not the token. */
    fake_success2(fake, "oqL+Anhoj+titz7okVNcvIGTAKAtopc0d++xigDGhn9=",
                  FAKE_RESUMED("0"));
    fake_expect(fake, "<close");
}

static void test_server_without_the_token_is_not_believed(void **state) {
    struct fake fake;
    struct terse_client *client = begin(&fake, thief);
    struct terse_client_error why;
    struct terse_stanza *stanza;

    (void)state;
    assert_int_equal(terse_client_recv(client, WAIT, &stanza),
                     TERSE_CLIENT_EAUTH);
    terse_client_why(client, &why);
    assert_non_null(strstr(why.text, "token"));
    assert_null(client->password);
    end(&fake, client);
}

static void cheat(struct fake *fake) {
    fake_expect(fake, "<open");
    fake_expect(fake, "<authenticate");
    fake_offer2(fake, "SCRAM-SHA-256");
    fake_success2(fake, NULL, FAKE_BOUND);
    fake_expect(fake, "<close");
}

static void test_server_that_proves_nothing_is_not_believed(void **state) {
    struct fake fake;
    struct terse_client_options options;
    struct terse_client *client;

    (void)state;
    fake_start(&fake, cheat, NULL);
    options = fake_options(&fake);
    assert_int_equal(terse_client_new(&client, &options), TERSE_CLIENT_OK);
    assert_int_equal(terse_client_connect(client), TERSE_CLIENT_EAUTH);
    end(&fake, client);
}

/* ---- the login, otherwise
 * ------------------------------------------------------------ */

static void refuse_first(struct fake *fake) {
    char data[512];

    fake_expect(fake, "<open");
    fake_expect(fake, "mechanism='SCRAM-SHA-256'");
    fake_offer2(fake, "SCRAM-SHA-1 PLAIN");
    fake_send(fake,
              "<failure xmlns='" PHONE_NS_SASL2
              "'><invalid-mechanism xmlns='" CLIENT_NS_SASL "'/></failure>");
    fake_expect(fake, "mechanism='SCRAM-SHA-1'");
    if (fake_sasl2(fake, "SCRAM-SHA-1", data))
        fake_success2(fake, data, FAKE_BOUND);
    await_stage(1);
    fake_again(fake);
    /* It has learnt. */
    fake_expect(fake, "<open");
    fake_expect(fake, "mechanism='SCRAM-SHA-1'");
    fake_expect_eof(fake);
}

static void test_refused_mechanism_is_replaced_and_remembered(void **state) {
    struct fake fake;
    struct terse_client *client = begin(&fake, refuse_first);

    (void)state;
    assert_string_equal(terse_client_mechanism(client), "SCRAM-SHA-1");
    assert_int_equal(fake_await_ready(client, 1).round_trips, 3);
    atomic_store(&stage, 1);
    fake_sleep(300);
    end(&fake, client);
}

static void refuse_all(struct fake *fake) {
    fake_expect(fake, "<open");
    fake_expect(fake, "mechanism='SCRAM-SHA-256'");
    fake_offer2(fake, "PLAIN X-OTHER");
    fake_send(fake,
              "<failure xmlns='" PHONE_NS_SASL2
              "'><invalid-mechanism xmlns='" CLIENT_NS_SASL "'/></failure>");
    fake_expect(fake, "<close"); /* and no PLAIN */
}

static void test_plain_is_not_fallen_back_to(void **state) {
    struct fake fake;
    struct terse_client_options options;
    struct terse_client *client;

    (void)state;
    fake_start(&fake, refuse_all, NULL);
    options = fake_options(&fake);
    assert_int_equal(terse_client_new(&client, &options), TERSE_CLIENT_OK);
    assert_int_equal(terse_client_connect(client), TERSE_CLIENT_EAUTH);
    end(&fake, client);
}

static void only_classic(struct fake *fake) {
    fake_expect(fake, "<open");
    fake_expect(fake, "<authenticate");
    fake_send_open(fake);
    fake_send(fake, "<stream:features><mechanisms xmlns='" CLIENT_NS_SASL
                    "'><mechanism>SCRAM-SHA-256</mechanism></mechanisms>"
                    "</stream:features>");
    fake_send(fake, "<stream:error><not-authorized xmlns='" CLIENT_NS_STREAMS
                    "'/></stream:error>");
    fake_again(fake);
    fake_login(fake);
    fake_again(fake);
    fake_login(fake); /* the first flight is the header alone, by now */
    fake_expect_eof(fake);
}

static void test_server_without_sasl2_is_known_after_once(void **state) {
    struct fake fake;
    struct terse_client *client = begin(&fake, only_classic);

    (void)state;
    fake_await_ready(client, 2);
    end(&fake, client);
}

/* ---- acknowledgements
 * --------------------------------------------------------------- */

static void wants_acks(struct fake *fake) {
    fake_login2(fake, FAKE_BOUND);
    fake_send(fake, HELLO);
    fake_send(fake, HELLO);
    fake_send(fake, "<r xmlns='" PHONE_NS_SM "'/>");
    fake_expect(fake, "h='0'"); /* nothing was given out yet */
    atomic_store(&stage, 1);
    fake_expect(fake, ">up<");
    fake_expect(fake, "h='1'"); /* rides on it */
    atomic_store(&stage, 2);
    fake_expect(fake, "h='2'"); /* goes by itself, after a while */
    fake_expect_eof(fake);
}

static void test_only_what_was_given_out_is_acknowledged(void **state) {
    struct fake fake;
    struct terse_client_options options;
    struct terse_client *client;

    (void)state;
    atomic_store(&stage, 0);
    fake_start(&fake, wants_acks, NULL);
    options = fake_options(&fake);
    options.ack_ms = 300;
    assert_int_equal(terse_client_new(&client, &options), TERSE_CLIENT_OK);
    assert_int_equal(terse_client_connect(client), TERSE_CLIENT_OK);
    await_stage(1);
    hear(client, "hello");
    post(client, "up", TERSE_CLIENT_RESEND_DEFAULT);
    await_stage(2);
    hear(client, "hello");
    fake_sleep(600);
    end(&fake, client);
}

static void in_good_order(struct fake *fake) {
    fake_login2(fake, FAKE_BOUND);
    fake_expect(fake, "one");
    fake_expect(fake, "<close");
    fake_send_close(fake);
    fake_expect_eof(fake);
}

/* Both have closed: the server has read all of it. */
static void test_closed_in_good_order_is_acknowledged(void **state) {
    struct fake fake;
    struct terse_client *client = begin(&fake, in_good_order);
    uint64_t one = post(client, "one", TERSE_CLIENT_RESEND_DEFAULT);
    enum terse_client_delivery delivery;

    (void)state;
    assert_int_equal(terse_client_close(client), TERSE_CLIENT_OK);
    assert_int_equal(terse_client_delivery_of(client, one, &delivery),
                     TERSE_CLIENT_OK);
    assert_int_equal(delivery, TERSE_CLIENT_ACKED);
    assert_int_equal(terse_client_delivery_of(client, 2, &delivery),
                     TERSE_CLIENT_EARG);
    end(&fake, client);
}

static void keeps_quiet(struct fake *fake) {
    fake_login2(fake, FAKE_BOUND);
    fake_expect(fake, "one");
    fake_expect(fake, "two");
    await_stage(1);
    fake_send(fake, "<a xmlns='" PHONE_NS_SM "' h='1'/>");
    fake_expect(fake, "three");
    fake_expect_eof(fake);
}

static void test_full_outbox_waits_for_an_acknowledgement(void **state) {
    struct fake fake;
    struct terse_client_options options;
    struct terse_client *client;
    static const char xml[] = "<message id='x'><body>three</body></message>";

    (void)state;
    atomic_store(&stage, 0);
    fake_start(&fake, keeps_quiet, NULL);
    options = fake_options(&fake);
    options.outbox_stanzas = 2;
    assert_int_equal(terse_client_new(&client, &options), TERSE_CLIENT_OK);
    assert_int_equal(terse_client_connect(client), TERSE_CLIENT_OK);
    post(client, "one", TERSE_CLIENT_RESEND_DEFAULT);
    post(client, "two", TERSE_CLIENT_RESEND_DEFAULT);
    assert_int_equal(terse_client_send_xml(client, xml, SIZE_MAX, 0, NULL),
                     TERSE_CLIENT_EFULL);
    assert_int_equal(terse_client_send_xml(client, xml, SIZE_MAX, 50, NULL),
                     TERSE_CLIENT_ETIMEOUT);
    atomic_store(&stage, 1);
    assert_int_equal(terse_client_send_xml(client, xml, SIZE_MAX, WAIT, NULL),
                     TERSE_CLIENT_OK);
    end(&fake, client);
}

static void hears_one(struct fake *fake) {
    fake_login2(fake, FAKE_BOUND);
    fake_send(fake, HELLO);
    fake_expect(fake, "one");
    atomic_fetch_add(&stage, 2);
    fake_expect_eof(fake);
}

static void cork_and_send(void *arg, struct terse_client *client,
                          struct terse_stanza *stanza) {
    (void)arg;
    (void)stanza;
    terse_client_cork(client);
    post(client, "one", TERSE_CLIENT_RESEND_DEFAULT);
    atomic_fetch_add(&stage, 1);
}

/* A callback ends, and what it or another thread holds back stays so. */
static void test_cork_outlasts_a_callback(void **state) {
    struct fake fake;
    struct terse_client_options options;
    struct terse_client *client;

    (void)state;
    atomic_store(&stage, 0);
    fake_start(&fake, hears_one, NULL);
    options = fake_options(&fake);
    options.on.stanza = cork_and_send;
    assert_int_equal(terse_client_new(&client, &options), TERSE_CLIENT_OK);
    assert_int_equal(terse_client_connect(client), TERSE_CLIENT_OK);
    await_stage(1);
    fake_sleep(200);
    assert_int_equal(atomic_load(&stage), 1);
    terse_client_uncork(client);
    await_stage(3);
    assert_int_equal(atomic_load(&stage), 3);
    end(&fake, client);
}

/* ---- options and export
 * ------------------------------------------------------------- */

static void test_hosts_are_read(void **state) {
    static const char *const bad[] = {"",    ",",   "a,,b", "a,",     ":",
                                      "a:0", "a:x", "[::1", "a:70000"};
    struct fake fake = {.port = 5333};
    struct terse_client_options options = fake_options(&fake);
    struct terse_client *client;

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        options.host = bad[i];
        assert_int_equal(terse_client_new(&client, &options),
                         TERSE_CLIENT_EARG);
    }
    options.host = "a.example,b.example:1,[2001:db8::1]:2,::1";
    assert_int_equal(terse_client_new(&client, &options), TERSE_CLIENT_OK);
    assert_int_equal(client->n_hosts, 4);
    assert_string_equal(client->hosts[0].name, "a.example");
    assert_int_equal(client->hosts[0].port, 5333);
    assert_int_equal(client->hosts[1].port, 1);
    assert_string_equal(client->hosts[2].name, "2001:db8::1");
    assert_int_equal(client->hosts[2].port, 2);
    assert_string_equal(client->hosts[3].name, "::1");
    assert_int_equal(client->hosts[3].port, 5333);
    terse_client_free(client);
    options.device = "not a good one";
    assert_int_equal(terse_client_new(&client, &options), TERSE_CLIENT_EARG);
}

static void stays(struct fake *fake) {
    fake_login2(fake, FAKE_BOUND_TOKEN);
    fake_send(fake, HELLO);
    fake_expect(fake, "one");
    atomic_store(&stage, 1);
    await_stage(2);
    fake_again(fake);
    fake_expect_return(fake, "1");
    fake_success2(fake, FAKE_ANSWER, FAKE_RESUMED("0"));
    fake_expect(fake, ">one<");
    fake_expect(fake, ">next<");
    atomic_store(&stage, 3);
    fake_expect_eof(fake);
}

/* Whether something came that was not given out. */
static bool queued(struct terse_client *client) {
    bool queued;

    net_lock(&client->owner);
    queued = client->queue.frames > 0;
    net_unlock(&client->owner);
    return queued;
}

static void test_export_goes_on_in_another_client(void **state) {
    struct fake fake;
    struct terse_client *client = begin(&fake, stays);
    struct terse_client_options options = fake_options(&fake);
    struct terse_client *other;
    void *blob;
    size_t n;

    (void)state;
    post(client, "one", TERSE_CLIENT_RESEND_DEFAULT);
    await_stage(1);
    while (!queued(client))
        fake_sleep(5);
    assert_int_equal(terse_client_export(client, &blob, &n), TERSE_CLIENT_OK);
    terse_client_free(client);
    atomic_store(&stage, 2);
    options.restore = blob;
    options.n_restore = n;
    assert_int_equal(terse_client_new(&other, &options), TERSE_CLIENT_OK);
    assert_int_equal(terse_client_connect(other), TERSE_CLIENT_OK);
    assert_true(terse_client_resumed(other));
    hear(other, "hello"); /* it had not been given out */
    assert_int_equal(post(other, "next", TERSE_CLIENT_RESEND_DEFAULT), 2);
    await_stage(3);
    terse_client_free(other);
    fake_try_damaged(&options, blob, n);
    options.jid = "somebody@example.net";
    assert_int_equal(terse_client_new(&other, &options), TERSE_CLIENT_EARG);
    free(blob);
    fake_stop(&fake);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_session_goes_on),
        cmocka_unit_test(test_new_session_sends_again_what_it_may),
        cmocka_unit_test(test_conflict_with_a_login_of_our_own),
        cmocka_unit_test(test_session_that_was_moved_is_found),
        cmocka_unit_test(test_server_that_does_not_count),
        cmocka_unit_test(test_count_that_cannot_be_ends_the_session),
        cmocka_unit_test(test_acknowledgement_of_what_was_not_sent),
        cmocka_unit_test(test_server_without_the_token_is_not_believed),
        cmocka_unit_test(test_server_that_proves_nothing_is_not_believed),
        cmocka_unit_test(test_refused_mechanism_is_replaced_and_remembered),
        cmocka_unit_test(test_plain_is_not_fallen_back_to),
        cmocka_unit_test(test_server_without_sasl2_is_known_after_once),
        cmocka_unit_test(test_only_what_was_given_out_is_acknowledged),
        cmocka_unit_test(test_closed_in_good_order_is_acknowledged),
        cmocka_unit_test(test_full_outbox_waits_for_an_acknowledgement),
        cmocka_unit_test(test_cork_outlasts_a_callback),
        cmocka_unit_test(test_hosts_are_read),
        cmocka_unit_test(test_export_goes_on_in_another_client),
    };

    return cmocka_run_group_tests_name("client_session", tests, NULL, NULL);
}
