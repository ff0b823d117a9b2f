/* Frames that would make a receiver of state grow or work without end: each is
 * refused at a bound that was said, and costs no more than the limit for a
 * frame, however small it is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "codec/deflate.h"
#include "codec/slots.h"
#include "codec/wire.h"
#include "codec_util.h"

static struct terse_schema *schema;

/* A receiver, and the frame that it gets next. */
struct victim {
    struct terse_peer *peer;
    struct terse_work work;
    struct terse_buf frame, out;
};

static void victim_init(struct victim *v) {
    static const uint8_t open[] = {0x6a, 0x00};
    terse_work_init(&v->work, &terse_limits_default);
    terse_buf_init(&v->frame, codec_wide.frame_bytes);
    terse_buf_init(&v->out, terse_limits_default.frame_bytes);
    assert_int_equal(
        terse_peer_new(&v->peer, schema, &terse_state_limits_default, true),
        TERSE_OK);
    assert_int_equal(
        terse_peer_pack(v->peer, open, sizeof(open), &v->work, &v->out),
        TERSE_OK);
}

static void victim_fini(struct victim *v) {
    terse_peer_free(v->peer);
    terse_work_fini(&v->work);
    terse_buf_fini(&v->frame);
    terse_buf_fini(&v->out);
}

static enum terse_err victim_gets(struct victim *v,
                                  const struct terse_buf *frame) {
    return terse_peer_unpack(v->peer, terse_buf_data(frame), frame->len,
                             &v->work, &v->out);
}

/* No buffer is more than twice the limit, as buffers grow. */
static void victim_is_small(const struct victim *v) {
    size_t most = 2 * (size_t)terse_limits_default.frame_bytes;
    assert_true(v->work.a.cap <= most && v->work.b.cap <= most);
    assert_true(v->work.c.cap <= most && v->out.cap <= most);
}

static void put(struct terse_buf *out, const void *p, size_t n) {
    assert_int_equal(terse_buf_append(out, p, n), TERSE_OK);
}

/* Appends a field of bytes. */
static void put_field(struct terse_buf *out, uint32_t number, const void *p,
                      size_t n) {
    uint8_t head[12];
    size_t len = 0, left = n;
    head[len++] = (uint8_t)(number << 3 | WIRE_BYTES);
    for (; left >= 0x80; left >>= 7)
        head[len++] = (uint8_t)(left | 0x80);
    head[len++] = (uint8_t)left;
    put(out, head, len);
    put(out, p, n);
}

/* A message whose `to` is text, behind n bytes of mark. */
static void to_message(struct victim *v, const char *mark, size_t n,
                       const void *text, size_t len) {
    struct terse_buf field;
    terse_buf_init(&field, codec_wide.frame_bytes);
    put_field(&field, 1, text, len);
    terse_buf_reset(&v->frame);
    put(&v->frame, mark, n);
    put_field(&v->frame, 1, terse_buf_data(&field), field.len);
    terse_buf_fini(&field);
}

/* Slot 0 becomes twice what it was, again and again. */
static void test_hostile_slot_on_itself_ends_at_its_bound(void **state) {
    (void)state;
    struct victim v;
    enum terse_err err;
    size_t longest = 0;
    unsigned times = 0;
    victim_init(&v);
    to_message(&v, "", 0,
               "\x1c\x20"
               "12345678",
               10);
    assert_int_equal(victim_gets(&v, &v.frame), TERSE_OK);
    to_message(&v, "", 0, "\x1c\x20\x01\x01", 4);
    while ((err = victim_gets(&v, &v.frame)) == TERSE_OK) {
        longest = v.out.len;
        assert_true(++times < 10);
    }
    assert_int_equal(err, TERSE_EFRAME);
    assert_int_equal(times, 6); /* 512 bytes; 1024 are more than a slot has */
    assert_true(longest > 512 && longest < SLOT_BYTES_MAX);
    victim_fini(&v);
}

/* All slots as long as may be: no more than what was said. */
static void test_hostile_slots_end_at_their_sum(void **state) {
    (void)state;
    struct victim v;
    char text[2 + 1000] = "\x1c";
    unsigned times = 0;
    memset(text + 2, 'x', 1000);
    victim_init(&v);
    do {
        text[1] = (char)(0x20 + times);
        to_message(&v, "", 0, text, sizeof(text));
    } while (victim_gets(&v, &v.frame) == TERSE_OK && ++times < 100);
    assert_int_equal(times, terse_state_limits_default.slot_bytes / 1000);
    victim_fini(&v);
}

/* A few thousand bytes of references to a long slot. */
static void test_hostile_expansion_stops_at_the_limit(void **state) {
    (void)state;
    struct victim v;
    char text[2 + SLOT_BYTES_MAX] = "\x1c\x20", refs[2000];
    memset(text + 2, 'x', SLOT_BYTES_MAX);
    memset(refs, 0x01, sizeof(refs));
    victim_init(&v);
    to_message(&v, "", 0, text, sizeof(text));
    assert_int_equal(victim_gets(&v, &v.frame), TERSE_OK);
    to_message(&v, "", 0, refs, sizeof(refs));
    assert_int_equal(victim_gets(&v, &v.frame), TERSE_ELIMIT);
    victim_is_small(&v);
    victim_fini(&v);
}

/* The same, deflated: a million references in a kilobyte. */
static void test_hostile_deflated_expansion_stops_at_the_limit(void **state) {
    (void)state;
    struct victim v;
    struct terse_buf packed;
    size_t n = 1000 * 1000;
    char text[2 + 1000] = "\x1c\x20", *refs = malloc(n);
    assert_non_null(refs);
    memset(text + 2, 'x', 1000);
    memset(refs, 0x01, n);
    terse_buf_init(&packed, 2 * n);
    victim_init(&v);
    to_message(&v, "", 0, text, sizeof(text));
    assert_int_equal(victim_gets(&v, &v.frame), TERSE_OK);
    to_message(&v, "", 0, refs, n);
    struct terse_str in = {(const char *)terse_buf_data(&v.frame), v.frame.len};
    assert_int_equal(deflate_pack(in, &packed), TERSE_OK);
    assert_true(packed.len < 2000);
    terse_buf_reset(&v.frame);
    put_field(&v.frame, 8, terse_buf_data(&packed), packed.len);
    assert_int_equal(victim_gets(&v, &v.frame), TERSE_ELIMIT);
    victim_is_small(&v);
    terse_buf_fini(&packed);
    free(refs);
    victim_fini(&v);
}

/* Each patch leaves the template one child longer. */
static void test_hostile_merges_end_at_their_bound(void **state) {
    (void)state;
    struct victim v;
    struct terse_buf patch;
    char name[200]; /* of the child */
    unsigned times = 0;
    size_t longest = 0;
    enum terse_err err;
    memset(name, 'x', sizeof(name));
    terse_buf_init(&patch, 100000);
    victim_init(&v);
    to_message(&v, "\x38\x00", 2, "bob@example.org", 15);
    assert_int_equal(victim_gets(&v, &v.frame), TERSE_OK);
    terse_buf_reset(&patch);
    do {
        struct terse_buf child;
        terse_buf_init(&child, 1000);
        put_field(&child, 2, name, sizeof(name));
        terse_buf_reset(&v.frame);
        put(&v.frame, "\x30\x00", 2);
        put_field(&patch, 15, terse_buf_data(&child), child.len);
        put_field(&v.frame, 1, terse_buf_data(&patch), patch.len);
        patch.len -= child.len + 3; /* the next patch leaves it as it is */
        put(&patch, "\x7a\x00", 2);
        terse_buf_fini(&child);
        err = victim_gets(&v, &v.frame);
        if (err == TERSE_OK)
            longest = v.out.len;
    } while (err == TERSE_OK && ++times < 64);
    assert_int_equal(err, TERSE_EFRAME);
    assert_true(times > 20 && times < 64);
    assert_true(longest <= terse_state_limits_default.template_bytes / 2 + 8);
    terse_buf_fini(&patch);
    victim_fini(&v);
}

/* A patch of more fields than any is looked for. */
static void test_hostile_patch_of_many_fields_is_refused(void **state) {
    (void)state;
    struct victim v;
    struct terse_buf patch;
    terse_buf_init(&patch, 1000);
    victim_init(&v);
    to_message(&v, "\x38\x00", 2, "bob@example.org", 15);
    assert_int_equal(victim_gets(&v, &v.frame), TERSE_OK);
    for (int n = 64; n <= 65; n++) {
        terse_buf_reset(&patch);
        for (int i = 0; i < n; i++)
            put(&patch, "\x7a\x00", 2);
        terse_buf_reset(&v.frame);
        put(&v.frame, "\x30\x00", 2);
        put_field(&v.frame, 1, terse_buf_data(&patch), patch.len);
        assert_int_equal(victim_gets(&v, &v.frame),
                         n == 64 ? TERSE_OK : TERSE_EFRAME);
    }
    terse_buf_fini(&patch);
    victim_fini(&v);
}

static int setup(void **state) {
    (void)state;
    assert_int_equal(terse_schema_new(&schema), TERSE_OK);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    terse_schema_free(schema);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hostile_slot_on_itself_ends_at_its_bound),
        cmocka_unit_test(test_hostile_slots_end_at_their_sum),
        cmocka_unit_test(test_hostile_expansion_stops_at_the_limit),
        cmocka_unit_test(test_hostile_deflated_expansion_stops_at_the_limit),
        cmocka_unit_test(test_hostile_merges_end_at_their_bound),
        cmocka_unit_test(test_hostile_patch_of_many_fields_is_refused),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
