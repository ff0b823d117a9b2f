/*
 * pbwire.c: see pbwire.h.
 */
#include "pbwire.h"

struct pbwire pbwire_start(const void *p, size_t n) {
    return (struct pbwire){p, n ? (const uint8_t *)p + n : p};
}

static bool get_varint(struct pbwire *in, uint64_t *out) {
    *out = 0;
    for (unsigned shift = 0; shift < 64 && in->p < in->end; shift += 7) {
        uint8_t b = *in->p++;
        *out |= (uint64_t)(b & 0x7f) << shift;
        if (b < 0x80)
            return true;
    }
    return false;
}

static bool get_fixed(struct pbwire *in, unsigned n, uint64_t *out) {
    *out = 0;
    if ((size_t)(in->end - in->p) < n)
        return false;
    for (unsigned i = 0; i < n; i++)
        *out |= (uint64_t)*in->p++ << (8 * i);
    return true;
}

static bool get_value(struct pbwire *in, struct pbwire_field *out) {
    switch (out->type) {
    case WIRE_VARINT:
        return get_varint(in, &out->value);
    case WIRE_64:
        return get_fixed(in, 8, &out->value);
    case WIRE_32:
        return get_fixed(in, 4, &out->value);
    case WIRE_BYTES:
        if (!get_varint(in, &out->value) ||
            out->value > (size_t)(in->end - in->p))
            return false;
        out->bytes = pbwire_start(in->p, (size_t)out->value);
        in->p += out->value;
        return true;
    }
    return false; /* groups, and what Protobuf does not have */
}

bool pbwire_next(struct pbwire *wire, struct pbwire_field *out) {
    const uint8_t *start = wire->p;
    uint64_t tag;
    if (!get_varint(wire, &tag) || tag >> 3 == 0 || tag > UINT32_MAX)
        return false;
    *out = (struct pbwire_field){.number = (uint32_t)(tag >> 3),
                                 .type = (enum pbwire_type)(tag & 7)};
    if (!get_value(wire, out))
        return false;
    out->size = (size_t)(wire->p - start);
    return true;
}
