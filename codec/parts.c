/* parts.c: see parts.h. */
#include "parts.h"

static bool is_state(uint32_t number) {
    return (number >= FRAME_LIKE && number <= FRAME_ENTER) ||
           number == FRAME_ENTRY;
}

static bool read_state(const struct wire_field *f, struct parts *out) {
    bool bytes = f->number == FRAME_DEFLATED || f->number == FRAME_ENTRY;
    enum wire_type type = bytes ? WIRE_BYTES : WIRE_VARINT;
    if (f->type != type || out->has[f->number])
        return false;
    out->has[f->number] = true;
    out->value[f->number] = f->value;
    if (f->number == FRAME_DEFLATED)
        out->deflated = f->bytes;
    if (f->number == FRAME_ENTRY)
        out->entry = f->bytes;
    return true;
}

bool parts_read(struct terse_str frame, struct parts *out) {
    struct wire in = wire_of(frame);
    struct wire_field f;
    *out = (struct parts){0};
    while (in.p != in.end) {
        const uint8_t *from = in.p;
        if (!wire_next(&in, &f))
            return false;
        if (is_state(f.number)) {
            if (!read_state(&f, out))
                return false;
        } else if (out->contents++ == 0) {
            out->content = f;
            out->whole =
                (struct terse_str){(const char *)from, (size_t)(in.p - from)};
        }
    }
    return true;
}

bool parts_stanza(const struct parts *parts) {
    return parts->contents == 1 && parts->content.number <= FRAME_STANZA_MAX &&
           parts->content.type == WIRE_BYTES;
}

bool parts_state(const struct parts *parts) {
    for (unsigned i = FRAME_LIKE; i <= FRAME_STATE_LAST; i++)
        if (parts->has[i])
            return true;
    return false;
}

static enum terse_err put_varint(struct terse_buf *out, uint64_t v) {
    uint8_t bytes[WIRE_VARINT_MAX];
    size_t n = wire_put_varint(bytes, v);
    return terse_buf_append(out, bytes, n);
}

size_t terse_frame_put(uint8_t out[TERSE_FIELD_MAX], uint32_t field,
                       uint64_t value) {
    size_t n = wire_put_varint(out, (uint64_t)field << 3 | WIRE_VARINT);
    return n + wire_put_varint(out + n, value);
}

bool terse_frame_number(const void *frame, size_t n, uint32_t field,
                        uint64_t *value) {
    struct wire in = wire_of((struct terse_str){frame, n});
    struct wire_field f;
    bool found = false;
    while (in.p != in.end && wire_next(&in, &f)) {
        if (f.number != field || f.type != WIRE_VARINT)
            continue;
        *value = f.value;
        found = true;
    }
    return found;
}

enum terse_err parts_put_number(struct terse_buf *out, uint32_t number,
                                uint64_t v) {
    uint8_t bytes[TERSE_FIELD_MAX];
    return terse_buf_append(out, bytes, terse_frame_put(bytes, number, v));
}

enum terse_err parts_put(struct terse_buf *out, uint32_t number,
                         struct terse_str bytes) {
    enum terse_err err = put_varint(out, (uint64_t)number << 3 | WIRE_BYTES);
    if (err == TERSE_OK)
        err = put_varint(out, bytes.n);
    return err == TERSE_OK ? terse_buf_append(out, bytes.p, bytes.n) : err;
}
