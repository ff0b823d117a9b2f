/*
 * held.h: which session a client means that comes back, by its domain and the
 * id that it was given (XEP-0198). Has a lock of its own, which is the last one
 * taken.
 */
#ifndef PROXY_HELD_H
#define PROXY_HELD_H

#include "net/net.h"

struct held;

struct held *held_new(void); /* NULL for lack of memory */
void held_free(struct held *held);
/* Enters a session, an owner, in place of one that had that id before; the id
 * is borrowed until it is dropped. False: no memory. */
bool held_put(struct held *held, const char *id, struct net_owner *owner);
/* Before the session, or the id, goes. */
void held_drop(struct held *held, const char *id,
               const struct net_owner *owner);
/* The session, held for the caller; NULL: none. */
struct net_owner *held_find(struct held *held, const char *id);

#endif
