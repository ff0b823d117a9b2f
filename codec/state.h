/*
 * state.h: what one direction of a connection remembers: slots and a book for
 * strings, templates for stanzas, a journal of ids for the other direction to
 * refer to. peer.c puts two of them together.
 */
#ifndef TERSE_STATE_H
#define TERSE_STATE_H

#include "journal.h"
#include "strings.h"
#include "templates.h"

enum {
    TEMPLATES_MAX = 128,
    TEMPLATE_COST = 32, /* bytes that one counts for besides its own */
};

/* Where a value stands in a template; n is 0 if it does not. */
struct span {
    uint16_t at;
    uint8_t n, type; /* enum wire_type */
};

/* A stanza that was stripped. It is kept with references to the books in its
 * strings, which is this end's own affair: its bounds are those of the whole.
 */
struct template {
    uint8_t *p;                        /* owned, see shelf.c; NULL: empty */
    uint32_t kept;                     /* bytes of p */
    uint16_t n;                        /* of what it stands for */
    uint16_t number;                   /* of the field */
    uint32_t shape;                    /* of template_strip */
    uint32_t used;                     /* sender: when it was last used */
    struct span given[TEMPLATE_GIVEN]; /* of the entry that it was about */
};

struct state {
    const struct terse_schema *schema;
    struct state *other; /* the other direction, or NULL */
    struct budget budget;
    struct slots slots;
    struct book book;
    struct stems stems;
    struct journal journal;
    uint32_t journal_max; /* entries that were not heard of; 0: no journal */
    struct template *templates; /* the first `have_templates`; others: empty */
    uint32_t have_templates;
    uint32_t n_templates;
    uint32_t template_bytes; /* of all together, as they count */
    uint32_t clock;
};

/* domain: of the stream, which is the first entry of the book; may be empty. */
TERSE_NODISCARD enum terse_err
state_new(struct state **out, const struct terse_schema *schema,
          const struct terse_state_limits *limits, struct terse_str domain);
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

/* What strings of this direction can refer to. */
struct strings state_strings(struct state *state);

/* The type of the stanzas in field `number` of Frame. */
const struct sc_type *state_type(const struct state *state, uint32_t number);

#endif
