/*
 * strings.h: strings on the wire, with what both ends remember of others in
 * them. Control characters that XML text cannot hold are the marks, so nothing
 * needs escaping and every Protobuf library reads the frame as it is:
 *
 *   01-08, 0e-18      slot 0-7, 8-18
 *   1a c, 1b c        slot 19 + (c - 20h), 115 + (c - 20h); c from 20h to 7fh
 *   1e r, 1f r        an entry of this direction's book, of the other's; r is
 *                     one byte 20-5f: entry 0-63, or two: 64 and up
 *   19                only in front: what follows goes into the book; it has
 *                     no slots in it
 *   1c c, 1d c        only in front: what the string stands for is from now on
 *                     in slot c - 20h, 96 + (c - 20h)
 *
 * Only strings that no schema calls private are touched: see TABLE_PRIVATE.
 */
#ifndef TERSE_STRINGS_H
#define TERSE_STRINGS_H

#include "book.h"
#include "slots.h"

enum { STEM_MAX = 32, STEMS = 8 };

/* Sender: how resources begin that were seen once. What comes a second time, as
 * a client's name does, is worth an entry. */
struct stems {
    uint32_t hash[STEMS];
    unsigned next;
};

/* What a string of one direction can refer to. */
struct strings {
    struct slots *slots;
    struct book *book;        /* of this direction */
    const struct book *other; /* of the other one; NULL if there is none */
    struct stems *stems;      /* sender */
    char stem[STEM_MAX];      /* sender: what is to enter the book, too */
    size_t stem_n;
};

enum strings_kind {
    STRINGS_ONCE,    /* it hardly comes again: nothing is remembered */
    STRINGS_TOKEN,   /* one of few: takes a slot, which is the shortest */
    STRINGS_ADDRESS, /* a JID: goes into the book, or takes a slot */
    STRINGS_LISTED,  /* a JID of many: goes into the book, but takes no slot */
};

/* Sender: appends text with references, and perhaps remembers it. TERSE_ENOMEM
 * and TERSE_ELIMIT are out's. */
TERSE_NODISCARD enum terse_err strings_pack(struct strings *s,
                                            struct terse_str text,
                                            enum strings_kind kind,
                                            struct terse_buf *out);

/* Receiver: appends what text stands for. TERSE_EFRAME: a slot or an entry that
 * is not there, a mark in the wrong place, or over the bounds. */
TERSE_NODISCARD enum terse_err strings_unpack(const struct strings *s,
                                              struct terse_str text,
                                              struct terse_buf *out);

/* Receiver: appends text, which has no marks, to the book; TERSE_EFRAME. */
TERSE_NODISCARD enum terse_err strings_enter(const struct strings *s,
                                             struct terse_str text);

/* Whether text has a mark in it. */
bool strings_marked(struct terse_str text);

#endif
