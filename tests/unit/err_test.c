/* err_test.c: the first error is kept, with its path, and never overflows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codec/err.h"
#include "codec/str.h"
#include "tests/unit/codec_util.h"

static void test_err_first_one_is_kept(void **state) {
    struct terse_error e = {.code = TERSE_OK};
    (void)state;
    assert_int_equal(err_set(&e, TERSE_EXML, 7, "first %d", 1), TERSE_EXML);
    assert_int_equal(err_set(&e, TERSE_ELIMIT, 8, "second"), TERSE_ELIMIT);
    assert_int_equal(e.code, TERSE_EXML);
    assert_int_equal(e.offset, 7);
    assert_string_equal(e.text, "first 1");
    assert_int_equal(err_set(NULL, TERSE_EFRAME, 0, "x"), TERSE_EFRAME);
    err_path(NULL, str_of("a"));
}

static void test_err_path_grows_at_its_front_and_is_bounded(void **state) {
    struct terse_error e = {.code = TERSE_OK};
    char name[200];
    (void)state;
    err_path(&e, str_of("none")); /* no error: no path */
    assert_string_equal(e.path, "");
    err_set(&e, TERSE_EXML, 0, "x");
    err_path(&e, str_of("item"));
    err_path(&e, str_of("message"));
    assert_string_equal(e.path, "message/item");
    memset(name, 'n', sizeof(name));
    for (size_t n = 1; n < sizeof(name); n++)
        err_path(&e, (struct terse_str){name, n});
    assert_true(strlen(e.path) < sizeof(e.path));
}

static void test_err_long_text_is_cut(void **state) {
    struct terse_error e = {.code = TERSE_OK};
    char text[1000];
    (void)state;
    memset(text, 't', sizeof(text));
    text[999] = '\0';
    err_set(&e, TERSE_EXML, 0, "%s", text);
    assert_int_equal(strlen(e.text), sizeof(e.text) - 1);
}

static void test_err_every_code_has_a_condition(void **state) {
    (void)state;
    for (int code = TERSE_ENOMEM; code <= TERSE_EFRAME; code++)
        assert_string_not_equal(terse_err_condition((enum terse_err)code),
                                "undefined-condition");
    assert_string_equal(terse_err_condition(TERSE_OK), "undefined-condition");
}

/* A row of docs/codec.md: `| name | value |`, or `| TERSE_X | condition |`. */
static void documented(const char *docs, const char *name, const char *value) {
    char row[200];
    snprintf(row, sizeof(row), "| `%s` | %s |", name, value);
    if (!strstr(docs, row))
        fail_msg("docs/codec.md has no row '%s'", row);
}

static void test_err_docs_say_what_the_code_does(void **state) {
    const struct terse_limits *l = &terse_limits_default;
    const struct {
        const char *name;
        uint32_t value;
    } limits[] = {
        {"stanza_bytes", l->stanza_bytes},
        {"frame_bytes", l->frame_bytes},
        {"elements", l->elements},
        {"attributes", l->attributes},
        {"depth", l->depth},
        {"text_bytes", l->text_bytes},
        {"name_bytes", l->name_bytes},
    };
    static const char *const names[] = {
        "TERSE_OK",          "TERSE_ENOMEM",     "TERSE_EXML",
        "TERSE_ERESTRICTED", "TERSE_ENAMESPACE", "TERSE_EENCODING",
        "TERSE_ESTREAM",     "TERSE_ELIMIT",     "TERSE_EFRAME"};
    size_t n;
    char value[40], *docs = codec_slurp("docs/codec.md", &n);
    (void)state;
    assert_non_null(docs);
    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
        snprintf(value, sizeof(value), "%u", (unsigned)limits[i].value);
        documented(docs, limits[i].name, value);
    }
    for (int code = TERSE_ENOMEM; code <= TERSE_EFRAME; code++) {
        snprintf(value, sizeof(value), "`%s`",
                 terse_err_condition((enum terse_err)code));
        documented(docs, names[code], value);
    }
    free(docs);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_err_first_one_is_kept),
        cmocka_unit_test(test_err_path_grows_at_its_front_and_is_bounded),
        cmocka_unit_test(test_err_long_text_is_cut),
        cmocka_unit_test(test_err_every_code_has_a_condition),
        cmocka_unit_test(test_err_docs_say_what_the_code_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
