/*
 * door.h: what clients may do before they are a session: TLS or not, and with
 * which certificate.
 */
#ifndef PROXY_DOOR_H
#define PROXY_DOOR_H

#include "proxy/config.h"

/* Makes config->tls from the certificates of the configuration, and checks that
 * somebody can connect at all. False: text (600 bytes) says what is wrong. */
bool door_load(struct config *config, char *text);

/* What a client at `peer` may begin with. */
struct net_gate door_gate(const struct config *config, const char *peer);
/* The bindings that are switched on, of those that go with `protocol`, which
 * ALPN chose; "": all. config: borrowed by the framer until it has started. */
void door_bindings(const struct config *config, const char *protocol,
                   struct net_framer *framer);

#endif
