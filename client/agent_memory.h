/*
 * agent_memory.h: what the agent remembers from one login to the next: the
 * features that each domain offers before login, so that a login needs no round
 * trip for them, and who this device is. In memory, and in a file if there is
 * one. Never a credential.
 *
 * Any thread. Its lock is taken with a session's lock held or without, and no
 * other is taken inside.
 */
#ifndef CLIENT_AGENT_MEMORY_H
#define CLIENT_AGENT_MEMORY_H

#include "codec/terse.h"

struct agent_memory;

enum {
    MEMORY_DOMAINS = 16,     /* remembered at most: the latest */
    MEMORY_FEATURES = 16384, /* bytes of one domain's features */
    MEMORY_DEVICE = 40,      /* a device's id, with its end */
};

/* path: of the file; NULL: none. It need not exist; what is wrong in it is as
 * good as not there. NULL for lack of memory, or if there is no randomness. */
struct agent_memory *memory_new(const char *path);
void memory_free(struct agent_memory *memory); /* NULL is fine */

/* Appends the features of a domain, as XML. False: they are not known. */
bool memory_recall(struct agent_memory *memory, const char *domain,
                   struct terse_buf *xml);
void memory_learn(struct agent_memory *memory, const char *domain,
                  const char *xml, size_t n);
void memory_forget(struct agent_memory *memory, const char *domain);

/* The id of the device (XEP-0388's user-agent) that a login as that account is
 * from. tersed makes the resource of it, so it is the same again and again, but
 * of two logins at a time each gets its own. False: no memory. Give it back
 * with the slot. */
bool memory_take_device(struct agent_memory *memory, const char *account,
                        char id[MEMORY_DEVICE], unsigned *slot);
void memory_give_device(struct agent_memory *memory, const char *account,
                        unsigned slot);

#endif
