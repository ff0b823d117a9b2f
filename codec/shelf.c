/* shelf.c: see shelf.h. */
#include "shelf.h"

#include <stdlib.h>
#include <string.h>

#include "parts.h"

enum { GROW = 4 }; /* templates that are made at once */

/* Makes template i (below n_templates) one of those that are there. */
static enum terse_err reach(struct state *s, uint64_t i) {
    if (i < s->have_templates)
        return TERSE_OK;
    uint32_t have = ((uint32_t)i / GROW + 1) * GROW;
    if (have > s->n_templates)
        have = s->n_templates;
    struct template *more = realloc(s->templates, have * sizeof(*more));
    if (!more)
        return TERSE_ENOMEM;
    memset(more + s->have_templates, 0,
           (have - s->have_templates) * sizeof(*more));
    s->templates = more;
    s->have_templates = have;
    return TERSE_OK;
}

uint32_t shelf_cost(const struct state *s, uint64_t i) {
    return i < s->have_templates && s->templates[i].p
               ? TEMPLATE_COST + s->templates[i].n
               : 0;
}

bool shelf_has_room(const struct state *s, uint64_t i, size_t n) {
    return i < s->n_templates && n <= UINT16_MAX &&
           budget_has(&s->budget, shelf_cost(s, i), TEMPLATE_COST + n);
}

/* Where a value stands in a template's bytes. */
static struct span find_span(struct terse_str bytes,
                             const struct wire_field *value) {
    uint8_t varint[WIRE_VARINT_MAX];
    struct terse_str v = value->bytes;
    if (value->type == WIRE_VARINT)
        v = (struct terse_str){(const char *)varint,
                               wire_put_varint(varint, value->value)};
    const char *p = v.n > 0 && v.n <= UINT8_MAX && bytes.n > 0
                        ? memmem(bytes.p, bytes.n, v.p, v.n)
                        : NULL;
    if (!p)
        return (struct span){0};
    return (struct span){(uint16_t)(p - bytes.p), (uint8_t)v.n,
                         (uint8_t)value->type};
}

static struct wire_field entry_addr(const struct entry *entry) {
    return (struct wire_field){.type = WIRE_BYTES, .bytes = entry->addr};
}

/* A template as it is kept: pieces, each
 *
 *   n, n bytes, book, entry
 *
 * with n and entry as two bytes each, and book one of these. */
enum { BOOK_NONE, BOOK_THIS, BOOK_THAT, PIECE_HEAD = 2, PIECE_TAIL = 3 };

static enum terse_err put_piece(struct terse_buf *out, struct terse_str bytes,
                                uint8_t book, uint32_t entry) {
    uint8_t head[PIECE_HEAD] = {(uint8_t)bytes.n, (uint8_t)(bytes.n >> 8)};
    uint8_t tail[PIECE_TAIL] = {book, (uint8_t)entry, (uint8_t)(entry >> 8)};
    enum terse_err err = terse_buf_append(out, head, sizeof(head));
    if (err == TERSE_OK)
        err = terse_buf_append(out, bytes.p, bytes.n);
    return err == TERSE_OK ? terse_buf_append(out, tail, sizeof(tail)) : err;
}

static enum terse_err shorten(const struct state *s, struct terse_str bare,
                              const struct template_outline *outline,
                              struct terse_buf *out) {
    const struct book *other = s->other ? &s->other->book : NULL;
    enum terse_err err = TERSE_OK;
    size_t at = 0;
    terse_buf_reset(out);
    for (unsigned i = 0; i < outline->n_spans && err == TERSE_OK; i++) {
        const struct template_span *span = &outline->spans[i];
        struct terse_str text = {bare.p + span->at, span->n};
        uint8_t book = BOOK_THIS;
        int entry = book_find(&s->book, other, text);
        if (entry < 0) {
            book = BOOK_THAT;
            entry = book_find(other, &s->book, text);
        }
        if (entry < 0)
            continue;
        err = put_piece(out, (struct terse_str){bare.p + at, span->at - at},
                        book, (uint32_t)entry);
        at = (size_t)span->at + span->n;
    }
    if (err != TERSE_OK)
        return err;
    return put_piece(out, (struct terse_str){bare.p + at, bare.n - at},
                     BOOK_NONE, 0);
}

enum terse_err shelf_get(const struct state *s, const struct template *t,
                         struct terse_buf *out, struct terse_str *whole) {
    const struct book *other = s->other ? &s->other->book : NULL;
    char text[BOOK_TEXT_MAX];
    enum terse_err err = TERSE_OK;
    terse_buf_reset(out);
    for (size_t at = 0; at < t->kept && err == TERSE_OK;) {
        size_t n = t->p[at] | (size_t)t->p[at + 1] << 8;
        const uint8_t *tail = t->p + at + PIECE_HEAD + n;
        uint32_t entry = tail[1] | (uint32_t)tail[2] << 8;
        err = terse_buf_append(out, t->p + at + PIECE_HEAD, n);
        at += PIECE_HEAD + n + PIECE_TAIL;
        if (tail[0] == BOOK_NONE || err != TERSE_OK)
            continue;
        bool own = tail[0] == BOOK_THIS;
        int found = book_expand(own ? &s->book : other, own ? other : &s->book,
                                entry, text);
        err = found < 0 ? TERSE_EFRAME
                        : terse_buf_append(out, text, (size_t)found);
    }
    *whole = str_of_buf(out);
    return err;
}

enum terse_err shelf_set(struct state *s, uint64_t i, uint32_t number,
                         struct terse_str bare,
                         const struct template_outline *outline,
                         const struct entry *entry, struct terse_buf *work) {
    if (!shelf_has_room(s, i, bare.n))
        return TERSE_EFRAME;
    if (reach(s, i) != TERSE_OK)
        return TERSE_ENOMEM;
    enum terse_err err = shorten(s, bare, outline, work);
    if (err != TERSE_OK)
        return err;
    struct template *t = &s->templates[i];
    /* Mostly it takes as many bytes as what was there. */
    uint8_t *p = t->p;
    if ((!p || t->kept != work->len) && !(p = realloc(p, work->len)))
        return TERSE_ENOMEM;
    memcpy(p, terse_buf_data(work), work->len);
    uint32_t more = (uint32_t)(TEMPLATE_COST + bare.n) - shelf_cost(s, i);
    s->budget.now += more;
    s->template_bytes += more;
    *t = (struct template){.p = p,
                           .kept = (uint32_t)work->len,
                           .n = (uint16_t)bare.n,
                           .number = (uint16_t)number,
                           .shape = outline->shape,
                           .used = ++s->clock};
    if (entry) {
        struct wire_field addr = entry_addr(entry);
        t->given[TEMPLATE_ID] = find_span(bare, &entry->id);
        t->given[TEMPLATE_ADDR] = find_span(bare, &addr);
    }
    return TERSE_OK;
}

struct template_links shelf_links(const struct template *t,
                                  struct terse_str whole,
                                  const struct entry *entry) {
    struct template_links links = {.n = 0};
    if (!entry)
        return links;
    links.n = TEMPLATE_GIVEN;
    links.of[TEMPLATE_ID].new = entry->id;
    links.of[TEMPLATE_ADDR].new = entry_addr(entry);
    for (unsigned i = 0; i < TEMPLATE_GIVEN; i++) {
        struct wire_field *old = &links.of[i].old;
        *old = (struct wire_field){.type = WIRE_VARINT}; /* like nothing */
        const struct wire_field *new = &links.of[i].new;
        if (!t || t->given[i].n == 0 ||
            t->given[i].type != (uint8_t) new->type ||
            (new->type == WIRE_BYTES &&new->bytes.n == 0))
            continue;
        old->type = (enum wire_type)t->given[i].type;
        old->bytes =
            (struct terse_str){whole.p + t->given[i].at, t->given[i].n};
        struct wire in = wire_of(old->bytes);
        if (old->type == WIRE_VARINT && !wire_varint(&in, &old->value))
            old->value = 0;
    }
    return links;
}
