/* admin.c: see admin.h. */
#include "proxy/admin.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <arpa/inet.h>
#include <dirent.h>
#include <microhttpd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bridge/log.h"
#include "proxy/probe.h"
#include "proxy/session.h"

enum { ADMIN_CONNECTIONS = 32, ADMIN_TIMEOUT = 10 };

struct admin {
    struct server *server;
    struct MHD_Daemon *daemon;
};

/* ---- what is asked for ------------------------------------------------------
 */

static long resident(void) {
    FILE *file = fopen("/proc/self/statm", "re");
    long pages = 0;

    if (file && fscanf(file, "%*s %ld", &pages) != 1)
        pages = 0;
    if (file)
        fclose(file);
    return pages * sysconf(_SC_PAGESIZE);
}

static long open_files(void) {
    DIR *dir = opendir("/proc/self/fd");
    long n = -3; /* ".", ".." and this one */

    while (dir && readdir(dir))
        n++;
    if (dir)
        closedir(dir);
    return dir ? n : 0;
}

static bool draining(struct server *server) {
    bool is;

    pthread_mutex_lock(&server->lock);
    is = server->draining;
    pthread_mutex_unlock(&server->lock);
    return is;
}

static unsigned say_metrics(struct server *server, FILE *out) {
    struct rusage usage;

    metrics_print(&server->metrics, out);
    metrics_print_one(out, "tersed_memory_limit_bytes", "gauge",
                      "Bytes that queues and half-read stanzas may take.",
                      (long)atomic_load(&server->budget));
    metrics_print_one(out, "tersed_draining", "gauge",
                      "Whether it is about to stop.", draining(server));
    metrics_print_one(out, "process_resident_memory_bytes", "gauge",
                      "Resident memory.", resident());
    metrics_print_one(out, "process_open_fds", "gauge", "Open descriptors.",
                      open_files());
    if (getrusage(RUSAGE_SELF, &usage) == 0)
        fprintf(
            out,
            "# HELP process_cpu_seconds_total Processor time.\n"
            "# TYPE process_cpu_seconds_total counter\n"
            "process_cpu_seconds_total %ld.%06ld\n",
            (long)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec +
                   (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1000000),
            (long)((usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) %
                   1000000));
    return MHD_HTTP_OK;
}

/* Alive: what every client needs can be had. */
static unsigned say_health(struct server *server, FILE *out) {
    if (!server_alive(server)) {
        fputs("stuck\n", out);
        return MHD_HTTP_SERVICE_UNAVAILABLE;
    }
    fputs("ok\n", out);
    return MHD_HTTP_OK;
}

/* Ready: new clients are wanted, and the server of a domain at least answers.
 */
static unsigned say_ready(struct server *server, FILE *out) {
    struct config *config = server_config(server);
    bool going = draining(server), any = false;

    for (struct config_domain *d = config->domains; d; d = d->next) {
        bool reached = probe_reached(server, config, d);

        fprintf(out, "domain %s: %s\n", d->name,
                reached ? "reachable" : "not reachable");
        any |= reached;
    }
    config_rele(config);
    fputs(going ? "draining\n" : any ? "ready\n" : "not ready\n", out);
    return any && !going ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE;
}

/* With the session's lock. What stands in quotes is ours, a domain's name or an
 * address: nothing in it needs escaping. */
static void say_session(struct session *s, FILE *out) {
    uint64_t now = server_now();

    fprintf(out,
            "{\"id\":%" PRIu64 ",\"peer\":\"%s\",\"port\":%u,\"domain\":\"%s\","
            "\"state\":\"%s\",\"framing\":\"%s\",\"seconds\":%" PRIu64
            ",\"silent\":%" PRIu64 ",\"frames_in\":%" PRIu64
            ",\"frames_out\":%" PRIu64 ",\"bytes_out\":%" PRIu64
            ",\"queued_client\":%zu,\"queued_server\":%zu,\"slowed\":%s,"
            "\"server_tls\":%s,\"memory\":%zu}",
            s->id, s->peer, s->port, s->domain ? s->domain->name : "",
            state_names[s->state],
            s->front.framer.framing == NET_FRAMING_SP       ? "sp"
            : s->front.framer.framing == NET_FRAMING_NATIVE ? "native"
                                                            : "",
            (now - s->began) / 1000000, (now - s->heard) / 1000000,
            s->frames_in, s->frames_out, s->front.sent,
            s->front.conn ? net_conn_queued(s->front.conn) : 0,
            s->back.conn ? net_conn_queued(s->back.conn) : 0,
            s->slowed ? "true" : "false",
            s->back.conn && net_conn_is_secure(s->back.conn) ? "true" : "false",
            atomic_load(&s->charged));
}

static unsigned say_sessions(struct server *server, FILE *out) {
    size_t n;
    struct session **all = server_hold_all(server, &n);

    fputs("[", out);
    for (size_t i = 0; i < n; i++) {
        fputs(i ? ",\n" : "\n", out);
        net_lock(&all[i]->owner);
        say_session(all[i], out);
        net_unlock(&all[i]->owner);
    }
    fputs("\n]\n", out);
    server_release_all(all, n);
    return MHD_HTTP_OK;
}

static const struct page {
    const char *path, *type;
    unsigned (*say)(struct server *server, FILE *out);
} pages[] = {
    {"/metrics", "text/plain; version=0.0.4; charset=utf-8", say_metrics},
    {"/healthz", "text/plain; charset=utf-8", say_health},
    {"/readyz", "text/plain; charset=utf-8", say_ready},
    {"/sessions", "application/json", say_sessions},
};

/* ---- HTTP -------------------------------------------------------------------
 */

static enum MHD_Result reply(struct MHD_Connection *connection, unsigned status,
                             const char *type, char *text, size_t n) {
    struct MHD_Response *response =
        MHD_create_response_from_buffer(n, text, MHD_RESPMEM_MUST_FREE);
    enum MHD_Result done;

    if (!response) {
        free(text);
        return MHD_NO;
    }
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL,
                            "no-store");
    done = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return done;
}

static enum MHD_Result refuse(struct MHD_Connection *connection,
                              unsigned status, const char *why) {
    char *text = strdup(why);

    return text ? reply(connection, status, "text/plain", text, strlen(text))
                : MHD_NO;
}

static enum MHD_Result answer(void *arg, struct MHD_Connection *connection,
                              const char *url, const char *method,
                              const char *version, const char *upload,
                              size_t *n_upload, void **request) {
    struct admin *admin = arg;
    char *text = NULL;
    size_t n = 0;

    (void)version;
    (void)upload;
    (void)request;
    if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0) {
        *n_upload = 0;
        return refuse(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET\n");
    }
    for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++) {
        FILE *out;
        unsigned status;

        if (strcmp(pages[i].path, url) != 0)
            continue;
        out = open_memstream(&text, &n);
        if (!out)
            return MHD_NO;
        status = pages[i].say(admin->server, out);
        if (fclose(out) || !text) {
            free(text);
            return MHD_NO;
        }
        return reply(connection, status, pages[i].type, text, n);
    }
    return refuse(connection, MHD_HTTP_NOT_FOUND,
                  "/metrics /healthz /readyz /sessions\n");
}

/* ---- life -------------------------------------------------------------------
 */

static bool make_address(const char *text, struct sockaddr_storage *out) {
    struct sockaddr_in *four = (struct sockaddr_in *)(void *)out;
    struct sockaddr_in6 *six = (struct sockaddr_in6 *)(void *)out;
    char host[256];
    uint16_t port;

    memset(out, 0, sizeof(*out));
    if (net_parse_address(text, host, &port, 0))
        return false;
    if (inet_pton(AF_INET, host, &four->sin_addr) == 1) {
        four->sin_family = AF_INET;
        four->sin_port = htons(port);
        return true;
    }
    six->sin6_family = AF_INET6;
    six->sin6_port = htons(port);
    return inet_pton(AF_INET6, host, &six->sin6_addr) == 1;
}

enum net_err admin_new(struct admin **out, struct server *server,
                       const char *address, char *text) {
    struct admin *admin = calloc(1, sizeof(*admin));
    struct sockaddr_storage where;
    unsigned flags = MHD_USE_AUTO | MHD_USE_INTERNAL_POLLING_THREAD;
    char port[8];

    snprintf(text, 300, "admin %s: cannot listen there", address);
    if (!admin || !make_address(address, &where)) {
        free(admin);
        return NET_EARG;
    }
    admin->server = server;
    if (where.ss_family == AF_INET6)
        flags |= MHD_USE_IPv6;
    admin->daemon = MHD_start_daemon(
        flags, 0, NULL, NULL, answer, admin, MHD_OPTION_SOCK_ADDR, &where,
        MHD_OPTION_CONNECTION_LIMIT, (unsigned)ADMIN_CONNECTIONS,
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)ADMIN_TIMEOUT,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)32768, MHD_OPTION_END);
    if (!admin->daemon) {
        free(admin);
        return NET_EINUSE;
    }
    snprintf(port, sizeof(port), "%u", admin_port(admin));
    log_event(LOG_INFO, 0, "admin", "address", address, "port", port, NULL);
    *out = admin;
    return NET_OK;
}

uint16_t admin_port(const struct admin *admin) {
    const union MHD_DaemonInfo *info =
        MHD_get_daemon_info(admin->daemon, MHD_DAEMON_INFO_BIND_PORT);

    return info ? info->port : 0;
}

void admin_free(struct admin *admin) {
    if (!admin)
        return;
    MHD_stop_daemon(admin->daemon);
    free(admin);
}
