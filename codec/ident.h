/*
 * ident.h: ids, form IDENT. Printable ASCII as one number: runs of characters,
 * each of the smallest alphabet that holds them. docs/wire.md describes the
 * format.
 */
#ifndef TERSE_IDENT_H
#define TERSE_IDENT_H

#include "terse.h"

/* No id of this form is longer, nor has more bytes. */
enum { IDENT_CHARS = 128, IDENT_BYTES = 112 };

/* Writes s to the END of out[0 .. cap). Their number; 0 if they do not fit, or
 * if s is empty, too long or not all printable ASCII. Time is bounded by a
 * constant per character, times IDENT_CHARS. */
size_t ident_encode(struct terse_str s, uint8_t *out, size_t cap);

/* The characters to out; their number, 0 if the bytes are malformed. Time is
 * bounded by a constant per byte, times IDENT_BYTES. */
size_t ident_decode(struct terse_str bytes, char out[IDENT_CHARS]);

#endif
