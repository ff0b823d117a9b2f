/* log.c: see log.h. */
#include "bridge/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { LOG_LINE = 1024 };

const char *const log_level_names[] = {"error", "warn", "info", "debug", NULL};

static atomic_int max_level = LOG_INFO;

void log_set_level(enum log_level level) {
    atomic_store(&max_level, (int)level);
}

static bool needs_quotes(const char *s) {
    if (!*s)
        return true;
    for (; *s; s++)
        if ((unsigned char)*s <= ' ' || *s == '"' || *s == '=' || *s == 0x7f)
            return true;
    return false;
}

static size_t put_value(char *line, size_t at, const char *s) {
    bool quote = needs_quotes(s);

    if (quote && at < LOG_LINE - 2)
        line[at++] = '"';
    for (; *s && at < LOG_LINE - 3; s++) {
        char c = *s;

        if ((unsigned char)c < ' ' || c == 0x7f)
            c = '?'; /* no forged lines, no terminal escapes */
        else if (c == '"')
            c = '\'';
        line[at++] = c;
    }
    if (quote && at < LOG_LINE - 2)
        line[at++] = '"';
    return at;
}

void log_event(enum log_level level, uint64_t session, const char *event, ...) {
    char line[LOG_LINE];
    const char *key;
    size_t at;
    va_list ap;

    if ((int)level > atomic_load(&max_level))
        return;
    at = (size_t)snprintf(line, sizeof(line), "session=%llu level=%s event=%s",
                          (unsigned long long)session, log_level_names[level],
                          event);
    va_start(ap, event);
    while ((key = va_arg(ap, const char *)) != NULL) {
        const char *value = va_arg(ap, const char *);
        size_t n = strlen(key);

        if (!value || at + n + 4 >= LOG_LINE)
            continue;
        line[at++] = ' ';
        memcpy(line + at, key, n);
        at += n;
        line[at++] = '=';
        at = put_value(line, at, value);
    }
    va_end(ap);
    line[at++] = '\n';
    /* One write per line, so that lines of several threads do not mix. */
    if (write(STDERR_FILENO, line, at) < 0)
        return;
}
