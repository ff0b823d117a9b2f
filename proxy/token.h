/*
 * token.h: a token to come back with (XEP-0484, HT-SHA-256-NONE). It is random
 * and good for one time; what is kept of it does not suffice to use it. No I/O,
 * no clock.
 */
#ifndef PROXY_TOKEN_H
#define PROXY_TOKEN_H

#include <stdbool.h>
#include <stdint.h>

enum { TOKEN_TEXT = 33, TOKEN_HASH = 32 };

struct token {
    bool valid;
    uint64_t until;             /* of the caller's clock */
    uint8_t proof[TOKEN_HASH];  /* hash of what its owner will say */
    uint8_t answer[TOKEN_HASH]; /* what is said to that */
    uint8_t user[TOKEN_HASH], agent[TOKEN_HASH]; /* hashes of whose it is */
};

/* A new one, for that user on that device. False: there is no randomness. */
bool token_make(struct token *token, char text[TOKEN_TEXT], const char *user,
                const char *agent, uint64_t until);
/* Whether that user, on that device, has shown that it has the token. The
 * caller forgets the token then, before it does anything else. */
bool token_check(const struct token *token, const char *user, const char *agent,
                 const uint8_t proof[TOKEN_HASH], uint64_t now);
void token_forget(struct token *token);

#endif
