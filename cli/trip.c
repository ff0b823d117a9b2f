/*
 * trip.c: see trip.h. libxml2's DOM of the whole text is made beside what the
 * codec reads, and the two are walked in step: the n-th element that the codec
 * reports must be the n-th child of the DOM's root.
 */
#include "trip.h"

#include "xmltext.h"

#include <stdio.h>
#include <string.h>

const char trip_header[] =
    "<stream:stream xmlns='jabber:client' "
    "xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>";

/* The codec's, and whoever reads these frames has the same schemas. */
static struct terse_limits trip_limits(void) {
    struct terse_limits limits = terse_limits_default;
    limits.revision = UINT32_MAX;
    return limits;
}

/* Tells cb about an item; a verdict other than SAME names its place. */
static void tell(struct trip *trip, struct trip_item *item) {
    trip->events++;
    trip->cb(trip->arg, item);
}

/* Moves the codec's own error into the diff that people read. */
static void explain(struct trip_item *item, const char *step) {
    snprintf(item->diff.path, sizeof(item->diff.path), "%s", item->error.path);
    snprintf(item->diff.text, sizeof(item->diff.text), "%s: %.180s (%s)", step,
             item->error.text[0] ? item->error.text : "no reason given",
             terse_err_condition(item->err));
    item->verdict = TRIP_FAILED;
}

/* Whether the decoded XML is the element `want` of the text. */
static void judge(struct trip_item *item, const xmlNode *want) {
    struct same_diff diff;
    if (!want) {
        item->verdict = TRIP_FAILED;
        snprintf(item->diff.text, sizeof(item->diff.text),
                 "read, but libxml2 sees no such element");
        return;
    }
    xmlDocPtr doc = same_parse(item->xml.p, item->xml.n, &diff);
    const xmlNode *got = doc ? xmlDocGetRootElement(doc) : NULL;
    bool same =
        got && (item->event == TERSE_OPEN ? same_start_tag(want, got, &diff)
                                          : same_element(want, got, &diff));
    if (!same) {
        item->verdict = TRIP_FAILED;
        item->diff = diff;
    }
    xmlFreeDoc(doc);
}

/* Decodes the frame just made and compares. */
static void come_back(struct trip *trip, struct trip_item *item,
                      const xmlNode *want) {
    terse_buf_reset(&trip->xml);
    item->err =
        terse_decode(trip->schema, &terse_limits_default, item->frame.p,
                     item->frame.n, TERSE_STANDALONE, &trip->xml, &item->error);
    if (item->err != TERSE_OK) {
        explain(item, "decode");
        return;
    }
    item->xml = (struct terse_str){(const char *)terse_buf_data(&trip->xml),
                                   trip->xml.len};
    if (item->event != TERSE_CLOSE)
        judge(item, want);
}

/* The reader's callback. Never stops the reader: what goes wrong with one
 * element is told, and the next one is read. */
static enum terse_err on_event(void *arg, enum terse_event event,
                               struct terse_node *node) {
    struct trip *trip = arg;
    struct trip_item item = {.verdict = TRIP_SAME, .event = event};
    const xmlNode *want = trip->root;
    if (event == TERSE_OPEN && !trip->header_seen && !trip->own_header) {
        trip->header_seen = true;
        return TERSE_OK; /* ours */
    }
    if (event == TERSE_ELEMENT) {
        want = trip->want;
        trip->want = want ? same_next_element(want->next) : NULL;
    }
    struct terse_limits limits = trip_limits();
    item.err = terse_encode(trip->schema, &limits, event, node, &trip->frame,
                            &item.error);
    if (item.err != TERSE_OK) {
        explain(&item, "encode");
    } else {
        item.frame = (struct terse_str){
            (const char *)terse_buf_data(&trip->frame), trip->frame.len};
        if (!trip->one_way)
            come_back(trip, &item, want);
    }
    tell(trip, &item);
    return TERSE_OK;
}

enum terse_err trip_init(struct trip *trip) {
    memset(trip, 0, sizeof(*trip));
    terse_buf_init(&trip->frame, terse_limits_default.frame_bytes);
    terse_buf_init(&trip->xml, terse_limits_default.stanza_bytes);
    terse_buf_init(&trip->text, SIZE_MAX / 2);
    enum terse_err err = terse_schema_new(&trip->schema);
    if (err == TERSE_OK)
        err = terse_reader_new(&trip->reader, trip->schema,
                               &terse_limits_default, on_event, trip);
    if (err != TERSE_OK)
        trip_fini(trip);
    return err;
}

void trip_fini(struct trip *trip) {
    terse_reader_free(trip->reader);
    terse_schema_free(trip->schema);
    terse_buf_fini(&trip->frame);
    terse_buf_fini(&trip->xml);
    terse_buf_fini(&trip->text);
    memset(trip, 0, sizeof(*trip));
}

/* Makes the DOM of header + xml, closed where xml does not close it. Where
 * libxml2 refuses it, *ok is false, *diff says why, and the DOM holds what came
 * before. */
static enum terse_err parse_text(struct trip *trip, struct terse_str header,
                                 struct terse_str xml, struct terse_str name,
                                 xmlDocPtr *doc, bool *ok,
                                 struct same_diff *diff) {
    const struct terse_str parts[] = {header, xml, {"</", 2}, name, {">", 1}};
    struct terse_buf *text = &trip->text;
    terse_buf_reset(text);
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        enum terse_err err = terse_buf_append(text, parts[i].p, parts[i].n);
        if (err != TERSE_OK)
            return err;
    }
    const char *p = (const char *)terse_buf_data(text);
    *doc = same_parse_part(p, text->len, ok, diff);
    /* The text may end the stream itself. */
    if (!*ok && xmltext_footer(xml, name)) {
        struct same_diff second;
        xmlDocPtr closed = same_parse(p, header.n + xml.n, &second);
        if (closed) {
            xmlFreeDoc(*doc);
            *doc = closed;
            *ok = true;
        }
    }
    return TERSE_OK;
}

/* Tells of the error that stopped the reader. */
static void tell_stopped(struct trip *trip, enum terse_err err,
                         struct terse_str xml) {
    struct trip_item item = {.event = TERSE_ELEMENT, .err = err};
    const struct terse_error *error = terse_reader_error(trip->reader);
    if (error)
        item.error = *error;
    explain(&item, "read");
    const char *forbidden = xmltext_forbidden(xml);
    if (err == TERSE_ERESTRICTED && forbidden) {
        item.verdict = TRIP_REFUSED;
        snprintf(item.diff.text, sizeof(item.diff.text), "%s: %.180s",
                 forbidden, item.error.text);
    }
    tell(trip, &item);
}

/* Tells of what the reader accepted, or passed over, and must not have. */
static void tell_leftover(struct trip *trip, struct terse_str xml, bool ok,
                          const struct same_diff *diff) {
    struct trip_item item = {.verdict = TRIP_FAILED, .event = TERSE_ELEMENT};
    const char *forbidden = xmltext_forbidden(xml);
    if (!ok) {
        item.err = TERSE_EXML;
        snprintf(item.diff.text, sizeof(item.diff.text),
                 "incomplete or not well-formed: %.180s", diff->text);
    } else if (forbidden) {
        snprintf(item.diff.text, sizeof(item.diff.text),
                 "%s was accepted; RFC 6120 section 11.1 forbids it",
                 forbidden);
    } else if (trip->want) {
        snprintf(item.diff.text, sizeof(item.diff.text),
                 "element '%.80s' was passed over",
                 (const char *)trip->want->name);
    } else {
        return;
    }
    snprintf(item.error.text, sizeof(item.error.text), "%.230s",
             item.diff.text);
    tell(trip, &item);
}

enum terse_err trip_run(struct trip *trip, struct terse_str header,
                        struct terse_str xml, trip_cb cb, void *arg) {
    struct terse_str name;
    struct same_diff diff;
    xmlDocPtr doc = NULL;
    bool ok;
    size_t n;
    trip->cb = cb;
    trip->arg = arg;
    trip->events = 0;
    trip->header_seen = false;
    trip->own_header = xmltext_header(xml, &name, &n);
    if (trip->own_header)
        header.n = 0;
    else if (!xmltext_header(header, &name, &n))
        return TERSE_ESTREAM; /* a caller's mistake */
    enum terse_err err = parse_text(trip, header, xml, name, &doc, &ok, &diff);
    if (err != TERSE_OK)
        return err;
    trip->root = doc ? xmlDocGetRootElement(doc) : NULL;
    trip->want = trip->root ? same_next_element(trip->root->children) : NULL;

    terse_reader_restart(trip->reader);
    err = terse_reader_feed(trip->reader, header.p, header.n);
    if (err == TERSE_OK)
        err = terse_reader_feed(trip->reader, xml.p, xml.n);
    if (err != TERSE_OK && err != TERSE_ENOMEM)
        tell_stopped(trip, err, xml);
    else if (err == TERSE_OK)
        tell_leftover(trip, xml, ok, &diff);
    trip->root = trip->want = NULL;
    xmlFreeDoc(doc);
    return err == TERSE_ENOMEM ? err : TERSE_OK;
}
