/* The login, step by step, against a server that follows a script. */
#include "tests/unit/client_fake.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct terse_client *make(const struct fake *fake, const char *jid,
                                 bool plain) {
    struct terse_client_options options;
    struct terse_client *client;

    terse_client_options_init(&options);
    options.clear = true;
    options.host = "127.0.0.1";
    options.port = fake->port;
    options.jid = jid;
    options.password = FAKE_PASSWORD;
    options.sasl2 = TERSE_CLIENT_OFF;
    options.allow_plain = plain;
    options.login_ms = 8000;
    options.close_ms = 500;
    assert_int_equal(terse_client_new(&client, &options), TERSE_CLIENT_OK);
    return client;
}

/* Connects to the script; checks how that ends. */
static void connect_to(void (*script)(struct fake *), void *arg,
                       enum terse_client_err code, const char *condition) {
    struct fake fake;
    struct terse_client *client;
    struct terse_client_error why;

    fake_start(&fake, script, arg);
    client = make(&fake, FAKE_JID, false);
    assert_int_equal(terse_client_connect(client), code);
    terse_client_why(client, &why);
    assert_int_equal(why.code, code);
    assert_string_equal(why.condition, condition);
    assert_int_equal(terse_client_connect(client), TERSE_CLIENT_ESTATE);
    terse_client_free(client);
    fake_stop(&fake);
}

/* ---- it works ---------------------------------------------------------------
 */

static void log_in(struct fake *fake) {
    fake_login(fake);
    fake_expect(fake, "<close");
    fake_send_close(fake);
    fake_expect_eof(fake);
}

static void test_login_scram_is_ready(void **state) {
    struct fake fake;
    struct terse_client *client;
    struct terse_client_error why;
    struct terse_stanza *stanza;
    char jid[64];

    (void)state;
    fake_start(&fake, log_in, NULL);
    client = make(&fake, FAKE_JID, false);
    terse_client_jid(client, jid, sizeof(jid));
    assert_string_equal(jid, "");
    assert_int_equal(terse_client_connect(client), TERSE_CLIENT_OK);
    terse_client_jid(client, jid, sizeof(jid));
    assert_string_equal(jid, FAKE_JID);
    assert_string_equal(terse_client_mechanism(client), "SCRAM-SHA-256");
    assert_null(client->password);
    assert_null(client->sasl.ctx);
    terse_client_why(client, &why);
    assert_int_equal(why.code, TERSE_CLIENT_OK);
    assert_int_equal(terse_client_close(client), TERSE_CLIENT_OK);
    terse_client_why(client, &why);
    assert_int_equal(why.code, TERSE_CLIENT_ECLOSED);
    assert_int_equal(terse_client_recv(client, -1, &stanza),
                     TERSE_CLIENT_ECLOSED);
    assert_int_equal(terse_client_close(client), TERSE_CLIENT_OK);
    terse_client_free(client);
    fake_stop(&fake);
}

static void offer_sha1(struct fake *fake) {
    fake_offer(fake, "X-OTHER SCRAM-SHA-1 PLAIN");
    if (!fake_sasl(fake, "SCRAM-SHA-1", FAKE_PASSWORD))
        fake_fail(fake, "not logged in");
    fake_expect(fake, "<open");
    fake_send_open(fake);
    fake_send(fake,
              "<stream:features><bind xmlns='" CLIENT_NS_BIND "'/>"
              "<session xmlns='" CLIENT_NS_SESSION "'/></stream:features>");
    fake_expect(fake, "<bind");
    if (strstr(fake->last, "<resource"))
        fake_fail(fake, "a resource that nobody wanted");
    /* A stanza in between is no answer, and is not lost. */
    fake_send(fake, "<message from='example.net'><body>early</body></message>");
    fake_answer(fake, "<iq type='result' id='%s'><bind xmlns='" CLIENT_NS_BIND
                      "'><jid>" FAKE_USER "@" FAKE_DOMAIN
                      "/made-up</jid></bind></iq>");
    fake_expect(fake, "<session");
    fake_answer(fake, "<iq type='result' id='%s'/>");
    fake_expect(fake, "<close");
    fake_send_close(fake);
}

static void test_login_session_and_early_stanza_are_served(void **state) {
    struct fake fake;
    struct terse_client *client;
    struct terse_stanza *stanza;
    char jid[64];

    (void)state;
    fake_start(&fake, offer_sha1, NULL);
    client = make(&fake, FAKE_USER "@" FAKE_DOMAIN, false);
    assert_int_equal(terse_client_connect(client), TERSE_CLIENT_OK);
    terse_client_jid(client, jid, sizeof(jid));
    assert_string_equal(jid, FAKE_USER "@" FAKE_DOMAIN "/made-up");
    assert_string_equal(terse_client_mechanism(client), "SCRAM-SHA-1");
    assert_int_equal(terse_client_recv(client, 2000, &stanza), TERSE_CLIENT_OK);
    assert_string_equal(terse_stanza_typed(stanza)->message->body, "early");
    terse_stanza_free(stanza);
    assert_int_equal(terse_client_close(client), TERSE_CLIENT_OK);
    terse_client_free(client);
    fake_stop(&fake);
}

static void offer_plain(struct fake *fake) {
    bool *allowed = fake->arg;

    fake_offer(fake, "PLAIN");
    if (*allowed) {
        /* base64 of \0romeo\0wherefore-ärt */
        fake_expect(fake, ">AHJvbWVvAHdoZXJlZm9yZS3DpHJ0<");
        fake_send(fake, "<success xmlns='" CLIENT_NS_SASL "'/>");
        fake_expect(fake, "<open");
        fake_send_open(fake);
        fake_send(fake, "<stream:features/>");
    }
    fake_expect(fake, "<close");
}

static void test_login_plain_needs_permission(void **state) {
    struct fake fake;
    struct terse_client *client;
    struct terse_client_error why;
    bool allowed = true;

    (void)state;
    connect_to(offer_plain, &(bool){false}, TERSE_CLIENT_EMECH, "");
    fake_start(&fake, offer_plain, &allowed);
    client = make(&fake, FAKE_JID, true);
    assert_int_equal(terse_client_connect(client), TERSE_CLIENT_EBIND);
    assert_string_equal(terse_client_mechanism(client), "PLAIN");
    terse_client_why(client, &why);
    assert_string_equal(why.text, "the server offers no resource binding");
    terse_client_free(client);
    fake_stop(&fake);
}

/* ---- it is refused
 * -------------------------------------------------------------- */

static void know_another(struct fake *fake) {
    fake_offer(fake, "SCRAM-SHA-256");
    if (fake_sasl(fake, "SCRAM-SHA-256", "another"))
        fake_fail(fake, "a wrong password was good enough");
    fake_expect(fake, "<close");
}

static void test_login_wrong_password_names_condition(void **state) {
    struct fake fake;
    struct terse_client *client;
    struct terse_client_error why;

    (void)state;
    fake_start(&fake, know_another, NULL);
    client = make(&fake, FAKE_JID, false);
    assert_int_equal(terse_client_connect(client), TERSE_CLIENT_EAUTH);
    terse_client_why(client, &why);
    assert_string_equal(why.condition, "not-authorized");
    assert_string_equal(why.text, "Who?");
    assert_null(client->password);
    assert_null(client->sasl.ctx);
    terse_client_free(client);
    fake_stop(&fake);
}

static void say_success_at_once(struct fake *fake) {
    fake_offer(fake, "SCRAM-SHA-256");
    fake_expect(fake, "SCRAM-SHA-256");
    fake_send(fake, "<success xmlns='" CLIENT_NS_SASL "'/>");
    fake_expect(fake, "<close");
}

static void ask_for_hard_work(struct fake *fake) {
    fake_offer(fake, "SCRAM-SHA-256");
    fake_expect(fake, "SCRAM-SHA-256");
    /* r=x,s=QQ==,i=99999999 */
    fake_send(fake, "<challenge xmlns='" CLIENT_NS_SASL
                    "'>cj14LHM9UVE9PSxpPTk5OTk5OTk5</challenge>");
    fake_expect(fake, "<close");
}

static void test_login_cheating_server_is_refused(void **state) {
    (void)state;
    connect_to(say_success_at_once, NULL, TERSE_CLIENT_EAUTH, "");
    connect_to(ask_for_hard_work, NULL, TERSE_CLIENT_EAUTH, "");
}

static void refuse_resource(struct fake *fake) {
    fake_offer(fake, "SCRAM-SHA-256");
    fake_sasl(fake, "SCRAM-SHA-256", FAKE_PASSWORD);
    fake_expect(fake, "<open");
    fake_send_open(fake);
    fake_send(fake, "<stream:features><bind xmlns='" CLIENT_NS_BIND "'/>"
                    "</stream:features>");
    fake_expect(fake, "<bind");
    fake_answer(fake, "<iq type='error' id='%s'><error type='cancel'>"
                      "<conflict xmlns='" CLIENT_NS_STANZAS "'/></error></iq>");
    fake_expect(fake, "<close");
}

static void test_login_refused_resource_names_condition(void **state) {
    (void)state;
    connect_to(refuse_resource, NULL, TERSE_CLIENT_EBIND, "conflict");
}

/* ---- at each step, something else than what is due
 * ---------------------------------- */

enum step { AT_OPEN, AT_FEATURES, AT_SASL, AT_REOPEN, AT_BIND, STEPS };

/* What the server does then, in turn. */
struct surprise {
    enum step at;
    void (*spring)(struct fake *fake);
    enum terse_client_err code[STEPS];
    const char *condition;
};

static void up_to(struct fake *fake, enum step step) {
    static const char *const features =
        "<stream:features><mechanisms xmlns='" CLIENT_NS_SASL
        "'><mechanism>SCRAM-SHA-256</mechanism></mechanisms>"
        "</stream:features>";

    fake_expect(fake, "<open");
    if (step >= AT_FEATURES)
        fake_send_open(fake);
    if (step >= AT_SASL)
        fake_send(fake, features);
    if (step == AT_SASL)
        fake_expect(fake, "<auth");
    if (step < AT_REOPEN)
        return;
    fake_sasl(fake, "SCRAM-SHA-256", FAKE_PASSWORD);
    fake_expect(fake, "<open");
    if (step < AT_BIND)
        return;
    fake_send_open(fake);
    fake_send(fake, "<stream:features><bind xmlns='" CLIENT_NS_BIND "'/>"
                    "</stream:features>");
    fake_expect(fake, "<bind");
}

static void surprise(struct fake *fake) {
    const struct surprise *s = fake->arg;

    up_to(fake, s->at);
    s->spring(fake);
}

static void spring(const struct surprise *like) {
    for (enum step step = AT_OPEN; step < STEPS; step++) {
        struct surprise s = *like;

        s.at = step;
        connect_to(surprise, &s, s.code[step], s.condition);
    }
}

static void stream_error(struct fake *fake) {
    fake_send(fake, "<stream:error><host-unknown xmlns='" CLIENT_NS_STREAMS
                    "'/><text xmlns='" CLIENT_NS_STREAMS
                    "'>No such place</text></stream:error>");
    fake_expect(fake, "<close");
}

static void test_login_stream_error_names_condition(void **state) {
    static const struct surprise s = {
        .spring = stream_error,
        .code = {TERSE_CLIENT_ESTREAM, TERSE_CLIENT_ESTREAM,
                 TERSE_CLIENT_ESTREAM, TERSE_CLIENT_ESTREAM,
                 TERSE_CLIENT_ESTREAM},
        .condition = "host-unknown"};

    (void)state;
    spring(&s);
}

static void hang_up(struct fake *fake) { (void)fake; }

static void test_login_lost_connection_says_lost(void **state) {
    static const struct surprise s = {
        .spring = hang_up,
        .code = {TERSE_CLIENT_ELOST, TERSE_CLIENT_ELOST, TERSE_CLIENT_ELOST,
                 TERSE_CLIENT_ELOST, TERSE_CLIENT_ELOST},
        .condition = ""};

    (void)state;
    spring(&s);
}

static void close_stream(struct fake *fake) {
    fake_send_close(fake);
    fake_expect(fake, "<close");
}

static void test_login_closed_stream_says_lost(void **state) {
    static const struct surprise s = {
        .spring = close_stream,
        .code = {TERSE_CLIENT_ELOST, TERSE_CLIENT_ELOST, TERSE_CLIENT_ELOST,
                 TERSE_CLIENT_ELOST, TERSE_CLIENT_ELOST},
        .condition = ""};

    (void)state;
    spring(&s);
}

static void garbage(struct fake *fake) {
    /* A frame of 3 bytes: field 1, length-delimited, longer than the rest. */
    static const uint8_t frame[] = {3, 0x0a, 0x7f, 0x00};

    fake_send_raw(fake, frame, sizeof(frame));
    fake_expect(fake, "<close");
}

static void no_framing(struct fake *fake) {
    static const uint8_t bytes[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

    fake_send_raw(fake, bytes, sizeof(bytes));
    fake_expect(fake, "<close");
}

static void overlong(struct fake *fake) {
    static const uint8_t bytes[] = {0xff, 0xff, 0xff, 0x7f};

    fake_send_raw(fake, bytes, sizeof(bytes));
    fake_expect(fake, "<close");
}

static void test_login_garbage_is_refused(void **state) {
    struct surprise s = {.spring = garbage,
                         .code = {TERSE_CLIENT_EPROTO, TERSE_CLIENT_EPROTO,
                                  TERSE_CLIENT_EPROTO, TERSE_CLIENT_EPROTO,
                                  TERSE_CLIENT_EPROTO},
                         .condition = ""};

    (void)state;
    spring(&s);
    s.spring = no_framing;
    spring(&s);
    s.spring = overlong;
    spring(&s);
}

static void stray_presence(struct fake *fake) {
    fake_send(fake, "<presence from='x@example.net'/>");
    fake_expect(fake, "<close");
}

static void test_login_stanza_before_bind_is_refused(void **state) {
    struct surprise s = {.spring = stray_presence, .condition = ""};

    (void)state;
    for (s.at = AT_OPEN; s.at < AT_BIND; s.at++)
        connect_to(surprise, &s, TERSE_CLIENT_EPROTO, "");
}

/* ---- time, and no server
 * ----------------------------------------------------------------- */

static void say_nothing(struct fake *fake) {
    fake_expect(fake, "<open");
    fake_expect(fake, "<close");
}

static void test_login_silent_server_times_out(void **state) {
    struct fake fake;
    struct terse_client *client;
    struct terse_client_options options;

    (void)state;
    fake_start(&fake, say_nothing, NULL);
    terse_client_options_init(&options);
    options.clear = true;
    options.host = "127.0.0.1";
    options.port = fake.port;
    options.jid = FAKE_JID;
    options.password = FAKE_PASSWORD;
    options.sasl2 = TERSE_CLIENT_OFF;
    options.login_ms = 200;
    assert_int_equal(terse_client_new(&client, &options), TERSE_CLIENT_OK);
    assert_int_equal(terse_client_connect(client), TERSE_CLIENT_ETIMEOUT);
    terse_client_free(client);
    fake_stop(&fake);
}

static void test_login_nobody_listens_cannot_connect(void **state) {
    struct terse_client *client;
    struct fake fake = {.port = 1};

    (void)state;
    client = make(&fake, FAKE_JID, false);
    assert_int_equal(terse_client_connect(client), TERSE_CLIENT_ECONNECT);
    assert_int_equal(terse_client_close(client), TERSE_CLIENT_OK);
    terse_client_free(client);
}

static void test_options_that_cannot_be_are_refused(void **state) {
    static const char *const jids[] = {
        "",       "romeo",    "@example.net",
        "romeo@", "romeo@/x", "romeo@example.net/",
        "/a@b"};
    struct terse_client_options options;
    struct terse_client *client;

    (void)state;
    terse_client_options_init(&options);
    options.clear = true;
    options.host = "localhost";
    options.password = "x";
    assert_int_equal(terse_client_new(&client, &options), TERSE_CLIENT_EARG);
    for (size_t i = 0; i < sizeof(jids) / sizeof(jids[0]); i++) {
        options.jid = jids[i];
        assert_int_equal(terse_client_new(&client, &options),
                         TERSE_CLIENT_EARG);
        assert_null(client);
    }
    options.jid = "romeo@example.net/a/b@c";
    assert_int_equal(terse_client_new(&client, &options), TERSE_CLIENT_OK);
    assert_string_equal(client->domain, "example.net");
    assert_string_equal(client->resource, "a/b@c");
    terse_client_free(client);
    terse_client_free(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_login_scram_is_ready),
        cmocka_unit_test(test_login_session_and_early_stanza_are_served),
        cmocka_unit_test(test_login_plain_needs_permission),
        cmocka_unit_test(test_login_wrong_password_names_condition),
        cmocka_unit_test(test_login_cheating_server_is_refused),
        cmocka_unit_test(test_login_refused_resource_names_condition),
        cmocka_unit_test(test_login_stream_error_names_condition),
        cmocka_unit_test(test_login_lost_connection_says_lost),
        cmocka_unit_test(test_login_closed_stream_says_lost),
        cmocka_unit_test(test_login_garbage_is_refused),
        cmocka_unit_test(test_login_stanza_before_bind_is_refused),
        cmocka_unit_test(test_login_silent_server_times_out),
        cmocka_unit_test(test_login_nobody_listens_cannot_connect),
        cmocka_unit_test(test_options_that_cannot_be_are_refused),
    };

    return cmocka_run_group_tests_name("client_login", tests, NULL, NULL);
}
