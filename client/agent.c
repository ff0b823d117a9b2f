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
enum { BEAT_LEAST = 60000, BEAT_FIRST = 240000, PONG = 15000, DOUBT = 10000 };
/* In milliseconds: many programs write a receipt and a marker one after the
 * other. */
enum { GATHER = 20 };
/* Of what waits for tersed's acknowledgement. */
enum { BOX_STANZAS = 1000, BOX_BYTES = 1024 * 1024 };

static uint32_t heartbeat = 1680, give_up = 300, ack = 20; /* seconds */
/* Seconds and bytes that tersed is to let wait at most, if that was said. */
static uint32_t wait_s, wait_bytes;
enum { WAIT_MOST = 86400, WAIT_BYTES_MOST = 1 << 20 };

static const char usage[] =
    "NAME\n"
    "  terse-agent - lets any XMPP program use Terse\n\n"
    "SYNOPSIS\n"
    "  terse-agent --proxy HOST[:PORT][,…] [--listen ADDRESS:PORT]\n"
    "              [--ca-file FILE] [--tls-name NAME | --clear]\n"
    "              [--location WHEN] [--state FILE] [--tag NAME]\n"
    "              [--wait SECONDS] [--transparent]\n\n"
    "DESCRIPTION\n"
    "  Listens as an XMPP server would. Each stream that a client opens is\n"
    "  carried in compact frames to tersed, a proxy in front of the real\n"
    "  server; what the server says comes back as XML. The client needs no\n"
    "  change: its account stays user@domain, only the address it connects\n"
    "  to becomes that of the agent.\n\n"
    "  Towards tersed the agent is what a phone's client has to be, on the\n"
    "  client's behalf: it logs in with two round trips, acknowledges, keeps\n"
    "  what is not acknowledged, and when the connection is lost it makes\n"
    "  another one and takes the session back, of which the client notices a\n"
    "  pause at most. For that it needs no password; but if the client logged\n"
    "  in by PLAIN, it keeps that one in memory, and then the session can be\n"
    "  taken back through any tersed. Where tersed does not hold sessions, "
    "all\n"
    "  passes as it is.\n\n"
    "  Between agent and tersed there is TLS, and tersed's certificate has to\n"
    "  be valid for the account's domain, as an XMPP server's has to be.\n\n"
    "  Between client and agent there is no TLS and none is offered, so the\n"
    "  agent belongs on the client's own machine. A client that insists on\n"
    "  TLS cannot use it. Passwords are as safe as the SASL mechanism makes\n"
    "  them: SCRAM never shows them.\n\n"
    "OPTIONS\n"
    "  --proxy HOST[:PORT]   tersed's address; required; port 5333 if left "
    "out.\n"
    "                        Several, separated by commas or with --proxy "
    "again:\n"
    "                        if one cannot be reached the next is tried\n"
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
    "  --location WHEN       tls (default), always or never: whether to go "
    "back "
    "to a\n"
    "                        session where tersed said that it is held, first. "
    "tls:\n"
    "                        not without TLS, where who is on the way could "
    "send\n"
    "                        the agent anywhere. Certificates have to be valid "
    "for\n"
    "                        the same name as ever\n"
    "  --allow-remote        listen on an address that is not loopback:\n"
    "                        what passes there can be read on the way\n"
    "  --state FILE          where to remember the id of this device, and "
    "what\n"
    "                        each domain offers before login, when the agent\n"
    "                        stops. No credentials. For one agent at a time\n"
    "  --tag NAME            the start of the resource's name; tersed's own "
    "if\n"
    "                        left out\n"
    "  --give-up SECONDS     without a connection, after which a session is "
    "over;\n"
    "                        300 if left out\n"
    "  --transparent         all passes as it is: the client manages its "
    "stream\n"
    "                        by itself, and chooses its resource\n"
    "  --ack-delay SECONDS   how long an acknowledgement waits for something "
    "that\n"
    "                        goes to tersed anyway; 20 if left out\n"
    "  --wait SECONDS        how long tersed may hold back presence, chat "
    "states\n"
    "                        and acknowledgements at most, while the client "
    "is\n"
    "                        inactive (XEP-0352); 0 to 86400, 0: not at all. "
    "As\n"
    "                        long as tersed likes if left out, and never "
    "longer\n"
    "  --wait-bytes BYTES    how much of it, likewise; 0 to 1048576\n"
    "  --heartbeat SECONDS   longest silence before tersed is asked whether "
    "it\n"
    "                        is there; 1680 if left out. It begins with 240 "
    "and\n"
    "                        grows as long as that finds no dead connection\n"
    "  --log-level LEVEL     error, warn, info (default) or debug\n"
    "  --help, --man, --version\n\n"
    "SIGNALS\n"
    "  SIGUSR1               the network has changed: sessions that can be "
    "taken\n"
    "                        back are, at once, on new connections\n"
    "  SIGTERM, SIGINT       <system-shutdown/> to all clients, then exit\n\n"
    "FILES\n"
    "  --state's FILE is written by the agent, for its user alone. It may be\n"
    "  deleted while the agent does not run.\n\n"
    "ERRORS THAT CLIENTS SEE\n"
    "  remote-connection-failed   tersed cannot be reached, or its "
    "certificate\n"
    "                             is not good, or it was lost and the session\n"
    "                             cannot be taken back\n"
    "  host-unknown               the domain is not one of tersed's\n"
    "  Any other stream error comes from the server or names what was wrong\n"
    "  with the client's XML.\n\n"
    "EXIT STATUS\n"
    "  0 stopped by a signal; 2 it cannot listen; 64 wrong use\n\n"
    "EXAMPLES\n"
    "  terse-agent --proxy chat.example.net\n"
    "  terse-agent --proxy a.example.net,b.example.net "
    "--state ~/.cache/terse\n"
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

static void set_bounds(struct agent *agent) {
    agent->connect_ms = 15000;
    agent->close_ms = 5000;
    agent->stall_ms = 60000;
    agent->beat_most = heartbeat * 1000;
    agent->ack_ms = ack * 1000;
    agent->gather_ms = GATHER;
    agent->beat_least =
        agent->beat_most < BEAT_LEAST ? agent->beat_most : BEAT_LEAST;
    atomic_init(&agent->beat_ms,
                agent->beat_most < BEAT_FIRST ? agent->beat_most : BEAT_FIRST);
    agent->pong_ms = PONG;
    agent->doubt_ms = DOUBT;
    agent->wait_ms = agent->bridge.wait ? wait_s * 1000 : UINT32_MAX;
    agent->give_up_ms = give_up * 1000;
    agent->box_stanzas = BOX_STANZAS;
    agent->box_bytes = BOX_BYTES;
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
    set_bounds(agent);
    if (agent->memory && !terse_schema_new(&agent->schema)) {
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
    int sig = 0;

    while (sigwait(signals, &sig) || sig == SIGUSR1)
        if (sig == SIGUSR1) {
            log_event(LOG_INFO, 0, "network-changed", NULL);
            agent_reconnect(agent);
        }
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
    const char *listen, *ca_file, *tls_name, *tag, *state, *location;
    bool remote, clear, transparent;
};

/* Addresses, separated by commas. */
static int add_proxies(struct agent *agent, const char *list) {
    while (*list) {
        struct agent_proxy *proxy = &agent->proxies[agent->n_proxies];
        size_t n = strcspn(list, ",");
        char one[300];

        if (agent->n_proxies == AGENT_PROXIES)
            return misuse("--proxy: too many");
        if (n >= sizeof(one))
            return misuse("--proxy: not an address");
        memcpy(one, list, n);
        one[n] = '\0';
        if (net_parse_address(one, proxy->host, &proxy->port,
                              DEFAULT_PROXY_PORT))
            return misuse("--proxy: not an address");
        agent->n_proxies++;
        list += n + (list[n] == ',');
    }
    return 0;
}

/* As tersed takes it: it becomes part of a resource. */
static bool is_tag(const char *tag) {
    return *tag && strlen(tag) < 64 &&
           strspn(tag, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                       "0123456789-_.") == strlen(tag);
}

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

static int check(const struct agent *agent, const struct options *o) {
    if (!agent->n_proxies)
        return misuse("--proxy is required");
    if (o->tls_name && !*o->tls_name)
        return misuse("--tls-name: no name");
    if (o->tag && !is_tag(o->tag))
        return misuse("--tag: not 1 to 63 of a-z, 0-9, - _ and .");
    if (!o->remote && !is_loopback(o->listen))
        return misuse("--listen: not a loopback address; there is no TLS "
                      "between client and agent");
    return 0;
}

/* "tls", "always" or "never". */
static int set_follows(struct agent *agent, const struct options *o) {
    if (strcmp(o->location, "tls") == 0)
        agent->follows = !o->clear;
    else if (strcmp(o->location, "always") == 0)
        agent->follows = true;
    else if (strcmp(o->location, "never") != 0)
        return misuse("--location: not tls, always or never");
    return 0;
}

static int run(struct agent *agent, const struct options *o) {
    int status = check(agent, o);
    sigset_t signals;

    if (!status)
        status = set_follows(agent, o);
    if (status)
        return status;
    /* Before any thread: they all inherit it, and only serve() waits. */
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    signal(SIGPIPE, SIG_IGN);
    agent->transparent = o->transparent;
    agent->tag = o->tag;
    agent->memory = memory_new(o->state);
    status = make_tls(agent, o);
    if (!status)
        status = prepare(agent, o->listen);
    if (!status)
        status = serve(agent, &signals);
    net_tls_rele(agent->tls);
    memory_free(agent->memory);
    return status;
}

/* A number up to most; false: it is none. */
static bool number(const char *text, uint32_t most, uint32_t *out) {
    char *end;
    unsigned long v = strtoul(text, &end, 10);

    *out = (uint32_t)v;
    return *text >= '0' && *text <= '9' && !*end && v <= most;
}

/* The same from 1. */
static bool seconds(const char *text, uint32_t most, uint32_t *out) {
    return number(text, most, out) && *out >= 1;
}

int main(int argc, char **argv) {
    static const struct option options[] = {
        {"proxy", required_argument, NULL, 'p'},
        {"listen", required_argument, NULL, 'l'},
        {"ca-file", required_argument, NULL, 'f'},
        {"tls-name", required_argument, NULL, 'n'},
        {"clear", no_argument, NULL, 'c'},
        {"location", required_argument, NULL, 'o'},
        {"allow-remote", no_argument, NULL, 'r'},
        {"heartbeat", required_argument, NULL, 'b'},
        {"ack-delay", required_argument, NULL, 'k'},
        {"wait", required_argument, NULL, 'w'},
        {"wait-bytes", required_argument, NULL, 'y'},
        {"state", required_argument, NULL, 's'},
        {"tag", required_argument, NULL, 'g'},
        {"give-up", required_argument, NULL, 'u'},
        {"transparent", no_argument, NULL, 't'},
        {"log-level", required_argument, NULL, 'd'},
        {"help", no_argument, NULL, 'h'},
        {"man", no_argument, NULL, 'm'},
        {"version", no_argument, NULL, 'v'},
        {NULL, 0, NULL, 0},
    };
    struct options o = {.listen = DEFAULT_LISTEN, .location = "tls"};
    static struct agent agent;
    int c;

    while ((c = getopt_long(argc, argv, "hv", options, NULL)) != -1) {
        switch (c) {
        case 'p':
            if (add_proxies(&agent, optarg))
                return 64;
            break;
        case 'l':
            o.listen = optarg;
            break;
        case 'o':
            o.location = optarg;
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
            if (!seconds(optarg, 86400, &heartbeat))
                return misuse("--heartbeat: not 1 to 86400 seconds");
            break;
        case 'k':
            if (!seconds(optarg, 3600, &ack))
                return misuse("--ack-delay: not 1 to 3600 seconds");
            break;
        case 'w':
            agent.bridge.wait = &wait_s;
            if (!number(optarg, WAIT_MOST, &wait_s))
                return misuse("--wait: not 0 to 86400 seconds");
            break;
        case 'y':
            agent.bridge.wait_bytes = &wait_bytes;
            if (!number(optarg, WAIT_BYTES_MOST, &wait_bytes))
                return misuse("--wait-bytes: not 0 to 1048576");
            break;
        case 'u':
            if (!seconds(optarg, 86400, &give_up))
                return misuse("--give-up: not 1 to 86400 seconds");
            break;
        case 's':
            o.state = optarg;
            break;
        case 'g':
            o.tag = optarg;
            break;
        case 't':
            o.transparent = true;
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
    return optind == argc ? run(&agent, &o) : misuse("too many arguments");
}
