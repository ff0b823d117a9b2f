/*
 * cli_same_test.c: what counts as the same element, and what does not.
 */
#include "cli/same.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static bool same(const char *a, const char *b, struct same_diff *diff) {
    xmlDocPtr x = same_parse(a, strlen(a), diff);
    assert_non_null(x);
    xmlDocPtr y = same_parse(b, strlen(b), diff);
    assert_non_null(y);
    diff->path[0] = diff->text[0] = '\0';
    bool result =
        same_element(xmlDocGetRootElement(x), xmlDocGetRootElement(y), diff);
    xmlFreeDoc(x);
    xmlFreeDoc(y);
    return result;
}

static void test_same_other_spelling_is_same(void **state) {
    static const char *const pairs[][2] = {
        {"<a x='1' y='2'/>", "<a  y=\"2\"\n x='1'></a>"},
        {"<a xmlns='u'><b/></a>", "<p:a xmlns:p='u'><p:b/></p:a>"},
        {"<a>x &lt; y</a>", "<a><![CDATA[x < y]]></a>"},
        {"<a>xAy</a>", "<a>x<![CDATA[A]]>&#121;</a>"},
        {"<a><b xmlns='v'/></a>", "<a xmlns:q='v'><q:b/></a>"},
        {"<a xml:lang='de'/>", "<a xml:lang='de'/>"},
        {"<a p:x='1' xmlns:p='u'/>", "<a q:x='1' xmlns:q='u'/>"},
        {"<a><b/><c>t</c> <d/></a>", "<a><b></b><c>t</c> <d/></a>"},
        {"<a xmlns='no uri, ['/>", "<p:a xmlns:p='no uri, ['/>"},
    };
    struct same_diff diff;
    (void)state;
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
        if (!same(pairs[i][0], pairs[i][1], &diff))
            fail_msg("%s and %s: %s", pairs[i][0], pairs[i][1], diff.text);
}

static void test_same_any_change_is_found(void **state) {
    static const char *const pairs[][2] = {
        {"<a x='1'/>", "<a x='2'/>"},
        {"<a x='1'/>", "<a/>"},
        {"<a/>", "<a x='1'/>"},
        {"<a x=''/>", "<a/>"},
        {"<a x='1'/>", "<a p:x='1' xmlns:p='u'/>"},
        {"<a x='1' y='1'/>", "<a x='1' z='1'/>"},
        {"<a/>", "<a xmlns='u'/>"},
        {"<a/>", "<b/>"},
        {"<a><b/><c/></a>", "<a><c/><b/></a>"},
        {"<a><b/></a>", "<a/>"},
        {"<a/>", "<a><b/></a>"},
        {"<a><b/></a>", "<a><b/><b/></a>"},
        {"<a> </a>", "<a/>"},
        {"<a> <b/></a>", "<a><b/></a>"},
        {"<a><b/> </a>", "<a><b/></a>"},
        {"<a>x</a>", "<a>x </a>"},
        {"<a>x<b/>y</a>", "<a>xy<b/></a>"},
        {"<a><b><c>deep</c></b></a>", "<a><b><c>deeP</c></b></a>"},
        {"<a><b/><c x='1'/></a>", "<a><b/><c x='01'/></a>"},
        {"<a><b><c/></b></a>", "<a><b/><c/></a>"},
    };
    struct same_diff diff;
    (void)state;
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        if (same(pairs[i][0], pairs[i][1], &diff))
            fail_msg("%s and %s pass as the same", pairs[i][0], pairs[i][1]);
        assert_true(strlen(diff.text) > 0);
    }
}

static void test_same_difference_names_its_place(void **state) {
    struct same_diff diff;
    (void)state;
    assert_false(
        same("<m><x><i j='1'/></x></m>", "<m><x><i j='2'/></x></m>", &diff));
    assert_string_equal(diff.path, "m/x/i");
    assert_string_equal(diff.text, "attribute 'j' was '1', became '2'");
}

static void test_same_long_path_keeps_its_end(void **state) {
    char a[4000] = "", b[4000];
    struct same_diff diff;
    (void)state;
    for (int i = 0; i < 100; i++)
        strcat(a, "<elem>");
    strcpy(b, a);
    strcat(a, "<end/>");
    for (int i = 0; i < 100; i++) {
        strcat(a, "</elem>");
        strcat(b, "</elem>");
    }
    assert_false(same(a, b, &diff));
    assert_true(strlen(diff.path) < sizeof(diff.path));
    assert_string_equal(diff.path + strlen(diff.path) - 9, "elem/elem");
}

static void test_same_parse_malformed_says_why(void **state) {
    static const char *const bad[] = {"",
                                      "<a>",
                                      "<a></b>",
                                      "<p:a/>",
                                      "<a>&nbsp;</a>",
                                      "<a x='1' x='2'/>",
                                      "\xff",
                                      "<a xmlns:p=''/>",
                                      "<a:b:c xmlns:a='u'/>"};
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct same_diff diff = {"", ""};
        assert_null(same_parse(bad[i], strlen(bad[i]), &diff));
        assert_true(strlen(diff.text) > 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_other_spelling_is_same),
        cmocka_unit_test(test_same_any_change_is_found),
        cmocka_unit_test(test_same_difference_names_its_place),
        cmocka_unit_test(test_same_long_path_keeps_its_end),
        cmocka_unit_test(test_same_parse_malformed_says_why),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
