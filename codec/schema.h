/*
 * schema.h: the tables of table.h, arranged to be walked fast. Made once,
 * immutable, shared by every translation.
 */
#ifndef TERSE_SCHEMA_H
#define TERSE_SCHEMA_H

#include "table.h"
#include "terse.h"
#include "wire.h"

/* How likely a string comes again, by its item: what a sender does with it. */
enum sc_kind {
    KIND_ONCE,    /* hardly */
    KIND_TOKEN,   /* one of few, such as the name of a client */
    KIND_ADDRESS, /* a JID */
};

/* The attributes of a stanza that answers are found by. */
enum sc_role { ROLE_NONE, ROLE_ID, ROLE_FROM, ROLE_TO };

struct sc_type;
struct sc_field {
    const struct table_field *t;
    const struct sc_type *inner; /* of the message that it holds, or NULL */
    struct terse_str proto, name, ns;
    /* What a decoder writes: "<name xmlns='ns'" and "</name>", of an ATTR
     * " name='"; p NULL where that depends on the stanza. */
    struct terse_str open, close;
    struct terse_str attr, attr_open; /* LEAF_ATTR: its attribute */
    uint16_t attr_qname;              /* of that */
    uint16_t index;                   /* in its type's fields */
    uint16_t place; /* index of the first private field of the same item, of
                       itself if it is not private */
    uint16_t twin;  /* index + 1 of the field of the same item whose form is
                       BASE64 where this one's is PLAIN, or PLAIN where this
                       one's is BASE64; 0: none */
    uint8_t wire;   /* enum wire_type */
    uint8_t kind;   /* enum sc_kind */
    uint8_t role;   /* enum sc_role */
};

struct sc_type {
    struct terse_str proto, name, ns;
    struct sc_field *fields; /* by ascending number */
    uint16_t n_fields;
    const struct sc_field *rest; /* or NULL */
    uint16_t *by_number;         /* number -> index + 1, 0 if there is none */
    uint32_t max_number;
};

/* One way to write an item: a field, and of a CHOICE its value. What an encoder
 * wants of the field stands here again: in one place, not in three. */
struct sc_way {
    const struct sc_field *field;
    uint32_t value, number;
    uint16_t since; /* schema revision that brought field and value */
    uint16_t index, values;
    uint8_t bind, form, flags;
};

/* The ways to write one item of one type, in the order in which they are to be
 * tried. */
struct sc_ways {
    const struct sc_way *ways;
    uint16_t n;
};

/* Field numbers of Element and Attr that no option describes. */
enum sc_element {
    ELEMENT_NAME_WORD = 1,
    ELEMENT_NAME = 2,
    ELEMENT_NS_WORD = 3,
    ELEMENT_NS = 4,
    ELEMENT_ATTR = 5,
    ELEMENT_TEXT = 6,
    ELEMENT_CHILD = 7,
    ELEMENT_TEXT_WORD = 8,
    ELEMENT_TEXT_DECIMAL = 9,
    ELEMENT_TEXT_BASE64 = 10,
    ELEMENT_TYPED = 16, /* and up */
};

enum sc_attr {
    ATTR_NAME_WORD = 1,
    ATTR_NAME = 2,
    ATTR_NS_WORD = 3,
    ATTR_NS = 4,
    ATTR_VALUE = 5,
    ATTR_VALUE_WORD = 6,
    ATTR_VALUE_DECIMAL = 7,
    ATTR_VALUE_UUID = 8,
    ATTR_VALUE_HEX = 9,
    ATTR_VALUE_BASE64 = 10,
};

/* An item of an element: which kind it is tells attributes and children of the
 * same name apart. */
enum sc_item { ITEM_TEXT, ITEM_ATTR, ITEM_CHILD };

/* Fields of a type that encoder and decoder can mark as used. */
enum { SC_FIELDS_MAX = 512 };
typedef uint64_t sc_used[SC_FIELDS_MAX / 64];

const struct sc_type *schema_type(const struct terse_schema *schema,
                                  uint16_t index);
const struct sc_type *schema_frame(const struct terse_schema *schema);
const struct sc_type *schema_element(const struct terse_schema *schema);
const struct sc_type *schema_attr(const struct terse_schema *schema);

/* The number that stands for {ns}name in the calls below; 0 if no schema names
 * it. */
uint16_t schema_qname(const struct terse_schema *schema, struct terse_str ns,
                      struct terse_str name);

/* The ways of `type` to write an item; n is 0 if it has none. qname is 0 for
 * ITEM_TEXT. */
struct sc_ways schema_ways(const struct terse_schema *schema,
                           const struct sc_type *type, enum sc_item item,
                           uint16_t qname);

/* The highest revision of any field or value. */
uint32_t schema_revision(const struct terse_schema *schema);

/* The field of this number, or NULL. */
static inline const struct sc_field *schema_field(const struct sc_type *type,
                                                  uint32_t number) {
    if (number > type->max_number || type->by_number[number] == 0)
        return NULL;
    return &type->fields[type->by_number[number] - 1];
}

/* Values of an enum: characters to number, if it is no newer than `revision`,
 * and back; false if it has none. */
bool schema_value(const struct terse_schema *schema, uint16_t values,
                  struct terse_str text, uint32_t revision, uint32_t *out);
bool schema_text(const struct terse_schema *schema, uint16_t values,
                 uint64_t number, struct terse_str *out);

/* What text_look (text.h) says of all texts of an enum at least. */
unsigned schema_text_look(const struct terse_schema *schema, uint16_t values);

/* The same for the dictionary. */
bool schema_word(const struct terse_schema *schema, struct terse_str text,
                 uint32_t revision, uint32_t *out);
bool schema_word_text(const struct terse_schema *schema, uint64_t number,
                      struct terse_str *out);

#endif
