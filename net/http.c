/* http.c: see http.h. Strict: whatever RFC 9112 leaves to a lenient reader is
 * refused, since lenient readers are where requests are smuggled. */
#include "net/http.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include <openssl/evp.h>
#include <openssl/sha.h>

#define WS_GUID "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

static const char *const protocols[] = {"terse.v1", "pair.sp.nanomsg.org"};

struct text {
    const char *p;
    size_t n;
};

struct request {
    const struct net_ws_rules *rules;
    struct text method, target, version;
    struct text key, origin, ws_version;
    unsigned hosts, keys, origins, versions;
    bool upgrade, connection, body;
    unsigned offered; /* a bit for each of protocols */
};

static bool is_text(struct text t, const char *s) {
    return t.n == strlen(s) && memcmp(t.p, s, t.n) == 0;
}

static bool is_word(struct text t, const char *s) {
    return t.n == strlen(s) && strncasecmp(t.p, s, t.n) == 0;
}

/* tchar of RFC 9110 section 5.6.2 */
static bool is_token(struct text t) {
    for (size_t i = 0; i < t.n; i++)
        if (!isalnum((unsigned char)t.p[i]) &&
            (!t.p[i] || !strchr("!#$%&'*+-.^_`|~", t.p[i])))
            return false;
    return t.n > 0;
}

static bool is_visible(struct text t) {
    for (size_t i = 0; i < t.n; i++)
        if (t.p[i] <= ' ' || t.p[i] > '~')
            return false;
    return t.n > 0;
}

static struct text trimmed(struct text t) {
    while (t.n && (t.p[0] == ' ' || t.p[0] == '\t'))
        t.p++, t.n--;
    while (t.n && (t.p[t.n - 1] == ' ' || t.p[t.n - 1] == '\t'))
        t.n--;
    return t;
}

/* Takes what is before the first `sep` off *rest; false: nothing is left. */
static bool next_of(struct text *rest, char sep, struct text *out) {
    const char *end;

    if (!rest->p)
        return false;
    end = memchr(rest->p, sep, rest->n);
    *out = *rest;
    if (!end) {
        *rest = (struct text){NULL, 0};
        return true;
    }
    out->n = (size_t)(end - rest->p);
    rest->n -= out->n + 1;
    rest->p = end + 1;
    return true;
}

static bool list_has(struct text list, const char *word) {
    struct text item;

    while (next_of(&list, ',', &item))
        if (is_word(trimmed(item), word))
            return true;
    return false;
}

/* ---- the head --------------------------------------------------------------
 */

static int request_line(struct request *r, struct text line) {
    struct text rest = line, version;

    if (!next_of(&rest, ' ', &r->method) || !next_of(&rest, ' ', &r->target) ||
        !next_of(&rest, ' ', &version) || rest.p)
        return 400;
    if (!is_token(r->method) || !is_visible(r->target) || r->target.p[0] != '/')
        return 400;
    if (version.n != 8 || memcmp(version.p, "HTTP/", 5) != 0 ||
        !isdigit((unsigned char)version.p[5]) || version.p[6] != '.' ||
        !isdigit((unsigned char)version.p[7]))
        return 400;
    r->version = version;
    return 0;
}

static void note_protocols(struct request *r, struct text list) {
    for (unsigned i = 0; i < sizeof(protocols) / sizeof(protocols[0]); i++)
        if (list_has(list, protocols[i]))
            r->offered |= 1U << i;
}

static int field(struct request *r, struct text line) {
    const char *colon = memchr(line.p, ':', line.n);
    struct text name, value;

    if (!colon)
        return 400;
    name = (struct text){line.p, (size_t)(colon - line.p)};
    value = trimmed((struct text){colon + 1, line.n - name.n - 1});
    if (!is_token(name)) /* blanks before the colon or the name, too */
        return 400;
    if (is_word(name, "host")) {
        r->hosts++;
        return is_visible(value) ? 0 : 400;
    }
    if (is_word(name, "upgrade"))
        r->upgrade |= list_has(value, "websocket");
    else if (is_word(name, "connection"))
        r->connection |= list_has(value, "upgrade");
    else if (is_word(name, "transfer-encoding"))
        r->body = true;
    else if (is_word(name, "content-length"))
        r->body |= !is_text(value, "0");
    else if (is_word(name, "sec-websocket-key"))
        r->keys++, r->key = value;
    else if (is_word(name, "sec-websocket-version"))
        r->versions++, r->ws_version = value;
    else if (is_word(name, "sec-websocket-protocol"))
        note_protocols(r, value);
    else if (is_word(name, "origin"))
        r->origins++, r->origin = value;
    return 0;
}

/* All lines up to the empty one. */
static int head(struct request *r, struct text text) {
    unsigned fields = 0;
    struct text line;
    int status;

    for (bool first = true; next_of(&text, '\n', &line); first = false) {
        if (line.n == 0 || line.p[line.n - 1] != '\r')
            return 400;
        line.n--;
        if (memchr(line.p, '\r', line.n))
            return 400;
        if (line.n == 0)
            return first ? 400 : 0;
        if (++fields > HTTP_FIELDS + 1)
            return 431;
        status = first ? request_line(r, line) : field(r, line);
        if (status)
            return status;
    }
    return 400;
}

/* ---- whether we want it ----------------------------------------------------
 */

static bool path_is_ours(const struct request *r) {
    const char *query = memchr(r->target.p, '?', r->target.n);
    struct text path = r->target;

    if (query)
        path.n = (size_t)(query - path.p);
    return is_text(path, r->rules->path);
}

/* Programs that are no browsers send no origin; a browser always does. */
static bool origin_is_ours(const struct request *r) {
    struct text list, item;

    if (r->origins == 0)
        return true;
    if (!r->rules->origins)
        return false;
    list = (struct text){r->rules->origins, strlen(r->rules->origins)};
    while (next_of(&list, ' ', &item))
        if (item.n && (is_text(item, "*") ||
                       (item.n == r->origin.n &&
                        strncasecmp(item.p, r->origin.p, item.n) == 0)))
            return true;
    return false;
}

/* 16 bytes in base64. */
static bool key_is_good(const struct request *r) {
    uint8_t bytes[18];
    char end;

    if (r->keys != 1 || r->key.n != 24)
        return false;
    for (size_t i = 0; i < 22; i++)
        if (!isalnum((unsigned char)r->key.p[i]) && r->key.p[i] != '+' &&
            r->key.p[i] != '/')
            return false;
    /* Four bits of the last character are beyond the 16th byte. */
    end = r->key.p[21];
    return memcmp(r->key.p + 22, "==", 2) == 0 && strchr("AQgw", end) &&
           EVP_DecodeBlock(bytes, (const uint8_t *)r->key.p, 24) == 18;
}

static int judge(const struct request *r) {
    if (r->version.p[5] != '1' || r->version.p[7] != '1')
        return 505;
    if (r->hosts != 1 || r->origins > 1 || r->keys > 1 || r->versions > 1 ||
        r->body)
        return 400;
    if (!is_text(r->method, "GET"))
        return 405;
    if (!path_is_ours(r))
        return 404;
    if (!r->upgrade || !r->connection || !is_text(r->ws_version, "13"))
        return 426;
    if (!key_is_good(r))
        return 400;
    if (!origin_is_ours(r))
        return 403;
    return r->offered ? 101 : 400;
}

static bool accept_key(const struct request *r, char out[29]) {
    uint8_t text[24 + sizeof(WS_GUID) - 1], digest[SHA_DIGEST_LENGTH];
    unsigned n;

    memcpy(text, r->key.p, 24);
    memcpy(text + 24, WS_GUID, sizeof(WS_GUID) - 1);
    if (EVP_Digest(text, sizeof(text), digest, &n, EVP_sha1(), NULL) != 1)
        return false;
    EVP_EncodeBlock((uint8_t *)out, digest, SHA_DIGEST_LENGTH);
    return true;
}

/* What can be in no request, wherever it stands. */
static bool is_garbage(const uint8_t *p, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (p[i] == 0x7f ||
            (p[i] < ' ' && p[i] != '\r' && p[i] != '\n' && p[i] != '\t'))
            return true;
    return false;
}

/* Of a head that is not all there: 0, or what is wrong already. */
static int early(struct request *r, const uint8_t *p, size_t n) {
    const uint8_t *end = memmem(p, n, "\r\n", 2);

    if (is_garbage(p, n))
        return 400;
    return end ? request_line(r,
                              (struct text){(const char *)p, (size_t)(end - p)})
               : 0;
}

size_t http_upgrade(const uint8_t *p, size_t n,
                    const struct net_ws_rules *rules,
                    struct http_upgrade *out) {
    struct request r = {.rules = rules};
    size_t most = n < HTTP_HEAD ? n : HTTP_HEAD;
    const uint8_t *end = memmem(p, most, "\r\n\r\n", 4);

    memset(out, 0, sizeof(*out));
    if (!end) {
        out->status = early(&r, p, most);
        if (!out->status && n >= HTTP_HEAD)
            out->status = 431;
        return out->status ? n : 0;
    }
    most = (size_t)(end - p) + 4;
    out->status = is_garbage(p, most)
                      ? 400
                      : head(&r, (struct text){(const char *)p, most});
    /* RFC 6455 section 4.1: the client waits for the answer. */
    if (!out->status)
        out->status = n > most ? 400 : judge(&r);
    if (out->status != 101)
        return n;
    out->protocol = protocols[r.offered & 1 ? 0 : 1];
    if (!accept_key(&r, out->accept))
        out->status = 500;
    return most;
}

/* ---- the answer ------------------------------------------------------------
 */

static const char *reason(int status) {
    switch (status) {
    case 400:
        return "Bad Request";
    case 403:
        return "Forbidden";
    case 404:
        return "Not Found";
    case 405:
        return "Method Not Allowed";
    case 408:
        return "Request Timeout";
    case 426:
        return "Upgrade Required";
    case 431:
        return "Request Header Fields Too Large";
    case 503:
        return "Service Unavailable";
    case 505:
        return "HTTP Version Not Supported";
    default:
        return "Internal Server Error";
    }
}

size_t http_answer(const struct http_upgrade *u, char out[HTTP_ANSWER]) {
    const char *more = u->status == 426   ? "Upgrade: websocket\r\n"
                                            "Sec-WebSocket-Version: 13\r\n"
                       : u->status == 405 ? "Allow: GET\r\n"
                                          : "";
    int n;

    if (u->status == 101)
        n = snprintf(out, HTTP_ANSWER,
                     "HTTP/1.1 101 Switching Protocols\r\n"
                     "Upgrade: websocket\r\nConnection: Upgrade\r\n"
                     "Sec-WebSocket-Accept: %s\r\n"
                     "Sec-WebSocket-Protocol: %s\r\n\r\n",
                     u->accept, u->protocol);
    else
        n = snprintf(out, HTTP_ANSWER,
                     "HTTP/1.1 %d %s\r\n%sConnection: close%s\r\n"
                     "Content-Type: text/plain\r\nContent-Length: %zu\r\n\r\n"
                     "%s\n",
                     u->status, reason(u->status), more,
                     u->status == 426 ? ", Upgrade" : "",
                     strlen(reason(u->status)) + 1, reason(u->status));
    return (size_t)n;
}
