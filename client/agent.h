/*
 * agent.h: terse-agent, which lets any XMPP program use frames. It listens on
 * loopback as an XMPP server would. Towards tersed it is a phone's client on
 * the program's behalf (docs/mobile.md): a login in two round trips, counts,
 * acknowledgements, and a session that outlives its connection, of which the
 * program sees nothing. Where tersed does not offer that, or by --transparent,
 * each element passes as it is.
 *
 *   XMPP client == XML == front | agent session | back == frames == tersed
 */
#ifndef CLIENT_AGENT_H
#define CLIENT_AGENT_H

#include "bridge/bridge.h"
#include "client/agent_memory.h"

struct agent_session;

enum {
    AGENT_PROXIES = 8,
    AGENT_LOCATION = AGENT_PROXIES, /* in place of one's index: where the
                                       session is held, as tersed has told */
};

/* A tersed. */
struct agent_proxy {
    char host[256];
    uint16_t port;
};

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
    struct agent_memory *memory;
    struct agent_proxy proxies[AGENT_PROXIES];
    unsigned n_proxies;
    atomic_uint proxy;    /* that answered last */
    struct net_tls *tls;  /* NULL: clear text to tersed */
    const char *tls_name; /* what its certificate is for; NULL: the domain in
                             the client's header */
    bool follows;         /* goes where tersed says that a session is held */
    bool transparent;     /* all passes as it is */
    const char *tag;      /* in the resource's name; NULL: tersed's own */
    uint32_t connect_ms, close_ms, stall_ms;
    uint32_t gather_ms; /* what says little waits for so long for more of it */
    uint32_t ack_ms; /* an acknowledgement waits for so long for something that
                        goes anyway */
    uint32_t give_up_ms; /* without a connection, until the session is over */
    uint32_t
        box_stanzas; /* not acknowledged, when the client is read no more */
    size_t box_bytes;
    /* Silence before a ping, as learnt, and its bounds; time for the answer. */
    atomic_uint beat_ms;
    uint32_t beat_least, beat_most, pong_ms;
    /* The same of a tersed that has to acknowledge something, beside what it
     * may hold back. */
    uint32_t doubt_ms;
    /* For which tersed may hold things back from a client that nobody looks at
     * (docs/wire.md); UINT32_MAX: tersed's own bound. Said by the bridge. */
    uint32_t wait_ms;
};

/* Called by the listener: begins a session. Takes the stream. */
void agent_accept(void *agent, struct nng_stream *stream);
/* The network has changed: sessions that can come back on a new connection do
 * so at once. */
void agent_reconnect(struct agent *agent);
/* Ends all sessions with <system-shutdown/> and waits for ms. True if all are
 * gone. The listener is closed already. */
bool agent_drain(struct agent *agent, uint32_t ms);

/* ---- states
 * ------------------------------------------------------------------- */

enum agent_state {
    AGENT_GREETING,  /* the client's header is due */
    AGENT_DIALLING,  /* connects to tersed; the client is not read, what came
                        with its header is held */
    AGENT_OFFER,     /* tersed's features are due; the same */
    AGENT_LOGIN,     /* the client has features, from tersed or from memory; its
                        SASL goes to tersed as XEP-0388 */
    AGENT_RESTART,   /* logged in and bound; the client's new header is due */
    AGENT_BINDING,   /* the client's <bind/> is due */
    AGENT_UP,        /* stanzas pass and are counted */
    AGENT_LOST,      /* the same client; connects to tersed anew */
    AGENT_RETURNING, /* connected; tersed's answer is due */
    AGENT_PASSING,   /* headers and elements pass as they are, both ways */
    AGENT_LEAVING,   /* the client has closed; waits for tersed's Close */
    AGENT_OVER,      /* both legs are closed or closing */
    AGENT_STATES
};

enum agent_event {
    AGENT_RECALLED,    /* the client's header, answered from memory */
    AGENT_CONNECTED,   /* to tersed, with TLS */
    AGENT_OFFERED,     /* features of a tersed that holds sessions */
    AGENT_NOT_OFFERED, /* other features; or they are not to be looked at */
    AGENT_FROM_CLIENT, /* a header or element from the client */
    AGENT_FROM_PROXY,  /* one from tersed */
    AGENT_SUCCESS,     /* tersed's, and the client's resource is bound */
    AGENT_REOPENED,    /* the client's new header was answered */
    AGENT_BOUND,       /* its <bind/> was */
    AGENT_LINK_LOST,   /* the connection to tersed; the session is held */
    AGENT_LINKED,      /* there is a new one, and all is said on it */
    AGENT_RESUMED,     /* the session goes on */
    AGENT_CLOSE,       /* the client's footer, or it is gone */
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
