/*
 * book.h: strings that stay for the whole connection: addresses, mostly. Those
 * of one direction; the other one may refer to them as well, since an entry
 * never changes and never goes.
 *
 * An entry is kept as it came, with references to other entries in it: an
 * address on a known domain takes a few bytes.
 */
#ifndef TERSE_BOOK_H
#define TERSE_BOOK_H

#include "slots.h"

enum {
    BOOK_MAX = 3136,       /* entries that a reference can name */
    BOOK_TEXT_MAX = 255,   /* bytes of what one stands for */
    BOOK_DEPTH_MAX = 4,    /* entries that refer to entries */
    BOOK_ENTRY_COST = 4,   /* bytes that each counts for besides its own */
    BOOK_BUDGET_MIN = 512, /* where the budget is less there is no book */
    BOOK_OWN = 0x1e,       /* mark: an entry of this direction's book */
    BOOK_OTHER = 0x1f,     /* of the other's */
    BOOK_FIRST = 0x20,     /* 20-5f: entries 0-63; 60-7f: and one more byte */
    BOOK_FAR = 0x60,
    BOOK_NEAR_ENTRIES = 64,
};

struct book {
    uint16_t *hashes; /* of what each entry stands for; behind `entries_cap` of
                         them, where its bytes end; owned */
    char *bytes;      /* owned */
    uint32_t n, entries_cap;
    uint32_t bytes_n, bytes_cap;
    struct budget *budget; /* borrowed */
};

void book_fini(struct book *b);

/* Whether one more entry of n bytes as it comes has room. */
bool book_has_room(const struct book *b, size_t n);

/* Appends an entry: `came` as it came, which stands for `text`. Room was asked
 * for. TERSE_ENOMEM leaves all as it was. */
TERSE_NODISCARD enum terse_err book_add(struct book *b, struct terse_str came,
                                        struct terse_str text);

/* Takes the last entry back. */
void book_drop_last(struct book *b);

/* The entry that stands for text, or -1. other: the book of the other
 * direction, which entries may refer to; may be NULL, as b. */
int book_find(const struct book *b, const struct book *other,
              struct terse_str text);

/* Writes a reference with this mark to entry i: its bytes. */
size_t book_put_ref(uint8_t mark, uint32_t i, char out[3]);

/* Reads what follows a mark at text[*at]: false if it is no reference. */
bool book_read_ref(struct terse_str text, size_t *at, uint32_t *i);

/* Writes what entry i of b stands for; how many bytes, or -1 if there is no
 * such entry, or it nests deeper than BOOK_DEPTH_MAX or is longer than
 * BOOK_TEXT_MAX. */
int book_expand(const struct book *b, const struct book *other, uint32_t i,
                char out[BOOK_TEXT_MAX]);

/* How deep entry i nests: 1 if it refers to none. */
unsigned book_depth(const struct book *b, const struct book *other, uint32_t i);

#endif
