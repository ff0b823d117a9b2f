/* wire.c: see wire.h. */
#include "wire.h"

bool wire_long_varint(struct wire *w, uint64_t *out) {
    uint64_t v = 0;
    for (unsigned shift = 0; w->p != w->end && shift < 70; shift += 7) {
        uint8_t byte = *w->p++;
        if (shift == 63 && byte > 1)
            return false;
        v |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *out = v;
            return byte != 0 || shift == 0; /* shortest form only */
        }
    }
    return false;
}

bool wire_next(struct wire *w, struct wire_field *out) {
    uint64_t tag, n;
    if (!wire_varint(w, &tag) || tag >> 3 == 0 || tag >> 3 > 0x1fffffff)
        return false;
    out->number = (uint32_t)(tag >> 3);
    switch (tag & 7) {
    case WIRE_VARINT:
        out->type = WIRE_VARINT;
        out->bytes = (struct terse_str){NULL, 0};
        return wire_varint(w, &out->value);
    case WIRE_BYTES:
        out->type = WIRE_BYTES;
        out->value = 0;
        if (!wire_varint(w, &n) || n > (uint64_t)(w->end - w->p))
            return false;
        out->bytes = (struct terse_str){(const char *)w->p, (size_t)n};
        w->p += n;
        return true;
    default:
        return false;
    }
}
