/* A receiver obeys any sender: two that remember, forget and refer by the throw
 * of a die, one at each end, whose frames cross on the way, have every recorded
 * frame come out as it was, at bounds of any size. Nothing of our own sender's
 * policy is in it: what may be referred to is kept here anew, by the rules of
 * docs/wire.md. */
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
#include "codec/parts.h"
#include "codec/state.h"
#include "codec/str.h"
#include "codec_util.h"

enum {
    FRAMES_MAX = 20000,
    ON_THE_WAY = 64,  /* frames that were sent and have not come */
    AHEAD = 24,       /* records that one end may be before the other one */
    ID_NUMBER = 8,    /* bytes for which a number in a journal counts */
    CANDIDATES = 120, /* remembered strings that are looked at for one place */
};

static struct terse_schema *schema;
static struct terse_work work;
static struct codec_random randomness = {7};

static uint32_t below(uint32_t n) {
    return (uint32_t)(codec_random(&randomness) % n);
}

static struct terse_str bytes_of(const struct terse_buf *buf) {
    return (struct terse_str){
        buf->len > 0 ? (const char *)terse_buf_data(buf) : "", buf->len};
}

static void put(struct terse_buf *out, const void *p, size_t n) {
    assert_int_equal(terse_buf_append(out, p, n), TERSE_OK);
}

static void put_varint(struct terse_buf *out, uint64_t v) {
    uint8_t bytes[WIRE_VARINT_MAX];
    put(out, bytes, wire_put_varint(bytes, v));
}

static void put_number(struct terse_buf *out, uint32_t number, uint64_t v) {
    put_varint(out, (uint64_t)number << 3 | WIRE_VARINT);
    put_varint(out, v);
}

static void put_content(struct terse_buf *out, uint32_t number,
                        struct terse_str content) {
    put_varint(out, (uint64_t)number << 3 | WIRE_BYTES);
    put_varint(out, content.n);
    put(out, content.p, content.n);
}

/* ---- what was recorded ----------------------------------------------------
 */

struct record {
    uint8_t *p; /* owned */
    size_t n;
    int dir; /* 0: the client sent it */
};

static struct record *records;
static size_t n_records;

static void read_recording(const char *path) {
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
        const char *dir = json_string_value(json_object_get(record, "dir"));
        const char *xml = json_string_value(json_object_get(record, "xml"));
        if (strcmp(kind, "stanza") == 0 || strcmp(kind, "nonza") == 0) {
            assert_int_equal(codec_encode(schema, &codec_wide, xml, strlen(xml),
                                          &frame, &error),
                             TERSE_OK);
            assert_true(n_records < FRAMES_MAX);
            struct record *r = &records[n_records++];
            *r = (struct record){malloc(frame.len), frame.len,
                                 strcmp(dir, "s2c") == 0};
            assert_non_null(r->p);
            memcpy(r->p, terse_buf_data(&frame), frame.len);
        }
        json_decref(record);
    }
    free(line);
    fclose(file);
    terse_buf_fini(&frame);
}

static void read_recordings(void) {
    glob_t found;
    records = calloc(FRAMES_MAX, sizeof(*records));
    assert_non_null(records);
    assert_int_equal(glob("tests/corpus/*.jsonl", 0, NULL, &found), 0);
    for (size_t i = 0; i < found.gl_pathc; i++)
        read_recording(found.gl_pathv[i]);
    globfree(&found);
}

/* ---- what a direction remembers -------------------------------------------
 */

/* A string that is kept; p is owned. */
struct text {
    char *p;
    size_t n;
    unsigned depth; /* entries of the book */
};

static struct text text_new(const void *p, size_t n, unsigned depth) {
    struct text t = {malloc(n + 1), n, depth};
    assert_non_null(t.p);
    if (n > 0)
        memcpy(t.p, p, n);
    return t;
}

/* An entry of a journal: an id as it stands on the wire, and an address. */
struct noted {
    enum wire_type type;
    uint64_t value;
    struct text id, addr;
};

static size_t noted_cost(const struct noted *e) {
    return (e->type == WIRE_VARINT ? ID_NUMBER : e->id.n) + e->addr.n;
}

/* All entries that ever entered, and at each end of how many the other
 * direction told, and which is the oldest that stays. */
struct log {
    struct noted *of;
    size_t sent, came; /* so many of them left the one end, reached the other */
    size_t cap;
    size_t heard[2], first[2]; /* at the end that sends, at the other one */
};

struct kept {
    struct terse_buf bytes; /* stripped */
    uint32_t number;        /* 0: empty */
    bool about;
    enum wire_type type; /* of the id of the entry that it was about */
    uint64_t value;
    struct text id, addr;
};

struct direction {
    struct terse_state_limits bounds;
    size_t used; /* of bounds.bytes */
    struct text slot[SLOTS_MAX];
    struct text *book;
    size_t book_sent, book_came;
    struct kept template[TEMPLATES_MAX];
    struct log log;
    bool on; /* stanzas enter the journal */
    /* Ours, which obey: at the end that sends and at the other one. */
    struct state *at[2];
    size_t next; /* record to be sent */
};

/* A frame on its way. */
struct parcel {
    struct terse_buf wire;
    const struct record *record;
    size_t book, log; /* what its direction has, once it has come */
    size_t heard;     /* of how many of the other direction's it tells */
};

struct queue {
    struct parcel of[ON_THE_WAY];
    size_t first, n;
};

struct counts {
    unsigned refs, own, other, far, defines, replaced, entered, beside;
    unsigned likes, keeps, dropped, deflated, dictionaries;
    unsigned abouts, blanks, given, heard, enters, crossed, second;
};

/* A connection. */
struct line {
    struct direction dir[2];
    struct queue queue[2];
    struct terse_buf a, b, c, back;
    struct counts counts;
    /* of the frame that is thrown */
    int from;
    char beside[64];
    size_t beside_n;
    size_t less; /* bytes that its template takes less than the one before */
};

/* ---- strings --------------------------------------------------------------
 */

static bool has_room(const struct direction *d, size_t had, size_t n) {
    return d->used - had + n <= d->bounds.bytes;
}

static size_t slot_cost(const struct text *t) {
    return t->p ? SLOT_COST + t->n : 0;
}

static void put_slot(struct terse_buf *out, uint32_t i) {
    static const char direct[] =
        "\x01\x02\x03\x04\x05\x06\x07\x08\x0e\x0f\x10\x11\x12\x13\x14\x15\x16"
        "\x17\x18";
    if (i < 19) {
        put(out, direct + i, 1);
        return;
    }
    uint8_t c[2] = {i < 115 ? 0x1a : 0x1b,
                    (uint8_t)(0x20 + (i < 115 ? i - 19 : i - 115))};
    put(out, c, 2);
}

static void put_entry(struct terse_buf *out, uint8_t mark, uint32_t i) {
    uint8_t c[3] = {mark, (uint8_t)(0x20 + i), 0};
    if (i >= 64) {
        c[1] = (uint8_t)(0x60 + (i - 64) / 96);
        c[2] = (uint8_t)(0x20 + (i - 64) % 96);
    }
    put(out, c, i < 64 ? 2 : 3);
}

static bool begins(const struct text *t, struct terse_str text) {
    return t->p && t->n > 0 && t->n <= text.n &&
           memcmp(t->p, text.p, t->n) == 0;
}

/* A reference to what text begins with: the bytes that it stands for, 0 if
 * there is none at the places that were thrown. */
static size_t throw_ref(struct line *l, struct terse_str text, bool slots,
                        unsigned *depth, struct terse_buf *out) {
    struct direction *d = &l->dir[l->from];
    const struct direction *o = &l->dir[!l->from];
    uint32_t n = d->bounds.slots;
    uint32_t from = slots && n > 0 ? below(n) : 0;
    for (uint32_t k = 0; slots && k < n && k < CANDIDATES; k++) {
        uint32_t i = (from + k) % n;
        if (!begins(&d->slot[i], text) || !below(3))
            continue;
        put_slot(out, i);
        l->counts.refs++;
        return d->slot[i].n;
    }
    bool own = below(2);
    const struct text *book = own ? d->book : o->book;
    n = (uint32_t)(own ? d->book_sent : o->book_came);
    from = n > 0 ? below(n) : 0;
    for (uint32_t k = 0; k < n && k < CANDIDATES; k++) {
        uint32_t i = (from + k) % n;
        if (!begins(&book[i], text) || (!slots && book[i].depth >= 4))
            continue;
        put_entry(out, own ? BOOK_OWN : BOOK_OTHER, i);
        *(own ? &l->counts.own : &l->counts.other) += 1;
        l->counts.far += i >= 64;
        if (book[i].depth > *depth)
            *depth = book[i].depth;
        return book[i].n;
    }
    return 0;
}

/* Writes text with references in it; how deep its entries nest. */
static unsigned throw_refs(struct line *l, struct terse_str text, bool slots,
                           struct terse_buf *out) {
    unsigned depth = 0;
    for (size_t at = 0; at < text.n;) {
        struct terse_str left = {text.p + at, text.n - at};
        bool likely = at == 0 || strchr("@/#", text.p[at - 1]);
        size_t n = 0;
        if (below(likely ? 4 : 24) == 0 || (likely && below(2)))
            n = throw_ref(l, left, slots, &depth, out);
        if (n == 0) {
            put(out, left.p, 1);
            n = 1;
        }
        at += n;
    }
    return depth;
}

static bool throw_entry(struct line *l, struct terse_str text,
                        struct terse_buf *out) {
    struct direction *d = &l->dir[l->from];
    size_t len = out->len;
    if (d->bounds.bytes < BOOK_BUDGET_MIN || text.n == 0 ||
        text.n > BOOK_TEXT_MAX || d->book_sent >= BOOK_MAX)
        return false;
    put(out, "\x19", 1);
    unsigned depth = throw_refs(l, text, false, out) + 1;
    size_t came = out->len - len - 1;
    assert_true(depth <= 4 + 1);
    if (depth > 4 || !has_room(d, 0, came + BOOK_ENTRY_COST)) {
        out->len = len;
        return false;
    }
    d->book[d->book_sent++] = text_new(text.p, text.n, depth);
    d->used += came + BOOK_ENTRY_COST;
    l->counts.entered++;
    return true;
}

static bool throw_define(struct line *l, struct terse_str text,
                         struct terse_buf *out) {
    struct direction *d = &l->dir[l->from];
    uint32_t i = d->bounds.slots > 0 ? below(d->bounds.slots) : 0;
    size_t had = slot_cost(&d->slot[i]);
    if (d->bounds.slots == 0 || text.n > SLOT_BYTES_MAX ||
        !has_room(d, had, SLOT_COST + text.n))
        return false;
    uint8_t c[2] = {i < 96 ? 0x1c : 0x1d, (uint8_t)(0x20 + i % 96)};
    put(out, c, 2);
    throw_refs(l, text, true, out);
    l->counts.replaced += d->slot[i].p != NULL;
    l->counts.defines++;
    free(d->slot[i].p);
    d->slot[i] = text_new(text.p, text.n, 0);
    d->used += SLOT_COST + text.n - had;
    return true;
}

static enum terse_err throw_string(void *arg, struct terse_str text,
                                   enum sc_kind kind, struct terse_buf *out) {
    struct line *l = arg;
    (void)kind;
    if (text.n > 0 && text.n < sizeof(l->beside) && below(3) == 0) {
        memcpy(l->beside, text.p, text.n);
        l->beside_n = text.n;
    }
    if (below(6) == 0 && throw_entry(l, text, out))
        return TERSE_OK;
    if (below(4) == 0 && throw_define(l, text, out))
        return TERSE_OK;
    throw_refs(l, text, true, out);
    return TERSE_OK;
}

/* ---- journals -------------------------------------------------------------
 */

/* The other direction told of all before upto; end: where it is known. */
static void log_hear(struct log *log, int end, size_t upto) {
    size_t bytes = 0, first = upto;
    if (upto <= log->heard[end])
        return;
    log->heard[end] = upto;
    while (first > log->first[end] && upto - first < JOURNAL_HEARD &&
           bytes + noted_cost(&log->of[first - 1]) <= JOURNAL_HEARD_BYTES)
        bytes += noted_cost(&log->of[--first]);
    log->first[end] = first;
}

/* Whether an entry more may wait, as the end that sends sees it. */
static bool log_has_room(const struct direction *d, const struct noted *e) {
    const struct log *log = &d->log;
    size_t bytes = noted_cost(e);
    for (size_t i = log->heard[0]; i < log->sent; i++)
        bytes += noted_cost(&log->of[i]);
    return log->sent - log->heard[0] < d->bounds.journal &&
           bytes <= JOURNAL_WAIT_BYTES;
}

/* What a stanza's entry would be; false if it has none. */
static bool note(const struct sc_type *type, struct terse_str stanza,
                 struct noted *out) {
    struct wire in = wire_of(stanza);
    struct wire_field f, id = {.number = 0}, from = id, to = id;
    while (in.p != in.end) {
        assert_true(wire_next(&in, &f));
        const struct sc_field *field = schema_field(type, f.number);
        assert_non_null(field);
        if (field->t->bind != BIND_ATTR || field->ns.n > 0)
            continue;
        if (str_is(field->name, "id"))
            id = f;
        else if (field->t->form == FORM_PLAIN && str_is(field->name, "from"))
            from = f;
        else if (field->t->form == FORM_PLAIN && str_is(field->name, "to"))
            to = f;
    }
    if (id.number == 0 || (id.type == WIRE_VARINT && id.value >> 32 == 0) ||
        (id.type == WIRE_BYTES && (id.bytes.n < 4 || id.bytes.n > 80)))
        return false;
    struct terse_str addr = from.number > 0 ? from.bytes : to.bytes;
    if (addr.n > JOURNAL_ADDR_MAX)
        addr.n = 0;
    *out =
        (struct noted){id.type, id.value, text_new(id.bytes.p, id.bytes.n, 0),
                       text_new(addr.p, addr.n, 0)};
    return true;
}

static void forget(struct noted *e) {
    free(e->id.p);
    free(e->addr.p);
}

static bool id_is(const struct noted *a, const struct noted *b) {
    return a->type == b->type && a->value == b->value && a->id.n == b->id.n &&
           (a->id.n == 0 || memcmp(a->id.p, b->id.p, a->id.n) == 0);
}

/* An entry of the other direction to be about, or NULL: one with the id of this
 * stanza rather than any. */
static const struct noted *throw_about(struct line *l, const struct noted *own,
                                       size_t *index) {
    const struct log *log = &l->dir[!l->from].log;
    size_t first = log->first[1];
    if (first == log->came || below(3) == 0)
        return NULL;
    for (size_t i = first; own && i < log->came; i++) {
        *index = i;
        if (id_is(&log->of[i], own) && below(8))
            return &log->of[i];
    }
    *index = first + below((uint32_t)(log->came - first));
    return below(3) ? NULL : &log->of[*index];
}

static struct wire_field field_of(enum wire_type type, uint64_t value,
                                  const struct text *text) {
    return (struct wire_field){
        .type = type, .value = value, .bytes = {text->p, text->n}};
}

/* What an entry changes in a template, or, with t NULL, in a stanza. */
static struct template_links links_of(const struct kept *t,
                                      const struct noted *e) {
    struct template_links links = {.n = 0};
    if (!e)
        return links;
    links.n = TEMPLATE_GIVEN;
    links.of[TEMPLATE_ID].new = field_of(e->type, e->value, &e->id);
    links.of[TEMPLATE_ADDR].new = field_of(WIRE_BYTES, 0, &e->addr);
    if (t && t->about && t->type == e->type)
        links.of[TEMPLATE_ID].old = field_of(t->type, t->value, &t->id);
    if (t && t->about && e->addr.n > 0)
        links.of[TEMPLATE_ADDR].old = field_of(WIRE_BYTES, 0, &t->addr);
    return links;
}

/* ---- stanzas --------------------------------------------------------------
 */

static size_t kept_cost(const struct kept *t) {
    return t->number > 0 ? TEMPLATE_COST + t->bytes.len : 0;
}

/* Makes template i of content, if it has room there. */
static bool remember(struct line *l, uint32_t i, uint32_t number,
                     const struct sc_type *type, struct terse_str content,
                     const struct noted *e) {
    struct direction *d = &l->dir[l->from];
    struct kept *t = &d->template[i];
    terse_buf_reset(&l->b);
    if (template_strip(type, content, &l->b, NULL) != TERSE_OK)
        return false; /* too deep */
    if (l->b.len > UINT16_MAX ||
        !has_room(d, kept_cost(t), TEMPLATE_COST + l->b.len))
        return false;
    size_t had = kept_cost(t);
    l->counts.dropped += t->number > 0;
    terse_buf_reset(&t->bytes);
    put(&t->bytes, bytes_of(&l->b).p, l->b.len);
    t->number = number;
    /* What it gives up is there for strings only when it is kept: behind them.
     */
    if (kept_cost(t) > had)
        d->used += kept_cost(t) - had;
    else
        l->less = had - kept_cost(t);
    free(t->id.p);
    free(t->addr.p);
    t->id = t->addr = (struct text){0};
    t->about = e != NULL;
    if (e) {
        t->type = e->type;
        t->value = e->value;
        t->id = text_new(e->id.p, e->id.n, 0);
        t->addr = text_new(e->addr.p, e->addr.n, 0);
    }
    return true;
}

/* Makes l->a what content adds to a template that was thrown, if one fits. */
static bool throw_like(struct line *l, const struct sc_type *type,
                       const struct wire_field *content, const struct noted *e,
                       struct terse_buf *out) {
    const struct direction *d = &l->dir[l->from];
    uint32_t i = below(d->bounds.templates);
    const struct kept *t = &d->template[i];
    bool fits = false, bare_fits = false;
    size_t bare = 0, same = 0;
    if (t->number != content->number)
        return false;
    struct template_links links = links_of(t, e);
    /* What a patch counts for is what it would be without private values. */
    terse_buf_reset(&l->b);
    terse_buf_reset(&l->c);
    assert_int_equal(template_diff(type, bytes_of(&t->bytes), content->bytes,
                                   &links, &l->b, &fits, &bare),
                     TERSE_OK);
    terse_buf_reset(&l->a);
    if (template_strip(type, content->bytes, &l->a, NULL) == TERSE_OK) {
        assert_int_equal(template_diff(type, bytes_of(&t->bytes),
                                       bytes_of(&l->a), &links, &l->c,
                                       &bare_fits, &same),
                         TERSE_OK);
        assert_int_equal(fits, bare_fits);
        if (fits)
            assert_true(bare == l->c.len && bare == same);
    }
    terse_buf_reset(&l->a);
    put(&l->a, bytes_of(&l->b).p, l->b.len);
    if (!fits || (e && !template_can_blank(type, bytes_of(&l->a))))
        return false;
    bool had = t->about;
    if (!remember(l, i, content->number, type, content->bytes, e))
        return false;
    put_number(out, FRAME_LIKE, i);
    l->counts.likes++;
    l->counts.given += had && e;
    return true;
}

/* Writes a stanza, or a patch, into out. */
static void throw_stanza(struct line *l, const struct wire_field *content,
                         const struct noted *e, struct terse_buf *out) {
    struct direction *d = &l->dir[l->from];
    const struct sc_type *frame = schema_frame(schema);
    const struct sc_type *type = schema_field(frame, content->number)->inner;
    struct terse_str body = content->bytes;
    bool like = false;
    for (int i = 0; i < 8 && !like && d->bounds.templates > 0; i++)
        like = throw_like(l, type, content, e, out);
    if (like) {
        body = bytes_of(&l->a);
    } else if (d->bounds.templates > 0 && below(2)) {
        uint32_t i = below(d->bounds.templates);
        if (remember(l, i, content->number, type, body, e)) {
            put_number(out, FRAME_KEEP, i);
            l->counts.keeps++;
        }
    }
    if (e && below(3)) {
        struct template_links links = links_of(NULL, e);
        terse_buf_reset(&l->c);
        assert_int_equal(template_blank(type, body, &links, false, &l->c),
                         TERSE_OK);
        l->counts.blanks += l->c.len < body.n;
        body = bytes_of(&l->c);
    }
    terse_buf_reset(&l->b);
    assert_int_equal(
        template_strings(type, body, false, throw_string, l, &l->b), TERSE_OK);
    if (!like || l->b.len > 0 || below(2))
        put_content(out, content->number, bytes_of(&l->b));
}

/* An entry beside the content. */
static void throw_beside(struct line *l, struct terse_buf *out) {
    struct direction *d = &l->dir[l->from];
    if (l->beside_n == 0 || below(3) || d->bounds.bytes < BOOK_BUDGET_MIN ||
        d->book_sent >= BOOK_MAX ||
        !has_room(d, 0, l->beside_n + BOOK_ENTRY_COST))
        return;
    put_content(out, FRAME_ENTRY, (struct terse_str){l->beside, l->beside_n});
    d->book[d->book_sent++] = text_new(l->beside, l->beside_n, 1);
    d->used += l->beside_n + BOOK_ENTRY_COST;
    l->counts.beside++;
}

static void throw_enter(struct line *l, bool on, struct terse_buf *out) {
    struct direction *d = &l->dir[l->from];
    if (on != d->on || (d->bounds.journal > 0 && below(50) == 0))
        put_number(out, FRAME_ENTER, on);
    l->counts.enters += on != d->on;
    d->on = on;
}

static void throw_heard(struct line *l, struct terse_buf *out) {
    struct log *log = &l->dir[!l->from].log;
    size_t more = log->came - log->heard[1];
    if (more == 0 || below(6))
        return;
    more = 1 + below((uint32_t)more);
    put_number(out, FRAME_HEARD, more);
    log_hear(log, 1, log->heard[1] + more);
    l->counts.heard++;
}

/* The frame of a stanza, with all that may stand beside it. */
static void throw_frame(struct line *l, const struct wire_field *content,
                        struct terse_buf *out) {
    struct direction *d = &l->dir[l->from];
    struct log *heard = &l->dir[!l->from].log;
    const struct sc_type *frame = schema_frame(schema);
    const struct sc_type *type = schema_field(frame, content->number)->inner;
    struct noted own;
    size_t index = 0;
    bool has = note(type, content->bytes, &own);
    throw_heard(l, out);
    const struct noted *e = throw_about(l, has ? &own : NULL, &index);
    if (e && !template_can_blank(type, content->bytes))
        e = NULL; /* one of its own is empty */
    bool room = has && log_has_room(d, &own);
    bool on = d->bounds.journal > 0 && (d->on ? below(30) > 0 : below(4) == 0);
    bool skips = e && below(2);
    if (has && !room && !skips)
        on = false;
    throw_enter(l, on, out);
    if (e) {
        int64_t offset = (int64_t)index - (int64_t)heard->heard[1];
        put_number(out, FRAME_ABOUT, wire_zigzag(offset) << 1 | !skips);
        l->counts.abouts++;
        l->counts.second += offset < 0;
    }
    l->beside_n = l->less = 0;
    throw_stanza(l, content, e, out);
    throw_beside(l, out);
    d->used -= l->less;
    if (e)
        log_hear(heard, 1, index + 1);
    if (has && on && !skips) {
        assert_true(d->log.sent < d->log.cap);
        d->log.of[d->log.sent++] = own;
    } else if (has) {
        forget(&own);
    }
}

/* ---- frames on their way --------------------------------------------------
 */

/* Deflates wire, with the template that dict is, or none. */
static void throw_deflate(struct line *l, int with, struct terse_str dict,
                          struct terse_buf *wire) {
    terse_buf_reset(&l->a);
    if (deflate_pack(bytes_of(wire), dict, &l->a) != TERSE_OK)
        return;
    terse_buf_reset(wire);
    if (with >= 0)
        put_number(wire, FRAME_LIKE, (uint64_t)with);
    put_content(wire, FRAME_DEFLATED, bytes_of(&l->a));
    l->counts.deflated++;
    l->counts.dictionaries += with >= 0 && dict.n > 0;
}

/* What one end makes of a frame. */
static void check(struct line *l, struct state *s, const struct parcel *p) {
    assert_int_equal(state_unpack(s, bytes_of(&p->wire), &work, &l->back),
                     TERSE_OK);
    assert_int_equal(l->back.len, p->record->n);
    assert_memory_equal(terse_buf_data(&l->back), p->record->p, p->record->n);
}

static void send(struct line *l, int from, const struct record *record) {
    struct direction *d = &l->dir[from];
    struct queue *q = &l->queue[from];
    struct parcel *p = &q->of[(q->first + q->n++) % ON_THE_WAY];
    struct wire in =
        wire_of((struct terse_str){(const char *)record->p, record->n});
    struct wire_field f;
    struct terse_buf dict;
    int with = -1;
    terse_buf_init(&dict, codec_wide.frame_bytes);
    terse_buf_reset(&p->wire);
    p->record = record;
    l->from = from;
    /* As it is before the frame is read. */
    uint32_t i = d->bounds.templates > 0 ? below(d->bounds.templates) : 0;
    if (d->bounds.templates > 0 && d->template[i].number > 0) {
        with = (int)i;
        put(&dict, bytes_of(&d->template[i].bytes).p, d->template[i].bytes.len);
    }
    assert_true(wire_next(&in, &f));
    if (f.number <= 3 && f.type == WIRE_BYTES) {
        throw_frame(l, &f, &p->wire);
    } else {
        throw_heard(l, &p->wire);
        if (d->bounds.journal > 0 && below(8) == 0)
            throw_enter(l, below(2), &p->wire);
        put(&p->wire, record->p, record->n);
    }
    if (below(4) == 0)
        throw_deflate(l, with, bytes_of(&dict), &p->wire);
    p->book = d->book_sent;
    p->log = d->log.sent;
    p->heard = l->dir[!from].log.heard[1];
    terse_buf_fini(&dict);
    check(l, d->at[0], p);
}

static void deliver(struct line *l, int from) {
    struct direction *d = &l->dir[from];
    struct queue *q = &l->queue[from];
    struct parcel *p = &q->of[q->first];
    l->counts.crossed += l->queue[!from].n > 0;
    check(l, d->at[1], p);
    d->book_came = p->book;
    d->log.came = p->log;
    log_hear(&l->dir[!from].log, 0, p->heard);
    q->first = (q->first + 1) % ON_THE_WAY;
    q->n--;
}

/* The next record of a direction, from `at` on. */
static size_t next_of(int dir, size_t at, size_t stop) {
    while (at < stop && records[at].dir != dir)
        at++;
    return at;
}

/* All records from `from` on, both directions at once. */
static void pass_all(struct line *l, size_t from, size_t stop) {
    for (int dir = 0; dir < 2; dir++)
        l->dir[dir].next = next_of(dir, from, stop);
    for (unsigned busy = 0;; busy++) {
        int dir = (int)below(2);
        struct direction *d = &l->dir[dir];
        bool sends = below(busy >> 8 & 1 ? 8 : 2) > 0; /* the way is slow */
        size_t other = l->dir[!dir].next;
        if (l->queue[0].n + l->queue[1].n == 0 && d->next == stop &&
            other == stop)
            return;
        if (sends && d->next < stop && l->queue[dir].n < ON_THE_WAY &&
            (other == stop || d->next < other + AHEAD)) {
            send(l, dir, &records[d->next]);
            d->next = next_of(dir, d->next + 1, stop);
        } else if (l->queue[dir].n > 0) {
            deliver(l, dir);
        }
    }
}

/* ---- connections ----------------------------------------------------------
 */

static const char domain[] = "im.example.net";

static void line_init(struct line *l, struct terse_state_limits a,
                      struct terse_state_limits b) {
    memset(l, 0, sizeof(*l));
    struct terse_buf *bufs[] = {&l->a, &l->b, &l->c, &l->back};
    for (size_t i = 0; i < 4; i++)
        terse_buf_init(bufs[i], codec_wide.frame_bytes);
    for (int dir = 0; dir < 2; dir++) {
        struct direction *d = &l->dir[dir];
        d->bounds = dir == 0 ? a : b;
        d->log.cap = FRAMES_MAX;
        d->log.of = calloc(d->log.cap, sizeof(*d->log.of));
        d->book = calloc(BOOK_MAX, sizeof(*d->book));
        assert_non_null(d->log.of);
        assert_non_null(d->book);
        if (d->bounds.bytes >= BOOK_BUDGET_MIN) {
            d->book[0] = text_new(domain, sizeof(domain) - 1, 1);
            d->book_sent = d->book_came = 1;
            d->used = sizeof(domain) - 1 + BOOK_ENTRY_COST;
        }
        for (int end = 0; end < 2; end++)
            assert_int_equal(
                state_new(&d->at[end], schema, &d->bounds, str_of(domain)),
                TERSE_OK);
        for (size_t i = 0; i < TEMPLATES_MAX; i++)
            terse_buf_init(&d->template[i].bytes, UINT16_MAX);
        for (size_t i = 0; i < ON_THE_WAY; i++)
            terse_buf_init(&l->queue[dir].of[i].wire, codec_wide.frame_bytes);
    }
    for (int end = 0; end < 2; end++) {
        struct state *out = l->dir[end].at[0], *in = l->dir[!end].at[1];
        out->other = in;
        in->other = out;
    }
}

static void line_fini(struct line *l) {
    struct terse_buf *bufs[] = {&l->a, &l->b, &l->c, &l->back};
    for (size_t i = 0; i < 4; i++)
        terse_buf_fini(bufs[i]);
    for (int dir = 0; dir < 2; dir++) {
        struct direction *d = &l->dir[dir];
        for (size_t i = 0; i < d->log.sent; i++)
            forget(&d->log.of[i]);
        for (size_t i = 0; i < d->book_sent; i++)
            free(d->book[i].p);
        for (size_t i = 0; i < SLOTS_MAX; i++)
            free(d->slot[i].p);
        for (size_t i = 0; i < TEMPLATES_MAX; i++) {
            terse_buf_fini(&d->template[i].bytes);
            free(d->template[i].id.p);
            free(d->template[i].addr.p);
        }
        for (size_t i = 0; i < ON_THE_WAY; i++)
            terse_buf_fini(&l->queue[dir].of[i].wire);
        free(d->log.of);
        free(d->book);
        state_free(d->at[0]);
        state_free(d->at[1]);
    }
}

/* What both ends of a direction count is what was counted here. */
static void check_ends(const struct line *l) {
    for (int dir = 0; dir < 2; dir++) {
        const struct direction *d = &l->dir[dir];
        for (int end = 0; end < 2; end++) {
            const struct state *s = d->at[end];
            assert_int_equal(s->budget.now, d->used);
            assert_int_equal(s->book.n, d->book_sent);
            assert_int_equal(s->journal.end, d->log.sent);
            assert_int_equal(s->journal.heard, d->log.heard[end]);
            if (d->log.sent > 0)
                assert_int_equal(s->journal.first, d->log.first[end]);
        }
    }
}

static const struct terse_state_limits all = {192, 128, 46, 60000};

static void test_schedule_any_sender_is_obeyed(void **state) {
    (void)state;
    static struct line l;
    struct counts counts = {0};
    for (int round = 0; round < 4; round++) {
        line_init(&l, all, terse_state_limits_default);
        l.counts = counts;
        pass_all(&l, 0, n_records);
        check_ends(&l);
        counts = l.counts;
        line_fini(&l);
    }
    const struct counts *n = &counts;
    assert_true(n->refs > 1000 && n->defines > 1000 && n->replaced > 500);
    assert_true(n->own > 1000 && n->other > 1000 && n->far > 500);
    assert_true(n->entered > 100 && n->beside > 20);
    assert_true(n->likes > 500 && n->keeps > 100 && n->dropped > 100);
    assert_true(n->deflated > 500 && n->dictionaries > 200);
    assert_true(n->abouts > 500 && n->blanks > 200 && n->given > 100);
    assert_true(n->heard > 200 && n->enters > 100 && n->second > 50);
    assert_true(n->crossed > 5000);
}

/* Bounds at their edges, alone and together: a quarter of the recordings each,
 * another one each time. */
static void test_schedule_any_bounds_are_kept(void **state) {
    (void)state;
    static const struct terse_state_limits bounds[] = {
        {0, 0, 0, 0},          {1, 1, 1, 511},      {1, 1, 1, 512},
        {0, 1, 0, 600},        {0, 0, 1, 0},        {0, 0, 46, 0},
        {0, 0, 0, 512},        {192, 0, 0, 65535},  {0, 128, 0, 65535},
        {0, 0, 0, 65535},      {192, 128, 46, 511}, {192, 128, 46, 512},
        {3, 2, 2, 700},        {20, 9, 3, 4000},    {115, 60, 16, 12000},
        {192, 128, 46, 200000}};
    enum { N = sizeof(bounds) / sizeof(bounds[0]) };
    static struct line l;
    for (size_t i = 0; i < N; i++) {
        size_t from = n_records / 4 * (i % 4);
        line_init(&l, bounds[i], bounds[(i * 5 + 3) % N]);
        pass_all(&l, from, from + n_records / 4);
        check_ends(&l);
        line_fini(&l);
    }
}

static int setup(void **state) {
    (void)state;
    assert_int_equal(terse_schema_new(&schema), TERSE_OK);
    terse_work_init(&work, &codec_wide);
    read_recordings();
    return 0;
}

static int teardown(void **state) {
    (void)state;
    for (size_t i = 0; i < n_records; i++)
        free(records[i].p);
    free(records);
    terse_work_fini(&work);
    terse_schema_free(schema);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_schedule_any_sender_is_obeyed),
        cmocka_unit_test(test_schedule_any_bounds_are_kept),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
