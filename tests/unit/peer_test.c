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

struct record {
    struct terse_buf frame;
    int dir;     /* 0: the client sent it */
    bool begins; /* a recording */
};

enum { RECORDS_MAX = 20000 };
static struct record *records;
static size_t n_records;

static void read_recording(const char *path) {
    FILE *file = fopen(path, "r");
    char *line = NULL;
    size_t cap = 0, first = n_records;
    struct terse_error error;
    assert_non_null(file);
    while (getline(&line, &cap, file) > 0) {
        json_t *record = json_loads(line, 0, NULL);
        assert_non_null(record);
        const char *kind = json_string_value(json_object_get(record, "kind"));
        const char *dir = json_string_value(json_object_get(record, "dir"));
        const char *xml = json_string_value(json_object_get(record, "xml"));
        if (strcmp(kind, "stanza") == 0 || strcmp(kind, "nonza") == 0) {
            assert_true(n_records < RECORDS_MAX);
            struct record *r = &records[n_records++];
            *r = (struct record){.dir = strcmp(dir, "s2c") == 0,
                                 .begins = n_records == first + 1};
            terse_buf_init(&r->frame, codec_wide.frame_bytes);
            assert_int_equal(codec_encode(schema, &codec_wide, xml, strlen(xml),
                                          &r->frame, &error),
                             TERSE_OK);
        }
        json_decref(record);
    }
    free(line);
    fclose(file);
}

static void read_recordings(void) {
    glob_t found;
    records = calloc(RECORDS_MAX, sizeof(*records));
    assert_non_null(records);
    assert_int_equal(glob("tests/corpus/*.jsonl", 0, NULL, &found), 0);
    for (size_t i = 0; i < found.gl_pathc; i++)
        read_recording(found.gl_pathv[i]);
    globfree(&found);
}

/* Frames on their way in one direction: in order, but late. */
enum { ON_THE_WAY = 100 };
struct queue {
    struct terse_buf wire[ON_THE_WAY];
    const struct terse_buf *plain[ON_THE_WAY];
    size_t first, n;
};

static struct queue queues[2];
static struct codec_random delays = {99};

static void deliver(struct pair *p, int from) {
    struct queue *q = &queues[from];
    const struct terse_buf *wire = &q->wire[q->first];
    assert_int_equal(terse_peer_unpack(p->end[!from], terse_buf_data(wire),
                                       wire->len, &work, &p->back),
                     TERSE_OK);
    assert_true(codec_same(q->plain[q->first], &p->back));
    q->first = (q->first + 1) % ON_THE_WAY;
    q->n--;
}

/* Sends a frame, which comes some time; so do those before it. slow: how much
 * later. */
static void post(struct pair *p, const struct record *r, uint32_t slow) {
    struct queue *q = &queues[r->dir];
    if (q->n == ON_THE_WAY)
        deliver(p, r->dir);
    struct terse_buf *wire = &q->wire[(q->first + q->n) % ON_THE_WAY];
    assert_int_equal(terse_peer_pack(p->end[r->dir], terse_buf_data(&r->frame),
                                     r->frame.len, &work, wire),
                     TERSE_OK);
    q->plain[(q->first + q->n++) % ON_THE_WAY] = &r->frame;
    p->frames++;
    p->bytes += wire->len;
    p->plain += r->frame.len;
    for (int from = 0; from < 2; from++)
        for (size_t n = codec_random(&delays) % slow ? 0 : queues[from].n;
             n > 0 && codec_random(&delays) % 8; n--)
            deliver(p, from);
}

static void deliver_all(struct pair *p) {
    while (queues[0].n + queues[1].n > 0) {
        int from = (int)(codec_random(&delays) & 1);
        if (queues[from].n > 0)
            deliver(p, from);
    }
}

struct sums {
    size_t bytes, plain, frames;
};

/* Passes the recordings of which `one_of` takes one, each over a connection of
 * its own. */
static struct sums pass_recordings(const struct terse_state_limits *a,
                                   const struct terse_state_limits *b,
                                   size_t one_of, size_t which, uint32_t slow) {
    struct pair p = {0};
    struct sums sums = {0, 0, 0};
    size_t recording = 0;
    bool wanted = false;
    for (size_t i = 0; i <= n_records; i++) {
        if (i == n_records || records[i].begins) {
            if (wanted) {
                deliver_all(&p);
                sums.bytes += p.bytes;
                sums.plain += p.plain;
                sums.frames += p.frames;
                pair_fini(&p);
            }
            wanted = i < n_records && recording++ % one_of == which % one_of;
            if (wanted) {
                pair_init(&p, a, b);
                pass_headers(&p);
            }
        }
        if (wanted)
            post(&p, &records[i], slow);
    }
    return sums;
}

static void test_peer_recordings_come_out_as_they_went_in(void **state) {
    (void)state;
    for (uint32_t slow = 1; slow <= 50; slow += 7) {
        struct sums sums =
            pass_recordings(&terse_state_limits_default,
                            &terse_state_limits_default, 1, 0, slow);
        assert_true(sums.frames > 14000);
        /* What is late is of less use, but not of none. */
        assert_true(sums.bytes < sums.plain * 45 / 100);
    }
}

/* Tables of any size, none included, alone and with all others; small ones
 * evict all the time. */
static void test_peer_any_size_of_tables_loses_nothing(void **state) {
    (void)state;
    enum { STEPS = 48 };
    for (uint32_t i = 0; i < STEPS; i++) {
        struct terse_state_limits a = {i * 4, i * 2 + i / 2, i % 47,
                                       i * i * 20};
        struct terse_state_limits b = a;
        uint32_t *one[] = {&a.slots, &a.templates, &a.journal, &a.bytes};
        if (i % 3 == 1)
            *one[i / 3 % 4] = 0;
        if (i % 3 == 2) { /* the edge of a book; one of each */
            b = (struct terse_state_limits){1, 1, 1, 510 + i % 8};
            a.bytes = 1700 + i % 11; /* of which the server says three tenths */
        }
        pass_recordings(&a, &b, 8, i, 1 + i % 30);
    }
    struct sums sums =
        pass_recordings(&(struct terse_state_limits){0},
                        &(struct terse_state_limits){0}, 4, 1, 5);
    assert_true(sums.bytes <= sums.plain + 30 * 2 * 6); /* headers */
}

/* Random ones, another pair each time. */
static void test_peer_random_tables_lose_nothing(void **state) {
    (void)state;
    struct codec_random random = {42};
    for (size_t i = 0; i < 40; i++) {
        struct terse_state_limits of[2];
        for (int j = 0; j < 2; j++)
            of[j] = (struct terse_state_limits){
                (uint32_t)(codec_random(&random) % (i < 16 ? 4 : 250)),
                (uint32_t)(codec_random(&random) % (i < 16 ? 4 : 140)),
                (uint32_t)(codec_random(&random) % (i < 16 ? 4 : 60)),
                (uint32_t)(codec_random(&random) % (i < 24 ? 3000 : 70000))};
        pass_recordings(&of[0], &of[1], 8, i, 1 + (uint32_t)i % 20);
    }
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

/* ---- hostile: more in hostile_test.c
 * ------------------------------------------------------------------ */

/* 2 MB of zeros in 2 KB: stops at the bound, not behind it. */
static void test_deflate_bomb_stops_at_the_bound(void **state) {
    (void)state;
    size_t n = 2 * 1024 * 1024;
    char *zeros = calloc(1, n);
    struct terse_str none = {NULL, 0};
    struct terse_buf packed, out;
    terse_buf_init(&packed, n);
    terse_buf_init(&out, 100000);
    assert_int_equal(deflate_pack((struct terse_str){zeros, n}, none, &packed),
                     TERSE_OK);
    struct terse_str in = {(const char *)terse_buf_data(&packed), packed.len};
    assert_int_equal(deflate_unpack(in, none, &out), TERSE_ELIMIT);
    assert_true(out.cap <= 2 * 131072);
    terse_buf_fini(&packed);
    terse_buf_fini(&out);
    free(zeros);
}

/* Any mutation of what passes: refused, or something else, but no crash and no
 * growth. */
static void test_peer_mutated_frames_never_crash(void **state) {
    (void)state;
    static const uint8_t asks[] = {0x1a, 0x09, 0x18, 0x00, 0x32, 0x05,
                                   'a',  'b',  'c',  'd',  '1'};
    struct codec_random random = {7};
    struct pair p;
    pair_init(&p, &terse_state_limits_default, &terse_state_limits_default);
    pass_headers(&p);
    for (int i = 0; i < 20000; i++) {
        uint8_t bytes[48] = {0};
        size_t n = 1 + codec_random(&random) % sizeof(bytes);
        static const uint8_t likely[] = {
            0x30, 0x38, 0x42, 0x48, 0x50, 0x58, 0x62, 0x0a, 0x12, 0x1a, 0x32,
            0x00, 0x01, 0x02, 0x04, 0x19, 0x1c, 0x1e, 0x1f, 0x20, 0x7a};
        for (size_t j = 0; j < n; j++)
            bytes[j] = codec_random(&random) % 3
                           ? likely[codec_random(&random) % sizeof(likely)]
                           : (uint8_t)codec_random(&random);
        if (i % 5 == 0) /* so that there is something to be about */
            assert_int_equal(
                terse_peer_pack(p.end[1], asks, sizeof(asks), &work, &p.wire),
                TERSE_OK);
        if (terse_peer_unpack(p.end[1], bytes, n, &work, &p.back) == TERSE_OK)
            assert_true(p.back.len <= codec_wide.frame_bytes);
    }
    pair_fini(&p);
}

static int setup(void **state) {
    (void)state;
    assert_int_equal(terse_schema_new(&schema), TERSE_OK);
    terse_work_init(&work, &codec_wide);
    for (size_t i = 0; i < 2 * ON_THE_WAY; i++)
        terse_buf_init(&queues[i % 2].wire[i / 2], codec_wide.frame_bytes);
    read_recordings();
    return 0;
}

static int teardown(void **state) {
    (void)state;
    for (size_t i = 0; i < 2 * ON_THE_WAY; i++)
        terse_buf_fini(&queues[i % 2].wire[i / 2]);
    for (size_t i = 0; i < n_records; i++)
        terse_buf_fini(&records[i].frame);
    free(records);
    terse_work_fini(&work);
    terse_schema_free(schema);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_peer_recordings_come_out_as_they_went_in),
        cmocka_unit_test(test_peer_any_size_of_tables_loses_nothing),
        cmocka_unit_test(test_peer_random_tables_lose_nothing),
        cmocka_unit_test(test_peer_without_bounds_keeps_nothing),
        cmocka_unit_test(test_peer_not_asked_says_nothing),
        cmocka_unit_test(test_peer_revision_is_that_of_the_older_end),
        cmocka_unit_test(test_peer_deep_elements_come_out_as_they_went_in),
        cmocka_unit_test(test_peer_text_costs_the_same_whatever_was_said),
        cmocka_unit_test(test_peer_status_and_subject_are_not_kept),
        cmocka_unit_test(test_peer_what_repeats_is_not_paid_twice),
        cmocka_unit_test(test_deflate_bomb_stops_at_the_bound),
        cmocka_unit_test(test_peer_mutated_frames_never_crash),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
