/* state.c: see state.h. What both sides share, and the receiver's;
 * state_pack.c is the sender's. */
#include "state.h"

#include <stdlib.h>
#include <string.h>

#include "deflate.h"
#include "parts.h"
#include "shelf.h"

enum terse_err state_new(struct state **out, const struct terse_schema *schema,
                         const struct terse_state_limits *limits,
                         struct terse_str domain) {
    struct state *s = calloc(1, sizeof(*s));
    if (!s)
        return TERSE_ENOMEM;
    s->schema = schema;
    s->n_templates =
        limits->templates < TEMPLATES_MAX ? limits->templates : TEMPLATES_MAX;
    s->budget.max = limits->bytes;
    s->journal_max =
        limits->journal < JOURNAL_WAIT ? limits->journal : JOURNAL_WAIT;
    slots_init(&s->slots, limits->slots, &s->budget);
    s->book.budget = &s->budget;
    enum terse_err err = TERSE_OK;
    if (domain.n > 0 && book_has_room(&s->book, domain.n))
        err = book_add(&s->book, domain, domain);
    if (err != TERSE_OK) {
        state_free(s);
        return err;
    }
    *out = s;
    return TERSE_OK;
}

void state_free(struct state *s) {
    if (!s)
        return;
    for (uint32_t i = 0; i < s->have_templates; i++)
        free(s->templates[i].p);
    free(s->templates);
    slots_fini(&s->slots);
    book_fini(&s->book);
    journal_fini(&s->journal);
    free(s);
}

struct strings state_strings(struct state *s) {
    return (struct strings){.slots = &s->slots,
                            .book = &s->book,
                            .other = s->other ? &s->other->book : NULL,
                            .stems = &s->stems};
}

const struct sc_type *state_type(const struct state *s, uint32_t number) {
    const struct sc_field *f = schema_field(schema_frame(s->schema), number);
    return f->inner;
}

/* ---- receiver ------------------------------------------------------------ */

static enum terse_err unpack_string(void *arg, struct terse_str s,
                                    enum sc_kind kind, struct terse_buf *out) {
    (void)kind;
    return strings_unpack(arg, s, out);
}

/* What came beside the content, but for templates. */
static enum terse_err hear(struct state *s, const struct parts *parts,
                           struct entry *entry) {
    struct journal *j = s->other ? &s->other->journal : NULL;
    if (parts->has[FRAME_HEARD]) {
        uint64_t more = parts->value[FRAME_HEARD];
        if (!j || more > j->end - j->heard)
            return TERSE_EFRAME;
        journal_hear(j, j->heard + (uint32_t)more);
    }
    if (parts->has[FRAME_ENTER]) {
        if (parts->value[FRAME_ENTER] > 1 || s->journal_max == 0)
            return TERSE_EFRAME;
        s->journal.on = parts->value[FRAME_ENTER];
    }
    if (parts->has[FRAME_ABOUT] &&
        (!j ||
         !journal_get(j, wire_unzigzag(parts->value[FRAME_ABOUT] >> 1), entry)))
        return TERSE_EFRAME;
    return TERSE_OK;
}

/* The content of a frame that has state in it, whole again, in work->a. */
static enum terse_err unpack_content(struct state *s, const struct parts *parts,
                                     const struct entry *entry,
                                     uint32_t *number,
                                     struct terse_work *work) {
    const struct template *t = NULL;
    struct terse_str whole = {NULL, 0};
    if (parts->has[FRAME_LIKE]) {
        uint64_t i = parts->value[FRAME_LIKE];
        if (i >= s->have_templates || !(t = &s->templates[i])->p)
            return TERSE_EFRAME;
        *number = t->number;
    }
    if (parts->contents > 0)
        *number = parts->content.number;
    if ((t && t->number != *number) || (!t && parts->contents == 0))
        return TERSE_EFRAME;
    const struct sc_type *type = state_type(s, *number);
    struct strings strings = state_strings(s);
    struct terse_buf *from = &work->b, *to = &work->a;
    enum terse_err err = t ? shelf_get(s, t, &work->e, &whole) : TERSE_OK;
    if (err != TERSE_OK)
        return err;
    struct template_links links = shelf_links(t, whole, entry);
    terse_buf_reset(from);
    err = template_strings(type, parts->content.bytes, true, unpack_string,
                           &strings, from);
    if (err == TERSE_OK && parts->has[FRAME_ENTRY])
        err = strings_enter(&strings, parts->entry);
    if (err == TERSE_OK && entry) {
        terse_buf_reset(&work->d);
        err = template_blank(type, str_of_buf(from), &links, true, &work->d);
        from = &work->d;
    }
    terse_buf_reset(to);
    if (err != TERSE_OK)
        return err;
    return t ? template_merge(type, whole, str_of_buf(from), &links, to)
             : terse_buf_append(to, terse_buf_data(from), from->len);
}

/* Keeps the stanza in work->a, as its frame says. */
static enum terse_err remember(struct state *s, const struct parts *parts,
                               const struct entry *entry, uint32_t number,
                               struct terse_work *work) {
    const struct sc_type *type = state_type(s, number);
    struct terse_str stanza = str_of_buf(&work->a);
    struct wire_field id;
    struct terse_str addr;
    enum terse_err err = TERSE_OK;
    if (parts->has[FRAME_LIKE] || parts->has[FRAME_KEEP]) {
        terse_buf_reset(&work->b);
        struct template_outline outline;
        err = template_strip(type, stanza, &work->b, &outline);
        if (err == TERSE_OK)
            err = shelf_set(
                s,
                parts->value[parts->has[FRAME_LIKE] ? FRAME_LIKE : FRAME_KEEP],
                number, str_of_buf(&work->b), &outline, entry, &work->e);
    }
    if (entry)
        journal_hear(&s->other->journal, entry->index + 1);
    template_names(type, stanza, &id, &addr);
    if (err != TERSE_OK || !s->journal.on || !journal_takes(&id) ||
        (entry && !(parts->value[FRAME_ABOUT] & 1)))
        return err;
    if (!journal_has_room(&s->journal, &id, addr, s->journal_max))
        return TERSE_EFRAME;
    return journal_add(&s->journal, &id, addr);
}

/* A frame that is whole but for state. */
static enum terse_err unpack_frame(struct state *s, const struct parts *parts,
                                   struct terse_str frame,
                                   struct terse_work *work,
                                   struct terse_buf *out) {
    struct entry entry;
    uint32_t number = 0;
    bool marked = parts->has[FRAME_LIKE] || parts->has[FRAME_KEEP] ||
                  parts->has[FRAME_ABOUT] || parts->has[FRAME_ENTRY];
    if ((parts->has[FRAME_LIKE] && parts->has[FRAME_KEEP]) ||
        parts->content.number == FRAME_OPEN)
        return TERSE_EFRAME;
    enum terse_err err = hear(s, parts, &entry);
    if (err != TERSE_OK)
        return err;
    if (!parts_stanza(parts) &&
        !(parts->has[FRAME_LIKE] && parts->contents == 0)) {
        if (marked || (parts->contents != 1 && parts_state(parts)))
            return TERSE_EFRAME;
        return parts->contents == 1
                   ? terse_buf_append(out, parts->whole.p, parts->whole.n)
                   : terse_buf_append(out, frame.p, frame.n);
    }
    const struct entry *about = parts->has[FRAME_ABOUT] ? &entry : NULL;
    err = unpack_content(s, parts, about, &number, work);
    if (err == TERSE_OK)
        err = remember(s, parts, about, number, work);
    return err == TERSE_OK ? parts_put(out, number, str_of_buf(&work->a)) : err;
}

enum terse_err state_unpack(struct state *s, struct terse_str frame,
                            struct terse_work *work, struct terse_buf *out) {
    struct parts parts;
    struct terse_str dict = {NULL, 0};
    terse_buf_reset(out);
    if (frame.n == 0 || !parts_read(frame, &parts))
        return TERSE_EFRAME;
    if (!parts.has[FRAME_DEFLATED])
        return unpack_frame(s, &parts, frame, work, out);
    uint64_t i = parts.value[FRAME_LIKE];
    if (parts.has[FRAME_LIKE]) {
        if (i >= s->have_templates || !s->templates[i].p)
            return TERSE_EFRAME;
        enum terse_err err = shelf_get(s, &s->templates[i], &work->e, &dict);
        if (err != TERSE_OK)
            return err;
    }
    parts.has[FRAME_LIKE] = parts.has[FRAME_DEFLATED] = false;
    if (parts.contents > 0 || parts_state(&parts))
        return TERSE_EFRAME;
    terse_buf_reset(&work->c);
    enum terse_err err = deflate_unpack(parts.deflated, dict, &work->c);
    if (err != TERSE_OK)
        return err;
    frame = str_of_buf(&work->c);
    if (frame.n == 0 || !parts_read(frame, &parts) || parts.has[FRAME_DEFLATED])
        return TERSE_EFRAME;
    return unpack_frame(s, &parts, frame, work, out);
}
