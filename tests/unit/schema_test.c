/* schema_test.c: the derived tables say what the generated ones say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "codec/schema.h"
#include "codec/str.h"

static struct terse_schema *schema;

static int setup(void **state) {
    (void)state;
    return terse_schema_new(&schema) == TERSE_OK ? 0 : 1;
}

static int teardown(void **state) {
    (void)state;
    terse_schema_free(schema);
    return 0;
}

static void test_schema_every_field_is_found_by_number(void **state) {
    (void)state;
    for (uint16_t i = 0; i < terse_tables.n_types; i++) {
        const struct table_type *t = &terse_tables.types[i];
        const struct sc_type *type = schema_type(schema, i);
        unsigned found = 0;
        for (uint32_t n = 0; n <= type->max_number + 2; n++)
            found += schema_field(type, n) != NULL;
        assert_int_equal(found, t->n_fields);
        for (uint16_t j = 0; j < t->n_fields; j++)
            assert_ptr_equal(schema_field(type, t->fields[j].number)->t,
                             &t->fields[j]);
        assert_null(schema_field(type, UINT32_MAX));
    }
}

/* The encoder puts what a message has no field for into its rest: without one
 * it would have nowhere to go. */
static void test_schema_every_child_message_has_a_rest(void **state) {
    (void)state;
    for (uint16_t i = 0; i < terse_tables.n_types; i++) {
        const struct table_type *t = &terse_tables.types[i];
        for (uint16_t j = 0; j < t->n_fields; j++) {
            const struct table_field *f = &t->fields[j];
            if (f->bind != BIND_CHILD || strcmp(f->proto, "close") == 0)
                continue;
            if (!schema_type(schema, f->type)->rest)
                fail_msg("%s.%s: no rest", t->proto, f->proto);
        }
    }
}

static enum sc_item item_of(const struct table_field *f) {
    return f->bind == BIND_ATTR   ? ITEM_ATTR
           : f->bind == BIND_TEXT ? ITEM_TEXT
                                  : ITEM_CHILD;
}

static bool has_way(const struct sc_ways *ways, const struct table_field *f) {
    for (uint16_t i = 0; i < ways->n; i++)
        if (ways->ways[i].field->t == f)
            return true;
    return false;
}

static void test_schema_every_field_is_a_way(void **state) {
    (void)state;
    for (uint16_t i = 0; i < terse_tables.n_types; i++) {
        const struct table_type *t = &terse_tables.types[i];
        for (uint16_t j = 0; j < t->n_fields; j++) {
            const struct table_field *f = &t->fields[j];
            uint16_t qname = 0;
            if (f->bind == BIND_NONE || f->bind == BIND_REST ||
                f->bind == BIND_CHOICE || strcmp(f->proto, "close") == 0)
                continue;
            if (f->bind != BIND_TEXT) {
                qname = schema_qname(schema, str_of(f->ns), str_of(f->name));
                assert_int_not_equal(qname, 0);
            }
            struct sc_ways ways =
                schema_ways(schema, schema_type(schema, i), item_of(f), qname);
            if (!has_way(&ways, f))
                fail_msg("%s.%s: no way leads to it", t->proto, f->proto);
        }
    }
}

/* Typed forms before plain characters, messages last. */
static void test_schema_ways_are_tried_in_order(void **state) {
    uint16_t id = schema_qname(schema, str_of(""), str_of("id"));
    uint16_t body =
        schema_qname(schema, str_of(TERSE_NS_CLIENT), str_of("body"));
    const struct sc_field *message = schema_field(schema_frame(schema), 1);
    const struct sc_type *type = schema_type(schema, message->t->type);
    (void)state;
    struct sc_ways ways = schema_ways(schema, type, ITEM_ATTR, id);
    assert_true(ways.n >= 2);
    assert_int_equal(ways.ways[ways.n - 1].field->t->form, FORM_PLAIN);
    ways = schema_ways(schema, type, ITEM_CHILD, body);
    assert_true(ways.n >= 2);
    assert_int_equal(ways.ways[ways.n - 1].field->t->bind, BIND_CHILD);
    assert_int_equal(schema_ways(schema, type, ITEM_CHILD, id).n, 0);
}

static void test_schema_unknown_names_have_no_qname(void **state) {
    (void)state;
    assert_int_equal(schema_qname(schema, str_of("urn:x-none"), str_of("a")),
                     0);
    assert_int_equal(schema_qname(schema, str_of(""), str_of("")), 0);
    assert_int_equal(
        schema_qname(schema, str_of(TERSE_NS_CLIENT), str_of("bod")), 0);
    assert_int_equal(
        schema_qname(schema, str_of(TERSE_NS_CLIENT "b"), str_of("ody")), 0);
}

static void test_schema_every_word_comes_back(void **state) {
    const struct table_enum *words = &terse_tables.enums[terse_tables.word];
    struct terse_str text;
    uint32_t number;
    (void)state;
    assert_true(words->n_values > 100);
    for (uint16_t i = 0; i < words->n_values; i++) {
        const struct table_value *v = &words->values[i];
        assert_true(schema_word(schema, str_of(v->text), v->since, &number));
        assert_int_equal(number, v->number);
        assert_true(schema_word_text(schema, number, &text));
        assert_true(str_is(text, v->text));
    }
    assert_false(schema_word(schema, str_of("no such word at all"), UINT32_MAX,
                             &number));
    assert_false(schema_word_text(schema, UINT64_MAX, &text));
    uint64_t last = words->values[words->n_values - 1].number;
    assert_false(schema_word_text(schema, last + 1, &text));
}

static void test_schema_free_of_nothing_is_fine(void **state) {
    (void)state;
    terse_schema_free(NULL);
    terse_reader_free(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_schema_every_field_is_found_by_number),
        cmocka_unit_test(test_schema_every_child_message_has_a_rest),
        cmocka_unit_test(test_schema_every_field_is_a_way),
        cmocka_unit_test(test_schema_ways_are_tried_in_order),
        cmocka_unit_test(test_schema_unknown_names_have_no_qname),
        cmocka_unit_test(test_schema_every_word_comes_back),
        cmocka_unit_test(test_schema_free_of_nothing_is_fine),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
