/*
 * probe.h: whether a domain's XMPP server answers, asked when nobody has tried
 * for a while: so a tersed that was taken out of a load balancer since its
 * server was down notices when it is back.
 */
#ifndef PROXY_PROBE_H
#define PROXY_PROBE_H

#include "proxy/server.h"

/* What the last try said; begins another (TCP only) if that was a while ago.
 * Without any lock. The first answer is no: nobody knows yet. */
bool probe_reached(struct server *server, struct config *config,
                   struct config_domain *domain);

#endif
