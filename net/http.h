/*
 * http.h: the one HTTP request that is understood, the upgrade to WebSocket
 * (RFC 6455 section 4.2). Sans-I/O. For ws.c, and for whoever tests it.
 */
#ifndef NET_HTTP_H
#define NET_HTTP_H

#include "net/net.h"

enum {
    HTTP_HEAD = 8192,  /* bytes of a request */
    HTTP_FIELDS = 64,  /* header fields of it */
    HTTP_ANSWER = 512, /* bytes of our answer, at most */
};

struct http_upgrade {
    int status;           /* 101, or what is wrong with the request */
    const char *protocol; /* the subprotocol that was chosen; static */
    char accept[29];      /* Sec-WebSocket-Accept */
};

/* Reads a request from n bytes: returns its length and fills *out, or 0 if its
 * end is not there yet. What can be no request is refused before its end: with
 * an error, all n bytes are taken. */
size_t http_upgrade(const uint8_t *p, size_t n,
                    const struct net_ws_rules *rules, struct http_upgrade *out);

/* Writes the answer; returns its length. Refusals end the connection. */
size_t http_answer(const struct http_upgrade *upgrade, char out[HTTP_ANSWER]);

#endif
