/* framer.h: what conn.c has to know of framing, to end it. */
#ifndef NET_FRAMER_H
#define NET_FRAMER_H

#include "net/net.h"

/* Whether this framing has a close of its own, that the peer answers. If so,
 * nothing else is looked for from here on. */
bool framer_ends(struct net_framer *framer);
/* After that, reads n bytes more; true: the peer's close has come, or never
 * will. */
bool framer_ended(struct net_framer *framer, const uint8_t *p, size_t n);

#endif
