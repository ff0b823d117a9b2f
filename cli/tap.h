/*
 * tap.h: writes what passes on a connection to two files, both directions in
 * their order: each frame behind a byte 'c' or 's', who sent it, and its length
 * as a varint.
 */
#ifndef CLI_TAP_H
#define CLI_TAP_H

#include "codec/terse.h"

#include <stdio.h>

/* Of one recording. */
struct tap {
    const char *dir;  /* where the files go; NULL: nowhere */
    const char *name; /* of the recording */
    unsigned conn;    /* connections so far */
    bool open;        /* the last of them goes on */
    FILE *wire, *frames;
};

/* Writes one frame; false if it cannot. */
bool tap_frame(FILE *out, const void *p, size_t n);

/* dir: borrowed, NULL for a tap that does nothing. */
void tap_init(struct tap *tap, const char *dir, const char *name);

/* A frame that went in direction dir (0 = c2s), and how. false, with errno, if
 * it cannot be written. */
bool tap_write(struct tap *tap, int dir, struct terse_str frame,
               struct terse_str wire);

/* The connection ended; the next frame is one of the next. false, with errno,
 * if not all of it was written. */
bool tap_end(struct tap *tap);

#endif
