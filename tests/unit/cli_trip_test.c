/*
 * cli_trip_test.c: every element of a text is told once, with its verdict.
 */
#include "cli/trip.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* What was told, one letter each: o e c for the events that came back the
 * same, R for refused, F for failed. */
static char told[64];
static char last_text[240];

static void note(void *arg, const struct trip_item *item) {
    static const char events[] = {
        [TERSE_OPEN] = 'o', [TERSE_ELEMENT] = 'e', [TERSE_CLOSE] = 'c'};
    static const char verdicts[] = {[TRIP_REFUSED] = 'R', [TRIP_FAILED] = 'F'};
    size_t n = strlen(told);
    (void)arg;
    assert_true(n + 1 < sizeof(told));
    told[n] = item->verdict == TRIP_SAME ? events[item->event]
                                         : verdicts[item->verdict];
    told[n + 1] = '\0';
    snprintf(last_text, sizeof(last_text), "%s", item->diff.text);
    if (item->verdict == TRIP_SAME)
        assert_true(item->frame.n > 0);
    else
        assert_true(item->diff.text[0] != '\0');
}

static const char *run_in(struct trip *trip, const char *header,
                          const char *xml) {
    told[0] = '\0';
    enum terse_err err =
        trip_run(trip, (struct terse_str){header, strlen(header)},
                 (struct terse_str){xml, strlen(xml)}, note, NULL);
    assert_int_equal(err, TERSE_OK);
    return told;
}

static const char *run(struct trip *trip, const char *xml) {
    return run_in(trip, trip_header, xml);
}

static int setup(void **state) {
    static struct trip trip;
    *state = &trip;
    return trip_init(&trip) == TERSE_OK ? 0 : -1;
}

static int teardown(void **state) {
    trip_fini(*state);
    return 0;
}

static void test_trip_elements_are_told_in_order(void **state) {
    assert_string_equal(run(*state, "<presence/>"), "e");
    assert_string_equal(run(*state, " <presence/>\n<iq id='1'/> "), "ee");
    assert_string_equal(run(*state, ""), "");
    assert_string_equal(run(*state, "</stream:stream>"), "c");
    assert_string_equal(run(*state, "<presence/></stream:stream>"), "ec");
}

static void test_trip_own_header_counts(void **state) {
    static const char header[] =
        "<?xml version='1.0'?><s:stream xmlns='jabber:client' "
        "xmlns:s='http://etherx.jabber.org/streams' to='a' version='1.0'>";
    char text[400];
    assert_string_equal(run(*state, header), "o");
    snprintf(text, sizeof(text), "%s<presence/></s:stream>", header);
    assert_string_equal(run(*state, text), "oec");
}

static void test_trip_forbidden_is_refused(void **state) {
    assert_string_equal(run(*state, "<presence><!-- x --></presence>"), "R");
    assert_string_equal(run(*state, "<presence/><a><?x?></a>"), "eR");
    assert_string_equal(run(*state, "<presence>&nbsp;</presence>"), "R");
    assert_string_equal(run(*state, "<!DOCTYPE x><presence/>"), "R");
    assert_string_equal(
        run(*state, "<presence/><!DOCTYPE x [<!ENTITY a 'b'>]>"), "eR");
}

static void test_trip_malformed_fails(void **state) {
    assert_string_equal(run(*state, "<presence>"), "F");
    assert_string_equal(run(*state, "<presence/><"), "eF");
    assert_string_equal(run(*state, "<presence></iq>"), "F");
    assert_string_equal(run(*state, "<no:such/>"), "F");
    assert_string_equal(run(*state, "\x01"), "F");
    /* and the next one starts afresh */
    assert_string_equal(run(*state, "<presence/>"), "e");
}

static void test_trip_context_declares(void **state) {
    static const char header[] =
        "<stream:stream xmlns='jabber:server' xmlns:db='jabber:server:dialback'"
        " xmlns:stream='http://etherx.jabber.org/streams'>";
    assert_string_equal(run_in(*state, header, "<db:result from='a'/>"), "e");
    assert_string_equal(run_in(*state, header, "<message to='a'/>"), "e");
    assert_string_equal(run(*state, "<db:result from='a'/>"), "F");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_trip_elements_are_told_in_order),
        cmocka_unit_test(test_trip_own_header_counts),
        cmocka_unit_test(test_trip_forbidden_is_refused),
        cmocka_unit_test(test_trip_malformed_fails),
        cmocka_unit_test(test_trip_context_declares),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
