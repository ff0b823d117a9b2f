/*
 * admin.h: the HTTP endpoint for operators, on loopback: /metrics, /healthz,
 * /readyz, /sessions. Says how much goes on and between whom, never what.
 */
#ifndef PROXY_ADMIN_H
#define PROXY_ADMIN_H

#include "proxy/server.h"

/* Listens on `address`, a loopback address. The server is borrowed until
 * admin_free. On an error `text` (300 bytes) says why. */
NET_NODISCARD enum net_err admin_new(struct admin **out, struct server *server,
                                     const char *address, char *text);
/* The port that it listens on. */
uint16_t admin_port(const struct admin *admin);
/* Waits for requests under way; NULL is fine. */
void admin_free(struct admin *admin);

#endif
