/* proxy_limits_test.c: rates and addresses, with a clock of the test's own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "proxy/limits.h"

enum { SECOND = 1000000 };

static void test_bucket_holds_its_burst_and_no_more(void **state) {
    struct bucket b = {0};
    uint64_t now = 77 * SECOND;

    (void)state;
    for (int i = 0; i < 20; i++)
        assert_true(bucket_take(&b, now, 10, 20));
    assert_false(bucket_take(&b, now, 10, 20));
    /* A refusal costs nothing: one comes back each tenth of a second. */
    assert_true(bucket_take(&b, now + SECOND / 10, 10, 20));
    assert_false(bucket_take(&b, now + SECOND / 10, 10, 20));
    assert_false(bucket_full(&b, now + SECOND));
    assert_true(bucket_full(&b, now + 3 * SECOND));
    /* Full is full, however long it waits. */
    now += 1000U * SECOND;
    for (int i = 0; i < 20; i++)
        assert_true(bucket_take(&b, now, 10, 20));
    assert_false(bucket_take(&b, now, 10, 20));
}

static void test_bucket_says_how_long_what_is_owed_takes(void **state) {
    struct bucket b = {0};
    uint64_t now = 5;

    (void)state;
    assert_int_equal(bucket_spend(&b, now, 100, 100, 100), 0);
    assert_int_equal(bucket_spend(&b, now, 50, 100, 100), SECOND / 2);
    assert_int_equal(bucket_spend(&b, now + SECOND / 2, 1, 100, 100),
                     SECOND / 100);
    /* The largest that there is: no overflow. */
    assert_true(bucket_spend(&b, now, 67108864, 256, 1024) > 0);
}

static void test_addresses_count_each_for_itself(void **state) {
    struct addresses *a = addresses_new();

    (void)state;
    assert_non_null(a);
    for (int i = 0; i < 3; i++)
        assert_int_equal(addresses_enter(a, "192.0.2.1", 1, 3, 100), ADMIT_YES);
    assert_int_equal(addresses_enter(a, "192.0.2.1", 1, 3, 100),
                     ADMIT_TOO_MANY);
    assert_int_equal(addresses_enter(a, "::ffff:192.0.2.1", 1, 3, 100),
                     ADMIT_TOO_MANY);
    assert_int_equal(addresses_enter(a, "192.0.2.2", 1, 3, 100), ADMIT_YES);
    addresses_leave(a, "192.0.2.1", 1);
    assert_int_equal(addresses_enter(a, "192.0.2.1", 1, 3, 100), ADMIT_YES);
    addresses_free(a);
}

/* Whoever has one IPv6 address has 2^64 of them. */
static void test_addresses_take_a_64_as_one(void **state) {
    struct addresses *a = addresses_new();

    (void)state;
    assert_int_equal(addresses_enter(a, "2001:db8::1", 1, 2, 100), ADMIT_YES);
    assert_int_equal(addresses_enter(a, "2001:db8::ffff:2", 1, 2, 100),
                     ADMIT_YES);
    assert_int_equal(addresses_enter(a, "2001:db8::3", 1, 2, 100),
                     ADMIT_TOO_MANY);
    assert_int_equal(addresses_enter(a, "2001:db8:0:1::1", 1, 2, 100),
                     ADMIT_YES);
    addresses_free(a);
}

static void test_addresses_slow_down_who_comes_too_fast(void **state) {
    struct addresses *a = addresses_new();
    int let_in = 0;

    (void)state;
    for (int i = 0; i < 100; i++) {
        enum admission got = addresses_enter(a, "192.0.2.1", 9, 1000, 3);

        assert_true(got == ADMIT_YES || got == ADMIT_TOO_FAST);
        let_in += got == ADMIT_YES;
    }
    assert_int_equal(let_in, 30);
    /* Going does not help, waiting does. */
    for (int i = 0; i < 30; i++)
        addresses_leave(a, "192.0.2.1", 10);
    assert_int_equal(addresses_enter(a, "192.0.2.1", 10, 1000, 3),
                     ADMIT_TOO_FAST);
    assert_int_equal(addresses_enter(a, "192.0.2.1", SECOND / 2, 1000, 3),
                     ADMIT_YES);
    addresses_free(a);
}

/* A million addresses that came once are not remembered. */
static void test_addresses_forget_who_has_gone(void **state) {
    struct addresses *a = addresses_new();
    char peer[32];
    uint64_t now = 0;
    size_t most = 0;

    (void)state;
    for (unsigned i = 0; i < 1000000; i++) {
        snprintf(peer, sizeof(peer), "10.%u.%u.%u", i >> 16, i >> 8 & 255,
                 i & 255);
        now += 100; /* 10,000 per second; a bucket is full after 10 ms */
        assert_int_equal(addresses_enter(a, peer, now, 5, 100), ADMIT_YES);
        addresses_leave(a, peer, now);
        if (addresses_count(a) > most)
            most = addresses_count(a);
    }
    assert_true(most < 4096);
    addresses_free(a);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bucket_holds_its_burst_and_no_more),
        cmocka_unit_test(test_bucket_says_how_long_what_is_owed_takes),
        cmocka_unit_test(test_addresses_count_each_for_itself),
        cmocka_unit_test(test_addresses_take_a_64_as_one),
        cmocka_unit_test(test_addresses_slow_down_who_comes_too_fast),
        cmocka_unit_test(test_addresses_forget_who_has_gone),
    };

    return cmocka_run_group_tests_name("proxy_limits", tests, NULL, NULL);
}
