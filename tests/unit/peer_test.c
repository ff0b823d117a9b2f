/* Tests of codec/peer.c, state.c, templates.c, slots.c and deflate.c: what goes
 * in comes out, at any size of the tables, and nothing hostile gets through. */
#include <glob.h>
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "codec/deflate.h"
#include "codec/slots.h"
#include "codec/state.h"
#include "codec_util.h"

static struct terse_schema *schema;
static struct terse_work work;

static int setup(void **state) {
    (void)state;
    assert_int_equal(terse_schema_new(&schema), TERSE_OK);
    terse_work_init(&work, &codec_wide);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    terse_work_fini(&work);
    terse_schema_free(schema);
    return 0;
}

/* Both ends of a connection, and what passed between them. */
struct pair {
    struct terse_peer *end[2];
    struct terse_buf wire, back;
    size_t frames, bytes, plain;
};

static void pair_init(struct pair *p, const struct terse_state_limits *a,
                      const struct terse_state_limits *b) {
    *p = (struct pair){0};
    assert_int_equal(terse_peer_new(&p->end[0], schema, a, true), TERSE_OK);
    assert_int_equal(terse_peer_new(&p->end[1], schema, b, false), TERSE_OK);
    terse_buf_init(&p->wire, codec_wide.frame_bytes);
    terse_buf_init(&p->back, codec_wide.frame_bytes);
}

static void pair_fini(struct pair *p) {
    terse_peer_free(p->end[0]);
    terse_peer_free(p->end[1]);
    terse_buf_fini(&p->wire);
    terse_buf_fini(&p->back);
}

/* Sends one frame from end `from`; returns its bytes on the wire. */
static size_t pass(struct pair *p, int from, const struct terse_buf *frame) {
    assert_int_equal(terse_peer_pack(p->end[from], terse_buf_data(frame),
                                     frame->len, &work, &p->wire),
                     TERSE_OK);
    assert_int_equal(terse_peer_unpack(p->end[!from], terse_buf_data(&p->wire),
                                       p->wire.len, &work, &p->back),
                     TERSE_OK);
    assert_true(codec_same(frame, &p->back));
    p->frames++;
    p->bytes += p->wire.len;
    p->plain += frame->len;
    return p->wire.len;
}

static size_t pass_xml(struct pair *p, int from, const char *xml) {
    struct terse_buf frame;
    struct terse_error error;
    terse_buf_init(&frame, codec_wide.frame_bytes);
    assert_int_equal(
        codec_encode(schema, &codec_wide, xml, strlen(xml), &frame, &error),
        TERSE_OK);
    size_t n = pass(p, from, &frame);
    terse_buf_fini(&frame);
    return n;
}

/* Both ends say what they remember. */
static void pass_headers(struct pair *p) {
    static uint8_t open[] = {0x6a, 0x03, 0x0a, 0x01, 'x'};
    struct terse_buf frame = {.data = open, .len = sizeof(open)};
    pass(p, 0, &frame);
    pass(p, 1, &frame);
}

/* ---- recorded sessions -----------------------------------------------------
 */

static void pass_recording(struct pair *p, const char *path) {
    FILE *file = fopen(path, "r");
    char *line = NULL;
    size_t cap = 0;
    assert_non_null(file);
    while (getline(&line, &cap, file) > 0) {
        json_t *record = json_loads(line, 0, NULL);
        assert_non_null(record);
        const char *kind = json_string_value(json_object_get(record, "kind"));
        const char *dir = json_string_value(json_object_get(record, "dir"));
        const char *xml = json_string_value(json_object_get(record, "xml"));
        if (strcmp(kind, "stanza") == 0 || strcmp(kind, "nonza") == 0)
            pass_xml(p, strcmp(dir, "s2c") == 0, xml);
        json_decref(record);
    }
    free(line);
    fclose(file);
}

static void pass_corpus(const struct terse_state_limits *limits,
                        const char *pattern, size_t *bytes, size_t *plain) {
    glob_t found;
    *bytes = *plain = 0;
    assert_int_equal(glob(pattern, 0, NULL, &found), 0);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        struct pair p;
        pair_init(&p, limits, limits);
        pass_headers(&p);
        pass_recording(&p, found.gl_pathv[i]);
        *bytes += p.bytes;
        *plain += p.plain;
        pair_fini(&p);
    }
    globfree(&found);
}

static void test_peer_recordings_come_out_as_they_went_in(void **state) {
    (void)state;
    size_t bytes, plain;
    pass_corpus(&terse_state_limits_default, "tests/corpus/*.jsonl", &bytes,
                &plain);
    assert_true(bytes < plain * 6 / 10);
}

/* Tables of any size, none included; small ones evict all the time. */
static void test_peer_any_size_of_tables_loses_nothing(void **state) {
    (void)state;
    struct codec_random random = {42};
    size_t bytes, plain;
    for (int i = 0; i < 24; i++) {
        struct terse_state_limits limits = {
            (uint32_t)(codec_random(&random) % (i < 8 ? 4 : 200)),
            (uint32_t)(codec_random(&random) % (i < 16 ? 200 : 8000)),
            (uint32_t)(codec_random(&random) % (i < 8 ? 4 : 140)),
            (uint32_t)(codec_random(&random) % (i < 16 ? 2000 : 30000)),
        };
        pass_corpus(&limits, "tests/corpus/*_login20.jsonl", &bytes, &plain);
    }
    pass_corpus(&(struct terse_state_limits){0}, "tests/corpus/*_muc.jsonl",
                &bytes, &plain);
    assert_true(bytes <= plain + 3 * 6); /* three headers each way, at most */
}

/* Who remembers nothing says so, and its peer keeps to it. */
static void test_peer_without_bounds_keeps_nothing(void **state) {
    (void)state;
    struct pair p;
    pair_init(&p, &terse_state_limits_default, &(struct terse_state_limits){0});
    pass_headers(&p);
    for (int i = 0; i < 3; i++)
        pass_xml(&p, 0, "<message to='a@example.org'><body>x</body></message>");
    size_t to_none = p.bytes, plain = p.plain;
    for (int i = 0; i < 3; i++)
        pass_xml(&p, 1, "<message to='a@example.org'><body>x</body></message>");
    assert_true(p.bytes - to_none == p.plain - plain);
    pair_fini(&p);
}

/* Who is not asked says nothing: its header is as it was. */
static void test_peer_not_asked_says_nothing(void **state) {
    (void)state;
    static const uint8_t open[] = {0x6a, 0x03, 0x0a, 0x01, 'x'};
    struct pair p;
    pair_init(&p, &terse_state_limits_default, &terse_state_limits_default);
    assert_int_equal(
        terse_peer_unpack(p.end[1], open, sizeof(open), &work, &p.back),
        TERSE_OK);
    assert_int_equal(
        terse_peer_pack(p.end[1], open, sizeof(open), &work, &p.wire),
        TERSE_OK);
    assert_int_equal(p.wire.len, sizeof(open));
    assert_int_equal(terse_peer_revision(p.end[1]), 1);
    pair_fini(&p);
}

static void test_peer_revision_is_that_of_the_older_end(void **state) {
    (void)state;
    /* Open, and beside it revision 1, then 0, then one of a far future. */
    static const uint8_t old[] = {0x6a, 0x00, 0xa0, 0x01, 0x01};
    static const uint8_t none[] = {0x6a, 0x00, 0xa0, 0x01, 0x00};
    static const uint8_t future[] = {0x6a, 0x00, 0xa0, 0x01, 0xff, 0x7f};
    /* Beside it 1 in field 21 and "a" in 22, which nobody knows yet; 15. */
    static const uint8_t more[] = {0x6a, 0x00, 0xa0, 0x01, 0x02, 0xa8,
                                   0x01, 0x01, 0xb2, 0x01, 0x01, 'a'};
    static const uint8_t rest[] = {0x6a, 0x00, 0x78, 0x01};
    struct pair p;
    pair_init(&p, &terse_state_limits_default, &terse_state_limits_default);
    pass_headers(&p);
    uint32_t own = terse_peer_revision(p.end[0]);
    assert_true(own >= 2);
    assert_int_equal(terse_peer_revision(p.end[1]), own);
    assert_int_equal(
        terse_peer_unpack(p.end[1], old, sizeof(old), &work, &p.back),
        TERSE_OK);
    assert_int_equal(terse_peer_revision(p.end[1]), 1);
    assert_int_equal(
        terse_peer_unpack(p.end[1], future, sizeof(future), &work, &p.back),
        TERSE_OK);
    assert_int_equal(terse_peer_revision(p.end[1]), own);
    assert_int_equal(
        terse_peer_unpack(p.end[1], none, sizeof(none), &work, &p.back),
        TERSE_OK);
    assert_int_equal(terse_peer_revision(p.end[1]), 1);
    assert_int_equal(
        terse_peer_unpack(p.end[1], more, sizeof(more), &work, &p.back),
        TERSE_OK);
    assert_int_equal(p.back.len, 2);
    assert_int_equal(terse_peer_revision(p.end[1]), 2);
    assert_int_equal(
        terse_peer_unpack(p.end[1], more, sizeof(more) - 1, &work, &p.back),
        TERSE_EFRAME);
    assert_int_equal(
        terse_peer_unpack(p.end[1], rest, sizeof(rest), &work, &p.back),
        TERSE_EFRAME);
    pair_fini(&p);
}

/* As deep as the codec goes, known and unknown elements in turn. */
static void test_peer_deep_elements_come_out_as_they_went_in(void **state) {
    (void)state;
    struct pair p;
    char xml[4096] = "<message><body>x</body>";
    pair_init(&p, &terse_state_limits_default, &terse_state_limits_default);
    pass_headers(&p);
    for (int i = 0; i < 60; i++)
        strcat(xml, i % 3 ? "<deep>" : "<d xmlns='urn:example:d'>");
    for (int i = 60; i-- > 0;)
        strcat(xml, i % 3 ? "</deep>" : "</d>");
    strcat(xml, "</message>");
    for (int i = 0; i < 3; i++)
        pass_xml(&p, i & 1, xml);
    pair_fini(&p);
}

/* ---- what sizes tell
 * --------------------------------------------------------- */

#define TALK                                                                   \
    "<message to='bob@example.org/x' type='chat' id='%s'>"                     \
    "<body>%s</body></message>"

static size_t talk(struct pair *p, const char *id, const char *body) {
    char xml[512];
    snprintf(xml, sizeof(xml), TALK, id, body);
    return pass_xml(p, 0, xml);
}

/* A text costs the same whether it was said before, stands beside its like, or
 * is new: guessing it by size gains nothing. */
static void test_peer_text_costs_the_same_whatever_was_said(void **state) {
    (void)state;
    struct pair p;
    pair_init(&p, &terse_state_limits_default, &terse_state_limits_default);
    pass_headers(&p);
    talk(&p, "first", "xyzzy plugh secret");
    size_t same = talk(&p, "again", "xyzzy plugh secret");
    size_t other = talk(&p, "thrid", "qwfpg jluyi arstdh");
    size_t last = talk(&p, "forth", "xyzzy plugh secret");
    assert_int_equal(same, last);
    (void)other;
    size_t longer = talk(&p, "fifth", "xyzzy plugh secret xyzzy plugh secret");
    size_t again = talk(&p, "sixth", "xyzzy plugh secret xyzzy plugh secret");
    assert_int_equal(longer, again);
    pair_fini(&p);
}

static void test_peer_status_and_subject_are_not_kept(void **state) {
    (void)state;
    struct pair p;
    pair_init(&p, &terse_state_limits_default, &terse_state_limits_default);
    pass_headers(&p);
    const char *one = "<presence><status>at the xyzzy office</status>"
                      "<priority>5</priority></presence>";
    pass_xml(&p, 0, one);
    size_t repeated = pass_xml(&p, 0, one);
    assert_true(repeated > strlen("at the xyzzy office") / 2);
    pair_fini(&p);
}

/* A message that repeats all but its id and text is little more than those. */
static void test_peer_what_repeats_is_not_paid_twice(void **state) {
    (void)state;
    struct pair p;
    pair_init(&p, &terse_state_limits_default, &terse_state_limits_default);
    pass_headers(&p);
    size_t first = talk(&p, "aaaaa", "hi");
    size_t second = talk(&p, "bbbbb", "hi");
    assert_true(second + 15 < first);
    pair_fini(&p);
}

/* ---- hostile
 * ------------------------------------------------------------------ */

/* What a peer that remembers by default makes of bytes. */
static enum terse_err hostile(const void *bytes, size_t n) {
    struct pair p;
    pair_init(&p, &terse_state_limits_default, &terse_state_limits_default);
    pass_headers(&p);
    pass_xml(&p, 0,
             "<message to='bob@example.org' id='1'><body>x</body>"
             "</message>");
    enum terse_err err = terse_peer_unpack(p.end[1], bytes, n, &work, &p.back);
    pair_fini(&p);
    return err;
}

#define HOSTILE(...)                                                           \
    hostile((const uint8_t[]){__VA_ARGS__}, sizeof((uint8_t[]){__VA_ARGS__}))

static void test_peer_hostile_frames_are_refused(void **state) {
    (void)state;
    assert_int_equal(hostile("", 0), TERSE_EFRAME);
    assert_int_equal(HOSTILE(0x30, 0x00), TERSE_OK); /* like 0: it is there */
    assert_int_equal(HOSTILE(0x30, 0x05), TERSE_EFRAME);       /* like none */
    assert_int_equal(HOSTILE(0x30, 0xff, 0x7f), TERSE_EFRAME); /* like 16383 */
    assert_int_equal(HOSTILE(0x38, 0x00), TERSE_EFRAME); /* keep nothing */
    assert_int_equal(HOSTILE(0x38, 0x40, 0x0a, 0x00), TERSE_EFRAME);
    assert_int_equal(HOSTILE(0x30, 0x00, 0x38, 0x00), TERSE_EFRAME); /* both */
    assert_int_equal(HOSTILE(0x30, 0x00, 0x12, 0x00), TERSE_EFRAME); /* type */
    assert_int_equal(HOSTILE(0x0a, 0x03, 0x0a, 0x01, 0x19), TERSE_EFRAME);
    assert_int_equal(HOSTILE(0x0a, 0x04, 0x0a, 0x02, 0x1a, 0x7f),
                     TERSE_EFRAME); /* an empty slot */
    assert_int_equal(HOSTILE(0x0a, 0x03, 0x0a, 0x01, 0x1a), TERSE_EFRAME);
    assert_int_equal(HOSTILE(0x0a, 0x05, 0x0a, 0x03, 'a', 0x1c, 0x20),
                     TERSE_EFRAME); /* a definition inside */
    assert_int_equal(HOSTILE(0x0a, 0x05, 0x0a, 0x03, 0x1d, 0x7f, 'a'),
                     TERSE_EFRAME); /* a slot that was not agreed */
    assert_int_equal(HOSTILE(0x42, 0x02, 0x03, 0x00), TERSE_EFRAME); /* empty */
    assert_int_equal(HOSTILE(0x42, 0x03, 0xff, 0xff, 0xff), TERSE_EFRAME);
}

static void test_peer_deflated_in_deflated_is_refused(void **state) {
    (void)state;
    static const char inner[] = "\x42\x02\x03\x00";
    struct terse_buf packed, frame;
    terse_buf_init(&packed, 1000);
    terse_buf_init(&frame, 1000);
    char text[400];
    memset(text, 'a', sizeof(text));
    memcpy(text, inner, 4);
    assert_int_equal(
        deflate_pack((struct terse_str){text, sizeof(text)}, &packed),
        TERSE_OK);
    uint8_t head[2] = {0x42, (uint8_t)packed.len};
    assert_int_equal(terse_buf_append(&frame, head, 2), TERSE_OK);
    assert_int_equal(
        terse_buf_append(&frame, terse_buf_data(&packed), packed.len),
        TERSE_OK);
    assert_int_not_equal(hostile(terse_buf_data(&frame), frame.len), TERSE_OK);
    terse_buf_fini(&packed);
    terse_buf_fini(&frame);
}

/* 2 MB of zeros in 2 KB: stops at the bound, not behind it. */
static void test_deflate_bomb_stops_at_the_bound(void **state) {
    (void)state;
    size_t n = 2 * 1024 * 1024;
    char *zeros = calloc(1, n);
    struct terse_buf packed, out;
    terse_buf_init(&packed, n);
    terse_buf_init(&out, 100000);
    assert_int_equal(deflate_pack((struct terse_str){zeros, n}, &packed),
                     TERSE_OK);
    struct terse_str in = {(const char *)terse_buf_data(&packed), packed.len};
    assert_int_equal(deflate_unpack(in, &out), TERSE_ELIMIT);
    assert_true(out.cap <= 2 * 131072);
    terse_buf_fini(&packed);
    terse_buf_fini(&out);
    free(zeros);
}

/* Any mutation of what passes: refused, or something else, but no crash and no
 * growth. */
static void test_peer_mutated_frames_never_crash(void **state) {
    (void)state;
    struct codec_random random = {7};
    struct pair p;
    pair_init(&p, &terse_state_limits_default, &terse_state_limits_default);
    pass_headers(&p);
    for (int i = 0; i < 20000; i++) {
        uint8_t bytes[48] = {0};
        size_t n = 1 + codec_random(&random) % sizeof(bytes);
        static const uint8_t likely[] = {0x30, 0x38, 0x42, 0x0a, 0x12, 0x1a,
                                         0x00, 0x01, 0x02, 0x1c, 0x20, 0x7a};
        for (size_t j = 0; j < n; j++)
            bytes[j] = codec_random(&random) % 3
                           ? likely[codec_random(&random) % sizeof(likely)]
                           : (uint8_t)codec_random(&random);
        if (terse_peer_unpack(p.end[1], bytes, n, &work, &p.back) == TERSE_OK)
            assert_true(p.back.len <= codec_wide.frame_bytes);
    }
    pair_fini(&p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_peer_recordings_come_out_as_they_went_in),
        cmocka_unit_test(test_peer_any_size_of_tables_loses_nothing),
        cmocka_unit_test(test_peer_without_bounds_keeps_nothing),
        cmocka_unit_test(test_peer_not_asked_says_nothing),
        cmocka_unit_test(test_peer_revision_is_that_of_the_older_end),
        cmocka_unit_test(test_peer_deep_elements_come_out_as_they_went_in),
        cmocka_unit_test(test_peer_text_costs_the_same_whatever_was_said),
        cmocka_unit_test(test_peer_status_and_subject_are_not_kept),
        cmocka_unit_test(test_peer_what_repeats_is_not_paid_twice),
        cmocka_unit_test(test_peer_hostile_frames_are_refused),
        cmocka_unit_test(test_peer_deflated_in_deflated_is_refused),
        cmocka_unit_test(test_deflate_bomb_stops_at_the_bound),
        cmocka_unit_test(test_peer_mutated_frames_never_crash),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
