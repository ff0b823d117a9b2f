/* metrics.c: see metrics.h. */
#include "proxy/metrics.h"

#include <stdbool.h>

static const struct metric_row {
    const char *name, *label, *help; /* rows of one name stand together */
} rows[METRIC_COUNT] = {
    [METRIC_SESSIONS] = {"tersed_sessions", "", "Clients that are connected."},
    [METRIC_MEMORY] = {"tersed_memory_bytes", "",
                       "Bytes in queues and half-read stanzas."},
    [METRIC_ACCEPTED] = {"tersed_accepted_total", "", "Clients that came."},
    [METRIC_LOGINS] = {"tersed_logins_total", "", "Clients that logged in."},
    [METRIC_LOGINS_REFUSED] = {"tersed_logins_refused_total", "",
                               "Logins that XMPP servers refused."},
    [METRIC_LOST] = {"tersed_lost_total", "",
                     "Clients that went without closing the stream."},
    [METRIC_FRAMES_IN] = {"tersed_frames_total", "direction=\"in\"",
                          "Frames from (in) and to (out) clients."},
    [METRIC_FRAMES_OUT] = {"tersed_frames_total", "direction=\"out\"", NULL},
    [METRIC_BYTES_IN] = {"tersed_client_bytes_total", "direction=\"in\"",
                         "Bytes from (in) and to (out) clients, without TLS."},
    [METRIC_BYTES_OUT] = {"tersed_client_bytes_total", "direction=\"out\"",
                          NULL},
    [METRIC_SERVER_BYTES_IN] = {"tersed_server_bytes_total", "direction=\"in\"",
                                "Bytes from (in) and to (out) XMPP servers, "
                                "without TLS."},
    [METRIC_SERVER_BYTES_OUT] = {"tersed_server_bytes_total",
                                 "direction=\"out\"", NULL},
    [METRIC_DIALS] = {"tersed_dials_total", "",
                      "Connections to XMPP servers that were asked for."},
    [METRIC_DIALS_FAILED] = {"tersed_dials_failed_total", "",
                             "Those that did not come about."},
    [METRIC_SLOWED] = {"tersed_slowed_total", "",
                       "Times that a client was over its rate and had to "
                       "wait."},
    [METRIC_PINGS] = {"tersed_pings_total", "",
                      "Times that a silent client was asked whether it is "
                      "there."},
    [METRIC_PULSES] = {"tersed_server_pings_total", "",
                       "Times that a silent server was sent something."},
    [METRIC_ACKS_CLIENT] = {"tersed_acks_total", "to=\"client\"",
                            "Acknowledgements, and requests for them, to "
                            "clients and servers."},
    [METRIC_ACKS_SERVER] = {"tersed_acks_total", "to=\"server\"", NULL},
    [METRIC_HELD] = {"tersed_held_total", "",
                     "Sessions that were kept for a client that was lost."},
    [METRIC_RESUMED] = {"tersed_resumed_total", "by=\"proxy\"",
                        "Clients that came back to a session that was kept "
                        "here (proxy), or by the server (server)."},
    [METRIC_RESUMED_SERVER] = {"tersed_resumed_total", "by=\"server\"", NULL},
    [METRIC_RELEASED] = {"tersed_released_total", "",
                         "Sessions whose client did not come back in time."},
    [METRIC_TOKENS_USED] = {"tersed_tokens_total", "result=\"used\"",
                            "Tokens that clients came with."},
    [METRIC_TOKENS_REFUSED] = {"tersed_tokens_total", "result=\"refused\"",
                               NULL},
    [METRIC_COALESCED] = {"tersed_coalesced_total", "",
                          "Frames that waited for others, since the client was "
                          "inactive."},
};

const char *const limit_names[LIMIT_COUNT] = {
    [LIMIT_CONNECTIONS] = "max_connections",
    [LIMIT_PER_ADDRESS] = "max_per_address",
    [LIMIT_CONNECT_RATE] = "connect_rate",
    [LIMIT_LOGIN_BYTES] = "login_bytes",
    [LIMIT_LOGIN_TIME] = "login_timeout",
    [LIMIT_FLOOD] = "flood_timeout",
    [LIMIT_MEMORY] = "memory",
    [LIMIT_STANZA] = "stanza",
    [LIMIT_STALL] = "stall_timeout",
    [LIMIT_QUEUE] = "write_queue",
    [LIMIT_HEARTBEAT] = "heartbeat_timeout",
};

static const char limit_help[] =
    "Times that a limit refused a client or ended a session.";
static const char state_help[] = "Sessions in each state.";

void metrics_add(struct metrics *metrics, enum metric metric, long n) {
    atomic_fetch_add_explicit(&metrics->values[metric], n,
                              memory_order_relaxed);
}

long metrics_get(const struct metrics *metrics, enum metric metric) {
    return atomic_load_explicit(&metrics->values[metric], memory_order_relaxed);
}

void metrics_hit(struct metrics *metrics, enum limit limit) {
    atomic_fetch_add_explicit(&metrics->limits[limit], 1, memory_order_relaxed);
}

static void head(FILE *out, const char *name, const char *type,
                 const char *help) {
    fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

void metrics_print_one(FILE *out, const char *name, const char *type,
                       const char *help, long value) {
    head(out, name, type, help);
    fprintf(out, "%s %ld\n", name, value);
}

void metrics_print(const struct metrics *metrics, FILE *out) {
    for (enum metric m = 0; m < METRIC_COUNT; m++) {
        const struct metric_row *row = &rows[m];
        bool label = row->label[0] != '\0';

        if (row->help)
            head(out, row->name, m < METRIC_GAUGES ? "gauge" : "counter",
                 row->help);
        fprintf(out, "%s%s%s%s %ld\n", row->name, label ? "{" : "", row->label,
                label ? "}" : "", metrics_get(metrics, m));
    }
    head(out, "tersed_limit_hits_total", "counter", limit_help);
    for (enum limit l = 0; l < LIMIT_COUNT; l++)
        fprintf(out, "tersed_limit_hits_total{limit=\"%s\"} %ld\n",
                limit_names[l], atomic_load(&metrics->limits[l]));
    head(out, "tersed_state_sessions", "gauge", state_help);
    for (enum state s = 0; s < STATE_COUNT; s++)
        fprintf(out, "tersed_state_sessions{state=\"%s\"} %ld\n",
                state_names[s], atomic_load(&metrics->states[s]));
}

void metrics_manual(FILE *out) {
    for (enum metric m = 0; m < METRIC_COUNT; m++)
        if (rows[m].help)
            fprintf(out, "  %s\n      %s\n", rows[m].name, rows[m].help);
    fprintf(out, "  tersed_limit_hits_total\n      %s\n", limit_help);
    fprintf(out, "  tersed_state_sessions\n      %s\n", state_help);
}
