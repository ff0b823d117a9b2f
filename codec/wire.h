/*
 * wire.h: Protobuf's wire format (tag, varint, length-delimited), reading.
 * Strict: overlong and truncated varints, field number 0, groups and fixed
 * fields are refused.
 */
#ifndef TERSE_WIRE_H
#define TERSE_WIRE_H

#include "terse.h"

enum wire_type { WIRE_VARINT = 0, WIRE_BYTES = 2 };

/* One field of a message. */
struct wire_field {
    uint32_t number;
    enum wire_type type;
    uint64_t value;         /* VARINT */
    struct terse_str bytes; /* BYTES: borrowed from the message */
};

/* A position in a message. */
struct wire {
    const uint8_t *p, *end;
};

static inline struct wire wire_of(struct terse_str bytes) {
    const uint8_t *p = (const uint8_t *)bytes.p;
    return (struct wire){p, p ? p + bytes.n : p};
}

/* Reads a varint of at most 10 bytes in its shortest form. Nearly all have one
 * byte or two. */
bool wire_long_varint(struct wire *w, uint64_t *out);
static inline bool wire_varint(struct wire *w, uint64_t *out) {
    const uint8_t *p = w->p;
    size_t n = (size_t)(w->end - p);
    if (n > 0 && p[0] < 0x80) {
        *out = p[0];
        w->p = p + 1;
        return true;
    }
    if (n > 1 && p[1] < 0x80 && p[1] > 0) {
        *out = (uint64_t)(p[1] << 7 | (p[0] & 0x7f));
        w->p = p + 2;
        return true;
    }
    return wire_long_varint(w, out);
}

/* Reads the next field; call while w->p != w->end. False if malformed. */
static inline bool wire_next(struct wire *w, struct wire_field *out) {
    uint64_t tag;
    if (!wire_varint(w, &tag) || tag >> 3 == 0 || tag >> 3 > 0x1fffffff)
        return false;
    out->number = (uint32_t)(tag >> 3);
    out->type = (enum wire_type)(tag & 7);
    out->bytes = (struct terse_str){NULL, 0};
    if (!wire_varint(w, &out->value))
        return false;
    if (out->type != WIRE_BYTES)
        return out->type == WIRE_VARINT;
    if (out->value > (uint64_t)(w->end - w->p))
        return false;
    out->bytes = (struct terse_str){(const char *)w->p, (size_t)out->value};
    out->value = 0;
    w->p += out->bytes.n;
    return true;
}

/* Writes v in its shortest form, at most 10 bytes; their number. */
enum { WIRE_VARINT_MAX = 10 };
static inline size_t wire_put_varint(uint8_t out[WIRE_VARINT_MAX], uint64_t v) {
    size_t n = 0;
    for (; v >= 0x80; v >>= 7)
        out[n++] = (uint8_t)(v | 0x80);
    out[n++] = (uint8_t)v;
    return n;
}

static inline uint64_t wire_zigzag(int64_t v) {
    return ((uint64_t)v << 1) ^ (v < 0 ? UINT64_MAX : 0);
}

static inline int64_t wire_unzigzag(uint64_t v) {
    return (int64_t)((v >> 1) ^ (v & 1 ? UINT64_MAX : 0));
}

#endif
