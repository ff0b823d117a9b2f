/* A receiver obeys any sender: one that remembers, forgets and refers by the
 * throw of a die, at tables of any size, has every recorded frame come out as
 * it was. Nothing of our own sender's policy is in it. */
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
static struct codec_random randomness = {7};

/* What the sender knows the receiver to hold. */
struct sender {
    struct terse_state_limits bounds;
    char *slot[SLOTS_MAX]; /* NULL: empty */
    size_t slot_n[SLOTS_MAX], slot_bytes;
    struct terse_buf template[TEMPLATES_MAX]; /* stripped; cap 0: empty */
    uint32_t number[TEMPLATES_MAX];
    size_t template_bytes;
    struct terse_buf a, b, wire, back;
    struct terse_peer *receiver;
    /* how often each thing was done */
    unsigned refs, defines, replaced, likes, keeps, dropped, deflated;
};

static uint32_t below(uint32_t n) {
    return (uint32_t)(codec_random(&randomness) % n);
}

static struct terse_str str_of(const struct terse_buf *buf) {
    return (struct terse_str){(const char *)terse_buf_data(buf), buf->len};
}

static void put(struct terse_buf *out, const void *p, size_t n) {
    assert_int_equal(terse_buf_append(out, p, n), TERSE_OK);
}

static void put_content(struct terse_buf *out, uint32_t number,
                        struct terse_str content) {
    uint8_t tag = (uint8_t)(number << 3 | WIRE_BYTES), byte;
    put(out, &tag, 1);
    for (size_t n = content.n; n >= 0x80; n >>= 7) {
        byte = (uint8_t)(n | 0x80);
        put(out, &byte, 1);
    }
    size_t last = content.n;
    while (last >= 0x80)
        last >>= 7;
    byte = (uint8_t)last;
    put(out, &byte, 1);
    put(out, content.p, content.n);
}

/* ---- strings --------------------------------------------------------------
 */

static void put_ref(struct terse_buf *out, uint32_t i) {
    uint8_t c[2] = {(uint8_t)(i < 8 ? i + 1 : i + 6), 0};
    if (i >= 20) {
        i -= 20;
        c[0] = (uint8_t)(0x1a + i / 96);
        c[1] = (uint8_t)(0x20 + i % 96);
    }
    put(out, c, c[1] ? 2 : 1);
}

/* A slot that holds what s begins with, or nothing; -1 if there is none at the
 * place that was thrown. */
static int begins_with(const struct sender *s, struct terse_str text) {
    uint32_t from = below(s->bounds.slots);
    for (uint32_t k = 0; k < s->bounds.slots; k++) {
        uint32_t i = (from + k) % s->bounds.slots;
        if (s->slot[i] && s->slot_n[i] <= text.n &&
            memcmp(s->slot[i], text.p, s->slot_n[i]) == 0 && below(4))
            return (int)i;
    }
    return -1;
}

static bool define(struct sender *s, struct terse_str text,
                   struct terse_buf *out, uint32_t *slot) {
    uint32_t i = *slot = below(s->bounds.slots);
    size_t had = s->slot[i] ? s->slot_n[i] : 0;
    if (text.n > SLOT_BYTES_MAX ||
        s->slot_bytes - had + text.n > s->bounds.slot_bytes)
        return false;
    uint8_t c[2] = {(uint8_t)(0x1c + i / 96), (uint8_t)(0x20 + i % 96)};
    put(out, c, 2);
    s->slot_bytes += text.n - had;
    return true;
}

static void fill_slot(struct sender *s, uint32_t i, struct terse_str text) {
    s->replaced += s->slot[i] != NULL;
    free(s->slot[i]);
    s->slot[i] = malloc(text.n + 1);
    assert_non_null(s->slot[i]);
    memcpy(s->slot[i], text.n ? text.p : "", text.n);
    s->slot_n[i] = text.n;
    s->defines++;
}

static enum terse_err throw_string(void *arg, struct terse_str text,
                                   bool comes_again, struct terse_buf *out) {
    struct sender *s = arg;
    uint32_t slot = 0;
    (void)comes_again;
    if (s->bounds.slots == 0)
        return terse_buf_append(out, text.p, text.n);
    bool defines = below(3) == 0 && define(s, text, out, &slot);
    for (size_t at = 0; at < text.n;) {
        struct terse_str left = {text.p + at, text.n - at};
        int i = below(2) ? begins_with(s, left) : -1;
        if (i >= 0) {
            put_ref(out, (uint32_t)i);
            at += s->slot_n[i];
            s->refs++;
        } else {
            put(out, left.p, 1);
            at++;
        }
    }
    if (defines)
        fill_slot(s, slot, text);
    return TERSE_OK;
}

/* ---- stanzas --------------------------------------------------------------
 */

/* Makes content template i, if it has room there. */
static bool remember(struct sender *s, uint32_t i, uint32_t number,
                     struct terse_str content) {
    const struct sc_type *frame = schema_frame(schema);
    struct terse_buf *t = &s->template[i];
    terse_buf_reset(&s->b);
    assert_int_equal(template_strip(schema,
                                    schema_nested(schema, frame,
                                                  schema_field(frame, number)),
                                    content, &s->b),
                     TERSE_OK);
    if (s->b.len > s->bounds.template_bytes / 2 ||
        s->template_bytes - t->len + s->b.len > s->bounds.template_bytes)
        return false;
    s->template_bytes += s->b.len - t->len;
    s->dropped += s->number[i] != 0;
    terse_buf_reset(t);
    put(t, terse_buf_data(&s->b), s->b.len);
    s->number[i] = number;
    return true;
}

/* Writes what content adds to a template, if one that was thrown fits. */
static bool throw_like(struct sender *s, const struct sc_type *type,
                       const struct wire_field *content) {
    uint32_t i = below(s->bounds.templates);
    bool fits = false;
    if (s->number[i] != content->number)
        return false;
    terse_buf_reset(&s->a);
    assert_int_equal(template_diff(schema, type, str_of(&s->template[i]),
                                   content->bytes, &s->a, &fits),
                     TERSE_OK);
    if (!fits || !remember(s, i, content->number, content->bytes))
        return false;
    assert_int_equal(state_put_number(&s->wire, FRAME_LIKE, i), TERSE_OK);
    s->likes++;
    return true;
}

static void throw_stanza(struct sender *s, const struct wire_field *content) {
    const struct sc_type *frame = schema_frame(schema);
    const struct sc_type *type =
        schema_nested(schema, frame, schema_field(frame, content->number));
    struct terse_str body = content->bytes;
    bool like = false;
    for (int i = 0; i < 8 && !like && s->bounds.templates > 0; i++)
        like = throw_like(s, type, content);
    if (like) {
        body = str_of(&s->a);
    } else if (s->bounds.templates > 0 && below(2)) {
        uint32_t i = below(s->bounds.templates);
        if (remember(s, i, content->number, body)) {
            assert_int_equal(state_put_number(&s->wire, FRAME_KEEP, i),
                             TERSE_OK);
            s->keeps++;
        }
    }
    terse_buf_reset(&s->b);
    assert_int_equal(
        template_strings(schema, type, body, throw_string, s, &s->b), TERSE_OK);
    if (!like || s->b.len > 0 || below(2))
        put_content(&s->wire, content->number, str_of(&s->b));
}

static void throw_deflate(struct sender *s) {
    terse_buf_reset(&s->a);
    if (below(4) || deflate_pack(str_of(&s->wire), &s->a) != TERSE_OK)
        return;
    terse_buf_reset(&s->wire);
    put_content(&s->wire, FRAME_DEFLATED, str_of(&s->a));
    s->deflated++;
}

static void pass(struct sender *s, const struct terse_buf *frame) {
    struct wire in = wire_of(str_of(frame));
    struct wire_field f;
    terse_buf_reset(&s->wire);
    assert_true(wire_next(&in, &f));
    if (f.number <= 3 && f.type == WIRE_BYTES)
        throw_stanza(s, &f);
    else
        put(&s->wire, terse_buf_data(frame), frame->len);
    throw_deflate(s);
    assert_int_equal(terse_peer_unpack(s->receiver, terse_buf_data(&s->wire),
                                       s->wire.len, &work, &s->back),
                     TERSE_OK);
    assert_true(codec_same(frame, &s->back));
}

/* ---- sessions -------------------------------------------------------------
 */

static void pass_recording(struct sender *s, const char *path) {
    FILE *file = fopen(path, "r");
    char *line = NULL;
    size_t cap = 0;
    struct terse_buf frame;
    struct terse_error error;
    assert_non_null(file);
    terse_buf_init(&frame, codec_wide.frame_bytes);
    while (getline(&line, &cap, file) > 0) {
        json_t *record = json_loads(line, 0, NULL);
        assert_non_null(record);
        const char *kind = json_string_value(json_object_get(record, "kind"));
        const char *xml = json_string_value(json_object_get(record, "xml"));
        if (strcmp(kind, "stanza") == 0 || strcmp(kind, "nonza") == 0) {
            assert_int_equal(codec_encode(schema, &codec_wide, xml, strlen(xml),
                                          &frame, &error),
                             TERSE_OK);
            pass(s, &frame);
        }
        json_decref(record);
    }
    free(line);
    fclose(file);
    terse_buf_fini(&frame);
}

static void sender_init(struct sender *s, struct terse_state_limits bounds) {
    static const uint8_t open[] = {0x6a, 0x00};
    *s = (struct sender){.bounds = bounds};
    struct terse_buf *bufs[] = {&s->a, &s->b, &s->wire, &s->back};
    for (size_t i = 0; i < 4; i++)
        terse_buf_init(bufs[i], codec_wide.frame_bytes);
    for (size_t i = 0; i < TEMPLATES_MAX; i++)
        terse_buf_init(&s->template[i], codec_wide.frame_bytes);
    assert_int_equal(terse_peer_new(&s->receiver, schema, &bounds, true),
                     TERSE_OK);
    assert_int_equal(
        terse_peer_pack(s->receiver, open, sizeof(open), &work, &s->wire),
        TERSE_OK);
}

static void sender_fini(struct sender *s) {
    struct terse_buf *bufs[] = {&s->a, &s->b, &s->wire, &s->back};
    for (size_t i = 0; i < 4; i++)
        terse_buf_fini(bufs[i]);
    for (size_t i = 0; i < TEMPLATES_MAX; i++)
        terse_buf_fini(&s->template[i]);
    for (size_t i = 0; i < SLOTS_MAX; i++)
        free(s->slot[i]);
    terse_peer_free(s->receiver);
}

/* All recordings, both directions of each, over one connection. */
static void pass_all(struct sender *s) {
    glob_t found;
    assert_int_equal(glob("tests/corpus/*.jsonl", 0, NULL, &found), 0);
    for (size_t i = 0; i < found.gl_pathc; i++)
        pass_recording(s, found.gl_pathv[i]);
    globfree(&found);
}

static void test_schedule_any_sender_is_obeyed(void **state) {
    (void)state;
    static const struct terse_state_limits bounds[] = {
        {192, 20000, 128, 60000}, {128, 4000, 64, 12000}, {30, 500, 9, 2000},
        {3, 70, 2, 600},          {140, 3000, 0, 0},      {0, 0, 5, 3000}};
    for (size_t i = 0; i < sizeof(bounds) / sizeof(bounds[0]); i++) {
        struct sender s;
        sender_init(&s, bounds[i]);
        pass_all(&s);
        if (bounds[i].slots > 0)
            assert_true(s.refs > 1000 && s.defines > 1000 && s.replaced > 500);
        if (bounds[i].templates > 0)
            assert_true(s.likes > 500 && s.keeps > 100 && s.dropped > 100);
        assert_true(s.deflated > 500);
        sender_fini(&s);
    }
}

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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_schedule_any_sender_is_obeyed),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
