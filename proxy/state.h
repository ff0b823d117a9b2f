/*
 * state.h: the states of a session of tersed, and the only way from one to
 * another. No I/O: state_next is a look-up in a table.
 */
#ifndef PROXY_STATE_H
#define PROXY_STATE_H

#include <stdbool.h>

enum state {
    STATE_GREETING, /* waits for the client's first header */
    STATE_DIALLING, /* looks for the server and connects */
    STATE_PROBING,  /* our own header is sent; waits for the features */
    STATE_ASKING,   /* <starttls/> is sent; waits for <proceed/> */
    STATE_SECURING, /* TLS handshake with the server */
    STATE_LOGIN,    /* the client's header is sent; elements pass */
    STATE_BINDING,  /* SASL is done; the rest of the login is done here */
    STATE_RESTART,  /* SASL is done; waits for the client's new header */
    STATE_UP,       /* logged in; elements pass */
    STATE_RESUMING, /* the client is back; the server still has to say what it
                       has */
    STATE_HELD,     /* logged in, and the client's connection is lost */
    STATE_LEAVING,  /* the client has closed; waits for the server's footer */
    STATE_OVER,     /* both legs are closed or closing */
    STATE_COUNT
};

enum event {
    EVENT_CLIENT_OPEN,      /* a stream header from the client */
    EVENT_CLIENT_ELEMENT,   /* an element from the client */
    EVENT_CLIENT_CLOSE,     /* the footer from the client */
    EVENT_CONNECTED,        /* TCP to the server, which may offer STARTTLS */
    EVENT_CONNECTED_OFF,    /* TCP to the server, with starttls = off */
    EVENT_CONNECTED_DIRECT, /* TCP to the server, with TLS at once */
    EVENT_SERVER_OPEN,      /* a stream header from the server */
    EVENT_SERVER_ELEMENT,   /* any other element from the server */
    EVENT_OFFER,            /* its features offer STARTTLS */
    EVENT_NO_OFFER,         /* they do not, and need not */
    EVENT_PROCEED,          /* <proceed/> */
    EVENT_SECURED,          /* the handshake is done, the certificate good */
    EVENT_SUCCESS,          /* SASL <success/>: the stream starts anew */
    EVENT_SUCCESS2,         /* XEP-0388 <success/>: it goes on */
    EVENT_PROVED,       /* SASL <success/>, and the client speaks XEP-0388 */
    EVENT_BOUND,        /* the login that we did for it is complete */
    EVENT_CLIENT_LOST,  /* the client's connection; its session is kept */
    EVENT_CLIENT_BACK,  /* the client has a new connection */
    EVENT_SETTLED,      /* the server has all that the client sent */
    EVENT_SERVER_ERROR, /* a stream error from the server */
    EVENT_SERVER_CLOSE, /* the footer from the server */
    EVENT_END,          /* whatever it was, it is over */
    EVENT_COUNT
};

extern const char *const state_names[STATE_COUNT];
extern const char *const event_names[EVENT_COUNT];

/* False if that event must not happen in that state: a protocol error. */
bool state_next(enum state state, enum event event, enum state *next);

#endif
