/*
 * bind.c: from (terse.field) to the XML item and the form of each field, with
 * all defaults put in.
 */
#include <string.h>

#include "codegen/model.h"

#define XML_NS "http://www.w3.org/XML/1998/namespace"

/* Short for what every function here needs. */
struct binding {
    struct model *m;
    const struct message *in;
    struct field *f;
    struct report *r;
};

#define REFUSE(b, ...) report_add((b)->r, (b)->f->at, __VA_ARGS__)

/* ---- forms ----------------------------------------------------------------
 */

static const char *const form_names[] = {
    [FORM_PLAIN] = "PLAIN",
    [FORM_DECIMAL] = "DECIMAL",
    [FORM_SIGNED] = "SIGNED",
    [FORM_BOOLEAN] = "BOOLEAN",
    [FORM_UUID] = "UUID",
    [FORM_HEX] = "HEX",
    [FORM_BASE64] = "BASE64",
    [FORM_DATETIME] = "DATETIME",
    [FORM_DATETIME_MILLI] = "DATETIME_MILLI",
    [FORM_DATETIME_MICRO] = "DATETIME_MICRO",
    [FORM_WORD] = "WORD",
    [FORM_NAMED] = "NAMED",
    [FORM_PACKED] = "PACKED",
    [FORM_IDENT] = "IDENT",
};

#define TYPE(name) GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__TYPE__TYPE_##name
#define BIT(form) (1u << FORM_##form)

struct type_row {
    const char *name;
    unsigned forms; /* bits; 0: the type has no form at all */
    int standard;   /* the form where none is given; -1: it must be given */
};

static const struct type_row *type_row(const struct binding *b) {
    static const struct type_row rows[] = {
        [TYPE(STRING)] = {"string", BIT(PLAIN), FORM_PLAIN},
        [TYPE(UINT32)] = {"uint32", BIT(DECIMAL), FORM_DECIMAL},
        [TYPE(UINT64)] = {"uint64", BIT(DECIMAL), FORM_DECIMAL},
        [TYPE(SINT32)] = {"sint32", BIT(SIGNED), FORM_SIGNED},
        [TYPE(SINT64)] = {"sint64",
                          BIT(SIGNED) | BIT(DATETIME) | BIT(DATETIME_MILLI) |
                              BIT(DATETIME_MICRO),
                          FORM_SIGNED},
        [TYPE(BOOL)] = {"bool", BIT(BOOLEAN), FORM_BOOLEAN},
        [TYPE(BYTES)] = {"bytes",
                         BIT(UUID) | BIT(HEX) | BIT(BASE64) | BIT(PACKED) |
                             BIT(IDENT),
                         -1},
        [TYPE(ENUM)] = {"enum", BIT(NAMED), FORM_NAMED},
        [TYPE(DOUBLE)] = {"double", 0, -1},
        [TYPE(FLOAT)] = {"float", 0, -1},
        [TYPE(INT32)] = {"int32", 0, -1},
        [TYPE(INT64)] = {"int64", 0, -1},
        [TYPE(FIXED32)] = {"fixed32", 0, -1},
        [TYPE(FIXED64)] = {"fixed64", 0, -1},
        [TYPE(SFIXED32)] = {"sfixed32", 0, -1},
        [TYPE(SFIXED64)] = {"sfixed64", 0, -1},
        [TYPE(GROUP)] = {"group", 0, -1},
        [TYPE(MESSAGE)] = {"message", 0, -1},
    };
    static const struct type_row word = {"Word", BIT(WORD), FORM_WORD};
    if (b->f->values && b->f->values == b->m->word)
        return &word;
    return &rows[b->f->desc->type];
}

/* Fields of Element and Attr, and Frame's own numbers, have no rule; their
 * names say how they are written. */
static int form_by_name(const struct binding *b) {
    static const struct {
        const char *end;
        enum table_form form;
    } rows[] = {{"_uuid", FORM_UUID},
                {"_hex", FORM_HEX},
                {"_base64", FORM_BASE64},
                {"deflated", FORM_BASE64}};
    size_t n = strlen(b->f->proto);
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        size_t end = strlen(rows[i].end);
        if (n >= end && strcmp(b->f->proto + n - end, rows[i].end) == 0)
            return (int)rows[i].form;
    }
    return -1;
}

static void bind_form(const struct binding *b) {
    const struct type_row *row = type_row(b);
    struct field *f = b->f;
    if (row->forms == 0) {
        REFUSE(b,
               "%s is of type %s, which has no form; use string, uint32, "
               "uint64, sint32, sint64, bool, bytes or an enum",
               f->proto, row->name);
        return;
    }
    int form = f->rule.has_form ? (int)f->rule.form : row->standard;
    if (form < 0 && f->bind == BIND_NONE)
        form = form_by_name(b);
    if (form < 0) {
        REFUSE(b,
               "%s is of type bytes, add form: UUID, HEX, BASE64, PACKED or "
               "IDENT",
               f->proto);
    } else if (!(row->forms & 1u << form)) {
        struct text fit = {0};
        for (unsigned i = 0; i <= FORM_IDENT; i++)
            if (row->forms & 1u << i)
                text_printf(&fit, "%s%s", fit.len ? " or " : "", form_names[i]);
        REFUSE(b, "%s has form %s, but %s takes %s", f->proto, form_names[form],
               row->name, fit.data);
    } else {
        f->form = (enum table_form)form;
    }
}

/* ---- items ----------------------------------------------------------------
 */

static int count_items(const struct field_rule *r) {
    bool attr = r->attr && !r->leaf; /* leaf with attr is one item */
    return attr + r->text + (r->leaf != NULL) + (r->flag != NULL) + r->choice +
           (r->child != NULL) + r->rest;
}

/* The namespace of a child, if neither rule nor element says one. */
static void default_ns(const struct binding *b) {
    struct field *f = b->f;
    f->ns = f->rule.ns ? f->rule.ns : b->in->element.ns;
    if (!f->ns)
        REFUSE(b,
               "%s needs a namespace, since %s has no (terse.element): add "
               "ns: \"...\"",
               f->proto, b->in->proto);
}

static void bind_attr(const struct binding *b) {
    static const char prefix[] = "xml:";
    struct field *f = b->f;
    f->bind = BIND_ATTR;
    f->name = f->rule.attr;
    f->ns = f->rule.ns ? f->rule.ns : "";
    if (strncmp(f->name, prefix, strlen(prefix)) == 0) {
        if (f->rule.ns)
            REFUSE(b, "%s has prefix xml: and ns, remove one", f->proto);
        f->name += strlen(prefix);
        f->ns = XML_NS;
    }
    if (f->desc->label ==
        GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__LABEL__LABEL_REPEATED)
        REFUSE(b,
               "%s is repeated, but an attribute comes once: make it "
               "optional",
               f->proto);
}

static void bind_leaf(const struct binding *b) {
    struct field *f = b->f;
    f->bind = f->rule.attr ? BIND_LEAF_ATTR : BIND_LEAF;
    f->name = f->rule.leaf;
    f->attr = f->rule.attr;
    default_ns(b);
}

/* A child that holds nothing: its form says which of a message's rules. */
static void bind_empty(const struct binding *b, int type, const char *item,
                       const char *wanted) {
    struct field *f = b->f;
    if ((int)f->desc->type != type || (f->values && f->values == b->m->word))
        REFUSE(b, "%s is a %s, make it %s", f->proto, item, wanted);
    if (f->rule.has_form)
        REFUSE(b, "%s is a %s, which holds no characters: remove form",
               f->proto, item);
    default_ns(b);
}

static void bind_scalar(const struct binding *b) {
    struct field *f = b->f;
    if (f->rule.attr && !f->rule.leaf) {
        bind_attr(b);
    } else if (f->rule.text) {
        f->bind = BIND_TEXT;
        if (f->rule.ns)
            REFUSE(b, "%s is text, which has no namespace: remove ns",
                   f->proto);
    } else if (f->rule.leaf) {
        bind_leaf(b);
    } else if (f->rule.flag) {
        f->bind = BIND_FLAG;
        f->name = f->rule.flag;
        f->form = FORM_BOOLEAN;
        bind_empty(b, TYPE(BOOL), "flag", "a bool");
        return;
    } else if (f->rule.choice) {
        f->bind = BIND_CHOICE;
        f->form = FORM_NAMED;
        bind_empty(b, TYPE(ENUM), "choice", "an enum of its own");
        return;
    } else {
        REFUSE(b,
               "%s says no XML item, add (terse.field) with attr, text, leaf, "
               "flag or choice",
               f->proto);
        return;
    }
    bind_form(b);
}

/* A message's name and namespace may both come from its element. */
static void bind_child(const struct binding *b) {
    struct field *f = b->f;
    const struct element_rule *element = &f->type->element;
    f->bind = BIND_CHILD;
    f->name = f->rule.child ? f->rule.child : element->name;
    f->ns = f->rule.ns ? f->rule.ns : element->ns;
    if (!f->name) {
        REFUSE(b,
               "%s is of type %s, which has no (terse.element): add child: "
               "\"...\"",
               f->proto, f->type->proto);
        return;
    }
    if (f->rule.ns)
        return;
    if (!element->ns)
        default_ns(b);
    else if (f->rule.child && b->in->element.ns &&
             strcmp(element->ns, b->in->element.ns) != 0)
        REFUSE(b,
               "%s could be in the namespace of %s or of %s, add ns: \"...\"",
               f->proto, b->in->proto, f->type->proto);
}

static void bind_message(const struct binding *b) {
    struct field *f = b->f;
    if (f->rule.rest) {
        f->bind = BIND_REST;
        if (f->rule.ns)
            REFUSE(b, "%s is rest, which has no namespace: remove ns",
                   f->proto);
    } else if (f->type == b->m->special[SPECIAL_CLOSE] &&
               b->in->special == SPECIAL_FRAME) {
        f->bind = BIND_NONE;
    } else if (f->type->special != SPECIAL_NO) {
        REFUSE(b, "%s is of type %s, use it only as %s", f->proto,
               f->type->proto,
               f->type->special == SPECIAL_ELEMENT ? "rest"
                                                   : "frame.proto and "
                                                     "element.proto "
                                                     "do");
        return;
    } else if (f->rule.attr || f->rule.text || f->rule.leaf || f->rule.flag ||
               f->rule.choice) {
        REFUSE(b, "%s is a message, bind it with child or make it a scalar",
               f->proto);
        return;
    } else {
        bind_child(b);
    }
    if (f->rule.has_form)
        REFUSE(b, "%s is a message, which has no form: remove form", f->proto);
}

static void bind_since(const struct binding *b) {
    struct field *f = b->f;
    f->since = 1;
    if (!f->rule.has_since)
        return;
    if (f->rule.since == 0 || f->rule.since > UINT16_MAX)
        REFUSE(b, "%s has since %llu, use 1 to %d", f->proto,
               (unsigned long long)f->rule.since, UINT16_MAX);
    else
        f->since = (uint16_t)f->rule.since;
}

static void bind_field(const struct binding *b) {
    struct field *f = b->f;
    bind_since(b);
    if (count_items(&f->rule) > 1) {
        REFUSE(b,
               "%s is bound twice, keep one of attr, text, leaf, flag, choice, "
               "child and rest",
               f->proto);
        return;
    }
    if (f->desc->type_name && !f->type && !f->values)
        return; /* reported */
    bool own = (b->in->special == SPECIAL_ELEMENT && !f->extension) ||
               (b->in->special == SPECIAL_FRAME && !f->extension && !f->type &&
                !count_items(&f->rule)) ||
               b->in->special == SPECIAL_ATTR;
    if (own) {
        f->bind = BIND_NONE;
        if (count_items(&f->rule))
            REFUSE(b, "%s of %s is not bound by a rule, remove it", f->proto,
                   b->in->proto);
        if (!f->type)
            bind_form(b);
    } else if (f->type) {
        bind_message(b);
    } else if (f->rule.rest || f->rule.child) {
        REFUSE(b, "%s is bound with %s, make it a message", f->proto,
               f->rule.rest ? "rest" : "child");
    } else {
        bind_scalar(b);
    }
}

void model_bind(struct model *m, struct report *r) {
    for (size_t i = 0; i < m->n_messages; i++) {
        struct message *in = &m->messages[i];
        for (size_t j = 0; j < in->n_fields; j++) {
            struct binding b = {m, in, &in->fields[j], r};
            bind_field(&b);
        }
    }
}

/* ---- for people -----------------------------------------------------------
 */

static void describe_child(const char *name, const struct field *f,
                           struct text *out) {
    text_printf(out, "<%s", name);
    if (f->ns) {
        text_add(out, " xmlns='");
        text_add_escaped(out, f->ns);
        text_add(out, "'");
    }
}

const char *model_form_name(enum table_form form) { return form_names[form]; }

void model_describe(const struct field *f, struct text *out) {
    switch (f->bind) {
    case BIND_NONE:
        break;
    case BIND_ATTR:
        if (strcmp(f->ns, XML_NS) == 0)
            text_printf(out, "attribute xml:%s", f->name);
        else
            text_printf(out, "attribute %s", f->name);
        if (f->ns[0] && strcmp(f->ns, XML_NS) != 0)
            text_printf(out, " of namespace '%s'", f->ns);
        break;
    case BIND_TEXT:
        text_add(out, "text");
        break;
    case BIND_LEAF:
        describe_child(f->name, f, out);
        text_add(out, ">text");
        break;
    case BIND_LEAF_ATTR:
        describe_child(f->name, f, out);
        text_printf(out, " %s='...'/>", f->attr);
        break;
    case BIND_FLAG:
    case BIND_CHILD:
        describe_child(f->name, f, out);
        text_add(out, f->bind == BIND_FLAG ? "/>" : ">");
        break;
    case BIND_CHOICE:
        text_add(out, "one of these, empty: ");
        describe_child("...", f, out);
        text_add(out, "/>");
        break;
    case BIND_REST:
        text_add(out, "what nothing else fits");
        break;
    }
    if (f->form != FORM_PLAIN && f->bind != BIND_FLAG &&
        f->bind != BIND_CHOICE && f->form != FORM_NAMED)
        text_printf(out, "%s%s", out->len && f->bind ? ", " : "",
                    form_names[f->form]);
}
