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

/* Whether a load balancer is at `peer`, whose PROXY header says who comes. */
bool door_balancer(const struct config *config, const char *peer);
/* What a client at `peer` may begin with; `proxied` is not set. */
struct net_gate door_gate(const struct config *config, const char *peer);
/* The bindings that are switched on, of those that go with `protocol`, which
 * ALPN chose; "": all. config: borrowed by the framer until it has started. */
void door_bindings(const struct config *config, const char *protocol,
                   struct net_framer *framer);
/* Queues the PROXY header that the domain's server expects, if it does. */
NET_NODISCARD enum net_err door_introduce(const struct config_domain *domain,
                                          const struct net_conn *client,
                                          struct net_conn *server);

#endif
