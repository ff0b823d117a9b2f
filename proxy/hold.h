/*
 * hold.h: sessions that outlive their client's connection, and how a client
 * comes back to one. With the session's lock.
 *
 * Who comes back begins as a session of its own. When it has proved who it is,
 * its connection moves to the session that was held, and it ends. Both locks
 * are held for that: first that of the one that comes, which no one can come
 * back to yet, then that of the one that was held.
 */
#ifndef PROXY_HOLD_H
#define PROXY_HOLD_H

#include "codec/terse.h"

struct session;

/* The client was told by which id to come back: from now on it may. */
void hold_begin(struct session *s);
/* A token to come back with, into <success/>. */
TERSE_NODISCARD enum terse_err hold_put_token(struct session *s,
                                              struct terse_buf *xml);
/* The client is lost: true if its session is kept. */
bool hold_lost(struct session *s);
/* The time is over. */
void hold_release(struct session *s);
/* From a timer: to the session that the client means, if it is here. */
void hold_jump(struct session *s);
/* The client has come back, and the server has all that it had sent: tells it.
 */
void hold_answer(struct session *s);
/* No one comes back to it. */
void hold_end(struct session *s);

#endif
