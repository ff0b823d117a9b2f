/* How a client keeps a session and comes back to it: what it says beside its
 * headers, when it asks whether anybody is there, where it dials first; against
 * servers that follow a script. */
#include "tests/unit/client_fake.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

/* Fields of Frame (docs/wire.md). */
enum { BEAT = 21, WAIT = 23, WAIT_BYTES = 24 };

static struct terse_client *begin(const struct terse_client_options *options) {
    struct terse_client *client;

    assert_int_equal(terse_client_new(&client, options), TERSE_CLIENT_OK);
    assert_int_equal(terse_client_connect(client), TERSE_CLIENT_OK);
    return client;
}

static void end(struct fake *fake, struct terse_client *client) {
    terse_client_free(client);
    fake_stop(fake);
}

/* ---- what may wait
 * ------------------------------------------------------------------------- */

static void hear_bounds(struct fake *fake) {
    fake_login2(fake, FAKE_BOUND_TOKEN);
    fake_expect_beside(fake, BEAT, 1680);
    fake_expect_beside(fake, WAIT, 12);
    fake_expect_beside(fake, WAIT_BYTES, 0);
    fake_again(fake);
    fake_expect_return(fake, "0");
    fake_expect_beside(fake, WAIT, 12);
    fake_expect_beside(fake, WAIT_BYTES, 0);
    fake_success2(fake, FAKE_ANSWER, FAKE_RESUMED("0"));
    fake_expect_eof(fake);
}

/* Seconds, and cut: 12.9 s is no less than 13. Nothing is a bound, too. */
static void test_bounds_are_said_with_each_connection(void **state) {
    struct terse_client_options options;
    struct terse_client *client;
    struct fake fake;

    (void)state;
    fake_start(&fake, hear_bounds, NULL);
    options = fake_options(&fake);
    options.wait_ms = 12900;
    options.wait_bytes = 0;
    client = begin(&options);
    fake_await_ready(client, 2);
    end(&fake, client);
}

static void hear_no_bounds(struct fake *fake) {
    fake_login2(fake, FAKE_BOUND);
    fake_expect_beside(fake, BEAT, -1);
    fake_expect_beside(fake, WAIT, -1);
    fake_expect_beside(fake, WAIT_BYTES, *(int *)fake->arg);
    fake_expect_eof(fake);
}

/* Each of them is said or not, whatever there is of the others. */
static void test_bounds_are_not_said_unasked(void **state) {
    static int said[] = {-1, 1 << 20};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct terse_client_options options;
        struct terse_client *client;
        struct fake fake;

        fake_start(&fake, hear_no_bounds, &said[i]);
        options = fake_options(&fake);
        options.heartbeat_ms = 0;
        if (said[i] >= 0)
            options.wait_bytes = (uint32_t)said[i];
        client = begin(&options);
        end(&fake, client);
    }
}

static void hear_bounds_once(struct fake *fake) {
    fake_offer(fake, "SCRAM-SHA-256");
    fake_expect_beside(fake, WAIT, 0);
    if (!fake_sasl(fake, "SCRAM-SHA-256", FAKE_PASSWORD))
        fake_fail(fake, "not logged in");
    fake_expect(fake, "<open");
    fake_expect_beside(fake, WAIT, -1);
}

/* RFC 6120's second header is not the connection's first. */
static void test_bounds_are_not_said_again_after_sasl(void **state) {
    struct terse_client_options options;
    struct terse_client *client;
    struct fake fake;

    (void)state;
    fake_start(&fake, hear_bounds_once, NULL);
    options = fake_options(&fake);
    options.sasl2 = TERSE_CLIENT_OFF;
    options.wait_ms = 999;
    assert_int_equal(terse_client_new(&client, &options), TERSE_CLIENT_OK);
    assert_int_equal(terse_client_connect(client), TERSE_CLIENT_ELOST);
    end(&fake, client);
}

static void test_bounds_that_cannot_be_are_refused(void **state) {
    struct fake fake = {.port = 5333};
    struct terse_client_options options = fake_options(&fake);
    struct terse_client *client;

    (void)state;
    options.wait_ms = 86400000;
    options.wait_bytes = UINT32_MAX - 1;
    assert_int_equal(terse_client_new(&client, &options), TERSE_CLIENT_OK);
    terse_client_free(client);
    options.wait_ms++;
    assert_int_equal(terse_client_new(&client, &options), TERSE_CLIENT_EARG);
}

/* ---- is anybody there?
 * ------------------------------------------------------------------------- */

/* What a script tells its test, beside the wire. */
static atomic_int stage;

static void await_stage(int n) {
    for (int i = 0; i < 2000 && atomic_load(&stage) < n; i++)
        fake_sleep(5);
    assert_true(atomic_load(&stage) >= n);
}

/* ANSWER: for a sign of life after a stanza was sent, in milliseconds. QUIET:
 * so long that it would have been asked for. */
enum { ANSWER = 150, QUIET = 700 };

static struct terse_client *begin_in_a_hurry(struct fake *fake,
                                             void (*script)(struct fake *fake),
                                             uint32_t wait_ms) {
    struct terse_client_options options;

    atomic_store(&stage, 0);
    fake_start(fake, script, NULL);
    options = fake_options(fake);
    options.answer_ms = ANSWER;
    options.wait_ms = wait_ms;
    return begin(&options);
}

static void send_xml(struct terse_client *client, const char *xml) {
    assert_int_equal(terse_client_send_xml(client, xml, SIZE_MAX, -1, NULL),
                     TERSE_CLIENT_OK);
}

#define ONE "<message to='a@b'><body>one</body></message>"
#define RECEIPT                                                                \
    "<message to='a@b'><received xmlns='urn:xmpp:receipts' id='m'/></message>"

static void beat_and_log_in(struct fake *fake) {
    fake->beats = true;
    fake_login2(fake, FAKE_BOUND_TOKEN);
}

/* That script, whose first stage ends what the client begins by this. */
static void hurry(void (*script)(struct fake *fake), const char *xml) {
    struct fake fake;
    struct terse_client *client =
        begin_in_a_hurry(&fake, script, TERSE_CLIENT_UNSAID);

    send_xml(client, xml);
    await_stage(1);
    end(&fake, client);
}

/* Nothing more comes, until the client leaves. */
static void be_left_alone(struct fake *fake, int reached) {
    fake_expect_silence(fake, QUIET);
    atomic_store(&stage, reached);
    fake_expect_eof(fake);
}

static void be_silent(struct fake *fake) {
    beat_and_log_in(fake);
    fake_expect(fake, "one");
    fake_expect_ping(fake);
    fake_pong(fake);
    fake_expect_ping(fake); /* it is here, but it has not acknowledged */
    fake_send(fake, "<a xmlns='" PHONE_NS_SM "' h='1'/>");
    be_left_alone(fake, 1);
}

static void test_unacknowledged_is_asked_about(void **state) {
    (void)state;
    hurry(be_silent, ONE);
}

static void acknowledge(struct fake *fake) {
    beat_and_log_in(fake);
    fake_expect(fake, "one");
    fake_send(fake, "<a xmlns='" PHONE_NS_SM "' h='1'/>");
    be_left_alone(fake, 1);
}

/* With the acknowledgement it is over: nothing more is asked for. */
static void test_acknowledged_is_not_asked_about(void **state) {
    (void)state;
    hurry(acknowledge, ONE);
}

static void tell_late(struct fake *fake) {
    beat_and_log_in(fake);
    fake_expect(fake, "received");
    fake_send(fake, "<presence from='a@b/c'/>");
    be_left_alone(fake, 1);
}

/* tersed tells late of receipts, whatever comes meanwhile. */
static void test_receipt_is_not_asked_about(void **state) {
    (void)state;
    hurry(tell_late, RECEIPT);
}

static void tell_late_of_one(struct fake *fake) {
    beat_and_log_in(fake);
    fake_expect(fake, "received");
    fake_expect(fake, "one");
    fake_expect_ping(fake);
    fake_pong(fake);
    fake_send(fake, "<a xmlns='" PHONE_NS_SM "' h='2'/>");
    atomic_store(&stage, 1);
    fake_expect(fake, "one");
    fake_expect(fake, "received");
    fake_send(fake, "<a xmlns='" PHONE_NS_SM "' h='3'/>");
    be_left_alone(fake, 2);
}

/* Nor is one that is left, but what was sent behind it is. */
static void test_message_among_receipts_is_asked_about(void **state) {
    struct fake fake;
    struct terse_client *client =
        begin_in_a_hurry(&fake, tell_late_of_one, TERSE_CLIENT_UNSAID);

    (void)state;
    send_xml(client, RECEIPT);
    send_xml(client, ONE);
    await_stage(1);
    send_xml(client, ONE);
    send_xml(client, RECEIPT);
    await_stage(2);
    end(&fake, client);
}

static void hold_back(struct fake *fake) {
    beat_and_log_in(fake);
    fake_expect(fake, "<inactive");
    fake_expect(fake, "one");
    fake_expect_silence(fake, 1000);
    fake_expect_ping(fake);
    fake_pong(fake);
    fake_expect_silence(fake, 1000); /* it may wait anew */
    atomic_store(&stage, 1);
    fake_expect_eof(fake);
}

/* What tersed may hold back is no reason to ask. */
static void test_inactive_client_waits_for_what_may_wait(void **state) {
    struct fake fake;
    struct terse_client *client = begin_in_a_hurry(&fake, hold_back, 1000);

    (void)state;
    assert_int_equal(terse_client_inactive(client), TERSE_CLIENT_OK);
    send_xml(client, ONE);
    await_stage(1);
    end(&fake, client);
}

static void hold_nothing(struct fake *fake) {
    beat_and_log_in(fake);
    fake_expect(fake, "<inactive");
    fake_expect(fake, "one");
    fake_expect_silence(fake, QUIET);
    atomic_store(&stage, 1);
    fake_expect(fake, "<active");
    fake_expect_ping(fake);
    atomic_store(&stage, 2);
    fake_expect_eof(fake);
}

/* <active/> brings all that waits, so there is a reason then. */
static void test_active_client_waits_no_more(void **state) {
    struct fake fake;
    struct terse_client *client =
        begin_in_a_hurry(&fake, hold_nothing, TERSE_CLIENT_UNSAID);

    (void)state;
    assert_int_equal(terse_client_inactive(client), TERSE_CLIENT_OK);
    send_xml(client, ONE);
    await_stage(1);
    assert_int_equal(terse_client_active(client), TERSE_CLIENT_OK);
    await_stage(2);
    end(&fake, client);
}

/* ---- where the session is
 * ------------------------------------------------------------------------- */

/* Two of them: the client knows the first by its options, and of the second by
 * the first. */
struct pair {
    struct fake base, there;
    char location[64]; /* as the first tells it */
};

/* location: NULL for that of the second, which is not begun otherwise. */
static struct terse_client_options begin_pair(struct pair *pair,
                                              void (*base)(struct fake *fake),
                                              void (*there)(struct fake *fake),
                                              const char *location) {
    struct terse_client_options options;

    atomic_store(&stage, 0);
    if (there)
        fake_start(&pair->there, there, pair);
    if (location)
        snprintf(pair->location, sizeof(pair->location), "%s", location);
    else
        snprintf(pair->location, sizeof(pair->location), "127.0.0.1:%u",
                 (unsigned)pair->there.port);
    fake_start(&pair->base, base, pair);
    options = fake_options(&pair->base);
    options.location = TERSE_CLIENT_ON; /* there is no TLS here */
    return options;
}

static void tell_where(struct fake *fake) {
    struct pair *pair = fake->arg;
    char inner[1024];

    snprintf(inner, sizeof(inner), FAKE_ENABLED(" location='%s'") FAKE_NEXT,
             pair->location);
    fake_login2(fake, inner);
    fake_expect(fake, "one");
}

static bool anybody(int listener) {
    struct pollfd fd = {.fd = listener, .events = POLLIN};

    return poll(&fd, 1, 0) != 0;
}

static void take_back_twice(struct fake *fake) {
    for (int i = 0; i < 2; i++) {
        if (i > 0)
            fake_again(fake);
        fake_expect_return(fake, "0");
        fake_success2(fake, FAKE_ANSWER, FAKE_RESUMED("0") FAKE_NEXT);
        fake_expect(fake, "one");
    }
    fake_expect_eof(fake);
}

/* Each time, though <resumed/> does not say it again. */
static void test_location_is_dialled_first(void **state) {
    struct pair pair;
    struct terse_client_options options =
        begin_pair(&pair, tell_where, take_back_twice, NULL);
    struct terse_client *client = begin(&options);
    struct terse_client_status status;

    (void)state;
    send_xml(client, ONE);
    status = fake_await_ready(client, 3);
    assert_int_equal(status.resumptions, 2);
    assert_int_equal(status.round_trips, 1);
    assert_string_equal(status.host, pair.location);
    assert_false(anybody(pair.base.listener));
    terse_client_free(client);
    fake_stop(&pair.base);
    fake_stop(&pair.there);
}

static void tell_and_stay(struct fake *fake) {
    tell_where(fake);
    fake_expect_eof(fake);
}

static void take_back(struct fake *fake) {
    fake_expect_return(fake, "0");
    fake_success2(fake, FAKE_ANSWER, FAKE_RESUMED("0") FAKE_NEXT);
    fake_expect(fake, "one");
    atomic_store(&stage, 1);
    fake_expect_eof(fake);
}

/* The connection that still stands need not be with the one that knows best. */
static void test_hint_leads_to_the_location(void **state) {
    struct pair pair;
    struct terse_client_options options =
        begin_pair(&pair, tell_and_stay, take_back, NULL);
    struct terse_client *client = begin(&options);

    (void)state;
    send_xml(client, ONE);
    terse_client_hint_network(client, true);
    await_stage(1);
    terse_client_free(client);
    fake_stop(&pair.base);
    fake_stop(&pair.there);
}

/* By password: the token is good only there. Then all is here. */
static void take_back_here(struct fake *fake) {
    tell_where(fake);
    fake_again(fake);
    fake_login2(fake, FAKE_RESUMED("1") FAKE_NEXT);
    fake_again(fake);
    fake_expect_return(fake, "0");
    fake_success2(fake, FAKE_ANSWER, FAKE_RESUMED("1") FAKE_NEXT);
    fake_expect_eof(fake);
}

static void test_location_that_is_gone_is_left(void **state) {
    struct pair pair;
    struct terse_client_options options =
        begin_pair(&pair, take_back_here, NULL, "127.0.0.1:1");
    struct terse_client *client = begin(&options);

    (void)state;
    send_xml(client, ONE);
    assert_int_equal(fake_await_ready(client, 3).resumptions, 2);
    terse_client_free(client);
    fake_stop(&pair.base);
}

/* Connections to it are made by the kernel, and nobody answers. */
static int silent_place(char location[64]) {
    struct sockaddr_in sa = {.sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(sa);
    int listener = socket(AF_INET, SOCK_STREAM, 0);

    assert_int_equal(bind(listener, (void *)&sa, len), 0);
    assert_int_equal(listen(listener, 4), 0);
    assert_int_equal(getsockname(listener, (void *)&sa, &len), 0);
    snprintf(location, 64, "127.0.0.1:%u", (unsigned)ntohs(sa.sin_port));
    return listener;
}

static uint32_t resumptions(struct terse_client *client) {
    struct terse_client_status status;

    terse_client_status(client, &status);
    return status.resumptions;
}

/* After 5 s, though others have longer. */
static void test_location_that_does_not_answer_is_left_in_time(void **state) {
    struct pair pair;
    struct terse_client_options options;
    struct terse_client *client;
    char location[64];
    int listener = silent_place(location);
    uint64_t began;

    (void)state;
    options = begin_pair(&pair, take_back_here, NULL, location);
    options.connect_ms = options.login_ms = 60000;
    client = begin(&options);
    send_xml(client, ONE);
    began = client_now();
    while (client_now() - began < 9000 && resumptions(client) < 1)
        fake_sleep(20);
    assert_in_range(client_now() - began, 4500, 8500);
    fake_await_ready(client, 3);
    terse_client_free(client);
    fake_stop(&pair.base);
    close(listener);
}

static void know_nobody(struct fake *fake) {
    fake_expect(fake, "<open");
    fake_expect(fake, "mechanism='HT-SHA-256-NONE'");
    fake_send_open(fake);
    fake_send(fake, "<stream:error><host-unknown xmlns='" CLIENT_NS_STREAMS
                    "'/></stream:error>");
}

/* That would be the end, were it said by one that was configured. */
static void test_location_has_not_the_last_word(void **state) {
    struct pair pair;
    struct terse_client_options options =
        begin_pair(&pair, take_back_here, know_nobody, NULL);
    struct terse_client *client = begin(&options);

    (void)state;
    send_xml(client, ONE);
    assert_int_equal(fake_await_ready(client, 3).resumptions, 2);
    terse_client_free(client);
    fake_stop(&pair.base);
    fake_stop(&pair.there);
}

static void take_back_by_token(struct fake *fake) {
    tell_where(fake);
    fake_again(fake);
    fake_expect_return(fake, "0");
    fake_success2(fake, FAKE_ANSWER, FAKE_RESUMED("1") FAKE_NEXT);
    atomic_store(&stage, 1);
    fake_expect_eof(fake);
}

/* Without TLS anybody could send us anywhere. */
static void test_location_is_not_followed_unasked(void **state) {
    static const enum terse_client_switch how[] = {TERSE_CLIENT_AUTO,
                                                   TERSE_CLIENT_OFF};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct pair pair;
        char location[64];
        int listener = silent_place(location);
        struct terse_client_options options =
            begin_pair(&pair, take_back_by_token, NULL, location);
        struct terse_client *client;
        void *blob;
        size_t n;

        options.location = how[i];
        client = begin(&options);
        send_xml(client, ONE);
        await_stage(1);
        assert_false(anybody(listener));
        assert_int_equal(terse_client_export(client, &blob, &n),
                         TERSE_CLIENT_OK);
        assert_memory_equal(blob, "TRSX\1", 5); /* as it ever was */
        free(blob);
        terse_client_free(client);
        fake_stop(&pair.base);
        close(listener);
    }
}

static void stay(struct fake *fake) {
    tell_where(fake);
    atomic_store(&stage, 1);
    fake_expect_eof(fake);
}

static void take_back_later(struct fake *fake) {
    fake_expect_return(fake, "0");
    fake_success2(fake, FAKE_ANSWER, FAKE_RESUMED("0") FAKE_NEXT);
    fake_expect(fake, "one");
    atomic_store(&stage, 2);
    fake_expect_eof(fake);
}

static void test_location_is_exported(void **state) {
    struct pair pair;
    struct terse_client_options options =
        begin_pair(&pair, stay, take_back_later, NULL);
    struct terse_client *client = begin(&options);
    struct terse_client_status status;
    void *blob;
    size_t n;

    (void)state;
    send_xml(client, ONE);
    await_stage(1);
    assert_int_equal(terse_client_export(client, &blob, &n), TERSE_CLIENT_OK);
    terse_client_free(client);
    assert_memory_equal(blob, "TRSX\2", 5);
    options.restore = blob;
    options.n_restore = n;
    client = begin(&options);
    assert_true(terse_client_resumed(client));
    terse_client_status(client, &status);
    assert_string_equal(status.host, pair.location);
    assert_int_equal(status.round_trips, 1);
    await_stage(2);
    terse_client_free(client);
    fake_try_damaged(&options, blob, n);
    /* Who does not follow it goes where the token was made. */
    options.location = TERSE_CLIENT_OFF;
    assert_int_equal(terse_client_new(&client, &options), TERSE_CLIENT_OK);
    assert_int_equal(client->host, 0);
    assert_int_equal(client->token_host, 0);
    assert_string_equal(client->token, FAKE_TOKEN);
    terse_client_free(client);
    /* And who does not know that host either, anywhere, by password. */
    options.host = "localhost";
    assert_int_equal(terse_client_new(&client, &options), TERSE_CLIENT_OK);
    assert_null(client->token);
    terse_client_free(client);
    free(blob);
    fake_stop(&pair.base);
    fake_stop(&pair.there);
}

/* ---- a server that knows less
 * ------------------------------------------------------------------------- */

#define LATER "see you tomorrow"
#define TEXT "<message to='a@b'><body>" LATER "</body></message>"
/* Shorter as a number, for who knows what that is; so is PREVID, in <resume/>.
 */
#define PREVID "fs9fybo9qa"
#define BOUND_PREVID                                                           \
    "<bound xmlns='" PHONE_NS_BIND2 "'><enabled xmlns='" PHONE_NS_SM           \
    "' id='" PREVID "' resume='true'/></bound>" FAKE_NEXT
#define RESUMED_PREVID                                                         \
    "<resumed xmlns='" PHONE_NS_SM "' h='0' previd='" PREVID "'/>"

static void expect_previd(struct fake *fake, bool plain) {
    fake_expect(fake, "<open");
    fake_expect(fake, "previd='" PREVID "'");
    fake_expect_plain(fake, PREVID, plain);
}

/* Begins as a new one; is there an old one when the client comes back, what was
 * sent in vain is nothing that it can read. It hangs up. */
static void grow_old(struct fake *fake) {
    fake_login2(fake, BOUND_PREVID);
    fake_expect(fake, LATER);
    fake_expect_plain(fake, LATER, false);
    fake_again(fake);
    fake->old = true;
    expect_previd(fake, false);
    fake_again(fake);
    expect_previd(fake, true);
    fake_send_open(fake);
    fake_send(fake, "<stream:features/>");
    fake_success2(fake, FAKE_ANSWER, RESUMED_PREVID FAKE_NEXT);
    fake_expect(fake, LATER); /* it is encoded anew */
    fake_expect_plain(fake, LATER, true);
    atomic_store(&stage, 1);
    fake_expect(fake, LATER); /* and what comes next */
    fake_expect_plain(fake, LATER, true);
    fake_again(fake);
    fake->old = false;
    expect_previd(fake, true); /* as it was the last time */
    fake_send_open(fake);
    fake_send(fake, "<stream:features/>");
    fake_success2(fake, FAKE_ANSWER, RESUMED_PREVID FAKE_NEXT);
    fake_expect(fake, LATER); /* as it was made at first */
    fake_expect_plain(fake, LATER, false);
    fake_expect(fake, LATER); /* and this one for the older */
    fake_expect_plain(fake, LATER, true);
    atomic_store(&stage, 2);
    fake_expect(fake, LATER);
    fake_expect_plain(fake, LATER, false); /* as short as can be again */
    atomic_store(&stage, 3);
    fake_expect_eof(fake);
}

static void test_older_server_gets_what_it_can_read(void **state) {
    struct terse_client_options options;
    struct terse_client *client;
    struct fake fake;

    (void)state;
    atomic_store(&stage, 0);
    fake_start(&fake, grow_old, NULL);
    options = fake_options(&fake);
    client = begin(&options);
    send_xml(client, TEXT);
    for (int i = 1; i < 3; i++) {
        await_stage(i);
        send_xml(client, TEXT);
    }
    await_stage(3);
    end(&fake, client);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bounds_are_said_with_each_connection),
        cmocka_unit_test(test_bounds_are_not_said_unasked),
        cmocka_unit_test(test_bounds_are_not_said_again_after_sasl),
        cmocka_unit_test(test_bounds_that_cannot_be_are_refused),
        cmocka_unit_test(test_unacknowledged_is_asked_about),
        cmocka_unit_test(test_acknowledged_is_not_asked_about),
        cmocka_unit_test(test_receipt_is_not_asked_about),
        cmocka_unit_test(test_message_among_receipts_is_asked_about),
        cmocka_unit_test(test_inactive_client_waits_for_what_may_wait),
        cmocka_unit_test(test_active_client_waits_no_more),
        cmocka_unit_test(test_location_is_dialled_first),
        cmocka_unit_test(test_hint_leads_to_the_location),
        cmocka_unit_test(test_location_that_is_gone_is_left),
        cmocka_unit_test(test_location_that_does_not_answer_is_left_in_time),
        cmocka_unit_test(test_location_has_not_the_last_word),
        cmocka_unit_test(test_location_is_not_followed_unasked),
        cmocka_unit_test(test_location_is_exported),
        cmocka_unit_test(test_older_server_gets_what_it_can_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
