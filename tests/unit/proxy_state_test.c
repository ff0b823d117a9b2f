/* proxy_state_test.c: the transition table of a session. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proxy/state.h"

static enum state walk(enum state from, const enum event *events, size_t n) {
    for (size_t i = 0; i < n; i++)
        assert_true(state_next(from, events[i], &from));
    return from;
}

static void test_state_login_with_tls_reaches_up(void **state) {
    static const enum event events[] = {
        EVENT_CLIENT_OPEN,    EVENT_CONNECTED,      EVENT_SERVER_OPEN,
        EVENT_OFFER,          EVENT_PROCEED,        EVENT_SECURED,
        EVENT_SERVER_OPEN,    EVENT_SERVER_ELEMENT, EVENT_CLIENT_ELEMENT,
        EVENT_SUCCESS,        EVENT_CLIENT_OPEN,    EVENT_SERVER_OPEN,
        EVENT_CLIENT_ELEMENT,
    };

    (void)state;
    assert_int_equal(
        walk(STATE_GREETING, events, sizeof(events) / sizeof(events[0])),
        STATE_UP);
}

static void test_state_phone_is_lost_and_found(void **state) {
    static const enum event login[] = {
        EVENT_PROVED,
        EVENT_SERVER_OPEN,
        EVENT_SERVER_ELEMENT,
        EVENT_BOUND,
    };
    static const enum event back[] = {
        EVENT_CLIENT_LOST,    EVENT_SERVER_ELEMENT, EVENT_CLIENT_BACK,
        EVENT_SERVER_ELEMENT, EVENT_SETTLED,        EVENT_CLIENT_BACK,
        EVENT_CLIENT_BACK,    EVENT_CLIENT_LOST,
    };
    enum state next;

    (void)state;
    assert_int_equal(walk(STATE_LOGIN, login, 4), STATE_UP);
    assert_int_equal(walk(STATE_UP, back, 8), STATE_HELD);
    /* Before login there is nothing to come back to. */
    for (int s = STATE_GREETING; s < STATE_UP; s++) {
        assert_false(state_next((enum state)s, EVENT_CLIENT_BACK, &next));
        assert_false(state_next((enum state)s, EVENT_CLIENT_LOST, &next));
    }
}

static void test_state_close_from_client_waits_for_server(void **state) {
    static const enum event events[] = {
        EVENT_CLIENT_CLOSE, EVENT_SERVER_ELEMENT, EVENT_SERVER_CLOSE};

    (void)state;
    assert_int_equal(walk(STATE_UP, events, 3), STATE_OVER);
}

/* Nothing from the client passes before its header is at the server, and none
 * of the first stream's elements reach the client. */
static void test_state_elements_pass_only_when_bridged(void **state) {
    (void)state;
    for (int s = 0; s < STATE_COUNT; s++) {
        enum state next = STATE_COUNT;
        bool bridged = s == STATE_LOGIN || s == STATE_UP;

        assert_int_equal(state_next((enum state)s, EVENT_CLIENT_ELEMENT, &next),
                         bridged);
        assert_int_equal(state_next((enum state)s, EVENT_SERVER_ELEMENT, &next),
                         bridged || s == STATE_LEAVING || s == STATE_BINDING ||
                             s == STATE_HELD || s == STATE_RESUMING);
    }
}

static void test_state_every_one_named_reachable_and_ends(void **state) {
    bool reached[STATE_COUNT] = {[STATE_GREETING] = true};

    (void)state;
    for (int s = 0; s < STATE_COUNT; s++) {
        enum state next = STATE_COUNT;

        assert_non_null(state_names[s]);
        assert_int_equal(state_next((enum state)s, EVENT_END, &next),
                         s != STATE_OVER);
        for (int e = 0; e < EVENT_COUNT; e++) {
            assert_non_null(event_names[e]);
            if (!state_next((enum state)s, (enum event)e, &next))
                continue;
            assert_int_not_equal(s, STATE_OVER); /* nothing follows */
            reached[next] = true;
        }
    }
    for (int s = 0; s < STATE_COUNT; s++)
        assert_true(reached[s]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_state_login_with_tls_reaches_up),
        cmocka_unit_test(test_state_phone_is_lost_and_found),
        cmocka_unit_test(test_state_close_from_client_waits_for_server),
        cmocka_unit_test(test_state_elements_pass_only_when_bridged),
        cmocka_unit_test(test_state_every_one_named_reachable_and_ends),
    };

    return cmocka_run_group_tests_name("proxy_state", tests, NULL, NULL);
}
