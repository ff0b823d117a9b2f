/* state.c: see state.h. */
#include "state.h"

#include <stdlib.h>
#include <string.h>

#include "deflate.h"
#include "str.h"

enum {
    FRAME_STANZA_MAX = 3, /* message, presence, iq: what templates are for */
    WORTH = 12,           /* shorter frames gain nothing */
    TEMPLATE_SHARE = 2,   /* one template takes half of all bytes at most */
    BULKY = 1500,         /* bytes: deflated without state where that halves */
    GROW = 8,             /* templates that are made at once */
    DEFLATE_FROM = 200,   /* bytes: smaller frames are not deflated */
};

enum terse_err state_new(struct state **out, const struct terse_schema *schema,
                         const struct terse_state_limits *limits) {
    struct state *s = calloc(1, sizeof(*s));
    if (!s)
        return TERSE_ENOMEM;
    s->schema = schema;
    s->n_templates =
        limits->templates < TEMPLATES_MAX ? limits->templates : TEMPLATES_MAX;
    s->template_bytes = limits->template_bytes;
    if (slots_init(&s->slots, limits->slots, limits->slot_bytes) != TERSE_OK) {
        state_free(s);
        return TERSE_ENOMEM;
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
    free(s);
}

static struct terse_str str_of_buf(const struct terse_buf *buf) {
    return (struct terse_str){(const char *)terse_buf_data(buf), buf->len};
}

/* ---- frames
 * -------------------------------------------------------------------- */

/* A frame, as far as state goes. */
struct parts {
    bool like, keep;
    uint64_t like_n, keep_n;
    bool stanza; /* the content is a stanza */
    struct wire_field content;
    uint32_t others; /* fields besides */
};

static bool read_parts(struct terse_str frame, struct parts *out) {
    struct wire in = wire_of(frame);
    struct wire_field f;
    *out = (struct parts){0};
    while (in.p != in.end) {
        if (!wire_next(&in, &f))
            return false;
        if (f.number == FRAME_LIKE && f.type == WIRE_VARINT && !out->like) {
            out->like = true;
            out->like_n = f.value;
        } else if (f.number == FRAME_KEEP && f.type == WIRE_VARINT &&
                   !out->keep) {
            out->keep = true;
            out->keep_n = f.value;
        } else if (f.number <= FRAME_STANZA_MAX && f.type == WIRE_BYTES &&
                   !out->stanza) {
            out->stanza = true;
            out->content = f;
        } else {
            out->others++;
        }
    }
    return true;
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

/* ---- templates
 * ------------------------------------------------------------------ */

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

/* Whether template i can hold n bytes. */
static bool has_room(const struct state *s, uint64_t i, size_t n) {
    uint32_t had = i < s->have_templates ? s->templates[i].n : 0;
    return i < s->n_templates && n <= s->template_bytes / TEMPLATE_SHARE &&
           s->template_bytes_now - had + n <= s->template_bytes;
}

/* Template i becomes `bare`, a stanza that was stripped. TERSE_EFRAME if it has
 * no room; the template is as it was then. */
static enum terse_err set_template(struct state *s, uint64_t i, uint32_t number,
                                   struct terse_str bare) {
    if (!has_room(s, i, bare.n))
        return TERSE_EFRAME;
    if (reach(s, i) != TERSE_OK)
        return TERSE_ENOMEM;
    uint8_t *p = malloc(bare.n + 1);
    if (!p)
        return TERSE_ENOMEM;
    if (bare.n > 0)
        memcpy(p, bare.p, bare.n);
    struct template *t = &s->templates[i];
    s->template_bytes_now -= t->n;
    free(t->p);
    *t = (struct template){p, (uint32_t)bare.n, number, ++s->clock};
    s->template_bytes_now += t->n;
    return TERSE_OK;
}

static struct terse_str template_str(const struct template *t) {
    return (struct terse_str){(const char *)t->p, t->n};
}

/* ---- sender
 * ---------------------------------------------------------------------- */

/* The template that gives the smallest patch, or -1 if the content itself is as
 * small. bare: the content, stripped, so that no text has a say in this. */
static int best_template(struct state *s, uint32_t number,
                         struct terse_str bare, struct terse_work *work,
                         enum terse_err *err) {
    const struct sc_type *type = stanza_type(s, number);
    size_t best_size = bare.n;
    int best = -1;
    for (uint32_t i = 0; i < s->have_templates && *err == TERSE_OK; i++) {
        const struct template *t = &s->templates[i];
        bool fits;
        if (!t->p || t->number != number || !has_room(s, i, bare.n))
            continue;
        terse_buf_reset(&work->b);
        *err = template_diff(s->schema, type, template_str(t), bare, &work->b,
                             &fits);
        if (*err != TERSE_OK || !fits || work->b.len + 2 >= best_size)
            continue;
        best_size = work->b.len;
        best = (int)i;
    }
    return best;
}

/* The template to give up for a new one of about n bytes, or -1. */
static int victim(const struct state *s, size_t n) {
    int best = -1;
    for (uint32_t i = 0; i < s->have_templates; i++) {
        if (!has_room(s, i, n))
            continue;
        if (!s->templates[i].p)
            return (int)i;
        if (best < 0 || s->templates[i].used < s->templates[best].used)
            best = (int)i;
    }
    if (has_room(s, s->have_templates, n))
        return (int)s->have_templates;
    return best;
}

static enum terse_err pack_string(void *arg, struct terse_str s, bool define,
                                  struct terse_buf *out) {
    return slots_pack(arg, s, define, out);
}

/* Writes content with its strings packed. */
static enum terse_err put_packed(struct state *s, uint32_t number,
                                 struct terse_str content,
                                 struct terse_work *work,
                                 struct terse_buf *out) {
    terse_buf_reset(&work->b);
    enum terse_err err =
        template_strings(s->schema, stanza_type(s, number), content,
                         pack_string, &s->slots, &work->b);
    return err == TERSE_OK ? put_content(out, number, str_of_buf(&work->b))
                           : err;
}

/* Writes content as what it adds to template i, which becomes `bare`. */
static enum terse_err put_like(struct state *s, uint32_t i,
                               const struct wire_field *content,
                               struct terse_str bare, struct terse_work *work,
                               struct terse_buf *out) {
    bool fits;
    terse_buf_reset(&work->a);
    enum terse_err err = template_diff(
        s->schema, stanza_type(s, content->number),
        template_str(&s->templates[i]), content->bytes, &work->a, &fits);
    if (err == TERSE_OK && !fits) /* as it stands, then */
        return put_packed(s, content->number, content->bytes, work, out);
    if (err == TERSE_OK)
        err = state_put_number(out, FRAME_LIKE, i);
    if (err == TERSE_OK && work->a.len > 0)
        err = put_packed(s, content->number, str_of_buf(&work->a), work, out);
    if (err == TERSE_OK)
        err = set_template(s, i, content->number, bare);
    return err;
}

static enum terse_err pack_stanza(struct state *s,
                                  const struct wire_field *content,
                                  struct terse_work *work,
                                  struct terse_buf *out) {
    uint32_t number = content->number;
    terse_buf_reset(&work->c);
    enum terse_err err = template_strip(s->schema, stanza_type(s, number),
                                        content->bytes, &work->c);
    if (err == TERSE_EFRAME) /* too deep for a template */
        return put_packed(s, number, content->bytes, work, out);
    if (err != TERSE_OK)
        return err;
    struct terse_str bare = str_of_buf(&work->c);
    int i = best_template(s, number, bare, work, &err);
    if (err != TERSE_OK)
        return err;
    if (i >= 0)
        return put_like(s, (uint32_t)i, content, bare, work, out);
    i = bare.n < WORTH ? -1 : victim(s, bare.n);
    if (i >= 0 && set_template(s, (uint64_t)i, number, bare) == TERSE_OK)
        err = state_put_number(out, FRAME_KEEP, (uint64_t)i);
    return err == TERSE_OK ? put_packed(s, number, content->bytes, work, out)
                           : err;
}

/* Replaces a large frame by its deflated form, where that is smaller. */
static enum terse_err deflate_frame(struct state *s,
                                    const struct wire_field *content,
                                    struct terse_work *work,
                                    struct terse_buf *out) {
    if (out->len < DEFLATE_FROM ||
        template_guarded(s->schema, stanza_type(s, content->number),
                         content->bytes))
        return TERSE_OK;
    terse_buf_reset(&work->a);
    enum terse_err err = deflate_pack(str_of_buf(out), &work->a);
    if (err == TERSE_ELIMIT || (err == TERSE_OK && work->a.len + 4 > out->len))
        return TERSE_OK;
    if (err != TERSE_OK)
        return err;
    terse_buf_reset(out);
    return put_content(out, FRAME_DEFLATED, str_of_buf(&work->a));
}

enum terse_err state_pack(struct state *s, struct terse_str frame,
                          struct terse_work *work, struct terse_buf *out) {
    struct parts parts;
    terse_buf_reset(out);
    if (!read_parts(frame, &parts))
        return TERSE_EFRAME;
    if (!parts.stanza || parts.others)
        return terse_buf_append(out, frame.p, frame.n);
    enum terse_err err = TERSE_OK;
    /* A roster: what it repeats, it repeats inside, and its hundreds of
     * addresses would push all others out of their slots. */
    if (frame.n >= BULKY) {
        err = terse_buf_append(out, frame.p, frame.n);
        if (err == TERSE_OK)
            err = deflate_frame(s, &parts.content, work, out);
        if (err != TERSE_OK || out->len <= frame.n / 2)
            return err;
    }
    terse_buf_reset(out);
    err = pack_stanza(s, &parts.content, work, out);
    return err == TERSE_OK ? deflate_frame(s, &parts.content, work, out) : err;
}

/* ---- receiver
 * -------------------------------------------------------------------- */

static enum terse_err unpack_string(void *arg, struct terse_str s, bool define,
                                    struct terse_buf *out) {
    (void)define;
    return slots_unpack(arg, s, out);
}

/* The content of a frame that has state in it, whole again, in work->a. */
static enum terse_err unpack_content(struct state *s, const struct parts *parts,
                                     uint32_t *number,
                                     struct terse_work *work) {
    const struct template *t = NULL;
    if (parts->like) {
        if (parts->like_n >= s->have_templates ||
            !(t = &s->templates[parts->like_n])->p)
            return TERSE_EFRAME;
        *number = t->number;
    }
    if (parts->stanza)
        *number = parts->content.number;
    if ((t && t->number != *number) || (!t && !parts->stanza))
        return TERSE_EFRAME;
    const struct sc_type *type = stanza_type(s, *number);
    struct terse_buf *to = t ? &work->b : &work->a;
    terse_buf_reset(&work->a);
    terse_buf_reset(to);
    enum terse_err err = template_strings(s->schema, type, parts->content.bytes,
                                          unpack_string, &s->slots, to);
    if (err == TERSE_OK && t)
        err = template_merge(s->schema, type, template_str(t),
                             str_of_buf(&work->b), &work->a);
    return err;
}

/* A frame that is whole but for state. */
static enum terse_err unpack_frame(struct state *s, struct terse_str frame,
                                   struct terse_work *work,
                                   struct terse_buf *out) {
    struct parts parts;
    uint32_t number = 0;
    if (!read_parts(frame, &parts))
        return TERSE_EFRAME;
    if (!parts.like && !parts.keep && (!parts.stanza || parts.others))
        return terse_buf_append(out, frame.p, frame.n);
    if (parts.others || (parts.like && parts.keep))
        return TERSE_EFRAME;
    enum terse_err err = unpack_content(s, &parts, &number, work);
    if (err == TERSE_OK)
        err = put_content(out, number, str_of_buf(&work->a));
    if (err != TERSE_OK || (!parts.like && !parts.keep))
        return err;
    terse_buf_reset(&work->b);
    err = template_strip(s->schema, stanza_type(s, number),
                         str_of_buf(&work->a), &work->b);
    if (err == TERSE_OK)
        err = set_template(s, parts.like ? parts.like_n : parts.keep_n, number,
                           str_of_buf(&work->b));
    return err;
}

enum terse_err state_unpack(struct state *s, struct terse_str frame,
                            struct terse_work *work, struct terse_buf *out) {
    struct wire in = wire_of(frame);
    struct wire_field f;
    terse_buf_reset(out);
    if (in.p == in.end || !wire_next(&in, &f))
        return TERSE_EFRAME;
    if (f.number != FRAME_DEFLATED)
        return unpack_frame(s, frame, work, out);
    if (f.type != WIRE_BYTES || in.p != in.end)
        return TERSE_EFRAME;
    terse_buf_reset(&work->c);
    enum terse_err err = deflate_unpack(f.bytes, &work->c);
    if (err != TERSE_OK)
        return err;
    in = wire_of(str_of_buf(&work->c));
    if (in.p == in.end || !wire_next(&in, &f) || f.number == FRAME_DEFLATED)
        return TERSE_EFRAME;
    return unpack_frame(s, str_of_buf(&work->c), work, out);
}
