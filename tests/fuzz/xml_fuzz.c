/*
 * xml_fuzz.c: bytes as an XML stream. How they are split must not matter, and
 * each element must come back from its frame as the same tree.
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

struct trip {
    struct terse_buf frame, xml, want, got;
    enum terse_err err;
};

/* Decodes the frame at both places and reads it again. */
static void come_back(struct trip *t, enum terse_place place) {
    bool alone = place == TERSE_STANDALONE;
    terse_buf_reset(&t->xml);
    terse_buf_reset(&t->got);
    if (terse_decode(schema, &codec_wide, terse_buf_data(&t->frame),
                     t->frame.len, place, &t->xml, NULL) != TERSE_OK)
        abort();
    if (!codec_read_element(schema, alone, terse_buf_data(&t->xml), t->xml.len,
                            &t->got))
        abort();
    if (t->got.len != t->want.len + 2 ||
        memcmp(terse_buf_data(&t->got) + 1, terse_buf_data(&t->want),
               t->want.len) != 0)
        abort();
}

static enum terse_err on_event(void *arg, enum terse_event event,
                               struct terse_node *node) {
    struct trip *t = arg;
    enum terse_err err =
        terse_encode(schema, &codec_wide, event, node, &t->frame, NULL);
    if (err != TERSE_OK) {
        /* The one thing that is read and not encoded. */
        if (!terse_node_is(node, TERSE_NS_STREAM, "stream"))
            abort();
        return err;
    }
    if (event != TERSE_ELEMENT) {
        terse_buf_reset(&t->xml);
        if (terse_decode(schema, &codec_wide, terse_buf_data(&t->frame),
                         t->frame.len, TERSE_IN_STREAM, &t->xml,
                         NULL) != TERSE_OK)
            abort();
        return TERSE_OK;
    }
    terse_buf_reset(&t->want);
    codec_dump(&t->want, node);
    come_back(t, TERSE_STANDALONE);
    come_back(t, TERSE_IN_STREAM);
    return TERSE_OK;
}

static void round_trip(const char *p, size_t n) {
    struct trip t = {0};
    struct terse_reader *reader;
    struct terse_buf *all[] = {&t.frame, &t.xml, &t.want, &t.got};
    for (size_t i = 0; i < 4; i++)
        terse_buf_init(all[i], SIZE_MAX / 4);
    if (terse_reader_new(&reader, schema, &terse_limits_default, on_event,
                         &t) != TERSE_OK)
        abort();
    t.err = terse_reader_feed(reader, p, n);
    terse_reader_free(reader);
    for (size_t i = 0; i < 4; i++)
        terse_buf_fini(all[i]);
}

static size_t split_random(void *arg, size_t left) {
    (void)left;
    uint64_t r = codec_random(arg);
    return r % 4 ? 1 + r / 4 % 7 : 1 + r / 4 % 300;
}

/* The same events. When an error shows depends on the split: libxml2 waits for
 * the end of a tag before it looks at it. `p` ends in bytes that show all. */
static void same_however_split(const char *p, size_t n) {
    struct codec_events whole, split;
    struct codec_random random = {n};
    codec_read(schema, &terse_limits_default, p, n, NULL, NULL, &whole);
    codec_read(schema, &terse_limits_default, p, n, split_random, &random,
               &split);
    if (!codec_same(&whole.dump, &split.dump))
        abort();
    codec_events_fini(&whole);
    codec_events_fini(&split);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char header[] = CODEC_HEADER;
    static const char tail[] = "\"'>]]>?><!--";
    size_t n = size;
    /* With a header of ours, unless the bytes bring one. */
    bool own = size > 0 && (data[0] == '!' || data[0] == '?');
    size_t lead = own ? 0 : sizeof(header) - 1;
    const uint8_t *from = data;
    if (own) {
        from++;
        n--;
    }
    char *p = malloc(lead + n + sizeof(tail));
    if (!p)
        abort();
    memcpy(p, header, lead);
    memcpy(p + lead, from, n);
    memcpy(p + lead + n, tail, sizeof(tail));
    same_however_split(p, lead + n + sizeof(tail) - 1);
    round_trip(p, lead + n);
    free(p);
    return 0;
}
