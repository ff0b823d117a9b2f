/*
 * refusal.h: what stands in for a stanza of the server's that cannot pass. If
 * it ended the session, whoever sent it could keep its receiver from ever being
 * logged in, since the server would send it again. An error takes its place, so
 * that client and server count the same. With the session's lock.
 */
#ifndef PROXY_REFUSAL_H
#define PROXY_REFUSAL_H

#include "codec/terse.h"

struct session;

/* node: as for TERSE_REFUSED, or a whole stanza for which there is no frame;
 * error says why. False: it is no stanza, and nothing stands in for it. Else
 * *err is TERSE_OK, or the session has failed. */
TERSE_NODISCARD bool refusal_pass(struct session *s,
                                  const struct terse_node *node,
                                  const struct terse_error *error,
                                  enum terse_err *err);

#endif
