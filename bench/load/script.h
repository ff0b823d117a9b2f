/*
 * script.h: what a client sends, made once and sent by many connections: the
 * steps of a login, then one message after the other, as XML or as frames. So
 * the work of a client costs next to nothing while something else is measured.
 */
#ifndef BENCH_SCRIPT_H
#define BENCH_SCRIPT_H

#include "codec/terse.h"

enum wire {
    WIRE_XML,
    WIRE_FRAMES, /* native framing; each frame alone */
    WIRE_STATE,  /* with state, as the clients do it */
};

/* What a client does after it is bound. */
enum then { THEN_NOTHING, THEN_ONLINE, THEN_NO_ARCHIVE };

enum { SCRIPT_STEPS = 5 };

struct script {
    enum wire wire;
    enum then then;
    unsigned user, to;
    struct terse_buf steps[SCRIPT_STEPS]; /* what is sent in each */
    unsigned n_steps;
    struct terse_buf bytes; /* of all messages so far */
    size_t *ends;           /* of each message in bytes */
    size_t n, cap;

    const struct terse_schema *schema;
    struct terse_reader *reader;
    struct terse_peer *peer;
    bool heard; /* the server's bounds are known, or there are none */
    struct terse_work work;
    struct terse_buf frame, wired, xml;
    struct terse_buf *out; /* where frames go */
};

/* schema is borrowed. The program ends where something does not work. */
void script_init(struct script *script, const struct terse_schema *schema,
                 enum wire wire, enum then then, unsigned user, unsigned to);
void script_fini(struct script *script);
unsigned script_steps(const struct script *script);
/* How many top-level elements, the header included, answer a step. */
unsigned script_answers(const struct script *script, unsigned step);
/* The end of the XML that answers a step. */
const char *script_answer_end(const struct script *script, unsigned step);
/* The first frame of the server, for what it says of state: before step 1. */
void script_hear(struct script *script, const void *frame, size_t n);
/* What is sent in a step; the steps are asked for in their order. */
const struct terse_buf *script_step(struct script *script, unsigned step);
/* Where in script->bytes the message after the first n ends. */
size_t script_end(struct script *script, size_t n);

#endif
