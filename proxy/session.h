/*
 * session.h: one client of tersed and its stream to the XMPP server. All of it
 * is guarded by owner.lock, but for what server_admit sets and the list.
 *
 *   client == frames == front | session | back == XML == server
 *
 * session.c has its life and the front, upstream.c the back.
 */
#ifndef PROXY_SESSION_H
#define PROXY_SESSION_H

#include "proxy/queue.h"
#include "proxy/server.h"
#include "proxy/sm.h"

struct session {
    struct net_owner owner; /* first */
    struct server *server;
    struct session *next, **prev; /* in server's list; server.lock */
    bool listed;                  /* server.lock */
    bool counted;                 /* server.lock; its address is */
    uint64_t id;
    struct config *config; /* held */
    char peer[48];
    uint16_t port;

    struct bridge bridge;
    enum state state;
    struct frame_leg front;
    struct xml_leg back;
    struct net_dial *dial;
    struct net_timer *clock;      /* until logged in; then heartbeats */
    struct net_timer *step;       /* for the state, or for a full queue */
    struct net_timer *pace;       /* while slowed; NULL if it never was */
    struct net_timer *pulse;      /* for a server that is silent */
    struct config_domain *domain; /* of config */
    const char *asked;            /* the domain that the client named, or "" */
    char *named;                  /* owned: asked, if it is not domain->name */
    struct terse_buf open;        /* the client's header, for after TLS */
    struct terse_buf held; /* the server's, until the client may see it */
    uint64_t login_bytes;  /* from the client, before login */
    uint64_t login_frames; /* the same, unpacked */
    bool logged_in;
    bool refused;                   /* the server has refused a login */
    bool handshaking;               /* no binding is known yet */
    bool direct;                    /* TLS to the server from the first byte */
    bool slowed;                    /* over its rate: pace will wake it */
    bool client_left;               /* the client has sent its footer */
    bool footed;                    /* the server has had our footer */
    bool server_error;              /* a stream error of the server passed */
    bool pulse_asked;               /* the server was, since it is silent */
    bool watching;                  /* step watches a full queue: */
    size_t watch_front, watch_back; /* what was in them then */
    struct bucket stanzas, bytes;   /* what the client may send now */
    uint64_t flooding;              /* since when it is over; 0: it is not */
    uint64_t began, heard;          /* microseconds; heard: of the client */
    uint64_t back_heard;            /* of the server */
    uint64_t dial_until;
    uint64_t front_sent, back_sent; /* of the legs, as counted */
    uint64_t frames_in, frames_out;
    struct sm sm;
    struct queue queue;     /* towards the client */
    struct net_timer *soon; /* for what may wait; NULL: nothing does */
    uint64_t soon_at;
    uint64_t flush_by;      /* when what waits in the queue has to go */
    uint64_t gather_by;     /* when what was written has to go; 0: now */
    bool urgent;            /* some of it does not wait */
    bool resuming;          /* the client has asked the server for that, */
    uint32_t resume_h;      /* and has so many stanzas */
    struct login *login;    /* by XEP-0388, under way; NULL: none */
    struct mobile *mobile;  /* its client may come back; NULL: it may not */
    struct terse_buf early; /* a frame that came before its time */
    uint32_t revision;      /* of the schemas, for what is kept */
    bool featured;          /* the features before login were passed on */
    bool standing_in;       /* what passes now stands in for a stanza */
    bool offered;           /* with XEP-0388, which the server knows not */
    bool classic;           /* the client has logged in without, or tried */
    bool own;               /* and the login was such a one */
    bool dial_due;
    bool server_csi;       /* the server knows XEP-0352 */
    bool inactive;         /* the client has said that it is */
    bool told_inactive;    /* and so has the server been told */
    atomic_size_t charged; /* what it holds, as counted for the budget */
};

/* Called by listeners, on any thread: begins a session. Takes the stream. */
void session_accept(void *server, struct net_stream *stream);
/* Ends it with <system-shutdown/>. With its lock. */
void session_drain(struct session *s);
/* Ends it since it holds most when memory is short. With its lock. */
void session_shed(struct session *s);

/* ---- between session.c and upstream.c; with the lock ------------------------
 */

/* The one way to change state: moves, traces, counts. False (and the session
 * ended with a stream error) if the event is out of place. */
NET_NODISCARD bool session_move(struct session *s, enum event event);
/* Ends it with a stream error to the client, and a footer to the server unless
 * the client could resume its stream there. */
void session_fail(struct session *s, const char *condition, const char *text);
/* The same, with a condition of its own beside (XML). */
void session_fail_more(struct session *s, const char *condition,
                       const char *text, const char *more);
void session_fail_error(struct session *s, const struct terse_error *error,
                        const char *side);
/* The same for a limit of the configuration, which is counted; the text begins
 * with the option's name. */
void session_over(struct session *s, enum limit limit, const char *condition,
                  const char *text);
/* Ends it in good order: a footer to each side. */
void session_close(struct session *s);
/* Ends it without a word to the server, so that its side can be resumed. */
void session_lose(struct session *s, const char *why);
/* Closes the client's connection, for a new one. */
void session_detach(struct session *s);
/* Gives the client of `from` to s; false: it cannot be. With both locks. */
NET_NODISCARD bool session_attach(struct session *s, struct session *from);
/* The end of one whose client was given away. */
void session_moved(struct session *s);
/* Ends it without a word to either side. */
void session_drop(struct session *s, const char *why);
/* Takes what frames are there, sets who is read, sends what is queued. At the
 * end of each event. */
void session_go_on(struct session *s);

/* Begins to look for the server. */
void upstream_dial(struct session *s);
/* Sends the client's header (session.open). */
void upstream_header(struct session *s);

#endif
