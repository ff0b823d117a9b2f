/* xml_names.c: see xml_names.h. */
#include "xml_names.h"

#include <libxml/parser.h>

#include "str.h"

void xml_names_begin(void) { xmlInitParser(); }

void xml_names_learn(struct xml_name *slot, const struct terse_schema *schema,
                     const void *ns, const void *name) {
    struct terse_str u = str_of(ns ? ns : ""), n = str_of(name);
    *slot = (struct xml_name){ns, name, (uint32_t)u.n, (uint32_t)n.n,
                              schema_qname(schema, u, n)};
}
