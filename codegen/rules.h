/*
 * rules.h: the options of schemas/terse/options.proto. protobuf-c knows no
 * extensions, so they arrive as unknown fields of the options' messages: one
 * per occurrence, to be merged in order.
 */
#ifndef TERSE_CODEGEN_RULES_H
#define TERSE_CODEGEN_RULES_H

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stdint.h>

#include "codec/table.h"

/* (terse.element). Strings are NULL where not given. */
struct element_rule {
    bool given;
    const char *name, *ns;
};

/* (terse.field). */
struct field_rule {
    bool given;
    const char *attr, *leaf, *flag, *child, *ns;
    bool text, choice, rest, private, bulk;
    bool has_form, has_since;
    enum table_form form;
    uint64_t since;
};

/* Each reads the rule out of an options message, which may be NULL. False if
 * the bytes are no such rule. */
bool rules_element(const ProtobufCMessage *options, struct element_rule *out);
bool rules_field(const ProtobufCMessage *options, struct field_rule *out);
/* (terse.value) and (terse.value_since); each as it was where it is not there.
 */
bool rules_value(const ProtobufCMessage *options, const char **value,
                 uint64_t *since);

#endif
