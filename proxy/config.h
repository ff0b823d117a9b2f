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

enum proxy_mode { SEND_PROXY_OFF, SEND_PROXY_V1, SEND_PROXY_V2 };

enum switch_mode { SWITCH_ON, SWITCH_OFF };

/* Where clients may speak without TLS. */
enum clear_mode { CLEAR_LOOPBACK, CLEAR_ON, CLEAR_OFF };

enum tls_how { TLS_STARTTLS, TLS_DIRECT, TLS_ANY };
enum starttls_mode { STARTTLS_REQUIRED, STARTTLS_OPTIONAL, STARTTLS_OFF };

struct config_domain {
    struct config_domain *next;
    char *name;       /* lower case */
    char *server;     /* "host:port", or NULL: SRV */
    char *ca_file;    /* NULL: the system's authorities */
    uint32_t tls_how; /* enum tls_how */
    uint32_t starttls;
    uint32_t send_proxy;     /* enum proxy_mode */
    char *certificate, *key; /* shown to clients that name it; may be NULL */
    struct net_tls *tls;     /* made from ca_file; NULL if there is never TLS */
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
    uint32_t flood_timeout, heartbeat, heartbeat_timeout;  /* ms */
    uint32_t ack_delay, ack_timeout, hold, token_lifetime; /* ms */
    uint32_t coalesce, gather;                             /* ms */
    uint32_t coalesce_bytes, hold_stanzas, hold_bytes;
    uint32_t sasl2; /* enum switch_mode */
    uint32_t connect_timeout, negotiate_timeout, login_timeout; /* ms */
    uint32_t stall_timeout, close_timeout, drain_timeout;       /* ms */
    struct terse_limits limits;
    struct terse_state_limits state;
    struct config_domain *domains;
    /* the side of the clients: door.h */
    char *certificate, *key; /* PEM files, or NULL */
    char *ticket_secret;     /* a file, or NULL */
    char *location;          /* for <enabled/>, or NULL */
    uint32_t clear;          /* enum clear_mode */
    uint32_t handshake_timeout;
    uint32_t native, sp, websocket; /* enum switch_mode: bindings */
    char *ws_path, *ws_origins;     /* origins: NULL: none */
    struct net_ws_rules ws_rules;   /* made from these */
    char *proxy_protocol_from;
    struct net_range *balancers; /* made from it */
    size_t n_balancers;
    struct net_tls *tls; /* of all certificates; NULL: there is none */
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
