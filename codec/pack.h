/*
 * pack.h: short text with a static model, form PACKED. The packed bytes depend
 * on the text alone: nothing is learned, so nothing of one text shows in the
 * size of another. docs/text.md describes the format.
 */
#ifndef TERSE_PACK_H
#define TERSE_PACK_H

#include "terse.h"

/* No packed text stands for more than this many times its own bytes. */
enum { PACK_RATIO = 32 };

/* Packs any bytes into the END of out[0 .. cap). Their number; 0 if they do not
 * fit, if text is empty or if it is over PACK_RATIO. Time and stack are bounded
 * by a constant per byte of text. */
size_t pack_encode(struct terse_str text, uint8_t *out, size_t cap);

/* Unpacks piece by piece. Set by pack_begin, borrows the packed bytes. */
struct pack_reader {
    const uint8_t *p, *end;
    uint32_t x;
    uint32_t room; /* bytes that may still come */
    uint8_t class; /* of the piece before */
};

/* False if they cannot be packed text. */
bool pack_begin(struct pack_reader *r, struct terse_str packed);
/* The next piece of the text, static; empty at its end. False if the packed
 * bytes are malformed. Comes to an end after PACK_RATIO pieces a byte. */
bool pack_next(struct pack_reader *r, struct terse_str *piece);

/* All at once; *n is the size. False if malformed or over cap. */
bool pack_decode(struct terse_str packed, char *out, size_t cap, size_t *n);

#endif
