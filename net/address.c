/* address.c: addresses as people write them. */
#include "net/io.h"

#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>

static enum net_err parse_port(const char *p, uint16_t *port) {
    unsigned long v = 0;
    size_t n = strlen(p);

    if (n == 0 || n > 5)
        return NET_EARG;
    for (; *p; p++) {
        if (*p < '0' || *p > '9')
            return NET_EARG;
        v = v * 10 + (unsigned long)(*p - '0');
    }
    if (v > UINT16_MAX)
        return NET_EARG;
    *port = (uint16_t)v;
    return NET_OK;
}

/* What may stand in a name or an address; the rest would end up in a URL. */
static bool plain_host(const char *p, size_t n, bool bracketed) {
    for (size_t i = 0; i < n; i++) {
        char c = p[i];
        bool alnum = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
                     (c >= 'A' && c <= 'Z');

        if (!alnum && !strchr(bracketed ? ":.%" : ".-_", c) &&
            !(c == '*' && n == 1))
            return false;
    }
    return n > 0 && n < 256;
}

enum net_err net_parse_address(const char *text, char host[256], uint16_t *port,
                               uint16_t default_port) {
    bool bracketed = text[0] == '[';
    const char *p = bracketed ? text + 1 : text;
    const char *end = bracketed ? strchr(p, ']') : strchr(p, ':');
    const char *rest;
    size_t n;

    if (!end)
        end = p + strlen(p);
    if (bracketed && *end != ']')
        return NET_EARG;
    n = (size_t)(end - p);
    if (!plain_host(p, n, bracketed))
        return NET_EARG;
    memcpy(host, p, n);
    host[n] = '\0';
    rest = bracketed ? end + 1 : end;
    if (*rest == '\0' && default_port) {
        *port = default_port;
        return NET_OK;
    }
    return *rest == ':' ? parse_port(rest + 1, port) : NET_EARG;
}

void net_address_text(const uint8_t *p, size_t n, char addr[48]) {
    static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255};
    bool four = n == 4 || memcmp(p, mapped, sizeof(mapped)) == 0;

    inet_ntop(four ? AF_INET : AF_INET6, n == 16 && four ? p + 12 : p, addr,
              48);
}
