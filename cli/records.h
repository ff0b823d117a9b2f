/*
 * records.h: reads files of JSON lines, one record each: {"xml", "ctx"} or a
 * line of a recorded session {"t", "dir", "kind", "xml", "conn"}.
 */
#ifndef CLI_RECORDS_H
#define CLI_RECORDS_H

#include "codec/terse.h"

#include <jansson.h>
#include <stdio.h>

/* Bytes of one line; a longer one is an error, and is skipped. */
#define RECORDS_LINE_MAX (16u * 1024 * 1024)

enum record_kind {
    RECORD_ELEMENTS, /* elements, or whatever `xml` turns out to hold */
    RECORD_OPEN,     /* a stream header */
    RECORD_CLOSE,    /* a stream footer */
    RECORD_SPACE,    /* white space between elements */
};

/* One record; all of it is borrowed until the next records_next. */
struct record {
    enum record_kind kind;
    int dir;              /* 0 = c2s, 1 = s2c, -1 = not a session's */
    bool new_conn;        /* the connection is not that of the record before */
    struct terse_str raw; /* the XML as recorded */
    struct terse_str xml; /* the same, but RFC 7395's <open/> and <close/>
                             written as the header and footer they mean */
    struct terse_str header; /* of the stream that xml is a part of */
};

struct records {
    const char *name; /* of the file, for messages */
    unsigned long line;
    char error[200]; /* why records_next returned RECORDS_BAD */

    FILE *file;
    struct terse_buf text;      /* the line */
    struct terse_buf header[2]; /* of the session's streams, by direction */
    struct terse_buf ctx;       /* header made from "ctx" */
    struct terse_buf xml;       /* a rewritten header or footer */
    json_t *root;               /* the line, parsed; owns the strings */
    char conn[64];              /* of the record before */
};

enum records_result {
    RECORDS_END,
    RECORDS_ONE, /* *out is filled in */
    RECORDS_BAD, /* this line is no record: `error` says why; go on */
    RECORDS_IO,  /* no more can be read: `error` says why */
};

/* Opens a file; "-" is standard input. false, with `error`, if it cannot.
 * records_fini may be called either way. */
bool records_init(struct records *records, const char *name);
void records_fini(struct records *records);
enum records_result records_next(struct records *records, struct record *out);

#endif
