/*
 * load.c: bench-load, many XMPP clients in one thread. What they send is made
 * once (script.h), what they get is only counted (count.h).
 *
 *   bench-load [--wire xml|frames|state] [--pairs [--first USER]]
 *              [--online|--no-archive] [--tls CA] ADDRESS:PORT
 *
 * Reads commands from stdin, and answers each with a line of JSON:
 *
 *   login N PARALLEL     N more sessions log in, PARALLEL at a time
 *   rate SECONDS WINDOW  each sends its next message when one is answered
 *   pace SECONDS RATE    all together send RATE messages a second
 *   idle SECONDS         only reads
 *   again PARALLEL       waits until all are hung up on; they log in again
 *   return PARALLEL      hangs up, without a word; all log in again
 *   tickets on|off       whether they resume TLS when they log in again
 *
 * --pairs: client 2k and client 2k+1 talk with each other, as users of their
 * own, from number USER on. Otherwise what comes back to a client is the answer
 * to what it sent.
 */
#include "bench/load/load.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sys/epoll.h>
#include <sys/prctl.h>

#define SECOND 1000000000u

struct load load = {.wire = WIRE_STATE, .tickets = true};

/* ---- measuring ------------------------------------------------------------
 */

/* All that was sent is answered, or cannot be. */
static bool drained(void) {
    for (size_t i = 0; i < load.n; i++)
        if (load.clients[i]->up && load.clients[i]->waiting)
            return false;
    return true;
}

static void begin(void) {
    memset(&load.hist, 0, sizeof(load.hist));
    load.answered = load.sent = load.skipped = 0;
}

/* Handles events until the clock says `until`, or nothing is left to wait for.
 */
static void turn_until(uint64_t until, bool (*done)(void)) {
    uint64_t now;

    while ((now = io_now()) < until && !(done && done()))
        load_turn(until - now);
}

static void finish(uint64_t measured, uint64_t ns, uint64_t total) {
    load.window = 0;
    turn_until(io_now() + 3ull * SECOND, drained);
    printf("{\"rate\": %.1f, \"answered\": %" PRIu64 ", \"seconds\": %.4f, "
           "\"total\": %" PRIu64 ", \"unanswered\": %" PRIu64
           ", \"lost\": %zu, \"skipped\": %" PRIu64
           ", \"p50_us\": %.2f, \"p90_us\": %.2f, \"p99_us\": %.2f, "
           "\"p999_us\": %.2f}\n",
           (double)measured / ((double)ns / SECOND), measured,
           (double)ns / SECOND, total + load.answered,
           load.total_sent - load.total_answered, load.lost, load.skipped,
           (double)hist_quantile(&load.shown, 0.5) / 1000,
           (double)hist_quantile(&load.shown, 0.9) / 1000,
           (double)hist_quantile(&load.shown, 0.99) / 1000,
           (double)hist_quantile(&load.shown, 0.999) / 1000);
}

/* Lets `step` drive the clients for a while: first to warm up. */
static void measure(double seconds, void (*step)(uint64_t until)) {
    uint64_t start, total, measured, ns;

    begin();
    step(io_now() + (uint64_t)(0.2 * SECOND));
    total = load.answered;
    begin();
    start = io_now();
    step(start + (uint64_t)(seconds * SECOND));
    ns = io_now() - start;
    measured = load.answered;
    load.shown = load.hist;
    finish(measured, ns, total);
}

static void step_rate(uint64_t until) { turn_until(until, NULL); }

static void rate(double seconds, unsigned window) {
    if (window < 1 || window > CLIENT_WINDOW)
        die("rate: a window of 1 to %d", CLIENT_WINDOW);
    load.window = window;
    for (size_t i = 0; i < load.n; i++)
        client_send(load.clients[i], window);
    measure(seconds, step_rate);
}

/* The clients take turns; who has too much unanswered is passed over. */
static void step_pace(uint64_t until) {
    static size_t next;
    uint64_t now = io_now(), due = now;

    while (now < until) {
        for (; due <= now; due += load.gap) {
            struct client *client = load.clients[next++ % load.n];

            if (client->waiting < CLIENT_WINDOW)
                client_send(client, 1);
            else
                load.skipped++;
        }
        load_turn(due < until ? due - now : until - now);
        now = io_now();
    }
}

static void pace(double seconds, double per_second) {
    if (per_second < 1 || load.n == 0)
        die("pace: a rate of 1 or more, of one client or more");
    load.window = 0;
    load.gap = (uint64_t)(SECOND / per_second) + 1;
    measure(seconds, step_pace);
}

static void idle(double seconds) {
    uint64_t before = load.total_answered;

    turn_until(io_now() + (uint64_t)(seconds * SECOND), NULL);
    printf("{\"seconds\": %.3f, \"lost\": %zu, \"heard\": %" PRIu64 "}\n",
           seconds, load.lost, load.total_answered - before);
}

/* ---- logging in -----------------------------------------------------------
 */

static bool all_down(void) { return load.down == load.n; }
static bool all_up(void) { return load.up == load.n; }

/* Brings up whoever is down, `parallel` at a time. */
static void bring_up(unsigned parallel, uint64_t start) {
    uint64_t limit = start + 60ull * SECOND, now;
    size_t before = load.up;

    load.retries = load.resumed = 0;
    for (size_t next = 0; !all_up() && (now = io_now()) < limit;) {
        size_t busy = load.n - load.up - load.down, looked = 0;

        while (busy < parallel && load.down && looked++ < load.n) {
            struct client *client = load.clients[next++ % load.n];

            if (client->io.fd < 0 && client->retry_at <= now) {
                client_connect(client);
                busy++;
            }
        }
        load_turn(2000000);
    }
    printf("{\"sessions\": %zu, \"up\": %zu, \"seconds\": %.4f, "
           "\"retries\": %zu, \"resumed\": %zu}\n",
           load.n, load.up - before, (double)(io_now() - start) / SECOND,
           load.retries, load.resumed);
}

static void log_in(size_t n, unsigned parallel) {
    if (load.pairs && n % 2)
        die("login: an even number, for pairs");
    client_more(n);
    bring_up(parallel, io_now());
}

static void again(unsigned parallel) {
    turn_until(io_now() + 30ull * SECOND, all_down);
    if (!all_down())
        die("again: %zu are still up", load.n - load.down);
    bring_up(parallel, io_now());
}

static void come_back(unsigned parallel) {
    for (size_t i = 0; i < load.n; i++)
        client_hang_up(load.clients[i]);
    bring_up(parallel, io_now());
}

/* ---- the program ----------------------------------------------------------
 */

static void command(char *line) {
    double seconds = 0, value = 0;
    char word[16] = "", how[8] = "";
    int n = sscanf(line, "%15s %lf %lf", word, &seconds, &value);

    if (n == 3 && strcmp(word, "login") == 0)
        log_in((size_t)seconds, (unsigned)value);
    else if (n == 3 && strcmp(word, "rate") == 0)
        rate(seconds, (unsigned)value);
    else if (n == 3 && strcmp(word, "pace") == 0)
        pace(seconds, value);
    else if (n == 2 && strcmp(word, "idle") == 0)
        idle(seconds);
    else if (n == 2 && strcmp(word, "again") == 0)
        again((unsigned)seconds);
    else if (n == 2 && strcmp(word, "return") == 0)
        come_back((unsigned)seconds);
    else if (sscanf(line, "tickets %7s", how) == 1)
        printf("{\"tickets\": %s}\n",
               (load.tickets = strcmp(how, "on") == 0) ? "true" : "false");
    else
        die("no such command: %s", line);
    fflush(stdout);
}

static int wire_named(const char *name) {
    static const char *const names[] = {"xml", "frames", "state"};

    for (int i = 0; i < 3; i++)
        if (strcmp(name, names[i]) == 0)
            return i;
    die("--wire: xml, frames or state");
}

static bool option(int c) {
    switch (c) {
    case 'w':
        load.wire = (enum wire)wire_named(optarg);
        return true;
    case 'p':
        load.pairs = true;
        return true;
    case 'f':
        load.first = (unsigned)atoi(optarg) & ~1u;
        return true;
    case 'o':
        load.then = THEN_ONLINE;
        return true;
    case 'n':
        load.then = THEN_NO_ARCHIVE;
        return true;
    case 't':
        client_tls(optarg);
        return true;
    default:
        return false;
    }
}

int main(int argc, char **argv) {
    static const struct option options[] = {
        {"wire", required_argument, NULL, 'w'},
        {"pairs", no_argument, NULL, 'p'},
        {"first", required_argument, NULL, 'f'},
        {"online", no_argument, NULL, 'o'},
        {"no-archive", no_argument, NULL, 'n'},
        {"tls", required_argument, NULL, 't'},
        {NULL, 0, NULL, 0}};
    char line[128];
    int c;

    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1)
        if (!option(c))
            return 2;
    if (optind != argc - 1)
        die("usage: bench-load [OPTION...] ADDRESS:PORT");
    load.address = argv[optind];
    io_raise_limit();
    /* Sleeps end when they should. */
    (void)prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0);
    load.epoll = epoll_create1(0);
    if (load.epoll < 0 || terse_schema_new(&load.schema))
        die("epoll, schema: %s", strerror(errno));
    while (fgets(line, sizeof(line), stdin))
        command(line);
    client_free_all();
    terse_schema_free(load.schema);
    return 0;
}
