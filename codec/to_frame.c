/*
 * to_frame.c: XML to frame. Walks a tree of nodes and the tables together.
 *
 * A message is written from its end to its start, so that the length of each
 * nested one is known when it has to be written: every byte is written once and
 * nothing is measured first. Walking backwards, the last of several equal
 * children meets a singular field first; that changes nothing but which of them
 * goes to `rest`.
 */
#include <string.h>

#include "buf.h"
#include "err.h"
#include "ident.h"
#include "node.h"
#include "pack.h"
#include "schema.h"
#include "str.h"
#include "value.h"

struct enc {
    const struct terse_schema *schema;
    struct terse_buf *out;
    uint32_t revision;  /* no field or value is newer */
    enum terse_err err; /* the first one; writing does nothing after it */
};

/* ---- writing from the end --------------------------------------------------
 */

static uint8_t *reserve_more(struct enc *e, size_t n) {
    if (e->err == TERSE_OK)
        e->err = buf_room_front(e->out, n);
    if (e->err != TERSE_OK)
        return NULL;
    e->out->off -= n;
    e->out->len += n;
    return e->out->data + e->out->off;
}

/* n bytes (at least one) in front of what is written, to be filled by the
 * caller; NULL on an error. Nearly always there is room. */
static inline uint8_t *reserve(struct enc *e, size_t n) {
    struct terse_buf *out = e->out;
    if (n > out->off || n > out->max - out->len || e->err != TERSE_OK)
        return reserve_more(e, n);
    out->off -= n;
    out->len += n;
    return out->data + out->off;
}

static inline void put_bytes(struct enc *e, struct terse_str s) {
    uint8_t *p = s.n > 0 ? reserve(e, s.n) : NULL;
    if (p)
        memcpy(p, s.p, s.n);
}

static void put_varint(struct enc *e, uint64_t v) {
    uint8_t bytes[WIRE_VARINT_MAX];
    size_t n = wire_put_varint(bytes, v);
    put_bytes(e, (struct terse_str){(const char *)bytes, n});
}

/* Puts a tag in front, and between it and what is there the byte `v`. */
static inline void put_short(struct enc *e, uint32_t number,
                             enum wire_type type, uint8_t v) {
    uint32_t tag = number << 3 | type;
    uint8_t *p = tag < 0x80 ? reserve(e, 2) : reserve(e, 3);
    if (!p)
        return;
    if (tag < 0x80) {
        p[0] = (uint8_t)tag;
        p[1] = v;
    } else {
        p[0] = (uint8_t)(tag | 0x80);
        p[1] = (uint8_t)(tag >> 7);
        p[2] = v;
    }
}

/* Puts a tag in front, and behind it v: a length or the value itself. */
static inline void put_tagged(struct enc *e, uint32_t number,
                              enum wire_type type, uint64_t v) {
    if (v < 0x80 && number < 0x800) { /* nearly all */
        put_short(e, number, type, (uint8_t)v);
        return;
    }
    put_varint(e, v);
    put_varint(e, (uint64_t)number << 3 | type);
}

static void put_varint_field(struct enc *e, uint32_t number, uint64_t v) {
    put_tagged(e, number, WIRE_VARINT, v);
}

static void put_bytes_field(struct enc *e, uint32_t number,
                            struct terse_str s) {
    put_bytes(e, s);
    put_tagged(e, number, WIRE_BYTES, s.n);
}

/* Puts tag and length in front of what was written since the content was `end`
 * bytes long. */
static void put_header(struct enc *e, uint32_t number, size_t end) {
    put_tagged(e, number, WIRE_BYTES, e->out->len - end);
}

/* ---- values ----------------------------------------------------------------
 */

static bool put_decoded(struct enc *e, uint32_t number, uint8_t form,
                        struct terse_str s) {
    size_t n = value_bytes_size(form, s);
    if (n == 0)
        return false;
    uint8_t *p = reserve(e, n);
    if (!p)
        return true; /* e->err tells */
    if (!value_to_bytes(form, s, p)) {
        e->out->off += n; /* as if it had not been tried */
        e->out->len -= n;
        return false;
    }
    put_tagged(e, number, WIRE_BYTES, n);
    return true;
}

/* Packing takes some times as long per byte as all else: not for long texts,
 * which nobody types. */
enum { PACKED_TEXT_MAX = 16 * 1024 };

/* Forms PACKED and IDENT, where they are smaller than s as a string, whose tag
 * may take one byte while that of `number` takes two. */
static bool put_smaller(struct enc *e, uint32_t number, uint8_t form,
                        struct terse_str s) {
    size_t tag = number < 16 ? 1 : 2;
    size_t max = form == FORM_IDENT ? IDENT_CHARS : PACKED_TEXT_MAX;
    if (s.n <= tag || s.n > max)
        return false;
    if (form == FORM_IDENT && memchr(s.p, '@', s.n))
        return false; /* an address, which state makes a byte of */
    size_t room = s.n - tag;
    uint8_t *p = reserve(e, room);
    if (!p)
        return true; /* e->err tells */
    size_t n =
        form == FORM_IDENT ? ident_encode(s, p, room) : pack_encode(s, p, room);
    e->out->off += room - n;
    e->out->len -= room - n;
    if (n == 0)
        return false;
    put_tagged(e, number, WIRE_BYTES, n);
    return true;
}

/* Writes s as a word of the dictionary; false if it is none. */
static bool put_word(struct enc *e, uint32_t number, struct terse_str s) {
    uint32_t word;
    if (!schema_word(e->schema, s, e->revision, &word))
        return false;
    put_varint_field(e, number, word);
    return true;
}

/* Writes s in the form of a field; false if it does not fit and nothing was
 * written. */
static bool put_value(struct enc *e, uint32_t number, uint8_t form,
                      uint8_t flags, uint16_t values, struct terse_str s) {
    uint64_t v;
    uint32_t known;
    switch ((enum table_form)form) {
    case FORM_PLAIN:
        put_bytes_field(e, number, s);
        return true;
    case FORM_UUID:
    case FORM_HEX:
    case FORM_BASE64:
        return put_decoded(e, number, form, s);
    case FORM_PACKED:
    case FORM_IDENT:
        return put_smaller(e, number, form, s);
    case FORM_WORD:
        return put_word(e, number, s);
    case FORM_NAMED:
        if (!schema_value(e->schema, values, s, e->revision, &known))
            return false;
        put_varint_field(e, number, known);
        return true;
    default:
        if (!value_to_varint(form, flags, s, &v))
            return false;
        put_varint_field(e, number, v);
        return true;
    }
}

static bool put_way_value(struct enc *e, const struct sc_way *way,
                          struct terse_str s) {
    return put_value(e, way->number, way->form, way->flags, way->values, s);
}

/* ---- generic elements
 * -------------------------------------------------------- */

static void put_element(struct enc *e, const struct terse_node *node);

static void put_attr(struct enc *e, const struct node_attr *attr) {
    size_t end = e->out->len;
    struct terse_str v = attr->value;
    if (!put_word(e, ATTR_VALUE_WORD, v) &&
        !put_value(e, ATTR_VALUE_DECIMAL, FORM_DECIMAL, 0, 0, v) &&
        !put_value(e, ATTR_VALUE_UUID, FORM_UUID, 0, 0, v) &&
        !(v.n >= 16 && put_value(e, ATTR_VALUE_HEX, FORM_HEX, 0, 0, v)) &&
        !(v.n >= 16 && put_value(e, ATTR_VALUE_BASE64, FORM_BASE64, 0, 0, v)))
        put_bytes_field(e, ATTR_VALUE, v);
    if (attr->ns.n > 0 && !put_word(e, ATTR_NS_WORD, attr->ns))
        put_bytes_field(e, ATTR_NS, attr->ns);
    if (!put_word(e, ATTR_NAME_WORD, attr->name))
        put_bytes_field(e, ATTR_NAME, attr->name);
    put_header(e, ELEMENT_ATTR, end);
}

static void put_text(struct enc *e, struct terse_str text) {
    if (!put_word(e, ELEMENT_TEXT_WORD, text) &&
        !put_value(e, ELEMENT_TEXT_DECIMAL, FORM_DECIMAL, 0, 0, text) &&
        !(text.n >= 16 &&
          put_value(e, ELEMENT_TEXT_BASE64, FORM_BASE64, 0, 0, text)))
        put_bytes_field(e, ELEMENT_TEXT, text);
}

static void put_child(struct enc *e, const struct terse_node *node) {
    size_t end = e->out->len;
    put_element(e, node);
    put_header(e, ELEMENT_CHILD, end);
}

/* The namespace of the element around: what an absent one means. */
static struct terse_str ns_around(const struct terse_node *node) {
    return node->parent ? node->parent->ns : str_of(TERSE_NS_CLIENT);
}

static void put_generic(struct enc *e, const struct terse_node *node) {
    for (const struct terse_node *c = node->last; c; c = c->prev) {
        if (node_is_text(c))
            put_text(e, c->text);
        else
            put_child(e, c);
    }
    for (uint32_t i = node->n_attrs; i-- > 0;)
        put_attr(e, &node->attrs[i]);
    if (!str_eq(node->ns, ns_around(node)) &&
        !put_word(e, ELEMENT_NS_WORD, node->ns))
        put_bytes_field(e, ELEMENT_NS, node->ns);
    if (!put_word(e, ELEMENT_NAME_WORD, node->name))
        put_bytes_field(e, ELEMENT_NAME, node->name);
}

/* ---- typed elements
 * ---------------------------------------------------------- */

static bool take(const struct enc *e, sc_used used, const struct sc_way *way) {
    uint64_t bit = UINT64_C(1) << (way->index % 64);
    if (way->since > e->revision)
        return false;
    if (way->flags & TABLE_REPEATED)
        return true;
    if (used[way->index / 64] & bit)
        return false;
    used[way->index / 64] |= bit;
    return true;
}

static void give_back(sc_used used, const struct sc_way *way) {
    used[way->index / 64] &= ~(UINT64_C(1) << (way->index % 64));
}

static void put_content(struct enc *e, const struct sc_type *type,
                        const struct terse_node *node);

/* Writes a child by one of the ways that its name allows; false if this one
 * does not fit it. */
static bool put_way(struct enc *e, const struct sc_way *way,
                    const struct terse_node *node) {
    struct terse_str text;
    size_t end = e->out->len;
    switch ((enum table_bind)way->bind) {
    case BIND_FLAG:
        if (node->n_attrs > 0 || node->first)
            return false;
        put_varint_field(e, way->number, 1);
        return true;
    case BIND_CHOICE:
        if (node->n_attrs > 0 || node->first)
            return false;
        put_varint_field(e, way->number, way->value);
        return true;
    case BIND_LEAF:
        return node->n_attrs == 0 && terse_node_text(node, &text) &&
               put_way_value(e, way, text);
    case BIND_LEAF_ATTR:
        return node->n_attrs == 1 && !node->first &&
               node->attrs[0].qname == way->field->attr_qname &&
               put_way_value(e, way, node->attrs[0].value);
    case BIND_CHILD:
        put_content(e, schema_type(e->schema, way->field->t->type), node);
        put_header(e, way->number, end);
        return true;
    default:
        return false;
    }
}

static bool put_known(struct enc *e, const struct sc_type *type, sc_used used,
                      const struct terse_node *node) {
    if (node->qname == 0)
        return false;
    struct sc_ways ways = schema_ways(e->schema, type, ITEM_CHILD, node->qname);
    for (uint16_t i = 0; i < ways.n; i++) {
        const struct sc_way *way = &ways.ways[i];
        if (!take(e, used, way))
            continue;
        if (put_way(e, way, node))
            return true;
        give_back(used, way);
    }
    return false;
}

/* An Element: typed if a schema adds a fitting field to it, else generic. */
static void put_element(struct enc *e, const struct terse_node *node) {
    sc_used used = {0};
    if (!put_known(e, schema_element(e->schema), used, node))
        put_generic(e, node);
}

static bool put_known_value(struct enc *e, const struct sc_type *type,
                            sc_used used, enum sc_item item, uint16_t qname,
                            struct terse_str value) {
    struct sc_ways ways = schema_ways(e->schema, type, item, qname);
    for (uint16_t i = 0; i < ways.n; i++) {
        const struct sc_way *way = &ways.ways[i];
        if (!take(e, used, way))
            continue;
        if (put_way_value(e, way, value))
            return true;
        give_back(used, way);
    }
    return false;
}

/* What `type` has no field for goes to its `rest`: an element as one, an
 * attribute or a text as a fragment. */
static void put_item(struct enc *e, const struct sc_type *type, sc_used used,
                     const struct terse_node *node) {
    size_t end = e->out->len;
    if (node_is_text(node)) {
        if (put_known_value(e, type, used, ITEM_TEXT, 0, node->text))
            return;
        put_text(e, node->text);
    } else {
        if (put_known(e, type, used, node))
            return;
        put_element(e, node);
    }
    put_header(e, type->rest->t->number, end);
}

static void put_content(struct enc *e, const struct sc_type *type,
                        const struct terse_node *node) {
    sc_used used = {0};
    for (const struct terse_node *c = node->last; c; c = c->prev)
        put_item(e, type, used, c);
    for (uint32_t i = node->n_attrs; i-- > 0;) {
        const struct node_attr *attr = &node->attrs[i];
        if (attr->qname &&
            put_known_value(e, type, used, ITEM_ATTR, attr->qname, attr->value))
            continue;
        size_t end = e->out->len;
        put_attr(e, attr);
        put_header(e, type->rest->t->number, end);
    }
}

/* ---- the frame
 * --------------------------------------------------------------- */

enum { FRAME_CLOSE = 14 }; /* of terse.Frame: a message without a field */

enum terse_err terse_encode(const struct terse_schema *schema,
                            const struct terse_limits *limits,
                            enum terse_event event,
                            const struct terse_node *node,
                            struct terse_buf *out, struct terse_error *error) {
    struct enc e = {.schema = schema, .out = out};
    e.revision = limits->revision > 0 ? limits->revision : 1;
    sc_used used = {0};
    size_t max = out->max;
    err_clear(error);
    if (event == TERSE_ELEMENT &&
        terse_node_is(node, TERSE_NS_STREAM, "stream")) {
        terse_buf_reset(out);
        return err_set(error, TERSE_ESTREAM, 0,
                       "a stream header inside the stream");
    }
    if (limits->frame_bytes < max)
        out->max = limits->frame_bytes;
    buf_to_end(out);
    if (event == TERSE_CLOSE)
        put_header(&e, FRAME_CLOSE, 0);
    else
        put_item(&e, schema_frame(schema), used, node);
    out->max = max;
    if (e.err == TERSE_OK)
        return TERSE_OK;
    terse_buf_reset(out);
    if (e.err == TERSE_ELIMIT)
        err_set(error, e.err, 0, "more than %u bytes in one frame",
                (unsigned)limits->frame_bytes);
    else
        err_set(error, e.err, 0, "out of memory for one frame");
    if (node)
        err_path(error, node->name);
    return e.err;
}
