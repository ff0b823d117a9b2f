/*
 * metrics.h: what tersed counts. One row per metric (metrics.c) makes /metrics,
 * the report on SIGUSR1 and the manual. Any thread, no lock.
 */
#ifndef PROXY_METRICS_H
#define PROXY_METRICS_H

#include "proxy/state.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>

enum metric {
    METRIC_SESSIONS, /* gauges first: they go down as well */
    METRIC_MEMORY,
    METRIC_GAUGES, /* how many there are */
    METRIC_ACCEPTED = METRIC_GAUGES,
    METRIC_LOGINS,
    METRIC_LOGINS_REFUSED,
    METRIC_LOST,
    METRIC_FRAMES_IN,
    METRIC_FRAMES_OUT,
    METRIC_BYTES_IN,
    METRIC_BYTES_OUT,
    METRIC_SERVER_BYTES_IN,
    METRIC_SERVER_BYTES_OUT,
    METRIC_DIALS,
    METRIC_DIALS_FAILED,
    METRIC_SLOWED,
    METRIC_PINGS,
    METRIC_PULSES,
    METRIC_ACKS_CLIENT,
    METRIC_ACKS_SERVER,
    METRIC_HELD,
    METRIC_RESUMED,
    METRIC_RESUMED_SERVER,
    METRIC_RELEASED,
    METRIC_TOKENS_USED,
    METRIC_TOKENS_REFUSED,
    METRIC_COALESCED,
    METRIC_COUNT
};

/* The limits of the configuration whose hits are counted. */
enum limit {
    LIMIT_CONNECTIONS,
    LIMIT_PER_ADDRESS,
    LIMIT_CONNECT_RATE,
    LIMIT_LOGIN_BYTES,
    LIMIT_LOGIN_TIME,
    LIMIT_FLOOD,
    LIMIT_MEMORY,
    LIMIT_STANZA, /* any of terse_limits */
    LIMIT_STALL,
    LIMIT_QUEUE,
    LIMIT_HEARTBEAT,
    LIMIT_COUNT
};

extern const char *const limit_names[LIMIT_COUNT]; /* as options are named */

struct metrics {
    atomic_long values[METRIC_COUNT];
    atomic_long limits[LIMIT_COUNT];
    atomic_long states[STATE_COUNT]; /* sessions in each */
};

void metrics_add(struct metrics *metrics, enum metric metric, long n);
long metrics_get(const struct metrics *metrics, enum metric metric);
void metrics_hit(struct metrics *metrics, enum limit limit);

/* The text format of Prometheus, less what only the server knows. */
void metrics_print(const struct metrics *metrics, FILE *out);
/* One metric of the caller's own, in the same format. */
void metrics_print_one(FILE *out, const char *name, const char *type,
                       const char *help, long value);
/* The rows, for the manual. */
void metrics_manual(FILE *out);

#endif
