/* node.h: one element as it was read. Lives in the reader's arena. */
#ifndef TERSE_NODE_H
#define TERSE_NODE_H

#include "terse.h"

struct xml_space; /* the reader's own: xml_spaces.h */

struct node_attr {
    struct terse_str name, ns, value;
    uint16_t qname; /* schema_qname of {ns}name, 0 if no schema names it */
};

/* An element, or (name.p == NULL) a run of text. Two runs never touch. */
struct terse_node {
    struct terse_node *parent, *prev, *next, *first, *last;
    struct terse_str name, ns;
    struct terse_str text;
    struct node_attr *attrs;
    uint32_t n_attrs;
    uint16_t qname;
    const struct xml_space *scope; /* declarations around its content */
};

static inline bool node_is_text(const struct terse_node *node) {
    return node->name.p == NULL;
}

#endif
