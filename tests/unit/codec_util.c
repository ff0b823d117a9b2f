/* codec_util.c: see codec_util.h. */
#include "tests/unit/codec_util.h"

#include <expat.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codec/node.h"
#include "codec/str.h"

const struct terse_limits codec_wide = {
    .stanza_bytes = 64 * 1024 * 1024,
    .frame_bytes = 64 * 1024 * 1024,
    .elements = 10 * 1000 * 1000,
    .attributes = 256,
    .depth = 256,
    .text_bytes = 64 * 1024 * 1024,
    .name_bytes = 1024 * 1024,
};

/* ---- dumps --------------------------------------------------------------- */

static void put(struct terse_buf *out, const void *p, size_t n) {
    if (terse_buf_append(out, p, n) != TERSE_OK)
        abort();
}

static void put_str(struct terse_buf *out, char kind, struct terse_str s) {
    char head[32];
    int n = snprintf(head, sizeof(head), "%c%zu:", kind, s.n);
    put(out, head, (size_t)n);
    put(out, s.p, s.n);
}

static int compare_str(struct terse_str a, struct terse_str b) {
    int c = memcmp(a.p ? a.p : "", b.p ? b.p : "", a.n < b.n ? a.n : b.n);
    return c ? c : a.n < b.n ? -1 : a.n > b.n;
}

static int compare_attrs(const void *a, const void *b) {
    const struct node_attr *x = a, *y = b;
    int c = compare_str(x->name, y->name);
    return c ? c : compare_str(x->ns, y->ns);
}

static void put_attrs(struct terse_buf *out, const struct terse_node *node) {
    if (node->n_attrs == 0)
        return;
    size_t size = node->n_attrs * sizeof(*node->attrs);
    struct node_attr *sorted = malloc(size);
    if (!sorted)
        abort();
    memcpy(sorted, node->attrs, size);
    qsort(sorted, node->n_attrs, sizeof(*sorted), compare_attrs);
    for (uint32_t i = 0; i < node->n_attrs; i++) {
        put_str(out, '@', sorted[i].name);
        put_str(out, 'n', sorted[i].ns);
        put_str(out, '=', sorted[i].value);
    }
    free(sorted);
}

void codec_dump(struct terse_buf *out, const struct terse_node *node) {
    if (node_is_text(node)) {
        put_str(out, '"', node->text);
        return;
    }
    put_str(out, '<', node->name);
    put_str(out, 'n', node->ns);
    put_attrs(out, node);
    put(out, "{", 1);
    for (const struct terse_node *c = node->first; c; c = c->next)
        codec_dump(out, c);
    put(out, "}", 1);
}

bool codec_same(const struct terse_buf *a, const struct terse_buf *b) {
    return a->len == b->len &&
           (a->len == 0 ||
            memcmp(terse_buf_data(a), terse_buf_data(b), a->len) == 0);
}

/* ---- reading ------------------------------------------------------------- */

static enum terse_err on_event(void *arg, enum terse_event event,
                               struct terse_node *node) {
    struct codec_events *ev = arg;
    if (event == TERSE_OPEN)
        ev->opens++;
    else if (event == TERSE_ELEMENT)
        ev->elements++;
    else
        ev->closes++;
    put(&ev->dump, &"OEC"[event], 1);
    if (node)
        codec_dump(&ev->dump, node);
    put(&ev->dump, "\n", 1);
    return TERSE_OK;
}

void codec_read(const struct terse_schema *schema,
                const struct terse_limits *limits, const char *p, size_t n,
                codec_split split, void *arg, struct codec_events *out) {
    struct terse_reader *reader;
    *out = (struct codec_events){0};
    terse_buf_init(&out->dump, SIZE_MAX / 4);
    if (terse_reader_new(&reader, schema, limits, on_event, out) != TERSE_OK)
        abort();
    for (size_t at = 0; at < n && out->err == TERSE_OK;) {
        size_t size = split ? split(arg, n - at) : 0;
        if (size == 0 || size > n - at)
            size = n - at;
        /* A copy of its own, so that a read behind its end is seen. */
        char *chunk = malloc(size);
        if (!chunk)
            abort();
        memcpy(chunk, p + at, size);
        out->err = terse_reader_feed(reader, chunk, size);
        free(chunk);
        at += size;
    }
    out->error = *terse_reader_error(reader);
    terse_reader_free(reader);
}

void codec_events_fini(struct codec_events *events) {
    terse_buf_fini(&events->dump);
}

static enum terse_err on_list(void *arg, enum terse_event event,
                              struct terse_node *node) {
    struct codec_list *list = arg;

    if (event == TERSE_CLOSE || list->n == CODEC_LIST)
        return TERSE_EFRAME;
    if (event == TERSE_OPEN)
        return TERSE_OK;
    list->refused[list->n] = event == TERSE_REFUSED;
    terse_buf_init(&list->at[list->n], SIZE_MAX / 4);
    codec_dump(&list->at[list->n++], node);
    return TERSE_OK;
}

enum terse_err codec_list_read(struct codec_list *list,
                               const struct terse_schema *schema,
                               const struct terse_limits *limits, const char *p,
                               size_t n, struct codec_random *random) {
    struct terse_reader *reader;
    enum terse_err err = TERSE_OK;

    list->n = 0;
    if (terse_reader_new(&reader, schema, limits, on_list, list) != TERSE_OK)
        abort();
    terse_reader_spare(reader);
    for (size_t i = 0, piece; i < n && err == TERSE_OK; i += piece) {
        piece = random ? 1 + codec_random(random) % 40 : n;
        if (piece > n - i)
            piece = n - i;
        err = terse_reader_feed(reader, p + i, piece);
    }
    terse_reader_free(reader);
    return err;
}

void codec_list_fini(struct codec_list *list) {
    while (list->n > 0)
        terse_buf_fini(&list->at[--list->n]);
}

bool codec_read_element(const struct terse_schema *schema, bool alone,
                        const void *p, size_t n, struct terse_buf *dump) {
    static const char bare[] =
        "<s:stream xmlns:s='" TERSE_NS_STREAM "' xmlns='urn:x-none'>";
    struct terse_buf all;
    struct codec_events ev;
    const char *header = alone ? bare : CODEC_HEADER;
    terse_buf_init(&all, SIZE_MAX / 4);
    put(&all, header, strlen(header));
    put(&all, p, n);
    codec_read(schema, &codec_wide, (const char *)terse_buf_data(&all), all.len,
               NULL, NULL, &ev);
    bool one = ev.err == TERSE_OK && ev.opens == 1 && ev.elements == 1 &&
               ev.closes == 0;
    if (one) {
        const char *dumped = (const char *)terse_buf_data(&ev.dump);
        const char *nl = memchr(dumped, '\n', ev.dump.len);
        put(dump, nl + 1, ev.dump.len - (size_t)(nl + 1 - dumped));
    }
    codec_events_fini(&ev);
    terse_buf_fini(&all);
    return one;
}

/* ---- encoding ------------------------------------------------------------ */

struct encoding {
    const struct terse_schema *schema;
    const struct terse_limits *limits;
    struct terse_buf *frame;
    struct terse_error *error;
};

static enum terse_err encode_event(void *arg, enum terse_event event,
                                   struct terse_node *node) {
    struct encoding *e = arg;
    if (event == TERSE_OPEN)
        return TERSE_OK;
    return terse_encode(e->schema, e->limits, event, node, e->frame, e->error);
}

enum terse_err codec_encode(const struct terse_schema *schema,
                            const struct terse_limits *limits, const char *xml,
                            size_t n, struct terse_buf *frame,
                            struct terse_error *error) {
    struct encoding e = {schema, limits, frame, error};
    struct terse_reader *reader;
    terse_buf_reset(frame);
    *error = (struct terse_error){0};
    enum terse_err err =
        terse_reader_new(&reader, schema, limits, encode_event, &e);
    if (err != TERSE_OK)
        return err;
    err = terse_reader_feed(reader, CODEC_HEADER, sizeof(CODEC_HEADER) - 1);
    if (err == TERSE_OK)
        err = terse_reader_feed(reader, xml, n);
    if (error->code == TERSE_OK)
        *error = *terse_reader_error(reader);
    terse_reader_free(reader);
    return err;
}

/* ---- expat --------------------------------------------------------------- */

struct outline {
    unsigned depth, top;
    unsigned inside; /* depth at which the one element has to stand */
};

static void XMLCALL expat_start(void *arg, const XML_Char *name,
                                const XML_Char **attrs) {
    struct outline *o = arg;
    (void)name, (void)attrs;
    if (o->depth++ == o->inside)
        o->top++;
}

static void XMLCALL expat_end(void *arg, const XML_Char *name) {
    struct outline *o = arg;
    (void)name;
    o->depth--;
}

bool codec_expat_reads(const void *p, size_t n, bool in_stream) {
    struct outline o = {.inside = in_stream ? 1 : 0};
    XML_Parser parser = XML_ParserCreateNS("UTF-8", '\n');
    if (!parser)
        abort();
    XML_SetUserData(parser, &o);
    XML_SetElementHandler(parser, expat_start, expat_end);
    bool ok = true;
    if (in_stream)
        ok = XML_Parse(parser, CODEC_HEADER, sizeof(CODEC_HEADER) - 1, 0) ==
             XML_STATUS_OK;
    ok = ok && XML_Parse(parser, p, (int)n, !in_stream) == XML_STATUS_OK;
    XML_ParserFree(parser);
    return ok && o.top == 1 && o.depth == o.inside;
}

/* ---- files and numbers --------------------------------------------------- */

char *codec_slurp(const char *path, size_t *n) {
    FILE *file = fopen(path, "rb");
    if (!file)
        return NULL;
    struct terse_buf buf;
    char piece[16384];
    size_t got;
    terse_buf_init(&buf, SIZE_MAX / 4);
    while ((got = fread(piece, 1, sizeof(piece), file)) > 0)
        put(&buf, piece, got);
    fclose(file);
    *n = buf.len;
    put(&buf, "", 1);
    return (char *)buf.data; /* never moved: off is 0 */
}

uint64_t codec_random(struct codec_random *random) {
    uint64_t z = random->state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}
