/*
 * records.c: see records.h.
 */
#include "records.h"

#include "same.h"
#include "trip.h"
#include "xmltext.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#define NS_FRAMING "urn:ietf:params:xml:ns:xmpp-framing" /* RFC 7395 */

__attribute__((format(printf, 3, 4))) static enum records_result
fail(struct records *records, enum records_result result, const char *fmt,
     ...) {
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(records->error, sizeof(records->error), fmt, ap);
    va_end(ap);
    return result;
}

bool records_init(struct records *records, const char *name) {
    memset(records, 0, sizeof(*records));
    records->name = name;
    terse_buf_init(&records->text, RECORDS_LINE_MAX);
    terse_buf_init(&records->header[0], RECORDS_LINE_MAX);
    terse_buf_init(&records->header[1], RECORDS_LINE_MAX);
    terse_buf_init(&records->ctx, RECORDS_LINE_MAX);
    terse_buf_init(&records->xml, RECORDS_LINE_MAX);
    records->file = strcmp(name, "-") == 0 ? stdin : fopen(name, "rb");
    if (!records->file)
        fail(records, RECORDS_IO, "%s", strerror(errno));
    return records->file != NULL;
}

void records_fini(struct records *records) {
    if (records->file && records->file != stdin)
        fclose(records->file);
    terse_buf_fini(&records->text);
    terse_buf_fini(&records->header[0]);
    terse_buf_fini(&records->header[1]);
    terse_buf_fini(&records->ctx);
    terse_buf_fini(&records->xml);
    json_decref(records->root);
    memset(records, 0, sizeof(*records));
}

/* Reads the next line into text, without its end. A line over the cap is read
 * to its end and reported, so that the next one can be read. */
static enum records_result read_line(struct records *records) {
    char chunk[8192];
    bool any = false;
    enum terse_err err = TERSE_OK;
    terse_buf_reset(&records->text);
    while (fgets(chunk, sizeof(chunk), records->file)) {
        /* fgets cannot tell of a NUL in the line; JSON allows none, so what
         * is lost after one makes the line malformed anyway. */
        size_t n = strlen(chunk);
        bool end = n > 0 && chunk[n - 1] == '\n';
        any = true;
        if (err == TERSE_OK)
            err = terse_buf_append(&records->text, chunk, end ? n - 1 : n);
        if (end)
            break;
    }
    if (ferror(records->file))
        return fail(records, RECORDS_IO, "%s", strerror(errno));
    if (!any)
        return RECORDS_END;
    records->line++;
    if (err == TERSE_ELIMIT)
        return fail(records, RECORDS_BAD, "a line of over %u bytes",
                    RECORDS_LINE_MAX);
    if (err != TERSE_OK)
        return fail(records, RECORDS_IO, "out of memory");
    return RECORDS_ONE;
}

/* Appends strings to buf until a NULL. */
static enum terse_err append_all(struct terse_buf *buf, ...) {
    enum terse_err err = TERSE_OK;
    const char *s;
    va_list ap;
    va_start(ap, buf);
    while (err == TERSE_OK && (s = va_arg(ap, const char *)) != NULL)
        err = terse_buf_append(buf, s, strlen(s));
    va_end(ap);
    return err;
}

/* Appends a value as it may stand between apostrophes. */
static enum terse_err append_escaped(struct terse_buf *buf, const char *s) {
    static const struct {
        char c;
        const char *to;
    } map[] = {{'&', "&amp;"}, {'<', "&lt;"},   {'\'', "&apos;"},
               {'\t', "&#9;"}, {'\n', "&#10;"}, {'\r', "&#13;"}};
    enum terse_err err = TERSE_OK;
    for (; *s && err == TERSE_OK; s++) {
        const char *to = NULL;
        for (size_t i = 0; i < sizeof(map) / sizeof(map[0]); i++)
            if (map[i].c == *s)
                to = map[i].to;
        err = to ? append_all(buf, to, NULL) : terse_buf_append(buf, s, 1);
    }
    return err;
}

/* Makes the header of a stream that declares what ctx says. The stream's own
 * prefix gives way where ctx uses it for something else. */
static enum terse_err make_header(struct terse_buf *buf, json_t *ctx) {
    const char *prefix, *mine = "stream";
    json_t *value;
    const char *stream = json_string_value(json_object_get(ctx, mine));
    if (stream && strcmp(stream, TERSE_NS_STREAM) != 0)
        mine = "own.stream";
    terse_buf_reset(buf);
    enum terse_err err = append_all(buf, "<", mine, ":stream xmlns:", mine,
                                    "='" TERSE_NS_STREAM "'", NULL);
    if (err == TERSE_OK && !json_object_get(ctx, ""))
        err = append_all(buf, " xmlns='" TERSE_NS_CLIENT "'", NULL);
    json_object_foreach(ctx, prefix, value) {
        if (strcmp(prefix, mine) == 0 || strcmp(prefix, "xml") == 0)
            continue;
        if (err == TERSE_OK)
            err = append_all(buf, " xmlns", *prefix ? ":" : "", prefix, "='",
                             NULL);
        if (err == TERSE_OK)
            err = append_escaped(buf, json_string_value(value));
        if (err == TERSE_OK)
            err = append_all(buf, "'", NULL);
    }
    return err == TERSE_OK ? append_all(buf, " version='1.0'>", NULL) : err;
}

/* Whether ctx is absent or an object of strings without NUL. */
static bool ctx_ok(json_t *ctx) {
    const char *prefix;
    json_t *value;
    if (ctx && !json_is_object(ctx))
        return false;
    json_object_foreach(ctx, prefix,
                        value) if (!json_is_string(value)) return false;
    return true;
}

/* Writes RFC 7395's <open/> as the header that it stands for. */
static enum terse_err rewrite_open(struct terse_buf *buf, const xmlNode *open) {
    terse_buf_reset(buf);
    enum terse_err err = append_all(
        buf, "<stream:stream xmlns='" TERSE_NS_CLIENT "' xmlns:stream='",
        TERSE_NS_STREAM "'", NULL);
    for (xmlAttr *a = open->properties; a && err == TERSE_OK; a = a->next) {
        xmlChar *value = xmlNodeListGetString(a->doc, a->children, 1);
        bool lang =
            a->ns && strcmp((const char *)a->ns->href, TERSE_NS_XML) == 0;
        err = append_all(buf, lang ? " xml:" : " ", (const char *)a->name, "='",
                         NULL);
        if (err == TERSE_OK)
            err = append_escaped(buf, value ? (const char *)value : "");
        if (err == TERSE_OK)
            err = append_all(buf, "'", NULL);
        xmlFree(value);
    }
    return err == TERSE_OK ? append_all(buf, ">", NULL) : err;
}

/* Replaces a WebSocket's <open/> or <close/> by what it means. */
static enum terse_err rewrite_framing(struct records *records,
                                      struct record *out) {
    struct same_diff diff;
    xmlDocPtr doc = same_parse(out->xml.p, out->xml.n, &diff);
    const xmlNode *root = doc ? xmlDocGetRootElement(doc) : NULL;
    enum terse_err err = TERSE_OK;
    if (root && root->ns &&
        strcmp((const char *)root->ns->href, NS_FRAMING) == 0) {
        if (out->kind == RECORD_OPEN) {
            err = rewrite_open(&records->xml, root);
        } else {
            terse_buf_reset(&records->xml);
            err = append_all(&records->xml, "</stream:stream>", NULL);
        }
        out->xml.p = (const char *)terse_buf_data(&records->xml);
        out->xml.n = records->xml.len;
    }
    xmlFreeDoc(doc);
    return err;
}

/* Keeps a session's header: later records of its direction stand in it. */
static enum terse_err keep_header(struct records *records,
                                  const struct record *rec) {
    struct terse_buf *buf = &records->header[rec->dir];
    size_t from = xmltext_declaration(rec->xml), n;
    struct terse_str name;
    terse_buf_reset(buf);
    if (!xmltext_header(rec->xml, &name, &n))
        return TERSE_OK;
    return terse_buf_append(buf, rec->xml.p + from, n - from);
}

static enum record_kind kind_of(const char *kind) {
    if (strcmp(kind, "stream-open") == 0)
        return RECORD_OPEN;
    if (strcmp(kind, "stream-close") == 0)
        return RECORD_CLOSE;
    return strcmp(kind, "whitespace") == 0 ? RECORD_SPACE : RECORD_ELEMENTS;
}

/* Notes whose connection this record is of; each starts without headers. */
static void note_conn(struct records *records, struct record *out) {
    char conn[sizeof(records->conn)] = "";
    json_t *value = json_object_get(records->root, "conn");
    if (json_is_string(value))
        snprintf(conn, sizeof(conn), "%s", json_string_value(value));
    else if (json_is_integer(value))
        snprintf(conn, sizeof(conn), "%" JSON_INTEGER_FORMAT,
                 json_integer_value(value));
    out->new_conn = strcmp(conn, records->conn) != 0;
    if (out->new_conn) {
        snprintf(records->conn, sizeof(records->conn), "%s", conn);
        terse_buf_reset(&records->header[0]);
        terse_buf_reset(&records->header[1]);
    }
}

/* Fills *out from a line of a recorded session. */
static enum terse_err session_record(struct records *records,
                                     struct record *out, const char *kind) {
    enum terse_err err = TERSE_OK;
    out->kind = kind_of(kind);
    note_conn(records, out);
    if (out->kind == RECORD_OPEN || out->kind == RECORD_CLOSE)
        err = rewrite_framing(records, out);
    if (err == TERSE_OK && out->kind == RECORD_OPEN)
        err = keep_header(records, out);
    const struct terse_buf *header = &records->header[out->dir];
    if (header->len)
        out->header = (struct terse_str){(const char *)terse_buf_data(header),
                                         header->len};
    return err;
}

/* Fills *out from the parsed line. */
static enum records_result make_record(struct records *records,
                                       struct record *out) {
    json_t *xml = json_object_get(records->root, "xml");
    json_t *ctx = json_object_get(records->root, "ctx");
    const char *dir = json_string_value(json_object_get(records->root, "dir"));
    const char *kind =
        json_string_value(json_object_get(records->root, "kind"));
    enum terse_err err = TERSE_OK;
    if (!json_is_string(xml))
        return fail(records, RECORDS_BAD, "no string \"xml\" in the record");
    if (!ctx_ok(ctx))
        return fail(records, RECORDS_BAD,
                    "\"ctx\" is no object of prefix: namespace");
    *out = (struct record){.kind = RECORD_ELEMENTS, .dir = -1};
    out->raw =
        (struct terse_str){json_string_value(xml), json_string_length(xml)};
    out->xml = out->raw;
    out->header = (struct terse_str){trip_header, strlen(trip_header)};
    if (dir && kind && (strcmp(dir, "c2s") == 0 || strcmp(dir, "s2c") == 0)) {
        out->dir = dir[0] == 's';
        err = session_record(records, out, kind);
    } else if (ctx) {
        err = make_header(&records->ctx, ctx);
        out->header = (struct terse_str){
            (const char *)terse_buf_data(&records->ctx), records->ctx.len};
    }
    if (err != TERSE_OK)
        return fail(records, RECORDS_IO, "out of memory");
    return RECORDS_ONE;
}

enum records_result records_next(struct records *records, struct record *out) {
    enum records_result result;
    struct terse_str line;
    json_error_t error;
    do {
        result = read_line(records);
        if (result != RECORDS_ONE)
            return result;
        line = (struct terse_str){(const char *)terse_buf_data(&records->text),
                                  records->text.len};
    } while (xmltext_blank(line));
    json_decref(records->root);
    records->root = json_loadb(line.p, line.n, JSON_ALLOW_NUL, &error);
    if (!records->root)
        return fail(records, RECORDS_BAD, "not JSON: %.150s", error.text);
    return make_record(records, out);
}
