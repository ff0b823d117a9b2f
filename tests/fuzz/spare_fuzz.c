/*
 * spare_fuzz.c: bytes as a stream, read by a reader that steps over what is
 * over its limits. Whatever the limits, and however the bytes are split, the
 * same elements come out, each as it is or refused.
 */
#include <stdlib.h>
#include <string.h>

#include "tests/unit/codec_util.h"

enum { LIST = 64 };

static struct terse_schema *schema;

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    (void)argc, (void)argv;
    if (terse_schema_new(&schema) != TERSE_OK)
        abort();
    return 0;
}

struct list {
    struct terse_buf at[LIST];
    bool refused[LIST];
    size_t n;
    enum terse_err err;
};

static enum terse_err on_event(void *arg, enum terse_event event,
                               struct terse_node *node) {
    struct list *l = arg;

    if (event == TERSE_CLOSE || l->n == LIST)
        return TERSE_EFRAME;
    if (event == TERSE_OPEN)
        return TERSE_OK;
    l->refused[l->n] = event == TERSE_REFUSED;
    terse_buf_init(&l->at[l->n], SIZE_MAX / 4);
    codec_dump(&l->at[l->n++], node);
    return TERSE_OK;
}

/* In pieces, if there are random numbers. */
static void read_list(struct list *l, const struct terse_limits *limits,
                      const char *p, size_t n, struct codec_random *random) {
    struct terse_reader *reader;

    l->n = 0;
    if (terse_reader_new(&reader, schema, limits, on_event, l) != TERSE_OK)
        abort();
    terse_reader_spare(reader);
    l->err = TERSE_OK;
    for (size_t i = 0, piece; i < n && l->err == TERSE_OK; i += piece) {
        piece = random ? 1 + codec_random(random) % 40 : n;
        if (piece > n - i)
            piece = n - i;
        l->err = terse_reader_feed(reader, p + i, piece);
    }
    terse_reader_free(reader);
}

static void free_list(struct list *l) {
    while (l->n > 0)
        terse_buf_fini(&l->at[--l->n]);
}

static bool has(const void *p, size_t n, const char *text) {
    return memmem(p, n, text, strlen(text)) != NULL;
}

/* What `wide` has, `tight` has as well, as it is or refused, up to an element
 * of the stream's own: such a one is no stanza, and ends it. It may have more:
 * what is no XML within an element that is refused may go unseen. */
static void compare(const struct list *wide, const struct list *tight) {
    if (tight->n < wide->n && has(terse_buf_data(&wide->at[tight->n]),
                                  wide->at[tight->n].len, TERSE_NS_CLIENT))
        abort();
    for (size_t i = 0; i < wide->n && i < tight->n; i++) {
        if (wide->refused[i] && !tight->refused[i])
            abort();
        if (!tight->refused[i] && !codec_same(&wide->at[i], &tight->at[i]))
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct list wide, tight;
    static const char header[] = CODEC_HEADER;
    const size_t lead = sizeof(header) - 1;
    struct codec_random random = {size};
    const struct terse_limits limits[] = {
        {.stanza_bytes = 1 << 20,
         .frame_bytes = 1 << 20,
         .elements = 8,
         .attributes = 6,
         .depth = 5,
         .text_bytes = 4096,
         .name_bytes = 64},
        {.stanza_bytes = 300,
         .frame_bytes = 1 << 20,
         .elements = 100000,
         .attributes = 256,
         .depth = 64,
         .text_bytes = 12,
         .name_bytes = 4096},
    };
    char *p;

    /* A stanza whose own name has a prefix is not spared either. */
    if (has(data, size, "xmlns:") && has(data, size, TERSE_NS_CLIENT))
        return 0;
    p = malloc(lead + size);
    if (!p)
        abort();
    memcpy(p, header, lead);
    memcpy(p + lead, data, size);
    read_list(&wide, &codec_wide, p, lead + size, NULL);
    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
        read_list(&tight, &limits[i], p, lead + size, &random);
        compare(&wide, &tight);
        free_list(&tight);
    }
    free_list(&wide);
    free(p);
    return 0;
}
