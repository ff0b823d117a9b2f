/*
 * xml_names.h: every name that a schema mentions, in one libxml2 dictionary
 * that all parsers share. A parser gives back a known name as the dictionary's
 * own pointer, so that looking up {ns}name compares two pointers.
 */
#ifndef TERSE_XML_NAMES_H
#define TERSE_XML_NAMES_H

#include "schema.h"

/* NULL if there is no memory. */
struct xml_names *xml_names_new(const struct terse_schema *schema);
void xml_names_free(struct xml_names *names);

/* The qname of a pair of names as a parser of xml_names_dict gave them; ns may
 * be NULL for none. 0 if no schema names it. */
uint16_t xml_names_find(const struct xml_names *names, const void *ns,
                        const void *name);

/* The dictionary (an xmlDictPtr), to make a parser's own from by
 * xmlDictCreateSub. */
void *xml_names_dict(const struct xml_names *names);

#endif
