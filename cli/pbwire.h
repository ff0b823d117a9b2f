/*
 * pbwire.h: reads the fields of a Protobuf message, one after the other.
 */
#ifndef CLI_PBWIRE_H
#define CLI_PBWIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum pbwire_type {
    WIRE_VARINT = 0,
    WIRE_64 = 1,
    WIRE_BYTES = 2,
    WIRE_32 = 5,
};

/* Bytes yet to be read; borrowed. */
struct pbwire {
    const uint8_t *p, *end;
};

struct pbwire_field {
    uint32_t number;
    enum pbwire_type type;
    uint64_t value;      /* of a number; of bytes their count */
    struct pbwire bytes; /* where type is WIRE_BYTES */
    size_t size;         /* tag, length and value */
};

/* The n bytes at p. */
struct pbwire pbwire_start(const void *p, size_t n);

/* Reads the next field of what is left, which must not be empty. false where
 * the bytes are no field. */
bool pbwire_next(struct pbwire *wire, struct pbwire_field *out);

#endif
