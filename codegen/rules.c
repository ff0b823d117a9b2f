#include "codegen/rules.h"

#include <string.h>

#include "codegen/text.h"

enum {
    OPTION_ELEMENT = 56100,
    OPTION_FIELD = 56101,
    OPTION_VALUE = 56102,
    OPTION_VALUE_SINCE = 56103,
};

/* ---- Protobuf's wire format, as much of it as options need --------------- */

struct bytes {
    const uint8_t *p;
    size_t n;
};

struct item {
    uint32_t number;
    uint32_t wire; /* 0: number is in `value`; 2: bytes are in `data` */
    uint64_t value;
    struct bytes data;
};

static bool read_varint(struct bytes *in, uint64_t *out) {
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64 && in->n > 0; shift += 7) {
        uint8_t byte = *in->p;
        in->p++, in->n--;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *out = value;
            return true;
        }
    }
    return false;
}

/* The bytes behind a length prefix. */
static bool read_delimited(struct bytes *in, struct bytes *out) {
    uint64_t n;
    if (!read_varint(in, &n) || n > in->n)
        return false;
    *out = (struct bytes){in->p, (size_t)n};
    in->p += n, in->n -= (size_t)n;
    return true;
}

static bool read_item(struct bytes *in, struct item *out) {
    uint64_t tag;
    if (!read_varint(in, &tag) || tag >> 3 > UINT32_MAX)
        return false;
    out->number = (uint32_t)(tag >> 3);
    out->wire = tag & 7;
    if (out->wire == 0)
        return read_varint(in, &out->value);
    return out->wire == 2 && read_delimited(in, &out->data);
}

static const char *copy_string(struct bytes data) {
    char *s = mem_new(data.n + 1, 1);
    memcpy(s, data.p, data.n);
    return s;
}

/* ---- the options ----------------------------------------------------------
 */

/* Calls `read` with every occurrence of a length-delimited option. */
static bool each_option(const ProtobufCMessage *options, uint32_t number,
                        bool (*read)(struct bytes data, void *out), void *out) {
    for (unsigned i = 0; options && i < options->n_unknown_fields; i++) {
        const ProtobufCMessageUnknownField *f = &options->unknown_fields[i];
        struct bytes in = {f->data, f->len}, data;
        if (f->tag != number)
            continue;
        if (f->wire_type != PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED ||
            !read_delimited(&in, &data) || !read(data, out))
            return false;
    }
    return true;
}

static bool read_element(struct bytes in, void *out) {
    struct element_rule *rule = out;
    struct item item;
    rule->given = true;
    while (in.n > 0) {
        if (!read_item(&in, &item) || item.wire != 2)
            return false;
        if (item.number == 1)
            rule->name = copy_string(item.data);
        else if (item.number == 2)
            rule->ns = copy_string(item.data);
        else
            return false;
    }
    return true;
}

static bool take_string(struct field_rule *rule, const struct item *item) {
    const char **out[] = {
        [1] = &rule->attr,  [3] = &rule->leaf, [4] = &rule->flag,
        [6] = &rule->child, [8] = &rule->ns,
    };
    if (item->number >= sizeof(out) / sizeof(*out) || !out[item->number])
        return false;
    *out[item->number] = copy_string(item->data);
    return true;
}

static bool take_number(struct field_rule *rule, const struct item *item) {
    switch (item->number) {
    case 2:
        rule->text = item->value != 0;
        return true;
    case 5:
        rule->choice = item->value != 0;
        return true;
    case 7:
        rule->rest = item->value != 0;
        return true;
    case 9:
        rule->has_form = true;
        rule->form = (enum table_form)item->value;
        return item->value <= FORM_NAMED || item->value == FORM_PACKED ||
               item->value == FORM_IDENT;
    case 10:
        rule->private = item->value != 0;
        return true;
    case 12:
        rule->bulk = item->value != 0;
        return true;
    case 11:
        rule->has_since = true;
        rule->since = item->value;
        return true;
    default:
        return false;
    }
}

static bool read_field(struct bytes in, void *out) {
    struct field_rule *rule = out;
    struct item item;
    rule->given = true;
    while (in.n > 0) {
        if (!read_item(&in, &item))
            return false;
        if (item.wire == 2 ? !take_string(rule, &item)
                           : !take_number(rule, &item))
            return false;
    }
    return true;
}

static bool read_value(struct bytes in, void *out) {
    const char **value = out;
    *value = copy_string(in);
    return true;
}

bool rules_element(const ProtobufCMessage *options, struct element_rule *out) {
    return each_option(options, OPTION_ELEMENT, read_element, out);
}

bool rules_field(const ProtobufCMessage *options, struct field_rule *out) {
    return each_option(options, OPTION_FIELD, read_field, out);
}

static bool read_since(const ProtobufCMessage *options, uint64_t *out) {
    for (unsigned i = 0; options && i < options->n_unknown_fields; i++) {
        const ProtobufCMessageUnknownField *f = &options->unknown_fields[i];
        struct bytes in = {f->data, f->len};
        if (f->tag == OPTION_VALUE_SINCE &&
            (f->wire_type != PROTOBUF_C_WIRE_TYPE_VARINT ||
             !read_varint(&in, out)))
            return false;
    }
    return true;
}

bool rules_value(const ProtobufCMessage *options, const char **value,
                 uint64_t *since) {
    return each_option(options, OPTION_VALUE, read_value, value) &&
           read_since(options, since);
}
