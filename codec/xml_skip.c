/* xml_skip.c: see xml_skip.h. */
#include "xml_skip.h"

void xml_skip_begin(struct xml_skip *skip, uint32_t open) {
    *skip = (struct xml_skip){.depth = open, .at = SKIP_TAG};
}

static void in_tag(struct xml_skip *s, char c) {
    if (c == '>') {
        s->depth += s->slash ? 0 : 1;
        s->at = SKIP_TEXT;
    } else if (c == '"') {
        s->at = SKIP_QUOT;
    } else if (c == '\'') {
        s->at = SKIP_APOS;
    }
    s->slash = c == '/';
}

static enum terse_err behind_less(struct xml_skip *s, char c) {
    s->slash = false;
    s->at = c == '/' ? SKIP_END : c == '!' ? SKIP_BANG : SKIP_TAG;
    return c == '?' ? TERSE_ERESTRICTED : TERSE_OK;
}

static void in_cdata(struct xml_skip *s, char c) {
    if (c == '>' && s->brackets == 2)
        s->at = SKIP_TEXT;
    if (c != ']')
        s->brackets = 0;
    else if (s->brackets < 2)
        s->brackets++;
}

/* One byte. */
static enum terse_err step(struct xml_skip *s, char c) {
    switch (s->at) {
    case SKIP_TEXT:
        if (c == '<')
            s->at = SKIP_LESS;
        break;
    case SKIP_LESS:
        return behind_less(s, c);
    case SKIP_TAG:
        in_tag(s, c);
        break;
    case SKIP_END:
        if (c == '>') {
            s->depth--;
            s->at = SKIP_TEXT;
        }
        break;
    case SKIP_QUOT:
    case SKIP_APOS:
        if (c == (s->at == SKIP_QUOT ? '"' : '\''))
            s->at = SKIP_TAG;
        break;
    case SKIP_BANG: /* CDATA, or a comment */
        s->at = SKIP_CDATA;
        s->brackets = 0;
        return c == '[' ? TERSE_OK : TERSE_ERESTRICTED;
    case SKIP_CDATA:
        in_cdata(s, c);
        break;
    }
    return TERSE_OK;
}

enum terse_err xml_skip(struct xml_skip *s, const char *p, size_t n,
                        size_t *used, bool *done) {
    enum terse_err err = TERSE_OK;
    size_t i = 0;
    *done = false;
    while (i < n && err == TERSE_OK && !*done) {
        err = step(s, p[i++]);
        *done = s->at == SKIP_TEXT && s->depth == 0;
    }
    *used = i;
    return err;
}
