/* agent_memory_test.c: what the agent remembers, and what it does not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "client/agent_memory.h"

#define FEATURES "<stream:features><a xmlns='urn:a'/></stream:features>"

static char path[64];

static int set_up(void **state) {
    strcpy(path, "/tmp/agent-memory-XXXXXX");
    close(mkstemp(path));
    unlink(path);
    *state = NULL;
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    unlink(path);
    return 0;
}

static const char *recall(struct agent_memory *m, const char *domain) {
    static char text[MEMORY_FEATURES + 1];
    struct terse_buf xml;
    bool known;

    terse_buf_init(&xml, MEMORY_FEATURES);
    known = memory_recall(m, domain, &xml);
    if (known)
        memcpy(text, terse_buf_data(&xml), xml.len);
    text[xml.len] = '\0';
    terse_buf_fini(&xml);
    return known ? text : NULL;
}

static void learn(struct agent_memory *m, const char *domain, const char *xml) {
    memory_learn(m, domain, xml, strlen(xml));
}

static void test_memory_knows_what_it_learnt(void **state) {
    struct agent_memory *m = memory_new(NULL);

    (void)state;
    assert_null(recall(m, "a.example"));
    learn(m, "a.example", FEATURES);
    learn(m, "b.example", "<stream:features/>");
    assert_string_equal(recall(m, "A.Example"), FEATURES);
    assert_string_equal(recall(m, "b.example"), "<stream:features/>");
    learn(m, "a.example", "<stream:features/>");
    assert_string_equal(recall(m, "a.example"), "<stream:features/>");
    memory_forget(m, "a.example");
    assert_null(recall(m, "a.example"));
    assert_non_null(recall(m, "b.example"));
    memory_free(m);
}

static void test_memory_is_bounded_and_keeps_what_is_used(void **state) {
    struct agent_memory *m = memory_new(NULL);
    char domain[32], *large = calloc(1, MEMORY_FEATURES + 2);

    (void)state;
    learn(m, "kept.example", FEATURES);
    for (int i = 0; i < MEMORY_DOMAINS * 3; i++) {
        snprintf(domain, sizeof(domain), "%d.example", i);
        learn(m, domain, FEATURES);
        assert_non_null(recall(m, "kept.example"));
    }
    assert_null(recall(m, "0.example"));
    assert_non_null(recall(m, domain));
    memset(large, 'x', MEMORY_FEATURES + 1);
    learn(m, "large.example", large);
    assert_null(recall(m, "large.example"));
    learn(m, "two lines.example", FEATURES);
    assert_null(recall(m, "two lines.example"));
    free(large);
    memory_free(m);
}

static void test_memory_of_a_file_outlives_the_agent(void **state) {
    struct agent_memory *m = memory_new(path);
    char before[MEMORY_DEVICE], after[MEMORY_DEVICE];
    struct stat st;
    unsigned slot;

    (void)state;
    assert_true(memory_take_device(m, "joe@a.example", before, &slot));
    learn(m, "a.example", FEATURES);
    memory_free(m);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    m = memory_new(path);
    assert_string_equal(recall(m, "a.example"), FEATURES);
    assert_true(memory_take_device(m, "joe@a.example", after, &slot));
    assert_string_equal(before, after);
    memory_free(m);
}

static void test_memory_of_a_bad_file_is_as_new(void **state) {
    static const char *const bad[] = {
        "", "rubbish\n", "terse-agent 2\ndomain a.example PHN0cmVhbTpm\n",
        "terse-agent 1\ndevice not-a-device\ndomain\ndomain a.example\n"
        "domain a.example ====\ndomain a.example cnViYmlzaA==\n"
        "domain a.example PHN0cmVhbTpm\n"};

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        FILE *f = fopen(path, "w");
        struct agent_memory *m;
        char device[MEMORY_DEVICE];
        unsigned slot;

        fputs(bad[i], f);
        fclose(f);
        m = memory_new(path);
        assert_null(recall(m, "a.example"));
        assert_true(memory_take_device(m, "x", device, &slot));
        assert_int_equal(strlen(device), 36);
        learn(m, "a.example", FEATURES);
        memory_free(m);
        m = memory_new(path); /* it was written anew */
        assert_string_equal(recall(m, "a.example"), FEATURES);
        memory_free(m);
    }
}

static void test_memory_of_a_file_that_cannot_be_is_none(void **state) {
    struct agent_memory *m = memory_new("/nonexistent/dir/file");

    (void)state;
    assert_non_null(m);
    learn(m, "a.example", FEATURES);
    assert_non_null(recall(m, "a.example"));
    memory_free(m);
}

static void test_memory_gives_each_login_its_device(void **state) {
    struct agent_memory *m = memory_new(NULL), *other = memory_new(NULL);
    char id[4][MEMORY_DEVICE];
    unsigned slot[4];

    (void)state;
    for (int i = 0; i < 3; i++)
        assert_true(memory_take_device(m, "joe@a", id[i], &slot[i]));
    assert_string_not_equal(id[0], id[1]);
    assert_string_not_equal(id[1], id[2]);
    assert_true(memory_take_device(m, "ann@a", id[3], &slot[3]));
    assert_string_equal(id[3], id[0]); /* other accounts, other resources */
    memory_give_device(m, "joe@a", slot[1]);
    assert_true(memory_take_device(m, "joe@a", id[3], &slot[3]));
    assert_string_equal(id[3], id[1]); /* the one that is free again */
    assert_true(memory_take_device(other, "joe@a", id[3], &slot[3]));
    assert_string_not_equal(id[3], id[0]); /* another agent's */
    memory_free(m);
    memory_free(other);
}

#define t(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        t(test_memory_knows_what_it_learnt),
        t(test_memory_is_bounded_and_keeps_what_is_used),
        t(test_memory_of_a_file_outlives_the_agent),
        t(test_memory_of_a_bad_file_is_as_new),
        t(test_memory_of_a_file_that_cannot_be_is_none),
        t(test_memory_gives_each_login_its_device),
    };

    return cmocka_run_group_tests_name("agent_memory", tests, NULL, NULL);
}
