/* state.c: see state.h. */
#include "state.h"

#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "str.h"

enum {
    FRAME_STANZA_MAX = 3, /* message, presence, iq: what templates are for */
    WORTH = 12,           /* shorter frames gain nothing */
    TEMPLATE_SHARE = 4,   /* one template takes 1/4 of all bytes at most */
};

const struct terse_state_limits terse_state_limits_default = {
    .slots = 96,
    .slot_bytes = 3000,
    .templates = 32,
    .template_bytes = 6000,
};

enum terse_err terse_state_new(struct terse_state **out,
                               const struct terse_schema *schema,
                               const struct terse_state_limits *limits) {
    struct terse_state *s = calloc(1, sizeof(*s));
    if (!s)
        return TERSE_ENOMEM;
    s->schema = schema;
    s->n_templates =
        limits->templates < TEMPLATES_MAX ? limits->templates : TEMPLATES_MAX;
    s->template_bytes = limits->template_bytes;
    s->templates = calloc(s->n_templates + 1, sizeof(*s->templates));
    if (!s->templates ||
        slots_init(&s->slots, limits->slots, limits->slot_bytes) != TERSE_OK) {
        terse_state_free(s);
        return TERSE_ENOMEM;
    }
    *out = s;
    return TERSE_OK;
}

void terse_state_free(struct terse_state *s) {
    if (!s)
        return;
    for (uint32_t i = 0; i < s->n_templates && s->templates; i++)
        free(s->templates[i].p);
    free(s->templates);
    slots_fini(&s->slots);
    free(s);
}

void terse_work_init(struct terse_work *work,
                     const struct terse_limits *limits) {
    terse_buf_init(&work->a, limits->frame_bytes);
    terse_buf_init(&work->b, limits->frame_bytes);
    terse_buf_init(&work->c, limits->frame_bytes);
}

void terse_work_fini(struct terse_work *work) {
    terse_buf_fini(&work->a);
    terse_buf_fini(&work->b);
    terse_buf_fini(&work->c);
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
    uint8_t bytes[10];
    size_t n = 0;
    for (; v >= 0x80; v >>= 7)
        bytes[n++] = (uint8_t)(v | 0x80);
    bytes[n++] = (uint8_t)v;
    return terse_buf_append(out, bytes, n);
}

static enum terse_err put_number(struct terse_buf *out, uint32_t number,
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

static const struct sc_type *stanza_type(const struct terse_state *s,
                                         uint32_t number) {
    const struct sc_field *f = schema_field(schema_frame(s->schema), number);
    return schema_nested(s->schema, schema_frame(s->schema), f);
}

/* ---- templates
 * ------------------------------------------------------------------ */

/* Whether template i can hold n bytes. */
static bool has_room(const struct terse_state *s, uint64_t i, size_t n) {
    return i < s->n_templates && n <= s->template_bytes / TEMPLATE_SHARE &&
           s->template_bytes_now - s->templates[i].n + n <= s->template_bytes;
}

/* Template i becomes this content, stripped into buf. TERSE_EFRAME if it has no
 * room; the template is as it was then. */
static enum terse_err set_template(struct terse_state *s, uint64_t i,
                                   uint32_t number, struct terse_str content,
                                   struct terse_buf *buf) {
    terse_buf_reset(buf);
    enum terse_err err =
        template_strip(s->schema, stanza_type(s, number), content, buf);
    if (err != TERSE_OK)
        return err;
    if (!has_room(s, i, buf->len))
        return TERSE_EFRAME;
    uint8_t *p = malloc(buf->len + 1);
    if (!p)
        return TERSE_ENOMEM;
    if (buf->len > 0)
        memcpy(p, terse_buf_data(buf), buf->len);
    struct template *t = &s->templates[i];
    s->template_bytes_now -= t->n;
    free(t->p);
    *t = (struct template){p, (uint32_t)buf->len, number, ++s->clock};
    s->template_bytes_now += t->n;
    return TERSE_OK;
}

static struct terse_str template_str(const struct template *t) {
    return (struct terse_str){(const char *)t->p, t->n};
}

/* ---- sender
 * ---------------------------------------------------------------------- */

/* The template that gives the smallest patch, and the patch in work->a; -1 if
 * the content itself is as small. */
static int best_template(struct terse_state *s,
                         const struct wire_field *content,
                         struct terse_work *work, enum terse_err *err) {
    const struct sc_type *type = stanza_type(s, content->number);
    size_t best_size = content->bytes.n;
    int best = -1;
    for (uint32_t i = 0; i < s->n_templates && *err == TERSE_OK; i++) {
        const struct template *t = &s->templates[i];
        bool fits;
        if (!t->p || t->number != content->number ||
            !has_room(s, i, content->bytes.n))
            continue;
        terse_buf_reset(&work->b);
        *err = template_diff(s->schema, type, template_str(t), content->bytes,
                             &work->b, &fits);
        if (*err != TERSE_OK || !fits || work->b.len + 2 >= best_size)
            continue;
        struct terse_buf swap = work->a;
        work->a = work->b;
        work->b = swap;
        best_size = work->a.len;
        best = (int)i;
    }
    return best;
}

/* The template to give up for a new one of about n bytes, or -1. */
static int victim(const struct terse_state *s, size_t n) {
    int best = -1;
    for (uint32_t i = 0; i < s->n_templates; i++) {
        if (!has_room(s, i, n))
            continue;
        if (!s->templates[i].p)
            return (int)i;
        if (best < 0 || s->templates[i].used < s->templates[best].used)
            best = (int)i;
    }
    return best;
}

static enum terse_err pack_string(void *arg, struct terse_str s, bool define,
                                  struct terse_buf *out) {
    return slots_pack(arg, s, define, out);
}

/* Writes content with its strings packed. */
static enum terse_err put_packed(struct terse_state *s, uint32_t number,
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

static enum terse_err pack_stanza(struct terse_state *s,
                                  const struct wire_field *content,
                                  struct terse_work *work,
                                  struct terse_buf *out) {
    enum terse_err err = TERSE_OK;
    uint32_t number = content->number;
    int like = best_template(s, content, work, &err);
    if (err != TERSE_OK)
        return err;
    if (like >= 0) {
        err = put_number(out, FRAME_LIKE, (uint64_t)like);
        if (err == TERSE_OK && work->a.len > 0)
            err = put_packed(s, number, str_of_buf(&work->a), work, out);
        if (err == TERSE_OK)
            err = set_template(s, (uint64_t)like, number, content->bytes,
                               &work->c);
        return err;
    }
    int keep = content->bytes.n < WORTH ? -1 : victim(s, content->bytes.n);
    if (keep >= 0 && set_template(s, (uint64_t)keep, number, content->bytes,
                                  &work->c) == TERSE_OK)
        err = put_number(out, FRAME_KEEP, (uint64_t)keep);
    return err == TERSE_OK ? put_packed(s, number, content->bytes, work, out)
                           : err;
}

enum terse_err terse_state_pack(struct terse_state *s, const void *frame,
                                size_t n, struct terse_work *work,
                                struct terse_buf *out) {
    struct parts parts;
    terse_buf_reset(out);
    if (!read_parts((struct terse_str){frame, n}, &parts))
        return TERSE_EFRAME;
    if (!parts.stanza || parts.others || n > s->template_bytes)
        return terse_buf_append(out, frame, n);
    return pack_stanza(s, &parts.content, work, out);
}

/* ---- receiver
 * -------------------------------------------------------------------- */

static enum terse_err unpack_string(void *arg, struct terse_str s, bool define,
                                    struct terse_buf *out) {
    (void)define;
    return slots_unpack(arg, s, out);
}

/* The content of a frame that has state in it, whole again, in work->a. */
static enum terse_err unpack_content(struct terse_state *s,
                                     const struct parts *parts,
                                     uint32_t *number,
                                     struct terse_work *work) {
    const struct template *t = NULL;
    if (parts->like) {
        if (parts->like_n >= s->n_templates ||
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

enum terse_err terse_state_unpack(struct terse_state *s, const void *frame,
                                  size_t n, struct terse_work *work,
                                  struct terse_buf *out) {
    struct parts parts;
    uint32_t number = 0;
    terse_buf_reset(out);
    if (!read_parts((struct terse_str){frame, n}, &parts))
        return TERSE_EFRAME;
    if (!parts.like && !parts.keep &&
        (!parts.stanza || parts.others || s->n_templates + s->slots.n == 0))
        return terse_buf_append(out, frame, n);
    if (parts.others || (parts.like && parts.keep))
        return TERSE_EFRAME;
    enum terse_err err = unpack_content(s, &parts, &number, work);
    if (err == TERSE_OK)
        err = put_content(out, number, str_of_buf(&work->a));
    if (err == TERSE_OK && (parts.like || parts.keep))
        err = set_template(s, parts.like ? parts.like_n : parts.keep_n, number,
                           str_of_buf(&work->a), &work->c);
    return err;
}
