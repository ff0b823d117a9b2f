/* main.c: tersed: options and signals. All else is in server.c. */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bridge/log.h"
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
    "  tersed --help | --version\n\n"
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

static int help(void) {
    fputs(usage, stdout);
    config_manual(stdout);
    fputs("\nSEE ALSO\n  terse-agent --help, docs/proxy.md\n", stdout);
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
    struct config *config = config_load(path, stderr);

    if (!config) {
        log_event(LOG_ERROR, 0, "not-reloaded", "file", path, NULL);
        return;
    }
    /* Only this thread changes server->config. */
    config_needs_restart(server->config, config, stderr);
    server_reconfigure(server, config);
    log_event(LOG_INFO, 0, "reloaded", "file", path, NULL);
}

static int serve(struct server *server, const char *path,
                 const sigset_t *signals) {
    int sig;

    for (;;) {
        if (sigwait(signals, &sig))
            continue;
        if (sig == SIGHUP)
            reload(server, path);
        else if (sig == SIGUSR1)
            server_report(server);
        else
            break;
    }
    log_event(LOG_INFO, 0, "draining", NULL);
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
