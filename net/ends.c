/*
 * ends.c: the PROXY protocol of HAProxy (proxy-protocol.txt, versions 1 and 2),
 * both ways, and ranges of addresses. Sans-I/O.
 */
#include "net/net.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>

static const uint8_t signature[12] = {0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d,
                                      0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a};

enum {
    V1_MAX = 107, /* with its CRLF */
    V2_HEAD = 16, /* before the addresses */
    V2_MAX = 536, /* of addresses and extensions; more is nobody's */
    V2_LOCAL = 0x20,
    V2_PROXY = 0x21,
    V2_TCP4 = 0x11,
    V2_TCP6 = 0x21,
};

/* ---- version 1 -------------------------------------------------------------
 */

/* A port as the protocol has it: no sign, no leading zero. */
static bool port_of(const char *text, uint16_t *port) {
    size_t n = strlen(text);
    unsigned long v = 0;

    if (n == 0 || n > 5 || (text[0] == '0' && n > 1))
        return false;
    for (; *text; text++) {
        if (*text < '0' || *text > '9')
            return false;
        v = v * 10 + (unsigned long)(*text - '0');
    }
    *port = (uint16_t)v;
    return v <= UINT16_MAX;
}

static bool same_family(int family, const char *text, char out[48]) {
    uint8_t addr[16];

    return inet_pton(family, text, addr) == 1 &&
           inet_ntop(family, addr, out, 48) != NULL;
}

/* A line without its CRLF. */
static enum net_err read_line(char *line, struct net_ends *ends) {
    char *word[6], *save = line;
    size_t n = 0;
    int family;

    if (strncmp(line, "PROXY UNKNOWN", 13) == 0 &&
        (line[13] == '\0' || line[13] == ' '))
        return NET_OK;
    while (n < 6 && save)
        word[n++] = strsep(&save, " ");
    if (n != 6 || save || strcmp(word[0], "PROXY") != 0)
        return NET_EFRAMING;
    family = strcmp(word[1], "TCP4") == 0   ? AF_INET
             : strcmp(word[1], "TCP6") == 0 ? AF_INET6
                                            : -1;
    if (family < 0 || !same_family(family, word[2], ends->from) ||
        !same_family(family, word[3], ends->to) ||
        !port_of(word[4], &ends->from_port) ||
        !port_of(word[5], &ends->to_port))
        return NET_EFRAMING;
    ends->known = true;
    return NET_OK;
}

static enum net_err read_v1(const uint8_t *p, size_t n, size_t *used,
                            struct net_ends *ends) {
    static const char begin[] = "PROXY ";
    size_t most = n < V1_MAX ? n : V1_MAX;
    const uint8_t *end = memmem(p, most, "\r\n", 2);
    char line[V1_MAX + 1];

    if (memcmp(p, begin, n < 6 ? n : 6) != 0)
        return NET_EFRAMING;
    if (!end)
        return n >= V1_MAX ? NET_EFRAMING : NET_OK;
    memcpy(line, p, (size_t)(end - p));
    line[end - p] = '\0';
    if (strlen(line) != (size_t)(end - p))
        return NET_EFRAMING;
    *used = (size_t)(end - p) + 2;
    return read_line(line, ends);
}

/* ---- version 2 -------------------------------------------------------------
 */

static uint16_t u16(const uint8_t *p) { return (uint16_t)(p[0] << 8 | p[1]); }

static enum net_err read_addresses(const uint8_t *p, size_t n, uint8_t family,
                                   struct net_ends *ends) {
    size_t size = family == V2_TCP4 ? 4 : 16;
    int af = family == V2_TCP4 ? AF_INET : AF_INET6;

    if (family != V2_TCP4 && family != V2_TCP6)
        return NET_OK; /* a socket of UNIX, or unspecified: nothing to know */
    if (n < 2 * size + 4)
        return NET_EFRAMING;
    inet_ntop(af, p, ends->from, sizeof(ends->from));
    inet_ntop(af, p + size, ends->to, sizeof(ends->to));
    ends->from_port = u16(p + 2 * size);
    ends->to_port = u16(p + 2 * size + 2);
    ends->known = true;
    return NET_OK;
}

static enum net_err read_v2(const uint8_t *p, size_t n, size_t *used,
                            struct net_ends *ends) {
    size_t len;

    if (memcmp(p, signature, n < 12 ? n : 12) != 0)
        return NET_EFRAMING;
    if (n > 12 && p[12] != V2_LOCAL && p[12] != V2_PROXY)
        return NET_EFRAMING;
    if (n < V2_HEAD)
        return NET_OK;
    len = u16(p + 14);
    if (len > V2_MAX)
        return NET_EFRAMING;
    if (n < V2_HEAD + len)
        return NET_OK;
    *used = V2_HEAD + len;
    return p[12] == V2_LOCAL ? NET_OK
                             : read_addresses(p + V2_HEAD, len, p[13], ends);
}

/* ---- both ------------------------------------------------------------------
 */

enum net_err net_proxy_read(const uint8_t *p, size_t n, size_t *used,
                            struct net_ends *ends) {
    memset(ends, 0, sizeof(*ends));
    *used = 0;
    if (n == 0)
        return NET_OK;
    return p[0] == signature[0] ? read_v2(p, n, used, ends)
                                : read_v1(p, n, used, ends);
}

static int family_of(const char *addr, uint8_t out[16]) {
    return inet_pton(AF_INET, addr, out) == 1    ? AF_INET
           : inet_pton(AF_INET6, addr, out) == 1 ? AF_INET6
                                                 : -1;
}

/* Both of one family, or -1: there is nothing to say. */
static int families(const struct net_ends *ends, uint8_t from[16],
                    uint8_t to[16]) {
    int family = family_of(ends->from, from);

    return ends->known && family == family_of(ends->to, to) ? family : -1;
}

static size_t write_v1(uint8_t *out, const struct net_ends *ends, int family) {
    char line[V1_MAX + 1];
    int n;

    if (family < 0)
        n = snprintf(line, sizeof(line), "PROXY UNKNOWN\r\n");
    else
        n = snprintf(line, sizeof(line), "PROXY TCP%c %s %s %u %u\r\n",
                     family == AF_INET ? '4' : '6', ends->from, ends->to,
                     ends->from_port, ends->to_port);
    memcpy(out, line, (size_t)n);
    return (size_t)n;
}

size_t net_proxy_write(uint8_t out[NET_PROXY_MAX], unsigned version,
                       const struct net_ends *ends) {
    uint8_t from[16], to[16];
    int family = families(ends, from, to);
    size_t size = family == AF_INET ? 4 : 16, at = V2_HEAD;

    if (version == 1)
        return write_v1(out, ends, family);
    memset(out, 0, V2_HEAD);
    memcpy(out, signature, sizeof(signature));
    out[12] = family < 0 ? V2_LOCAL : V2_PROXY;
    if (family < 0)
        return V2_HEAD;
    out[13] = family == AF_INET ? V2_TCP4 : V2_TCP6;
    memcpy(out + at, from, size);
    memcpy(out + at + size, to, size);
    at += 2 * size;
    out[at++] = (uint8_t)(ends->from_port >> 8);
    out[at++] = (uint8_t)ends->from_port;
    out[at++] = (uint8_t)(ends->to_port >> 8);
    out[at++] = (uint8_t)ends->to_port;
    out[15] = (uint8_t)(at - V2_HEAD);
    return at;
}

/* ---- ranges ----------------------------------------------------------------
 */

/* An address of either family as one of IPv6; IPv4 as RFC 4291 maps it. */
static bool mapped(const char *addr, uint8_t out[16]) {
    static const uint8_t prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255};
    int family = family_of(addr, out);

    if (family == AF_INET) {
        memmove(out + 12, out, 4);
        memcpy(out, prefix, 12);
    }
    return family >= 0;
}

enum net_err net_range_parse(const char *text, struct net_range *range) {
    const char *slash = strchr(text, '/');
    size_t n = slash ? (size_t)(slash - text) : strlen(text);
    uint16_t bits = 128;
    char addr[48];
    bool v4;

    if (n >= sizeof(addr))
        return NET_EARG;
    memcpy(addr, text, n);
    addr[n] = '\0';
    if (!mapped(addr, range->addr))
        return NET_EARG;
    v4 = !strchr(addr, ':');
    if (slash && (!port_of(slash + 1, &bits) || bits > (v4 ? 32 : 128)))
        return NET_EARG;
    range->bits = slash && v4 ? bits + 96U : bits;
    /* 10.0.0.1/8 is a slip: which of the two is meant? */
    for (unsigned i = range->bits; i < 128; i++)
        if (range->addr[i / 8] & 0x80 >> i % 8)
            return NET_EARG;
    return NET_OK;
}

bool net_range_has(const struct net_range *range, const char *text) {
    unsigned whole = range->bits / 8, rest = range->bits % 8;
    uint8_t addr[16];

    return mapped(text, addr) && memcmp(addr, range->addr, whole) == 0 &&
           (rest == 0 || (addr[whole] ^ range->addr[whole]) >> (8 - rest) == 0);
}
