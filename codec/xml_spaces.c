/* xml_spaces.c: see xml_spaces.h. The rules are those of Namespaces in XML 1.0,
 * sections 2.2, 3 and 5. */
#include "xml_spaces.h"

#include <string.h>

#include "str.h"

static const char ns_of_xmlns[] = "http://www.w3.org/2000/xmlns/";

void xml_spaces_begin(struct xml_spaces *spaces, xmlParserCtxtPtr ctxt) {
    /* libxml2 compares names by address: this is that of none. */
    static const xmlChar nothing[1];
    spaces->dict = ctxt->dict;
    spaces->xmlns = ctxt->str_xmlns;
    ctxt->str_xmlns = nothing;
}

static bool is(const xmlChar *s, const char *t) {
    return strcmp((const char *)s, t) == 0;
}

/* Whether a prefix (NULL: default) may stand for this namespace name. */
static bool allowed(const struct xml_spaces *spaces, const xmlChar *prefix,
                    const xmlChar *uri) {
    bool xml = prefix && is(prefix, "xml");
    return xml == is(uri, TERSE_NS_XML) && !is(uri, ns_of_xmlns) &&
           prefix != spaces->xmlns && (!prefix || uri[0]);
}

enum terse_err xml_spaces_add(const struct xml_spaces *spaces,
                              struct arena *arena, uint32_t max,
                              const xmlChar *const *attr,
                              const struct xml_space **scope) {
    const struct xml_space *outer = *scope;
    const xmlChar *prefix = attr[ATTR_PREFIX] ? attr[ATTR_LOCAL] : NULL;
    const xmlChar *uri = xmlDictLookup(spaces->dict, attr[ATTR_FROM],
                                       (int)(attr[ATTR_TO] - attr[ATTR_FROM]));
    if (!uri)
        return TERSE_ENOMEM;
    if (!allowed(spaces, prefix, uri))
        return TERSE_ENAMESPACE;
    uint32_t count = outer ? outer->count + 1 : 1;
    if (count > max)
        return TERSE_ELIMIT;
    struct xml_space *space = arena_alloc(arena, sizeof(*space));
    if (!space)
        return TERSE_ENOMEM;
    *space = (struct xml_space){outer, prefix, uri, count};
    *scope = space;
    return TERSE_OK;
}
