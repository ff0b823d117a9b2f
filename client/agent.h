/*
 * agent.h: terse-agent, which lets any XMPP program use frames. It listens on
 * loopback as an XMPP server would; each client's stream goes over frames to a
 * tersed, element by element.
 *
 *   XMPP client == XML == front | agent session | back == frames == tersed
 */
#ifndef CLIENT_AGENT_H
#define CLIENT_AGENT_H

#include "bridge/bridge.h"

struct agent_session;

/* What the sessions share. lock guards the list and draining; it is never held
 * together with a session's lock. */
struct agent {
    pthread_mutex_t lock;
    pthread_cond_t left; /* a session has gone */
    struct agent_session *sessions;
    size_t n_alive;
    bool draining;
    uint64_t next_id;
    struct bridge bridge;
    struct terse_schema *schema;
    struct net_resolver *resolver;
    struct net_listener *listener;
    char host[256]; /* of tersed */
    uint16_t port;
    struct net_tls *tls;  /* NULL: clear text to tersed */
    const char *tls_name; /* what its certificate is for; NULL: the domain in
                             the client's header */
    uint32_t connect_ms, close_ms, stall_ms;
    /* Silence before a ping, as learnt, and its bounds; time for the answer. */
    atomic_uint beat_ms;
    uint32_t beat_least, beat_most, pong_ms;
};

/* Called by the listener: begins a session. Takes the stream. */
void agent_accept(void *agent, struct nng_stream *stream);
/* Ends all sessions with <system-shutdown/> and waits for ms. True if all are
 * gone. The listener is closed already. */
bool agent_drain(struct agent *agent, uint32_t ms);

/* ---- states
 * ------------------------------------------------------------------- */

enum agent_state {
    AGENT_GREETING, /* the client's header is due */
    AGENT_DIALLING, /* connects to tersed; the client is not read, what came
                       with its header is held */
    AGENT_PASSING,  /* headers and elements pass, both ways */
    AGENT_LEAVING,  /* the client has closed; waits for tersed's Close */
    AGENT_OVER,     /* both legs are closed or closing */
    AGENT_STATES
};

enum agent_event {
    AGENT_CONNECTED,   /* to tersed, with TLS */
    AGENT_FROM_CLIENT, /* a header or element from the client */
    AGENT_FROM_PROXY,  /* one from tersed */
    AGENT_CLOSE,       /* the client's footer */
    AGENT_CLOSED,      /* a Close from tersed */
    AGENT_END,         /* whatever it was, it is over */
    AGENT_EVENTS
};

extern const char *const agent_state_names[AGENT_STATES];
extern const char *const agent_event_names[AGENT_EVENTS];

/* False if that event must not happen in that state. */
bool agent_next(enum agent_state state, enum agent_event event,
                enum agent_state *next);

#endif
