/*
 * count.h: counts what arrives without reading it, so that the ends of a
 * measurement cost little: messages of XML by their end tag, frames by their
 * lengths.
 */
#ifndef BENCH_COUNT_H
#define BENCH_COUNT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    COUNT_ROOM = 16 /* bytes in front of what is counted, to be written to */
};

struct count {
    bool frames;     /* or XML */
    uint8_t kept;    /* of XML: bytes at the end of the last piece */
    uint8_t shift;   /* of a length that is not complete */
    uint64_t length; /* of frames: what has come of the length */
    uint64_t left;   /* bytes of the frame that are still to come */
    char tail[COUNT_ROOM];
};

/* How many messages or frames end in the next n bytes. p has COUNT_ROOM bytes
 * in front of it. */
unsigned count_feed(struct count *count, uint8_t *p, size_t n);

#endif
