/*
 * value.h: lexical forms. Each writes characters as a value from which exactly
 * the same characters come back, or does not fit. Which form a field has is
 * enum table_form (options.proto tells what each stands for).
 *
 * NAMED and WORD need the schema's enums and are in schema.h; PACKED is in
 * pack.h, IDENT in ident.h.
 */
#ifndef TERSE_VALUE_H
#define TERSE_VALUE_H

#include "table.h"
#include "terse.h"

/* Whether a value of this form is a varint on the wire, not bytes. */
static inline bool value_is_varint(uint8_t form) {
    return form != FORM_PLAIN && form != FORM_UUID && form != FORM_HEX &&
           form != FORM_BASE64 && form != FORM_PACKED && form != FORM_IDENT;
}

/* Forms DECIMAL, SIGNED, BOOLEAN and DATETIME*: characters to the varint. False
 * if they do not fit. flags: of the field (TABLE_32BIT). */
bool value_to_varint(uint8_t form, uint8_t flags, struct terse_str s,
                     uint64_t *out);

/* Forms UUID, HEX and BASE64: how many bytes s stands for, 0 if it cannot fit.
 * value_to_bytes writes so many to out; false if it does not fit after all. */
size_t value_bytes_size(uint8_t form, struct terse_str s);
bool value_to_bytes(uint8_t form, struct terse_str s, uint8_t *out);

/* Room that the characters of any varint form take. */
enum { VALUE_CHARS = 32 };

/* Varint to characters; their number, 0 if no characters stand for it. */
size_t value_from_varint(uint8_t form, uint8_t flags, uint64_t v,
                         char out[VALUE_CHARS]);

/* How many characters n bytes of form UUID, HEX or BASE64 give, 0 if none can;
 * value_from_bytes writes them. */
size_t value_chars_size(uint8_t form, size_t n);
void value_from_bytes(uint8_t form, struct terse_str bytes, char *out);

#endif
