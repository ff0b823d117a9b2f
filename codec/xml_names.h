/*
 * xml_names.h: what schemas say of the names that a parser has met. A parser
 * gives the same name as the same pointer, so that looking up {ns}name compares
 * two pointers; the strings are looked at when a pair is new, or when another
 * took its place.
 */
#ifndef TERSE_XML_NAMES_H
#define TERSE_XML_NAMES_H

#include "schema.h"

struct xml_name {
    const char *ns, *name; /* of the parser's dictionary; ns NULL: none */
    uint32_t ns_n, name_n; /* their lengths */
    uint16_t qname;        /* schema_qname of them */
};

/* Call once, before there can be a second thread: readies libxml2. */
void xml_names_begin(void);

/* Of one parser; all zero at its start. */
enum { XML_NAMES_BITS = 7 };
struct xml_names {
    struct xml_name slots[1 << XML_NAMES_BITS];
};

void xml_names_learn(struct xml_name *slot, const struct terse_schema *schema,
                     const void *ns, const void *name);

/* Stays until the next call. */
static inline const struct xml_name *
xml_names_find(struct xml_names *names, const struct terse_schema *schema,
               const void *ns, const void *name) {
    uint64_t h = (uint64_t)(uintptr_t)ns * UINT64_C(0x9e3779b97f4a7c15);
    h = (h ^ (uint64_t)(uintptr_t)name) * UINT64_C(0xd6e8feb86659fd93);
    struct xml_name *slot = &names->slots[h >> (64 - XML_NAMES_BITS)];
    if (slot->name != name || slot->ns != ns)
        xml_names_learn(slot, schema, ns, name);
    return slot;
}

#endif
