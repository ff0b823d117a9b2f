/* Frames that would make a receiver of state grow or work without end: each is
 * refused at a bound that was said, and costs no more than the limit for a
 * frame, however small it is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "codec/deflate.h"
#include "codec/schema.h"
#include "codec/state.h"
#include "codec_util.h"

static struct terse_schema *schema;

/* A receiver, and the frame that it gets next. */
struct victim {
    struct terse_peer *peer;
    struct terse_work work;
    struct terse_buf frame, out;
};

static const struct terse_state_limits wide = {192, 128, 46, 60000};

static void victim_init_at(struct victim *v,
                           const struct terse_state_limits *bounds) {
    static const uint8_t open[] = {0x6a, 0x03, 0x0a, 0x01, 'x'};
    /* 192 slots, 128 templates, 46 ids, 60000 bytes */
    static const uint8_t said[] = {0x6a, 0x00, 0x80, 0x01, 0xc0, 0x01,
                                   0x88, 0x01, 0x80, 0x01, 0x90, 0x01,
                                   0x2e, 0x98, 0x01, 0xe0, 0xd4, 0x03};
    terse_work_init(&v->work, &terse_limits_default);
    terse_buf_init(&v->frame, codec_wide.frame_bytes);
    terse_buf_init(&v->out, terse_limits_default.frame_bytes);
    assert_int_equal(terse_peer_new(&v->peer, schema, bounds, true), TERSE_OK);
    assert_int_equal(
        terse_peer_pack(v->peer, open, sizeof(open), &v->work, &v->out),
        TERSE_OK);
    assert_int_equal(
        terse_peer_unpack(v->peer, said, sizeof(said), &v->work, &v->out),
        TERSE_OK);
}

static void victim_init(struct victim *v) {
    victim_init_at(v, &terse_state_limits_default);
}

/* Says an element itself: n bytes of its frame, or nothing. */
static void victim_says(struct victim *v, const void *p, size_t n) {
    if (n == 0)
        return;
    assert_int_equal(terse_peer_pack(v->peer, p, n, &v->work, &v->out),
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
    assert_true(v->work.c.cap <= most && v->work.d.cap <= most);
    assert_true(v->work.e.cap <= most && v->out.cap <= most);
}

static void put(struct terse_buf *out, const void *p, size_t n) {
    assert_int_equal(terse_buf_append(out, p, n), TERSE_OK);
}

/* Appends a field of bytes. */
static void put_field(struct terse_buf *out, uint32_t number, const void *p,
                      size_t n) {
    uint8_t head[2 * WIRE_VARINT_MAX];
    size_t len = wire_put_varint(head, (uint64_t)number << 3 | WIRE_BYTES);
    len += wire_put_varint(head + len, n);
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
    assert_int_equal(times, terse_state_limits_default.bytes / 1016);
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
    assert_int_equal(deflate_pack(in, (struct terse_str){NULL, 0}, &packed),
                     TERSE_OK);
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
    char name[2000]; /* of the child */
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
        terse_buf_init(&child, 3000);
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
    assert_true(times > 5 && times < 64);
    assert_true(longest <= terse_state_limits_default.bytes + 8);
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

/* ---- what is not there, or in the wrong place ----------------------------
 */

/* A victim that holds template 0 and slot 0 (bob), entry 1 (carol), and that
 * itself said one stanza with an id, abcd1. */
static void victim_prepare(struct victim *v) {
    static const uint8_t asks[] = {0x1a, 0x09, 0x18, 0x00, 0x32, 0x05,
                                   'a',  'b',  'c',  'd',  '1'};
    victim_init(v);
    to_message(v, "\x38\x00", 2,
               "\x1c\x20"
               "bob@example.org",
               17);
    assert_int_equal(victim_gets(v, &v->frame), TERSE_OK);
    to_message(v, "", 0,
               "\x19"
               "carol@example.org",
               18);
    assert_int_equal(victim_gets(v, &v->frame), TERSE_OK);
    victim_says(v, asks, sizeof(asks));
}

struct said {
    const char *bytes;
    size_t n;
    enum terse_err err;
};
#define SAID(err, bytes)                                                       \
    { bytes, sizeof(bytes) - 1, err }
#define REFUSED(bytes) SAID(TERSE_EFRAME, bytes)
#define TAKEN(bytes) SAID(TERSE_OK, bytes)
/* 2^64 - 1, 2^32 */
#define HUGE_ "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"
#define WIDE_ "\x80\x80\x80\x80\x10"

static void check_said(const struct said *of, size_t n) {
    for (size_t i = 0; i < n; i++) {
        struct victim v;
        victim_prepare(&v);
        terse_buf_reset(&v.frame);
        put(&v.frame, of[i].bytes, of[i].n);
        enum terse_err err = victim_gets(&v, &v.frame);
        if (err != of[i].err)
            fail_msg("%zu: %d", i, (int)err);
        victim_fini(&v);
    }
}
#define CHECK_SAID(of) check_said(of, sizeof(of) / sizeof(of[0]))

static void test_hostile_templates_are_refused(void **state) {
    (void)state;
    static const struct said all[] = {
        REFUSED(""),
        TAKEN("\x30\x00"),         /* like 0: it is there */
        TAKEN("\x0a\x00\x30\x00"), /* in any order */
        REFUSED("\x30\x01"),       /* like 1 */
        REFUSED("\x30\x05"),       /* like one that was never reached */
        REFUSED("\x30\xff\x7f"),   /* like 16383 */
        REFUSED("\x30" WIDE_),     /* like 2^32 + 0 */
        REFUSED("\x30" HUGE_),
        REFUSED("\x38\x00"),         /* keep nothing */
        TAKEN("\x38\x3f\x0a\x00"),   /* keep 63 */
        REFUSED("\x38\x40\x0a\x00"), /* keep 64 */
        REFUSED("\x38" WIDE_ "\x0a\x00"),
        REFUSED("\x38" HUGE_ "\x0a\x00"),
        REFUSED("\x30\x00\x38\x00"), /* both */
        REFUSED("\x30\x00\x38\x00\x0a\x00"),
        REFUSED("\x30\x00\x12\x00"),         /* another stanza */
        REFUSED("\x30\x00\x0a\x00\x0a\x00"), /* two of them */
        REFUSED("\x38\x00\x0a\x00\x12\x00"),
        REFUSED("\x30\x00\x20\x01"), /* beside <r/> */
        REFUSED("\x38\x00\x20\x01"),
        REFUSED("\x38\x00\x0a\x02\x30\x00"), /* no bytes behind a length */
        REFUSED("\x38\x00\x0a\x02\xf8\x7f"), /* no such field */
        REFUSED("\x30\x00\x0a\x02\x08\x00"), /* a number where bytes are */
    };
    CHECK_SAID(all);
}

static void test_hostile_fields_twice_are_refused(void **state) {
    (void)state;
    static const struct said all[] = {
        REFUSED("\x30\x00\x30\x00"),
        REFUSED("\x38\x00\x38\x01\x0a\x00"),
        REFUSED("\x48\x00\x48\x00\x0a\x00"),
        REFUSED("\x50\x00\x50\x01\x0a\x00"),
        REFUSED("\x58\x00\x58\x01\x0a\x00"),
        REFUSED("\xb2\x01\x01"
                "a"
                "\xb2\x01\x01"
                "b"
                "\x0a\x00"),
        REFUSED("\x42\x02\x03\x00\x42\x02\x03\x00"),
        /* of another type: like, keep, deflated, about, heard, enter, entry */
        REFUSED("\x32\x00\x0a\x00"),
        REFUSED("\x3a\x00\x0a\x00"),
        REFUSED("\x40\x00"),
        REFUSED("\x4a\x00\x0a\x00"),
        REFUSED("\x52\x00\x0a\x00"),
        REFUSED("\x5a\x00\x0a\x00"),
        REFUSED("\xb0\x01\x00\x0a\x00"),
    };
    CHECK_SAID(all);
}

#define TO(n, text) "\x0a" n text
static void test_hostile_strings_are_refused(void **state) {
    (void)state;
    static const struct said all[] = {
        TAKEN("\x0a\x03" TO("\x01", "\x01")),   /* slot 0 */
        REFUSED("\x0a\x03" TO("\x01", "\x02")), /* slot 1: empty */
        REFUSED("\x0a\x03" TO("\x01", "\x18")), /* slot 18 */
        REFUSED("\x0a\x04" TO("\x02", "\x1a\x7f")),
        REFUSED("\x0a\x04" TO("\x02", "\x1b\x7f")),
        REFUSED("\x0a\x04" TO("\x02", "\x1a\x1f")),
        REFUSED("\x0a\x04" TO("\x02", "\x1a\x80")),
        REFUSED("\x0a\x03" TO("\x01", "\x1a")), /* a mark without more */
        REFUSED("\x0a\x03" TO("\x01", "\x1c")),
        REFUSED("\x0a\x03" TO("\x01", "\x1e")),
        REFUSED("\x0a\x03" TO("\x01", "\x1f")),
        REFUSED("\x0a\x03" TO("\x01", "\x00")), /* no marks at all */
        REFUSED("\x0a\x03" TO("\x01", "\x0b")),
        REFUSED("\x0a\x03" TO("\x01", "\x0c")),
        TAKEN("\x0a\x05" TO("\x03", "\x1c\x4f"
                                    "a")), /* slot 47 */
        REFUSED("\x0a\x05" TO("\x03", "\x1c\x50"
                                      "a")), /* 48: not agreed */
        REFUSED("\x0a\x05" TO("\x03", "\x1d\x7f"
                                      "a")),
        REFUSED("\x0a\x05" TO("\x03", "\x1c\x80"
                                      "a")),
        REFUSED("\x0a\x05" TO("\x03", "a"
                                      "\x1c\x20")), /* inside */
        REFUSED("\x0a\x07" TO("\x05", "\x1c\x20\x1c\x21"
                                      "a")),
        REFUSED("\x0a\x05" TO("\x03", "\x1c\x21\x02")), /* by itself */
        TAKEN("\x0a\x04" TO("\x02", "\x1e\x20")),       /* the domain */
        TAKEN("\x0a\x04" TO("\x02", "\x1f\x20")),
        TAKEN("\x0a\x04" TO("\x02", "\x1e\x21")),   /* carol */
        REFUSED("\x0a\x04" TO("\x02", "\x1e\x22")), /* entry 2 */
        REFUSED("\x0a\x04" TO("\x02", "\x1f\x21")), /* of the other book */
        REFUSED("\x0a\x04" TO("\x02", "\x1e\x1f")),
        REFUSED("\x0a\x04" TO("\x02", "\x1e\x80")),
        REFUSED("\x0a\x04" TO("\x02", "\x1e\x60")), /* half a number */
        REFUSED("\x0a\x05" TO("\x03", "\x1e\x60\x20")),
        REFUSED("\x0a\x05" TO("\x03", "\x1e\x60\x1f")),
        REFUSED("\x0a\x05" TO("\x03", "\x1e\x7f\x7f")),
        TAKEN("\x0a\x06" TO("\x04", "\x19"
                                    "a"
                                    "\x1e\x21")),
        REFUSED("\x0a\x05" TO("\x03", "\x19"
                                      "a"
                                      "\x01")), /* a slot in it */
        REFUSED("\x0a\x06" TO("\x04", "\x19"
                                      "a"
                                      "\x1a\x20")),
        REFUSED("\x0a\x05" TO("\x03", "a"
                                      "\x19"
                                      "b")), /* inside */
        REFUSED("\x0a\x05" TO("\x03", "\x19\x19"
                                      "a")),
        REFUSED("\x0a\x06" TO("\x04", "\x1c\x20\x19"
                                      "a")),
        REFUSED("\x0a\x06" TO("\x04", "\x19\x1c\x20"
                                      "a")),
        REFUSED("\x0a\x06" TO("\x04", "\x19"
                                      "a"
                                      "\x1e\x22")), /* itself */
        REFUSED("\x0a\x03" TO("\x01", "\x19")),     /* of nothing */
    };
    CHECK_SAID(all);
}

static void test_hostile_entries_beside_are_refused(void **state) {
    (void)state;
    static const struct said all[] = {
        TAKEN("\xb2\x01\x01"
              "a"
              "\x0a\x00"),
        TAKEN("\xb2\x01\x01"
              "a"
              "\x30\x00"), /* beside a patch of nothing */
        REFUSED("\xb2\x01\x01"
                "a"),                        /* alone */
        REFUSED("\xb2\x01\x00\x0a\x00"),     /* of nothing */
        REFUSED("\xb2\x01\x01\x01\x0a\x00"), /* with marks in it */
        REFUSED("\xb2\x01\x02\x1e\x21\x0a\x00"),
        REFUSED("\xb2\x01\x02\x19"
                "a"
                "\x0a\x00"),
        REFUSED("\xb2\x01\x01\x00\x0a\x00"),
        REFUSED("\xb2\x01\x01"
                "a"
                "\x20\x01"), /* beside <r/> */
        REFUSED("\xb2\x01\x01"
                "a"
                "\x6a\x00"),         /* beside a header */
        REFUSED("\x6a\x00\x58\x01"), /* behind a header */
    };
    CHECK_SAID(all);
    struct victim v;
    char text[256];
    memset(text, 'x', sizeof(text));
    for (size_t n = 255; n <= 256; n++) {
        victim_prepare(&v);
        terse_buf_reset(&v.frame);
        put_field(&v.frame, 22, text, n);
        put(&v.frame, "\x0a\x00", 2);
        assert_int_equal(victim_gets(&v, &v.frame),
                         n == 255 ? TERSE_OK : TERSE_EFRAME);
        victim_fini(&v);
    }
}

static void test_hostile_answers_are_refused(void **state) {
    (void)state;
    static const struct said all[] = {
        TAKEN("\x48\x00\x0a\x00"),         /* about abcd1 */
        TAKEN("\x48\x01\x0a\x00"),         /* and enters */
        TAKEN("\x50\x01\x48\x02\x0a\x00"), /* heard of, and then about it */
        REFUSED("\x48\x02\x0a\x00"),       /* the one before the first */
        REFUSED("\x48\x04\x0a\x00"),       /* the one behind it */
        REFUSED("\x48\xff\x7f\x0a\x00"),
        REFUSED("\x48" WIDE_ "\x0a\x00"),
        REFUSED("\x48" HUGE_ "\x0a\x00"),
        REFUSED("\x48\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01\x0a\x00"),
        REFUSED("\x48\x00"),         /* alone */
        REFUSED("\x48\x00\x20\x01"), /* beside <r/> */
        REFUSED("\x48\x00\x6a\x00"), /* beside a header */
        TAKEN("\x50\x00\x0a\x00"),
        TAKEN("\x50\x01\x20\x01"),   /* beside <r/> it may be */
        REFUSED("\x50\x02\x0a\x00"), /* of more than there are */
        REFUSED("\x50" WIDE_ "\x0a\x00"),
        REFUSED("\x50\x81\x80\x80\x80\x10\x0a\x00"), /* 2^32 + 1 */
        REFUSED("\x50" HUGE_ "\x0a\x00"),
        REFUSED("\x50\x01"),         /* alone */
        REFUSED("\x50\x01\x6a\x00"), /* beside a header */
        REFUSED("\x6a\x00\x50\x01"),
        REFUSED("\x50\x01\x72\x00\x20\x01"), /* beside two elements */
        TAKEN("\x58\x01\x20\x01"),
        REFUSED("\x58\x02\x20\x01"),
        REFUSED("\x58\x81\x80\x80\x80\x10\x20\x01"),
        REFUSED("\x58\x01"),
        REFUSED("\x58\x01\x6a\x00"),
        REFUSED("\x6a\x00\x58\x01"),
    };
    CHECK_SAID(all);
}

/* Without a journal of its own no stanza enters, and without one of the other
 * direction there is nothing to be about. */
static void test_hostile_answers_without_journal_are_refused(void **state) {
    (void)state;
    static const struct terse_state_limits none = {48, 64, 0, 20000};
    static const uint8_t asks[] = {0x1a, 0x09, 0x18, 0x00, 0x32, 0x05,
                                   'a',  'b',  'c',  'd',  '1'};
    static const char *const refused[] = {
        "\x58\x01\x20\x01", "\x58\x00\x20\x01", "\x48\x00\x0a\x00",
        "\x50\x01\x20\x01"};
    for (size_t i = 0; i < 4; i++) {
        struct victim v;
        victim_init_at(&v, &none); /* which is also the most that it uses */
        victim_says(&v, asks, sizeof(asks));
        terse_buf_reset(&v.frame);
        put(&v.frame, refused[i], 4);
        assert_int_equal(victim_gets(&v, &v.frame), TERSE_EFRAME);
        victim_fini(&v);
    }
    /* The other end remembers nothing at all. */
    for (size_t i = 2; i < 4; i++) {
        static const uint8_t open[] = {0x6a, 0x03, 0x0a, 0x01, 'x'};
        struct victim v = {.peer = NULL};
        terse_work_init(&v.work, &terse_limits_default);
        terse_buf_init(&v.frame, codec_wide.frame_bytes);
        terse_buf_init(&v.out, terse_limits_default.frame_bytes);
        assert_int_equal(
            terse_peer_new(&v.peer, schema, &terse_state_limits_default, true),
            TERSE_OK);
        victim_says(&v, open, sizeof(open));
        put(&v.frame, refused[i], 4);
        assert_int_equal(victim_gets(&v, &v.frame), TERSE_EFRAME);
        victim_fini(&v);
    }
}

/* A message with an id of n bytes and the address text. */
static void id_message(struct victim *v, const char *mark, size_t mark_n,
                       size_t n, const char *addr) {
    char id[JOURNAL_ID_MAX + 1];
    struct terse_buf field;
    memset(id, 'i', sizeof(id));
    terse_buf_init(&field, 1000);
    put_field(&field, 2, addr, strlen(addr));
    put_field(&field, 6, id, n);
    terse_buf_reset(&v->frame);
    put(&v->frame, mark, mark_n);
    put_field(&v->frame, 1, terse_buf_data(&field), field.len);
    terse_buf_fini(&field);
}

/* More ids wait than were agreed, or more bytes of them. */
static void test_hostile_ids_that_wait_end_at_their_bound(void **state) {
    (void)state;
    static const struct terse_state_limits two = {0, 0, 2, 0};
    char addr[JOURNAL_ADDR_MAX + 2] = "";
    struct victim v;
    memset(addr, 'a', JOURNAL_ADDR_MAX);
    victim_init_at(&v, &two);
    for (int i = 0; i < 2; i++) {
        id_message(&v, "\x58\x01", 2, 80, "a@x");
        assert_int_equal(victim_gets(&v, &v.frame), TERSE_OK);
        id_message(&v, "", 0, 81, "a@x"); /* too long: does not enter */
        assert_int_equal(victim_gets(&v, &v.frame), TERSE_OK);
        id_message(&v, "", 0, 3, "a@x"); /* too short */
        assert_int_equal(victim_gets(&v, &v.frame), TERSE_OK);
    }
    id_message(&v, "\x58\x00", 2, 80, "a@x");
    assert_int_equal(victim_gets(&v, &v.frame), TERSE_OK);
    id_message(&v, "\x58\x01", 2, 80, "a@x");
    assert_int_equal(victim_gets(&v, &v.frame), TERSE_EFRAME);
    victim_fini(&v);
    for (int longer = 0; longer <= 1; longer++) {
        unsigned times = 0;
        addr[JOURNAL_ADDR_MAX] = longer ? 'a' : 0;
        victim_init(&v);
        do {
            id_message(&v, "\x58\x01", 2, 80, addr);
        } while (victim_gets(&v, &v.frame) == TERSE_OK && ++times < 50);
        /* an address that is too long counts for nothing */
        assert_int_equal(times, longer ? 1500 / 80 : 1500 / 200);
        victim_fini(&v);
    }
}

/* ---- the book ------------------------------------------------------------
 */

static void test_hostile_book_nests_no_deeper(void **state) {
    (void)state;
    struct victim v;
    char text[] = "\x19"
                  "a"
                  "\x1e\x20";
    victim_init(&v);
    for (int depth = 2; depth <= 5; depth++, text[3]++) {
        to_message(&v, "", 0, text, 4);
        assert_int_equal(victim_gets(&v, &v.frame),
                         depth <= 4 ? TERSE_OK : TERSE_EFRAME);
    }
    victim_fini(&v);
}

static void test_hostile_book_entries_end_at_their_length(void **state) {
    (void)state;
    struct victim v;
    char text[300];
    memset(text, 'x', sizeof(text));
    text[0] = 0x19;
    for (size_t n = 255; n <= 256; n++) {
        victim_init(&v);
        to_message(&v, "", 0, text, n + 1);
        assert_int_equal(victim_gets(&v, &v.frame),
                         n == 255 ? TERSE_OK : TERSE_EFRAME);
        victim_fini(&v);
    }
    victim_init(&v);
    to_message(&v, "", 0, text, 101);
    assert_int_equal(victim_gets(&v, &v.frame), TERSE_OK);
    to_message(&v, "", 0, "\x19\x1e\x21\x1e\x21", 5);
    assert_int_equal(victim_gets(&v, &v.frame), TERSE_OK);
    to_message(&v, "", 0, "\x19\x1e\x21\x1e\x22", 5);
    assert_int_equal(victim_gets(&v, &v.frame), TERSE_EFRAME);
    victim_fini(&v);
}

/* Entries that stand for nothing would make one reference cost 127 to the power
 * of its depth, since only what is written is bounded. */
static void test_hostile_book_has_no_empty_entries(void **state) {
    (void)state;
    struct victim v;
    victim_init(&v);
    to_message(&v, "", 0, "\x19", 1);
    assert_int_equal(victim_gets(&v, &v.frame), TERSE_EFRAME);
    victim_fini(&v);
    victim_init(&v);
    terse_buf_reset(&v.frame);
    put(&v.frame, "\xb2\x01\x00\x0a\x00", 4);
    assert_int_equal(victim_gets(&v, &v.frame), TERSE_EFRAME);
    victim_fini(&v);
}

/* The shortest entries: as many as a reference can name. The longest: as many
 * as was agreed. */
static void test_hostile_book_ends_at_its_bound(void **state) {
    (void)state;
    struct victim v;
    char text[256];
    unsigned times = 0;
    memset(text, 'x', sizeof(text));
    text[0] = 0x19;
    victim_init_at(&v, &wide);
    do {
        to_message(&v, "", 0,
                   "\x19"
                   "a",
                   2);
    } while (victim_gets(&v, &v.frame) == TERSE_OK && ++times < 4000);
    assert_int_equal(times, BOOK_MAX - 1);
    victim_fini(&v);
    for (times = 0, victim_init(&v);; times++) {
        to_message(&v, "", 0, text, sizeof(text));
        if (victim_gets(&v, &v.frame) != TERSE_OK || times > 1000)
            break;
    }
    assert_int_equal(times, (20000 - 5) / (255 + 4)); /* less the domain */
    victim_fini(&v);
}

/* The longest entry, again and again. */
static void test_hostile_book_expansion_stops_at_the_limit(void **state) {
    (void)state;
    struct victim v;
    enum { TIMES = 1024 * 1024 / 255 + 1 };
    static char text[256], refs[2 * TIMES];
    memset(text, 'x', sizeof(text));
    text[0] = 0x19;
    victim_init(&v);
    to_message(&v, "", 0, text, sizeof(text));
    assert_int_equal(victim_gets(&v, &v.frame), TERSE_OK);
    for (size_t i = 0; i < TIMES; i++)
        memcpy(refs + 2 * i, "\x1e\x21", 2);
    to_message(&v, "", 0, refs, sizeof(refs));
    assert_int_equal(victim_gets(&v, &v.frame), TERSE_ELIMIT);
    victim_is_small(&v);
    victim_fini(&v);
}

/* A domain with marks in it would be an entry that no rule has looked at. */
static void test_hostile_domain_with_marks_is_refused(void **state) {
    (void)state;
    static const uint8_t open[] = {0x6a, 0x04, 0x0a, 0x02, 0x1e,
                                   0x20, 0x98, 0x01, 0x80, 0x08};
    struct victim v = {.peer = NULL};
    terse_work_init(&v.work, &terse_limits_default);
    terse_buf_init(&v.out, terse_limits_default.frame_bytes);
    assert_int_equal(
        terse_peer_new(&v.peer, schema, &terse_state_limits_default, false),
        TERSE_OK);
    assert_int_equal(
        terse_peer_unpack(v.peer, open, sizeof(open), &v.work, &v.out),
        TERSE_EFRAME);
    victim_fini(&v);
}

/* ---- deflate -------------------------------------------------------------
 */

/* Makes v->frame what n bytes become deflated, behind mark. */
static void deflated(struct victim *v, const char *mark, size_t mark_n,
                     const void *p, size_t n) {
    struct terse_buf packed;
    /* Stored, as RFC 1951 section 3.2.4 has it: short ones do not get smaller.
     */
    uint8_t head[5] = {1, (uint8_t)n, (uint8_t)(n >> 8), (uint8_t)~n,
                       (uint8_t)(~n >> 8)};
    assert_true(n <= UINT16_MAX);
    terse_buf_init(&packed, 2 * UINT16_MAX);
    put(&packed, head, sizeof(head));
    put(&packed, p, n);
    terse_buf_reset(&v->frame);
    put(&v->frame, mark, mark_n);
    put_field(&v->frame, 8, terse_buf_data(&packed), packed.len);
    terse_buf_fini(&packed);
}

static void test_hostile_deflated_frames_are_refused(void **state) {
    (void)state;
    static const struct said inside[] = {
        TAKEN("\x0a\x00"),
        TAKEN("\x30\x00"), /* state inside */
        TAKEN("\x50\x01\x58\x01\x48\x02\x0a\x00"),
        REFUSED(""),                                     /* nothing */
        REFUSED("\x42\x07\x01\x02\x00\xfd\xff\x20\x01"), /* deflated again */
        REFUSED("\x6a\x00"),                             /* a header */
        REFUSED("\x58\x01\x6a\x00"),
        REFUSED("\x6a\x00\x98\x01\x7f"), /* with bounds */
        REFUSED("\x98\x01\x7f"),         /* bounds alone */
        REFUSED("\xa0\x01\x02"),
        REFUSED("\x0a\x00\x98\x01\x7f"), /* beside a stanza */
        REFUSED("\x38\x00\x0a\x00\x98\x01\x7f"),
    };
    for (size_t i = 0; i < sizeof(inside) / sizeof(inside[0]); i++) {
        struct victim v;
        struct terse_buf xml;
        terse_buf_init(&xml, 10000);
        victim_prepare(&v);
        deflated(&v, "", 0, inside[i].bytes, inside[i].n);
        enum terse_err err = victim_gets(&v, &v.frame);
        /* What state passes on as it is the decoder refuses. */
        if (err == TERSE_OK)
            err = terse_decode(schema, &terse_limits_default,
                               terse_buf_data(&v.out), v.out.len,
                               TERSE_IN_STREAM, &xml, NULL);
        if (err != inside[i].err)
            fail_msg("%zu: %d", i, (int)err);
        victim_fini(&v);
        terse_buf_fini(&xml);
    }
    static const struct said beside[] = {TAKEN(""),
                                         TAKEN("\x30\x00"),
                                         REFUSED("\x30\x05"),
                                         REFUSED("\x38\x00"),
                                         REFUSED("\x48\x00"),
                                         REFUSED("\x50\x01"),
                                         REFUSED("\x58\x01"),
                                         REFUSED("\xb2\x01\x01"
                                                 "a"),
                                         REFUSED("\x0a\x00"),
                                         REFUSED("\x20\x01"),
                                         REFUSED("\x30\x00\x38\x00"),
                                         REFUSED("\x98\x01\x7f"),
                                         REFUSED("\x30" HUGE_)};
    for (size_t i = 0; i < sizeof(beside) / sizeof(beside[0]); i++) {
        struct victim v;
        victim_prepare(&v);
        deflated(&v, beside[i].bytes, beside[i].n, "\x0a\x00", 2);
        enum terse_err err = victim_gets(&v, &v.frame);
        if (err != beside[i].err)
            fail_msg("beside %zu: %d", i, (int)err);
        victim_fini(&v);
    }
    static const struct said broken[] = {
        REFUSED("\x42\x00"),
        REFUSED("\x42\x02\x03\x00"),
        REFUSED("\x42\x03\xff\xff\xff"),
        REFUSED("\x42\x07\x01\x02\x00\xfd\xff\x0a"), /* cut off */
        REFUSED("\x42\x06\x01\x02\x00\xfd\xff\x0a"),
        REFUSED("\x42\x08\x01\x02\x00\xfd\xff\x0a\x00\x00")}; /* and more */
    CHECK_SAID(broken);
}

/* A kilobyte behind a dictionary that is all of what was agreed. */
static void
test_hostile_deflate_with_dictionary_stops_at_the_limit(void **state) {
    (void)state;
    struct victim v;
    size_t n = 4 * 1000 * 1000;
    struct terse_buf packed, stanza;
    char *bytes = malloc(n), *long_to = malloc(50000);
    assert_non_null(bytes);
    assert_non_null(long_to);
    memset(long_to, 'x', 50000);
    memset(bytes, 'x', n);
    terse_buf_init(&packed, 2 * n);
    terse_buf_init(&stanza, 100000);
    victim_init_at(&v, &wide);
    to_message(&v, "\x38\x00", 2, long_to, 50000);
    assert_int_equal(victim_gets(&v, &v.frame), TERSE_OK);
    put_field(&stanza, 1, long_to, 50000);
    assert_int_equal(
        deflate_pack((struct terse_str){bytes, n},
                     (struct terse_str){(const char *)terse_buf_data(&stanza),
                                        stanza.len},
                     &packed),
        TERSE_OK);
    assert_true(packed.len < 5000);
    terse_buf_reset(&v.frame);
    put(&v.frame, "\x30\x00", 2);
    put_field(&v.frame, 8, terse_buf_data(&packed), packed.len);
    assert_int_equal(victim_gets(&v, &v.frame), TERSE_ELIMIT);
    victim_is_small(&v);
    terse_buf_fini(&packed);
    terse_buf_fini(&stanza);
    free(bytes);
    free(long_to);
    victim_fini(&v);
}

/* ---- patches -------------------------------------------------------------
 */

/* A front of a long BASE64 value that is longer than it. */
static void test_hostile_fronts_are_no_longer_than_the_value(void **state) {
    (void)state;
    static const struct said fronts[] = {
        TAKEN("\x00"),
        TAKEN("\x20"),
        TAKEN("\x20"
              "abc"),
        REFUSED("\x21"),
        REFUSED("\xff\x7f"),
        REFUSED(WIDE_),
        REFUSED(HUGE_),
        REFUSED(""),
        REFUSED("\x80"),
        REFUSED("\xa0\x00")}; /* 32, longer than it needs to be */
    for (size_t i = 0; i < sizeof(fronts) / sizeof(fronts[0]); i++) {
        struct victim v;
        struct terse_buf field;
        terse_buf_init(&field, 1000);
        victim_init(&v);
        /* presence: <occupant-id id=.../> of 32 bytes */
        put_field(&field, 621, "0123456789abcdef0123456789abcdef", 32);
        terse_buf_reset(&v.frame);
        put(&v.frame, "\x38\x00", 2);
        put_field(&v.frame, 1, terse_buf_data(&field), field.len);
        assert_int_equal(victim_gets(&v, &v.frame), TERSE_OK);
        terse_buf_reset(&field);
        put_field(&field, 621, fronts[i].bytes, fronts[i].n);
        terse_buf_reset(&v.frame);
        put(&v.frame, "\x30\x00", 2);
        put_field(&v.frame, 1, terse_buf_data(&field), field.len);
        enum terse_err err = victim_gets(&v, &v.frame);
        if (err != fronts[i].err)
            fail_msg("%zu: %d", i, (int)err);
        if (i == 2) /* all of it and "abc" */
            assert_int_equal(v.out.len, 2 + 3 + 35);
        terse_buf_fini(&field);
        victim_fini(&v);
    }
}

/* Differences go around 2^64 and nothing else does. */
static void test_hostile_differences_go_around(void **state) {
    (void)state;
    struct victim v;
    static const uint8_t keep[] = {0x38, 0x00, 0x0a, 0x0c, 0x88, 0x01,
                                   0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                                   0xff, 0xff, 0xff, 0x01};
    /* + 1, and then by - 2^63, which is the least */
    static const uint8_t one[] = {0x30, 0x00, 0x0a, 0x03, 0x88, 0x01, 0x02};
    static const uint8_t zero[] = {0x0a, 0x03, 0x88, 0x01, 0x00};
    static const uint8_t least[] = {0x30, 0x00, 0x0a, 0x0c, 0x88, 0x01,
                                    0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                                    0xff, 0xff, 0xff, 0x01};
    static const uint8_t half[] = {0x0a, 0x0b, 0x88, 0x01, 0xff, 0xff, 0xff,
                                   0xff, 0xff, 0xff, 0xff, 0xff, 0x7f};
    for (int i = 0; i < 2; i++) {
        victim_init(&v);
        terse_buf_reset(&v.frame);
        put(&v.frame, keep, sizeof(keep));
        assert_int_equal(victim_gets(&v, &v.frame), TERSE_OK);
        terse_buf_reset(&v.frame);
        if (i == 0)
            put(&v.frame, one, sizeof(one));
        else
            put(&v.frame, least, sizeof(least));
        assert_int_equal(victim_gets(&v, &v.frame), TERSE_OK);
        assert_int_equal(v.out.len, i == 0 ? sizeof(zero) : sizeof(half));
        assert_memory_equal(terse_buf_data(&v.out), i == 0 ? zero : half,
                            v.out.len);
        victim_fini(&v);
    }
}

/* A template that was about an id that is a number, used about one that is
 * none: what was equal to the number stays. */
static void test_hostile_numbers_do_not_become_bytes(void **state) {
    (void)state;
    /* <iq> with id_decimal 2^40, and with id */
    static const uint8_t number[] = {0x1a, 0x0a, 0x18, 0x00, 0x88, 0x01,
                                     0x80, 0x80, 0x80, 0x80, 0x80, 0x20};
    static const uint8_t bytes[] = {0x1a, 0x09, 0x18, 0x00, 0x32, 0x05,
                                    'a',  'b',  'c',  'd',  '1'};
    /* <received id='...'/> as receipt_decimal, and as receipt */
    static const uint8_t of_number[] = {0x0a, 0x08, 0x80, 0x0d, 0x80,
                                        0x80, 0x80, 0x80, 0x80, 0x20};
    static const uint8_t of_bytes[] = {0x0a, 0x08, 0x8a, 0x0d, 0x05,
                                       'a',  'b',  'c',  'd',  '1'};
    for (int i = 0; i < 2; i++) {
        struct victim v;
        victim_init(&v);
        victim_says(&v, number, i ? 0 : sizeof(number));
        victim_says(&v, bytes, sizeof(bytes));
        victim_says(&v, number, i ? sizeof(number) : 0);
        terse_buf_reset(&v.frame);
        put(&v.frame, "\x38\x00\x48\x00", 4);
        put(&v.frame, i ? of_bytes : of_number, sizeof(of_number));
        assert_int_equal(victim_gets(&v, &v.frame), TERSE_OK);
        terse_buf_reset(&v.frame);
        put(&v.frame, "\x30\x00\x48\x00", 4); /* the next one */
        assert_int_equal(victim_gets(&v, &v.frame), TERSE_OK);
        assert_int_equal(v.out.len, sizeof(of_number));
        assert_memory_equal(terse_buf_data(&v.out), i ? of_bytes : of_number,
                            sizeof(of_number));
        victim_fini(&v);
    }
}

/* Elements in each other in a patch, and in what is to be kept: 31 of them in a
 * message, and no more. */
static void test_hostile_patches_nest_no_deeper(void **state) {
    (void)state;
    for (int like = 0; like <= 1; like++) {
        for (int deep = 31; deep <= 32; deep++) {
            struct victim v;
            struct terse_buf a, b;
            terse_buf_init(&a, 10000);
            terse_buf_init(&b, 10000);
            victim_init(&v);
            to_message(&v, "\x38\x00", 2, "bob@example.org", 15);
            assert_int_equal(victim_gets(&v, &v.frame), TERSE_OK);
            for (int i = 0; i < deep; i++) {
                terse_buf_reset(&b);
                put(&b,
                    "\x12\x01"
                    "e",
                    3);
                if (i > 0)
                    put_field(&b, 7, terse_buf_data(&a), a.len);
                terse_buf_reset(&a);
                put(&a, terse_buf_data(&b), b.len);
            }
            terse_buf_reset(&b);
            put_field(&b, 15, terse_buf_data(&a), a.len);
            terse_buf_reset(&v.frame);
            put(&v.frame, like ? "\x30\x00" : "\x38\x00", 2);
            put_field(&v.frame, 1, terse_buf_data(&b), b.len);
            assert_int_equal(victim_gets(&v, &v.frame),
                             deep == 31 ? TERSE_OK : TERSE_EFRAME);
            terse_buf_fini(&a);
            terse_buf_fini(&b);
            victim_fini(&v);
        }
    }
}

/* A template that is as long as may be comes out as it went in. */
static void test_hostile_longest_template_is_kept_whole(void **state) {
    (void)state;
    static const struct terse_state_limits most = {8, 8, 0, 200000};
    char *text = malloc(70000);
    assert_non_null(text);
    memset(text, 'x', 70000);
    for (size_t n = 65536 - 12; n <= 65536; n++) {
        struct victim v;
        struct terse_buf was;
        terse_buf_init(&was, 100000);
        victim_init_at(&v, &most);
        to_message(&v, "\x38\x00", 2, text, n - 4); /* tag and length */
        assert_int_equal(victim_gets(&v, &v.frame),
                         n <= 65535 ? TERSE_OK : TERSE_EFRAME);
        put(&was, terse_buf_data(&v.out), v.out.len);
        terse_buf_reset(&v.frame);
        put(&v.frame, "\x30\x00", 2);
        if (n <= 65535) {
            assert_int_equal(victim_gets(&v, &v.frame), TERSE_OK);
            assert_true(codec_same(&was, &v.out));
        }
        terse_buf_fini(&was);
        victim_fini(&v);
    }
    free(text);
}

/* ---- work ----------------------------------------------------------------
 */

static double cpu_of(struct victim *v, enum terse_err expected) {
    struct timespec a, b;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &a);
    assert_int_equal(victim_gets(v, &v->frame), expected);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &b);
    return (double)(b.tv_sec - a.tv_sec) * 1e9 +
           (double)(b.tv_nsec - a.tv_nsec);
}

/* The worst that is known: a template of 30,000 fields, each compared with 64
 * fields of the patch that do not fit, and with 18 links. It costs what an
 * ordinary frame as large as the limit costs, times what docs/wire.md says. */
static void test_hostile_work_is_bounded(void **state) {
    (void)state;
    enum { FIELDS = 14000, COMPARED = 64 + 18, SLACK = 4 };
    struct victim v;
    struct terse_buf stanza, patch;
    double plain, worst;
    char name[16];
    terse_buf_init(&stanza, codec_wide.frame_bytes);
    terse_buf_init(&patch, codec_wide.frame_bytes);
    victim_init_at(&v, &wide);
    for (int i = 0; i < FIELDS; i++) /* empty children */
        put(&stanza, "\x7a\x00", 2);
    for (int i = 0; i < 3000; i++) /* stanza-ids that follow no link */
        put(&stanza,
            "\x52\x06\x12\x04"
            "zzzz",
            8);
    terse_buf_reset(&v.frame);
    put(&v.frame, "\x38\x00", 2);
    put_field(&v.frame, 1, terse_buf_data(&stanza), stanza.len);
    plain = cpu_of(&v, TERSE_OK) * (double)terse_limits_default.frame_bytes /
            (double)stanza.len;
    /* 64 fields that stand for what is not in the template */
    for (int i = 0; i < 64; i++) {
        snprintf(name, sizeof(name), "%04d", i);
        put_field(&patch, 6, name, 4);
    }
    terse_buf_reset(&v.frame);
    put(&v.frame, "\x30\x00", 2);
    put_field(&v.frame, 1, terse_buf_data(&patch), patch.len);
    worst = cpu_of(&v, TERSE_OK);
    assert_true(worst < plain * COMPARED * SLACK);
    victim_is_small(&v);
    terse_buf_fini(&stanza);
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
        cmocka_unit_test(test_hostile_templates_are_refused),
        cmocka_unit_test(test_hostile_fields_twice_are_refused),
        cmocka_unit_test(test_hostile_strings_are_refused),
        cmocka_unit_test(test_hostile_entries_beside_are_refused),
        cmocka_unit_test(test_hostile_answers_are_refused),
        cmocka_unit_test(test_hostile_answers_without_journal_are_refused),
        cmocka_unit_test(test_hostile_ids_that_wait_end_at_their_bound),
        cmocka_unit_test(test_hostile_book_nests_no_deeper),
        cmocka_unit_test(test_hostile_book_entries_end_at_their_length),
        cmocka_unit_test(test_hostile_book_has_no_empty_entries),
        cmocka_unit_test(test_hostile_book_ends_at_its_bound),
        cmocka_unit_test(test_hostile_book_expansion_stops_at_the_limit),
        cmocka_unit_test(test_hostile_domain_with_marks_is_refused),
        cmocka_unit_test(test_hostile_deflated_frames_are_refused),
        cmocka_unit_test(
            test_hostile_deflate_with_dictionary_stops_at_the_limit),
        cmocka_unit_test(test_hostile_fronts_are_no_longer_than_the_value),
        cmocka_unit_test(test_hostile_differences_go_around),
        cmocka_unit_test(test_hostile_numbers_do_not_become_bytes),
        cmocka_unit_test(test_hostile_patches_nest_no_deeper),
        cmocka_unit_test(test_hostile_longest_template_is_kept_whole),
        cmocka_unit_test(test_hostile_work_is_bounded),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
