/* main.c: tersed: options and signals. All else is in server.c. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <malloc.h>
#include <sys/resource.h>

#include "bridge/log.h"
#include "bridge/manual.h"
#include "proxy/notify.h"
#include "proxy/server.h"

#ifndef VERSION
#define VERSION "0"
#endif

static const char usage[] =
    "NAME\n"
    "  tersed - proxy that carries XMPP in a fraction of its bytes\n\n"
    "SYNOPSIS\n"
    "  tersed FILE               run with this configuration\n"
    "  tersed --check FILE       check a configuration and say what is wrong\n"
    "  tersed --sample-config    print a configuration with all options\n"
    "  tersed --help | --man | --version\n\n"
    "DESCRIPTION\n"
    "  Clients connect and exchange frames (Protobuf messages); to the XMPP\n"
    "  server behind it, each is an ordinary XML client. Only the domains of\n"
    "  the configuration can be opened. Logs to stderr, key=value.\n\n"
    "SIGNALS\n"
    "  SIGHUP            read the file again; connections stay. Options that\n"
    "                    need a restart are named.\n"
    "  SIGUSR1           log the counters\n"
    "  SIGTERM, SIGINT   stop: no new clients, <system-shutdown/> to all,\n"
    "                    exit 0 after drain_timeout at the latest\n\n"
    "EXIT STATUS\n"
    "  0 success; 1 the configuration is wrong; 2 it cannot run; 64 wrong "
    "use\n\n"
    "CONFIGURATION\n"
    "  `name = value` in sections; `;` begins a comment. Sizes take k and M,\n"
    "  times need ms, s or m.\n\n";

static const char more[] =
    "\nADMIN ENDPOINT\n"
    "  With `admin =`, over HTTP on loopback:\n\n"
    "  /metrics    the counters below, in the text format of Prometheus\n"
    "  /healthz    200 while it works\n"
    "  /readyz     200 while new clients are welcome and the server of a "
    "domain\n"
    "              at least can be reached; else 503\n"
    "  /sessions   the sessions as JSON: who, since when, how much; never "
    "what\n\n";

static void print_help(FILE *out) {
    fputs(usage, out);
    config_manual(out);
    fputs(more, out);
    metrics_manual(out);
    fputs(
        "\nSYSTEMD\n"
        "  Tells $NOTIFY_SOCKET READY, RELOADING, STOPPING and WATCHDOG; see\n"
        "  deploy/tersed.service.\n"
        "\nFILES\n"
        "  /etc/tersed.conf    where the service looks for its configuration\n"
        "\nSEE ALSO\n  terse-agent(1), terse(1), docs/proxy.md\n",
        out);
}

static int help(void) {
    print_help(stdout);
    return 0;
}

static int man(void) {
    char *text = NULL;
    size_t n = 0;
    FILE *out = open_memstream(&text, &n);

    if (out)
        print_help(out);
    if (!out || fclose(out) || !text) {
        fputs("tersed: out of memory\n", stderr);
        free(text);
        return 2;
    }
    manual_print(stdout, "tersed", 8, VERSION, text);
    free(text);
    return 0;
}

static int check(const char *path) {
    struct config *config = config_load(path, stderr);

    if (!config)
        return 1;
    config_rele(config);
    printf("%s: good\n", path);
    return 0;
}

static void reload(struct server *server, const char *path) {
    struct config *config;

    notify_reloading();
    config = config_load(path, stderr);
    if (!config) {
        log_event(LOG_ERROR, 0, "not-reloaded", "file", path, NULL);
        notify_send("READY=1\nSTATUS=The configuration is wrong; the old one "
                    "is in force.");
        return;
    }
    /* Only this thread changes server->config. */
    config_needs_restart(server->config, config, stderr);
    server_reconfigure(server, config);
    log_event(LOG_INFO, 0, "reloaded", "file", path, NULL);
    notify_send("READY=1\nSTATUS=");
}

/* The next signal; meanwhile tells systemd's watchdog that all is well, as long
 * as the server's lock can be had. */
static int next_signal(struct server *server, const sigset_t *signals) {
    uint32_t ms = notify_watchdog();
    struct timespec wait = {ms / 1000, (long)(ms % 1000) * 1000000};

    for (;;) {
        int sig = ms ? sigtimedwait(signals, NULL, &wait)
                     : sigwaitinfo(signals, NULL);

        if (sig > 0)
            return sig;
        if (errno == EAGAIN && server_alive(server))
            notify_send("WATCHDOG=1");
    }
}

static int serve(struct server *server, const char *path,
                 const sigset_t *signals) {
    notify_send("READY=1");
    for (;;) {
        int sig = next_signal(server, signals);

        if (sig == SIGHUP)
            reload(server, path);
        else if (sig == SIGUSR1)
            server_report(server);
        else
            break;
    }
    log_event(LOG_INFO, 0, "draining", NULL);
    notify_send("STOPPING=1");
    if (server_drain(server)) {
        server_report(server);
        log_event(LOG_INFO, 0, "drained", NULL);
        server_free(server);
        return 0;
    }
    log_event(LOG_WARN, 0, "not-drained", NULL);
    /* Sessions still run on other threads: nothing may be freed. */
    fflush(NULL);
    _Exit(0);
}

/* Two descriptors for each client: as many as we may have. */
static void raise_descriptors(void) {
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 &&
        limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

/* What is large goes back to the kernel when it is freed; by default glibc
 * comes to keep it, once it has seen a few large blocks. */
static void tame_malloc(void) { (void)mallopt(M_MMAP_THRESHOLD, 128 * 1024); }

static int run(const char *path) {
    struct config *config;
    struct server *server;
    char text[300];
    sigset_t signals;

    /* Before any thread: they all inherit it, and only serve() waits. */
    sigemptyset(&signals);
    sigaddset(&signals, SIGHUP);
    sigaddset(&signals, SIGUSR1);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    signal(SIGPIPE, SIG_IGN);
    raise_descriptors();
    tame_malloc();
    config = config_load(path, stderr);
    if (!config)
        return 1;
    log_set_level((enum log_level)config->log_level);
    if (server_start(&server, config, text)) {
        fprintf(stderr, "tersed: %s\n", text);
        config_rele(config);
        return 2;
    }
    return serve(server, path, &signals);
}

int main(int argc, char **argv) {
    static const struct option options[] = {
        {"check", required_argument, NULL, 'c'},
        {"sample-config", no_argument, NULL, 's'},
        {"help", no_argument, NULL, 'h'},
        {"man", no_argument, NULL, 'm'},
        {"version", no_argument, NULL, 'v'},
        {NULL, 0, NULL, 0},
    };

    switch (getopt_long(argc, argv, "c:hv", options, NULL)) {
    case 'c':
        return check(optarg);
    case 's':
        config_sample(stdout);
        return 0;
    case 'h':
        return help();
    case 'm':
        return man();
    case 'v':
        puts("tersed " VERSION);
        return 0;
    case -1:
        if (optind + 1 == argc)
            return run(argv[optind]);
        /* fall through */
    default:
        fputs("usage: tersed FILE | --check FILE | --sample-config | --help | "
              "--version\n",
              stderr);
        return 64;
    }
}
