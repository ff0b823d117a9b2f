/* How a client keeps a session and comes back to it: what it says beside its
 * headers, when it asks whether anybody is there, where it dials first; against
 * servers that follow a script. */
#include "tests/unit/client_fake.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

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

static void be_silent(struct fake *fake) {
    beat_and_log_in(fake);
    fake_expect(fake, "one");
    fake_expect_ping(fake);
    fake_pong(fake);
    fake_expect_ping(fake); /* it is here, but it has not acknowledged */
    fake_send(fake, "<a xmlns='" PHONE_NS_SM "' h='1'/>");
    fake_expect_silence(fake, QUIET);
    atomic_store(&stage, 1);
    fake_expect_eof(fake);
}

static void test_unacknowledged_is_asked_about(void **state) {
    struct fake fake;
    struct terse_client *client =
        begin_in_a_hurry(&fake, be_silent, TERSE_CLIENT_UNSAID);

    (void)state;
    send_xml(client, ONE);
    await_stage(1);
    end(&fake, client);
}

static void acknowledge(struct fake *fake) {
    beat_and_log_in(fake);
    fake_expect(fake, "one");
    fake_send(fake, "<a xmlns='" PHONE_NS_SM "' h='1'/>");
    fake_expect_silence(fake, QUIET);
    atomic_store(&stage, 1);
    fake_expect_eof(fake);
}

/* With the acknowledgement it is over: nothing more is asked for. */
static void test_acknowledged_is_not_asked_about(void **state) {
    struct fake fake;
    struct terse_client *client =
        begin_in_a_hurry(&fake, acknowledge, TERSE_CLIENT_UNSAID);

    (void)state;
    send_xml(client, ONE);
    await_stage(1);
    end(&fake, client);
}

static void tell_late(struct fake *fake) {
    beat_and_log_in(fake);
    fake_expect(fake, "received");
    fake_send(fake, "<presence from='a@b/c'/>");
    fake_expect_silence(fake, QUIET);
    atomic_store(&stage, 1);
    fake_expect_eof(fake);
}

/* tersed tells late of receipts, whatever comes meanwhile. */
static void test_receipt_is_not_asked_about(void **state) {
    struct fake fake;
    struct terse_client *client =
        begin_in_a_hurry(&fake, tell_late, TERSE_CLIENT_UNSAID);

    (void)state;
    send_xml(client, RECEIPT);
    await_stage(1);
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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bounds_are_said_with_each_connection),
        cmocka_unit_test(test_bounds_are_not_said_unasked),
        cmocka_unit_test(test_bounds_are_not_said_again_after_sasl),
        cmocka_unit_test(test_bounds_that_cannot_be_are_refused),
        cmocka_unit_test(test_unacknowledged_is_asked_about),
        cmocka_unit_test(test_acknowledged_is_not_asked_about),
        cmocka_unit_test(test_receipt_is_not_asked_about),
        cmocka_unit_test(test_inactive_client_waits_for_what_may_wait),
        cmocka_unit_test(test_active_client_waits_no_more),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
