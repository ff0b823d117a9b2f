/*
 * cli_xmltext_test.c: headers, footers and forbidden markup are told apart.
 */
#include "cli/xmltext.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static struct terse_str str(const char *s) {
    return (struct terse_str){s, strlen(s)};
}

static void test_xmltext_forbidden_is_named(void **state) {
    static const struct {
        const char *xml, *what;
    } cases[] = {
        {"<a/>", NULL},
        {"<a>&amp;&lt;&gt;&quot;&apos;&#65;&#x41;</a>", NULL},
        {"<a><![CDATA[<!-- <? &nbsp; ]]></a>", NULL},
        {"<?xml version='1.0'?><a/>", NULL},
        {"<a>A & B; C</a>", NULL}, /* malformed, but no entity */
        {"<a><!-- x --></a>", "a comment"},
        {"<a><?x y?></a>", "a processing instruction"},
        {"<a/><?xml version='1.0'?>", "a processing instruction"},
        {"<!DOCTYPE a><a/>", "a document type"},
        {"<a>&nbsp;</a>", "an entity reference"},
        {"<a x='&foo;'/>", "an entity reference"},
        {"<a><![CDATA[x]]>&foo;</a>", "an entity reference"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *what = xmltext_forbidden(str(cases[i].xml));
        if (!cases[i].what)
            assert_null(what);
        else
            assert_string_equal(what, cases[i].what);
    }
}

static void test_xmltext_header_unclosed_is_found(void **state) {
    struct terse_str name;
    size_t n;
    (void)state;
    assert_true(xmltext_header(str("<?xml version='1.0'?>\n<s:stream to='a>b'"
                                   " xmlns:s='u'> "),
                               &name, &n));
    assert_int_equal(name.n, 8);
    assert_memory_equal(name.p, "s:stream", 8);
    assert_int_equal(n, strlen("<?xml version='1.0'?>\n<s:stream to='a>b'"
                               " xmlns:s='u'>"));
    assert_true(xmltext_header(str("<stream xmlns='u'><a/>"), &name, &n));
    assert_true(xmltext_header(str("<stream:stream a='b'><x/></stream:stream>"),
                               &name, &n));
}

static void test_xmltext_header_elements_are_none(void **state) {
    static const char *const none[] = {
        "",
        "<",
        "x",
        "<stream:features/>",
        "<stream",
        "<a>",
        "<stream x=''/>",
        "<stream>x</stream>",
        "  ",
        "<?xml",
        "</stream:stream>",
    };
    struct terse_str name;
    size_t n;
    (void)state;
    for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
        assert_false(xmltext_header(str(none[i]), &name, &n));
}

static void test_xmltext_footer_of_that_name_only(void **state) {
    (void)state;
    struct terse_str name = str("s:stream");
    assert_true(xmltext_footer(str("</s:stream>"), name));
    assert_true(xmltext_footer(str("<a/> </s:stream >\n"), name));
    assert_false(xmltext_footer(str("</stream>"), name));
    assert_false(xmltext_footer(str("s:stream>"), name));
    assert_false(xmltext_footer(str(">"), name));
    assert_false(xmltext_footer(str(""), name));
}

static void test_xmltext_blank_is_white_space(void **state) {
    (void)state;
    assert_true(xmltext_blank(str("")));
    assert_true(xmltext_blank(str(" \t\r\n")));
    assert_false(xmltext_blank(str(" . ")));
    assert_int_equal(xmltext_declaration(str("<?xml version='1.0'?> <a/>")),
                     22);
    assert_int_equal(xmltext_declaration(str("<?xmlx?><a/>")), 0);
    assert_int_equal(xmltext_declaration(str("<?xml version='1.0'")), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_xmltext_forbidden_is_named),
        cmocka_unit_test(test_xmltext_header_unclosed_is_found),
        cmocka_unit_test(test_xmltext_header_elements_are_none),
        cmocka_unit_test(test_xmltext_footer_of_that_name_only),
        cmocka_unit_test(test_xmltext_blank_is_white_space),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
