/*
 * schema.c: three hash tables over the generated tables: names {ns}name to
 * qnames, (type, item, qname) to ways, (enum, text) to numbers. They are open
 * addressing, at most half full and never change once made.
 */
#include "schema.h"

#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "str.h"
#include "text.h"
#include "value.h"
#include "xml_names.h"

struct qname {
    struct terse_str ns, name;
};

struct way_row { /* while they are collected */
    uint32_t key;
    uint32_t rank;
    struct sc_way way;
};

struct way_slot { /* small, so that many of them are near each other */
    uint32_t key; /* 0: free */
    uint16_t first, n;
};

struct value_slot {
    struct terse_str text;
    uint32_t number;
    uint16_t since;
    uint16_t values; /* enum index + 1; 0: free */
};

struct sc_enum {
    struct terse_str *by_number; /* p == NULL: no such value */
    uint32_t max_number;
    unsigned look; /* what text_look says of all of them */
};

struct terse_schema {
    struct arena arena;
    const struct tables *t;
    struct sc_type *types;
    struct sc_enum *enums;

    struct qname *qnames; /* [1 .. n_qnames] */
    uint32_t n_qnames, qnames_cap;
    uint16_t *qname_slots;
    uint32_t qname_mask;

    struct way_row *rows; /* all ways, grouped by key, best first */
    struct sc_way *ways;
    uint32_t n_rows, rows_cap;
    struct way_slot *way_slots;
    uint32_t way_mask;

    struct value_slot *value_slots;
    uint32_t value_mask;
};

static uint32_t hash_key(uint32_t key) {
    return (uint32_t)((key * UINT64_C(0x9e3779b97f4a7c15)) >> 32);
}

/* The mask of a table that `n` entries fill by half at most. */
static uint32_t mask_for(uint32_t n) {
    uint32_t size = 16;
    while (size < n * 2)
        size *= 2;
    return size - 1;
}

/* Zeroed memory that lives as long as the schema. */
static void *take(struct terse_schema *s, size_t n, size_t size) {
    void *p = arena_alloc(&s->arena, n * size + 1);
    if (p)
        memset(p, 0, n * size + 1);
    return p;
}

/* ---- qnames ------------------------------------------------------------- */

static uint32_t qname_slot(const struct terse_schema *s, struct terse_str ns,
                           struct terse_str name) {
    uint32_t i = str_hash_from(str_hash(ns), name) & s->qname_mask;
    for (;; i = (i + 1) & s->qname_mask) {
        uint16_t q = s->qname_slots[i];
        if (q == 0 ||
            (str_eq(s->qnames[q].name, name) && str_eq(s->qnames[q].ns, ns)))
            return i;
    }
}

uint16_t schema_qname(const struct terse_schema *s, struct terse_str ns,
                      struct terse_str name) {
    return s->qname_slots[qname_slot(s, ns, name)];
}

static uint16_t add_qname(struct terse_schema *s, struct terse_str ns,
                          struct terse_str name) {
    uint32_t slot = qname_slot(s, ns, name);
    if (s->qname_slots[slot] == 0) {
        s->n_qnames++;
        s->qnames[s->n_qnames] = (struct qname){ns, name};
        s->qname_slots[slot] = (uint16_t)s->n_qnames;
    }
    return s->qname_slots[slot];
}

/* How many names the fields can bring: each one or two, a CHOICE its values. */
static uint32_t count_names(const struct tables *t) {
    uint32_t n = 0;
    for (uint16_t i = 0; i < t->n_types; i++) {
        for (uint16_t j = 0; j < t->types[i].n_fields; j++) {
            const struct table_field *f = &t->types[i].fields[j];
            n += f->bind == BIND_CHOICE ? t->enums[f->values].n_values : 2u;
        }
    }
    return n;
}

static bool make_qnames(struct terse_schema *s) {
    uint32_t n = count_names(s->t);
    if (n >= UINT16_MAX)
        return false;
    s->qname_mask = mask_for(n + 1);
    s->qnames = take(s, n + 1, sizeof(*s->qnames));
    s->qname_slots = take(s, s->qname_mask + 1, sizeof(*s->qname_slots));
    s->rows_cap = n;
    s->rows = take(s, n, sizeof(*s->rows));
    return s->qnames && s->qname_slots && s->rows;
}

/* ---- ways -----------------------------------------------------------------
 */

/* make_ways looks whether there are not too many types for it. */
enum { TYPES_MAX = 1 << 14 };
static uint32_t way_key(const struct terse_schema *s,
                        const struct sc_type *type, enum sc_item item,
                        uint16_t qname) {
    uint32_t index = (uint32_t)(type - s->types);
    return (index << 18 | (uint32_t)item << 16 | qname) + 1;
}

/* Typed forms first, since they are smaller where they fit; then packed text
 * and ids, then plain characters; messages last, since they always fit. */
static uint32_t way_rank(const struct sc_field *f) {
    uint32_t group = f->t->bind == BIND_CHILD    ? 3
                     : f->t->bind == BIND_FLAG   ? 0
                     : f->t->form == FORM_PLAIN  ? 2
                     : f->t->form == FORM_PACKED ? 1
                     : f->t->form == FORM_IDENT  ? 1
                                                 : 0;
    return group << 29 | f->t->number;
}

static void add_way(struct terse_schema *s, const struct sc_type *type,
                    enum sc_item item, uint16_t qname,
                    const struct sc_field *field,
                    const struct table_value *value) {
    uint16_t since = field->t->since;
    if (value && value->since > since)
        since = value->since;
    s->rows[s->n_rows++] = (struct way_row){
        .key = way_key(s, type, item, qname),
        .rank = way_rank(field),
        .way = {field, value ? value->number : 0, field->t->number, since,
                field->index, field->t->values, field->t->bind, field->t->form,
                field->t->flags},
    };
}

static void add_field_ways(struct terse_schema *s, const struct sc_type *type,
                           struct sc_field *f) {
    const struct table_enum *e = &s->t->enums[f->t->values];
    switch ((enum table_bind)f->t->bind) {
    case BIND_TEXT:
        add_way(s, type, ITEM_TEXT, 0, f, NULL);
        break;
    case BIND_ATTR:
        add_way(s, type, ITEM_ATTR, add_qname(s, f->ns, f->name), f, NULL);
        break;
    case BIND_LEAF_ATTR:
        f->attr_qname = add_qname(s, str_of(""), str_of(f->t->attr));
        /* fall through */
    case BIND_LEAF:
    case BIND_FLAG:
    case BIND_CHILD:
        add_way(s, type, ITEM_CHILD, add_qname(s, f->ns, f->name), f, NULL);
        break;
    case BIND_CHOICE:
        for (uint16_t i = 0; i < e->n_values; i++) {
            struct terse_str name = str_of(e->values[i].text);
            add_way(s, type, ITEM_CHILD, add_qname(s, f->ns, name), f,
                    &e->values[i]);
        }
        break;
    case BIND_NONE:
    case BIND_REST:
        break;
    }
}

static int by_key_and_rank(const void *a, const void *b) {
    const struct way_row *x = a, *y = b;
    if (x->key != y->key)
        return x->key < y->key ? -1 : 1;
    return x->rank < y->rank ? -1 : x->rank > y->rank;
}

static struct way_slot *way_slot(const struct terse_schema *s, uint32_t key) {
    uint32_t i = hash_key(key) & s->way_mask;
    while (s->way_slots[i].key != 0 && s->way_slots[i].key != key)
        i = (i + 1) & s->way_mask;
    return &s->way_slots[i];
}

static bool make_ways(struct terse_schema *s) {
    if (s->t->n_types >= TYPES_MAX)
        return false;
    for (uint16_t i = 0; i < s->t->n_types; i++)
        for (uint16_t j = 0; j < s->types[i].n_fields; j++)
            add_field_ways(s, &s->types[i], &s->types[i].fields[j]);
    if (s->n_rows > 0)
        qsort(s->rows, s->n_rows, sizeof(*s->rows), by_key_and_rank);
    s->way_mask = mask_for(s->n_rows);
    s->way_slots = take(s, s->way_mask + 1, sizeof(*s->way_slots));
    s->ways = take(s, s->n_rows, sizeof(*s->ways));
    if (!s->way_slots || !s->ways)
        return false;
    for (uint32_t i = 0; i < s->n_rows; i++) {
        struct way_slot *slot = way_slot(s, s->rows[i].key);
        s->ways[i] = s->rows[i].way;
        if (slot->key == 0) {
            slot->key = s->rows[i].key;
            slot->first = (uint16_t)i;
        }
        slot->n++;
    }
    return true;
}

struct sc_ways schema_ways(const struct terse_schema *s,
                           const struct sc_type *type, enum sc_item item,
                           uint16_t qname) {
    const struct way_slot *slot = way_slot(s, way_key(s, type, item, qname));
    return (struct sc_ways){s->ways + slot->first, slot->n};
}

/* Field and enum numbers index arrays; the generator keeps them below. */
enum { NUMBER_MAX = UINT16_MAX };

/* ---- enums ----------------------------------------------------------------
 */

static struct value_slot *value_slot(const struct terse_schema *s,
                                     uint16_t values, struct terse_str text) {
    uint32_t i = str_hash_from(values, text) & s->value_mask;
    for (;; i = (i + 1) & s->value_mask) {
        struct value_slot *slot = &s->value_slots[i];
        if (slot->values == 0 ||
            (slot->values == values + 1 && str_eq(slot->text, text)))
            return slot;
    }
}

static bool make_enum(struct terse_schema *s, uint16_t index) {
    const struct table_enum *e = &s->t->enums[index];
    struct sc_enum *out = &s->enums[index];
    if (e->n_values == 0)
        return true;
    out->max_number = e->values[e->n_values - 1].number;
    if (out->max_number > NUMBER_MAX)
        return false;
    out->by_number =
        take(s, (size_t)out->max_number + 1, sizeof(*out->by_number));
    if (!out->by_number)
        return false;
    out->look = TEXT_CALM | TEXT_CALMER;
    for (uint16_t i = 0; i < e->n_values; i++) {
        struct terse_str text = str_of(e->values[i].text);
        out->look &= text_look(text);
        struct value_slot *slot = value_slot(s, index, text);
        *slot = (struct value_slot){text, e->values[i].number,
                                    e->values[i].since, (uint16_t)(index + 1)};
        out->by_number[e->values[i].number] = text;
    }
    return true;
}

static bool make_enums(struct terse_schema *s) {
    uint32_t n = 0;
    for (uint16_t i = 0; i < s->t->n_enums; i++)
        n += s->t->enums[i].n_values;
    s->value_mask = mask_for(n);
    s->value_slots = take(s, s->value_mask + 1, sizeof(*s->value_slots));
    s->enums = take(s, s->t->n_enums, sizeof(*s->enums));
    if (!s->value_slots || !s->enums)
        return false;
    for (uint16_t i = 0; i < s->t->n_enums; i++)
        if (!make_enum(s, i))
            return false;
    return true;
}

bool schema_value(const struct terse_schema *s, uint16_t values,
                  struct terse_str text, uint32_t revision, uint32_t *out) {
    const struct value_slot *slot = value_slot(s, values, text);
    *out = slot->number;
    return slot->values != 0 && slot->since <= revision;
}

bool schema_text(const struct terse_schema *s, uint16_t values, uint64_t number,
                 struct terse_str *out) {
    const struct sc_enum *e = &s->enums[values];
    if (!e->by_number || number > e->max_number)
        return false;
    *out = e->by_number[number];
    return out->p != NULL;
}

unsigned schema_text_look(const struct terse_schema *s, uint16_t values) {
    return s->enums[values].look;
}

bool schema_word(const struct terse_schema *s, struct terse_str text,
                 uint32_t revision, uint32_t *out) {
    return schema_value(s, s->t->word, text, revision, out);
}

bool schema_word_text(const struct terse_schema *s, uint64_t number,
                      struct terse_str *out) {
    return schema_text(s, s->t->word, number, out);
}

/* ---- types ----------------------------------------------------------------
 */

static struct terse_str str_or_none(const char *s) {
    return s ? str_of(s) : (struct terse_str){NULL, 0};
}

/* The strings one behind the other; p NULL if there is no memory. */
static struct terse_str joined(struct terse_schema *s, struct terse_str a,
                               struct terse_str b, struct terse_str c,
                               struct terse_str end) {
    const struct terse_str parts[] = {a, b, c, end};
    struct terse_str out = {NULL, a.n + b.n + c.n + end.n};
    char *p = take(s, out.n, 1);
    out.p = p;
    for (size_t i = 0; p && i < 4; i++) {
        memcpy(p, parts[i].p, parts[i].n);
        p += parts[i].n;
    }
    return out;
}

/* Sets open and close of a child that needs no prefix, and whose namespace
 * needs no escape. */
static bool make_tags(struct terse_schema *s, struct sc_field *f) {
    struct terse_str none = str_of("");
    if (str_is(f->ns, TERSE_NS_STREAM) || str_is(f->ns, TERSE_NS_XML) ||
        !(text_look(f->ns) & TEXT_CALMER))
        return true;
    struct terse_str start = joined(s, str_of("<"), f->name, none, none);
    f->close = joined(s, str_of("</"), f->name, none, str_of(">"));
    if (!start.p || !f->close.p)
        return false;
    f->open = joined(s, start, str_of(" xmlns='"), f->ns, str_of("'"));
    return f->open.p != NULL;
}

static bool make_ready(struct terse_schema *s, struct sc_field *f) {
    struct terse_str none = str_of(""), eq = str_of("='");
    switch ((enum table_bind)f->t->bind) {
    case BIND_ATTR:
        if (f->ns.n > 0 && !str_is(f->ns, TERSE_NS_XML))
            return true;
        f->open =
            joined(s, str_of(f->ns.n > 0 ? " xml:" : " "), f->name, none, eq);
        return f->open.p != NULL;
    case BIND_LEAF_ATTR:
        f->attr = str_of(f->t->attr);
        f->attr_open = joined(s, str_of(" "), f->attr, none, eq);
        return f->attr_open.p && make_tags(s, f);
    case BIND_LEAF:
    case BIND_FLAG:
    case BIND_CHILD:
        return make_tags(s, f);
    default:
        return true;
    }
}

static enum sc_kind kind_of(const struct table_field *t) {
    static const struct {
        const char *name;
        enum sc_kind kind;
    } names[] = {
        {"to", KIND_ADDRESS},  {"from", KIND_ADDRESS}, {"by", KIND_ADDRESS},
        {"jid", KIND_ADDRESS}, {"node", KIND_TOKEN},   {"nick", KIND_TOKEN},
        {"photo", KIND_TOKEN}, {"ver", KIND_TOKEN},
    };
    const char *name = t->bind == BIND_LEAF_ATTR ? t->attr : t->name;
    for (size_t i = 0; name && i < sizeof(names) / sizeof(names[0]); i++)
        if (strcmp(name, names[i].name) == 0)
            return names[i].kind;
    return KIND_ONCE;
}

static enum sc_role role_of(const struct table_field *t) {
    if (t->bind != BIND_ATTR || t->ns[0])
        return ROLE_NONE;
    return strcmp(t->name, "id") == 0     ? ROLE_ID
           : strcmp(t->name, "from") == 0 ? ROLE_FROM
           : strcmp(t->name, "to") == 0   ? ROLE_TO
                                          : ROLE_NONE;
}

/* The type of the message that a field of `type` holds, or NULL. */
static const struct sc_type *inner_of(const struct terse_schema *s,
                                      const struct sc_type *type,
                                      const struct table_field *t) {
    if (t->bind == BIND_CHILD)
        return &s->types[t->type];
    if (t->bind == BIND_REST)
        return schema_element(s);
    if (type != schema_element(s))
        return NULL;
    if (t->number == ELEMENT_ATTR)
        return schema_attr(s);
    return t->number == ELEMENT_CHILD ? type : NULL;
}

static void make_field(struct sc_field *out, const struct table_field *t,
                       uint16_t index) {
    bool bytes = t->bind == BIND_CHILD || t->bind == BIND_REST ||
                 (t->bind != BIND_FLAG && !value_is_varint(t->form));
    *out = (struct sc_field){
        .t = t,
        .proto = str_of(t->proto),
        .name = str_or_none(t->name),
        .ns = str_or_none(t->ns),
        .index = index,
        .wire = bytes ? WIRE_BYTES : WIRE_VARINT,
        .kind = (uint8_t)kind_of(t),
        .role = (uint8_t)role_of(t),
    };
}

static bool same_text(const char *a, const char *b) {
    return a == b || (a && b && strcmp(a, b) == 0);
}

static bool same_item(const struct table_field *a,
                      const struct table_field *b) {
    return a->bind == b->bind && same_text(a->name, b->name) &&
           same_text(a->ns, b->ns) && same_text(a->attr, b->attr);
}

static bool is_twin(const struct table_field *a, const struct table_field *b) {
    return (a->form == FORM_PLAIN && b->form == FORM_BASE64) ||
           (a->form == FORM_BASE64 && b->form == FORM_PLAIN);
}

/* What the fields of a type that stand for one item have to do with each other.
 */
static void relate_fields(struct sc_type *type) {
    for (uint16_t i = 0; i < type->n_fields; i++) {
        struct sc_field *f = &type->fields[i];
        bool scalar = f->t->bind != BIND_CHILD && f->t->bind != BIND_REST;
        f->place = i;
        for (uint16_t j = type->n_fields; j-- > 0 && scalar;) {
            const struct sc_field *g = &type->fields[j];
            if (!same_item(f->t, g->t))
                continue;
            if (f->t->flags & g->t->flags & TABLE_PRIVATE)
                f->place = j;
            if (f->t->bind != BIND_NONE && is_twin(f->t, g->t))
                f->twin = (uint16_t)(j + 1);
        }
    }
}

static bool make_type(struct terse_schema *s, uint16_t index) {
    const struct table_type *t = &s->t->types[index];
    struct sc_type *type = &s->types[index];
    if (t->n_fields > SC_FIELDS_MAX)
        return false;
    if (t->n_fields && t->fields[t->n_fields - 1].number > NUMBER_MAX)
        return false;
    *type = (struct sc_type){
        .proto = str_of(t->proto),
        .name = str_or_none(t->name),
        .ns = str_or_none(t->ns),
        .fields = take(s, t->n_fields, sizeof(*type->fields)),
        .n_fields = t->n_fields,
        .max_number = t->n_fields ? t->fields[t->n_fields - 1].number : 0,
    };
    type->by_number =
        take(s, (size_t)type->max_number + 1, sizeof(*type->by_number));
    if (!type->fields || !type->by_number)
        return false;
    for (uint16_t i = 0; i < t->n_fields; i++) {
        make_field(&type->fields[i], &t->fields[i], i);
        type->fields[i].inner = inner_of(s, type, &t->fields[i]);
        if (!make_ready(s, &type->fields[i]))
            return false;
        type->by_number[t->fields[i].number] = (uint16_t)(i + 1);
        if (t->fields[i].bind == BIND_REST)
            type->rest = &type->fields[i];
    }
    relate_fields(type);
    return true;
}

static bool make_types(struct terse_schema *s) {
    s->types = take(s, s->t->n_types, sizeof(*s->types));
    if (!s->types)
        return false;
    for (uint16_t i = 0; i < s->t->n_types; i++)
        if (!make_type(s, i))
            return false;
    return true;
}

const struct sc_type *schema_type(const struct terse_schema *s,
                                  uint16_t index) {
    return &s->types[index];
}

const struct sc_type *schema_frame(const struct terse_schema *s) {
    return &s->types[s->t->frame];
}

const struct sc_type *schema_element(const struct terse_schema *s) {
    return &s->types[s->t->element];
}

const struct sc_type *schema_attr(const struct terse_schema *s) {
    return &s->types[s->t->attr];
}

uint32_t schema_revision(const struct terse_schema *s) {
    return s->t->revision;
}

/* ---- the whole ------------------------------------------------------------
 */

enum { SCHEMA_BYTES_MAX = 64 * 1024 * 1024 }; /* our own tables: no peer's */

enum terse_err terse_schema_new(struct terse_schema **out) {
    struct terse_schema *s = calloc(1, sizeof(*s));
    if (!s)
        return TERSE_ENOMEM;
    arena_init(&s->arena, SCHEMA_BYTES_MAX);
    s->t = &terse_tables;
    xml_names_begin();
    if (!make_types(s) || !make_enums(s) || !make_qnames(s) || !make_ways(s)) {
        terse_schema_free(s);
        return TERSE_ENOMEM;
    }
    *out = s;
    return TERSE_OK;
}

void terse_schema_free(struct terse_schema *s) {
    if (!s)
        return;
    arena_fini(&s->arena);
    free(s);
}
