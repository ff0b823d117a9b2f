/* state.c: see state.h. */
#include "state.h"

#include <stdlib.h>
#include <string.h>

#include "deflate.h"
#include "str.h"

enum {
    FRAME_STANZA_MAX = 3, /* message, presence, iq: what templates are for */
    FRAME_MESSAGE = 1,
    SHARES = 5,
    TEMPLATE_SHARES = 4, /* of the budget are for templates */
    WORTH = 12,          /* shorter frames gain nothing */
    BULKY = 600,         /* bytes: takes no slots, and where deflate halves it
                             no template either */
    GROW = 4,            /* templates that are made at once */
    DEFLATE_FROM = 200,  /* bytes: smaller frames are not deflated */
    DICTIONARIES = 4,    /* templates that are tried as one */
    STALE = 200,         /* stanzas: a template unused for so long goes first */
};

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

static struct terse_str str_of_buf(const struct terse_buf *buf) {
    return (struct terse_str){(const char *)terse_buf_data(buf), buf->len};
}

static struct strings strings_of(struct state *s) {
    return (struct strings){.slots = &s->slots,
                            .book = &s->book,
                            .other = s->other ? &s->other->book : NULL,
                            .stems = &s->stems};
}

/* ---- frames --------------------------------------------------------------
 */

/* A frame, as far as state goes. */
struct parts {
    bool has[FRAME_STATE_LAST + 1];
    uint64_t value[FRAME_STATE_LAST + 1];
    struct terse_str deflated, entry;
    struct wire_field content; /* the first field that is not about state */
    struct terse_str whole;    /* the same with its tag */
    uint32_t contents;         /* how many such fields there are */
};

static bool read_state(const struct wire_field *f, struct parts *out) {
    bool bytes = f->number == FRAME_DEFLATED || f->number == FRAME_ENTRY;
    enum wire_type type = bytes ? WIRE_BYTES : WIRE_VARINT;
    if (f->type != type || out->has[f->number])
        return false;
    out->has[f->number] = true;
    out->value[f->number] = f->value;
    if (f->number == FRAME_DEFLATED)
        out->deflated = f->bytes;
    if (f->number == FRAME_ENTRY)
        out->entry = f->bytes;
    return true;
}

static bool read_parts(struct terse_str frame, struct parts *out) {
    struct wire in = wire_of(frame);
    struct wire_field f;
    *out = (struct parts){0};
    while (in.p != in.end) {
        const uint8_t *from = in.p;
        if (!wire_next(&in, &f))
            return false;
        if (f.number >= FRAME_STATE_FIRST && f.number <= FRAME_STATE_LAST) {
            if (!read_state(&f, out))
                return false;
        } else if (out->contents++ == 0) {
            out->content = f;
            out->whole =
                (struct terse_str){(const char *)from, (size_t)(in.p - from)};
        }
    }
    return true;
}

static bool is_stanza(const struct parts *parts) {
    return parts->contents == 1 && parts->content.number <= FRAME_STANZA_MAX &&
           parts->content.type == WIRE_BYTES;
}

/* Whether any field about state is there. */
static bool has_state(const struct parts *parts) {
    for (unsigned i = FRAME_STATE_FIRST; i <= FRAME_STATE_LAST; i++)
        if (parts->has[i])
            return true;
    return false;
}

static enum terse_err put_varint(struct terse_buf *out, uint64_t v) {
    uint8_t bytes[WIRE_VARINT_MAX];
    size_t n = wire_put_varint(bytes, v);
    return terse_buf_append(out, bytes, n);
}

enum terse_err state_put_number(struct terse_buf *out, uint32_t number,
                                uint64_t v) {
    enum terse_err err = put_varint(out, (uint64_t)number << 3 | WIRE_VARINT);
    return err == TERSE_OK ? put_varint(out, v) : err;
}

static enum terse_err put_content(struct terse_buf *out, uint32_t number,
                                  struct terse_str bytes) {
    enum terse_err err = put_varint(out, (uint64_t)number << 3 | WIRE_BYTES);
    if (err == TERSE_OK)
        err = put_varint(out, bytes.n);
    return err == TERSE_OK ? terse_buf_append(out, bytes.p, bytes.n) : err;
}

static const struct sc_type *stanza_type(const struct state *s,
                                         uint32_t number) {
    const struct sc_field *f = schema_field(schema_frame(s->schema), number);
    return schema_nested(s->schema, schema_frame(s->schema), f);
}

/* ---- templates -----------------------------------------------------------
 */

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

/* What template i counts for. */
static uint32_t cost(const struct state *s, uint64_t i) {
    return i < s->have_templates && s->templates[i].p
               ? TEMPLATE_COST + s->templates[i].n
               : 0;
}

/* Whether template i can hold n bytes. */
static bool has_room(const struct state *s, uint64_t i, size_t n) {
    return i < s->n_templates && n <= UINT16_MAX &&
           budget_has(&s->budget, cost(s, i), TEMPLATE_COST + n);
}

/* Sender: the same, less what is left to strings and to other templates. */
static bool may_hold(const struct state *s, uint64_t i, size_t n) {
    size_t share = s->budget.max / SHARES * TEMPLATE_SHARES;
    return has_room(s, i, n) && n <= share / 2 &&
           s->template_bytes - cost(s, i) + TEMPLATE_COST + n <= share;
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

/* The whole of template t in out; *whole is borrowed from there. */
static enum terse_err lengthen(const struct state *s, const struct template *t,
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

/* Template i becomes `bare`, a stanza that was stripped. entry:
 * what it was about, or NULL. TERSE_EFRAME if it has no room; the template is
 * as it was then. */
static enum terse_err set_template(struct state *s, uint64_t i, uint32_t number,
                                   struct terse_str bare,
                                   const struct template_outline *outline,
                                   const struct entry *entry,
                                   struct terse_buf *work) {
    if (!has_room(s, i, bare.n))
        return TERSE_EFRAME;
    if (reach(s, i) != TERSE_OK)
        return TERSE_ENOMEM;
    enum terse_err err = shorten(s, bare, outline, work);
    if (err != TERSE_OK)
        return err;
    uint8_t *p = malloc(work->len);
    if (!p)
        return TERSE_ENOMEM;
    memcpy(p, terse_buf_data(work), work->len);
    struct template *t = &s->templates[i];
    uint32_t more = (uint32_t)(TEMPLATE_COST + bare.n) - cost(s, i);
    s->budget.now += more;
    s->template_bytes += more;
    free(t->p);
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

/* What an entry changes in a template, t, which may be NULL, with its bytes. */
static struct template_links links_of(const struct template *t,
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

/* ---- sender --------------------------------------------------------------
 */

/* What a stanza will change when its frame is written. */
struct plan {
    const struct sc_type *type;
    struct terse_str content, bare; /* bare: stripped, in work->c */
    uint32_t number;
    struct template_outline outline; /* of bare */
    bool bulk;
    uint32_t heard; /* entries of the other journal, to be told of */
    bool has_entry;
    struct entry entry; /* of the other journal: what it is about */
    bool enters;
    int template; /* that it becomes, or -1 */
};

static const struct entry *plan_entry(const struct plan *p) {
    return p->has_entry ? &p->entry : NULL;
}

/* Looks among the templates of this shape, or of others, for one with a patch
 * that is smaller than *size. It is the stripped content that counts, so that
 * no text has a say in this. */
static enum terse_err look_for(struct state *s, const struct plan *p, bool same,
                               struct terse_work *work, size_t *size,
                               int *best) {
    enum terse_err err = TERSE_OK;
    for (uint32_t i = 0; i < s->have_templates && err == TERSE_OK; i++) {
        const struct template *t = &s->templates[i];
        struct terse_str whole;
        bool fits;
        if (!t->p || t->number != p->number ||
            (t->shape == p->outline.shape) != same ||
            !may_hold(s, i, p->bare.n))
            continue;
        err = lengthen(s, t, &work->e, &whole);
        if (err != TERSE_OK)
            break;
        struct template_links links = links_of(t, whole, plan_entry(p));
        terse_buf_reset(&work->b);
        err = template_diff(s->schema, p->type, whole, p->bare, &links,
                            &work->b, &fits);
        if (err != TERSE_OK || !fits || work->b.len + 2 >= *size)
            continue;
        *size = work->b.len;
        *best = (int)i;
    }
    return err;
}

/* The template that gives the smallest patch, or -1 if the content itself is as
 * small. One of the same shape is rarely surpassed. */
static int best_template(struct state *s, const struct plan *p,
                         struct terse_work *work, enum terse_err *err) {
    size_t size = p->bare.n;
    int best = -1;
    *err = look_for(s, p, true, work, &size, &best);
    if (*err == TERSE_OK && best < 0)
        *err = look_for(s, p, false, work, &size, &best);
    return best;
}

/* The template to give up for a new one of about n bytes, or -1. */
static int victim(const struct state *s, size_t n) {
    int best = -1, empty = -1;
    for (uint32_t i = 0; i <= s->have_templates; i++) {
        bool used = i < s->have_templates && s->templates[i].p;
        if (!may_hold(s, i, n))
            continue;
        if (!used)
            empty = empty < 0 ? (int)i : empty;
        else if (best < 0 || s->templates[i].used < s->templates[best].used)
            best = (int)i;
    }
    bool stale = best >= 0 && s->clock - s->templates[best].used > STALE;
    return empty < 0 || stale ? best : empty;
}

struct packing {
    struct strings strings;
    bool bulk;
};

static enum terse_err pack_string(void *arg, struct terse_str s,
                                  enum template_string kind,
                                  struct terse_buf *out) {
    struct packing *p = arg;
    enum strings_kind as[] = {
        [STRING_ONCE] = STRINGS_ONCE,
        [STRING_TOKEN] = p->bulk ? STRINGS_ONCE : STRINGS_TOKEN,
        [STRING_ADDRESS] = p->bulk ? STRINGS_LISTED : STRINGS_ADDRESS,
    };
    /* node#ver is told by its parts */
    if (kind == STRING_TOKEN && memchr(s.p, '#', s.n))
        kind = STRING_ONCE;
    return strings_pack(&p->strings, s, as[kind], out);
}

/* Enters a stem into the book, beside the content. */
static enum terse_err put_entry(struct state *s, const struct strings *strings,
                                struct terse_buf *out) {
    struct terse_str stem = {strings->stem, strings->stem_n};
    if (stem.n == 0 || !book_has_room(&s->book, stem.n))
        return TERSE_OK;
    enum terse_err err = put_content(out, FRAME_ENTRY, stem);
    return err == TERSE_OK ? book_add(&s->book, stem, stem) : err;
}

/* Writes a stanza or a patch, in work->a or elsewhere, with what the entry says
 * left out and its strings packed. */
static enum terse_err put_packed(struct state *s, const struct plan *p,
                                 struct terse_str content,
                                 struct terse_work *work,
                                 struct terse_buf *out) {
    struct packing packing = {strings_of(s), p->bulk};
    enum terse_err err = TERSE_OK;
    if (p->has_entry) {
        struct template_links links =
            links_of(NULL, (struct terse_str){NULL, 0}, &p->entry);
        terse_buf_reset(&work->b);
        err = template_blank(s->schema, p->type, content, &links, false,
                             &work->b);
        content = str_of_buf(&work->b);
    }
    terse_buf_reset(&work->d);
    if (err == TERSE_OK)
        err = template_strings(s->schema, p->type, content, false, pack_string,
                               &packing, &work->d);
    if (err == TERSE_OK)
        err = put_entry(s, &packing.strings, out);
    return err == TERSE_OK ? put_content(out, p->number, str_of_buf(&work->d))
                           : err;
}

/* Writes content as what it adds to template i, which it will become. */
static enum terse_err put_like(struct state *s, struct plan *p, uint32_t i,
                               struct terse_work *work, struct terse_buf *out) {
    bool fits = false;
    struct terse_str whole;
    enum terse_err err = lengthen(s, &s->templates[i], &work->e, &whole);
    if (err != TERSE_OK)
        return err;
    struct template_links links =
        links_of(&s->templates[i], whole, plan_entry(p));
    terse_buf_reset(&work->a);
    err = template_diff(s->schema, p->type, whole, p->content, &links, &work->a,
                        &fits);
    if (err == TERSE_OK && !fits) /* as it stands, then */
        return put_packed(s, p, p->content, work, out);
    p->template = (int)i;
    if (err == TERSE_OK)
        err = state_put_number(out, FRAME_LIKE, i);
    if (err == TERSE_OK && work->a.len > 0)
        err = put_packed(s, p, str_of_buf(&work->a), work, out);
    return err;
}

static enum terse_err put_stanza(struct state *s, struct plan *p,
                                 struct terse_work *work,
                                 struct terse_buf *out) {
    enum terse_err err = TERSE_OK;
    if (!p->bare.p) /* too deep for a template */
        return put_packed(s, p, p->content, work, out);
    int i = best_template(s, p, work, &err);
    if (err != TERSE_OK)
        return err;
    if (i >= 0)
        return put_like(s, p, (uint32_t)i, work, out);
    p->template = p->bare.n < WORTH ? -1 : victim(s, p->bare.n);
    if (p->template >= 0)
        err = state_put_number(out, FRAME_KEEP, (uint64_t)p->template);
    return err == TERSE_OK ? put_packed(s, p, p->content, work, out) : err;
}

/* The templates that were used last of those that are large enough to be a
 * dictionary. */
static unsigned dictionaries(const struct state *s, int out[DICTIONARIES]) {
    unsigned n = 0;
    for (uint32_t i = 0; i < s->have_templates; i++) {
        unsigned at = n;
        if (s->templates[i].n < DEFLATE_FROM)
            continue;
        while (at > 0 && s->templates[out[at - 1]].used < s->templates[i].used)
            at--;
        if (at == DICTIONARIES)
            continue;
        if (n < DICTIONARIES)
            n++;
        memmove(out + at + 1, out + at, (n - at - 1) * sizeof(*out));
        out[at] = (int)i;
    }
    return n;
}

/* Replaces a large frame by its deflated form, where that is smaller. */
static enum terse_err deflate_frame(struct state *s, const struct plan *p,
                                    struct terse_work *work,
                                    struct terse_buf *out) {
    int with[DICTIONARIES], best = -1;
    size_t best_size = SIZE_MAX;
    if (out->len < DEFLATE_FROM ||
        template_guarded(s->schema, p->type, p->content))
        return TERSE_OK;
    unsigned n = dictionaries(s, with);
    for (unsigned i = 0; i <= n; i++) {
        struct terse_str dict = {NULL, 0};
        enum terse_err err = TERSE_OK;
        if (i < n)
            err = lengthen(s, &s->templates[with[i]], &work->e, &dict);
        if (err != TERSE_OK)
            return err;
        terse_buf_reset(&work->a);
        err = deflate_pack(str_of_buf(out), dict, &work->a);
        size_t size = work->a.len + (i < n ? 2 : 0);
        if (err == TERSE_ELIMIT || (err == TERSE_OK && size >= best_size))
            continue;
        if (err != TERSE_OK)
            return err;
        best = i < n ? with[i] : -1;
        best_size = size;
        terse_buf_reset(&work->b);
        err = terse_buf_append(&work->b, terse_buf_data(&work->a), work->a.len);
        if (err != TERSE_OK)
            return err;
    }
    if (best_size == SIZE_MAX || best_size + 4 > out->len)
        return TERSE_OK;
    terse_buf_reset(out);
    enum terse_err err = TERSE_OK;
    if (best >= 0) {
        s->templates[best].used = ++s->clock;
        err = state_put_number(out, FRAME_LIKE, (uint64_t)best);
    }
    return err == TERSE_OK
               ? put_content(out, FRAME_DEFLATED, str_of_buf(&work->b))
               : err;
}

/* ---- sender: the journals ------------------------------------------------
 */

struct search {
    const struct journal *journal;
    struct entry *entry;
};

static bool find_entry(void *arg, const struct wire_field *value) {
    const struct search *search = arg;
    return journal_find(search->journal, value, search->entry);
}

/* What the stanza is about, and whether it enters the journal itself. */
static void plan_journal(struct state *s, struct plan *p) {
    struct wire_field id;
    struct terse_str addr;
    if (s->other && s->other->journal.len > 0 && p->bare.p &&
        template_can_blank(s->schema, p->type, p->content)) {
        struct search search = {&s->other->journal, &p->entry};
        p->has_entry = template_each_value(s->schema, p->type, p->bare,
                                           find_entry, &search);
    }
    template_names(s->schema, p->type, p->content, &id, &addr);
    /* A receipt or a result is not answered; a message that people wrote is. */
    p->enters =
        s->journal_max > 0 && journal_takes(&id) &&
        (!p->has_entry || (p->number == FRAME_MESSAGE &&
                           template_guarded(s->schema, p->type, p->content)));
}

/* Stanzas enter while not too many wait to be heard of; says so when that
 * changes. */
static enum terse_err put_enter(struct state *s, struct plan *p,
                                struct terse_buf *out) {
    struct wire_field id;
    struct terse_str addr;
    template_names(s->schema, p->type, p->content, &id, &addr);
    bool on = journal_has_room(&s->journal, &id, addr,
                               s->journal.on ? s->journal_max
                                             : s->journal_max / 2 + 1);
    if (!p->enters || on == s->journal.on) {
        p->enters = p->enters && on;
        return TERSE_OK;
    }
    s->journal.on = on;
    p->enters = on;
    return state_put_number(out, FRAME_ENTER, on);
}

/* How many more entries of the other direction were heard of, if it is time to
 * say so: when they are half of what may wait for it. */
static uint32_t take_heard(struct state *s) {
    if (!s->other)
        return 0;
    struct journal *j = &s->other->journal;
    uint32_t more = j->end - j->heard;
    if (more < s->other->journal_max / 2)
        return 0;
    journal_hear(j, j->end);
    return more;
}

static enum terse_err put_heard(uint32_t more, struct terse_buf *out) {
    return more > 0 ? state_put_number(out, FRAME_HEARD, more) : TERSE_OK;
}

static enum terse_err put_about(const struct state *s, const struct plan *p,
                                struct terse_buf *out) {
    if (!p->has_entry)
        return TERSE_OK;
    int64_t offset = (int64_t)p->entry.index - (int64_t)s->other->journal.heard;
    return state_put_number(out, FRAME_ABOUT,
                            wire_zigzag(offset) << 1 | p->enters);
}

/* What the frame did to templates and journals, once it is written. */
static enum terse_err commit(struct state *s, const struct plan *p,
                             struct terse_work *work) {
    struct wire_field id;
    struct terse_str addr;
    enum terse_err err = TERSE_OK;
    if (p->template >= 0)
        err = set_template(s, (uint64_t)p->template, p->number, p->bare,
                           &p->outline, plan_entry(p), &work->e);
    if (p->has_entry) /* which may be gone then */
        journal_hear(&s->other->journal, p->entry.index + 1);
    if (err != TERSE_OK || !p->enters)
        return err;
    template_names(s->schema, p->type, p->content, &id, &addr);
    return journal_add(&s->journal, &id, addr);
}

/* ---- sender: a frame -----------------------------------------------------
 */

static enum terse_err put_heads(struct state *s, struct plan *p,
                                struct terse_buf *out) {
    enum terse_err err = put_heard(p->heard, out);
    if (err == TERSE_OK)
        err = put_enter(s, p, out);
    return err == TERSE_OK ? put_about(s, p, out) : err;
}

/* A roster, or the like: what it repeats, it repeats inside, and it does not
 * come again. *done is false if it is none. */
static enum terse_err put_list(struct state *s, struct plan *p,
                               struct terse_work *work, struct terse_buf *out,
                               bool *done) {
    uint32_t entries = s->book.n;
    enum terse_err err = put_packed(s, p, p->content, work, out);
    if (err == TERSE_OK)
        err = deflate_frame(s, p, work, out);
    *done = err == TERSE_OK && out->len <= p->content.n / 2;
    while (!*done && s->book.n > entries)
        book_drop_last(&s->book);
    return err;
}

static enum terse_err pack_stanza(struct state *s, struct plan *p,
                                  struct terse_work *work,
                                  struct terse_buf *out) {
    bool done = false;
    p->heard = take_heard(s);
    plan_journal(s, p);
    bool on = s->journal.on, enters = p->enters;
    enum terse_err err = put_heads(s, p, out);
    if (err == TERSE_OK && p->bulk) {
        err = put_list(s, p, work, out, &done);
        if (err == TERSE_OK && !done) { /* once more, from the start */
            terse_buf_reset(out);
            s->journal.on = on;
            p->enters = enters;
            err = put_heads(s, p, out);
        }
    }
    if (err == TERSE_OK && !done)
        err = put_stanza(s, p, work, out);
    if (err == TERSE_OK && !done)
        err = deflate_frame(s, p, work, out);
    return err == TERSE_OK ? commit(s, p, work) : err;
}

enum terse_err state_pack(struct state *s, struct terse_str frame,
                          struct terse_work *work, struct terse_buf *out) {
    struct parts parts;
    terse_buf_reset(out);
    if (!read_parts(frame, &parts) || has_state(&parts))
        return TERSE_EFRAME;
    enum terse_err err = TERSE_OK;
    if (!is_stanza(&parts)) {
        err = put_heard(take_heard(s), out);
        return err == TERSE_OK ? terse_buf_append(out, frame.p, frame.n) : err;
    }
    struct plan p = {.number = parts.content.number,
                     .content = parts.content.bytes,
                     .type = stanza_type(s, parts.content.number),
                     .bulk = frame.n >= BULKY,
                     .template = -1};
    terse_buf_reset(&work->c);
    err = template_strip(s->schema, p.type, p.content, &work->c, &p.outline);
    if (err == TERSE_OK)
        p.bare = (struct terse_str){
            work->c.len > 0 ? (const char *)terse_buf_data(&work->c) : "",
            work->c.len};
    if (err != TERSE_OK && err != TERSE_EFRAME)
        return err;
    return pack_stanza(s, &p, work, out);
}

/* ---- receiver ------------------------------------------------------------
 */

static enum terse_err unpack_string(void *arg, struct terse_str s,
                                    enum template_string kind,
                                    struct terse_buf *out) {
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
    const struct sc_type *type = stanza_type(s, *number);
    struct strings strings = strings_of(s);
    struct terse_buf *from = &work->b, *to = &work->a;
    enum terse_err err = t ? lengthen(s, t, &work->e, &whole) : TERSE_OK;
    if (err != TERSE_OK)
        return err;
    struct template_links links = links_of(t, whole, entry);
    terse_buf_reset(from);
    err = template_strings(s->schema, type, parts->content.bytes, true,
                           unpack_string, &strings, from);
    if (err == TERSE_OK && parts->has[FRAME_ENTRY])
        err = strings_enter(&strings, parts->entry);
    if (err == TERSE_OK && entry) {
        terse_buf_reset(&work->d);
        err = template_blank(s->schema, type, str_of_buf(from), &links, true,
                             &work->d);
        from = &work->d;
    }
    terse_buf_reset(to);
    if (err != TERSE_OK)
        return err;
    return t ? template_merge(s->schema, type, whole, str_of_buf(from), &links,
                              to)
             : terse_buf_append(to, terse_buf_data(from), from->len);
}

/* Keeps the stanza in work->a, as its frame says. */
static enum terse_err remember(struct state *s, const struct parts *parts,
                               const struct entry *entry, uint32_t number,
                               struct terse_work *work) {
    const struct sc_type *type = stanza_type(s, number);
    struct terse_str stanza = str_of_buf(&work->a);
    struct wire_field id;
    struct terse_str addr;
    enum terse_err err = TERSE_OK;
    if (parts->has[FRAME_LIKE] || parts->has[FRAME_KEEP]) {
        terse_buf_reset(&work->b);
        struct template_outline outline;
        err = template_strip(s->schema, type, stanza, &work->b, &outline);
        if (err == TERSE_OK)
            err = set_template(
                s,
                parts->value[parts->has[FRAME_LIKE] ? FRAME_LIKE : FRAME_KEEP],
                number, str_of_buf(&work->b), &outline, entry, &work->e);
    }
    if (entry)
        journal_hear(&s->other->journal, entry->index + 1);
    template_names(s->schema, type, stanza, &id, &addr);
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
    if (!is_stanza(parts) &&
        !(parts->has[FRAME_LIKE] && parts->contents == 0)) {
        if (marked || (parts->contents != 1 && has_state(parts)))
            return TERSE_EFRAME;
        return parts->contents == 1
                   ? terse_buf_append(out, parts->whole.p, parts->whole.n)
                   : terse_buf_append(out, frame.p, frame.n);
    }
    const struct entry *about = parts->has[FRAME_ABOUT] ? &entry : NULL;
    err = unpack_content(s, parts, about, &number, work);
    if (err == TERSE_OK)
        err = remember(s, parts, about, number, work);
    return err == TERSE_OK ? put_content(out, number, str_of_buf(&work->a))
                           : err;
}

enum terse_err state_unpack(struct state *s, struct terse_str frame,
                            struct terse_work *work, struct terse_buf *out) {
    struct parts parts;
    struct terse_str dict = {NULL, 0};
    terse_buf_reset(out);
    if (frame.n == 0 || !read_parts(frame, &parts))
        return TERSE_EFRAME;
    if (!parts.has[FRAME_DEFLATED])
        return unpack_frame(s, &parts, frame, work, out);
    uint64_t i = parts.value[FRAME_LIKE];
    if (parts.has[FRAME_LIKE]) {
        if (i >= s->have_templates || !s->templates[i].p)
            return TERSE_EFRAME;
        enum terse_err err = lengthen(s, &s->templates[i], &work->e, &dict);
        if (err != TERSE_OK)
            return err;
    }
    parts.has[FRAME_LIKE] = parts.has[FRAME_DEFLATED] = false;
    if (parts.contents > 0 || has_state(&parts))
        return TERSE_EFRAME;
    terse_buf_reset(&work->c);
    enum terse_err err = deflate_unpack(parts.deflated, dict, &work->c);
    if (err != TERSE_OK)
        return err;
    frame = str_of_buf(&work->c);
    if (frame.n == 0 || !read_parts(frame, &parts) || parts.has[FRAME_DEFLATED])
        return TERSE_EFRAME;
    return unpack_frame(s, &parts, frame, work, out);
}
