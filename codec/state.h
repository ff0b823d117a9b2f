/*
 * state.h: what one direction of a connection remembers (terse.h,
 * terse_state_*): slots for strings, templates for stanzas. Works on frames
 * alone, between the codec and the wire:
 *
 *   XML -> terse_encode -> terse_state_pack -> wire
 *   wire -> terse_state_unpack -> terse_decode -> XML
 *
 * What comes out of unpack is byte for byte what went into pack.
 */
#ifndef TERSE_STATE_H
#define TERSE_STATE_H

#include "slots.h"
#include "templates.h"

enum {
    FRAME_LIKE = 6, /* merge this onto template n, which becomes the result */
    FRAME_KEEP = 7, /* this becomes template n */
    TEMPLATES_MAX = 128,
};

struct template {
    uint8_t *p; /* owned: the field of Frame, stripped; NULL: empty */
    uint32_t n;
    uint32_t number; /* of the field */
    uint32_t used;   /* sender: when it was last used */
};

struct terse_state {
    const struct terse_schema *schema;
    struct slots slots;
    struct template *templates;
    uint32_t n_templates;
    uint32_t template_bytes; /* of all together, at most */
    uint32_t template_bytes_now;
    uint32_t clock;
};

#endif
