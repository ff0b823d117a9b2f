/* agent.c: terse-agent: options and signals. */
#include "client/agent.h"

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bridge/log.h"
#include "bridge/manual.h"

#ifndef VERSION
#define VERSION "0"
#endif

#define DEFAULT_LISTEN "127.0.0.1:5222"
enum { DEFAULT_PROXY_PORT = 5333, WRITE_QUEUE = 256 * 1024 };
/* Of heartbeats, in milliseconds. */
enum { BEAT_LEAST = 60000, BEAT_FIRST = 240000, PONG = 15000 };

static uint32_t heartbeat = 1680; /* seconds */

static const char usage[] =
    "NAME\n"
    "  terse-agent - lets any XMPP program use Terse\n\n"
    "SYNOPSIS\n"
    "  terse-agent --proxy HOST[:PORT] [--listen ADDRESS:PORT]\n"
    "              [--ca-file FILE] [--tls-name NAME | --clear]\n\n"
    "DESCRIPTION\n"
    "  Listens as an XMPP server would. Each stream that a client opens is\n"
    "  carried in compact frames to tersed, a proxy in front of the real\n"
    "  server; what the server says comes back as XML. The client needs no\n"
    "  change: its account stays user@domain, only the address it connects\n"
    "  to becomes that of the agent.\n\n"
    "  Between agent and tersed there is TLS, and tersed's certificate has to\n"
    "  be valid for the account's domain, as an XMPP server's has to be.\n\n"
    "  Between client and agent there is no TLS and none is offered, so the\n"
    "  agent belongs on the client's own machine. A client that insists on\n"
    "  TLS cannot use it. Passwords are as safe as the SASL mechanism makes\n"
    "  them: SCRAM never shows them.\n\n"
    "OPTIONS\n"
    "  --proxy HOST[:PORT]   tersed's address; required; port 5333 if left "
    "out\n"
    "  --listen ADDRESS:PORT where clients connect; " DEFAULT_LISTEN
    " if left\n"
    "                        out; port 0 takes a free one and logs it\n"
    "  --ca-file FILE        PEM file of the authorities to trust instead of "
    "the\n"
    "                        system's\n"
    "  --tls-name NAME       the name that tersed's certificate has to be "
    "valid\n"
    "                        for, if that is not the account's domain\n"
    "  --clear               no TLS to tersed: what passes there, passwords "
    "of\n"
    "                        weak mechanisms too, can be read on the way\n"
    "  --allow-remote        listen on an address that is not loopback:\n"
    "                        what passes there can be read on the way\n"
    "  --heartbeat SECONDS   longest silence before tersed is asked whether "
    "it\n"
    "                        is there; 1680 if left out. It begins with 240 "
    "and\n"
    "                        grows as long as that finds no dead connection\n"
    "  --log-level LEVEL     error, warn, info (default) or debug\n"
    "  --help, --man, --version\n\n"
    "SIGNALS\n"
    "  SIGTERM, SIGINT       <system-shutdown/> to all clients, then exit\n\n"
    "ERRORS THAT CLIENTS SEE\n"
    "  remote-connection-failed   tersed cannot be reached, or was lost, or "
    "its\n"
    "                             certificate is not good\n"
    "  host-unknown               the domain is not one of tersed's\n"
    "  Any other stream error comes from the server or names what was wrong\n"
    "  with the client's XML.\n\n"
    "EXIT STATUS\n"
    "  0 stopped by a signal; 2 it cannot listen; 64 wrong use\n\n"
    "EXAMPLES\n"
    "  terse-agent --proxy chat.example.net\n"
    "  mcabber, profanity, slixmpp …: server 127.0.0.1, port 5222, no TLS\n\n"
    "SEE ALSO\n"
    "  tersed(8), docs/agent.md\n";

static bool is_loopback(const char *address) {
    char host[256];
    uint16_t port;

    if (net_parse_address(address, host, &port, 0))
        return false;
    return strncmp(host, "127.", 4) == 0 || strcmp(host, "::1") == 0 ||
           strcmp(host, "localhost") == 0;
}

static int set_log_level(const char *name) {
    for (int i = 0; log_level_names[i]; i++)
        if (strcmp(log_level_names[i], name) == 0) {
            log_set_level((enum log_level)i);
            return 0;
        }
    fprintf(stderr, "terse-agent: no log level: %s\n", name);
    return 64;
}

static int misuse(const char *what) {
    fprintf(stderr, "terse-agent: %s (see --help)\n", what);
    return 64;
}

static int prepare(struct agent *agent, const char *address) {
    pthread_condattr_t attr;
    enum net_err err = NET_ENOMEM;
    char port[8];

    pthread_mutex_init(&agent->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&agent->left, &attr);
    pthread_condattr_destroy(&attr);
    agent->connect_ms = 15000;
    agent->close_ms = 5000;
    agent->stall_ms = 60000;
    agent->beat_most = heartbeat * 1000;
    agent->beat_least =
        agent->beat_most < BEAT_LEAST ? agent->beat_most : BEAT_LEAST;
    atomic_init(&agent->beat_ms,
                agent->beat_most < BEAT_FIRST ? agent->beat_most : BEAT_FIRST);
    agent->pong_ms = PONG;
    if (!terse_schema_new(&agent->schema)) {
        agent->bridge.schema = agent->schema;
        agent->bridge.limits = &terse_limits_default;
        agent->bridge.state = &terse_state_limits_default;
        agent->bridge.high = WRITE_QUEUE;
        agent->bridge.heartbeat = heartbeat;
        err = net_resolver_new(&agent->resolver, NULL);
    }
    if (!err)
        err = net_listener_new(&agent->listener, address, agent_accept, agent);
    if (err) {
        fprintf(stderr, "terse-agent: %s: %s\n", address, net_strerror(err));
        net_resolver_free(agent->resolver);
        terse_schema_free(agent->schema);
        return 2;
    }
    snprintf(port, sizeof(port), "%u", net_listener_port(agent->listener));
    log_event(LOG_INFO, 0, "listening", "address", address, "port", port, NULL);
    return 0;
}

static int serve(struct agent *agent, const sigset_t *signals) {
    int sig;

    while (sigwait(signals, &sig))
        ;
    net_listener_free(agent->listener);
    if (!agent_drain(agent, agent->close_ms + 1000)) {
        fflush(NULL);
        _Exit(0); /* sessions still run on other threads */
    }
    net_resolver_free(agent->resolver);
    terse_schema_free(agent->schema);
    pthread_cond_destroy(&agent->left);
    pthread_mutex_destroy(&agent->lock);
    return 0;
}

struct options {
    const char *proxy, *listen, *ca_file, *tls_name;
    bool remote, clear;
};

static int make_tls(struct agent *agent, const struct options *o) {
    char text[256] = "out of memory";
    enum net_err err;

    if (o->clear && (o->ca_file || o->tls_name))
        return misuse("--clear: there is no certificate to look at");
    if (o->clear)
        return 0;
    agent->tls_name = o->tls_name;
    err = net_tls_client(&agent->tls, o->ca_file, text);
    if (!err)
        err = net_tls_offer(agent->tls, NET_ALPN);
    if (!err)
        return 0;
    fprintf(stderr, "terse-agent: %s: %s\n", o->ca_file ? o->ca_file : "TLS",
            text);
    return 2;
}

static int run(const struct options *o) {
    struct agent agent;
    sigset_t signals;
    int status;

    memset(&agent, 0, sizeof(agent));
    if (!o->proxy)
        return misuse("--proxy is required");
    if (net_parse_address(o->proxy, agent.host, &agent.port,
                          DEFAULT_PROXY_PORT))
        return misuse("--proxy: not an address");
    if (o->tls_name && !*o->tls_name)
        return misuse("--tls-name: no name");
    if (!o->remote && !is_loopback(o->listen))
        return misuse("--listen: not a loopback address; there is no TLS "
                      "between client and agent");
    /* Before any thread: they all inherit it, and only serve() waits. */
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    signal(SIGPIPE, SIG_IGN);
    status = make_tls(&agent, o);
    if (!status)
        status = prepare(&agent, o->listen);
    if (!status)
        status = serve(&agent, &signals);
    net_tls_rele(agent.tls);
    return status;
}

int main(int argc, char **argv) {
    static const struct option options[] = {
        {"proxy", required_argument, NULL, 'p'},
        {"listen", required_argument, NULL, 'l'},
        {"ca-file", required_argument, NULL, 'f'},
        {"tls-name", required_argument, NULL, 'n'},
        {"clear", no_argument, NULL, 'c'},
        {"allow-remote", no_argument, NULL, 'r'},
        {"heartbeat", required_argument, NULL, 'b'},
        {"log-level", required_argument, NULL, 'd'},
        {"help", no_argument, NULL, 'h'},
        {"man", no_argument, NULL, 'm'},
        {"version", no_argument, NULL, 'v'},
        {NULL, 0, NULL, 0},
    };
    struct options o = {.listen = DEFAULT_LISTEN};
    char *end;
    int c;

    while ((c = getopt_long(argc, argv, "hv", options, NULL)) != -1) {
        switch (c) {
        case 'p':
            o.proxy = optarg;
            break;
        case 'l':
            o.listen = optarg;
            break;
        case 'r':
            o.remote = true;
            break;
        case 'f':
            o.ca_file = optarg;
            break;
        case 'n':
            o.tls_name = optarg;
            break;
        case 'c':
            o.clear = true;
            break;
        case 'b':
            heartbeat = (uint32_t)strtoul(optarg, &end, 10);
            if (*end || heartbeat < 1 || heartbeat > 86400)
                return misuse("--heartbeat: not 1 to 86400 seconds");
            break;
        case 'd':
            if (set_log_level(optarg))
                return 64;
            break;
        case 'h':
            fputs(usage, stdout);
            return 0;
        case 'm':
            manual_print(stdout, "terse-agent", 1, VERSION, usage);
            return 0;
        case 'v':
            puts("terse-agent " VERSION);
            return 0;
        default:
            return misuse("wrong use");
        }
    }
    return optind == argc ? run(&o) : misuse("too many arguments");
}
