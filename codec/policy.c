/* policy.c: see policy.h. */
#include "policy.h"

#include <string.h>

#include "parts.h"
#include "shelf.h"

enum {
    SHARES = 5,
    TEMPLATE_SHARES = 4, /* of the budget are for templates */
    WORTH = 12,          /* bytes: shorter stanzas are not kept */
    LIST_FROM = 600,     /* bytes of a long stanza */
    DEFLATE_FROM = 200,  /* bytes: smaller frames are not deflated */
    GOOD_ENOUGH = 5,     /* a patch of this part of the stanza is taken */
    STALE = 200,         /* stanzas: a template unused for so long goes first */
};

/* ---- the journals -------------------------------------------------------- */

struct search {
    const struct journal *journal;
    struct entry *entry;
};

static bool find_entry(void *arg, const struct wire_field *value) {
    const struct search *search = arg;
    return journal_find(search->journal, value, search->entry);
}

/* What the stanza is about, and whether it enters the journal itself. */
static void choose_entry(struct state *s, struct plan *p) {
    if (s->other && s->other->journal.len > 0 && p->bare.p &&
        template_can_blank(p->type, p->content)) {
        struct search search = {&s->other->journal, &p->entry};
        p->has_entry =
            template_each_value(p->type, p->bare, find_entry, &search);
    }
    template_names(p->type, p->content, &p->id, &p->addr);
    /* A receipt or a result is not answered; a message that people wrote is. */
    p->enters = s->journal_max > 0 && journal_takes(&p->id) &&
                (!p->has_entry || (p->number == FRAME_MESSAGE && p->guarded));
}

void policy_begin(struct state *s, struct plan *p) {
    p->guarded =
        p->bare.p ? p->outline.guarded : template_guarded(p->type, p->content);
    p->list = p->bare.n >= LIST_FROM && !p->guarded;
    p->template = -1;
    p->heard = policy_heard(s);
    choose_entry(s, p);
}

/* It is, while not too many wait to be heard of. */
bool policy_entering(const struct state *s, const struct plan *p) {
    return journal_has_room(&s->journal, &p->id, p->addr,
                            s->journal.on ? s->journal_max
                                          : s->journal_max / 2 + 1);
}

/* When they are half of what may wait for it. */
uint32_t policy_heard(struct state *s) {
    if (!s->other)
        return 0;
    struct journal *j = &s->other->journal;
    uint32_t more = j->end - j->heard;
    if (more < s->other->journal_max / 2)
        return 0;
    journal_hear(j, j->end);
    return more;
}

/* ---- templates ----------------------------------------------------------- */

/* Whether template i may take n bytes, with what is left to strings and to
 * other templates. */
static bool may_hold(const struct state *s, uint64_t i, size_t n) {
    size_t share = s->budget.max / SHARES * TEMPLATE_SHARES;
    return shelf_has_room(s, i, n) && n <= share / 2 &&
           s->template_bytes - shelf_cost(s, i) + TEMPLATE_COST + n <= share;
}

/* The templates of this shape, or of others, that can take the stanza; those
 * used last come first. */
static unsigned candidates(const struct state *s, const struct plan *p,
                           bool same, uint8_t out[TEMPLATES_MAX]) {
    unsigned n = 0;
    for (uint32_t i = 0; i < s->have_templates; i++) {
        const struct template *t = &s->templates[i];
        unsigned at = n;
        if (!t->p || t->number != p->number ||
            (t->shape == p->outline.shape) != same ||
            !may_hold(s, i, p->bare.n))
            continue;
        for (; at > 0 && s->templates[out[at - 1]].used < t->used; at--)
            out[at] = out[at - 1];
        out[at] = (uint8_t)i;
        n++;
    }
    return n;
}

static void swap(struct terse_buf *x, struct terse_buf *y) {
    struct terse_buf was = *x;
    *x = *y;
    *y = was;
}

/* Looks among them for one with a patch that is smaller than *size. It is the
 * stripped content that counts, so that no text has a say in this. */
static enum terse_err look_at(struct state *s, const struct plan *p,
                              const uint8_t *in, unsigned n,
                              struct terse_work *work, size_t *size,
                              int *best) {
    size_t enough = p->bare.n / GOOD_ENOUGH;
    for (unsigned i = 0; i<n && * size> enough; i++) {
        const struct template *t = &s->templates[in[i]];
        struct terse_str whole;
        bool fits;
        size_t bare;
        enum terse_err err = shelf_get(s, t, &work->e, &whole);
        if (err != TERSE_OK)
            return err;
        struct template_links links = shelf_links(t, whole, plan_entry(p));
        terse_buf_reset(&work->b);
        err = template_diff(p->type, whole, p->content, &links, &work->b, &fits,
                            &bare);
        if (err != TERSE_OK)
            return err;
        if (!fits || bare + 2 >= *size)
            continue;
        *size = bare;
        *best = in[i];
        swap(&work->a, &work->b);
    }
    return TERSE_OK;
}

/* That of the smallest patch, if it is smaller than the stanza. One of the same
 * shape is rarely surpassed. */
enum terse_err policy_template(struct state *s, const struct plan *p,
                               struct terse_work *work, int *best) {
    uint8_t in[TEMPLATES_MAX];
    size_t size = p->bare.n;
    unsigned n = candidates(s, p, true, in);
    *best = -1;
    enum terse_err err = look_at(s, p, in, n, work, &size, best);
    if (err != TERSE_OK || *best >= 0)
        return err;
    n = candidates(s, p, false, in);
    return look_at(s, p, in, n, work, &size, best);
}

int policy_victim(const struct state *s, size_t n) {
    int best = -1, empty = -1;
    if (n < WORTH)
        return -1;
    for (uint32_t i = 0; i <= s->have_templates; i++) {
        bool used = i < s->have_templates && s->templates[i].p;
        if (!may_hold(s, i, n))
            continue;
        if (!used)
            empty = empty < 0 ? (int)i : empty;
        else if (best < 0 || s->templates[i].used < s->templates[best].used)
            best = (int)i;
    }
    bool stale = best >= 0 && s->clock - s->templates[best].used > STALE;
    return empty < 0 || stale ? best : empty;
}

/* ---- deflate ------------------------------------------------------------- */

bool policy_deflates(const struct plan *p, size_t n) {
    return n >= DEFLATE_FROM && !p->guarded;
}

/* Those that were used last of those that are large enough. */
unsigned policy_dictionaries(const struct state *s, int out[DICTIONARIES]) {
    unsigned n = 0;
    for (uint32_t i = 0; i < s->have_templates; i++) {
        unsigned at = n;
        if (s->templates[i].n < DEFLATE_FROM)
            continue;
        while (at > 0 && s->templates[out[at - 1]].used < s->templates[i].used)
            at--;
        if (at == DICTIONARIES)
            continue;
        if (n < DICTIONARIES)
            n++;
        memmove(out + at + 1, out + at, (n - at - 1) * sizeof(*out));
        out[at] = (int)i;
    }
    return n;
}

/* ---- strings ------------------------------------------------------------- */

enum terse_err policy_string(void *arg, struct terse_str s, enum sc_kind kind,
                             struct terse_buf *out) {
    struct packing *p = arg;
    enum strings_kind as[] = {
        [KIND_ONCE] = STRINGS_ONCE,
        [KIND_TOKEN] = p->list ? STRINGS_ONCE : STRINGS_TOKEN,
        [KIND_ADDRESS] = p->list ? STRINGS_LISTED : STRINGS_ADDRESS,
    };
    /* node#ver is told by its parts */
    if (kind == KIND_TOKEN && memchr(s.p, '#', s.n))
        kind = KIND_ONCE;
    return strings_pack(&p->strings, s, as[kind], out);
}
