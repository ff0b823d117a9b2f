/*
 * xml_in.c: the reader of terse.h, libxml2's push parser with our own limits.
 * libxml2 reports elements as it goes; we collect the one at hand as a tree of
 * nodes in an arena, give it away when it is whole, and forget it.
 *
 * No DTD is ever read, so there are no entities but XML's own five, and nothing
 * is loaded from anywhere.
 */
#include <libxml/parser.h>

#include <libxml/parserInternals.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "err.h"
#include "node.h"
#include "schema.h"
#include "str.h"
#include "text.h"
#include "xml_names.h"
#include "xml_scan.h"
#include "xml_skip.h"
#include "xml_spaces.h"

enum {
    SLICE = 8192,        /* bytes given to libxml2 at once; bounds its buffer */
    NAMES_MAX = 1024,    /* names that a parser may keep */
    HEADER_MAX = 4096,   /* bytes of namespace declarations in a header */
    DEPTH_MAX = 256,     /* the walkers recurse: never deeper than this */
    ATTRS_MAX = 256,     /* nor more attributes than the decoder */
    PARSER_SIZE = 26112, /* what one of libxml2 takes, about */
    SPACES_MAX = 256,    /* namespace declarations around an element: they are
                            looked through for each name */
};

/* What becomes of the parser when the element at hand is done. */
enum pending {
    PENDING_NONE,
    PENDING_RESTART, /* a new header is expected */
    PENDING_RENEW,   /* same stream, new parser: too many names in the old */
    PENDING_SKIP,    /* the rest of the element is stepped over */
    PENDING_END,     /* the footer was read: there is nothing more to parse */
};

/* One of libxml2, and what belongs to its dictionary. Readers lend each other
 * theirs. */
struct terse_parser {
    xmlParserCtxtPtr ctxt;
    struct xml_spaces spaces;
    struct xml_names names;
    /* while it is lent: */
    const struct terse_schema *schema;
    uint64_t fed;
    size_t n_header;
    char *header; /* owned */
};

struct terse_reader {
    const struct terse_schema *schema;
    struct terse_limits limits;
    terse_reader_cb cb;
    void *arg;

    struct terse_parser *parser;
    xmlParserCtxtPtr ctxt;   /* of parser; NULL: none yet, the next byte starts
                                a header */
    struct terse_buf header; /* the header's declarations, to renew from */
    bool renewing;           /* libxml2 reads `header`, not the peer's bytes */
    bool ended;              /* the footer was read */
    bool in_callback;
    enum pending pending;
    size_t unread; /* of the last slice, where pending stopped it */
    size_t kept;   /* of it, what libxml2 keeps for later: a '\r' at its end */
    struct xml_scan scan;
    uint64_t after_cr; /* behind a piece of CDATA that ended in '\r' */
    uint64_t fed;      /* bytes given to ctxt */
    uint64_t start;    /* where the element at hand starts, in those */
    size_t lead;       /* bytes of this header that were checked by hand */

    bool sparing;           /* what is wrong with one element is no end */
    enum terse_err refused; /* what is, while it is stepped over */
    struct xml_skip skip;
    struct terse_node *outline; /* what is told of it */
    bool overfull;              /* a text of the element at hand is too large;
                                   a reader that spares looks at that later */

    struct arena arena;
    struct terse_node *node; /* the innermost open element */
    uint32_t depth;          /* open elements, the stream itself included */
    uint32_t elements;       /* in the element at hand */
    struct terse_error error;
    enum terse_err cb_err; /* what the callback stopped with */
};

static bool failed(const struct terse_reader *r) {
    return r->error.code != TERSE_OK || r->cb_err != TERSE_OK;
}

/* What xmlByteConsumed says, without the call: there is no encoder, since the
 * bytes are UTF-8. */
static uint64_t consumed(const struct terse_reader *r) {
    const xmlParserInput *in = r->ctxt ? r->ctxt->input : NULL;
    return in ? in->consumed + (uint64_t)(in->cur - in->base) : 0;
}

/* Keeps the first error, with where it happened. */
#if defined(__GNUC__)
__attribute__((format(printf, 3, 4)))
#endif
static void
fail(struct terse_reader *r, enum terse_err code, const char *fmt, ...) {
    if (failed(r))
        return;
    uint64_t at = consumed(r);
    char text[sizeof(r->error.text)];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    err_set(&r->error, code, at > r->start ? (size_t)(at - r->start) : 0, "%s",
            text);
    for (const struct terse_node *n = r->node; n; n = n->parent)
        err_path(&r->error, n->name);
}

static void fail_limit(struct terse_reader *r, const char *what,
                       uint32_t limit) {
    fail(r, TERSE_ELIMIT, "more than %u %s", (unsigned)limit, what);
}

static const char bad_prefix[] =
    "a prefix that is not declared, or declared as what it must not be";

/* ---- collecting nodes ------------------------------------------------------
 */

/* Whether the element at hand has become too large. A reader that spares its
 * stream looks at that between slices. */
static inline bool over_size(struct terse_reader *r) {
    if (r->fed - r->start <= r->limits.stanza_bytes || r->sparing)
        return false; /* not with all that was given to libxml2 */
    uint64_t at = consumed(r);
    if (at <= r->start || at - r->start <= r->limits.stanza_bytes)
        return false;
    fail_limit(r, "bytes in one element", r->limits.stanza_bytes);
    return true;
}

/* libxml2 leaves a colon in a local name where its prefix is not declared. */
static bool good_name(struct terse_reader *r, struct terse_str name,
                      struct terse_str ns) {
    if (name.n > r->limits.name_bytes || ns.n > r->limits.name_bytes) {
        fail_limit(r, "bytes in one name", r->limits.name_bytes);
        return false;
    }
    if (!text_is_ncname(name)) {
        fail(r, TERSE_ENAMESPACE, "a name that is no NCName");
        return false;
    }
    if (!text_is_namespace(ns)) {
        fail(r, TERSE_ENAMESPACE,
             "a namespace name with white space or control characters");
        return false;
    }
    return true;
}

static struct terse_node *new_node(struct terse_reader *r) {
    struct terse_node *node = arena_alloc(&r->arena, sizeof(*node));
    if (!node) {
        fail(r, TERSE_ENOMEM, "out of memory for one element");
        return NULL;
    }
    /* One by one: what clears a whole struct costs more than all of these. */
    node->parent = node->prev = node->next = node->first = node->last = NULL;
    node->name = node->ns = node->text = (struct terse_str){NULL, 0};
    node->attrs = NULL;
    node->scope = NULL;
    node->n_attrs = 0;
    node->qname = 0;
    return node;
}

static void append(struct terse_node *parent, struct terse_node *node) {
    node->parent = parent;
    node->prev = parent->last;
    if (parent->last)
        parent->last->next = node;
    else
        parent->first = node;
    parent->last = node;
}

/* libxml2 gives five pointers per attribute: local name, prefix, namespace,
 * value and its end. Names belong to the dictionary, values to its buffer. */
static bool take_attr(struct terse_reader *r, struct node_attr *out,
                      const xmlChar **five) {
    const struct xml_name *n = xml_names_find(&r->parser->names, r->schema,
                                              five[ATTR_URI], five[ATTR_LOCAL]);
    out->name = (struct terse_str){n->name, n->name_n};
    out->ns = (struct terse_str){n->ns ? n->ns : "", n->ns_n};
    out->qname = n->qname;
    out->value.n = (size_t)(five[ATTR_TO] - five[ATTR_FROM]);
    if (!out->qname && !good_name(r, out->name, out->ns))
        return false;
    if (out->value.n > r->limits.text_bytes) {
        fail_limit(r, "bytes in one value", r->limits.text_bytes);
        return false;
    }
    char *copy = arena_chars(&r->arena, out->value.n);
    if (!copy) {
        fail(r, TERSE_ENOMEM, "out of memory for one attribute");
        return false;
    }
    memcpy(copy, five[ATTR_FROM], out->value.n);
    out->value.p = copy;
    return true;
}

/* The attributes of an element less its `n_spaces` declarations. */
static bool take_attrs(struct terse_reader *r, struct terse_node *node,
                       uint32_t n_spaces, uint32_t n_attrs,
                       const xmlChar **attrs) {
    node->attrs =
        arena_alloc(&r->arena, (n_attrs - n_spaces) * sizeof(*node->attrs));
    if (!node->attrs) {
        fail(r, TERSE_ENOMEM, "out of memory for attributes");
        return false;
    }
    for (; n_attrs > 0; n_attrs--, attrs += 5) {
        if (n_spaces > 0 && xml_is_space(&r->parser->spaces, attrs))
            continue;
        if (!take_attr(r, &node->attrs[node->n_attrs], attrs))
            return false;
        node->n_attrs++;
    }
    return true;
}

static struct terse_node *take_element(struct terse_reader *r,
                                       const xmlChar *name, const xmlChar *ns,
                                       uint32_t n_spaces, uint32_t n_attrs,
                                       const xmlChar **attrs) {
    const struct xml_name *n =
        xml_names_find(&r->parser->names, r->schema, ns, name);
    struct terse_str local = {n->name, n->name_n};
    struct terse_str uri = {n->ns ? n->ns : "", n->ns_n};
    uint16_t qname = n->qname;
    if (!qname && !good_name(r, local, uri))
        return NULL;
    if (n_attrs - n_spaces > r->limits.attributes) {
        fail_limit(r, "attributes in one element", r->limits.attributes);
        return NULL;
    }
    struct terse_node *node = new_node(r);
    if (!node)
        return NULL;
    node->name = local;
    node->ns = uri;
    node->qname = qname;
    if (n_attrs > n_spaces && !take_attrs(r, node, n_spaces, n_attrs, attrs))
        return NULL;
    return node;
}

/* ---- the stream around the elements ----------------------------------------
 */

/* Stops libxml2 behind what it just reported; feed goes on from there. */
static void stop_here(struct terse_reader *r) {
    r->unread = (size_t)(r->ctxt->input->end - r->ctxt->input->cur) + r->kept;
    xmlStopParser(r->ctxt);
}

/* Hands an event over; the nodes are gone afterwards. */
static void emit(struct terse_reader *r, enum terse_event event,
                 struct terse_node *node) {
    r->in_callback = true;
    enum terse_err err = r->cb(r->arg, event, node);
    r->in_callback = false;
    if (event == TERSE_REFUSED)
        r->error = (struct terse_error){0};
    if (err != TERSE_OK && r->error.code == TERSE_OK)
        r->cb_err = err;
    arena_reset(&r->arena);
    r->node = NULL;
    r->elements = 0;
    r->overfull = false;
    /* libxml2 reports a start tag before it steps over its '>'. */
    r->start = consumed(r) + (event == TERSE_OPEN ? 1 : 0);
    if (event == TERSE_CLOSE && !r->pending)
        r->pending = PENDING_END;
    if (event != TERSE_OPEN && !r->pending &&
        xmlDictSize(r->ctxt->dict) > NAMES_MAX)
        r->pending = PENDING_RENEW;
    if (r->pending)
        stop_here(r);
}

/* Appends a string to the header that is kept. */
static bool keep(struct terse_reader *r, const void *s) {
    enum terse_err err = terse_buf_append(&r->header, s, strlen(s));
    if (err == TERSE_ELIMIT)
        fail_limit(r, "bytes of declarations in the stream header", HEADER_MAX);
    else if (err != TERSE_OK)
        fail(r, err, "out of memory for the stream header");
    return err == TERSE_OK;
}

/* Keeps a declaration of the header, so that a new parser can be given it. */
static bool keep_declaration(struct terse_reader *r, const xmlChar *prefix,
                             const xmlChar *uri) {
    xmlChar *quoted = xmlEncodeSpecialChars(NULL, uri ? uri : BAD_CAST "");
    if (!quoted)
        fail(r, TERSE_ENOMEM, "out of memory for the stream header");
    bool ok = quoted && keep(r, " xmlns") && keep(r, prefix ? ":" : "") &&
              keep(r, prefix ? (const char *)prefix : "") && keep(r, "=\"") &&
              keep(r, quoted) && keep(r, "\"");
    if (quoted)
        xmlFree(quoted);
    return ok;
}

static bool keep_header(struct terse_reader *r, const xmlChar *prefix, int n_ns,
                        const xmlChar **ns) {
    terse_buf_reset(&r->header);
    bool ok = keep(r, "<");
    if (prefix)
        ok = ok && keep(r, prefix) && keep(r, ":");
    ok = ok && keep(r, "stream");
    for (int i = 0; ok && i < n_ns; i++)
        ok = keep_declaration(r, ns[2 * i], ns[2 * i + 1]);
    return ok && keep(r, ">");
}

static void start_stream(struct terse_reader *r, const xmlChar *name,
                         const xmlChar *prefix, const xmlChar *ns, int n_ns,
                         const xmlChar **spaces, int n_attrs,
                         const xmlChar **attrs) {
    r->depth = 1;
    xml_spaces_begin(&r->parser->spaces, r->ctxt);
    if (r->renewing)
        return;
    struct terse_node *node =
        take_element(r, name, ns, 0, (uint32_t)n_attrs, attrs);
    if (!node)
        return;
    if (!terse_node_is(node, TERSE_NS_STREAM, "stream")) {
        fail(r, str_is(node->name, "stream") ? TERSE_ENAMESPACE : TERSE_ESTREAM,
             "the header is not a stream of " TERSE_NS_STREAM);
        return;
    }
    if (keep_header(r, prefix, n_ns, spaces))
        emit(r, TERSE_OPEN, node);
}

/* ---- elements that are refused ----------------------------------------------
 */

enum { OUTLINE_ATTRS = 4, OUTLINE_VALUE = 3071 };

/* Copies of a name that must outlive the parser. */
static bool keep_str(struct terse_reader *r, struct terse_str *out,
                     struct terse_str s) {
    char *copy = arena_chars(&r->arena, s.n + 1);
    if (!copy)
        return false;
    if (s.n > 0)
        memcpy(copy, s.p, s.n);
    *out = (struct terse_str){copy, s.n};
    return true;
}

static struct terse_node *no_outline(struct terse_reader *r) {
    r->error.code = TERSE_OK; /* the worse of the two */
    fail(r, TERSE_ENOMEM, "out of memory for one element");
    return NULL;
}

static struct terse_node *new_outline(struct terse_reader *r,
                                      struct terse_str name,
                                      struct terse_str ns) {
    struct terse_node *node = new_node(r);
    if (!node)
        return no_outline(r);
    node->attrs = arena_alloc(&r->arena, OUTLINE_ATTRS * sizeof(*node->attrs));
    return node->attrs && keep_str(r, &node->name, name) &&
                   keep_str(r, &node->ns, ns)
               ? node
               : no_outline(r);
}

/* Keeps an attribute, if it tells who and what. */
static bool outline_attr(struct terse_reader *r, struct terse_node *node,
                         struct terse_str name, struct terse_str value) {
    static const char *const names[OUTLINE_ATTRS] = {"from", "to", "id",
                                                     "type"};
    size_t i = 0;
    while (i < OUTLINE_ATTRS && !str_is(name, names[i]))
        i++;
    if (i == OUTLINE_ATTRS || value.n > OUTLINE_VALUE ||
        node->n_attrs == OUTLINE_ATTRS)
        return true;
    struct node_attr *attr = &node->attrs[node->n_attrs++];
    *attr = (struct node_attr){.name = str_of(names[i]), .ns = str_of("")};
    return keep_str(r, &attr->value, value);
}

/* Of the top-level element that is being read. */
static struct terse_node *outline_of_tree(struct terse_reader *r) {
    const struct terse_node *top = r->node;
    while (top->parent)
        top = top->parent;
    struct terse_node *node = new_outline(r, top->name, top->ns);
    for (uint32_t i = 0; node && i < top->n_attrs; i++)
        if (top->attrs[i].ns.n == 0 &&
            !outline_attr(r, node, top->attrs[i].name, top->attrs[i].value))
            return no_outline(r);
    return node;
}

/* Of a top-level element whose very tag is refused, as libxml2 gives it. */
static struct terse_node *outline_of_tag(struct terse_reader *r,
                                         const xmlChar *name, uint32_t n_attrs,
                                         const xmlChar **attrs) {
    struct terse_node *node =
        new_outline(r, str_of((const char *)name), str_of(TERSE_NS_CLIENT));
    for (; node && n_attrs > 0; n_attrs--, attrs += 5) {
        struct terse_str value = {(const char *)attrs[ATTR_FROM],
                                  (size_t)(attrs[ATTR_TO] - attrs[ATTR_FROM])};
        if (!attrs[ATTR_PREFIX] &&
            !outline_attr(r, node, str_of((const char *)attrs[ATTR_LOCAL]),
                          value))
            return no_outline(r);
    }
    return node;
}

/* Of one whose tag libxml2 waits to see the end of: its name. */
static struct terse_node *outline_of_bytes(struct terse_reader *r) {
    const char *p = (const char *)r->ctxt->input->cur + 1;
    size_t n = 0, most = (size_t)(r->ctxt->input->end - r->ctxt->input->cur);
    while (n + 1 < most && n < 64 && !strchr(" \t\r\n/>:", p[n]))
        n++;
    return new_outline(r, (struct terse_str){p, n}, str_of(TERSE_NS_CLIENT));
}

/* After an error in a start tag: whether it is one of that element only. */
static bool is_spared(const struct terse_reader *r) {
    return r->sparing && r->depth > 0 && !r->pending && !r->cb_err &&
           (r->error.code == TERSE_ELIMIT || r->error.code == TERSE_ENAMESPACE);
}

/* Forgives the error, and has the rest of the element stepped over. */
static void begin_skip(struct terse_reader *r, struct terse_node *outline) {
    r->outline = outline;
    r->refused = r->error.code;
    r->error.code = TERSE_OK;
    xml_skip_begin(&r->skip, r->depth - 1);
    r->overfull = false;
    r->pending = PENDING_SKIP;
}

static void fail_size(struct terse_reader *r) {
    if (r->overfull)
        fail_limit(r, "bytes in one text", r->limits.text_bytes);
    else
        fail_limit(r, "bytes in one element", r->limits.stanza_bytes);
}

/* Of a whole element that has too large a text. */
static void refuse(struct terse_reader *r) {
    fail_size(r);
    struct terse_node *outline = outline_of_tree(r);
    if (outline)
        emit(r, TERSE_REFUSED, outline);
}

/* Tells of the element that was stepped over. */
static void end_skip(struct terse_reader *r) {
    r->error.code = r->refused;
    r->refused = TERSE_OK;
    r->in_callback = true;
    enum terse_err err = r->cb(r->arg, TERSE_REFUSED, r->outline);
    r->in_callback = false;
    r->error = (struct terse_error){0};
    r->cb_err = err;
    r->outline = NULL;
    arena_reset(&r->arena);
}

/* ---- what libxml2 calls ----------------------------------------------------
 */

static bool declare(struct terse_reader *r, const xmlChar *const *attr,
                    const struct xml_space **scope) {
    switch (xml_spaces_add(&r->parser->spaces, &r->arena, SPACES_MAX, attr,
                           scope)) {
    case TERSE_OK:
        return true;
    case TERSE_ELIMIT:
        fail_limit(r, "namespace declarations around one element", SPACES_MAX);
        return false;
    case TERSE_ENOMEM:
        fail(r, TERSE_ENOMEM, "out of memory for one namespace");
        return false;
    default:
        fail(r, TERSE_ENAMESPACE, "%s", bad_prefix);
        return false;
    }
}

/* Whether one of n attributes has the expanded name of the one behind them;
 * libxml2 has compared their names as written. */
static bool is_twice(const xmlChar **attrs, uint32_t n) {
    const xmlChar *const *last = attrs + 5 * n;
    for (uint32_t i = 0; i < n; i++, attrs += 5)
        if (attrs[ATTR_LOCAL] == last[ATTR_LOCAL] && attrs[ATTR_PREFIX] &&
            attrs[ATTR_URI] == last[ATTR_URI])
            return true;
    return false;
}

/* Adds what a tag declares to *scope, then finds the namespaces of its element
 * and of its attributes. */
static bool find_spaces(struct terse_reader *r, const xmlChar *prefix,
                        const xmlChar **ns, uint32_t n_attrs,
                        const xmlChar **attrs, const struct xml_space **scope,
                        uint32_t *n_spaces) {
    bool prefixes = false;
    for (uint32_t i = 0; i < n_attrs; i++) {
        if (xml_is_space(&r->parser->spaces, attrs + 5 * i)) {
            ++*n_spaces;
            if (!declare(r, attrs + 5 * i, scope))
                return false;
        } else if (attrs[5 * i + ATTR_PREFIX]) {
            prefixes = true;
        }
    }
    bool found = xml_spaces_find(*scope, prefix, ns);
    for (uint32_t i = 0; prefixes && found && i < n_attrs; i++) {
        const xmlChar **attr = attrs + 5 * i;
        if (!attr[ATTR_PREFIX] || xml_is_space(&r->parser->spaces, attr))
            continue;
        found = xml_spaces_find(*scope, attr[ATTR_PREFIX], &attr[ATTR_URI]) &&
                !is_twice(attrs, i);
    }
    if (!found)
        fail(r, TERSE_ENAMESPACE, "%s", bad_prefix);
    return found;
}

static void start_element(struct terse_reader *r, const xmlChar *name,
                          const xmlChar *prefix, const xmlChar *ns, int n_attrs,
                          const xmlChar **attrs) {
    const struct xml_space *scope = r->node ? r->node->scope : NULL;
    uint32_t n_spaces = 0;
    if (r->depth - 1 >= r->limits.depth || r->depth - 1 >= DEPTH_MAX) {
        fail_limit(r, "levels of nesting", r->limits.depth);
        return;
    }
    if (++r->elements > r->limits.elements) {
        fail_limit(r, "elements in one stanza", r->limits.elements);
        return;
    }
    if (!find_spaces(r, prefix, &ns, (uint32_t)n_attrs, attrs, &scope,
                     &n_spaces))
        return;
    struct terse_node *node =
        take_element(r, name, ns, n_spaces, (uint32_t)n_attrs, attrs);
    if (!node || over_size(r))
        return;
    if (r->node)
        append(r->node, node);
    node->scope = scope;
    r->node = node;
    r->depth++;
}

/* Of a tag that is well-formed, libxml2 has read all but "/>" or '>'. */
static bool stands_at_end(const struct terse_reader *r) {
    const xmlChar *cur = r->ctxt->input->cur;
    return cur[0] == '>' || (cur[0] == '/' && cur[1] == '>');
}

static void on_start(void *arg, const xmlChar *name, const xmlChar *prefix,
                     const xmlChar *ns, int n_ns, const xmlChar **spaces,
                     int n_attrs, int n_defaulted, const xmlChar **attrs) {
    struct terse_reader *r = arg;
    struct terse_node *outline = NULL;
    (void)n_defaulted;
    if (failed(r) || r->pending)
        return;
    if (r->depth == 0) {
        start_stream(r, name, prefix, ns, n_ns, spaces, n_attrs, attrs);
        return;
    }
    start_element(r, name, prefix, ns, n_attrs, attrs);
    if (!is_spared(r) || !stands_at_end(r))
        return;
    if (r->node)
        outline = outline_of_tree(r);
    else if (!prefix)
        outline = outline_of_tag(r, name, (uint32_t)n_attrs, attrs);
    if (!outline)
        return;
    begin_skip(r, outline);
    /* Of "/>" the '/' may have come with bytes from before. */
    r->skip.slash = r->ctxt->input->cur[0] == '/';
    stop_here(r);
}

static void on_end(void *arg, const xmlChar *name, const xmlChar *prefix,
                   const xmlChar *ns) {
    struct terse_reader *r = arg;
    (void)name, (void)prefix, (void)ns;
    if (failed(r) || r->pending)
        return;
    r->depth--;
    if (r->depth == 0) {
        r->ended = true;
        emit(r, TERSE_CLOSE, NULL);
        return;
    }
    if (over_size(r))
        return;
    if (r->depth > 1) {
        r->node = r->node->parent;
        return;
    }
    if (r->overfull)
        refuse(r);
    else
        emit(r, TERSE_ELEMENT, r->node);
}

static bool is_space(const xmlChar *p, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (p[i] != ' ' && p[i] != '\t' && p[i] != '\n' && p[i] != '\r')
            return false;
    return true;
}

/* libxml2 gives a run of text in pieces; they become one node. */
static void on_text(void *arg, const xmlChar *p, int n) {
    struct terse_reader *r = arg;
    if (failed(r) || r->pending || n <= 0 || r->overfull)
        return;
    if (!r->node) {
        if (!is_space(p, (size_t)n))
            fail(r, TERSE_ESTREAM, "text between the stream's elements");
        r->start = consumed(r);
        return;
    }
    size_t len = (size_t)n;
    struct terse_node *text = r->node->last;
    bool more = text && node_is_text(text);
    size_t have = more ? text->text.n : 0;
    if (have + len > r->limits.text_bytes) {
        r->overfull = true;
        if (!r->sparing)
            fail_size(r);
        return;
    }
    if (!more && (!(text = new_node(r)) || over_size(r)))
        return;
    char *to = more ? arena_extend(&r->arena, (char *)(uintptr_t)text->text.p,
                                   have, len)
                    : arena_chars(&r->arena, len);
    if (!to) {
        fail(r, TERSE_ENOMEM, "out of memory for one text");
        return;
    }
    memcpy(to + have, p, len);
    text->text = (struct terse_str){to, have + len};
    if (!more)
        append(r->node, text);
}

/* libxml2 gives CDATA in pieces and leaves line ends as they are; XML 1.0
 * section 2.11 makes each of them one line feed. */
static void on_cdata(void *arg, const xmlChar *p, int n) {
    static const xmlChar line_feed[] = "\n";
    struct terse_reader *r = arg;
    uint64_t at = consumed(r);
    int from = n > 0 && p[0] == '\n' && at > 0 && r->after_cr == at ? 1 : 0;
    for (int i = from; i < n; i++) {
        if (p[i] != '\r')
            continue;
        on_text(r, p + from, i - from);
        on_text(r, line_feed, 1);
        if (i + 1 < n && p[i + 1] == '\n')
            i++;
        from = i + 1;
    }
    on_text(r, p + from, n - from);
    if (n > 0 && p[n - 1] == '\r')
        r->after_cr = at + (uint64_t)n;
}

static void on_comment(void *arg, const xmlChar *value) {
    (void)value;
    fail(arg, TERSE_ERESTRICTED, "a comment (RFC 6120 section 11.1)");
}

static void on_pi(void *arg, const xmlChar *target, const xmlChar *data) {
    (void)target, (void)data;
    fail(arg, TERSE_ERESTRICTED,
         "a processing instruction (RFC 6120 section 11.1)");
}

static const char no_dtd[] =
    "a document type declaration (RFC 6120 section 11.1)";

static void on_dtd(void *arg, const xmlChar *name, const xmlChar *external,
                   const xmlChar *system) {
    struct terse_reader *r = arg;
    (void)name, (void)external, (void)system;
    fail(r, TERSE_ERESTRICTED, "%s", no_dtd);
    xmlStopParser(r->ctxt);
}

/* Behind the XML declaration. */
static void on_document(void *arg) {
    struct terse_reader *r = arg;
    const xmlChar *declared =
        r->ctxt->encoding ? r->ctxt->encoding : r->ctxt->input->encoding;
    if (declared && xmlStrcasecmp(declared, BAD_CAST "UTF-8") != 0)
        fail(r, TERSE_EENCODING,
             "an encoding other than UTF-8 (RFC 6120 section 11.6)");
}

/* Whether libxml2 stopped at "<!": a DTD or a part of one, since comments and
 * CDATA are read. */
static bool at_declaration(const struct terse_reader *r) {
    const xmlParserInput *in = r->ctxt->input;
    return in && in->cur && in->end - in->cur >= 2 && in->cur[0] == '<' &&
           in->cur[1] == '!';
}

static void on_error(void *arg, xmlErrorPtr e) {
    struct terse_reader *r = arg;
    if (e->level < XML_ERR_ERROR || r->pending)
        return;
    switch (e->code) {
    case XML_WAR_NS_URI:
    case XML_WAR_NS_URI_RELATIVE:
        return; /* a namespace is just a string */
    case XML_NS_ERR_UNDEFINED_NAMESPACE:
    case XML_NS_ERR_ATTRIBUTE_REDEFINED:
        if (r->depth > 0)
            return; /* libxml2 cannot know: find_spaces does */
        break;
    case XML_ERR_NO_MEMORY:
        fail(r, TERSE_ENOMEM, "out of memory");
        return;
    case XML_ERR_UNDECLARED_ENTITY:
    case XML_WAR_UNDECLARED_ENTITY:
        fail(r, TERSE_ERESTRICTED,
             "an entity that XML does not define (RFC 6120 section 11.1)");
        return;
    case XML_ERR_UNSUPPORTED_ENCODING:
    case XML_ERR_UNKNOWN_ENCODING:
        fail(r, TERSE_EENCODING,
             "an encoding other than UTF-8 (RFC 6120 section 11.6)");
        return;
    default:
        break;
    }
    if (at_declaration(r)) {
        fail(r, TERSE_ERESTRICTED, "%s", no_dtd);
        return;
    }
    if (e->domain == XML_FROM_NAMESPACE) {
        fail(r, TERSE_ENAMESPACE, "%s", bad_prefix);
        return;
    }
    fail(r, TERSE_EXML, "XML that is not well-formed");
}

/* ---- feeding ---------------------------------------------------------------
 */

static const xmlSAXHandler handler = {
    .initialized = XML_SAX2_MAGIC,
    .startDocument = on_document,
    .internalSubset = on_dtd,
    .startElementNs = on_start,
    .endElementNs = on_end,
    .characters = on_text,
    .ignorableWhitespace = on_text,
    .cdataBlock = on_cdata,
    .comment = on_comment,
    .processingInstruction = on_pi,
    .serror = on_error,
};

void terse_parser_free(struct terse_parser *parser) {
    if (!parser)
        return;
    xmlFreeParserCtxt(parser->ctxt);
    free(parser->header);
    free(parser);
}

static void drop_parser(struct terse_reader *r) {
    terse_parser_free(r->parser);
    r->parser = NULL;
    r->ctxt = NULL;
    r->fed = r->start = r->after_cr = 0;
    r->scan = (struct xml_scan){.max_attrs = r->limits.attributes + SPACES_MAX};
    r->lead = 0;
    r->depth = 0;
    r->node = NULL;
    r->elements = 0;
    r->overfull = false;
    r->pending = PENDING_NONE;
}

static bool make_parser(struct terse_reader *r) {
    xmlSAXHandler sax = handler;
    xmlParserCtxtPtr ctxt = xmlCreatePushParserCtxt(&sax, r, NULL, 0, NULL);
    struct terse_parser *parser = calloc(1, sizeof(*parser));
    if (!ctxt || !parser) {
        xmlFreeParserCtxt(ctxt);
        free(parser);
        fail(r, TERSE_ENOMEM, "out of memory for a parser");
        return false;
    }
    /* NOENT: &amp; in attributes comes as '&'. There are no other entities. */
    xmlCtxtUseOptions(ctxt, XML_PARSE_NOENT | XML_PARSE_NONET);
    parser->ctxt = r->ctxt = ctxt;
    r->parser = parser;
    return true;
}

/* A new parser in the place of one that has seen too many names. */
static void renew_parser(struct terse_reader *r) {
    drop_parser(r);
    if (!make_parser(r))
        return;
    r->renewing = true;
    xmlParseChunk(r->ctxt, (const char *)terse_buf_data(&r->header),
                  (int)r->header.len, 0);
    r->renewing = false;
    r->fed = r->header.len;
    r->start = consumed(r);
    r->lead = 2;
}

/* The first two bytes tell UTF-8 from what libxml2 would guess. White space in
 * front of a header is a keep-alive that crossed a restart. Returns how many
 * bytes to skip. */
static size_t check_lead(struct terse_reader *r, const char *p, size_t n) {
    size_t i = 0;
    if (r->lead == 0) {
        while (i < n && is_space((const xmlChar *)p + i, 1))
            i++;
        if (i == n)
            return n;
        if (p[i] != '<') {
            fail(r,
                 (uint8_t)p[i] == 0xef || (uint8_t)p[i] >= 0xfe || p[i] == 0
                     ? TERSE_EENCODING
                     : TERSE_EXML,
                 "a stream that does not start with '<' in plain UTF-8");
            return i;
        }
        r->lead = 1;
        if (i + 1 == n)
            return i;
        if (p[i + 1] == 0)
            fail(r, TERSE_EENCODING, "UTF-16 or UTF-32");
        r->lead = 2;
    } else if (r->lead == 1) {
        if (p[0] == 0)
            fail(r, TERSE_EENCODING, "UTF-16 or UTF-32");
        r->lead = 2;
    }
    return i;
}

/* What xml_scan found. */
static void fail_scan(struct terse_reader *r, enum terse_err err) {
    if (err == TERSE_EENCODING)
        fail(r, err, "bytes that are no UTF-8 (RFC 6120 section 11.6)");
    else if (err == TERSE_EXML)
        fail(r, err, "XML that is not well-formed");
    else
        fail_limit(r, "attributes and namespace declarations in one element",
                   r->scan.max_attrs);
}

/* How many of the last n bytes libxml2 has not read yet, if those begin between
 * tags; else all of them. */
static size_t left_unread(const struct terse_reader *r, size_t n) {
    switch (r->ctxt->instate) {
    case XML_PARSER_CONTENT:
    case XML_PARSER_START_TAG:
    case XML_PARSER_END_TAG:
        return (size_t)(r->ctxt->input->end - r->ctxt->input->cur) + r->kept;
    default:
        return n;
    }
}

/* Begins where a slice has ended, as xml_scan has it. */
static void skip_from_here(struct terse_reader *r, char last) {
    static const enum xml_skip_at at[] = {
        [SCAN_TEXT] = SKIP_TEXT,  [SCAN_LESS] = SKIP_LESS,
        [SCAN_TAG] = SKIP_TAG,    [SCAN_END] = SKIP_END,
        [SCAN_QUOT] = SKIP_QUOT,  [SCAN_APOS] = SKIP_APOS,
        [SCAN_CDATA] = SKIP_CDATA};
    r->skip.at = at[r->scan.at];
    r->skip.slash = r->skip.at == SKIP_TAG && last == '/';
    r->skip.brackets = r->scan.brackets;
}

/* After a slice that ends in `last`: the element is too large. */
static void skip_large(struct terse_reader *r, char last) {
    const xmlParserInput *in = r->ctxt->input;
    struct terse_node *outline = NULL;
    fail_size(r);
    if (!is_spared(r) || r->scan.at == SCAN_PROLOG)
        return;
    if (r->node)
        outline = outline_of_tree(r);
    else if (in->end - in->cur > 1 && in->cur[0] == '<')
        outline = outline_of_bytes(r);
    if (!outline)
        return;
    begin_skip(r, outline);
    skip_from_here(r, last);
}

/* After what xml_scan found in a tag that libxml2 waits to see the end of. */
static bool skip_scanned(struct terse_reader *r) {
    const xmlParserInput *in = r->ctxt->input;
    struct terse_node *outline;
    if (!is_spared(r) || r->scan.at != SCAN_TAG || in->end - in->cur < 2 ||
        in->cur[0] != '<')
        return false;
    outline = r->node ? outline_of_tree(r) : outline_of_bytes(r);
    if (outline)
        begin_skip(r, outline);
    return outline != NULL;
}

/* What follows is read by a new parser, if it is of the same stream. */
static void leave_parser(struct terse_reader *r) {
    bool same = r->pending == PENDING_SKIP;
    drop_parser(r);
    if (same)
        r->depth = 1, r->lead = 2;
}

/* Gives one slice to libxml2; returns how much of it was used. */
static size_t feed_slice(struct terse_reader *r, const char *p, size_t n) {
    enum terse_err err;
    size_t good = xml_scan(&r->scan, p, n, &err);
    r->unread = 0;
    r->kept = good > 0 && p[good - 1] == '\r' ? 1 : 0;
    r->fed += good;
    if (good > 0)
        xmlParseChunk(r->ctxt, p, (int)good, 0);
    if (r->pending == PENDING_NONE) {
        if (good == n && !failed(r))
            good = xml_scan_left(&r->scan, p, n, left_unread(r, n), &err);
        bool scanned = good < n && !failed(r);
        if (good < n)
            fail_scan(r, err);
        else if (r->sparing && !failed(r) &&
                 (r->overfull || r->fed - r->start > r->limits.stanza_bytes))
            skip_large(r, p[n - 1]);
        else if (r->fed - r->start > (uint64_t)r->limits.stanza_bytes + SLICE)
            fail_limit(r, "bytes in one element", r->limits.stanza_bytes);
        else if (r->ctxt->instate == XML_PARSER_EOF)
            fail(r, TERSE_ENOMEM, "out of memory for a parser");
        if (r->pending != PENDING_SKIP && (!scanned || !skip_scanned(r)))
            return n;
        leave_parser(r);
        return good;
    }
    size_t used = r->unread < good ? good - r->unread : 0;
    if (r->pending == PENDING_RENEW)
        renew_parser(r);
    else
        leave_parser(r);
    return used;
}

/* Steps over bytes of an element that is refused; returns how many. */
static size_t feed_skip(struct terse_reader *r, const char *p, size_t n) {
    size_t used;
    bool done;
    enum terse_err err = xml_skip(&r->skip, p, n, &used, &done);
    if (err != TERSE_OK)
        fail(r, err, "a comment or instruction (RFC 6120 section 11.1)");
    else if (done)
        end_skip(r);
    return used;
}

/* In a stream, but its parser is lent to another reader, or dropped. */
static bool lent(const struct terse_reader *r) {
    return !r->ctxt && r->depth == 1 && !failed(r) && !r->ended && !r->outline;
}

enum terse_err terse_reader_feed(struct terse_reader *r, const char *p,
                                 size_t n) {
    while (n > 0 && !failed(r)) {
        size_t skip = r->lead < 2 && !r->ended ? check_lead(r, p, n) : 0;
        p += skip;
        n -= skip;
        if (n == 0 || failed(r))
            break;
        if (r->ended) {
            if (!is_space((const xmlChar *)p, n))
                fail(r, TERSE_ESTREAM,
                     "something behind the end of the stream");
            break;
        }
        if (r->outline) {
            size_t skipped = feed_skip(r, p, n);
            p += skipped;
            n -= skipped;
            continue;
        }
        if (lent(r))
            renew_parser(r);
        else if (!r->ctxt)
            make_parser(r);
        if (failed(r))
            break;
        size_t used = feed_slice(r, p, n < SLICE ? n : SLICE);
        p += used;
        n -= used;
    }
    return r->error.code != TERSE_OK ? r->error.code : r->cb_err;
}

void terse_reader_spare(struct terse_reader *r) { r->sparing = true; }

void terse_reader_restart(struct terse_reader *r) {
    r->error = (struct terse_error){0};
    r->cb_err = TERSE_OK;
    r->ended = false;
    r->outline = NULL;
    r->refused = TERSE_OK;
    if (r->in_callback && r->ctxt)
        r->pending = PENDING_RESTART; /* libxml2 is on the stack: later */
    else
        drop_parser(r);
}

/* ---- parsers that are lent --------------------------------------------------
 */

/* Whether nothing is half read. White space that libxml2 has not yet looked at
 * is nothing. */
static bool rests(const struct terse_reader *r) {
    if (!r->ctxt || !r->ctxt->input || failed(r) || r->in_callback ||
        r->pending || r->ended || r->depth != 1 || r->node ||
        r->header.len == 0)
        return false;
    const xmlParserInput *in = r->ctxt->input;
    return is_space(in->cur, (size_t)(in->end - in->cur));
}

/* libxml2 keeps a buffer as large as it ever needed. */
static bool grown(const struct terse_reader *r) {
    return r->ctxt->input->end - r->ctxt->input->base > 4 * SLICE;
}

struct terse_parser *terse_reader_lend(struct terse_reader *r) {
    if (r->outline)
        return NULL;
    if (!rests(r) || r->ctxt->input->cur != r->ctxt->input->end || grown(r)) {
        if (rests(r))
            drop_parser(r), r->depth = 1, r->lead = 2;
        if (!r->ctxt)
            arena_fini(&r->arena);
        return NULL;
    }
    struct terse_parser *parser = r->parser;
    parser->header = malloc(r->header.len);
    if (!parser->header)
        return NULL;
    parser->schema = r->schema;
    parser->fed = r->fed;
    parser->n_header = r->header.len;
    memcpy(parser->header, terse_buf_data(&r->header), r->header.len);
    r->parser = NULL;
    drop_parser(r);
    r->depth = 1;
    r->lead = 2;
    arena_fini(&r->arena);
    return parser;
}

bool terse_reader_wants(const struct terse_reader *r,
                        const struct terse_parser *parser) {
    return lent(r) && r->schema == parser->schema &&
           r->header.len == parser->n_header &&
           memcmp(terse_buf_data(&r->header), parser->header,
                  parser->n_header) == 0;
}

void terse_reader_borrow(struct terse_reader *r, struct terse_parser *parser) {
    free(parser->header);
    parser->header = NULL;
    r->parser = parser;
    r->ctxt = parser->ctxt;
    r->ctxt->userData = r;
    r->fed = r->start = parser->fed;
}

size_t terse_reader_memory(const struct terse_reader *r) {
    size_t n = r->arena.total + r->header.cap;
    if (r->ctxt && r->ctxt->input)
        n += PARSER_SIZE + (size_t)(r->ctxt->input->end - r->ctxt->input->base);
    return n;
}

const struct terse_error *terse_reader_error(const struct terse_reader *r) {
    return &r->error;
}

enum terse_err terse_reader_new(struct terse_reader **out,
                                const struct terse_schema *schema,
                                const struct terse_limits *limits,
                                terse_reader_cb cb, void *arg) {
    struct terse_reader *r = calloc(1, sizeof(*r));
    if (!r)
        return TERSE_ENOMEM;
    r->schema = schema;
    r->limits = *limits;
    if (r->limits.attributes > ATTRS_MAX)
        r->limits.attributes = ATTRS_MAX;
    r->scan.max_attrs = r->limits.attributes + SPACES_MAX;
    r->cb = cb;
    r->arg = arg;
    terse_buf_init(&r->header, HEADER_MAX);
    /* Text is copied when it outgrows its block, to one twice as large; an
     * attribute of 6 bytes takes a struct. */
    arena_init(&r->arena, (size_t)limits->stanza_bytes * 16 +
                              (size_t)limits->elements * 512 + 65536);
    *out = r;
    return TERSE_OK;
}

void terse_reader_free(struct terse_reader *r) {
    if (!r)
        return;
    drop_parser(r);
    arena_fini(&r->arena);
    terse_buf_fini(&r->header);
    free(r);
}
