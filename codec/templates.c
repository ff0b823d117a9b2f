/* templates.c: see templates.h. */
#include "templates.h"

#include <string.h>

#include "str.h"

struct link {
    struct wire_field old, new;
};

struct walk {
    const struct terse_schema *schema;
    struct terse_buf *out;
    enum terse_err err; /* the first one; nothing is written after it */
    bool unfit;         /* diff: no patch makes it */
    unsigned depth, depth_max;
    unsigned n_links;
    struct link links[PATCH_LINKS_MAX];
};

/* Not all of it: links are many, and only the first n_links are ever read. */
static void walk_init(struct walk *w, const struct terse_schema *schema,
                      struct terse_buf *out, unsigned depth_max) {
    w->schema = schema;
    w->out = out;
    w->err = TERSE_OK;
    w->unfit = false;
    w->depth = w->n_links = 0;
    w->depth_max = depth_max;
}

static bool go_on(const struct walk *w) {
    return w->err == TERSE_OK && !w->unfit;
}

/* ---- writing
 * ------------------------------------------------------------------ */

static void put(struct walk *w, const void *p, size_t n) {
    if (go_on(w))
        w->err = terse_buf_append(w->out, p, n);
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

/* A nested message: its length is known at its end, and is one byte mostly. */
static size_t begin(struct walk *w, const struct wire_field *f) {
    put_tag(w, f);
    put(w, "", 1);
    return w->out->len;
}

static void end(struct walk *w, size_t start) {
    if (!go_on(w))
        return;
    size_t n = w->out->len - start, more = 0;
    for (size_t v = n; v >= 0x80; v >>= 7)
        more++;
    put(w, "\0\0\0\0\0\0\0\0\0", more);
    if (!go_on(w))
        return;
    uint8_t *p = w->out->data + w->out->off + start;
    memmove(p + more, p, n);
    for (p--; n >= 0x80; n >>= 7)
        *p++ = (uint8_t)(n | 0x80);
    *p = (uint8_t)n;
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
    w->links[w->n_links++] = (struct link){*old, *new};
}

/* What a field of the template becomes if the patch does not name it. */
static struct wire_field follow(const struct walk *w, struct wire_field f) {
    if (!can_link(&f))
        return f;
    for (unsigned i = 0; i < w->n_links; i++) {
        if (!same(&w->links[i].old, &f))
            continue;
        f.value = w->links[i].new.value;
        f.bytes = w->links[i].new.bytes;
        break;
    }
    return f;
}

static bool is_private(const struct sc_field *f) {
    return f->t->flags & TABLE_PRIVATE;
}

/* ---- places
 * --------------------------------------------------------------------- */

static bool same_name(const char *a, const char *b) {
    return a == b || (a && b && strcmp(a, b) == 0);
}

static bool same_item(const struct table_field *a,
                      const struct table_field *b) {
    return a->bind == b->bind && same_name(a->name, b->name) &&
           same_name(a->ns, b->ns) && same_name(a->attr, b->attr);
}

/* The field that stands for all private ones of the same item, so that nobody
 * sees in which form a text was: that of the lowest number. Any other field
 * stands for itself. */
static const struct sc_field *place(const struct sc_type *type,
                                    const struct sc_field *f) {
    const struct sc_field *first = type->fields;
    if (!is_private(f) || f->t->bind == BIND_CHILD)
        return f;
    while (first != f && !(is_private(first) && same_item(first->t, f->t)))
        first++;
    return first;
}

/* ---- diff
 * ---------------------------------------------------------------------- */

/* How often a number came in one message of the template, and was patched. */
struct tally {
    uint32_t number, seen, patched;
};

struct tallies {
    struct tally of[PATCH_FIELDS_MAX];
    unsigned n;
    unsigned patched; /* fields of all numbers in this message of the patch */
};

static struct tally *tally(struct walk *w, struct tallies *t, uint32_t number) {
    unsigned i = 0;
    while (i < t->n && t->of[i].number != number)
        i++;
    if (i == PATCH_FIELDS_MAX) {
        w->unfit = true;
        return NULL;
    }
    if (i == t->n)
        t->of[t->n++] = (struct tally){.number = number};
    return &t->of[i];
}

static void diff(struct walk *w, const struct sc_type *type,
                 struct terse_str from, struct terse_str to);

/* Appends what changes field `old` into `new`, if anything does. */
static bool diff_field(struct walk *w, const struct sc_type *type,
                       const struct sc_field *f, const struct wire_field *old,
                       const struct wire_field *new) {
    const struct sc_type *inner = schema_nested(w->schema, type, f);
    size_t len = w->out->len;
    if (inner) {
        size_t start = begin(w, new);
        diff(w, inner, old->bytes, new->bytes);
        if (go_on(w) && w->out->len == start) {
            w->out->len = len;
            return false;
        }
        end(w, start);
        return true;
    }
    struct wire_field expected = follow(w, *old);
    if (!is_private(f) && same(&expected, new))
        return false;
    put_field(w, new);
    if (!is_private(f) && !same(old, new))
        add_link(w, old, new);
    return true;
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
    while (next(w, type, &a, &old, &f)) {
        struct wire before = b;
        uint32_t number = place(type, f)->t->number;
        struct tally *t = tally(w, &tallies, number);
        if (!t)
            break;
        t->seen++;
        bool have = next(w, type, &b, &new, &g);
        if (!have || place(type, g)->t->number != number) {
            b = before;
            if (is_private(f))
                continue; /* its place stays empty */
            w->unfit = true;
        } else if (diff_field(w, type, f, &old, &new)) {
            if (++t->patched < t->seen || ++tallies.patched > PATCH_FIELDS_MAX)
                w->unfit = true;
        }
    }
    while (next(w, type, &b, &new, &g)) {
        struct tally *t = tally(w, &tallies, place(type, g)->t->number);
        if (!t || t->patched < t->seen || ++tallies.patched > PATCH_FIELDS_MAX)
            w->unfit = true;
        put_field(w, &new);
    }
    w->depth--;
}

enum terse_err template_diff(const struct terse_schema *schema,
                             const struct sc_type *type, struct terse_str from,
                             struct terse_str to, struct terse_buf *out,
                             bool *fits) {
    struct walk w;
    size_t len = out->len;
    walk_init(&w, schema, out, PATCH_DEPTH_MAX);
    diff(&w, type, from, to);
    if (w.err == TERSE_EFRAME)
        w.unfit = true, w.err = TERSE_OK;
    *fits = !w.unfit;
    if (!go_on(&w))
        out->len = len;
    return w.err;
}

/* ---- merge
 * --------------------------------------------------------------------- */

/* One message of a patch. */
struct patch {
    struct wire_field fields[PATCH_FIELDS_MAX];
    uint32_t place[PATCH_FIELDS_MAX]; /* the number of each one's place */
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
        patch->place[patch->n] = place(type, f)->t->number;
        patch->fields[patch->n++] = field;
    }
    return go_on(w);
}

static struct wire_field *patch_take(struct patch *patch, uint32_t place) {
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

static void merge_field(struct walk *w, const struct sc_type *type,
                        const struct sc_field *f, const struct wire_field *old,
                        const struct wire_field *new) {
    const struct sc_type *inner = schema_nested(w->schema, type, f);
    if (inner) {
        size_t start = begin(w, old);
        merge(w, inner, old->bytes,
              new ? new->bytes : (struct terse_str){NULL, 0});
        end(w, start);
    } else if (new) {
        put_field(w, new);
        if (!is_private(f) && !same(old, new))
            add_link(w, old, new);
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
        merge_field(w, type, f, &old,
                    patch_take(&patch, place(type, f)->t->number));
    for (unsigned i = 0; i < patch.n; i++)
        if (!patch.used[i])
            put_field(w, &patch.fields[i]);
    w->depth--;
}

enum terse_err template_merge(const struct terse_schema *schema,
                              const struct sc_type *type, struct terse_str from,
                              struct terse_str patch, struct terse_buf *out) {
    struct walk w;
    walk_init(&w, schema, out, PATCH_DEPTH_MAX);
    merge(&w, type, from, patch);
    return w.err;
}

/* ---- strip and strings
 * --------------------------------------------------------- */

struct strings {
    struct walk walk;
    template_string_cb cb;
    void *arg;
};

/* Strings of these items come again; ids, times and the like do not. */
static bool comes_again(const struct sc_field *f) {
    static const char *const names[] = {"to",   "from", "by",    "jid",
                                        "node", "nick", "photo", "ver"};
    const char *name = f->t->bind == BIND_LEAF_ATTR ? f->t->attr : f->t->name;
    for (size_t i = 0; name && i < sizeof(names) / sizeof(names[0]); i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return false;
}

static void put_string(struct strings *s, const struct sc_field *f,
                       const struct wire_field *field) {
    struct walk *w = &s->walk;
    size_t start = begin(w, field);
    if (go_on(w))
        w->err = s->cb(s->arg, field->bytes, comes_again(f), w->out);
    end(w, start);
}

static void copy(struct strings *s, const struct sc_type *type,
                 struct terse_str bytes) {
    struct walk *w = &s->walk;
    struct wire in = wire_of(bytes);
    struct wire_field field;
    const struct sc_field *f;
    if (!deeper(w))
        return;
    while (next(w, type, &in, &field, &f)) {
        const struct sc_type *inner = schema_nested(w->schema, type, f);
        if (inner) {
            size_t start = begin(w, &field);
            copy(s, inner, field.bytes);
            end(w, start);
        } else if (is_private(f)) {
            if (!s->cb)
                field = (struct wire_field){
                    .number = place(type, f)->t->number,
                    .type = (enum wire_type)place(type, f)->wire};
            put_field(w, &field);
        } else if (s->cb && field.type == WIRE_BYTES &&
                   f->t->form == FORM_PLAIN) {
            put_string(s, f, &field);
        } else {
            put_field(w, &field);
        }
    }
    w->depth--;
}

enum terse_err template_strings(const struct terse_schema *schema,
                                const struct sc_type *type,
                                struct terse_str message, template_string_cb cb,
                                void *arg, struct terse_buf *out) {
    struct strings s;
    walk_init(&s.walk, schema, out, cb ? FRAME_DEPTH_MAX : PATCH_DEPTH_MAX);
    s.cb = cb;
    s.arg = arg;
    copy(&s, type, message);
    return s.walk.err;
}

enum terse_err template_strip(const struct terse_schema *schema,
                              const struct sc_type *type,
                              struct terse_str message, struct terse_buf *out) {
    return template_strings(schema, type, message, NULL, NULL, out);
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
        const struct sc_type *inner = schema_nested(w->schema, type, f);
        if (inner)
            found = guarded(w, inner, field.bytes);
        else
            found = is_private(f) && !(f->t->flags & TABLE_BULK);
    }
    w->depth--;
    return found || !go_on(w);
}

bool template_guarded(const struct terse_schema *schema,
                      const struct sc_type *type, struct terse_str message) {
    struct walk w;
    walk_init(&w, schema, NULL, FRAME_DEPTH_MAX);
    return guarded(&w, type, message);
}
