/* proxy_sm_test.c: acknowledgements from end to end, and the queue of frames
 * that wait for them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "proxy/queue.h"
#include "proxy/sm.h"

static const struct sm_waits waits = {.ack = 100, .silent = 1000, .answer = 50};

static struct sm enabled(bool own) {
    struct sm sm = {0};

    sm_enable(&sm);
    sm_enabled(&sm, own);
    assert_true(sm.on);
    return sm;
}

static void test_sm_tells_the_client_only_what_the_server_has(void **state) {
    struct sm sm = enabled(true);
    struct sm_turn turn;

    (void)state;
    sm_up(&sm, true);
    sm_up(&sm, true);
    sm_client_asks(&sm);
    turn = sm_turn(&sm, &waits, 10, true, true, 10);
    assert_true(turn.ask_server);
    assert_false(turn.tell_client);
    assert_true(sm_server_acks(&sm, 1));
    turn = sm_turn(&sm, &waits, 11, true, false, 10);
    assert_false(turn.tell_client); /* not yet all that was asked for */
    assert_true(sm_server_acks(&sm, 2));
    turn = sm_turn(&sm, &waits, 12, true, false, 10);
    assert_true(turn.tell_client);
    assert_int_equal(turn.client_h, 2);
}

/* Its questions come faster than the server's answers, and never stop. */
static void test_sm_client_that_goes_on_asking_is_answered(void **state) {
    struct sm sm = enabled(false);
    struct sm_turn turn;

    (void)state;
    sm_up(&sm, true);
    sm_client_asks(&sm);
    turn = sm_turn(&sm, &waits, 10, true, false, 10);
    assert_true(turn.ask_server);
    for (uint32_t i = 1; i < 20; i++) {
        sm_up(&sm, true);
        sm_client_asks(&sm);
        assert_true(sm_server_acks(&sm, i));
        turn = sm_turn(&sm, &waits, 10 + i, true, false, 10 + i);
        assert_true(turn.ask_server && turn.tell_client);
        assert_int_equal(turn.client_h, i);
    }
    assert_true(sm_server_acks(&sm, 20));
    turn = sm_turn(&sm, &waits, 40, true, false, 40);
    assert_true(turn.tell_client);
    assert_int_equal(turn.client_h, 20);
    turn = sm_turn(&sm, &waits, 41, true, false, 41);
    assert_false(turn.tell_client); /* it was said */
}

static void test_sm_answers_the_server_at_once_and_never_more(void **state) {
    struct sm sm = enabled(true);
    struct sm_turn turn;
    uint32_t n;

    (void)state;
    sm_down(&sm);
    sm_down(&sm);
    sm_server_asks(&sm);
    turn = sm_turn(&sm, &waits, 10, true, false, 10);
    assert_true(turn.tell_server);
    assert_int_equal(turn.server_h, 0);
    turn = sm_turn(&sm, &waits, 11, true, false, 10);
    assert_false(turn.tell_server);
    assert_true(sm_client_acks(&sm, 2, &n));
    assert_int_equal(n, 2);
    turn = sm_turn(&sm, &waits, 12, true, false, 10);
    assert_true(turn.tell_server);
    assert_int_equal(turn.server_h, 2);
}

static void test_sm_ack_rides_or_waits(void **state) {
    struct sm sm = enabled(true);
    struct sm_turn turn;

    (void)state;
    sm_up(&sm, true);
    (void)sm_turn(&sm, &waits, 10, true, false, 10);
    assert_true(sm_server_acks(&sm, 1));
    turn = sm_turn(&sm, &waits, 20, true, false, 10);
    assert_false(turn.tell_client);
    assert_int_equal(turn.again, 120);
    turn = sm_turn(&sm, &waits, 119, true, false, 10);
    assert_false(turn.tell_client);
    turn = sm_turn(&sm, &waits, 120, true, false, 10);
    assert_true(turn.tell_client);
    assert_int_equal(turn.again, 0);
    sm_up(&sm, true);
    assert_true(sm_server_acks(&sm, 2));
    turn = sm_turn(&sm, &waits, 130, true, true, 10);
    assert_true(turn.tell_client);
    assert_int_equal(turn.client_h, 2);
}

/* What nobody looks after waits longer, but not for longer than what somebody
 * does that comes behind it. */
static void test_sm_ack_of_what_matters_comes_sooner(void **state) {
    struct sm sm = enabled(true);
    struct sm_turn turn;

    (void)state;
    sm_up(&sm, false);
    assert_true(sm_server_acks(&sm, 1));
    turn = sm_turn(&sm, &waits, 10, true, false, 10);
    assert_int_equal(turn.again, 1010);
    sm_up(&sm, true);
    turn = sm_turn(&sm, &waits, 500, true, false, 10); /* not acknowledged */
    assert_int_equal(turn.again, 1010);
    assert_true(sm_server_acks(&sm, 2));
    turn = sm_turn(&sm, &waits, 510, true, false, 10);
    assert_int_equal(turn.again, 610);
    sm_up(&sm, false);
    assert_true(sm_server_acks(&sm, 3));
    turn = sm_turn(&sm, &waits, 610, true, false, 10);
    assert_true(turn.tell_client);
    assert_int_equal(turn.client_h, 3);
    sm_up(&sm, false);
    assert_true(sm_server_acks(&sm, 4));
    turn = sm_turn(&sm, &waits, 620, true, false, 10);
    assert_int_equal(turn.again, 1620);
    sm_resumed(&sm, true, 4, 0);
    turn = sm_turn(&sm, &waits, 700, true, false, 10);
    assert_int_equal(turn.again, 0);
    sm_early(&sm, 1);
    assert_true(sm_server_acks(&sm, 5));
    turn = sm_turn(&sm, &waits, 710, true, false, 10);
    assert_int_equal(turn.again, 810);
}

static void test_sm_client_is_asked_when_it_is_silent(void **state) {
    struct sm own = enabled(true), old = enabled(false);
    struct sm_turn turn;
    uint32_t n;

    (void)state;
    sm_down(&own);
    sm_down(&old);
    turn = sm_turn(&own, &waits, 10, true, true, 10);
    assert_int_equal(turn.again, 1010);
    turn = sm_turn(&old, &waits, 10, true, true, 10);
    assert_int_equal(turn.again, 110);
    turn = sm_turn(&old, &waits, 110, true, false, 10);
    assert_true(turn.ask_client);
    turn = sm_turn(&old, &waits, 120, true, false, 10);
    assert_false(turn.ask_client || turn.lost);
    turn = sm_turn(&old, &waits, 160, true, false, 130); /* it said something */
    assert_false(turn.lost);
    assert_int_equal(turn.again, 180);
    turn = sm_turn(&old, &waits, 180, true, false, 130);
    assert_true(turn.lost);
    assert_true(sm_client_acks(&old, 1, &n));
    turn = sm_turn(&old, &waits, 500, true, false, 130);
    assert_false(turn.ask_client || turn.lost);
    assert_int_equal(turn.again, 0);
}

static void test_sm_counts_wrap(void **state) {
    struct sm sm = {0};
    struct sm_turn turn;
    uint32_t n;

    (void)state;
    sm_resumed(&sm, true, UINT32_MAX - 1, UINT32_MAX);
    for (int i = 0; i < 3; i++) {
        sm_up(&sm, true);
        sm_down(&sm);
    }
    assert_false(sm_client_acks(&sm, 3, &n));
    assert_false(sm_client_acks(&sm, UINT32_MAX - 1, &n));
    assert_true(sm_client_acks(&sm, 1, &n));
    assert_int_equal(n, 2);
    assert_false(sm_server_acks(&sm, 2));
    assert_true(sm_server_acks(&sm, 0));
    assert_true(sm_server_acks(&sm, 1));
    turn = sm_turn(&sm, &waits, 10, true, true, 10);
    assert_true(turn.tell_client && turn.tell_server);
    assert_int_equal(turn.client_h, 1);
    assert_int_equal(turn.server_h, 1);
    assert_true(sm_settled(&sm));
}

/* What neither end can have is refused, and changes nothing. */
static void test_sm_refuses_too_much(void **state) {
    struct sm sm = enabled(true);
    uint32_t n;

    (void)state;
    sm_up(&sm, true);
    sm_down(&sm);
    assert_false(sm_server_acks(&sm, 2));
    assert_false(sm_client_acks(&sm, 2, &n));
    assert_int_equal(n, 0);
    assert_int_equal(sm.down_acked, 0);
    assert_true(sm_client_acks(&sm, 1, &n));
    assert_false(sm_client_acks(&sm, 0, &n)); /* back again */
}

/* Two stanzas came before the server began to count. */
static void test_sm_skew_is_not_the_servers(void **state) {
    struct sm sm = enabled(true);
    uint32_t n;

    (void)state;
    sm.skew = 2;
    sm_down(&sm);
    assert_true(sm_client_acks(&sm, 1, &n));
    assert_int_equal(n, 1);
    assert_int_equal(sm.down_acked, 0);
    assert_false(sm_client_acks(&sm, 0, &n));
    assert_true(sm_client_acks(&sm, 1, &n));
    assert_int_equal(n, 0);
    assert_true(sm_client_acks(&sm, 3, &n));
    assert_int_equal(n, 2); /* one of each kind */
    assert_false(sm_client_acks(&sm, 1, &n));
    assert_int_equal(sm.down_acked, 1);
    assert_int_equal(sm_client_count(&sm, 7), 5);
}

/* A client enables it and sends on before the answer: those count. */
static void test_sm_up_counts_from_enable(void **state) {
    struct sm sm = {0};

    (void)state;
    sm_up(&sm, true);
    sm_enable(&sm);
    sm_up(&sm, true);
    sm_enabled(&sm, false);
    sm_up(&sm, true);
    sm_enable(&sm); /* out of place: what there is stays */
    assert_int_equal(sm.up, 2);
    assert_true(sm.on);
}

static void test_sm_new_connection_is_told_anew(void **state) {
    struct sm sm = enabled(true);
    struct sm_turn turn;

    (void)state;
    sm_down(&sm);
    turn = sm_turn(&sm, &waits, 2000, true, true, 10);
    turn = sm_turn(&sm, &waits, 4000, true, true, 4000);
    assert_true(turn.ask_client);
    sm_cut(&sm);
    sm_server_asks(&sm);
    turn = sm_turn(&sm, &waits, 5000, false, false, 4000);
    assert_true(turn.tell_server);
    assert_int_equal(turn.server_h, 0);
    assert_false(turn.ask_client || turn.lost);
    turn = sm_turn(&sm, &waits, 6000, true, false, 6000);
    assert_false(turn.ask_client);
    assert_int_equal(turn.again, 7000);
}

/* ---- the queue --------------------------------------------------------------
 */

static void put(struct queue *queue, const char *text, bool stanza) {
    struct terse_buf buf;

    terse_buf_init(&buf, 100);
    assert_int_equal(terse_buf_append(&buf, text, strlen(text)), TERSE_OK);
    assert_int_equal(queue_put(queue, &buf, stanza), TERSE_OK);
    assert_null(buf.data);
}

static void expect(struct queue *queue, const char *text) {
    struct terse_str frame;

    assert_true(queue_take(queue, &frame));
    assert_int_equal(frame.n, strlen(text));
    assert_memory_equal(frame.p, text, frame.n);
}

static void expect_none(struct queue *queue) {
    struct terse_str frame;

    assert_false(queue_take(queue, &frame));
}

static void test_queue_sends_again_what_is_not_acknowledged(void **state) {
    struct queue queue = {.keeps = true};

    (void)state;
    put(&queue, "one", true);
    put(&queue, "beside", false);
    put(&queue, "two", true);
    expect(&queue, "one");
    expect(&queue, "beside");
    expect(&queue, "two");
    expect_none(&queue);
    assert_int_equal(queue.waiting, 0);
    put(&queue, "three", true);
    queue_acked(&queue, 1);
    put(&queue, "not again", false);
    put(&queue, "four", true);
    expect(&queue, "three");
    expect(&queue, "not again");
    queue_rewind(&queue);
    assert_int_equal(queue.waiting, queue.bytes);
    expect(&queue, "two");
    expect(&queue, "three");
    expect(&queue, "four");
    expect_none(&queue);
    queue_acked(&queue, 3);
    assert_int_equal(queue.frames, 0);
    assert_int_equal(queue.bytes, 0);
    queue_clear(&queue);
}

static void test_queue_that_keeps_nothing_is_a_queue(void **state) {
    struct queue queue = {0};

    (void)state;
    put(&queue, "one", true);
    put(&queue, "two", true);
    expect(&queue, "one");
    expect(&queue, "two");
    expect_none(&queue);
    assert_int_equal(queue.bytes, 0);
    put(&queue, "three", true);
    queue.keeps = true;
    expect(&queue, "three");
    put(&queue, "four", true);
    queue_keep_none(&queue);
    assert_int_equal(queue.frames, 1);
    expect(&queue, "four");
    queue_clear(&queue);
    assert_int_equal(queue.frames, 0);
    assert_int_equal(queue.waiting, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sm_tells_the_client_only_what_the_server_has),
        cmocka_unit_test(test_sm_client_that_goes_on_asking_is_answered),
        cmocka_unit_test(test_sm_answers_the_server_at_once_and_never_more),
        cmocka_unit_test(test_sm_ack_rides_or_waits),
        cmocka_unit_test(test_sm_ack_of_what_matters_comes_sooner),
        cmocka_unit_test(test_sm_client_is_asked_when_it_is_silent),
        cmocka_unit_test(test_sm_counts_wrap),
        cmocka_unit_test(test_sm_refuses_too_much),
        cmocka_unit_test(test_sm_skew_is_not_the_servers),
        cmocka_unit_test(test_sm_up_counts_from_enable),
        cmocka_unit_test(test_sm_new_connection_is_told_anew),
        cmocka_unit_test(test_queue_sends_again_what_is_not_acknowledged),
        cmocka_unit_test(test_queue_that_keeps_nothing_is_a_queue),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
