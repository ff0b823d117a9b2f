/*
 * state.h: what one direction of a connection remembers: slots for strings,
 * templates for stanzas. peer.c puts two of them together.
 */
#ifndef TERSE_STATE_H
#define TERSE_STATE_H

#include "slots.h"
#include "templates.h"

/* Fields of Frame that are about state. */
enum {
    FRAME_LIKE = 6, /* merge this onto template n, which becomes the result */
    FRAME_KEEP = 7, /* this becomes template n */
    FRAME_DEFLATED = 8, /* a whole frame, deflated alone */
};

enum { TEMPLATES_MAX = 128 };

struct template {
    uint8_t *p; /* owned: the field of Frame, stripped; NULL: empty */
    uint32_t n;
    uint32_t number; /* of the field */
    uint32_t used;   /* sender: when it was last used */
};

struct state {
    const struct terse_schema *schema;
    struct slots slots;
    struct template *templates; /* the first `have_templates`; others: empty */
    uint32_t have_templates;
    uint32_t n_templates;
    uint32_t template_bytes; /* of all together, at most */
    uint32_t template_bytes_now;
    uint32_t clock;
};

TERSE_NODISCARD enum terse_err
state_new(struct state **out, const struct terse_schema *schema,
          const struct terse_state_limits *limits);
/* NULL is fine. */
void state_free(struct state *state);

/* As terse_peer_pack and terse_peer_unpack. */
TERSE_NODISCARD enum terse_err state_pack(struct state *state,
                                          struct terse_str frame,
                                          struct terse_work *work,
                                          struct terse_buf *out);
TERSE_NODISCARD enum terse_err state_unpack(struct state *state,
                                            struct terse_str frame,
                                            struct terse_work *work,
                                            struct terse_buf *out);

/* Appends one varint field. */
TERSE_NODISCARD enum terse_err state_put_number(struct terse_buf *out,
                                                uint32_t number, uint64_t v);

#endif
