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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bounds_are_said_with_each_connection),
        cmocka_unit_test(test_bounds_are_not_said_unasked),
        cmocka_unit_test(test_bounds_are_not_said_again_after_sasl),
        cmocka_unit_test(test_bounds_that_cannot_be_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
