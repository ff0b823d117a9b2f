/*
 * codec_util.h: what the tests of codec/ and the fuzzers share. Nothing here
 * needs cmocka; whatever cannot go on calls abort().
 */
#ifndef CODEC_UTIL_H
#define CODEC_UTIL_H

#include "codec/terse.h"

/* A header that declares nothing unusual. */
#define CODEC_HEADER                                                           \
    "<?xml version='1.0'?><stream:stream xmlns='" TERSE_NS_CLIENT              \
    "' xmlns:stream='" TERSE_NS_STREAM "' version='1.0'>"

/* Limits that nothing in a test reaches by accident. */
extern const struct terse_limits codec_wide;

/* Appends what makes two nodes the same or different and nothing else: names,
 * namespaces, sorted attributes, order and characters of all content. Every
 * string is written with its length, so that no two trees look alike. */
void codec_dump(struct terse_buf *out, const struct terse_node *node);

/* What one reading of a stream gave. */
struct codec_events {
    struct terse_buf dump; /* one line per event */
    unsigned opens, elements, closes;
    enum terse_err err;       /* what feed returned last */
    struct terse_error error; /* of the reader */
};

/* Bytes of the next chunk, given how many are left; 0 stands for all. */
typedef size_t (*codec_split)(void *arg, size_t left);

/* Reads n bytes in the chunks that `split` says (NULL: in one). Feeds on after
 * no error. The caller calls codec_events_fini. */
void codec_read(const struct terse_schema *schema,
                const struct terse_limits *limits, const char *p, size_t n,
                codec_split split, void *arg, struct codec_events *out);
void codec_events_fini(struct codec_events *events);

/* The dumps of the elements of a stream, and which of them were refused. */
enum { CODEC_LIST = 64 };
struct codec_list {
    struct terse_buf at[CODEC_LIST];
    bool refused[CODEC_LIST];
    size_t n;
};

struct codec_random;

/* Reads n bytes by a reader that spares (terse_reader_spare), in pieces if
 * there are random numbers, up to an error, a footer or a full list. What feed
 * returned last. The caller calls codec_list_fini. */
enum terse_err codec_list_read(struct codec_list *list,
                               const struct terse_schema *schema,
                               const struct terse_limits *limits, const char *p,
                               size_t n, struct codec_random *random);
void codec_list_fini(struct codec_list *list);

/* Reads one element that stands alone, each chunk `chunk` bytes (0: all) and
 * appends its dump. False if it is not exactly one element. `alone`: it brings
 * its namespaces; else it stands in a stream of CODEC_HEADER. */
bool codec_read_element(const struct terse_schema *schema, bool alone,
                        const void *p, size_t n, struct terse_buf *dump);

/* Appends the frame of the one element `xml`, in a stream of CODEC_HEADER, to
 * *frame (emptied). The error of reading or encoding. */
enum terse_err codec_encode(const struct terse_schema *schema,
                            const struct terse_limits *limits, const char *xml,
                            size_t n, struct terse_buf *frame,
                            struct terse_error *error);

/* Whether expat reads p as one element that stands alone, or, with in_stream,
 * as one element inside of a stream. */
bool codec_expat_reads(const void *p, size_t n, bool in_stream);

/* Whether a and b hold the same bytes. */
bool codec_same(const struct terse_buf *a, const struct terse_buf *b);

/* Whole file, terminated; the caller frees it. NULL if it is not there. */
char *codec_slurp(const char *path, size_t *n);

/* Numbers that look random and are the same in every run. */
struct codec_random {
    uint64_t state;
};
uint64_t codec_random(struct codec_random *random);

#endif
