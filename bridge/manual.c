/* manual.c: see manual.h. */
#include "bridge/manual.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

static size_t indent_of(const char *line) { return strspn(line, " "); }

static size_t length_of(const char *line) { return strcspn(line, "\n"); }

static const char *after(const char *line) {
    size_t n = length_of(line);

    return line[n] ? line + n + 1 : line + n;
}

/* A row of a table: two spaces between words. */
static bool is_row(const char *line) {
    size_t n = length_of(line);

    for (size_t i = indent_of(line); i + 2 < n; i++)
        if (line[i] == ' ' && line[i + 1] == ' ')
            return true;
    return false;
}

static bool is_term(const char *line) {
    const char *next = after(line);

    return indent_of(line) == 2 && *next && indent_of(next) == 6;
}

/* A character of UTF-8 beyond ASCII, by its number. Returns its bytes. */
static size_t put_character(FILE *out, const char *p) {
    unsigned char c = (unsigned char)*p;
    unsigned long code = c & (c < 0xe0 ? 0x1f : c < 0xf0 ? 0x0f : 0x07);
    size_t n = 1;

    for (; (p[n] & 0xc0) == 0x80; n++)
        code = code << 6 | (p[n] & 0x3f);
    fprintf(out, "\\[u%04lX]", code);
    return n;
}

/* One line of text; a dot in front would be a command. */
static void put(FILE *out, const char *p, size_t n) {
    if (n && (*p == '.' || *p == '\''))
        fputs("\\&", out);
    for (size_t i = 0; i < n; i++)
        if (p[i] & 0x80)
            i += put_character(out, p + i) - 1;
        else if (p[i] == '\\')
            fputs("\\e", out);
        else if (p[i] == '-')
            fputs("\\-", out);
        else
            fputc(p[i], out);
    fputc('\n', out);
}

static void put_rest(FILE *out, const char *line) {
    size_t indent = indent_of(line);

    put(out, line + indent, length_of(line) - indent);
}

/* Lines that stay as they are, up to an empty one. Returns what follows. */
static const char *put_table(FILE *out, const char *line) {
    fputs(".nf\n", out);
    for (; *line && *line != '\n' && indent_of(line) > 0; line = after(line))
        put(out, line + 2, length_of(line) - 2);
    fputs(".fi\n", out);
    return line;
}

static const char *put_line(FILE *out, const char *line) {
    if (*line == '\n') {
        fputs(".PP\n", out);
    } else if (indent_of(line) == 0) {
        fprintf(out, ".SH %.*s\n", (int)length_of(line), line);
    } else if (is_term(line)) {
        fputs(".TP\n.B ", out);
        put_rest(out, line);
    } else if (is_row(line)) {
        return put_table(out, line);
    } else {
        put_rest(out, line);
    }
    return after(line);
}

void manual_print(FILE *out, const char *name, int section, const char *version,
                  const char *help) {
    fputs(".TH ", out);
    for (const char *p = name; *p; p++)
        fputc(toupper((unsigned char)*p), out);
    fprintf(out, " %d \"\" \"Terse %s\" \"Terse\"\n", section, version);
    while (*help)
        help = put_line(out, help);
}
