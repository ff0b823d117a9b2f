#include "codegen/model.h"

#include <stdlib.h>
#include <string.h>

#define PACKAGE ".terse."

/* Path components of source locations: field numbers of descriptor.proto. */
enum {
    FILE_MESSAGE = 4,
    FILE_ENUM = 5,
    FILE_EXTENSION = 7,
    MESSAGE_FIELD = 2,
    ENUM_VALUE = 2,
};

/* ---- places and comments --------------------------------------------------
 */

typedef Google__Protobuf__SourceCodeInfo__Location Location;

static const Location *find_location(const FileProto *file, const int32_t *path,
                                     size_t n) {
    if (!file->source_code_info)
        return NULL;
    for (size_t i = 0; i < file->source_code_info->n_location; i++) {
        const Location *l = file->source_code_info->location[i];
        if (l->n_path == n && memcmp(l->path, path, n * sizeof(*path)) == 0)
            return l;
    }
    return NULL;
}

static struct place place_of(const FileProto *file, const Location *l) {
    int line = l && l->n_span > 0 ? l->span[0] + 1 : 0;
    return (struct place){file->name, line};
}

static struct place top_place(const FileProto *file, int32_t kind, size_t i,
                              const char **comment) {
    const int32_t path[] = {kind, (int32_t)i};
    const Location *l = find_location(file, path, 2);
    if (comment)
        *comment = l ? l->leading_comments : NULL;
    return place_of(file, l);
}

static struct place inner_place(const FileProto *file, int32_t kind, size_t i,
                                int32_t inner, size_t j) {
    const int32_t path[] = {kind, (int32_t)i, inner, (int32_t)j};
    return place_of(file, find_location(file, path, 4));
}

/* ---- files ----------------------------------------------------------------
 */

static bool starts_with(const char *s, const char *prefix) {
    return strncmp(s, prefix, strlen(prefix)) == 0;
}

/* Our own files first, then RFCs and XEPs, the long dictionary last. */
static int file_rank(const char *name) {
    if (strcmp(name, "terse/words.proto") == 0)
        return 2;
    return starts_with(name, "terse/") ? 0 : 1;
}

static int by_publishing(const void *a, const void *b) {
    const FileProto *x = *(FileProto *const *)a, *y = *(FileProto *const *)b;
    int rank = file_rank(x->name) - file_rank(y->name);
    return rank ? rank : strcmp(x->name, y->name);
}

/* Whether a file brings messages. options.proto brings but what schemas are
 * written with, and what others import is none of ours. */
static bool is_schema(const FileProto *file) {
    return file->package && strcmp(file->package, "terse") == 0 &&
           strcmp(file->name, "terse/options.proto") != 0;
}

static void check_file(const FileProto *file, struct report *r) {
    struct place at = {file->name, 1};
    if (!is_schema(file)) {
        if (!starts_with(file->name, "google/") &&
            strcmp(file->name, "terse/options.proto") != 0)
            report_add(r, at, "not in package terse, write \"package terse;\"");
        return;
    }
    if (file->syntax && strcmp(file->syntax, "proto2") != 0)
        report_add(r, at,
                   "syntax %s, write syntax = \"proto2\" (extensions need it)",
                   file->syntax);
    if (file->n_service)
        report_add(r, at, "a service has no XML, remove service %s",
                   file->service[0]->name);
}

/* ---- enums ----------------------------------------------------------------
 */

static int by_value_number(const void *a, const void *b) {
    const struct value *x = a, *y = b;
    return x->number < y->number ? -1 : x->number > y->number;
}

static void load_enum(struct model *m, const FileProto *file, size_t i,
                      size_t base, struct report *r) {
    const EnumProto *desc = file->enum_type[i];
    struct enumeration *e = MEM_PUSH(m->enums, m->n_enums);
    e->proto = desc->name;
    e->at = top_place(file, FILE_ENUM, i, &e->comment);
    e->order = base + (size_t)e->at.line;
    e->n_values = desc->n_value;
    e->values = mem_new(desc->n_value, sizeof(*e->values));
    for (size_t j = 0; j < desc->n_value; j++) {
        const Google__Protobuf__EnumValueOptions *o = desc->value[j]->options;
        struct value *v = &e->values[j];
        v->proto = desc->value[j]->name;
        v->number = desc->value[j]->number;
        v->since = 1;
        v->at = inner_place(file, FILE_ENUM, i, ENUM_VALUE, j);
        if (!rules_value(o ? &o->base : NULL, &v->text, &v->since))
            report_add(r, v->at,
                       "%s: (terse.value) cannot be read, update "
                       "the generator",
                       v->proto);
    }
    qsort(e->values, e->n_values, sizeof(*e->values), by_value_number);
}

/* ---- messages -------------------------------------------------------------
 */

static enum special special_of(const char *name) {
    static const char *const names[] = {
        [SPECIAL_FRAME] = "Frame",
        [SPECIAL_ELEMENT] = "Element",
        [SPECIAL_ATTR] = "Attr",
        [SPECIAL_CLOSE] = "Close",
    };
    for (unsigned i = SPECIAL_FRAME; i <= SPECIAL_CLOSE; i++)
        if (strcmp(name, names[i]) == 0)
            return (enum special)i;
    return SPECIAL_NO;
}

static void add_field(struct message *m, const FieldProto *desc,
                      struct place at, struct report *r) {
    struct field *f = MEM_PUSH(m->fields, m->n_fields);
    *f = (struct field){.proto = desc->name, .desc = desc, .at = at};
    if (!rules_field(desc->options ? &desc->options->base : NULL, &f->rule))
        report_add(r, at,
                   "%s: (terse.field) cannot be read, update the "
                   "generator",
                   desc->name);
}

static void check_nested(const struct message *m, struct report *r) {
    const MessageProto *d = m->desc;
    const char *what = d->n_nested_type ? "map, group or message"
                       : d->n_enum_type ? "enum"
                       : d->n_extension ? "extension"
                                        : NULL;
    if (what)
        report_add(r, m->at,
                   "%s holds a nested %s, write it at the top of the file (a "
                   "map or group has no XML, write repeated messages)",
                   m->proto, what);
    if (d->n_oneof_decl)
        report_add(r, m->at,
                   "%s has oneof %s, write optional fields (any of them may "
                   "come twice in XML)",
                   m->proto, d->oneof_decl[0]->name);
}

static void load_message(struct model *m, const FileProto *file, size_t i,
                         size_t base, struct report *r) {
    const MessageProto *desc = file->message_type[i];
    struct message *out = MEM_PUSH(m->messages, m->n_messages);
    out->proto = desc->name;
    out->desc = desc;
    out->special = special_of(desc->name);
    out->at = top_place(file, FILE_MESSAGE, i, &out->comment);
    out->order = base + (size_t)out->at.line;
    if (!rules_element(desc->options ? &desc->options->base : NULL,
                       &out->element))
        report_add(r, out->at,
                   "%s: (terse.element) cannot be read, update "
                   "the generator",
                   out->proto);
    check_nested(out, r);
    for (size_t j = 0; j < desc->n_field; j++)
        add_field(out, desc->field[j],
                  inner_place(file, FILE_MESSAGE, i, MESSAGE_FIELD, j), r);
}

static void load_file(struct model *m, const FileProto *file, size_t base,
                      struct report *r) {
    for (size_t i = 0; i < file->n_enum_type; i++)
        load_enum(m, file, i, base, r);
    for (size_t i = 0; i < file->n_message_type; i++)
        load_message(m, file, i, base, r);
}

/* ---- names ----------------------------------------------------------------
 */

static struct message *find_message(struct model *m, const char *type_name) {
    if (!type_name || !starts_with(type_name, PACKAGE))
        return NULL;
    for (size_t i = 0; i < m->n_messages; i++)
        if (strcmp(m->messages[i].proto, type_name + strlen(PACKAGE)) == 0)
            return &m->messages[i];
    return NULL;
}

static struct enumeration *find_enum(struct model *m, const char *type_name) {
    if (!type_name || !starts_with(type_name, PACKAGE))
        return NULL;
    for (size_t i = 0; i < m->n_enums; i++)
        if (strcmp(m->enums[i].proto, type_name + strlen(PACKAGE)) == 0)
            return &m->enums[i];
    return NULL;
}

/* "DiscoInfo" becomes "disco_info_". */
static char *container_prefix(const char *proto) {
    struct text t = {0};
    for (const char *p = proto; *p; p++) {
        bool upper = *p >= 'A' && *p <= 'Z';
        if (upper && p > proto)
            text_add(&t, "_");
        text_printf(&t, "%c", upper ? *p - 'A' + 'a' : *p);
    }
    text_add(&t, "_");
    return t.data;
}

/* ---- extensions -----------------------------------------------------------
 */

/* Extensions of all containers share the package's names, so each carries its
 * container's; inside it that would only repeat. */
static void drop_prefix(const struct message *to, struct field *f,
                        struct report *r) {
    char *prefix = container_prefix(to->proto);
    size_t n = strlen(prefix);
    if (strncmp(f->proto, prefix, n) == 0 && f->proto[n])
        f->proto += n;
    else if (to->special != SPECIAL_ELEMENT)
        report_add(r, f->at, "%s extends %s, name it %s%s", f->proto, to->proto,
                   prefix, f->proto);
    free(prefix);
}

static void load_extensions(struct model *m, const FileProto *file,
                            struct report *r) {
    for (size_t i = 0; i < file->n_extension; i++) {
        const FieldProto *desc = file->extension[i];
        struct place at = top_place(file, FILE_EXTENSION, i, NULL);
        struct message *to = find_message(m, desc->extendee);
        if (!to) {
            report_add(r, at, "%s extends %s, extend a message of a schema",
                       desc->name, desc->extendee + 1);
            continue;
        }
        add_field(to, desc, at, r);
        to->fields[to->n_fields - 1].extension = true;
        drop_prefix(to, &to->fields[to->n_fields - 1], r);
    }
}

/* ---- the whole ------------------------------------------------------------
 */

static int by_field_number(const void *a, const void *b) {
    int32_t x = ((const struct field *)a)->desc->number;
    int32_t y = ((const struct field *)b)->desc->number;
    return x < y ? -1 : x > y;
}

static int by_message_order(const void *a, const void *b) {
    const struct message *x = a, *y = b;
    return x->order < y->order ? -1 : x->order > y->order;
}

static int by_enum_order(const void *a, const void *b) {
    const struct enumeration *x = a, *y = b;
    return x->order < y->order ? -1 : x->order > y->order;
}

/* Points fields to their types, once messages do not move any more. */
static void resolve(struct model *m, struct report *r) {
    for (size_t i = 0; i < m->n_messages; i++) {
        for (size_t j = 0; j < m->messages[i].n_fields; j++) {
            struct field *f = &m->messages[i].fields[j];
            f->type = find_message(m, f->desc->type_name);
            f->values = find_enum(m, f->desc->type_name);
            if (f->desc->type_name && !f->type && !f->values)
                report_add(r, f->at,
                           "%s is of type %s, use one of a schema in package "
                           "terse",
                           f->proto, f->desc->type_name + 1);
        }
    }
}

/* qsort takes no NULL, not even for nothing. */
static void sort(void *items, size_t n, size_t size,
                 int (*compare)(const void *, const void *)) {
    if (n > 0)
        qsort(items, n, size, compare);
}

static void order(struct model *m) {
    sort(m->messages, m->n_messages, sizeof(*m->messages), by_message_order);
    sort(m->enums, m->n_enums, sizeof(*m->enums), by_enum_order);
    for (size_t i = 0; i < m->n_messages; i++) {
        struct message *msg = &m->messages[i];
        msg->index = (uint16_t)i;
        if (msg->special != SPECIAL_NO)
            m->special[msg->special] = msg;
        sort(msg->fields, msg->n_fields, sizeof(*msg->fields), by_field_number);
    }
    for (size_t i = 0; i < m->n_enums; i++) {
        m->enums[i].index = (uint16_t)i;
        if (strcmp(m->enums[i].proto, "Word") == 0)
            m->word = &m->enums[i];
    }
}

void model_load(struct model *m, const Request *request, struct report *r) {
    enum { LINES_MAX = 1000000 }; /* of one file */
    size_t n = request->n_proto_file;
    const FileProto **files = mem_new(n, sizeof(*files));
    for (size_t i = 0; i < n; i++)
        files[i] = request->proto_file[i];
    qsort(files, n, sizeof(*files), by_publishing);
    for (size_t i = 0; i < n; i++) {
        check_file(files[i], r);
        if (is_schema(files[i]))
            load_file(m, files[i], i * LINES_MAX, r);
    }
    for (size_t i = 0; i < n; i++)
        if (is_schema(files[i]))
            load_extensions(m, files[i], r);
    order(m);
    resolve(m, r);
    free(files);
}

static void raise_to(uint64_t since, unsigned *max) {
    if (since > *max)
        *max = (unsigned)since;
}

unsigned model_revision(const struct model *m) {
    unsigned max = 1;
    for (size_t i = 0; i < m->n_messages; i++)
        for (size_t j = 0; j < m->messages[i].n_fields; j++)
            raise_to(m->messages[i].fields[j].since, &max);
    for (size_t i = 0; i < m->n_enums; i++)
        for (size_t j = 0; j < m->enums[i].n_values; j++)
            raise_to(m->enums[i].values[j].since, &max);
    return max;
}
