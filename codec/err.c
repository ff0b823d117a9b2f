/* err.c: errors, and the stream conditions that tell a peer about them. */
#include "err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const struct terse_limits terse_limits_default = {
    .stanza_bytes = 1024 * 1024,
    .frame_bytes = 1024 * 1024,
    .elements = 20000,
    .attributes = 128,
    .depth = 64,
    .text_bytes = 1024 * 1024,
    .name_bytes = 1024,
};

/* RFC 6120 section 4.9.3 */
const char *terse_err_condition(enum terse_err err) {
    switch (err) {
    case TERSE_EXML:
        return "not-well-formed";
    case TERSE_ERESTRICTED:
        return "restricted-xml";
    case TERSE_ENAMESPACE:
        return "bad-namespace-prefix";
    case TERSE_EENCODING:
        return "unsupported-encoding";
    case TERSE_ESTREAM:
        return "bad-format";
    case TERSE_EFRAME:
        return "bad-format";
    case TERSE_ELIMIT:
        return "policy-violation";
    case TERSE_ENOMEM:
        return "resource-constraint";
    case TERSE_OK:
        break;
    }
    return "undefined-condition";
}

enum terse_err err_set(struct terse_error *error, enum terse_err code,
                       size_t offset, const char *fmt, ...) {
    if (!error || error->code != TERSE_OK)
        return code;
    error->code = code;
    error->offset = offset;
    error->path[0] = '\0';
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(error->text, sizeof(error->text), fmt, ap);
    va_end(ap);
    return code;
}

void err_path(struct terse_error *error, struct terse_str name) {
    if (!error || error->code == TERSE_OK)
        return;
    size_t have = strlen(error->path);
    size_t sep = have > 0 ? 1 : 0;
    if (name.n + sep + have >= sizeof(error->path))
        return;
    memmove(error->path + name.n + sep, error->path, have + 1);
    memcpy(error->path, name.p, name.n);
    if (sep)
        error->path[name.n] = '/';
}
