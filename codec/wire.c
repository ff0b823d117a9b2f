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
