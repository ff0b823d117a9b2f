/* Whether who sees sizes can guess texts: two connections that differ in
 * nothing but texts (bodies, subjects, statuses, SASL data) carry the same
 * bytes but for the texts themselves, and their tables stay the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "codec/parts.h"
#include "codec/state.h"
#include "codec/str.h"
#include "codec_util.h"

enum { TEXTS = 4000, TEXT_MAX = 160, SESSIONS = 24, FRAMES = 150 };
enum { LONGS = 12, LONG_MAX = 4000, XML_MAX = 3 * LONG_MAX };

static struct terse_schema *schema;
static struct terse_work work;
static struct terse_limits limits;
static struct codec_random randomness = {2024};

static uint32_t below(size_t n) {
    return (uint32_t)(codec_random(&randomness) % n);
}

static const char *any(const char *const *of, size_t n) { return of[below(n)]; }
#define ANY(of) any(of, sizeof(of) / sizeof(of[0]))

/* ---- texts ----------------------------------------------------------------
 */

/* How a text is written where it may stand: body, subject, status, a body with
 * a language, SASL data. Texts of the same shape are as long as each other. */
struct shape {
    uint32_t number[5]; /* of the field: tells strings and packed ones apart */
    size_t n[5];        /* bytes in it */
};

struct text {
    char s[TEXT_MAX];
    struct shape shape;
};

static struct text texts[TEXTS];
static char longs[LONGS][LONG_MAX]; /* much longer than all else in a stanza */

/* What stands beside texts in the stanzas below, too: such a guess would be
 * right if texts and public strings met in any table. */
static const char *const jids[] = {
    "juliet@capulet.example/balcony", "romeo@montague.example/orchard",
    "nurse@capulet.example", "friends@rooms.example/mercutio"};
static const char *const ids[] = {"a1b2-c3d4", "purple7f31", "m-1001x",
                                  "wherefore"};
static const char *const words[] = {
    "I",     "you",   "we",      "are",    "will",     "be",    "there",
    "at",    "the",   "station", "meet",   "tonight",  "maybe", "tomorrow",
    "eight", "nine",  "coffee",  "please", "thanks",   "yes",   "no",
    "who",   "what",  "where",   "how",    "password", "is",    "secret",
    "xyzzy", "plugh", "qwfpg",   "home",   "office",   "late",  "on my way",
    "see",   "call",  "me",      "back",   "later",    "and",   "not"};

static void encode(const char *xml, struct terse_buf *frame) {
    struct terse_error error;
    assert_int_equal(
        codec_encode(schema, &limits, xml, strlen(xml), frame, &error),
        TERSE_OK);
}

/* Adds up the private fields of a message; rest gets all else, with lengths as
 * if they were not there. */
static void split(const struct sc_type *type, struct terse_str bytes,
                  struct terse_buf *rest, uint32_t *number, size_t *n) {
    struct wire in = wire_of(bytes);
    struct wire_field f;
    while (in.p != in.end) {
        assert_true(wire_next(&in, &f));
        const struct sc_field *field = schema_field(type, f.number);
        assert_non_null(field);
        const struct sc_type *inner = field->inner;
        uint32_t head[4] = {f.number, (uint32_t)f.value,
                            (uint32_t)(f.value >> 32), (uint32_t)f.bytes.n};
        if (!inner && (field->t->flags & TABLE_PRIVATE)) {
            *number = f.number;
            *n += f.bytes.n;
            continue;
        }
        if (inner)
            head[3] = UINT32_MAX; /* its length is that of what is inside */
        assert_int_equal(terse_buf_append(rest, head, sizeof(head)), TERSE_OK);
        if (inner) {
            split(inner, f.bytes, rest, number, n);
            head[0] = 0; /* the end of it */
            assert_int_equal(terse_buf_append(rest, head, 4), TERSE_OK);
        } else {
            assert_int_equal(terse_buf_append(rest, f.bytes.p, f.bytes.n),
                             TERSE_OK);
        }
    }
}

static void measure(struct text *text) {
    static const char *const forms[5] = {
        "<message><body>%s</body></message>",
        "<message><subject>%s</subject></message>",
        "<presence><status>%s</status></presence>",
        "<message><body xml:lang='en'>%s</body></message>",
        "<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>%s</response>"};
    struct terse_buf frame, rest;
    char xml[2 * TEXT_MAX];
    terse_buf_init(&frame, 1000);
    terse_buf_init(&rest, 1000);
    for (int i = 0; i < 5; i++) {
        snprintf(xml, sizeof(xml), forms[i], text->s);
        encode(xml, &frame);
        split(
            schema_frame(schema),
            (struct terse_str){(const char *)terse_buf_data(&frame), frame.len},
            &rest, &text->shape.number[i], &text->shape.n[i]);
    }
    terse_buf_fini(&frame);
    terse_buf_fini(&rest);
}

static void make_texts(void) {
    for (size_t i = 0; i < TEXTS; i++) {
        struct text *t = &texts[i];
        size_t len = 0, n = 1 + below(i % 4 ? 5 : 10);
        for (size_t j = 0; j < n && len + 40 < TEXT_MAX; j++) {
            const char *word = below(12)  ? ANY(words)
                               : below(2) ? ANY(jids)
                                          : ANY(ids);
            len += (size_t)snprintf(t->s + len, TEXT_MAX - len, "%s%s",
                                    j ? " " : "", word);
        }
        measure(t);
    }
}

static void make_longs(void) {
    for (size_t i = 0; i < LONGS; i++)
        for (size_t len = 0; len + TEXT_MAX < LONG_MAX * (i + 1) / LONGS;)
            len += (size_t)snprintf(longs[i] + len, LONG_MAX - len, "%s ",
                                    texts[below(TEXTS)].s);
}

/* Another text of the same shape; the same one if there is no other. */
static const struct text *alike(const struct text *text) {
    size_t from = below(TEXTS);
    for (size_t i = 0; i < TEXTS; i++) {
        const struct text *t = &texts[(from + i) % TEXTS];
        if (t != text && memcmp(&t->shape, &text->shape, sizeof(t->shape)) == 0)
            return t;
    }
    return text;
}

static int setup(void **state) {
    (void)state;
    assert_int_equal(terse_schema_new(&schema), TERSE_OK);
    limits = codec_wide;
    limits.revision = schema_revision(schema);
    terse_work_init(&work, &limits);
    make_texts();
    make_longs();
    return 0;
}

static int teardown(void **state) {
    (void)state;
    terse_work_fini(&work);
    terse_schema_free(schema);
    return 0;
}

/* ---- connections ----------------------------------------------------------
 */

/* Large, and all of it like the rest of it: worth a dictionary and deflate. */
#define FIELD                                                                  \
    "<stanza-id xmlns='urn:xmpp:sid:0' id='I' by='J'/>"                        \
    "<stanza-id xmlns='urn:xmpp:sid:0' id='one-of-many-ids-1' by='J'/>"
#define FIELDS FIELD FIELD FIELD FIELD
#define FORM FIELDS FIELDS FIELDS

/* J: an address, I: an id, T and U: texts. Each stands for the same thing
 * wherever it comes in one stanza. */
static const char *const stanzas[] = {
    "<message to='J' type='chat' id='I'><body>T</body></message>",
    "<message to='J' type='chat' id='I'><body>T</body>"
    "<origin-id xmlns='urn:xmpp:sid:0' id='I'/>"
    "<request xmlns='urn:xmpp:receipts'/></message>",
    "<message from='J' id='I'><subject>T</subject><body>U</body></message>",
    "<message from='J' type='groupchat'><subject>T</subject></message>",
    "<message to='J' id='I'><body xml:lang='en'>T</body>"
    "<active xmlns='http://jabber.org/protocol/chatstates'/></message>",
    "<message from='J' type='error' id='I'><body>T</body><error type='cancel'>"
    "<gone xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>"
    "<text xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'>U</text>"
    "</error></message>",
    "<message from='J'><received xmlns='urn:xmpp:carbons:2'>"
    "<forwarded xmlns='urn:xmpp:forward:0'>"
    "<message xmlns='jabber:client' from='J' type='chat' id='I'>"
    "<body>T</body></message></forwarded></received></message>",
    "<message from='J'><result xmlns='urn:xmpp:mam:2' id='I' queryid='I'>"
    "<forwarded xmlns='urn:xmpp:forward:0'>"
    "<delay xmlns='urn:xmpp:delay' stamp='2024-05-01T10:00:00Z'/>"
    "<message xmlns='jabber:client' from='J' type='chat' id='I'>"
    "<body>T</body><stanza-id xmlns='urn:xmpp:sid:0' id='I' by='J'/>"
    "</message></forwarded></result></message>",
    "<presence from='J'><show>away</show><status>T</status>"
    "<priority>5</priority></presence>",
    "<presence from='J'><status>T</status></presence>",
    "<presence to='J'/>",
    "<message to='J' type='chat' id='I'>"
    "<received xmlns='urn:xmpp:receipts' id='I'/></message>",
    "<message to='J' type='chat' id='I'><body>T</body>"
    "<received xmlns='urn:xmpp:receipts' id='I'/></message>",
    "<iq to='J' type='result' id='I'/>",
    "<message from='J' id='I'><body>T</body>" FORM "</message>",
    "<message from='J' id='I'>" FORM "</message>",
    "<iq to='J' type='get' id='I'><ping xmlns='urn:xmpp:ping'/></iq>",
    "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>T</auth>",
    "<challenge xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>T</challenge>",
    "<response xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>T</response>"};

/* What the letters of one stanza stand for. */
struct said {
    const char *jid, *id, *text[2];
};

static void compose(const char *stanza, const struct said *said, char *xml,
                    size_t cap) {
    size_t n = 0;
    for (const char *p = stanza; *p && n + 2 < cap; p++) {
        bool in = p > stanza && (p[-1] == '\'' || p[-1] == '>') &&
                  (p[1] == '\'' || p[1] == '<');
        const char *put = !in         ? NULL
                          : *p == 'J' ? said->jid
                          : *p == 'I' ? said->id
                          : *p == 'T' ? said->text[0]
                          : *p == 'U' ? said->text[1]
                                      : NULL;
        n += (size_t)snprintf(xml + n, cap - n, "%.*s", put ? (int)cap : 1,
                              put ? put : p);
    }
    assert_true(n + 2 < cap);
}

/* One end that sends, and what it sent last. */
struct sender {
    struct terse_peer *peer;
    struct terse_buf frame, wire, rest;
    size_t texts; /* bytes of them on the wire */
    unsigned abouts, deflated;
};

static void sender_init(struct sender *s,
                        const struct terse_state_limits *bounds) {
    /* What each end says: bounds that are as wide as ours. */
    static const uint8_t open[] = {0x6a, 0x00};
    static const uint8_t head[] = {0x6a, 0x00, 0x80, 0x01, 0x80, 0x01, 0x88,
                                   0x01, 0x80, 0x01, 0x90, 0x01, 0x2e, 0x98,
                                   0x01, 0xe0, 0xd4, 0x03, 0xa0, 0x01, 0x03};
    *s = (struct sender){0};
    terse_buf_init(&s->frame, limits.frame_bytes);
    terse_buf_init(&s->wire, limits.frame_bytes);
    terse_buf_init(&s->rest, limits.frame_bytes);
    assert_int_equal(terse_peer_new(&s->peer, schema, bounds, true), TERSE_OK);
    assert_int_equal(
        terse_peer_pack(s->peer, open, sizeof(open), &work, &s->wire),
        TERSE_OK);
    assert_int_equal(
        terse_peer_unpack(s->peer, head, sizeof(head), &work, &s->wire),
        TERSE_OK);
}

static void sender_fini(struct sender *s) {
    terse_peer_free(s->peer);
    terse_buf_fini(&s->frame);
    terse_buf_fini(&s->wire);
    terse_buf_fini(&s->rest);
}

static void sender_send(struct sender *s, const char *stanza,
                        const struct said *said) {
    static char xml[XML_MAX];
    uint32_t number;
    compose(stanza, said, xml, sizeof(xml));
    encode(xml, &s->frame);
    assert_int_equal(terse_peer_pack(s->peer, terse_buf_data(&s->frame),
                                     s->frame.len, &work, &s->wire),
                     TERSE_OK);
    struct wire in = wire_of((struct terse_str){
        (const char *)terse_buf_data(&s->wire), s->wire.len});
    struct wire_field f;
    while (in.p != in.end) {
        assert_true(wire_next(&in, &f));
        s->abouts += f.number == FRAME_ABOUT;
        s->deflated += f.number == FRAME_DEFLATED;
        /* What people wrote is in no frame that was deflated. */
        if (f.number == FRAME_DEFLATED && strstr(stanza, ">T<"))
            fail_msg("deflated: %s", stanza);
    }
    terse_buf_reset(&s->rest);
    s->texts = 0;
    split(
        schema_frame(schema),
        (struct terse_str){(const char *)terse_buf_data(&s->wire), s->wire.len},
        &s->rest, &number, &s->texts);
}

/* It gets a stanza that enters the journal of the other end, so that what it
 * sends is about that. */
static void sender_gets(struct sender *s, const char *stanza,
                        const struct said *said, bool on) {
    static char xml[XML_MAX];
    struct terse_buf back;
    terse_buf_init(&back, limits.frame_bytes);
    compose(stanza, said, xml, sizeof(xml));
    encode(xml, &s->frame);
    terse_buf_reset(&s->wire);
    if (on)
        assert_int_equal(parts_put_number(&s->wire, FRAME_ENTER, 1), TERSE_OK);
    assert_int_equal(
        terse_buf_append(&s->wire, terse_buf_data(&s->frame), s->frame.len),
        TERSE_OK);
    assert_int_equal(terse_peer_unpack(s->peer, terse_buf_data(&s->wire),
                                       s->wire.len, &work, &back),
                     TERSE_OK);
    terse_buf_fini(&back);
}

/* What both senders get, in turn with what they send: no more ids than may
 * wait, since what they are about they heard of. */
static void both_get(struct sender *a, struct sender *b, const struct said *one,
                     const struct said *two) {
    static const char *const incoming[] = {
        "<message to='J' type='chat' id='I'><body>T</body></message>",
        "<iq from='J' type='get' id='I'><ping xmlns='urn:xmpp:ping'/></iq>"};
    const char *stanza = ANY(incoming);
    sender_gets(a, stanza, one, true);
    sender_gets(b, stanza, two, true);
}

static struct { unsigned abouts, deflated; } told;

enum how { SAME_SHAPE, OTHERS, LONG_ONES };

/* A session with some texts and with others, of the same shape or not. Returns
 * the frames in which more than the texts differs. */
static unsigned tell(const struct terse_state_limits *bounds, enum how how) {
    struct sender a, b;
    bool same_shape = how == SAME_SHAPE;
    unsigned differ = 0;
    sender_init(&a, bounds);
    sender_init(&b, bounds);
    for (int i = 0; i < FRAMES; i++) {
        const char *stanza = ANY(stanzas);
        struct said one = {ANY(jids), ANY(ids), {0}}, two = one;
        for (int j = 0; j < 2; j++) {
            const struct text *t = &texts[below(TEXTS)];
            one.text[j] = t->s;
            two.text[j] = (same_shape ? alike(t) : &texts[below(TEXTS)])->s;
            if (how == LONG_ONES)
                two.text[j] = longs[below(LONGS)];
        }
        if (bounds->journal > 0 && below(3) == 0 && i < FRAMES / 2)
            both_get(&a, &b, &one, &two);
        sender_send(&a, stanza, &one);
        sender_send(&b, stanza, &two);
        if (same_shape)
            assert_int_equal(a.wire.len, b.wire.len);
        if (!codec_same(&a.rest, &b.rest))
            differ++;
    }
    told.abouts += a.abouts + b.abouts;
    told.deflated += a.deflated + b.deflated;
    sender_fini(&a);
    sender_fini(&b);
    return differ;
}

static const struct terse_state_limits small = {6, 3, 46, 1100};
static const struct terse_state_limits tiny = {6, 150, 0, 400};

/* A guess that is right (a text that was sent before, or that stands beside
 * it) and one that is wrong are equally long, and so is all that follows. */
static void test_guess_right_or_wrong_is_as_long(void **state) {
    (void)state;
    size_t pairs = 0;
    for (size_t i = 0; i < TEXTS; i += 10)
        pairs += alike(&texts[i]) != &texts[i];
    assert_true(pairs > TEXTS / 10 / 2);
    for (int i = 0; i < SESSIONS; i++) {
        assert_int_equal(tell(&terse_state_limits_default, SAME_SHAPE), 0);
        assert_int_equal(tell(&small, SAME_SHAPE), 0);
        assert_int_equal(tell(&tiny, SAME_SHAPE), 0);
    }
    assert_true(told.abouts > 100 && told.deflated > 100);
}

/* Whatever was said before, of whatever length: nothing but the text itself
 * differs. */
static void test_guess_texts_change_nothing_but_themselves(void **state) {
    (void)state;
    for (int i = 0; i < SESSIONS; i++) {
        assert_int_equal(tell(&terse_state_limits_default, OTHERS), 0);
        assert_int_equal(tell(&small, OTHERS), 0);
        assert_int_equal(tell(&tiny, OTHERS), 0);
    }
}

/* Nor where a text is all but a few bytes of its frame. */
static void test_guess_long_texts_are_short_to_state(void **state) {
    (void)state;
    for (int i = 0; i < SESSIONS; i++) {
        assert_int_equal(tell(&terse_state_limits_default, LONG_ONES), 0);
        assert_int_equal(tell(&small, LONG_ONES), 0);
        assert_int_equal(tell(&tiny, LONG_ONES), 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_guess_right_or_wrong_is_as_long),
        cmocka_unit_test(test_guess_texts_change_nothing_but_themselves),
        cmocka_unit_test(test_guess_long_texts_are_short_to_state),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
