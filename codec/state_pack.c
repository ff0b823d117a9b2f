/* state_pack.c: the sender's side of state.h. policy.c decides, this writes. */
#include <string.h>

#include "deflate.h"
#include "parts.h"
#include "policy.h"
#include "shelf.h"

/* ---- the content --------------------------------------------------------- */

/* Enters a stem into the book, beside the content. */
static enum terse_err put_entry(struct state *s, const struct strings *strings,
                                struct terse_buf *out) {
    struct terse_str stem = {strings->stem, strings->stem_n};
    if (stem.n == 0 || !book_has_room(&s->book, stem.n))
        return TERSE_OK;
    enum terse_err err = parts_put(out, FRAME_ENTRY, stem);
    return err == TERSE_OK ? book_add(&s->book, stem, stem) : err;
}

/* Writes a stanza or a patch, in work->a or elsewhere, with what the entry says
 * left out and its strings packed. */
static enum terse_err put_packed(struct state *s, const struct plan *p,
                                 struct terse_str content,
                                 struct terse_work *work,
                                 struct terse_buf *out) {
    struct packing packing = {state_strings(s), p->list};
    enum terse_err err = TERSE_OK;
    if (p->has_entry) {
        struct template_links links =
            shelf_links(NULL, (struct terse_str){NULL, 0}, &p->entry);
        terse_buf_reset(&work->b);
        err = template_blank(p->type, content, &links, false, &work->b);
        content = str_of_buf(&work->b);
    }
    terse_buf_reset(&work->d);
    if (err == TERSE_OK)
        err = template_strings(p->type, content, false, policy_string, &packing,
                               &work->d);
    if (err == TERSE_OK)
        err = put_entry(s, &packing.strings, out);
    return err == TERSE_OK ? parts_put(out, p->number, str_of_buf(&work->d))
                           : err;
}

/* The same, of a stanza that becomes template i: what the template grows by is
 * no room for the strings, which are counted before it. */
static enum terse_err put_packed_for(struct state *s, const struct plan *p,
                                     uint32_t i, struct terse_str content,
                                     struct terse_work *work,
                                     struct terse_buf *out) {
    uint32_t had = shelf_cost(s, i);
    uint32_t has = TEMPLATE_COST + (uint32_t)p->bare.n;
    uint32_t more = has > had ? has - had : 0;
    s->budget.now += more;
    enum terse_err err = put_packed(s, p, content, work, out);
    s->budget.now -= more;
    return err;
}

/* Writes the patch in work->a, of template i, which the stanza will become. */
static enum terse_err put_like(struct state *s, struct plan *p, uint32_t i,
                               struct terse_work *work, struct terse_buf *out) {
    p->template = (int)i;
    enum terse_err err = parts_put_number(out, FRAME_LIKE, i);
    if (err == TERSE_OK && work->a.len > 0)
        err = put_packed_for(s, p, i, str_of_buf(&work->a), work, out);
    return err;
}

static enum terse_err put_stanza(struct state *s, struct plan *p,
                                 struct terse_work *work,
                                 struct terse_buf *out) {
    int like = -1;
    if (!p->bare.p) /* too deep for a template */
        return put_packed(s, p, p->content, work, out);
    enum terse_err err = policy_template(s, p, work, &like);
    if (err != TERSE_OK)
        return err;
    if (like >= 0)
        return put_like(s, p, (uint32_t)like, work, out);
    p->template = policy_victim(s, p->bare.n);
    if (p->template <0)
        return put_packed(s, p, p->content, work, out);
    err = parts_put_number(out, FRAME_KEEP, (uint64_t)p->template);
    return err == TERSE_OK ? put_packed_for(s, p, (uint32_t)p->template,
                                            p->content, work, out)
                           : err;
}

/* ---- deflate ------------------------------------------------------------- */

/* Deflates the frame in out behind a template, or behind nothing if it is -1,
 * and keeps it in work->b if it is smaller than *size, or behind nothing no
 * larger. */
static enum terse_err try_deflate(struct state *s, int dict,
                                  struct terse_work *work,
                                  const struct terse_buf *out, size_t *size,
                                  int *best) {
    struct terse_str behind = {NULL, 0};
    enum terse_err err = TERSE_OK;
    if (dict >= 0)
        err = shelf_get(s, &s->templates[dict], &work->e, &behind);
    if (err != TERSE_OK)
        return err;
    terse_buf_reset(&work->a);
    err = deflate_pack(str_of_buf(out), behind, &work->a);
    size_t n = work->a.len + (dict >= 0 ? 2 : 0);
    if (err == TERSE_ELIMIT ||
        (err == TERSE_OK && (n > *size || (n == *size && dict >= 0))))
        return TERSE_OK;
    if (err != TERSE_OK)
        return err;
    *size = n;
    *best = dict;
    terse_buf_reset(&work->b);
    return terse_buf_append(&work->b, terse_buf_data(&work->a), work->a.len);
}

/* Replaces a large frame by its deflated form, where that is smaller. */
static enum terse_err deflate_frame(struct state *s, const struct plan *p,
                                    struct terse_work *work,
                                    struct terse_buf *out) {
    int with[DICTIONARIES + 1], best = -1;
    size_t size = SIZE_MAX;
    if (!policy_deflates(p, out->len))
        return TERSE_OK;
    unsigned n = policy_dictionaries(s, with);
    enum terse_err err = TERSE_OK;
    with[n++] = -1;
    for (unsigned i = 0;
         i < n && err == TERSE_OK && size > out->len / DEFLATED_ENOUGH; i++)
        err = try_deflate(s, with[i], work, out, &size, &best);
    if (err != TERSE_OK || size == SIZE_MAX || size + 4 > out->len)
        return err;
    terse_buf_reset(out);
    if (best >= 0) {
        s->templates[best].used = ++s->clock;
        err = parts_put_number(out, FRAME_LIKE, (uint64_t)best);
    }
    return err == TERSE_OK
               ? parts_put(out, FRAME_DEFLATED, str_of_buf(&work->b))
               : err;
}

/* ---- what stands beside the content -------------------------------------- */

static enum terse_err put_heard(uint32_t more, struct terse_buf *out) {
    return more > 0 ? parts_put_number(out, FRAME_HEARD, more) : TERSE_OK;
}

static enum terse_err put_enter(struct state *s, struct plan *p,
                                struct terse_buf *out) {
    bool on = p->enters && policy_entering(s, p);
    bool was = s->journal.on;
    if (!p->enters || on == was) {
        p->enters = on;
        return TERSE_OK;
    }
    s->journal.on = p->enters = on;
    return parts_put_number(out, FRAME_ENTER, on);
}

static enum terse_err put_about(const struct state *s, const struct plan *p,
                                struct terse_buf *out) {
    if (!p->has_entry)
        return TERSE_OK;
    int64_t offset = (int64_t)p->entry.index - (int64_t)s->other->journal.heard;
    return parts_put_number(out, FRAME_ABOUT,
                            wire_zigzag(offset) << 1 | p->enters);
}

static enum terse_err put_heads(struct state *s, struct plan *p,
                                struct terse_buf *out) {
    enum terse_err err = put_heard(p->heard, out);
    if (err == TERSE_OK)
        err = put_enter(s, p, out);
    return err == TERSE_OK ? put_about(s, p, out) : err;
}

/* ---- a frame ------------------------------------------------------------- */

/* What the frame did to templates and journals, once it is written. */
static enum terse_err commit(struct state *s, const struct plan *p,
                             struct terse_work *work) {
    enum terse_err err = TERSE_OK;
    if (p->template >= 0)
        err = shelf_set(s, (uint64_t)p->template, p->number, p->bare,
                        &p->outline, plan_entry(p), &work->e);
    if (p->has_entry) /* which may be gone then */
        journal_hear(&s->other->journal, p->entry.index + 1);
    if (err != TERSE_OK || !p->enters)
        return err;
    return journal_add(&s->journal, &p->id, p->addr);
}

/* A roster, or the like: what it repeats, it repeats inside, and it does not
 * come again. *done is false if it is none. */
static enum terse_err put_list(struct state *s, struct plan *p,
                               struct terse_work *work, struct terse_buf *out,
                               bool *done) {
    uint32_t entries = s->book.n;
    enum terse_err err = put_packed(s, p, p->content, work, out);
    if (err == TERSE_OK)
        err = deflate_frame(s, p, work, out);
    *done = err == TERSE_OK && out->len <= p->content.n / 2;
    while (!*done && s->book.n > entries)
        book_drop_last(&s->book);
    return err;
}

static enum terse_err pack_stanza(struct state *s, struct plan *p,
                                  struct terse_work *work,
                                  struct terse_buf *out) {
    bool done = false;
    policy_begin(s, p);
    bool on = s->journal.on, enters = p->enters;
    enum terse_err err = put_heads(s, p, out);
    if (err == TERSE_OK && p->list) {
        err = put_list(s, p, work, out, &done);
        if (err == TERSE_OK && !done) { /* once more, from the start */
            terse_buf_reset(out);
            s->journal.on = on;
            p->enters = enters;
            err = put_heads(s, p, out);
        }
    }
    if (err == TERSE_OK && !done)
        err = put_stanza(s, p, work, out);
    if (err == TERSE_OK && !done)
        err = deflate_frame(s, p, work, out);
    return err == TERSE_OK ? commit(s, p, work) : err;
}

enum terse_err state_pack(struct state *s, struct terse_str frame,
                          struct terse_work *work, struct terse_buf *out) {
    struct parts parts;
    terse_buf_reset(out);
    if (!parts_read(frame, &parts) || parts_state(&parts))
        return TERSE_EFRAME;
    enum terse_err err = TERSE_OK;
    if (!parts_stanza(&parts)) {
        err = put_heard(policy_heard(s), out);
        return err == TERSE_OK ? terse_buf_append(out, frame.p, frame.n) : err;
    }
    struct plan p = {.number = parts.content.number,
                     .content = parts.content.bytes,
                     .type = state_type(s, parts.content.number)};
    terse_buf_reset(&work->c);
    err = template_strip(p.type, p.content, &work->c, &p.outline);
    if (err == TERSE_OK)
        p.bare = (struct terse_str){
            work->c.len > 0 ? (const char *)terse_buf_data(&work->c) : "",
            work->c.len};
    if (err != TERSE_OK && err != TERSE_EFRAME)
        return err;
    return pack_stanza(s, &p, work, out);
}
