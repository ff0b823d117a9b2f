/*
 * spare_fuzz.c: bytes as a stream, read by a reader that steps over what is
 * over its limits. Whatever the limits, and however the bytes are split, the
 * same elements come out, each as it is or refused.
 */
#include <stdlib.h>
#include <string.h>

#include "tests/unit/codec_util.h"

static struct terse_schema *schema;

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    (void)argc, (void)argv;
    if (terse_schema_new(&schema) != TERSE_OK)
        abort();
    return 0;
}

static bool has(const void *p, size_t n, const char *text) {
    return memmem(p, n, text, strlen(text)) != NULL;
}

/* What `wide` has, `tight` has as well, as it is or refused, up to an element
 * of the stream's own: such a one is no stanza, and ends it. It may have more:
 * what is no XML within an element that is refused may go unseen. */
static void compare(const struct codec_list *wide,
                    const struct codec_list *tight) {
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
    static struct codec_list wide, tight;
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
    (void)codec_list_read(&wide, schema, &codec_wide, p, lead + size, NULL);
    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
        (void)codec_list_read(&tight, schema, &limits[i], p, lead + size,
                              &random);
        compare(&wide, &tight);
        codec_list_fini(&tight);
    }
    codec_list_fini(&wide);
    free(p);
    return 0;
}
