/*
 * regress_test.c: what once went wrong, in tests/regress: xml-NAME holds XML
 * behind a stream header, frame-NAME a frame. Each is put through what the
 * fuzzers check: splits do not matter, elements come back from their frames,
 * and what a frame stands for is one well-formed element.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/codec_util.h"

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

static size_t split_one(void *arg, size_t left) {
    (void)arg, (void)left;
    return 1;
}

static enum terse_err come_back(void *arg, enum terse_event event,
                                struct terse_node *node) {
    struct terse_buf frame, xml, want, got;
    struct terse_buf *all[] = {&frame, &xml, &want, &got};
    (void)arg;
    if (event != TERSE_ELEMENT)
        return TERSE_OK;
    for (size_t i = 0; i < 4; i++)
        terse_buf_init(all[i], SIZE_MAX / 4);
    codec_dump(&want, node);
    assert_int_equal(
        terse_encode(schema, &codec_wide, event, node, &frame, NULL), TERSE_OK);
    assert_int_equal(terse_decode(schema, &codec_wide, terse_buf_data(&frame),
                                  frame.len, TERSE_STANDALONE, &xml, NULL),
                     TERSE_OK);
    assert_true(
        codec_read_element(schema, true, terse_buf_data(&xml), xml.len, &got));
    assert_int_equal(got.len, want.len + 2); /* "E" and a line feed */
    assert_memory_equal(terse_buf_data(&got) + 1, terse_buf_data(&want),
                        want.len);
    for (size_t i = 0; i < 4; i++)
        terse_buf_fini(all[i]);
    return TERSE_OK;
}

static void check_xml(const char *name, const char *p, size_t n) {
    struct codec_events whole, split;
    struct terse_reader *reader;
    codec_read(schema, &terse_limits_default, p, n, NULL, NULL, &whole);
    codec_read(schema, &terse_limits_default, p, n, split_one, NULL, &split);
    if (whole.err != split.err || !codec_same(&whole.dump, &split.dump))
        fail_msg("%s: the split matters", name);
    assert_int_equal(terse_reader_new(&reader, schema, &terse_limits_default,
                                      come_back, NULL),
                     TERSE_OK);
    assert_int_equal(terse_reader_feed(reader, p, n), whole.err);
    terse_reader_free(reader);
    codec_events_fini(&whole);
    codec_events_fini(&split);
}

static void check_frame(const char *name, const void *p, size_t n) {
    struct terse_buf xml, dump;
    struct terse_frame_info info;
    bool found;
    terse_buf_init(&xml, SIZE_MAX / 4);
    terse_buf_init(&dump, SIZE_MAX / 4);
    enum terse_err seen =
        terse_frame_attr(schema, p, n, "", "id", &dump, &found);
    terse_buf_reset(&dump);
    if (terse_decode(schema, &codec_wide, p, n, TERSE_IN_STREAM, &xml, NULL) ==
        TERSE_OK) {
        assert_int_equal(seen, TERSE_OK);
        assert_int_equal(terse_frame_info(schema, p, n, &info), TERSE_OK);
        if (info.kind == TERSE_ELEMENT &&
            (!codec_read_element(schema, false, terse_buf_data(&xml), xml.len,
                                 &dump) ||
             !codec_expat_reads(terse_buf_data(&xml), xml.len, true)))
            fail_msg("%s: not one element", name);
    }
    terse_buf_fini(&xml);
    terse_buf_fini(&dump);
}

static void check(const char *name) {
    char path[512];
    size_t n, lead = sizeof(CODEC_HEADER) - 1;
    snprintf(path, sizeof(path), "tests/regress/%s", name);
    char *p = codec_slurp(path, &n);
    assert_non_null(p);
    if (strncmp(name, "xml-", 4) == 0) {
        char *whole = malloc(lead + n);
        assert_non_null(whole);
        memcpy(whole, CODEC_HEADER, lead);
        memcpy(whole + lead, p, n);
        check_xml(name, whole, lead + n);
        free(whole);
    }
    check_frame(name, p, n); /* any bytes may come as a frame */
    free(p);
}

static void test_regress_files_stay_right(void **state) {
    unsigned checked = 0;
    DIR *dir = opendir("tests/regress");
    (void)state;
    assert_non_null(dir);
    for (struct dirent *e; (e = readdir(dir));) {
        if (strncmp(e->d_name, "xml-", 4) != 0 &&
            strncmp(e->d_name, "frame-", 6) != 0)
            continue;
        check(e->d_name);
        checked++;
    }
    closedir(dir);
    assert_true(checked > 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_regress_files_stay_right),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
