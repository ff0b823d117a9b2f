/* load_test.c: the ends of the benchmarks of tersed: that what they count and
 * what they send is what they are for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "bench/load/count.h"
#include "bench/load/hist.h"
#include "bench/load/script.h"
#include "bench/load/text.h"
#include "net/net.h"

static unsigned count_split(bool frames, const uint8_t *p, size_t n,
                            size_t piece) {
    struct count count = {.frames = frames};
    uint8_t room[COUNT_ROOM + 4096];
    unsigned found = 0;

    for (size_t at = 0; at < n; at += piece) {
        size_t part = n - at < piece ? n - at : piece;

        memcpy(room + COUNT_ROOM, p + at, part);
        found += count_feed(&count, room + COUNT_ROOM, part);
    }
    return found;
}

static void test_count_of_xml_is_right_in_pieces_of_any_size(void **state) {
    static const char xml[] =
        "<message><body>&lt;/message></body></message><message></message>"
        "</messag</message></message><presence/><message></message";

    (void)state;
    for (size_t piece = 1; piece <= sizeof(xml) - 1; piece++)
        assert_int_equal(
            count_split(false, (const uint8_t *)xml, sizeof(xml) - 1, piece),
            4);
}

static void test_count_of_frames_is_right_in_pieces_of_any_size(void **state) {
    uint8_t wire[700] = {3, 'a', 'b', 'c', 1, 'd', 0x80 | 44, 2};
    size_t n = 8 + 300; /* a length of two bytes: 300 */

    (void)state;
    wire[n++] = 2;
    wire[n++] = 'x'; /* the last is not complete */
    for (size_t piece = 1; piece <= n; piece++)
        assert_int_equal(count_split(true, wire, n, piece), 3);
}

static void test_hist_quantiles_are_within_three_percent(void **state) {
    struct hist *hist = calloc(1, sizeof(*hist));

    (void)state;
    assert_non_null(hist);
    for (uint64_t i = 1; i <= 100000; i++)
        hist_add(hist, i * 1000);
    for (unsigned percent = 1; percent <= 100; percent++) {
        double want = percent * 1e6;
        double got = (double)hist_quantile(hist, percent / 100.0);

        assert_true(got > want * 0.97 && got < want * 1.03);
    }
    free(hist);
}

/* ---- what is sent is what the other end reads ------------------------------
 */

/* Takes one native frame from *p. */
static struct terse_str next(const uint8_t **p, const uint8_t *end) {
    struct terse_str frame = {0};
    unsigned shift = 0;

    do {
        assert_true(*p < end);
        frame.n |= (size_t)(**p & 0x7f) << shift;
        shift += 7;
    } while (*(*p)++ & 0x80);
    assert_true(frame.n <= (size_t)(end - *p));
    frame.p = (const char *)*p;
    *p += frame.n;
    return frame;
}

struct end {
    struct terse_schema *schema;
    struct terse_peer *peer;
    struct terse_work work;
    struct terse_buf plain, xml;
};

/* Unpacks and decodes one frame. */
static void hear(struct end *end, struct terse_str frame) {
    assert_int_equal(
        terse_peer_unpack(end->peer, frame.p, frame.n, &end->work, &end->plain),
        TERSE_OK);
    terse_buf_reset(&end->xml);
    assert_int_equal(terse_decode(end->schema, &terse_limits_default,
                                  terse_buf_data(&end->plain), end->plain.len,
                                  TERSE_IN_STREAM, &end->xml, NULL),
                     TERSE_OK);
}

static enum terse_err encode(void *arg, enum terse_event event,
                             struct terse_node *node) {
    struct end *end = arg;

    if (event != TERSE_OPEN)
        return TERSE_OK;
    return terse_encode(end->schema, &terse_limits_default, event, node,
                        &end->plain, NULL);
}

/* The server's header, packed, as the client's script is to hear it. */
static void answer(struct end *end, struct script *script) {
    struct terse_buf xml, wire;
    struct terse_reader *reader;

    terse_buf_init(&xml, 4096);
    terse_buf_init(&wire, 4096);
    text_server_header(&xml, "");
    assert_int_equal(terse_reader_new(&reader, end->schema,
                                      &terse_limits_default, encode, end),
                     TERSE_OK);
    assert_int_equal(
        terse_reader_feed(reader, (const char *)terse_buf_data(&xml), xml.len),
        TERSE_OK);
    assert_int_equal(terse_peer_pack(end->peer, terse_buf_data(&end->plain),
                                     end->plain.len, &end->work, &wire),
                     TERSE_OK);
    script_hear(script, terse_buf_data(&wire), wire.len);
    terse_reader_free(reader);
    terse_buf_fini(&xml);
    terse_buf_fini(&wire);
}

/* All steps of the login, and 300 messages; how many bytes the last takes. */
static size_t play(struct end *end, enum wire wire) {
    struct script script;
    const uint8_t *p, *last;
    size_t size = 0;

    script_init(&script, end->schema, wire, THEN_NOTHING, 0, 1);
    for (unsigned i = 0; i < script_steps(&script); i++) {
        const struct terse_buf *step = script_step(&script, i);

        p = terse_buf_data(step);
        last = p + step->len;
        if (i == 0) {
            assert_memory_equal(p, NET_PREFACE, sizeof(NET_PREFACE) - 1);
            p += sizeof(NET_PREFACE) - 1;
        }
        while (p < last)
            hear(end, next(&p, last));
        if (i == 0)
            answer(end, &script);
    }
    for (size_t i = 0; i < 300; i++) {
        struct terse_str frame;
        struct terse_buf want;
        size_t from = i ? script_end(&script, i - 1) : 0;
        size_t to = script_end(&script, i);

        p = terse_buf_data(&script.bytes) + from;
        size = to - from;
        frame = next(&p, p + size);
        assert_ptr_equal(p, terse_buf_data(&script.bytes) + to);
        hear(end, frame);
        terse_buf_init(&want, 4096);
        text_message(&want, 1, i + 1);
        /* The same, but for the kind of quotes and their order. */
        assert_int_equal(end->xml.len, want.len);
        terse_buf_fini(&want);
    }
    script_fini(&script);
    return size;
}

static size_t play_alone(enum wire wire) {
    struct end end = {0};
    size_t size;

    assert_int_equal(terse_schema_new(&end.schema), TERSE_OK);
    assert_int_equal(terse_peer_new(&end.peer, end.schema,
                                    &terse_state_limits_default, false),
                     TERSE_OK);
    terse_work_init(&end.work, &terse_limits_default);
    terse_buf_init(&end.plain, 65536);
    terse_buf_init(&end.xml, 65536);
    size = play(&end, wire);
    terse_buf_fini(&end.plain);
    terse_buf_fini(&end.xml);
    terse_work_fini(&end.work);
    terse_peer_free(end.peer);
    terse_schema_free(end.schema);
    return size;
}

static void test_script_says_what_a_client_would(void **state) {
    size_t alone = play_alone(WIRE_FRAMES), with = play_alone(WIRE_STATE);

    (void)state;
    assert_true(with < alone); /* or state was never agreed on */
}

static void test_canned_messages_are_never_the_same(void **state) {
    struct text_canned canned;
    struct terse_buf a, b;

    (void)state;
    terse_buf_init(&a, 4096);
    terse_buf_init(&b, 4096);
    text_can(&canned, 3);
    text_serve(&a, &canned, 77, 1);
    text_serve(&b, &canned, 77, 2);
    assert_int_equal(a.len, b.len);
    assert_memory_not_equal(terse_buf_data(&a), terse_buf_data(&b), a.len);
    assert_non_null(memmem(terse_buf_data(&a), a.len, "to='bench00077@", 15));
    assert_null(memmem(terse_buf_data(&a), a.len, "#", 1));
    terse_buf_fini(&canned.xml);
    terse_buf_fini(&a);
    terse_buf_fini(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_count_of_xml_is_right_in_pieces_of_any_size),
        cmocka_unit_test(test_count_of_frames_is_right_in_pieces_of_any_size),
        cmocka_unit_test(test_hist_quantiles_are_within_three_percent),
        cmocka_unit_test(test_script_says_what_a_client_would),
        cmocka_unit_test(test_canned_messages_are_never_the_same),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
