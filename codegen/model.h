/*
 * model.h: the schemas as the generator sees them: messages with the fields
 * that other files added to them, in the order in which they are published.
 */
#ifndef TERSE_CODEGEN_MODEL_H
#define TERSE_CODEGEN_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "codec/table.h"
#include "codegen/report.h"
#include "codegen/rules.h"
#include "google/protobuf/compiler/plugin.pb-c.h"

typedef Google__Protobuf__FieldDescriptorProto FieldProto;
typedef Google__Protobuf__DescriptorProto MessageProto;
typedef Google__Protobuf__EnumDescriptorProto EnumProto;
typedef Google__Protobuf__FileDescriptorProto FileProto;
typedef Google__Protobuf__Compiler__CodeGeneratorRequest Request;

struct message;

struct value {
    const char *proto; /* name in the schema */
    const char *text;  /* (terse.value), or NULL */
    int32_t number;
    uint64_t since; /* schema revision that brought it */
    struct place at;
};

struct enumeration {
    const char *proto;
    const char *comment; /* what stands before it, or NULL */
    struct value *values;
    size_t n_values;
    struct place at;
    size_t order;   /* among all that is published */
    uint16_t index; /* in the tables */
    bool used;      /* by a field */
};

struct field {
    const char *proto; /* as published: without its container's prefix */
    const FieldProto *desc;
    struct place at;
    struct field_rule rule;
    bool extension;
    struct message *type;       /* of message fields, or NULL */
    struct enumeration *values; /* of enum fields, or NULL */

    /* What bind.c makes of the rule; see table.h. */
    enum table_bind bind;
    enum table_form form;
    const char *name, *ns, *attr;
    uint16_t since;
};

/* Messages that the engine knows by name. */
enum special {
    SPECIAL_NO,
    SPECIAL_FRAME,
    SPECIAL_ELEMENT,
    SPECIAL_ATTR,
    SPECIAL_CLOSE,
};

struct message {
    const char *proto;
    const char *comment; /* what stands before it, or NULL */
    const MessageProto *desc;
    struct place at;
    size_t order; /* among all that is published */
    struct element_rule element;
    enum special special;
    struct field *fields; /* by ascending number */
    size_t n_fields;
    uint16_t index; /* in the tables */
    bool reached;   /* from Frame */
};

struct model {
    struct message *messages; /* as published */
    size_t n_messages;
    struct enumeration *enums; /* as published */
    size_t n_enums;
    struct message *special[SPECIAL_CLOSE + 1]; /* NULL if missing */
    struct enumeration *word;                   /* NULL if missing */
};

/* Reads the files of package terse out of a request and merges extensions into
 * the messages they extend. Strings and descriptors stay borrowed from the
 * request. What is wrong goes to the report; the model is whole without it. */
void model_load(struct model *m, const Request *request, struct report *r);

/* The item that a field stands for, for people, e.g. "attribute to". */
void model_describe(const struct field *f, struct text *out);

/* A form's name in the schema, and a type's. */
const char *model_form_name(enum table_form form);
const char *model_type_name(const struct field *f);

/* The highest `since` there is. */
unsigned model_revision(const struct model *m);

/* bind.c: fills in the second half of each field. */
void model_bind(struct model *m, struct report *r);

/* check.c: refuses what cannot be mapped, once fields are bound. */
void model_check(struct model *m, struct report *r);

/* Refuses a file that has no vector in `dir`. */
void check_vectors(const Request *request, const char *dir, struct report *r);

/* lock.c: refuses what breaks with the lock at `path`. */
void lock_check(const struct model *m, const char *path, struct report *r);
/* The lock as it is to be now: a draft if that at `path` is one or there is
 * none, else what breaks with that is refused. */
void lock_write(const struct model *m, const char *path, struct text *out,
                struct report *r);

/* emit_*.c: what is written. */
void emit_tables(const struct model *m, struct text *out);
void emit_proto(const struct model *m, struct text *out);

#endif
