/* client_sasl.c: SASL (RFC 4422) by libgsasl. */
#include "client/client.h"

#include <stdlib.h>
#include <string.h>

#include <gsasl.h>

/* A server that asks for more would hold up this thread for seconds. */
enum { SCRAM_ITERATIONS_MAX = 1000000 };

const char *const client_mechanisms[] = {"SCRAM-SHA-512", "SCRAM-SHA-256",
                                         "SCRAM-SHA-1", "PLAIN", NULL};

void client_wipe_free(char *secret) {
    if (secret)
        explicit_bzero(secret, strlen(secret));
    free(secret);
}

bool client_sasl_supports(struct client_sasl *sasl, const char *mechanism) {
    if (!sasl->ctx && gsasl_init(&sasl->ctx) != GSASL_OK) {
        sasl->ctx = NULL;
        return false;
    }
    return gsasl_client_support_p(sasl->ctx, mechanism);
}

static enum terse_client_err err_of(int rv) {
    return rv == GSASL_MALLOC_ERROR ? TERSE_CLIENT_ENOMEM : TERSE_CLIENT_EAUTH;
}

/* One step. gsasl's output is its own malloc's, as ours is. */
static enum terse_client_err step(struct client_sasl *sasl, const char *in,
                                  char **out) {
    int rv = gsasl_step64(sasl->session, in, out);

    if (rv != GSASL_OK && rv != GSASL_NEEDS_MORE) {
        *out = NULL;
        return err_of(rv);
    }
    sasl->done = rv == GSASL_OK;
    return *out ? TERSE_CLIENT_OK : TERSE_CLIENT_ENOMEM;
}

enum terse_client_err client_sasl_begin(struct client_sasl *sasl,
                                        const char *mechanism, const char *user,
                                        const char *password, char **out) {
    int rv;

    *out = NULL;
    if (!client_sasl_supports(sasl, mechanism))
        return TERSE_CLIENT_EMECH;
    rv = gsasl_client_start(sasl->ctx, mechanism, &sasl->session);
    if (rv != GSASL_OK) {
        sasl->session = NULL;
        return err_of(rv);
    }
    rv = gsasl_property_set(sasl->session, GSASL_AUTHID, user);
    if (rv == GSASL_OK)
        rv = gsasl_property_set(sasl->session, GSASL_PASSWORD, password);
    if (rv != GSASL_OK)
        return err_of(rv);
    sasl->mechanism = mechanism;
    return step(sasl, NULL, out);
}

/* The iteration count in a SCRAM server's first message (RFC 5802 section 5.1),
 * or 0 if this is none. */
static unsigned long iterations(const char *in) {
    char *text = NULL;
    size_t n = 0;
    unsigned long count = 0;

    if (gsasl_base64_from(in, strlen(in), &text, &n) != GSASL_OK)
        return 0;
    for (size_t i = 0; i + 2 < n; i++)
        if (text[i] == ',' && text[i + 1] == 'i' && text[i + 2] == '=') {
            for (i += 3; i < n && text[i] >= '0' && text[i] <= '9'; i++)
                count = count > SCRAM_ITERATIONS_MAX
                            ? count
                            : count * 10 + (unsigned long)(text[i] - '0');
            break;
        }
    gsasl_free(text);
    return count;
}

enum terse_client_err client_sasl_step(struct client_sasl *sasl, const char *in,
                                       char **out) {
    *out = NULL;
    if (strcmp(in, "=") == 0)
        in = "";
    if (sasl->done) {
        /* E.g. success after PLAIN. More data would be unasked for. */
        *out = in[0] ? NULL : strdup("");
        return in[0]  ? TERSE_CLIENT_EAUTH
               : *out ? TERSE_CLIENT_OK
                      : TERSE_CLIENT_ENOMEM;
    }
    if (iterations(in) > SCRAM_ITERATIONS_MAX)
        return TERSE_CLIENT_EAUTH;
    return step(sasl, in, out);
}

void client_sasl_fini(struct client_sasl *sasl) {
    if (sasl->session) {
        /* gsasl frees its copy as it is; the memory is its, and writable. */
        char *copy = (char *)(uintptr_t)gsasl_property_fast(sasl->session,
                                                            GSASL_PASSWORD);

        if (copy)
            explicit_bzero(copy, strlen(copy));
        gsasl_finish(sasl->session);
    }
    if (sasl->ctx)
        gsasl_done(sasl->ctx);
    memset(sasl, 0, sizeof(*sasl));
}
