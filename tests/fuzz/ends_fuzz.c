/*
 * ends_fuzz.c: PROXY protocol headers. Whatever is read whole is read the same
 * byte by byte, and what it says is written and read again in both versions.
 */
#include <stdlib.h>
#include <string.h>

#include "net/net.h"

#define must(what)                                                             \
    do {                                                                       \
        if (!(what))                                                           \
            abort();                                                           \
    } while (0)

static void again(const struct net_ends *ends, unsigned version) {
    uint8_t out[NET_PROXY_MAX];
    size_t n = net_proxy_write(out, version, ends), used;
    struct net_ends read;

    must(n <= sizeof(out));
    must(net_proxy_read(out, n, &used, &read) == NET_OK && used == n);
    must(read.known == ends->known);
    must(strcmp(read.from, ends->from) == 0 && strcmp(read.to, ends->to) == 0);
    must(read.from_port == ends->from_port && read.to_port == ends->to_port);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct net_ends ends, part;
    struct net_range range;
    size_t used, n;
    enum net_err err = net_proxy_read(data, size, &used, &ends);
    char text[64];

    must(used <= size);
    if (!err && used) {
        for (n = 0; n < used; n++) {
            size_t none;

            must(net_proxy_read(data, n, &none, &part) == NET_OK && none == 0);
        }
        again(&ends, 1);
        again(&ends, 2);
    }
    n = size < sizeof(text) - 1 ? size : sizeof(text) - 1;
    memcpy(text, data, n);
    text[n] = '\0';
    if (net_range_parse(text, &range) == NET_OK) {
        must(range.bits <= 128);
        (void)net_range_has(&range, "2001:db8::1");
        (void)net_range_has(&range, "192.0.2.1");
    }
    return 0;
}
