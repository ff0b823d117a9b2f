/*
 * log.h: one line per event on stderr, key=value, the session first:
 *
 *   session=7 level=info event=opened domain=im.example.net
 *
 * Never the content of a stanza, never a credential. Any thread, any lock.
 */
#ifndef BRIDGE_LOG_H
#define BRIDGE_LOG_H

#include <stdint.h>

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

extern const char *const log_level_names[]; /* ends with NULL */

void log_set_level(enum log_level level);

/* session: 0 for the program itself. Then pairs of key and value, ended by
 * NULL; a value that is NULL is left out with its key. Values are quoted and
 * cleaned where they need it: they may come from a peer. */
void log_event(enum log_level level, uint64_t session, const char *event, ...)
    __attribute__((sentinel));

#endif
