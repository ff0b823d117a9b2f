/*
 * inspect.c: a frame as a tree for people. One line per field: its name in the
 * schema, the XML item it stands for, its value, and its bytes on the wire.
 */
#include <stdio.h>
#include <string.h>

#include "buf.h"
#include "ident.h"
#include "pack.h"
#include "schema.h"
#include "str.h"
#include "text.h"
#include "value.h"
#include "wire.h"
#include "xml_out.h"

enum { INDENT = 2, NAME_COLUMN = 40, SHOWN_MAX = 60, DEPTH_MAX = 256 };

struct insp {
    const struct terse_schema *schema;
    struct xml_out out;
    unsigned depth;
    bool bad;
};

/* What the XML item of a field looks like. */
static void item_name(const struct sc_field *f, char *to, size_t n) {
    const char *name = f->t->name ? f->t->name : "";
    switch ((enum table_bind)f->t->bind) {
    case BIND_ATTR:
        snprintf(to, n, "@%s", name);
        break;
    case BIND_TEXT:
        snprintf(to, n, "text()");
        break;
    case BIND_LEAF_ATTR:
        snprintf(to, n, "<%s %s=>", name, f->t->attr);
        break;
    case BIND_CHOICE:
        snprintf(to, n, "<…>");
        break;
    case BIND_LEAF:
    case BIND_FLAG:
    case BIND_CHILD:
        snprintf(to, n, "<%s>", name);
        break;
    case BIND_REST:
        snprintf(to, n, "rest");
        break;
    case BIND_NONE:
        to[0] = '\0';
        break;
    }
}

/* s: the first of `total` bytes, all or over SHOWN_MAX of them. */
static void print_start(struct insp *in, struct terse_str s, size_t total) {
    char tail[32];
    size_t n = s.n;
    if (n > SHOWN_MAX) {
        n = SHOWN_MAX;
        while (n > 0 && ((unsigned char)s.p[n] & 0xc0) == 0x80)
            n--;
    }
    if (!text_is_xml(s)) {
        xml_lit(&in->out, "(not text)");
        return;
    }
    xml_lit(&in->out, "\"");
    xml_attr_value(&in->out, (struct terse_str){s.p, n});
    xml_lit(&in->out, "\"");
    if (n == total)
        return;
    snprintf(tail, sizeof(tail), "… (%zu)", total);
    xml_lit(&in->out, tail);
}

static void print_plain(struct insp *in, struct terse_str s) {
    print_start(in, s, s.n);
}

static void print_packed(struct insp *in, struct terse_str b) {
    enum { PIECE_MAX = 16 };
    char chars[SHOWN_MAX + PIECE_MAX + 1];
    size_t n = 0, total = 0;
    struct pack_reader r;
    struct terse_str piece;
    bool ok = pack_begin(&r, b);
    while (ok && (ok = pack_next(&r, &piece)) && piece.n > 0) {
        if (n <= SHOWN_MAX) {
            memcpy(chars + n, piece.p, piece.n);
            n += piece.n;
        }
        total += piece.n;
    }
    if (!ok) {
        xml_lit(&in->out, "(not packed text)");
        return;
    }
    if (n < total)
        n = text_whole((struct terse_str){chars, n});
    print_start(in, (struct terse_str){chars, n}, total);
}

static void print_ident(struct insp *in, struct terse_str b) {
    char chars[IDENT_CHARS];
    size_t n = ident_decode(b, chars);
    if (n > 0)
        print_plain(in, (struct terse_str){chars, n});
    else
        xml_lit(&in->out, "(no id)");
}

static void print_bytes(struct insp *in, uint8_t form, struct terse_str b) {
    enum { PIECE = 24 };
    char chars[2 * PIECE + 4];
    struct terse_str part = {b.p, b.n < PIECE ? b.n : PIECE};
    size_t n = value_chars_size(form, part.n);
    value_from_bytes(form, part, chars);
    xml_raw(&in->out, (struct terse_str){chars, n});
    if (part.n < b.n)
        xml_lit(&in->out, "…");
}

static void print_number(struct insp *in, const struct sc_field *f,
                         uint64_t v) {
    char chars[VALUE_CHARS];
    struct terse_str s;
    if (f->t->form == FORM_NAMED || f->t->form == FORM_WORD) {
        if (f->t->form == FORM_WORD
                ? schema_word_text(in->schema, v, &s)
                : schema_text(in->schema, f->t->values, v, &s))
            print_plain(in, s);
        else
            xml_lit(&in->out, "(unknown)");
        return;
    }
    size_t n = value_from_varint(f->t->form, f->t->flags, v, chars);
    xml_raw(&in->out, (struct terse_str){chars, n});
}

static void message(struct insp *in, const struct sc_type *type,
                    struct terse_str bytes);

static void field(struct insp *in, const struct sc_field *f,
                  const struct wire_field *w, size_t size) {
    char item[96], left[160], right[32];
    item_name(f, item, sizeof(item));
    snprintf(left, sizeof(left), "%*s%s %s", (int)(in->depth * INDENT), "",
             f->t->proto, item);
    snprintf(right, sizeof(right), "%4zu  ", size);
    xml_lit(&in->out, right);
    xml_lit(&in->out, left);
    if (!f->inner) {
        size_t n = strlen(left);
        while (n++ < NAME_COLUMN)
            xml_lit(&in->out, " ");
        xml_lit(&in->out, " ");
        if (f->wire == WIRE_VARINT && f->t->bind != BIND_FLAG)
            print_number(in, f, w->value);
        else if (f->wire == WIRE_BYTES && f->t->form == FORM_PLAIN)
            print_plain(in, w->bytes);
        else if (f->wire == WIRE_BYTES && f->t->form == FORM_PACKED)
            print_packed(in, w->bytes);
        else if (f->wire == WIRE_BYTES && f->t->form == FORM_IDENT)
            print_ident(in, w->bytes);
        else if (f->wire == WIRE_BYTES)
            print_bytes(in, f->t->form, w->bytes);
    }
    xml_lit(&in->out, "\n");
    if (!f->inner)
        return;
    in->depth++;
    message(in, f->inner, w->bytes);
    in->depth--;
}

static void message(struct insp *in, const struct sc_type *type,
                    struct terse_str bytes) {
    struct wire w = wire_of(bytes);
    while (w.p != w.end && !in->bad && in->out.err == TERSE_OK) {
        const uint8_t *at = w.p;
        struct wire_field wf;
        const struct sc_field *f = NULL;
        in->bad = in->depth > DEPTH_MAX || !wire_next(&w, &wf) ||
                  !(f = schema_field(type, wf.number)) || f->wire != wf.type;
        if (!in->bad)
            field(in, f, &wf, (size_t)(w.p - at));
    }
}

enum terse_err terse_inspect(const struct terse_schema *schema,
                             const void *frame, size_t n,
                             struct terse_buf *out) {
    struct insp in = {.schema = schema};
    xml_begin(&in.out, out);
    message(&in, schema_frame(schema), (struct terse_str){frame, n});
    xml_end(&in.out);
    if (in.out.err != TERSE_OK)
        return in.out.err;
    return in.bad ? TERSE_EFRAME : TERSE_OK;
}
