/*
 * sm.h: stream management (XEP-0198) from end to end. Both the client and the
 * server count; what this keeps are their counts, so that requests are answered
 * here, with what the far end has acknowledged and never more. No I/O, no
 * clock: times are microseconds that the caller says.
 *
 * Counts are the server's, modulo 2^32. "up" is client to server, "down" the
 * other way.
 */
#ifndef PROXY_SM_H
#define PROXY_SM_H

#include <stdbool.h>
#include <stdint.h>

struct sm {
    bool on;
    bool enabling; /* <enable/> went up: up counts, down not yet */
    bool own;      /* enabled with SASL2: the client acknowledges by itself, and
                      hears of acknowledgements that it did not ask for */
    uint32_t skew; /* stanzas that the client counted and the server did not, */
    uint32_t skew_acked; /* and what of those the client has acknowledged */

    uint32_t up;        /* passed to the server */
    uint32_t up_acked;  /* by the server */
    uint32_t up_told;   /* to the client */
    uint32_t up_matter; /* `up` when the last went that somebody looks after */
    uint32_t up_asked;  /* `up` when the server was last asked */
    bool asking_server; /* and it has not answered */
    uint8_t doubts;     /* answers until it is known that the server still has
                           the session here: it may have moved it away */
    bool wanted;        /* the client has asked, when */
    uint32_t wanted_at; /* `up` was this, */
    uint32_t wanted_to; /* and again up to this */
    uint64_t told_by;   /* when the client is to be told; 0: nothing to tell */

    uint32_t down;       /* passed to the client */
    uint32_t down_acked; /* by the client */
    uint32_t down_told;  /* to the server */
    bool asked;          /* by the server */
    bool asking_client;  /* and it has not answered */
    uint64_t ask_by;     /* when it is to be asked, or to have answered; 0:
                            everything is acknowledged */
};

/* How long things may wait, in microseconds. */
struct sm_waits {
    uint64_t ack;    /* an acknowledgement that nobody asked for; if it is for
                        nothing that matters, it waits for `silent` */
    uint64_t silent; /* the client's, if it acknowledges by itself */
    uint64_t answer; /* its answer */
};

/* What is to be said now; all of it is taken as said. */
struct sm_turn {
    bool ask_server, tell_server, tell_client, ask_client;
    uint32_t server_h, client_h;
    bool lost;      /* the client has not answered */
    uint64_t again; /* when to look again, if nothing happens; 0: never */
};

/* The client has sent <enable/>; the server has answered; or refused. */
void sm_enable(struct sm *sm);
void sm_enabled(struct sm *sm, bool own);
void sm_failed(struct sm *sm);
/* A stream goes on: both have said what they have. */
void sm_resumed(struct sm *sm, bool own, uint32_t up, uint32_t down);

/* A stanza was passed to the server; does its sender want to know what became
 * of it? */
void sm_up(struct sm *sm, bool matters);
/* Behind sm_resumed: n had been passed before. */
void sm_early(struct sm *sm, uint32_t n);
void sm_down(struct sm *sm); /* a stanza was passed to the client */

/* <a/> of either side. False: more than there was, or less than before. *n: how
 * many it is, with those of the skew. */
bool sm_server_acks(struct sm *sm, uint32_t h);
bool sm_client_acks(struct sm *sm, uint32_t h, uint32_t *n);
/* The client's h as the server counts. */
uint32_t sm_client_count(const struct sm *sm, uint32_t h);
/* <r/> of either side. */
void sm_server_asks(struct sm *sm);
void sm_client_asks(struct sm *sm);
/* The client is to be asked at the next turn. */
void sm_hurry(struct sm *sm);
/* The client was away: before the session goes on, the server has to answer a
 * question that is asked from here on. */
void sm_doubt(struct sm *sm);
/* Whether the server has all that was passed to it, and there is no doubt. */
bool sm_settled(const struct sm *sm);
/* The client's connection is lost, or there is a new one: nobody there was
 * told or asked. */
void sm_cut(struct sm *sm);

/* At the end of an event. there: a client is connected; riding: frames go to it
 * now anyway; heard: when something came from it last. */
struct sm_turn sm_turn(struct sm *sm, const struct sm_waits *waits,
                       uint64_t now, bool there, bool riding, uint64_t heard);

#endif
