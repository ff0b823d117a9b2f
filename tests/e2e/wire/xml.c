/*
 * xml.c: the control, an XML stream over TCP. Elements are passed on as
 * the very bytes that came, cut out where expat says they begin and end.
 */
#include <expat.h>
#include <netdb.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/e2e/wire/wire.h"

static int sock = -1;
static atomic_bool restarted;
static XML_Parser parser;
static int depth;
static XML_Index begin; /* of the element being read, in the stream */
static char *kept;      /* stream bytes from offset kept_at on */
static size_t kept_n, kept_cap;
static XML_Index kept_at;

/* The stream's bytes [from, to). */
static const char *slice(XML_Index from, XML_Index to, size_t *n) {
    *n = (size_t)(to - from);
    return kept + (from - kept_at);
}

static void on_start(void *arg, const char *name, const char **atts) {
    (void)arg, (void)name, (void)atts;
    XML_Index at = XML_GetCurrentByteIndex(parser);
    if (depth++ == 0) {
        size_t n;
        const char *tag = slice(at, at + XML_GetCurrentByteCount(parser), &n);
        char *empty = malloc(n + 1);
        if (!empty)
            abort();
        memcpy(empty, tag, n - 1);
        memcpy(empty + n - 1, "/>", 2);
        emit("open", empty, n + 1);
        free(empty);
    } else if (depth == 2) {
        begin = at;
    }
}

static void on_end(void *arg, const char *name) {
    (void)arg, (void)name;
    XML_Index end =
        XML_GetCurrentByteIndex(parser) + XML_GetCurrentByteCount(parser);
    if (--depth == 1) {
        size_t n;
        const char *xml = slice(begin, end, &n);
        emit("in", xml, n);
        begin = end;
    } else if (depth == 0) {
        emit("close", "", 0);
    }
}

static void new_parser(void) {
    if (parser)
        XML_ParserFree(parser);
    parser = XML_ParserCreate("UTF-8");
    if (!parser)
        abort();
    XML_SetElementHandler(parser, on_start, on_end);
    depth = 0;
    begin = kept_at = 0;
    kept_n = 0;
}

/* Keeps what belongs to the element being read, forgets what came before. */
static void keep(const char *p, size_t n) {
    XML_Index from = depth >= 2 ? begin : XML_GetCurrentByteIndex(parser);
    if (from > kept_at && kept_n > 0) {
        size_t gone = (size_t)(from - kept_at);
        gone = gone < kept_n ? gone : kept_n;
        memmove(kept, kept + gone, kept_n - gone);
        kept_n -= gone;
        kept_at += (XML_Index)gone;
    }
    if (kept_n + n > kept_cap) {
        kept_cap = 2 * (kept_n + n);
        kept = realloc(kept, kept_cap);
        if (!kept)
            abort();
    }
    memcpy(kept + kept_n, p, n);
    kept_n += n;
}

static void *reading(void *arg) {
    (void)arg;
    char bytes[16384];
    ssize_t n;
    new_parser();
    while ((n = recv(sock, bytes, sizeof bytes, 0)) > 0) {
        if (atomic_exchange(&restarted, false))
            new_parser();
        keep(bytes, (size_t)n);
        if (XML_Parse(parser, bytes, (int)n, 0) != XML_STATUS_OK) {
            const char *why = XML_ErrorString(XML_GetErrorCode(parser));
            emit("bad", why, strlen(why));
            break;
        }
    }
    emit("gone", "", 0);
    return NULL;
}

static int xml_dial(const char *address) {
    char host[256];
    const char *colon = strrchr(address, ':');
    if (!colon || (size_t)(colon - address) >= sizeof host)
        return -1;
    memcpy(host, address, (size_t)(colon - address));
    host[colon - address] = 0;
    struct addrinfo *list, hints = {.ai_socktype = SOCK_STREAM};
    if (getaddrinfo(host, colon + 1, &hints, &list))
        return -1;
    sock = socket(list->ai_family, SOCK_STREAM, 0);
    int err = sock < 0 ? -1 : connect(sock, list->ai_addr, list->ai_addrlen);
    freeaddrinfo(list);
    pthread_t thread;
    if (err || pthread_create(&thread, NULL, reading, NULL))
        return -1;
    return pthread_detach(thread); /* nobody waits for it */
}

static int xml_send(const char *xml, size_t n) {
    while (n > 0) {
        ssize_t sent = send(sock, xml, n, MSG_NOSIGNAL);
        if (sent <= 0)
            return -1;
        xml += sent;
        n -= (size_t)sent;
    }
    return 0;
}

static void xml_restart(void) { atomic_store(&restarted, true); }

static void xml_drop(void) { shutdown(sock, SHUT_RDWR); }

const struct wire_ops wire_xml = {xml_dial, xml_send, xml_restart, xml_drop};
