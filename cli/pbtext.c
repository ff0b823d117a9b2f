/*
 * pbtext.c: see pbtext.h. Walks the wire bytes with protobuf-c's descriptors of
 * the published schema, so it shares nothing with the codec.
 */
#include "pbtext.h"

#include "pbwire.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Protobuf's own recursion limit, which protoc has too. */
enum { DEPTH_MAX = 100 };

__attribute__((format(printf, 2, 3))) static enum terse_err
put(struct terse_buf *out, const char *fmt, ...) {
    char s[160];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(s, sizeof(s), fmt, ap);
    va_end(ap);
    if (n < 0 || (size_t)n >= sizeof(s))
        return TERSE_ELIMIT; /* no name of a schema is that long */
    return terse_buf_append(out, s, (size_t)n);
}

static enum terse_err indent(struct terse_buf *out, unsigned depth) {
    enum terse_err err = TERSE_OK;
    while (depth-- > 0 && err == TERSE_OK)
        err = terse_buf_append(out, "  ", 2);
    return err;
}

/* The escapes of Protobuf's CEscape: C's, and octal for all that is not
 * printable ASCII. */
static enum terse_err put_quoted(struct terse_buf *out, const uint8_t *p,
                                 size_t n) {
    static const char from[] = "\n\r\t\"'\\", to[] = "nrt\"'\\";
    enum terse_err err = put(out, "\"");
    for (; n > 0 && err == TERSE_OK; p++, n--) {
        const char *special = *p ? strchr(from, *p) : NULL;
        if (special)
            err = put(out, "\\%c", to[special - from]);
        else if (*p < 0x20 || *p >= 0x7f)
            err = put(out, "\\%03o", *p);
        else
            err = put(out, "%c", *p);
    }
    return err == TERSE_OK ? put(out, "\"") : err;
}

static enum terse_err put_enum(struct terse_buf *out,
                               const ProtobufCEnumDescriptor *type,
                               uint64_t value) {
    const ProtobufCEnumValue *v =
        protobuf_c_enum_descriptor_get_value(type, (int)(int32_t)value);
    return v ? put(out, "%s", v->name) : put(out, "%" PRId32, (int32_t)value);
}

static int64_t zigzag(uint64_t v) {
    return (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
}

/* Writes a scalar of a varint or fixed field. */
static enum terse_err put_number(struct terse_buf *out,
                                 const ProtobufCFieldDescriptor *field,
                                 uint64_t v) {
    switch (field->type) {
    case PROTOBUF_C_TYPE_BOOL:
        return put(out, v ? "true" : "false");
    case PROTOBUF_C_TYPE_ENUM:
        return put_enum(out, field->descriptor, v);
    case PROTOBUF_C_TYPE_SINT32:
        return put(out, "%" PRId32, (int32_t)zigzag(v & UINT32_MAX));
    case PROTOBUF_C_TYPE_SINT64:
        return put(out, "%" PRId64, zigzag(v));
    case PROTOBUF_C_TYPE_INT32:
    case PROTOBUF_C_TYPE_SFIXED32:
        return put(out, "%" PRId32, (int32_t)v);
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_SFIXED64:
        return put(out, "%" PRId64, (int64_t)v);
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_FIXED32:
        return put(out, "%" PRIu32, (uint32_t)v);
    default:
        return put(out, "%" PRIu64, v);
    }
}

static enum pbwire_type wire_of(ProtobufCType type) {
    switch (type) {
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_BYTES:
    case PROTOBUF_C_TYPE_MESSAGE:
        return WIRE_BYTES;
    case PROTOBUF_C_TYPE_FIXED32:
    case PROTOBUF_C_TYPE_SFIXED32:
    case PROTOBUF_C_TYPE_FLOAT:
        return WIRE_32;
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_DOUBLE:
        return WIRE_64;
    default:
        return WIRE_VARINT;
    }
}

static enum terse_err print_message(const ProtobufCMessageDescriptor *type,
                                    struct pbwire in, unsigned depth,
                                    struct terse_buf *out);

static enum terse_err put_bytes(struct terse_buf *out, struct pbwire bytes) {
    return put_quoted(out, bytes.p, (size_t)(bytes.end - bytes.p));
}

/* A field of the type that is told by its length. */
static enum terse_err print_bytes(const ProtobufCFieldDescriptor *field,
                                  struct pbwire value, unsigned depth,
                                  struct terse_buf *out) {
    enum terse_err err;
    if (field->type != PROTOBUF_C_TYPE_MESSAGE) {
        err = put(out, "%s: ", field->name);
        return err == TERSE_OK ? put_bytes(out, value) : err;
    }
    err = put(out, "%s {\n", field->name);
    if (err == TERSE_OK)
        err = print_message(field->descriptor, value, depth + 1, out);
    if (err == TERSE_OK)
        err = indent(out, depth);
    return err == TERSE_OK ? put(out, "}") : err;
}

/* A field that the type does not have, or not in this form. */
static enum terse_err print_unknown(const struct pbwire_field *in,
                                    struct terse_buf *out) {
    enum terse_err err = put(out, "%" PRIu32 ": ", in->number);
    if (err != TERSE_OK)
        return err;
    switch (in->type) {
    case WIRE_VARINT:
        return put(out, "%" PRIu64, in->value);
    case WIRE_32:
        return put(out, "0x%08" PRIx32, (uint32_t)in->value);
    case WIRE_64:
        return put(out, "0x%016" PRIx64, in->value);
    case WIRE_BYTES:
        return put_bytes(out, in->bytes);
    }
    return TERSE_EFRAME;
}

static enum terse_err print_field(const ProtobufCMessageDescriptor *type,
                                  const struct pbwire_field *in, unsigned depth,
                                  struct terse_buf *out) {
    const ProtobufCFieldDescriptor *field =
        protobuf_c_message_descriptor_get_field(type, in->number);
    enum terse_err err = indent(out, depth);
    if (err != TERSE_OK)
        return err;
    if (!field || wire_of(field->type) != in->type) {
        err = print_unknown(in, out);
    } else if (in->type == WIRE_BYTES) {
        err = print_bytes(field, in->bytes, depth, out);
    } else {
        err = put(out, "%s: ", field->name);
        if (err == TERSE_OK)
            err = put_number(out, field, in->value);
    }
    return err == TERSE_OK ? put(out, "\n") : err;
}

static enum terse_err print_message(const ProtobufCMessageDescriptor *type,
                                    struct pbwire in, unsigned depth,
                                    struct terse_buf *out) {
    enum terse_err err = TERSE_OK;
    struct pbwire_field field;
    if (depth > DEPTH_MAX)
        return TERSE_ELIMIT;
    while (in.p < in.end && err == TERSE_OK) {
        if (!pbwire_next(&in, &field))
            return TERSE_EFRAME;
        err = print_field(type, &field, depth, out);
    }
    return err;
}

enum terse_err pbtext_print(const ProtobufCMessageDescriptor *type,
                            const void *p, size_t n, struct terse_buf *out) {
    return print_message(type, pbwire_start(p, n), 0, out);
}
