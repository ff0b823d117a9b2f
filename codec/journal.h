/*
 * journal.h: the ids of the last stanzas that went in one direction, with whom
 * each was about. The other direction refers to them: an answer to a request, a
 * receipt for a message (docs/wire.md, "Answers").
 *
 * Both ends keep the same entries although frames cross on the way: an entry
 * stays until the other direction has told that it was heard of, and for
 * JOURNAL_HEARD entries more. Entries are counted from 0.
 */
#ifndef TERSE_JOURNAL_H
#define TERSE_JOURNAL_H

#include "wire.h"

enum {
    JOURNAL_HEARD = 16,        /* entries that stay when they were heard of, */
    JOURNAL_HEARD_BYTES = 900, /* and their bytes, at most */
    JOURNAL_WAIT = 46,         /* that were not heard of yet, at most */
    JOURNAL_WAIT_BYTES = 1500, /* and their bytes */
    JOURNAL_ID_MAX = 80,    /* bytes; a stanza with a longer id has no entry */
    JOURNAL_ADDR_MAX = 120, /* bytes; a longer address is left out */
};

struct journal {
    uint8_t *p; /* entries, packed; owned */
    uint32_t len, cap;
    uint32_t first, end; /* entries that are there */
    uint32_t heard;      /* of how many the other direction told */
    uint32_t wait_bytes; /* of entries that it did not tell of */
    uint64_t marks;      /* a bit for each id that is there, see mark_of */
    bool on;             /* stanzas enter */
};

/* Borrowed until the journal changes. */
struct entry {
    struct wire_field id; /* type and value as in its stanza */
    struct terse_str addr;
    uint32_t index;
};

void journal_fini(struct journal *j);

/* Whether a stanza with this id can have an entry. */
bool journal_takes(const struct wire_field *id);

/* Whether an entry more may wait to be heard of; most: entries that may. An
 * entry counts for the bytes of its id (8 for a number) and its address. */
bool journal_has_room(const struct journal *j, const struct wire_field *id,
                      struct terse_str addr, uint32_t most);

/* Adds an entry; TERSE_ENOMEM leaves all as it was. */
TERSE_NODISCARD enum terse_err journal_add(struct journal *j,
                                           const struct wire_field *id,
                                           struct terse_str addr);

/* The entry `offset` behind the first that was not heard of (before it if
 * negative); false if the other direction must not refer to it. */
bool journal_get(const struct journal *j, int64_t offset, struct entry *out);

/* The latest entry that journal_get finds and whose id has this value. */
bool journal_find(const struct journal *j, const struct wire_field *id,
                  struct entry *out);

/* The other direction has told of all entries before `count`, which is at most
 * `end`; less than before is nothing new. */
void journal_hear(struct journal *j, uint32_t count);

#endif
