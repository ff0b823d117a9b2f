/*
 * load.h: the clients of bench-load. One thread, one epoll, one `load`.
 */
#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H

#include <openssl/ssl.h>

#include "bench/load/count.h"
#include "bench/load/hist.h"
#include "bench/load/io.h"
#include "bench/load/script.h"

enum {
    CLIENT_WINDOW = 64, /* messages of one client that wait for an answer */
    CLIENT_LOGIN = 16384,
};

struct client {
    struct io io;           /* fd -1: down */
    struct client *partner; /* whose messages come here; itself if no pairs */
    struct script *script;
    size_t number;
    bool up;             /* logged in */
    unsigned step;       /* of the login */
    uint64_t retry_at;   /* down: not before this time */
    struct count count;  /* what comes */
    struct terse_buf in; /* during login */
    size_t at, goal;     /* bytes of the step, or of all messages, that are
                            sent and that are to be sent */
    size_t next;         /* message */
    unsigned waiting;    /* messages without an answer */
    unsigned oldest;     /* of them, in stamps */
    uint64_t stamps[CLIENT_WINDOW]; /* when they were sent */
    SSL_SESSION *session;
};

extern struct load {
    /* what for */
    const char *address;
    enum wire wire;
    enum then then;
    bool pairs, tickets;
    unsigned first; /* user, if pairs */
    SSL_CTX *tls;   /* NULL: in clear */
    struct terse_schema *schema;

    int epoll;
    struct client **clients;
    size_t n, up, down;
    struct script shared; /* if not pairs */
    bool scripted;

    unsigned window; /* > 0: an answer is followed by the next message */
    uint64_t gap;    /* ns between messages */
    struct hist hist, shown;
    uint64_t answered, sent, skipped, total_sent, total_answered;
    size_t lost, retries, resumed;
} load;

/* n more clients, all down. */
void client_more(size_t n);
void client_free_all(void);
/* Every client will speak TLS, and verify with the authority in a file. */
void client_tls(const char *ca);
/* Starts to log in a client that is down. */
void client_connect(struct client *client);
/* Closes its connection, if there is one; it can connect again at once. */
void client_hang_up(struct client *client);
/* Sends n more messages, as far as the client is up. */
void client_send(struct client *client, unsigned n);
/* Handles what happens within ns at most. */
void load_turn(uint64_t ns);

#endif
