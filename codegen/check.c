/* check.c: refuses what the engine could not map, or not in one way only. */
#include <string.h>
#include <unistd.h>

#include "codegen/model.h"
#include "codegen/ncname.h"

enum {
    REST_NUMBER = 15,
    NUMBER_MAX = 65535, /* the engine indexes by number */
    FIELDS_MAX = 512,   /* the engine marks the used ones in a bit set */
};

#define LABEL(name)                                                            \
    GOOGLE__PROTOBUF__FIELD_DESCRIPTOR_PROTO__LABEL__LABEL_##name

/* ---- names ----------------------------------------------------------------
 */

static void check_name(struct place at, const char *of, const char *name,
                       struct report *r) {
    if (name && (!is_ncname(name) || strcmp(name, "xmlns") == 0))
        report_add(r, at,
                   "%s: '%s' is no XML name, write a local name without a "
                   "prefix (attributes may have xml:)",
                   of, name);
}

/* "http:" is what a careless tool leaves of "http://...". */
static void check_ns(struct place at, const char *of, const char *ns,
                     struct report *r) {
    const char *what = NULL;
    for (const char *p = ns; p && *p; p++)
        if ((unsigned char)*p <= ' ' || *p == 0x7f)
            what = "has white space";
    if (ns && *ns && ns[strlen(ns) - 1] == ':')
        what = "is cut off";
    if (what)
        report_add(r, at, "%s: namespace '%s' %s, write the exact name", of, ns,
                   what);
}

/* ---- enums ----------------------------------------------------------------
 */

static bool is_xml_text(const char *s) {
    for (; *s; s++)
        if ((unsigned char)*s < ' ' && !strchr("\t\n\r", *s))
            return false;
    return true;
}

/* Complains at the later line of the two. */
static void check_values(const struct value *a, const struct value *b,
                         struct report *r) {
    const struct value *first = a->at.line <= b->at.line ? a : b;
    const struct value *second = first == a ? b : a;
    if (a->number == b->number)
        report_add(r, second->at,
                   "%s has the number of %s, take the next free one",
                   second->proto, first->proto);
    if (a->text && b->text && strcmp(a->text, b->text) == 0)
        report_add(r, second->at, "%s stands for \"%s\" as %s does, remove one",
                   second->proto, second->text, first->proto);
}

static void check_value(const struct enumeration *e, size_t i,
                        struct report *r) {
    const struct value *v = &e->values[i];
    if (v->number < 0 || v->number > NUMBER_MAX)
        report_add(r, v->at, "%s = %d, use a number from 0 to %d", v->proto,
                   v->number, NUMBER_MAX);
    if (v->since == 0 || v->since > UINT16_MAX)
        report_add(r, v->at, "%s has since %llu, use 1 to %d", v->proto,
                   (unsigned long long)v->since, UINT16_MAX);
    if (!v->text)
        report_add(r, v->at,
                   "%s stands for no characters, add [(terse.value) = \"...\"]",
                   v->proto);
    else if (!is_xml_text(v->text))
        report_add(r, v->at,
                   "%s stands for a control character, which XML cannot hold: "
                   "remove it",
                   v->proto);
    for (size_t j = i + 1; j < e->n_values; j++)
        check_values(v, &e->values[j], r);
}

static void check_enum(const struct enumeration *e, struct report *r) {
    for (size_t i = 0; i < e->n_values; i++)
        check_value(e, i, r);
    if (!e->used)
        report_add(r, e->at, "enum %s is used by no field, remove it",
                   e->proto);
}

/* ---- one field ------------------------------------------------------------
 */

static void check_proto2(const struct field *f, struct report *r) {
    if (f->desc->label == LABEL(REQUIRED))
        report_add(r, f->at, "%s is required, write optional (XML may lack it)",
                   f->proto);
    if (f->desc->default_value)
        report_add(r, f->at,
                   "%s has a default, remove it (absent is not default)",
                   f->proto);
    if (f->desc->options && f->desc->options->packed)
        report_add(r, f->at,
                   "%s is packed, remove it (values stand in document order)",
                   f->proto);
    if (f->desc->number > NUMBER_MAX)
        report_add(r, f->at, "%s = %d, use a number up to %d", f->proto,
                   f->desc->number, NUMBER_MAX);
}

static void check_rest(const struct message *in, const struct field *f,
                       struct report *r) {
    bool frame = in->special == SPECIAL_FRAME;
    bool rest = f->bind == BIND_REST;
    if (rest && f->type->special != SPECIAL_ELEMENT)
        report_add(r, f->at, "%s is of type %s, make it Element", f->proto,
                   f->type->proto);
    else if (rest && f->desc->number != REST_NUMBER)
        report_add(r, f->at, "%s is rest, give it number %d", f->proto,
                   REST_NUMBER);
    else if (rest &&
             f->desc->label != (frame ? LABEL(OPTIONAL) : LABEL(REPEATED)))
        report_add(r, f->at, "%s is rest, make it %s", f->proto,
                   frame ? "optional, since a Frame is one element"
                         : "repeated");
}

/* Values of a choice are names of elements. */
static void check_choice(const struct field *f, struct report *r) {
    if (f->bind != BIND_CHOICE)
        return;
    for (size_t i = 0; i < f->values->n_values; i++)
        check_name(f->values->values[i].at, f->values->values[i].proto,
                   f->values->values[i].text, r);
}

/* Frame, Element, Attr and Close stand for no one element. */
static void check_container(const struct message *in, const struct field *f,
                            struct report *r) {
    if (in->special == SPECIAL_NO)
        return;
    if (f->bind == BIND_ATTR || f->bind == BIND_TEXT)
        report_add(r, f->at,
                   "%s is an attribute or text of %s, which is no element: "
                   "bind it to a child",
                   f->proto, in->proto);
    if (in->special == SPECIAL_CLOSE ||
        (in->special == SPECIAL_ATTR && f->extension))
        report_add(r, f->at,
                   "%s is in %s, which takes no more fields: remove "
                   "it",
                   f->proto, in->proto);
    bool typed = in->special == SPECIAL_ELEMENT && f->extension;
    if ((typed || in->special == SPECIAL_FRAME) && f->bind != BIND_REST &&
        f->desc->label != LABEL(OPTIONAL))
        report_add(r, f->at, "%s is one choice of %s, make it optional",
                   f->proto, in->proto);
    if (typed && strcmp(f->proto, "is") == 0)
        report_add(r, f->at, "%s is the name of Element's union, take another",
                   f->proto);
}

static void check_field(const struct message *in, const struct field *f,
                        struct report *r) {
    check_proto2(f, r);
    check_rest(in, f, r);
    check_container(in, f, r);
    check_choice(f, r);
    check_name(f->at, f->proto, f->name, r);
    check_name(f->at, f->proto, f->attr, r);
    check_ns(f->at, f->proto, f->ns, r);
    if (f->values)
        f->values->used = true;
}

/* ---- one message ----------------------------------------------------------
 */

static bool same(const char *a, const char *b) {
    return a == b || (a && b && strcmp(a, b) == 0);
}

/* Whether an empty child {ns}name is what the field stands for. */
static bool is_empty_child(const struct field *f, const char *ns,
                           const char *name) {
    if (!same(f->ns, ns))
        return false;
    if (f->bind == BIND_FLAG)
        return same(f->name, name);
    if (f->bind != BIND_CHOICE)
        return false;
    for (size_t i = 0; i < f->values->n_values; i++)
        if (same(f->values->values[i].text, name))
            return true;
    return false;
}

/* Whether both fields take the same characters of the same item. */
static bool ambiguous(const struct field *a, const struct field *b) {
    if (a->bind == BIND_NONE)
        return false;
    if (a->bind == BIND_FLAG)
        return is_empty_child(b, a->ns, a->name);
    if (a->bind == BIND_CHOICE) {
        for (size_t i = 0; i < a->values->n_values; i++)
            if (is_empty_child(b, a->ns, a->values->values[i].text))
                return true;
        return false;
    }
    return a->bind == b->bind && a->form == b->form && same(a->name, b->name) &&
           same(a->ns, b->ns) && same(a->attr, b->attr);
}

/* Names `b` as the one to change if it came later. */
static void check_pair(const struct message *in, const struct field *a,
                       const struct field *b, struct report *r) {
    bool later = a->extension && !b->extension;
    const struct field *first = later ? b : a, *second = later ? a : b;
    if (strcmp(a->proto, b->proto) == 0)
        report_add(r, second->at,
                   "%s has a field %s already, %s:%d; take another name",
                   in->proto, second->proto, first->at.file, first->at.line);
    if (!ambiguous(a, b))
        return;
    struct text item = {0};
    model_describe(second, &item);
    report_add(r, second->at,
               "%s and %s of %s both stand for %s, remove one or change its "
               "form",
               first->proto, second->proto, in->proto, item.data);
}

static void check_rest_there(const struct message *m, struct report *r) {
    if (m->special != SPECIAL_NO && m->special != SPECIAL_FRAME)
        return;
    for (size_t i = 0; i < m->n_fields; i++)
        if (m->fields[i].bind == BIND_REST)
            return;
    report_add(r, m->at,
               "%s has no rest, add %s Element rest = %d [(terse.field) = { "
               "rest: true }];",
               m->proto, m->special == SPECIAL_FRAME ? "optional" : "repeated",
               REST_NUMBER);
}

static void check_element(const struct message *m, struct report *r) {
    if (!m->element.given)
        return;
    if (m->special != SPECIAL_NO) {
        report_add(r, m->at,
                   "%s stands for no one element, remove "
                   "(terse.element)",
                   m->proto);
        return;
    }
    if (!m->element.name || !m->element.ns)
        report_add(r, m->at, "%s: (terse.element) lacks %s, add %s: \"...\"",
                   m->proto, m->element.name ? "ns" : "name",
                   m->element.name ? "ns" : "name");
    check_name(m->at, m->proto, m->element.name, r);
    check_ns(m->at, m->proto, m->element.ns, r);
}

static void check_message(const struct message *m, struct report *r) {
    check_element(m, r);
    check_rest_there(m, r);
    if (m->n_fields > FIELDS_MAX)
        report_add(r, m->at, "%s has %zu fields, keep to %d", m->proto,
                   m->n_fields, FIELDS_MAX);
    for (size_t i = 0; i < m->n_fields; i++) {
        check_field(m, &m->fields[i], r);
        for (size_t j = i + 1; j < m->n_fields; j++)
            check_pair(m, &m->fields[i], &m->fields[j], r);
    }
}

/* ---- the whole ------------------------------------------------------------
 */

/* Recursion goes no deeper than there are messages. */
static void reach(struct message *m) {
    if (m->reached)
        return;
    m->reached = true;
    for (size_t i = 0; i < m->n_fields; i++)
        if (m->fields[i].type)
            reach(m->fields[i].type);
}

static bool check_special(const struct model *m, struct report *r) {
    static const char *const names[] = {
        [SPECIAL_FRAME] = "message Frame",
        [SPECIAL_ELEMENT] = "message Element",
        [SPECIAL_ATTR] = "message Attr",
        [SPECIAL_CLOSE] = "message Close",
    };
    struct place nowhere = {"terse/frame.proto", 0};
    for (unsigned i = SPECIAL_FRAME; i <= SPECIAL_CLOSE; i++)
        if (!m->special[i])
            report_add(r, nowhere, "no %s, name all schemas to protoc",
                       names[i]);
    if (!m->word)
        report_add(r, nowhere, "no enum Word, name all schemas to protoc");
    return r->n == 0;
}

void model_check(struct model *m, struct report *r) {
    if (!check_special(m, r))
        return;
    reach(m->special[SPECIAL_FRAME]);
    for (size_t i = 0; i < m->n_messages; i++) {
        check_message(&m->messages[i], r);
        if (!m->messages[i].reached)
            report_add(r, m->messages[i].at,
                       "%s is reached from no Frame, add it to a container, "
                       "e.g. extend Element { optional %s ... }",
                       m->messages[i].proto, m->messages[i].proto);
    }
    for (size_t i = 0; i < m->n_enums; i++)
        check_enum(&m->enums[i], r);
}

/* ---- vectors --------------------------------------------------------------
 */

void check_vectors(const Request *request, const char *dir, struct report *r) {
    for (size_t i = 0; i < request->n_file_to_generate; i++) {
        const char *file = request->file_to_generate[i];
        if (strncmp(file, "xep", 3) != 0 && strncmp(file, "rfc", 3) != 0)
            continue;
        size_t n = strcspn(file, ".");
        char *path = text_format("%s/%.*s.txt", dir, (int)n, file);
        if (access(path, R_OK) != 0)
            report_add(r, (struct place){file, 1},
                       "no vector, write %s with its XML", path);
    }
}
