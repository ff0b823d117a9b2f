/*
 * cli_records_test.c: records of both kinds, and lines that are none.
 */
#include "cli/records.h"
#include "cli/trip.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char path[] = "/tmp/cli_records_test.XXXXXX";

/* Opens a file that holds text. */
static void open_text(struct records *records, const char *text) {
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    fputs(text, file);
    assert_int_equal(fclose(file), 0);
    assert_true(records_init(records, path));
}

static void assert_str(struct terse_str s, const char *want) {
    assert_int_equal(s.n, strlen(want));
    assert_memory_equal(s.p, want, s.n);
}

static bool holds(struct terse_str s, const char *what) {
    return memmem(s.p, s.n, what, strlen(what)) != NULL;
}

static void test_records_plain_has_default_context(void **state) {
    struct records r;
    struct record rec;
    (void)state;
    open_text(&r, "{\"xml\": \"<a/>\"}\n\n  \n{\"xml\": \"<b/>\"}");
    assert_int_equal(records_next(&r, &rec), RECORDS_ONE);
    assert_str(rec.xml, "<a/>");
    assert_str(rec.header, trip_header);
    assert_int_equal(rec.dir, -1);
    assert_int_equal(records_next(&r, &rec), RECORDS_ONE);
    assert_str(rec.xml, "<b/>");
    assert_int_equal(r.line, 4);
    assert_int_equal(records_next(&r, &rec), RECORDS_END);
    records_fini(&r);
}

static void test_records_ctx_becomes_header(void **state) {
    struct records r;
    struct record rec;
    (void)state;
    open_text(&r, "{\"xml\":\"<a/>\",\"ctx\":{\"\":\"jabber:server\","
                  "\"db\":\"a'b&<\",\"stream\":\"other\"}}\n");
    assert_int_equal(records_next(&r, &rec), RECORDS_ONE);
    assert_true(holds(rec.header, " xmlns='jabber:server'"));
    assert_true(holds(rec.header, " xmlns:db='a&apos;b&amp;&lt;'"));
    assert_true(holds(rec.header, " xmlns:stream='other'"));
    assert_true(holds(rec.header, "<own.stream:stream "));
    assert_false(holds(rec.header, "jabber:client"));
    records_fini(&r);
}

static void test_records_session_keeps_headers_by_direction(void **state) {
    struct records r;
    struct record rec;
    (void)state;
    open_text(
        &r,
        "{\"dir\":\"c2s\",\"kind\":\"stream-open\",\"xml\":\"<?xml "
        "version='1.0'?><stream:stream to='a'>\",\"conn\":1}\n"
        "{\"dir\":\"c2s\",\"kind\":\"stanza\",\"xml\":\"<a/>\",\"conn\":1}\n"
        "{\"dir\":\"s2c\",\"kind\":\"stanza\",\"xml\":\"<b/>\",\"conn\":1}\n"
        "{\"dir\":\"c2s\",\"kind\":\"stanza\",\"xml\":\"<c/>\",\"conn\":2}\n");
    assert_int_equal(records_next(&r, &rec), RECORDS_ONE);
    assert_int_equal(rec.kind, RECORD_OPEN);
    assert_true(rec.new_conn);
    assert_int_equal(records_next(&r, &rec), RECORDS_ONE);
    assert_str(rec.header, "<stream:stream to='a'>");
    assert_int_equal(rec.dir, 0);
    assert_false(rec.new_conn);
    assert_int_equal(records_next(&r, &rec), RECORDS_ONE);
    assert_str(rec.header, trip_header);
    assert_int_equal(rec.dir, 1);
    assert_int_equal(records_next(&r, &rec), RECORDS_ONE);
    assert_str(rec.header, trip_header);
    assert_true(rec.new_conn);
    records_fini(&r);
}

static void test_records_websocket_framing_is_a_header(void **state) {
    struct records r;
    struct record rec;
    (void)state;
    open_text(&r, "{\"dir\":\"s2c\",\"kind\":\"stream-open\",\"xml\":\"<open "
                  "xmlns='urn:ietf:params:xml:ns:xmpp-framing' id='&lt;' "
                  "xml:lang='en'/>\"}\n"
                  "{\"dir\":\"s2c\",\"kind\":\"stream-close\",\"xml\":\"<close "
                  "xmlns='urn:ietf:params:xml:ns:xmpp-framing'/>\"}\n"
                  "{\"dir\":\"s2c\",\"kind\":\"whitespace\",\"xml\":\" \"}\n");
    assert_int_equal(records_next(&r, &rec), RECORDS_ONE);
    assert_str(rec.xml, "<stream:stream xmlns='jabber:client' "
                        "xmlns:stream='http://etherx.jabber.org/streams' "
                        "id='&lt;' xml:lang='en'>");
    assert_true(holds(rec.raw, "<open "));
    assert_int_equal(records_next(&r, &rec), RECORDS_ONE);
    assert_str(rec.xml, "</stream:stream>");
    assert_int_equal(records_next(&r, &rec), RECORDS_ONE);
    assert_int_equal(rec.kind, RECORD_SPACE);
    records_fini(&r);
}

static void test_records_bad_lines_are_passed_over(void **state) {
    static const char *const bad[] = {"{",  "[]",
                                      "7",  "\"x\"",
                                      "{}", "{\"xml\":1}",
                                      "\1", "{\"xml\":\"\",\"ctx\":1}",
                                      "x",  "{\"xml\":\"\",\"ctx\":{\"a\":1}}"};
    struct records r;
    struct record rec;
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char text[100];
        snprintf(text, sizeof(text), "%s\n{\"xml\":\"<a/>\"}\n", bad[i]);
        open_text(&r, text);
        assert_int_equal(records_next(&r, &rec), RECORDS_BAD);
        assert_true(r.error[0] != '\0');
        assert_int_equal(records_next(&r, &rec), RECORDS_ONE);
        assert_str(rec.xml, "<a/>");
        records_fini(&r);
    }
}

static void test_records_overlong_line_is_passed_over(void **state) {
    struct records r;
    struct record rec;
    (void)state;
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    for (size_t i = 0; i <= RECORDS_LINE_MAX; i++)
        fputc('x', file);
    fputs("\n{\"xml\":\"<a/>\"}\n", file);
    assert_int_equal(fclose(file), 0);
    assert_true(records_init(&r, path));
    assert_int_equal(records_next(&r, &rec), RECORDS_BAD);
    assert_int_equal(records_next(&r, &rec), RECORDS_ONE);
    assert_int_equal(r.line, 2);
    records_fini(&r);
}

static void test_records_missing_file_says_why(void **state) {
    struct records r;
    (void)state;
    assert_false(records_init(&r, "/nonexistent/file"));
    assert_string_equal(r.error, "No such file or directory");
    records_fini(&r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_records_plain_has_default_context),
        cmocka_unit_test(test_records_ctx_becomes_header),
        cmocka_unit_test(test_records_session_keeps_headers_by_direction),
        cmocka_unit_test(test_records_websocket_framing_is_a_header),
        cmocka_unit_test(test_records_bad_lines_are_passed_over),
        cmocka_unit_test(test_records_overlong_line_is_passed_over),
        cmocka_unit_test(test_records_missing_file_says_why),
    };
    int fd = mkstemp(path);
    if (fd < 0)
        return 1;
    close(fd);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(path);
    return failed;
}
