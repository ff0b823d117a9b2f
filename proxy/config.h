/*
 * config.h: what tersed is told. One row per option (config_rows) drives the
 * parser, --help, --check, --sample-config and the manual.
 *
 * A config is immutable once loaded and counted: the server holds the current
 * one, each session the one it began with.
 */
#ifndef PROXY_CONFIG_H
#define PROXY_CONFIG_H

#include "codec/terse.h"
#include "net/net.h"

#include <stdio.h>

enum { CONFIG_LISTENS = 16 };

enum tls_how { TLS_STARTTLS, TLS_DIRECT, TLS_ANY };
enum starttls_mode { STARTTLS_REQUIRED, STARTTLS_OPTIONAL, STARTTLS_OFF };

struct config_domain {
    struct config_domain *next;
    char *name;       /* lower case */
    char *server;     /* "host:port", or NULL: SRV */
    char *ca_file;    /* NULL: the system's authorities */
    uint32_t tls_how; /* enum tls_how */
    uint32_t starttls;
    struct net_tls *tls; /* made from ca_file; NULL if there is never TLS */
    /* How the last try to reach it went: seconds of the monotonic clock, as a
     * negative number if it failed; 0: none yet. All else is immutable. */
    _Atomic int64_t reached;
};

struct config {
    atomic_uint refs;
    char *listen[CONFIG_LISTENS];
    size_t n_listen;
    uint32_t log_level;
    char *dns_servers; /* NULL: the system's */
    char *admin;       /* NULL: none */
    uint32_t max_connections, max_per_address, connect_rate;
    uint32_t login_bytes, write_queue, memory;
    uint32_t stanza_rate, stanza_burst, byte_rate, byte_burst;
    uint32_t flood_timeout, heartbeat, heartbeat_timeout;       /* ms */
    uint32_t connect_timeout, negotiate_timeout, login_timeout; /* ms */
    uint32_t stall_timeout, close_timeout, drain_timeout;       /* ms */
    struct terse_limits limits;
    struct terse_state_limits state;
    struct config_domain *domains;
};

/* Reads a file. Every mistake goes to `complaints` as "file:line: message".
 * NULL if there was any. */
struct config *config_load(const char *path, FILE *complaints);
void config_hold(struct config *config);
void config_rele(struct config *config); /* NULL is fine */

/* The domain of that name (any case), or NULL. */
struct config_domain *config_find(const struct config *config,
                                  const char *name);

/* Warns of each option that differs and needs a restart. True if any does. */
bool config_needs_restart(const struct config *old, const struct config *now,
                          FILE *out);

/* A commented sample file, and the options for --help and the manual. */
void config_sample(FILE *out);
void config_manual(FILE *out);

#endif
