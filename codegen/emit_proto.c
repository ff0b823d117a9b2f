/*
 * emit_proto.c: terse.proto, the schema that is published: one flat file that
 * any stock protoc reads, the XML mapping kept as comments.
 */
#include <stdio.h>
#include <string.h>

#include "codegen/model.h"

/* Comment text as protoc hands it over: each line starts with its blank. */
static void emit_comment(struct text *out, const char *comment) {
    for (const char *p = comment; p && *p;) {
        size_t n = strcspn(p, "\n");
        while (n > 0 && (p[n - 1] == ' ' || p[n - 1] == '\r'))
            n--;
        text_add(out, "//");
        text_add_n(out, p, n);
        text_add(out, "\n");
        p += strcspn(p, "\n");
        if (*p)
            p++;
    }
}

static void emit_enum(struct text *out, const struct enumeration *e) {
    text_add(out, "\n");
    emit_comment(out, e->comment);
    text_printf(out, "enum %s {\n", e->proto);
    for (size_t i = 0; i < e->n_values; i++) {
        const struct value *v = &e->values[i];
        text_printf(out, "  %s = %d;  // \"", v->proto, v->number);
        text_add_escaped(out, v->text ? v->text : "");
        text_add(out, "\"");
        if (v->since > 1)
            text_printf(out, "; since %u", (unsigned)v->since);
        text_add(out, "\n");
    }
    text_add(out, "}\n");
}

const char *model_type_name(const struct field *f) {
    static const char *const names[] = {
        [GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_STRING] =
            "string",
        [GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_UINT32] =
            "uint32",
        [GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_UINT64] =
            "uint64",
        [GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_SINT32] =
            "sint32",
        [GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_SINT64] =
            "sint64",
        [GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_BOOL] = "bool",
        [GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_BYTES] = "bytes",
    };
    if (f->type)
        return f->type->proto;
    if (f->values)
        return f->values->proto;
    return names[f->desc->type];
}

/* Behind its XML, what else who writes a frame must know of a field. */
static void add_note(const char *note, struct text *out) {
    text_printf(out, "%s%s", out->len ? "; " : "", note);
}

/* Fields of Frame that stand for no XML are about state. */
static void describe(const struct message *msg, const struct field *f,
                     struct text *out) {
    if (msg->special == SPECIAL_FRAME && f->bind == BIND_NONE && !f->type)
        text_add(out, "state");
    else
        model_describe(f, out);
}

static void emit_field(struct text *out, const struct message *msg,
                       const struct field *f, bool in_oneof) {
    struct text item = {0};
    char since[32];
    describe(msg, f, &item);
    if (f->rule.private)
        add_note(f->rule.bulk ? "private, bulk" : "private", &item);
    snprintf(since, sizeof(since), "since %u", (unsigned)f->since);
    if (f->since > 1)
        add_note(since, &item);
    const char *label =
        in_oneof ? "  "
        : f->desc->label ==
                GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__LABEL__LABEL_REPEATED
            ? "repeated "
            : "optional ";
    text_printf(out, "  %s%s %s = %d;", label, model_type_name(f), f->proto,
                f->desc->number);
    if (item.len)
        text_printf(out, "  // %s", item.data);
    text_add(out, "\n");
}

static void emit_message(struct text *out, const struct message *msg) {
    bool in_oneof = false;
    text_add(out, "\n");
    emit_comment(out, msg->comment);
    if (msg->element.given) {
        text_printf(out, "// <%s xmlns='", msg->element.name);
        text_add_escaped(out, msg->element.ns);
        text_add(out, "'>\n");
    }
    text_printf(out, "message %s {\n", msg->proto);
    for (size_t i = 0; i < msg->n_fields; i++) {
        const struct field *f = &msg->fields[i];
        bool typed = msg->special == SPECIAL_ELEMENT && f->extension;
        if (typed && !in_oneof)
            text_add(out, "  oneof is {\n");
        in_oneof = typed;
        emit_field(out, msg, f, in_oneof);
    }
    text_add(out, in_oneof ? "  }\n}\n" : "}\n");
}

void emit_proto(const struct model *m, struct text *out) {
    size_t i = 0, j = 0;
    text_add(
        out,
        "// The frames of Terse, for any Protobuf library: one Frame is "
        "one top-level\n// element of an XMPP stream. Fields come in the "
        "order of the XML they stand\n// for; behind each stands its XML, "
        "\"private\" where no state may keep its\n// value, and the schema "
        "revision that brought it, if not the first. Written\n// by "
        "protoc-gen-terse; do not edit.\n"
        "syntax = \"proto2\";\npackage terse;\n");
    while (i < m->n_messages || j < m->n_enums) {
        if (j == m->n_enums ||
            (i < m->n_messages && m->messages[i].order < m->enums[j].order))
            emit_message(out, &m->messages[i++]);
        else
            emit_enum(out, &m->enums[j++]);
    }
}
