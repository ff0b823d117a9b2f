/* templates.c: see templates.h. */
#include "templates.h"

#include <string.h>

#include "str.h"
#include "strings.h"
#include "value.h"

enum { FRONT_FROM = 32 }; /* bytes of BASE64 whose front can be kept */

struct walk {
    struct terse_buf *out;
    enum terse_err err; /* the first one; nothing is written after it */
    bool unfit;         /* diff: no patch makes it */
    size_t private;     /* diff: bytes that a patch to the stripped message
                           would not have */
    unsigned depth, depth_max;
    const struct template_links *given; /* which go first; or NULL */
    unsigned n_links;
    struct template_link links[PATCH_LINKS_MAX];
};

/* Not all of it: links are many, and only the first n_links are ever read. */
static void walk_init(struct walk *w, struct terse_buf *out,
                      unsigned depth_max) {
    w->out = out;
    w->err = TERSE_OK;
    w->unfit = false;
    w->private = 0;
    w->given = NULL;
    w->depth = w->n_links = 0;
    w->depth_max = depth_max;
}

static bool go_on(const struct walk *w) {
    return w->err == TERSE_OK && !w->unfit;
}

/* ---- writing
 * ------------------------------------------------------------------ */

static void put(struct walk *w, const void *p, size_t n) {
    struct terse_buf *out = w->out;
    if (!go_on(w))
        return;
    if (out->off + out->len + n > out->cap || out->len + n > out->max) {
        w->err = terse_buf_append(out, p, n);
        return;
    }
    if (n > 0)
        memcpy(out->data + out->off + out->len, p, n);
    out->len += n;
}

static void put_varint(struct walk *w, uint64_t v) {
    uint8_t bytes[WIRE_VARINT_MAX];
    size_t n = wire_put_varint(bytes, v);
    put(w, bytes, n);
}

static void put_tag(struct walk *w, const struct wire_field *f) {
    put_varint(w, (uint64_t)f->number << 3 | f->type);
}

static void put_field(struct walk *w, const struct wire_field *f) {
    put_tag(w, f);
    if (f->type == WIRE_VARINT) {
        put_varint(w, f->value);
    } else {
        put_varint(w, f->bytes.n);
        put(w, f->bytes.p, f->bytes.n);
    }
}

static size_t varint_size(uint64_t v) {
    size_t n = 1;
    while (v >>= 7)
        n++;
    return n;
}

static size_t tag_size(uint32_t number) {
    return varint_size((uint64_t)number << 3);
}

/* A nested message: its length is known at its end, and is one byte mostly. */
static size_t begin(struct walk *w, const struct wire_field *f) {
    put_tag(w, f);
    put(w, "", 1);
    return w->out->len;
}

/* Returns how many bytes more its length took. */
static size_t end(struct walk *w, size_t start) {
    if (!go_on(w))
        return 0;
    size_t n = w->out->len - start, more = varint_size(n) - 1;
    if (more == 0) { /* nearly always */
        w->out->data[w->out->off + start - 1] = (uint8_t)n;
        return 0;
    }
    put(w, "\0\0\0\0\0\0\0\0\0", more);
    if (!go_on(w))
        return 0;
    uint8_t *p = w->out->data + w->out->off + start;
    memmove(p + more, p, n);
    for (p--; n >= 0x80; n >>= 7)
        *p++ = (uint8_t)(n | 0x80);
    *p = (uint8_t)n;
    return more;
}

/* ---- reading
 * ------------------------------------------------------------------ */

/* The next field, with what the schema says of it; false at the end. */
static bool next(struct walk *w, const struct sc_type *type, struct wire *in,
                 struct wire_field *out, const struct sc_field **f) {
    if (!go_on(w) || in->p == in->end)
        return false;
    if (wire_next(in, out) && (*f = schema_field(type, out->number)) &&
        (*f)->wire == out->type)
        return true;
    w->err = TERSE_EFRAME;
    return false;
}

static bool deeper(struct walk *w) {
    if (++w->depth <= w->depth_max)
        return true;
    w->err = TERSE_EFRAME;
    return false;
}

static bool is_private(const struct sc_field *f) {
    return f->t->flags & TABLE_PRIVATE;
}

static bool same(const struct wire_field *a, const struct wire_field *b) {
    return a->type == b->type &&
           (a->type == WIRE_VARINT ? a->value == b->value
                                   : str_eq(a->bytes, b->bytes));
}

/* ---- links
 * --------------------------------------------------------------------- */

/* Whether a value is unlikely to be the same as another one by chance. */
static bool can_link(const struct wire_field *f) {
    return f->type == WIRE_VARINT ? f->value >> 32 != 0 : f->bytes.n >= 4;
}

static void add_link(struct walk *w, const struct wire_field *old,
                     const struct wire_field *new) {
    if (!can_link(old) || w->n_links == PATCH_LINKS_MAX)
        return;
    w->links[w->n_links++] = (struct template_link){*old, *new};
}

/* Puts the new value into f if `of` has its old one. */
static bool follow_one(const struct template_link *of, struct wire_field *f) {
    if (!same(&of->old, f))
        return false;
    f->value = of->new.value;
    f->bytes = of->new.bytes;
    return true;
}

/* What a field of the template becomes if the patch does not name it. */
static struct wire_field follow(const struct walk *w, struct wire_field f) {
    if (!can_link(&f))
        return f;
    for (unsigned i = 0; w->given && i < w->given->n; i++)
        if (follow_one(&w->given->of[i], &f))
            return f;
    for (unsigned i = 0; i < w->n_links; i++)
        if (follow_one(&w->links[i], &f))
            return f;
    return f;
}

/* ---- places
 * --------------------------------------------------------------------- */

/* The field that stands for all private ones of the same item, so that nobody
 * sees in which form a text was. Any other field stands for itself. */
static const struct sc_field *place(const struct sc_type *type,
                                    const struct sc_field *f) {
    return &type->fields[f->place];
}

/* ---- changes
 * -------------------------------------------------------------------- */

/* Two kinds of value are patched by what changes in them: large numbers, and
 * long BASE64, such as keys, of which the front often stays. */
static bool has_front(const struct sc_field *f, const struct wire_field *old) {
    return f->t->form == FORM_BASE64 && !is_private(f) &&
           old->bytes.n >= FRONT_FROM;
}

static bool is_large(const struct wire_field *old) {
    return old->type == WIRE_VARINT && old->value >> 32 != 0;
}

/* Writes what makes `new` of `old`. */
static void put_change(struct walk *w, const struct sc_field *f,
                       const struct wire_field *old,
                       const struct wire_field *new) {
    struct wire_field change = *new;
    if (new->number != old->number || (!is_large(old) && !has_front(f, old))) {
        put_field(w, new);
        return;
    }
    if (is_large(old)) {
        change.value = wire_zigzag((int64_t)(new->value - old->value));
        put_field(w, &change);
        return;
    }
    size_t front = 0;
    while (front < old->bytes.n && front < new->bytes.n &&
           old->bytes.p[front] == new->bytes.p[front])
        front++;
    size_t start = begin(w, new);
    put_varint(w, front);
    put(w, new->bytes.p + front, new->bytes.n - front);
    end(w, start);
}

/* Writes what `change` makes of `old`, and the new value to *new. */
static void put_changed(struct walk *w, const struct sc_field *f,
                        const struct wire_field *old,
                        const struct wire_field *change,
                        struct wire_field *new) {
    struct wire in = wire_of(change->bytes);
    uint64_t front;
    *new = *change;
    if (change->number != old->number ||
        (!is_large(old) && !has_front(f, old))) {
        put_field(w, new);
        return;
    }
    if (is_large(old)) {
        new->value = old->value + (uint64_t)wire_unzigzag(change->value);
        put_field(w, new);
        return;
    }
    if (!wire_varint(&in, &front) || front > old->bytes.n) {
        if (go_on(w))
            w->err = TERSE_EFRAME;
        return;
    }
    size_t start = begin(w, old);
    put(w, old->bytes.p, front);
    put(w, in.p, (size_t)(in.end - in.p));
    end(w, start);
}

/* ---- diff
 * ---------------------------------------------------------------------- */

/* How often a place came in one message of the template, and was patched. */
struct tally {
    uint16_t place;
    uint32_t seen, patched;
};

struct tallies {
    struct tally of[PATCH_FIELDS_MAX];
    unsigned n;
    unsigned patched; /* fields of all places in this message of the patch */
};

static struct tally *tally(struct walk *w, struct tallies *t, uint16_t place) {
    unsigned i = 0;
    while (i < t->n && t->of[i].place != place)
        i++;
    if (i == PATCH_FIELDS_MAX) {
        w->unfit = true;
        return NULL;
    }
    if (i == t->n)
        t->of[t->n++] = (struct tally){.place = place};
    return &t->of[i];
}

static void diff(struct walk *w, const struct sc_type *type,
                 struct terse_str from, struct terse_str to);

/* The bytes of a field of n bytes where its message is stripped. */
static size_t bare_size(struct walk *w, const struct sc_type *type,
                        const struct sc_field *f,
                        const struct wire_field *field, size_t n) {
    if (!f->inner)
        return is_private(f) ? tag_size(place(type, f)->t->number) + 1 : n;
    struct wire in = wire_of(field->bytes);
    struct wire_field inside;
    const struct sc_field *g;
    if (!deeper(w))
        return 0;
    n = 0;
    for (const uint8_t *at = in.p; next(w, f->inner, &in, &inside, &g);
         at = in.p)
        n += bare_size(w, f->inner, g, &inside, (size_t)(in.p - at));
    w->depth--;
    return tag_size(field->number) + varint_size(n) + n;
}

/* The same of what a patch says of a nested message. */
static bool diff_inner(struct walk *w, const struct sc_field *f,
                       const struct wire_field *old,
                       const struct wire_field *new) {
    size_t len = w->out->len, private = w->private, start = begin(w, new);
    diff(w, f->inner, old->bytes, new->bytes);
    if (go_on(w) && w->out->len == start) {
        w->out->len = len;
        return false;
    }
    size_t bare = w->out->len - start - (w->private - private);
    w->private += end(w, start) + 1 - varint_size(bare);
    return true;
}

/* Appends what changes field `old` into `new`, if anything does. */
static bool diff_field(struct walk *w, const struct sc_type *type,
                       const struct sc_field *f, const struct wire_field *old,
                       const struct wire_field *new) {
    if (f->inner)
        return diff_inner(w, f, old, new);
    size_t len = w->out->len;
    struct wire_field expected = follow(w, *old);
    if (!is_private(f) && same(&expected, new))
        return false;
    put_change(w, f, old, new);
    if (is_private(f))
        w->private += w->out->len - len - bare_size(w, type, f, old, 0);
    else if (!has_front(f, old) && !same(old, new))
        add_link(w, old, new);
    return true;
}

/* Steps over the field at b if it is byte for byte the one at a, which is `old`
 * and n bytes long, and this says that it stays the same. */
static bool stays(const struct walk *w, const struct sc_field *f,
                  const struct wire_field *old, const uint8_t *a, size_t n,
                  struct wire *b) {
    if (f->inner || is_private(f) || (size_t)(b->end - b->p) < n ||
        memcmp(a, b->p, n) != 0)
        return false;
    struct wire_field expected = follow(w, *old);
    if (!same(&expected, old))
        return false;
    b->p += n;
    return true;
}

/* The fields of `to` that the template has no more of. */
static void diff_rest(struct walk *w, const struct sc_type *type,
                      struct tallies *tallies, struct wire *b) {
    struct wire_field new;
    const struct sc_field *f;
    for (const uint8_t *at = b->p; next(w, type, b, &new, &f); at = b->p) {
        struct tally *t = tally(w, tallies, f->place);
        size_t n = (size_t)(b->p - at);
        if (!t || t->patched < t->seen || ++tallies->patched > PATCH_FIELDS_MAX)
            w->unfit = true;
        put(w, at, n);
        w->private += n - bare_size(w, type, f, &new, n);
    }
}

static void diff(struct walk *w, const struct sc_type *type,
                 struct terse_str from, struct terse_str to) {
    struct tallies tallies;
    struct wire a = wire_of(from), b = wire_of(to);
    struct wire_field old, new;
    const struct sc_field *f, *g;
    if (!deeper(w))
        return;
    tallies.n = tallies.patched = 0;
    for (const uint8_t *at = a.p; next(w, type, &a, &old, &f); at = a.p) {
        struct wire before = b;
        struct tally *t = tally(w, &tallies, f->place);
        if (!t)
            break;
        t->seen++;
        if (stays(w, f, &old, at, (size_t)(a.p - at), &b))
            continue;
        if (!next(w, type, &b, &new, &g) || g->place != f->place) {
            b = before;
            if (is_private(f))
                continue; /* its place stays empty */
            w->unfit = true;
        } else if (diff_field(w, type, f, &old, &new)) {
            if (++t->patched < t->seen || ++tallies.patched > PATCH_FIELDS_MAX)
                w->unfit = true;
        }
    }
    diff_rest(w, type, &tallies, &b);
    w->depth--;
}

enum terse_err template_diff(const struct sc_type *type, struct terse_str from,
                             struct terse_str to,
                             const struct template_links *given,
                             struct terse_buf *out, bool *fits, size_t *bare) {
    struct walk w;
    size_t len = out->len;
    walk_init(&w, out, PATCH_DEPTH_MAX);
    w.given = given;
    diff(&w, type, from, to);
    if (w.err == TERSE_EFRAME || w.err == TERSE_ELIMIT)
        w.unfit = true, w.err = TERSE_OK;
    *fits = !w.unfit;
    if (!go_on(&w))
        out->len = len;
    *bare = out->len - len - w.private;
    return w.err;
}

/* ---- merge
 * --------------------------------------------------------------------- */

/* One message of a patch. */
struct patch {
    struct wire_field fields[PATCH_FIELDS_MAX];
    uint16_t place[PATCH_FIELDS_MAX];
    bool used[PATCH_FIELDS_MAX];
    unsigned n;
};

static bool read_patch(struct walk *w, const struct sc_type *type,
                       struct terse_str bytes, struct patch *patch) {
    struct wire in = wire_of(bytes);
    struct wire_field field;
    const struct sc_field *f;
    patch->n = 0;
    while (next(w, type, &in, &field, &f)) {
        if (patch->n == PATCH_FIELDS_MAX) {
            w->err = TERSE_EFRAME;
            break;
        }
        patch->used[patch->n] = false;
        patch->place[patch->n] = f->place;
        patch->fields[patch->n++] = field;
    }
    return go_on(w);
}

static struct wire_field *patch_take(struct patch *patch, uint16_t place) {
    for (unsigned i = 0; i < patch->n; i++) {
        if (patch->used[i] || patch->place[i] != place)
            continue;
        patch->used[i] = true;
        return &patch->fields[i];
    }
    return NULL;
}

static void merge(struct walk *w, const struct sc_type *type,
                  struct terse_str from, struct terse_str bytes);

static void merge_field(struct walk *w, const struct sc_field *f,
                        const struct wire_field *old,
                        const struct wire_field *new) {
    const struct sc_type *inner = f->inner;
    if (inner) {
        size_t start = begin(w, old);
        merge(w, inner, old->bytes,
              new ? new->bytes : (struct terse_str){NULL, 0});
        end(w, start);
    } else if (new) {
        struct wire_field now;
        put_changed(w, f, old, new, &now);
        if (!is_private(f) && !has_front(f, old) && !same(old, &now))
            add_link(w, old, &now);
    } else if (!is_private(f)) {
        struct wire_field now = follow(w, *old);
        put_field(w, &now);
    }
}

static void merge(struct walk *w, const struct sc_type *type,
                  struct terse_str from, struct terse_str bytes) {
    struct patch patch;
    struct wire in = wire_of(from);
    struct wire_field old;
    const struct sc_field *f;
    if (!deeper(w) || !read_patch(w, type, bytes, &patch))
        return;
    while (next(w, type, &in, &old, &f))
        merge_field(w, f, &old, patch_take(&patch, f->place));
    for (unsigned i = 0; i < patch.n; i++)
        if (!patch.used[i])
            put_field(w, &patch.fields[i]);
    w->depth--;
}

enum terse_err template_merge(const struct sc_type *type, struct terse_str from,
                              struct terse_str patch,
                              const struct template_links *given,
                              struct terse_buf *out) {
    struct walk w;
    walk_init(&w, out, PATCH_DEPTH_MAX);
    w.given = given;
    merge(&w, type, from, patch);
    return w.err;
}

/* ---- strip and strings
 * --------------------------------------------------------- */

enum { BASE64_MAX = 64 }; /* bytes of a hash that comes again */

struct copy {
    struct walk walk;
    template_string_cb cb;
    void *arg;
    size_t start;                     /* of what is written */
    bool receives;                    /* strings come from the wire */
    struct template_outline *outline; /* or NULL */
};

static const struct sc_field *twin(const struct sc_type *type,
                                   const struct sc_field *f) {
    return f->twin > 0 ? &type->fields[f->twin - 1] : NULL;
}

/* The bytes of text if it is BASE64 that may have been sent as characters; 0 if
 * it is not. */
static size_t base64_of(struct terse_str text, uint8_t out[BASE64_MAX]) {
    size_t n = value_bytes_size(FORM_BASE64, text);
    return n > 0 && n <= BASE64_MAX && value_to_bytes(FORM_BASE64, text, out)
               ? n
               : 0;
}

static void put_string(struct copy *s, const struct sc_type *type,
                       const struct sc_field *f,
                       const struct wire_field *field) {
    struct walk *w = &s->walk;
    uint8_t value[BASE64_MAX];
    const struct sc_field *base64 = twin(type, f);
    size_t start = begin(w, field), n = 0;
    /* What the receiver would take for BASE64 goes as it is. */
    if (base64 && !s->receives && base64_of(field->bytes, value) > 0)
        put(w, field->bytes.p, field->bytes.n);
    else if (go_on(w))
        w->err = s->cb(s->arg, field->bytes, (enum sc_kind)f->kind, w->out);
    if (base64 && s->receives && go_on(w) && strings_marked(field->bytes))
        n = base64_of(
            (struct terse_str){(const char *)terse_buf_data(w->out) + start,
                               w->out->len - start},
            value);
    if (n == 0) {
        end(w, start);
        return;
    }
    struct wire_field was = {.number = base64->t->number, .type = WIRE_BYTES};
    w->out->len = start - 1 - tag_size(field->number);
    start = begin(w, &was);
    put(w, value, n);
    end(w, start);
}

/* A hash that comes again is sent as characters, which have a place in slots
 * and book. */
static bool put_base64(struct copy *s, const struct sc_type *type,
                       const struct sc_field *f,
                       const struct wire_field *field) {
    char text[BASE64_MAX * 4 / 3 + 4];
    const struct sc_field *plain = twin(type, f);
    if (!s->cb || s->receives || !plain || plain->kind == KIND_ONCE ||
        field->bytes.n == 0 || field->bytes.n > BASE64_MAX)
        return false;
    struct wire_field as = {.number = plain->t->number, .type = WIRE_BYTES};
    as.bytes =
        (struct terse_str){text, value_chars_size(FORM_BASE64, field->bytes.n)};
    value_from_bytes(FORM_BASE64, field->bytes, text);
    struct walk *w = &s->walk;
    size_t start = begin(w, &as), len = w->out->len;
    if (go_on(w))
        w->err = s->cb(s->arg, as.bytes, (enum sc_kind)plain->kind, w->out);
    bool marked = go_on(w) && strings_marked((struct terse_str){
                                  (const char *)terse_buf_data(w->out) + len,
                                  w->out->len - len});
    if (!marked && go_on(w)) {
        w->out->len = start - 1 - tag_size(as.number);
        return false;
    }
    end(w, start);
    return true;
}

static bool is_guarded(const struct sc_field *f) {
    return is_private(f) && !(f->t->flags & TABLE_BULK);
}

static void note_shape(struct copy *s, uint32_t number) {
    if (s->outline)
        s->outline->shape = (s->outline->shape ^ number) * UINT32_C(16777619);
}

static void note_field(struct copy *s, const struct sc_field *f) {
    if (!is_private(f))
        note_shape(s, f->t->number);
    else if (s->outline && f->t->bind != BIND_CHILD && is_guarded(f))
        s->outline->guarded = true;
}

/* The string that was written last. */
static void note_span(struct copy *s, const struct wire_field *field) {
    struct template_outline *to = s->outline;
    size_t n = field->bytes.n, len = s->walk.out->len - s->start;
    if (to && field->type == WIRE_BYTES && n >= SPAN_LEAST &&
        len <= UINT16_MAX && to->n_spans < SPANS_MAX)
        to->spans[to->n_spans++] =
            (struct template_span){(uint16_t)(len - n), (uint16_t)n};
}

/* A length in front of the spans from `first` on took n bytes more. */
static void move_spans(struct copy *s, unsigned first, size_t n) {
    for (unsigned i = first; n > 0 && s->outline && i < s->outline->n_spans;
         i++)
        s->outline->spans[i].at = (uint16_t)(s->outline->spans[i].at + n);
}

static void copy(struct copy *s, const struct sc_type *type,
                 struct terse_str bytes) {
    struct walk *w = &s->walk;
    struct wire in = wire_of(bytes);
    struct wire_field field;
    const struct sc_field *f;
    if (!deeper(w))
        return;
    for (const uint8_t *at = in.p; next(w, type, &in, &field, &f); at = in.p) {
        note_field(s, f);
        if (f->inner) {
            size_t start = begin(w, &field);
            unsigned first = s->outline ? s->outline->n_spans : 0;
            copy(s, f->inner, field.bytes);
            move_spans(s, first, end(w, start));
        } else if (is_private(f) && !s->cb) {
            const struct sc_field *to = place(type, f);
            put_field(w,
                      &(struct wire_field){.number = to->t->number,
                                           .type = (enum wire_type)to->wire});
        } else if (is_private(f)) {
            put(w, at, (size_t)(in.p - at));
        } else if (s->cb && field.type == WIRE_BYTES &&
                   f->t->form == FORM_PLAIN) {
            put_string(s, type, f, &field);
        } else if (f->t->form != FORM_BASE64 ||
                   !put_base64(s, type, f, &field)) {
            put(w, at, (size_t)(in.p - at));
            if (f->t->form == FORM_PLAIN)
                note_span(s, &field);
        }
    }
    note_shape(s, UINT32_MAX - w->depth);
    w->depth--;
}

enum terse_err template_strings(const struct sc_type *type,
                                struct terse_str message, bool receives,
                                template_string_cb cb, void *arg,
                                struct terse_buf *out) {
    struct copy s = {.cb = cb, .arg = arg, .receives = receives};
    walk_init(&s.walk, out, cb ? FRAME_DEPTH_MAX : PATCH_DEPTH_MAX);
    copy(&s, type, message);
    return s.walk.err;
}

enum terse_err template_strip(const struct sc_type *type,
                              struct terse_str message, struct terse_buf *out,
                              struct template_outline *outline) {
    struct copy s = {.outline = outline, .start = out->len};
    if (outline) {
        outline->shape = outline->n_spans = 0;
        outline->guarded = false;
    }
    walk_init(&s.walk, out, PATCH_DEPTH_MAX);
    copy(&s, type, message);
    return s.walk.err;
}

static bool guarded(struct walk *w, const struct sc_type *type,
                    struct terse_str message) {
    struct wire in = wire_of(message);
    struct wire_field field;
    const struct sc_field *f;
    bool found = false;
    if (!deeper(w))
        return true;
    while (!found && next(w, type, &in, &field, &f)) {
        const struct sc_type *inner = f->inner;
        if (inner)
            found = guarded(w, inner, field.bytes);
        else
            found = is_guarded(f);
    }
    w->depth--;
    return found || !go_on(w);
}

bool template_guarded(const struct sc_type *type, struct terse_str message) {
    struct walk w;
    walk_init(&w, NULL, FRAME_DEPTH_MAX);
    return guarded(&w, type, message);
}

/* ---- answers
 * ------------------------------------------------------------------ */

static bool is_address(const struct sc_field *f) {
    return f->role == ROLE_FROM || f->role == ROLE_TO;
}

/* The value of an entry that a field of a stanza may stand for, NULL if none.
 */
static const struct wire_field *entry_value(const struct sc_field *f,
                                            const struct template_links *given,
                                            const struct wire_field *field) {
    unsigned i = f->role == ROLE_ID ? TEMPLATE_ID : TEMPLATE_ADDR;
    if (field->type != WIRE_BYTES || (i == TEMPLATE_ADDR && !is_address(f)) ||
        given->of[i].new.type != WIRE_BYTES || given->of[i].new.bytes.n < 4)
        return NULL;
    return &given->of[i].new;
}

enum terse_err template_blank(const struct sc_type *type,
                              struct terse_str message,
                              const struct template_links *given, bool fill,
                              struct terse_buf *out) {
    struct walk w;
    struct wire in = wire_of(message);
    struct wire_field field;
    const struct sc_field *f;
    walk_init(&w, out, FRAME_DEPTH_MAX);
    while (next(&w, type, &in, &field, &f)) {
        const struct wire_field *value = entry_value(f, given, &field);
        if (value && fill && field.bytes.n == 0)
            field.bytes = value->bytes;
        else if (value && !fill && str_eq(value->bytes, field.bytes))
            field.bytes.n = 0;
        put_field(&w, &field);
    }
    return w.err;
}

bool template_can_blank(const struct sc_type *type, struct terse_str message) {
    struct walk w;
    struct wire in = wire_of(message);
    struct wire_field field;
    const struct sc_field *f;
    walk_init(&w, NULL, FRAME_DEPTH_MAX);
    while (next(&w, type, &in, &field, &f))
        if (field.type == WIRE_BYTES && field.bytes.n == 0 &&
            f->role != ROLE_NONE)
            return false;
    return go_on(&w);
}

void template_names(const struct sc_type *type, struct terse_str message,
                    struct wire_field *id, struct terse_str *addr) {
    struct walk w;
    struct wire in = wire_of(message);
    struct wire_field field;
    const struct sc_field *f;
    *id = (struct wire_field){.type = WIRE_VARINT};
    *addr = (struct terse_str){NULL, 0};
    walk_init(&w, NULL, FRAME_DEPTH_MAX);
    while (next(&w, type, &in, &field, &f)) {
        if (f->role == ROLE_ID)
            *id = field;
        else if (f->t->form == FORM_PLAIN &&
                 (f->role == ROLE_FROM || (f->role == ROLE_TO && !addr->p)))
            *addr = field.bytes;
    }
}

static bool each_value(struct walk *w, const struct sc_type *type,
                       struct terse_str message, template_value_cb cb,
                       void *arg) {
    struct wire in = wire_of(message);
    struct wire_field field;
    const struct sc_field *f;
    bool done = false;
    if (!deeper(w))
        return false;
    while (!done && next(w, type, &in, &field, &f)) {
        const struct sc_type *inner = f->inner;
        if (inner)
            done = each_value(w, inner, field.bytes, cb, arg);
        else
            done = !is_private(f) && can_link(&field) && cb(arg, &field);
    }
    w->depth--;
    return done;
}

bool template_each_value(const struct sc_type *type, struct terse_str message,
                         template_value_cb cb, void *arg) {
    struct walk w;
    walk_init(&w, NULL, FRAME_DEPTH_MAX);
    return each_value(&w, type, message, cb, arg);
}
