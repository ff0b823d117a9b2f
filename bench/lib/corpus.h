/*
 * corpus.h: recorded sessions in memory, as streams of XML: for each connection
 * and direction the first header, then all elements, then a footer.
 */
#ifndef BENCH_CORPUS_H
#define BENCH_CORPUS_H

#include "codec/terse.h"

/* Copies of byte strings. */
struct strs {
    struct terse_str *v;
    size_t n, cap;
};

struct stream {
    struct strs xml;    /* as it is fed, piece by piece; the first: a header */
    struct strs frames; /* filled in by who encodes them */
    struct strs wire;   /* the same with state */
};

/* One connection. */
struct session {
    const char *name;     /* of the file; borrowed */
    bool last;            /* of that file */
    struct stream dir[2]; /* c2s, s2c */
    struct strs order;    /* as recorded: n is the direction of an element */
};

struct corpus {
    struct session *sessions;
    size_t n;
    size_t elements, xml_bytes; /* without headers and footers */
};

/* Copies n bytes to the end of strs; ends the program if there is no memory. */
void strs_add(struct strs *strs, const void *p, size_t n);
void strs_free(struct strs *strs);

/* Ends the program with a message if a file is no recorded session. */
void corpus_load(struct corpus *corpus, char **files, int n);
void corpus_free(struct corpus *corpus);

#endif
