/*
 * slots.h: the strings that one direction of a connection remembers, each in a
 * slot that the sender chose and may use again for another one. strings.h tells
 * how they stand on the wire.
 */
#ifndef TERSE_SLOTS_H
#define TERSE_SLOTS_H

#include "terse.h"

/* What all that one direction remembers may take: each thing counts for its
 * bytes and something for itself, so that this is nearly its memory. */
struct budget {
    uint32_t max, now;
};

static inline bool budget_has(const struct budget *b, size_t had, size_t n) {
    return b->now - had + n <= b->max;
}

enum {
    SLOTS_MAX = 192,       /* that a mark can define */
    SLOT_BYTES_MAX = 1023, /* of one slot */
    SLOT_COST = 16,        /* bytes that one counts for besides its own */
};

struct slot {
    uint32_t at; /* of its text in `text` */
    uint16_t n, hash;
    bool full;
    uint32_t used; /* sender: when it was last used */
};

struct slots {
    struct slot *slot; /* the first `have` of n; the others are empty; owned */
    uint32_t have;
    char *text; /* of all of them, one behind the other; owned */
    uint32_t text_n, text_cap;
    uint32_t n;     /* slots in use at most */
    uint32_t clock; /* sender: counts uses */
    struct budget *budget;
};

/* Makes n empty slots; n is cut at SLOTS_MAX. budget: borrowed until fini. */
void slots_init(struct slots *s, uint32_t n, struct budget *budget);
void slots_fini(struct slots *s);

/* Puts text into slot i. TERSE_EFRAME if there is no such slot or no room,
 * TERSE_ENOMEM; the slot is as it was then. */
TERSE_NODISCARD enum terse_err slots_set(struct slots *s, uint32_t i,
                                         struct terse_str text);

/* What slot i holds, borrowed until it is set; false if it is empty. */
bool slots_get(const struct slots *s, uint32_t i, struct terse_str *out);

/* Sender: the slot that holds text, or -1. */
int slots_find(const struct slots *s, struct terse_str text);

/* Sender: slot i is used now. */
void slots_touch(struct slots *s, uint32_t i);

/* Sender: the slot for a new string of n bytes: a free one, else that which was
 * not used for the longest time, of those that leave enough bytes; -1 if there
 * is none. Nothing is ever cleared to make room, since the receiver could not
 * know. */
int slots_victim(const struct slots *s, size_t n);

#endif
