/*
 * xml_spaces.h: the namespace declarations inside of a stream's elements.
 *
 * libxml2 takes each namespace name apart as a URI, which is a quarter of its
 * time for XMPP and nearly all its calls of malloc, only to warn of what is
 * none. So it reads those of the stream header and is then kept from knowing
 * the rest: they come as attributes, and are understood here.
 */
#ifndef TERSE_XML_SPACES_H
#define TERSE_XML_SPACES_H

#include <libxml/parser.h>

#include "arena.h"
#include "terse.h"

/* A declaration and those around it, innermost first. Lives in the arena of the
 * element that it is in; names belong to the parser's dictionary. */
struct xml_space {
    const struct xml_space *outer;
    const xmlChar *prefix; /* NULL: the default namespace */
    const xmlChar *uri;    /* "": none */
    uint32_t count;        /* this one and outer ones */
};

/* An attribute as libxml2 gives it: five pointers. */
enum xml_attr_at { ATTR_LOCAL, ATTR_PREFIX, ATTR_URI, ATTR_FROM, ATTR_TO };

/* Of one parser; all zero before its header. */
enum { XML_SPACES_RECENT = 16 };
struct xml_spaces {
    xmlDictPtr dict;
    const xmlChar *xmlns; /* the name, in dict */
    struct xml_recent {
        const xmlChar *uri; /* in dict; NULL: free */
        size_t n;
    } recent[XML_SPACES_RECENT]; /* default namespaces that were declared */
};

/* Call with the start tag of the stream: from then on `ctxt` declares nothing
 * itself. */
void xml_spaces_begin(struct xml_spaces *spaces, xmlParserCtxtPtr ctxt);

static inline bool xml_is_space(const struct xml_spaces *spaces,
                                const xmlChar *const *attr) {
    return attr[ATTR_PREFIX] == spaces->xmlns ||
           (attr[ATTR_LOCAL] == spaces->xmlns && !attr[ATTR_PREFIX]);
}

/* Puts what the attribute `attr` declares in front of *scope. TERSE_ENAMESPACE
 * if it must not be declared, TERSE_ELIMIT over `max` around one element,
 * TERSE_ENOMEM. */
TERSE_NODISCARD enum terse_err xml_spaces_add(struct xml_spaces *spaces,
                                              struct arena *arena, uint32_t max,
                                              const xmlChar *const *attr,
                                              const struct xml_space **scope);

/* The namespace that a prefix stands for, NULL for none; `uri` is what libxml2
 * knows, from the header. False if a prefix is not declared. */
static inline bool xml_spaces_find(const struct xml_space *scope,
                                   const xmlChar *prefix, const xmlChar **uri) {
    for (; scope; scope = scope->outer)
        if (scope->prefix == prefix) {
            *uri = scope->uri[0] ? scope->uri : NULL;
            break;
        }
    return *uri || !prefix;
}

#endif
