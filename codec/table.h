/*
 * table.h: the tables that protoc-gen-terse writes and the engine walks; the
 * sole contract between codegen/ and codec/.
 *
 * A table_type is one Protobuf message, that is one XML element. A table_field
 * is one of its fields, that is one item of that element. Everything here is
 * constant data with static storage; schema.c derives from it what the walkers
 * need to find things fast.
 */
#ifndef TERSE_TABLE_H
#define TERSE_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What XML item a field stands for: (terse.field) of options.proto. */
enum table_bind {
    BIND_NONE,      /* a field of Element or Attr that generic.c knows itself */
    BIND_ATTR,      /* attribute {ns}name */
    BIND_TEXT,      /* a run of the element's own text */
    BIND_LEAF,      /* child {ns}name that holds text only */
    BIND_LEAF_ATTR, /* child {ns}name that holds the attribute attr only */
    BIND_FLAG,      /* child {ns}name that holds nothing */
    BIND_CHOICE,    /* child {ns}V that holds nothing, V a value of the enum */
    BIND_CHILD,     /* child {ns}name, a message of type `type` */
    BIND_REST,      /* message Element: all else */
};

/* How characters are written as a value: terse.Form of options.proto. The
 * numbers are the same. */
enum table_form {
    FORM_PLAIN,
    FORM_DECIMAL,
    FORM_SIGNED,
    FORM_BOOLEAN,
    FORM_UUID,
    FORM_HEX,
    FORM_BASE64,
    FORM_DATETIME,
    FORM_DATETIME_MILLI,
    FORM_DATETIME_MICRO,
    FORM_WORD,
    FORM_NAMED,
    FORM_PACKED = 13,
    FORM_IDENT,
};

enum table_flag {
    TABLE_REPEATED = 1, /* may come any number of times */
    TABLE_PRIVATE = 2,  /* free text or a secret: never kept in state */
    TABLE_BULK = 8,     /* private, but may be deflated with its frame */
    TABLE_32BIT = 4,    /* uint32 or sint32: larger values do not fit */
};

struct table_field {
    const char *proto; /* name in the schema, for errors and `inspect` */
    const char *name;  /* local name of the attribute or child, or NULL */
    const char *ns;    /* its namespace; "" is none; NULL where no name.
                          A CHOICE has ns, and no name. */
    const char *attr;  /* LEAF_ATTR: the attribute (in no namespace) */
    uint32_t number;   /* Protobuf field number */
    uint16_t type;     /* CHILD, REST: index into table_types */
    uint16_t values;   /* NAMED, CHOICE: index into table_enums */
    uint16_t since;    /* schema revision that brought it */
    uint8_t bind;      /* enum table_bind */
    uint8_t form;      /* enum table_form; of CHOICE: FORM_NAMED */
    uint8_t flags;     /* enum table_flag */
};

struct table_type {
    const char *proto; /* message name, e.g. "Message" */
    const char *name;  /* element, or NULL where the message has none */
    const char *ns;
    const struct table_field *fields; /* by ascending number */
    uint16_t n_fields;
};

struct table_value {
    const char *text; /* the characters that the value stands for */
    uint32_t number;
    uint16_t since; /* schema revision that brought it */
};

struct table_enum {
    const char *proto;
    const struct table_value *values; /* by ascending number */
    uint16_t n_values;
};

struct tables {
    const struct table_type *types;
    const struct table_enum *enums;
    uint16_t n_types;
    uint16_t n_enums;
    uint16_t frame;    /* index of type Frame */
    uint16_t element;  /* index of type Element */
    uint16_t attr;     /* index of type Attr */
    uint16_t word;     /* index of enum Word */
    uint16_t revision; /* the highest `since` of all fields and values */
};

/* The tables of schemas/, written by protoc-gen-terse into build/gen/tables.c.
 * Type Close has no element and no field. */
extern const struct tables terse_tables;

#endif
