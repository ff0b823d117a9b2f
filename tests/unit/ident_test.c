/* ident_test.c: an id comes back from form IDENT, whatever it is; bytes that
 * are none are refused; no frame grows by it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "codec/ident.h"
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

/* ---- the format, written down a second time -------------------------------
 */

static const char all[] = "0123456789abcdefghijklmnopqrstuvwxyz"
                          "ABCDEFGHIJKLMNOPQRSTUVWXYZ-_"
                          " !\"#$%&'()*+,./:;<=>?@[\\]^`{|}~";

static const struct {
    const char *chars;
    unsigned radix;
} classes[] = {
    {all, 10},
    {all, 16},
    {"0123456789abcdef-", 17},
    {"0123456789ABCDEF-", 17},
    {all, 36},
    {all, 64},
    {all, 95},
};
enum { CLASSES = 7, ROOM = 160 };

/* A number as bytes, without a word wider than one of them. */
struct number {
    uint8_t bytes[ROOM]; /* the last is the least */
};

static void push(struct number *to, unsigned radix, unsigned digit) {
    unsigned carry = digit;
    for (size_t i = ROOM; i-- > 0; carry >>= 8) {
        carry += to->bytes[i] * radix;
        to->bytes[i] = (uint8_t)carry;
    }
    assert_int_equal(carry, 0);
}

static void push_run(struct number *to, unsigned class, struct terse_str s,
                     bool last) {
    unsigned radix = classes[class].radix;
    for (size_t i = s.n; i-- > 0;) {
        const char *at = memchr(classes[class].chars, s.p[i], radix);
        assert_non_null(at);
        push(to, radix, (unsigned)(at - classes[class].chars) + last);
    }
    if (!last)
        push(to, 32, (unsigned)s.n - 1);
    push(to, 2 * CLASSES, class + (last ? 0 : CLASSES));
}

static struct terse_str bytes_of(const struct number *number) {
    size_t at = 0;
    while (at < ROOM && number->bytes[at] == 0)
        at++;
    return (struct terse_str){(const char *)number->bytes + at, ROOM - at};
}

static void decodes_to(struct terse_str bytes, struct terse_str want) {
    char out[IDENT_CHARS + 1];
    memset(out, 0x55, sizeof(out));
    assert_int_equal(ident_decode(bytes, out), want.n);
    assert_memory_equal(out, want.p, want.n);
    assert_int_equal(out[IDENT_CHARS], 0x55);
}

static void is_refused(struct terse_str bytes) {
    char out[IDENT_CHARS];
    assert_int_equal(ident_decode(bytes, out), 0);
}

/* Encodes s into exactly the room it needs, and not into less; decodes it. How
 * many bytes it took. */
static size_t comes_back(struct terse_str s) {
    uint8_t out[IDENT_BYTES + 1];
    memset(out, 0x55, sizeof(out));
    size_t n = ident_encode(s, out + 1, IDENT_BYTES);
    assert_true(n > 0);
    assert_int_equal(out[0], 0x55);
    decodes_to((struct terse_str){(char *)out + 1 + IDENT_BYTES - n, n}, s);

    uint8_t tight[IDENT_BYTES + 1];
    memset(tight, 0x55, sizeof(tight));
    assert_int_equal(ident_encode(s, tight + 1, n), n);
    assert_memory_equal(tight + 1, out + 1 + IDENT_BYTES - n, n);
    assert_int_equal(tight[0], 0x55);
    assert_int_equal(tight[n + 1 < sizeof(tight) ? n + 1 : 0], 0x55);
    memset(tight, 0x55, sizeof(tight));
    assert_int_equal(ident_encode(s, tight + 1, n - 1), 0);
    assert_int_equal(tight[0], 0x55);
    return n;
}

static struct terse_str str(const char *s) {
    return (struct terse_str){s, strlen(s)};
}

/* ---- there and back -------------------------------------------------------
 */

/* The bytes of one run of a class, at most. */
static size_t one_run(unsigned class, size_t n) {
    /* 1/1000 bit of a character, rounded up */
    static const size_t cost[] = {3322, 4000, 4088, 4088, 5170, 6000, 6570};
    /* a head, and a digit that begins at 1 */
    return (n * cost[class] + 3808 + 152) / 8000 + 1;
}

static void test_ident_every_class_and_length(void **state) {
    (void)state;
    struct codec_random random = {11};
    for (unsigned class = 0; class < CLASSES; class ++) {
        for (size_t n = 1; n <= IDENT_CHARS; n++) {
            char s[IDENT_CHARS];
            for (size_t i = 0; i < n; i++)
                s[i] = classes[class]
                           .chars[codec_random(&random) % classes[class].radix];
            size_t size = comes_back((struct terse_str){s, n});
            assert_true(size <= one_run(class, n));
        }
    }
}

/* The largest and the smallest number of each length. */
static void test_ident_first_and_last_character(void **state) {
    (void)state;
    for (unsigned class = 0; class < CLASSES; class ++) {
        char first[IDENT_CHARS], last[IDENT_CHARS];
        memset(first, classes[class].chars[0], sizeof(first));
        memset(last, classes[class].chars[classes[class].radix - 1],
               sizeof(last));
        for (size_t n = 1; n <= IDENT_CHARS; n++) {
            comes_back((struct terse_str){first, n});
            comes_back((struct terse_str){last, n});
        }
    }
}

static void test_ident_mixed_runs(void **state) {
    (void)state;
    struct codec_random random = {12};
    for (int round = 0; round < 20000; round++) {
        char s[IDENT_CHARS];
        size_t n = 0, want = 1 + codec_random(&random) % IDENT_CHARS;
        size_t most = 1 + codec_random(&random) % 60;
        while (n < want) {
            unsigned class = (unsigned)(codec_random(&random) % CLASSES);
            size_t run = 1 + codec_random(&random) % most;
            for (; run > 0 && n < want; run--)
                s[n++] =
                    classes[class]
                        .chars[codec_random(&random) % classes[class].radix];
        }
        comes_back((struct terse_str){s, n});
    }
}

/* What ids of real programs take: would show a worse cut. */
static void test_ident_typical_sizes(void **state) {
    (void)state;
    static const struct {
        const char *id;
        size_t size;
    } ids[] = {
        {"0", 1},
        {"a", 1},
        {"fs9fybo9qa", 7},
        {"zzzzzzzzzz", 7},
        {"8f485602b", 5},
        {"fffffffff", 5},
        {"18446744073709551616", 9},
        {"3F2504E0-4F89-41D3-9A0C-0305E82C3301", 19},
        {"FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF", 19},
        {"q3Zb0TnLw8RkVy53f2504e04f8941d39a0c0305e82c33010123456b", 33},
        {"3f2504e0-4f89-41d3-9a0c-0305e82c3301:sendIQ", 27},
    };
    for (size_t i = 0; i < sizeof(ids) / sizeof(*ids); i++)
        assert_int_equal(comes_back(str(ids[i].id)), ids[i].size);
}

/* Both run at the same format as the encoder's: bytes of any cut are read. */
static void test_ident_any_cut_is_read(void **state) {
    (void)state;
    struct codec_random random = {13};
    for (int round = 0; round < 20000; round++) {
        char s[IDENT_CHARS];
        struct number number = {{0}};
        size_t left = 1 + codec_random(&random) % 100, at = IDENT_CHARS;
        for (bool last = true; left > 0; last = false) {
            unsigned class = (unsigned)(codec_random(&random) % CLASSES);
            size_t most = last ? left : left < 32 ? left : 32;
            size_t n = 1 + codec_random(&random) % most;
            at -= n;
            left -= n;
            for (size_t i = 0; i < n; i++)
                s[at + i] =
                    classes[class]
                        .chars[codec_random(&random) % classes[class].radix];
            push_run(&number, class, (struct terse_str){s + at, n}, last);
        }
        if (bytes_of(&number).n <= IDENT_BYTES)
            decodes_to(bytes_of(&number),
                       (struct terse_str){s + at, IDENT_CHARS - at});
    }
}

/* The format as it was released: these bytes must always stand for these. */
static void test_ident_bytes_are_these(void **state) {
    (void)state;
    static const struct {
        const char *bytes, *id;
    } known[] = {
        {"\x0e", "0"},
        {"\x9b", "a"},
        {"\x01\x2a", "k"},
        {"\x3b\x65\x41\xc1\x91\x20\xbc", "fs9fybo9qa"},
    };
    for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
        decodes_to(str(known[i].bytes), str(known[i].id));
}

/* ---- what does not fit ----------------------------------------------------
 */

static void test_ident_what_is_none(void **state) {
    (void)state;
    uint8_t out[IDENT_BYTES];
    char s[IDENT_CHARS + 1];
    memset(s, '7', sizeof(s));
    assert_int_equal(ident_encode((struct terse_str){s, 0}, out, sizeof(out)),
                     0);
    assert_int_equal(
        ident_encode((struct terse_str){s, sizeof(s)}, out, sizeof(out)), 0);
    for (int c = 0; c < 256; c++) {
        bool printable = c >= 0x20 && c <= 0x7e;
        for (size_t at = 0; at < 40; at += 13) {
            memset(s, '7', sizeof(s));
            s[at] = (char)c;
            size_t n =
                ident_encode((struct terse_str){s, 40}, out, sizeof(out));
            assert_int_equal(n > 0, printable);
        }
    }
}

static void test_ident_malformed_is_refused(void **state) {
    (void)state;
    char bytes[IDENT_BYTES + 1] = {0};
    is_refused((struct terse_str){bytes, 0});
    is_refused((struct terse_str){bytes, 1});
    for (char head = 1; head < 2 * CLASSES; head++) {
        bytes[0] = head; /* and nothing behind it */
        is_refused((struct terse_str){bytes, 1});
    }
    is_refused((struct terse_str){"\x00\x0e", 2});
    memset(bytes, 1, sizeof(bytes));
    is_refused((struct terse_str){bytes, IDENT_BYTES + 1});
}

/* Runs that end with no last one; a last one that is empty. */
static void test_ident_without_end_is_refused(void **state) {
    (void)state;
    for (unsigned class = 0; class < CLASSES; class ++) {
        struct number cut = {{0}}, empty = {{0}};
        push_run(&cut, class, str("123"), false);
        is_refused(bytes_of(&cut));
        push(&empty, 2 * CLASSES, class ? class : 1);
        push_run(&empty, 5, str("abc"), false);
        is_refused(bytes_of(&empty));
    }
}

static void test_ident_over_128_characters_is_refused(void **state) {
    (void)state;
    char s[IDENT_CHARS + 40];
    memset(s, '1', sizeof(s));
    for (size_t more = 0; more <= 40; more++) {
        /* in one run, and in runs of 32 */
        struct number one = {{0}}, runs = {{0}};
        size_t n = IDENT_CHARS - 1 + more;
        push_run(&one, 0, (struct terse_str){s, n}, true);
        push_run(&runs, 0, (struct terse_str){s, n - 96}, true);
        for (int i = 0; i < 3; i++)
            push_run(&runs, 1, (struct terse_str){s, 32}, false);
        if (n <= IDENT_CHARS) {
            decodes_to(bytes_of(&one), (struct terse_str){s, n});
            decodes_to(bytes_of(&runs), (struct terse_str){s, n});
        } else {
            is_refused(bytes_of(&one));
            is_refused(bytes_of(&runs));
        }
    }
}

/* Any bytes are refused, or an id; no id takes more than in one run. */
static void test_ident_garbage_is_bounded(void **state) {
    (void)state;
    struct codec_random random = {14};
    unsigned read = 0;
    for (int round = 0; round < 100000; round++) {
        char in[IDENT_BYTES + 2], out[IDENT_CHARS + 1];
        size_t n = codec_random(&random) % sizeof(in);
        for (size_t i = 0; i < n; i++)
            in[i] = (char)codec_random(&random);
        out[IDENT_CHARS] = 0x55;
        size_t got = ident_decode((struct terse_str){in, n}, out);
        assert_true(got <= IDENT_CHARS);
        assert_int_equal(out[IDENT_CHARS], 0x55);
        if (got == 0)
            continue;
        read++;
        uint8_t again[IDENT_BYTES];
        size_t size =
            ident_encode((struct terse_str){out, got}, again, sizeof(again));
        assert_true(size > 0 && size <= one_run(6, got));
    }
    assert_true(read > 1000);
}

/* ---- in frames ------------------------------------------------------------
 */

/* The schema revisions before and with ids of this form. */
enum { STRINGS = 2, IDENTS = 3 };

static void frame_of(const char *xml, uint32_t revision,
                     struct terse_buf *out) {
    struct terse_limits limits = codec_wide;
    struct terse_error error;
    limits.revision = revision;
    assert_int_equal(
        codec_encode(schema, &limits, xml, strlen(xml), out, &error), TERSE_OK);
}

static void xml_of(const struct terse_buf *frame, struct terse_buf *xml) {
    assert_int_equal(terse_decode(schema, &codec_wide, terse_buf_data(frame),
                                  frame->len, TERSE_IN_STREAM, xml, NULL),
                     TERSE_OK);
}

/* Encodes xml for ends that do not and that do know the form: both decode to
 * the same. How many bytes it saved. */
static size_t saved(const char *xml) {
    struct terse_buf frame, small, a, b;
    terse_buf_init(&frame, 4096);
    terse_buf_init(&small, 4096);
    terse_buf_init(&a, 4096);
    terse_buf_init(&b, 4096);
    frame_of(xml, STRINGS, &frame);
    frame_of(xml, IDENTS, &small);
    assert_true(small.len <= frame.len);
    xml_of(&frame, &a);
    xml_of(&small, &b);
    assert_true(codec_same(&a, &b));
    size_t n = frame.len - small.len;
    terse_buf_fini(&frame);
    terse_buf_fini(&small);
    terse_buf_fini(&a);
    terse_buf_fini(&b);
    return n;
}

static void test_ident_fields_are_smaller_or_plain(void **state) {
    (void)state;
    assert_int_equal(saved("<message id='fs9fybo9qa'/>"), 2);
    assert_int_equal(saved("<presence id='8f485602b'/>"), 3);
    assert_int_equal(saved("<iq id='3F2504E0-4F89-41D3-9A0C-0305E82C3301'/>"),
                     16);
    assert_int_equal(saved("<message><received xmlns='urn:xmpp:receipts' "
                           "id='fs9fybo9qa'/></message>"),
                     3); /* both tags are of two bytes */
    assert_int_equal(saved("<message id=' a&lt;b&amp;&quot;&apos;&gt; c d e f "
                           "g h i'/>"),
                     2);
    static const char *const plain[] = {
        "<message id='m1'/>", /* as long */
        "<message id=''/>",   /* nothing */
        "<message id='7'/>",  /* a number is smaller still */
        "<message id='fs9fybo9qa&#xe9;'/>",
        "<message id='fs9fybo9qa&#9;'/>",
        "<message id='fs9fybo9qa@example.org'/>", /* an address */
    };
    for (size_t i = 0; i < sizeof(plain) / sizeof(*plain); i++)
        assert_int_equal(saved(plain[i]), 0);
}

/* A message with this id_ident. */
static void refused_in_frame(const char *bytes, size_t n, enum terse_err want,
                             const struct terse_limits *limits) {
    uint8_t frame[8] = {0x0a, (uint8_t)(n + 3), 0xe2, 0x01, (uint8_t)n};
    struct terse_buf xml;
    terse_buf_init(&xml, 4096);
    assert_true(n <= 3);
    memcpy(frame + 5, bytes, n);
    assert_int_equal(
        terse_decode(schema, limits, frame, n + 5, TERSE_IN_STREAM, &xml, NULL),
        want);
    terse_buf_fini(&xml);
}

static void test_ident_hostile_frame_is_refused(void **state) {
    (void)state;
    refused_in_frame("", 0, TERSE_EFRAME, &codec_wide);
    refused_in_frame("\x03", 1, TERSE_EFRAME, &codec_wide);
    refused_in_frame("\x00\x0e", 2, TERSE_EFRAME, &codec_wide);
    refused_in_frame("\x0e", 1, TERSE_OK, &codec_wide);
}

static void test_ident_text_limit_holds(void **state) {
    (void)state;
    struct terse_limits limits = codec_wide;
    limits.text_bytes = 0;
    refused_in_frame("\x0e", 1, TERSE_ELIMIT, &limits);
    limits.text_bytes = 1;
    refused_in_frame("\x0e", 1, TERSE_OK, &limits);
}

static void test_ident_inspect_prints_it(void **state) {
    (void)state;
    static const uint8_t bad[] = {0x0a, 0x04, 0xe2, 0x01, 0x01, 0x03};
    struct terse_buf frame, out;
    terse_buf_init(&frame, 4096);
    terse_buf_init(&out, 4096);
    frame_of("<message id='fs9fybo9qa'/>", IDENTS, &frame);
    assert_int_equal(
        terse_inspect(schema, terse_buf_data(&frame), frame.len, &out),
        TERSE_OK);
    assert_int_equal(terse_inspect(schema, bad, sizeof(bad), &out), TERSE_OK);
    assert_int_equal(terse_buf_append(&out, "", 1), TERSE_OK);
    const char *text = (const char *)terse_buf_data(&out);
    assert_non_null(strstr(text, "\"fs9fybo9qa\""));
    assert_non_null(strstr(text, "(no id)"));
    terse_buf_fini(&frame);
    terse_buf_fini(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ident_every_class_and_length),
        cmocka_unit_test(test_ident_first_and_last_character),
        cmocka_unit_test(test_ident_mixed_runs),
        cmocka_unit_test(test_ident_typical_sizes),
        cmocka_unit_test(test_ident_any_cut_is_read),
        cmocka_unit_test(test_ident_bytes_are_these),
        cmocka_unit_test(test_ident_what_is_none),
        cmocka_unit_test(test_ident_malformed_is_refused),
        cmocka_unit_test(test_ident_without_end_is_refused),
        cmocka_unit_test(test_ident_over_128_characters_is_refused),
        cmocka_unit_test(test_ident_garbage_is_bounded),
        cmocka_unit_test(test_ident_fields_are_smaller_or_plain),
        cmocka_unit_test(test_ident_hostile_frame_is_refused),
        cmocka_unit_test(test_ident_text_limit_holds),
        cmocka_unit_test(test_ident_inspect_prints_it),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
