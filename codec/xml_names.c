/* xml_names.c: see xml_names.h. */
#include "xml_names.h"

#include <libxml/xmlstring.h>

#include <libxml/dict.h>
#include <libxml/parser.h>
#include <stdlib.h>
#include <string.h>

struct name_slot {
    const xmlChar *ns, *name; /* name NULL: free */
    uint16_t qname;
};

struct xml_names {
    xmlDictPtr dict;
    struct name_slot *slots;
    uint32_t mask, used;
};

static uint32_t slot_of(const struct xml_names *names, const void *ns,
                        const void *name) {
    uint64_t h = (uint64_t)(uintptr_t)ns * UINT64_C(0x9e3779b97f4a7c15);
    h = (h ^ (uint64_t)(uintptr_t)name) * UINT64_C(0xd6e8feb86659fd93);
    return (uint32_t)(h >> 32) & names->mask;
}

static struct name_slot *find(const struct xml_names *names, const void *ns,
                              const void *name) {
    uint32_t i = slot_of(names, ns, name);
    while (names->slots[i].name &&
           (names->slots[i].name != name || names->slots[i].ns != ns))
        i = (i + 1) & names->mask;
    return &names->slots[i];
}

static bool grow(struct xml_names *names, uint32_t size) {
    struct xml_names bigger = *names;
    bigger.mask = size - 1;
    bigger.slots = calloc(size, sizeof(*bigger.slots));
    if (!bigger.slots)
        return false;
    for (uint32_t i = 0; names->slots && i <= names->mask; i++)
        if (names->slots[i].name)
            *find(&bigger, names->slots[i].ns, names->slots[i].name) =
                names->slots[i];
    free(names->slots);
    *names = bigger;
    return true;
}

static bool add(void *arg, struct terse_str ns, struct terse_str name,
                uint16_t qname) {
    struct xml_names *names = arg;
    const xmlChar *n =
        xmlDictLookup(names->dict, (const xmlChar *)name.p, (int)name.n);
    const xmlChar *u =
        ns.n == 0
            ? NULL
            : xmlDictLookup(names->dict, (const xmlChar *)ns.p, (int)ns.n);
    if (!n || (ns.n > 0 && !u))
        return false;
    if (names->used * 2 > names->mask && !grow(names, (names->mask + 1) * 2))
        return false;
    *find(names, u, n) = (struct name_slot){u, n, qname};
    names->used++;
    return true;
}

struct xml_names *xml_names_new(const struct terse_schema *schema) {
    struct xml_names *names = calloc(1, sizeof(*names));
    if (!names)
        return NULL;
    xmlInitParser(); /* once, before there can be a second thread */
    names->dict = xmlDictCreate();
    if (!names->dict || !grow(names, 1024) ||
        !schema_each_name(schema, add, names)) {
        xml_names_free(names);
        return NULL;
    }
    return names;
}

void xml_names_free(struct xml_names *names) {
    if (!names)
        return;
    if (names->dict)
        xmlDictFree(names->dict);
    free(names->slots);
    free(names);
}

uint16_t xml_names_find(const struct xml_names *names, const void *ns,
                        const void *name) {
    return find(names, ns, name)->qname;
}

void *xml_names_dict(const struct xml_names *names) { return names->dict; }
