/* client_xml.c: XML to frame and back, one element at a time. */
#include "client/client.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEADER                                                                 \
    "<stream:stream xmlns='" TERSE_NS_CLIENT                                   \
    "' xmlns:stream='" TERSE_NS_STREAM "'"
#define FOOTER "</stream:stream>"

bool client_cat(struct terse_buf *buf, ...) {
    const char *piece;
    bool ok = true;
    va_list ap;

    va_start(ap, buf);
    while (ok && (piece = va_arg(ap, const char *)))
        ok = terse_buf_append(buf, piece, strlen(piece)) == TERSE_OK;
    va_end(ap);
    return ok;
}

static const char *entity(char c) {
    switch (c) {
    case '&':
        return "&amp;";
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '\'':
        return "&apos;";
    case '"':
        return "&quot;";
    default:
        return NULL;
    }
}

bool client_cat_text(struct terse_buf *buf, const char *text) {
    while (*text) {
        size_t n = strcspn(text, "&<>'\"");

        if (terse_buf_append(buf, text, n) != TERSE_OK)
            return false;
        text += n;
        if (*text && !client_cat(buf, entity(*text++), NULL))
            return false;
    }
    return true;
}

char *client_strndup(struct terse_str s) {
    char *copy = malloc(s.n + 1);

    if (!copy)
        return NULL;
    if (s.n)
        memcpy(copy, s.p, s.n);
    copy[s.n] = '\0';
    return copy;
}

/* ---- reading one element
 * ---------------------------------------------------------- */

/* The last schema revision in which all text is strings (docs/text.md). */
enum { REVISION_STRINGS = 2 };

struct reading {
    const struct client_codec *codec;
    uint32_t revision;     /* encode for one that knows this; 0: as codec */
    enum terse_event want; /* header or element */
    unsigned elements;     /* seen */
    struct terse_buf *out; /* encode into this, or */
    client_node_cb cb;     /* call this */
    void *arg;
    struct terse_error *error;
};

static enum terse_err on_event(void *arg, enum terse_event event,
                               struct terse_node *node) {
    struct reading *r = arg;
    struct terse_limits limits;

    if (event == TERSE_ELEMENT && ++r->elements > 1)
        return TERSE_ESTREAM;
    if (event != r->want)
        return TERSE_OK;
    if (r->cb) {
        r->cb(r->arg, node);
        return TERSE_OK;
    }
    limits = r->codec->limits;
    if (r->revision)
        limits.revision = r->revision;
    return terse_encode(r->codec->schema, &limits, event, node, r->out,
                        r->error);
}

static void describe(struct terse_error *error, struct terse_reader *reader,
                     enum terse_err err, unsigned elements) {
    const struct terse_error *e = reader ? terse_reader_error(reader) : NULL;

    if (!error || error->code)
        return;
    if (e && e->code && elements <= 1)
        *error = *e;
    error->code = err;
    if (!error->text[0])
        snprintf(error->text, sizeof(error->text), "%s",
                 elements > 1 ? "More than one element."
                              : "Not one whole element.");
}

/* Reads header + attrs, xml and footer as one stream. */
static enum terse_err read_stream(struct reading *r, const char *attrs,
                                  const char *xml, size_t n) {
    struct terse_reader *reader = NULL;
    enum terse_err err = terse_reader_new(&reader, r->codec->schema,
                                          &r->codec->limits, on_event, r);

    if (!err)
        err = terse_reader_feed(reader, HEADER, strlen(HEADER));
    if (!err)
        err = terse_reader_feed(reader, attrs, strlen(attrs));
    if (!err)
        err = terse_reader_feed(reader, ">", 1);
    if (!err && n)
        err = terse_reader_feed(reader, xml, n);
    /* Something left open makes this footer a wrong end tag. */
    if (!err)
        err = terse_reader_feed(reader, FOOTER, strlen(FOOTER));
    if (!err && r->want == TERSE_ELEMENT && r->elements != 1)
        err = TERSE_ESTREAM;
    if (err)
        describe(r->error, reader, err, r->elements);
    terse_reader_free(reader);
    return err;
}

static enum terse_client_err outcome(enum terse_err err,
                                     enum terse_client_err bad) {
    return !err                  ? TERSE_CLIENT_OK
           : err == TERSE_ENOMEM ? TERSE_CLIENT_ENOMEM
                                 : bad;
}

enum terse_client_err client_xml_encode(const struct client_codec *codec,
                                        const char *xml, size_t n,
                                        struct terse_buf *out,
                                        struct terse_error *error) {
    return client_xml_encode_for(codec, 0, xml, n, out, error);
}

enum terse_client_err client_xml_encode_for(const struct client_codec *codec,
                                            uint32_t revision, const char *xml,
                                            size_t n, struct terse_buf *out,
                                            struct terse_error *error) {
    struct terse_error unused = {0};
    struct reading r = {.codec = codec,
                        .revision = revision,
                        .want = TERSE_ELEMENT,
                        .out = out,
                        .error = error ? error : &unused};

    memset(r.error, 0, sizeof(*r.error));
    return outcome(read_stream(&r, "", xml, n), TERSE_CLIENT_EXML);
}

enum terse_client_err client_xml_strings(const struct client_codec *codec,
                                         const char *xml, size_t n,
                                         struct terse_buf *out) {
    struct terse_error unused = {0};
    struct reading r = {.codec = codec,
                        .revision = REVISION_STRINGS,
                        .want = TERSE_ELEMENT,
                        .out = out,
                        .error = &unused};

    return outcome(read_stream(&r, "", xml, n), TERSE_CLIENT_EXML);
}

enum terse_client_err client_xml_open(const struct client_codec *codec,
                                      const char *attrs,
                                      struct terse_buf *out) {
    struct terse_error error = {0};
    struct reading r = {
        .codec = codec, .want = TERSE_OPEN, .out = out, .error = &error};

    return outcome(read_stream(&r, attrs, "", 0), TERSE_CLIENT_EARG);
}

enum terse_client_err client_xml_visit(const struct client_codec *codec,
                                       const uint8_t *frame, size_t n,
                                       client_node_cb cb, void *arg) {
    struct reading r = {
        .codec = codec, .want = TERSE_ELEMENT, .cb = cb, .arg = arg};
    struct terse_buf xml;
    enum terse_err err;

    terse_buf_init(&xml, codec->limits.stanza_bytes);
    err = terse_decode(codec->schema, &codec->limits, frame, n,
                       TERSE_STANDALONE, &xml, NULL);
    if (!err)
        err = read_stream(&r, "", (const char *)terse_buf_data(&xml), xml.len);
    terse_buf_fini(&xml);
    return outcome(err, TERSE_CLIENT_EPROTO);
}

/* ---- nodes
 * ---------------------------------------------------------------------------
 */

void client_condition(const struct terse_node *node, const char *ns,
                      char out[64], struct terse_str *text) {
    struct terse_node *child = terse_node_child(node);

    out[0] = '\0';
    *text = (struct terse_str){NULL, 0};
    for (; child; child = terse_node_next(child)) {
        struct terse_str name = terse_node_name(child);

        if (terse_node_is(child, ns, "text"))
            (void)terse_node_text(child, text);
        else if (!out[0] && name.n < 64) {
            struct terse_str in = terse_node_ns(child);

            if (in.n == strlen(ns) && memcmp(in.p, ns, in.n) == 0)
                snprintf(out, 64, "%.*s", (int)name.n, name.p);
        }
    }
}
