/* emit_tables.c: tables.c, the constant data of codec/table.h. */
#include <string.h>

#include "codegen/model.h"

static const char *const bind_names[] = {
    [BIND_NONE] = "BIND_NONE",           [BIND_ATTR] = "BIND_ATTR",
    [BIND_TEXT] = "BIND_TEXT",           [BIND_LEAF] = "BIND_LEAF",
    [BIND_LEAF_ATTR] = "BIND_LEAF_ATTR", [BIND_FLAG] = "BIND_FLAG",
    [BIND_CHOICE] = "BIND_CHOICE",       [BIND_CHILD] = "BIND_CHILD",
    [BIND_REST] = "BIND_REST",
};

static const char *const form_names[] = {
    [FORM_PLAIN] = "FORM_PLAIN",
    [FORM_DECIMAL] = "FORM_DECIMAL",
    [FORM_SIGNED] = "FORM_SIGNED",
    [FORM_BOOLEAN] = "FORM_BOOLEAN",
    [FORM_UUID] = "FORM_UUID",
    [FORM_HEX] = "FORM_HEX",
    [FORM_BASE64] = "FORM_BASE64",
    [FORM_DATETIME] = "FORM_DATETIME",
    [FORM_DATETIME_MILLI] = "FORM_DATETIME_MILLI",
    [FORM_DATETIME_MICRO] = "FORM_DATETIME_MICRO",
    [FORM_WORD] = "FORM_WORD",
    [FORM_NAMED] = "FORM_NAMED",
    [FORM_PACKED] = "FORM_PACKED",
    [FORM_IDENT] = "FORM_IDENT",
};

static void add_string(struct text *out, const char *key, const char *s) {
    if (!s)
        return;
    text_printf(out, " .%s = ", key);
    text_add_literal(out, s);
    text_add(out, ",");
}

static void add_flags(struct text *out, const struct field *f) {
    const struct {
        bool on;
        const char *name;
    } rows[] = {
        {f->desc->label ==
             GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__LABEL__LABEL_REPEATED,
         "TABLE_REPEATED"},
        {f->rule.private, "TABLE_PRIVATE"},
        {f->rule.bulk, "TABLE_BULK"},
        {f->desc->type ==
                 GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_UINT32 ||
             f->desc->type ==
                 GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_SINT32,
         "TABLE_32BIT"},
    };
    const char *before = " .flags = ";
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        if (!rows[i].on)
            continue;
        text_printf(out, "%s%s", before, rows[i].name);
        before = " | ";
    }
    if (before[1] == '|')
        text_add(out, ",");
}

static void emit_field(struct text *out, const struct field *f) {
    text_printf(out, "    {.proto = \"%s\",", f->proto);
    add_string(out, "name", f->name);
    add_string(out, "ns", f->ns);
    add_string(out, "attr", f->attr);
    text_printf(out, "\n     .number = %d, .since = %u, .bind = %s,",
                f->desc->number, f->since, bind_names[f->bind]);
    text_printf(out, " .form = %s,", form_names[f->form]);
    if (f->type)
        text_printf(out, " .type = %u /* %s */,", f->type->index,
                    f->type->proto);
    if (f->values && f->form == FORM_NAMED)
        text_printf(out, " .values = %u /* %s */,", f->values->index,
                    f->values->proto);
    add_flags(out, f);
    text_add(out, "},\n");
}

static void emit_enum(struct text *out, const struct enumeration *e) {
    text_printf(out, "static const struct table_value values_%s[] = {\n",
                e->proto);
    for (size_t i = 0; i < e->n_values; i++) {
        text_add(out, "    {");
        text_add_literal(out, e->values[i].text);
        text_printf(out, ", %d, %u},\n", e->values[i].number,
                    (unsigned)e->values[i].since);
    }
    text_add(out, "};\n\n");
}

static void emit_enum_list(struct text *out, const struct model *m) {
    for (size_t i = 0; i < m->n_enums; i++)
        emit_enum(out, &m->enums[i]);
    text_add(out, "static const struct table_enum enums[] = {\n");
    for (size_t i = 0; i < m->n_enums; i++)
        text_printf(out,
                    "    [%u] = {.proto = \"%s\", .values = values_%s, "
                    ".n_values = %zu},\n",
                    m->enums[i].index, m->enums[i].proto, m->enums[i].proto,
                    m->enums[i].n_values);
    text_add(out, "};\n\n");
}

static void emit_type(struct text *out, const struct message *msg) {
    text_printf(out, "    [%u] = {.proto = \"%s\",", msg->index, msg->proto);
    add_string(out, "name", msg->element.name);
    add_string(out, "ns", msg->element.ns);
    if (msg->n_fields)
        text_printf(out, "\n     .fields = fields_%s, .n_fields = %zu},\n",
                    msg->proto, msg->n_fields);
    else
        text_add(out, "},\n");
}

static void emit_types(struct text *out, const struct model *m) {
    for (size_t i = 0; i < m->n_messages; i++) {
        const struct message *msg = &m->messages[i];
        if (!msg->n_fields)
            continue;
        text_printf(out, "static const struct table_field fields_%s[] = {\n",
                    msg->proto);
        for (size_t j = 0; j < msg->n_fields; j++)
            emit_field(out, &msg->fields[j]);
        text_add(out, "};\n\n");
    }
    text_add(out, "static const struct table_type types[] = {\n");
    for (size_t i = 0; i < m->n_messages; i++)
        emit_type(out, &m->messages[i]);
    text_add(out, "};\n\n");
}

void emit_tables(const struct model *m, struct text *out) {
    text_add(out, "/* Written by protoc-gen-terse; do not edit. */\n"
                  "#include \"codec/table.h\"\n\n");
    emit_enum_list(out, m);
    emit_types(out, m);
    text_printf(out,
                "const struct tables terse_tables = {\n"
                "    .types = types,\n    .enums = enums,\n"
                "    .n_types = %zu,\n    .n_enums = %zu,\n"
                "    .frame = %u,\n    .element = %u,\n    .attr = %u,\n"
                "    .word = %u,\n    .revision = %u,\n};\n",
                m->n_messages, m->n_enums, m->special[SPECIAL_FRAME]->index,
                m->special[SPECIAL_ELEMENT]->index,
                m->special[SPECIAL_ATTR]->index, m->word->index,
                model_revision(m));
}
