/* pack_test.c: short text comes back from its packed form, whatever it is; no
 * packed bytes do any harm; no frame grows by packing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codec/pack.h"
#include "codec/pack_model.h"
#include "tests/unit/codec_corpus.h"
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

/* Packs, unpacks and compares; how many bytes it took. */
static size_t comes_back(const char *p, size_t n) {
    size_t cap = n * 3 + 16, back = n;
    uint8_t *packed = malloc(cap);
    char *text = malloc(n + 1);
    assert_true(packed && text);
    size_t size = pack_encode((struct terse_str){p, n}, packed, cap);
    struct terse_str in = {(const char *)packed + cap - size, size};
    if (size > 0) {
        assert_true(pack_decode(in, text, n, &back));
        assert_int_equal(back, n);
        assert_memory_equal(text, p, n);
        assert_false(pack_decode(in, text, n - 1, &back));
    }
    free(packed);
    free(text);
    return size;
}

static size_t put_utf8(char *to, uint32_t c) {
    if (c < 0x80) {
        to[0] = (char)c;
        return 1;
    }
    size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (size_t i = n; i-- > 1; c >>= 6)
        to[i] = (char)(0x80 | (c & 0x3f));
    to[0] = (char)((0xf00 >> n & 0xff) | c);
    return n;
}

/* A character of one of the planes that people write in. */
static uint32_t random_char(struct codec_random *r) {
    static const uint32_t starts[] = {0x20,   0x20,   0x61,   0xa0,   0x400,
                                      0x5d0,  0x600,  0x900,  0x3040, 0x4e00,
                                      0xac00, 0x2600, 0x1f300};
    uint32_t start = starts[codec_random(r) % 13];
    return start + (uint32_t)(codec_random(r) % (start < 0x80 ? 26 : 96));
}

/* The node that the trie has for these bytes, or -1. */
static int node_of(const uint8_t *p, size_t n) {
    uint32_t node = p[0];
    for (size_t i = 1; i < n; i++) {
        uint32_t next = pack_trie[node].base + (uint32_t)p[i];
        if (pack_trie[next].check != node)
            return -1;
        node = next;
    }
    return (int)node;
}

/* A piece that the trie lost would only make texts larger. */
static void test_pack_trie_has_each_piece(void **state) {
    (void)state;
    for (uint32_t i = 0; i < pack_size.pieces; i++) {
        size_t n = (size_t)pack_at[i + 1] - pack_at[i];
        int node = node_of(pack_text + pack_at[i], n);
        assert_true(node >= 0);
        assert_int_equal(pack_trie[node].piece, i + 1);
    }
    /* Bytes that begin no piece end where a node leads to none. */
    assert_int_equal(node_of((const uint8_t *)"e\0", 2), -1);
    assert_int_equal(node_of((const uint8_t *)"zzzzz", 5), -1);
}

static void test_pack_utf8_comes_back(void **state) {
    (void)state;
    struct codec_random r = {7};
    char text[4 * 700];
    for (int i = 0; i < 4000; i++) {
        size_t n = 0, chars = codec_random(&r) % (i % 50 ? 60 : 700) + 1;
        while (chars-- > 0)
            n += put_utf8(text + n, random_char(&r));
        assert_true(comes_back(text, n) > 0);
    }
}

static void test_pack_any_bytes_come_back(void **state) {
    (void)state;
    struct codec_random r = {11};
    char text[2000];
    for (int i = 0; i < 256; i++) {
        text[0] = (char)i;
        assert_true(comes_back(text, 1) > 0);
    }
    for (int i = 0; i < 2000; i++) {
        size_t n = codec_random(&r) % sizeof(text) + 1;
        if (i > 100)
            n = n % 40 + 1;
        for (size_t j = 0; j < n; j++)
            text[j] = (char)codec_random(&r);
        assert_true(comes_back(text, n) > 0);
    }
}

static void test_pack_block_ends_come_back(void **state) {
    (void)state;
    char *text = malloc(1 << 20);
    assert_non_null(text);
    static const char line[] = "Wir sehen uns morgen um acht, ok? 😀 ";
    for (size_t i = 0; i < 1 << 20; i++)
        text[i] = line[i % (sizeof(line) - 1)];
    for (size_t n = 1; n < 1600; n++)
        assert_true(comes_back(text, n) > 0);
    size_t size = comes_back(text, 1 << 20);
    assert_true(size > 0 && size < 3 << 18);
    memset(text, 'a', 1 << 20);
    (void)comes_back(text, 1 << 20);
    memset(text, 0xff, 1 << 20);
    assert_true(comes_back(text, 1 << 20) > 0);
    free(text);
}

static void test_pack_empty_does_not_fit(void **state) {
    (void)state;
    uint8_t out[8];
    size_t n;
    assert_int_equal(pack_encode((struct terse_str){"", 0}, out, 8), 0);
    assert_false(pack_decode((struct terse_str){"", 0}, (char *)out, 8, &n));
}

static void test_pack_small_room_is_not_overrun(void **state) {
    (void)state;
    static const char text[] = "See you tomorrow at the station, ok?";
    uint8_t out[80];
    size_t size = pack_encode((struct terse_str){text, sizeof(text) - 1}, out,
                              sizeof(out));
    assert_true(size > 0);
    for (size_t cap = 0; cap < size; cap++) {
        memset(out, 0xa5, sizeof(out));
        assert_int_equal(pack_encode((struct terse_str){text, sizeof(text) - 1},
                                     out + 8, cap),
                         0);
        for (size_t i = 0; i < 8; i++)
            assert_true(out[i] == 0xa5 && out[8 + cap + i] == 0xa5);
    }
    assert_int_equal(
        pack_encode((struct terse_str){text, sizeof(text) - 1}, out, size),
        size);
}

/* What packed bytes unpack to is within PACK_RATIO, whatever they are. */
static bool harmless(struct terse_str packed) {
    static char text[PACK_RATIO * 4100];
    size_t n;
    bool ok = pack_decode(packed, text, sizeof(text), &n);
    assert_true(n < PACK_RATIO * (packed.n + 1));
    return ok;
}

static void test_unpack_garbage_is_bounded(void **state) {
    (void)state;
    struct codec_random r = {23};
    char bytes[4096];
    unsigned refused = 0;
    for (int i = 0; i < 20000; i++) {
        size_t n = codec_random(&r) % (i % 100 ? 24 : sizeof(bytes));
        for (size_t j = 0; j < n; j++)
            bytes[j] = (char)codec_random(&r);
        refused += !harmless((struct terse_str){bytes, n});
    }
    assert_true(refused > 15000);
    for (uint32_t v = 0; v < 1 << 16; v++) {
        char two[2] = {(char)(v >> 8), (char)v};
        (void)harmless((struct terse_str){two, 2});
    }
    static const int fill[] = {0, 1, 0x7f, 0x80, 0xff};
    for (size_t i = 0; i < 5; i++) {
        memset(bytes, fill[i], sizeof(bytes));
        (void)harmless((struct terse_str){bytes, sizeof(bytes)});
    }
}

/* The same text never comes from the bytes with one more, one less or another
 * one: ends that do not fit are refused, not ignored. */
static void test_unpack_damage_is_seen_or_bounded(void **state) {
    (void)state;
    static const char text[] = "Kommst du heute Abend? Ich bin ab 8 da 🙂";
    uint8_t out[100];
    char back[sizeof(text)];
    size_t got, n = pack_encode((struct terse_str){text, sizeof(text) - 1},
                                out + 10, 80);
    uint8_t *p = out + 90 - n;
    for (size_t bit = 0; bit < n * 8; bit++) {
        p[bit / 8] ^= (uint8_t)(1u << bit % 8);
        if (harmless((struct terse_str){(char *)p, n}) &&
            pack_decode((struct terse_str){(char *)p, n}, back, sizeof(back),
                        &got))
            assert_false(got == sizeof(text) - 1 &&
                         memcmp(back, text, got) == 0);
        p[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    for (size_t less = 0; less < n; less++)
        assert_false(pack_decode((struct terse_str){(char *)p, less}, back,
                                 sizeof(back), &got) &&
                     got == sizeof(text) - 1);
    for (unsigned more = 0; more < 256; more++) {
        p[n] = (uint8_t)more;
        assert_false(pack_decode((struct terse_str){(char *)p, n + 1}, back,
                                 sizeof(back), &got) &&
                     got == sizeof(text) - 1 && memcmp(back, text, got) == 0);
    }
    memmove(p - 1, p, n);
    p[-1] = 0;
    assert_false(harmless((struct terse_str){(char *)p - 1, n + 1}));
}

/* ---- in frames ----------------------------------------------------------- */

/* The schema revisions before and with packed text. */
enum { PLAIN_TEXT = 2, PACKED_TEXT = 3 };

static void frame_of(const char *xml, uint32_t revision,
                     struct terse_buf *out) {
    struct terse_limits limits = codec_wide;
    struct terse_error error;
    limits.revision = revision;
    assert_int_equal(
        codec_encode(schema, &limits, xml, strlen(xml), out, &error), TERSE_OK);
}

/* Encodes xml with and without packing: both decode to the same. How many
 * bytes packing saved. */
static size_t saved(const char *xml) {
    struct terse_buf plain, packed, a, b;
    terse_buf_init(&plain, SIZE_MAX / 2);
    terse_buf_init(&packed, SIZE_MAX / 2);
    terse_buf_init(&a, SIZE_MAX / 2);
    terse_buf_init(&b, SIZE_MAX / 2);
    frame_of(xml, PLAIN_TEXT, &plain);
    frame_of(xml, PACKED_TEXT, &packed);
    assert_true(packed.len <= plain.len);
    assert_int_equal(terse_decode(schema, &codec_wide, terse_buf_data(&plain),
                                  plain.len, TERSE_IN_STREAM, &a, NULL),
                     TERSE_OK);
    assert_int_equal(terse_decode(schema, &codec_wide, terse_buf_data(&packed),
                                  packed.len, TERSE_IN_STREAM, &b, NULL),
                     TERSE_OK);
    assert_true(codec_same(&a, &b));
    size_t n = plain.len - packed.len;
    terse_buf_fini(&plain);
    terse_buf_fini(&packed);
    terse_buf_fini(&a);
    terse_buf_fini(&b);
    return n;
}

static void test_packed_fields_are_smaller_or_plain(void **state) {
    (void)state;
    static const char *const small[] = {
        "<message><body>See you tomorrow at eight.</body></message>",
        "<message><subject>Meeting notes of this week</subject></message>",
        "<message><body xml:lang='de'>Bis morgen um acht!</body></message>",
        "<message><body>Увидимся завтра в восемь, хорошо?</body></message>",
        "<message><body>a &lt; b &amp;&amp; c, or not?\n</body></message>",
        "<presence><status>In a meeting until noon</status></presence>",
    };
    static const char *const plain[] = {
        "<message><body/></message>",
        "<message><body>a</body></message>",
        "<message><body>ab</body></message>",
        "<message><body>xqZ7\"%Q~0^</body></message>",
        "<message><body>ქართული</body></message>",
    };
    for (size_t i = 0; i < sizeof(small) / sizeof(*small); i++)
        assert_true(saved(small[i]) > 0);
    for (size_t i = 0; i < sizeof(plain) / sizeof(*plain); i++)
        assert_int_equal(saved(plain[i]), 0);
}

static void test_packed_random_bodies_never_larger(void **state) {
    (void)state;
    struct codec_random r = {31};
    char xml[1200];
    for (int i = 0; i < 1000; i++) {
        size_t n = (size_t)sprintf(xml, "<message><body>");
        for (size_t chars = codec_random(&r) % 200 + 1; chars > 0; chars--) {
            uint32_t c = random_char(&r);
            n += put_utf8(xml + n, c == '&' || c == '<' ? '-' : c);
        }
        strcpy(xml + n, "</body></message>");
        (void)saved(xml);
    }
}

/* ---- recorded sessions --------------------------------------------------- */

struct sums {
    size_t plain, packed; /* bytes of frames */
    unsigned smaller;
};

static enum terse_err add_frame(void *arg, enum terse_event event,
                                struct terse_node *node) {
    struct sums *sums = arg;
    struct terse_limits limits = codec_wide;
    struct terse_buf frame, plain, packed;
    terse_buf_init(&frame, SIZE_MAX / 2);
    terse_buf_init(&plain, SIZE_MAX / 2);
    terse_buf_init(&packed, SIZE_MAX / 2);
    size_t n = 0;
    for (uint32_t revision = PLAIN_TEXT; revision <= PACKED_TEXT; revision++) {
        limits.revision = revision;
        assert_int_equal(
            terse_encode(schema, &limits, event, node, &frame, NULL), TERSE_OK);
        if (revision == PLAIN_TEXT)
            n = frame.len;
        assert_int_equal(
            terse_decode(schema, &codec_wide, terse_buf_data(&frame), frame.len,
                         TERSE_IN_STREAM,
                         revision == PLAIN_TEXT ? &plain : &packed, NULL),
            TERSE_OK);
    }
    assert_true(frame.len <= n);
    assert_true(codec_same(&plain, &packed));
    sums->plain += n;
    sums->packed += frame.len;
    sums->smaller += frame.len < n;
    terse_buf_fini(&frame);
    terse_buf_fini(&plain);
    terse_buf_fini(&packed);
    return TERSE_OK;
}

static void test_packed_recordings_same_and_smaller(void **state) {
    (void)state;
    struct sums sums = {0};
    struct terse_buf xml;
    struct terse_reader *reader;
    unsigned elements = 0;
    codec_corpus(&xml, 16 << 20, &elements);
    if (elements == 0) {
        terse_buf_fini(&xml);
        skip();
    }
    assert_int_equal(
        terse_reader_new(&reader, schema, &codec_wide, add_frame, &sums),
        TERSE_OK);
    assert_int_equal(
        terse_reader_feed(reader, (const char *)terse_buf_data(&xml), xml.len),
        TERSE_OK);
    terse_reader_free(reader);
    terse_buf_fini(&xml);
    print_message("%u elements: frames of %zu bytes, packed %zu, %u smaller\n",
                  elements, sums.plain, sums.packed, sums.smaller);
    assert_true(sums.smaller > 0);
}

/* What a frame adds for a body depends on the body alone. */
static void test_packed_size_depends_on_text_alone(void **state) {
    (void)state;
    struct terse_buf a, b;
    terse_buf_init(&a, 4096);
    terse_buf_init(&b, 4096);
    frame_of("<message><body>my secret is 4711</body></message>", 2, &a);
    size_t first = a.len;
    frame_of("<message><body>my secret is 4712</body></message>", 2, &b);
    frame_of("<message><body>my secret is 4711</body></message>", 2, &a);
    assert_int_equal(a.len, first);
    terse_buf_fini(&a);
    terse_buf_fini(&b);
}

/* Bytes that are no packed text, or text that XML cannot carry. */
static void test_packed_hostile_frame_is_refused(void **state) {
    (void)state;
    static const char *const texts[] = {"\x01", "a\xff", "\xe2\x82", "ok\0no"};
    static const size_t sizes[] = {1, 2, 2, 5};
    struct terse_buf xml;
    terse_buf_init(&xml, 1 << 16);
    for (size_t i = 0; i < 4; i++) {
        uint8_t packed[32], frame[40] = {0x0a, 0, 0xd2, 0x01};
        size_t n = pack_encode((struct terse_str){texts[i], sizes[i]}, packed,
                               sizeof(packed));
        assert_true(n > 0);
        frame[1] = (uint8_t)(n + 3);
        frame[4] = (uint8_t)n;
        memcpy(frame + 5, packed + sizeof(packed) - n, n);
        assert_int_equal(terse_decode(schema, &codec_wide, frame, n + 5,
                                      TERSE_IN_STREAM, &xml, NULL),
                         TERSE_EFRAME);
    }
    static const uint8_t empty[] = {0x0a, 3, 0xd2, 0x01, 0};
    assert_int_equal(terse_decode(schema, &codec_wide, empty, sizeof(empty),
                                  TERSE_IN_STREAM, &xml, NULL),
                     TERSE_EFRAME);
    terse_buf_fini(&xml);
}

static void test_packed_text_limit_holds(void **state) {
    (void)state;
    struct terse_limits limits = codec_wide;
    struct terse_buf frame, xml;
    terse_buf_init(&frame, 4096);
    terse_buf_init(&xml, 4096);
    frame_of("<message><body>See you tomorrow at eight.</body></message>", 2,
             &frame);
    limits.text_bytes = 25;
    assert_int_equal(terse_decode(schema, &limits, terse_buf_data(&frame),
                                  frame.len, TERSE_IN_STREAM, &xml, NULL),
                     TERSE_ELIMIT);
    limits.text_bytes = 26;
    assert_int_equal(terse_decode(schema, &limits, terse_buf_data(&frame),
                                  frame.len, TERSE_IN_STREAM, &xml, NULL),
                     TERSE_OK);
    terse_buf_fini(&frame);
    terse_buf_fini(&xml);
}

static void test_packed_inspect_prints_text(void **state) {
    (void)state;
    struct terse_buf frame, out;
    terse_buf_init(&frame, 4096);
    terse_buf_init(&out, 4096);
    frame_of("<message><body>See you tomorrow at eight.</body></message>", 2,
             &frame);
    assert_int_equal(
        terse_inspect(schema, terse_buf_data(&frame), frame.len, &out),
        TERSE_OK);
    assert_int_equal(terse_buf_append(&out, "", 1), TERSE_OK);
    assert_non_null(strstr((const char *)terse_buf_data(&out),
                           "\"See you tomorrow at eight.\""));
    terse_buf_fini(&frame);
    terse_buf_fini(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pack_trie_has_each_piece),
        cmocka_unit_test(test_pack_utf8_comes_back),
        cmocka_unit_test(test_pack_any_bytes_come_back),
        cmocka_unit_test(test_pack_block_ends_come_back),
        cmocka_unit_test(test_pack_empty_does_not_fit),
        cmocka_unit_test(test_pack_small_room_is_not_overrun),
        cmocka_unit_test(test_unpack_garbage_is_bounded),
        cmocka_unit_test(test_unpack_damage_is_seen_or_bounded),
        cmocka_unit_test(test_packed_fields_are_smaller_or_plain),
        cmocka_unit_test(test_packed_random_bodies_never_larger),
        cmocka_unit_test(test_packed_recordings_same_and_smaller),
        cmocka_unit_test(test_packed_size_depends_on_text_alone),
        cmocka_unit_test(test_packed_hostile_frame_is_refused),
        cmocka_unit_test(test_packed_text_limit_holds),
        cmocka_unit_test(test_packed_inspect_prints_text),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
