/* xml_spaces.c: see xml_spaces.h. The rules are those of Namespaces in XML 1.0,
 * sections 2.2, 3 and 5. */
#include "xml_spaces.h"

#include <string.h>

#include "str.h"

static const char ns_of_xmlns[] = "http://www.w3.org/2000/xmlns/";

void xml_spaces_begin(struct xml_spaces *spaces, xmlParserCtxtPtr ctxt) {
    /* libxml2 compares names by address: this is that of none. */
    static const xmlChar nothing[1];
    *spaces = (struct xml_spaces){.dict = ctxt->dict, .xmlns = ctxt->str_xmlns};
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

/* Sets *uri to the n bytes at p, in the dictionary. */
static enum terse_err look_up(struct xml_spaces *spaces, const xmlChar *prefix,
                              const xmlChar *p, size_t n, const xmlChar **uri) {
    struct xml_recent *r = &spaces->recent[0];
    if (n > 0)
        r += (n + p[n - 1] + p[n / 2]) % XML_SPACES_RECENT;
    *uri = r->uri;
    if (!prefix && r->uri && r->n == n && memcmp(r->uri, p, n) == 0)
        return TERSE_OK;
    *uri = xmlDictLookup(spaces->dict, p, (int)n);
    if (!*uri)
        return TERSE_ENOMEM;
    if (!allowed(spaces, prefix, *uri))
        return TERSE_ENAMESPACE;
    if (!prefix)
        *r = (struct xml_recent){*uri, n};
    return TERSE_OK;
}

enum terse_err xml_spaces_add(struct xml_spaces *spaces, struct arena *arena,
                              uint32_t max, const xmlChar *const *attr,
                              const struct xml_space **scope) {
    const struct xml_space *outer = *scope;
    const xmlChar *prefix = attr[ATTR_PREFIX] ? attr[ATTR_LOCAL] : NULL, *uri;
    enum terse_err err =
        look_up(spaces, prefix, attr[ATTR_FROM],
                (size_t)(attr[ATTR_TO] - attr[ATTR_FROM]), &uri);
    if (err != TERSE_OK)
        return err;
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
