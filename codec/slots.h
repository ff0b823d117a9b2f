/*
 * slots.h: the strings that one direction of a connection remembers.
 *
 * The sender chooses what goes into which slot and when; the receiver obeys. A
 * string on the wire may begin with a definition and hold references, as
 * control characters that XML text cannot hold, so nothing needs escaping and
 * every Protobuf library reads the frame as it is:
 *
 *   01-08, 0e-19      slot 0-7, 8-19
 *   1a c, 1b c        slot 20 + (c - 20h), 116 + (c - 20h); c from 20h to 7fh
 *   1c c, 1d c        only in front: what the string expands to is from now on
 *                     slot c - 20h, 96 + (c - 20h)
 *
 * Only strings that no schema calls private are touched: see TABLE_PRIVATE.
 */
#ifndef TERSE_SLOTS_H
#define TERSE_SLOTS_H

#include "terse.h"

enum {
    SLOTS_MAX = 192,       /* that 1c and 1d can define */
    SLOT_BYTES_MAX = 1023, /* of one slot */
};

struct slot {
    char *p; /* owned; NULL: empty */
    uint16_t n;
    uint32_t hash;
    uint32_t used; /* sender: when it was last used */
};

struct slots {
    struct slot *slot; /* the first `have` of n; the others are empty */
    uint32_t have;
    uint32_t n;         /* slots in use at most */
    uint32_t bytes_max; /* sum of their lengths at most */
    uint32_t bytes;
    uint32_t clock; /* sender: counts uses */
};

/* Makes n empty slots of bytes_max bytes together; n is cut at SLOTS_MAX. */
TERSE_NODISCARD enum terse_err slots_init(struct slots *s, uint32_t n,
                                          uint32_t bytes_max);
void slots_fini(struct slots *s);

/* Sender: appends text, with references and perhaps a definition, to out.
 * define: it is of the kind that comes again. TERSE_ENOMEM and TERSE_ELIMIT are
 * out's. */
TERSE_NODISCARD enum terse_err slots_pack(struct slots *s,
                                          struct terse_str text, bool define,
                                          struct terse_buf *out);

/* Receiver: appends what text expands to. TERSE_EFRAME: a slot that is empty or
 * does not exist, a definition in the wrong place or over the bounds. */
TERSE_NODISCARD enum terse_err
slots_unpack(struct slots *s, struct terse_str text, struct terse_buf *out);

#endif
