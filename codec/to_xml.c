/*
 * to_xml.c: frame to XML. Walks the bytes of a message and the tables together.
 *
 * Each message is walked twice: first for attributes, which Protobuf allows at
 * any place, then from the first field that is none on for text and children,
 * in the order in which they stand. Nothing
 * is skipped: a field that the schema does not know is an error, since
 * forgetting it would change what was said.
 */
#include <string.h>

#include "buf.h"
#include "err.h"
#include "ident.h"
#include "pack.h"
#include "schema.h"
#include "str.h"
#include "text.h"
#include "value.h"
#include "wire.h"
#include "xml_out.h"

enum { ATTRS_MAX = 256, DEPTH_MAX = 256 };

static const char NS_XMLNS[] = "http://www.w3.org/2000/xmlns/";

struct dec_attr {
    struct terse_str ns, name;
};

struct dec {
    const struct terse_schema *schema;
    const struct terse_limits *limits;
    enum terse_place place;
    const uint8_t *start; /* of the frame, for offsets */
    struct xml_out out;
    struct terse_error *error;
    enum terse_err err;
    uint32_t elements, depth;
    uint32_t n_attrs;            /* of the element whose tag is being written */
    uint64_t names;              /* name_bit of those */
    struct dec_attr *attrs;      /* ATTRS_MAX of them; not cleared: 8 KB */
    const struct dec_attr *want; /* only this attribute's value is written */
    bool found;
};

/* The element that is being written. */
struct elem {
    struct terse_str name, ns;
    struct terse_str dflt; /* default namespace inside it; p NULL: unknown */
    const struct sc_field *field; /* that has its tags ready, or NULL */
    bool open;                    /* its start tag has no '>' yet */
};

/* ---- errors ----------------------------------------------------------------
 */

static bool bad_at(struct dec *d, enum terse_err code, const void *at,
                   const char *what) {
    if (d->err != TERSE_OK)
        return false;
    size_t offset = at ? (size_t)((const uint8_t *)at - d->start) : 0;
    d->err = err_set(d->error, code, offset, "%s", what);
    return false;
}

static bool bad(struct dec *d, const void *at, const char *what) {
    return bad_at(d, TERSE_EFRAME, at, what);
}

static bool over(struct dec *d, const void *at, const char *what,
                 uint32_t limit) {
    if (d->err != TERSE_OK)
        return false;
    size_t offset = at ? (size_t)((const uint8_t *)at - d->start) : 0;
    d->err = err_set(d->error, TERSE_ELIMIT, offset, "more than %u %s",
                     (unsigned)limit, what);
    return false;
}

/* Whether all was written so far. */
static bool wrote(struct dec *d) {
    if (d->out.err == TERSE_OK)
        return d->err == TERSE_OK;
    if (d->out.err == TERSE_ELIMIT)
        return over(d, NULL, "bytes in one element", d->limits->stanza_bytes);
    return bad_at(d, TERSE_ENOMEM, NULL, "out of memory for one element");
}

/* ---- values ----------------------------------------------------------------
 */

/* A value as characters: borrowed, or in its own scratch space. */
struct chars {
    struct terse_str s;
    unsigned look;             /* text_look of s, where that is worth a look */
    struct terse_str bytes;    /* to be decoded while writing, if form is set */
    uint8_t form;              /* UUID, HEX, BASE64, PACKED; else PLAIN */
    char scratch[IDENT_CHARS]; /* over VALUE_CHARS */
};

/* bytes of form UUID, HEX, BASE64 are written in pieces of this many. */
enum { PIECE = 48 };

static bool check_text(struct dec *d, struct terse_str s, unsigned *look) {
    if (s.n > d->limits->text_bytes)
        return over(d, s.p, "bytes in one text", d->limits->text_bytes);
    *look = text_look(s);
    if (!*look && !text_is_xml(s))
        return bad(d, s.p, "text that is no UTF-8 of XML characters");
    return true;
}

static bool bytes_chars(struct dec *d, uint8_t form, struct terse_str bytes,
                        struct chars *out) {
    size_t n = value_chars_size(form, bytes.n);
    if (n == 0)
        return bad(d, bytes.p, "a value of the wrong length");
    if (n > d->limits->text_bytes)
        return over(d, bytes.p, "bytes in one text", d->limits->text_bytes);
    out->bytes = bytes;
    out->form = form;
    return true;
}

/* Reads the value of a wire field as what `form` says. What is PACKED is
 * checked when it is written. */
static bool read_value(struct dec *d, const struct wire_field *w,
                       const void *at, uint8_t form, uint8_t flags,
                       uint16_t values, struct chars *out) {
    out->form = FORM_PLAIN;
    out->look = 0;
    switch ((enum table_form)form) {
    case FORM_PLAIN:
        out->s = w->bytes;
        return check_text(d, out->s, &out->look);
    case FORM_UUID:
    case FORM_HEX:
    case FORM_BASE64:
        return bytes_chars(d, form, w->bytes, out);
    case FORM_IDENT:
        out->s.p = out->scratch;
        out->s.n = ident_decode(w->bytes, out->scratch);
        if (out->s.n == 0)
            return bad(d, w->bytes.p, "bytes that are no id");
        if (out->s.n > d->limits->text_bytes)
            return over(d, w->bytes.p, "bytes in one text",
                        d->limits->text_bytes);
        return true;
    case FORM_PACKED:
        out->bytes = w->bytes;
        out->form = form;
        return true;
    case FORM_WORD:
        if (!schema_word_text(d->schema, w->value, &out->s))
            return bad(d, at, "a word that is not in the dictionary");
        out->look = text_look(out->s);
        return true;
    case FORM_NAMED:
        if (!schema_text(d->schema, values, w->value, &out->s))
            return bad(d, at, "a number that stands for nothing");
        out->look = schema_text_look(d->schema, values);
        return true;
    default:
        out->look = TEXT_CALM | TEXT_CALMER;
        out->s.p = out->scratch;
        out->s.n = value_from_varint(form, flags, w->value, out->scratch);
        return out->s.n > 0 || bad(d, at, "a number out of range");
    }
}

static bool field_value(struct dec *d, const struct sc_field *f,
                        const struct wire_field *w, const void *at,
                        struct chars *out) {
    return read_value(d, w, at, f->t->form, f->t->flags, f->t->values, out);
}

enum chars_as { CHARS_TEXT, CHARS_ATTR, CHARS_RAW };

static void write_str(struct dec *d, const struct chars *c, enum chars_as as) {
    unsigned calm = as == CHARS_ATTR ? TEXT_CALMER : TEXT_CALM;
    if (as == CHARS_RAW || (c->look & calm))
        xml_raw(&d->out, c->s);
    else if (as == CHARS_ATTR)
        xml_attr_value(&d->out, c->s);
    else
        xml_text(&d->out, c->s);
}

/* Unpacks text to where it is to stand, then looks at it there. */
static void write_packed(struct dec *d, struct terse_str packed,
                         enum chars_as as) {
    struct pack_reader r;
    struct terse_str piece;
    size_t from = xml_size(&d->out), left = d->limits->text_bytes;
    bool good = pack_begin(&r, packed);
    while (good && (good = pack_next(&r, &piece)) && piece.n > 0) {
        if (piece.n > left) {
            over(d, packed.p, "bytes in one text", d->limits->text_bytes);
            return;
        }
        left -= piece.n;
        xml_raw(&d->out, piece);
    }
    if (!good) {
        bad(d, packed.p, "bytes that are no packed text");
        return;
    }
    if (d->out.err != TERSE_OK)
        return;
    struct terse_str text = {(const char *)d->out.p, xml_size(&d->out) - from};
    text.p -= text.n;
    unsigned look = text_look(text);
    if (look & (as == CHARS_TEXT ? TEXT_CALM : TEXT_CALMER))
        return;
    if (!look && !text_is_xml(text))
        bad(d, packed.p, "text that is no UTF-8 of XML characters");
    else if (as != CHARS_RAW)
        xml_escape(&d->out, from, as == CHARS_ATTR);
}

static void write_chars(struct dec *d, const struct chars *c,
                        enum chars_as as) {
    if (c->form == FORM_PLAIN) {
        write_str(d, c, as);
        return;
    }
    if (c->form == FORM_PACKED) {
        write_packed(d, c->bytes, as);
        return;
    }
    char piece[2 * PIECE];
    for (size_t i = 0; i < c->bytes.n; i += PIECE) {
        size_t n = c->bytes.n - i < PIECE ? c->bytes.n - i : PIECE;
        struct terse_str part = {c->bytes.p + i, n};
        value_from_bytes(c->form, part, piece);
        xml_raw(&d->out,
                (struct terse_str){piece, value_chars_size(c->form, n)});
    }
}

/* ---- tags ------------------------------------------------------------------
 */

/* The prefix that an element of this namespace is written with, or NULL. In a
 * stream the header has declared "stream". */
static const char *prefix_of(const struct dec *d, struct terse_str ns) {
    if (str_is(ns, TERSE_NS_STREAM) &&
        (d->place == TERSE_IN_STREAM || d->depth == 1))
        return "stream:";
    return str_is(ns, TERSE_NS_XML) ? "xml:" : NULL;
}

static bool enter(struct dec *d, const void *at) {
    if (++d->depth > d->limits->depth || d->depth > DEPTH_MAX)
        return over(d, at, "levels of nesting", d->limits->depth);
    if (++d->elements > d->limits->elements)
        return over(d, at, "elements in one stanza", d->limits->elements);
    d->n_attrs = 0;
    d->names = 0;
    return true;
}

/* Writes "<name" with what its namespace needs. el->name, ns and the outer
 * dflt are set; dflt becomes that inside. */
static void start_tag(struct dec *d, struct elem *el) {
    el->open = true;
    if (el->field) {
        struct terse_str tag = el->field->open;
        if (el->dflt.p && str_eq(el->dflt, el->ns))
            tag.n = el->name.n + 1;
        xml_raw(&d->out, tag);
        el->dflt = el->ns;
        return;
    }
    const char *prefix = prefix_of(d, el->ns);
    xml_lit(&d->out, "<");
    if (prefix)
        xml_lit(&d->out, prefix);
    xml_raw(&d->out, el->name);
    if (prefix) {
        if (d->place == TERSE_STANDALONE && prefix[0] == 's')
            xml_lit(&d->out, " xmlns:stream='" TERSE_NS_STREAM "'");
    } else if (!el->dflt.p || !str_eq(el->dflt, el->ns)) {
        xml_lit(&d->out, " xmlns='");
        xml_attr_value(&d->out, el->ns);
        xml_lit(&d->out, "'");
        el->dflt = el->ns.p ? el->ns : str_of("");
    }
}

static void in_content(struct dec *d, struct elem *el) {
    if (el->open)
        xml_lit(&d->out, ">");
    el->open = false;
}

static void end_tag(struct dec *d, struct elem *el) {
    if (el->open) {
        xml_lit(&d->out, "/>");
    } else if (el->field) {
        xml_raw(&d->out, el->field->close);
    } else {
        const char *prefix = prefix_of(d, el->ns);
        xml_lit(&d->out, "</");
        if (prefix)
            xml_lit(&d->out, prefix);
        xml_raw(&d->out, el->name);
        xml_lit(&d->out, ">");
    }
    d->depth--;
}

static bool check_name(struct dec *d, struct terse_str name,
                       struct terse_str ns, const void *at) {
    if (name.n > d->limits->name_bytes || ns.n > d->limits->name_bytes)
        return over(d, at, "bytes in one name", d->limits->name_bytes);
    if (!text_is_ncname(name))
        return bad(d, at, "a name that is no NCName");
    if (!text_is_namespace(ns) || str_is(ns, NS_XMLNS))
        return bad(d, at, "a namespace name that XML does not allow");
    return true;
}

/* One of 64 bits, the same for the same name, mostly another for another. */
static uint64_t name_bit(struct terse_str name) {
    size_t sum = name.n * 7 + (uint8_t)name.p[0] + (uint8_t)name.p[name.n - 1];
    return UINT64_C(1) << (sum % 64);
}

/* An attribute: its name, and if a schema has it, " name='". */
struct attr {
    struct terse_str ns, name, open;
};

/* Begins an attribute: " name='". The caller writes value and quote. */
static bool start_attr(struct dec *d, const struct attr *attr, const void *at) {
    struct terse_str ns = attr->ns, name = attr->name;
    uint64_t bit = name_bit(name);
    for (uint32_t i = 0; (d->names & bit) && i < d->n_attrs; i++)
        if (str_eq(d->attrs[i].name, name) && str_eq(d->attrs[i].ns, ns))
            return bad(d, at, "an attribute that comes twice");
    d->names |= bit;
    if (d->n_attrs >= d->limits->attributes || d->n_attrs >= ATTRS_MAX)
        return over(d, at, "attributes in one element", d->limits->attributes);
    if (ns.n == 0 && str_is(name, "xmlns"))
        return bad(d, at, "an attribute named xmlns");
    uint32_t n = d->n_attrs++;
    d->attrs[n] = (struct dec_attr){ns, name};
    if (attr->open.p) {
        xml_raw(&d->out, attr->open);
        return true;
    }
    if (ns.n == 0) {
        xml_lit(&d->out, " ");
    } else if (str_is(ns, TERSE_NS_XML)) {
        xml_lit(&d->out, " xml:");
    } else {
        char digits[VALUE_CHARS];
        size_t len = value_from_varint(FORM_DECIMAL, 0, n, digits);
        struct terse_str number = {digits, len};
        xml_lit(&d->out, " xmlns:n");
        xml_raw(&d->out, number);
        xml_lit(&d->out, "='");
        xml_attr_value(&d->out, ns);
        xml_lit(&d->out, "' n");
        xml_raw(&d->out, number);
        xml_lit(&d->out, ":");
    }
    xml_raw(&d->out, name);
    xml_lit(&d->out, "='");
    return true;
}

static bool write_attr(struct dec *d, const struct attr *attr,
                       const struct chars *value, const void *at) {
    if (d->want) {
        if (!str_eq(attr->ns, d->want->ns) ||
            !str_eq(attr->name, d->want->name))
            return true;
        if (d->found)
            return bad(d, at, "an attribute that comes twice");
        d->found = true;
        write_chars(d, value, CHARS_RAW);
        return wrote(d);
    }
    if (!start_attr(d, attr, at))
        return false;
    write_chars(d, value, CHARS_ATTR);
    xml_lit(&d->out, "'");
    return wrote(d);
}

/* ---- reading messages
 * --------------------------------------------------------- */

/* Steps over the fields of a message: the next one with what the schema says of
 * it. False at the end (d->err is TERSE_OK then) and on an error. */
static bool next(struct dec *d, const struct sc_type *type, struct wire *w,
                 struct wire_field *out, const struct sc_field **f,
                 const void **at) {
    if (w->p == w->end || d->err != TERSE_OK)
        return false;
    *at = w->p;
    if (!wire_next(w, out))
        return bad(d, *at, "bytes that are no Protobuf");
    *f = schema_field(type, out->number);
    if (!*f)
        return bad(d, *at, "a field that the schema does not know");
    if ((*f)->wire != out->type)
        return bad(d, *at, "a field of the wrong wire type");
    return true;
}

/* The generic part of an Element message. */
struct generic {
    struct terse_str name, ns;
    bool named, in_ns;
    const struct sc_field *typed; /* the field that makes it a typed one */
    struct wire_field value;      /* of typed */
    uint32_t others;              /* fields beside typed */
    bool children;                /* it has text or children */
};

/* One of a pair of word and string; false if the pair is there already. */
static bool read_name(struct dec *d, const struct wire_field *w, bool word,
                      const void *at, bool *have, struct terse_str *out) {
    if (*have)
        return bad(d, at, "a name that comes twice");
    *have = true;
    *out = w->bytes;
    if (word && !schema_word_text(d->schema, w->value, out))
        return bad(d, at, "a word that is not in the dictionary");
    return true;
}

/* First walk over an Element: what it is. */
static bool read_generic(struct dec *d, struct terse_str bytes,
                         struct generic *g) {
    const struct sc_type *type = schema_element(d->schema);
    struct wire w = wire_of(bytes);
    struct wire_field wf;
    const struct sc_field *f;
    const void *at;
    *g = (struct generic){0};
    while (next(d, type, &w, &wf, &f, &at)) {
        uint32_t n = wf.number;
        if (n >= ELEMENT_TYPED) {
            if (g->typed)
                return bad(d, at, "an Element that is two things");
            g->typed = f;
            g->value = wf;
            continue;
        }
        g->others++;
        if (n == ELEMENT_NAME || n == ELEMENT_NAME_WORD)
            read_name(d, &wf, n == ELEMENT_NAME_WORD, at, &g->named, &g->name);
        else if (n == ELEMENT_NS || n == ELEMENT_NS_WORD)
            read_name(d, &wf, n == ELEMENT_NS_WORD, at, &g->in_ns, &g->ns);
        else if (n != ELEMENT_ATTR)
            g->children = true;
    }
    if (d->err != TERSE_OK)
        return false;
    if (g->typed && g->others > 0)
        return bad(d, bytes.p, "an Element that is typed and generic");
    if (g->in_ns && !g->named)
        return bad(d, bytes.p, "an Element with a namespace and no name");
    return !g->named || check_name(d, g->name, g->ns, bytes.p);
}

/* The form of one of the value fields of Attr, of the text fields of Element.
 */
static uint8_t attr_form(uint32_t number) {
    switch (number) {
    case ATTR_VALUE_WORD:
        return FORM_WORD;
    case ATTR_VALUE_DECIMAL:
        return FORM_DECIMAL;
    case ATTR_VALUE_UUID:
        return FORM_UUID;
    case ATTR_VALUE_HEX:
        return FORM_HEX;
    case ATTR_VALUE_BASE64:
        return FORM_BASE64;
    default:
        return FORM_PLAIN;
    }
}

static uint8_t text_form(uint32_t number) {
    switch (number) {
    case ELEMENT_TEXT_WORD:
        return FORM_WORD;
    case ELEMENT_TEXT_DECIMAL:
        return FORM_DECIMAL;
    case ELEMENT_TEXT_BASE64:
        return FORM_BASE64;
    default:
        return FORM_PLAIN;
    }
}

/* Writes one Attr message. */
static bool generic_attr(struct dec *d, struct terse_str bytes) {
    struct wire w = wire_of(bytes);
    struct wire_field wf;
    const struct sc_field *f;
    const void *at;
    struct attr attr = {.ns = {"", 0}};
    bool named = false, in_ns = false, valued = false;
    struct chars value;
    while (next(d, schema_attr(d->schema), &w, &wf, &f, &at)) {
        uint32_t n = wf.number;
        if (n == ATTR_NAME || n == ATTR_NAME_WORD) {
            read_name(d, &wf, n == ATTR_NAME_WORD, at, &named, &attr.name);
        } else if (n == ATTR_NS || n == ATTR_NS_WORD) {
            read_name(d, &wf, n == ATTR_NS_WORD, at, &in_ns, &attr.ns);
        } else {
            if (valued)
                return bad(d, at, "an attribute with two values");
            valued = read_value(d, &wf, at, attr_form(n), 0, 0, &value);
        }
    }
    if (d->err != TERSE_OK)
        return false;
    if (!named || !valued)
        return bad(d, bytes.p, "an attribute without a name or a value");
    return check_name(d, attr.name, attr.ns, bytes.p) &&
           write_attr(d, &attr, &value, bytes.p);
}

/* Writes the attributes of an Element message. */
static bool generic_attrs(struct dec *d, struct terse_str bytes) {
    struct wire w = wire_of(bytes);
    struct wire_field wf;
    const struct sc_field *f;
    const void *at;
    while (next(d, schema_element(d->schema), &w, &wf, &f, &at))
        if (wf.number == ELEMENT_ATTR)
            generic_attr(d, wf.bytes);
    return d->err == TERSE_OK;
}

/* ---- writing elements
 * ----------------------------------------------------------- */

static bool element(struct dec *d, struct terse_str bytes,
                    const struct generic *g, const struct elem *around);
static bool typed_field(struct dec *d, const struct sc_field *f,
                        const struct wire_field *w, const void *at,
                        struct elem *el);

static bool text(struct dec *d, const struct chars *value, struct elem *el) {
    in_content(d, el);
    write_chars(d, value, CHARS_TEXT);
    return wrote(d);
}

/* Writes text and children of an Element message into el. */
static bool generic_content(struct dec *d, struct terse_str bytes,
                            struct elem *el) {
    struct wire w = wire_of(bytes);
    struct wire_field wf;
    const struct sc_field *f;
    const void *at;
    struct chars value;
    struct generic g;
    while (next(d, schema_element(d->schema), &w, &wf, &f, &at)) {
        switch (wf.number) {
        case ELEMENT_TEXT:
        case ELEMENT_TEXT_WORD:
        case ELEMENT_TEXT_DECIMAL:
        case ELEMENT_TEXT_BASE64:
            if (read_value(d, &wf, at, text_form(wf.number), 0, 0, &value))
                text(d, &value, el);
            break;
        case ELEMENT_CHILD:
            if (!read_generic(d, wf.bytes, &g))
                break;
            if (!g.named && !g.typed)
                bad(d, at, "a fragment where an element must be");
            in_content(d, el);
            element(d, wf.bytes, &g, el);
            break;
        default:
            break;
        }
    }
    return d->err == TERSE_OK;
}

/* Writes a generic or typed Element inside `around`. */
static bool element(struct dec *d, struct terse_str bytes,
                    const struct generic *g, const struct elem *around) {
    if (g->typed) {
        struct elem inside = *around;
        return typed_field(d, g->typed, &g->value, bytes.p, &inside);
    }
    if (d->err != TERSE_OK || !enter(d, bytes.p))
        return false;
    struct elem el = {
        .name = g->name,
        .ns = g->in_ns ? g->ns : around->ns,
        .dflt = around->dflt,
    };
    start_tag(d, &el);
    if (generic_attrs(d, bytes) && generic_content(d, bytes, &el))
        end_tag(d, &el);
    if (d->err != TERSE_OK)
        err_path(d->error, el.name);
    return wrote(d);
}

/* Writes the attributes among the fields of a typed message, and those of the
 * fragments in its rest. *rest: the fields from the first on that is none. */
static bool typed_attrs(struct dec *d, const struct sc_type *type,
                        struct terse_str bytes, struct terse_str *rest) {
    struct wire w = wire_of(bytes);
    struct wire_field wf;
    const struct sc_field *f;
    const void *at;
    struct chars value;
    struct generic g;
    *rest = (struct terse_str){bytes.p + bytes.n, 0};
    while (next(d, type, &w, &wf, &f, &at)) {
        if (f->t->bind == BIND_ATTR) {
            struct attr attr = {f->ns, f->name, f->open};
            if (field_value(d, f, &wf, at, &value))
                write_attr(d, &attr, &value, at);
            continue;
        }
        if (rest->n == 0) {
            rest->p = at;
            rest->n = (size_t)(w.end - (const uint8_t *)at);
        }
        if (f->t->bind == BIND_REST && read_generic(d, wf.bytes, &g) &&
            !g.named && !g.typed)
            generic_attrs(d, wf.bytes);
    }
    return d->err == TERSE_OK;
}

static bool rest(struct dec *d, struct terse_str bytes, struct elem *el) {
    struct generic g;
    if (!read_generic(d, bytes, &g))
        return false;
    if (!g.named && !g.typed)
        return generic_content(d, bytes, el);
    in_content(d, el);
    return element(d, bytes, &g, el);
}

static bool typed_content(struct dec *d, const struct sc_type *type,
                          struct terse_str bytes, struct elem *el) {
    struct wire w = wire_of(bytes);
    struct wire_field wf;
    const struct sc_field *f;
    const void *at;
    struct chars value;
    while (next(d, type, &w, &wf, &f, &at)) {
        switch ((enum table_bind)f->t->bind) {
        case BIND_ATTR:
            break;
        case BIND_TEXT:
            if (field_value(d, f, &wf, at, &value))
                text(d, &value, el);
            break;
        case BIND_REST:
            rest(d, wf.bytes, el);
            break;
        default:
            typed_field(d, f, &wf, at, el);
            break;
        }
    }
    return d->err == TERSE_OK;
}

/* What a child field says besides its name: attributes and content. */
static void child_inside(struct dec *d, const struct sc_field *f,
                         const struct wire_field *w, const void *at,
                         struct elem *el) {
    struct chars value;
    struct attr attr = {str_of(""), f->attr, f->attr_open};
    const struct sc_type *type;
    struct terse_str content;
    switch ((enum table_bind)f->t->bind) {
    case BIND_LEAF:
        if (field_value(d, f, w, at, &value))
            text(d, &value, el);
        break;
    case BIND_LEAF_ATTR:
        if (field_value(d, f, w, at, &value))
            write_attr(d, &attr, &value, at);
        break;
    case BIND_CHILD:
        type = schema_type(d->schema, f->t->type);
        if (typed_attrs(d, type, w->bytes, &content))
            typed_content(d, type, content, el);
        break;
    default:
        break; /* FLAG, CHOICE: nothing */
    }
}

/* Writes the child element that a field stands for into `el`. */
static bool typed_field(struct dec *d, const struct sc_field *f,
                        const struct wire_field *w, const void *at,
                        struct elem *el) {
    struct elem child = {
        .name = f->name,
        .ns = f->ns,
        .dflt = el->dflt,
        .field = f->close.p ? f : NULL,
    };
    if (f->t->bind == BIND_FLAG && w->value != 1)
        return bad(d, at, "a flag that is not true");
    if (f->t->bind == BIND_CHOICE &&
        !schema_text(d->schema, f->t->values, w->value, &child.name))
        return bad(d, at, "a number that stands for nothing");
    in_content(d, el);
    if (!enter(d, at))
        return false;
    start_tag(d, &child);
    child_inside(d, f, w, at, &child);
    if (d->err != TERSE_OK)
        err_path(d->error, child.name);
    else
        end_tag(d, &child);
    return wrote(d);
}

/* ---- frames
 * ---------------------------------------------------------------------- */

enum { FRAME_OPEN = 13, FRAME_CLOSE = 14 };

/* The one field of a frame. */
static bool read_frame(struct dec *d, struct terse_str bytes,
                       struct wire_field *out, const struct sc_field **f) {
    struct wire w = wire_of(bytes);
    const void *at;
    if (bytes.n == 0)
        return bad(d, NULL, "an empty frame");
    if (!next(d, schema_frame(d->schema), &w, out, f, &at))
        return false;
    if (w.p != w.end)
        return bad(d, w.p, "a frame that is two things");
    if ((*f)->t->bind == BIND_NONE && out->number != FRAME_CLOSE)
        return bad(d, bytes.p, "state in a frame, where none was agreed");
    return true;
}

static void open_stream(struct dec *d, const struct sc_field *f,
                        const struct wire_field *w) {
    const struct sc_type *type = schema_type(d->schema, f->t->type);
    bool alone = d->place == TERSE_STANDALONE;
    struct elem el = {.open = true};
    if (!alone)
        xml_lit(&d->out, "<?xml version='1.0'?>");
    xml_lit(&d->out, "<stream:stream xmlns='" TERSE_NS_CLIENT
                     "' xmlns:stream='" TERSE_NS_STREAM "'");
    d->n_attrs = 0;
    d->names = 0;
    struct terse_str content;
    typed_attrs(d, type, w->bytes, &content);
    size_t len = xml_size(&d->out);
    typed_content(d, type, content, &el);
    if (xml_size(&d->out) != len)
        bad(d, w->bytes.p, "a stream header with content");
    xml_lit(&d->out, alone ? "/>" : ">");
}

static void frame(struct dec *d, struct terse_str bytes) {
    struct wire_field w;
    const struct sc_field *f;
    struct generic g;
    struct elem around = {
        .ns = str_of(TERSE_NS_CLIENT),
        .dflt = d->place == TERSE_IN_STREAM ? str_of(TERSE_NS_CLIENT)
                                            : (struct terse_str){NULL, 0},
    };
    if (!read_frame(d, bytes, &w, &f))
        return;
    if (f->t->bind == BIND_REST) {
        if (!read_generic(d, w.bytes, &g))
            return;
        if (!g.named && !g.typed)
            bad(d, w.bytes.p, "a fragment where an element must be");
        else if (g.in_ns && str_is(g.ns, TERSE_NS_STREAM) &&
                 str_is(g.name, "stream"))
            bad(d, w.bytes.p, "a stream header inside the stream");
        else
            element(d, w.bytes, &g, &around);
    } else if (w.number == FRAME_OPEN) {
        open_stream(d, f, &w);
    } else if (w.number == FRAME_CLOSE) {
        if (w.bytes.n > 0)
            bad(d, w.bytes.p, "a footer with content");
        if (d->place == TERSE_IN_STREAM)
            xml_lit(&d->out, "</stream:stream>");
    } else {
        typed_field(d, f, &w, bytes.p, &around);
    }
}

/* One by one: what clears a whole struct costs more than all of these. */
static void begin(struct dec *d, const struct terse_schema *schema,
                  const struct terse_limits *limits, const void *frame,
                  struct dec_attr attrs[ATTRS_MAX], struct terse_error *error) {
    d->schema = schema;
    d->limits = limits;
    d->place = TERSE_IN_STREAM;
    d->start = frame;
    d->error = error;
    d->err = TERSE_OK;
    d->elements = d->depth = d->n_attrs = 0;
    d->names = 0;
    d->attrs = attrs;
    d->want = NULL;
    d->found = false;
    d->out.buf = NULL;
    d->out.p = d->out.end = NULL;
    d->out.err = TERSE_OK;
}

enum terse_err terse_decode(const struct terse_schema *schema,
                            const struct terse_limits *limits,
                            const void *bytes, size_t n, enum terse_place place,
                            struct terse_buf *out, struct terse_error *error) {
    struct dec_attr attrs[ATTRS_MAX];
    struct dec d;
    size_t len = out->len, max = out->max;
    err_clear(error);
    begin(&d, schema, limits, bytes, attrs, error);
    d.place = place;
    if (max > len && max - len > limits->stanza_bytes)
        out->max = len + limits->stanza_bytes;
    xml_begin(&d.out, out);
    if (n > limits->frame_bytes)
        over(&d, NULL, "bytes in one frame", limits->frame_bytes);
    else
        frame(&d, (struct terse_str){bytes, n});
    wrote(&d);
    xml_end(&d.out);
    out->max = max;
    if (d.err != TERSE_OK)
        out->len = len;
    return d.err;
}

/* ---- looking at a frame
 * ------------------------------------------------------------ */

static const struct terse_limits no_limits = {
    .stanza_bytes = UINT32_MAX,
    .frame_bytes = UINT32_MAX,
    .elements = UINT32_MAX,
    .attributes = ATTRS_MAX,
    .depth = DEPTH_MAX,
    .text_bytes = UINT32_MAX,
    .name_bytes = UINT32_MAX,
};

enum terse_err terse_frame_info(const struct terse_schema *schema,
                                const void *bytes, size_t n,
                                struct terse_frame_info *info) {
    struct dec_attr attrs[ATTRS_MAX];
    struct dec d;
    struct wire_field w;
    const struct sc_field *f;
    struct generic g;
    *info = (struct terse_frame_info){.kind = TERSE_ELEMENT};
    begin(&d, schema, &no_limits, bytes, attrs, NULL);
    if (!read_frame(&d, (struct terse_str){bytes, n}, &w, &f))
        return d.err;
    if (f->t->bind == BIND_REST) {
        if (!read_generic(&d, w.bytes, &g))
            return d.err;
        if (!g.named && !g.typed)
            return TERSE_EFRAME;
        info->name = g.name;
        info->ns = g.in_ns ? g.ns : str_of(TERSE_NS_CLIENT);
        if (!g.typed)
            return TERSE_OK;
        f = g.typed;
        w = g.value;
    } else if (w.number == FRAME_OPEN || w.number == FRAME_CLOSE) {
        info->kind = w.number == FRAME_OPEN ? TERSE_OPEN : TERSE_CLOSE;
        info->name = str_of("stream");
        info->ns = str_of(TERSE_NS_STREAM);
        return TERSE_OK;
    }
    info->name = f->name;
    info->ns = f->ns;
    if (f->t->bind == BIND_CHOICE &&
        !schema_text(schema, f->t->values, w.value, &info->name))
        return TERSE_EFRAME;
    return TERSE_OK;
}

enum terse_err terse_frame_attr(const struct terse_schema *schema,
                                const void *bytes, size_t n, const char *ns,
                                const char *name, struct terse_buf *out,
                                bool *found) {
    struct dec_attr want = {str_of(ns), str_of(name)};
    struct dec_attr attrs[ATTRS_MAX];
    struct dec d;
    struct wire_field w;
    struct terse_str content;
    const struct sc_field *f;
    struct generic g = {0};
    terse_buf_reset(out);
    begin(&d, schema, &no_limits, bytes, attrs, NULL);
    d.want = &want;
    xml_begin(&d.out, out);
    *found = false;
    if (!read_frame(&d, (struct terse_str){bytes, n}, &w, &f))
        return d.err;
    if (f->t->bind == BIND_REST) {
        if (!read_generic(&d, w.bytes, &g))
            return d.err;
        if (!g.typed)
            generic_attrs(&d, w.bytes);
        f = g.typed;
        w = g.value;
    }
    if (f && f->t->bind == BIND_CHILD)
        typed_attrs(&d, schema_type(schema, f->t->type), w.bytes, &content);
    else if (f && f->t->bind == BIND_LEAF_ATTR)
        child_inside(&d, f, &w, bytes, NULL);
    xml_end(&d.out);
    *found = d.found;
    return d.err;
}
