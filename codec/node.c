/* node.c: looking at what the reader read. */
#include "node.h"

#include "str.h"

struct terse_str terse_node_name(const struct terse_node *node) {
    return node->name;
}

struct terse_str terse_node_ns(const struct terse_node *node) {
    return node->ns;
}

bool terse_node_is(const struct terse_node *node, const char *ns,
                   const char *name) {
    return !node_is_text(node) && str_is(node->name, name) &&
           str_is(node->ns, ns);
}

bool terse_node_attr(const struct terse_node *node, const char *ns,
                     const char *name, struct terse_str *out) {
    for (uint32_t i = 0; i < node->n_attrs; i++) {
        const struct node_attr *attr = &node->attrs[i];
        if (str_is(attr->name, name) && str_is(attr->ns, ns)) {
            *out = attr->value;
            return true;
        }
    }
    return false;
}

bool terse_str_copy(struct terse_str s, char *out, size_t size) {
    if (s.n >= size || (s.n > 0 && memchr(s.p, 0, s.n)))
        return false;
    if (s.n > 0)
        memcpy(out, s.p, s.n);
    out[s.n] = '\0';
    return true;
}

bool terse_node_text(const struct terse_node *node, struct terse_str *out) {
    *out = (struct terse_str){"", 0};
    if (!node->first)
        return true;
    if (node->first != node->last || !node_is_text(node->first))
        return false;
    *out = node->first->text;
    return true;
}

/* `node` or the first element behind it. */
static struct terse_node *element_from(struct terse_node *node) {
    while (node && node_is_text(node))
        node = node->next;
    return node;
}

struct terse_node *terse_node_child(const struct terse_node *node) {
    return element_from(node->first);
}

struct terse_node *terse_node_next(const struct terse_node *node) {
    return element_from(node->next);
}

void terse_node_remove(struct terse_node *parent, struct terse_node *child) {
    if (child->prev)
        child->prev->next = child->next;
    else
        parent->first = child->next;
    if (child->next)
        child->next->prev = child->prev;
    else
        parent->last = child->prev;
    child->parent = child->prev = child->next = NULL;
}
